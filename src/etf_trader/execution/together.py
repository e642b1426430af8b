"""One solve for all open orders of an account. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from etf_trader.errors import DataError, NotListed, NotTrading, SolverError
from etf_trader.execution.batch import TRADE, Batch, Demand, Member, Slices, batch_of, cut
from etf_trader.execution.crossing import Cross
from etf_trader.execution.fees_apart import asked_with_fees
from etf_trader.execution.look import require_listed
from etf_trader.execution.planning import MarketView, order_problem
from etf_trader.execution.routed import foreign_currencies, open_ends, plan_of, routed_problem
from etf_trader.execution.settings import ExecutionSettings
from etf_trader.execution.state import OrderState
from etf_trader.index.store import Basket, Index
from etf_trader.money import apportion, money_context
from etf_trader.orders.asset_order import Slice
from etf_trader.orders.plan import Plan
from etf_trader.solver.order import plan_order
from etf_trader.solver.outcomes import outcomes
from etf_trader.solver.problem import OrderProblem
from etf_trader.solver.shares import SharedAssetOrder, SharedOrder, SharedPlan, Touch
from etf_trader.solver.splitting import member_quantities


@dataclass(frozen=True, slots=True)
class Asked:
    """An open order, what the solver is asked for it, and whether it may exchange currencies now."""

    state: OrderState
    problem: OrderProblem
    may_convert: bool


def ask(state: OrderState, view: MarketView, slack_ticks: int, *, may_convert: bool) -> Asked:
    """Return what the solver is asked for an open order.

    Raises:
        DataError: a constituent of it has no market, does not trade now, or has no price.
    """
    require_listed(state.basket, view.rules)
    problem = order_problem(state.wish(), state.basket, view, state.float, state.float_cash, slack_ticks)
    return Asked(state, asked_with_fees(problem, view), may_convert)


Stopped = tuple[OrderState, DataError | SolverError]
"""An order that cannot be planned now, and why."""


@dataclass(frozen=True, slots=True)
class Together:
    """What all orders trade in one batch, the plans of those that trade nothing now, and who cannot be planned.

    `later` are orders that found no plan together with the others: they are
    planned in the next batch.
    """

    batch: Batch
    idle: tuple[tuple[OrderState, Plan], ...]
    unplanned: tuple[Stopped, ...]
    later: tuple[OrderState, ...] = ()


def stop_of(error: DataError | SolverError) -> str:
    """Return by which word an order is stopped that cannot be planned."""
    match error:
        case NotListed():
            return f"delisted({error.where})"
        case NotTrading():
            return f"halted({error.where})"
        case SolverError():
            return "solver"
    return "price"


def stops_of(together: Together) -> list[str]:
    """Return everything that stops any of the orders, and each window that one uses up."""
    plans = [member.plan for member in together.batch.members] + [plan for _, plan in together.idle]
    return [stop for plan in plans for stop in open_ends(plan, together.batch.view)]


def plan_together(
    asked: Sequence[Asked],
    unplanned: Sequence[Stopped],
    view: MarketView,
    settings: ExecutionSettings,
) -> Together:
    """Plan all orders on the same books; an order alone is planned by the method of the settings.

    One that finds no plan stops alone. Where each finds one and all of them
    together do not, the first is planned, and the others in the next batch.
    """
    try:
        return _planned(asked, unplanned, view, settings)
    except (DataError, SolverError) as error:
        if len(asked) == 1:
            return Together(Batch(view, (), ()), (), (*unplanned, (asked[0].state, error)))
    sound, unsound = _apart(asked, view, settings)
    if unsound:
        return plan_together(sound, (*unplanned, *unsound), view, settings)
    first = plan_together(sound[:1], unplanned, view, settings)
    return replace(first, later=tuple(each.state for each in sound[1:]))


def _apart(
    asked: Sequence[Asked], view: MarketView, settings: ExecutionSettings
) -> tuple[list[Asked], list[Stopped]]:
    """Plan each order by itself; return those that find a plan, and those that do not."""
    sound: list[Asked] = []
    unsound: list[Stopped] = []
    for each in asked:
        try:
            with money_context():
                plan_alone(each, view, settings.method)
            sound.append(each)
        except (DataError, SolverError) as error:
            unsound.append((each.state, error))
    return sound, unsound


def _planned(
    asked: Sequence[Asked], unplanned: Sequence[Stopped], view: MarketView, settings: ExecutionSettings
) -> Together:
    if not asked:
        return Together(Batch(view, (), ()), (), tuple(unplanned))
    with money_context():
        if len(asked) == 1:
            (only,) = asked
            plan = plan_alone(only, view, settings.method)
            batch, plans = batch_of(only.state, only.problem, plan, TRADE, view), {only.state.order.id: plan}
        else:
            batch, plans = _shared(asked, view, settings.max_cross_spread)
    idle = tuple((each.state, plans[each.state.order.id]) for each in asked if not _is_busy(plans, batch, each))
    members = tuple(each for each in batch.members if all(each.state is not state for state, _ in idle))
    return Together(Batch(view, members, batch.demands, batch.crosses), idle, tuple(unplanned))


def plan_beside(
    problem: OrderProblem,
    index: Index,
    basket: Basket,
    others: Sequence[Asked],
    view: MarketView,
    max_cross_spread: Decimal,
) -> Plan:
    """Plan an order that is not accepted yet together with those that are open: the plan it would get."""
    key = 1 + max(each.state.order.id for each in others)
    orders = [*_orders(others), SharedOrder(key, index.symbol, problem)]
    baskets = [*(each.state.basket for each in others), basket]
    with money_context():
        plans, _, _ = _solved(orders, _touches(baskets, view), view, max_cross_spread)
    return plans[key]


def plan_alone(asked: Asked, view: MarketView, method: str) -> Plan:
    """Plan one order by itself, over all currencies that its index may use."""
    if not foreign_currencies(asked.state.index):
        return plan_order(asked.problem, method)
    from etf_trader.solver.routes import plan_routes  # brings NumPy, which most orders do without

    state, may_convert = asked.state, asked.may_convert
    problem = routed_problem(
        asked.problem, state.index, view, state.other_cash, state.order.arrival, may_convert=may_convert
    )
    return plan_of(plan_routes(problem), problem)


def _shared(asked: Sequence[Asked], view: MarketView, max_cross_spread: Decimal) -> tuple[Batch, dict[int, Plan]]:
    touches = _touches([each.state.basket for each in asked], view)
    plans, demands, crosses = _solved(_orders(asked), touches, view, max_cross_spread)
    members = tuple(Member(each.state, each.problem, plans[each.state.order.id], TRADE) for each in asked)
    return Batch(view, members, demands, crosses), plans


def _orders(asked: Sequence[Asked]) -> list[SharedOrder]:
    return [SharedOrder(each.state.order.id, each.state.index.symbol, each.problem) for each in asked]


def _solved(
    orders: Sequence[SharedOrder], touches: Mapping[str, Touch], view: MarketView, max_cross_spread: Decimal
) -> tuple[dict[int, Plan], tuple[Demand, ...], tuple[Cross, ...]]:
    """Return the plan of each order, what goes to the venue for all of them, and what meets inside."""
    from etf_trader.solver.shared import plan_together as solve_together  # brings NumPy

    return traded(solve_together(orders, touches, max_cross_spread), view)


def traded(shared: SharedPlan, view: MarketView) -> tuple[dict[int, Plan], tuple[Demand, ...], tuple[Cross, ...]]:
    """Return the plan of each order of a solve, what goes to the venue for all of them, and what meets inside."""
    demands = tuple(demand for sent in shared.asset_orders for demand in _demands(sent, view))
    plans = {key: outcome.plan for key, outcome in outcomes(shared).items()}
    return plans, demands, tuple(Cross(*each) for each in shared.crosses)


def _touches(baskets: Sequence[Basket], view: MarketView) -> dict[str, Touch]:
    """Return best bid and ask of every asset; books of this look are fresh, older ones are refused before."""
    symbols = {asset: symbol for basket in baskets for asset, symbol in basket.symbols.items()}
    books = {asset: view.books[symbol] for asset, symbol in symbols.items()}
    return {asset: Touch(book.bids[0].price, book.asks[0].price, is_fresh=True) for asset, book in books.items()}


def _demands(sent: SharedAssetOrder, view: MarketView) -> list[Demand]:
    """Return what goes to the venue in one asset: an order a price, each with whose parts it is."""
    book, left = view.books[sent.symbol], _slices(sent)
    found = []
    for quantity, price in sent.slices:
        own, left = cut(left, quantity, sent.side.sign)
        found.append(
            Demand(
                asset=sent.asset,
                symbol=sent.symbol,
                side=sent.side,
                quantity=quantity,
                price=price,
                mid=book.mid,
                touch=book.offers(sent.side)[0].price,
                slices=own,
            )
        )
    return found


def _slices(sent: SharedAssetOrder) -> dict[int, Slices]:
    """Return the parts of each index order by phase; of orders that were solved as one, each its own."""
    found: dict[int, Slices] = {}
    for share in sent.shares:
        left = [int(each / sent.grid) for each in member_quantities(share, sent.side, sent.grid)]
        rows: list[list[Slice]] = [[] for _ in share.members]
        for phase in share.phases:
            for place, part in enumerate(apportion(int(phase / sent.grid), left)):
                left[place] -= part
                rows[place].append(Slice(part * sent.grid, share.worst_price))
        found |= {member.key: tuple(row) for member, row in zip(share.members, rows, strict=True)}
    return found


def _is_busy(plans: Mapping[int, Plan], batch: Batch, asked: Asked) -> bool:
    """Return whether an order trades anything: units, what it has left over, or currencies."""
    plan, number = plans[asked.state.order.id], asked.state.order.id
    return bool(plan.units or plan.crossed) or any(demand.slices.get(number) for demand in batch.demands)
