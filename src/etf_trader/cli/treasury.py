"""`etf treasury`: a holder's free cash."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from etf_trader.cli.commands import WHAT, command, group
from etf_trader.cli.invocation import output, settings
from etf_trader.cli.numbers import amount_of
from etf_trader.cli.options import AmountArgument, read_decimal
from etf_trader.cli.output import Page, Table, number, text
from etf_trader.cli.services import in_loop, services
from etf_trader.market.currency import DEFAULT
from etf_trader.money import ZERO
from etf_trader.venue.money_in import how_to_deposit

if TYPE_CHECKING:
    from etf_trader.bootstrap import Services

app = group()

FEE_ASSET = "BNB"

HolderOption = Annotated[
    str | None,
    typer.Option(
        "--holder", help="Whose; by default the holder of the configuration.", metavar="NAME", rich_help_panel=WHAT
    ),
]
AssetOption = Annotated[
    str, typer.Option("--asset", help="Which asset.", metavar="ASSET", show_default=True, rich_help_panel=WHAT)
]


@command(app, "show", examples=("etf treasury show", "etf treasury show --holder alice"), csv="balances")
def show(holder: HolderOption = None) -> None:
    """Show a holder's free cash, and what open orders have set aside."""

    name = holder_of(holder)
    with services() as opened:
        balances = _balances(opened, name)
        fill = how_to_deposit(DEFAULT, opened.account.environment)

    def draw(page: Page) -> None:
        if not balances:
            page.line(f"The treasury of {name} is empty. To fill it: {fill}.")
            return
        page.line(f"Treasury of {name}:")
        table = Table(text(""), number("free"), number("set aside by open orders"))
        for row in balances:
            table.row(row["asset"], amount_of(row["free"], row["asset"]), amount_of(row["reserved"], row["asset"]))
        page.table(table)

    payload = {"holder": name, "balances": balances}
    output().emit("etf.treasury/1", payload, draw, columns=("asset", "free", "reserved"))


@command(
    app,
    "deposit",
    examples=(
        "etf treasury deposit 1000000",
        "etf treasury deposit 50000 --asset USDC",
        "etf treasury deposit 5000 --holder alice",
    ),
)
def deposit(amount: AmountArgument, asset: AssetOption = DEFAULT, holder: HolderOption = None) -> None:
    """Pay a currency into the exchange account for a holder; on paper it comes from nowhere."""
    _move(amount, asset, holder, is_deposit=True)


@command(app, "withdraw", examples=("etf treasury withdraw 5000", "etf treasury withdraw 5000 --holder alice"))
def withdraw(amount: AmountArgument, asset: AssetOption = DEFAULT, holder: HolderOption = None) -> None:
    """Take a holder's free money out of the exchange account."""
    _move(amount, asset, holder, is_deposit=False)


@command(
    app,
    "fees",
    examples=("etf treasury fees", "etf treasury fees 2 --asset BNB", "etf treasury fees -100 --asset USDT"),
    csv="balances",
)
def fees(
    amount: Annotated[
        Decimal | None,
        typer.Argument(
            help="How much of the treasury's goes into the fee inventory; negative: back.",
            metavar="[AMOUNT]",
            parser=read_decimal,
            show_default=False,
        ),
    ] = None,
    asset: AssetOption = FEE_ASSET,
    holder: HolderOption = None,
) -> None:
    """Show what fees are paid from where the venue takes them in BNB, or put BNB there."""
    from etf_trader.errors import UsageError
    from etf_trader.ledger import accounts
    from etf_trader.ledger.repository import Ledger

    name, what = holder_of(holder), asset.upper()
    with services() as opened:
        if amount is not None:
            if not amount:
                raise UsageError(
                    "nothing is to be moved", where="amount", hint="etf treasury fees shows what is there"
                )
            in_loop(opened.administration.of(name).fund_fees(what, amount))
        with opened.database.read() as connection:
            ledger = Ledger(connection, opened.account.id)
            held = ledger.holdings(accounts.FEE_INVENTORY)
            lots = ledger.lot_book()
            balances: list[dict[str, Any]] = [
                {
                    "asset": each,
                    "quantity": quantity,
                    "cost": lots.cost(accounts.FEE_INVENTORY, each) if each == FEE_ASSET else quantity,
                }
                for each, quantity in held.items()
            ]
        paid_in = in_loop(opened.venue.fee_discount())

    def draw(page: Page) -> None:
        if paid_in is None:
            page.line("Fees are paid in what is received; the venue takes nothing from here.")
        else:
            page.line(f"The venue takes fees in {paid_in.asset} while there is enough of it.")
        if not balances:
            page.line(
                f"The fee inventory is empty: etf treasury fees 1 puts 1 {FEE_ASSET} of the treasury into it."
            )
            return
        table = Table(text("fee inventory"), number("quantity"), number("cost"))
        for row in balances:
            table.row(row["asset"], amount_of(row["quantity"], row["asset"]), amount_of(row["cost"], DEFAULT))
        page.table(table)

    payload = {"asset": None if paid_in is None else paid_in.asset, "balances": balances}
    output().emit("etf.fee_inventory/1", payload, draw, columns=("asset", "quantity", "cost"))


