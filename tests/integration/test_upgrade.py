"""A database that version 0.1.0 wrote goes on in this one: nothing in it changes, and it can be traded on.

`released/*.sql` are the dumps of a fund of one A and two B a unit, written by that version: a buy of 7.5
units, a sell of 2.25, and a buy that its limit ended with A alone filled, which was traded back.
"""

import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest
from tests.factories import House, make_definition, make_house, make_ladders, make_market
from tests.invariants import findings

from etf_trader import schema
from etf_trader.database import Database
from etf_trader.errors import ConfigError, NotFound
from etf_trader.execution.proof import prove
from etf_trader.ledger.audit import audit
from etf_trader.ledger.repository import list_accounts
from etf_trader.orders.status import IndexOrderStatus
from etf_trader.orders.store import asset_orders_of_plan, list_plans
from etf_trader.reports.rebalance import rebalance_report

D = Decimal
RELEASED = Path(__file__).parent / "released"
HEAD = "01e1e62ac7312d1a1c054304eca55b497972549d2e611f4a5d2b3138d3a3917e"
"""What `etf ledger audit` of version 0.1.0 says of it."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("etf", "exchange"):
        connection = sqlite3.connect(tmp_path / f"{name}.db")
        connection.executescript((RELEASED / f"{name}-0001.sql").read_text())
        connection.close()
    return tmp_path


@pytest.fixture
def upgraded(folder: Path) -> House:
    for section in ("etf", "exchange"):
        database = Database(f"sqlite:///{folder / section}.db")
        schema.upgrade(database, section)
        database.close()
    market = make_market(
        {"A": make_ladders(D(100), D("0.1"), D(4)), "B": make_ladders(D(10), D("0.01"), D(100))},
        rules={"B": {"step": "1", "min_quantity": "1"}},
    )
    return make_house(folder, market)


def rows(path: Path, columns: dict[str, list[str]]) -> dict[str, list[tuple[object, ...]]]:
    connection = sqlite3.connect(path)
    found = {
        table: sorted(connection.execute(f'SELECT {", ".join(names)} FROM "{table}"').fetchall(), key=repr)
        for table, names in columns.items()
    }
    connection.close()
    return found


def columns_of(path: Path) -> dict[str, list[str]]:
    connection = sqlite3.connect(path)
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = {
        table: [f'"{row[1]}"' for row in connection.execute(f'PRAGMA table_info("{table}")')] for table in tables
    }
    connection.close()
    return found


def test_a_released_database_asks_for_an_upgrade(folder: Path) -> None:
    with pytest.raises(ConfigError, match="is at version 0001") as refused:
        schema.require_head(Database(f"sqlite:///{folder / 'etf.db'}"), "etf")
    assert refused.value.hint == "etf db upgrade (it makes a backup first)"


def test_an_upgrade_changes_no_row_that_was_there(folder: Path) -> None:
    columns = columns_of(folder / "etf.db")
    used = columns.pop("slot_use")  # its counts go on in another table
    before = rows(folder / "etf.db", columns)
    database = Database(f"sqlite:///{folder / 'etf.db'}")
    schema.upgrade(database, "etf")
    database.close()
    after = rows(folder / "etf.db", columns | {"market": ["hash"], "venue_count": ["seconds", '"count"']})
    assert before["plan"] and used
    for table in before.keys() - {"alembic_version"}:
        assert after[table] == before[table], table
    assert after["market"] == []
    assert after["venue_count"] == [(10, 7), (86_400, 7)]


def test_an_upgrade_of_the_exchange_keeps_its_rows_and_adds_what_is_new(folder: Path) -> None:
    before = rows(folder / "exchange.db", columns_of(folder / "exchange.db"))
    database = Database(f"sqlite:///{folder / 'exchange.db'}")
    schema.upgrade(database, "exchange")
    database.close()
    after = rows(folder / "exchange.db", columns_of(folder / "exchange.db"))
    assert before["orders"]
    added: dict[str, tuple[object, ...]] = {
        "orders": ("0", "EXPIRE_MAKER", None, None, "0", 0, None, None, None, None, None, None),
        "exchange": (0,),
        "account": (0,),
        "symbol_state": (None,),
    }
    for table in before.keys() - {"alembic_version"}:
        assert after[table] == [row + added.get(table, ()) for row in before[table]], table
    assert (after["report"], after["credit"]) == ([], [])


def test_the_books_are_clean_with_the_head_they_had(upgraded: House) -> None:
    with upgraded.database.read() as connection:
        (account,) = list_accounts(connection)
        report = audit(connection, account, HEAD)
    assert (report.findings, report.head) == ((), HEAD)


async def test_an_upgraded_fund_goes_on_trading_and_its_new_plans_are_proved(upgraded: House) -> None:
    with upgraded.database.read() as connection:
        old = [plan.id for plan in list_plans(connection)]
    order = await upgraded.buy("1.5")
    assert order.filled == D("1.5")
    assert (await upgraded.sell(1)).filled == 1
    assert old == [1, 2, 3, 4]
    with upgraded.database.read() as connection:
        for number in old:
            assert asset_orders_of_plan(connection, number)
            with pytest.raises(NotFound, match=f"plan {number} was made before books were kept with plans"):
                prove(connection, number)
        assert [prove(connection, plan.id).findings for plan in list_plans(connection)[4:]] == [(), ()]
    assert findings(upgraded.database, upgraded.exchange) == []


async def test_an_upgraded_fund_is_given_a_rulebook_and_rebalanced(upgraded: House) -> None:
    weights = {"A": D("0.6"), "B": D("0.4")}
    await upgraded.administration.edit_index("1", make_definition(basket={}, weights=weights))
    order = await upgraded.rebalance()
    assert (order.status, order.request.units) == (IndexOrderStatus.FILLED, D("5.492"))
    with upgraded.database.read() as connection:
        (account,) = list_accounts(connection)
        assert audit(connection, account).findings == ()
        new = [plan for plan in list_plans(connection) if plan.purpose == "wave"]
        assert [prove(connection, plan.id).findings for plan in new] == [()] * len(new)
        told = rebalance_report(connection, order.id)
    assert new
    assert told.nav_after == told.nav_before - told.cost + told.market + told.flows
    assert abs(told.legs[0].weight_after - D("0.6")) < D("0.01")
    assert (await upgraded.sell(None)).filled == D("5.492")
    assert findings(upgraded.database, upgraded.exchange) == []
