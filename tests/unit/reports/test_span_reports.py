"""Reports of loss, costs, gains and statements against sums worked out by hand (`worked.py` has the trades)."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from tests.factories import House
from tests.unit.reports.worked import buy_of_ten, buy_with_a_limit, make_worked_house, sell_of_five

from etf_trader.clock import SimulatedClock
from etf_trader.errors import UsageError
from etf_trader.index.store import list_indices
from etf_trader.ledger.replay import books_before
from etf_trader.money import money_context
from etf_trader.reports.gains import Wanted, gains_report
from etf_trader.reports.holder_history import history
from etf_trader.reports.holdings import holdings_report
from etf_trader.reports.losses import costs_report, loss_report
from etf_trader.reports.period import ALWAYS, Period, moment_text, period_of, year_period
from etf_trader.reports.statement import Valuation, statement

D = Decimal
NOW = datetime(2026, 6, 15, 12, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Bought ten for 1,202.826, 11.99798 for 1,442.3976, and sold five for 598.9005; only read from here on."""

    async def trade(folder: Path) -> House:
        made = await make_worked_house(folder)
        await buy_of_ten(made)
        await buy_with_a_limit(made)
        await sell_of_five(made)
        return made

    with money_context():
        return asyncio.run(trade(tmp_path_factory.mktemp("worked")))


def test_loss_by_order_ties_to_cash(house: House) -> None:
    with house.database.read() as connection:
        report = loss_report(connection, 1, "order", ALWAYS)
    first, second, third = report.losses
    # 10 units were worth 1,199 at arrival; 11.99798 were worth 119.8 + .2 = 120 each; five 600.
    assert (first.side, first.loss, first.cash_loss) == ("buy", D("3.826"), D("1202.826") - 1199)
    assert second.cash_loss == second.loss == D("1442.3976") - D("11.99798") * 120
    assert (third.side, third.cash_loss) == ("sell", 600 - D("598.9005"))
    # 600.60 + 402.804 + 210.21; loss 3.826 of 1,199 are 31.9 bps, of what was traded 31.5
    assert (first.traded, first.arrival_value) == (D("1213.614"), D("1199"))
    assert (first.loss_bps, first.traded_bps) == (D("31.9099"), D("31.5257"))
    (total,) = report.totals
    assert total.loss == first.loss + second.loss + third.loss == total.cash_loss


def test_costs_are_of_what_was_traded_and_fees_by_the_asset_they_were_paid_in(house: House) -> None:
    with house.database.read() as connection:
        report = costs_report(connection, 1, ALWAYS)
    assert [line.key for line in report.costs] == ["2026-01", "TWO", "A", "B"]
    a, b, usdt = report.fees
    # .01002 + .012 A, .021 + .024 B, and .4996 + .0999 USDT of the sale
    assert (a.quantity, b.quantity, usdt.quantity) == (D("0.02202"), D("0.045"), D("0.5995"))
    assert (b.value, usdt.value) == (D("0.045") * D("10.01"), D("0.5995"))
    # .006 x 100.10 + .00402 x 100.20 + .012 x 100.08
    assert a.value == D("0.6006") + D("0.402804") + D("1.20096")


def test_a_gain_is_the_holders_and_what_happened_on_the_way_stands_apart(house: House) -> None:
    with house.database.read() as connection:
        report = gains_report(connection, 1, ALWAYS, Wanted())
        mine = gains_report(connection, 1, ALWAYS, Wanted(position=1))
        nobody = gains_report(connection, 1, ALWAYS, Wanted(holder="bob"))
    (units,) = (line for line in report.gains if line.of == "units")
    # Half of the ten that cost 1,202.826 were sold for 598.9005.
    assert (units.quantity, units.proceeds, units.cost) == (D(5), D("598.9005"), D("601.413"))
    assert (units.gain, units.bearer, units.lot_method, units.days_held) == (D("-2.5125"), "self", "fifo", 0)
    assert {line.of for line in report.gains} == {"units", "order", "float"}
    assert {line.of for line in mine.gains} == {"units", "order"}
    assert (nobody.gains, nobody.sums) == ((), ())
    (year,) = (line for line in report.years if line.of == "units")
    assert (year.year, year.gain) == (2026, D("-2.5125"))


