"""Every kind of finding names the entry that is off and says how: the first one is where to look.

The history: a deposit, a float, a buy of 7.5 units (two fills of A, one of B), a sell of 2.25.
"""

import asyncio
import re
import shutil
import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest
from tests.factories import make_definition, make_house, make_ladders, make_market

from etf_trader.database import Database
from etf_trader.ledger.audit import AuditReport, audit
from etf_trader.ledger.repository import list_accounts
from etf_trader.money import money_context

D = Decimal


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("books")
    market = make_market(
        {"A": make_ladders(D(100), D("0.1"), D(4)), "B": make_ladders(D(10), D("0.01"), D(100))},
        rules={"B": {"step": "1", "min_quantity": "1"}},
    )

    async def trade() -> None:
        house = make_house(folder, market)
        await house.create(make_definition())
        await house.buy("7.5")
        await house.sell("2.25")
        house.database.close()

    with money_context():
        asyncio.run(trade())
    return folder / "etf.db"


def audited(path: Path, head: str | None = None) -> AuditReport:
    database = Database(f"sqlite:///{path}")
    with database.read() as connection:
        (account,) = list_accounts(connection)
        report = audit(connection, account, head)
    database.close()
    return report


def changed(books: Path, folder: Path, statement: str) -> Path:
    path = folder / "etf.db"
    shutil.copy(books, path)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA foreign_keys = OFF")
    assert connection.execute(statement).rowcount > 0
    connection.close()
    return path


FILL = r"fill 2 \(trade \d+ of AUSDT\)"
CHANGES = {
    "a transaction's text": (
        "UPDATE \"transaction\" SET narration = narration || '.' WHERE sequence = 5",
        r"transaction 5 \(fill:.*\)",
        "its content does not match its hash",
    ),
    "a transaction is gone": (
        'DELETE FROM "transaction" WHERE sequence = 5',
        r"transaction 6 \(fill:.*\)",
        "it is number 6 where 5 should follow",
    ),
    "a transaction follows another": (
        'UPDATE "transaction" SET previous_hash = hash WHERE sequence = 5',
        r"transaction 5 \(fill:.*\)",
        "it does not follow the transaction before it",
    ),
    "a posting's amount": (
        "UPDATE posting SET amount = '-9' WHERE account = 'issued:1' AND amount = '-7.5'",
        r"transaction 7 \(credit:1\)",
        "its content does not match its hash",
    ),
    "a posting's running balance": (
        "UPDATE posting SET balance = '7' WHERE account = 'float:1' AND asset = 'USDT' AND balance = '1000'",
        r"transaction 2 \(funding:1:2\) posting \d",
        "it states a balance of 7 USDT for float:1, the postings before it make 1000",
    ),
    "a posting's place": (
        "UPDATE posting SET line = 9 WHERE line = 2 AND transaction_id = 3",
        r"transaction 3 \(accept:1\) posting 9",
        "it is number 9 where 2 should follow",
    ),
    "a balance": (
        "UPDATE balance SET amount = '999' WHERE account = 'index:1' AND asset = 'A'",
        "balance of index:1 in A",
        "it is 999, the postings sum to 5.25",
    ),
    "a balance is gone": (
        "DELETE FROM balance WHERE account = 'index:1' AND asset = 'B'",
        "balance of index:1 in B",
        "it is 0, the postings sum to 10.5",
    ),
    "a lot's cost": (
        "UPDATE lot SET open_cost = '1' WHERE id = 3",
        r"lot 3 \(order:1 B\)",
        "its open_cost is 1, the chain makes it 0",
    ),
    "a lot is marked open": (
        "UPDATE lot SET is_open = 1 WHERE id = 3",
        r"lot 3 \(order:1 B\)",
        "it is wrongly marked open or closed",
    ),
    "a lot is gone": ("DELETE FROM lot WHERE id = 11", "lots", "there are 10, the chain makes 11"),
    "a disposal's gain": (
        "UPDATE disposal SET gain = '7' WHERE id = 2",
        "disposal 2",
        r"its gain is 7, the chain makes it -?[\d.]+",
    ),
    "a disposal is gone": ("DELETE FROM disposal WHERE id = 7", "disposals", "there are 6, the chain makes 7"),
    "a fill's price": ("UPDATE fill SET price = '1' WHERE id = 2", FILL, "its content does not match its seal"),
    "a fill is gone": (
        "DELETE FROM fill WHERE id = 2",
        "transaction fill:.*",
        "it books a fill that is not there",
    ),
    "an allocation": (
        "UPDATE allocation SET quantity = '1' WHERE fill_id = 2",
        "allocation of fill 2 to order 1",
        "its content does not match its seal",
    ),
    "an allocation is gone": (
        "DELETE FROM allocation WHERE fill_id = 2",
        FILL,
        "its allocations share out 0 of its quantity of 3.51",
    ),
    "a position's cost": (
        "UPDATE position SET cost = '1'",
        "position 1",
        r"its cost is 1, the chain makes it [\d.]+",
    ),
    "whose a position is": (
        "UPDATE position SET opened_at = '2020-01-01T00:00:00.000000Z'",
        "position 1",
        "whose it is does not match its seal",
    ),
    "a basket's cash": (
        "UPDATE basket SET cash_per_unit = '1'",
        r"transaction 7 \(credit:1\)",
        "index 1 holds 0 USDT, 7.5 units of its basket are 7.5",
    ),
    "a basket's quantity": (
        "UPDATE basket_item SET quantity = '1.1' WHERE asset = 'A'",
        r"transaction 7 \(credit:1\)",
        "index 1 holds 7.5 A, 7.5 units of its basket are 8.25",
    ),
    "a basket's market": (
        "UPDATE basket_item SET symbol = 'BUSDT' WHERE asset = 'A'",
        "basket 1 of index 1",
        "its content does not match its seal",
    ),
    "a plan's cost": ("UPDATE plan SET cost = '1' WHERE id = 1", "plan 1", "its content does not match its seal"),
    "what an asset order was to do": (
        "UPDATE asset_order SET price = '1' WHERE id = 1",
        r"asset order 1 \(etf-[0-9a-f]+-1-1\)",
        "its intent does not match its seal",
    ),
    "what became of an asset order": (
        "UPDATE asset_order SET executed_quantity = '1' WHERE id = 1",
        r"asset order 1 \(etf-[0-9a-f]+-1-1\)",
        "what became of it does not match its seal",
    ),
    "an asset order is gone": (
        "DELETE FROM asset_order WHERE id = 1",
        r"fill 1 \(trade \d+ of AUSDT\)",
        "it has no asset order",
    ),
    "an order's arrival": (
        "UPDATE index_order SET arrival_nav = '1' WHERE id = 1",
        "index order 1",
        "what was accepted does not match its seal",
    ),
    "an order's fill": (
        "UPDATE index_order SET filled = '1' WHERE id = 1",
        "index order 1",
        "it is filled by 1, the chain has 7.5",
    ),
}


