"""`etf index`: creates, lists, shows, values, funds and closes indices."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from etf_trader.cli import index_event, index_fee, index_mark, index_nav, index_rules, valued
from etf_trader.cli.commands import WHAT, command, group
from etf_trader.cli.invocation import output, settings
from etf_trader.cli.numbers import count, few_digits, money, price, share, short, units
from etf_trader.cli.options import (
    CapsColumnsOption,
    CapsOption,
    IndexArgument,
    caps_of,
    read_decimal,
    read_positive,
)
from etf_trader.cli.output import Page, Table, look, number, right, text
from etf_trader.cli.services import in_loop, services
from etf_trader.money import ONE, ZERO, ceil_to, divide

if TYPE_CHECKING:
    from etf_trader.bootstrap import Services
    from etf_trader.cli.exhibit import Exhibit
    from etf_trader.execution.frozen import Frozen
    from etf_trader.index.definition import IndexDefinition
    from etf_trader.index.store import Basket, Index
    from etf_trader.market.symbol import SymbolRule
    from etf_trader.rebalance.determining import Caps

app = group()

RATIO = Decimal("1e-8")
CENT = Decimal("0.01")
TEN = Decimal(10)
SPARE = Decimal("1.2")
"""Prices move: what is advised today should do tomorrow."""
COLUMNS = ("id", "symbol", "name", "quote", "status", "nav", "units", "value", "float", "constituents")


@dataclass(frozen=True, slots=True)
class Prices:
    """What assets are valued at now, None where there is no price, with the time of each.

    `sources` names those that have no mid of now: "last" or "mark".
    """

    mids: dict[str, Decimal | None]
    at: dict[str, datetime]
    now: datetime
    rules: dict[str, SymbolRule]
    sources: dict[str, str] = field(default_factory=dict)

    @property
    def missing(self) -> list[str]:
        """The assets without a price."""
        return sorted(asset for asset, mid in self.mids.items() if mid is None)

    def source(self, asset: str) -> str | None:
        """Return what the price of an asset rests on; None: it has none."""
        return None if self.mids.get(asset) is None else self.sources.get(asset, "mid")

    def nav(self, basket: Basket) -> Decimal | None:
        """Return what a unit is worth; None without all prices."""
        known = {asset: mid for asset in basket.quantities if (mid := self.mids[asset]) is not None}
        return basket.nav(known) if len(known) == len(basket.quantities) else None


def read_prices(opened: Services, baskets: list[Basket]) -> list[Prices]:
    """Return the prices of the constituents of each basket, as they are valued now."""
    from etf_trader.execution.valuing import see, values

    rules = in_loop(opened.venue.rules())
    symbols = {symbol for basket in baskets for symbol in basket.symbols.values()}
    seen, now = in_loop(see(opened.venue, symbols, rules)), opened.clock.now()
    found = []
    with opened.database.read() as connection:
        for basket in baskets:
            valued = values(connection, basket, seen)
            known = {asset: each for asset, each in valued.items() if each is not None}
            found.append(
                Prices(
                    {asset: None if each is None else each.value for asset, each in valued.items()},
                    {asset: each.at for asset, each in known.items()},
                    now,
                    {asset: rules[symbol] for asset, symbol in basket.symbols.items() if symbol in rules},
                    {asset: each.source for asset, each in known.items() if each.source != "mid"},
                )
            )
    return found


@command(
    app,
    "create",
    examples=(
        "etf index create --file top8.toml",
        "etf index create BIG3 --weight BTC=0.5 --weight ETH=0.3 --weight SOL=0.2 --float 600",
        "etf index create DUO --weight BTC=0.6 --weight ETH=0.4 --route USDT --route USDC",
    ),
)
def create(
    symbol: Annotated[
        str | None, typer.Argument(help="What it is called: capitals and digits.", metavar="[SYMBOL]")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", help="Read the index from this TOML file.", metavar="FILE", rich_help_panel=WHAT),
    ] = None,
    weight: Annotated[
        list[str] | None,
        typer.Option(
            "--weight",
            help="A constituent and its weight; the weights sum to 1. Repeat it.",
            metavar="ASSET=WEIGHT",
            rich_help_panel=WHAT,
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Its full name.", metavar="TEXT", rich_help_panel=WHAT)
    ] = None,
    route: Annotated[
        list[str] | None,
        typer.Option(
            "--route",
            help="A currency whose books orders may use, the quote among them. Repeat it.  [default: USDT]",
            metavar="CURRENCY",
            rich_help_panel=WHAT,
        ),
    ] = None,
    start_value: Annotated[
        Decimal | None,
        typer.Option(
            "--start-value",
            help="What one unit is worth at the start.  [default: 1000]",
            metavar="PRICE",
            parser=read_positive,
            rich_help_panel=WHAT,
        ),
    ] = None,
    float_: Annotated[
        Decimal | None,
        typer.Option(
            "--float",
            help="Cash for lot steps and least orders, from your treasury.  [default: 0]",
            metavar="AMOUNT",
            parser=read_decimal,
            rich_help_panel=WHAT,
        ),
    ] = None,
    caps: CapsOption = None,
    caps_columns: CapsColumnsOption = None,
) -> None:
    """Create an index from weights or from a file; its basket is made at the prices of now."""

    definition = _definition(symbol, file, weight or [], name, route or [], start_value, float_)
    with services() as opened:
        definition = _determined(opened, definition, caps_of(caps, caps_columns))
        made = in_loop(opened.administration.create_index(definition, settings().solver.depth))
        (facts,) = _facts(opened, [made])

    def draw(page: Page) -> None:
        page.line(
            f"Created index {made.id}, {made.symbol}: {count(len(definition.assets), 'constituent')}, one unit is "
            f"{money(facts.nav or made.start_value)} {made.quote}, float {money(definition.float_cash)}."
        )
        _draw_routes(page, made)
        _draw_basket(page, facts)
        for sentence in _float_advice(facts):
            page.line(sentence)
        page.line(f"Next: etf submit buy --index {made.id} --qty 100 --dry-run")

    output().emit("etf.index/1", facts.document(), draw)


def _definition(
    symbol: str | None,
    file: Path | None,
    weights: list[str],
    name: str | None,
    routes: list[str],
    start_value: Decimal | None,
    float_cash: Decimal | None,
) -> IndexDefinition:
    from etf_trader.errors import UsageError
    from etf_trader.index.definition import definition_from_options, read_definition

    if file is not None:
        others: dict[str, object] = {"SYMBOL": symbol, "--weight": weights or None, "--name": name}
        others |= {"--route": routes or None, "--start-value": start_value, "--float": float_cash}
        beside = [option for option, value in others.items() if value is not None]
        if beside:
            raise UsageError(
                f"--file says everything: {', '.join(beside)} cannot stand beside it",
                hint="write it into the file",
            )
        return read_definition(file)
    if symbol is None:
        raise UsageError(
            "the index has no symbol",
            hint="etf index create BIG3 --weight BTC=0.5 --weight ETH=0.5, or --file index.toml",
        )
    return definition_from_options(
        symbol,
        weights,
        name=name,
        routes=routes,
        start_value=Decimal(1000) if start_value is None else start_value,
        float_cash=ZERO if float_cash is None else float_cash,
    )


def _determined(opened: Services, definition: IndexDefinition, caps: Caps | None) -> IndexDefinition:
    """Return the index with the weights of today, where its rulebook makes them."""
    rules = definition.rules
    if rules is None or definition.weights:
        if caps is not None:
            from etf_trader.rebalance.determining import refuse_caps

            refuse_caps(caps)
        return definition
    from etf_trader.rebalance.determining import determine_now

    in_loop(opened.administration.markets(definition))  # a name that was mistyped is no coin that is left out
    now = opened.clock.now()
    found = in_loop(determine_now(opened.venue, rules, definition.quote, now, caps=caps))
    return definition.with_weights(found.weights)


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """An index as it stands: its basket at the prices of now, its units and its float."""

    index: Index
    basket: Basket
    prices: Prices
    units: Decimal
    float_cash: Decimal
    residual: dict[str, Decimal]

    @property
    def nav(self) -> Decimal | None:
        """What a unit is worth now; None without all prices."""
        return self.prices.nav(self.basket)

    @property
    def rest(self) -> Decimal:
        """What of a unit is worth something now: all that has a price, and its cash."""
        known = {asset: mid for asset in self.basket.quantities if (mid := self.prices.mids[asset]) is not None}
        return sum(
            (self.basket.quantities[asset] * mid for asset, mid in known.items()), self.basket.cash_per_unit
        )

    @property
    def frozen(self) -> list[Frozen]:
        """The constituents that cannot be traded now."""
        from etf_trader.execution.frozen import frozen_of

        return frozen_of(self.basket, {rule.symbol: rule for rule in self.prices.rules.values()})

    def weight(self, asset: str) -> Decimal | None:
        """Return what fraction of a unit a constituent is now; without all prices, of what has one."""
        nav, mid = self.rest, self.prices.mids[asset]
        return None if not nav or mid is None else divide(self.basket.quantities[asset] * mid, nav, RATIO)

    @property
    def sufficient_float(self) -> Decimal | None:
        """A float with which no order is too small: of each constituent one lot, or one least order."""
        total = ZERO
        for asset in self.basket.quantities:
            mid, rule = self.prices.mids[asset], self.prices.rules.get(asset)
            if mid is None or rule is None:
                return None
            total += max(rule.step, rule.least_quantity(mid)) * mid
        return total

    @property
    def float_value(self) -> Decimal | None:
        """What the float is worth: its cash, and what lots left over; None without all prices."""
        values = [_times(quantity, self.prices.mids.get(asset)) for asset, quantity in self.residual.items()]
        known = [value for value in values if value is not None]
        return sum(known, self.float_cash) if len(known) == len(values) else None

    def summary(self) -> dict[str, Any]:
        """Return the figures of one line."""
        nav = self.nav
        return {
            "id": self.index.id,
            "symbol": self.index.symbol,
            "name": self.index.name,
            "quote": self.index.quote,
            "status": self.index.status,
            "nav": nav,
            "units": self.units,
            "value": None if nav is None else nav * self.units,
            "float": self.float_cash,
            "constituents": len(self.basket.quantities),
            "created_at": self.index.created_at,
        }

    def document(self) -> dict[str, Any]:
        """Return everything, as other programs read it."""
        held = self.basket.quantities
        return self.summary() | {
            "routes": list(self.index.routes),
            "start_value": self.index.start_value,
            "lot_method": self.index.lot_method,
            "basket_version": self.basket.version,
            "cash_per_unit": self.basket.cash_per_unit,
            "at": self.prices.now,
            "sufficient_float": self.sufficient_float,
            "constituents": [
                {
                    "asset": asset,
                    "symbol": self.basket.symbols[asset],
                    "quantity": held[asset],
                    "price": self.prices.mids[asset],
                    "price_at": self.prices.at.get(asset),
                    "price_source": self.prices.source(asset),
                    "value": _times(held[asset], self.prices.mids[asset]),
                    "weight": self.weight(asset),
                    "residual": self.residual.get(asset, ZERO),
                }
                for asset in held
            ],
        }


def _times(quantity: Decimal, mid: Decimal | None) -> Decimal | None:
    return None if mid is None else quantity * mid


def _facts(opened: Services, chosen: list[Index]) -> list[IndexFacts]:
    """Read how indices stand: their books in one look, their constituents' prices in another."""
    from etf_trader.index.store import current_basket
    from etf_trader.ledger import accounts
    from etf_trader.ledger.repository import Ledger

    with opened.database.read() as connection:
        ledger = Ledger(connection, opened.account.id)
        baskets = [current_basket(connection, index.id) for index in chosen]
        floats = [ledger.holdings(accounts.index_float(index.id)) for index in chosen]
        units = [ledger.units_outstanding(accounts.issued(index.id), index.unit_asset) for index in chosen]
    prices = read_prices(opened, baskets)
    return [
        IndexFacts(index, basket, each, outstanding, held.pop(index.quote, ZERO), held)
        for index, basket, each, outstanding, held in zip(chosen, baskets, prices, units, floats, strict=True)
    ]


