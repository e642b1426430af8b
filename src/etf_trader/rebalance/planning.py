"""From what an index holds and what its rulebook wants to a rebalance: what trades, at what cost. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from etf_trader.errors import MissingPrice
from etf_trader.index.methodology import RebalanceRule
from etf_trader.market.book import OrderBook
from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.money import ONE, ZERO, divide, divide_down, money_context
from etf_trader.orders.rebalance import CostParts, RebalanceLeg, RebalancePlan
from etf_trader.rebalance.drift import Drift
from etf_trader.rebalance.halted import drifts_around, is_halted, price_of
from etf_trader.solver.rebalance import plan_rebalance
from etf_trader.solver.rebalance_document import Kept, cost_parts
from etf_trader.solver.rebalance_problem import Constituent, Exact, RebalanceProblem, Tracking
from etf_trader.solver.rebalance_trades import SMALLEST

WITHIN_BAND = "within_band"
HALTED = "halted"
DELISTED = "delisted"
TURNOVER_CAP = "turnover_cap"

_GRID = Decimal("1e-12")


@dataclass(frozen=True, slots=True)
class Holdings:
    """What an index holds for its units, by asset in base, and its cash in the quote."""

    quote: str
    quantities: Mapping[str, Decimal]
    cash: Decimal

    def nav(self, mids: Mapping[str, Decimal]) -> Decimal:
        """Return what all of it is worth."""
        return sum((quantity * mids[asset] for asset, quantity in self.quantities.items()), self.cash)


@dataclass(frozen=True, slots=True)
class Rebalance:
    """A planned rebalance of one index: how each weight stands, what trades, and what is left alone.

    `scale` is the factor that a turnover cap took off all trades, 1 without.
    `problem` is what the solver was asked and `plan` its answer; None where
    nothing trades. `kept` is what is held beside: within its band, or `halted`,
    as its market does not trade now, or `delisted`, as there is none any more: that
    is worth nothing here. Who is `capped` would trade without the cap and is too
    little to with it. `windows` are the sides of books that may have
    more than was seen.
    """

    nav: Decimal
    cash: Decimal
    drifts: tuple[Drift, ...]
    scale: Decimal
    plan: RebalancePlan | None
    costs: Mapping[str, CostParts]
    problem: RebalanceProblem | None = None
    windows: frozenset[tuple[str, Side]] = frozenset()
    kept: tuple[Kept, ...] = ()
    halted: frozenset[str] = frozenset()
    delisted: frozenset[str] = frozenset()
    capped: frozenset[str] = frozenset()

    @property
    def parts(self) -> Mapping[str, Decimal]:
        """What is wanted of each asset that trades, as a fraction of all of them and the cash."""
        return {} if self.problem is None else {each.asset: each.weight for each in self.problem.constituents}

    @property
    def legs(self) -> Mapping[str, RebalanceLeg]:
        """What trades or was to trade, by asset."""
        return {} if self.plan is None else {leg.asset: leg for leg in self.plan.legs}

    @property
    def cost(self) -> Decimal:
        """What NAV loses by it at the mids of the plan."""
        return ZERO if self.plan is None else self.plan.cost

    @property
    def nav_after(self) -> Decimal:
        """NAV after it: NAV before less the cost, exactly."""
        return self.nav - self.cost

    @property
    def cash_after(self) -> Decimal:
        """What is left in cash."""
        return self.cash if self.plan is None else self.plan.cash_after

    @property
    def turnover(self) -> Decimal:
        """Half of what is traded, as a fraction of NAV."""
        traded = sum((leg.value + leg.inside * leg.mid for leg in self.legs.values()), ZERO)
        return divide(traded, 2 * self.nav, _GRID)

    @property
    def orders(self) -> int:
        """How many assets trade."""
        return sum(leg.side is not None for leg in self.legs.values())

    def why_skipped(self, drift: Drift) -> str | None:
        """Return why an asset is not traded; None where it is, or is on its target."""
        leg = self.legs.get(drift.asset)
        if drift.asset in self.halted:
            return HALTED
        if drift.asset in self.delisted:
            return DELISTED
        if drift.asset in self.capped:
            return TURNOVER_CAP
        if leg is not None:
            return leg.why_skipped
        return WITHIN_BAND if drift.away else None

    @property
    def weights_after(self) -> dict[str, Decimal]:
        """What is held afterwards, as fractions of NAV after."""
        held = {each.asset: each.holding * each.mid for each in self.kept}
        held |= {asset: leg.holding_after * leg.mid for asset, leg in self.legs.items()}
        return {asset: divide(value, self.nav_after, _GRID) for asset, value in held.items()}


def plan_of(
    holdings: Holdings,
    targets: Mapping[str, Decimal],
    rule: RebalanceRule,
    books: Mapping[str, OrderBook],
    rules: Mapping[str, SymbolRule],
) -> Rebalance:
    """Return the cheapest rebalance to `targets`, as far as bands, halts and the turnover cap let it.

    What is halted or delisted stays, and the targets of the others share what it leaves of NAV.

    Args:
        targets: Fractions of NAV after costs, together 1 less the reserve.
        books, rules: Of every asset that is held or wanted, by asset; not of what is held and delisted.

    Raises:
        CrossedBook: a book has no price.
        MissingPrice: nothing that is held has one.
        NumericalFailure: the LP failed.
    """
    with money_context():
        halted = frozenset(asset for asset, book in books.items() if is_halted(book, rules[asset]))
        delisted = frozenset(holdings.quantities.keys() - books.keys())
        mids = {asset: price_of(book) for asset, book in books.items()} | dict.fromkeys(delisted, ZERO)
        nav = holdings.nav(mids)
        if not nav:
            raise MissingPrice("nothing that is held has a price now", where=min(holdings.quantities, default=""))
        weights = {
            asset: divide(quantity * mids[asset], nav, _GRID) for asset, quantity in holdings.quantities.items()
        }
        wanted = drifts_around(weights, targets, rule, halted | delisted)
        found, scale = _within_turnover(wanted, rule.turnover)
        problem = _problem(holdings, nav, found, books, rules, rule.price_bps)
        plan = None if problem is None else plan_rebalance(problem)
        windows = frozenset(
            (rules[asset].symbol, side)
            for asset, book in books.items()
            for side in Side
            if asset not in halted and not (book.complete or book.accepted(side, rules[asset])[1])
        )
        made = Rebalance(
            nav,
            holdings.cash,
            found,
            scale,
            plan,
            _costs(problem, plan),
            problem,
            windows,
            halted=halted,
            delisted=delisted,
        )
        made = replace(made, capped=frozenset(_capped(made, wanted, rules, mids)))
        return replace(made, kept=tuple(_kept(made, holdings, rules, mids)))


def window_stops(found: Rebalance) -> list[str]:
    """Return "window(SYMBOL)" for each book at whose last level seen a plan ends: deeper it may be cheaper."""
    asked = {} if found.problem is None else {each.asset: each for each in found.problem.constituents}
    return [
        f"window({leg.symbol})"
        for leg in found.legs.values()
        if leg.side is not None
        and leg.quantity
        and (leg.symbol, leg.side) in found.windows
        and leg.last_price == asked[leg.asset].levels(leg.side)[-1].price
    ]


def _costs(problem: RebalanceProblem | None, plan: RebalancePlan | None) -> dict[str, CostParts]:
    if problem is None or plan is None:
        return {}
    asked = {each.asset: each for each in problem.constituents}
    return {leg.asset: cost_parts(leg, asked[leg.asset]) for leg in plan.legs}


def _capped(
    found: Rebalance, wanted: Sequence[Drift], rules: Mapping[str, SymbolRule], mids: Mapping[str, Decimal]
) -> Iterator[str]:
    """Yield who does not trade as the turnover cap leaves too little of it, and would without."""
    for each in wanted if found.scale != 1 else ():
        leg, mid = found.legs.get(each.asset), mids[each.asset]
        if each.aim is None or leg is None or leg.side is not None:
            continue
        least = rules[each.asset].least_quantity(mid) * mid
        if abs(each.aim - each.weight) * found.nav >= least:
            yield each.asset


def _kept(
    found: Rebalance, holdings: Holdings, rules: Mapping[str, SymbolRule], mids: Mapping[str, Decimal]
) -> Iterator[Kept]:
    """Yield what is held and not part of what the solver was asked."""
    for each in found.drifts:
        asset = each.asset
        if each.aim is None and mids[asset] and (holding := holdings.quantities.get(asset, ZERO)):
            yield Kept(asset, rules[asset].symbol, holding, mids[asset], found.why_skipped(each))


def _within_turnover(found: Sequence[Drift], most: Decimal) -> tuple[tuple[Drift, ...], Decimal]:
    """Return the drifts with all trades scaled by one factor, so that half their sum is at most `most`."""
    wanted = sum((abs(each.aim - each.weight) for each in found if each.aim is not None), ZERO) / 2
    if wanted <= most:
        return tuple(found), ONE
    scale = divide_down(most, wanted, _GRID)
    return tuple(
        each if each.aim is None else replace(each, aim=each.weight + scale * (each.aim - each.weight))
        for each in found
    ), scale


def _problem(
    holdings: Holdings,
    nav: Decimal,
    found: Sequence[Drift],
    books: Mapping[str, OrderBook],
    rules: Mapping[str, SymbolRule],
    price_bps: Decimal | None,
) -> RebalanceProblem | None:
    """Return what the solver is asked: only of what trades, in fractions of what that and the cash are worth."""
    moved = [each for each in found if each.aim is not None]
    if not moved:
        return None
    held = holdings.quantities
    part = sum((held.get(each.asset, ZERO) * books[each.asset].mid for each in moved), holdings.cash)
    constituents = _at_most_whole([_constituent(each, nav, part, holdings, books, rules) for each in moved])
    aim = Exact() if price_bps is None else Tracking(price_bps)
    return RebalanceProblem(holdings.quote, holdings.cash, constituents, aim)


def _constituent(
    drift: Drift,
    nav: Decimal,
    part: Decimal,
    holdings: Holdings,
    books: Mapping[str, OrderBook],
    rules: Mapping[str, SymbolRule],
) -> Constituent:
    asset = drift.asset
    book, rule = books[asset], rules[asset]
    weight = divide_down((drift.aim or ZERO) * nav, part, _GRID)
    return Constituent(
        asset=asset,
        rule=rule,
        holding=holdings.quantities.get(asset, ZERO),
        weight=weight if drift.target else without_dust(weight),
        mid=book.mid,
        bids=book.accepted(Side.SELL, rule)[0],
        asks=book.accepted(Side.BUY, rule)[0],
    )


def without_dust(weight: Decimal) -> Decimal:
    """Return what is wanted of who leaves; of a part of its dust, which is too little to be wanted, nothing."""
    return weight if float(weight) >= SMALLEST else ZERO


def _at_most_whole(constituents: list[Constituent]) -> tuple[Constituent, ...]:
    """Return the constituents with weights of together 1 at most: aims on a grid may be a hair more."""
    beyond = sum((each.weight for each in constituents), ZERO) - ONE
    if beyond > 0:
        place = max(range(len(constituents)), key=lambda at: constituents[at].weight)
        constituents[place] = replace(constituents[place], weight=constituents[place].weight - beyond)
    return tuple(constituents)
