"""Over random histories: reports of any span of time add up exactly, span to span, and tie to the ledger."""

import asyncio
import random
import tempfile
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select
from tests.effort import examples
from tests.unit.ledger.test_beancount import check_totals
from tests.unit.reports.test_report_properties import check_holdings, random_house, trade

from etf_trader.execution.state import cash_of, order_loss
from etf_trader.index.store import list_indices, list_positions
from etf_trader.ledger.replay import Books, books_before, entries
from etf_trader.ledger.repository import chain_head
from etf_trader.ledger.tables import balances, disposals
from etf_trader.market.symbol import Side
from etf_trader.orders.plan import LOSS_PARTS
from etf_trader.orders.store import list_index_orders
from etf_trader.reports.currency import Rate, converted
from etf_trader.reports.gains import Wanted, gains_report
from etf_trader.reports.holder_history import CashLine, history
from etf_trader.reports.holdings import holdings_report
from etf_trader.reports.losses import BY, LossLine, LossReport, costs_report, loss_report
from etf_trader.reports.period import ALWAYS, Period
from etf_trader.reports.statement import PositionStatement, Statement, StatementTotal, Valuation, statement

D = Decimal
ZERO = D(0)


def added(lines: Iterable[object], name: str) -> Decimal:
    return sum((getattr(line, name) for line in lines), ZERO)


def check_replay(connection: Connection) -> None:
    books = books_before(connection, 1)
    rows = connection.execute(select(balances)).all()
    stated = {(row.account, row.asset): row.amount for row in rows if row.amount}
    assert {at: amount for at, amount in books.balances.items() if amount} == stated
    for position in list_positions(connection):
        at = f"position:{position.id}", f"unit:{position.index_id}"
        assert (books.lots.quantity(*at), books.lots.cost(*at)) == (position.units, position.cost)
    assert books.head == chain_head(connection, 1)[1]


def check_every_moment(connection: Connection, mids: dict[str, Decimal]) -> None:
    """Check what is held at each moment: an index is its units, whatever was under way."""
    (index,) = list_indices(connection)
    for moment in moments(connection):
        books = books_before(connection, 1, moment)
        report = holdings_report(connection, index, mids, moment, past=(books, moment))
        check_holdings(report)
        assert report.head == books.head
        assert report.units == added(report.positions, "units") or books_in_flight(books)


def books_in_flight(books: Books) -> Decimal:
    """Return the units whose baskets are out to be sold: positions have them until they are."""
    return sum((amount for (name, _), amount in books.balances.items() if name.startswith("redeemed:")), ZERO)


def moments(connection: Connection) -> list[datetime]:
    return sorted({entry.booked_at for entry in entries(connection, 1)})


def check_line(line: LossLine) -> None:
    assert line.loss == sum((getattr(line, part) for part in LOSS_PARTS), ZERO)
    if line.by != "asset":
        assert line.loss == line.cash_loss


def total(report: LossReport, name: str) -> Decimal:
    return added(report.totals, name)


def check_losses(connection: Connection, moment: datetime) -> None:
    whole = loss_report(connection, 1, "order", ALWAYS)
    for line in whole.losses:
        (order,) = (each for each in list_index_orders(connection) if str(each.id) == line.key)
        assert line.loss == order_loss(connection, order).total
        assert line.arrival_value == order.filled * order.arrival_nav
    for by in BY:
        report = loss_report(connection, 1, by, ALWAYS)
        before = loss_report(connection, 1, by, Period(until=moment))
        after = loss_report(connection, 1, by, Period(since=moment))
        for each in (report, before, after):
            for line in (*each.losses, *each.totals):
                check_line(line)
            for name in ("loss", "traded", *LOSS_PARTS):
                assert added(each.losses, name) == total(each, name)
        for name in ("loss", "cash_loss", "traded", "arrival_value", "held_value"):
            assert total(before, name) + total(after, name) == total(report, name)
    costs = costs_report(connection, 1, ALWAYS)
    for by in ("month", "index", "asset"):
        own = [line for line in costs.costs if line.by == by]
        assert added(own, "loss") == added(costs.totals, "loss") == total(whole, "loss")
    assert added(costs.fees, "value") == added(costs.totals, "fee")


