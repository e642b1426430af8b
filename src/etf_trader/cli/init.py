"""`etf init`: everything that is needed before the first order."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from etf_trader.cli.commands import HOW, WHAT, command, single
from etf_trader.cli.invocation import invocation, output
from etf_trader.cli.options import read_decimal
from etf_trader.cli.output import Page
from etf_trader.cli.services import in_loop

if TYPE_CHECKING:
    from etf_trader.bootstrap import Services
    from etf_trader.config import Settings
    from etf_trader.index.store import Index

app = single()

SAMPLE = "TOP8"
SAMPLE_WEIGHTS = (
    "BTC=0.40",
    "ETH=0.25",
    "BNB=0.10",
    "SOL=0.08",
    "XRP=0.07",
    "DOGE=0.05",
    "ADA=0.025",
    "DENT=0.025",
)
"""Large and small coins of the model market, so that depth matters."""

HEADER = """\
# etf: what holds in this folder and below it.
# etf config show lists every setting, its value and where the value comes from.
"""


def read_amount(text: str) -> Decimal:
    """Return an amount of money, zero or more."""
    amount = read_decimal(text)
    if amount < 0:
        raise typer.BadParameter(f"{text} is below zero")
    return amount


@command(
    app,
    examples=(
        "etf init",
        "etf init --market recording --recordings ../data/recordings-2021 --deposit 5000000",
        "etf init --environment demo                       Binance's demo, with the keys in .env",
    ),
)
def init(
    market: Annotated[
        str | None,
        typer.Option(
            "--market",
            help="Where order books come from: model or recording.  [default: model]",
            metavar="model|recording",
            rich_help_panel=WHAT,
        ),
    ] = None,
    recordings: Annotated[
        Path | None,
        typer.Option("--recordings", help="The folder of recorded books.", metavar="DIR", rich_help_panel=WHAT),
    ] = None,
    exchange_info: Annotated[
        Path | None,
        typer.Option(
            "--exchange-info",
            help="The rules of the symbols; inferred from the recording when not given.",
            metavar="FILE",
            rich_help_panel=WHAT,
        ),
    ] = None,
    clock: Annotated[
        str | None,
        typer.Option(
            "--clock",
            help="Real time, or time that moves by steps.  [default: wall; stepped for a recording]",
            metavar="wall|stepped",
            rich_help_panel=HOW,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", help="Of the model market.  [default: 1]", metavar="N", rich_help_panel=HOW),
    ] = None,
    deposit: Annotated[
        Decimal | None,
        typer.Option(
            "--deposit",
            help="The first deposit, in USDT.  [default: 1000000]",
            metavar="AMOUNT",
            parser=read_amount,
            rich_help_panel=HOW,
        ),
    ] = None,
    environment: Annotated[
        str | None,
        typer.Option(
            "--environment",
            help="Where orders go: paper, or Binance's demo, testnet, live or local.  [default: paper]",
            metavar="NAME",
            rich_help_panel=WHAT,
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            help="Where the environment local listens.",
            metavar="URL",
            rich_help_panel=WHAT,
        ),
    ] = None,
    here: Annotated[
        bool,
        typer.Option("--here", help="In this folder, though a folder above has an etf.toml.", rich_help_panel=HOW),
    ] = False,
) -> None:
    """Make the configuration, the databases and a sample index; safe to repeat."""
    from etf_trader import bootstrap
    from etf_trader.database import Database
    from etf_trader.venue import PAPER

    asked = _asked(market, recordings, exchange_info, clock, seed, deposit) | _asked_of_binance(environment, url)
    target = _target(here=here)
    is_new = not target.is_file()
    settings = _write(target, asked) if is_new else _existing(target, asked)
    at_binance = settings.environment != PAPER
    urls = (settings.database,) if at_binance else (settings.database, settings.exchange.database)
    paths = [Database(each).path for each in urls]
    missing = [path for path in paths if path is not None and not path.is_file()]
    try:
        made = bootstrap.make(settings)
    except BaseException:
        if is_new:
            target.unlink(missing_ok=True)
        raise
    with closing(bootstrap.open_services(settings)) as opened:
        if at_binance:
            _show_binance(opened, target, is_new, missing)
            return
        _show(opened, target, is_new, missing, made.deposit, _sample(opened))


def _asked(
    market: str | None,
    recordings: Path | None,
    exchange_info: Path | None,
    clock: str | None,
    seed: int | None,
    deposit: Decimal | None,
) -> dict[str, str]:
    """Return the options that were given, by the setting each stands for."""
    from etf_trader.errors import UsageError
    from etf_trader.money import plain

    if recordings is not None and market is None:
        market = "recording"
    if market == "recording" and recordings is None and not os.environ.get("ETF_EXCHANGE_RECORDINGS"):
        raise UsageError(
            "a recording market needs its recordings",
            where="--recordings",
            hint="etf init --market recording --recordings DIR",
        )
    if market == "model" and recordings is not None:
        raise UsageError("--recordings belongs to --market recording", where="--recordings")
    given: dict[str, Any] = {
        "exchange.market": market,
        "exchange.recordings": None if recordings is None else _absolute(recordings),
        "exchange.exchange_info": None if exchange_info is None else _absolute(exchange_info),
        "exchange.clock": clock,
        "exchange.seed": seed,
        "exchange.deposit": None if deposit is None else plain(deposit),
    }
    return {key: str(value) for key, value in given.items() if value is not None}


def _asked_of_binance(environment: str | None, url: str | None) -> dict[str, str]:
    """Return the options about Binance that were given, by the setting each stands for."""
    from etf_trader.errors import UsageError

    if url is not None and environment != "local":
        raise UsageError("--url belongs to --environment local", where="--url")
    if environment == "local" and url is None and not os.environ.get("ETF_BINANCE_URL"):
        raise UsageError(
            "a local environment needs its URL",
            where="--url",
            hint="etf init --environment local --url http://127.0.0.1:8899",
        )
    given = {"environment": environment, "binance.url": url}
    return {key: value for key, value in given.items() if value is not None}


def _absolute(path: Path) -> Path:
    return (Path.cwd() / path.expanduser()).resolve()


def _target(*, here: bool) -> Path:
    """Return the configuration file to make or to leave: the one named, else etf.toml in this folder.

    Raises:
        UsageError: a folder above has one, which is in force here, and `here` was not said.
    """
    from etf_trader.config import PROJECT_FILE, find_project_file
    from etf_trader.errors import UsageError

    named = invocation().config or (Path(os.environ["ETF_CONFIG"]) if os.environ.get("ETF_CONFIG") else None)
    target = _absolute(named if named is not None else Path(PROJECT_FILE))
    if named is None and not here:
        above = find_project_file(Path.cwd(), None, os.environ)
        if above is not None and above.resolve() != target:
            raise UsageError(
                f"this folder belongs to the project of {above}; nothing was made",
                where="etf.toml",
                hint="every etf command works with that project here; a second one of its own: etf init --here",
            )
    return target


def _write(target: Path, asked: dict[str, str]) -> Settings:
    """Make the configuration file, once its values have been checked."""
    from etf_trader.config import Settings, edit, read_text, write_private
    from etf_trader.errors import ConfigError, UsageError

    is_paper = asked.get("environment", "paper") == "paper"
    values = ({"exchange.market": "model"} if is_paper else {}) | asked
    if values.get("exchange.market") == "model":
        values.setdefault("exchange.seed", "1")
    settings = []

    def check(candidate: Path) -> None:
        try:
            settings.append(Settings.load(cwd=target.parent, config_path=candidate, environ=os.environ))
        except ConfigError as error:
            where = error.where if error.where and str(candidate) not in error.where else None
            raise UsageError(f"{error.message}; nothing was made", where=where, hint=error.hint) from error

    try:
        edit(target, values, check)
        write_private(target, HEADER + read_text(target))
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return Settings.load(cwd=target.parent, config_path=target, environ=os.environ)


def _existing(target: Path, asked: dict[str, str]) -> Settings:
    """Return the configuration that is there, if it agrees with what was asked.

    Raises:
        UsageError: it does not; nothing was changed.
    """
    from etf_trader.config import Settings
    from etf_trader.errors import UsageError
    from etf_trader.money import plain

    settings = Settings.load(cwd=target.parent, config_path=target, environ=os.environ)
    for key, wanted in asked.items():
        value = settings.get(key)
        has = plain(value) if isinstance(value, Decimal) else str(value)
        if has != wanted:
            raise UsageError(
                f"{key} is {has if value is not None else 'not set'} here, not {wanted}; nothing was changed",
                where=str(target),
                hint=f"etf config set {key} {wanted}, then etf exchange reset; or etf init in another folder",
            )
    return settings


@dataclass(frozen=True, slots=True)
class Sample:
    """The index to begin with: new, or there already, or why there is none; and what to type next."""

    index: Index | None
    is_new: bool
    excuse: str
    next: str


def _sample(opened: Services) -> Sample:
    """Make the sample index, unless there is an index already or the market lacks its coins."""
    from etf_trader.errors import DataError, UsageError
    from etf_trader.index.definition import definition_from_options
    from etf_trader.index.store import list_indices

    with opened.database.read() as connection:
        known = list_indices(connection, opened.account.id)
        taken = {index.symbol for index in list_indices(connection)}
    if known:
        return Sample(known[0], False, "", _first_buy(known[0]))
    definition = definition_from_options(
        # Symbols are unique in a database, and another account of it has the sample.
        SAMPLE if SAMPLE not in taken else f"{SAMPLE}A{opened.account.id}",
        SAMPLE_WEIGHTS,
        name="Eight coins",
        start_value=Decimal(1000),
        float_cash=opened.settings.index.initial_float,
    )
    try:
        in_loop(opened.administration.markets(definition))
    except UsageError as error:
        return Sample(None, False, error.message, _create(opened))
    try:
        made = in_loop(opened.administration.create_index(definition, opened.settings.solver.depth))
    except (UsageError, DataError) as error:
        from etf_trader.venue.money_in import how_to_deposit

        fill = how_to_deposit(definition.quote, opened.account.environment)
        return Sample(None, False, error.message, f"{fill}, then etf init again")
    return Sample(made, True, "", _first_buy(made))


def _show(
    opened: Services,
    target: Path,
    is_new: bool,
    missing: list[Path],
    deposit: Decimal | None,
    sample: Sample,
) -> None:
    from etf_trader.cli.numbers import money

    index = sample.index
    exchange = opened.settings.exchange
    market = f"{exchange.market} market" + (f" (seed {exchange.seed})" if exchange.market == "model" else "")

    def draw(page: Page) -> None:
        if is_new:
            page.line(f"Made {target.name}: paper trading, {market}, {exchange.clock} clock.")
        else:
            page.line(f"{target.name} is there already: paper trading, {market}, {exchange.clock} clock.")
        if missing:
            page.line(f"Made {' and '.join(path.name for path in missing)} in {missing[0].parent}.")
        else:
            page.line("The databases are there already.")
        if deposit is not None:
            page.line(f"Deposited {money(deposit)} USDT for {opened.settings.holder}.")
        if index is None:
            page.line(f"No sample index was made: {sample.excuse}.")
        elif sample.is_new:
            cash = money(opened.settings.index.initial_float)
            page.line(
                f"Made index {index.id}, {index.symbol}: eight coins, one unit is {money(index.start_value)} "
                f"{index.quote}, float {cash}."
            )
        else:
            page.line(f"Index {index.id}, {index.symbol}, is there already.")
        page.line()
        page.line(f"Next: {sample.next}")

    payload = {
        "file": target,
        "file_is_new": is_new,
        "databases_made": missing,
        "market": exchange.market,
        "clock": exchange.clock,
        "deposit": deposit,
        "index": None if index is None else {"id": index.id, "symbol": index.symbol, "is_new": sample.is_new},
        "note": sample.excuse or None,
        "next": sample.next,
    }
    output().emit("etf.init/1", payload, draw)


def _show_binance(opened: Services, target: Path, is_new: bool, missing: list[Path]) -> None:
    account = opened.account
    next_step = "etf doctor, then etf reconcile: it finds what the account holds, and how to book it"

    def draw(page: Page) -> None:
        page.line(
            f"{'Made' if is_new else 'There already:'} {target.name}, orders go to Binance {account.environment}."
        )
        if missing:
            page.line(f"Made {missing[0].name} in {missing[0].parent}, for the account {account.uid}.")
        else:
            page.line(f"The database is there already, for the account {account.uid}.")
        page.line()
        page.line(f"Next: {next_step}.")

    payload = {
        "file": target,
        "file_is_new": is_new,
        "databases_made": missing,
        "environment": account.environment,
        "account": account.uid,
        "next": next_step,
    }
    output().emit("etf.init/1", payload, draw)


def _first_buy(index: Index) -> str:
    return f"etf submit buy --index {index.id} --qty 100 --dry-run"


def _create(opened: Services) -> str:
    """Return a command that creates an index of what this market has."""
    rules = in_loop(opened.venue.rules())
    has = sorted({rule.base for rule in rules.values() if rule.quote == "USDT"})
    first = [each for each in (text.partition("=")[0] for text in SAMPLE_WEIGHTS) if each in has]
    assets = list(dict.fromkeys([*first, *has]))[:2]
    chosen = " ".join(f"--weight {asset}={'0.5' if len(assets) == 2 else '1'}" for asset in assets)
    return f"etf index create MINE {chosen} --float {opened.settings.index.initial_float}"
