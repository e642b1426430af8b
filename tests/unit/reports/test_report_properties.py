"""Over random markets, baskets, fees and orders: every total is the exact sum of its lines, and ties to cash."""

import asyncio
import random
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.factories import House, make_definition, make_house, make_ladders, make_market, make_request

from etf_trader.errors import DataError, UsageError
from etf_trader.exchange.static import StaticMarket
from etf_trader.execution.look import look
from etf_trader.index.store import current_basket, list_indices, list_positions
from etf_trader.market.symbol import Side
from etf_trader.money import BASKET_GRID, divide_down, round_to
from etf_trader.orders.plan import LOSS_PARTS
from etf_trader.reports.fills import ConstituentLine, FillLine, FillsReport, OrderLine, fills_report
from etf_trader.reports.holdings import HoldingsReport, holdings_report
from etf_trader.venue.interface import LimitOrder

D = Decimal
ZERO = D(0)
TICK = D("0.01")


def random_house(dice: random.Random, folder: Path) -> tuple[House, dict[str, Decimal]]:
    """A house on one to three random books, and its basket, which may hold cash."""
    assets = ("A", "B", "C")[: dice.randint(1, 3)]
    mids = {asset: D(dice.choice(("3", "100", "5000"))) for asset in assets}
    steps = {asset: dice.choice(("0.00001", "0.01", "1")) for asset in assets}
    books = {
        asset: make_ladders(
            mids[asset],
            TICK,
            round_to(D(dice.choice((400, 3000, 60000))) / mids[asset] + D(steps[asset]), D(steps[asset]))
            if mids[asset] != 3
            else D(dice.choice((100, 1000, 20000))),
            spread=dice.randint(1, 4),
            gap=dice.choice((1, 7, 30)),
        )
        for asset in assets
    }
    rules = {
        asset: {"step": steps[asset], "min_quantity": steps[asset], "min_notional": dice.choice(("0", "5"))}
        for asset in assets
    }
    market = make_market(books, rules=rules, taker=dice.choice(("0", "0.00075", "0.001", "0.01")))
    basket = {asset: divide_down(D(dice.randint(1, 300)), mids[asset], BASKET_GRID) for asset in assets}
    return make_house(folder, market), basket


async def trade(house: House, dice: random.Random, basket: dict[str, Decimal]) -> None:
    """Send a few orders with all kinds of limits; some meet books that ran away and stay open with leftovers."""
    assert isinstance(house.market, StaticMarket)
    market = house.market
    if dice.random() < 0.5:
        definition = make_definition(basket=basket, float_cash=D(dice.choice((100, 2_000))))
    else:
        weights = {asset: D(share) for asset, share in zip(basket, _weights(dice, len(basket)), strict=True)}
        definition = make_definition(basket={}, weights=weights, start_value=D(333), float_cash=D(2_000))
    await house.create(definition)
    nav = await nav_now(house)

    def run_away(order: LimitOrder) -> None:
        if dice.random() < 0.2:
            book = market.book(order.symbol, market.start)
            factor = D(2) if order.side is Side.BUY else D("0.5")
            moved = [
                [(str(round_to(price * factor, TICK)), str(size)) for price, size in side]
                for side in (book.bids, book.asks)
            ]
            market.set_book(order.symbol, *moved)

    with suppress(UsageError):
        await house.buy(dice.choice(("1", "3.7", "25")))
    house.venue.before_place = run_away
    for _ in range(dice.randint(1, 4)):
        side = dice.choice(list(Side))
        request = make_request(
            side,
            quantity=D(dice.choice((10**5, 10**7, 10**8, 1234567890, 10**10))) / 10**8,
            limit_price=round_to(nav * (1 + side.sign * D(dice.randint(-5, 120)) / 10_000), TICK)
            if dice.random() < 0.6
            else None,
            max_loss_bps=D(dice.choice((5, 50))) if dice.random() < 0.2 else None,
            time_in_force=dice.choice(("now", "gtc")),
        )
        try:
            await house.submit(request)
        except (UsageError, DataError):
            continue


def _weights(dice: random.Random, count: int) -> list[str]:
    return {1: ["1"], 2: ["0.25", "0.75"], 3: ["0.1", "0.3", "0.6"]}[count]


