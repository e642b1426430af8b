"""The report of holdings against sums worked out by hand.

Index of one A, two B and whatever cash the weights leave; float of 1,000.
"""

from decimal import Decimal
from pathlib import Path

import pytest
from tests.factories import House, make_definition, make_house, make_ladders, make_market

from etf_trader.clock import SimulatedClock
from etf_trader.exchange.static import EPOCH
from etf_trader.index.store import Basket, list_indices, set_status
from etf_trader.reports.holdings import HoldingsReport, holdings_report

D = Decimal


@pytest.fixture
async def house(tmp_path: Path) -> House:
    market = make_market(
        {"A": make_ladders(D(100), D("0.10"), D(100)), "B": make_ladders(D(10), D("0.01"), D(1000))},
        rules={"A": {"tick": "0.10"}, "B": {"step": "1", "min_quantity": "1"}},
    )
    return make_house(tmp_path, market)


def report_of(house: House, a: str = "100", b: str = "10") -> HoldingsReport:
    with house.database.read() as connection:
        (index,) = list_indices(connection)
        return holdings_report(connection, index, {"A": D(a), "B": D(b)}, SimulatedClock(EPOCH).now())


async def test_an_index_without_units_has_a_price_and_no_value(house: House) -> None:
    await house.create(make_definition())
    report = report_of(house, a="110")
    assert (report.index, report.symbol, report.name, report.quote) == (1, "TWO", "Two", "USDT")
    assert (report.status, report.basket_version, report.priced_at) == ("open", 1, EPOCH)
    assert (report.units, report.nav, report.value) == (D(0), D(130), D(0))  # 110 + 2 x 10
    assert (report.float_cash, report.float_value) == (D(1000), D(1000))
    assert [line.quantity for line in report.holdings] == [D(0), D(0)]
    assert [line.weight for line in report.holdings] == [D("0.84615385"), D("0.15384615")]  # 110/130, 20/130
    assert report.positions == ()


async def test_holdings_are_units_of_the_basket_and_the_float_stands_beside_them(house: House) -> None:
    await house.create(make_definition())
    await house.buy(10)
    # A: 10 / .999, lots of .01: 10.02 at 100.10 = 1,003.002, net 10.00998; the float has .00998
    # B: 20 / .999, lots of 1: 21 at 10.01 = 210.21, net 20.979; the float has .979
    # Float cash 1,000 - .00998 x 100 - .979 x 10 = 989.212; bought for 1,213.212 - 10.788 = 1,202.424
    report = report_of(house, a="120", b="9")
    assert (report.units, report.nav, report.value) == (D(10), D(138), D(1380))  # 120 + 2 x 9
    a, b = report.holdings
    assert (a.asset, a.symbol, a.per_unit, a.quantity, a.price) == ("A", "AUSDT", D(1), D(10), D(120))
    assert (a.value, a.residual) == (D(1200), D("0.00998"))
    assert (b.quantity, b.value, b.residual) == (D(20), D(180), D("0.979"))
    assert report.float_cash == D("989.212")
    assert report.float_value == D("989.212") + D("1.1976") + D("8.811")  # .00998 x 120, .979 x 9
    (position,) = report.positions
    assert (position.position, position.holder, position.units) == (1, "self", D(10))
    assert (position.cost, position.value, position.gain) == (D("1202.424"), D(1380), D("177.576"))
    assert report.head == report_of(house).head


async def test_the_largest_holding_comes_first(house: House) -> None:
    await house.create(make_definition())
    assert [line.asset for line in report_of(house, a="100", b="60").holdings] == ["B", "A"]
    assert [line.asset for line in report_of(house, a="100", b="50").holdings] == ["A", "B"]


async def test_basket_cash_counts_in_nav_and_in_value(house: House) -> None:
    # A: .5 x 1000.00000000007 / 100, at 12 decimals 5; B: .5 x 1000.00000000007 / 10, there 50.000000000003.
    # 5 x 100 + 50.000000000003 x 10 = 1000.00000000003; the rest is cash.
    whole = make_definition(basket={}, weights={"A": D("0.5"), "B": D("0.5")}, start_value=D("1000.00000000007"))
    await house.create(whole)
    await house.buy(2)
    report = report_of(house)
    assert (report.nav, report.cash_per_unit) == (D("1000.00000000007"), D("0.00000000004"))
    assert (report.cash, report.value) == (D("0.00000000008"), D("2000.00000000014"))


def test_nav_is_the_basket_at_the_prices_and_its_cash() -> None:
    basket = Basket(1, 1, 1, EPOCH, D("2.5"), {"A": D("0.5")}, {"A": "AUSDT"}, "")
    assert basket.nav({"A": D(7)}) == D(6)  # .5 x 7 + 2.5


async def test_each_position_is_a_line_and_an_empty_one_is_left_out(house: House) -> None:
    await house.create(make_definition())
    await house.buy(10)
    await house.buy(5, position="new")
    await house.sell(None, position="1")
    report = report_of(house)
    assert [(line.position, line.units) for line in report.positions] == [(2, D(5))]
    assert report.units == D(5)


async def test_a_closed_index_says_so(house: House) -> None:
    await house.create(make_definition())
    with house.database.write() as connection:
        set_status(connection, 1, "closed")
    assert report_of(house).status == "closed"
