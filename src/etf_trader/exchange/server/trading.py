"""What a client may do with its orders, and ask about them."""

import secrets
from datetime import datetime, timedelta
from typing import Any

from etf_trader.exchange.refusal import ExchangeError
from etf_trader.exchange.server import messages, refusals
from etf_trader.exchange.server.calls import Ask, Call, Placing, Reply, Security, Table
from etf_trader.exchange.server.keys import LETTERS
from etf_trader.exchange.server.parameters import Parameters
from etf_trader.exchange.views import OrderRequest, OrderView, ReplaceView

SHAPES = ("ACK", "RESULT", "FULL")
RESTRICTIONS = ("ONLY_NEW", "ONLY_PARTIALLY_FILLED")
MOST_ROWS = 1000
DAY, MILLISECOND = timedelta(days=1), timedelta(milliseconds=1)
CLIENT_ID = r"^[a-zA-Z0-9-_]{1,36}$"

NEW_ORDER = frozenset(
    (
        "symbol",
        "side",
        "type",
        "timeInForce",
        "quantity",
        "quoteOrderQty",
        "price",
        "newClientOrderId",
        "strategyId",
        "strategyType",
        "stopPrice",
        "trailingDelta",
        "icebergQty",
        "newOrderRespType",
        "selfTradePreventionMode",
    )
)
NAMES = frozenset(("symbol", "orderId", "origClientOrderId"))
CANCEL = NAMES | {"newClientOrderId", "cancelRestrictions"}
REPLACE = NEW_ORDER | {
    "cancelReplaceMode",
    "cancelNewClientOrderId",
    "cancelOrigClientOrderId",
    "cancelOrderId",
    "cancelRestrictions",
    "orderRateLimitExceededMode",
}


def place(ask: Ask) -> Placing:
    """Take a new order."""
    request = order_request(ask)
    shape = response_shape(ask.parameters, request.type)

    def told(view: OrderView) -> Reply:
        ask.gateway.veil.placed(view.order_id)
        return Reply(messages.placed(ask, view, shape), counts=view.counts)

    return Placing(ask.account, request, told)


def try_out(ask: Ask) -> Reply:
    """Check a new order and do nothing."""
    request = order_request(ask)
    response_shape(ask.parameters, request.type)
    exchange = ask.gateway.exchange
    exchange.test(ask.account, request)
    if not ask.parameters.flag("computeCommissionRates"):
        return Reply({})
    maker, taker = exchange.fees(ask.account, request.symbol)
    return Reply(
        {
            "standardCommissionForOrder": {"maker": messages.amount(maker), "taker": messages.amount(taker)},
            "specialCommissionForOrder": messages.no_rates(),
            "taxCommissionForOrder": messages.no_rates(),
            "discount": messages.discount(on=exchange.bnb_burn(ask.account)),
        }
    )


def status(ask: Ask) -> Reply:
    """Tell how an order stands."""
    symbol = ask.parameters.symbol()
    order_id, client_id = which(ask.parameters)
    view = _find(ask, symbol, order_id, client_id)
    ask.gateway.veil.look(view.order_id)
    if client_id is not None and view.client_order_id != client_id:
        raise ExchangeError(-2039, "Client order ID is not correct for this order ID.")
    return Reply(messages.order(ask, view))


def cancel(ask: Ask) -> Reply:
    """Cancel an order."""
    parameters = ask.parameters
    symbol = parameters.symbol()
    order_id, client_id = _one_name(ask, symbol, *which(parameters))
    view = ask.gateway.exchange.cancel(
        ask.account,
        symbol,
        order_id=order_id,
        client_order_id=client_id,
        new_cancel_id=parameters.text("newClientOrderId", CLIENT_ID),
        restriction=_restriction(parameters),
    )
    return Reply(messages.cancelled(ask, view))


def cancel_all(ask: Ask) -> Reply:
    """Cancel every open order of a symbol."""
    views = ask.gateway.exchange.cancel_all(ask.account, ask.parameters.symbol())
    return Reply([messages.cancelled(ask, view) for view in views])


