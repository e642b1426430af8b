"""What Binance has and this exchange has not: looks find nothing, and orders of these kinds are refused.

The rows of exchangeInfo say so too (`ocoAllowed`, `otoAllowed`, `amendAllowed`).
"""

from itertools import product
from typing import Any

from etf_trader.exchange.refusal import ExchangeError, unsupported
from etf_trader.exchange.server import refusals
from etf_trader.exchange.server.calls import Ask, Call, Handler, Reply, Security, Table
from etf_trader.exchange.server.market import exchange_info

_LEGS = ("", "above", "below", "limit", "pending", "pendingAbove", "pendingBelow", "stop", "working")
_FACTS = (
    "type side clientOrderId price stopPrice quantity icebergQty trailingDelta timeInForce strategyId strategyType"
)
_OF_A_LIST = (
    "symbol listClientOrderId stopLimitPrice stopLimitTimeInForce newOrderRespType selfTradePreventionMode"
)


def _of_a_leg(leg: str, fact: str) -> str:
    return leg + fact[0].upper() + fact[1:] if leg else fact


LIST = frozenset(_OF_A_LIST.split()) | {_of_a_leg(*each) for each in product(_LEGS, _FACTS.split())}
"""The parameters of a new order list, of whichever kind."""
LIST_NAMES = frozenset(("orderListId", "origClientOrderId"))


def none(ask: Ask) -> Reply:
    """Tell that there are none."""
    return Reply([])


def order_list(ask: Ask) -> Reply:
    """Refuse to tell of a list: there are none."""
    parameters = ask.parameters
    if not any(parameters.raw(name) for name in LIST_NAMES):
        raise refusals.either("origClientOrderId", "orderListId")
    raise ExchangeError(-2013, "Order list does not exist.")


def cancel_list(ask: Ask) -> Reply:
    """Refuse to cancel a list: there are none."""
    ask.parameters.symbol()
    raise ExchangeError(-2011, "Order list does not exist.")


def refusing(text: str) -> Handler:
    """Return a handler that refuses what symbols do not take."""

    def refuse(ask: Ask) -> Reply:
        ask.gateway.exchange.exchange_info([ask.parameters.symbol()])
        raise unsupported(text)

    return refuse


def filters(ask: Ask) -> Reply:
    """Tell the filters that look at an account as a whole."""
    ask.parameters.symbol()
    info: dict[str, Any] = exchange_info(ask).body
    (row,) = info["symbols"]
    of_account = [each for each in row["filters"] if each["filterType"].startswith("MAX_")]
    return Reply({"exchangeFilters": info["exchangeFilters"], "symbolFilters": of_account, "assetFilters": []})


def reference_price(ask: Ask) -> Reply:
    """Refuse to tell a reference price: no symbol has one of its own."""
    ask.gateway.exchange.exchange_info([ask.parameters.symbol()])
    raise ExchangeError(-2043, "This symbol doesn't have a reference price.")


def add_to(table: Table) -> None:
    """Add these calls."""
    look, trade = Security.USER_DATA, Security.TRADE
    span = ("startTime", "endTime", "limit")
    looks: tuple[tuple[str, str, Handler, int, tuple[str, ...]], ...] = (
        ("openOrderList", "openOrderLists.status", none, 6, ()),
        ("allOrderList", "allOrderLists", none, 20, ("fromId", *span)),
        ("orderList", "orderList.status", order_list, 4, tuple(LIST_NAMES)),
        ("myAllocations", "myAllocations", none, 20, ("symbol", "fromAllocationId", "orderId", *span)),
        ("order/amendments", "order.amendments", none, 4, ("symbol", "orderId", "fromExecutionId", "limit")),
        ("myFilters", "myFilters", filters, 40, ("symbol",)),
    )
    for path, method, handler, weight, takes in looks:
        table.add(Call(handler, frozenset(takes), weight, look, "GET", f"/api/v3/{path}", method))
    oco, oto = (refusing(f"{kind} orders are not supported for this symbol.") for kind in ("OCO", "OTO"))
    amend = refusing("Order amend is not supported for this symbol.")
    names = frozenset(("symbol", "orderId", "origClientOrderId", "newClientOrderId", "newQty"))
    for verb, path, method, handler, takes_all in (
        ("POST", "order/oco", "orderList.place", oco, LIST),
        ("POST", "orderList/oco", "orderList.place.oco", oco, LIST),
        ("POST", "orderList/oto", "orderList.place.oto", oto, LIST),
        ("POST", "orderList/otoco", "orderList.place.otoco", oto, LIST),
        ("PUT", "order/amend/keepPriority", "order.amend.keepPriority", amend, names),
        (
            "DELETE",
            "orderList",
            "orderList.cancel",
            cancel_list,
            LIST_NAMES | {"symbol", "newClientOrderId", "listClientOrderId"},
        ),
    ):
        table.add(Call(handler, takes_all, 1, trade, verb, f"/api/v3/{path}", method))
    table.add(
        Call(reference_price, frozenset(("symbol",)), 2, path="/api/v3/referencePrice", method="referencePrice")
    )
