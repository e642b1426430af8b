"""The same schema and the same books on SQLite and on PostgreSQL, and writers that meet there."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect
from tests.factories import House, make_definition, make_house, make_ladders, make_market, make_request
from tests.invariants import findings

from etf_trader import schema
from etf_trader.database import Database, metadata
from etf_trader.errors import EtfError, UsageError
from etf_trader.exchange import tables as exchange_tables
from etf_trader.exchange.paper import ExchangeSettings, OrderRequest, PaperExchange
from etf_trader.exchange.static import StaticMarket, symbol_row
from etf_trader.execution.lease import Leases
from etf_trader.execution.reconcile import compare, unbooked
from etf_trader.execution.state import done_of
from etf_trader.index.store import current_basket
from etf_trader.ledger.audit import audit
from etf_trader.market.symbol import Side
from etf_trader.money import money_context
from etf_trader.orders.schedule import Algo
from etf_trader.orders.store import list_index_orders
from etf_trader.orders.stored_schedule import ScheduleRequest
from etf_trader.reports.crosses import crosses_report

D = Decimal


@pytest.fixture
def house(tmp_path: Path, url: str) -> Iterator[House]:
    """A house on each kind of database, with 20,000 USDT."""
    market = make_market(
        {"A": make_ladders(D(100), D("0.01"), D(25), gap=9), "B": make_ladders(D(10), D("0.01"), D(400), gap=2)},
        rules={"B": {"step": "1", "min_quantity": "1"}},
    )
    made = make_house(tmp_path, market, url=url, deposit=D(20_000))
    yield made
    made.database.close()


def test_migrations_make_the_tables_that_the_code_knows(url: str) -> None:
    database = Database(url)
    with database.read() as connection:
        assert schema.revision(connection) == schema.HEADS["etf"]
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    database.close()


def test_migrations_make_the_exchanges_tables_on_postgresql(make_postgres_url: Callable[[], str]) -> None:
    database = Database(make_postgres_url())
    schema.upgrade(database, "exchange")
    with database.read() as connection:
        assert schema.revision(connection) == schema.HEADS["exchange"]
        assert exchange_tables.metadata.tables.keys() <= set(inspect(connection).get_table_names())
    database.close()


def test_the_exchange_tells_the_same_on_both_databases(
    make_postgres_url: Callable[[], str], tmp_path: Path
) -> None:
    """Orders of every kind, one that shrinks, one that the market reaches, and counts that come back late."""

    def play(database: Database) -> object:
        market = StaticMarket([symbol_row("AUSDT", "A", "USDT")], {"AUSDT": ((("99", "5"),), (("101", "5"),))})
        made = ExchangeSettings("stepped", "static", {}, None, 500)
        exchange = PaperExchange.create(database, made, market, era="e")  # names of cancellations come from it
        for asset in ("A", "USDT"):
            exchange.deposit("paper", asset, D(1000), asset)

        def place(
            name: str, side: str, price: str, quantity: str, time: str | None, mode: str | None = None
        ) -> None:
            kind = "LIMIT" if time else "LIMIT_MAKER"
            at = exchange.now()
            exchange.place(
                "paper",
                OrderRequest(
                    "AUSDT", side, kind, time, D(quantity), D(price), name, at, self_trade_prevention=mode
                ),
            )

        place("quote", "BUY", "100", "3", None)
        place("shrinks", "SELL", "100", "1", "GTC", "DECREMENT")
        place("whole", "BUY", "101", "5", "FOK")
        place("none", "BUY", "101", "1", "FOK")
        counted = [[each.count for each in exchange.order_counts("paper")]]
        market.set_book("AUSDT", [("99", "5")], [("100", "0.5")])
        exchange.advance(1)
        counted.append([each.count for each in exchange.order_counts("paper")])
        exchange.cancel("paper", "AUSDT", client_order_id="quote", new_cancel_id="gone")
        exchange.advance(1)
        counted.append([each.count for each in exchange.order_counts("paper")])
        told = exchange.reports("paper")
        database.close()
        assert counted == [[4, 4], [3, 3], [0, 0]]
        assert [each.sequence for each in told] == sorted({each.sequence for each in told})
        return [replace(each, sequence=0) for each in told]

    here, there = Database(f"sqlite:///{tmp_path / 'exchange.db'}"), Database(make_postgres_url())
    schema.upgrade(there, "exchange")
    told = play(here)
    assert told == play(there)
    assert told


async def test_create_buy_sell_and_reconcile_come_to_the_same_numbers(house: House) -> None:
    await house.create(make_definition())
    bought = await house.buy("50.12345678", limit_price=D("121"))
    sold = await house.sell("20.5", max_loss_bps=D(50))

    assert (bought.filled, sold.filled) == (D("50.12345678"), D("20.5"))
    assert (await house.manager.reconcile()).booked == ()
    assert await compare(house.database, house.venue, house.account) == []
    assert await unbooked(house.database, house.venue, house.account) == []
    # A 50.18: 25 at 100.01, 25 at 100.10, .18 at 100.19 = 5,020.7842; B 101 at 10.01 = 1,011.01;
    # the float pays .00636322 x 100 + .65208644 x 10 = 7.1571864.
    assert house.cash(bought.id) == D("6024.6370136")
    # A 20.5 at 99.99, B 41 at 9.99: 2,459.385 less 10 bps; the float neither gives nor takes.
    assert house.cash(sold.id) == D("2456.925615")
    assert findings(house.database, house.exchange) == []


async def test_orders_that_share_a_batch_and_meet_inside_come_to_the_same_numbers(house: House) -> None:
    await house.create(make_definition())
    await house.create(make_definition(symbol="ONE", basket={"B": D(5)}))
    await house.buy(20)
    requests = [
        make_request(Side.BUY, quantity=D(30), time_in_force="gtc"),
        make_request(Side.SELL, quantity=D(10), time_in_force="gtc"),
        make_request(Side.BUY, index_id=2, quantity=D(6), time_in_force="gtc"),
    ]
    orders = [await house.desk.accept(request) for request in requests]
    await house.manager.run([order.id for order in orders])

    assert [house.order(order.id).filled for order in orders] == [30, 10, 6]
    # 10 A and 20 B change hands at 100 and 10: the sell sends nothing and loses nothing.
    assert (house.cash(orders[1].id), house.loss(orders[1].id).total) == (D(1200), D(0))
    with house.database.read() as connection:
        crosses = crosses_report(connection, house.account.id)
        assert audit(connection, house.account).findings == ()
    assert crosses.value == D(1200)
    assert {(line.asset, line.seller) for line in crosses.crosses} == {("A", orders[1].id), ("B", orders[1].id)}
    assert findings(house.database, house.exchange) == []


async def test_a_digit_beyond_the_grid_of_floats_survives(house: House) -> None:
    house.deposit(D("0.00000001"), "dust")
    house.deposit(D("123456789012.00000001"), "riches")
    assert house.holdings("treasury:self") == {"USDT": D("123456809012.00000002")}


def together(works: list[Callable[[], object]]) -> list[object]:
    """Run `works` in threads that begin at once; return results and errors."""
    barrier = threading.Barrier(len(works))
    results: list[object] = [None] * len(works)

    def run(place: int, work: Callable[[], object]) -> None:
        with money_context():
            barrier.wait()
            try:
                results[place] = work()
            except EtfError as error:
                results[place] = error

    threads = [threading.Thread(target=run, args=(place, work)) for place, work in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


async def test_an_order_over_time_keeps_its_pace(house: House) -> None:
    await house.create(make_definition())
    schedule = ScheduleRequest(Algo.TWAP, 300)
    order = await house.desk.accept(make_request(Side.BUY, quantity=D(50), schedule=schedule))
    await house.manager.run([order.id], stay=True)
    order = house.order(order.id)
    assert (order.status, order.filled) == ("filled", D(50))
    with house.database.read() as connection:
        assert [each.units for each in done_of(connection, order.id)] == [D(10)] * 5
    assert findings(house.database, house.exchange) == []


@pytest.mark.parametrize("attempt", range(3))
async def test_cash_is_never_promised_twice(house: House, attempt: int) -> None:
    await house.create(make_definition())
    # 19,000 in the treasury; each buy wants to set about 12,300 aside.
    previews = [await house.desk.preview(make_request(Side.BUY, quantity=D(100))) for _ in range(4)]

    def accept(place: int) -> object:
        with house.database.write() as connection:
            return house.desk._write(connection, previews[place])

    results = together([lambda place=place: accept(place) for place in range(4)])  # type: ignore[misc]

    refused = [each for each in results if isinstance(each, UsageError)]
    assert len(refused) == 3, results
    assert house.holdings("treasury:self")["USDT"] >= 0
    assert findings(house.database, house.exchange) == []


@pytest.mark.parametrize("attempt", range(3))
async def test_one_client_key_accepted_at_once_is_one_order(house: House, attempt: int) -> None:
    await house.create(make_definition())
    request = make_request(Side.BUY, quantity=D(3), client_key="same")

    results = together([lambda: asyncio.run(house.desk.accept(request)).id] * 4)

    assert results == [1, 1, 1, 1]
    with house.database.read() as connection:
        assert len(list_index_orders(connection)) == 1
    assert findings(house.database, house.exchange) == []


def test_only_one_of_many_takes_the_lease(house: House) -> None:
    taken = together([lambda: Leases(house.database, house.clock).take(1)] * 4)
    assert [type(each).__name__ for each in taken if each is not None] == ["Lease"], taken


def test_transactions_posted_at_once_make_one_chain(house: House) -> None:
    together([lambda name=name: house.deposit(D(1), name) for name in "abcdef"])  # type: ignore[misc]
    assert house.holdings("treasury:self") == {"USDT": D(20_006)}
    assert findings(house.database, house.exchange) == []


async def test_a_rebalance_beside_an_open_order_on_both(house: House) -> None:
    await house.create(make_definition())
    await house.buy(12)
    order = await house.buy(3, limit_price=D(119), time_in_force="gtc")
    await house.administration.edit_index("1", make_definition(basket={}, weights={"A": D("0.4"), "B": D("0.6")}))
    moved = await house.rebalance()
    assert (moved.status, house.order(order.id).status) == ("filled", "open")
    assert findings(house.database, house.exchange) == []
    with house.database.read() as connection:
        assert audit(connection, house.account).findings == ()
        assert current_basket(connection, 1).version > 1
