"""A constituent without a market: nothing can be made, who sells is paid the rest and keeps the claim."""

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest
from tests.factories import House, make_definition, make_house, make_ladders, make_market, make_request
from tests.invariants import findings

from etf_trader.errors import NotListed, NotTrading
from etf_trader.exchange.static import StaticMarket
from etf_trader.execution.proof import prove
from etf_trader.execution.valuing import basket_prices, see, values
from etf_trader.index.marks import remove_mark, set_mark
from etf_trader.index.prices import LAST, MARK, MID
from etf_trader.index.prices import Price as Valued
from etf_trader.index.store import current_basket
from etf_trader.ledger.audit import audit
from etf_trader.market.symbol import Side
from etf_trader.orders.status import IndexOrderStatus
from etf_trader.orders.store import plans_of
from etf_trader.reports.holder_history import history
from etf_trader.reports.period import ALWAYS
from etf_trader.reports.pricing import Price
from etf_trader.reports.statement import Valuation, statement
from etf_trader.seal import canonical

D = Decimal


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Ten units of one A and two B each."""
    books = {asset: make_ladders(D(mid), D("0.01"), D(10_000)) for asset, mid in (("A", 100), ("B", 10))}
    made = make_house(tmp_path, make_market(books))
    asyncio.run(made.create(make_definition()))
    asyncio.run(made.buy(10))
    return made


def market(house: House) -> StaticMarket:
    assert isinstance(house.market, StaticMarket)
    return house.market


def sound(house: House) -> None:
    with house.database.read() as connection:
        assert audit(connection, house.account).findings == ()
    assert findings(house.database, house.exchange) == []


@pytest.mark.parametrize("ending", ["halted", "delisted"])
def test_a_sell_is_paid_the_rest_and_keeps_its_part_of_what_is_frozen(house: House, ending: str) -> None:
    rows = market(house).symbols()
    if ending == "halted":
        market(house).set_status("BUSDT", "BREAK")
    else:
        market(house).delist("BUSDT")
    tried = asyncio.run(house.desk.preview(make_request(Side.SELL, quantity=D(4))))
    order = asyncio.run(house.sell(4))
    assert (order.status, order.filled) == (IndexOrderStatus.STUCK, D(4))
    assert order.arrival_nav == tried.arrival_nav
    assert house.holdings(f"order:{order.id}") == {"B": D(8)}
    assert house.holdings("index:1") == {"A": D(6), "B": D(12)}
    paid = house.cash(order.id)
    assert D(390) < paid < D(400)  # four A, less spread and fee
    sound(house)
    asyncio.run(house.manager.run([]))  # nothing can be done yet
    assert house.order(order.id).status is IndexOrderStatus.STUCK
    if ending == "halted":
        market(house).set_status("BUSDT", "TRADING")
    else:
        market(house)._symbols = rows
    house.exchange.advance(120)
    asyncio.run(house.manager.run([]))
    order = house.order(order.id)
    assert order.status is IndexOrderStatus.FILLED
    assert house.holdings(f"order:{order.id}") == {}
    assert D(75) < house.cash(order.id) - paid < D(80)
    assert house.loss(order.id).total == 4 * order.arrival_nav - house.cash(order.id)
    sound(house)


def test_units_cannot_be_made_while_a_constituent_is_frozen(house: House) -> None:
    market(house).set_status("BUSDT", "BREAK")
    with pytest.raises(NotTrading, match=r"BUSDT does not trade now .* no units can be made without B"):
        asyncio.run(house.buy(1))
    market(house).delist("BUSDT")
    with pytest.raises(NotListed, match="B has no market BUSDT at the venue: no units can be made without B"):
        asyncio.run(house.buy(1))


def test_an_open_sell_meets_a_market_that_ends(house: House) -> None:
    order = asyncio.run(house.sell(4, limit_price=D(200), time_in_force="gtc"))
    assert order.status is IndexOrderStatus.OPEN
    market(house).delist("BUSDT")
    asyncio.run(house.manager.run([order.id]))
    assert house.order(order.id).filled == 0  # the rest of a unit does not bring what its limit wants
    asyncio.run(house.sell(6))
    sound(house)


def test_what_is_valued_at_mid_at_the_last_price_and_at_a_mark(house: House) -> None:
    def valued() -> dict[str, Valued | None]:
        rules = asyncio.run(house.venue.rules())
        with house.database.read() as connection:
            basket = current_basket(connection, 1)
        seen = asyncio.run(see(house.venue, basket.symbols.values(), rules))
        with house.database.read() as connection:
            return values(connection, basket, seen)

    def source() -> str | None:
        price = valued()["B"]
        return None if price is None else price.source

    assert source() == MID
    market(house).set_book("BUSDT", [], [("10.01", "5")])
    assert source() == LAST
    known = valued()["B"]
    assert known is not None
    assert known.value == D(10)  # by which it was bought
    market(house).delist("BUSDT")
    assert source() is None
    now = house.clock.now()
    with house.database.write() as connection:
        mark, is_new = set_mark(connection, 1, "B", D("0.5"), "me", "OTC", now, is_forced=False)
        again = set_mark(connection, 1, "B", D("0.5"), "me", "OTC", now, is_forced=False)
    assert (is_new, again) == (True, (mark, False))
    assert valued()["B"] == Valued(D("0.5"), MARK, now)
    sound(house)
    with house.database.write() as connection:
        assert remove_mark(connection, 1, "B", "me", now) is not None
        assert remove_mark(connection, 1, "B", "me", now) is None
    assert source() is None


def test_a_report_tells_that_a_halted_coin_counts_at_its_last_price(house: House) -> None:
    with house.database.read() as connection:
        basket = current_basket(connection, 1)
    market(house).set_status("BUSDT", "HALT")
    prices = asyncio.run(basket_prices(house.database, house.venue, basket))
    assert {asset: price.source for asset, price in prices.items()} == {"A": MID, "B": LAST}
    market(house).delist("BUSDT")
    with pytest.raises(NotListed, match="B has no market BUSDT"):
        asyncio.run(basket_prices(house.database, house.venue, basket))


def test_a_statement_shows_what_a_stuck_order_holds_for_its_holder(house: House) -> None:
    market(house).set_status("BUSDT", "BREAK")
    order = asyncio.run(house.sell(4))
    price = Price("B", D(10), LAST, house.clock.now(), D(0))
    with house.database.read() as connection:
        found = history(connection, 1, "self", ALWAYS)
        made = statement(connection, found, ALWAYS, Valuation({}, {}), Valuation({1: D(120)}, {1: {"B": price}}))
    (held,) = made.held
    assert (held.order, held.asset, held.quantity, held.value) == (order.id, "B", D(8), D(80))
    (line,) = made.positions
    assert (line.closing_units, line.closing) == (D(6), D(720))
    assert line.opening + line.subscriptions - line.redemptions + line.gain == line.closing


def test_the_plan_of_the_rest_is_the_one_that_was_tried_and_proves(house: House) -> None:
    market(house).delist("BUSDT")
    tried = asyncio.run(house.desk.preview(make_request(Side.SELL, quantity=D(4))))
    order = asyncio.run(house.sell(4))
    with house.database.read() as connection:
        (plan,) = plans_of(connection, order.id)
        assert plan.document == canonical(tried.document)
        assert prove(connection, plan.id).findings == ()
    assert [leg["asset"] for leg in tried.document["legs"]] == ["A"]
