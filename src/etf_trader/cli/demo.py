"""`etf demo`: the whole story on paper. Every step is a real command; the same text on every run."""

from __future__ import annotations

import contextlib
import io
import shlex
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from etf_trader.cli.commands import HOW, command, single
from etf_trader.cli.invocation import output
from etf_trader.cli.output import Page, dim
from etf_trader.errors import EtfError

app = single()

SEED = 1
ERA = "demo"
DEPOSIT = "30000000"
STOPPED = (130, 143)
"""A command that was interrupted or terminated has said so itself."""

INDEX_FILE = """\
symbol = "DEMO8"
name = "Eight coins, large to thin"
start_value = 1000
float = 600

[weights]
BTC = 0.30
ETH = 0.20
SOL = 0.12
XRP = 0.10
DOGE = 0.08
ADA = 0.08
MANA = 0.06
DENT = 0.06
"""


class Step(NamedTuple):
    """One command of the story: what is told before it, how it must end, and whether it needs a clock of ours."""

    told: str
    typed: str
    exit_code: int = 0
    moves_clock: bool = False


STORY = (
    Step(
        "An index is a basket: so much of each coin in one unit. This one starts at 1,000 USDT.",
        "index create --file demo8.toml",
    ),
    Step(
        "What would 100 units cost? A dry run plans the order on the books of now and sends nothing.",
        "submit buy --index DEMO8 --qty 100 --dry-run",
    ),
    Step("The price is right: buy them.", "submit buy --index DEMO8 --qty 100 --client-key demo-first"),
    Step(
        "Now more than the books hold, but no unit dearer than 1,004 USDT, fees included.",
        "submit buy --index DEMO8 --qty 20000 --limit 1004 --client-key demo-large",
        7,
    ),
    Step(
        "An order may also wait: good till cancelled, at a limit below the market.",
        "submit buy --index DEMO8 --qty 50 --limit 998 --tif gtc --client-key demo-waiting",
    ),
    Step("Enough waited.", "cancel --order 3"),
    Step("Some of it back into cash.", "submit sell --index DEMO8 --qty 40 --client-key demo-back"),
    Step("What did it cost, and where did the loss come from?", "report fills --position 1"),
    Step("What is there now?", "report holdings --index DEMO8"),
    Step("A month goes by, and prices with it.", "exchange advance 30d", moves_clock=True),
    Step(
        "The weights have drifted. What would it trade and cost to bring them back?",
        "rebalance --index DEMO8 --dry-run",
        moves_clock=True,
    ),
    Step(
        "It is due: sells fund buys. From cron, etf schedule install does this.",
        "rebalance --index DEMO8",
        moves_clock=True,
    ),
    Step(
        "What has changed, and where did the cost come from?", "report rebalance --index DEMO8", moves_clock=True
    ),
    Step("Prove it: replay the books from the beginning.", "ledger audit"),
    Step("And compare them with the exchange.", "reconcile"),
)


@command(app, examples=("etf demo", "etf demo --over-the-wire", "etf demo --json"))
def demo(
    over_the_wire: Annotated[
        bool,
        typer.Option(
            "--over-the-wire",
            help="With the exchange as a server of its own, spoken to as Binance is.",
            rich_help_panel=HOW,
        ),
    ] = False,
) -> None:
    """Play the whole story on paper: create an index, buy, hit a limit, cancel, sell, report, audit."""
    folder = _fresh_folder()
    if not over_the_wire:
        _make_on_paper(folder)
        _play(folder, "This is etf on its own paper exchange: real commands, seeded books, no real money.", STORY)
        return
    from etf_trader.cli.demo_server import served_exchange

    with served_exchange(folder, EXCHANGE, DEPOSIT, _quietly) as url:
        # The clock of a server is its own: it cannot be moved by a month.
        story = [step for step in STORY if not step.moves_clock]
        _play(
            folder, f"This is etf over sockets, its exchange a process of its own at {url}: no real money.", story
        )


