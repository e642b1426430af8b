"""One buy and one partial sell with every number worked out by hand.

Basket per unit: A .1234567, B 3.7, no cash. Lots .01 and 1. Fee 10 bps of what is received.
Arrival mids 100 and 10: NAV0 = .1234567 x 100 + 3.7 x 10 = 12.34567 + 37 = 49.34567.
The books move between acceptance and batch: batch mids 100.10 and 10.004. Float 1,000 USDT.
"""

from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.factories import House, make_definition, make_house, make_market, make_request
from tests.invariants import findings

from etf_trader.exchange.static import StaticMarket
from etf_trader.ledger.tables import disposals, lots
from etf_trader.market.symbol import Side
from etf_trader.orders.plan import LossParts
from etf_trader.orders.status import IndexOrderStatus
from etf_trader.orders.store import asset_orders_of, plans_of

D = Decimal

ARRIVAL = {
    "A": ([("99.99", "50")], [("100.01", "50")]),  # mid 100
    "B": ([("9.999", "500")], [("10.001", "500")]),  # mid 10
}
BATCH = {
    "A": ([("100.09", "0.30"), ("100.08", "50")], [("100.11", "1.00"), ("100.12", "50")]),  # mid 100.10
    "B": ([("10.003", "9"), ("10.002", "500")], [("10.005", "20"), ("10.006", "500")]),  # mid 10.004
}


def make_worked_house(folder: Path) -> House:
    market = make_market(ARRIVAL, rules={"A": {}, "B": {"tick": "0.001", "step": "1", "min_quantity": "1"}})
    return make_house(folder, market)


async def trade(house: House, side: Side, quantity: str) -> int:
    """Accept on the arrival books, then send on the batch's."""
    assert isinstance(house.market, StaticMarket)
    for asset, ladders in ARRIVAL.items():
        house.market.set_book(f"{asset}USDT", *ladders)
    order = await house.desk.accept(make_request(side, quantity=D(quantity)))
    for asset, (bids, asks) in BATCH.items():
        # What was taken at a price stays taken: a second batch finds the same best ask if there is more of it.
        again = [(price, str(2 * D(quantity))) for price, quantity in asks]
        house.market.set_book(f"{asset}USDT", bids, asks if side is Side.BUY else again)
    await house.manager.run([order.id])
    return order.id


def open_lots(house: House, account: str) -> dict[str, tuple[Decimal, Decimal]]:
    with house.database.read() as connection:
        rows = connection.execute(select(lots).where(lots.c.account == account, lots.c.is_open == 1))
        return {row.asset: (row.open_quantity, row.open_cost) for row in rows}


def gains(house: House, account: str, asset: str) -> list[Decimal]:
    with house.database.read() as connection:
        query = (
            select(disposals.c.gain)
            .join(lots, lots.c.id == disposals.c.lot_id)
            .where(lots.c.account == account, lots.c.asset == asset)
            .order_by(disposals.c.id)
        )
        return list(connection.scalars(query))


@pytest.fixture
async def house(tmp_path: Path) -> House:
    made = make_worked_house(tmp_path)
    await made.create(make_definition(basket={"A": D("0.1234567"), "B": D("3.7")}))
    return made


