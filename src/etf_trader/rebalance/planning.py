"""From what an index holds and what its rulebook wants to a rebalance: what trades, at what cost. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from etf_trader.index.methodology import RebalanceRule
from etf_trader.market.book import OrderBook
from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.money import ONE, ZERO, divide, divide_down, money_context
from etf_trader.orders.rebalance import RebalanceLeg, RebalancePlan
from etf_trader.rebalance.drift import Drift, drifts
from etf_trader.solver.rebalance import plan_rebalance
from etf_trader.solver.rebalance_problem import Constituent, Exact, RebalanceProblem

WITHIN_BAND = "within_band"

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
class CostParts:
    """What a leg costs NAV, in quote; together its cost, exactly."""

    spread: Decimal
    depth: Decimal
    fee: Decimal

    @property
    def total(self) -> Decimal:
        """The whole cost."""
        return self.spread + self.depth + self.fee


@dataclass(frozen=True, slots=True)
class Rebalance:
    """A planned rebalance of one index: how each weight stands, what trades, and what is left alone.

    `scale` is the factor that a turnover cap took off all trades, 1 without.
    `plan` is None where nothing trades.
    """

    nav: Decimal
    cash: Decimal
    drifts: tuple[Drift, ...]
    scale: Decimal
    plan: RebalancePlan | None
    costs: Mapping[str, CostParts]

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
        if leg is not None:
            return leg.why_skipped
        return WITHIN_BAND if drift.away else None


def plan_of(
    holdings: Holdings,
    targets: Mapping[str, Decimal],
    rule: RebalanceRule,
    books: Mapping[str, OrderBook],
    rules: Mapping[str, SymbolRule],
) -> Rebalance:
    """Return the cheapest rebalance to `targets`, as far as bands and the turnover cap let it.

    Args:
        targets: Fractions of NAV after costs, together 1 less the reserve.
        books, rules: Of every asset that is held or wanted, by asset.

    Raises:
        MissingPrice, CrossedBook: a book has no price.
        NumericalFailure: the LP failed.
    """
    with money_context():
        mids = {asset: book.mid for asset, book in books.items()}
        nav = holdings.nav(mids)
        weights = {
            asset: divide(quantity * mids[asset], nav, _GRID) for asset, quantity in holdings.quantities.items()
        }
        found, scale = _within_turnover(drifts(weights, targets, rule), rule.turnover)
        problem = _problem(holdings, nav, found, books, rules)
        if problem is None:
            return Rebalance(nav, holdings.cash, found, scale, None, {})
        plan = plan_rebalance(problem)
        asked = {each.asset: each for each in problem.constituents}
        costs = {leg.asset: _cost_parts(leg, asked[leg.asset]) for leg in plan.legs}
        return Rebalance(nav, holdings.cash, found, scale, plan, costs)


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
) -> RebalanceProblem | None:
    """Return what the solver is asked: only of what trades, in fractions of what that and the cash are worth."""
    moved = [each for each in found if each.aim is not None]
    if not moved:
        return None
    kept = {each.asset for each in found if each.aim is None}
    part = nav - sum(
        (quantity * books[asset].mid for asset, quantity in holdings.quantities.items() if asset in kept), ZERO
    )
    constituents = _at_most_whole([_constituent(each, nav, part, holdings, books, rules) for each in moved])
    return RebalanceProblem(holdings.quote, holdings.cash, constituents, Exact())


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
    return Constituent(
        asset=asset,
        rule=rule,
        holding=holdings.quantities.get(asset, ZERO),
        weight=divide_down((drift.aim or ZERO) * nav, part, _GRID),
        mid=book.mid,
        bids=book.accepted(Side.SELL, rule)[0],
        asks=book.accepted(Side.BUY, rule)[0],
    )


def _at_most_whole(constituents: list[Constituent]) -> tuple[Constituent, ...]:
    """Return the constituents with weights of together 1 at most: aims on a grid may be a hair more."""
    beyond = sum((each.weight for each in constituents), ZERO) - ONE
    if beyond > 0:
        place = max(range(len(constituents)), key=lambda at: constituents[at].weight)
        constituents[place] = replace(constituents[place], weight=constituents[place].weight - beyond)
    return tuple(constituents)


def _cost_parts(leg: RebalanceLeg, constituent: Constituent) -> CostParts:
    """Return the parts of a leg's cost: half the spread, the depth beyond the touch, the fee at mid."""
    if leg.side is None or not leg.quantity:
        return CostParts(ZERO, ZERO, ZERO)
    touch, sign = constituent.levels(leg.side)[0].price, leg.side.sign
    fee = leg.fee * leg.mid if leg.side is Side.BUY else leg.fee
    return CostParts(
        spread=sign * leg.quantity * (touch - leg.mid), depth=sign * (leg.value - leg.quantity * touch), fee=fee
    )