def test_the_history_is_clean(books: Path) -> None:
    report = audited(books)
    assert report.findings == ()
    assert (report.transactions, report.fills) == (14, 5)


@pytest.mark.parametrize(("statement", "entry", "message"), CHANGES.values(), ids=CHANGES)
def test_the_first_finding_names_what_was_changed(
    books: Path, tmp_path: Path, statement: str, entry: str, message: str
) -> None:
    first = audited(changed(books, tmp_path, statement)).findings[0]
    assert re.fullmatch(entry, first.entry), first
    assert re.fullmatch(message, first.message), first


@pytest.mark.parametrize(
    ("statement", "also"),
    [
        pytest.param(
            CHANGES["a posting's amount"][0],
            ("transaction 7 (credit:1)", "its postings of unit:1 are off by -1.5"),
            id="an amount: the transaction does not balance",
        ),
        pytest.param(
            CHANGES["what became of an asset order"][0],
            ("asset order 1", "its executed_quantity is 1, its fills sum to 7.51"),
            id="an execution: the fills say something else",
        ),
        pytest.param(
            CHANGES["a fill's price"][0],
            ("fill 2", "its transaction books something else"),
            id="a price: the transaction booked another",
        ),
    ],
)
def test_a_change_is_seen_from_the_other_side_as_well(
    books: Path, tmp_path: Path, statement: str, also: tuple[str, str]
) -> None:
    entry, message = also
    findings = audited(changed(books, tmp_path, statement)).findings
    assert any(found.entry.startswith(entry) and found.message == message for found in findings), findings


def test_an_overdrawn_account_is_named(books: Path, tmp_path: Path) -> None:
    path = changed(
        books,
        tmp_path,
        "UPDATE posting SET amount = '-2000000' WHERE account = 'treasury:self' AND amount = '-1000'",
    )
    overdrawn = [found for found in audited(path).findings if "is overdrawn" in found.message]
    assert overdrawn[0].entry == "transaction 2 (funding:1:2)"
    assert overdrawn[0].message == "treasury:self is overdrawn: -1000000 USDT"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE posting SET amount = 'much' WHERE line = 1",
        "UPDATE \"transaction\" SET at = 'yesterday' WHERE sequence = 2",
        "UPDATE \"transaction\" SET evidence = '{}' WHERE sequence = 4",
        "UPDATE balance SET amount = ''",
        "UPDATE index_order SET request = '{' WHERE id = 1",
        "UPDATE fill SET price = 'NaN' WHERE id = 1",
        "UPDATE asset_order SET status = 'lost' WHERE id = 1",
    ],
    ids=["an amount", "a time", "evidence", "a balance", "a request", "not a number", "a state"],
)
def test_a_row_that_cannot_be_read_is_a_finding_and_no_crash(books: Path, tmp_path: Path, statement: str) -> None:
    assert audited(changed(books, tmp_path, statement)).findings


def test_a_cut_off_tail_is_seen_by_the_head_of_an_earlier_report(books: Path, tmp_path: Path) -> None:
    head = audited(books).head
    path = changed(books, tmp_path, 'DELETE FROM "transaction" WHERE sequence = 14')
    last = audited(path, head).findings[-1]
    assert last.entry == "chain"
    assert last.message == f"the head {head} is not in the chain: its end was cut off or it is another ledger's"
