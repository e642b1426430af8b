"""What became of an order that somebody ended: what it did, what that cost, and where the rest went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from etf_trader.cli.numbers import bps, few_digits, money, unit_count
from etf_trader.cli.output import bad, good, look

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from etf_trader.cli.orders import OrderFacts


@dataclass(frozen=True, slots=True)
class Ended:
    """An order, what went back to its holder, and the plans that traded back what made no whole units."""

    facts: OrderFacts
    released: Mapping[str, Decimal]
    traded_back: Sequence[int]

    def document(self) -> dict[str, Any]:
        """Return it as other programs read it."""
        released = [{"asset": asset, "quantity": amount} for asset, amount in sorted(self.released.items())]
        return self.facts.document() | {"released": released, "traded_back": list(self.traded_back)}


def read_ended(connection: Connection, order_id: int) -> Ended:
    """Read how an order stands."""
    from etf_trader.cli.orders import order_facts
    from etf_trader.execution.state import released_of
    from etf_trader.orders.store import index_order, plans_of

    order = index_order(connection, order_id)
    back = [plan.id for plan in plans_of(connection, order_id) if plan.purpose == "unwind"]
    return Ended(order_facts(connection, order), released_of(connection, order), back)


def ended_sentences(ended: Ended, leader: str = "") -> list[str]:
    """Return what became of an order that was cancelled; `leader` is who still has to do it."""
    order = ended.facts.order
    told = [_first(ended, leader)]
    if ended.traded_back and order.status in ("cancelled", "stuck"):
        plans = " and ".join(str(plan) for plan in ended.traded_back)
        told.append(f"What made no whole units was traded back, at its cost: etf plan show {plans}.")
    if order.status == "cancelled" and (rest := _rest(ended)):
        told.append(rest)
    return told


def _first(ended: Ended, leader: str) -> str:
    order, so_far = ended.facts.order, _so_far(ended.facts)
    match str(order.status):
        case "cancelled":
            return f"{good('Cancelled')} order {order.id}: {so_far}."
        case "open":
            who = f"{leader}, which leads the account, ends it" if leader else "etf worker --once ends it"
            return f"Order {order.id} is {look('not cancelled yet')}: {so_far}. {who[0].upper()}{who[1:]}."
        case "stuck":
            return (
                f"Order {order.id} is {bad('stuck')}: {so_far}, and it holds assets that could not be traded "
                f"back. etf order show {order.id} says why."
            )
    word = "filled" if order.status == "filled" else "ended"
    return f"Order {order.id} was {word} before the cancel reached it: {so_far}."


def _so_far(facts: OrderFacts) -> str:
    """Return what an order did, at which price, and what it lost."""
    order = facts.order
    done = "bought" if order.side.sign > 0 else "sold"
    wanted = f"{unit_count(order.quantity)} of {facts.index.symbol}"
    if not order.filled:
        lost = facts.loss.total
        cost = f", and trying cost {money(lost)} {facts.index.quote}" if lost else ""
        return f"nothing of {wanted} had been {done}{cost}"
    price = money(facts.average_price or order.arrival_nav)
    amount = wanted if order.remaining == 0 else f"{few_digits(order.filled)} of {wanted}"
    loss = f"{money(facts.loss.total)} {facts.index.quote} ({bps(facts.loss_bps)} bps)"
    return f"{amount} had been {done} at {price}, at a loss of {loss}"


def _rest(ended: Ended) -> str:
    """Return what an order gave back: the cash of a buy, the units of a sell."""
    order, index = ended.facts.order, ended.facts.index
    if order.side.sign < 0:
        units = ended.released.get(index.unit_asset)
        return f"{unit_count(units)} can be sold again." if units else ""
    cash = {asset: amount for asset, amount in ended.released.items() if amount > 0}
    if not cash:
        return ""
    named = " and ".join(f"{money(cash[asset])} {asset}" for asset in sorted(cash))
    return f"{named} set aside for it {'is' if len(cash) == 1 else 'are'} free again."
