"""The open orders that others are planned beside: a new order, or a rebalance."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from etf_trader.execution.fees_in_kind import basket_due
from etf_trader.execution.routed import foreign_currencies
from etf_trader.execution.state import OrderState, order_state
from etf_trader.orders.status import IndexOrderStatus
from etf_trader.orders.store import list_index_orders


def open_states(connection: Connection, account_id: int, now: datetime) -> list[OrderState]:
    """Return the orders that would trade in one batch with a new one, as they stand once fees are taken."""
    found = list_index_orders(connection, account_id=account_id, statuses=[IndexOrderStatus.OPEN])
    states = [
        order_state(connection, order.id)
        for order in found
        if order.remaining
        and order.cancel_requested_at is None
        and (order.expires_at is None or order.expires_at > now or order.takes_at_end)
    ]
    return [
        replace(state, basket=basket_due(connection, account_id, state.index.id, now))
        for state in states
        if not foreign_currencies(state.index)
    ]
