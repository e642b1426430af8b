"""What our own orders traded with each other, without the venue."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, select

from etf_trader.ledger.fill import INTERNAL, Fill, fill_from
from etf_trader.ledger.tables import fills
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO
from etf_trader.orders.asset_order import AssetOrder
from etf_trader.orders.store import list_asset_orders
from etf_trader.reports.period import ALWAYS, Period, within


@dataclass(frozen=True, slots=True)
class CrossLine:
    """One inside trade: `quantity` in base at `price`, the mid then; buyer and seller are index orders."""

    cross: int
    at: datetime
    symbol: str
    asset: str
    buyer: int
    seller: int
    quantity: Decimal
    price: Decimal
    value: Decimal


@dataclass(frozen=True, slots=True)
class CrossesReport:
    """The inside trades of an account, oldest first."""

    account: int
    value: Decimal
    crosses: tuple[CrossLine, ...]


def crosses_report(connection: Connection, account_id: int, period: Period = ALWAYS) -> CrossesReport:
    """Return every trade among our own orders within `period`."""
    query = (
        select(fills)
        .where(fills.c.account_id == account_id, fills.c.era == INTERNAL, *within(fills.c.at, period))
        .order_by(fills.c.id)
    )
    sides: dict[int, dict[Side, Fill]] = {}
    for row in connection.execute(query):
        fill = fill_from(row)
        sides.setdefault(fill.trade_id, {})[fill.side] = fill
    orders = {order.id: order for order in list_asset_orders(connection)} if sides else {}
    lines = tuple(_line(number, both, orders) for number, both in sorted(sides.items()))
    return CrossesReport(account_id, sum((line.value for line in lines), ZERO), lines)


def _line(number: int, both: dict[Side, Fill], orders: dict[int, AssetOrder]) -> CrossLine:
    bought, sold = both[Side.BUY], both[Side.SELL]
    buyer, seller = orders[bought.asset_order_id], orders[sold.asset_order_id]
    return CrossLine(
        cross=number,
        at=bought.at,
        symbol=bought.symbol,
        asset=buyer.intent.asset,
        buyer=buyer.index_order_id,
        seller=seller.index_order_id,
        quantity=bought.quantity,
        price=bought.price,
        value=bought.value,
    )
