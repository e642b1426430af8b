"""Order books recorded from Binance: snapshots and the updates after them, replayed.

Two formats are read, gzipped or plain, a file or a folder of them, and told
apart by their first line:

- JSON lines `{"t": seconds, "rest": "depth", "symbol": ..., "data": {...}}` and
  `{"t": seconds, "ws": {"stream": ..., "data": {...}}}`, many symbols a file;
- `<local nanoseconds> <JSON>` lines of one symbol's combined streams and its
  snapshot. Files named alike up to a final date are one recording, in order of date.

Each recording's first line is time 0, and all start together. Trades say what was
traded; tickers and candles are skipped. `docs/market-model.md` has the details.
"""

import gzip
import json
import re
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from etf_trader.errors import ConfigError, NotFound
from etf_trader.exchange.market import Depth, MarketBook, Print
from etf_trader.exchange.recorded_trades import KINDS, RecordedTrades, TradeLine

_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FEE = Decimal("0.001")

_SUFFIXES = (".gz", ".jsonl")
_GZIP = b"\x1f\x8b"

_JSON_LINE = re.compile(
    rb'\{"t":\s*(?P<t>[\d.]+),\s*'
    rb'(?:"rest":\s*"(?P<rest>\w+)",\s*"symbol":\s*"(?P<symbol>\w+)"|"ws":\s*\{\s*"stream":\s*"(?P<stream>[^"]+)")'
)
_STAMPED_LINE = re.compile(rb'(?P<t>\d{16,20}) \{\s*"(?:stream":\s*"(?P<stream>[^"]+)"|lastUpdateId")')
_UPDATE_IDS = re.compile(rb'"U":\s*(\d+),\s*"u":\s*(\d+)')
_LAST_UPDATE_ID = re.compile(rb'"lastUpdateId":\s*(\d+)')
_TRADES = tuple(kind.encode() for kind in KINDS)
_LEVEL = re.compile(rb'\[\s*"([\d.]+)",\s*"([\d.]+)"\s*\]')
_DATED_NAME = re.compile(r"(?P<stem>.+)_\d{8}(?:\.\w+)*")

_PAIR = re.compile(
    r"(?P<base>\w+?)(?P<quote>FDUSD|USDT|USDC|BUSD|TUSD|USDP|DAI|BTC|ETH|BNB|XRP|TRX|DOGE"
    r"|EUR|GBP|AUD|BRL|TRY|RUB|UAH|NGN|ZAR|PLN|RON|ARS|JPY|MXN|IDRT|BIDR|BVND|VAI)"
)
"""Quote assets of Binance Spot, past and present; where several fit, the longest is meant."""


class _Message(NamedTuple):
    """A line that says something about a book."""

    time: int
    """Microseconds since 1970, local receive time."""
    symbol: str
    is_snapshot: bool
    first: int
    last: int
    """Ids of the first and the last update in it; both lastUpdateId for a snapshot."""
    line: bytes
    """JSON."""


class _Step(NamedTuple):
    """What happens to a book, in order."""

    time: int
    """Microseconds since time 0; 0 for the first snapshot, which also holds before it was taken."""
    is_snapshot: bool
    update_id: int
    """The book's after it."""
    line: bytes


