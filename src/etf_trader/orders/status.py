"""An order's life, as tables of permitted transitions."""

from enum import StrEnum


class IndexOrderStatus(StrEnum):
    """Where a client's wish stands."""

    OPEN = "open"
    FILLED = "filled"
    ENDED = "ended"  # the rest was given up: a limit, the books, or its time
    CANCELLED = "cancelled"
    STUCK = "stuck"  # ended, but it still holds assets that could not be traded

    @property
    def is_final(self) -> bool:
        """Whether nothing more will be traded for it."""
        return self is not IndexOrderStatus.OPEN


class Shortfall(StrEnum):
    """What becomes of what an order holds beyond whole baskets, because its legs did not fill alike."""

    RETRY = "retry"  # completed by its next batches; at its end completed or traded back, whichever is cheaper
    UNWIND = "unwind"  # traded back after each batch
    HOLD = "hold"  # completed by its next batches, and never traded back unless somebody cancels it


class AssetOrderStatus(StrEnum):
    """Where an order of ours on the venue stands."""

    WRITTEN = "written"  # saved, never sent
    SENT = "sent"  # granted a slot; it may be at the venue
    OPEN = "open"  # it rests in the venue's book
    FILLED = "filled"
    PARTIAL = "partial"  # expired or cancelled with fills kept
    UNFILLED = "unfilled"  # expired or cancelled without a fill
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"  # never reached the venue, by proof
    CROSSED = "crossed"  # filled by another order of ours, never sent

    @property
    def is_whole(self) -> bool:
        """Whether all of it was executed."""
        return self in (AssetOrderStatus.FILLED, AssetOrderStatus.CROSSED)

    @property
    def is_final(self) -> bool:
        """Whether nothing more can happen to it."""
        return self not in UNFINISHED


UNFINISHED = (AssetOrderStatus.WRITTEN, AssetOrderStatus.SENT, AssetOrderStatus.OPEN)
"""An asset order that waits, is in flight, or rests in the venue's book."""

INDEX_ORDER_TRANSITIONS: dict[IndexOrderStatus, frozenset[IndexOrderStatus]] = {
    IndexOrderStatus.OPEN: frozenset(
        {
            IndexOrderStatus.FILLED,
            IndexOrderStatus.ENDED,
            IndexOrderStatus.CANCELLED,
            IndexOrderStatus.STUCK,
        }
    ),
    IndexOrderStatus.STUCK: frozenset(
        {IndexOrderStatus.FILLED, IndexOrderStatus.ENDED, IndexOrderStatus.CANCELLED}
    ),
    # A trade that is found after the end leaves the order with what it bought or sold.
    IndexOrderStatus.FILLED: frozenset({IndexOrderStatus.STUCK}),
    IndexOrderStatus.ENDED: frozenset({IndexOrderStatus.STUCK}),
    IndexOrderStatus.CANCELLED: frozenset({IndexOrderStatus.STUCK}),
}

ASSET_ORDER_TRANSITIONS: dict[AssetOrderStatus, frozenset[AssetOrderStatus]] = {
    AssetOrderStatus.WRITTEN: frozenset(
        {AssetOrderStatus.SENT, AssetOrderStatus.WITHDRAWN, AssetOrderStatus.CROSSED}
    ),
    AssetOrderStatus.SENT: frozenset(
        {
            AssetOrderStatus.WRITTEN,  # the venue never took it: it is queued once more
            AssetOrderStatus.OPEN,
            AssetOrderStatus.FILLED,
            AssetOrderStatus.PARTIAL,
            AssetOrderStatus.UNFILLED,
            AssetOrderStatus.REJECTED,
            AssetOrderStatus.WITHDRAWN,
        }
    ),
    AssetOrderStatus.OPEN: frozenset(
        {AssetOrderStatus.FILLED, AssetOrderStatus.PARTIAL, AssetOrderStatus.UNFILLED}
    ),
    AssetOrderStatus.FILLED: frozenset(),
    AssetOrderStatus.PARTIAL: frozenset(),
    AssetOrderStatus.UNFILLED: frozenset(),
    AssetOrderStatus.REJECTED: frozenset(),
    AssetOrderStatus.WITHDRAWN: frozenset(),
    AssetOrderStatus.CROSSED: frozenset(),
}
