"""The exchange's records in the shapes of Binance's answers.

Source:
    Binance Spot API, rest-api.md.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from etf_trader.exchange.market import Depth
from etf_trader.exchange.server.calls import Ask
from etf_trader.exchange.views import (
    BookView,
    KlineView,
    OrderCount,
    OrderView,
    PublicTradeView,
    TickerView,
    TradeView,
)
from etf_trader.money import ZERO, divide

NO_LIST = -1
NO_LEVEL = Depth(ZERO, ZERO)
_NAMES = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86_400}


def amount(value: Decimal, digits: int = 8) -> str:
    """Return an amount with `digits` decimals, more only where it has more: no digit is ever lost."""
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and -exponent > digits:
        value = value.normalize()
        exponent = value.as_tuple().exponent
        digits = max(digits, -exponent if isinstance(exponent, int) else 0)
    return format(value, f".{digits}f")


def levels(side: Iterable[Depth]) -> list[list[str]]:
    """Return one side of a book."""
    return [[amount(level.price), amount(level.quantity)] for level in side]


def depth(view: BookView) -> dict[str, Any]:
    """Return a book."""
    return {"lastUpdateId": view.update_id, "bids": levels(view.bids), "asks": levels(view.asks)}


def _facts(view: OrderView) -> dict[str, Any]:
    """Return what every answer about an order has, after the time of it."""
    return {
        "price": amount(view.price),
        "origQty": amount(view.quantity),
        "executedQty": amount(view.executed_quantity),
        "origQuoteOrderQty": amount(view.quote_quantity or ZERO),
        "cummulativeQuoteQty": amount(view.cumulative_quote),
        "status": view.status,
        "timeInForce": view.time_in_force,
        "type": view.type,
        "side": view.side,
    }


def _conditional(view: OrderView) -> dict[str, Any]:
    """Return the fields that only some orders have."""
    found: dict[str, Any] = {}
    for name, value in (
        ("stopPrice", view.stop_price),
        ("icebergQty", view.iceberg_quantity),
        ("preventedQuantity", view.prevented_quantity),
    ):
        if value:
            found[name] = amount(value)
    if view.trailing_delta is not None:
        found["trailingDelta"] = view.trailing_delta
    if view.expiry_reason is not None:
        found["expiryReason"] = view.expiry_reason
    return found


def _identity(view: OrderView, client_order_id: str | None = None) -> dict[str, Any]:
    return {
        "symbol": view.symbol,
        "orderId": view.order_id,
        "orderListId": NO_LIST,
        "clientOrderId": view.client_order_id if client_order_id is None else client_order_id,
    }


def placed(ask: Ask, view: OrderView, shape: str) -> dict[str, Any]:
    """Return the answer to a new order as ACK, RESULT or FULL."""
    answer = _identity(view) | {"transactTime": ask.time(view.at)}
    if shape == "ACK":
        return answer
    answer |= _facts(view)
    working = -1 if view.working_at is None else ask.time(view.working_at)
    answer |= {"workingTime": working, "selfTradePreventionMode": view.self_trade_prevention}
    answer |= _conditional(view)
    if shape == "FULL":
        answer["fills"] = [
            {
                "price": amount(each.price),
                "qty": amount(each.quantity),
                "commission": amount(each.commission),
                "commissionAsset": each.commission_asset,
                "tradeId": each.trade_id,
            }
            for each in view.trades
        ]
    return answer


def cancelled(ask: Ask, view: OrderView) -> dict[str, Any]:
    """Return the answer to a cancel, which has a name of its own."""
    return (
        {"symbol": view.symbol, "origClientOrderId": view.client_order_id}
        | _identity(view, view.cancel_id)
        | {"transactTime": ask.time(view.updated)}
        | _facts(view)
        | {"selfTradePreventionMode": view.self_trade_prevention}
        | _conditional(view)
    )


def order(ask: Ask, view: OrderView) -> dict[str, Any]:
    """Return an order that was asked for."""
    facts = _facts(view)
    quote_quantity = facts.pop("origQuoteOrderQty")
    return (
        _identity(view)
        | facts
        | {"stopPrice": amount(ZERO), "icebergQty": amount(ZERO)}
        | {
            "time": ask.time(view.at),
            "updateTime": ask.time(view.updated),
            "isWorking": view.working_at is not None,
            "workingTime": -1 if view.working_at is None else ask.time(view.working_at),
            "origQuoteOrderQty": quote_quantity,
            "selfTradePreventionMode": view.self_trade_prevention,
        }
        | _conditional(view)
    )


def own_trade(ask: Ask, view: TradeView) -> dict[str, Any]:
    """Return a trade of the account."""
    return {
        "symbol": view.symbol,
        "id": view.trade_id,
        "orderId": view.order_id,
        "orderListId": NO_LIST,
        "price": amount(view.price),
        "qty": amount(view.quantity),
        "quoteQty": amount(view.quote_quantity),
        "commission": amount(view.commission),
        "commissionAsset": view.commission_asset,
        "time": ask.time(view.at),
        "isBuyer": view.side == "BUY",
        "isMaker": view.is_maker,
        "isBestMatch": True,
    }


def public_trade(ask: Ask, view: PublicTradeView) -> dict[str, Any]:
    """Return a trade as everyone sees it."""
    return {
        "id": view.trade_id,
        "price": amount(view.price),
        "qty": amount(view.quantity),
        "quoteQty": amount(view.quote_quantity),
        "time": ask.time(view.at),
        "isBuyerMaker": view.is_buyer_maker,
        "isBestMatch": True,
    }


def aggregate_trade(ask: Ask, view: PublicTradeView) -> dict[str, Any]:
    """Return a trade as an aggregate of one."""
    return {
        "a": view.trade_id,
        "p": amount(view.price),
        "q": amount(view.quantity),
        "f": view.trade_id,
        "l": view.trade_id,
        "T": ask.time(view.at),
        "m": view.is_buyer_maker,
        "M": True,
    }


def kline(ask: Ask, view: KlineView, ends: datetime) -> list[Any]:
    """Return a candle that ends before `ends`; who took in its trades is not kept."""
    return [
        ask.time(view.at),
        *(amount(price) for price in (view.open, view.high, view.low, view.close, view.volume)),
        ask.time(ends) - 1,
        amount(view.quote_volume),
        view.trade_count,
        amount(ZERO),
        amount(ZERO),
        "0",
    ]


def ticker(ask: Ask, view: TickerView, kind: str, *, is_day: bool = False) -> dict[str, Any]:
    """Return statistics as FULL or MINI; those of 24 hours have the best prices with them."""
    opened, last = view.open or ZERO, view.last or ZERO
    prices = {
        "openPrice": amount(opened),
        "highPrice": amount(view.high or ZERO),
        "lowPrice": amount(view.low or ZERO),
        "lastPrice": amount(last),
    }
    rest = {
        "volume": amount(view.volume),
        "quoteVolume": amount(view.quote_volume),
        "openTime": ask.time(view.opened),
        "closeTime": ask.time(view.closed),
        "firstId": view.first_id,
        "lastId": view.last_id,
        "count": view.count,
    }
    if kind == "MINI":
        return {"symbol": view.symbol} | prices | rest
    change = last - opened
    percent = divide(change * 100, opened, Decimal("0.001")) if opened else ZERO
    found = {
        "symbol": view.symbol,
        "priceChange": amount(change),
        "priceChangePercent": amount(percent, 3),
        "weightedAvgPrice": amount(view.average or ZERO),
    }
    if not is_day:
        return found | prices | rest
    bid, ask_level = view.bid or NO_LEVEL, view.ask or NO_LEVEL
    return (
        found
        | {
            "prevClosePrice": amount(view.previous_close or ZERO),
            "lastPrice": amount(last),
            "lastQty": amount(view.last_quantity),
            "bidPrice": amount(bid.price),
            "bidQty": amount(bid.quantity),
            "askPrice": amount(ask_level.price),
            "askQty": amount(ask_level.quantity),
        }
        | prices
        | rest
    )


def last_price(view: TickerView) -> dict[str, Any]:
    """Return the last price of a symbol."""
    return {"symbol": view.symbol, "price": amount(view.last or ZERO)}


def book_ticker(view: BookView) -> dict[str, Any]:
    """Return the best prices of a book."""
    bid = view.bids[0] if view.bids else NO_LEVEL
    ask_level = view.asks[0] if view.asks else NO_LEVEL
    return {
        "symbol": view.symbol,
        "bidPrice": amount(bid.price),
        "bidQty": amount(bid.quantity),
        "askPrice": amount(ask_level.price),
        "askQty": amount(ask_level.quantity),
    }


def no_rates() -> dict[str, str]:
    """Return commission rates of nothing."""
    return {"maker": amount(ZERO), "taker": amount(ZERO)}


def discount(*, on: bool) -> dict[str, Any]:
    """Return what paying fees in BNB saves: three quarters are paid."""
    return {"enabledForAccount": on, "enabledForSymbol": True, "discountAsset": "BNB", "discount": "0.75000000"}


def count_limits(counts: Iterable[OrderCount], *, with_count: bool = True) -> list[dict[str, Any]]:
    """Return order counts as rows of `rateLimits`."""
    rows = []
    for each in counts:
        interval, number = spelled(int(each.interval.total_seconds()))
        row: dict[str, Any] = {"rateLimitType": "ORDERS", "interval": interval, "intervalNum": number}
        row["limit"] = each.limit
        rows.append(row | ({"count": each.count} if with_count else {}))
    return rows


def spelled(seconds: int) -> tuple[str, int]:
    """Return a window in the words of Binance: ("SECOND", 10)."""
    name, length = max((pair for pair in _NAMES.items() if seconds % pair[1] == 0), key=lambda pair: pair[1])
    return name, seconds // length


def count_headers(counts: Iterable[OrderCount]) -> dict[str, str]:
    """Return order counts as headers."""
    found = {}
    for each in counts:
        interval, number = spelled(int(each.interval.total_seconds()))
        found[f"X-MBX-ORDER-COUNT-{number}{interval[0]}"] = str(each.count)
    return found
