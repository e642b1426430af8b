"""Every sum of every report holds in odd states: frozen, swapped, cancelled, redeemed, with a management fee."""

from collections.abc import Awaitable, Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import event
from tests.factories import House, make_definition, make_house, make_ladders, make_market
from tests.integration.test_books_reports import check_losses_tie
from tests.integration.test_fees_in_kind import make_fee_definition, take_fee
from tests.integration.test_swapping import at_the_venue, do_swap
from tests.unit.ledger.test_beancount import check_totals
from tests.unit.reports.test_books_properties import (
    check_gains,
    check_replay,
    check_statement,
    moments,
    statement_of,
)
from tests.unit.reports.test_rebalance_report import require_identities

from etf_trader.exchange.static import StaticMarket
from etf_trader.index.methodology import read_methodology
from etf_trader.index.store import list_indices
from etf_trader.ledger.audit import audit
from etf_trader.ledger.replay import books_before
from etf_trader.money import money_context
from etf_trader.orders.rebalances import list_rebalances
from etf_trader.orders.store import request_cancel
from etf_trader.reports.fills import fills_report
from etf_trader.reports.holdings import holdings_report
from etf_trader.reports.management_fees import fees_taken
from etf_trader.reports.nav import recorded_nav_report
from etf_trader.reports.performance import performance_report
from etf_trader.reports.period import ALWAYS, Period
from etf_trader.reports.rebalance import rebalance_report

D = Decimal
MIDS = {"A": "100", "B": "10", "C": "5", "BNB": "600"}
PRICES = {asset: D(mid) for asset, mid in MIDS.items()}


async def frozen(house: House) -> None:
    market(house).set_status("BUSDT", "BREAK")
    await house.sell(4)
    house.exchange.advance(86_400)
    market(house).set_status("BUSDT", "TRADING")
    await house.manager.run([])


async def frozen_for_good(house: House) -> None:
    market(house).delist("BUSDT")
    await house.sell(4)


async def swapped(house: House) -> None:
    market(house).set_status("BUSDT", "BREAK")
    await house.sell(4)
    at_the_venue(house, "B", "C", D(2))
    do_swap(house)
    await house.sell(2)
    await house.manager.run([])


async def cancelled(house: House) -> None:
    await edited(house)
    order = await house.accept_rebalance()
    house.manager.stop_when(lambda: waves(house, order.id) > 0)
    await house.manager.run([order.id])
    house.manager.stop_when(lambda: False)
    with house.database.write() as connection:
        request_cancel(connection, order.id, house.clock.now())
    await house.manager.run([order.id])
    await house.buy(2)


async def redeemed(house: House) -> None:
    await house.sell(None)
    await edited(house)
    await house.rebalance()
    house.exchange.advance(86_400)
    await house.buy(3)
    await house.rebalance(date(2026, 12, 1))


async def with_fees(house: House) -> None:
    house.exchange.advance(40 * 86_400)
    take_fee(house)
    await edited(house)
    await house.rebalance()
    house.exchange.advance(40 * 86_400)
    await house.sell(3)
    await house.rebalance(date(2026, 12, 1))


async def founded(folder: Path) -> House:
    """Ten units of A and B, which bear a fee, and three of another index."""
    books = {asset: make_ladders(D(mid), D("0.01"), D(10_000)) for asset, mid in MIDS.items()}
    house = make_house(folder, make_market(books))
    await house.create(make_fee_definition())
    await house.create(make_definition(symbol="OTHER", basket={"A": D(1), "C": D(2)}))
    await house.buy(10)
    await house.buy(3, index_id=2)
    return house


async def edited(house: House) -> None:
    weights = {"A": D("0.5"), "C": D("0.5")}
    rules = read_methodology({"weights": weights, "fee": {"management_bps": 100}}, "a test")
    await house.administration.edit_index("1", make_fee_definition(weights=weights, rules=rules))


