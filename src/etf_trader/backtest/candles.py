"""Daily candles from a folder of CSV files, one a coin, read when they are needed and no further.

A file is named by the coin or its market, `BTC.csv` or `BTCUSDT_1d.csv`. It has a
header with a day (`date`, `timestamp`, `open_time`), a `close` and perhaps a
`volume`; a file without one is taken for the venue's own, with the open time first.
Days are counted as ordinals, as `date.toordinal` counts them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from etf_trader.errors import DataError, UsageError

Floats = npt.NDArray[np.float64]

CUT_OFF = "fetch the file again, or take the row out"
ENDED_AFTER = 3
"""A market without a candle for so many days has ended; before, what is missing may be a gap."""

_DAY_COLUMNS = (b"timestamp", b"date", b"day", b"open_time", b"open time", b"time")
_VENUE_COLUMNS = (0, 4, 5)
_MILLISECONDS = 10**11
"""An epoch above this counts milliseconds; 10**14 microseconds."""


@dataclass(slots=True)
class Candles:
    """The candles of one coin: the days it traded on, with the closing price of each, ascending."""

    asset: str
    file: Path
    days: Sequence[int]
    _rows: list[bytes] = field(repr=False)
    _close: int
    _volume: int | None
    _headed: bool = False
    _texts: list[bytes] | None = None
    _values: Floats | None = None

    @property
    def first(self) -> int:
        """The first day."""
        return self.days[0]

    @property
    def last(self) -> int:
        """The last day."""
        return self.days[-1]

    def up_to(self, day: int) -> int:
        """Return how many candles there are up to `day`: all that may be known at its end."""
        if isinstance(self.days, range):
            return min(max(day - self.first + 1, 0), len(self.days))
        return int(np.searchsorted(np.asarray(self.days), day, side="right"))

    def last_before(self, day: int) -> int | None:
        """Return the newest day with a candle up to `day`."""
        known = self.up_to(day)
        return self.days[known - 1] if known else None

    def trades_on(self, day: int) -> bool:
        """Return whether its market is there at the end of `day`, as far as one can know then."""
        last = self.last_before(day)
        return last is not None and day - last < ENDED_AFTER

    def ended_between(self, start: int, end: int) -> int | None:
        """Return the first day after `start` and up to `end` at whose end its market is known to have ended."""
        lasts = (
            []
            if isinstance(self.days, range)
            else [d for d, after in pairwise(self.days) if after - d > ENDED_AFTER]
        )
        ends = (last + ENDED_AFTER for last in (*lasts, self.last))
        return next((day for day in ends if start < day <= end), None)

    def price(self, day: int) -> Decimal | None:
        """Return the last close up to `day`, exactly as the file writes it."""
        known = self.up_to(day)
        return self._number(self._closes()[known - 1], known - 1, "price") if known else None

    def closes(self) -> Floats:
        """Return the closes of all days, shape (days,).

        Raises:
            DataError: one is no price; names its line.
        """
        if self._values is None:
            texts = self._closes()
            try:
                self._values = np.fromiter(map(float, texts), np.float64, len(texts))
            except ValueError:
                numbers = [self._number(text, place, "price") for place, text in enumerate(texts)]
                self._values = np.array([float(each) for each in numbers])
            if not (np.isfinite(self._values) & (self._values > 0)).all():
                place = int(np.argmin(np.isfinite(self._values) & (self._values > 0)))
                raise DataError(
                    f"{self.asset} has a close of {texts[place].decode()} on {date.fromordinal(self.days[place])}",
                    where=_line(self.file, place, headed=self._headed),
                )
        return self._values

    def value_traded(self, day: int, days: int) -> Decimal:
        """Return what was traded in the `days` days up to `day`, in quote; 0 where the file has no volume."""
        if self._volume is None:
            return Decimal(0)
        known = self.up_to(day)
        total = Decimal(0)
        for place in range(max(known - days, 0), known):
            row = self._rows[place].split(b",")
            close = self._number(row[self._close], place, "price")
            total += close * self._number(row[self._volume], place, "volume")
        return total

    def _closes(self) -> list[bytes]:
        if self._texts is None:
            place = self._close
            try:
                self._texts = [row.split(b",", place + 1)[place] for row in self._rows]
            except IndexError as error:
                short = next(number for number, row in enumerate(self._rows) if row.count(b",") < place)
                where = _line(self.file, short, headed=self._headed)
                raise DataError("a row is cut off", where=where, hint=CUT_OFF) from error
        return self._texts

    def _number(self, text: bytes, place: int, what: str) -> Decimal:
        """Return what stands in a row: a price above 0, or a volume of 0 or more."""
        try:
            found = Decimal(text.decode().strip())
        except (InvalidOperation, UnicodeDecodeError):
            found = Decimal("NaN")
        if not found.is_finite() or found < 0 or (what == "price" and not found):
            raise DataError(
                f"{text.decode('utf-8', 'replace')!r} is no {what} of {self.asset}",
                where=_line(self.file, place, headed=self._headed),
            )
        return found


def read_folder(folder: Path, quote: str) -> dict[str, Candles]:
    """Return the candles of every coin in a folder, by asset.

    Args:
        quote: What prices are in: `BTCUSDT_1d.csv` is BTC where this is USDT.

    Raises:
        UsageError: the folder is not there, or has no candles.
        DataError: a file is no table of candles, or two are of one coin.
    """
    try:
        files = sorted(each for each in folder.iterdir() if each.name.lower().endswith(".csv"))
    except OSError as error:
        raise UsageError(
            f"cannot read the candles: {(error.strerror or str(error)).lower()}",
            where=str(folder),
            hint="--candles DIR is a folder with a CSV file a coin, like BTCUSDT_1d.csv",
        ) from error
    found: dict[str, Candles] = {}
    for file in files:
        asset = _asset(file, quote)
        if asset in found:
            raise DataError(f"{file.name} and {found[asset].file.name} are both of {asset}", where=str(folder))
        found[asset] = _read(file, asset)
    if not found:
        raise UsageError(
            "there are no candles", where=str(folder), hint="it has no file that is called like BTCUSDT_1d.csv"
        )
    return found


def _asset(file: Path, quote: str) -> str:
    name = file.stem.upper().partition("_")[0].replace("-", "").replace("/", "")
    return name.removesuffix(quote) or name


def _read(file: Path, asset: str) -> Candles:
    try:
        rows = file.read_bytes().removeprefix(b"\xef\xbb\xbf").replace(b"\r", b"").split(b"\n")
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=str(file)) from error
    while rows and not rows[-1]:
        rows.pop()
    day, close, volume = _VENUE_COLUMNS[0], _VENUE_COLUMNS[1], None
    headed = bool(rows) and not rows[0][:1].isdigit()
    if headed:
        day, close, volume = _columns(rows.pop(0), file)
    elif rows and rows[0].count(b",") >= _VENUE_COLUMNS[2]:
        volume = _VENUE_COLUMNS[2]
    if not rows:
        raise DataError("it has no candles", where=str(file))
    days = _days(rows, day, lambda place: _line(file, place, headed=headed))
    return Candles(asset, file, days, rows, close, volume, headed)


def _columns(header: bytes, file: Path) -> tuple[int, int, int | None]:
    names = [name.strip().lower() for name in header.split(b",")]
    day = next((names.index(name) for name in _DAY_COLUMNS if name in names), None)
    if day is None or b"close" not in names:
        lacks = "close" if day is not None else "date"
        shown = header.decode("utf-8", "replace")[:80]
        raise DataError(
            f"it has no column {lacks}",
            where=str(file),
            hint=f"its columns are {shown}; a candle has date and close",
        )
    return day, names.index(b"close"), names.index(b"volume") if b"volume" in names else None


def _days(rows: Sequence[bytes], column: int, line: Callable[[int], str]) -> Sequence[int]:
    """Return the day of each row, as a range where none is missing; `line` tells where a row stands."""

    def day(place: int) -> int:
        return _day(rows[place], column, line(place))

    first, last = day(0), day(len(rows) - 1)
    if last - first + 1 == len(rows):
        places = range(0, len(rows), max(len(rows) // 4, 1))
        if all(day(place) == first + place for place in places):
            return range(first, last + 1)
    days = [day(place) for place in range(len(rows))]
    for place, (before, after) in enumerate(pairwise(days), start=1):
        if after <= before:
            raise DataError(
                "the day is not after that of the row before it",
                where=line(place),
                hint="one row a day, the oldest first",
            )
    return days


def _day(row: bytes, column: int, where: str) -> int:
    cells = row.split(b",", column + 1)
    if len(cells) <= column:
        raise DataError("a row is cut off", where=where, hint=CUT_OFF)
    text = cells[column].strip()
    found = _ordinal(text[:10]) if b"-" in text[:5] else _epoch_day(text)
    if found is None:
        raise DataError(f"{text.decode('utf-8', 'replace')!r} is no day", where=where, hint="like 2026-01-31")
    return found


def _line(file: Path, place: int, *, headed: bool) -> str:
    """Return where a row stands, as an editor counts lines."""
    return f"{file}:{place + (2 if headed else 1)}"


@cache
def _ordinal(text: bytes) -> int | None:
    try:
        return date.fromisoformat(text.decode()).toordinal()
    except ValueError:
        return None


def _epoch_day(text: bytes) -> int | None:
    if not text.isdigit():
        return None
    seconds = int(text)
    while seconds > _MILLISECONDS:
        seconds //= 1000
    return datetime.fromtimestamp(seconds, UTC).toordinal()


def fill_from(values: Floats, days: Sequence[int], prices: Floats, start: int) -> Floats:
    """Return `values` with a price from each of `days` on, until the next; `start` is the day of its first."""
    end = start + len(values) - 1
    places = np.searchsorted(np.asarray(days), np.arange(max(days[0], start), end + 1), side="right") - 1
    if len(places):
        values[len(values) - len(places) :] = prices[places]
    return values