@dataclass
class _Recorded:
    """One symbol's recorded book and a position in it."""

    symbol: str
    source: str
    steps: list[_Step]
    done: int = 0
    """Steps applied."""
    update_id: int = 0
    bids: dict[Decimal, Decimal] = field(default_factory=dict)
    asks: dict[Decimal, Decimal] = field(default_factory=dict)
    book: MarketBook | None = None
    """The book at this position, once asked for."""
    indexed: int = 0
    """Steps whose levels stand in `set_times`."""
    set_times: dict[tuple[str, Decimal], list[int]] = field(default_factory=dict)
    """When each level was set by an update, ascending, by side and price."""
    snapshot_times: list[int] = field(default_factory=list)

    def move_to(self, time: int) -> None:
        """Apply every step up to `time`; going back starts again from the first snapshot."""
        if self.done and self.steps[self.done - 1].time > max(time, 0):
            self.done = 0
        while self.done < len(self.steps):
            step = self.steps[self.done]
            if step.time > max(time, 0):
                break
            self._apply(step)
            self.done += 1
            self.update_id = step.update_id
            self.book = None

    def current(self) -> MarketBook:
        """Return the book at this position."""
        if self.book is None:
            self.book = MarketBook(
                bids=tuple(map(Depth._make, sorted(self.bids.items(), reverse=True))),
                asks=tuple(map(Depth._make, sorted(self.asks.items()))),
                update_id=self.update_id,
                complete=False,  # a snapshot is a window: levels beyond it are unknown until they change
            )
        return self.book

    def mid(self) -> Decimal | None:
        """Return the mean of the best prices at this position; None where a side is empty."""
        return (max(self.bids) + min(self.asks)) / 2 if self.bids and self.asks else None

    def was_set(self, side: str, price: Decimal, since: int, at: int) -> bool:
        """Return whether the level was set after `since` and not after `at`."""
        if self.indexed < len(self.steps) and self.steps[self.indexed].time <= at:
            self.move_to(at)
        return any(
            bisect_right(times, at) > bisect_right(times, since)
            for times in (self.set_times.get((side, price), ()), self.snapshot_times)
        )

    def _apply(self, step: _Step) -> None:
        data = self._decode(step)
        index = self.done >= self.indexed
        try:
            if step.is_snapshot:
                self.bids = {price: quantity for price, quantity in _levels(data["bids"]) if quantity}
                self.asks = {price: quantity for price, quantity in _levels(data["asks"]) if quantity}
                if index:
                    self.snapshot_times.append(step.time)
            else:
                for side, book, changes in (("BID", self.bids, data["b"]), ("ASK", self.asks, data["a"])):
                    for price, quantity in _levels(changes):
                        if quantity:
                            book[price] = quantity
                        else:
                            book.pop(price, None)  # removing an unknown level is normal
                        if index:
                            self.set_times.setdefault((side, price), []).append(step.time)
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise _unreadable(self.source, self.symbol) from error
        if index:
            self.indexed = self.done + 1

    def _decode(self, step: _Step) -> Any:
        try:
            message = json.loads(step.line)
        except ValueError as error:
            raise _unreadable(self.source, self.symbol) from error
        message = message.get("ws", message)
        return message.get("data", message)


