import gzip
import json
import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.effort import examples

from etf_trader.errors import ConfigError, NotFound
from etf_trader.exchange.market import MarketBook
from etf_trader.exchange.markets import market_from
from etf_trader.exchange.recording import RecordingMarket

T0 = 1_617_566_592.25
START = datetime(2021, 4, 4, 20, 3, 12, tzinfo=UTC)

RECORDINGS = Path(os.environ.get("ETF_TEST_DATA", Path(__file__).parents[4] / "shared" / "data"))

Pairs = Iterable[tuple[str, str]]


def snapshot(second: float, update_id: int, bids: Pairs, asks: Pairs, symbol: str = "AAAUSDT") -> dict[str, Any]:
    data = {"lastUpdateId": update_id, "bids": list(bids), "asks": list(asks)}
    return {"t": T0 + second, "rest": "depth", "symbol": symbol, "limit": 1000, "data": data}


def update(
    second: float, first: int, last: int, bids: Pairs = (), asks: Pairs = (), symbol: str = "AAAUSDT"
) -> dict[str, Any]:
    data = {"e": "depthUpdate", "E": 0, "s": symbol, "U": first, "u": last, "b": list(bids), "a": list(asks)}
    return {"t": T0 + second, "ws": {"stream": f"{symbol.lower()}@depth@100ms", "data": data}}


def trade(second: float, symbol: str = "AAAUSDT") -> dict[str, Any]:
    stream = f"{symbol.lower()}@aggTrade"
    return {"t": T0 + second, "ws": {"stream": stream, "data": {"e": "aggTrade", "p": "1", "q": "1"}}}


def as_text(messages: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(message, separators=(",", ":")).encode() + b"\n" for message in messages)


def as_stamped_text(messages: Iterable[dict[str, Any]]) -> bytes:
    lines = []
    for message in messages:
        body = message["ws"] if "ws" in message else message["data"]
        lines.append(f"{int(message['t'] * 1_000_000)}000 {json.dumps(body, separators=(',', ':'))}\n".encode())
    return b"".join(lines)


def record(folder: Path, *messages: dict[str, Any], name: str = "rec_a.jsonl.gz") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(as_text(messages)))
    return path


def at(second: float) -> datetime:
    """The market's time `second` s after a recording's first line."""
    return START + timedelta(seconds=second)


def levels(book: MarketBook) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    bids, asks = ([(str(price), str(quantity)) for price, quantity in side] for side in (book.bids, book.asks))
    return bids, asks


SNAPSHOT = snapshot(1, 10, [("9.9", "1"), ("9.8", "2")], [("10.1", "3"), ("10.2", "4.50")])


def test_updates_set_add_and_remove_levels_from_their_time_on(tmp_path: Path) -> None:
    record(
        tmp_path,
        trade(0),
        SNAPSHOT,
        update(2, 11, 12, bids=[("9.9", "5"), ("9.7", "6")], asks=[("10.1", "0"), ("77", "0")]),
        trade(2.5),
        update(3, 13, 13, asks=[("10.05", "1")]),
    )
    market = RecordingMarket(tmp_path)
    before = ([("9.9", "1"), ("9.8", "2")], [("10.1", "3"), ("10.2", "4.50")])
    assert levels(market.book("AAAUSDT", at(1.99))) == before
    second = market.book("AAAUSDT", at(2))
    assert levels(second) == ([("9.9", "5"), ("9.8", "2"), ("9.7", "6")], [("10.2", "4.50")])
    assert second.update_id == 12
    assert not second.complete
    assert levels(market.book("AAAUSDT", at(3)))[1] == [("10.05", "1"), ("10.2", "4.50")]
    assert levels(market.book("AAAUSDT", at(1))) == before  # time may go back


def test_before_its_time_the_first_snapshot_holds(tmp_path: Path) -> None:
    record(tmp_path, trade(0), SNAPSHOT)
    market = RecordingMarket(tmp_path)
    assert market.start == START
    assert market.book("AAAUSDT", market.start) == market.book("AAAUSDT", at(1))
    assert market.book("AAAUSDT", at(-100)).update_id == 10


