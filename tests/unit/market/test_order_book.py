"""Mids are exact or there is none."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from etf_trader.errors import CrossedBook, DataError, MissingPrice
from etf_trader.exchange.static import symbol_row
from etf_trader.market.book import Level, OrderBook
from etf_trader.market.symbol import Side, SymbolRule

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


@pytest.mark.parametrize(
    ("side", "prices", "is_all"),
    [
        # mid 100, band 0.8 to 1.2: 80 to 120; nothing of the asks lies beyond it, so more may be there
        pytest.param(Side.BUY, ["101", "120"], False, id="the last level is within the band"),
        pytest.param(Side.SELL, ["99", "80"], True, id="a level is beyond the band"),
    ],
)
def test_a_trade_may_take_what_the_venues_band_leaves(side: Side, prices: list[str], is_all: bool) -> None:
    row = symbol_row("AUSDT", "A", "USDT", up="1.2", down="0.8")
    rule = SymbolRule.from_exchange_info(row, maker_fee=D(0), taker_fee=D(0))
    asks = (("101", "1"), ("110", "0"), ("120", "1"))
    levels, is_whole = make_book((("99", "1"), ("80", "1"), ("79.99", "1")), asks).accepted(side, rule)
    assert ([level.price for level in levels], is_whole) == ([D(price) for price in prices], is_all)
