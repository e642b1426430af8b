"""A stored plan proves itself against its rows; whatever is changed in them is found, and named.

The history: a buy of 7.5 units within a limit, a sell of 2.25, and a buy of which only A filled, which is
traded back. The index holds one A and two B a unit.
"""

import asyncio
import json
import re
import shutil
import sqlite3
import zlib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.factories import make_definition, make_house, make_ladders, make_market

from etf_trader.database import Database
from etf_trader.errors import NotFound
from etf_trader.exchange.static import StaticMarket
from etf_trader.execution.proof import Proof, prove
from etf_trader.ledger.audit import audit
from etf_trader.ledger.repository import list_accounts
from etf_trader.market.document import market_hash
from etf_trader.money import money_context
from etf_trader.orders.plan import plan_object_seal
from etf_trader.seal import canonical
from etf_trader.venue.interface import LimitOrder

D = Decimal
BUY, SELL, UNWIND = 1, 2, 4


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
        await house.buy("7.5", limit_price=D("121"))
        await house.sell("2.25")

        def run_away(order: LimitOrder) -> None:
            if order.symbol == "BUSDT":
                assert isinstance(house.market, StaticMarket)
                house.market.set_book("BUSDT", [("10.50", "500")], [("10.60", "500")])

        house.venue.before_place = run_away
        await house.buy("2", limit_price=D("121"))
        house.database.close()

    with money_context():
        asyncio.run(trade())
    return folder / "etf.db"


def proved(path: Path, plan: int) -> Proof:
    database = Database(f"sqlite:///{path}")
    with database.read() as connection:
        proof = prove(connection, plan)
    database.close()
    return proof


def told(path: Path, plan: int) -> list[str]:
    return [f"{finding.where} {finding.what}" for finding in proved(path, plan).findings]


def copied(books: Path, folder: Path, *statements: str, values: tuple[Any, ...] = ()) -> Path:
    path = folder / "etf.db"
    shutil.copy(books, path)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA foreign_keys = OFF")
    for statement in statements:
        assert connection.execute(statement, values).rowcount > 0
    connection.close()
    return path


def test_every_plan_of_the_history_is_proved(books: Path) -> None:
    assert {plan: told(books, plan) for plan in (BUY, SELL, 3, UNWIND)} == {BUY: [], SELL: [], 3: [], UNWIND: []}
    assert proved(books, UNWIND).stored.purpose == "unwind"
    assert proved(books, BUY).document["problem"]["limit"] == "121"


CHANGES = {
    "a digit of the document": (
        "UPDATE plan SET document = replace(document, '7.5', '7.6') WHERE id = 1",
        "row of plan 1 does not match its seal",
    ),
    "no JSON": ("UPDATE plan SET document = 'x' WHERE id = 1", "plan is no JSON"),
    "a column": ("UPDATE plan SET cost = '1' WHERE id = 1", "row of plan 1, cost is 1, but comes to"),
    "the purpose": ("UPDATE plan SET purpose = 'unwind' WHERE id = 1", "purpose is unwind, but comes to trade"),
    "the limit": (
        "UPDATE index_order SET limit_price = '122' WHERE id = 1",
        "limit of order 1 is 122, but comes to 121",
    ),
    "the quantity": ("UPDATE index_order SET quantity = '8' WHERE id = 1", "quantity of order 1 is 8, but"),
    "the side": ("UPDATE index_order SET side = 'sell' WHERE id = 1", "side of order 1 is sell, but comes to buy"),
    "the arrival": (
        "UPDATE index_order SET arrival = replace(arrival, '100', '101') WHERE id = 1",
        "arrival of A in order 1 is 101, but comes to 100",
    ),
    "the basket": (
        "UPDATE basket_item SET quantity = '3' WHERE asset = 'B'",
        "quantities of basket 1 is A 1, B 3, but comes to A 1, B 2",
    ),
    "the basket's cash": ("UPDATE basket SET cash_per_unit = '1'", "cash of basket 1 is 1, but comes to 0"),
    "what was sent": (
        "UPDATE share SET slices = replace(slices, '100.', '101.') WHERE plan_id = 1",
        "asset order 1, price is 101.",
    ),
    "the mid of an order": (
        "UPDATE asset_order SET mid = '99' WHERE id = 1",
        "asset order 1 does not match its seal",
    ),
}


