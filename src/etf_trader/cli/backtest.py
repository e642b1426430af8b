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
from etf_trader.cli.numbers import count, money
from etf_trader.cli.options import CapsColumnsOption, CapsOption, option, read_decimal, read_positive
from etf_trader.cli.output import Page
from etf_trader.money import BPS, plain

if TYPE_CHECKING:
    from etf_trader.backtest.grid import Files
    from etf_trader.backtest.simulator import Setting
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
                f"{money(capital)} {definition.quote} buy no unit, which is {plain(definition.start_value)}",
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
    from etf_trader.backtest.grid import require_clean
    from etf_trader.backtest.result import result_of
    from etf_trader.backtest.simulator import run

    with output().progress("Following the rulebook") as progress:
        history = files.read()
        setting = chosen.setting(date.fromordinal(history.first_day + 1), date.fromordinal(history.last_day))

        def told(fraction: float) -> None:
            progress.update(fraction)

        found = result_of(run(setting, history, told), history)
    require_clean(found.audit.findings)
    from etf_trader.cli.backtest_document import run_document
    from etf_trader.cli.backtest_page import draw_run, run_exhibit

    symbol, quote = chosen.definition.symbol, setting.quote

    def draw(page: Page) -> None:
        draw_run(page, symbol, files, found)

    document = run_document(symbol, files, found)
    output().emit("etf.backtest/1", document, draw, exhibit=lambda: run_exhibit(symbol, quote))


def _compare(chosen: _Chosen, files: Files, grid: Sequence[str], processes: int | None) -> None:
    from etf_trader.backtest.grid import cells_of, processors, require_result, run_cells
    from etf_trader.cli.backtest_document import grid_document
    from etf_trader.cli.backtest_page import draw_grid, grid_exhibit

    symbol = chosen.definition.symbol
    history = files.read()
    setting = chosen.setting(date.fromordinal(history.first_day + 1), date.fromordinal(history.last_day))
    cells = cells_of(grid, setting, chosen.where)
    with output().progress(f"Running {count(len(cells), 'backtest')}") as progress:

        def told(done: int) -> None:
            progress.update(done / len(cells), f"{done} of {len(cells)}")

        rows = run_cells(cells, files, history, processes or processors(), told)
    require_result(rows)

    def draw(page: Page) -> None:
        draw_grid(page, symbol, files, rows)

    document = grid_document(symbol, files, setting, rows)
    output().emit("etf.backtest/1", document, draw, exhibit=lambda: grid_exhibit(symbol))
