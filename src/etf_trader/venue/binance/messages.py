"""Binance's messages in our words; its spellings stay in this module.

Source:
    Binance Spot API: rest-api.md, user-data-stream.md, enums.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from etf_trader.market.book import Level, OrderBook
from etf_trader.market.candle import Candle
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO, plain
from etf_trader.venue.binance.client import Answer, milliseconds, moment
from etf_trader.venue.interface import (
    LimitOrder,
    OrderCount,
    OrderKind,
    OrderLimit,
    Placed,
    Report,
    Trade,
    VenueBalance,
    VenueOrder,
    VenueOrderStatus,
)

Row = Mapping[str, Any]

STP = "EXPIRED_IN_MATCH"
_NO_NAME = (None, "", "null")

PREFERRED_STP = "EXPIRE_MAKER"
"""Of two orders of ours that meet, the one that rests gives way."""

MOST_LEVELS = 5000
"""A book is told no deeper."""

_SECONDS = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86_400}
_LETTERS = {"S": 1, "M": 60, "H": 3600, "D": 86_400}
_KINDS = {
    OrderKind.IOC: {"type": "LIMIT", "timeInForce": "IOC"},
    OrderKind.FOK: {"type": "LIMIT", "timeInForce": "FOK"},
    OrderKind.POST_ONLY: {"type": "LIMIT_MAKER"},
}
_STATUS = {
    "NEW": VenueOrderStatus.OPEN,
    "PENDING_NEW": VenueOrderStatus.OPEN,
    "PARTIALLY_FILLED": VenueOrderStatus.OPEN,
    "PENDING_CANCEL": VenueOrderStatus.OPEN,
    "FILLED": VenueOrderStatus.FILLED,
    "CANCELED": VenueOrderStatus.CANCELLED,
    "EXPIRED": VenueOrderStatus.EXPIRED,
    STP: VenueOrderStatus.EXPIRED,
    "REJECTED": VenueOrderStatus.REJECTED,
}


def order_params(order: LimitOrder, stp: str | None) -> dict[str, object]:
    """Return the parameters of a new order: its own name, plain decimals, the time of its grant."""
    return {
        "symbol": order.symbol,
        "side": order.side.name,
        **_KINDS[order.kind],
        "quantity": plain(order.quantity),
        "price": plain(order.price),
        "newClientOrderId": order.client_order_id,
        "newOrderRespType": "FULL",
        "selfTradePreventionMode": stp,
        "timestamp": milliseconds(order.granted_at),
        "recvWindow": f"{order.window_seconds * 1000:g}",
    }


def placed(answer: Answer) -> Placed:
    """Read the answer to a new order.

    Its trades are told where they add up to what it executed: a value that the
    venue rounded stands in its list of trades alone.
    """
    row = answer.body
    order = venue_order(row)
    trades = tuple(_fill(row, fill, order) for fill in row.get("fills", ()))
    is_whole = (
        sum((trade.quantity for trade in trades), ZERO) == order.executed_quantity
        and sum((trade.value for trade in trades), ZERO) == order.executed_value
    )
    return Placed(order, trades if is_whole else None, order_counts(answer.order_counts()))


def venue_order(row: Row) -> VenueOrder:
    """Read an order as REST tells it; a cancel's answer has our name as the original one."""
    status, executed = row["status"], Decimal(row["executedQty"])
    at = next(row[name] for name in ("updateTime", "transactTime", "workingTime", "time") if row.get(name))
    return VenueOrder(
        symbol=row["symbol"],
        order_id=int(row["orderId"]),
        client_order_id=row.get("origClientOrderId") or row["clientOrderId"],
        side=Side[row["side"]],
        status=_STATUS[status],
        reason=STP if status == STP else row.get("expiryReason"),
        executed_quantity=executed,
        executed_value=max(Decimal(row["cummulativeQuoteQty"]), ZERO),  # below zero where it was not kept
        at=moment(at),
    )


def _fill(row: Row, fill: Row, order: VenueOrder) -> Trade:
    price, quantity = Decimal(fill["price"]), Decimal(fill["qty"])
    return Trade(
        symbol=order.symbol,
        trade_id=int(fill["tradeId"]),
        order_id=order.order_id,
        side=order.side,
        price=price,
        quantity=quantity,
        value=price * quantity,
        fee=Decimal(fill["commission"]),
        fee_asset=fill["commissionAsset"],
        is_maker=False,  # what a new order trades at once it takes
        at=moment(row.get("transactTime") or row["workingTime"]),
    )


