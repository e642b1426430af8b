import math
import random
import re
import statistics
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from etf_trader.errors import ConfigError, NotFound
from etf_trader.exchange.ladder import power
from etf_trader.exchange.market import Depth, Market, MarketBook
from etf_trader.exchange.markets import market_from
from etf_trader.exchange.model import EPOCH, ModelMarket
from etf_trader.exchange.model_parameters import COINS, MARKET_VOLATILITY, Coin
from etf_trader.exchange.paths import Path as PricePath
from etf_trader.money import money_context

MARKET = ModelMarket(1)
ROWS = {row["symbol"]: row for row in MARKET.symbols()}
SYMBOLS = [f"{coin.asset}USDT" for coin in COINS]
OTHERS = [symbol for symbol in ROWS if symbol not in SYMBOLS]

symbols = st.sampled_from(list(ROWS))
seconds = st.integers(0, 10 * 365 * 86_400)
sides = st.sampled_from(["BID", "ASK"])


def after(second: float) -> datetime:
    return EPOCH + timedelta(seconds=second)


def filter_of(symbol: str, kind: str) -> dict[str, str]:
    return next(entry for entry in ROWS[symbol]["filters"] if entry["filterType"] == kind)


def mid_of(book: MarketBook) -> float:
    return float(book.bids[0].price + book.asks[0].price) / 2


def usdt_within(levels: tuple[Depth, ...], mid: float, bps: float) -> float:
    return sum(float(price * quantity) for price, quantity in levels if abs(float(price) / mid - 1) * 1e4 <= bps)


@settings(max_examples=examples(150), deadline=None)
@given(symbols, seconds, st.integers(1, 5))
def test_a_book_is_uncrossed_strictly_ordered_and_on_the_grid_of_its_filters(
    symbol: str, second: int, seed: int
) -> None:
    book = ModelMarket(seed).book(symbol, after(second))
    tick = Decimal(filter_of(symbol, "PRICE_FILTER")["tickSize"])
    step = Decimal(filter_of(symbol, "LOT_SIZE")["stepSize"])
    assert book.complete
    assert 5 <= len(book.bids) <= 400
    assert 5 <= len(book.asks) <= 400
    assert 0 < book.bids[-1].price < book.bids[0].price < book.asks[0].price < book.asks[-1].price
    assert all(near.price > far.price for near, far in pairwise(book.bids))
    assert all(near.price < far.price for near, far in pairwise(book.asks))
    for price, quantity in book.bids + book.asks:
        assert price % tick == 0
        assert quantity % step == 0
        assert quantity > 0


@settings(max_examples=examples(50), deadline=None)
@given(st.lists(st.tuples(symbols, seconds), min_size=1, max_size=6), st.randoms())
def test_books_do_not_depend_on_what_was_looked_at_before(
    looks: list[tuple[str, int]], shuffle: random.Random
) -> None:
    market = ModelMarket(1)
    shuffled = shuffle.sample(looks, len(looks))
    seen = {look: market.book(look[0], after(look[1])) for look in shuffled}
    for symbol, second in looks:
        assert ModelMarket(1).book(symbol, after(second)) == seen[symbol, second]


def test_walking_second_by_second_meets_the_books_of_random_access() -> None:
    walked = [MARKET.book("SOLUSDT", after(second)) for second in range(86_400, 86_430)]
    assert walked == [ModelMarket(1).book("SOLUSDT", after(second)) for second in range(86_400, 86_430)]
    assert [book.update_id for book in walked] == sorted({book.update_id for book in walked})
    assert len({(book.bids, book.asks) for book in walked}) == 30


def test_a_book_holds_for_its_second() -> None:
    assert MARKET.book("BTCUSDT", after(77)) == MARKET.book("BTCUSDT", after(77.999999))
    assert MARKET.book("BTCUSDT", after(77)) != MARKET.book("BTCUSDT", after(78))


