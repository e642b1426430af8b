"""A disk that is full at any moment, and a database that cannot be written: one sentence, and nothing lost."""

import asyncio
import shutil
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from tests.effort import IS_GATE
from tests.factories import House, make_house, make_request
from tests.integration.harness import judge, prepare, submit
from tests.integration.scenarios import SCENARIOS, make_frozen_market
from tests.invariants import findings

from etf_trader.errors import DatabaseFailure
from etf_trader.execution.tables import leases
from etf_trader.market.symbol import Side
from etf_trader.orders.status import IndexOrderStatus
from etf_trader.venue.interface import LimitOrder

D = Decimal


@pytest.fixture
def house(tmp_path: Path) -> House:
    prepare(tmp_path, SCENARIOS["buy"])
    return make_house(tmp_path, make_frozen_market())


def fill_the_disk(house: House, pages_left: int) -> None:
    """Let the database of ours grow by no more than `pages_left` pages."""
    house.database.close()
    with sqlite3.connect(str(house.database.path), isolation_level=None) as connection:
        connection.execute("PRAGMA page_size = 512")  # small pages, so that every few rows need one
        connection.execute("VACUUM")
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.close()

    @event.listens_for(house.database.engine, "connect")
    def limit(connection: sqlite3.Connection, _: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages + pages_left}")


async def finish(folder: Path, house: House, request: Any) -> None:
    """Come back with room on the disk, as the next process does."""
    house.database.close()
    again = make_house(folder, house.market)
    with again.database.write() as connection:
        connection.execute(leases.update().values(host=None))  # the process of the failure has ended
    order = await again.submit(request)
    assert (order.status, order.filled) == (IndexOrderStatus.FILLED, D(30))
    assert findings(again.database, again.exchange) == []


async def test_a_full_disk_is_one_sentence_and_nothing_was_sent_that_is_not_written(
    tmp_path: Path, house: House
) -> None:
    request = make_request(Side.BUY, quantity=D(30), client_key="disk")
    sent_at_failure = []
    for pages_left in range(0, 48, 9 if IS_GATE else 3):
        folder = Path(shutil.copytree(tmp_path, tmp_path.parent / f"left-{pages_left}"))
        house = make_house(folder, make_frozen_market())
        before = len(house.exchange.orders("paper"))
        fill_the_disk(house, pages_left)
        try:
            await house.submit(request)
        except DatabaseFailure as failure:
            assert failure.message == "the disk is full"
            assert failure.where is not None and "etf.db" in failure.where
            sent_at_failure.append(len(house.exchange.orders("paper")) - before)
        assert not [each for each in findings(house.database, house.exchange) if "never written" in each]
        await finish(folder, house, request)
    assert min(sent_at_failure) == 0 < max(sent_at_failure)


async def test_a_database_that_may_only_be_read_sends_nothing(tmp_path: Path, house: House) -> None:
    request = make_request(Side.BUY, quantity=D(30), client_key="disk")
    before = len(house.exchange.orders("paper"))
    house.database.close()

    @event.listens_for(house.database.engine, "do_connect")
    def protected(*_: object) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{house.database.path}?mode=ro", uri=True, check_same_thread=False)

    with pytest.raises(DatabaseFailure, match="the database, or its folder, is read-only"):
        await house.submit(request)
    assert len(house.exchange.orders("paper")) == before
    await finish(tmp_path, house, request)


@pytest.mark.parametrize("arrivals", [1, 2, 4])
async def test_a_database_that_turns_read_only_in_flight_stops_the_run_and_the_next_start_learns_the_rest(
    tmp_path: Path, house: House, arrivals: int
) -> None:
    request = make_request(Side.BUY, quantity=D(30), client_key="disk")
    sent = len(house.exchange.orders("paper"))
    left = arrivals

    def protected(*_: object) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{house.database.path}?mode=ro", uri=True, check_same_thread=False)

    def arrives(_: LimitOrder) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            house.database.close()
            event.listen(house.database.engine, "do_connect", protected)

    house.venue.before_place = arrives
    with pytest.raises(DatabaseFailure, match="the database, or its folder, is read-only"):
        await house.submit(request)
    assert len(house.exchange.orders("paper")) >= sent + arrivals
    assert not [each for each in findings(house.database, house.exchange) if "never written" in each]
    event.remove(house.database.engine, "do_connect", protected)
    await finish(tmp_path, house, request)


def test_a_full_disk_while_a_sell_and_a_buy_share_a_batch_leaves_nothing_unwritten(tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    scenario = SCENARIOS["shared"]
    prepare(base, scenario)
    for pages_left in (4, 16, 40, 70, 110):
        folder = Path(shutil.copytree(base, tmp_path / f"left-{pages_left}"))
        house = make_house(folder, scenario.market())
        fill_the_disk(house, pages_left)
        with pytest.raises(DatabaseFailure, match="the disk is full"):
            asyncio.run(submit(house, scenario.requests))
        assert not [each for each in findings(house.database, house.exchange) if "never written" in each]
        house.database.close()
        again = make_house(folder, scenario.market())
        with again.database.write() as connection:
            connection.execute(leases.update().values(host=None))
        asyncio.run(submit(again, scenario.requests))
        assert [again.order(number).status for number in (2, 3, 4)] == ["filled", "filled", "filled"]
        assert judge(again, scenario) == []