def check_gains(connection: Connection, moment: datetime) -> None:
    report = gains_report(connection, 1, ALWAYS, Wanted())
    rows = connection.execute(select(disposals)).all()
    assert added(report.gains, "gain") == sum((row.gain for row in rows), ZERO)
    for sums in (report.years, report.sums):
        for name in ("proceeds", "cost", "fee", "gain"):
            assert added(sums, name) == added(report.gains, name)
        assert sum(line.disposals for line in sums) == len(report.gains)
    for line in report.gains:
        assert line.gain == line.proceeds - line.cost
    for order in list_index_orders(connection):
        if order.side is Side.SELL and order.status.is_final:
            own = [line for line in report.gains if (line.of, line.order) == ("units", order.id)]
            assert added(own, "proceeds") == cash_of(connection, order)
            assert added(own, "quantity") == order.filled
    parts = [
        gains_report(connection, 1, period, Wanted()) for period in (Period(until=moment), Period(since=moment))
    ]
    assert sum(len(part.gains) for part in parts) == len(report.gains)


def statement_of(
    connection: Connection,
    period: Period,
    mids: dict[str, Decimal],
    before: dict[str, Decimal],
    holder: str = "self",
) -> Statement:
    found = history(connection, 1, holder, period)
    navs = [
        {number: basket.nav(prices) for number, basket in baskets.items()}
        for baskets, prices in ((found.opening_baskets, before), (found.closing_baskets, mids))
    ]
    return statement(connection, found, period, Valuation(navs[0], {}), Valuation(navs[1], {}))


def check_statement(made: Statement) -> None:
    lines: list[PositionStatement | StatementTotal] = [*made.positions, *made.totals]
    for line in lines:
        assert line.opening + line.subscriptions - line.redemptions + line.gain == line.closing
        assert line.gain == line.price_gain - line.loss - line.management_fee
    for own in made.positions:
        assert own.opening_units + own.subscribed_units - own.redeemed_units == own.closing_units
    for each in made.totals:
        for name in (
            "opening",
            "subscriptions",
            "redemptions",
            "fees",
            "loss",
            "management_fee",
            "gain",
            "closing",
            "cost",
        ):
            assert getattr(each, name) == added(made.positions, name)
    movements = [name for name in CashLine.__slots__ if name not in ("asset", "closing", "set_aside")]
    for cash in made.cash:
        assert sum((getattr(cash, name) for name in movements), ZERO) == cash.closing


def check_statements(connection: Connection, moment: datetime, mids: dict[str, Decimal]) -> None:
    whole = statement_of(connection, ALWAYS, mids, mids)
    first = statement_of(connection, Period(until=moment), mids, mids)
    then = statement_of(connection, Period(since=moment), mids, mids)
    for made in (whole, first, then):
        check_statement(made)
    assert added(first.totals, "closing") == added(then.totals, "opening")
    assert added(first.cash, "closing") == added(then.cash, "opening")
    for name in ("subscriptions", "redemptions", "gain"):
        assert added(first.totals, name) + added(then.totals, name) == added(whole.totals, name)
    for order in list_index_orders(connection):
        if order.status.is_final:
            own = [flow for flow in whole.flows if flow.order == order.id]
            assert added(own, "cash") == cash_of(connection, order)
    for position in list_positions(connection):
        for line in whole.positions:
            if line.position == position.id:
                assert (line.closing_units, line.cost) == (position.units, position.cost)
    rates = {"USDT": Rate("USDT", "EUR", D("0.919876543211"), "typed", None)}
    euros = converted(whole, rates)
    check_statement(euros)
    assert {line.currency for line in euros.positions} <= {"EUR"}
    assert euros.cash == whole.cash


async def play(dice: random.Random, folder: Path) -> None:
    house, basket = random_house(dice, folder)
    await trade(house, dice, basket)
    with house.database.read() as connection:
        mids = {asset: D(dice.randint(1, 10**7)) / 1000 for asset in basket}
        moment = dice.choice(moments(connection)) + timedelta(microseconds=dice.choice((0, 1)))
        check_replay(connection)
        check_every_moment(connection, mids)
        check_losses(connection, moment)
        check_gains(connection, moment)
        check_statements(connection, moment, mids)
        if dice.random() < 0.3:  # beancount takes its time
            check_totals(connection)
    house.database.close()


@settings(max_examples=examples(8))
@given(seed=st.integers(0, 2**32))
def test_reports_of_any_span_add_up_and_tie_to_the_ledger(seed: int) -> None:
    with tempfile.TemporaryDirectory(prefix="etf-books-") as folder:
        asyncio.run(play(random.Random(seed), Path(folder)))
