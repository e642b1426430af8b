"""The report of fills against sums worked out by hand; the trades and their sums are in `worked.py`."""

from decimal import Decimal
from pathlib import Path

import pytest
from tests.factories import House
from tests.unit.reports.worked import (
    LATER,
    buy_of_ten,
    buy_with_a_limit,
    make_worked_house,
    sell_of_five,
    set_book,
)

from etf_trader.errors import NotFound
from etf_trader.reports.fills import ConstituentLine, FillsReport, OrderLine, fills_report
from etf_trader.venue.interface import LimitOrder

D = Decimal


@pytest.fixture
async def house(tmp_path: Path) -> House:
    return await make_worked_house(tmp_path)


def report_of(house: House, nav: str | None = None, order: int | None = None) -> FillsReport:
    with house.database.read() as connection:
        return fills_report(connection, 1, None if nav is None else D(nav), order)


def parts(line: OrderLine | ConstituentLine | FillsReport) -> tuple[Decimal, ...]:
    return line.delay, line.spread, line.depth, line.fee, line.rounding


def loss(delay: str, spread: str, depth: str, fee: str, rounding: str) -> tuple[Decimal, ...]:
    return D(delay), D(spread), D(depth), D(fee), D(rounding)


async def test_a_position_without_orders_is_not_found(house: House) -> None:
    with pytest.raises(NotFound, match="position 1"):
        report_of(house)


async def test_a_buy_comes_to_the_numbers_worked_out_by_hand(house: House) -> None:
    await buy_of_ten(house)
    report = report_of(house)
    (line,) = report.orders
    assert (line.ordered, line.filled, line.fill_percentage) == (D(10), D(10), D(100))
    assert (line.status, line.stopped_by) == ("filled", ("filled",))
    assert (line.cash, line.arrival_value, line.held_value) == (D("1202.826"), D(1199), D(0))
    assert (line.arrival_nav, line.average_price) == (D("119.90"), D("120.2826"))
    # fees: A .01002 in kind = .6006 + .402804; B .021 x 10.01
    assert line.fees == D("1.003404") + D("0.21021")
    # delay    10.00998 x .10                                  = 1.000998
    # spread   10.00998 x .10 + 20.979 x .01                   = 1.000998 + .20979 = 1.210788
    # depth    4.01598 x .10                                   =  .401598
    # fee      1.003404 + .21021                               = 1.213614
    # rounding -.00998 x (100 - 99.90)                         = -.000998
    assert parts(line) == loss("1.000998", "1.210788", "0.401598", "1.213614", "-0.000998")
    assert line.loss == D("3.826") == line.cash - line.arrival_value
    assert line.loss_bps == D("31.9099")  # 3.826 / 1,199
    # Nothing is missed of a filled order, whatever the price does; without a limit there is no comparison.
    assert (line.missed, line.loss_vs_index_price) == (D(0), None)
    a, b = line.constituents
    assert (a.asset, a.symbol, a.ordered, a.filled, a.fill_percentage) == (
        "A",
        "AUSDT",
        D("10.02"),
        D("10.02"),
        D(100),
    )
    assert (a.cost, a.fees, a.average_price) == (D("1003.404"), D("1.003404"), D("100.14011976"))
    assert parts(a) == loss("1.000998", "1.000998", "0.401598", "1.003404", "-0.000998")
    assert a.loss_bps == D("34.0260")  # 3.406 / (10.02 x 99.90 = 1,000.998)
    assert (b.filled, b.cost, b.average_price) == (D(21), D("210.21"), D("10.01"))
    assert parts(b) == loss("0", "0.20979", "0", "0.21021", "0")
    # One order: the position's constituents are the order's.
    assert report.constituents == line.constituents


async def test_a_buy_has_a_line_for_each_fill(house: House) -> None:
    await buy_of_ten(house)
    fills = report_of(house).fills
    assert {(fill.order, fill.side, fill.is_maker) for fill in fills} == {(1, "buy", False)}
    rows = [(fill.asset, fill.quantity, fill.price, fill.value, fill.fee, fill.fee_asset) for fill in fills]
    assert sorted(rows) == [
        ("A", D("4.02"), D("100.20"), D("402.804"), D("0.00402"), "A"),
        ("A", D(6), D("100.10"), D("600.60"), D("0.006"), "A"),
        ("B", D(21), D("10.01"), D("210.21"), D("0.021"), "B"),
    ]
    second = next(fill for fill in fills if fill.quantity == D("4.02"))
    # net 4.01598: delay, spread and depth .10 each; fee .00402 x 100.20
    assert (second.delay, second.spread, second.depth) == (D("0.401598"),) * 3
    assert second.fee_value == D("0.402804")
    assert second.loss == D("1.607598")


