"""A swap makes lots of another coin, as old and as dear as those of the coin that ended."""

from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from etf_trader.ledger.lots import LotBook
from etf_trader.ledger.transaction import LotAction, LotMove
from etf_trader.money import money_context


@settings(max_examples=examples(50), deadline=None)
@given(
    parts=st.lists(
        st.tuples(st.decimals("1e-20", "1000", places=20), st.decimals("0", "1000", places=6)),
        min_size=1,
        max_size=8,
    ),
    ratio=st.decimals("1e-12", "30000", places=12),
    dust=st.decimals("0", "1e-8", places=20),
)
def test_a_swap_keeps_cost_and_age_and_loses_nothing(
    parts: list[tuple[Decimal, Decimal]], ratio: Decimal, dust: Decimal
) -> None:
    with money_context():
        book, total = LotBook(), sum((quantity for quantity, _ in parts), Decimal(0))
        for place, (quantity, cost) in enumerate(parts):
            at = datetime(2026, 1, 1 + place, tzinfo=UTC)
            book.apply(LotMove(LotAction.ACQUIRE, "index:1", "A", quantity, cost), at, place)
        ages = [lot.acquired_at for lot in book.lots("index:1", "A") if lot.open_quantity]
        received = total * ratio - dust
        if received <= 0:
            return
        cost = book.cost("index:1", "A")
        swap = LotMove(LotAction.SWAP, "index:1", "A", total, received, target="B")
        book.apply(swap, datetime(2026, 2, 1, tzinfo=UTC), 99)
        made = [lot for lot in book.lots("index:1", "B") if lot.open_quantity]
        assert book.quantity("index:1", "A") == book.cost("index:1", "A") == 0
        assert (book.quantity("index:1", "B"), book.cost("index:1", "B")) == (received, cost)
        assert all(lot.acquired_at in ages for lot in made)
        assert book.disposals == []
