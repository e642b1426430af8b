"""Quotes of orders over time: how much waits at the touch at once, and when it has waited long enough. Pure.

    z       units that a quote is for
    h_i     what an order holds of an asset: bought beyond its units, or redeemed and not sold
    a_i     base of an asset in a unit
    left_i  what is still to be traded of an asset

Legs of a quote fill when others please, so some run ahead. What is traded of
them beyond the fraction that all have reached is at most `MOST_BEYOND` of the
order's value: no more than that is quoted at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from etf_trader.errors import DataError, SolverError
from etf_trader.execution.batch import QUOTE, Batch, Demand, Member, batch_of
from etf_trader.execution.look import require_listed
from etf_trader.execution.planning import MarketView, order_problem
from etf_trader.execution.state import OrderState
from etf_trader.market.book import OrderBook
from etf_trader.market.symbol import Side
from etf_trader.money import UNIT_GRID, ZERO, divide_down, floor_to, money_context, plain
from etf_trader.orders.asset_order import AssetOrder, OrderKind
from etf_trader.solver import passive
from etf_trader.solver.order import plan_order

MOST_BEYOND = Decimal("0.05")
"""The value of an order that may be traded beyond the common fraction, as a part of all of it."""


def compatible(states: Sequence[OrderState]) -> list[OrderState]:
    """Return the orders that may quote beside each other, the oldest first.

    Never both sides of a symbol; and of one index one order, since they share its float.
    """
    sides: dict[str, Side] = {}
    found: dict[int, OrderState] = {}
    for state in sorted(states, key=lambda each: each.order.id):
        symbols, side = state.basket.symbols.values(), state.order.side
        if state.index.id in found or any(sides.get(symbol, side) is not side for symbol in symbols):
            continue
        found[state.index.id] = state
        sides |= dict.fromkeys(symbols, side)
    return list(found.values())


def most_at_once(quantity: Decimal, per_unit: Mapping[str, Decimal], mids: Mapping[str, Decimal]) -> Decimal:
    """Return the units of which all legs but the slowest may fill within `MOST_BEYOND` of an order of `quantity`.

    The slowest may be the smallest. An index of one asset has none that runs ahead.
    """
    values = [a * mids[asset] for asset, a in per_unit.items() if a]
    nav, rest = sum(values, ZERO), sum(values, ZERO) - min(values)
    return divide_down(MOST_BEYOND * quantity * nav, rest, UNIT_GRID) if rest else quantity


def units_to_quote(state: OrderState, mids: Mapping[str, Decimal]) -> Decimal:
    """Return the units to quote now of what is due.

    A buy's quote leaves out what is held already; a sell's comes on top of what
    is redeemed and unsold. Less than the schedule's least slice cannot be traded
    alone: where the bound allows less, that much is quoted all the same.
    """
    assert state.pace is not None and state.order.schedule is not None
    due, least = state.pace.due, state.order.schedule.least
    most = most_at_once(state.order.quantity, state.basket.quantities, mids)
    if state.order.side is Side.SELL:
        unsold = reach(state)
        most = max(most - unsold, least) if unsold < least else most - unsold
    else:
        most = max(most, least)
    units = min(due, floor_to(max(most, ZERO), UNIT_GRID))
    return units if units >= least or units == due else ZERO


def reach(state: OrderState) -> Decimal:
    """Return the units for which an order holds enough of the asset that it holds most of."""
    per_unit = state.basket.quantities
    parts = (divide_down(state.held.get(asset, ZERO), a, UNIT_GRID) for asset, a in per_unit.items() if a)
    return max(parts, default=ZERO)


def beyond(left: Mapping[str, Decimal], per_unit: Mapping[str, Decimal], mids: Mapping[str, Decimal]) -> Decimal:
    """Return the value traded beyond what the slowest asset has reached, in quote.

    Args:
        left: Base that a quote has still to trade, by asset; what is missing has nothing left.
        per_unit: Base of each asset in a unit.
        mids: Quote per base.
    """
    with money_context():
        slowest = max((divide_down(left.get(asset, ZERO), a, UNIT_GRID) for asset, a in per_unit.items() if a))
        return sum(
            (max(slowest * a - left.get(asset, ZERO), ZERO) * mids[asset] for asset, a in per_unit.items()), ZERO
        )


def is_lopsided(member: Member, sent: Sequence[AssetOrder]) -> bool:
    """Return whether the laggards of a quote are to be taken: more is due, and the leaders may not go further.

    From half of the bound on: the whole of it is reached when all assets but the smallest are through.
    """
    state, pace = member.state, member.state.pace
    if pace is None or pace.due <= member.plan.wanted:
        return False  # all that is due rests in the book: it may wait for its time
    left: dict[str, Decimal] = {}
    for each in sent:
        left[each.intent.asset] = left.get(each.intent.asset, ZERO) + each.remaining
    mids = {leg.asset: leg.mid for leg in member.problem.legs}
    bound = MOST_BEYOND * state.order.quantity * member.problem.nav
    return 2 * beyond(left, state.basket.quantities, mids) > bound


def taking(state: OrderState) -> OrderState:
    """Return an order whose laggards are taken now: what completes the assets that ran ahead, and no more."""
    assert state.pace is not None and state.order.schedule is not None
    units = ZERO  # a sell has redeemed the units already: what it holds is sold
    if state.order.side is Side.BUY and (ahead := reach(state)):
        units = min(state.pace.due, max(ahead, state.order.schedule.least))
    return replace(state, pace=replace(state.pace, due=units, takes=True))


def quote_batch(states: Sequence[OrderState], view: MarketView) -> Batch:
    """Return the quotes of these orders; one that has no price or finds no plan is left out."""
    members: list[Member] = []
    demands: list[Demand] = []
    for state in states:
        try:
            batch = _quote(state, view)
        except (DataError, SolverError):
            continue  # its time to take comes, and tells
        if batch.demands or batch.members[0].plan.units:
            members += batch.members
            demands += (replace(each, kind=OrderKind.POST_ONLY) for each in batch.demands)
    return Batch(view, tuple(members), tuple(demands))


def _quote(state: OrderState, view: MarketView) -> Batch:
    require_listed(state.basket, view.rules)
    assert state.pace is not None
    with money_context():
        units = units_to_quote(state, view.mids(state.basket.symbols))
        wish = replace(state.wish(), quantity=units)
        asked = order_problem(wish, state.basket, view, state.float, state.float_cash, 0)
        problem = passive.at_own_touch(asked, view.books)
        plan = plan_order(problem)
        plan = replace(plan, method=passive.QUOTE, beside={"due": plain(state.pace.due)})
        return batch_of(state, problem, plan, QUOTE, view)


def touch_moved(order: AssetOrder, book: OrderBook) -> bool:
    """Return whether a resting order no longer stands where the others of its side do.

    `book` is without our own orders; where nobody else stands nothing has moved.
    """
    others = book.bids if order.intent.side is Side.BUY else book.asks
    return bool(others) and others[0].price != order.intent.price
