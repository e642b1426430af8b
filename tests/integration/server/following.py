"""A client of a depth stream, by the algorithm that Binance documents and nothing else."""

from decimal import Decimal
from typing import Any

Side = dict[Decimal, Decimal]


class Gap(AssertionError):
    """An update is missing."""


class Follower:
    """A local book: events are buffered until a snapshot is there, then applied."""

    def __init__(self) -> None:
        self.book_id: int | None = None
        self.bids: Side = {}
        self.asks: Side = {}
        self._buffer: list[dict[str, Any]] = []

    @property
    def is_following(self) -> bool:
        """Whether there is a book."""
        return self.book_id is not None

    def hear(self, event: dict[str, Any]) -> None:
        """Take an event of the stream."""
        if self.book_id is None:
            self._buffer.append(event)
        else:
            self._apply(event)

    def begin(self, snapshot: dict[str, Any]) -> bool:
        """Begin with the answer to `depth`; False when it is older than the stream, so that another is wanted."""
        first = self._buffer[0] if self._buffer else None
        last_id = snapshot["lastUpdateId"]
        if first is not None and last_id < first["U"]:
            return False
        kept = [event for event in self._buffer if event["u"] > last_id]
        # From the second event on U follows u: what has to hold the snapshot is the last that was dropped.
        if kept and kept[0]["U"] > last_id + 1:
            raise Gap(f"{kept[0]['U']} after the snapshot {last_id}")
        self.book_id = last_id
        self.bids = {Decimal(price): Decimal(quantity) for price, quantity in snapshot["bids"]}
        self.asks = {Decimal(price): Decimal(quantity) for price, quantity in snapshot["asks"]}
        for event in kept:
            self._apply(event)
        self._buffer = []
        return True

    def levels(self) -> tuple[list[tuple[Decimal, Decimal]], list[tuple[Decimal, Decimal]]]:
        """Return both sides, best first."""
        return sorted(self.bids.items(), reverse=True), sorted(self.asks.items())

    def _apply(self, event: dict[str, Any]) -> None:
        assert self.book_id is not None
        if event["u"] < self.book_id:
            return
        if event["U"] > self.book_id + 1:
            raise Gap(f"{event['U']} after {self.book_id}")
        for side, changes in ((self.bids, event["b"]), (self.asks, event["a"])):
            for price, quantity in changes:
                if Decimal(quantity):
                    side[Decimal(price)] = Decimal(quantity)
                else:
                    side.pop(Decimal(price), None)
        self.book_id = event["u"]
