"""Reports made from the ledger, on both databases and of a rebalance."""

from decimal import Decimal
from pathlib import Path

import pytest
from tests.factories import House, make_definition, make_house, make_ladders, make_market
from tests.integration.scenarios import SCENARIOS, Rebalance
from tests.integration.test_fee_inventory import make as house_with_fee_inventory
from tests.integration.test_rebalance import worked as worked
from tests.unit.ledger.test_beancount import check_totals
from tests.unit.reports.test_books_properties import check_replay, check_statement, moments, statement_of

from etf_trader.execution.state import order_loss
from etf_trader.index.store import list_indices
from etf_trader.ledger.replay import books_before
from etf_trader.orders.store import list_index_orders
from etf_trader.reports.gains import Wanted, gains_report
from etf_trader.reports.holdings import holdings_report
from etf_trader.reports.losses import costs_report, loss_report
from etf_trader.reports.period import ALWAYS, Period

D = Decimal
PRICES = {"A": D(20), "B": D(5), "C": D(2), "D": D(10)}


async def test_reports_read_the_same_on_both_databases(url: str, tmp_path: Path) -> None:
    market = make_market(
        {"A": make_ladders(D(100), D("0.01"), D(50)), "B": make_ladders(D(10), D("0.01"), D(500))}
    )
    house = make_house(tmp_path, market, url=url)
    await house.create(make_definition())
    await house.buy("7.5")
    await house.sell("2.5")
    with house.database.read() as connection:
        check_replay(connection)
        moment = moments(connection)[-1]
        before, after = Period(until=moment), Period(since=moment)
        whole = loss_report(connection, 1, "order", ALWAYS)
        parts = [loss_report(connection, 1, "order", period).totals for period in (before, after)]
        assert [line.loss for line in whole.losses] == [line.cash_loss for line in whole.losses]
        assert sum((line.loss for lines in parts for line in lines), D(0)) == whole.totals[0].loss
        assert (
            len(gains_report(connection, 1, ALWAYS, Wanted(position=1)).sums) == 3
        )  # units, A and B of the order
        check_statement(statement_of(connection, ALWAYS, {"A": D(100), "B": D(10)}, {}))
        check_totals(connection)
    house.database.close()


async def test_a_rebalance_is_in_the_costs_and_borne_by_the_holders(worked: House) -> None:
    worked.exchange.advance(30 * 86_400)
    order = await worked.rebalance()
    with worked.database.read() as connection:
        report = loss_report(connection, 1, "order", ALWAYS)
        (line,) = (each for each in report.losses if each.key == str(order.id))
        assert (line.side, line.arrival_value, line.loss_bps) == ("rebalance", D(0), None)
        assert line.loss == line.cash_loss
        assert line.loss > 0
        assert report.totals[0].loss == report.totals[0].cash_loss
        costs = costs_report(connection, 1, ALWAYS)
        assert costs.totals[0].loss == report.totals[0].loss
        gains = gains_report(connection, 1, ALWAYS, Wanted())
        of_the_index = [each for each in gains.gains if each.of == "index"]
        assert {each.bearer for each in of_the_index} == {"holders of TWO"}
        assert {each.asset for each in of_the_index} >= {"A", "C"}
        assert {each.days_held for each in of_the_index} == {
            30
        }  # since they were bought, whatever moved them since


async def test_before_within_and_after_a_rebalance_all_adds_up(worked: House) -> None:
    await worked.rebalance()
    with worked.database.read() as connection:
        (index,) = list_indices(connection)
        seen = set()
        for moment in moments(connection)[1:]:
            books = books_before(connection, 1, moment)
            report = holdings_report(connection, index, PRICES, moment, past=(books, moment))
            assert report.value == report.units * report.nav
            seen.add(report.basket_version)
        assert seen >= {1, 2}
        check_replay(connection)
        check_totals(connection)
        made = statement_of(connection, ALWAYS, PRICES, {})
        check_statement(made)
        assert [line.closing_units for line in made.positions] == [D(10)]


def check_losses_tie(house: House) -> None:
    """Check that the loss of every order and month is what its cash says, and that fees add up by asset."""
    with house.database.read() as connection:
        for by in ("order", "month", "index"):
            report = loss_report(connection, 1, by, ALWAYS)
            assert report.losses
            for line in (*report.losses, *report.totals):
                assert line.loss == line.cash_loss, (by, line.key)
        for order in list_index_orders(connection):
            (line,) = (
                each for each in loss_report(connection, 1, "order", ALWAYS).losses if each.key == str(order.id)
            )
            assert line.loss == order_loss(connection, order).total
        costs = costs_report(connection, 1, ALWAYS)
        assert sum((fee.value for fee in costs.fees), D(0)) == sum((line.fee for line in costs.totals), D(0))
        check_statement(statement_of(connection, ALWAYS, dict.fromkeys("ABC", D(50)), {}))
        check_replay(connection)


@pytest.mark.parametrize("name", ["shared", "routed", "rebalance beside orders"])
async def test_losses_tie_to_cash_where_orders_share_trades_cross_each_other_or_pay_in_two_currencies(
    tmp_path: Path, name: str
) -> None:
    scenario = SCENARIOS[name]
    house = make_house(tmp_path, scenario.market())
    await scenario.before(house)
    numbers = [
        (await house.accept_rebalance(request.due_on)).id
        if isinstance(request, Rebalance)
        else (await house.desk.accept(request)).id
        for request in scenario.requests
    ]
    await house.manager.run(numbers)
    check_losses_tie(house)


async def test_fees_paid_in_another_asset_are_a_cost_of_their_orders(tmp_path: Path) -> None:
    house = await house_with_fee_inventory(tmp_path)
    await house.buy(10)
    await house.sell(4)
    check_losses_tie(house)
    with house.database.read() as connection:
        (fee,) = costs_report(connection, 1, ALWAYS).fees
        sold = [each for each in gains_report(connection, 1, ALWAYS, Wanted()).gains if each.of == "fees"]
        check_totals(connection)
    assert fee.asset == "BNB"
    assert sum((each.quantity for each in sold), D(0)) == fee.quantity
    assert sum((each.proceeds for each in sold), D(0)) == fee.value
    assert {each.bearer for each in sold} == {"self"}
