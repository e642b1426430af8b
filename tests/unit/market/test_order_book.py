"""Mids are exact or there is none; the hash of books is of every digit and of nothing else."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_trader.errors import CrossedBook, DataError, MissingPrice
from etf_trader.market.book import Level, OrderBook, hash_of_books
from etf_trader.market.symbol import Side
from etf_trader.money import money_context

D = Decimal
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
Ladder = tuple[tuple[str, str], ...]

BIDS: Ladder = (("99.98", "1.5"), ("99.97", "20"))
ASKS: Ladder = (("100.01", "3"), ("100.02", "0.7"))


def make_book(bids: Ladder = BIDS, asks: Ladder = ASKS, symbol: str = "AUSDT", update_id: int = 1) -> OrderBook:
    return OrderBook(
        symbol=symbol,
        bids=tuple(Level(D(price), D(quantity)) for price, quantity in bids),
        asks=tuple(Level(D(price), D(quantity)) for price, quantity in asks),
        update_id=update_id,
        at=NOON,
    )


@pytest.mark.parametrize(
    ("bid", "ask", "mid"),
    [
        pytest.param("99.98", "100.01", "99.995", id="half a tick"),
        pytest.param("99", "101", "100", id="whole"),
        pytest.param("0.00001234", "0.00001235", "0.000012345", id="a tick of the smallest coin"),
        pytest.param(
            "1", "123456789012345.67890123", "61728394506173.339450615", id="more digits than a float has"
        ),
    ],
)
def test_the_mid_is_exact(bid: str, ask: str, mid: str) -> None:
    assert make_book(((bid, "1"),), ((ask, "1"),)).mid == D(mid)


def test_a_book_without_bids_has_no_price() -> None:
    with pytest.raises(MissingPrice, match="AUSDT has no bids: there is no price") as refused:
        _ = make_book(bids=()).mid
    assert (refused.value.where, refused.value.exit_code) == ("AUSDT", 5)


def test_a_book_without_asks_has_no_price() -> None:
    with pytest.raises(MissingPrice, match="AUSDT has no asks"):
        _ = make_book(asks=()).mid


@pytest.mark.parametrize("bid", ["100.01", "100.02"], ids=["locked", "crossed"])
def test_a_crossed_book_has_no_price(bid: str) -> None:
    with pytest.raises(CrossedBook, match=f"bid {bid} is not below ask 100.01") as refused:
        _ = make_book(bids=((bid, "1"),)).mid
    assert isinstance(refused.value, DataError)


def test_a_buy_takes_the_asks_and_a_sell_the_bids() -> None:
    book = make_book()
    assert (book.offers(Side.BUY), book.offers(Side.SELL)) == (book.asks, book.bids)


def test_the_hash_does_not_depend_on_the_order_of_books_nor_on_zeros_times_and_numbers_of_updates() -> None:
    one, other = make_book(), make_book(symbol="BUSDT")
    assert hash_of_books([one, other]) == hash_of_books([other, one])
    respelled = make_book((("99.980", "1.50"), ("99.97", "2E+1")), update_id=7)
    assert hash_of_books([respelled]) == hash_of_books([one])


def test_the_hash_depends_on_symbol_side_and_what_else_is_told() -> None:
    book = make_book()
    hashes = {
        hash_of_books([book]),
        hash_of_books([make_book(symbol="BUSDT")]),
        hash_of_books([make_book(bids=ASKS, asks=BIDS)]),
        hash_of_books([make_book(bids=BIDS[:1])]),
        hash_of_books([book], "depth 5"),
        hash_of_books([book, make_book(symbol="BUSDT")]),
        hash_of_books([]),
    }
    assert len(hashes) == 7


numbers = st.decimals("0.00000001", "999999", places=8)
sides = st.lists(st.tuples(numbers, numbers), min_size=1, max_size=5)


@given(bids=sides, asks=sides, data=st.data())
def test_any_other_digit_makes_another_hash(
    bids: list[tuple[Decimal, Decimal]], asks: list[tuple[Decimal, Decimal]], data: st.DataObject
) -> None:
    with money_context():
        levels = [*bids, *asks]
        place = data.draw(st.integers(0, 2 * len(levels) - 1))
        digit = D(10) ** data.draw(st.integers(-8, 5))
        changed = [list(level) for level in levels]
        changed[place // 2][place % 2] += digit

        def book(rows: list[tuple[Decimal, Decimal]] | list[list[Decimal]]) -> OrderBook:
            made = tuple(Level(*row) for row in rows)
            return OrderBook("AUSDT", made[: len(bids)], made[len(bids) :], 1, NOON)

        assert hash_of_books([book(levels)]) != hash_of_books([book(changed)])
        assert hash_of_books([book(levels)]) == hash_of_books([book([list(level) for level in levels])])
