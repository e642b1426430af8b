"""An index order as commands show it: its document, and the sentence that says what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from etf_trader.cli.numbers import bps, few_digits, joined, local_time, money, unit_count
from etf_trader.cli.output import bad, good, look
from etf_trader.cli.timed_orders import schedule_payload
from etf_trader.money import average_price, percentage
from etf_trader.money import bps as ratio_bps
from etf_trader.orders.plan import LOSS_PARTS

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from etf_trader.execution.pacing import Done
    from etf_trader.index.store import Index
    from etf_trader.orders.index_order import IndexOrder
    from etf_trader.orders.plan import LossParts

ASSET_ORDER_STATES = {
    "written": "not sent yet",
    "sent": "sent",
    "open": "rests in the book",
    "filled": "filled",
    "partial": "partly filled",
    "unfilled": "not filled",
    "rejected": "refused",
    "withdrawn": "never sent",
    "crossed": "traded inside",
}
REASONS = {
    "UNFILLED_IOC_QUANTITY_EXPIRED": "nothing more at this price",
    "IOC_ORDER_EXPIRED": "nothing more at this price",
}
"""What the venue's codes for the end of an order mean."""


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """An order with what it paid and lost so far, and what was done of its schedule if it has one.

    `quoting` is how many asset orders of it rest in the books now, `held_cost`
    what a buy paid for parts that are no whole units yet, in `cash` with the rest.
    """

    order: IndexOrder
    index: Index
    cash: Decimal
    loss: LossParts
    done: tuple[Done, ...] = ()
    quoting: int = 0
    held_cost: Decimal = Decimal(0)
    arrival_value: Decimal = Decimal(0)

    @property
    def average_price(self) -> Decimal | None:
        """Cash per unit credited, without what is no whole units yet; None before the first."""
        return average_price(self.cash - self.held_cost, self.order.filled)

    @property
    def loss_bps(self) -> Decimal:
        """The loss over what the units were worth at arrival; positive is a cost."""
        return ratio_bps(self.loss.total, self.arrival_value)

    @property
    def fill_percentage(self) -> Decimal:
        """Units credited of those wanted, from 0 to 100."""
        return percentage(self.order.filled, self.order.quantity)

    def document(self) -> dict[str, Any]:
        """Return the order as other programs read it."""
        order = self.order
        return {
            "id": order.id,
            "kind": "units",
            "position": order.position_id,
            "client_key": order.client_key,
            "side": str(order.side),
            "index": self.index.symbol,
            "index_id": order.index_id,
            "quantity": order.quantity,
            "units": order.filled,
            "fill_percentage": self.fill_percentage,
            "average_price": self.average_price,
            "cash": self.cash,
            "loss": self.loss.total,
            "loss_bps": self.loss_bps,
            **{part: getattr(self.loss, part) for part in LOSS_PARTS},
            "limit": order.limit_price,
            "max_loss_bps": order.max_loss_bps,
            "tif": order.time_in_force,
            "on_shortfall": str(order.on_shortfall),
            "status": str(order.status),
            "stopped_by": list(order.stopped_by),
            "accepted_at": order.accepted_at,
            "expires_at": order.expires_at,
            "ended_at": order.ended_at,
            "cancel_requested_at": order.cancel_requested_at,
            "arrival_nav": order.arrival_nav,
            "schedule": schedule_payload(order, self.done, self.quoting),
        }


def order_facts(connection: Connection, order: IndexOrder) -> OrderFacts:
    """Read what an order paid and lost."""
    from etf_trader.execution.state import arrival_value, cash_of, done_of, order_loss
    from etf_trader.index.store import index_by_id
    from etf_trader.orders.status import AssetOrderStatus
    from etf_trader.orders.store import asset_orders_with

    index = index_by_id(connection, order.index_id)
    done = () if order.schedule is None else tuple(done_of(connection, order.id))
    quoting = 0
    if order.schedule is not None and order.schedule.passive is not None:
        resting = asset_orders_with(connection, order.account_id, AssetOrderStatus.OPEN)
        quoting = sum(1 for each in resting if each.share_of(order.id))
    cash, loss = cash_of(connection, order), order_loss(connection, order)
    held_cost = _held_cost(connection, order, index)
    worth = arrival_value(connection, order)
    return OrderFacts(order, index, cash, loss, done, quoting, held_cost, worth)


def _held_cost(connection: Connection, order: IndexOrder, index: Index) -> Decimal:
    """Return what a buy paid for that is no whole units yet: it is no part of their price.

    An order that has ended holds nothing: a list of many orders asks for few of them.
    """
    from etf_trader.index.store import current_basket
    from etf_trader.ledger import accounts
    from etf_trader.ledger.repository import Ledger
    from etf_trader.market.symbol import Side

    if order.side is Side.SELL or order.status.is_final:
        return Decimal(0)
    lots = Ledger(connection, order.account_id).lot_book()
    assets = current_basket(connection, index.id).quantities
    return sum((lots.cost(accounts.order(order.id), asset) for asset in assets), Decimal(0))


def loss_line(parts: Mapping[str, Decimal]) -> str:
    """Return the parts of a loss: `spread 8.10 · depth 12.55 · fee 100.11`; those that are nothing stay out."""
    shown = [f"{part} {money(parts[part])}" for part in LOSS_PARTS if money(abs(parts[part])) != "0.00"]
    return joined(shown)


def result(facts: OrderFacts) -> str:
    """Return the sentence that says what became of an order."""
    order = facts.order
    done = "Bought" if order.side.sign > 0 else "Sold"
    where = f"(order {order.id}, position {order.position_id})"
    wanted = f"{unit_count(order.quantity)} of {facts.index.symbol}"
    if not order.filled:
        return f"{look('Nothing ' + done.lower())} of {wanted} {where}."
    amount = wanted if order.remaining == 0 else f"{few_digits(order.filled)} of {wanted}"
    mark = good if order.remaining == 0 else look
    price = money(facts.average_price or Decimal(0))
    return f"{mark(done)} {amount} at {price} {where}."


def loss_sentence(facts: OrderFacts) -> str:
    """Return the loss of an order and its parts, in one line."""
    total = money(facts.loss.total)
    parts = loss_line({part: getattr(facts.loss, part) for part in LOSS_PARTS})
    return f"Loss {total} {facts.index.quote} ({bps(facts.loss_bps)} bps)   {parts}".rstrip()


def stops_of(order: IndexOrder) -> list[str]:
    """Return what stopped an order, without what its state says already."""
    return [name for name in order.stopped_by if name not in ("filled", "cancelled")]


def open_until(order: IndexOrder) -> str:
    """Return until when an order is open; nothing where that has no end, or it is open no more."""
    if order.status != "open" or order.expires_at is None:
        return ""
    return local_time(order.expires_at, seconds=False)


def status_words(order: IndexOrder) -> str:
    """Return where an order stands, in words."""
    if order.status == "open" and order.cancel_requested_at is not None:
        return look("being cancelled")
    return bad("stuck") if order.status == "stuck" else str(order.status)


def exit_code_of(order: IndexOrder) -> int:
    """Return what a command ends with that was about this order.

    6 when a risk limit or a halt gave it up, or keeps an order for now from ending; 7 when it ended otherwise
    without being filled whole.
    """
    if order.status == "filled" or (order.stays_open and not order.status.is_final):
        return 0
    if any(stop in ("halted", "reducing") or stop.startswith("risk(") for stop in order.stopped_by):
        return 6
    return 7 if order.status.is_final else 0
