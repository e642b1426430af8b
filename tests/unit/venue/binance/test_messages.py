"""Binance's messages in our words, from examples of its documentation and as recorded."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_trader.market.book import Level
from etf_trader.market.symbol import Side
from etf_trader.venue.binance import messages
from etf_trader.venue.binance.client import Answer, milliseconds, moment
from etf_trader.venue.interface import LimitOrder, OrderCount, OrderKind, VenueBalance, VenueOrderStatus

D = Decimal
AT = datetime(2017, 7, 11, 6, 3, 1, 457_000, tzinfo=UTC)

FULL: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "orderId": 28,
    "orderListId": -1,
    "clientOrderId": "etf-a-1-1",
    "transactTime": 1507725176595,
    "price": "4000.00000000",
    "origQty": "10.00000000",
    "executedQty": "10.00000000",
    "origQuoteOrderQty": "0.000000",
    "cummulativeQuoteQty": "39998.00000000",
    "status": "FILLED",
    "timeInForce": "IOC",
    "type": "LIMIT",
    "side": "BUY",
    "workingTime": 1507725176595,
    "selfTradePreventionMode": "EXPIRE_MAKER",
    "fills": [
        {
            "price": "4000.00000000",
            "qty": "8.00000000",
            "commission": "0.00800000",
            "commissionAsset": "BTC",
            "tradeId": 56,
        },
        {
            "price": "3999.00000000",
            "qty": "2.00000000",
            "commission": "0.00200000",
            "commissionAsset": "BTC",
            "tradeId": 57,
        },
    ],
}
REPORT: dict[str, Any] = {
    "e": "executionReport",
    "E": 1499405658658,
    "s": "ETHBTC",
    "c": "mUvoqJxFIILMdfAW5iGSOW",
    "S": "BUY",
    "o": "LIMIT",
    "f": "GTC",
    "q": "1.00000000",
    "p": "0.10264410",
    "C": "",
    "x": "NEW",
    "X": "NEW",
    "r": "NONE",
    "i": 4293153,
    "l": "0.00000000",
    "z": "0.00000000",
    "L": "0.00000000",
    "n": "0",
    "N": None,
    "T": 1499405658657,
    "t": -1,
    "w": True,
    "m": False,
    "O": 1499405658657,
    "Z": "0.00000000",
    "Y": "0.00000000",
    "Q": "0.00000000",
    "V": "EXPIRE_MAKER",
}


def order(**changes: Any) -> LimitOrder:
    facts = {
        "symbol": "PEPEUSDT",
        "side": Side.SELL,
        "quantity": D("1E+6"),
        "price": D("0.00000120"),
        "client_order_id": "etf-a-1-1",
        "granted_at": AT,
        "window_seconds": 2,
    }
    return LimitOrder(**(facts | changes))


def test_an_order_is_written_plainly_and_dated_with_its_grant() -> None:
    assert messages.order_params(order(), "EXPIRE_MAKER") == {
        "symbol": "PEPEUSDT",
        "side": "SELL",
        "type": "LIMIT",
        "timeInForce": "IOC",
        "quantity": "1000000",
        "price": "0.0000012",
        "newClientOrderId": "etf-a-1-1",
        "newOrderRespType": "FULL",
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "timestamp": milliseconds(AT),
        "recvWindow": "2000",
    }


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        (OrderKind.IOC, ("LIMIT", "IOC")),
        (OrderKind.FOK, ("LIMIT", "FOK")),
        (OrderKind.POST_ONLY, ("LIMIT_MAKER", None)),
    ],
)
def test_each_kind_of_order_has_its_type(kind: OrderKind, wanted: tuple[str, str | None]) -> None:
    params = messages.order_params(order(kind=kind, window_seconds=0.5), None)
    assert (params["type"], params.get("timeInForce")) == wanted
    assert params["recvWindow"] == "500"


@given(st.datetimes(datetime(2017, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_an_order_is_never_dated_after_its_grant(at: datetime) -> None:
    written = moment(milliseconds(at))
    assert timedelta(0) <= at - written < timedelta(milliseconds=1)


def test_the_answer_to_an_order_tells_its_trades_and_counts() -> None:
    placed = messages.placed(
        Answer(FULL, {"x-mbx-order-count-10s": "3", "X-MBX-ORDER-COUNT-1D": "40", "X-Y": "z"})
    )
    assert placed.order.status is VenueOrderStatus.FILLED
    assert (placed.order.executed_quantity, placed.order.executed_value) == (D(10), D(39998))
    assert placed.trades is not None
    first, second = placed.trades
    assert (first.trade_id, first.price, first.quantity, first.value) == (56, D(4000), D(8), D(32000))
    assert (second.fee, second.fee_asset, second.is_maker) == (D("0.002"), "BTC", False)
    assert first.at == placed.order.at == moment(1507725176595)
    assert placed.counts == (OrderCount(10, 3), OrderCount(86_400, 40))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"cummulativeQuoteQty": "39997.99999999"}, id="the venue rounded the value"),
        pytest.param({"fills": FULL["fills"][:1]}, id="a trade is missing"),
        pytest.param({"fills": []}, id="none is told"),
    ],
)
def test_trades_that_do_not_add_up_are_not_told(changes: dict[str, Any]) -> None:
    assert messages.placed(Answer(FULL | changes, {})).trades is None


def test_a_cancels_answer_has_our_name_as_the_original_one() -> None:
    row = FULL | {"origClientOrderId": "ours", "clientOrderId": "the cancel's", "status": "CANCELED"}
    found = messages.venue_order(row)
    assert (found.client_order_id, found.status) == ("ours", VenueOrderStatus.CANCELLED)


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"status": "EXPIRED_IN_MATCH"}, VenueOrderStatus.EXPIRED, "EXPIRED_IN_MATCH"),
        (
            {"status": "EXPIRED", "expiryReason": "UNFILLED_IOC_QUANTITY_EXPIRED"},
            VenueOrderStatus.EXPIRED,
            "UNFILLED_IOC_QUANTITY_EXPIRED",
        ),
        ({"status": "PENDING_NEW"}, VenueOrderStatus.OPEN, None),
        ({"status": "REJECTED"}, VenueOrderStatus.REJECTED, None),
    ],
)
def test_an_order_ends_as_the_venue_says(
    changes: dict[str, Any], status: VenueOrderStatus, reason: str | None
) -> None:
    found = messages.venue_order(FULL | changes)
    assert (found.status, found.reason) == (status, reason)


def test_a_value_that_was_not_kept_is_nothing() -> None:
    assert messages.venue_order(FULL | {"cummulativeQuoteQty": "-1.00000000"}).executed_value == 0


def test_a_report_tells_the_order() -> None:
    found = messages.report(REPORT)
    assert found.trade is None
    assert (found.order.client_order_id, found.order.order_id) == ("mUvoqJxFIILMdfAW5iGSOW", 4293153)
    assert (found.order.status, found.order.side) == (VenueOrderStatus.OPEN, Side.BUY)


@pytest.mark.parametrize("original", ["", "null", None])
def test_a_report_without_an_original_name_has_its_own(original: str | None) -> None:
    assert messages.report(REPORT | {"C": original}).order.client_order_id == REPORT["c"]


def test_a_report_of_a_cancel_has_the_original_name() -> None:
    found = messages.report(REPORT | {"x": "CANCELED", "X": "CANCELED", "C": "ours"})
    assert (found.order.client_order_id, found.order.status) == ("ours", VenueOrderStatus.CANCELLED)


def test_a_report_of_a_trade_tells_it() -> None:
    event = REPORT | {
        "x": "TRADE",
        "X": "PARTIALLY_FILLED",
        "l": "0.4",
        "L": "0.1",
        "Y": "0.04",
        "z": "0.4",
        "Z": "0.04",
        "n": "0.0003",
        "N": "BNB",
        "t": 77,
        "m": True,
    }
    found = messages.report(event)
    assert found.trade is not None
    assert (found.trade.trade_id, found.trade.price, found.trade.quantity) == (77, D("0.1"), D("0.4"))
    assert (found.trade.value, found.trade.fee, found.trade.fee_asset) == (D("0.04"), D("0.0003"), "BNB")
    assert found.trade.is_maker


def test_limits_are_windows_of_seconds() -> None:
    rows = [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000},
        {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 200000},
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100},
        {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 300000},
    ]
    assert [(each.seconds, each.limit) for each in messages.order_limits(rows)] == [(10, 100), (86_400, 200_000)]
    assert messages.weight_limit(rows) == (60, 6000)
    assert messages.weight_limit([]) is None


def test_balances_leave_out_nothing_but_zeros() -> None:
    rows = [
        {"asset": "BTC", "free": "0.00000001", "locked": "0"},
        {"asset": "ETH", "free": "0.00000000", "locked": "1.0"},
        {"asset": "BNB", "free": "0.00000000", "locked": "0.00000000"},
    ]
    assert messages.balances(rows) == {"BTC": VenueBalance(D("1e-8"), D(0)), "ETH": VenueBalance(D(0), D(1))}


@pytest.mark.parametrize(("depth", "is_whole"), [(1, False), (2, False), (3, True)])
def test_a_book_is_whole_when_both_sides_have_less_than_was_asked(depth: int, is_whole: bool) -> None:
    row = {
        "lastUpdateId": 7,
        "bids": [["4", "431"], ["3", "1"]][:depth],
        "asks": [["5", "12"], ["6", "1"]][:depth],
    }
    book = messages.book("BNBBTC", row, depth, AT)
    assert (book.update_id, book.complete) == (7, is_whole)
    assert book.bids[0] == Level(D(4), D(431))


def test_a_candle_is_read() -> None:
    row = [
        1499040000000,
        "0.0163",
        "0.8",
        "0.0157",
        "0.0158",
        "148976.1",
        1499644799999,
        "2434.19",
        308,
        "1",
        "2",
        "0",
    ]
    candle = messages.candle("ETHBTC", 60, row)
    assert (candle.open, candle.close, candle.volume, candle.value) == (
        D("0.0163"),
        D("0.0158"),
        D("148976.1"),
        D("2434.19"),
    )


def test_own_orders_that_meet_end_the_one_that_rests_where_the_market_allows_it() -> None:
    assert messages.self_trade_prevention({"allowedSelfTradePreventionModes": ["NONE", "EXPIRE_MAKER"]}) == (
        "EXPIRE_MAKER"
    )
    assert messages.self_trade_prevention({"allowedSelfTradePreventionModes": ["NONE"]}) is None
    assert messages.self_trade_prevention({}) is None
