"""What the venue holds beside the books, what trades explain of it, and when it is time to look again."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.factories import make_market

from etf_trader.execution.comparison import (
    Gap,
    Missing,
    Whose,
    compare_balances,
    due,
    explanation,
    moved_by,
    symbols_of_gaps,
    unexplained,
    wider_symbols,
)
from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.money import ZERO
from etf_trader.orders.asset_order import client_order_id, incarnation_of
from etf_trader.venue.interface import Trade, VenueBalance

D = Decimal
NOW = datetime(2026, 1, 1, tzinfo=UTC)

RULES = {
    row["symbol"]: SymbolRule.from_exchange_info(row, maker_fee=ZERO, taker_fee=ZERO)
    for row in make_market({asset: ([("9", "1")], [("10", "1")]) for asset in ("A", "B", "C")}).symbols()
}


def make_trade(side: Side = Side.BUY, quantity: str = "2", fee: str = "0.002", fee_asset: str = "A") -> Trade:
    return Trade("AUSDT", 7, 3, side, D(10), D(quantity), D(10) * D(quantity), D(fee), fee_asset, False, NOW)


def make_missing(trade: Trade | None = None) -> Missing:
    return Missing(trade or make_trade(), "by-hand", Whose.FOREIGN)


def test_free_and_locked_count_together_and_what_is_nowhere_is_zero() -> None:
    held = {"A": VenueBalance(D(1), D(2)), "B": VenueBalance(D(5), ZERO)}
    assert compare_balances(held, {"A": D(3), "C": D(4)}) == [Gap("B", D(5), ZERO), Gap("C", ZERO, D(4))]


@given(
    st.dictionaries(st.sampled_from("ABCD"), st.decimals(0, 100, places=8)),
    st.dictionaries(st.sampled_from("ABCD"), st.decimals(0, 100, places=8)),
)
def test_the_books_and_the_gaps_together_are_the_venue(venue: dict[str, D], books: dict[str, D]) -> None:
    gaps = compare_balances({asset: VenueBalance(amount, ZERO) for asset, amount in venue.items()}, books)
    mended = dict(books)
    for gap in gaps:
        mended[gap.asset] = mended.get(gap.asset, ZERO) + gap.amount
    assert {asset: amount for asset, amount in mended.items() if amount} == {
        asset: amount for asset, amount in venue.items() if amount
    }


@pytest.mark.parametrize(
    ("trade", "moved"),
    [
        (make_trade(), {"A": D("1.998"), "USDT": D(-20)}),
        (make_trade(Side.SELL, fee="0.02", fee_asset="USDT"), {"A": D(-2), "USDT": D("19.98")}),
        (make_trade(fee="0.1", fee_asset="BNB"), {"A": D(2), "USDT": D(-20), "BNB": D("-0.1")}),
    ],
    ids=["buy", "sell", "fee in another asset"],
)
def test_a_trade_moves_its_two_assets_and_its_fee(trade: Trade, moved: dict[str, D]) -> None:
    assert moved_by(trade, RULES["AUSDT"]) == moved


def test_trades_explain_what_they_moved_and_no_more() -> None:
    gap = Gap("A", D("12.998"), D(10))
    assert unexplained(gap, [make_missing()], RULES) == D(1)
    told = explanation(gap, [make_missing()], RULES, ["a note"])
    assert told == (
        "a note; order by-hand, which is not of these books, bought 2 AUSDT at 10 (trade 7, fee 0.002 A); "
        "that leaves 1 A that nothing explains"
    )
    assert explanation(Gap("B", D(1), ZERO), [make_missing()], RULES, []) == ""


def test_only_symbols_are_asked_for_whose_two_assets_differ_at_first() -> None:
    gaps = [Gap("A", D(1), ZERO), Gap("USDT", ZERO, D(1))]
    assert symbols_of_gaps(gaps, RULES) == ["AUSDT"]
    assert wider_symbols(gaps, RULES, ["BUSDT"]) == ["AUSDT", "BUSDT"]
    assert symbols_of_gaps(gaps[1:], RULES) == []


@pytest.mark.parametrize(
    ("last", "expected"),
    [(None, True), (NOW, False), (NOW - timedelta(seconds=299), False), (NOW - timedelta(seconds=300), True)],
    ids=["never", "just now", "a moment too early", "in time"],
)
def test_it_is_due_when_the_time_has_passed(last: datetime | None, expected: bool) -> None:
    assert due(last, NOW, 300) is expected


def test_a_clock_that_was_set_back_does_not_put_it_off() -> None:
    assert due(NOW + timedelta(hours=1), NOW, 300)


@pytest.mark.parametrize("name", ["by-hand", "etf-1-2", "etf-abcd-x-1", "x-abcd-1-1", "etf-abcd-1-1-1", ""])
def test_a_name_that_is_not_of_our_making_has_no_life(name: str) -> None:
    assert incarnation_of(name) is None


def test_our_names_tell_the_life_that_made_them() -> None:
    assert incarnation_of(client_order_id("0a1b2c3d", 12, 34)) == "0a1b2c3d"
