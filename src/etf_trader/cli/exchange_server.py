"""`etf exchange serve` and `etf exchange account`: the paper exchange over the wire, and who may use it."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from etf_trader.cli.commands import HOW, command, group
from etf_trader.cli.invocation import output, settings
from etf_trader.cli.numbers import money
from etf_trader.cli.options import read_positive
from etf_trader.cli.output import Page
from etf_trader.cli.services import in_loop

if TYPE_CHECKING:
    from etf_trader.config import Settings
    from etf_trader.exchange.paper import PaperExchange
    from etf_trader.exchange.server.app import Address
    from etf_trader.exchange.server.gateway import ServerSettings

PORT = 8899
TOKEN_FILE = "exchange-admin.token"
ENDED = 0
"""In place of a signal's number: standard input is over."""

account = group()


def read_port(text: str) -> int:
    """Return a port; 0 takes a free one."""
    if not (text.isascii() and text.isdecimal() and int(text) <= 65_535):
        raise typer.BadParameter(f"{text!r} is not a port; write a number from 0 (any free one) to 65535")
    return int(text)


def read_switch(text: str) -> str:
    """Return on or off."""
    if text not in ("on", "off"):
        raise typer.BadParameter(f"{text!r} is neither on nor off")
    return text


def read_host(text: str) -> str:
    """Return an address of this machine alone."""
    host = "127.0.0.1" if text == "localhost" else text
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise typer.BadParameter(f"{text!r} is not an address of this machine alone; write 127.0.0.1 or ::1")
    return host


def add_to(app: typer.Typer) -> None:
    """Add these commands to `etf exchange`."""
    command(app, "serve", examples=("etf exchange serve", "etf exchange serve --port 8899"))(serve)
    app.add_typer(account, name="account", help="Open accounts at the paper exchange and make their API keys.")


def serve(
    port: Annotated[
        int,
        typer.Option(
            "--port",
            help="Where to listen; 0 takes a free port.",
            metavar="PORT",
            parser=read_port,
            rich_help_panel=HOW,
        ),
    ] = PORT,
    host: Annotated[
        str,
        typer.Option(
            "--host",
            help="On which address of this machine.",
            metavar="ADDRESS",
            parser=read_host,
            rich_help_panel=HOW,
        ),
    ] = "127.0.0.1",
    admin_port: Annotated[
        int | None,
        typer.Option(
            "--admin-port",
            help="Where to take faults and moves of the clock; nowhere by default.",
            metavar="PORT",
            parser=read_port,
            rich_help_panel=HOW,
        ),
    ] = None,
    listen_keys: Annotated[
        bool, typer.Option("--listen-keys", help="Let old clients have listen keys.", rich_help_panel=HOW)
    ] = False,
    weight: Annotated[
        int,
        typer.Option(
            "--weight",
            help="Request weight of an address in a minute.",
            metavar="N",
            min=1000,
            rich_help_panel=HOW,
        ),
    ] = 6000,
    until_eof: Annotated[
        bool,
        typer.Option(
            "--until-eof", help="End with standard input too, so with whoever started it.", rich_help_panel=HOW
        ),
    ] = False,
) -> None:
    """Serve the paper exchange to Binance clients on this machine, until Ctrl-C."""
    from etf_trader.bootstrap import open_exchange
    from etf_trader.exchange.server.gateway import ServerSettings

    current = settings()
    exchange = open_exchange(current, tape_ids=True)
    chosen = Served(
        ServerSettings(weight=weight, listen_keys=listen_keys),
        host,
        port,
        admin_port,
        _token_file(current),
        until_eof,
    )
    in_loop(_serve(exchange, chosen))


class Served(NamedTuple):
    """What is served, and where."""

    settings: ServerSettings
    host: str
    port: int
    admin_port: int | None
    token_file: Path
    until_eof: bool = False


def _token_file(current: Settings) -> Path:
    """Return where the token of the admin endpoint is written: beside the exchange's database."""
    from etf_trader.database import Database

    path = Database(current.exchange.database).path
    return (path.parent if path is not None else Path.cwd()) / TOKEN_FILE


