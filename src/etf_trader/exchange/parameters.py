"""What a new order must say and may not, by its type: checked before anything is looked up.

Source:
    Binance Spot API: rest-api.md (new order), errors.md.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from etf_trader.exchange.refusal import ExchangeError, illegal, missing
from etf_trader.exchange.views import OrderRequest
from etf_trader.money import ZERO

CLIENT_ORDER_ID = r"^[a-zA-Z0-9-_]{1,36}$"
DECIMAL = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
WHOLE = r"^[0-9]{1,20}$"
MOST = Decimal("1e20")
LIMIT, LIMIT_MAKER, MARKET = "LIMIT", "LIMIT_MAKER", "MARKET"
STOP_LOSS, STOP_LOSS_LIMIT = "STOP_LOSS", "STOP_LOSS_LIMIT"
TAKE_PROFIT, TAKE_PROFIT_LIMIT = "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"
ORDER_TYPES = (LIMIT, LIMIT_MAKER, MARKET, STOP_LOSS, STOP_LOSS_LIMIT, TAKE_PROFIT, TAKE_PROFIT_LIMIT)
WITHOUT_LIMIT = (MARKET, STOP_LOSS, TAKE_PROFIT)
TIMES_IN_FORCE = ("GTC", "IOC", "FOK")
AHEAD = timedelta(seconds=1)
LONGEST_WINDOW = 60

_LIMITED = {"timeInForce", "price", "icebergQty"}
_STOP = {"stopPrice", "trailingDelta"}
_MAY_SAY: dict[str, set[str]] = {
    LIMIT: _LIMITED,
    LIMIT_MAKER: {"price", "icebergQty"},
    MARKET: {"quoteOrderQty"},
    STOP_LOSS: _STOP,
    TAKE_PROFIT: _STOP,
    STOP_LOSS_LIMIT: _LIMITED | _STOP,
    TAKE_PROFIT_LIMIT: _LIMITED | _STOP,
}
"""What an order of a type may say beside symbol, side, quantity and its names."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a new order says; a price of 0 is no limit, a quantity of 0 one that is told in quote."""

    price: Decimal
    quantity: Decimal
    time_in_force: str = "GTC"
    quote_quantity: Decimal | None = None
    stop_price: Decimal | None = None
    trailing_delta: int | None = None
    iceberg_quantity: Decimal | None = None


def check_time(request: OrderRequest, now: datetime) -> None:
    """Check that the request is neither from the future nor too old.

    Raises:
        ExchangeError: -1021, or -1131 for a window beyond 60 s.
    """
    if not 0 < request.recv_window <= LONGEST_WINDOW:
        raise ExchangeError(-1131, "recvWindow must be less than 60000")
    if request.timestamp >= now + AHEAD:
        raise ExchangeError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if now - request.timestamp > timedelta(seconds=request.recv_window):
        raise ExchangeError(-1021, "Timestamp for this request is outside of the recvWindow.")


def check_parameters(request: OrderRequest) -> Terms:
    """Check the parameters of a new order, and return what they say.

    Raises:
        ExchangeError: -1014, -1100, -1102, -1106, -1115, -1116, -1117 or -1128.
    """
    if request.side not in ("BUY", "SELL"):
        raise ExchangeError(-1117, "Invalid side.")
    if request.type not in ORDER_TYPES:
        raise ExchangeError(-1116, "Invalid orderType.")
    may_say = _MAY_SAY[request.type]
    if "timeInForce" in may_say and not request.time_in_force:
        raise missing("timeInForce")
    if "timeInForce" in may_say and request.time_in_force not in TIMES_IN_FORCE:
        raise ExchangeError(-1115, "Invalid timeInForce.")
    _check_unwanted(request, may_say)
    if not re.fullmatch(CLIENT_ORDER_ID, request.client_order_id):
        raise illegal("newClientOrderId", CLIENT_ORDER_ID)
    _check_combination(request, may_say)
    iceberg = _optional("icebergQty", request.iceberg_quantity)
    return Terms(
        price=_amount("price", request.price) if "price" in may_say else ZERO,
        quantity=ZERO if request.quote_quantity is not None else _amount("quantity", request.quantity),
        time_in_force=request.time_in_force or "GTC",
        quote_quantity=_optional("quoteOrderQty", request.quote_quantity),
        stop_price=_optional("stopPrice", request.stop_price),
        trailing_delta=_delta(request.trailing_delta),
        iceberg_quantity=iceberg or None,  # 0 is none
    )


def _check_unwanted(request: OrderRequest, may_say: set[str]) -> None:
    said = {
        "timeInForce": request.time_in_force,
        "price": request.price,
        "quoteOrderQty": request.quote_quantity,
        "stopPrice": request.stop_price,
        "trailingDelta": request.trailing_delta,
        "icebergQty": request.iceberg_quantity,
    }
    for name, value in said.items():
        if value is not None and name not in may_say:
            raise ExchangeError(-1106, f"Parameter '{name}' sent when not required.")


def _check_combination(request: OrderRequest, may_say: set[str]) -> None:
    if "quoteOrderQty" in may_say:
        if request.quantity is None and request.quote_quantity is None:
            raise _neither("quantity", "quoteOrderQty")
        if request.quantity is not None and request.quote_quantity is not None:
            raise ExchangeError(-1128, "Combination of optional parameters invalid.")
    if "stopPrice" in may_say and request.stop_price is None and request.trailing_delta is None:
        raise _neither("stopPrice", "trailingDelta")
    if request.iceberg_quantity and request.time_in_force not in (None, "GTC"):
        raise ExchangeError(-1014, "Unsupported order combination.")


def _neither(one: str, other: str) -> ExchangeError:
    return ExchangeError(-1102, f"Param '{one}' or '{other}' must be sent, but both were empty/null!")


def _amount(name: str, value: Decimal | None) -> Decimal:
    if value is None:
        raise missing(name)
    if not value.is_finite() or value < 0 or value >= MOST:
        raise illegal(name, DECIMAL)
    return value


def _optional(name: str, value: Decimal | None) -> Decimal | None:
    return None if value is None else _amount(name, value)


def _delta(value: int | None) -> int | None:
    if value is not None and value <= 0:
        raise illegal("trailingDelta", WHOLE)
    return value
