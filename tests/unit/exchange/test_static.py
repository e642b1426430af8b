"""The volume of a static market: rates that hold from their time on."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_trader.exchange.static import EPOCH, StaticMarket, symbol_row

D = Decimal


def make_market() -> StaticMarket:
    return StaticMarket([symbol_row("AUSDT", "A", "USDT")], {"AUSDT": ((("99", "1"),), (("100", "1"),))})


def after(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def test_nothing_is_traded_until_a_volume_is_set() -> None:
    market = make_market()
    assert market.traded("AUSDT", EPOCH, EPOCH + after(100)) == 0
    market.set_volume("AUSDT", D("1.5"))
    assert market.traded("AUSDT", EPOCH, EPOCH + after(100)) == 150
    assert market.traded("AUSDT", EPOCH - after(2), EPOCH - after(1)) == D("1.5")
    assert market.traded("BUSDT", EPOCH, EPOCH + after(100)) == 0


def test_a_rate_holds_until_the_next() -> None:
    market = make_market()
    market.set_volume("AUSDT", D(2), EPOCH + after(10))
    market.set_volume("AUSDT", D(5), EPOCH + after(20))
    market.set_volume("AUSDT", D(0), EPOCH + after(30))
    assert market.traded("AUSDT", EPOCH, EPOCH + after(10)) == 0
    assert market.traded("AUSDT", EPOCH, EPOCH + after(15)) == 10
    assert market.traded("AUSDT", EPOCH + after(15), EPOCH + after(22)) == 20
    assert market.traded("AUSDT", EPOCH, EPOCH + after(99)) == 70
    market.set_volume("AUSDT", D(1), EPOCH + after(20))  # takes the place of those from there on
    assert market.traded("AUSDT", EPOCH, EPOCH + after(40)) == 40


def test_the_mid_is_that_of_its_book_and_none_where_a_side_is_empty() -> None:
    market = make_market()
    assert market.mid("AUSDT", EPOCH) == D("99.5")
    market.set_book("AUSDT", [], [("100", "1")])
    assert market.mid("AUSDT", EPOCH) is None


times = st.integers(-(10**9), 10**9).map(lambda microseconds: EPOCH + timedelta(microseconds=microseconds))


@given(
    st.lists(st.tuples(times, st.decimals(0, 10**6, places=8)), max_size=4),
    st.lists(times, min_size=3, max_size=3).map(sorted),
)
@pytest.mark.parametrize("backwards", [False, True])
def test_adjoining_spans_add_up_exactly(
    backwards: bool, rates: list[tuple[datetime, Decimal]], three: list[datetime]
) -> None:
    market = make_market()
    for since, rate in sorted(rates, reverse=backwards):
        market.set_volume("AUSDT", rate, since)
    first, second, third = three
    parts = market.traded("AUSDT", first, second), market.traded("AUSDT", second, third)
    assert sum(parts) == market.traded("AUSDT", first, third)
    assert min(parts) >= 0
    assert market.traded("AUSDT", third, first) == 0
