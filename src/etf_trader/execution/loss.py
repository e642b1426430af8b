"""Loss of what was traded, by part: the one place where it is defined (docs/accounting.md). Pure."""

from collections.abc import Mapping
from decimal import Decimal

from etf_trader.ledger.fill import Fill
from etf_trader.money import ONE, ZERO
from etf_trader.orders.asset_order import Intent
from etf_trader.orders.plan import LossParts


def fill_loss(fill: Fill, intent: Intent, arrival: Mapping[str, Decimal]) -> LossParts:
    """Return the loss of one fill against the arrival mids of its order; positive is a cost.

    With q net of a fee taken in base, price p, arrival mid m0, batch mid m1,
    touch t and side s: delay s q (m1 - m0), spread s q (t - m1), depth
    s q (p - t); a maker's spread runs to p and has no depth. A level better
    than the touch seen shows as negative depth. Prices in another currency than
    the index's count at what that was worth at arrival; a trade between
    currencies is a fill like any other. A fee in neither base nor quote costs
    what the order paid the fee inventory for it.
    """
    fee_in_base = fill.fee_asset == intent.asset
    bought_fee = fill.fee if fee_in_base and fill.side.sign > 0 else ZERO
    signed = fill.side.sign * (fill.quantity - bought_fee)
    touch = fill.price if fill.is_maker else intent.touch
    rate = arrival.get(intent.quote, ONE)
    return LossParts(
        delay=signed * (intent.mid * rate - arrival[intent.asset]),
        spread=signed * (touch - intent.mid) * rate,
        depth=signed * (fill.price - touch) * rate,
        fee=fee_in_quote(fill, intent.asset) * rate,
        rounding=ZERO,
    )


def fee_in_quote(fill: Fill, asset: str) -> Decimal:
    """Return what a fill's fee costs its order, in the quote of its symbol; `asset` is the base."""
    if fill.fee_value is not None:
        return fill.fee_value
    return fill.fee * fill.price if fill.fee_asset == asset else fill.fee


def rounding_loss(
    surplus: Mapping[str, Decimal], mids: Mapping[str, Decimal], arrival: Mapping[str, Decimal]
) -> dict[str, Decimal]:
    """Return, by asset, the loss of what the float took of an order (negative: gave) at `mids`."""
    return {asset: -(x * (mids[asset] - arrival[asset])) for asset, x in surplus.items()}