@command(app, "list", examples=("etf index list", "etf index list --json"), csv="indices")
def list_() -> None:
    """List the indices of the account with what a unit is worth now."""
    from etf_trader.index.store import list_indices

    with services() as opened:
        with opened.database.read() as connection:
            known = list_indices(connection, opened.account.id)
        rows = _facts(opened, known)

    def draw(page: Page) -> None:
        if not rows:
            page.line("There is no index yet: etf init makes a sample, etf index create --file index.toml yours.")
            return
        table = Table(
            right("index"),
            text("symbol"),
            text("name", shrink=True),
            right("coins", optional=3),
            number("unit now"),
            number("units"),
            number("value", optional=2),
            number("float", optional=1),
            text("state"),
        )
        for each in rows:
            nav = each.nav
            table.row(
                str(each.index.id),
                each.index.symbol,
                each.index.name,
                str(len(each.basket.quantities)),
                _money(nav),
                few_digits(each.units),
                _money(None if nav is None else nav * each.units),
                money(each.float_cash),
                each.index.status if each.index.is_open else look(each.index.status),
            )
        page.table(table)

    output().emit("etf.indices/1", {"indices": [each.summary() for each in rows]}, draw, columns=COLUMNS)


@command(app, "show", examples=("etf index show 1", "etf index show TOP8 --json"), csv="constituents")
def show(index: IndexArgument) -> None:
    """Show an index: its basket, what a unit is worth now, its units and its float."""
    from etf_trader.cli.rebalances import line, rebalances_of
    from etf_trader.index.store import find_index
    from etf_trader.orders.status import IndexOrderStatus

    with services() as opened:
        with opened.database.read() as connection:
            found = find_index(connection, index)
            still = [IndexOrderStatus.OPEN]
            moving = rebalances_of(connection, opened.account.id, index_id=found.id, statuses=still)
        (facts,) = _facts(opened, [found])
        told = valued.sentences(opened, found, facts.frozen, facts.prices.sources, facts.prices.at)

    def draw(page: Page) -> None:
        nav = facts.nav
        name = "" if found.name == found.symbol else f" ({found.name})"
        state = "" if found.is_open else ", closed"
        worth = (
            f"one unit is {money(nav)} {found.quote} now"
            if nav is not None
            else f"a unit has no value now (the rest of it: {money(facts.rest)} {found.quote})"
        )
        page.line(
            f"Index {found.id}, {found.symbol}{name}{state}: {worth}, {few_digits(facts.units)} outstanding."
        )
        for report in moving:
            page.line(line(report))
        for sentence in told:
            page.line(sentence)
        _draw_routes(page, found)
        _draw_basket(page, facts)
        _draw_float(page, facts)

    def exhibit() -> Exhibit:
        from etf_trader.cli.exhibit import Bars, Exhibit

        return Exhibit(f"Index {found.symbol}", charts=[Bars("Weights", "constituents", "asset", "weight", share)])

    output().emit("etf.index/1", facts.document(), draw, exhibit=exhibit)


