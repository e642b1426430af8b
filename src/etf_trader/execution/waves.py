"""The next wave of a rebalance, planned on the books of now. Pure.

Each wave plans all that is left from what is held by then, and sends what comes
first: what brings cash, and what the cash at hand pays for. An asset that has
traded what it was to stays as it is from there on, and the others share out what
is left among them in the proportions of their targets: so the last purchase
spends what there is, and never more.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from etf_trader.errors import DataError
from etf_trader.execution.batch import Batch, Demand
from etf_trader.execution.planning import MarketView
from etf_trader.execution.rebalance_state import RebalanceState
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO, divide_down, money_context
from etf_trader.orders.asset_order import Slice
from etf_trader.orders.rebalance import RebalanceLeg, RebalancePlan
from etf_trader.orders.rebalance_order import RebalanceRequest
from etf_trader.solver.rebalance import plan_rebalance
from etf_trader.solver.rebalance_document import Kept
from etf_trader.solver.rebalance_problem import (
    MAX_CROSS_SPREAD,
    Aim,
    Constituent,
    Exact,
    RebalanceProblem,
    Tracking,
)

PART_GRID = Decimal("1e-12")


@dataclass(frozen=True, slots=True)
class Beside:
    """What the orders that trade with a wave want of each asset, netted: in base after fee, below 0 they sell.

    `max_cross_spread` is the widest spread, in bps of the mid, at which both meet inside.
    """

    ordered: Mapping[str, Decimal] = field(default_factory=dict)
    max_cross_spread: Decimal = MAX_CROSS_SPREAD


ALONE = Beside()


@dataclass(frozen=True, slots=True)
class Wave:
    """What was asked for the rest of a rebalance, the plan, and which of its legs are sent now.

    `kept_out` are assets that have no price or no market now, each with the word for what stops it.
    """

    state: RebalanceState
    view: MarketView
    problem: RebalanceProblem | None
    plan: RebalancePlan | None
    kept_out: Mapping[str, str]

    @property
    def legs(self) -> tuple[RebalanceLeg, ...]:
        """The legs that are traded now: those of the plan's first wave."""
        if self.plan is None:
            return ()
        return tuple(leg for leg in self.plan.legs if leg.wave == 1 and (leg.quantity or leg.inside))

    @property
    def kept(self) -> tuple[Kept, ...]:
        """What the index holds that it leaves as it is, as far as that has a price now."""
        asked = () if self.problem is None else self.problem.constituents
        moves = {each.asset for each in asked}
        why = {leg.asset: leg.why_skipped for leg in self.state.order.request.legs if leg.aim is None}
        return tuple(
            Kept(asset, symbol, quantity, price, self.kept_out.get(asset, why.get(asset)))
            for asset, quantity in sorted(self.state.held.items())
            if quantity and asset not in moves
            for symbol in [self.state.symbols[asset]]
            if (price := _price(self.view, symbol))
        )

    @property
    def taken(self) -> dict[str, Decimal]:
        """What it takes out of the index to sell, in base by asset."""
        return {leg.asset: leg.quantity + leg.inside for leg in self.legs if leg.side is Side.SELL}

    @property
    def windows(self) -> list[str]:
        """The window of each book that the plan uses up."""
        found = []
        for leg in () if self.plan is None else self.plan.legs:
            book = self.view.books[leg.symbol]
            if leg.side is not None and leg.quantity and not book.complete:
                offers = book.offers(leg.side)
                if offers and leg.last_price == offers[-1].price:
                    found.append(f"window({leg.symbol})")
        return found

    def batch(self) -> Batch:
        """Return what goes to the venue."""
        return Batch(self.view, (), tuple(self._demand(leg) for leg in self.legs if leg.quantity))

    def _demand(self, leg: RebalanceLeg) -> Demand:
        assert leg.side is not None
        return Demand(
            asset=leg.asset,
            symbol=leg.symbol,
            side=leg.side,
            quantity=leg.quantity,
            price=leg.last_price,
            mid=leg.mid,
            touch=self.view.books[leg.symbol].offers(leg.side)[0].price,
            slices={self.state.order.id: (Slice(leg.quantity, leg.last_price),)},
        )


