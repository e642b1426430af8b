"""The exchange's records in the shapes of Binance's answers.

Source:
    Binance Spot API, rest-api.md.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from etf_trader.exchange.server.calls import Ask
from etf_trader.exchange.views import BookView, Depth, OrderCount, OrderView, TradeView

NO_LIST = -1
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
        "origQuoteOrderQty": amount(getattr(view, "quote_quantity", None) or Decimal(0)),
        "cummulativeQuoteQty": amount(view.cumulative_quote),
        "status": view.status,
        "timeInForce": view.time_in_force,
        "type": view.type,
        "side": view.side,
    }


def _conditional(view: OrderView) -> dict[str, Any]:
    """Return the fields that only some orders have."""
    found: dict[str, Any] = {}
    for name, attribute in (("stopPrice", "stop_price"), ("icebergQty", "iceberg_quantity")):
        value = getattr(view, attribute, None)
        if value:
            found[name] = amount(value)
    if view.prevented_quantity:
        found["preventedQuantity"] = amount(view.prevented_quantity)
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
    answer |= {"workingTime": ask.time(view.at), "selfTradePreventionMode": view.self_trade_prevention}
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


def cancelled(ask: Ask, view: OrderView, new_id: str) -> dict[str, Any]:
    """Return the answer to a cancel; `new_id` is the client's, or ours, for the cancel itself."""
    return (
        {"symbol": view.symbol, "origClientOrderId": view.client_order_id}
        | _identity(view, new_id)
        | {"transactTime": ask.time(view.updated)}
        | _facts(view)
        | {"selfTradePreventionMode": view.self_trade_prevention}
        | _conditional(view)
    )


def order(ask: Ask, view: OrderView) -> dict[str, Any]:
    """Return an order that was asked for."""
    facts = _facts(view)
    quote_quantity = facts.pop("origQuoteOrderQty")
    is_waiting = getattr(view, "is_waiting", False)
    return (
        _identity(view)
        | facts
        | {"stopPrice": amount(Decimal(0)), "icebergQty": amount(Decimal(0))}
        | {
            "time": ask.time(view.at),
            "updateTime": ask.time(view.updated),
            "isWorking": not is_waiting,
            "workingTime": -1 if is_waiting else ask.time(view.at),
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
