"""Reading the venue's rules, and the smallest, largest and dearest order that they allow."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from etf_trader.exchange.refusal import ExchangeError
from etf_trader.exchange.rules import SymbolRules
from etf_trader.exchange.static import symbol_row
from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.money import money_context

D = Decimal
ZERO = D(0)
NO_BAND = (ZERO, ZERO)

PRICE = {"filterType": "PRICE_FILTER", "minPrice": "0.00000100", "maxPrice": "1000.00", "tickSize": "0.00000100"}
LOT = {"filterType": "LOT_SIZE", "minQty": "0.10000000", "maxQty": "9000000.00", "stepSize": "0.10000000"}


def make_row(*filters: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    row = {"symbol": "DENTUSDT", "status": "TRADING", "baseAsset": "DENT", "quoteAsset": "USDT"}
    return row | {"filters": [PRICE, LOT, *filters]} | changes


def read(row: Mapping[str, Any]) -> SymbolRule:
    return SymbolRule.from_exchange_info(row, maker_fee=D("0.0002"), taker_fee=D("0.001"))


def make_rule(**changes: str) -> SymbolRule:
    return read(symbol_row("AUSDT", "A", "USDT", **changes))


def test_a_row_of_todays_shape_is_read_whole() -> None:
    rule = read(symbol_row("BTCUSDT", "BTC", "USDT", step="0.00001", min_quantity="0.00002", up="1.5", down="0.7"))
    assert rule == SymbolRule(
        symbol="BTCUSDT",
        base="BTC",
        quote="USDT",
        status="TRADING",
        tick=D("0.01"),
        min_price=D("0.01"),
        max_price=D(1_000_000),
        step=D("0.00001"),
        min_quantity=D("0.00002"),
        max_quantity=D(9_000_000),
        min_notional=D(5),
        max_notional=D(9_000_000),
        bid_band=(D("0.7"), D("1.5")),
        ask_band=(D("0.7"), D("1.5")),
        base_quantum=D("1e-8"),
        quote_quantum=D("1e-8"),
        maker_fee=D("0.0002"),
        taker_fee=D("0.001"),
    )


NOTIONAL = {"filterType": "NOTIONAL", "minNotional": "5.00000000", "maxNotional": "9000000.00000000"}
MIN_NOTIONAL = {"filterType": "MIN_NOTIONAL", "minNotional": "10.00000000", "applyToMarket": True}
BY_SIDE = {
    "filterType": "PERCENT_PRICE_BY_SIDE",
    "bidMultiplierUp": "1.1",
    "bidMultiplierDown": "0.2",
    "askMultiplierUp": "5",
    "askMultiplierDown": "0.9",
}
PERCENT_PRICE = {"filterType": "PERCENT_PRICE", "multiplierUp": "2", "multiplierDown": "0.5", "avgPriceMins": 5}


@pytest.mark.parametrize(
    ("filters", "notional", "bid_band", "ask_band"),
    [
        pytest.param((), (ZERO, ZERO), NO_BAND, NO_BAND, id="neither a least order nor a band"),
        pytest.param((NOTIONAL,), (D(5), D(9_000_000)), NO_BAND, NO_BAND, id="NOTIONAL"),
        pytest.param((MIN_NOTIONAL,), (D(10), ZERO), NO_BAND, NO_BAND, id="MIN_NOTIONAL, the older name"),
        pytest.param((MIN_NOTIONAL, NOTIONAL), (D(5), D(9_000_000)), NO_BAND, NO_BAND, id="both: NOTIONAL holds"),
        pytest.param((BY_SIDE,), (ZERO, ZERO), (D("0.2"), D("1.1")), (D("0.9"), D(5)), id="PERCENT_PRICE_BY_SIDE"),
        pytest.param(
            (PERCENT_PRICE,),
            (ZERO, ZERO),
            (D("0.5"), D(2)),
            (D("0.5"), D(2)),
            id="PERCENT_PRICE, one band for both sides",
        ),
        pytest.param(
            (PERCENT_PRICE, BY_SIDE),
            (ZERO, ZERO),
            (D("0.2"), D("1.1")),
            (D("0.9"), D(5)),
            id="both: by side holds",
        ),
        pytest.param(
            ({"filterType": "TRAILING_DELTA", "minTrailingAboveDelta": 10},),
            (ZERO, ZERO),
            NO_BAND,
            NO_BAND,
            id="a filter that no limit order can break",
        ),
    ],
)
def test_filters_of_every_shape_are_read(
    filters: tuple[Mapping[str, Any], ...],
    notional: tuple[Decimal, Decimal],
    bid_band: tuple[Decimal, Decimal],
    ask_band: tuple[Decimal, Decimal],
) -> None:
    rule = read(make_row(*filters))
    assert (rule.min_notional, rule.max_notional) == notional
    assert (rule.bid_band, rule.ask_band) == (bid_band, ask_band)


def test_numbers_that_are_not_text_are_read_as_they_are_written() -> None:
    lot = {"filterType": "LOT_SIZE", "minQty": 0.1, "maxQty": 9000, "stepSize": 0.1}
    rule = read(make_row(lot))
    assert (rule.step, rule.min_quantity, rule.max_quantity) == (D("0.1"), D("0.1"), D(9000))


def test_what_a_row_leaves_out_has_the_venues_defaults() -> None:
    rule = read(make_row())
    assert (rule.base_quantum, rule.quote_quantum) == (D("1e-8"), D("1e-8"))
    assert rule.is_trading
    counted = read(
        make_row(
            baseCommissionPrecision=2,
            quoteCommissionPrecision=4,
            status="BREAK",
        )
    )
    assert (counted.base_quantum, counted.quote_quantum) == (D("0.01"), D("0.0001"))
    assert not counted.is_trading
    # The fee is counted in what is received: base for a buy, quote for a sell.
    assert (counted.fee_quantum(Side.BUY), counted.fee_quantum(Side.SELL)) == (D("0.01"), D("0.0001"))


@pytest.mark.parametrize(
    ("changes", "price", "least"),
    [
        pytest.param({}, "100", "0.05", id="5 USDT at 100 are .05 exactly"),
        pytest.param({}, "99", "0.06", id="5 at 99 are .0505..., one lot more"),
        pytest.param({}, "600", "0.01", id="5 at 600 are .008: the least quantity holds"),
        pytest.param({"step": "1", "min_quantity": "1"}, "0.3", "17", id="5 at .3 are 16.66..., lots of 1"),
        pytest.param({"min_notional": "0"}, "0.01", "0.01", id="no least order: the least quantity"),
        pytest.param({"min_notional": "0", "min_quantity": "0"}, "7", "0.01", id="no least quantity: one step"),
        pytest.param({"min_notional": "0", "min_quantity": "0.015"}, "7", "0.02", id="a minimum between steps"),
        pytest.param(
            {"step": "0.001", "min_quantity": "0.25"}, "21", "0.25", id="5 at 21 are .238..., minimum .25"
        ),
        pytest.param({}, "0", "0.01", id="no price: the least order says nothing"),
    ],
)
def test_the_least_quantity_is_worth_the_least_order_in_whole_lots(
    changes: dict[str, str], price: str, least: str
) -> None:
    assert make_rule(**changes).least_quantity(D(price)) == D(least)


@pytest.mark.parametrize(
    ("max_quantity", "max_notional", "price", "most"),
    [
        pytest.param("50", "9000000", "100", "50", id="the largest quantity holds"),
        pytest.param("50.005", "9000000", "100", "50", id="down to whole lots"),
        pytest.param("50", "1000", "100", "10", id="1,000 at 100 are 10 exactly"),
        pytest.param("50", "1000", "33", "30.30", id="1,000 at 33 are 30.303..., whole lots"),
        pytest.param("50", "0", "33", "50", id="no largest notional"),
        pytest.param("50", "1000", "0", "50", id="no price: the notional says nothing"),
        pytest.param("0", "1000", "100", "10", id="no largest quantity"),
        pytest.param("0", "0", "100", "0", id="no bound at all"),
    ],
)
def test_the_most_quantity_keeps_the_largest_quantity_and_notional(
    max_quantity: str, max_notional: str, price: str, most: str
) -> None:
    rule = replace(make_rule(max_quantity=max_quantity), max_notional=D(max_notional))
    assert rule.most_quantity(D(price)) == D(most)


@pytest.mark.parametrize(
    ("quantity", "largest", "count"),
    [("0", "50", 0), ("50", "50", 1), ("50.01", "50", 2), ("7", "0", 1)],
    ids=["nothing", "the largest order", "a lot more", "no bound"],
)
def test_a_quantity_beyond_the_largest_order_makes_several(quantity: str, largest: str, count: int) -> None:
    rule = replace(make_rule(max_quantity=largest), max_notional=D(0))
    assert rule.order_count(D(quantity), D(33)) == count


@pytest.mark.parametrize(
    ("side", "last", "quantity", "ticks"),
    [
        # at 100: a buy up to 110, a sell down to 90; ticks of 0.01, a least notional of 5
        pytest.param(Side.BUY, "100", "1", 5, id="as many as are wished for"),
        pytest.param(Side.BUY, "109.98", "1", 2, id="up to the band"),
        pytest.param(Side.BUY, "110.01", "1", 0, id="the last level is beyond the band"),
        pytest.param(Side.SELL, "90.03", "1", 3, id="down to the band"),
        pytest.param(Side.SELL, "100.01", "0.05", 1, id="down to the least notional"),
    ],
)
def test_slack_ends_where_the_venue_accepts_no_more(side: Side, last: str, quantity: str, ticks: int) -> None:
    band = (D("0.9"), D("1.1"))
    rule = replace(make_rule(), bid_band=band, ask_band=band)
    assert (rule.tick, rule.min_notional) == (D("0.01"), D(5))
    assert rule.ticks_beyond(side, D(100), D(last), D(quantity), 5) == ticks


def test_a_venue_without_ticks_has_no_slack() -> None:
    rule = replace(make_rule(), tick=ZERO)
    assert rule.ticks_beyond(Side.BUY, D(100), D(100), D(1), 5) == 0


@pytest.mark.parametrize(
    ("side", "bounds"),
    [(Side.BUY, ("20", "110")), (Side.SELL, ("90", "500"))],
    ids=["a buy by the bid band", "a sell by the ask band"],
)
def test_price_bounds_are_the_band_of_the_side(side: Side, bounds: tuple[str, str]) -> None:
    rule = read(make_row(BY_SIDE))
    assert rule.price_bounds(side, D(100)) == (D(bounds[0]), D(bounds[1]))


@pytest.mark.parametrize(
    ("changes", "bounds"),
    [
        pytest.param({"min_price": "30"}, ("30", "150"), id="the lowest price is above the band's"),
        pytest.param({"max_price": "120"}, ("20", "120"), id="the highest price is below the band's"),
        pytest.param({"max_price": "0"}, ("20", "150"), id="no highest price"),
        pytest.param({"min_price": "0"}, ("20", "150"), id="no lowest price"),
        pytest.param({"up": "0", "down": "0"}, ("0.01", "1000000"), id="no band: the price filter alone"),
    ],
)
def test_price_bounds_are_the_narrower_of_band_and_price_filter(
    changes: dict[str, str], bounds: tuple[str, str]
) -> None:
    rule = make_rule(**({"up": "1.5", "down": "0.2"} | changes))
    low, high = rule.price_bounds(Side.BUY, D(100))
    assert (low, high) == (D(bounds[0]), D(bounds[1]))


# What our reading of the rules says is held against the exchange's own, which shares no code with it.


@st.composite
def rows(draw: st.DrawFn) -> tuple[dict[str, Any], Decimal]:
    """Draw a symbol and a price on its tick."""
    step = draw(st.sampled_from(("0.00001", "0.001", "0.01", "0.1", "1", "10")))
    tick = draw(st.sampled_from(("0.0001", "0.01", "1")))
    row = symbol_row(
        "AUSDT",
        "A",
        "USDT",
        step=step,
        tick=tick,
        min_price="0",
        max_price="0",
        up="0",
        down="0",
        min_quantity=str(D(step) * draw(st.integers(0, 50))),
        max_quantity=str(D(step) * draw(st.integers(10**5, 10**9))),
        min_notional=draw(st.sampled_from(("0", "1", "5", "10", "7.77"))),
    )
    amounts = next(each for each in row["filters"] if each["filterType"] == "NOTIONAL")
    amounts["maxNotional"] = draw(st.sampled_from(("0", "9000000", "12345.6")))
    return row, D(tick) * draw(st.integers(1, 10**6))


def is_accepted(row: Mapping[str, Any], price: Decimal, quantity: Decimal) -> bool:
    try:
        SymbolRules.from_row(row).check("BUY", price, quantity, None)
    except ExchangeError:
        return False
    return True


@given(rows())
def test_the_exchange_accepts_the_least_quantity_and_refuses_a_step_less(
    drawn: tuple[dict[str, Any], Decimal],
) -> None:
    row, price = drawn
    with money_context():
        rule = read(row)
        least = rule.least_quantity(price)
        assume(least <= rule.most_quantity(price))
        assert is_accepted(row, price, least)
        assert not is_accepted(row, price, least - rule.step)


@given(rows())
def test_the_exchange_accepts_the_most_quantity_and_refuses_a_step_more(
    drawn: tuple[dict[str, Any], Decimal],
) -> None:
    row, price = drawn
    with money_context():
        rule = read(row)
        most = rule.most_quantity(price)
        assume(rule.least_quantity(price) <= most)
        assert is_accepted(row, price, most)
        assert not is_accepted(row, price, most + rule.step)


@given(rows(), st.integers(1, 10**6), st.sampled_from(list(Side)))
def test_the_exchange_accepts_exactly_the_prices_within_the_bounds(
    drawn: tuple[dict[str, Any], Decimal], ticks: int, side: Side
) -> None:
    row, reference = drawn
    with money_context():
        band = next(each for each in row["filters"] if each["filterType"] == "PERCENT_PRICE_BY_SIDE")
        band |= {"bidMultiplierUp": "1.3", "bidMultiplierDown": "0.4", "askMultiplierUp": "3"}
        rule = read(row)
        low, high = rule.price_bounds(side, reference)
        price = rule.tick * ticks
        assume(price > 0)
        quantity = rule.least_quantity(price)
        assume(quantity <= rule.most_quantity(price))
        try:
            SymbolRules.from_row(row).check(side.name, price, quantity, reference)
        except ExchangeError as refusal:
            assert "PERCENT_PRICE_BY_SIDE" in refusal.message
            assert not low <= price <= high
        else:
            assert low <= price <= high


def test_a_side_has_a_sign() -> None:
    assert (Side.BUY.sign, Side.SELL.sign) == (1, -1)
