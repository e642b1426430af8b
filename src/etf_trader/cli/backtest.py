"""`etf backtest`: what a rulebook would have come to on past prices, all its trades planned, booked and audited."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from etf_trader.cli.commands import HOW, LIMITS, WHAT, command, single
from etf_trader.cli.invocation import output
from etf_trader.cli.numbers import count, joined, money
from etf_trader.cli.options import CapsColumnsOption, CapsOption, option, read_decimal, read_positive
from etf_trader.cli.output import Page, Table, bad, dim, good, look, number, text
from etf_trader.money import BPS, plain

if TYPE_CHECKING:
    from etf_trader.backtest.grid import Files, Row
    from etf_trader.backtest.result import Figures, Result
    from etf_trader.backtest.simulator import Setting
    from etf_trader.index.definition import IndexDefinition

app = single()

CAPITAL = Decimal(1_000_000)
FEE_BPS = Decimal(10)

MOST_EVENTS = 12
"""So many of what happened besides are told on a terminal; all of them in `--json`."""

_HUNDRED = 100.0


def read_day(typed: str) -> date:
    """Return a day: `2020-01-31`."""
    try:
        return date.fromisoformat(typed)
    except ValueError as error:
        raise typer.BadParameter(f"{typed!r} is not a day; write it as 2020-01-31") from error


def read_fee(typed: str) -> Decimal:
    """Return a fee in basis points, from 0 to 1000."""
    fee = read_decimal(typed)
    if not 0 <= fee <= 1000:
        raise typer.BadParameter(f"{typed} is not a fee from 0 to 1000 bps")
    return fee


def read_processes(typed: str) -> int:
    """Return a number of processes."""
    if not (typed.isascii() and typed.isdecimal() and 1 <= int(typed) <= 256):
        raise typer.BadParameter(f"{typed!r} is not a number of processes from 1 to 256")
    return int(typed)


IndexFileOption = Annotated[
    Path, option("--index-file", WHAT, "The index file: its rulebook is followed.", "FILE")
]
CandlesOption = Annotated[Path, option("--candles", WHAT, "A folder of daily candles, a CSV file a coin.", "DIR")]
FromOption = Annotated[
    date | None, option("--from", WHAT, "The first day.  [default: the first there is]", "DAY", read_day)
]
ToOption = Annotated[
    date | None, option("--to", WHAT, "The last day.  [default: the last there is]", "DAY", read_day)
]
CapitalOption = Annotated[
    Decimal | None,
    option("--capital", HOW, "What is subscribed, in quote.  [default: 1000000]", "AMOUNT", read_positive),
]
FeeOption = Annotated[
    Decimal | None, option("--fee-bps", HOW, "What the venue takes of each trade.  [default: 10]", "BPS", read_fee)
]
NoCostsOption = Annotated[
    bool, option("--no-costs", HOW, "Trade everything at the close: no spread, depth or fee.")
]
CandlesOnlyOption = Annotated[
    bool,
    option("--candles-only", LIMITS, "Only coins with candles: those that survived, which flatters the result."),
]
GridOption = Annotated[
    list[str] | None,
    option("--grid", HOW, "Compare combinations, like calendar=monthly,quarterly; band=0,0.02.", "KEY=A,B"),
]
ProcessesOption = Annotated[
    int | None, option("--processes", HOW, "How many run at once.  [default: the processors]", "N", read_processes)
]


@command(
    app,
    examples=(
        "etf backtest --index-file top20.toml --candles DIR --caps caps.csv --from 2020-01-01",
        'etf backtest --index-file top20.toml --candles DIR --grid "calendar=monthly,quarterly; band=0,0.02"',
    ),
    csv="runs",
)
def backtest(
    index_file: IndexFileOption,
    candles: CandlesOption,
    caps: CapsOption = None,
    caps_columns: CapsColumnsOption = None,
    start: FromOption = None,
    end: ToOption = None,
    candles_only: CandlesOnlyOption = False,
    capital: CapitalOption = None,
    fee_bps: FeeOption = None,
    no_costs: NoCostsOption = False,
    grid: GridOption = None,
    processes: ProcessesOption = None,
) -> None:
    """Show what a rulebook would have come to on past prices, with every trade planned, paid for and booked."""
    from etf_trader.index.definition import read_definition

    definition = read_definition(index_file)
    files = _files(definition, candles, caps, dict(caps_columns or ()), candles_only)
    chosen = _Chosen(
        definition,
        start,
        end,
        capital or CAPITAL,
        FEE_BPS if fee_bps is None else fee_bps,
        not no_costs,
        str(index_file),
    )
    if grid:
        _compare(chosen, files, grid, processes)
    else:
        _run(chosen, files)


class _Chosen:
    """What was typed, apart from the files."""

    def __init__(
        self,
        definition: IndexDefinition,
        start: date | None,
        end: date | None,
        capital: Decimal,
        fee_bps: Decimal,
        has_costs: bool,
        where: str,
    ) -> None:
        from etf_trader.errors import UsageError

        if definition.rules is None:
            raise UsageError(
                f"{definition.symbol} is a fixed basket: it has no rulebook to be tested",
                where=where,
                hint='give it a table of one, for example [calendar] cron = "10 0 1 * *"',
            )
        if start is not None and end is not None and start >= end:
            raise UsageError(
                f"{start} is not before {end}", where="--from", hint="--from 2020-01-01 --to 2025-10-01"
            )
        if capital < definition.start_value:
            raise UsageError(
                f"{money(capital)} {definition.quote} do not buy a unit, which begins at {plain(definition.start_value)}",
                where="--capital",
                hint="more capital, or a smaller start_value in the index file",
            )
        self.definition, self.rule, self.where = definition, definition.rules, where
        self.start, self.end, self.capital = start, end, capital
        self.fee_bps, self.has_costs = fee_bps, has_costs

    def setting(self, first: date, last: date) -> Setting:
        """Return what is run; the days are those of the data, where none were typed."""
        from etf_trader.backtest.depth import Market
        from etf_trader.backtest.simulator import Setting
        from etf_trader.money import ZERO

        market = Market(self.fee_bps / BPS if self.has_costs else ZERO, self.has_costs)
        return Setting(
            self.rule,
            self.definition.quote,
            self.definition.start_value,
            self.capital,
            market,
            self.start or first,
            self.end or last,
        )


def _files(
    definition: IndexDefinition, candles: Path, caps: Path | None, columns: dict[str, str], candles_only: bool
) -> Files:
    from etf_trader.backtest.grid import Files
    from etf_trader.errors import UsageError

    rules = definition.rules
    own = Path(rules.universe.caps) if rules is not None and rules.universe.caps is not None else None
    table = caps or own
    if columns and table is None:
        raise UsageError("there is no table whose columns these are", where="--caps-columns", hint="--caps FILE")
    return Files(
        candles, definition.quote, table, {**(rules.universe.columns if rules else {}), **columns}, candles_only
    )


def _run(chosen: _Chosen, files: Files) -> None:
    from etf_trader.backtest.result import result_of
    from etf_trader.backtest.simulator import run

    with output().progress("Reading the past") as progress:
        history = files.read()
        setting = chosen.setting(date.fromordinal(history.first_day + 1), date.fromordinal(history.last_day))

        def told(fraction: float) -> None:
            progress.update(fraction, "rebalanced")

        found = result_of(run(setting, history, told), history)
    if found.audit.findings:
        from etf_trader.errors import LedgerError

        raise LedgerError(f"the books of the backtest do not hold: {found.audit.findings[0]}")
    from etf_trader.cli.backtest_document import run_document

    def draw(page: Page) -> None:
        _draw(page, chosen, files, found)

    output().emit("etf.backtest/1", run_document(chosen.definition.symbol, files, found), draw)


def _compare(chosen: _Chosen, files: Files, grid: Sequence[str], processes: int | None) -> None:
    from etf_trader.backtest.grid import cells_of, processors, require_result, run_cells
    from etf_trader.cli.backtest_document import grid_document

    history = files.read()
    setting = chosen.setting(date.fromordinal(history.first_day + 1), date.fromordinal(history.last_day))
    cells = cells_of(grid, setting, chosen.where)
    with output().progress(f"Running {count(len(cells), 'backtest')}") as progress:

        def told(done: int) -> None:
            progress.update(done / len(cells), f"{done} of {len(cells)}")

        rows = run_cells(cells, files, history, processes or processors(), told)
    require_result(rows)

    def draw(page: Page) -> None:
        _draw_grid(page, chosen, files, rows)

    output().emit("etf.backtest/1", grid_document(chosen.definition.symbol, files, setting, rows), draw)


def _draw(page: Page, chosen: _Chosen, files: Files, found: Result) -> None:
    figures, quote = found.figures, chosen.definition.quote
    began, ended = found.days[0].day, found.days[-1].day
    invested = found.course.units * found.course.setting.start_value
    page.line(
        f"{chosen.definition.symbol}, {began} to {ended}: {money(invested)} {quote} became "
        f"{money(found.nav_end)}, {_coloured(figures.return_a_year)} a year"
        f"{' with no costs at all' if not chosen.has_costs else ' after costs'}."
    )
    page.line(f"The index itself came to {_percent(figures.index_return_a_year)} a year.")
    if files.candles_only:
        page.line(look("Survivors only: coins without candles are left out, which flatters the result."))
    page.line()
    page.fields(_fields(figures, found))
    _draw_chart(page, found)
    page.line(_sources(files, found))
    _draw_events(page, found)
    audit = found.audit
    page.line(
        f"Books: {count(figures.trades, 'trade')} in {count(audit.transactions, 'transaction')}, audited, "
        f"nothing is off. Head {audit.head[:12]}."
    )


def _fields(figures: Figures, found: Result) -> list[tuple[str, str]]:
    deepest = figures.drawdown
    fell = "none"
    if deepest.start is not None and deepest.trough is not None:
        back = f"made good {deepest.recovered:%Y-%m-%d}" if deepest.recovered else "not made good yet"
        fell = f"{_percent(-float(deepest.depth))}   {deepest.start:%Y-%m-%d} to {deepest.trough:%Y-%m-%d}, {back}"
    parts = joined(f"{name} {_bps(getattr(figures, f'{name}_bps'))}" for name in ("spread", "depth", "fee"))
    rate = "" if figures.sharpe is None else f"   return over it {figures.sharpe:.2f}"
    return [
        (
            "return",
            f"{_percent(float(figures.total_return))}   index {_percent(float(figures.index_total_return))}",
        ),
        ("volatility", f"{_percent(figures.volatility)} a year{rate}"),
        ("deepest fall", fell),
        (
            "tracking",
            f"difference {_percent(_lag(figures))} a year · error {_percent(figures.tracking_error, 2)} a year",
        ),
        ("turnover", f"{_percent(figures.turnover_a_year)} a year, {count(figures.rebalances, 'rebalance')}"),
        ("costs", f"{_bps(figures.cost_bps)} bps of NAV a year   {parts}"),
    ]


def _lag(figures: Figures) -> float | None:
    if figures.return_a_year is None or figures.index_return_a_year is None:
        return None
    return figures.return_a_year - figures.index_return_a_year


def _draw_chart(page: Page, found: Result) -> None:
    from etf_trader.cli.time_charts import time_chart

    points = [(each.day, float(each.nav_per_unit)) for each in found.days]
    lines = time_chart(points, room=min(page.room or 80, 100))
    if lines:
        page.line()
        page.line("NAV per unit")
        for each in lines:
            page.line(each)
        page.line()


def _sources(files: Files, found: Result) -> str:
    prices = found.prices
    told = f"Prices: daily candles of {count(len(prices.candles), 'coin')}"
    if not prices.caps:
        return f"{told}."
    return (
        f"{told}, {_percent(prices.candles_share)} of the index by weight and time; "
        f"the table of market caps for the rest ({count(len(prices.caps), 'coin')}), good until its next day."
    )


def _draw_events(page: Page, found: Result) -> None:
    from etf_trader.backtest.simulator import What

    counts = Counter(event.what for event in found.events)
    if late := counts[What.LATE]:
        page.line(f"{count(late, 'rebalance')} came later than due: what they needed to know was not known yet.")
    if missed := counts[What.MISSED]:
        page.line(f"{count(missed, 'rebalance')} could not be made before the next was due, or the end.")
    for why, times in sorted(found.skipped.items()):
        if why != "within_band":
            page.line(f"{count(times, 'trade')} left out: {why.replace('_', ' ')}.")
    own = [event for event in found.events if event.asset is not None]
    for event in own[:MOST_EVENTS]:
        page.line(f"  {event.day}  {event.text}.")
    if len(own) > MOST_EVENTS:
        page.line(dim(f"  and {len(own) - MOST_EVENTS} more: --json has all."))


def _draw_grid(page: Page, chosen: _Chosen, files: Files, rows: Sequence[Row]) -> None:
    done = [row for row in rows if row.figures is not None]
    best = done[0]
    assert best.figures is not None
    told = ", ".join(f"{name} {value}" for name, value in best.values.items())
    page.line(
        f"{count(len(done), 'backtest')} of {chosen.definition.symbol}, the best return first: "
        f"{told} came to {_coloured(best.figures.return_a_year)} a year."
    )
    if files.candles_only:
        page.line(look("Survivors only: coins without candles are left out, which flatters the results."))
    page.line()
    keys = list(rows[0].values)
    table = Table(
        *(text(key) for key in keys),
        number("a year"),
        number("volatility", optional=3),
        number("deepest fall", optional=2),
        number("return/risk", optional=1),
        number("behind index", optional=4),
        number("turnover"),
        number("costs"),
    )
    for row in done:
        figures = row.figures
        assert figures is not None
        table.row(
            *(row.values[key] for key in keys),
            _percent(figures.return_a_year),
            _percent(figures.volatility),
            _percent(-float(figures.drawdown.depth)),
            "" if figures.sharpe is None else f"{figures.sharpe:.2f}",
            _percent(None if (lag := _lag(figures)) is None else -lag, 2),
            _percent(figures.turnover_a_year),
            f"{_bps(figures.cost_bps)} bps",
        )
    page.table(table)
    for row in rows:
        if row.refused is not None:
            told = ", ".join(f"{name} {value}" for name, value in row.values.items())
            page.line(bad(f"{told} could not be run: {row.refused}."))
        elif row.findings:
            page.line(bad(f"the books of a run do not hold: {row.findings[0]}."))
    page.line()
    page.line("Turnover one way and costs of NAV are a year. All books were audited.")


def _percent(value: float | None, decimals: int = 1) -> str:
    if value is None:
        return "-"
    shown = round(value * _HUNDRED, decimals) + 0.0
    return f"{shown:,.{decimals}f}%"


def _coloured(value: float | None) -> str:
    if value is None:
        return "-"
    return good(_percent(value)) if value >= 0 else bad(_percent(value))


def _bps(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}"