def _draw_routes(page: Page, index: Index) -> None:
    if len(index.routes) > 1:
        page.line(f"Its orders may trade in {', '.join(index.routes)}.")


def _draw_basket(page: Page, facts: IndexFacts) -> None:
    table = Table(text(""), number("per unit"), number("price"), number("value", optional=1), number("weight"))
    order = sorted(facts.basket.quantities, key=lambda asset: -(facts.weight(asset) or ZERO))
    for asset in order:
        mid, weight = facts.prices.mids[asset], facts.weight(asset)
        table.row(
            asset,
            units(facts.basket.quantities[asset]),
            _priced(facts.prices, asset),
            _money(_times(facts.basket.quantities[asset], mid)),
            "-" if weight is None else share(weight),
        )
    page.line()
    page.table(table)
    if (cash := money(facts.basket.cash_per_unit)) != "0.00":
        page.line(f"and {cash} {facts.index.quote} of cash a unit")
    page.line()


def _draw_float(page: Page, facts: IndexFacts) -> None:
    """Draw what lies beside the units."""
    quote = facts.index.quote
    page.line(f"Float {money(facts.float_cash)} {quote}" + ("." if not facts.residual else ", and left over:"))
    if facts.residual:
        table = Table(text(""), number("quantity"), number("value"))
        for asset, quantity in facts.residual.items():
            table.row(asset, short(quantity), _money(_times(quantity, facts.prices.mids.get(asset))))
        page.table(table)
    enough = facts.sufficient_float
    if enough is None or not facts.index.is_open:
        return
    advice = _float_advice(facts)
    for sentence in advice or [f"A float that suffices for any order: about {_whole(enough)} {quote}."]:
        page.line(sentence)


