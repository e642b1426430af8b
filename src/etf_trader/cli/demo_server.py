"""The exchange of `etf demo --over-the-wire`: a server of its own, and a fund that trades there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from etf_trader.errors import EtfError

SECONDS = 5.0
"""How long the server may take to end before it is ended."""

LOG = "serve.log"
SERVE = ("exchange", "serve", "--port", "0", "--admin-port", "0", "--weight", "60000", "--until-eof", "--json")
"""All of the story is told in a minute of the stepped clock, which no wait for weight is to move."""

Quietly = Callable[..., str]
"""Runs a command in a folder, perhaps with the exit code that it must end with, and returns what it printed."""


@contextmanager
def served_exchange(folder: Path, market: Mapping[str, str], deposit: str, quietly: Quietly) -> Iterator[str]:
    """Serve an exchange, make a fund in `folder` that trades there, and yield the server's address.

    The server ends with the block, however that ends, and with this process.

    Args:
        market: The settings of the exchange.
        deposit: USDT that the account holds before the fund is made.
    """
    key = _make_exchange(folder / "exchange", market, deposit, quietly)
    with _serving(folder / "exchange") as address:
        _make_fund(folder, address, key, quietly)
        yield address["url"]


def _make_exchange(folder: Path, market: Mapping[str, str], deposit: str, quietly: Quietly) -> dict[str, str]:
    """Make an exchange whose account has money and a key; return the key."""
    from etf_trader.bootstrap import make_exchange
    from etf_trader.cli.demo import ERA
    from etf_trader.config import Settings, edit

    folder.mkdir(mode=0o700)
    edit(folder / "etf.toml", {"exchange.database": f"sqlite:///{folder / 'exchange.db'}", **market})
    settings = Settings.load(cwd=folder, config_path=folder / "etf.toml", environ={})
    make_exchange(settings, era=ERA).close()
    name = settings.exchange.account
    key: dict[str, str] = json.loads(quietly(folder, f"exchange account add {name} --deposit {deposit} --json"))
    return key


def _make_fund(folder: Path, address: Mapping[str, str], key: Mapping[str, str], quietly: Quietly) -> None:
    """Make the fund, and book what its account holds as what it begins with."""
    from etf_trader.bootstrap import make
    from etf_trader.config import Settings, edit, write_private
    from etf_trader.venue.binance.environments import LOCAL
    from etf_trader.venue.binance.keys import ENV_FILE, variables

    pair = zip(variables(LOCAL), (key["api_key"], key["secret_key"]), strict=True)
    write_private(folder / ENV_FILE, "".join(f"{name}={value}\n" for name, value in pair))
    edit(
        folder / "etf.toml",
        {
            "database": f"sqlite:///{folder / 'etf.db'}",
            "environment": LOCAL,
            "binance.url": address["url"],
            "binance.admin": address["admin"],
            "binance.admin_token": address["token_file"],
        },
    )
    make(Settings.load(cwd=folder, config_path=folder / "etf.toml", environ={}))
    quietly(folder, "reconcile", 9)
    quietly(folder, "reconcile --book 1 --as opening --reason 'what the demo begins with'")


@contextmanager
def _serving(folder: Path) -> Iterator[dict[str, Any]]:
    """Serve the exchange of a folder from a process of its own, and yield where.

    A signal to this process is none to the server: it serves until the block has been left. Should
    this process be killed, the server sees its standard input end.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ETF_")}
    with (folder / LOG).open("wb") as told:
        process = subprocess.Popen(
            [sys.executable, "-m", "etf_trader", *SERVE, "--config", str(folder / "etf.toml")],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=told,
            encoding="utf-8",
            start_new_session=True,
        )
    try:
        yield _address(process, folder / LOG)
    finally:
        _end(process)


def _address(process: subprocess.Popen[str], log: Path) -> dict[str, Any]:
    """Return what the server prints once it listens.

    Raises:
        EtfError: it ended instead.
    """
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if line.startswith("}"):
            found: dict[str, Any] = json.loads(text)
            return found
    raise EtfError("the exchange could not be served", where=str(log), hint="this file tells why")


def _end(process: subprocess.Popen[str]) -> None:
    """End the server: kindly first."""
    try:
        process.terminate()
        process.wait(SECONDS)
    except subprocess.TimeoutExpired:
        pass  # it is killed
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