@pytest.mark.parametrize(("statement", "finding"), CHANGES.values(), ids=CHANGES.keys())
def test_a_row_that_was_changed_is_found(books: Path, tmp_path: Path, statement: str, finding: str) -> None:
    findings = told(copied(books, tmp_path, statement), BUY)
    assert any(finding in each for each in findings), findings


def test_an_order_that_was_never_written_is_missed(books: Path, tmp_path: Path) -> None:
    path = copied(books, tmp_path, "DELETE FROM share WHERE plan_id = 1 AND asset_order_id = 2")
    (finding,) = told(path, BUY)
    told_of = r"quantities that were written is AUSDT [\d.]+, but comes to AUSDT [\d.]+, BUSDT 16"
    assert re.fullmatch(told_of, finding)


def _with_market(books: Path, folder: Path, old: str, new: str) -> Path:
    """Return a copy in which the books of the first plan were changed, without their hash."""
    connection = sqlite3.connect(books)
    (book_hash,) = connection.execute("SELECT book_hash FROM plan WHERE id = 1").fetchone()
    (packed,) = connection.execute("SELECT document FROM market WHERE hash = ?", (book_hash,)).fetchone()
    connection.close()
    text = zlib.decompress(packed).decode()
    assert old in text
    packed = zlib.compress(text.replace(old, new).encode())
    return copied(books, folder, "UPDATE market SET document = ? WHERE hash = ?", values=(packed, book_hash))


def test_books_that_were_changed_are_found_by_proof_and_audit(books: Path, tmp_path: Path) -> None:
    path = _with_market(books, tmp_path, '["100.1","4"]', '["100.1","5"]')
    assert told(path, BUY)[0] == "market is not what the plan was made on: its hash is another"
    database = Database(f"sqlite:///{path}")
    with database.read() as connection, money_context():
        (account,) = list_accounts(connection)
        (finding,) = audit(connection, account, None).findings
    database.close()
    assert finding.entry.startswith("market ")
    assert finding.message == "the books and rules that plans were made on do not match their hash"


def test_books_that_cannot_be_read_are_found(books: Path, tmp_path: Path) -> None:
    path = copied(books, tmp_path, "UPDATE market SET document = x'00'")
    assert told(path, BUY)[0] == "market is not what the plan was made on: its hash is another"


def test_a_plan_from_before_books_were_kept_says_so(books: Path, tmp_path: Path) -> None:
    path = copied(books, tmp_path, "DELETE FROM market")
    with pytest.raises(NotFound, match="plan 1 was made before books were kept with plans") as refused:
        proved(path, BUY)
    assert refused.value.exit_code == 3
    with pytest.raises(NotFound, match="there is no plan 99"):
        proved(path, 99)


UNTRUE = {
    "sold more than it held": (("legs", 0, "quantity"), "2.01", "plan.legs.A.quantity is 2.01"),
    "another fee": (("legs", 0, "fee_in_kind"), "0.1", "plan.legs.A.fee is 0.1"),
    "other cash": (("cash",), "1", "plan.cash is 1"),
    "units": (("units",), "1", "trades back, and yet buys or has units"),
    "a stop": (("stopped_by",), ["limit"], "trades back, and yet says what stops it"),
    "a leg less": (("legs",), [], "plan.legs leave A, of which more is held"),
    "an unknown asset": (("legs", 0, "asset"), "Z", "plan.legs.Z is no asset of the basket"),
    "held less": (("problem", "legs", 0, "held"), "0.01", "is sold, though the float may take 0.01"),
    "a worse price": (("legs", 0, "limit_price"), "98", "plan.legs.A.limit_price is 98"),
    "a loss": (("legs", 0, "spread"), "0", "plan.legs.A.spread is 0"),
}


@pytest.mark.parametrize(("path", "value", "finding"), UNTRUE.values(), ids=UNTRUE.keys())
def test_a_plan_that_trades_back_is_proved_too(
    books: Path, path: tuple[str | int, ...], value: object, finding: str
) -> None:
    from etf_trader.solver.verify import verify

    proof = proved(books, UNWIND)
    document = json.loads(canonical(proof.document))
    assert [leg["asset"] for leg in document["legs"]] == ["A"]
    assert verify(document, proof.market) == []
    inner: Any = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    document |= {"book_hash": market_hash(proof.market), "seal": plan_object_seal(document)}
    findings = [f"{each.where} {each.what}" for each in verify(document, proof.market)]
    assert any(finding in each for each in findings), findings