def test_before_the_epoch_the_books_of_the_epoch_hold() -> None:
    assert MARKET.book("BTCUSDT", after(-1000)) == MARKET.book("BTCUSDT", EPOCH)


@given(symbols, seconds)
@settings(max_examples=examples(30), deadline=None)
def test_seeds_have_different_markets(symbol: str, second: int) -> None:
    assert ModelMarket(1).book(symbol, after(second)) != ModelMarket(2).book(symbol, after(second))


def test_the_narrow_context_of_money_changes_nothing() -> None:
    with money_context():
        book = ModelMarket(1).book("DENTUSDT", after(5_000))
        left = MARKET.still_consumed("DENTUSDT", "ASK", book.asks[0].price, Decimal(10_000), after(0), after(7))
    assert book == ModelMarket(1).book("DENTUSDT", after(5_000))
    assert left == MARKET.still_consumed(
        "DENTUSDT", "ASK", book.asks[0].price, Decimal(10_000), after(0), after(7)
    )


def digest_of_books(market: Market, names: list[str]) -> str:
    text = repr([market.book(symbol, after(second)) for symbol in names for second in (0, 1, 86_399, 40_000_000)])
    return sha256(text.encode()).hexdigest()


PINNED = "f1db423cf2fedf8da0403fd0926dcba9e4034299424bd99e2e30a16cbf98b1cb"
PINNED_OTHERS = "b01f05c3450f95b304747c76bb90a95dd2d15d6ffeff9064a69ce0dc65104a62"


def test_books_are_the_same_on_every_platform_and_in_every_version() -> None:
    # Whoever changes the model on purpose pins the new digest and says so in the changelog.
    assert digest_of_books(MARKET, SYMBOLS) == PINNED
    assert digest_of_books(MARKET, OTHERS) == PINNED_OTHERS