def market(house: House) -> StaticMarket:
    assert isinstance(house.market, StaticMarket)
    return house.market


def waves(house: House, number: int) -> int:
    with house.database.read() as connection:
        return sum(wave.settled_at is not None for wave in rebalance_report(connection, number).waves)


@pytest.mark.parametrize("play", [frozen, frozen_for_good, swapped, cancelled, redeemed, with_fees])
async def test_reports_add_up(tmp_path: Path, play: Callable[[House], Awaitable[None]]) -> None:
    house = await founded(tmp_path)
    await play(house)
    check_losses_tie(house)
    with house.database.read() as connection:
        assert audit(connection, house.account).findings == ()
        check_totals(connection)
        check_replay(connection)
        known = moments(connection)
        middle = known[len(known) // 2]
        check_gains(connection, middle)
        for period in (ALWAYS, Period(since=middle), Period(until=middle)):
            check_statement(statement_of(connection, period, PRICES, PRICES))
        for index in list_indices(connection):
            for moment in known[1:]:
                books_then = books_before(connection, 1, moment)
                report = holdings_report(connection, index, PRICES, moment, past=(books_then, moment))
                assert report.value == report.units * report.nav
            for period in (ALWAYS, Period(since=middle), Period(until=middle)):
                made = performance_report(connection, index, period)
                if made is not None:
                    assert made.opening + made.created - made.redeemed + made.gain == made.closing
                    units = sum((flow.units for flow in made.flows), made.navs[0].units)
                    assert units == made.navs[-1].units
            recorded_nav_report(connection, index)
        for each in list_rebalances(connection):
            require_identities(house, rebalance_report(connection, each.id))


async def test_the_management_fee_is_a_cost_of_the_fund_and_of_its_holder(tmp_path: Path) -> None:
    """Ten units bear it for forty days, then seven: what all positions bear is what the fund does."""
    house = await founded(tmp_path)
    house.exchange.advance(40 * 86_400)
    await house.sell(3)
    house.exchange.advance(40 * 86_400)
    await house.sell(1)
    with house.database.read() as connection, money_context():
        first, second = fees_taken(connection, list_indices(connection)[0])
        made = performance_report(connection, list_indices(connection)[0], ALWAYS)
        cut = Period(until=second.at), Period(since=second.at)
        parts = [statement_of(connection, period, PRICES, PRICES) for period in (*cut, ALWAYS)]
        last = performance_report(connection, list_indices(connection)[0], Period(since=second.at))
    assert [first.units, second.units] == [10, 7]
    assert round(float(first.value), 3) == round(10 * 120 * 0.01 * 40 / 365, 3)
    assert made is not None and last is not None
    assert made.management_fee == first.value + second.value > 0
    assert made.cost == made.trading.loss + made.management_fee
    assert last.management_fee == second.value
    assert [part.positions[0].management_fee for part in parts] == [first.value, second.value, made.management_fee]
    for part in parts:
        check_statement(part)


async def test_a_report_asks_no_more_where_fees_have_made_many_baskets(tmp_path: Path) -> None:
    house = await founded(tmp_path)
    await edited(house)
    order = await house.rebalance()
    asked = []
    for days in (1, 10):
        for _ in range(days):
            house.exchange.advance(10 * 86_400)
            assert take_fee(house)
        asked.append(questions(house, order.id))
    assert asked[0] == asked[1]


def questions(house: House, number: int) -> int:
    """Return how many questions to the database the reports of an index take that read baskets."""
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        asked.append(statement)

    with house.database.read() as connection:
        event.listen(connection.engine, "before_cursor_execute", note)
        rebalance_report(connection, number)
        performance_report(connection, list_indices(connection)[0], ALWAYS)
        recorded_nav_report(connection, list_indices(connection)[0])
        fills_report(connection, 1, None)
        event.remove(connection.engine, "before_cursor_execute", note)
    return len(asked)
