"""Every filter of a symbol against figures worked out by hand, and against another way to say the same."""

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from etf_trader.exchange import filters
from etf_trader.exchange.matching import Order, Range
from etf_trader.exchange.parameters import Terms
from etf_trader.exchange.refusal import ExchangeError
from etf_trader.exchange.rules import SymbolRules
from etf_trader.exchange.static import symbol_row
from etf_trader.money import money_context

D = Decimal
HUNDRED = D(100)
Entry = dict[str, Any]


def row_of(*entries: Entry, **changes: Any) -> Entry:
    """Return a row that has the given filters alone."""
    return symbol_row("BTCUSDT", "BTC", "USDT") | {"filters": list(entries)} | changes


def failure(
    row: Entry, terms: Terms, side: str = "BUY", kind: str = "LIMIT", reference: Decimal | None = HUNDRED
) -> str | None:
    """Return the text of the refusal of an order, or None where it passes."""
    with money_context():
        try:
            filters.check(SymbolRules.from_row(row), side, kind, terms, lambda minutes: reference)
        except ExchangeError as refused:
            return refused.message
    return None


def price_filter(low: str, high: str, tick: str) -> Entry:
    return {"filterType": "PRICE_FILTER", "minPrice": low, "maxPrice": high, "tickSize": tick}


def lot(name: str, low: str, high: str, step: str) -> Entry:
    return {"filterType": name, "minQty": low, "maxQty": high, "stepSize": step}


MIN_NOTIONAL = {"filterType": "MIN_NOTIONAL", "minNotional": "10", "avgPriceMins": 5}
NOTIONAL = {"filterType": "NOTIONAL", "minNotional": "10", "maxNotional": "1000", "avgPriceMins": 5}


@pytest.mark.parametrize(
    ("entry", "price", "passes"),
    [
        (price_filter("0", "10", "0.1"), "0.1", True),
        (price_filter("0", "10", "0.1"), "10.1", False),
        (price_filter("1", "0", "0.1"), "0.9", False),
        (price_filter("1", "0", "0.1"), "99999.9", True),
        (price_filter("1", "10", "0"), "1.2345", True),
        (price_filter("0.05", "10", "0.1"), "0.1", True),  # no offset by the least price
        (price_filter("0.05", "10", "0.1"), "0.15", False),
        (price_filter("0", "0", "0"), "12345.678", True),
    ],
)
def test_a_bound_or_a_tick_of_zero_is_none(entry: Entry, price: str, passes: bool) -> None:
    assert failure(row_of(entry), Terms(D(price), D(1))) == (None if passes else "Filter failure: PRICE_FILTER")


@pytest.mark.parametrize(
    ("name", "notional", "applies", "quantity", "passes"),
    [
        ("applyToMarket", MIN_NOTIONAL, True, "0.09", False),
        ("applyToMarket", MIN_NOTIONAL, True, "0.1", True),
        ("applyToMarket", MIN_NOTIONAL, False, "0.09", True),
        ("applyMinToMarket", NOTIONAL, True, "0.09", False),
        ("applyMinToMarket", NOTIONAL, False, "0.09", True),
        ("applyMaxToMarket", NOTIONAL, True, "10.01", False),
        ("applyMaxToMarket", NOTIONAL, True, "10", True),
        ("applyMaxToMarket", NOTIONAL, False, "10.01", True),
    ],
)
def test_the_value_of_a_market_order_is_checked_at_the_reference_where_that_applies(
    name: str, notional: Entry, applies: bool, quantity: str, passes: bool
) -> None:
    row = row_of(notional | {name: applies})
    expected = None if passes else f"Filter failure: {notional['filterType']}"
    assert failure(row, Terms(D(0), D(quantity)), kind="MARKET") == expected
    assert failure(row, Terms(D(0), D(quantity)), kind="MARKET", reference=None) is None


@pytest.mark.parametrize(
    ("quantity", "text"),
    [
        ("0.3", None),
        ("0.2", "Filter failure: MARKET_LOT_SIZE"),
        ("5", None),
        ("5.1", "Filter failure: MARKET_LOT_SIZE"),
        ("0.35", "Filter failure: LOT_SIZE"),
        ("9.1", "Filter failure: LOT_SIZE"),
        ("0", "Filter failure: LOT_SIZE"),
    ],
)
def test_both_lots_bind_a_market_order(quantity: str, text: str | None) -> None:
    row = row_of(lot("LOT_SIZE", "0.1", "9", "0.1"), lot("MARKET_LOT_SIZE", "0.3", "5", "0"))
    assert failure(row, Terms(D(0), D(quantity)), kind="MARKET") == text
    if text is None or "MARKET" in text:
        assert failure(row, Terms(D(1), D(quantity))) is None, "the second is not for others"
        assert failure(row, Terms(D(0), D(quantity), stop_price=D(1)), kind="STOP_LOSS") is None


