"""What an asset is valued at, and what that rests on. Pure.

The mid of a book that trades; where it does not, the last price that was known;
and for what has no market any more, the price that a person set for it.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from etf_trader.index.marks import Mark
from etf_trader.index.prices import LAST, MARK, MID, Price


@dataclass(frozen=True, slots=True)
class Seen:
    """A market as the venue shows it now: its status, "" when it is not listed, and its mid, if it has one."""

    status: str
    mid: Decimal | None
    at: datetime | None

    @property
    def is_live(self) -> bool:
        """Whether it trades now, with both sides of its book."""
        return self.status == "TRADING" and self.mid is not None


def price_of(seen: Seen, mark: Mark | None, last: Price | None) -> Price | None:
    """Return what an asset is valued at; None: it has no market, and nobody has set a price."""
    marked = None if mark is None else Price(mark.price, MARK, mark.set_at)
    if marked is not None and mark is not None and mark.is_forced:
        return marked
    if seen.mid is not None and seen.at is not None and seen.is_live:
        return Price(seen.mid, MID, seen.at)
    if marked is not None:
        return marked
    if not seen.status:
        return None
    if seen.mid is not None and seen.at is not None:
        return Price(seen.mid, LAST, seen.at)
    return last
