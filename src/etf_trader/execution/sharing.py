"""Whose part of a fill it is. Pure."""

from collections.abc import Sequence

from etf_trader.ledger.fill import Fill, Part
from etf_trader.orders.asset_order import AssetOrder


def parts_of(order: AssetOrder, made: Sequence[Fill]) -> list[list[Part]]:
    """Return, for each fill of an asset order, the parts of the index orders it was made for.

    Args:
        made: All fills of the order, as the venue lists them.
    """
    (share,) = order.shares
    return [[Part(share.index_order_id, fill.quantity, fill.value, fill.fee)] for fill in made]
