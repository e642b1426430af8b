"""A rebalance is carried out in waves, and what is held afterwards is the basket."""

from decimal import Decimal
from pathlib import Path

import pytest
from tests.factories import House, make_definition, make_house, make_market
from tests.invariants import findings, standing_findings

from etf_trader.index.store import baskets_of, current_basket
from etf_trader.ledger.audit import audit
from etf_trader.money import round_to
from etf_trader.orders.status import IndexOrderStatus

D = Decimal
HAIR = D("0.00000001")


def ladders(mid: str, depth: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """A book with one deep level a side, a hair from its mid."""
    return [(str(D(mid) - HAIR), depth)], [(str(D(mid) + HAIR), depth)]


FINE = {"tick": "0.00000001", "step": "0.00000001", "min_quantity": "0.00000001", "min_notional": "0.001"}


@pytest.fixture
async def worked(tmp_path: Path) -> House:
    """The fund of the worked example: 10 units of one A, two B, five C; then it is to be A, B and D."""
    prices = {"A": "20", "B": "5", "C": "2", "D": "10"}
    market = make_market(
        {asset: ladders(price, "100000") for asset, price in prices.items()},
        rules=dict.fromkeys(prices, FINE),
    )
    house = make_house(tmp_path, market)
    house.database.watch = lambda connection: _require_standing(standing_findings(connection))
    await house.create(make_definition(basket={"A": D(1), "B": D(2), "C": D(5)}))
    await house.buy(10)
    weights = {"A": D("0.25"), "B": D("0.5"), "D": D("0.25")}
    await house.administration.edit_index("1", make_definition(basket={}, weights=weights))
    return house


def _require_standing(found: list[str]) -> None:
    assert found == []


async def test_the_worked_example_comes_out(worked: House) -> None:
    order = await worked.rebalance()
    assert order.status is IndexOrderStatus.FILLED
    with worked.database.read() as connection:
        basket = current_basket(connection, 1)
        assert audit(connection, worked.account).findings == ()
    told = {asset: round_to(quantity, D("0.0001")) for asset, quantity in basket.quantities.items()}
    assert told == {"A": D("0.4995"), "B": D("3.9960"), "D": D("0.9990")}
    assert round_to(basket.nav({"A": D(20), "B": D(5), "D": D(10)}), D("0.00001")) == D("39.96")
    assert findings(worked.database, worked.exchange) == []


async def test_every_wave_makes_a_basket_of_what_is_held(worked: House) -> None:
    await worked.rebalance()
    with worked.database.read() as connection:
        versions = baskets_of(connection, 1)
        basket = versions[-1]
    assert [each.version for each in versions] == [1, 2, 3]
    held = worked.holdings("index:1")
    assert held == {**{a: q * 10 for a, q in basket.quantities.items()}, "USDT": basket.cash_per_unit * 10}


async def test_the_same_day_is_rebalanced_once(worked: House) -> None:
    first = await worked.rebalance()
    assert (await worked.accept_rebalance()).id == first.id


async def test_what_leaves_an_index_that_nobody_holds_is_a_part_of_what_its_unit_is_worth(worked: House) -> None:
    await worked.sell(None)
    order = await worked.rebalance()
    assert (order.status, order.request.nav) == (IndexOrderStatus.FILLED, D(40))
    with worked.database.read() as connection:
        assert current_basket(connection, 1).quantities == {"A": D("0.5"), "B": D(4), "D": D(1)}
        assert audit(connection, worked.account).findings == ()
    assert findings(worked.database, worked.exchange) == []
