"""A table of market capitalisations, read from CSV: what was known of each coin on each day.

Rows are keyed by symbol and name, for two coins may share a symbol. A row that is
dated after the day one decides on is never looked at; the newest day before it is
taken whole, and refused when it is too old.
"""

import csv
import gzip
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

from etf_trader.errors import DataError, StaleCaps, UsageError
from etf_trader.money import ZERO

GOOD_FOR = timedelta(days=7)
"""A table whose newest day is older than this says nothing."""

COLUMNS: Mapping[str, Sequence[str]] = {
    "date": ("date", "snapshot_date", "day"),
    "symbol": ("symbol", "ticker"),
    "name": ("name", "coin"),
    "market_cap": ("market_cap", "market cap", "marketcap", "cap"),
    "price": ("price", "close", "price_usd"),
    "volume": ("volume", "volume (24h)", "volume_24h", "total_volume"),
}
"""What a row says, and what its column may be called; small and capital letters are the same."""

NEEDED = ("date", "symbol", "market_cap")
_DATES = ("%Y-%m-%d", "%Y%m%d")
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class CapRow:
    """One coin on one day; what the table does not say is None."""

    day: date
    symbol: str
    name: str
    market_cap: Decimal
    price: Decimal | None
    volume: Decimal | None


@dataclass(frozen=True, slots=True)
class CapTable:
    """Rows by day, each day's by capitalisation, the largest first.

    `unranked` are the coins by day whose capitalisation is blank or 0: they cannot be ranked.
    """

    days: Mapping[date, tuple[CapRow, ...]]
    source: str
    unranked: Mapping[date, frozenset[str]] = field(default_factory=dict)

    def known_on(self, day: date) -> tuple[CapRow, ...]:
        """Return the rows of the newest day that is not after `day`.

        Raises:
            StaleCaps: there is none, or it is older than a week.
        """
        past = [each for each in self.days if each <= day]
        if not past:
            raise StaleCaps(
                f"the table of market caps has nothing up to {day}",
                where=self.source,
                hint="rows that are dated later are never used",
            )
        newest = max(past)
        if day - newest > GOOD_FOR:
            raise StaleCaps(
                f"the newest market caps up to {day} are of {newest}: older than {GOOD_FOR.days} days",
                where=self.source,
                hint="bring the table up to date",
            )
        return self.days[newest]

    def unranked_on(self, day: date) -> frozenset[str]:
        """Return the coins without a capitalisation in the rows that are known on `day`."""
        newest = max((each for each in self.days if each <= day), default=day)
        ranked = {row.symbol for row in self.days.get(newest, ())}
        return self.unranked.get(newest, frozenset()) - ranked

    def first_seen(self, symbol: str, name: str, until: date) -> date | None:
        """Return the first day, not after `until`, on which a coin stands in the table."""
        return min(
            (
                day
                for day, rows in self.days.items()
                if day <= until and any((row.symbol, row.name) == (symbol, name) for row in rows)
            ),
            default=None,
        )


def read_caps(path: Path, columns: Mapping[str, str] | None = None) -> CapTable:
    """Read a table of market caps, plain or gzipped; `columns` says what its columns are called, where it differs.

    Raises:
        UsageError: the file cannot be read, or has no such column; names those it has.
        DataError: a row cannot be; names its line.
    """
    lines = _text(path)
    reader = csv.DictReader(lines)
    if not reader.fieldnames:
        raise DataError(
            "the table of market caps is empty", where=str(path), hint=f"its columns are {', '.join(NEEDED)}"
        )
    names = _names(reader.fieldnames, columns or {}, str(path))
    rows: dict[tuple[date, str, str], CapRow] = {}
    unranked: dict[date, set[str]] = {}
    for row in _rows(reader, names, str(path)):
        if not row.market_cap:
            unranked.setdefault(row.day, set()).add(row.symbol)
            continue
        key = (row.day, row.symbol, row.name)
        if key in rows:
            raise DataError(
                f"{row.symbol} ({row.name}) stands twice on {row.day}",
                where=f"{path}:{reader.line_num}",
                hint="one row a coin and day",
            )
        rows[key] = row
    if not rows:
        raise DataError("the table of market caps is empty", where=str(path))
    return CapTable(
        _by_day(rows.values()), str(path), {day: frozenset(symbols) for day, symbols in unranked.items()}
    )