def test_updates_received_before_the_snapshot_count_when_they_are_newer(tmp_path: Path) -> None:
    record(
        tmp_path,
        update(0.1, 5, 9, bids=[("9.9", "100")]),
        update(0.2, 10, 11, bids=[("9.8", "7")]),
        SNAPSHOT,
        update(2, 12, 12),
    )
    book = RecordingMarket(tmp_path).book("AAAUSDT", START)
    assert levels(book)[0] == [("9.9", "1"), ("9.8", "7")]
    assert book.update_id == 11


def test_updates_the_book_has_already_are_ignored(tmp_path: Path) -> None:
    record(tmp_path, SNAPSHOT, update(2, 11, 15, bids=[("9.9", "5")]), update(3, 12, 14, bids=[("9.9", "6")]))
    assert levels(RecordingMarket(tmp_path).book("AAAUSDT", at(9)))[0][0] == ("9.9", "5")


def test_a_gap_names_the_file_and_the_symbol(tmp_path: Path) -> None:
    record(tmp_path, SNAPSHOT, update(2, 11, 12), update(3, 14, 15))
    with pytest.raises(ConfigError, match=r"rec_a.jsonl.gz: updates of AAAUSDT are missing between 12 and 14"):
        RecordingMarket(tmp_path)


def test_a_gap_right_after_the_snapshot_is_found(tmp_path: Path) -> None:
    record(tmp_path, SNAPSHOT, update(2, 12, 12))
    with pytest.raises(ConfigError, match="missing between 10 and 12"):
        RecordingMarket(tmp_path)


def test_after_a_gap_a_later_snapshot_starts_anew(tmp_path: Path) -> None:
    record(
        tmp_path,
        SNAPSHOT,
        update(2, 11, 12, bids=[("9.9", "5")]),
        update(3, 20, 22, bids=[("9.9", "6")]),
        update(3.5, 23, 25, bids=[("9.8", "8")]),
        snapshot(4, 22, [("9.6", "1")], [("9.9", "2")]),
        update(5, 26, 26, asks=[("9.8", "1")]),
    )
    market = RecordingMarket(tmp_path)
    assert levels(market.book("AAAUSDT", at(3.9)))[0][0] == ("9.9", "5")  # held while nothing is known
    assert levels(market.book("AAAUSDT", at(4))) == ([("9.8", "8"), ("9.6", "1")], [("9.9", "2")])
    assert market.book("AAAUSDT", at(5)).update_id == 26
    assert market.still_consumed("AAAUSDT", "BID", Decimal("9.7"), Decimal(1), at(2), at(4)) == 0


def test_symbols_without_a_snapshot_are_not_listed(tmp_path: Path) -> None:
    record(tmp_path, SNAPSHOT, update(0.5, 1, 2, symbol="BBBUSDT"))
    market = RecordingMarket(tmp_path)
    assert [row["symbol"] for row in market.symbols()] == ["AAAUSDT"]
    with pytest.raises(NotFound, match="BBBUSDT was not recorded"):
        market.book("BBBUSDT", START)


def test_files_start_together_whatever_their_dates(tmp_path: Path) -> None:
    record(tmp_path, trade(0), SNAPSHOT, update(2, 11, 11, bids=[("9.9", "5")]))
    day = 86_400.5
    record(
        tmp_path,
        trade(day),
        snapshot(day + 1, 7, [("1", "1")], [("2", "1")], "BBBUSDT"),
        update(day + 2, 8, 8, bids=[("1.5", "1")], symbol="BBBUSDT"),
        name="rec_b.jsonl.gz",
    )
    market = RecordingMarket(tmp_path)
    assert market.start == START
    assert levels(market.book("BBBUSDT", at(1.9)))[0] == [("1", "1")]
    assert levels(market.book("BBBUSDT", at(2)))[0] == [("1.5", "1"), ("1", "1")]
    assert not market.finished(at(1.9))
    assert market.finished(at(2))
    assert market.book("BBBUSDT", at(10**6)) == market.book("BBBUSDT", at(2))