async def test_a_buy_stopped_by_its_limit_shows_what_it_missed_and_what_it_saved(house: House) -> None:
    await buy_of_ten(house)
    await buy_with_a_limit(house)
    line = report_of(house, nav="121").orders[1]
    assert (line.status, line.stopped_by) == ("ended", ("limit",))
    assert (line.ordered, line.filled, line.fill_percentage) == (D(100), D("11.99798"), D("11.9980"))
    assert (line.cash, line.arrival_value) == (D("1442.3976"), D("1439.7576"))  # 11.99798 x 120
    # spread 11.988 x .08 + 23.976 x .01 = .95904 + .23976; fee .012 x 100.08 + .024 x 10.01 = 1.20096 + .24024
    assert parts(line) == loss("0", "1.1988", "0", "1.4412", "0")
    assert line.loss == D("2.64") == line.cash - line.arrival_value
    # 88.00202 units are missing and one has become dearer by 1.
    assert line.missed == D("88.00202")
    # 11.99798 units at the limit would have cost 1,445.75659.
    assert line.loss_vs_index_price == D("-3.35899")


@pytest.mark.parametrize(
    ("nav", "missed"),
    [("121", D("88.00202")), ("120", D(0)), ("119.5", D("-44.00101")), (None, None)],
    ids=["dearer", "the same", "cheaper", "no price"],
)
async def test_what_a_buy_missed_is_positive_when_the_price_rose(
    house: House, nav: str | None, missed: Decimal | None
) -> None:
    await buy_of_ten(house)
    await buy_with_a_limit(house)
    report = report_of(house, nav)
    assert report.orders[1].missed == missed
    assert report.missed == missed


async def test_a_sell_is_the_mirror_of_a_buy(house: House) -> None:
    await buy_of_ten(house)
    await buy_with_a_limit(house)
    await sell_of_five(house)
    line = report_of(house, nav="121").orders[2]
    assert (line.side, line.filled, line.cash, line.arrival_value) == ("sell", D(5), D("598.9005"), D(600))
    # spread 5 x .08 + 10 x .01; fee .4996 + .0999
    assert parts(line) == loss("0", "0.50", "0", "0.5995", "0")
    assert line.loss == D("1.0995") == line.arrival_value - line.cash
    # It brought 598.9005 where 5 x 119 = 595 was the least: 3.9005 better.
    assert line.loss_vs_index_price == D("-3.9005")
    a, b = line.constituents
    assert (a.cost, b.cost) == (D("499.1004"), D("99.8001"))  # received, after fees
    assert (a.fees, b.fees) == (D("0.4996"), D("0.0999"))
    assert (a.loss, b.loss) == (D("0.8996"), D("0.1999"))


async def test_what_a_sell_missed_is_positive_when_the_price_fell(house: House) -> None:
    await buy_of_ten(house)
    set_book(house, "A", LATER)
    await house.sell(5, limit_price=D(130))  # nobody pays so much: nothing sells
    line = report_of(house, nav="118").orders[1]
    # arrival NAV 100 + 20 = 120: the five units not sold are worth 2 less each
    assert (line.filled, line.missed, line.loss) == (D(0), D(10), D(0))
    assert (line.average_price, line.fill_percentage, line.loss_vs_index_price) == (None, D(0), D(0))


