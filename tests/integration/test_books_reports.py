"""Reports made from the ledger, on both databases and of a rebalance."""

from decimal import Decimal
from pathlib import Path

from tests.factories import House, make_definition, make_house, make_ladders, make_market
from tests.integration.test_rebalance import worked as worked
from tests.unit.ledger.test_beancount import check_totals
from tests.unit.reports.test_books_properties import check_replay, check_statement, moments, statement_of

from etf_trader.index.store import list_indices
from etf_trader.ledger.replay import books_before
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