def test_the_second_format_gives_the_same_books(tmp_path: Path) -> None:
    messages = [
        trade(0),
        update(0.5, 9, 11, bids=[("9.9", "7")]),
        SNAPSHOT,
        update(2, 12, 12, asks=[("10.1", "0")]),
    ]
    plain = tmp_path / "plain.jsonl"
    plain.write_bytes(as_text(messages))
    stamped = tmp_path / "spot_aaausdt_20210404.gz"
    stamped.write_bytes(gzip.compress(as_stamped_text(messages)))
    one, two = RecordingMarket(plain), RecordingMarket(stamped)
    assert one.start == two.start
    assert one.symbols() == two.symbols()
    for second in (0, 1, 2, 3):
        assert one.book("AAAUSDT", at(second)) == two.book("AAAUSDT", at(second))


def test_dated_files_of_the_second_format_follow_each_other(tmp_path: Path) -> None:
    messages = [trade(0), update(0.5, 9, 11, bids=[("9.9", "7")]), SNAPSHOT]
    later = [update(86_400, 12, 12, asks=[("10.1", "0")])]
    (tmp_path / "spot_aaausdt_20210404.gz").write_bytes(gzip.compress(as_stamped_text(messages)))
    (tmp_path / "spot_aaausdt_20210405.gz").write_bytes(gzip.compress(as_stamped_text(later)))
    market = RecordingMarket(tmp_path)
    assert levels(market.book("AAAUSDT", at(86_399)))[1][0] == ("10.1", "3")
    assert levels(market.book("AAAUSDT", at(86_400)))[1][0] == ("10.2", "4.50")
    assert market.finished(at(86_400))


# What accounts take


def test_what_was_taken_is_missing_until_an_update_sets_the_level(tmp_path: Path) -> None:
    set_ask, set_bid = update(2, 11, 11, asks=[("10.1", "3")]), update(3, 12, 12, bids=[("9.9", "1")])
    market = RecordingMarket(record(tmp_path, trade(0), SNAPSHOT, set_ask, set_bid))

    def missing(side: str, price: str, since: float, until: float) -> Decimal:
        return market.still_consumed("AAAUSDT", side, Decimal(price), Decimal("1.25"), at(since), at(until))

    assert missing("ASK", "10.1", 0, 1.9) == Decimal("1.25")
    assert missing("ASK", "10.1", 0, 2) == 0
    assert missing("ASK", "10.1", 2, 100) == Decimal("1.25")  # set before it was taken, not after
    assert missing("ASK", "10.2", 0, 100) == Decimal("1.25")
    assert missing("BID", "10.1", 0, 100) == Decimal("1.25")
    assert missing("bid", "9.9", 2, 3) == 0
    assert missing("ASK", "10.10", 0, 2) == 0  # prices are numbers, not texts
    market.book("AAAUSDT", at(0))
    assert missing("ASK", "10.1", 0, 2) == 0


# Rules of the symbols


def test_rules_are_inferred_from_the_finest_decimals(tmp_path: Path) -> None:
    record(
        tmp_path,
        snapshot(0, 1, [("9.90000000", "1.00000000")], [("10.10000000", "3.00000000")], "XETHUSDT"),
        update(
            1, 2, 2, bids=[("9.87500000", "0.00000000")], asks=[("11.00000000", "0.25000000")], symbol="XETHUSDT"
        ),
        snapshot(0, 1, [("9", "1")], [("10", "30")], "FOOBTC"),
    )
    row, other = sorted(RecordingMarket(tmp_path).symbols(), key=lambda row: -len(row["symbol"]))
    filters = {entry["filterType"]: entry for entry in row["filters"]}
    assert row["inferred"] is True
    assert (row["baseAsset"], row["quoteAsset"], row["status"]) == ("XETH", "USDT", "TRADING")
    assert filters["PRICE_FILTER"]["tickSize"] == "0.00100000"
    assert filters["LOT_SIZE"]["stepSize"] == "0.01000000"
    assert filters["NOTIONAL"]["minNotional"] == "10.00000000"
    assert filters["PERCENT_PRICE_BY_SIDE"]["bidMultiplierUp"] == "5"
    assert filters["PERCENT_PRICE_BY_SIDE"]["askMultiplierDown"] == "0.2"
    assert filters["MAX_NUM_ORDERS"]["maxNumOrders"] == 200
    assert (other["baseAsset"], other["quoteAsset"]) == ("FOO", "BTC")
    assert {entry["filterType"]: entry for entry in other["filters"]}["LOT_SIZE"]["stepSize"] == "1.00000000"
    assert RecordingMarket(tmp_path).fees("FOOBTC") == (Decimal("0.001"), Decimal("0.001"))


