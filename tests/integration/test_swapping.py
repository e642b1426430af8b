"""A token swap: baskets, holdings, lots and their cost follow the coin; whatever happens, the books are right."""

import asyncio
import tempfile
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, update
from tests.effort import examples
from tests.factories import UID, House, make_definition, make_house, make_ladders, make_market
from tests.integration.test_fees_in_kind import make_fee_definition, mids_of, sound, take_fee

from etf_trader.database import Database
from etf_trader.errors import UsageError
from etf_trader.exchange.static import StaticMarket
from etf_trader.exchange.tables import balance
from etf_trader.execution.fees_in_kind import pay
from etf_trader.execution.reconcile import compare
from etf_trader.execution.swapping import Swap, carry_out, plan_swaps, require_ratio
from etf_trader.index.history import add_version
from etf_trader.index.marks import marks_of, set_mark
from etf_trader.index.store import current_basket, index_by_id
from etf_trader.ledger.audit import audit
from etf_trader.ledger.tables import lots
from etf_trader.money import ZERO, floor_to, money_context
from etf_trader.orders.status import IndexOrderStatus
from etf_trader.reports.rebalance import rebalance_report
from etf_trader.venue.interface import LimitOrder

D = Decimal
QUANTUM, TWO = D("1e-8"), D(2)


def make_swap_house(folder: Path, url: str | None = None) -> House:
    books = {asset: make_ladders(D(mid), D("0.01"), D(10_000)) for asset, mid in (("A", 100), ("B", 10), ("C", 5))}
    return make_house(folder, make_market(books), url=url)


def at_the_venue(house: House, old: str, new: str, ratio: Decimal) -> None:
    """Let the exchange swap a coin, as it does: it books nothing that we are told of."""
    assert house.database.path is not None
    theirs = Database(f"sqlite:///{house.database.path.parent / 'exchange.db'}")
    with theirs.write() as connection:
        of = balance.c.account == UID
        rows = {row.asset: row for row in connection.execute(select(balance).where(of))}
        got = floor_to(rows[old].free * ratio, QUANTUM)
        connection.execute(update(balance).where(of, balance.c.asset == old).values(free=ZERO))
        if new in rows:
            both = rows[new].free + got
            connection.execute(update(balance).where(of, balance.c.asset == new).values(free=both))
        else:
            connection.execute(insert(balance), dict(rows[old]._mapping) | {"asset": new, "free": got})
    theirs.close()


def do_swap(house: House, old: str = "B", new: str = "C", ratio: Decimal = TWO) -> None:
    wanted = Swap(old, new, ratio, "tester@here")
    with house.database.write() as connection:
        index = index_by_id(connection, 1)
        planned = plan_swaps(connection, house.account, [index], wanted, {"USDT": f"{new}USDT"}, treasuries=True)
        carry_out(connection, house.account, planned, wanted, house.clock.now())


def open_lots(house: House, asset: str) -> list[tuple[str, object, Decimal]]:
    with house.database.read() as connection:
        rows = connection.execute(
            select(lots).where(lots.c.asset == asset, lots.c.is_open == 1).order_by(lots.c.id)
        )
        return sorted((row.account, row.acquired_at, row.open_cost) for row in rows)


def agrees(house: House) -> None:
    assert asyncio.run(compare(house.database, house.venue, house.account)) == []


def test_everything_follows_the_coin_with_its_age_and_cost(tmp_path: Path) -> None:
    house = make_swap_house(tmp_path)
    asyncio.run(house.create(make_fee_definition()))
    asyncio.run(house.buy("10.5"))
    house.exchange.advance(86_400 * 30)
    asyncio.run(house.buy("3.25"))
    before, held = open_lots(house, "B"), house.holdings("index:1")["B"]
    do_swap(house)
    at_the_venue(house, "B", "C", D(2))
    agrees(house)
    sound(house)
    assert open_lots(house, "C") == before
    assert open_lots(house, "B") == []
    assert house.holdings("index:1")["C"] == 2 * held
    with house.database.read() as connection:
        basket = current_basket(connection, 1)
    assert (basket.symbols["C"], basket.reason) == ("CUSDT", "B became C")
    assert "B" not in basket.quantities
    do_swap(house)  # once more changes nothing
    sound(house)
    assert asyncio.run(house.sell(None)).status is IndexOrderStatus.FILLED
    sound(house)
    agrees(house)


def test_fee_mark_and_swap_are_the_same_on_both_databases(tmp_path: Path, url: str) -> None:
    house = make_swap_house(tmp_path, url)
    asyncio.run(house.create(make_fee_definition()))
    asyncio.run(house.buy(10))
    house.exchange.advance(86_400 * 30)
    take_fee(house)
    with house.database.write() as connection:
        index, now = index_by_id(connection, 1), house.clock.now()
        pay(connection, house.account, index, "self", {"A": D(100)}, now)
        set_mark(connection, 1, "B", D("0.1234567890123"), "me", "a test", now, is_forced=True)
    with house.database.read() as connection:
        assert marks_of(connection, 1)["B"].price == D("0.1234567890123")
    do_swap(house, ratio=D("0.123"))
    with house.database.read() as connection:
        assert marks_of(connection, 1) == {}  # it ends with its coin
        assert audit(connection, house.account).findings == ()
    house.database.close()


