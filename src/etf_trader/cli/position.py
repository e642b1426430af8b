"""`etf position`: who holds how many units, what they cost and what they are worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from etf_trader.cli.commands import WHAT, command, group
from etf_trader.cli.invocation import output
from etf_trader.cli.numbers import few_digits, gained, local_time, money, percent, unit_count, units
from etf_trader.cli.options import IndexOption, PositionArgument
from etf_trader.cli.output import Page, Table, dim, number, right, text
from etf_trader.cli.services import services
from etf_trader.money import average_price, percentage

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from etf_trader.bootstrap import Services
    from etf_trader.index.store import Index, Position
    from etf_trader.orders.index_order import IndexOrder

app = group()

COLUMNS = (
    "id",
    "index",
    "holder",
    "status",
    "units",
    "average_cost",
    "cost",
    "price",
    "value",
    "gain",
    "gain_percentage",
    "opened_at",
)


@dataclass(frozen=True, slots=True)
class Stake:
    """A position at the prices of now."""

    position: Position
    index: Index
    holder: str
    offered: Decimal
    nav: Decimal | None
    is_busy: bool
    mids: Mapping[str, Decimal | None]

    @property
    def is_open(self) -> bool:
        """Whether it has units, or an order that may still bring some."""
        return bool(self.position.units) or self.is_busy

    @property
    def value(self) -> Decimal | None:
        """What its units are worth now; None without a price."""
        return None if self.nav is None else self.position.units * self.nav

    @property
    def gain(self) -> Decimal | None:
        """Value less cost."""
        return None if self.value is None else self.value - self.position.cost

    @property
    def gain_percentage(self) -> Decimal | None:
        """The gain over the cost, in percent."""
        if self.gain is None or not self.position.cost:
            return None
        return percentage(self.gain, self.position.cost)

    def document(self) -> dict[str, Any]:
        """Return the position as other programs read it."""
        held = self.position
        return {
            "id": held.id,
            "index": self.index.symbol,
            "index_id": self.index.id,
            "holder": self.holder,
            "status": "open" if self.is_open else "closed",
            "units": held.units,
            "offered": self.offered,
            "average_cost": average_price(held.cost, held.units),
            "cost": held.cost,
            "price": self.nav,
            "value": self.value,
            "gain": self.gain,
            "gain_percentage": self.gain_percentage,
            "opened_at": held.opened_at,
        }


def _stakes(opened: Services, keep: Callable[[Position], bool]) -> list[Stake]:
    from etf_trader.cli.index_facts import read_prices
    from etf_trader.index.store import current_basket, index_by_id, list_indices, list_positions
    from etf_trader.ledger import accounts
    from etf_trader.ledger.repository import Ledger, holder_name
    from etf_trader.orders.status import IndexOrderStatus
    from etf_trader.orders.store import list_index_orders

    with opened.database.read() as connection:
        ledger = Ledger(connection, opened.account.id)
        own = {each.id for each in list_indices(connection, opened.account.id)}
        found = [each for each in list_positions(connection) if each.index_id in own and keep(each)]
        busy = {
            order.position_id
            for order in list_index_orders(connection, statuses=[IndexOrderStatus.OPEN, IndexOrderStatus.STUCK])
        }
        indices = {number: index_by_id(connection, number) for number in {each.index_id for each in found}}
        baskets = {number: current_basket(connection, number) for number in indices}
        holders = {each.id: holder_name(connection, each.holder_id) for each in found}
        free = {
            each.id: ledger.balance(accounts.position(each.id), indices[each.index_id].unit_asset)
            for each in found
        }
    prices = dict(zip(baskets, read_prices(opened, list(baskets.values())), strict=True))
    return [
        Stake(
            each,
            indices[each.index_id],
            holders[each.id],
            each.units - free[each.id],
            prices[each.index_id].nav(baskets[each.index_id]),
            each.id in busy,
            prices[each.index_id].mids,
        )
        for each in found
    ]


@command(app, "list", examples=("etf position list", "etf position list --index 1 --json"), csv="positions")
def list_(
    index: IndexOption = None,
    all_: Annotated[bool, typer.Option("--all", help="The closed ones as well.", rich_help_panel=WHAT)] = False,
) -> None:
    """List open positions: units, what they cost, what they are worth now."""
    from etf_trader.index.store import find_index, list_indices, list_positions

    with services() as opened:
        with opened.database.read() as connection:
            indices = list_indices(connection, opened.account.id)
            wanted = None if index is None else find_index(connection, index)
            others = wanted is not None and bool(list_positions(connection))
        known = _stakes(opened, lambda each: wanted is None or each.index_id == wanted.id)
    stakes = [each for each in known if all_ or each.is_open]

    def draw(page: Page) -> None:
        if stakes:
            page.table(_table(stakes, with_state=all_))
        elif known:
            place = "" if wanted is None else f" in {wanted.symbol}"
            closed = f"{len(known)} closed one{'' if len(known) == 1 else 's'}"
            scope = "" if wanted is None else f" --index {wanted.id}"
            page.line(f"No position is open{place}: etf position list{scope} --all shows the {closed}.")
        else:
            page.line(_nothing(wanted, indices, others=others))

    output().emit("etf.positions/1", {"positions": [each.document() for each in stakes]}, draw, columns=COLUMNS)


def _table(stakes: list[Stake], *, with_state: bool) -> Table:
    table = Table(
        right("position"),
        text("index"),
        text("holder", optional=3),
        *([text("state")] if with_state else []),
        number("units"),
        number("cost", optional=1),
        number("value now"),
        number("gain"),
        number("%", optional=2),
    )
    for each in stakes:
        table.row(
            str(each.position.id),
            each.index.symbol,
            each.holder,
            *(["open" if each.is_open else dim("closed")] if with_state else []),
            few_digits(each.position.units),
            money(each.position.cost),
            "-" if each.value is None else money(each.value),
            _gain(each.gain),
            "-" if each.gain_percentage is None else percent(each.gain_percentage).rstrip("%"),
        )
    return table


def _nothing(wanted: Index | None, indices: list[Index], *, others: bool) -> str:
    """Return that there is no position, and how to open one in an index that is open."""
    if wanted is None:
        return f"There is no position yet. {first_buy(indices, 'opens one')}"
    buy = f" {first_buy([wanted], 'opens one')}" if wanted.is_open else ""
    elsewhere = " Other indices have some: etf position list." if others else ""
    return f"There is no position in {wanted.symbol} yet.{buy}{elsewhere}"


def first_buy(indices: Sequence[Index], does: str) -> str:
    """Return what to type to buy of the first of these that is open, and what that does; else how to make one."""
    first = next((each for each in indices if each.is_open), None)
    if first is None:
        return "etf index create --file index.toml makes an index to buy."
    return f"etf submit buy --index {first.id} --qty 100 {does}."


@command(app, "show", examples=("etf position show 1", "etf position show 1 --json"), csv="orders")
def show(position: PositionArgument) -> None:
    """Show a position with its orders."""
    from etf_trader.cli.order_list import orders_table
    from etf_trader.cli.orders import order_facts
    from etf_trader.index.store import position_by_id
    from etf_trader.orders.store import list_index_orders

    with services() as opened:
        with opened.database.read() as connection:
            position_by_id(connection, position)
            own = list_index_orders(connection, position_id=position)
            orders = [order_facts(connection, each) for each in own]
            stuck = _held_by_stuck(connection, opened.account.id, own)
        (stake,) = _stakes(opened, lambda each: each.id == position)
    kept = [_valued(stake, order, asset, quantity) for order, asset, quantity in stuck]
    held, quote = stake.position, stake.index.quote

    def draw(page: Page) -> None:
        what = f"Position {held.id}, {stake.index.symbol}, {stake.holder}: {unit_count(held.units)}"
        if not held.units:
            page.line(f"{what}, opened {local_time(held.opened_at)}.")
        elif stake.value is None:
            page.line(f"{what}, cost {money(held.cost)} {quote}; there is no price now.")
        else:
            page.line(
                f"{what}, worth {money(stake.value)} {quote} now, cost {money(held.cost)}: "
                f"gain {_gain(stake.gain)} ({percent(stake.gain_percentage or Decimal(0))})."
            )
        if stake.offered:
            page.line(f"{unit_count(stake.offered)} of them are offered by open orders.")
        for each in kept:
            page.line(_kept_sentence(each, quote))
        page.line()
        page.table(orders_table(orders))
        page.line()
        page.line(f"How it was traded: etf report fills --position {held.id}")

    payload = stake.document() | {"orders": [each.document() for each in orders], "held": kept}
    output().emit("etf.position/1", payload, draw)


def _held_by_stuck(
    connection: Connection, account_id: int, orders: Sequence[IndexOrder]
) -> list[tuple[int, str, Decimal]]:
    """Return what the stuck ones of these orders hold, by order and asset: units redeemed, but not sold whole."""
    from etf_trader.ledger import accounts
    from etf_trader.ledger.repository import Ledger

    ledger = Ledger(connection, account_id)
    return [
        (order.id, asset, quantity)
        for order in orders
        if order.status == "stuck"
        for asset, quantity in sorted(ledger.holdings(accounts.order(order.id)).items())
        if not accounts.is_unit(asset)
    ]


def _valued(stake: Stake, order: int, asset: str, quantity: Decimal) -> dict[str, Any]:
    price = Decimal(1) if asset == stake.index.quote else stake.mids.get(asset)
    value = None if price is None else quantity * price
    return {"order": order, "asset": asset, "quantity": quantity, "price": price, "value": value}


def _kept_sentence(held: Mapping[str, Any], quote: str) -> str:
    worth = "" if held["value"] is None else f", worth {money(held['value'])} {quote} now"
    return (
        f"Order {held['order']} still holds {units(held['quantity'])} {held['asset']}{worth}: beside the units, "
        "in no gain until it is sold."
    )


def _gain(gain: Decimal | None) -> str:
    return "-" if gain is None else gained(gain)