@pytest.mark.parametrize(
    ("kind", "side", "bound"),
    [
        ("STOP_LOSS", "BUY", "above"),
        ("STOP_LOSS_LIMIT", "BUY", "above"),
        ("TAKE_PROFIT", "SELL", "above"),
        ("TAKE_PROFIT_LIMIT", "SELL", "above"),
        ("STOP_LOSS", "SELL", "below"),
        ("STOP_LOSS_LIMIT", "SELL", "below"),
        ("TAKE_PROFIT", "BUY", "below"),
        ("TAKE_PROFIT_LIMIT", "BUY", "below"),
    ],
)
def test_the_delta_of_a_trailing_order_has_the_bounds_of_its_side(kind: str, side: str, bound: str) -> None:
    entry = {
        "filterType": "TRAILING_DELTA",
        "minTrailingAboveDelta": 10,
        "maxTrailingAboveDelta": 20,
        "minTrailingBelowDelta": 30,
        "maxTrailingBelowDelta": 40,
    }
    low, high = (10, 20) if bound == "above" else (30, 40)
    for delta in (low - 1, low, high, high + 1):
        terms = Terms(D(1 if "LIMIT" in kind else 0), D(1), trailing_delta=delta)
        expected = None if low <= delta <= high else "Filter failure: TRAILING_DELTA"
        assert failure(row_of(entry), terms, side, kind) == expected


@pytest.mark.parametrize(
    ("flag", "kind", "terms", "text"),
    [
        (
            "icebergAllowed",
            "LIMIT",
            Terms(D(1), D(2), iceberg_quantity=D(1)),
            "Iceberg orders are not supported for this symbol.",
        ),
        (
            "quoteOrderQtyMarketAllowed",
            "MARKET",
            Terms(D(0), D(0), quote_quantity=D(50)),
            "Quote order qty market orders are not support for this symbol.",
        ),
        (
            "allowTrailingStop",
            "STOP_LOSS",
            Terms(D(0), D(2), trailing_delta=100),
            "Trailing stop orders are not supported for this symbol.",
        ),
    ],
)
def test_what_a_symbol_does_not_allow_is_refused(flag: str, kind: str, terms: Terms, text: str) -> None:
    assert failure(row_of(**{flag: False}), terms, kind=kind) == text
    assert failure(row_of(**{flag: True}), terms, kind=kind) is None
    assert failure(row_of(), terms, kind=kind) is None


def test_an_order_for_nothing_is_refused_where_no_filter_does() -> None:
    assert failure(row_of(), Terms(D(0), D(1))) == "Price * QTY is zero or less."
    assert failure(row_of(), Terms(D(1), D(0))) == "Price * QTY is zero or less."


def test_the_reference_is_asked_for_over_the_minutes_of_its_filter() -> None:
    band = {"filterType": "PERCENT_PRICE", "multiplierUp": "2", "multiplierDown": "0.5", "avgPriceMins": 3}
    asked: list[int] = []

    def reference(minutes: int) -> Decimal:
        asked.append(minutes)
        return D(100)

    rules = SymbolRules.from_row(row_of(band, NOTIONAL | {"avgPriceMins": 7, "applyMinToMarket": True}))
    with money_context():
        filters.check(rules, "BUY", "LIMIT", Terms(D(100), D(1)), reference)
        filters.check(rules, "BUY", "MARKET", Terms(D(0), D(1)), reference)
    assert asked == [3, 7]


def test_the_range_of_execution_is_that_of_the_side() -> None:
    rule = {
        "ruleType": "PRICE_RANGE",
        "bidMultiplierUp": "1.1",
        "bidMultiplierDown": "0.5",
        "askMultiplierUp": "2",
        "askMultiplierDown": "0.9",
    }
    rules = SymbolRules.from_row(row_of(executionRules=[rule]))
    assert filters.execution_range(rules, "BUY", lambda minutes: D(100)) == Range(D(50), D(110))
    assert filters.execution_range(rules, "SELL", lambda minutes: D(100)) == Range(D(90), D(200))
    assert filters.execution_range(rules, "SELL", lambda minutes: None) is None
    assert filters.execution_range(SymbolRules.from_row(row_of()), "BUY", lambda minutes: D(100)) is None
    assert "executionRules" not in rules.info(row_of(executionRules=[rule]))


def test_a_position_counts_what_is_held_and_what_is_bought() -> None:
    rules = SymbolRules.from_row(row_of({"filterType": "MAX_POSITION", "maxPosition": "10"}))
    filters.check_position(rules, D(3), D(4), D(3))
    with pytest.raises(ExchangeError, match="MAX_POSITION"):
        filters.check_position(rules, D(3), D(4), D("3.01"))
    filters.check_position(SymbolRules.from_row(row_of()), D(3), D(4), D(9))


