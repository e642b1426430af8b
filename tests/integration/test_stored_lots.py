"""Lots in the database, of either kind, go as those of a plain book do: more of them than are read at once."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.factories import House, make_definition, make_house, make_ladders, make_market
from tests.invariants import findings

from etf_trader.ledger.lots import LotBook
from etf_trader.ledger.pile import PART
from etf_trader.ledger.repository import Ledger
from etf_trader.ledger.tables import disposals, lots
from etf_trader.ledger.transaction import LotAction, LotMove, Transaction

D = Decimal
START = datetime(2026, 1, 1, tzinfo=UTC)
MINE = ("index:1", "A")
DISPOSED = ("acquired_at", "disposed_at", "quantity", "proceeds", "cost", "fee", "gain", "days_held")
KEPT = ("account", "asset", "acquired_at", "quantity", "cost", "open_quantity", "open_cost", "hifo_rank")


@pytest.fixture
def house(tmp_path: Path, url: str) -> Iterator[House]:
    """A house on each kind of database, with 20,000 USDT."""
    market = make_market({"A": make_ladders(D(100), D("0.01"), D(25), gap=9)})
    made = make_house(tmp_path, market, url=url, deposit=D(20_000))
    yield made
    made.database.close()


def moves_of(method: str) -> list[LotMove]:
    """More lots than two parts, at prices from below one to a billion; then some of what can happen to them."""
    prices = (D("0.07"), D(1_000_000_000), D(3), D("2.5"), D(-1), D(3))
    made = [
        LotMove(LotAction.ACQUIRE, *MINE, D(1 + number % 4), prices[number % 6] * (1 + number % 4), method=method)
        for number in range(3 * PART)
    ]

    def sold(quantity: str) -> LotMove:
        return LotMove(LotAction.DISPOSE, *MINE, D(quantity), D(77), D("0.7"), method=method)

    made += [
        sold("0.5"),
        sold("90.25"),
        LotMove(LotAction.ADJUST, *MINE, D(0), D(8_000_000_000)),
        sold("3"),
        LotMove(LotAction.MOVE, *MINE, D("40.5"), target="order:1", method=method),
        LotMove(LotAction.DISPOSE, *MINE, D(0), D("0.1")),
    ]
    left = sum(({"acquire": 1, "adjust": 0}.get(move.action, -1) * move.quantity for move in made), D(0))
    return [*made, sold(str(left)), LotMove(LotAction.DISPOSE, *MINE, D(0), D("0.2"))]


@pytest.mark.parametrize("method", ["fifo", "hifo", "average"])
def test_stored_lots_go_as_those_of_a_plain_book(house: House, method: str) -> None:
    plain = LotBook()
    with house.database.write() as connection:
        ledger = Ledger(connection, house.account.id)
        for number, move in enumerate(moves_of(method)):
            at = START + timedelta(days=number)
            plain.apply(move, at, number)
            ledger.post(Transaction(f"move:{number}", "test", at, "", (), (move,)))
        gone = connection.execute(select(*(disposals.c[name] for name in DISPOSED)).order_by(disposals.c.id)).all()
        mine = lots.c.account == MINE[0]
        kept = connection.execute(select(*(lots.c[name] for name in KEPT)).where(mine).order_by(lots.c.id)).all()
    assert [tuple(row) for row in gone] == [
        tuple(getattr(each, name) for name in DISPOSED) for each in plain.disposals
    ]
    assert [tuple(row) for row in kept] == [
        tuple(getattr(lot, name) for name in KEPT) for lot in plain.lots(*MINE)
    ]


@pytest.mark.parametrize(
    ("method", "cost"),
    [
        ("fifo", "4507.79967"),  # the 5 first bought, and 5 of 50 that cost 5,008.6663
        ("hifo", "4507.48414"),  # 10 of the 50: a unit of them cost 100.173326, of the 5 before 100.11022
        ("average", "4507.54150909090909091"),  # 10 of 55 that cost 5,509.2174, rounded down
    ],
)
async def test_what_a_position_holds_follows_the_method_of_its_index(house: House, method: str, cost: str) -> None:
    await house.create(make_definition(basket={"A": D(1)}, lot_method=method))
    bought = [await house.buy(quantity) for quantity in (5, 50)]
    await house.sell(10)
    assert [house.cash(order.id) for order in bought] == [D("500.5511"), D("5008.6663")]
    assert (house.position().units, house.position().cost) == (D(45), D(cost))
    assert findings(house.database, house.exchange) == []
