"""`--currency` and `--rate`: a report in another currency, at a rate that is told."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from etf_trader.cli.commands import HOW
from etf_trader.cli.numbers import local_time
from etf_trader.cli.options import option, read_positive
from etf_trader.cli.output import Page, dim
from etf_trader.errors import ConfigError, UsageError
from etf_trader.money import plain

if TYPE_CHECKING:
    from etf_trader.bootstrap import Services
    from etf_trader.reports.currency import Rate

Report = TypeVar("Report")


def read_currency(text: str) -> str:
    """Return the currency that was typed."""
    if not re.fullmatch(r"[A-Za-z0-9]{2,10}", text, re.ASCII):
        raise typer.BadParameter(f"{text!r} is not a currency; write it as EUR")
    return text.upper()


CurrencyOption = Annotated[
    str | None,
    option(
        "--currency",
        HOW,
        "Tell amounts in this currency, at the venue's own rate or at --rate.  [default: the index's quote]",
        "CURRENCY",
        read_currency,
    ),
]
RateOption = Annotated[
    Decimal | None,
    option(
        "--rate",
        HOW,
        "What one of the quote is worth in --currency.  [default: the venue's]",
        "RATE",
        read_positive,
    ),
]


def check_currency(currency: str | None, rate: Decimal | None) -> None:
    """Check that a rate comes with a currency.

    Raises:
        UsageError: it does not.
    """
    if rate is not None and currency is None:
        raise UsageError(
            "--rate says what one is worth in which currency?", hint="say it: --currency EUR --rate 0.92"
        )


async def in_currency(
    opened: Services,
    reports: Sequence[Report],
    currency: str | None,
    rate: Decimal | None,
    moment: datetime | None,
) -> tuple[list[Report], list[Rate]]:
    """Return reports in `currency`, and the rates they were converted at; as they are without one.

    Args:
        rate: What was typed; None: the venue is asked.
        moment: Just before which the rate is to be; None: of now.

    Raises:
        UsageError: the venue has no such rate, or one was typed for several currencies.
    """
    from etf_trader.reports.currency import converted, currencies_in, market_rate, typed_rate

    if currency is None:
        return list(reports), []
    quotes = sorted({quote for report in reports for quote in currencies_in(report)})
    if rate is not None and len(quotes) > 1:
        raise UsageError(
            f"the report has amounts in {' and '.join(quotes)}: one rate is not enough",
            where="--rate",
            hint="--index N",
        )
    if rate is not None:
        rates = [typed_rate(quote, currency, rate) for quote in quotes]
    else:
        try:
            rates = [await market_rate(opened.venue, quote, currency, moment) for quote in quotes]
        except ConfigError as error:
            hint = f"say what one {quotes[0]} is worth: --currency {currency} --rate 0.92"
            raise ConfigError(f"nobody tells the rate: {error.message}", where=error.where, hint=hint) from error
    by_quote = {each.quote: each for each in rates}
    return [converted(report, by_quote) for report in reports], rates


def draw_rates(page: Page, rates: Sequence[Rate]) -> None:
    """Draw at which rates a report was converted."""
    for each in rates:
        at = "" if each.at is None else f" of {local_time(each.at)}"
        page.line(dim(f"1 {each.quote} = {plain(each.rate)} {each.currency} ({each.source}{at})"))