@pytest.mark.parametrize(
    ("name", "key", "kind", "counts"),
    [
        ("EXCHANGE_MAX_NUM_ORDERS", "maxNumOrders", "LIMIT", (3, 0, 0)),
        ("EXCHANGE_MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders", "STOP_LOSS", (9, 3, 0)),
        ("EXCHANGE_MAX_NUM_ICEBERG_ORDERS", "maxNumIcebergOrders", "LIMIT", (9, 0, 3)),
    ],
)
def test_so_many_orders_may_be_open_on_the_exchange(
    name: str, key: str, kind: str, counts: tuple[int, int, int]
) -> None:
    iceberg = D(1) if "ICEBERG" in name else None
    for most, passes in ((3, False), (4, True)):
        entries, terms = [{"filterType": name, key: most}], Terms(D(1), D(2), iceberg_quantity=iceberg)
        if passes:
            filters.check_exchange_counts(entries, kind, terms, lambda: counts)
            continue
        with pytest.raises(ExchangeError) as refused:
            filters.check_exchange_counts(entries, kind, terms, lambda: counts)
        assert refused.value.message == f"Filter failure: {name}"
        if name != "EXCHANGE_MAX_NUM_ORDERS":
            filters.check_exchange_counts(entries, "LIMIT", Terms(D(1), D(2)), lambda: counts)


def order(number: int, **changes: Any) -> Order:
    return Order(number, "one", "BUY", D(1), D(1), **changes)


def test_orders_that_wait_and_icebergs_are_counted_by_themselves() -> None:
    rules = SymbolRules.from_row(
        row_of(
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 4},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 1},
            {"filterType": "MAX_NUM_ICEBERG_ORDERS", "maxNumIcebergOrders": 1},
        )
    )
    plain, part = Terms(D(1), D(2)), Terms(D(1), D(2), iceberg_quantity=D(1))
    standing = [order(1), order(2, type="STOP_LOSS_LIMIT"), order(3, iceberg_quantity=D(1))]
    filters.check_counts(rules, "LIMIT", plain, standing)
    filters.check_counts(rules, "STOP_LOSS", plain, standing[::2])
    filters.check_counts(rules, "LIMIT", part, standing[:2])
    for kind, terms, here, name in (
        ("STOP_LOSS", plain, standing, "MAX_NUM_ALGO_ORDERS"),
        ("LIMIT", part, standing, "MAX_NUM_ICEBERG_ORDERS"),
        ("LIMIT", plain, [*standing, order(4)], "MAX_NUM_ORDERS"),
    ):
        with pytest.raises(ExchangeError) as refused:
            filters.check_counts(rules, kind, terms, here)
        assert refused.value.message == f"Filter failure: {name}"


quarters = st.integers(0, 16).map(lambda number: D(number) / 4)
least = st.sampled_from([D(0), D("0.01"), D("0.25"), D("0.25"), D("0.5"), D(1)])
most = st.sampled_from([D(0), D(2), D(3), D("3.5")])
some = st.fixed_dictionaries(
    dict.fromkeys(("low", "tick", "least", "step", "down", "value"), least)
    | dict.fromkeys(("high", "most", "up"), most)
)


@settings(max_examples=examples(300))
@given(
    some,
    st.sampled_from(["BUY", "SELL"]),
    quarters,
    quarters,
    st.sampled_from(["LIMIT", "LIMIT", "MARKET"]),
    st.just(D(0)) | quarters,
)
def test_an_order_passes_just_when_every_filter_by_itself_would_let_it(
    bounds: dict[str, Decimal], side: str, price: Decimal, quantity: Decimal, kind: str, part: Decimal
) -> None:
    """The same rules once more, in fractions and without a common path."""
    b = {name: Fraction(value) for name, value in bounds.items()}
    row = row_of(
        price_filter(*(str(bounds[name]) for name in ("low", "high", "tick"))),
        lot("LOT_SIZE", *(str(bounds[name]) for name in ("least", "most", "step"))),
        lot("MARKET_LOT_SIZE", "0", str(bounds["most"] / 2), str(bounds["step"])),
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": str(bounds["up"]),
            "bidMultiplierDown": str(bounds["down"]),
            "askMultiplierUp": str(bounds["up"] * 2),
            "askMultiplierDown": str(bounds["down"] / 2),
            "avgPriceMins": 5,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": str(bounds["value"]),
            "applyMinToMarket": True,
            "maxNotional": "6",
        },
        {"filterType": "ICEBERG_PARTS", "limit": 3},
    )
    p, q, i = Fraction(price), Fraction(quantity), Fraction(part)
    in_lot = [
        all((x >= b["least"], not b["most"] or x <= b["most"], not b["step"] or (x / b["step"]).denominator == 1))
        for x in (q, i)
    ]
    if kind == "MARKET":
        keeps = q > 0 and in_lot[0] and (not b["most"] or q <= b["most"] / 2) and 2 * q >= b["value"]
        terms = Terms(D(0), quantity)
    else:
        scale = 1 if side == "BUY" else 2
        up = b["up"] * 2 * scale
        keeps = all(
            (
                p > 0,
                q > 0,
                p >= b["low"],
                not b["high"] or p <= b["high"],
                not b["tick"] or (p / b["tick"]).denominator == 1,
                p >= b["down"] * 2 / scale,
                not up or p <= up,
                in_lot[0],
                b["value"] <= p * q <= 6,
                not i or (i <= q and in_lot[1] and math.ceil(q / i) <= 3),
            )
        )
        terms = Terms(price, quantity, iceberg_quantity=part or None)
    assert (failure(row, terms, side, kind, D(2)) is None) == keeps
