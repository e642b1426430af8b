"""Amounts of a report in another currency, at a rate that is told with them.

USDT is not USD: nothing is taken for anything else. A rate comes from the
venue's own market between the two, or it is typed.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from etf_trader.errors import DataError, UsageError
from etf_trader.money import ONE, divide, plain
from etf_trader.reports.period import moment_text
from etf_trader.reports.pricing import close_before
from etf_trader.venue.interface import Venue

RATE_GRID = Decimal("1e-12")
"""Rates are rounded to this once; what is multiplied by them adds up exactly."""

EXAMPLES = {"USD": "0.9998"}
"""What a rate may look like, where it is asked for."""

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Rate:
    """What one of `quote` is worth in `currency`: by which market, of when. Typed ones have no moment."""

    quote: str
    currency: str
    rate: Decimal
    source: str
    at: datetime | None


def typed_rate(quote: str, currency: str, rate: Decimal) -> Rate:
    """Return a rate that a person typed.

    Raises:
        UsageError: it is finer than rates are.
    """
    if rate % RATE_GRID:
        raise UsageError(f"--rate {plain(rate)} has more than 12 decimals", where="--rate")
    return Rate(quote, currency, rate, "typed", None)


async def market_rate(venue: Venue, quote: str, currency: str, moment: datetime | None) -> Rate:
    """Return what one of `quote` is worth in `currency` at `moment`, by the venue's own market; None: now.

    Of now, the mid of its book; of a moment before, the close of the candle that ended then.

    Raises:
        UsageError: there is no market between the two.
        DataError: it has no price.
    """
    if quote == currency:
        return Rate(quote, currency, ONE, "the same", moment)
    rules = await venue.rules()
    symbol = next((name for name in (quote + currency, currency + quote) if name in rules), None)
    if symbol is None:
        raise UsageError(
            f"the venue has no market between {quote} and {currency}, and one is not taken for the other",
            where="--currency",
            hint=f"say what one {quote} is worth: --currency {currency} --rate {EXAMPLES.get(currency, '0.92')}",
        )
    if moment is None:
        book = (await venue.books([symbol], 5))[symbol]
        price, source, at = book.mid, f"{symbol} mid", book.at
    else:
        found = await close_before(venue, currency, symbol, moment)
        if found is None:
            raise DataError(
                f"the venue has no candle of {symbol} before {moment_text(moment)}",
                where=symbol,
                hint=f"say what one {quote} was worth: --currency {currency} --rate N",
            )
        price, source, at = found.price, f"{symbol} {found.source}", found.at
    rate = price if rules[symbol].base == quote else divide(ONE, price, RATE_GRID)
    return Rate(quote, currency, divide(rate, ONE, RATE_GRID), f"{source} {plain(price)}", at)


def converted(record: Record, rates: Mapping[str, Rate], quote: str = "") -> Record:
    """Return a report with all its amounts in another currency.

    A record says in `MONEY` which of its fields are amounts, and in `currency`
    of what; one that does not is in the currency of the record around it.

    Args:
        rates: By the currency that amounts are in.
        quote: The currency of the record around it.
    """
    own = getattr(record, "currency", quote)
    changes: dict[str, Any] = {}
    amounts = getattr(record, "MONEY", ())
    for field in dataclasses.fields(record):  # type: ignore[arg-type]
        value = getattr(record, field.name)
        if field.name == "currency":
            changes["currency"] = rates[own].currency
        elif field.name in amounts and value is not None:
            changes[field.name] = value * rates[own].rate
        elif isinstance(value, tuple) and value and dataclasses.is_dataclass(value[0]):
            changes[field.name] = tuple(converted(each, rates, own) for each in value)
        elif dataclasses.is_dataclass(value):
            changes[field.name] = converted(value, rates, own)
    return dataclasses.replace(record, **changes)  # type: ignore[type-var]


def currencies_in(record: object) -> set[str]:
    """Return every currency that amounts of a report are in."""
    found: set[str] = set()
    if not dataclasses.is_dataclass(record):
        return found
    if isinstance(own := getattr(record, "currency", None), str):
        found.add(own)
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        for each in value if isinstance(value, tuple) else (value,):
            found |= currencies_in(each)
    return found