def trade(row: Row) -> Trade:
    """Read one of `myTrades`."""
    return Trade(
        symbol=row["symbol"],
        trade_id=int(row["id"]),
        order_id=int(row["orderId"]),
        side=Side.BUY if row["isBuyer"] else Side.SELL,
        price=Decimal(row["price"]),
        quantity=Decimal(row["qty"]),
        value=Decimal(row["quoteQty"]),
        fee=Decimal(row["commission"]),
        fee_asset=row["commissionAsset"],
        is_maker=bool(row["isMaker"]),
        at=moment(row["time"]),
    )


def report(event: Row) -> Report:
    """Read an executionReport; on a cancel `C` is our name and `c` the cancel's."""
    status = event["X"]
    order = VenueOrder(
        symbol=event["s"],
        order_id=int(event["i"]),
        client_order_id=event["c"] if event.get("C") in _NO_NAME else event["C"],
        side=Side[event["S"]],
        status=_STATUS[status],
        reason=STP if status == STP else event.get("eR"),
        executed_quantity=Decimal(event["z"]),
        executed_value=Decimal(event["Z"]),
        at=moment(event["T"]),
    )
    return Report(order, _reported_trade(event, order) if event["x"] == "TRADE" else None)


def _reported_trade(event: Row, order: VenueOrder) -> Trade:
    return Trade(
        symbol=order.symbol,
        trade_id=int(event["t"]),
        order_id=order.order_id,
        side=order.side,
        price=Decimal(event["L"]),
        quantity=Decimal(event["l"]),
        value=Decimal(event["Y"]),
        fee=Decimal(event["n"] or 0),
        fee_asset=event["N"] or "",
        is_maker=bool(event["m"]),
        at=moment(event["T"]),
    )


def order_counts(counts: Mapping[str, int]) -> tuple[OrderCount, ...]:
    """Read the counts that stand in headers, by window: `{"10S": 3, "1D": 40}`."""
    found = {int(name[:-1]) * _LETTERS[name[-1]]: count for name, count in counts.items() if name[-1] in _LETTERS}
    return tuple(OrderCount(seconds, found[seconds]) for seconds in sorted(found))


def counted(rows: Sequence[Row]) -> tuple[OrderCount, ...]:
    """Read `rateLimit/order`."""
    found = [OrderCount(_window(row), int(row["count"])) for row in rows if row["rateLimitType"] == "ORDERS"]
    return tuple(sorted(found, key=lambda each: each.seconds))


def order_limits(rows: Iterable[Row]) -> list[OrderLimit]:
    """Read the limits on orders of exchangeInfo, the shortest window first."""
    found = [OrderLimit(_window(row), int(row["limit"])) for row in rows if row["rateLimitType"] == "ORDERS"]
    return sorted(found, key=lambda each: each.seconds)


def weight_limit(rows: Iterable[Row]) -> tuple[int, int] | None:
    """Read the limit on the weight of requests: seconds of its window, and how much."""
    found = [(_window(row), int(row["limit"])) for row in rows if row["rateLimitType"] == "REQUEST_WEIGHT"]
    return min(found, default=None)


def _window(row: Row) -> int:
    return _SECONDS[row["interval"]] * int(row["intervalNum"])


def balances(rows: Iterable[Row]) -> dict[str, VenueBalance]:
    """Read what an account holds; zeros are left out."""
    found = {row["asset"]: VenueBalance(Decimal(row["free"]), Decimal(row["locked"])) for row in rows}
    return {asset: balance for asset, balance in found.items() if balance.total}


def book(symbol: str, row: Row, depth: int, at: datetime) -> OrderBook:
    """Read a book of which `depth` levels a side were asked for; one with fewer is whole."""
    sides = [
        tuple(Level(Decimal(price), Decimal(quantity)) for price, quantity, *_ in row[side])
        for side in ("bids", "asks")
    ]
    return OrderBook(
        symbol=symbol,
        bids=sides[0],
        asks=sides[1],
        update_id=int(row["lastUpdateId"]),
        at=at,
        complete=all(len(side) < depth for side in sides),
    )


def candle(symbol: str, seconds: int, row: Sequence[Any]) -> Candle:
    """Read a line of `klines`."""
    start, first, high, low, last, volume, _, value, *_ = row
    return Candle(
        symbol=symbol,
        start=moment(start),
        seconds=seconds,
        open=Decimal(first),
        high=Decimal(high),
        low=Decimal(low),
        close=Decimal(last),
        volume=Decimal(volume),
        value=Decimal(value),
    )


def self_trade_prevention(row: Row) -> str | None:
    """Return the mode that orders in a symbol are sent with; None: the symbol's own."""
    return PREFERRED_STP if PREFERRED_STP in row.get("allowedSelfTradePreventionModes", ()) else None
