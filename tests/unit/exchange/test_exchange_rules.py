"""Filters, parameters, times, order counts and fees, each against figures worked out by hand."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etf_trader.exchange import filters, parameters, rules
from etf_trader.exchange.market import Depth, MarketBook
from etf_trader.exchange.parameters import Terms
from etf_trader.exchange.refusal import ExchangeError
from etf_trader.exchange.rules import ORDER_LIMITS, OrderLimit, SymbolRules
from etf_trader.exchange.static import symbol_row
from etf_trader.exchange.views import OrderRequest
from etf_trader.money import money_context

D = Decimal
NOON = datetime(2026, 3, 1, 12, 0, 7, tzinfo=UTC)
ROW = symbol_row("BTCUSDT", "BTC", "USDT", max_price="1000", max_quantity="50", up="1.2", down="0.8")
RULES = SymbolRules.from_row(ROW)


def request(**changes: Any) -> OrderRequest:
    return replace(
        OrderRequest(
            symbol="BTCUSDT",
            side="BUY",
            type="LIMIT",
            time_in_force="GTC",
            quantity=D("1"),
            price=D("100"),
            client_order_id="one",
            timestamp=NOON,
        ),
        **changes,
    )


@pytest.mark.parametrize(
    ("price", "quantity", "failure"),
    [
        pytest.param("100.00", "1.00", None, id="everything kept"),
        pytest.param("0.01", "1", "PERCENT_PRICE_BY_SIDE", id="the lowest price is far from the reference"),
        pytest.param("0", "1", "PRICE_FILTER", id="below the lowest price"),
        pytest.param("1000.01", "1", "PRICE_FILTER", id="above the highest price"),
        pytest.param("100.005", "1", "PRICE_FILTER", id="between two ticks"),
        pytest.param("80.00", "1", None, id="at the lower end of the band"),
        pytest.param("79.99", "1", "PERCENT_PRICE_BY_SIDE", id="below the band"),
        pytest.param("120.00", "1", None, id="at the upper end of the band"),
        pytest.param("120.01", "1", "PERCENT_PRICE_BY_SIDE", id="above the band"),
        pytest.param("100", "0", "LOT_SIZE", id="no quantity"),
        pytest.param("100", "50", None, id="the largest quantity"),
        pytest.param("100", "50.01", "LOT_SIZE", id="above the largest quantity"),
        pytest.param("100", "1.005", "LOT_SIZE", id="between two steps"),
        pytest.param("100", "0.05", None, id="exactly the least notional"),
        pytest.param("100", "0.04", "NOTIONAL", id="below the least notional"),
    ],
)
def test_an_order_is_held_against_each_filter(price: str, quantity: str, failure: str | None) -> None:
    with money_context():
        if failure is None:
            RULES.check("BUY", D(price), D(quantity), D(100))
            return
        with pytest.raises(ExchangeError) as refused:
            RULES.check("BUY", D(price), D(quantity), D(100))
    assert (refused.value.code, refused.value.message) == (-1013, f"Filter failure: {failure}")
    assert refused.value.http_status == 400


def test_the_bands_of_the_two_sides_differ() -> None:
    row = symbol_row("BTCUSDT", "BTC", "USDT")
    band = next(each for each in row["filters"] if each["filterType"] == "PERCENT_PRICE_BY_SIDE")
    band |= {
        "bidMultiplierDown": "0.9",
        "bidMultiplierUp": "1.1",
        "askMultiplierDown": "0.5",
        "askMultiplierUp": "2",
    }
    rule = SymbolRules.from_row(row)
    with money_context():
        rule.check("SELL", D(150), D(1), D(100))
        with pytest.raises(ExchangeError, match="PERCENT_PRICE_BY_SIDE"):
            rule.check("BUY", D(150), D(1), D(100))


def test_filters_of_the_older_names_bind_too() -> None:
    row = symbol_row("BTCUSDT", "BTC", "USDT")
    row["filters"] = [
        {"filterType": "PRICE_FILTER", "minPrice": "0", "maxPrice": "0", "tickSize": "0"},
        {"filterType": "LOT_SIZE", "minQty": "0", "maxQty": "0", "stepSize": "0"},
        {"filterType": "PERCENT_PRICE", "multiplierUp": "2", "multiplierDown": "0.5"},
        {"filterType": "MIN_NOTIONAL", "minNotional": "10"},
    ]
    rule = SymbolRules.from_row(row)
    assert rule.max_orders is None
    with money_context():
        rule.check("SELL", D("99.12345678"), D("1234567"), D(100))
        with pytest.raises(ExchangeError, match="Filter failure: PERCENT_PRICE "):
            rule.check("SELL", D(201), D(1), D(100))
        with pytest.raises(ExchangeError, match="Filter failure: MIN_NOTIONAL "):
            rule.check("SELL", D(100), D("0.09"), D(100))


def test_without_a_reference_there_is_no_band() -> None:
    with money_context():
        RULES.check("BUY", D("1.00"), D(50), None)


@pytest.mark.parametrize(
    ("price", "quantity", "parameter"),
    [("100", "1.000000001", "quantity"), ("100.000000001", "1", "price")],
)
def test_more_digits_than_the_asset_has_are_refused_before_any_filter(
    price: str, quantity: str, parameter: str
) -> None:
    with money_context(), pytest.raises(ExchangeError) as refused:
        RULES.check("BUY", D(price), D(quantity), D(100))
    assert (refused.value.code, refused.value.message) == (
        -1111,
        f"Parameter '{parameter}' has too much precision.",
    )


def test_zeros_at_the_end_are_no_precision() -> None:
    with money_context():
        RULES.check("BUY", D("100.0000000000"), D("1.000000000"), D(100))


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        ({"side": "buy"}, -1117, "Invalid side."),
        ({"type": "SLOW"}, -1116, "Invalid orderType."),
        ({"type": "MARKET"}, -1106, "Parameter 'timeInForce' sent when not required."),
        ({"type": "LIMIT_MAKER"}, -1106, "Parameter 'timeInForce' sent when not required."),
        ({"time_in_force": "GTX"}, -1115, "Invalid timeInForce."),
        (
            {"time_in_force": None},
            -1102,
            "Mandatory parameter 'timeInForce' was not sent, was empty/null, or malformed.",
        ),
        ({"price": None}, -1102, "Mandatory parameter 'price' was not sent, was empty/null, or malformed."),
        ({"quantity": None}, -1102, "Mandatory parameter 'quantity' was not sent, was empty/null, or malformed."),
        ({"quote_quantity": D(5)}, -1106, "Parameter 'quoteOrderQty' sent when not required."),
        ({"stop_price": D(5)}, -1106, "Parameter 'stopPrice' sent when not required."),
        (
            {"client_order_id": "a b"},
            -1100,
            "Illegal characters found in parameter 'newClientOrderId'; legal range is '^[a-zA-Z0-9-_]{1,36}$'.",
        ),
        ({"quantity": D(-1)}, -1100, None),
        ({"quantity": D("NaN")}, -1100, None),
        ({"price": D("Infinity")}, -1100, None),
        ({"price": D("1e20")}, -1100, None),
        ({"client_order_id": ""}, -1100, None),
        ({"client_order_id": "x" * 37}, -1100, None),
        ({"client_order_id": "x\n"}, -1100, None),
        ({"client_order_id": "é"}, -1100, None),
    ],
)
def test_bad_parameters_get_the_code_and_text_of_the_venue(
    changes: dict[str, Any], code: int, text: str | None
) -> None:
    with pytest.raises(ExchangeError) as refused:
        parameters.check_parameters(request(**changes))
    assert refused.value.code == code
    if text is not None:
        assert refused.value.message == text


def test_good_parameters_give_price_and_quantity() -> None:
    assert parameters.check_parameters(request(client_order_id="x-Y_9" + "z" * 31)) == Terms(D(100), D(1))


@pytest.mark.parametrize(
    ("late_ms", "window", "code"),
    [
        pytest.param(0, 5, None, id="now"),
        pytest.param(5000, 5, None, id="exactly as old as may be"),
        pytest.param(5001, 5, -1021, id="a millisecond too old"),
        pytest.param(-999, 5, None, id="almost a second ahead"),
        pytest.param(-1000, 5, -1021, id="a second ahead"),
        pytest.param(1500, 1.5, None, id="a window with a fraction"),
        pytest.param(1501, 1.5, -1021, id="beyond a window with a fraction"),
        pytest.param(0, 60, None, id="the longest window"),
        pytest.param(0, 60.001, -1131, id="a longer window"),
        pytest.param(0, 0, -1131, id="no window"),
        pytest.param(0, float("nan"), -1131, id="not a number"),
    ],
)
def test_a_request_is_taken_only_in_its_window(late_ms: int, window: float, code: int | None) -> None:
    sent = request(timestamp=NOON - timedelta(milliseconds=late_ms), recv_window=window)
    if code is None:
        parameters.check_time(sent, NOON)
        return
    with pytest.raises(ExchangeError) as refused:
        parameters.check_time(sent, NOON)
    assert refused.value.code == code


def test_a_symbol_that_does_not_trade_is_closed() -> None:
    filters.check_open(RULES, "LIMIT")
    with pytest.raises(ExchangeError, match=r"Market is closed\.") as refused:
        filters.check_open(replace(RULES, status="BREAK"), "LIMIT")
    assert refused.value.code == -2010


def test_windows_are_fixed_on_the_clock() -> None:
    ten_seconds, day = ORDER_LIMITS
    assert ten_seconds.window(NOON) == datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
    assert ten_seconds.ends(NOON) == datetime(2026, 3, 1, 12, 0, 10, tzinfo=UTC)
    assert ten_seconds.window(datetime(2026, 3, 1, 12, 0, 10, tzinfo=UTC)).second == 10
    assert day.window(NOON) == datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("limit", "text", "seconds"),
    [
        (OrderLimit("SECOND", 10, 10, 100), "current limit is 100 orders per 10 SECOND.", 3),
        (OrderLimit("DAY", 1, 86_400, 200_000), "current limit is 200000 orders per DAY.", 43_193),
    ],
)
def test_too_many_orders_say_how_long_to_wait(limit: OrderLimit, text: str, seconds: float) -> None:
    refused = rules.too_many_orders(limit, NOON)
    assert (refused.code, refused.http_status, refused.retry_after) == (-1015, 429, seconds)
    assert refused.message == f"Too many new orders; {text}"


def test_the_rate_limits_have_the_shape_of_exchange_info() -> None:
    limits = {
        (each["rateLimitType"], each["intervalNum"], each["interval"]): each["limit"]
        for each in rules.rate_limits()
    }
    assert limits == {
        ("REQUEST_WEIGHT", 1, "MINUTE"): 6000,
        ("ORDERS", 10, "SECOND"): 100,
        ("ORDERS", 1, "DAY"): 200_000,
        ("RAW_REQUESTS", 5, "MINUTE"): 300_000,
    }


@pytest.mark.parametrize(
    ("bids", "asks", "reference"),
    [
        ((("99", "1"),), (("102", "1"),), D("100.5")),
        ((("99", "1"),), (), D(99)),
        ((), (("102", "1"),), D(102)),
        ((), (), None),
    ],
    ids=["mid", "only bids", "only asks", "empty"],
)
def test_the_reference_is_the_mid(
    bids: tuple[tuple[str, str], ...], asks: tuple[tuple[str, str], ...], reference: Decimal | None
) -> None:
    book = MarketBook(
        tuple(Depth(D(p), D(q)) for p, q in bids), tuple(Depth(D(p), D(q)) for p, q in asks), 1, True
    )
    with money_context():
        assert rules.reference_price(book) == reference


@pytest.mark.parametrize(
    ("side", "received", "rate", "fee"),
    [
        pytest.param("BUY", "1", "0.001", "0.001", id="exact"),
        pytest.param("BUY", "0.000015", "0.001", "0.00000002", id="half goes up"),
        pytest.param("BUY", "0.000014", "0.001", "0.00000001", id="less goes down"),
        pytest.param("BUY", "0.000004", "0.001", "0", id="to nothing"),
        pytest.param("SELL", "123.456", "0.001", "0.12", id="quote has a grid of its own"),
        pytest.param("SELL", "125", "0.001", "0.13", id="half goes up in quote"),
    ],
)
def test_fees_are_rounded_half_up_on_the_grid_of_what_is_received(
    side: str, received: str, rate: str, fee: str
) -> None:
    rule = SymbolRules.from_row(ROW | {"quoteCommissionPrecision": 2})
    with money_context():
        assert rule.commission(side, D(received), D(rate)) == D(fee)


def test_a_fee_never_exceeds_what_is_received() -> None:
    rule = SymbolRules.from_row(ROW | {"baseCommissionPrecision": 0})
    with money_context():
        assert rule.commission("BUY", D("0.6"), D("0.9")) == D("0.6")


amounts = st.decimals("0", "1000000", places=9)


@settings(deadline=None)
@given(amounts, st.sampled_from(["1", "0.1", "0.01", "0.00000001"]))
def test_half_up_is_within_half_a_step_and_on_the_grid(value: Decimal, quantum: str) -> None:
    with money_context():
        rounded = rules.half_up(value, D(quantum))
        assert rounded % D(quantum) == 0
        assert -D(quantum) <= 2 * (value - rounded) < D(quantum)


def test_a_symbol_shows_the_orders_and_modes_that_are_taken_in_it() -> None:
    changes = {"orderTypes": ["LIMIT", "MARKET"], "defaultSelfTradePreventionMode": "NONE"}
    allowed = {"allowedSelfTradePreventionModes": ["NONE", "EXPIRE_MAKER", "EXPIRE_TAKER", "TRANSFER"]}
    odd = SymbolRules.from_row(ROW | changes | allowed)
    shown = odd.info(ROW | changes | allowed)
    assert shown["orderTypes"] == ["LIMIT", "MARKET"]
    assert shown["defaultSelfTradePreventionMode"] == "EXPIRE_MAKER"
    assert shown["allowedSelfTradePreventionModes"] == ["EXPIRE_TAKER", "EXPIRE_MAKER"]
    assert shown["filters"] == ROW["filters"]
    with pytest.raises(ExchangeError) as refused:
        filters.check_open(odd, "LIMIT_MAKER")
    assert refused.value.code == -1116
    assert (odd.mode(None), odd.mode("EXPIRE_TAKER")) == ("EXPIRE_MAKER", "EXPIRE_TAKER")
    for mode in ("NONE", "TRANSFER", "DECREMENT", "nonsense"):
        with pytest.raises(
            ExchangeError, match="does not allow the specified self-trade prevention mode"
        ) as refused:
            odd.mode(mode)
        assert refused.value.code == -1013


def test_a_row_that_names_no_orders_or_modes_takes_all_of_them() -> None:
    bare = {key: value for key, value in ROW.items() if "SelfTrade" not in key and key != "orderTypes"}
    assert SymbolRules.from_row(bare) == RULES


@given(st.integers(0, 1000), st.integers(), st.integers(1, 10**12))
def test_a_credit_comes_within_its_delay_and_at_the_same_time_again(most: int, seed: int, order_id: int) -> None:
    delay = rules.credit_delay(most, seed, order_id)
    assert timedelta(0) <= delay <= timedelta(milliseconds=most)
    assert rules.credit_delay(most, seed, order_id) == delay


def test_credit_delays_differ_among_orders_and_seeds() -> None:
    drawn = [rules.credit_delay(800, 1, number).total_seconds() for number in range(1000)]
    assert 0.35 < sum(drawn) / 1000 < 0.45
    assert len(set(drawn)) > 500
    assert drawn != [rules.credit_delay(800, 2, number).total_seconds() for number in range(1000)]
