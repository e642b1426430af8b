"""`etf index list` and `etf index show`: what a unit is worth now, and what an index consists of."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import typer

from etf_trader.cli import caveats
from etf_trader.cli.commands import command
from etf_trader.cli.index_facts import IndexFacts, Prices, facts_of, value_of
from etf_trader.cli.invocation import output
from etf_trader.cli.numbers import few_digits, money, price, share, short, units
from etf_trader.cli.options import IndexArgument
from etf_trader.cli.output import Page, Table, look, number, right, text
from etf_trader.cli.services import services
from etf_trader.money import ONE, ZERO, ceil_to

if TYPE_CHECKING:
    from etf_trader.cli.exhibit import Exhibit
    from etf_trader.index.store import Index
    from etf_trader.market.symbol import SymbolRule

TEN = Decimal(10)
SPARE = Decimal("1.2")
"""Prices move: what is advised today should do tomorrow."""
COLUMNS = ("id", "symbol", "name", "quote", "status", "nav", "units", "value", "float", "constituents")


def add_to(app: typer.Typer) -> None:
    """Add the commands to `etf index`."""
    command(app, "list", examples=("etf index list", "etf index list --json"), csv="indices")(list_)
    command(app, "show", examples=("etf index show 1", "etf index show TOP8 --json"), csv="constituents")(show)


def list_() -> None:
    """List the indices of the account with what a unit is worth now."""
    from etf_trader.index.store import list_indices

    with services() as opened:
        with opened.database.read() as connection:
            known = list_indices(connection, opened.account.id)
        rows = facts_of(opened, known)

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


def show(index: IndexArgument) -> None:
    """Show an index: its basket, what a unit is worth now, its units and its float."""
    from etf_trader.cli.index_rules import weights_sentence
    from etf_trader.cli.rebalances import line, rebalances_of
    from etf_trader.index.history import versions_of
    from etf_trader.index.store import find_index
    from etf_trader.orders.status import IndexOrderStatus

    with services() as opened:
        with opened.database.read() as connection:
            found = find_index(connection, index)
            still = [IndexOrderStatus.OPEN]
            moving = rebalances_of(connection, opened.account.id, index_id=found.id, statuses=still)
            weights = weights_sentence(versions_of(connection, found.id)[-1])
        (facts,) = facts_of(opened, [found])
        told = caveats.endings(opened, found) if found.is_open else []
        told += caveats.sentences(opened, found, facts.frozen, facts.prices.sources, facts.prices.at)

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
        draw_routes(page, found)
        if weights:
            page.line(weights)
        draw_basket(page, facts)
        _draw_float(page, facts)

    def exhibit() -> Exhibit:
        from etf_trader.cli.exhibit import Bars, Exhibit

        return Exhibit(f"Index {found.symbol}", charts=[Bars("Weights", "constituents", "asset", "weight", share)])

    output().emit("etf.index/1", facts.document(), draw, exhibit=exhibit)


def draw_routes(page: Page, index: Index) -> None:
    """Say in which currencies the orders of an index may trade, where there are several."""
    if len(index.routes) > 1:
        page.line(f"Its orders may trade in {', '.join(index.routes)}.")


def draw_basket(page: Page, facts: IndexFacts) -> None:
    """Draw what a unit consists of, the largest weight first."""
    table = Table(text(""), number("per unit"), number("price"), number("value", optional=1), number("weight"))
    order = sorted(facts.basket.quantities, key=lambda asset: -(facts.weight(asset) or ZERO))
    for asset in order:
        mid, weight = facts.prices.mids[asset], facts.weight(asset)
        table.row(
            asset,
            units(facts.basket.quantities[asset]),
            _priced(facts.prices, asset),
            _money(value_of(facts.basket.quantities[asset], mid)),
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
            table.row(asset, short(quantity), _money(value_of(quantity, facts.prices.mids.get(asset))))
        page.table(table)
    enough = facts.sufficient_float
    if enough is None or not facts.index.is_open:
        return
    advice = float_advice(facts)
    for sentence in advice or [f"A float that suffices for any order: about {_whole(enough)} {quote}."]:
        page.line(sentence)


def float_advice(facts: IndexFacts) -> list[str]:
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
