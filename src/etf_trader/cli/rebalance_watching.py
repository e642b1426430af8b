"""A rebalance while it is under way: its progress where it is worked, and a look at it from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etf_trader.cli.invocation import output
from etf_trader.cli.numbers import count, joined
from etf_trader.cli.rebalances import fields_of, line, order_document, read_report, rebalance_sentences

if TYPE_CHECKING:
    from etf_trader.bootstrap import Services
    from etf_trader.cli.output import Page
    from etf_trader.cli.progress import Progress
    from etf_trader.events import Event
    from etf_trader.reports.rebalance import RebalanceReport


class RebalanceWatch:
    """Turns the events of one rebalance into progress: waves, and orders that filled."""

    def __init__(self, opened: Services, order: int, progress: Progress) -> None:
        self._opened = opened
        self._order = order
        self._progress = progress
        report = read_report(opened, order)
        self._trading, self._traded = max(report.trading, 1), report.traded
        self._wave, self._orders = len(report.waves), 0
        self._symbols: set[str] = set()

    def __call__(self, event: Event) -> None:
        from etf_trader.events import FillBooked, WavePlanned, WaveSettled

        if event.order != self._order:
            return
        if isinstance(event, WavePlanned):
            self._wave, self._orders = event.wave, event.asset_orders
            self._symbols.clear()
        elif isinstance(event, FillBooked):
            self._symbols.add(event.symbol)
        elif isinstance(event, WaveSettled):
            self._traded, self._orders = read_report(self._opened, self._order).traded, 0
            self._symbols.clear()
        self._tell()

    def _tell(self) -> None:
        sent = f"{len(self._symbols)} of {count(self._orders, 'order')}" if self._orders else ""
        slots = self._opened.slots()
        note = joined(
            [
                f"wave {self._wave}" if self._wave else "",
                sent or f"{self._traded} of {count(self._trading, 'asset')}",
                f"slots {slots.used}/{slots.limit}",
            ]
        )
        done = min(self._traded + len(self._symbols), self._trading)
        self._progress.update(done / self._trading, note)


def watch_rebalance(opened: Services, number: int, *, once: bool) -> RebalanceReport:
    """Show a rebalance until it ends, once if asked to, and return it as it was seen last."""
    from etf_trader.cli.live import follow

    shown, report = output(), read_report(opened, number)
    if not once and not _is_over(report):
        report = follow(lambda: read_report(opened, number), draw_sight, line, news=_news, is_over=_is_over)
        if shown.is_table:
            return report
    shown.emit("etf.order/1", order_document(report), lambda page: draw_sight(page, report))
    return report


def _is_over(report: RebalanceReport) -> bool:
    return report.status != "open"


def _news(report: RebalanceReport) -> tuple[object, ...]:
    return (report.status, len(report.waves), report.traded, report.stopped_by, report.cancel_requested_at)


def draw_sight(page: Page, report: RebalanceReport) -> None:
    """Draw how far a rebalance is."""
    for sentence in rebalance_sentences(report)[:-1]:
        page.line(sentence)
    page.fields(fields_of(report))