async def test_buy_of_ten_units_comes_to_the_numbers_worked_out_by_hand(house: House) -> None:
    number = await trade(house, Side.BUY, "10")

    # A: need 1.234567, / .999 = 1.23580..., lots of .01: 1.24; fee .00124; net 1.23876; surplus .004193
    #    1.00 at 100.11 + .24 at 100.12 = 100.11 + 24.0288 = 124.1388
    # B: need 37, / .999 = 37.037..., lots of 1: 38; fee .038; net 37.962; surplus .962
    #    20 at 10.005 + 18 at 10.006 = 200.1 + 180.108 = 380.208
    order = house.order(number)
    assert (order.status, order.filled, order.arrival_nav) == (IndexOrderStatus.FILLED, D(10), D("49.34567"))
    with house.database.read() as connection:
        sent = {each.intent.asset: each for each in asset_orders_of(connection, number)}
        (plan,) = plans_of(connection, number)
    assert (sent["A"].intent.quantity, sent["A"].executed_value) == (D("1.24"), D("124.1388"))
    assert (sent["B"].intent.quantity, sent["B"].executed_value) == (D("38"), D("380.208"))
    # The last level and a tick of slack.
    assert (sent["A"].intent.price, sent["B"].intent.price) == (D("100.13"), D("10.007"))
    assert plan.cost == D("504.3468")
    assert house.holdings("venue_fees") == {"A": D("0.00124"), "B": D("0.038")}

    # delay     1.23876 x .10 + 37.962 x .004            = .123876 + .151848     = .275724
    # spread    1.23876 x .01 + 37.962 x .001            = .0123876 + .037962    = .0503496
    # depth      .23976 x .01 + 17.982 x .001            = .0023976 + .017982    = .0203796
    # fee        .001 x 100.11 + .00024 x 100.12 = .1241388;  .02 x 10.005 + .018 x 10.006 = .380208
    #                                                                           sum .5043468
    # rounding  -.004193 x .10 - .962 x .004             = -.0004193 - .003848   = -.0042673
    # loss      .275724 + .0503496 + .0203796 + .5043468 - .0042673              = .8465327
    assert house.loss(number) == LossParts(
        delay=D("0.275724"),
        spread=D("0.0503496"),
        depth=D("0.0203796"),
        fee=D("0.5043468"),
        rounding=D("-0.0042673"),
    )
    # Float pays .004193 x 100.10 + .962 x 10.004 = .4197193 + 9.623848 = 10.0435673.
    # Cash paid 504.3468 - 10.0435673 = 494.3032327 = 10 x 49.34567 + .8465327.
    assert house.cash(number) == D("494.3032327")
    assert house.loss(number).total == D("0.8465327")
    assert house.holdings("treasury:self") == {"USDT": D("998505.6967673")}  # 1,000,000 - 1,000 - 494.3032327
    assert house.holdings("float:1") == {"A": D("0.004193"), "B": D("0.962"), "USDT": D("989.9564327")}
    assert house.holdings("index:1") == {"A": D("1.234567"), "B": D("37")}
    assert house.holdings(f"order:{number}") == {}

    # The float takes of the order's first lot: A .999 at 100.11, B 19.98 at 200.1.
    # A: cost 100.11 x .004193 / .999 = .420181411...; for .4197193: gain -.000462111...
    # B: cost 200.1 x .962 / 19.98 = 9.634444...;      for 9.623848: gain -.010596444...
    assert gains(house, f"order:{number}", "A") == [D("-0.000462111411411411")]
    assert gains(house, f"order:{number}", "B") == [D("-0.010596444444444444")]
    # What is left of 124.1388 and of 380.208 goes to the index.
    assert open_lots(house, "index:1") == {
        "A": (D("1.234567"), D("123.718618588588588589")),
        "B": (D("37"), D("370.573555555555555556")),
    }
    assert open_lots(house, "float:1") == {"A": (D("0.004193"), D("0.4197193")), "B": (D("0.962"), D("9.623848"))}
    assert open_lots(house, "position:1") == {"unit:1": (D(10), D("494.3032327"))}
    assert (house.position().units, house.position().cost) == (D(10), D("494.3032327"))
    assert findings(house.database, house.exchange) == []


