"""What everyone sees: the tape, tickers, the mean price, statuses, and the rules that look at them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.integration.test_exchange_orders import row_with
from tests.unit.exchange.test_recorded_trades import trade as recorded
from tests.unit.exchange.test_recording import SNAPSHOT, record, update

from etf_trader.database import Database
from etf_trader.errors import UsageError
from etf_trader.exchange.model import ModelMarket
from etf_trader.exchange.paper import (
    ExchangeError,
    ExchangeSettings,
    OrderRequest,
    OrderView,
    PaperExchange,
    PublicTradeView,
)
from etf_trader.exchange.recording import RecordingMarket
from etf_trader.exchange.static import StaticMarket
from etf_trader.money import ZERO, money_context

D = Decimal
SETTINGS = ExchangeSettings("stepped", "static", {})
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
_names = iter(f"order-{number}" for number in range(1_000_000))


def request(exchange: PaperExchange, side: str, quantity: str, **said: Any) -> OrderRequest:
    bare = OrderRequest("BTCUSDT", side, "MARKET", None, D(quantity), None, next(_names), exchange.now())
    return replace(bare, **said)


def trade(exchange: PaperExchange, side: str, quantity: str, **said: Any) -> OrderView:
    return exchange.place("paper", request(exchange, side, quantity, **said))


def limit(exchange: PaperExchange, side: str, price: str, quantity: str, account: str = "paper") -> OrderView:
    said = {"type": "LIMIT", "time_in_force": "GTC", "price": D(price)}
    return exchange.place(account, request(exchange, side, quantity, **said))


@pytest.fixture(scope="module")
def model() -> ModelMarket:
    return ModelMarket(3)


@pytest.fixture
def exchange(tmp_path: Path, model: ModelMarket) -> Iterator[PaperExchange]:
    database = Database(f"sqlite:///{tmp_path / 'exchange.db'}")
    made = PaperExchange.create(database, ExchangeSettings("stepped", "model", {}), model, tape_ids=True)
    made.deposit("paper", "USDT", D(10_000_000), "money")
    made.deposit("paper", "BTC", D(100), "stock")
    yield made
    database.close()


# The tape


def test_the_tape_has_a_trade_a_second_and_those_of_accounts(exchange: PaperExchange) -> None:
    exchange.advance(90)
    made = trade(exchange, "BUY", "0.5")
    exchange.advance(30)
    tape = exchange.recent_trades("BTCUSDT", 31 + len(made.trades))
    own = [each for each in tape if each.trade_id in {trade.trade_id for trade in made.trades}]

    assert [each.trade_id for each in tape] == list(range(tape[0].trade_id, tape[0].trade_id + len(tape)))
    assert [(each.price, each.quantity, each.at) for each in own] == [
        (each.price, each.quantity, each.at) for each in made.trades
    ]
    assert not any(each.is_buyer_maker for each in own)
    assert [each.at for each in tape] == sorted(each.at for each in tape)
    assert len(tape) - len(own) == 31


@settings(max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.sampled_from(["BUY", "SELL"]), st.integers(0, 40), st.integers(0, 3)), max_size=12),
    st.data(),
)
def test_the_tape_is_one_row_that_any_part_of_can_be_asked_for(
    model: ModelMarket,
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[str, int, int]],
    data: st.DataObject,
) -> None:
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('tape') / 'exchange.db'}")
    exchange = PaperExchange.create(database, ExchangeSettings("stepped", "model", {}), model, tape_ids=True)
    exchange.deposit("paper", "USDT", D(10_000_000), "money")
    exchange.deposit("paper", "BTC", D(100), "stock")
    exchange.advance(180)
    for side, tenths, times in steps:
        for _ in range(times):
            trade(exchange, side, "0.3")
        exchange.advance(D(tenths) / 10)
    whole = exchange.recent_trades("BTCUSDT", 250)
    ids = [each.trade_id for each in whole]
    assert ids == list(range(ids[0], ids[0] + 250))
    assert all(one.at <= other.at for one, other in pairwise(whole))
    own = exchange.trades("paper", "BTCUSDT")
    assert {(each.trade_id, each.price, each.quantity, each.at) for each in own} <= {
        (each.trade_id, each.price, each.quantity, each.at) for each in whole
    } or own[0].trade_id < ids[0]
    start, count = data.draw(st.integers(0, 249)), data.draw(st.integers(1, 60))
    assert exchange.recent_trades("BTCUSDT", count, ids[start]) == whole[start : start + count]
    assert exchange.recent_trades("BTCUSDT", count) == whole[-count:]
    assert exchange.first_trade_id("BTCUSDT", whole[start].at) == min(
        each.trade_id for each in whole if each.at == whole[start].at
    )
    assert exchange.first_trade_id("BTCUSDT", exchange.now() + DAY) == ids[-1] + 1
    later = [each for each in own if each.trade_id >= ids[start]]
    assert list(exchange.trades("paper", "BTCUSDT", from_id=ids[start])) == later
    reported = [each.trade for each in exchange.reports("paper") if each.trade is not None]
    assert reported == list(own)
    database.close()


def test_the_tape_of_whole_minutes_is_what_candles_and_volumes_say(exchange: PaperExchange) -> None:
    exchange.advance(60)
    for _ in range(4):
        trade(exchange, "SELL", "0.2")
        exchange.advance(30)
    tape = exchange.recent_trades("BTCUSDT", 1000)
    now = exchange.now()
    rows = exchange.klines("BTCUSDT", 60, now - 3 * MINUTE, now)
    with money_context():
        for row in rows[:3]:
            inside = [each for each in tape if row.at <= each.at < row.at + MINUTE]
            assert sum((each.quantity for each in inside), ZERO) == row.volume
        total = exchange.volume("paper", "BTCUSDT", now - 3 * MINUTE, now).total
        assert sum((each.quantity for each in tape if now - 3 * MINUTE <= each.at), ZERO) == total


def test_without_tape_ids_accounts_trades_are_counted_from_one(exchange: PaperExchange, tmp_path: Path) -> None:
    made = trade(exchange, "BUY", "0.5")
    same = PaperExchange.open(Database(f"sqlite:///{tmp_path / 'exchange.db'}"), lambda *_: exchange._market)
    found = same.order("paper", "BTCUSDT", order_id=made.order_id)
    assert [each.trade_id for each in found.trades] == list(range(1, 1 + len(made.trades)))
    assert made.trades[0].trade_id > 1_000_000
    same.close()


def test_the_tape_of_a_recording_has_what_was_recorded(tmp_path: Path) -> None:
    lines = [SNAPSHOT, update(1, 11, 12), recorded(2, 7, "0.5"), recorded(4, 9, "0.25"), update(9, 13, 14)]
    market = RecordingMarket(record(tmp_path, *lines))
    database = Database(f"sqlite:///{tmp_path / 'exchange.db'}")
    exchange = PaperExchange.create(database, ExchangeSettings("stepped", "recording", {}), market, tape_ids=True)
    assert exchange.recent_trades("AAAUSDT", 5) == ()
    exchange.advance(5)
    tape = exchange.recent_trades("AAAUSDT", 5)
    assert [(each.trade_id, each.price, each.quantity) for each in tape] == [
        (1, D("10.1"), D("0.5")),
        (2, D("10.1"), D("0.25")),
    ]
    assert exchange.recent_trades("AAAUSDT", 5, from_id=2) == tape[1:]
    assert exchange.recent_trades("AAAUSDT", 5, from_id=3) == ()
    database.close()


def test_who_took_is_told(tmp_path: Path) -> None:
    exchange = static(tmp_path)
    limit(exchange, "SELL", "99.5", "1", "other")
    trade(exchange, "BUY", "1")
    limit(exchange, "BUY", "99.5", "1", "other")
    trade(exchange, "SELL", "1")
    assert [(each.trade_id, each.is_buyer_maker) for each in exchange.recent_trades("BTCUSDT", 9)] == [
        (1, False),
        (2, True),
    ]
    with pytest.raises(ExchangeError) as refused:
        exchange.recent_trades("BTCUSDT", 0)
    assert refused.value.code == -1130


# Tickers


def test_a_ticker_is_that_of_the_trades_of_a_day(exchange: PaperExchange) -> None:
    exchange.advance(5000.5)
    made = trade(exchange, "BUY", "0.5")
    exchange.advance(0.2)
    shown, now = exchange.ticker("BTCUSDT"), exchange.now()
    (last,) = exchange.recent_trades("BTCUSDT", 1)

    assert (shown.closed, shown.opened) == (now, now - DAY)
    assert (shown.last, shown.last_quantity, shown.last_id) == (last.price, last.quantity, last.trade_id)
    assert last.trade_id == made.trades[-1].trade_id
    assert shown.volume == exchange.volume("paper", "BTCUSDT", now - DAY, now).total
    assert shown.count == shown.last_id - shown.first_id + 1 == 86_400 + len(made.trades)
    first = exchange.recent_trades("BTCUSDT", 1, shown.first_id)[0]
    assert first.at >= shown.opened
    assert exchange.recent_trades("BTCUSDT", 1, shown.first_id - 1)[0].at < shown.opened
    assert shown.low is not None
    assert shown.high is not None
    assert shown.average is not None
    assert shown.open is not None
    assert shown.low <= min(shown.average, shown.open, last.price)
    assert max(shown.average, shown.open, last.price) <= shown.high
    book = exchange.depth("BTCUSDT")
    assert (shown.bid, shown.ask) == (book.bids[0], book.asks[0])


def static(tmp_path: Path, **said: Any) -> PaperExchange:
    rule = {
        "ruleType": "PRICE_RANGE",
        "bidMultiplierUp": "1.02",
        "bidMultiplierDown": "0.5",
        "askMultiplierUp": "2",
        "askMultiplierDown": "0.98",
    }
    market = StaticMarket(
        [row_with("BTCUSDT", "BTC", "USDT", *said.pop("entries", ()), executionRules=[rule])],
        {"BTCUSDT": ([("99", "9"), ("97", "9")], [("101", "9"), ("103", "9")])},
        **said,
    )
    exchange = PaperExchange.create(Database(f"sqlite:///{tmp_path / 'static.db'}"), SETTINGS, market)
    exchange.open_account("other")
    for account in ("paper", "other"):
        exchange.deposit(account, "USDT", D(10_000), "money")
        exchange.deposit(account, "BTC", D(100), "stock")
    return exchange


def test_a_ticker_of_accounts_alone_has_their_prices(tmp_path: Path) -> None:
    exchange = static(tmp_path)
    empty = exchange.ticker("BTCUSDT")
    assert (empty.count, empty.first_id, empty.last_id, empty.volume) == (0, -1, -1, ZERO)
    assert (empty.open, empty.high, empty.low, empty.last, empty.average) == (None,) * 5
    trade(exchange, "BUY", "1")
    exchange.advance(7200)
    trade(exchange, "SELL", "3")
    shown = exchange.ticker("BTCUSDT")
    assert (shown.open, shown.high, shown.low, shown.last) == (D(101), D(101), D(99), D(99))
    assert (shown.count, shown.volume, shown.quote_volume, shown.average) == (2, D(4), D(398), D("99.5"))
    exchange.advance(86_400 - 7199)
    assert exchange.ticker("BTCUSDT").count == 1


def test_the_mean_price_is_that_of_the_last_whole_minutes(tmp_path: Path) -> None:
    exchange = static(tmp_path)
    assert exchange.avg_price("BTCUSDT").price == D(100)  # the mid: nobody has traded
    exchange.advance(30)
    trade(exchange, "BUY", "1")
    trade(exchange, "SELL", "3")
    assert exchange.avg_price("BTCUSDT").price == D(100)  # the minute is not over
    exchange.advance(30)
    average = exchange.avg_price("BTCUSDT")
    assert (average.minutes, average.price) == (5, D("99.5"))
    assert average.closed == exchange.now() - timedelta(seconds=30)
    exchange.advance(299)
    assert exchange.avg_price("BTCUSDT").price == D("99.5")
    exchange.advance(1)
    assert exchange.avg_price("BTCUSDT").price == D(100)


def bands(up: str, down: str, minutes: int) -> dict[str, Any]:
    sides = ("bid", "ask")
    multiples = {f"{side}MultiplierUp": up for side in sides} | {f"{side}MultiplierDown": down for side in sides}
    return {"filterType": "PERCENT_PRICE_BY_SIDE", "avgPriceMins": minutes} | multiples


def test_the_bands_of_prices_refer_to_the_mean(tmp_path: Path) -> None:
    band = bands("1.01", "0.9", 1)
    exchange = static(tmp_path, entries=[band])
    limit(exchange, "SELL", "101", "1")
    trade(exchange, "SELL", "2")  # at 99
    exchange.advance(60)
    with pytest.raises(ExchangeError, match="Filter failure: PERCENT_PRICE_BY_SIDE"):
        limit(exchange, "SELL", "100", "1")
    limit(exchange, "SELL", "99.99", "1")
    exchange.advance(60)
    limit(exchange, "SELL", "101", "1")


def test_minutes_of_zero_mean_the_last_price(tmp_path: Path) -> None:
    band = bands("1.01", "0.9", 0)
    exchange = static(tmp_path, entries=[band])
    limit(exchange, "SELL", "101", "1")
    trade(exchange, "SELL", "2")
    with pytest.raises(ExchangeError, match="Filter failure: PERCENT_PRICE_BY_SIDE"):
        limit(exchange, "SELL", "100", "1")
    assert exchange.avg_price("BTCUSDT").minutes == 0


# Rules of execution, of the exchange, and statuses


@pytest.mark.parametrize("kind", ["MARKET", "GTC", "IOC"])
def test_a_taker_that_would_trade_out_of_range_expires_with_its_fills(tmp_path: Path, kind: str) -> None:
    exchange = static(tmp_path)
    said = {} if kind == "MARKET" else {"type": "LIMIT", "time_in_force": kind, "price": D(110)}
    made = trade(exchange, "BUY", "12", **said)  # 9 at 101, then 103, which is beyond 102
    assert (made.status, made.expiry_reason) == ("EXPIRED", "EXECUTION_RULE_PRICE_RANGE_EXCEEDED")
    assert made.executed_quantity == D(9)
    assert exchange.balances("paper")["USDT"] == (D(10_000 - 909), D(0))
    assert exchange.execution_rules("BTCUSDT")[0]["bidMultiplierUp"] == "1.02"


def test_within_the_range_nothing_is_different(tmp_path: Path) -> None:
    exchange = static(tmp_path)
    made = limit(exchange, "BUY", "102", "12")
    assert (made.status, made.executed_quantity) == ("PARTIALLY_FILLED", D(9))
    assert trade(exchange, "SELL", "1").status == "FILLED"
    whole = {"type": "LIMIT", "time_in_force": "FOK", "price": D(97)}
    assert trade(exchange, "SELL", "15", **whole).expiry_reason == "UNFILLED_FOK_ORDER_EXPIRED"


def test_a_position_has_a_bound(tmp_path: Path) -> None:
    exchange = static(tmp_path, entries=[{"filterType": "MAX_POSITION", "maxPosition": "110"}])
    limit(exchange, "BUY", "90", "4")
    limit(exchange, "SELL", "120", "50")  # what is locked counts as well
    with pytest.raises(ExchangeError, match="Filter failure: MAX_POSITION"):
        limit(exchange, "BUY", "90", "6.01")
    limit(exchange, "BUY", "90", "6")
    limit(exchange, "SELL", "121", "1")


def test_the_exchange_has_limits_over_all_symbols(tmp_path: Path) -> None:
    entries = [
        {"filterType": "EXCHANGE_MAX_NUM_ORDERS", "maxNumOrders": 3},
        {"filterType": "EXCHANGE_MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 1},
        {"filterType": "EXCHANGE_MAX_NUM_ICEBERG_ORDERS", "maxNumIcebergOrders": 1},
    ]
    exchange = static(tmp_path, exchange_filters=entries)
    assert exchange.exchange_info()["exchangeFilters"] == entries
    stop = {"type": "STOP_LOSS", "stop_price": D(90)}
    part = {"type": "LIMIT", "time_in_force": "GTC", "price": D(90), "iceberg_quantity": D(1)}
    trade(exchange, "SELL", "1", **stop)
    with pytest.raises(ExchangeError, match="Filter failure: EXCHANGE_MAX_NUM_ALGO_ORDERS"):
        trade(exchange, "SELL", "1", **stop)
    trade(exchange, "BUY", "2", **part)
    with pytest.raises(ExchangeError, match="Filter failure: EXCHANGE_MAX_NUM_ICEBERG_ORDERS"):
        trade(exchange, "BUY", "2", **part)
    limit(exchange, "BUY", "90", "1")
    with pytest.raises(ExchangeError, match="Filter failure: EXCHANGE_MAX_NUM_ORDERS"):
        limit(exchange, "BUY", "90", "1")
    limit(exchange, "BUY", "90", "1", "other")


@pytest.mark.parametrize("status", ["HALT", "BREAK", "END_OF_DAY", "CANCEL_ONLY"])
def test_a_symbol_that_does_not_trade_takes_nothing_but_cancellations(tmp_path: Path, status: str) -> None:
    exchange = static(tmp_path)
    standing = limit(exchange, "BUY", "90", "1")
    exchange.set_status("BTCUSDT", status)
    assert [row["status"] for row in exchange.exchange_info(["BTCUSDT"])["symbols"]] == [status]
    for attempt in (exchange.place, exchange.test):
        with pytest.raises(ExchangeError) as refused:
            attempt("paper", request(exchange, "BUY", "1"))
        assert (refused.value.code, refused.value.message) == (-2010, "Market is closed.")
    assert exchange.cancel("paper", "BTCUSDT", order_id=standing.order_id).status == "CANCELED"
    exchange.set_status("BTCUSDT", "TRADING")
    assert trade(exchange, "BUY", "1").status == "FILLED"
    exchange.set_status("BTCUSDT", None)
    assert [row["status"] for row in exchange.exchange_info()["symbols"]] == ["TRADING"]


def test_there_are_no_other_statuses(tmp_path: Path) -> None:
    exchange = static(tmp_path)
    with pytest.raises(UsageError, match="no such status"):
        exchange.set_status("BTCUSDT", "ASLEEP")
    with pytest.raises(ExchangeError) as refused:
        exchange.set_status("NONE", "HALT")
    assert refused.value.code == -1121


def test_a_symbol_that_does_not_replace_says_so(tmp_path: Path) -> None:
    row = row_with("BTCUSDT", "BTC", "USDT", cancelReplaceAllowed=False)
    database = Database(f"sqlite:///{tmp_path / 'exchange.db'}")
    exchange = PaperExchange.create(database, SETTINGS, StaticMarket([row], {"BTCUSDT": ((), ())}))
    with pytest.raises(ExchangeError) as refused:
        exchange.cancel_replace("paper", request(exchange, "BUY", "1"), "STOP_ON_FAILURE", order_id=1)
    assert refused.value.message == "Order cancel-replace is not supported for this symbol."
    database.close()


def test_public_trades_sort_by_their_ids() -> None:
    first = PublicTradeView(1, D(9), D(1), D(9), ModelMarket(1).start, False)
    assert sorted([first._replace(trade_id=2, price=D(1)), first])[0] == first