@pytest.mark.parametrize("pack", [gzip.compress, bytes], ids=["gzipped", "plain"])
def test_rules_come_from_a_saved_exchange_info(tmp_path: Path, pack: Any) -> None:
    record(tmp_path, SNAPSHOT, snapshot(0, 1, [("9", "1")], [("10", "30")], "FOOBTC"))
    row = {
        "symbol": "AAAUSDT",
        "status": "BREAK",
        "baseAsset": "AAA",
        "quoteAsset": "USDT",
        "filters": [{"a": "1"}],
    }
    info = tmp_path / "info.json"
    info.write_bytes(pack(json.dumps({"symbols": [row]}).encode()))
    known, inferred = market_from("recording", {"recordings": tmp_path, "exchange_info": info}).symbols()
    assert known == row | {"status": "TRADING"}
    assert inferred["inferred"] is True


def test_an_unknown_quote_asset_asks_for_exchange_info(tmp_path: Path) -> None:
    record(tmp_path, snapshot(0, 1, [("9", "1")], [("10", "30")], "FOOBAR"))
    with pytest.raises(ConfigError, match="quote asset of FOOBAR is not known"):
        RecordingMarket(tmp_path).symbols()


@pytest.mark.parametrize(
    "content", [b"{}", b"[]", b"no json", b'{"symbols": [{"symbol": "A"}]}', b'{"symbols": 5}']
)
def test_a_file_that_is_no_exchange_info_is_named(tmp_path: Path, content: bytes) -> None:
    record(tmp_path, SNAPSHOT)
    (tmp_path / "info.json").write_bytes(content)
    with pytest.raises(ConfigError, match=r"info.json is not a saved response of exchangeInfo"):
        RecordingMarket(tmp_path, tmp_path / "info.json").symbols()


# Files that cannot be read


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    path = record(tmp_path, SNAPSHOT, *(update(2 + k, 11 + k, 11 + k) for k in range(50)))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ConfigError, match=r"rec_a.jsonl.gz cannot be read"):
        RecordingMarket(tmp_path)


@pytest.mark.parametrize("cut", [3, 12, 40])
def test_a_damaged_file_is_named(tmp_path: Path, cut: int) -> None:
    path = record(tmp_path, SNAPSHOT, update(2, 11, 11))
    data = bytearray(path.read_bytes())
    data[cut:] = bytes(reversed(data[cut:]))
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=r"rec_a.jsonl.gz"):
        RecordingMarket(tmp_path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "no depth snapshot"),
        (b"hello\n", "line 1 of .*rec.jsonl is not a recorded Binance message"),
        (as_text([SNAPSHOT]) + b'{"t": 1}\n', "line 2 of .*rec.jsonl"),
        (as_text([trade(0), update(1, 1, 2)]), "no depth snapshot"),
        (
            b'{"t":1.5,"rest":"depth","symbol":"AAAUSDT","data":{}}\n',
            "depth message of AAAUSDT that cannot be read",
        ),
        (as_stamped_text([SNAPSHOT]), "depth streams of 0 symbols"),
    ],
    ids=["empty", "text", "a strange line", "no snapshot", "a snapshot without id", "a snapshot of nobody"],
)
def test_what_is_no_recording_gets_a_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "rec.jsonl").write_bytes(content)
    with pytest.raises(ConfigError, match=sentence):
        RecordingMarket(tmp_path)


@pytest.mark.parametrize("change", [("9.9", "x"), ("9.9",), "9"])
def test_a_level_that_is_no_number_gets_a_sentence(tmp_path: Path, change: Any) -> None:
    record(tmp_path, SNAPSHOT, update(2, 11, 11, bids=[change]))
    market = RecordingMarket(tmp_path)
    with pytest.raises(ConfigError, match="depth message of AAAUSDT that cannot be read"):
        market.book("AAAUSDT", at(5))


def test_missing_and_empty_places_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no recording at .*nowhere"):
        RecordingMarket(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r"no recording \(\*\.gz or \*\.jsonl\)"):
        RecordingMarket(tmp_path)