async def test_sell_of_three_point_three_units_comes_to_the_numbers_worked_out_by_hand(house: House) -> None:
    await trade(house, Side.BUY, "10")
    number = await trade(house, Side.SELL, "3.3")

    # A: .1234567 x 3.3 = .40740711, float has .004193: .41160011, lots of .01: .41; the float gives .00259289
    #    .30 at 100.09 + .11 at 100.08 = 30.027 + 11.0088 = 41.0358, fee .030027 + .0110088 = .0410358
    # B: 3.7 x 3.3 = 12.21, float has .962: 13.172, lots of 1: 13; the float gives .79
    #    9 at 10.003 + 4 at 10.002 = 90.027 + 40.008 = 130.035, fee .090027 + .040008 = .130035
    order = house.order(number)
    assert (order.status, order.filled, order.arrival_nav) == (IndexOrderStatus.FILLED, D("3.3"), D("49.34567"))
    with house.database.read() as connection:
        sent = {each.intent.asset: each for each in asset_orders_of(connection, number)}
    assert (sent["A"].intent.quantity, sent["A"].executed_value) == (D("0.41"), D("41.0358"))
    assert (sent["B"].intent.quantity, sent["B"].executed_value) == (D("13"), D("130.035"))
    assert (sent["A"].intent.price, sent["B"].intent.price) == (D("100.07"), D("10.001"))
    assert house.holdings("venue_fees") == {"A": D("0.00124"), "B": D("0.038"), "USDT": D("0.1710708")}

    # delay     -.41 x .10 - 13 x .004       = -.041 - .052             = -.093
    # spread     .41 x .01 + 13 x .001       = .0041 + .013             = .0171
    # depth      .11 x .01 +  4 x .001       = .0011 + .004             = .0051
    # fee        .0410358 + .130035                                     = .1710708
    # rounding   .00259289 x .10 + .79 x .004 = .000259289 + .00316     = .003419289
    # loss      -.093 + .0171 + .0051 + .1710708 + .003419289           = .103690089
    assert house.loss(number) == LossParts(
        delay=D("-0.093"),
        spread=D("0.0171"),
        depth=D("0.0051"),
        fee=D("0.1710708"),
        rounding=D("0.003419289"),
    )
    # From the venue 41.0358 + 130.035 - .1710708 = 170.8997292.
    # To the float .00259289 x 100.10 + .79 x 10.004 = .259548289 + 7.90316 = 8.162708289.
    # Cash received 162.737020911 = 3.3 x 49.34567 (162.840711) - .103690089.
    assert house.cash(number) == D("162.737020911")
    assert house.loss(number).total == D("0.103690089")
    # 998,505.6967673 + 162.737020911; float 989.9564327 + 8.162708289
    assert house.holdings("treasury:self") == {"USDT": D("998668.433788211")}
    assert house.holdings("float:1") == {"A": D("0.00160011"), "B": D("0.172"), "USDT": D("998.119140989")}
    assert house.holdings("index:1") == {"A": D("0.82715989"), "B": D("24.79")}  # 6.7 units
    assert house.holdings(f"order:{number}") == {}

    # 3.3 of 10 units leave with .33 of what they cost, rounded down at 18 decimals:
    # A 123.718618588588588589 x .33 = 40.827144134234234234
    # B 370.573555555555555556 x .33 = 122.289273333333333333
    assert open_lots(house, "index:1") == {
        "A": (D("0.82715989"), D("82.891474454354354355")),
        "B": (D("24.79"), D("248.284282222222222223")),
    }
    # Proceeds less cost, of index and float together:
    # A 40.9947642 - 40.827144134... - .259548289 = -.091928223...; B 129.904965 - 122.289273333... - 7.90316
    assert sum(gains(house, f"order:{number}", "A")) == D("-0.091928223234234234")
    assert sum(gains(house, f"order:{number}", "B")) == D("-0.287468333333333333")
    assert gains(house, "float:1", "A") == [D(0)]  # taken and given at the same mid
    # Units: 494.3032327 x .33 = 163.120066791; 162.737020911 - 163.120066791 = -.38304588
    assert gains(house, "position:1", "unit:1") == [D("-0.38304588")]
    assert open_lots(house, "position:1") == {"unit:1": (D("6.7"), D("331.183165909"))}
    assert (house.position().units, house.position().cost) == (D("6.7"), D("331.183165909"))
    assert findings(house.database, house.exchange) == []