def _by_day(rows: Iterable[CapRow]) -> dict[date, tuple[CapRow, ...]]:
    days: dict[date, list[CapRow]] = {}
    for row in rows:
        days.setdefault(row.day, []).append(row)
    return {
        day: tuple(sorted(found, key=lambda row: (-row.market_cap, row.symbol, row.name)))
        for day, found in sorted(days.items())
    }


def _text(path: Path) -> Iterator[str]:
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if data[:2] == _GZIP else data).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise UsageError(
            f"cannot read the market caps: {said[:1].lower()}{said[1:]}",
            where=str(path),
            hint=f"a CSV file with the columns {', '.join(NEEDED)}; --caps FILE names another",
        ) from error
    return io.StringIO(text)


def _names(header: Sequence[str], columns: Mapping[str, str], where: str) -> dict[str, str]:
    """Return what each column is called in this file, as far as it is there."""
    if unknown := [key for key in columns if key not in COLUMNS]:
        near = get_close_matches(unknown[0], COLUMNS, n=1)
        raise UsageError(
            f"a market cap has no {unknown[0]!r}",
            where="--caps-columns",
            hint=f"did you mean {near[0]}?" if near else f"one of {', '.join(COLUMNS)}",
        )
    there = {name.strip().lower(): name for name in header}
    found: dict[str, str] = {}
    for key, usual in COLUMNS.items():
        wanted = [columns[key].strip().lower()] if key in columns else usual
        match = next((there[name] for name in wanted if name in there), None)
        if match is not None:
            found[key] = match
        elif key in columns or key in NEEDED:
            raise UsageError(
                f"the table of market caps has no column for {key}",
                where=where,
                hint=f"its columns are {', '.join(header)}; say which in universe.columns, or by "
                f"--caps-columns {key}=NAME",
            )
    return found


def _rows(reader: "csv.DictReader[str]", names: Mapping[str, str], where: str) -> Iterator[CapRow]:
    """Yield the rows of coins; one whose capitalisation nobody knows has 0."""
    for row in reader:
        at = f"{where}:{reader.line_num}"
        _require_all(row, reader.fieldnames or (), at)
        symbol = row[names["symbol"]].strip().upper()
        if not symbol:
            continue
        name = row[names["name"]].strip() if "name" in names else symbol
        yield CapRow(
            _day(row[names["date"]], at),
            symbol,
            name,
            _number(row[names["market_cap"]], "market cap", at) or ZERO,
            _number(row[names["price"]], "price", at) if "price" in names else None,
            _number(row[names["volume"]], "volume", at) if "volume" in names else None,
        )


def _require_all(row: Mapping[str, Any], header: Sequence[str], where: str) -> None:
    """Refuse a row that was cut, or has more cells than there are columns: nothing in it is where it belongs."""
    more = row.get(None, ())  # type: ignore[call-overload]
    is_cut = row[header[-1]] is None
    if is_cut or any(each.strip() for each in more):
        cells = sum(row[name] is not None for name in header) + len(more)
        raise DataError(
            f"the row has {cells} of {len(header)} columns",
            where=where,
            hint="write the row whole; a number with commas in it goes between quotes",
        )


def _day(text: str | None, where: str) -> date:
    found = _date((text or "").strip()[:10])
    if found is None:
        raise DataError(f"{text!r} is no date", where=where, hint="write it as 2026-01-31 or 20260131")
    return found


@lru_cache(maxsize=4096)
def _date(written: str) -> date | None:
    """Return a day that stands in many rows; None where it is none."""
    for form in _DATES:
        try:
            return datetime.strptime(written, form).replace(tzinfo=UTC).date()
        except ValueError:
            continue
    return None


def _number(text: str | None, what: str, where: str) -> Decimal | None:
    written = (text or "").strip().replace(",", "")
    if not written or written.lower() in ("nan", "none", "null", "-"):
        return None
    try:
        number = Decimal(written)
    except InvalidOperation as error:
        raise DataError(f"{text!r} is no {what}", where=where) from error
    if not number.is_finite() or number < 0:
        raise DataError(f"a {what} of {text} cannot be", where=where)
    return number
