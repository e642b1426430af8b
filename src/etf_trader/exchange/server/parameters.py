"""The parameters of a request: texts, whichever way they came, read with Binance's refusals."""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import unquote_plus

from etf_trader.exchange.refusal import ExchangeError, illegal, missing
from etf_trader.exchange.server import refusals

SYMBOL = r"^[A-Z0-9-_.]{1,20}$"
WHOLE = r"^[0-9]{1,20}$"
DECIMAL = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
BOOLEAN = "true or false"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECONDS_FROM = 10**14
"""A time of so much or more counts microseconds: in milliseconds it would lie in the year 5138."""
_LAST = 253_370_764_800_000_000
_patterns = {pattern: re.compile(pattern, re.ASCII) for pattern in (SYMBOL, WHOLE, DECIMAL)}


def from_form(text: str) -> dict[str, str]:
    """Return the parameters of a query string or a form.

    Raises:
        ExchangeError: -1101, one of them stands there twice.
    """
    values: dict[str, str] = {}
    for part in text.split("&"):
        if not part:
            continue
        name, _, value = part.partition("=")
        if "%" in name or "+" in name:
            name = unquote_plus(name)
        if name in values:
            raise refusals.duplicated()
        values[name] = unquote_plus(value) if "%" in value or "+" in value else value
    return values


class Parameters:
    """What was sent, by name; `ofs` of the same value always refuse the same way."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def names(self) -> Iterable[str]:
        """Return what was sent."""
        return self._values.keys()

    def raw(self, name: str) -> str | None:
        """Return a value as it is; None when it was not sent."""
        return self._values.get(name)

    def text(self, name: str, pattern: str | None = None) -> str | None:
        """Return a value; None when it was not sent.

        Raises:
            ExchangeError: -1105 when it is empty, -1100 when it does not fit `pattern`.
        """
        value = self._values.get(name)
        if value is None:
            return None
        if not value:
            raise refusals.empty(name)
        if pattern is not None:
            known = _patterns.get(pattern) or re.compile(pattern, re.ASCII)
            if not known.match(value) or value.endswith("\n"):
                raise illegal(name, pattern)
        return value

    def needed(self, name: str, pattern: str | None = None) -> str:
        """Return a value that must be there.

        Raises:
            ExchangeError: -1102, it is not; -1100, it does not fit `pattern`.
        """
        if not self._values.get(name):
            raise missing(name)
        value = self.text(name, pattern)
        assert value is not None
        return value

    def symbol(self) -> str:
        """Return the symbol that must be there."""
        return self.needed("symbol", SYMBOL)

    def optional_symbol(self) -> str | None:
        """Return the symbol, if one was sent."""
        return self.text("symbol", SYMBOL)

    def symbols(self) -> list[str] | None:
        """Return the list `symbols`, which comes as JSON.

        Raises:
            ExchangeError: -1100, it is no list of symbols.
        """
        value = self.text("symbols")
        if value is None:
            return None
        legal = '^\\["[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}\\]$'
        try:
            found: list[str] = json.loads(value)
        except ValueError:
            raise illegal("symbols", legal) from None
        fits = isinstance(found, list) and found
        if not fits or not all(isinstance(each, str) and _patterns[SYMBOL].match(each) for each in found):
            raise illegal("symbols", legal)
        if len(set(found)) < len(found):
            raise refusals.duplicated()
        return found

    def decimal(self, name: str) -> Decimal | None:
        """Return an amount, exactly as written; None when it was not sent."""
        value = self.text(name, DECIMAL)
        return None if value is None else Decimal(value)

    def whole(self, name: str, default: int | None = None) -> int | None:
        """Return a number, 0 or more, or `default`."""
        value = self.text(name, WHOLE)
        return default if value is None else int(value)

    def limit(self, default: int, most: int) -> int:
        """Return how many rows are wanted; more than `most` are never given.

        Raises:
            ExchangeError: -1130, none are wanted.
        """
        number = self.whole("limit", default) or 0
        if number < 1:
            raise refusals.invalid("limit")
        return min(number, most)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return whether something was asked for."""
        value = self.text(name)
        if value is None:
            return default
        if value.lower() not in ("true", "false"):
            raise illegal(name, BOOLEAN)
        return value.lower() == "true"

    def moment(self, name: str) -> datetime | None:
        """Return a time that was sent in milliseconds or microseconds."""
        number = self.whole(name)
        return None if number is None else instant(number)

    def span(self) -> tuple[datetime | None, datetime | None]:
        """Return startTime and endTime, this to its last microsecond: what is told with that time is in it."""
        end = self.moment("endTime")
        if end is not None and end.microsecond % 1000 == 0:
            end += _MILLISECOND - timedelta.resolution
        return self.moment("startTime"), end

    def choice(self, name: str, legal: Iterable[str], refusal: ExchangeError) -> str | None:
        """Return one of `legal`; None when nothing was sent."""
        value = self.text(name)
        if value is not None and value not in legal:
            raise refusal
        return value


def instant(number: int) -> datetime:
    """Return the time that a number of milli- or microseconds since 1970 stands for, at most the year 9999."""
    microseconds = number if number >= MICROSECONDS_FROM else number * 1000
    return EPOCH + timedelta(microseconds=min(microseconds, _LAST))


def milliseconds(at: datetime) -> int:
    """Return a time as Binance writes it."""
    return (at - EPOCH) // _MILLISECOND


def microseconds(at: datetime) -> int:
    """Return a time as Binance writes it for who asked for microseconds."""
    return (at - EPOCH) // timedelta.resolution


_MILLISECOND = timedelta(milliseconds=1)
