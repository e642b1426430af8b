"""What an asset is valued at: mid, else a mark or the last price; nothing without a market and a mark."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from etf_trader.index.marks import Mark
from etf_trader.index.prices import LAST, MARK, MID, Price
from etf_trader.index.valuation import Seen, price_of

D = Decimal
NOW = datetime(2026, 1, 2, tzinfo=UTC)
BEFORE = datetime(2026, 1, 1, tzinfo=UTC)
LIVE, HALTED = Seen("TRADING", D(10), NOW), Seen("BREAK", D(9), NOW)
ONE_SIDED, GONE = Seen("TRADING", None, NOW), Seen("", None, None)
KNOWN = Price(D(8), LAST, BEFORE)


def make_mark(*, is_forced: bool = False) -> Mark:
    return Mark(1, 1, "A", D(2), "me", "a test", is_forced, BEFORE, "", None, None)


@pytest.mark.parametrize(
    ("seen", "mark", "last", "price"),
    [
        (LIVE, None, None, Price(D(10), MID, NOW)),
        (LIVE, make_mark(), KNOWN, Price(D(10), MID, NOW)),
        (LIVE, make_mark(is_forced=True), KNOWN, Price(D(2), MARK, BEFORE)),
        (HALTED, None, KNOWN, Price(D(9), LAST, NOW)),
        (HALTED, make_mark(), KNOWN, Price(D(2), MARK, BEFORE)),
        (ONE_SIDED, None, KNOWN, KNOWN),
        (ONE_SIDED, None, None, None),
        (GONE, None, KNOWN, None),
        (GONE, make_mark(), KNOWN, Price(D(2), MARK, BEFORE)),
    ],
    ids=[
        "live",
        "a mark does not count beside a live book",
        "but a forced one does",
        "halted",
        "a mark for what is halted",
        "one side is empty",
        "never priced",
        "gone",
        "gone and marked",
    ],
)
def test_what_counts(seen: Seen, mark: Mark | None, last: Price | None, price: Price | None) -> None:
    assert price_of(seen, mark, last) == price
