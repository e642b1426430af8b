"""Candles and volumes of the paper exchange, by hand and over random trades."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.unit.exchange.test_recorded_trades import trade as recorded
from tests.unit.exchange.test_recording import SNAPSHOT, record, update

from etf_trader.database import Database
from etf_trader.exchange.market import MarketBook
from etf_trader.exchange.model import EPOCH as MODEL_EPOCH
from etf_trader.exchange.model import ModelMarket
from etf_trader.exchange.paper import ExchangeError, ExchangeSettings, OrderRequest, PaperExchange
from etf_trader.exchange.recording import RecordingMarket
from etf_trader.exchange.static import EPOCH, StaticMarket, symbol_row

D = Decimal
MINUTE, HOUR, DAY = 60, 3600, 86_400


class RisingMarket(StaticMarket):
    """Its mid is 100 at the start and rises by 1 in each hour, a step a second."""

    def book(self, symbol: str, at: datetime) -> MarketBook:
        ticks = 10_000 + int((at - self.start).total_seconds()) // 36
        bid, ask = D(ticks - 1) / 100, D(ticks + 1) / 100
        self.set_book(symbol, [(str(bid), "1000")], [(str(ask), "1000")])
        return super().book(symbol, at)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


@pytest.fixture
def market() -> RisingMarket:
    rows = [symbol_row("AUSDT", "A", "USDT"), symbol_row("NONEUSDT", "NONE", "USDT")]
    return RisingMarket(rows, {"AUSDT": ((), ())})


def make_exchange(database: Database, market: StaticMarket) -> PaperExchange:
    made = PaperExchange.create(database, ExchangeSettings("stepped", "static", {}), market)
    made.open_account("other")
    for account in ("paper", "other"):
        made.deposit(account, "USDT", D(1_000_000), "start")
        made.deposit(account, "A", D(1000), "stock")
    return made


@pytest.fixture(params=["sqlite", "postgresql"])
def exchange(request: pytest.FixtureRequest, tmp_path: Path, market: RisingMarket) -> Iterator[PaperExchange]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'exchange.db'}"
    else:
        make_url: Callable[[], str] = request.getfixturevalue("make_postgres_url")
        url = make_url()
    database = Database(url)
    yield make_exchange(database, market)
    database.close()


_names = iter(f"order-{number}" for number in range(1_000_000))


def trade(
    exchange: PaperExchange, side: str, price: str, quantity: str, account: str = "paper", force: str = "IOC"
) -> None:
    request = OrderRequest("AUSDT", side, "LIMIT", force, D(quantity), D(price), next(_names), exchange.now())
    exchange.place(account, request)


def test_a_candle_has_the_mids_of_its_span_and_all_volume(exchange: PaperExchange, market: RisingMarket) -> None:
    market.set_volume("AUSDT", D("0.01"))
    exchange.advance(600)
    trade(exchange, "BUY", "150", "2")  # at 100.17, ten minutes on: the mid has risen by 16 ticks
    exchange.advance(2 * HOUR)
    rows = exchange.klines("AUSDT", HOUR, EPOCH, EPOCH + seconds(2 * HOUR))
    first, second = rows
    assert [row.at for row in rows] == [EPOCH, EPOCH + seconds(HOUR)]
    assert (first.open, first.high, first.low, first.close) == (D(100), D(101), D(100), D(101))
    assert (second.open, second.close) == (D(101), D(102))
    # Others: 36 at (100 + 100.33 + 100.66 + 101) / 4 = 100.4975; ours: 2 at 100.17.
    assert first.volume == 38
    assert first.quote_volume == 36 * D("100.4975") + 2 * D("100.17")
    assert (second.volume, second.quote_volume) == (D(36), 36 * D("101.4975"))


def test_candles_stand_on_whole_intervals_and_begin_at_or_after_the_start(exchange: PaperExchange) -> None:
    exchange.advance(2 * DAY)
    start = EPOCH + seconds(90)
    for length, first in (
        (MINUTE, EPOCH + seconds(120)),
        (HOUR, EPOCH + seconds(HOUR)),
        (DAY, EPOCH + seconds(DAY)),
    ):
        rows = exchange.klines("AUSDT", length, start, start + 3 * seconds(length))
        assert [row.at for row in rows] == [first + place * seconds(length) for place in range(len(rows))]
        assert rows[0].at == first
        assert rows[-1].at < start + 3 * seconds(length) <= rows[-1].at + seconds(length) or length == DAY


def test_the_running_candle_ends_now_and_none_opens_later(exchange: PaperExchange, market: RisingMarket) -> None:
    market.set_volume("AUSDT", D(1))
    exchange.advance(HOUR + 1800)
    rows = exchange.klines("AUSDT", HOUR, EPOCH, EPOCH + seconds(DAY))
    assert len(rows) == 2
    assert (rows[1].open, rows[1].close, rows[1].volume) == (D(101), D("101.5"), D(1800))
    exchange.advance(1800)  # on the hour: one that has just opened
    *_, last = exchange.klines("AUSDT", HOUR, EPOCH, EPOCH + seconds(DAY))
    assert (last.at, last.open, last.close, last.volume) == (EPOCH + seconds(2 * HOUR), D(102), D(102), D(0))


def test_there_are_at_most_a_thousand_candles_the_oldest(exchange: PaperExchange) -> None:
    exchange.advance(DAY)
    rows = exchange.klines("AUSDT", MINUTE, EPOCH, EPOCH + seconds(DAY))
    assert len(rows) == 1000
    assert rows[-1].at == EPOCH + 999 * seconds(MINUTE)
    more = exchange.klines("AUSDT", MINUTE, rows[-1].at + seconds(MINUTE), EPOCH + seconds(DAY))
    assert len(more) == 440
    assert exchange.klines("AUSDT", MINUTE, EPOCH + seconds(DAY), EPOCH) == ()


def test_a_candle_without_a_price_is_left_out(tmp_path: Path) -> None:
    empty = StaticMarket([symbol_row("AUSDT", "A", "USDT")], {"AUSDT": ((), (("100", "1"),))})
    database = Database(f"sqlite:///{tmp_path / 'exchange.db'}")
    exchange = make_exchange(database, empty)
    exchange.advance(HOUR)
    assert exchange.klines("AUSDT", MINUTE, EPOCH, EPOCH + seconds(HOUR)) == ()
    empty.set_book("AUSDT", [("99", "1")], [("100", "1")])
    assert len(exchange.klines("AUSDT", MINUTE, EPOCH, EPOCH + seconds(HOUR))) == 60
    database.close()


@pytest.mark.parametrize(
    ("symbol", "length", "code"),
    [
        pytest.param("AUSDT", 300, -1120, id="five minutes"),
        pytest.param("AUSDT", 0, -1120, id="no length"),
        pytest.param("BUSDT", 60, -1121, id="no such symbol"),
    ],
)
def test_other_candles_are_refused(exchange: PaperExchange, symbol: str, length: int, code: int) -> None:
    with pytest.raises(ExchangeError) as refused:
        exchange.klines(symbol, length, EPOCH, EPOCH + seconds(DAY))
    assert refused.value.code == code


def test_volume_tells_apart_what_an_account_traded(exchange: PaperExchange, market: RisingMarket) -> None:
    market.set_volume("AUSDT", D("0.5"))
    trade(exchange, "BUY", "150", "3")
    exchange.advance(10)
    trade(exchange, "SELL", "50", "4", "other")
    exchange.advance(10)
    now = exchange.now()
    assert exchange.volume("paper", "AUSDT", EPOCH, now) == (D(17), D(3))
    assert exchange.volume("other", "AUSDT", EPOCH, now) == (D(17), D(4))
    assert exchange.volume("other", "AUSDT", EPOCH, EPOCH + seconds(10)) == (D(8), D(0))
    assert exchange.volume("other", "AUSDT", EPOCH + seconds(10), now) == (D(9), D(4))
    assert exchange.volume("paper", "NONEUSDT", EPOCH, now) == (D(0), D(0))


def test_a_trade_between_two_accounts_is_one(exchange: PaperExchange) -> None:
    trade(exchange, "SELL", "100", "5", "other", "GTC")
    trade(exchange, "BUY", "100", "2")
    exchange.advance(60)
    now = exchange.now()
    assert exchange.volume("paper", "AUSDT", EPOCH, now) == (D(2), D(2))
    assert exchange.volume("other", "AUSDT", EPOCH, now) == (D(2), D(2))
    (row, _) = exchange.klines("AUSDT", MINUTE, EPOCH, now + seconds(1))
    assert (row.volume, row.quote_volume) == (D(2), D(200))


def test_nothing_of_the_future_is_told(exchange: PaperExchange, market: RisingMarket) -> None:
    market.set_volume("AUSDT", D(1))
    exchange.advance(30)
    assert exchange.volume("paper", "AUSDT", EPOCH, EPOCH + seconds(DAY)).total == 30
    assert exchange.volume("paper", "AUSDT", EPOCH + seconds(31), EPOCH + seconds(DAY)).total == 0
    assert exchange.klines("AUSDT", MINUTE, EPOCH + seconds(60), EPOCH + seconds(DAY)) == ()


def test_a_resting_order_that_fell_due_is_in_the_volume(exchange: PaperExchange) -> None:
    trade(exchange, "SELL", "100.50", "5", force="GTC")
    exchange.advance(HOUR)
    assert exchange.volume("paper", "AUSDT", EPOCH, exchange.now() + seconds(1)).own == 0  # it trades now
    exchange.advance(1)
    assert exchange.volume("paper", "AUSDT", EPOCH, exchange.now()) == (D(5), D(5))


def test_volume_of_an_unknown_symbol_or_account_is_refused(exchange: PaperExchange) -> None:
    for account, symbol, code in (("paper", "BUSDT", -1121), ("nobody", "AUSDT", -2015)):
        with pytest.raises(ExchangeError) as refused:
            exchange.volume(account, symbol, EPOCH, EPOCH)
        assert refused.value.code == code


@settings(max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 5000), st.sampled_from(["BUY", "SELL"]), st.integers(1, 20)), max_size=8))
def test_candles_and_volumes_of_the_model_add_up(
    tmp_path_factory: pytest.TempPathFactory, orders: list[tuple[int, str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("model")
    database = Database(f"sqlite:///{folder / 'exchange.db'}")
    exchange = PaperExchange.create(database, ExchangeSettings("stepped", "model", {"seed": 1}), ModelMarket(1))
    exchange.deposit("paper", "USDT", D(1_000_000), "start")
    exchange.deposit("paper", "ADA", D(100_000), "stock")
    for wait, side, lots in orders:
        exchange.advance(wait)
        best = exchange.depth("ADAUSDT", 5)
        price = (best.asks if side == "BUY" else best.bids)[-1].price
        exchange.place(
            "paper",
            OrderRequest("ADAUSDT", side, "LIMIT", "IOC", D(50 * lots), price, next(_names), exchange.now()),
        )
    exchange.advance(1)
    now = exchange.now()
    whole = exchange.volume("paper", "ADAUSDT", MODEL_EPOCH, now)
    own = sum((each.quantity for each in exchange.trades("paper", "ADAUSDT")), D(0))
    assert whole.own == own
    for length in (MINUTE, HOUR, DAY):
        rows = exchange.klines("ADAUSDT", length, MODEL_EPOCH, now)
        assert sum((row.volume for row in rows), D(0)) == whole.total
        assert all(row.low <= min(row.open, row.close) <= max(row.open, row.close) <= row.high for row in rows)
        assert all(before.close == after.open for before, after in pairwise(rows))
    database.close()


def test_a_new_exchange_of_the_model_has_candles_of_the_days_before(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'exchange.db'}")
    exchange = PaperExchange.create(database, ExchangeSettings("stepped", "model", {"seed": 1}), ModelMarket(1))
    rows = exchange.klines("BTCUSDT", HOUR, MODEL_EPOCH - seconds(20 * DAY), MODEL_EPOCH)
    assert len(rows) == 480
    assert all(row.volume > 0 for row in rows)
    database.close()


def test_a_recording_has_no_candles_before_it_begins(tmp_path: Path) -> None:
    lines = [update(0, 1, 2), SNAPSHOT, recorded(2, 1, "0.5"), update(40, 11, 11, bids=[("10", "1")])]
    market = RecordingMarket(record(tmp_path, *lines))
    database = Database(f"sqlite:///{tmp_path / 'exchange.db'}")
    exchange = PaperExchange.create(database, ExchangeSettings("stepped", "recording", {}), market)
    exchange.advance(3 * HOUR)
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    rows = exchange.klines("AAAUSDT", HOUR, long_ago, exchange.now())
    assert rows[0].at == market.start.replace(minute=0, second=0)
    assert (rows[0].open, rows[0].close, rows[0].volume) == (D(10), D("10.05"), D("0.5"))
    assert [row.volume for row in rows[1:]] == [D(0)] * 3
    database.close()
