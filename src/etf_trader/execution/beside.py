"""The next wave of a rebalance as it would be traded now, beside the open orders; and what both look at."""

import asyncio
from collections.abc import Sequence

from etf_trader.clock import Clock
from etf_trader.database import Database
from etf_trader.errors import DataError
from etf_trader.execution.frozen import tradable_state
from etf_trader.execution.look import look_and_plan
from etf_trader.execution.netting import Netted, plan_with_orders
from etf_trader.execution.planning import MarketView
from etf_trader.execution.rebalance_state import RebalanceState
from etf_trader.execution.settings import ExecutionSettings
from etf_trader.execution.state import OrderState
from etf_trader.execution.timing import paced
from etf_trader.execution.together import Asked, ask
from etf_trader.execution.waiting import open_states
from etf_trader.ledger.repository import Account
from etf_trader.orders.rebalances import list_rebalances
from etf_trader.orders.status import AssetOrderStatus, IndexOrderStatus
from etf_trader.orders.store import asset_orders_with
from etf_trader.venue.interface import Venue


async def wave_beside_orders(
    database: Database,
    venue: Venue,
    clock: Clock,
    account: Account,
    settings: ExecutionSettings,
    state: RebalanceState,
) -> Netted:
    """Plan the next wave of a rebalance with the open orders, as it would be traded now; nothing is written.

    Raises:
        DataError: a book has no price.
        NumericalFailure: the LP failed.
    """
    rules = await venue.rules()
    with database.read() as connection:
        moving = {
            each.index_id
            for each in list_rebalances(connection, account_id=account.id, statuses=[IndexOrderStatus.OPEN])
        }
        found = open_states(connection, account.id, clock.now())
        own = asset_orders_with(connection, account.id, AssetOrderStatus.OPEN)
    if await venue.fee_discount() is not None:
        found = []
    due = await paced(database, venue, found, clock.now())
    beside = [
        tradable_state(each, rules)
        for each in due
        if not each.is_quoting and each.index.id not in moving | {state.index.id}
    ]

    async def plan(view: MarketView) -> Netted:
        asked = asked_of(beside, view, settings.slack_ticks)
        return await asyncio.to_thread(plan_with_orders, state, asked, view, settings)

    symbols = wave_symbols(state, beside) | {state.symbols[asset] for asset in state.held}
    symbols &= rules.keys()
    return (await look_and_plan(venue, symbols, settings.depth, rules, plan, lambda each: each.stops, own=own))[1]


def asked_of(states: Sequence[OrderState], view: MarketView, slack_ticks: int) -> list[Asked]:
    """Return what the solver is asked for these orders, without those that cannot be planned on these books."""
    asked = []
    for state in states:
        try:
            asked.append(ask(state, view, slack_ticks, may_convert=True))
        except DataError:
            continue
    return asked


def wave_symbols(state: RebalanceState, beside: Sequence[OrderState]) -> set[str]:
    """Return the markets that a wave and these orders may trade in."""
    own = {state.symbols[asset] for asset in state.left}
    return own.union(*(each.basket.symbols.values() for each in beside))