def test_a_symbol_in_two_recordings_is_refused(tmp_path: Path) -> None:
    record(tmp_path, SNAPSHOT)
    record(tmp_path, SNAPSHOT, name="rec_b.jsonl.gz")
    with pytest.raises(ConfigError, match=r"AAAUSDT is recorded in both rec_a.jsonl.gz and rec_b.jsonl.gz"):
        RecordingMarket(tmp_path)


# Any access is the same


prices = st.integers(1, 12)
changes = st.lists(st.tuples(prices, st.integers(0, 3)), max_size=4)


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(changes, min_size=1, max_size=12), st.lists(st.integers(-1, 14), min_size=1, max_size=8))
def test_random_access_equals_replaying(
    tmp_path: Path, updates: list[list[tuple[int, int]]], looks: list[int]
) -> None:
    messages = [snapshot(0, 0, [("1", "1")], [("100", "1")])]
    books = [{Decimal(1): Decimal(1)}]
    for number, change in enumerate(updates, start=1):
        messages.append(update(number, number, number, bids=[(str(p), str(q)) for p, q in change]))
        book = dict(books[-1])
        for price, quantity in change:
            if quantity:
                book[Decimal(price)] = Decimal(quantity)
            else:
                book.pop(Decimal(price), None)
        books.append(book)
    market = RecordingMarket(record(tmp_path, *messages))
    times = [max(0, min(look, len(updates))) for look in looks]
    for look, time in zip(looks, times, strict=True):
        assert dict(market.book("AAAUSDT", at(look)).bids) == books[time]
    for since, until in pairwise(sorted(times)):
        touched = {price for change in updates[since:until] for price, _ in change}
        for price in range(1, 13):
            left = market.still_consumed("AAAUSDT", "BID", Decimal(price), Decimal(5), at(since), at(until))
            assert left == (0 if price in touched else 5)


# Against what Binance sent


needs_recordings = pytest.mark.skipif(not (RECORDINGS / "recordings-2024").is_dir(), reason="recordings absent")


@needs_recordings
@pytest.mark.parametrize("name", ["btcusdt", "ethusdt"])
def test_rebuilt_books_are_the_recorded_best_prices(name: str) -> None:
    path = RECORDINGS / "recordings-2024" / f"spot_{name}_20240808.gz"
    symbol = name.upper()
    market = RecordingMarket(path)
    tickers: dict[int, dict[str, str]] = {}
    updates: list[tuple[int, int]] = []
    first = 0
    with gzip.open(path, "rt") as lines:
        for line in lines:
            stamp, _, text = line.partition(" ")
            first = first or int(stamp) // 1000
            if '@bookTicker"' in text[:60]:
                ticker = json.loads(text)["data"]
                tickers[ticker["u"]] = ticker
            elif '@depth@100ms"' in text[:60]:
                updates.append((int(stamp) // 1000 - first, json.loads(text)["data"]["u"]))
    compared = 0
    for microseconds, update_id in updates:
        ticker = tickers.get(update_id, {})  # a ticker of the very update with which a depth event ends
        if not ticker:
            continue
        book = market.book(symbol, market.start + timedelta(microseconds=microseconds))
        if book.update_id != update_id:
            continue  # received before the snapshot
        best = (*book.bids[0], *book.asks[0])
        assert best == tuple(Decimal(ticker[key]) for key in "bBaA")
        compared += 1
    assert compared > 500


@needs_recordings
def test_the_seven_assets_of_2021_have_books_from_the_start() -> None:
    market = RecordingMarket(RECORDINGS / "recordings-2021")
    rows = {row["symbol"]: row for row in market.symbols()}
    assert len(rows) == 23
    for asset in ("BTC", "ETH", "DOT", "ZIL", "MANA", "DENT", "BTCST"):
        assert rows[asset + "USDT"]["baseAsset"] == asset
        for second in (0, 30, 10_000):
            book = market.book(asset + "USDT", market.start + timedelta(seconds=second))
            assert len(book.bids) > 900
            assert book.bids[0].price < book.asks[0].price
    assert not market.finished(market.start)
    assert market.finished(market.start + timedelta(seconds=120))
