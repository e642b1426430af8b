"""`etf exchange`: the paper exchange itself: its clock, its balances, its money."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import typer

from etf_trader.cli import exchange_server
from etf_trader.cli.commands import command, group
from etf_trader.cli.invocation import output, settings
from etf_trader.cli.numbers import amount_of, count, local_time, money
from etf_trader.cli.options import AmountArgument, DurationArgument, YesOption
from etf_trader.cli.output import Page, Table, look, number, text
from etf_trader.cli.services import in_loop, services

app = group()

CLOCKS = {"wall": "real time", "stepped": "moves by a second after each batch, and by etf exchange advance"}


@command(app, "status", examples=("etf exchange status", "etf exchange status --json"), csv="balances")
def status() -> None:
    """Show the paper exchange: its market, clock, balances, open orders and order counts."""
    from etf_trader.bootstrap import open_exchange
    from etf_trader.database import Database
    from etf_trader.exchange.paper import PaperExchange

    current = settings()
    exchange, uid = open_exchange(current), current.exchange.account
    made = PaperExchange.settings(Database(current.exchange.database))
    facts = {
        "market": made.market,
        "parameters": dict(made.parameters),
        "clock": made.clock,
        "now": exchange.now(),
        "finished": exchange.finished(),
        "symbols": len(exchange.exchange_info()["symbols"]),
        "balances": [
            {"asset": asset, "free": balance.free, "locked": balance.locked}
            for asset, balance in sorted(exchange.balances(uid).items())
        ],
        "open_orders": [
            {"symbol": each.symbol, "client_order_id": each.client_order_id, "side": each.side.lower()}
            for each in exchange.open_orders(uid)
        ],
        "order_counts": [
            {
                "interval_seconds": each.interval,
                "limit": each.limit,
                "count": each.count,
                "resets_at": each.resets_at,
            }
            for each in exchange.order_counts(uid)
        ],
    }
    output().emit("etf.exchange/1", facts, lambda page: _draw(page, facts))


def _draw(page: Page, facts: dict[str, Any]) -> None:
    of = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in facts["parameters"].items() if value)
    counts = ", ".join(
        f"{each['count']:,} of {each['limit']:,} in {_window(each['interval_seconds'].total_seconds())}"
        for each in facts["order_counts"]
    )
    page.fields(
        [
            ("market", f"{facts['market']}, {count(facts['symbols'], 'symbol')}" + (f" ({of})" if of else "")),
            ("clock", f"{facts['clock']}: {CLOCKS[facts['clock']]}"),
            ("time", local_time(facts["now"])),
            ("open orders", str(len(facts["open_orders"]) or "none")),
            ("orders", counts),
        ]
    )
    if facts["finished"]:
        page.line(look("The recording is over: its last books stand from now on."))
    page.line()
    if not facts["balances"]:
        page.line("The account is empty: etf exchange deposit USDT 1000000 fills it.")
        return
    table = Table(text("balance"), number("free"), number("locked"))
    for row in facts["balances"]:
        table.row(row["asset"], amount_of(row["free"], row["asset"]), amount_of(row["locked"], row["asset"]))
    page.table(table)


def _window(seconds: float) -> str:
    names = {1: "1 s", 10: "10 s", 60: "a minute", 3600: "an hour", 86_400: "a day"}
    return names.get(int(seconds), f"{seconds:.0f} s")


@command(app, "deposit", examples=("etf exchange deposit USDT 1000000", "etf exchange deposit USDC 50000"))
def deposit(
    asset: Annotated[str, typer.Argument(help="Which asset.", metavar="ASSET")],
    amount: AmountArgument,
) -> None:
    """Let money arrive at the exchange from outside; it is booked at once."""
    import secrets

    from etf_trader.errors import AccountLed
    from etf_trader.execution.transfers import book_transfers

    with services() as opened:
        view = opened.exchange.deposit(opened.account.uid, asset.upper(), amount, f"in-{secrets.token_hex(8)}")
        try:
            booked = in_loop(opened.manager.reconcile(wait=False)).booked
        except AccountLed:  # who leads compares; a transfer can be booked beside it
            booked = in_loop(book_transfers(opened.database, opened.venue, opened.account)).booked

    def draw(page: Page) -> None:
        page.line(f"{amount_of(amount, view.asset)} {view.asset} arrived at the exchange.")
        for sentence in booked:
            page.line(f"Reconciled: {sentence}.")

    payload = {"asset": view.asset, "amount": amount, "transfer_id": view.transfer_id, "booked": booked}
    output().emit("etf.deposit/1", payload, draw)


@command(app, "advance", examples=("etf exchange advance 1h", "etf exchange advance 90s"))
def advance(duration: DurationArgument) -> None:
    """Move the stepped clock of the exchange on."""
    from etf_trader.bootstrap import open_exchange

    exchange = open_exchange(settings())
    before = exchange.now()
    now = exchange.advance(Decimal(int(duration.total_seconds())))
    finished = exchange.finished()

    def draw(page: Page) -> None:
        page.line(f"It is {local_time(now)} at the exchange now.")
        if finished:
            page.line(look("The recording is over: its last books stand from now on."))

    output().emit("etf.exchange_time/1", {"before": before, "now": now, "finished": finished}, draw)


@command(app, "reset", examples=("etf exchange reset", "etf exchange reset --yes    without asking"))
def reset(yes: YesOption = False) -> None:
    """Put both databases aside and make new ones, as the configuration says."""
    from etf_trader import bootstrap
    from etf_trader.cli.db import require_unled
    from etf_trader.clock import SystemClock
    from etf_trader.database import Database
    from etf_trader.errors import ConfigError, EtfError, UsageError
    from etf_trader.venue import PAPER

    current = settings()
    if current.environment != PAPER:
        raise ConfigError(
            f"orders go to Binance {current.environment}: there is no paper exchange to reset",
            where="environment",
            hint="another database: etf config set database FILE",
        )
    require_unled(Database(current.database))
    bootstrap.make_market(current)  # settings that cannot be must not cost the exchange there is
    if not yes:
        if not output().is_interactive:
            raise UsageError(
                "this puts the ledger and the exchange aside; without a terminal nothing is asked",
                where="--yes",
                hint="etf exchange reset --yes",
            )
        if not output().confirm("Put the ledger and the exchange aside and begin anew?"):
            raise EtfError("nothing was done: the answer was no")
    moved = bootstrap.archive(current, SystemClock().now().strftime("%Y%m%dT%H%M%SZ"))
    for old, new in moved:
        output().detail(f"{old} is now {new}")
    made = bootstrap.make(current)

    def draw(page: Page) -> None:
        if moved:
            kept = ", ".join(str(new) for _, new in moved)
            page.line(f"The old databases are kept: {kept}")
        page.line("Made a new ledger and a new exchange.")
        if made.deposit is not None:
            page.line(f"Deposited {money(made.deposit)} USDT for {current.holder}.")
        page.line("Next: etf init makes the sample index again; etf index create makes one of yours.")

    kept = [{"from": old, "to": new} for old, new in moved]
    output().emit("etf.exchange_reset/1", {"kept": kept, "deposit": made.deposit}, draw)


exchange_server.add_to(app)
