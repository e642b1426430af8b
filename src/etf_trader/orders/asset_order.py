"""An order of ours on the venue: written before it is sent, under an id that is never used twice."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from etf_trader.market.symbol import Side
from etf_trader.money import ZERO
from etf_trader.orders.status import AssetOrderStatus
from etf_trader.seal import seal

PREFIX = "etf"


class OrderKind(StrEnum):
    """What becomes of the part of a limit order that does not trade at once."""

    IOC = "ioc"  # it expires
    FOK = "fok"  # all of it trades at once, or nothing does
    POST_ONLY = "post_only"  # it rests in the book; an order that would trade at once is rejected


class Priority:
    """Which order of a batch is sent first; cancels need no slot and never wait."""

    SELL = 10  # brings the cash that others spend
    REBALANCE = 20
    BUY = 30


@dataclass(frozen=True, slots=True)
class Intent:
    """What will be sent, and the prices it is judged by; never changes once written."""

    client_order_id: str
    asset: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    arrival_mid: Decimal
    mid: Decimal
    touch: Decimal
    kind: OrderKind = OrderKind.IOC

    @property
    def priority(self) -> int:
        """How soon it is sent."""
        return priority_of(self.side)

    @property
    def quote(self) -> str:
        """The currency it is priced and paid in."""
        return quote_of(self.symbol, self.asset)

    def seal(self, plan_id: int, index_order_id: int) -> str:
        """Return the SHA-256 over the intent and whose it is."""
        facts = {
            "plan": plan_id,
            "order": index_order_id,
            "client_order_id": self.client_order_id,
            "asset": self.asset,
            "symbol": self.symbol,
            "side": str(self.side),
            "quantity": self.quantity,
            "price": self.price,
            "arrival_mid": self.arrival_mid,
            "mid": self.mid,
            "touch": self.touch,
        }
        if self.kind is not OrderKind.IOC:
            facts["kind"] = str(self.kind)
        return seal("etf.asset-order/1", facts)


class Slice(NamedTuple):
    """A quantity of an asset order, in base, and the price up to which its owner shares in fills."""

    quantity: Decimal
    last_price: Decimal


@dataclass(frozen=True, slots=True)
class Share:
    """The part of an asset order that is traded for one index order, under one plan.

    `slices` are in the order in which they are served: what does not fill comes
    off the last of them first.
    """

    plan_id: int
    index_order_id: int
    slices: tuple[Slice, ...]

    @property
    def quantity(self) -> Decimal:
        """All of it, in base."""
        return sum((each.quantity for each in self.slices), ZERO)

    def seal(self, client_order_id: str) -> str:
        """Return the SHA-256 over whose part it is of which asset order."""
        facts = {
            "client_order_id": client_order_id,
            "plan": self.plan_id,
            "order": self.index_order_id,
            "slices": [[each.quantity, each.last_price] for each in self.slices],
        }
        return seal("etf.share/1", facts)


@dataclass(frozen=True, slots=True)
class AssetOrder:
    """An intent and what became of it; quantities in base, values in quote.

    `plan_id` and `index_order_id` say in whose name it is sent: its client order
    id counts within that index order. `shares` say for whom it is traded.
    """

    id: int
    plan_id: int
    index_order_id: int
    intent: Intent
    shares: tuple[Share, ...]
    seal: str
    status: AssetOrderStatus
    attempts: int
    next_attempt_at: datetime | None
    granted_at: datetime | None
    venue_order_id: int | None
    executed_quantity: Decimal
    executed_value: Decimal
    reason: str | None
    ended_at: datetime | None
    end_seal: str | None

    @property
    def remaining(self) -> Decimal:
        """What has not been executed of it, in base."""
        return self.intent.quantity - self.executed_quantity

    def share_of(self, index_order_id: int) -> Decimal:
        """Return the quantity that is traded for an index order."""
        return sum((each.quantity for each in self.shares if each.index_order_id == index_order_id), ZERO)

    def facts_end_seal(self) -> str:
        """Return the SHA-256 over what became of the order."""
        facts = {
            "id": self.id,
            "intent": self.seal,
            "status": str(self.status),
            "attempts": self.attempts,
            "granted_at": self.granted_at,
            "venue_order_id": self.venue_order_id,
            "executed_quantity": self.executed_quantity,
            "executed_value": self.executed_value,
            "reason": self.reason,
            "ended_at": self.ended_at,
        }
        return seal("etf.asset-order-end/1", facts)


@dataclass(frozen=True, slots=True)
class WaitingOrder:
    """What decides when an asset order that was written is sent, and no more: thousands may wait."""

    id: int
    index_order_id: int
    side: Side
    next_attempt_at: datetime | None

    @property
    def priority(self) -> int:
        """How soon it is sent."""
        return priority_of(self.side)


def priority_of(side: Side) -> int:
    """Return how soon an order of this side is sent; the least goes first."""
    return Priority.SELL if side is Side.SELL else Priority.BUY


def quote_of(symbol: str, asset: str) -> str:
    """Return the currency of a symbol whose base is `asset`: the venue writes one after the other."""
    return symbol.removeprefix(asset)


def incarnation_of(client_order_id: str) -> str | None:
    """Return the life of the database that made a client order id; None when it is not of our making."""
    parts = client_order_id.split("-")
    is_ours = len(parts) == 4 and parts[0] == PREFIX and parts[2].isdecimal() and parts[3].isdecimal()
    return parts[1] if is_ours else None


def client_order_id(incarnation: str, index_order_id: int, sequence: int) -> str:
    """Return the id under which the venue will know an order.

    It carries the life of the database, so that a restored one never repeats
    an id, and our prefix, so that lost orders are recognised. At most 36
    characters of `[a-zA-Z0-9-_]`.
    """
    text = f"{PREFIX}-{incarnation}-{index_order_id}-{sequence}"
    if len(text) > 36:
        raise ValueError(f"client order id {text} is too long")
    return text
