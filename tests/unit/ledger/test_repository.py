"""The chain as rows: written once, in order, with running balances and lots."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select
from tests.factories import House, make_house, make_market
from tests.invariants import findings

from etf_trader.database import Database
from etf_trader.errors import LedgerError, UnbalancedTransaction
from etf_trader.ledger.booking import deposit, withdrawal
from etf_trader.ledger.fill import Fill, Part, add_fill, fills_of
from etf_trader.ledger.repository import (
    GENESIS,
    Ledger,
    begin_incarnation,
    chain_head,
    find_holder,
    holder_id,
    incarnation,
    inside_balances,
)
from etf_trader.ledger.tables import lots, postings, transactions
from etf_trader.ledger.transaction import LotAction, LotMove, Posting, Transaction, transfer
from etf_trader.market.symbol import Side

D = Decimal
AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = make_house(tmp_path, make_market({"A": ([("99", "1")], [("101", "1")])}), deposit=D(0))
    yield made
    made.database.close()


@pytest.fixture
def connection(house: House) -> Iterator[Connection]:
    with house.database.write() as opened:
        yield opened


@pytest.fixture
def ledger(connection: Connection) -> Ledger:
    return Ledger(connection, 1)


def paid_in(amount: str, key: str = "transfer:1") -> Transaction:
    return deposit("self", "USDT", D(amount), key=key, at=AT)


def test_a_transaction_is_written_with_its_place_in_the_chain(connection: Connection, ledger: Ledger) -> None:
    assert chain_head(connection, 1) == (0, GENESIS)
    assert ledger.post(paid_in("5"))
    first = chain_head(connection, 1)
    assert ledger.post(withdrawal("self", "USDT", D(2), key="transfer:2", at=AT))
    rows = connection.execute(select(transactions).order_by(transactions.c.sequence)).all()
    assert [(row.sequence, row.previous_hash) for row in rows] == [(1, GENESIS), (2, first[1])]
    assert chain_head(connection, 1) == (2, rows[1].hash)


def test_balances_run_with_every_line(connection: Connection, ledger: Ledger) -> None:
    ledger.post(paid_in("5"))
    ledger.post(withdrawal("self", "USDT", D("1.5"), key="transfer:2", at=AT))
    query = (
        select(postings.c.balance).where(postings.c.account == "treasury:self").order_by(postings.c.transaction_id)
    )
    assert list(connection.scalars(query)) == [5, D("3.5")]
    assert ledger.balance("treasury:self", "USDT") == D("3.5")
    assert ledger.holdings("capital:self") == {"USDT": D("-3.5")}
    assert inside_balances(connection, 1) == {"USDT": D("3.5")}


def test_several_lines_of_one_account_run_one_after_another(connection: Connection, ledger: Ledger) -> None:
    lines = (*transfer("market", "order:1", "X", D(3)), *transfer("market", "order:1", "X", D(4)))
    ledger.post(Transaction("k", "fill", AT, "two", lines))
    query = select(postings.c.account, postings.c.balance).order_by(postings.c.line)
    assert [tuple(row) for row in connection.execute(query)] == [
        ("market", -3),
        ("order:1", 3),
        ("market", -7),
        ("order:1", 7),
    ]


def test_the_same_transaction_twice_is_written_once(connection: Connection, ledger: Ledger) -> None:
    assert ledger.post(paid_in("5"))
    assert not ledger.post(paid_in("5.00"))
    assert connection.scalar(select(func.count()).select_from(transactions)) == 1
    assert ledger.balance("treasury:self", "USDT") == 5


@pytest.mark.parametrize(
    "other",
    [
        paid_in("6"),
        withdrawal("self", "USDT", D(5), key="transfer:1", at=AT),
        deposit("other", "USDT", D(5), key="transfer:1", at=AT),
    ],
    ids=["amount", "kind", "holder"],
)
def test_the_same_key_with_other_content_halts(ledger: Ledger, other: Transaction) -> None:
    ledger.post(paid_in("5"))
    with pytest.raises(LedgerError, match="transfer:1 is in the books with other content"):
        ledger.post(other)


def test_what_does_not_balance_is_not_written(connection: Connection, ledger: Ledger) -> None:
    with pytest.raises(UnbalancedTransaction, match="k is off by"):
        ledger.post(Transaction("k", "deposit", AT, "odd", (Posting("treasury:self", "USDT", D(1)),)))
    assert connection.scalar(select(func.count()).select_from(transactions)) == 0


def test_a_failed_scope_leaves_nothing(house: House) -> None:
    with pytest.raises(LedgerError, match="lacks"), house.database.write() as connection:
        ledger = Ledger(connection, 1)
        ledger.post(paid_in("5"))
        move = LotMove(LotAction.DISPOSE, "order:1", "A", D(1), D(1))
        ledger.post(Transaction("k", "fill", AT, "sold", tuple(transfer("order:1", "market", "A", D(1))), (move,)))
    assert house.holdings("treasury:self") == {}


def test_lots_are_written_and_closed(connection: Connection, ledger: Ledger) -> None:
    bought = LotMove(LotAction.ACQUIRE, "order:1", "A", D(2), D(20))
    moved = LotMove(LotAction.MOVE, "order:1", "A", D(2), target="index:1")
    ledger.post(Transaction("b", "fill", AT, "bought", tuple(transfer("market", "order:1", "A", D(2))), (bought,)))
    ledger.post(
        Transaction("m", "credit", AT, "moved", tuple(transfer("order:1", "index:1", "A", D(2))), (moved,))
    )
    rows = connection.execute(select(lots).order_by(lots.c.id)).all()
    assert [(row.account, row.quantity, row.open_quantity, row.open_cost, row.is_open) for row in rows] == [
        ("order:1", 2, 0, 0, 0),
        ("index:1", 2, 2, 20, 1),
    ]


def make_fill(asset_order_id: int, **changes: Any) -> Fill:
    values: dict[str, Any] = {
        "account_id": 1,
        "era": "e",
        "symbol": "AUSDT",
        "venue_order_id": 5,
        "trade_id": 6,
        "asset_order_id": asset_order_id,
        "side": Side.BUY,
        "price": D("100"),
        "quantity": D("2"),
        "value": D("200"),
        "fee": D("0.002"),
        "fee_asset": "A",
        "is_maker": False,
        "at": AT,
    }
    return Fill(**(values | changes))


async def test_a_fill_is_known_by_its_key_and_halts_when_told_differently(tmp_path: Path) -> None:
    from tests.factories import make_definition, make_ladders

    market = make_market({"A": make_ladders(D(100), D("0.01"), D(50))})
    house = make_house(tmp_path, market)
    await house.create(make_definition(basket={"A": D(1)}))
    await house.buy(1)
    with house.database.write() as connection:
        fill = make_fill(1)
        whole = [Part(1, fill.quantity, fill.value, fill.fee)]
        assert add_fill(connection, fill, whole)
        assert not add_fill(connection, make_fill(1, quantity=D("2.000")), whole)
        assert add_fill(connection, make_fill(1, era="another life of the venue"), whole)
        with pytest.raises(LedgerError, match="differently now"):
            add_fill(connection, make_fill(1, price=D("100.01")), whole)


async def test_a_fill_that_is_dated_twice_keeps_the_time_first_told(tmp_path: Path) -> None:
    from tests.factories import make_definition, make_ladders

    house = make_house(tmp_path, make_market({"A": make_ladders(D(100), D("0.01"), D(50))}))
    await house.create(make_definition(basket={"A": D(1)}))
    await house.buy(1)
    with house.database.write() as connection:
        fill = make_fill(1)
        whole = [Part(1, fill.quantity, fill.value, fill.fee)]
        later = AT + timedelta(milliseconds=2)
        assert add_fill(connection, fill, whole)
        assert not add_fill(connection, make_fill(1, at=later), whole)
        assert [each.at for each in fills_of(connection, 1) if each.era == fill.era] == [AT]
        for changes in ({"price": D(99)}, {"quantity": D(3)}, {"fee": D("0.003")}, {"fee_asset": "USDT"}):
            with pytest.raises(LedgerError, match="differently now"):
                add_fill(connection, make_fill(1, at=later, **changes), whole)


def test_a_holder_is_written_down_at_the_first_mention(connection: Connection) -> None:
    assert find_holder(connection, "alice") is None
    number = holder_id(connection, "alice", AT)
    assert holder_id(connection, "alice", AT) == find_holder(connection, "alice") == number


def test_every_life_of_a_database_has_a_token_of_its_own(connection: Connection) -> None:
    before = incarnation(connection)
    after = begin_incarnation(connection, "restored", AT)
    assert incarnation(connection) == after != before


def test_an_empty_ledger_has_no_findings(house: House) -> None:
    assert findings(house.database, house.exchange) == []
    assert isinstance(house.database, Database)
