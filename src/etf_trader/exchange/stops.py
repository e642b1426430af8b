"""When an order that waits for a price is triggered: by a price that it is shown, once it has reached its own.

Source:
    Binance Spot API: rest-api.md (stop orders), faqs/trailing-stop-faq.md.
"""

from decimal import Decimal

from etf_trader.exchange.matching import BUY, Order
from etf_trader.money import BPS

_LOSS = ("STOP_LOSS", "STOP_LOSS_LIMIT")


def reached(order: Order, price: Decimal) -> bool:
    """Return whether `price` has reached the order's stop, if it has one, from the side its type waits on."""
    if order.stop_price is None:
        return True
    rises = (order.side == BUY) == (order.type in _LOSS)
    return price >= order.stop_price if rises else price <= order.stop_price


def show(order: Order, price: Decimal) -> bool:
    """Show `price` to a waiting order, and return whether that triggers it.

    A trailing one follows the price from its stop on, or from the first it is shown
    where it has none, as far as that is good for its side, and is triggered when the
    price turns back by its delta.
    """
    if order.trailing_delta is None:
        return reached(order, price)
    if order.trail is None:
        if reached(order, price):
            order.trail = price
        return False
    if order.side == BUY:
        order.trail = min(order.trail, price)
        return price * BPS >= order.trail * (BPS + order.trailing_delta)
    order.trail = max(order.trail, price)
    return price * BPS <= order.trail * (BPS - order.trailing_delta)
