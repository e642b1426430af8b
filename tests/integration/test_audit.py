"""The audit finds any digit that was changed, in every table it vouches for, and changes nothing itself."""

import asyncio
import re
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from etf_trader.bootstrap import Services, make, open_services
from etf_trader.config import Settings
from etf_trader.database import Database
from etf_trader.index.definition import definition_from_options
from etf_trader.ledger.audit import AuditReport, audit
from etf_trader.ledger.repository import list_accounts
from etf_trader.market.symbol import Side
from etf_trader.money import money_context
from etf_trader.orders.index_order import OrderRequest

VOUCHED = (
    "transaction",
    "posting",
    "balance",
    "lot",
    "disposal",
    "fill",
    "allocation",
    "position",
    "basket",
    "basket_item",
    "nav",
    "benchmark",
    "plan",
    "asset_order",
    "index_order",
)

OPERATIONAL = {
    "index_order": {"id", "ended_at", "stopped_by", "status", "cancel_requested_at"},
    "plan": {"id", "created_at", "settled_at", "status"},
    "basket": {"reason", "effective_at"},
    "fill": {"id"},
    "disposal": {"id"},
    "lot": {"id"},
    "nav": {"id"},
    "benchmark": {"id"},
}
"""Columns that carry no claim about money: row numbers of their own, states and times of work."""


@dataclass(frozen=True)
class Books:
    """A finished history, kept as a file that each test copies."""

    path: Path

    def copy(self, folder: Path) -> Path:
        target = folder / "etf.db"
        shutil.copy(self.path, target)
        return target


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Books]:
    folder = tmp_path_factory.mktemp("books")
    (folder / "etf.toml").write_text('[exchange]\nclock = "stepped"\n')
    with money_context():
        settings = Settings.load(cwd=folder, environ={})
        make(settings)
        services = open_services(settings)
        weights = ["BTC=0.5", "ETH=0.3", "DENT=0.2"]
        definition = definition_from_options(
            "THREE", weights, name=None, start_value=Decimal(1000), float_cash=Decimal(600)
        )
        asyncio.run(services.administration.create_index(definition, 100))
        _trade(services, Side.BUY, "40.5", "first")
        _trade(services, Side.BUY, "300", "limited", limit="1003")
        _trade(services, Side.SELL, "12.25", "back")
        services.close()
    yield Books(folder / "etf.db")


def _trade(services: Services, side: Side, quantity: str, key: str, limit: str | None = None) -> None:
    request = OrderRequest(
        side, 1, Decimal(quantity), "", None if limit is None else Decimal(limit), None, "now", key
    )

    async def run() -> None:
        order = await services.desk.accept(request)
        await services.manager.run([order.id])

    asyncio.run(run())


def _audit(path: Path, head: str | None = None) -> AuditReport:
    database = Database(f"sqlite:///{path}")
    with database.read() as connection:
        (account,) = list_accounts(connection)
        report = audit(connection, account, head)
    database.close()
    return report


def _columns() -> list[tuple[str, str]]:
    import etf_trader.execution.tables
    import etf_trader.index.tables
    import etf_trader.ledger.tables
    import etf_trader.orders.tables  # noqa: F401 - all four fill the metadata
    from etf_trader.database import metadata

    return [
        (table, column.name)
        for table in VOUCHED
        for column in metadata.tables[table].columns
        if column.name not in OPERATIONAL.get(table, set())
    ]


def _flip(value: object) -> object:
    """Return `value` with one digit changed, or a letter where it has none; None when it is empty."""
    if isinstance(value, int):
        return value + 1
    if not isinstance(value, str):
        return None
    places = [match.start() for match in re.finditer(r"\d", value)]
    if not places:
        return value[:-1] + ("x" if value[-1] != "x" else "y") if value else None
    place = places[-1] if re.fullmatch(r"-?[\d.]+", value) else places[len(places) // 2]
    return value[:place] + str((int(value[place]) + 1) % 10) + value[place + 1 :]


def test_untouched_books_are_clean(books: Books, tmp_path: Path) -> None:
    report = _audit(books.copy(tmp_path))
    assert report.findings == ()
    assert report.fills > 20


def test_the_audit_changes_nothing(books: Books, tmp_path: Path) -> None:
    path = books.copy(tmp_path)
    before = path.read_bytes()
    _audit(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(("table", "column"), _columns(), ids=lambda value: str(value))
def test_one_changed_digit_is_found(books: Books, tmp_path: Path, table: str, column: str) -> None:
    path = books.copy(tmp_path)
    connection = sqlite3.connect(path, isolation_level=None)
    rows = connection.execute(f'SELECT rowid, "{column}" FROM "{table}" ORDER BY rowid').fetchall()
    candidates = [(row, _flip(value)) for row, value in rows if _flip(value) is not None]
    if not candidates:
        connection.close()
        assert all(value is None or value == "" for _, value in rows)
        return
    row, changed = candidates[len(candidates) // 2]
    connection.execute("PRAGMA foreign_keys = OFF")
    try:
        connection.execute(f'UPDATE "{table}" SET "{column}" = ? WHERE rowid = ?', (changed, row))
    except sqlite3.IntegrityError:
        row, _ = candidates[-1]
        connection.execute(f'UPDATE "{table}" SET "{column}" = ? WHERE rowid = ?', (987_654, row))
    connection.close()
    report = _audit(path)
    assert report.findings, f"{table}.{column} was changed in row {row} and nobody noticed"


def test_a_missing_row_is_found(books: Books, tmp_path: Path) -> None:
    for table in ("posting", "fill", "allocation", "lot", "disposal", "balance"):
        path = books.copy(tmp_path)
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute(f'DELETE FROM "{table}" WHERE rowid = (SELECT max(rowid) FROM "{table}")')
        connection.close()
        assert _audit(path).findings, f"a row of {table} was deleted and nobody noticed"


def test_a_cut_off_tail_is_noticed_by_an_earlier_head(books: Books, tmp_path: Path) -> None:
    path = books.copy(tmp_path)
    head = _audit(path).head
    assert _audit(path, head).findings == ()
    assert any("head" in finding.message for finding in _audit(path, "0" * 63 + "1").findings)


def test_the_first_finding_names_the_entry(books: Books, tmp_path: Path) -> None:
    path = books.copy(tmp_path)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("UPDATE fill SET price = price || '1' WHERE rowid = 3 AND price LIKE '%.%'")
    connection.close()
    first = _audit(path).findings[0]
    assert first.entry.startswith("fill 3 ")