async def nav_now(house: House) -> Decimal:
    with house.database.read() as connection:
        basket = current_basket(connection, 1)
    return basket.nav((await look(house.venue, basket, 5)).mids(basket.symbols))


def added(lines: Iterable[object], name: str) -> Decimal:
    return sum((getattr(line, name) for line in lines), ZERO)


def check_constituent(line: ConstituentLine, own: list[FillLine]) -> None:
    assert line.filled == added(own, "quantity")
    assert line.value == added(own, "value")
    assert line.fees == line.fee == added(own, "fee_value")
    for part in ("delay", "spread", "depth"):
        assert getattr(line, part) == added(own, part)
    assert line.loss == added(own, "loss") + line.rounding
    assert ZERO <= line.fill_percentage <= 100


def check_order(line: OrderLine, fills: list[FillLine]) -> None:
    for constituent in line.constituents:
        own = [fill for fill in fills if (fill.order, fill.asset) == (line.order, constituent.asset)]
        check_constituent(constituent, own)
    for name in ("loss", "fees", *LOSS_PARTS):
        assert getattr(line, name) == added(line.constituents, name)
    assert line.loss == sum((getattr(line, part) for part in LOSS_PARTS), ZERO)
    if line.side == "buy":
        assert line.loss == line.cash - line.arrival_value - line.held_value
    else:
        assert line.loss == line.arrival_value - line.held_value - line.cash
    if line.limit_price is not None:
        sign = 1 if line.side == "buy" else -1
        assert line.loss_vs_index_price == sign * (line.cash - line.filled * line.limit_price)
    assert line.arrival_value == line.filled * line.arrival_nav
    assert ZERO <= line.fill_percentage <= 100
    assert (line.fill_percentage == 100) >= (line.filled == line.ordered)


def check_report(report: FillsReport) -> None:
    fills = list(report.fills)
    for order in report.orders:
        check_order(order, fills)
    for constituent in report.constituents:
        own = [fill for fill in fills if fill.asset == constituent.asset]
        check_constituent(constituent, own)
        lines = [each for order in report.orders for each in order.constituents if each.asset == constituent.asset]
        assert constituent.arrival_value == added(lines, "arrival_value")
        assert constituent.rounding == added(lines, "rounding")
    for name in ("loss", "fees", "ordered", "filled", *LOSS_PARTS):
        assert getattr(report, name) == added(report.orders, name)
    assert report.loss == added(report.constituents, "loss") == added(fills, "loss") + report.rounding
    buys = [line for line in report.orders if line.side == "buy"]
    sells = [line for line in report.orders if line.side == "sell"]
    assert (report.paid, report.received) == (added(buys, "cash"), added(sells, "cash"))
    bought = added(buys, "arrival_value") + added(buys, "held_value")
    sold = added(sells, "arrival_value") - added(sells, "held_value")
    assert report.loss == report.paid - bought + sold - report.received
    assert ZERO <= report.fill_percentage <= 100


def check_holdings(report: HoldingsReport) -> None:
    assert report.value == report.units * report.nav
    assert report.value == added(report.holdings, "value") + report.cash
    assert report.cash == report.units * report.cash_per_unit
    for line in report.holdings:
        assert line.quantity == report.units * line.per_unit
        assert line.value == line.quantity * line.price
    assert report.float_value == report.float_cash + sum(
        (line.residual * line.price for line in report.holdings), ZERO
    )
    for position in report.positions:
        assert position.value == position.units * report.nav
        assert position.gain == position.value - position.cost


async def play(dice: random.Random, folder: Path) -> None:
    house, basket = random_house(dice, folder)
    await trade(house, dice, basket)
    with house.database.read() as connection:
        (index,) = list_indices(connection)
        mids = {asset: D(dice.randint(1, 10**7)) / 1000 for asset in basket}
        if list_positions(connection):
            check_report(fills_report(connection, 1, current_basket(connection, index.id).nav(mids)))
        check_holdings(holdings_report(connection, index, mids, house.clock.now()))
    house.database.close()


@settings(max_examples=examples(25))
@given(seed=st.integers(0, 2**32))
def test_every_total_is_the_exact_sum_of_its_lines_and_ties_to_cash(seed: int) -> None:
    with tempfile.TemporaryDirectory(prefix="etf-reports-") as folder:
        asyncio.run(play(random.Random(seed), Path(folder)))