def _float_advice(facts: IndexFacts) -> list[str]:
    """Return that the float is too little for small orders, and how much is enough; nothing when it is enough."""
    enough, has = facts.sufficient_float, facts.float_value
    if enough is None or has is None or has >= enough:
        return []
    missing = ceil_to((enough - has) * SPARE, TEN)
    return [
        f"{look('Small orders may be refused')}: a float that suffices for any order is about {_whole(enough)} "
        f"{facts.index.quote}.",
        f"To give it that: etf index fund {facts.index.id} {missing:f}",
    ]


def _whole(value: Decimal) -> str:
    return f"{ceil_to(value, ONE):,}"


@command(
    app,
    "fund",
    examples=("etf index fund 1 600", "etf index fund 1 -200    take 200 back"),
)
def fund(
    index: IndexArgument,
    amount: Annotated[
        Decimal,
        typer.Argument(help="Cash to add; below zero, to take back.", metavar="AMOUNT", parser=read_decimal),
    ],
) -> None:
    """Move cash from your treasury to the float of an index, or back."""
    from etf_trader.errors import UsageError
    from etf_trader.index.store import find_index

    if amount == 0:
        raise UsageError("0 moves nothing", where="AMOUNT", hint="etf index fund 1 600, or -200 to take back")
    with services() as opened:
        held = opened.administration.fund_index(index, amount)
        with opened.database.read() as connection:
            found = find_index(connection, index)

    def draw(page: Page) -> None:
        way = "added to" if amount > 0 else "taken from"
        page.line(
            f"{money(abs(amount))} {found.quote} {way} the float of {found.symbol}: it holds {money(held)} now."
        )

    payload = {"id": found.id, "symbol": found.symbol, "amount": amount, "float": held}
    output().emit("etf.funding/1", payload, draw)


