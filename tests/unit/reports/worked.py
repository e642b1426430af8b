"""A short history worked out by hand: a buy, a buy that its limit stops, and a sell.

Index of one A and two B a unit, no basket cash, a float of 1,000. Lots of .01 A and 1 B, fee 10 bps of
what is received. The first buy is accepted at mids 99.90 and 10 and sent at 100 and 10; all later orders
see mids of 100 and 10.
"""

from decimal import Decimal
from pathlib import Path

from tests.factories import House, make_definition, make_house, make_market, make_request

from etf_trader.exchange.static import StaticMarket
from etf_trader.market.symbol import Side
from etf_trader.orders.index_order import IndexOrder

D = Decimal

AT_ARRIVAL = ([("99.80", "100")], [("100.00", "100")])  # mid 99.90
AT_BATCH = ([("99.90", "100")], [("100.10", "6"), ("100.20", "100")])  # mid 100
LATER = ([("99.92", "100")], [("100.08", "12"), ("101.00", "100")])  # mid 100
REFILLED = ([("99.92", "100")], [("100.08", "24")])  # mid 100: twelve of these are taken already
STEADY = ([("9.99", "100")], [("10.01", "100")])  # mid 10


async def make_worked_house(folder: Path) -> House:
    """Return a house with the index and nothing traded."""
    market = make_market({"A": AT_ARRIVAL, "B": STEADY}, rules={"B": {"step": "1", "min_quantity": "1"}})
    made = make_house(folder, market)
    await made.create(make_definition())
    return made


def set_book(house: House, asset: str, book: tuple[list[tuple[str, str]], list[tuple[str, str]]]) -> None:
    """Replace the books of an asset."""
    assert isinstance(house.market, StaticMarket)
    house.market.set_book(f"{asset}USDT", *book)


async def buy_of_ten(house: House) -> IndexOrder:
    """Accept a buy of ten on the arrival books and run it on the batch's.

    NAV at arrival 99.90 + 2 x 10 = 119.90; ten units were worth 1,199.
    A: need 10, / .999 = 10.0100..., lots of .01: 10.02
       6 at 100.10 + 4.02 at 100.20 = 600.60 + 402.804 = 1,003.404; fee .006 + .00402 = .01002
       net 10.00998; the float takes .00998 at 100 = .998
    B: need 20, / .999 = 20.02..., lots of 1: 21 at 10.01 = 210.21; fee .021
       net 20.979; the float takes .979 at 10 = 9.79
    Cash 1,003.404 + 210.21 - .998 - 9.79 = 1,202.826.
    """
    order = await house.desk.accept(make_request(Side.BUY, quantity=D(10)))
    set_book(house, "A", AT_BATCH)
    await house.manager.run([order.id])
    return house.order(order.id)


async def buy_with_a_limit(house: House) -> IndexOrder:
    """Buy 100 units, none dearer than 120.5, of which the first level of A carries what 12 make.

    A unit at the first levels costs (100.08 + 2 x 10.01) / .999 = 120.2202..., at A's next 121.14...
    A: 12 at 100.08 = 1,200.96; fee .012, net 11.988; with the float's .00998: 11.99798 units
    B: need 23.99596, the float has .979: 23.01696 / .999 = 23.04, lots of 1: 24 at 10.01 = 240.24;
       fee .024, net 23.976; the float gives 23.99596 - 23.976 = .01996
    Cash 1,200.96 + 240.24 + .00998 x 100 + .01996 x 10 = 1,442.3976.
    """
    set_book(house, "A", LATER)
    return await house.buy(100, limit_price=D("120.5"))


async def sell_of_five(house: House) -> IndexOrder:
    """Sell five units, none for less than 119.

    A: 5, the float has none: 5 at 99.92 = 499.60, fee .4996
    B: 10, the float has .95904, lots of 1: 10 at 9.99 = 99.90, fee .0999
    Cash 499.60 + 99.90 - .5995 = 598.9005.
    """
    set_book(house, "A", REFILLED)
    return await house.sell(5, limit_price=D(119))
