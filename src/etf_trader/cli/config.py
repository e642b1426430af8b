"""`etf config`: what is set, where it came from, and changing it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from etf_trader.cli.commands import command, group
from etf_trader.cli.invocation import invocation, output, settings
from etf_trader.cli.output import Page, Table, dim, text
from etf_trader.errors import ConfigError
from etf_trader.money import plain

if TYPE_CHECKING:
    from etf_trader.config import Settings

app = group()

OF_THE_EXCHANGE = tuple(
    f"exchange.{name}" for name in ("market", "seed", "recordings", "exchange_info", "clock", "deposit", "fees")
)
"""What an exchange is made with, and keeps."""

RESET = "etf exchange reset"

KeyArgument = Annotated[str, typer.Argument(help="The setting, as etf config show names it.", metavar="KEY")]


@command(app, "show", examples=("etf config show", "etf config show --json"), csv="settings")
def show() -> None:
    """Show every setting, its value and where the value came from."""
    from etf_trader.config import KEYS, masked

    current = settings()
    rows = [
        {
            "key": name,
            "value": masked(current.get(name)),
            "source": current.sources[name],
            "meaning": key.meaning,
        }
        for name, key in KEYS.items()
    ]

    def draw(page: Page) -> None:
        where = current.project_file or "no etf.toml here or above; etf init makes one"
        page.line(f"Configuration: {where}")
        page.line()
        table = Table(
            text("setting"), text("value", shrink=True), text("from", optional=1), text("meaning", optional=2)
        )
        for row in rows:
            source = _in_short(row["source"], current)
            value = readable(row["value"]).removeprefix("sqlite:///")
            table.row(row["key"], value, dim(source) if source == "default" else source, row["meaning"])
        page.table(table)

    output().emit("etf.config/1", {"project_file": current.project_file, "settings": rows}, draw)


def _in_short(source: str, current: Settings) -> str:
    """Return where a value came from without what is said elsewhere: the path of the file, the key's variable."""
    for name, path in (("etf.toml", current.project_file), ("user file", current.user_file)):
        if path is not None and source.startswith(str(path)):
            name = path.name if path == current.project_file else name
            return name + source.removeprefix(str(path))
    return source.partition(", ETF_")[0]


@command(app, "get", examples=("etf config get exchange.market", "etf config get database"))
def get(key: KeyArgument) -> None:
    """Print one setting."""
    from etf_trader.config import masked

    current = settings()
    value = masked(current.get(key))
    payload = {"key": key, "value": value, "source": current.sources[key]}
    output().emit("etf.setting/1", payload, lambda page: page.line(readable(value)))


@command(
    app, "set", examples=("etf config set exchange.seed 7", "etf config set exchange.recordings ../recordings")
)
def set_(key: KeyArgument, value: Annotated[str, typer.Argument(help="The new value.", metavar="VALUE")]) -> None:
    """Change one setting in etf.toml; comments and other lines stay."""
    from etf_trader.config import Settings, edit, find_project_file

    this = invocation()
    path = find_project_file(Path.cwd(), this.config, os.environ)
    if path is None:
        raise ConfigError("there is no etf.toml here or above", hint="etf init makes one")

    def check(candidate: Path) -> None:
        try:
            Settings.load(cwd=path.parent, config_path=candidate, environ=os.environ)
        except ConfigError as error:
            where = (error.where or str(path)).replace(str(candidate), str(path))
            raise ConfigError(f"{error.message}; nothing was written", where=where, hint=error.hint) from error

    edit(path, {key: value}, check)
    is_kept = key in OF_THE_EXCHANGE and _has_exchange(this.settings())
    payload = {"key": key, "value": value, "file": path, "next": RESET if is_kept else None}

    def draw(page: Page) -> None:
        page.line(f"{key} is now {value} ({path}).")
        if is_kept:
            page.line(f"The exchange keeps what it was made with: {RESET} makes a new one.")

    output().emit("etf.setting/1", payload, draw)


def _has_exchange(current: Settings) -> bool:
    from etf_trader.database import Database

    path = Database(current.exchange.database).path
    return path is None or path.is_file()


@command(app, "path", examples=("etf config path", "etf config path --json"))
def path() -> None:
    """Print where the configuration and the data lie."""
    from etf_trader.config import data_folder

    current = settings()
    facts = {
        "project_file": current.project_file,
        "user_file": current.user_file,
        "data_folder": data_folder(current.project_file),
    }

    def draw(page: Page) -> None:
        missing = "" if current.user_file.is_file() else dim("  (not there)")
        page.fields(
            [
                ("project file", str(current.project_file or "none: etf init makes one")),
                ("user file", f"{current.user_file}{missing}"),
                ("data folder", str(facts["data_folder"])),
            ]
        )

    output().emit("etf.paths/1", facts, draw)


def readable(value: Any) -> str:
    """Return a setting's value as it is typed."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    return plain(value) if not isinstance(value, str | int | Path) else str(value)