async def _serve(exchange: PaperExchange, chosen: Served) -> None:
    import asyncio
    import signal

    from etf_trader.exchange.server.app import serving

    stopped: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def stop(number: int) -> None:
        if not stopped.done():
            stopped.set_result(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
    if chosen.until_eof:
        _call_at_eof(partial(asyncio.get_running_loop().call_soon_threadsafe, stop, ENDED))
    served = serving(exchange, chosen.settings, host=chosen.host, port=chosen.port, admin_port=chosen.admin_port)
    async with served as address:
        if address.admin_port is not None:
            _write_private(chosen.token_file, address.admin_token)
        try:
            _tell(address, chosen.token_file)
            signalled = await stopped
        finally:
            if address.admin_port is not None:
                chosen.token_file.unlink(missing_ok=True)
    exchange.close()
    output().note("Stopped.")
    raise typer.Exit(0 if signalled == ENDED else 128 + signalled)


def _call_at_eof(end: Callable[[], object]) -> None:
    """Call `end` when standard input is over; the thread that waits for it ends with the process."""
    import sys
    from contextlib import suppress
    from threading import Thread

    def wait() -> None:
        with suppress(OSError):
            while sys.stdin.buffer.read(1024):
                pass
        with suppress(RuntimeError):  # the loop has ended already
            end()

    Thread(target=wait, name="stdin", daemon=True).start()


def _write_private(path: Path, text: str) -> None:
    """Write a file that nobody else can read, also not while it is written."""
    path.unlink(missing_ok=True)
    path.touch(0o600, exist_ok=False)
    path.write_text(text + "\n")


def _tell(address: Address, token_file: Path) -> None:
    facts: dict[str, object] = {
        "url": address.url,
        "rest": address.rest,
        "websocket_api": address.websocket_api,
        "streams": address.streams,
        "admin": None,
        "token_file": None,
    }
    rows = [("REST", address.rest), ("WebSocket API", address.websocket_api), ("streams", address.streams)]
    if address.admin_port is not None:
        facts |= {"admin": address.admin, "token_file": token_file}
        rows += [("admin", address.admin), ("its token", str(token_file))]

    def draw(page: Page) -> None:
        page.fields(rows)
        page.line("Ctrl-C ends it. etf exchange account add NAME makes keys.")

    output().emit("etf.exchange_address/1", facts, draw)


@command(
    account,
    "add",
    examples=("etf exchange account add alice", "etf exchange account add alice --ed25519 public.pem"),
)
def add(
    name: Annotated[str, typer.Argument(help="The account; it is opened if there is none.", metavar="NAME")],
    ed25519: Annotated[
        Path | None,
        typer.Option(
            "--ed25519",
            help="Sign with the private key of this public one.",
            metavar="PUBLIC.pem",
            rich_help_panel=HOW,
        ),
    ] = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="The key may look and not trade.", rich_help_panel=HOW)
    ] = False,
    may_withdraw: Annotated[
        bool,
        typer.Option(
            "--may-withdraw", help="The key may withdraw, which etf refuses to trade with.", rich_help_panel=HOW
        ),
    ] = False,
    any_ip: Annotated[
        bool,
        typer.Option("--any-ip", help="The key says that it is not bound to an address.", rich_help_panel=HOW),
    ] = False,
    deposit: Annotated[
        Decimal | None,
        typer.Option(
            "--deposit",
            help="USDT to credit the account with.",
            metavar="AMOUNT",
            parser=read_positive,
            rich_help_panel=HOW,
        ),
    ] = None,
) -> None:
    """Open an account at the paper exchange, if there is none of that name, and make a key for it."""
    import secrets

    from etf_trader.bootstrap import open_exchange
    from etf_trader.exchange.server.keys import add_key

    public = None if ed25519 is None else _public_key(ed25519)
    exchange = open_exchange(settings())
    is_new = exchange.open_account(name)
    with exchange.database.write() as connection:
        key = add_key(
            connection,
            name,
            exchange.now(),
            public_key=public,
            may_trade=not read_only,
            may_withdraw=may_withdraw,
            is_ip_restricted=not any_ip,
        )
    if deposit is not None:
        exchange.deposit(name, "USDT", deposit, f"in-{secrets.token_hex(8)}")
    secret = key.secret if public is None else None
    facts = {"account": name, "is_new": is_new, "api_key": key.api_key, "kind": key.kind, "secret_key": secret}

    def draw(page: Page) -> None:
        rows = [("account", name), ("API key", key.api_key)]
        page.fields(rows if secret is None else [*rows, ("secret key", secret)])
        if secret is not None:
            page.line("The secret is shown this once.")
        if not is_new:
            page.line("The account was there already: this is one more key of it.")
        if deposit is not None:
            page.line(f"{money(deposit)} USDT were deposited.")

    output().emit("etf.exchange_key/1", facts, draw)


@command(account, "burn", examples=("etf exchange account burn on", "etf exchange account burn off alice"))
def burn(
    switch: Annotated[str, typer.Argument(help="on or off.", metavar="on|off", parser=read_switch)],
    name: Annotated[
        str | None,
        typer.Argument(
            help="The account; by default that of the configuration.", metavar="NAME", show_default=False
        ),
    ] = None,
) -> None:
    """Let an account of the paper exchange pay its fees in BNB, at three quarters, or no more."""
    from etf_trader.bootstrap import open_exchange

    current = settings()
    whose, is_on = name or current.exchange.account, switch == "on"
    exchange = open_exchange(current)
    exchange.set_bnb_burn(whose, is_on)
    exchange.close()

    def draw(page: Page) -> None:
        if is_on:
            page.line(f"{whose} pays its fees in BNB while it has enough: etf treasury fees shows the inventory.")
        else:
            page.line(f"{whose} pays its fees in what it receives.")

    output().emit("etf.exchange_burn/1", {"account": whose, "burns": is_on}, draw)


def _public_key(path: Path) -> str:
    """Return the text of a file with a public key.

    Raises:
        UsageError: it cannot be read, or holds something else.
    """
    from etf_trader.errors import UsageError
    from etf_trader.exchange.server.keys import check_public_key

    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError("the public key cannot be read", where=str(path)) from error
    check_public_key(text, str(path))
    return text
