"""`etf market`: shows order books, watches them, and records them for the paper exchange to replay."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from etf_trader.cli.commands import HOW, WHAT, command, group
from etf_trader.cli.invocation import output, settings
from etf_trader.cli.numbers import count, local_time, spoken_duration
from etf_trader.cli.options import read_duration
from etf_trader.cli.output import Page, bad
from etf_trader.cli.services import in_loop

if TYPE_CHECKING:
    from etf_trader.venue.market_data import MarketData, Pair, Recorded, Seen

Answer = TypeVar("Answer")

app = group()

MOST_DEPTH = 5000
RECORDED_DEPTH = 1000
LOOK_EVERY = 0.5
"""Seconds between two looks at a book that is watched."""


def read_symbol(text: str) -> str:
    """Return a symbol as venues write it."""
    symbol = text.strip().upper()
    if not symbol.isalnum():
        raise typer.BadParameter(f"{text!r} is no symbol; write it as BTCUSDT")
    return symbol


def read_symbols(text: str) -> list[str]:
    """Return symbols that were given in one word, `BTCUSDT,ETHUSDT`."""
    return [read_symbol(part) for part in text.split(",") if part.strip()]


SymbolsArgument = Annotated[
    list[str], typer.Argument(help="Which symbols.", metavar="SYMBOL...", parser=read_symbol)
]


@command(
    app,
    "books",
    examples=("etf market books BTCUSDT", "etf market books BTCUSDT ETHUSDT --depth 20 --json"),
)
def books(
    symbols: SymbolsArgument,
    depth: Annotated[
        int,
        typer.Option(
            "--depth",
            help="Levels a side.",
            metavar="N",
            min=1,
            max=MOST_DEPTH,
            show_default=True,
            rich_help_panel=WHAT,
        ),
    ] = 10,
) -> None:
    """Show order books: prices, spread, how much stands near the mid, and how old they are."""
    from etf_trader.cli.market_books import document, draw_books

    wanted = list(dict.fromkeys(symbols))

    async def look(data: MarketData) -> tuple[dict[str, Pair], dict[str, Seen]]:
        return dict(await data.pairs(wanted)), dict(await data.look(wanted, depth))

    environment, (pairs, seen) = _with_market_data(look)
    failed = [each for each in seen.values() if isinstance(each, Exception)]
    if failed:
        raise failed[0]
    payload = {"environment": environment, "books": [document(seen[each], pairs[each], depth) for each in wanted]}
    output().emit("etf.books/1", payload, lambda page: draw_books(page, pairs, seen, depth))


@command(
    app,
    "watch",
    examples=("etf market watch BTCUSDT ETHUSDT", "etf market watch BTCUSDT --duration 1m --json"),
)
def watch(
    symbols: SymbolsArgument,
    duration: Annotated[
        timedelta | None,
        typer.Option(
            "--duration",
            help="How long: 90s, 30m, 1h, 2d.  [default: until Ctrl-C]",
            metavar="TIME",
            parser=read_duration,
            rich_help_panel=HOW,
        ),
    ] = None,
) -> None:
    """Watch order books live: in place on a terminal, else a line with each change."""
    import asyncio  # `--help` does without

    from etf_trader.cli.market_watch import Screen
    from etf_trader.cli.working import interruptible

    wanted = list(dict.fromkeys(symbols))

    with interruptible(None) as asked:

        async def follow(data: MarketData) -> None:
            pairs = await data.pairs(wanted)
            await data.follow(wanted)
            loop = asyncio.get_running_loop()
            end = None if duration is None else loop.time() + duration.total_seconds()
            with Screen(data.environment, pairs) as screen:
                while not asked() and (end is None or loop.time() < end):
                    screen.show(await data.look(wanted, 1))
                    until = loop.time() + LOOK_EVERY
                    while loop.time() < until and not asked() and (end is None or loop.time() < end):
                        await asyncio.sleep(0.05)

        _with_market_data(follow)
    if asked.exit_code is not None and duration is not None:
        raise typer.Exit(asked.exit_code)


@command(
    app,
    "record",
    examples=(
        "etf market record --symbols BTCUSDT,ETHUSDT --out ../recorded --duration 10m",
        "etf market record --symbols BTCUSDT --out ../recorded    until Ctrl-C",
    ),
)
def record(
    symbols: Annotated[
        list[str],
        typer.Option(
            "--symbols", help="Which symbols, with commas between them.", metavar="A,B", rich_help_panel=WHAT
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", help="A folder for the recording; it is made.", metavar="DIR", rich_help_panel=WHAT),
    ],
    duration: Annotated[
        timedelta | None,
        typer.Option(
            "--duration",
            help="How long, by the venue's clock: 90s, 30m, 1h, 2d.  [default: until Ctrl-C]",
            metavar="TIME",
            parser=read_duration,
            rich_help_panel=HOW,
        ),
    ] = None,
    depth: Annotated[
        int,
        typer.Option(
            "--depth",
            help="Levels a side that are known from the start; the paper exchange has all.",
            metavar="N",
            min=1,
            max=MOST_DEPTH,
            show_default=True,
            rich_help_panel=HOW,
        ),
    ] = RECORDED_DEPTH,
) -> None:
    """Record order books and trades, in the format that the paper exchange replays."""
    from etf_trader.cli.working import interruptible
    from etf_trader.errors import UsageError, VenueUnavailable
    from etf_trader.venue.market_data import Wanted

    wanted = list(dict.fromkeys(name for text in symbols for name in read_symbols(text)))
    if not wanted:
        raise UsageError("no symbol was named", where="--symbols", hint="write them as BTCUSDT,ETHUSDT")
    with (
        interruptible("Stopping: what was recorded is kept.") as asked,
        output().progress(f"Recording {count(len(wanted), 'symbol')}") as progress,
    ):

        def tell(passed: timedelta, updates: int) -> None:
            done = None if duration is None else min(passed / duration, 1.0)
            progress.update(done, f"{count(updates, 'update')}")

        async def follow(data: MarketData) -> Recorded:
            await data.pairs(wanted)
            return await data.record(wanted, out, Wanted(duration, depth), asked, tell)

        environment, recorded = _with_market_data(follow, records=True, endless=duration is None)
    _show(environment, recorded)
    if recorded.missing:
        raise typer.Exit(VenueUnavailable.exit_code)
    if asked.exit_code is not None and duration is not None:
        raise typer.Exit(asked.exit_code)


def _show(environment: str, recorded: Recorded) -> None:
    lasted = recorded.ended - recorded.began
    payload = {
        "environment": environment,
        "path": recorded.path,
        "exchange_info": recorded.exchange_info,
        "symbols": list(recorded.symbols),
        "began": recorded.began,
        "ended": recorded.ended,
        "seconds": lasted,
        "snapshots": recorded.snapshots,
        "updates": recorded.updates,
        "trades": recorded.trades,
        "gaps": recorded.gaps,
        "bytes": recorded.bytes,
        "missing": [{"symbol": symbol, "why": why} for symbol, why in recorded.missing.items()],
    }

    folder, rules = recorded.path.parent.resolve(), recorded.exchange_info

    def draw(page: Page) -> None:
        told = [
            count(recorded.updates, "update"),
            count(recorded.trades, "trade"),
            count(recorded.gaps, "gap") if recorded.gaps else "no gap",
        ]
        page.line(
            f"Recorded {count(len(recorded.symbols), 'symbol')} on {environment} for {spoken_duration(lasted)}, "
            f"from {local_time(recorded.began)} on: {', '.join(told)}."
        )
        for symbol, why in recorded.missing.items():
            page.line(bad(f"{symbol} was not recorded: {why}."))
        page.line(f"It is in {recorded.path}, {recorded.bytes:,} bytes; the symbols' rules are beside it.")
        page.line()
        page.line(
            f"Next, in an empty folder: etf init --market recording --recordings {folder} "
            f"--exchange-info {folder / rules.name}"
        )

    output().emit("etf.recording/1", payload, draw)


def _with_market_data(
    work: Callable[[MarketData], Coroutine[Any, Any, Answer]], *, records: bool = False, endless: bool = False
) -> tuple[str, Answer]:
    """Do something with the market data of the configuration in force; return its environment and the answer."""
    from etf_trader.bootstrap import open_market_data

    chosen = settings()
    with open_market_data(chosen, output().note, ahead=records and not endless) as data:

        async def run() -> Answer:
            try:
                return await work(data)
            finally:
                await data.close()

        return data.environment, in_loop(run())