class RecordingMarket:
    """The market of recorded books; after its end it holds the last of them."""

    def __init__(self, recordings: Path | Sequence[Path], exchange_info: Path | None = None) -> None:
        """Read the recordings of a folder, a file or several, and check that no update is missing.

        Args:
            recordings: A folder (its *.gz and *.jsonl files), a file, or files.
            exchange_info: A saved response of GET /api/v3/exchangeInfo, gzipped or not, to take the symbols'
                rules from; without it, and for symbols it lacks, they are inferred from what was recorded.

        Raises:
            ConfigError: a file is missing, broken or no recording; no snapshot; a symbol in two recordings;
                a gap in the updates after which no snapshot follows.
        """
        self._recorded: dict[str, _Recorded] = {}
        self._exchange_info = exchange_info
        self._rows: tuple[dict[str, Any], ...] | None = None
        self._trades: dict[str, RecordedTrades] = {}
        self._end = 0
        first_times = []
        for paths in _recordings(_files(recordings)):
            trades: list[TradeLine] = []
            messages = [message for path in paths for message in _messages(path, trades)]
            if not messages:
                continue
            first = _first_time(paths[0])
            first_times.append(first)
            self._add(paths[0].name, messages, trades, first)
            self._end = max(self._end, messages[-1].time - first)
        if not self._recorded:
            raise ConfigError(
                f"there is no depth snapshot in {_shown(recordings)}; a recording needs one for each symbol",
                where="exchange.recordings",
            )
        self.start = (_EPOCH + min(first_times) * _MICROSECOND).replace(microsecond=0)
        self.since: datetime | None = self.start

    def symbols(self) -> tuple[dict[str, Any], ...]:
        """Return the rows of the recorded symbols, in order of name; inferred ones say `"inferred": True`.

        Raises:
            ConfigError: the exchange info cannot be read; a symbol's quote asset is not known.
        """
        if self._rows is None:
            known = _exchange_info_rows(self._exchange_info) if self._exchange_info else {}
            # The file may be of another day than the recording; that the symbol traded, the recording shows.
            self._rows = tuple(
                known[symbol] | {"status": "TRADING"} if symbol in known else _inferred_row(recorded)
                for symbol, recorded in sorted(self._recorded.items())
            )
        return self._rows

    def fees(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Return the maker and the taker rate as fractions: 10 bps each, Binance's without discount."""
        return _FEE, _FEE

    def book(self, symbol: str, at: datetime) -> MarketBook:
        """Return the recorded book at `at`: the first snapshot before it was taken, the last book after the end.

        Raises:
            NotFound: the symbol was not recorded.
            ConfigError: an update cannot be read.
        """
        recorded = self._symbol(symbol)
        recorded.move_to(self._time(at))
        return recorded.current()

    def still_consumed(
        self, symbol: str, side: str, price: Decimal, quantity: Decimal, since: datetime, at: datetime
    ) -> Decimal:
        """Return `quantity` until an update sets the level, 0 from then on: the venue told its state anew."""
        recorded = self._symbol(symbol)
        return Decimal(0) if recorded.was_set(side.upper(), price, self._time(since), self._time(at)) else quantity

    def mid(self, symbol: str, at: datetime) -> Decimal | None:
        """Return the mean of the best prices of the book at `at`; None where a side is empty.

        Raises:
            NotFound, ConfigError: as for `book`.
        """
        recorded = self._symbol(symbol)
        recorded.move_to(self._time(at))
        return recorded.mid()

    def traded(self, symbol: str, start: datetime, end: datetime) -> Decimal:
        """Return what the recorded trades from `start` until before `end` sum up to; 0 where none were recorded.

        Raises:
            NotFound: the symbol was not recorded.
            ConfigError: a trade cannot be read.
        """
        return self._trades[self._symbol(symbol).symbol].between(self._time(start), self._time(end))

    def prints(self, symbol: str, first: int, last: int) -> Iterator[Print]:
        """Yield the recorded trades from the one numbered `first` until before `last`, counted from 0.

        Raises:
            NotFound, ConfigError: as for `traded`.
        """
        for number, trade in self._trades[self._symbol(symbol).symbol].numbered(first, last):
            yield Print(
                number, self.start + trade.time * _MICROSECOND, trade.price, trade.quantity, trade.is_buyer_maker
            )

    def printed(self, symbol: str, until: datetime) -> int:
        """Return how many trades were recorded before `until`."""
        return self._trades[self._symbol(symbol).symbol].before(self._time(until))

    def print_time(self, symbol: str, number: int) -> datetime:
        """Return when the trade of that number was received."""
        ((_, trade),) = self._trades[self._symbol(symbol).symbol].numbered(number, number + 1)
        return self.start + trade.time * _MICROSECOND

    def exchange_filters(self) -> tuple[dict[str, Any], ...]:
        """Return those of the saved exchange info; none where there is no such file."""
        return _exchange_filters(self._exchange_info) if self._exchange_info else ()

    def finished(self, at: datetime) -> bool:
        """Return whether the last of the recordings is over at `at`."""
        return self._time(at) >= self._end

    def _time(self, at: datetime) -> int:
        return (at - self.start) // _MICROSECOND

    def _symbol(self, symbol: str) -> _Recorded:
        try:
            return self._recorded[symbol]
        except KeyError:
            raise NotFound(
                f"{symbol} was not recorded", hint="recorded: " + ", ".join(sorted(self._recorded))
            ) from None

    def _add(self, source: str, messages: list[_Message], trades: list[TradeLine], first_time: int) -> None:
        by_symbol: dict[str, list[_Message]] = {}
        for message in messages:
            by_symbol.setdefault(message.symbol, []).append(message)
        for symbol, own in by_symbol.items():
            if not any(message.is_snapshot for message in own):
                continue  # nothing to apply the updates to
            if symbol in self._recorded:
                raise ConfigError(
                    f"{symbol} is recorded in both {self._recorded[symbol].source} and {source}; keep one of them",
                    where="exchange.recordings",
                )
            self._recorded[symbol] = _Recorded(symbol, source, _steps(own, source, first_time))
            traded = [trade for trade in trades if trade.symbol == symbol]
            self._trades[symbol] = RecordedTrades(source, traded, first_time)


def _steps(messages: list[_Message], source: str, first_time: int) -> list[_Step]:
    """Return what to apply, by Binance's documented algorithm for a local book.

    Updates that a snapshot contains (u <= its id) are dropped, later ones must
    follow each other without a gap; after a gap the next snapshot starts anew.
    Updates that were received before their snapshot are applied with it.

    Raises:
        ConfigError: updates are missing and no later snapshot follows.
    """
    snapshots = [message for message in messages if message.is_snapshot]
    updates = [message for message in messages if not message.is_snapshot]
    steps: list[_Step] = []
    book_id = -1
    position = 0
    for snapshot in snapshots:
        if snapshot.last <= book_id:
            continue
        # A snapshot may be a moment ahead of the stream beside it: steps stay in order of time.
        time = max(snapshot.time - first_time, steps[-1].time) if steps else 0
        steps.append(_Step(time, True, snapshot.last, snapshot.line))
        book_id = snapshot.last
        while position < len(updates):
            update = updates[position]
            if update.last > book_id:
                if update.first > book_id + 1:
                    break
                if update.time > snapshot.time:
                    time = max(time, update.time - first_time)
                steps.append(_Step(time, False, update.last, update.line))
                book_id = update.last
            position += 1
        else:
            return steps
    raise ConfigError(
        f"{source}: updates of {messages[0].symbol} are missing between {book_id} and {updates[position].first}, "
        "and no later snapshot follows",
        where="exchange.recordings",
        hint="record again, or cut the file before the gap",
    )


def _levels(pairs: Iterable[Sequence[str]]) -> Iterator[tuple[Decimal, Decimal]]:
    for price, quantity in pairs:
        yield Decimal(price), Decimal(quantity)


def _files(recordings: Path | Sequence[Path]) -> list[Path]:
    """Return the files to read, in order of name.

    Raises:
        ConfigError: the path does not exist, or the folder has no recording.
    """
    paths = [recordings] if isinstance(recordings, Path) else list(recordings)
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += [file for file in path.iterdir() if file.suffix in _SUFFIXES and file.is_file()]
        elif path.exists():
            files.append(path)
        else:
            raise ConfigError(f"there is no recording at {path}", where="exchange.recordings")
    if not files:
        raise ConfigError(
            f"there is no recording (*.gz or *.jsonl) in {_shown(recordings)}", where="exchange.recordings"
        )
    return sorted(files, key=lambda file: file.name)


def _recordings(files: list[Path]) -> Iterator[list[Path]]:
    """Yield the files of each recording: dated ones of the second format belong together, others stand alone."""
    groups: dict[str, list[Path]] = {}
    for file in files:
        dated = _DATED_NAME.fullmatch(file.name)
        is_part = dated is not None and _STAMPED_LINE.match(_first_line(file))
        groups.setdefault(dated["stem"] if dated and is_part else str(file), []).append(file)
    yield from groups.values()


def _messages(path: Path, trades: list[TradeLine]) -> list[_Message]:
    """Return the depth snapshots and depth updates of a file, in its order, and add its trades to `trades`.

    Raises:
        ConfigError: the file cannot be read, or holds something else.
    """
    lines = _content(path).splitlines()
    stamped = bool(lines) and lines[0][:1].isdigit()
    pattern = _STAMPED_LINE if stamped else _JSON_LINE
    messages: list[_Message] = []
    lone_snapshots: list[tuple[int, int, bytes]] = []
    for number, line in enumerate(lines, start=1):
        found = pattern.match(line)
        if found is None:
            if not line.strip():
                continue
            raise ConfigError(
                f"line {number} of {path} is not a recorded Binance message", where="exchange.recordings"
            )
        time = int(found["t"]) // 1000 if stamped else round(float(found["t"]) * 1e6)
        text = line.partition(b" ")[2] if stamped else line
        if (stream := found["stream"]) is not None:
            name, _, kind = stream.partition(b"@")
            if kind.startswith(b"depth"):
                symbol = name.decode().upper()
                messages.append(_Message(time, symbol, False, *_ids(_UPDATE_IDS, text, path, symbol), text))
            elif kind in _TRADES:
                trades.append(TradeLine(time, name.decode().upper(), kind.decode(), text))
        elif stamped:
            lone_snapshots.append((len(messages), time, text))
        elif found["rest"] == b"depth":
            symbol = found["symbol"].decode()
            messages.append(_Message(time, symbol, True, *_ids(_LAST_UPDATE_ID, text, path, symbol), text))
    if lone_snapshots:
        # A snapshot of the second format does not say whose it is; the streams beside it do.
        symbols = {message.symbol for message in messages}
        if len(symbols) != 1:
            raise ConfigError(
                f"{path} has a snapshot and depth streams of {len(symbols)} symbols; it needs exactly one",
                where="exchange.recordings",
            )
        symbol = symbols.pop()
        for position, time, text in reversed(lone_snapshots):
            ids = _ids(_LAST_UPDATE_ID, text, path, symbol)
            messages.insert(position, _Message(time, symbol, True, *ids, text))
    return messages


def _ids(pattern: re.Pattern[bytes], text: bytes, path: Path, symbol: str) -> tuple[int, int]:
    found = pattern.search(text)
    if found is None:
        raise _unreadable(path.name, symbol)
    return int(found[1]), int(found[found.re.groups])


def _first_time(path: Path) -> int:
    """Return the time of a recording's first line, microseconds since 1970."""
    line = _first_line(path)
    found = _STAMPED_LINE.match(line)
    if found:
        return int(found["t"]) // 1000
    found = _JSON_LINE.match(line)
    assert found is not None  # the file was read before
    return round(float(found["t"]) * 1e6)


def _first_line(path: Path) -> bytes:
    try:
        with path.open("rb") as plain:
            if plain.read(2) != _GZIP:
                plain.seek(0)
                return plain.readline()
        with gzip.open(path) as packed:
            return packed.readline()
    except (OSError, EOFError, zlib.error) as error:
        raise _broken(path, error) from error


def _content(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        if not data.startswith(_GZIP):
            return data
        try:
            return gzip.decompress(data)
        except (EOFError, gzip.BadGzipFile):
            if whole := _whole_members(data):
                return whole  # who recorded was killed while the last member was written
            raise
    except (OSError, EOFError, zlib.error) as error:
        raise _broken(path, error) from error


def _whole_members(data: bytes) -> bytes:
    """Return what the gzip members of a file hold, without the one that it ends in the middle of.

    Nothing, where something else than a member stands behind them.
    """
    found = []
    while data.startswith(_GZIP):
        member = zlib.decompressobj(wbits=31)
        content = member.decompress(data)
        if not member.eof:
            break
        found.append(content)
        data = member.unused_data
    return b"".join(found) if data[:2] == _GZIP[: len(data)] else b""


def _exchange_info_rows(path: Path) -> dict[str, dict[str, Any]]:
    try:
        rows = json.loads(_content(path))["symbols"]
        return {row["symbol"]: row for row in rows if row["filters"]}
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{path} is not a saved response of exchangeInfo: it has no list of symbols with filters",
            where="exchange.exchange_info",
        ) from error


@cache
def _exchange_filters(path: Path) -> tuple[dict[str, Any], ...]:
    _exchange_info_rows(path)
    return tuple(json.loads(_content(path)).get("exchangeFilters", ()))


def _inferred_row(recorded: _Recorded) -> dict[str, Any]:
    """Return a row of exchangeInfo with the finest decimals seen as tick and step, and Binance's usual limits."""
    symbol = recorded.symbol
    pair = _PAIR.fullmatch(symbol)
    if pair is None:
        raise ConfigError(
            f"the quote asset of {symbol} is not known",
            where="exchange.exchange_info",
            hint="give an exchange info file",
        )
    prices, quantities = set(), set()
    for step in recorded.steps:
        for price, quantity in _LEVEL.findall(step.line):
            prices.add(price)
            quantities.add(quantity)
    tick, step_size = _finest(prices), _finest(quantities)
    return {
        "symbol": symbol,
        "status": "TRADING",
        "baseAsset": pair["base"],
        "baseAssetPrecision": 8,
        "quoteAsset": pair["quote"],
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000", "tickSize": tick},
            {
                "filterType": "LOT_SIZE",
                "minQty": step_size,
                "maxQty": "9000000000.00000000",
                "stepSize": step_size,
            },
            {
                "filterType": "PERCENT_PRICE_BY_SIDE",
                "bidMultiplierUp": "5",
                "bidMultiplierDown": "0.2",
                "askMultiplierUp": "5",
                "askMultiplierDown": "0.2",
                "avgPriceMins": 5,
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": "10.00000000",
                "applyMinToMarket": True,
                "maxNotional": "9000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        ],
        "permissions": ["SPOT"],
        "inferred": True,
    }


def _finest(numbers: Iterable[bytes]) -> str:
    """Return the power of ten of the last decimal that is not zero in any of the numbers, at most 1."""
    decimals = max((len(number.partition(b".")[2].rstrip(b"0")) for number in numbers), default=0)
    return f"{Decimal(1).scaleb(-decimals):.8f}"


def _shown(recordings: Path | Sequence[Path]) -> str:
    return str(recordings) if isinstance(recordings, Path) else ", ".join(map(str, recordings))


def _broken(path: Path, error: Exception) -> ConfigError:
    return ConfigError(f"{path} cannot be read: {error}", where="exchange", hint="fetch or record the file again")


def _unreadable(source: str, symbol: str) -> ConfigError:
    return ConfigError(
        f"{source} has a depth message of {symbol} that cannot be read", where="exchange.recordings"
    )