@command(app, "close", examples=("etf index close 1", "etf index close BIG3"))
def close(index: IndexArgument) -> None:
    """Close an index that has no units left; its float goes back to your treasury."""

    with services() as opened:
        closed, cash, dust = opened.administration.close_index(index)

    def draw(page: Page) -> None:
        page.line(
            f"Closed {closed.symbol}. {money(cash)} {closed.quote} of its float went back to the treasury of "
            f"{settings().holder}."
        )
        if dust:
            held = ", ".join(f"{short(quantity)} {asset}" for asset, quantity in dust.items())
            page.line(f"Too small to trade, it keeps: {held}.")

    payload = {"id": closed.id, "symbol": closed.symbol, "status": "closed", "returned": cash, "dust": dust}
    output().emit("etf.index_closed/1", payload, draw)


def _money(value: Decimal | None) -> str:
    return "-" if value is None else money(value)


def _priced(prices: Prices, asset: str) -> str:
    """Return what an asset is valued at, marked where that is no mid of now."""
    mid, rule = prices.mids[asset], prices.rules.get(asset)
    if mid is None:
        return look("no price")
    shown = units(mid) if rule is None else _mid(mid, rule)
    return look(f"{prices.sources[asset]} {shown}") if asset in prices.sources else shown


def _mid(mid: Decimal, rule: SymbolRule) -> str:
    """Return a mid: it may lie between two ticks."""
    return price(mid, rule.tick / 2)


for each in (index_nav, index_rules, index_fee, index_mark, index_event):
    each.add_to(app)