def cancel_replace(ask: Ask) -> Reply:
    """Cancel an order and place another."""
    parameters = ask.parameters
    request = order_request(ask)
    shape = response_shape(parameters, request.type)
    mode = parameters.needed("cancelReplaceMode")
    names = which(parameters, "cancelOrderId", "cancelOrigClientOrderId")
    order_id, client_id = _one_name(ask, request.symbol, *names)
    both = ask.gateway.exchange.cancel_replace(
        ask.account,
        request,
        mode,
        order_id=order_id,
        client_order_id=client_id,
        new_cancel_id=parameters.text("cancelNewClientOrderId", CLIENT_ID),
        restriction=_restriction(parameters),
    )
    return _replaced(ask, both, shape)


def _replaced(ask: Ask, both: ReplaceView, shape: str) -> Reply:
    """Return the answer to a cancel-replace: an error unless both halves were done."""
    cancelled, placed = both.cancel, both.place
    data = {
        "cancelResult": _result(cancelled),
        "newOrderResult": _result(placed),
        "cancelResponse": _half(cancelled, lambda view: messages.cancelled(ask, view)),
        "newOrderResponse": _half(placed, lambda view: messages.placed(ask, view, shape)),
    }
    counts = placed.counts if isinstance(placed, OrderView) else ()
    done = [isinstance(half, OrderView) for half in (cancelled, placed)]
    if all(done):
        return Reply(data, counts=counts)
    if any(done):
        return Reply({"code": -2021, "msg": "Order cancel-replace partially failed.", "data": data}, 409, counts)
    return Reply({"code": -2022, "msg": "Order cancel-replace failed.", "data": data}, 400)


def _result(half: OrderView | ExchangeError | None) -> str:
    if half is None:
        return "NOT_ATTEMPTED"
    return "FAILURE" if isinstance(half, ExchangeError) else "SUCCESS"


def _half(half: OrderView | ExchangeError | None, told: Any) -> Any:
    if isinstance(half, ExchangeError):
        return {"code": half.code, "msg": half.message}
    return None if half is None else told(half)


def open_orders(ask: Ask) -> Reply:
    """Tell which orders are open."""
    symbol = ask.parameters.optional_symbol()
    views = ask.gateway.exchange.open_orders(ask.account, symbol)
    return Reply([messages.order(ask, view) for view in views])


def all_orders(ask: Ask) -> Reply:
    """Tell all orders of a symbol: from an id or a time on, otherwise the last ones."""
    parameters = ask.parameters
    symbol, from_id = parameters.symbol(), parameters.whole("orderId")
    start, end = parameters.span()
    limit = parameters.limit(500, MOST_ROWS)
    check_span(start, end)
    views = ask.gateway.exchange.orders(ask.account, symbol, from_id or 0)
    found = [view for view in views if (start is None or view.at >= start) and (end is None or view.at <= end)]
    chosen = found[:limit] if from_id is not None or start is not None else found[-limit:]
    return Reply([messages.order(ask, view) for view in chosen])


def order_request(ask: Ask) -> OrderRequest:
    """Return the new order that a client describes.

    Raises:
        ExchangeError: a parameter is missing or malformed.
    """
    parameters = ask.parameters
    assert ask.timestamp is not None
    parameters.whole("strategyId")
    if (kind := parameters.whole("strategyType")) is not None and kind < 1_000_000:
        raise refusals.invalid("strategyType")
    return OrderRequest(
        symbol=parameters.symbol(),
        side=parameters.needed("side"),
        type=parameters.needed("type"),
        time_in_force=parameters.text("timeInForce"),
        quantity=parameters.decimal("quantity"),
        price=parameters.decimal("price"),
        client_order_id=parameters.text("newClientOrderId") or random_id(),
        timestamp=ask.timestamp,
        recv_window=ask.recv_window,
        quote_quantity=parameters.decimal("quoteOrderQty"),
        stop_price=parameters.decimal("stopPrice"),
        iceberg_quantity=parameters.decimal("icebergQty"),
        self_trade_prevention=parameters.text("selfTradePreventionMode"),
        trailing_delta=parameters.whole("trailingDelta"),
    )