def test_a_statement_adds_up_to_what_is_held(house: House) -> None:
    with house.database.read() as connection:
        found = history(connection, 1, "self", ALWAYS)
        made = statement(connection, found, ALWAYS, Valuation({}, {}), Valuation({1: D(130)}, {}))
    (line,) = made.positions
    # 10 + 11.99798 - 5 units at 130; paid 1,202.826 + 1,442.3976, got 598.9005
    assert (line.opening, line.closing_units, line.closing) == (D(0), D("16.99798"), D("2209.7374"))
    assert (line.subscriptions, line.redemptions) == (D("2645.2236"), D("598.9005"))
    assert line.gain == D("2209.7374") - D("2645.2236") + D("598.9005")
    assert line.price_gain == line.gain + line.loss
    (cash,) = made.cash
    assert (cash.deposits, cash.floats, cash.orders) == (D(1_000_000), D(-1000), D("598.9005") - D("2645.2236"))
    assert [flow.kind for flow in made.flows] == ["subscription", "subscription", "redemption"]


def test_holdings_of_a_moment_are_those_of_then(house: House) -> None:
    with house.database.read() as connection:
        sold_at = gains_report(connection, 1, ALWAYS, Wanted(position=1)).gains[-1].disposed_at
        (index,) = list_indices(connection)
        mids = {"A": D(100), "B": D(10)}
        before = holdings_report(
            connection, index, mids, sold_at, past=(books_before(connection, 1, sold_at), NOW)
        )
        later = sold_at + timedelta(microseconds=1)
        after = holdings_report(connection, index, mids, later, past=(books_before(connection, 1, later), NOW))
        now = holdings_report(connection, index, mids, later)
    assert (before.units, after.units) == (D("21.99798"), D("16.99798"))
    assert before.positions[0].cost == D("2645.2236")
    assert (after.positions, after.head, after.value) == (now.positions, now.head, now.value)
    assert before.value == before.units * 120


def test_a_span_begins_with_its_first_moment_and_leaves_out_its_last() -> None:
    january = Period(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
    assert january.holds(datetime(2026, 1, 1, tzinfo=UTC))
    assert january.holds(datetime(2026, 1, 31, 23, 59, 59, 999_999, tzinfo=UTC))
    assert not january.holds(datetime(2026, 2, 1, tzinfo=UTC))
    assert year_period(2025, NOW) == Period(datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))


def test_a_span_that_is_none_is_refused() -> None:
    past, future = NOW - timedelta(days=1), NOW + timedelta(seconds=1)
    with pytest.raises(UsageError, match="--from 2026-06-14T12:30:00Z is not before --to 2026-06-14T12:30:00Z"):
        period_of(past, past, NOW)
    with pytest.raises(
        UsageError, match="--to 2026-06-15T12:30:01Z lies in the future: it is 2026-06-15T12:30:00Z"
    ):
        period_of(past, future, NOW)
    with pytest.raises(UsageError, match="2027 has not begun"):
        year_period(2027, NOW)
    assert period_of(past, NOW, NOW).until == SimulatedClock(NOW).now()


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 3, 1, tzinfo=UTC), "2026-03-01"),
        (datetime(2026, 3, 1, 15, tzinfo=UTC), "2026-03-01T15:00:00Z"),
        (datetime(2026, 3, 1, 1, tzinfo=datetime.fromisoformat("2026-01-01T00:00+01:00").tzinfo), "2026-03-01"),
    ],
)
def test_a_moment_reads_as_it_is_typed(moment: datetime, text: str) -> None:
    assert moment_text(moment) == text
