"""What a client may do with its orders, and ask about them."""

import secrets
from datetime import timedelta

from etf_trader.exchange.refusal import ExchangeError
from etf_trader.exchange.server import messages, refusals
from etf_trader.exchange.server.calls import Ask, Call, Reply, Security, Table
from etf_trader.exchange.server.keys import LETTERS
from etf_trader.exchange.server.parameters import Parameters
from etf_trader.exchange.views import OrderRequest

SHAPES = ("ACK", "RESULT", "FULL")
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
        "icebergQty",
        "newOrderRespType",
        "selfTradePreventionMode",
    )
)
ORDER_NAMES = frozenset(("symbol", "orderId", "origClientOrderId"))
DAY = timedelta(days=1)


def place(ask: Ask) -> Reply:
    """Take a new order."""
    request = order_request(ask)
    shape = response_shape(ask.parameters, request.type)
    view = ask.gateway.exchange.place(ask.account, request)
    return Reply(messages.placed(ask, view, shape), counts=view.counts)


def status(ask: Ask) -> Reply:
    """Tell how an order stands."""
    symbol = ask.parameters.symbol()
    order_id, client_id = which(ask.parameters)
    exchange = ask.gateway.exchange
    view = exchange.order(
        ask.account, symbol, order_id=order_id, client_order_id=None if order_id is not None else client_id
    )
    if client_id is not None and view.client_order_id != client_id:
        raise ExchangeError(-2039, "Client order ID is not correct for this order ID.")
    return Reply(messages.order(ask, view))


def cancel(ask: Ask) -> Reply:
    """Cancel an order."""
    parameters = ask.parameters
    symbol = parameters.symbol()
    order_id, client_id = which(parameters)
    only_if = parameters.choice(
        "cancelRestrictions", ("ONLY_NEW", "ONLY_PARTIALLY_FILLED"), refusals.invalid("cancelRestrictions")
    )
    new_id = parameters.text("newClientOrderId") or random_id()
    exchange = ask.gateway.exchange
    if only_if is not None or (order_id is not None and client_id is not None):
        found = exchange.order(
            ask.account, symbol, order_id=order_id, client_order_id=None if order_id is not None else client_id
        )
        if client_id is not None and found.client_order_id != client_id:
            raise ExchangeError(-2011, "Unknown order sent.")
        if only_if is not None and found.status != only_if.removeprefix("ONLY_"):
            raise ExchangeError(-2011, "Order was not canceled due to cancel restrictions.")
        order_id, client_id = found.order_id, None
    view = exchange.cancel(ask.account, symbol, order_id=order_id, client_order_id=client_id)
    return Reply(messages.cancelled(ask, view, new_id))


def open_orders(ask: Ask) -> Reply:
    """Tell which orders are open."""
    symbol = ask.parameters.optional_symbol()
    views = ask.gateway.exchange.open_orders(ask.account, symbol)
    return Reply([messages.order(ask, view) for view in views])


def order_request(ask: Ask) -> OrderRequest:
    """Return the new order that a client describes.

    Raises:
        ExchangeError: a parameter is missing or malformed.
    """
    parameters = ask.parameters
    assert ask.timestamp is not None
    symbol = parameters.symbol()
    return OrderRequest(
        symbol=symbol,
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
    )


def response_shape(parameters: Parameters, kind: str) -> str:
    """Return how much the answer to an order is to tell."""
    asked = parameters.choice("newOrderRespType", SHAPES, refusals.invalid("newOrderRespType"))
    return asked or ("FULL" if kind in ("MARKET", "LIMIT") else "ACK")


def which(parameters: Parameters) -> tuple[int | None, str | None]:
    """Return the two names of an order, of which one must be there."""
    order_id, client_id = parameters.whole("orderId"), parameters.text("origClientOrderId")
    if order_id is None and client_id is None:
        raise refusals.either("origClientOrderId", "orderId")
    return order_id, client_id


def random_id() -> str:
    """Return an id for what a client did not name."""
    return "".join(secrets.choice(LETTERS) for _ in range(22))


def add_to(table: Table) -> None:
    """Add these calls."""
    trade, look = Security.TRADE, Security.USER_DATA
    path = "/api/v3/order"
    table.add(
        Call(
            place,
            NEW_ORDER,
            1,
            trade,
            "POST",
            path,
            "order.place",
            is_free=True,
            changes=True,
            is_order=True,
        )
    )
    table.add(Call(status, ORDER_NAMES, 4, look, "GET", path, "order.status"))
    table.add(
        Call(
            cancel,
            ORDER_NAMES | {"newClientOrderId", "cancelRestrictions"},
            1,
            trade,
            "DELETE",
            path,
            "order.cancel",
            is_free=True,
            changes=True,
        )
    )
    table.add(
        Call(
            open_orders,
            frozenset(("symbol",)),
            lambda parameters: 6 if "symbol" in parameters else 80,
            look,
            "GET",
            "/api/v3/openOrders",
            "openOrders.status",
        )
    )