def plan_wave(state: RebalanceState, view: MarketView, beside: Beside = ALONE) -> Wave:
    """Plan what is left of a rebalance, and what of it trades with the orders beside it.

    Raises:
        NumericalFailure: the LP failed.
    """
    with money_context():
        kept_out = _kept_out(state, view)
        problem = wave_problem(state, view, frozenset(kept_out), beside)
        plan = None if problem is None else plan_rebalance(problem)
        out = frozenset(kept_out)
        while turned := _turned(state, plan):  # the market has moved past its target: it stays where it is
            out |= turned
            problem = wave_problem(state, view, out, beside)
            plan = None if problem is None else plan_rebalance(problem)
        return Wave(state, view, problem, plan, kept_out)


def _turned(state: RebalanceState, plan: RebalancePlan | None) -> frozenset[str]:
    """Return the assets that a later wave would trade the other way than the first."""
    if plan is None or state.first is None:
        return frozenset()
    return frozenset(leg.asset for leg in plan.legs if leg.side not in (None, state.first.get(leg.asset)))


def wave_problem(
    state: RebalanceState, view: MarketView, without: frozenset[str], beside: Beside = ALONE
) -> RebalanceProblem | None:
    """Return what the solver is asked for what is left; None when nothing is."""
    request = state.order.request
    left = [asset for asset in state.left if asset not in without]
    if not left:
        return None
    parts = _parts(request, left)
    constituents = tuple(
        replace(_constituent(asset, parts[asset], state, view), ordered=beside.ordered.get(asset, ZERO))
        for asset in left
    )
    # what was sold has been worth it together with what it pays for: later waves buy that, whatever it costs alone
    aim = aim_of(request.price_bps) if state.first is None else Exact()
    problem = RebalanceProblem(state.index.quote, state.cash, constituents, aim, beside.max_cross_spread)
    return problem if problem.nav > 0 else None  # what would pay for the rest cannot be sold now


def aim_of(price_bps: Decimal | None) -> Aim:
    """Return how near to its targets a rebalance is brought: there, or as near as is worth what it costs."""
    return Exact() if price_bps is None else Tracking(price_bps)


def _parts(request: RebalanceRequest, left: list[str]) -> dict[str, Decimal]:
    """Return the fractions of what is left and the cash that are wanted of each."""
    parts = request.parts
    if len(left) == len(parts):
        return parts
    whole = sum((parts[asset] for asset in left), request.kept_in_cash)
    if not whole:
        return dict.fromkeys(left, ZERO)  # all of them leave, and nothing else is left to buy
    return {asset: divide_down(parts[asset], whole, PART_GRID) for asset in left}


def _constituent(asset: str, weight: Decimal, state: RebalanceState, view: MarketView) -> Constituent:
    symbol = state.symbols[asset]
    book, rule = view.books[symbol], view.rules[symbol]
    return Constituent(
        asset=asset,
        rule=rule,
        holding=state.held.get(asset, ZERO),
        weight=weight,
        mid=book.mid,
        bids=book.accepted(Side.SELL, rule)[0],
        asks=book.accepted(Side.BUY, rule)[0],
    )


def _kept_out(state: RebalanceState, view: MarketView) -> dict[str, str]:
    """Return the assets that cannot be planned now, each with what stops it."""
    found = {}
    for asset in state.left:
        symbol = state.symbols[asset]
        rule, book = view.rules.get(symbol), view.books.get(symbol)
        if rule is None:
            found[asset] = f"delisted({asset})"
        elif not rule.is_trading:
            found[asset] = f"halted({asset})"
        elif book is None or not _has_price(view, symbol):
            found[asset] = "price"
    return found


def _price(view: MarketView, symbol: str) -> Decimal | None:
    """Return what an asset that stays is valued at; None of one without a price."""
    try:
        return view.books[symbol].price if symbol in view.books else None
    except DataError:
        return None


def _has_price(view: MarketView, symbol: str) -> bool:
    try:
        return view.books[symbol].mid > 0
    except DataError:
        return False
