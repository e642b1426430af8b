"""Whose part of a fill it is. Pure."""

from collections.abc import Sequence
from decimal import Decimal

from etf_trader.ledger.fill import Fill, Part
from etf_trader.money import ZERO
from etf_trader.orders.asset_order import AssetOrder
from etf_trader.orders.asset_order import Share as StoredShare
from etf_trader.solver.shares import Member, Share, SharedAssetOrder, Slice, VenueFill
from etf_trader.solver.splitting import allot

GRID = Decimal("1e-8")
"""Quantities and fees are cut no finer than this, unless the venue itself counts finer."""


def parts_of(order: AssetOrder, made: Sequence[Fill]) -> list[list[Part]]:
    """Return, for each fill of an asset order, the parts of the index orders it was made for.

    Args:
        made: All fills of the order, as the venue lists them.
    """
    if len(order.shares) == 1:
        owner = order.shares[0].index_order_id
        return [[Part(owner, fill.quantity, fill.value, fill.fee)] for fill in made]
    parts: list[list[Part]] = [[] for _ in made]
    executions = [VenueFill(fill.price, fill.quantity, fill.value, fill.fee) for fill in made]
    for owner, own in allot(_shared(order, made), executions).items():
        for part in own:
            parts[part.fill].append(Part(owner, part.quantity, part.value, part.fee))
    return parts


def _shared(order: AssetOrder, made: Sequence[Fill]) -> SharedAssetOrder:
    intent = order.intent
    return SharedAssetOrder(
        asset=intent.asset,
        symbol=intent.symbol,
        side=intent.side,
        quantity=intent.quantity,
        slices=(Slice(intent.quantity, intent.price),),
        shares=tuple(_share(each) for each in order.shares),
        grid=_grid([intent.quantity, *(fill.quantity for fill in made)]),
        fee_quantum=_grid([fill.fee for fill in made]),
    )


def _share(stored: StoredShare) -> Share:
    worst = stored.slices[-1].last_price
    return Share(
        members=(Member(stored.index_order_id, ZERO),),
        quantity=stored.quantity,
        phases=tuple(each.quantity for each in stored.slices),
        exact=stored.quantity,
        margin=ZERO,
        last_price=worst,
        worst_price=worst,
    )


def _grid(amounts: Sequence[Decimal]) -> Decimal:
    finest = min((int(amount.as_tuple().exponent) for amount in amounts), default=0)
    return min(GRID, Decimal(1).scaleb(finest))