def _play(folder: Path, opening: str, story: Sequence[Step]) -> None:
    """Tell the story in the demo's folder, after an opening line."""
    shown = output()
    steps = []
    shown.say(opening)
    for place, step in enumerate(story, start=1):
        shown.say(f"\n{place}. {step.told}")
        shown.say(dim(f"$ etf {step.typed}"))
        code, text = _run(folder, step, captured=not shown.is_table)
        steps.append({"command": f"etf {step.typed}", "exit": code, "text": text})
        if code in STOPPED:
            raise typer.Exit(code)
        if code != step.exit_code:
            raise EtfError(
                f"step {place} of the demo ended with {code} instead of {step.exit_code}",
                where=f"etf {step.typed}",
                hint="etf doctor checks the installation",
            )
    shown.say(f"\nThat was all of it; the demo's files are in {_folder_text(folder)}. Your own, in any folder:")
    for line in (
        "etf init                                        makes a configuration and a sample index",
        "etf submit buy --index 1 --qty 100 --dry-run    what a first buy would cost",
        "etf report fills --position 1                   what it did cost, once you have bought",
        "etf rebalance --index 1 --dry-run               what bringing it back to its weights would trade",
    ):
        shown.say(f"  {line}")
    if not shown.is_table:
        shown.emit("etf.demo/1", {"steps": steps}, _nothing)


EXCHANGE = {"exchange.seed": str(SEED), "exchange.clock": "stepped"}


def _fresh_folder() -> Path:
    """Make the demo's folder anew, with its index file."""
    from platformdirs import user_data_path

    from etf_trader.config import APP

    folder = user_data_path(APP) / "demo"
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True, mode=0o700)
    (folder / "demo8.toml").write_text(INDEX_FILE, encoding="utf-8")
    return folder


def _make_on_paper(folder: Path) -> None:
    """Make the configuration and the databases of a fund on an exchange in this process."""
    from etf_trader.bootstrap import make
    from etf_trader.config import Settings, edit

    edit(
        folder / "etf.toml",
        {
            "database": f"sqlite:///{folder / 'etf.db'}",
            "exchange.database": f"sqlite:///{folder / 'exchange.db'}",
            **EXCHANGE,
            "exchange.deposit": DEPOSIT,
        },
    )
    make(Settings.load(cwd=folder, config_path=folder / "etf.toml", environ={}), era=ERA)


def _quietly(folder: Path, typed: str, exit_code: int = 0) -> str:
    """Run a command that is no step of the story, and return what it printed.

    Raises:
        EtfError: it ended with another code.
    """
    code, text = _run(folder, Step("", typed, exit_code), captured=True)
    if code in STOPPED:
        raise typer.Exit(code)
    if code != exit_code:
        raise EtfError(f"the demo could not be prepared: it ended with {code}", where=f"etf {typed}")
    return text


def _run(folder: Path, step: Step, *, captured: bool) -> tuple[int, str]:
    """Run one command as if it were typed in the demo's folder; return its exit code and what it printed."""
    from etf_trader.cli.app import run

    arguments = shlex.split(step.typed)
    if "--file" in arguments:
        place = arguments.index("--file") + 1
        arguments[place] = str(folder / arguments[place])
    text = io.StringIO()
    with _without_settings(), contextlib.redirect_stdout(text) if captured else contextlib.nullcontext():
        code = run([*arguments, "--config", str(folder / "etf.toml")])
    return code, text.getvalue()


@contextlib.contextmanager
def _without_settings() -> Iterator[None]:
    """Hide the environment's settings: the demo tells the same story to everybody."""
    import os

    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("ETF_")}
    try:
        yield
    finally:
        os.environ.update(hidden)


def _folder_text(folder: Path) -> str:
    home = Path.home()
    return f"~/{folder.relative_to(home)}" if folder.is_relative_to(home) else str(folder)


def _nothing(_page: Page) -> None:
    pass