def test_books_do_not_depend_on_the_hash_seed_of_the_process() -> None:
    program = (
        "from datetime import timedelta; from etf_trader.exchange.model import EPOCH, ModelMarket;"
        "print(ModelMarket(3).book('ZILUSDT', EPOCH + timedelta(days=40)))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert outputs == {f"{ModelMarket(3).book('ZILUSDT', EPOCH + timedelta(days=40))}\n"}


def test_every_symbol_has_a_row_in_binance_shape() -> None:
    assert len(MARKET.symbols()) == len(ROWS) == 61
    assert list(ROWS)[:20] == SYMBOLS
    for row in ROWS.values():
        assert row["quoteAsset"] in ("USDT", "USDC", "FDUSD", "BTC", "ETH")
        assert row["symbol"] == row["baseAsset"] + row["quoteAsset"]
        kinds = [entry["filterType"] for entry in row["filters"]]
        assert {"PRICE_FILTER", "LOT_SIZE", "PERCENT_PRICE_BY_SIDE", "NOTIONAL", "MAX_NUM_ORDERS"} <= set(kinds)
        assert len(kinds) == len(set(kinds))
    assert filter_of("BTCUSDT", "LOT_SIZE")["stepSize"] == "0.00001000"
    assert filter_of("BTCUSDT", "NOTIONAL")["minNotional"] == "5.00000000"
    assert MARKET.fees("BTCUSDT") == (Decimal("0.001"), Decimal("0.001"))
    assert MARKET.start == datetime(2026, 1, 5, tzinfo=UTC)
    assert not MARKET.finished(after(10**9))


@pytest.mark.parametrize(
    ("symbol", "tick", "step", "most", "least_value", "bands"),
    [
        ("USDCUSDT", "0.0001", "1", "10000000", "5", ("1.2", "0.8")),
        ("FDUSDUSDT", "0.0001", "1", "10000000", "5", ("1.2", "0.8")),
        ("ADAUSDC", "0.0001", "0.1", "900000", "5", ("5", "0.2")),
        ("BTCFDUSD", "0.01", "0.00001", "9000", "5", ("5", "0.2")),
        ("ETHBTC", "0.00001", "0.0001", "100000", "0.0001", ("5", "0.2")),
        ("SOLETH", "0.00001", "0.001", "92141578", "0.001", ("5", "0.2")),
    ],
)
def test_filters_are_those_of_the_quote(
    symbol: str, tick: str, step: str, most: str, least_value: str, bands: tuple[str, str]
) -> None:
    assert Decimal(filter_of(symbol, "PRICE_FILTER")["tickSize"]) == Decimal(tick)
    lots = filter_of(symbol, "LOT_SIZE")
    assert (Decimal(lots["stepSize"]), Decimal(lots["maxQty"])) == (Decimal(step), Decimal(most))
    assert Decimal(filter_of(symbol, "NOTIONAL")["minNotional"]) == Decimal(least_value)
    band = filter_of(symbol, "PERCENT_PRICE_BY_SIDE")
    assert (band["bidMultiplierUp"], band["askMultiplierDown"]) == bands


def test_an_unknown_symbol_is_named_with_the_nearest() -> None:
    with pytest.raises(NotFound, match="no symbol NOPEUSDT"):
        MARKET.book("NOPEUSDT", EPOCH)
    with pytest.raises(NotFound) as missing:
        MARKET.book("BTCUSD", EPOCH)
    assert missing.value.hint == "did you mean BTCUSDT?"


# Replenishment


@given(
    symbols,
    sides,
    st.integers(1, 10**6),
    st.floats(0, 500),
    st.lists(st.floats(0, 10_000), min_size=2, max_size=6),
)
@settings(max_examples=examples(100), deadline=None)
def test_what_was_taken_comes_back_monotonically(
    symbol: str, side: str, steps: int, distance_bps: float, waits: list[float]
) -> None:
    book = MARKET.book(symbol, EPOCH)
    levels = book.bids if side == "BID" else book.asks
    level = min(levels, key=lambda depth: abs(abs(float(depth.price) / mid_of(book) - 1) * 1e4 - distance_bps))
    step = Decimal(filter_of(symbol, "LOT_SIZE")["stepSize"])
    taken = steps * step
    missing = [
        MARKET.still_consumed(symbol, side, level.price, taken, EPOCH, after(wait)) for wait in sorted([0, *waits])
    ]
    assert missing[0] == taken
    assert all(later <= earlier for earlier, later in pairwise(missing))
    assert all(0 <= left <= taken and left % step == 0 for left in missing)
    assert MARKET.still_consumed(symbol, side, level.price, taken, EPOCH, after(86_400)) == 0


def test_a_time_constant_later_1_in_e_is_still_missing() -> None:
    price = MARKET.book("BTCUSDT", EPOCH).asks[0].price
    left = MARKET.still_consumed("BTCUSDT", "ASK", price, Decimal(1), after(0.5), after(2))
    assert left == Decimal("0.36788")  # 1 / e on the step of 0.00001


def test_what_was_taken_comes_back_with_whole_seconds_as_the_books_change() -> None:
    price = MARKET.book("BTCUSDT", EPOCH).asks[0].price

    def missing(at: float) -> Decimal:
        return MARKET.still_consumed("BTCUSDT", "ASK", price, Decimal(1), after(0.5), after(at))

    assert missing(0.5) == missing(0.999) == 1
    assert 1 > missing(1) == missing(1.4) == missing(1.999) > missing(2)


def test_thin_and_distant_levels_come_back_later() -> None:
    def missing(symbol: str, position: int) -> Decimal:
        price = MARKET.book(symbol, EPOCH).asks[position].price
        return MARKET.still_consumed(symbol, "ASK", price, Decimal(1_000_000), EPOCH, after(5))

    assert missing("DENTUSDT", 0) > missing("DOTUSDT", 0) > missing("BTCUSDT", 0)
    assert missing("BTCUSDT", -1) > missing("BTCUSDT", 0)


# Calibration: the figures of docs/market-model.md, within the bands that 60 looks allow


@pytest.fixture(scope="module")
def looks() -> dict[str, list[MarketBook]]:
    times = [after(7919 * k) for k in range(60)]
    return {symbol: [MARKET.book(symbol, at) for at in times] for symbol in SYMBOLS}


@pytest.mark.parametrize("coin", COINS, ids=lambda coin: coin.asset)
def test_depth_within_100_bps_is_the_tables(coin: Coin, looks: dict[str, list[MarketBook]]) -> None:
    books = looks[coin.asset + "USDT"]
    depth = statistics.fmean(
        usdt_within(side, mid_of(book), 100) for book in books for side in (book.bids, book.asks)
    )
    assert 0.8 < depth / coin.depth < 1.25


@pytest.mark.parametrize(
    ("symbol", "bps", "millions"),
    [
        pytest.param("BTCUSDT", 5, 1.4, id="BTC within 5 bps"),
        pytest.param("BTCUSDT", 10, 3.1, id="BTC within 10 bps"),
        pytest.param("ETHUSDT", 10, 2.0, id="ETH within 10 bps"),
        pytest.param("ETHUSDT", 100, 9.5, id="ETH within 100 bps"),
    ],
)
def test_depth_is_that_of_recorded_books(
    symbol: str, bps: float, millions: float, looks: dict[str, list[MarketBook]]
) -> None:
    depth = statistics.fmean(
        usdt_within(side, mid_of(book), bps) for book in looks[symbol] for side in (book.bids, book.asks)
    )
    assert 0.75 < depth / millions / 1e6 < 1.3


@pytest.mark.parametrize(
    ("symbol", "low", "high"),
    [("BTCUSDT", 0.4, 0.8), ("ETHUSDT", 0.4, 0.8), ("DOTUSDT", 1.0, 1.5), ("MANAUSDT", 1.0, 1.6)],
)
def test_depth_grows_with_distance_as_it_does_on_binance(
    symbol: str, low: float, high: float, looks: dict[str, list[MarketBook]]
) -> None:
    near, far = (
        statistics.fmean(
            usdt_within(side, mid_of(book), bps) for book in looks[symbol] for side in (book.bids, book.asks)
        )
        for bps in (10, 100)
    )
    assert low < math.log10(far / near) < high


def test_spreads_are_a_tick_and_now_and_then_more(looks: dict[str, list[MarketBook]]) -> None:
    for symbol, books in looks.items():
        tick = Decimal(filter_of(symbol, "PRICE_FILTER")["tickSize"])
        spreads = {(book.asks[0].price - book.bids[0].price) / tick for book in books}
        assert spreads <= {1, 2, 3, 4}
        assert 1 in spreads


@pytest.mark.parametrize(
    ("symbol", "low", "high"), [("BTCUSDT", 1.5, 2.5), ("ETHUSDT", 2.5, 5), ("DENTUSDT", 3.5, 6.5)]
)
def test_mids_move_a_few_bps_in_ten_seconds(symbol: str, low: float, high: float) -> None:
    path = [MARKET.mid_ticks(symbol, second) for second in range(0, 20_000, 10)]
    assert low < statistics.fmean(abs(math.log(late / early)) * 1e4 for early, late in pairwise(path)) < high


@pytest.mark.parametrize(("symbol", "volatility"), [("BTCUSDT", 0.0218), ("ETHUSDT", 0.0389), ("XRPUSDT", 0.043)])
def test_days_are_as_volatile_as_the_candles_say(symbol: str, volatility: float) -> None:
    days = [math.log(MARKET.mid_ticks(symbol, day * 86_400)) for day in range(1500)]
    assert 0.9 < statistics.pstdev(late - early for early, late in pairwise(days)) / volatility < 1.1


def test_the_path_is_brownian_from_seconds_to_days_and_bounded_over_years() -> None:
    path = PricePath(b"any key", 0.04)
    for length in (1, 60, 3_600, 86_400):
        moves = [path.value(start + length) - path.value(start) for start in range(0, 1500 * length, length)]
        assert 0.9 < statistics.pstdev(moves) / (0.04 * math.sqrt(length / 86_400)) < 1.1
    assert max(abs(path.value(day * 86_400)) for day in range(0, 12_000, 30)) < 1.5
    assert path.value(0) == 0


def test_coins_move_together() -> None:
    def moves(symbol: str) -> list[float]:
        days = [math.log(MARKET.mid_ticks(symbol, day * 86_400)) for day in range(600)]
        return [late - early for early, late in pairwise(days)]

    assert 0.6 < statistics.correlation(moves("ETHUSDT"), moves("ADAUSDT")) < 0.95


@given(st.floats(1e-9, 1e9), st.integers(1, 16))
def test_powers_by_square_roots_are_powers(base: float, eighths: int) -> None:
    assert math.isclose(power(base, eighths), base ** (eighths / 8), rel_tol=1e-12)


def test_the_docs_show_the_parameters() -> None:
    page = (Path(__file__).parents[3] / "docs" / "market-model.md").read_text(encoding="utf-8")
    table = page.partition("### Parameters")[2].partition("### Measured")[0]
    rows = {cells[1]: cells[2:-1] for line in table.splitlines() if len(cells := re.split(r"\s*\|\s*", line)) > 10}
    for coin in COINS:
        price, tick, step, beta, own, daily, depth, exponent, touch, wide, recovery = rows[coin.asset]
        assert (price, tick, step) == (coin.price, coin.tick, coin.step)
        assert (float(beta), float(exponent) * 8, float(recovery)) == (coin.beta, coin.eighths, coin.recovery)
        assert float(own) == pytest.approx(100 * coin.own_volatility)
        assert float(daily) == pytest.approx(
            100 * math.hypot(coin.beta * MARKET_VOLATILITY, coin.own_volatility), abs=0.051
        )
        assert float(depth) * 1e6 == pytest.approx(coin.depth)
        assert (int(touch.replace(" ", "")), int(wide)) == (coin.touch, coin.wide)


# Making markets by kind


def test_a_model_market_is_made_from_its_parameters() -> None:
    market = market_from("model", {"seed": 7})
    assert market.book("BTCUSDT", after(60)) == ModelMarket(7).book("BTCUSDT", after(60))
    assert market_from("model", {}).book("BTCUSDT", after(60)) == MARKET.book("BTCUSDT", after(60))


def test_fees_are_given_in_bps_by_quote() -> None:
    market = market_from("model", {"seed": 1, "fees": "FDUSD=0 USDC=9.5"})
    assert market.fees("BTCFDUSD") == (Decimal(0), Decimal(0))
    assert market.fees("BTCUSDC") == (Decimal("0.00095"), Decimal("0.00095"))
    assert market.fees("BTCUSDT") == market.fees("USDCUSDT") == (Decimal("0.001"), Decimal("0.001"))


@pytest.mark.parametrize(
    ("kind", "parameters", "sentence"),
    [
        ("moon", {}, "no market of kind 'moon'"),
        ("model", {"seed": "x"}, "whole number"),
        ("model", {"seed": True}, "whole number"),
        ("model", {"fees": "EUR=0"}, "EUR is nothing that the model market has prices in"),
        ("model", {"fees": "FDUSD=0 FDUSD=1"}, "FDUSD is named twice"),
        ("model", {"fees": "FDUSD"}, "the fee of FDUSD is missing: it must be 0 to 100 bps"),
        ("model", {"fees": "FDUSD=nan"}, "the fee of FDUSD is nan: it must be 0 to 100 bps"),
        ("model", {"fees": "FDUSD=-1"}, "the fee of FDUSD is -1: it must be 0 to 100 bps"),
        ("model", {"fees": "FDUSD=101"}, "the fee of FDUSD is 101: it must be 0 to 100 bps"),
        ("recording", {}, "needs the folder"),
        ("recording", {"recordings": "/no/such/folder"}, "no recording at /no/such/folder"),
    ],
)
def test_wrong_parameters_are_refused_with_a_sentence(
    kind: str, parameters: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        market_from(kind, parameters)
