"""Modelled books: as deep and as wide as the page says, thinner by rank, and never crossed."""

from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from etf_trader.backtest.depth import Market, tradable
from etf_trader.market.book import OrderBook
from etf_trader.market.symbol import Side
from etf_trader.money import money_context

D = Decimal
AT = datetime(2024, 1, 1, tzinfo=UTC)
PAID = Market(D("0.001"))


def depth(book: OrderBook, side: Side, bps: int) -> float:
    """Return what is on offer within so many bps of mid, in quote."""
    most = book.mid * (1 + side.sign * D(bps) / 10_000)
    inside = [level for level in book.offers(side) if side.sign * (level.price - most) <= 0]
    return float(sum(level.price * level.quantity for level in inside))


@pytest.mark.parametrize(("rank", "deep", "half"), [(1, 16e6, 0.5), (10, 2.01e6, 1.58), (100, 0.254e6, 5.0)])
def test_a_book_is_as_deep_and_as_wide_as_its_rank(rank: int, deep: float, half: float) -> None:
    book = PAID.book("XUSDT", D("2.5"), rank, AT)
    assert book.mid == D("2.5")
    for side in Side:
        assert depth(book, side, 100) == pytest.approx(deep, rel=0.02)
        touch = book.offers(side)[0].price
        assert float(abs(touch / book.mid - 1)) * 1e4 == pytest.approx(half, rel=0.01)


@given(
    price=st.decimals("0.00000001", "200000", places=12).filter(lambda price: price > 0),
    rank=st.integers(1, 2000),
    has_costs=st.booleans(),
)
@settings(max_examples=examples(200), deadline=None)
def test_a_book_is_in_order_around_its_price(price: Decimal, rank: int, has_costs: bool) -> None:
    market = Market(D("0.001") if has_costs else D(0), has_costs)
    price = tradable(price)
    with money_context():
        book, rule = market.book("XUSDT", price, rank, AT), market.rule("X", "USDT", price)
        assert book.mid == price
        for side in Side:
            prices = [level.price for level in book.offers(side)]
            assert all(side.sign * (after - before) > 0 for before, after in pairwise(prices))
            assert all(level.quantity > 0 and level.price > 0 for level in book.offers(side))
        assert rule.step * price <= 1 and (not has_costs or rule.step * price >= D("0.1"))


def test_a_larger_coin_is_never_thinner_or_wider() -> None:
    books = [PAID.book("XUSDT", D(1), rank, AT) for rank in (3, 5, 20, 80, 200)]
    for larger, smaller in pairwise(books):
        assert depth(larger, Side.BUY, 100) > depth(smaller, Side.BUY, 100)
        assert larger.asks[0].price < smaller.asks[0].price