def _move(amount: Decimal, asset: str, holder: str | None, *, is_deposit: bool) -> None:
    from etf_trader.bootstrap import deposit_cash, withdraw_cash

    name, what = holder_of(holder), asset.upper()
    with services() as opened:
        if is_deposit:
            _require_currency(opened, what)
        (deposit_cash if is_deposit else withdraw_cash)(opened, what, amount, holder=name)
        balances = _balances(opened, name)
    free = next((row["free"] for row in balances if row["asset"] == what), ZERO)

    def draw(page: Page) -> None:
        done = "Deposited" if is_deposit else "Withdrew"
        page.line(
            f"{done} {amount_of(amount, what)} {what}; the treasury of {name} holds {amount_of(free, what)} now."
        )

    payload = {"holder": name, "asset": what, "amount": amount if is_deposit else -amount, "free": free}
    output().emit("etf.transfer/1", payload, draw)


def _require_currency(opened: Services, asset: str) -> None:
    """Check that `asset` is a currency of the exchange: a coin belongs to an index, not to a treasury."""
    from etf_trader.errors import UsageError
    from etf_trader.market.currency import CURRENCIES, meant

    rules = in_loop(opened.venue.rules()).values()
    quotes = {rule.quote for rule in rules}
    kept = [currency for currency in CURRENCIES if currency in quotes]
    if asset not in kept:
        where = " of this exchange" if asset in CURRENCIES else ""
        raise UsageError(
            f"a treasury holds currencies, and {asset or repr(asset)} is none{where}",
            where="--asset",
            hint=meant(asset, kept),
        )


def holder_of(typed: str | None) -> str:
    """Return the holder that was typed, or the one of the configuration."""
    import re

    from etf_trader.errors import UsageError

    name = settings().holder if typed is None else typed
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name):
        raise UsageError(
            f"{name!r} cannot be a holder",
            where="--holder",
            hint="1 to 64 letters, digits, dots, dashes and underscores",
        )
    return name


def _balances(opened: Services, holder: str) -> list[dict[str, Any]]:
    """Return what a holder has by asset: free, and set aside by open orders."""
    from etf_trader.index.store import index_by_id, list_positions
    from etf_trader.ledger import accounts
    from etf_trader.ledger.repository import Ledger, find_holder
    from etf_trader.orders.status import IndexOrderStatus
    from etf_trader.orders.store import list_index_orders

    with opened.database.read() as connection:
        ledger = Ledger(connection, opened.account.id)
        free = ledger.holdings(accounts.treasury(holder))
        number = find_holder(connection, holder)
        mine = {
            each.id: index_by_id(connection, each.index_id).routes
            for each in (list_positions(connection, holder_id=number) if number is not None else [])
        }
        reserved: dict[str, Decimal] = {}
        for order in list_index_orders(connection, statuses=[IndexOrderStatus.OPEN]):
            if order.position_id in mine:
                for currency in mine[order.position_id]:
                    held = ledger.balance(accounts.order(order.id), currency)
                    reserved[currency] = reserved.get(currency, ZERO) + held
    return [
        {"asset": asset, "free": free.get(asset, ZERO), "reserved": reserved.get(asset, ZERO)}
        for asset in sorted(free.keys() | {asset for asset, amount in reserved.items() if amount})
    ]
