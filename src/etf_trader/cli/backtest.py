"""`etf backtest`: what a rulebook would have come to on past prices."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from etf_trader.cli.commands import HOW, LIMITS, WHAT, command, single
from etf_trader.cli.invocation import output
from etf_trader.cli.numbers import count
from etf_trader.cli.options import CapsColumnsOption, CapsOption, option, read_decimal, read_positive
from etf_trader.cli.output import Page
from etf_trader.money import BPS

if TYPE_CHECKING:
    from etf_trader.backtest.course import Setting
    from etf_trader.backtest.files import Files
    from etf_trader.backtest.grid_runs import Row
    from etf_trader.index.definition import IndexDefinition

app = single()

CAPITAL = Decimal(1_000_000)
FEE_BPS = Decimal(10)


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
    date | None,
    option(
        "--from",
        WHAT,
        "The first day.  [default: the first that will do]",
        "DAY",
        read_day,
    ),
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
    is_of_account=False,
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
    setting = _setting(definition, start, end, FEE_BPS if fee_bps is None else fee_bps, str(index_file), no_costs)
    setting = setting.with_capital(capital or CAPITAL, "--capital")
    files = _files(definition, candles, caps, dict(caps_columns or ()), candles_only)
    if grid:
        _compare(definition.symbol, setting, files, grid, processes)
    else:
        _run(definition.symbol, setting, files)


def _setting(
    definition: IndexDefinition, start: date | None, end: date | None, fee_bps: Decimal, where: str, no_costs: bool
) -> Setting:
    from etf_trader.backtest.course import Setting
    from etf_trader.backtest.depth import Market
    from etf_trader.errors import UsageError
    from etf_trader.money import ZERO

    rule = definition.rulebook
    if rule is None:
        raise UsageError(
            f"{definition.symbol} is a fixed basket: it has no rulebook to be tested",
            where=where,
            hint="give [weights] or [universe] instead of [basket]",
        )
    if start is not None and end is not None and start >= end:
        raise UsageError(f"{start} is not before {end}", where="--from", hint="--from 2020-01-01 --to 2025-10-01")
    return Setting(
        rule=rule,
        quote=definition.quote,
        start_value=definition.start_value,
        capital=CAPITAL,
        market=Market(ZERO if no_costs else fee_bps / BPS, has_costs=not no_costs),
        start=start,
        end=end,
    )


def _files(
    definition: IndexDefinition, candles: Path, caps: Path | None, columns: dict[str, str], candles_only: bool
) -> Files:
    from etf_trader.backtest.files import Files
    from etf_trader.errors import UsageError

    rules = definition.rules
    own = Path(rules.universe.caps) if rules is not None and rules.universe.caps is not None else None
    table = caps or own
    if columns and table is None:
        raise UsageError("there is no table whose columns these are", where="--caps-columns", hint="--caps FILE")
    return Files(
        candles, definition.quote, table, {**(rules.universe.columns if rules else {}), **columns}, candles_only
    )


def _run(symbol: str, setting: Setting, files: Files) -> None:
    from etf_trader.backtest.grid_runs import require_clean
    from etf_trader.backtest.result import result_of
    from etf_trader.backtest.simulator import run

    with output().progress("Following the rulebook") as progress:
        history = files.read()

        def told(fraction: float) -> None:
            progress.update(fraction)

        found = result_of(run(setting, history, told), history)
    require_clean(found.audit.findings)
    from etf_trader.cli.backtest_document import run_document
    from etf_trader.cli.backtest_page import draw_run, run_exhibit

    def draw(page: Page) -> None:
        draw_run(page, symbol, files, found)

    document = run_document(symbol, files, found)
    output().emit("etf.backtest/1", document, draw, exhibit=lambda: run_exhibit(symbol, found))


def _compare(symbol: str, setting: Setting, files: Files, grid: Sequence[str], processes: int | None) -> None:
    from etf_trader.backtest.grid import cells_of
    from etf_trader.backtest.grid_runs import merit, processors, require_result, running
    from etf_trader.cli.backtest_document import grid_document
    from etf_trader.cli.backtest_page import draw_grid, grid_exhibit

    cells = cells_of(grid, setting)
    history = files.read()
    rows: list[Row] = []
    with (  # the processes first: what shows progress is a thread
        running(cells, files, history, processes or processors()) as coming,
        output().progress(f"Running {count(len(cells), 'backtest')}") as progress,
    ):
        for row in coming:
            rows.append(row)
            progress.update(len(rows) / len(cells), f"{len(rows)} of {len(cells)}")
    rows.sort(key=merit)
    require_result(rows)

    def draw(page: Page) -> None:
        draw_grid(page, symbol, files, rows)

    document = grid_document(symbol, files, setting, rows)
    output().emit("etf.backtest/1", document, draw, exhibit=lambda: grid_exhibit(symbol, rows))
