"""The books of a moment of the past."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Connection
from tests.factories import copy_template

from etf_trader.database import Database
from etf_trader.ledger.booking import deposit, withdrawal
from etf_trader.ledger.replay import books_before, entries
from etf_trader.ledger.repository import GENESIS, Ledger, add_account

D = Decimal
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def connection(tmp_path: Path):  # type: ignore[no-untyped-def]
    copy_template("etf", tmp_path / "etf.db")
    database = Database(f"sqlite:///{tmp_path / 'etf.db'}")
    with database.write() as connection:
        add_account(connection, "paper", "paper", "era", NOON)
        ledger = Ledger(connection, 1)
        ledger.post(deposit("self", "USDT", D(100), key="one", at=NOON))
        ledger.post(withdrawal("self", "USDT", D(30), key="two", at=NOON + HOUR))
        # Found late: it is dated before the withdrawal, and was not known then.
        ledger.post(deposit("self", "USDT", D(7), key="three", at=NOON + HOUR / 2))
    with database.read() as connection:
        yield connection
    database.close()


def held(connection: Connection, moment: datetime | None) -> Decimal:
    return books_before(connection, 1, moment).holdings("treasury:self").get("USDT", D(0))


def test_what_happens_at_a_moment_is_not_yet_in_the_books_of_it(connection: Connection) -> None:
    assert held(connection, NOON) == 0
    assert held(connection, NOON + timedelta.resolution) == 100
    assert books_before(connection, 1, NOON).head == GENESIS


def test_what_was_found_late_counts_from_when_it_was_booked(connection: Connection) -> None:
    assert held(connection, NOON + HOUR) == 100
    assert held(connection, NOON + HOUR + timedelta.resolution) == 77
    assert held(connection, None) == 77
    assert [entry.booked_at - NOON for entry in entries(connection, 1)] == [timedelta(), HOUR, HOUR]
