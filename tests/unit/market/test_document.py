"""A market is written as it was and read back; its hash is of every digit and of nothing else."""

from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.unit.solver.solver_cases import make_rule

from etf_trader.market.book import Level, OrderBook
from etf_trader.market.document import NO_TIME, market_document, market_hash, market_of
from etf_trader.market.symbol import SymbolRule
from etf_trader.money import money_context

D = Decimal
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
Ladder = tuple[tuple[str, str], ...]

BIDS: Ladder = (("99.98", "1.5"), ("99.97", "20"))
ASKS: Ladder = (("100.01", "3"), ("100.02", "0.7"))


def make_book(bids: Ladder = BIDS, asks: Ladder = ASKS, symbol: str = "AUSDT", **changes: object) -> OrderBook:
    values: dict[str, object] = {"update_id": 1, "at": NOON} | changes
    return OrderBook(
        symbol=symbol,
        bids=tuple(Level(D(price), D(quantity)) for price, quantity in bids),
        asks=tuple(Level(D(price), D(quantity)) for price, quantity in asks),
        **values,  # type: ignore[arg-type]
    )


def hash_of(*books: OrderBook, rule: SymbolRule | None = None) -> str:
    return market_hash(market_document(books, {book.symbol: rule or make_rule(book.symbol[:1]) for book in books}))


def test_a_market_comes_back_as_it_was_but_for_its_time() -> None:
    book = make_book(complete=True, update_id=0, at=NO_TIME)
    rule = make_rule(taker_fee=D("0.00075"), bid_band=(D("0.9"), D("1.1")))
    assert market_of(market_document([book], {"AUSDT": rule})) == ({"AUSDT": book}, {"AUSDT": rule})


def test_the_hash_does_not_depend_on_the_order_of_books_nor_on_zeros_times_and_numbers_of_updates() -> None:
    one, other = make_book(), make_book(symbol="BUSDT")
    assert hash_of(one, other) == hash_of(other, one)
    respelled = make_book((("99.980", "1.50"), ("99.97", "2E+1")), update_id=7, at=NO_TIME)
    assert hash_of(respelled) == hash_of(one)


def test_the_hash_depends_on_symbol_side_rule_and_where_a_book_ends() -> None:
    hashes = {
        hash_of(make_book()),
        hash_of(make_book(symbol="BUSDT")),
        hash_of(make_book(bids=ASKS, asks=BIDS)),
        hash_of(make_book(bids=BIDS[:1])),
        hash_of(make_book(complete=True)),
        hash_of(make_book(), make_book(symbol="BUSDT")),
        hash_of(make_book(), rule=make_rule(step=D("0.1"))),
        hash_of(make_book(), rule=make_rule(ask_band=(D("0.2"), D("5.1")))),
        hash_of(),
    }
    assert len(hashes) == 9


numbers = st.decimals("0.00000001", "999999", places=8)
sides = st.lists(st.tuples(numbers, numbers), min_size=1, max_size=5)


@settings(max_examples=examples(40), deadline=None)
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

        assert hash_of(book(levels)) != hash_of(book(changed))
        assert hash_of(book(levels)) == hash_of(book([list(level) for level in levels]))