async def test_the_orders_of_a_position_add_up(house: House) -> None:
    await buy_of_ten(house)
    await buy_with_a_limit(house)
    await sell_of_five(house)
    report = report_of(house, nav="121")
    assert (report.position, report.index, report.holder, report.quote) == (1, "TWO", "self", "USDT")
    assert (report.ordered, report.filled) == (D(115), D("26.99798"))
    assert report.fill_percentage == D("23.4765")
    assert report.units == D("16.99798")
    # First in, first out: half of the first ten are gone: 1,202.826 / 2 + 1,442.3976
    assert report.cost == D("2043.8106")
    assert report.paid == D("1202.826") + D("1442.3976")
    assert report.received == D("598.9005")
    assert report.average_price == D("120.24847736")  # 2,645.2236 / 21.99798, of the buys alone
    # 3.826 + 2.64 + 1.0995; parts of the three in turn
    assert report.loss == D("7.5655")
    assert parts(report) == (
        D("1.000998"),
        D("1.210788") + D("1.1988") + D("0.50"),
        D("0.401598"),
        D("1.213614") + D("1.4412") + D("0.5995"),
        D("-0.000998"),
    )
    assert report.loss_bps == D("23.3593")  # 7.5655 / (1,199 + 1,439.7576 + 600)
    assert report.fees == D("3.254314")
    assert report.missed == D("88.00202")
    assert report.loss_vs_index_price == D("-3.35899") + D("-3.9005")
    assert report.stopped_by == ("filled", "limit")
    a, b = report.constituents
    assert (a.ordered, a.filled) == (D("27.02"), D("27.02"))
    # Bought for 1,003.404 and 1,200.96; the 499.1004 received count against it.
    assert a.cost == D("1003.404") + D("1200.96") - D("499.1004")
    assert a.fees == D("1.003404") + D("1.20096") + D("0.4996")
    assert a.loss + b.loss == report.loss
    # Against what was traded, at arrival: 10.02 x 99.90 + 12 x 100 + 5 x 100 = 2,700.998
    assert a.loss == D("3.406") + D("2.16") + D("0.8996")
    assert a.loss_bps == D("23.9378")
    assert len(report.fills) == 3 + 2 + 2


async def test_one_order_of_a_position_can_be_reported_alone(house: House) -> None:
    await buy_of_ten(house)
    await sell_of_five(house)
    whole, alone = report_of(house), report_of(house, order=2)
    assert alone.orders == whole.orders[1:]
    assert {fill.order for fill in alone.fills} == {2}
    assert alone.loss == whole.orders[1].loss
    assert (alone.units, alone.cost) == (whole.units, whole.cost)  # the position's, all the same


async def test_an_open_buy_with_leftovers_ties_to_cash_with_what_it_holds(house: House) -> None:
    """The books of A run away while the legs are under way: B fills, A does not, and the order waits."""
    set_book(house, "A", LATER)

    def run_away(order: LimitOrder) -> None:
        if order.symbol == "AUSDT":
            set_book(house, "A", ([("104.00", "100")], [("106.00", "100")]))

    house.venue.before_place = run_away
    order = await house.buy(10, limit_price=D("120.5"), time_in_force="gtc")
    (line,) = report_of(house, nav="125").orders
    assert (str(order.status), line.filled) == ("open", D(0))
    # B: need 20, / .999, lots of 1: 21 at 10.01 = 210.21; fee .021, net 20.979, at arrival worth 209.79
    assert (line.cash, line.arrival_value, line.held_value) == (D("210.21"), D(0), D("209.79"))
    # spread 20.979 x .01, fee .021 x 10.01
    assert parts(line) == loss("0", "0.20979", "0", "0.21021", "0")
    assert line.loss == D("0.42") == line.cash - line.arrival_value - line.held_value
    assert (line.loss_bps, line.average_price) == (D(0), None)
    assert line.missed == D(50)  # ten units, each dearer by 5
    a, b = line.constituents
    assert a.symbol == "AUSDT"
    assert (a.ordered > 0, a.filled, a.fill_percentage, a.average_price) == (True, D(0), D(0), None)
    assert (b.filled, b.fill_percentage) == (D(21), D(100))


async def test_an_open_sell_with_leftovers_ties_to_cash_with_what_it_holds(house: House) -> None:
    """The bids for A vanish while the legs are under way: B is sold, A stays with the order."""
    await buy_of_ten(house)
    set_book(house, "A", LATER)
    set_book(house, "B", ([("9.99", "10"), ("5.00", "100")], [("10.01", "100")]))

    def vanish(order: LimitOrder) -> None:
        if order.symbol == "AUSDT":
            set_book(house, "A", ([("90.00", "100")], [("92.00", "100")]))

    house.venue.before_place = vanish
    order = await house.sell(9, limit_price=D(119), time_in_force="gtc")
    line = report_of(house, nav="111").orders[1]
    assert (str(order.status), line.filled) == ("open", D(5))
    # B: the only good bid is for 10: at 9.99 99.90, fee .0999. Five baskets left the index for it,
    # worth 600 at arrival, of which 5 A at 100 are still with the order.
    assert (line.cash, line.arrival_value, line.held_value) == (D("99.8001"), D(600), D(500))
    assert parts(line) == loss("0", "0.10", "0", "0.0999", "0")
    assert line.loss == D("0.1999") == line.arrival_value - line.cash - line.held_value
