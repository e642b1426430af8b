"""What reports of a span of time have in common: the span, the currency they are told in, the ledger's head."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from etf_trader.cli.conversion import check_currency, in_currency
from etf_trader.cli.moments import period_typed, span_text
from etf_trader.cli.services import in_loop, services

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from etf_trader.reports.currency import Rate
    from etf_trader.reports.period import Period


class Headed(Protocol):
    """A report that names the head of the ledger which it was read at."""

    @property
    def head(self) -> str:
        """The hash of the last transaction."""
        ...


Report = TypeVar("Report", bound=Headed)


@dataclass(frozen=True, slots=True)
class SpanReport(Generic[Report]):
    """A report, the span it is about, and the rates it was converted at."""

    report: Report
    period: Period
    rates: Sequence[Rate]

    @property
    def span(self) -> str:
        """The span, as it is said."""
        return span_text(self.period)

    def document(self, *lists: str) -> dict[str, Any]:
        """Return what every such document begins with, and these lists of the report."""
        head = {"from": self.period.since, "to": self.period.until, "rates": self.rates, "head": self.report.head}
        return head | {name: getattr(self.report, name) for name in lists}


def report_of_span(
    make: Callable[[Connection, int, Period], Report],
    since: datetime | None,
    until: datetime | None,
    currency: str | None,
    rate: Decimal | None,
    *,
    year: int | None = None,
) -> SpanReport[Report]:
    """Return the report that `make` reads of an account in the span that was typed, in `currency`.

    Raises:
        UsageError: what was typed is no span, or no currency.
        ConfigError: nobody tells the rate.
    """
    check_currency(currency, rate)
    with services() as opened:
        period = period_typed(opened, since, until, year)
        with opened.database.read() as connection:
            report = make(connection, opened.account.id, period)
        (report,), rates = in_loop(in_currency(opened, [report], currency, rate, period.until))
    return SpanReport(report, period, rates)


def index_number(connection: Connection, index: str | None) -> int | None:
    """Return the number of the index that was typed; None where none was."""
    from etf_trader.index.store import find_index

    return None if index is None else find_index(connection, index).id