def test_a_stuck_order_sells_the_successor_of_what_it_keeps(tmp_path: Path) -> None:
    house = make_swap_house(tmp_path)
    asyncio.run(house.create(make_fee_definition(bps=0)))
    asyncio.run(house.buy(10))
    assert isinstance(house.market, StaticMarket)
    house.market.delist("BUSDT")
    order = asyncio.run(house.sell(4))
    assert order.status is IndexOrderStatus.STUCK
    do_swap(house)
    at_the_venue(house, "B", "C", D(2))
    agrees(house)
    sound(house)
    assert house.holdings(f"order:{order.id}") == {"C": D(48)}
    house.exchange.advance(120)
    asyncio.run(house.manager.run([]))
    order = house.order(order.id)
    assert (order.status, house.holdings(f"order:{order.id}")) == (IndexOrderStatus.FILLED, {})
    assert order.arrival["C"] == order.arrival["B"] / 2
    assert house.loss(order.id).total == 4 * order.arrival_nav - house.cash(order.id)
    asyncio.run(house.buy(1))  # units can be made again
    sound(house)


def test_what_cannot_be_swapped_is_refused(tmp_path: Path) -> None:
    house = make_swap_house(tmp_path)
    asyncio.run(house.create(make_fee_definition()))
    with pytest.raises(UsageError, match="TWO holds no C"), house.database.write() as connection:
        plan_swaps(
            connection,
            house.account,
            [index_by_id(connection, 1)],
            Swap("C", "A", D(1), "me"),
            {"USDT": "AUSDT"},
            treasuries=False,
        )
    asyncio.run(house.buy(1, limit_price=D(1), time_in_force="gtc"))
    with pytest.raises(UsageError, match="order 1 of TWO is open: B cannot be swapped meanwhile"):
        do_swap(house)
    for ratio in (D(0), D(-1), D("1e-13")):
        with pytest.raises(UsageError):
            require_ratio(ratio)


def test_fee_mark_and_rulebook_in_the_middle_of_a_wave_change_nothing_of_it_and_a_swap_waits(
    tmp_path: Path,
) -> None:
    house = make_swap_house(tmp_path)
    asyncio.run(house.create(make_fee_definition()))
    asyncio.run(house.buy(10))
    house.exchange.advance(86_400 * 30)
    weights = {"A": D("0.3"), "C": D("0.7")}
    asyncio.run(house.administration.edit_index("1", make_definition(basket={}, weights=weights)))
    order = asyncio.run(house.accept_rebalance())

    def meanwhile(sent: LimitOrder) -> None:
        house.exchange.advance(86_400)
        assert not take_fee(house)  # it waits for the wave
        with house.database.write() as connection:
            index, now = index_by_id(connection, 1), house.clock.now()
            pay(connection, house.account, index, "self", {"A": D(100)}, now)
            set_mark(connection, 1, "A", D(1), "me", "a test", now, is_forced=True)
            add_version(connection, 1, 3, make_definition(basket={}, weights={"B": D(1)}).document(), now)
        with pytest.raises(
            UsageError, match=f"rebalance {order.id} of TWO is open: B cannot be swapped meanwhile"
        ):
            do_swap(house)
        house.venue.before_place = None

    house.venue.before_place = meanwhile
    asyncio.run(house.manager.run([order.id]))
    sound(house)
    with house.database.read() as connection:
        told = rebalance_report(connection, order.id)
    assert (told.status, told.rulebook, told.added, told.removed) == ("filled", 2, ("C",), ("B",))
    assert told.nav_after == told.nav_before - told.cost + told.market + told.flows
    assert asyncio.run(house.sell(None)).status is IndexOrderStatus.FILLED
    sound(house)


@settings(max_examples=examples(8), deadline=None)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("buy"), st.decimals("0.1", "20", places=8)),
            st.tuples(st.just("sell"), st.decimals("0.01", "1", places=4)),
            st.tuples(st.just("wait"), st.integers(1, 10_000_000)),
            st.tuples(st.just("fee"), st.none()),
            st.tuples(st.just("pay"), st.none()),
            st.tuples(st.just("swap"), st.sampled_from([D(1), D("0.37"), D(24), D("3.1415926535")])),
        ),
        min_size=2,
        max_size=6,
    )
)
def test_whatever_happens_the_books_are_right(steps: list[tuple[str, object]]) -> None:
    with tempfile.TemporaryDirectory() as folder, money_context():
        house = make_swap_house(Path(folder))
        asyncio.run(house.create(make_fee_definition(bps=777)))
        asyncio.run(house.buy("12.34567891"))
        coins = ["B", "C"]
        for kind, value in steps:
            _play(house, kind, value, coins)
            sound(house)
            agrees(house)
        house.database.close()


def _play(house: House, kind: str, value: object, coins: list[str]) -> None:
    units = house.position().units
    if kind == "buy":
        asyncio.run(house.buy(str(value)))
    elif kind == "sell" and units:
        assert isinstance(value, Decimal)
        if quantity := floor_to(units * value, QUANTUM):
            asyncio.run(house.sell(quantity))
    elif kind == "wait":
        house.exchange.advance(float(str(value)))
    elif kind == "fee":
        basket = _basket(house)
        owned = house.holdings("fee_payable:1")
        take_fee(house)
        for asset, quantity in _basket(house).items():  # every unit gave the same, to the last digit
            given_up = house.holdings("fee_payable:1").get(asset, ZERO) - owned.get(asset, ZERO)
            assert given_up == (basket[asset] - quantity) * units
    elif kind == "pay":
        prices = mids_of(house) | {"C": D(5)}
        with house.database.write() as connection:
            pay(connection, house.account, index_by_id(connection, 1), "self", prices, house.clock.now())
    elif kind == "swap":
        assert isinstance(value, Decimal)
        cost = sum((each[2] for each in open_lots(house, coins[0])), ZERO)
        do_swap(house, coins[0], coins[1], value)
        at_the_venue(house, coins[0], coins[1], value)
        coins.reverse()
        assert sum((each[2] for each in open_lots(house, coins[0])), ZERO) == cost


def _basket(house: House) -> dict[str, Decimal]:
    with house.database.read() as connection:
        return dict(current_basket(connection, 1).quantities)