def response_shape(parameters: Parameters, kind: str) -> str:
    """Return how much the answer to an order is to tell."""
    asked = parameters.choice("newOrderRespType", SHAPES, refusals.invalid("newOrderRespType"))
    return asked or ("FULL" if kind in ("MARKET", "LIMIT") else "ACK")


def which(
    parameters: Parameters, by_number: str = "orderId", by_name: str = "origClientOrderId"
) -> tuple[int | None, str | None]:
    """Return the two names of an order, of which one must be there."""
    order_id, client_id = parameters.whole(by_number), parameters.text(by_name)
    if order_id is None and client_id is None:
        raise refusals.either(by_name, by_number)
    return order_id, client_id


def check_span(start: datetime | None, end: datetime | None) -> None:
    """Check that a span of time is no longer than Binance looks back at once.

    Raises:
        ExchangeError: -1127.
    """
    if start is not None and end is not None and end - start >= DAY + MILLISECOND:
        raise ExchangeError(-1127, "More than 24 hours between startTime and endTime.")


def random_id() -> str:
    """Return an id for what a client did not name."""
    return "".join(secrets.choice(LETTERS) for _ in range(22))


def _one_name(ask: Ask, symbol: str, order_id: int | None, client_id: str | None) -> tuple[int | None, str | None]:
    """Return the number of an order that was named twice, as long as both names are its own.

    Raises:
        ExchangeError: -2011, they are of different orders, or of none.
    """
    if order_id is None or client_id is None:
        return order_id, client_id
    try:
        is_same = _find(ask, symbol, order_id, None).client_order_id == client_id
    except ExchangeError as error:
        if error.code != -2013:
            raise
        is_same = False
    if not is_same:
        raise ExchangeError(-2011, "Unknown order sent.")
    return order_id, None


def _restriction(parameters: Parameters) -> str | None:
    return parameters.choice("cancelRestrictions", RESTRICTIONS, refusals.invalid("cancelRestrictions"))


def _find(ask: Ask, symbol: str, order_id: int | None, client_id: str | None) -> OrderView:
    """Return an order by its number where that is told, else by its name."""
    name = None if order_id is not None else client_id
    return ask.gateway.exchange.order(ask.account, symbol, order_id=order_id, client_order_id=name)


def add_to(table: Table) -> None:
    """Add these calls."""
    trade, look = Security.TRADE, Security.USER_DATA
    path, all_open = "/api/v3/order", "/api/v3/openOrders"
    new, gone = {"is_free": True, "changes": True, "is_order": True}, {"is_free": True, "changes": True}
    for call in (
        Call(place, NEW_ORDER, 1, trade, "POST", path, "order.place", is_placing=True, **new),
        Call(
            try_out,
            NEW_ORDER | {"computeCommissionRates"},
            lambda parameters: 20 if "computeCommissionRates" in parameters else 1,
            trade,
            "POST",
            f"{path}/test",
            "order.test",
        ),
        Call(status, NAMES, 4, look, "GET", path, "order.status"),
        Call(cancel, CANCEL, 1, trade, "DELETE", path, "order.cancel", **gone),
        Call(cancel_replace, REPLACE, 1, trade, "POST", f"{path}/cancelReplace", "order.cancelReplace", **new),
        Call(
            open_orders,
            frozenset(("symbol",)),
            lambda parameters: 6 if "symbol" in parameters else 80,
            look,
            "GET",
            all_open,
            "openOrders.status",
        ),
        Call(cancel_all, frozenset(("symbol",)), 1, trade, "DELETE", all_open, "openOrders.cancelAll", **gone),
        Call(
            all_orders,
            frozenset(("symbol", "orderId", "startTime", "endTime", "limit")),
            20,
            look,
            "GET",
            "/api/v3/allOrders",
            "allOrders",
        ),
    ):
        table.add(call)
