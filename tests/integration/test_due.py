"""Which indices of a database are due, on both kinds of database."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from sqlalchemy import Connection
from tests.factories import make_definition

from etf_trader.database import Database
from etf_trader.index.definition import BasketQuantities
from etf_trader.index.history import add_version
from etf_trader.index.store import add_index, set_status
from etf_trader.ledger.repository import add_account
from etf_trader.rebalance.calendars import calendars

D = Decimal
HALVES = {"A": D("0.5"), "B": D("0.5")}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    """A database with three indices of January: by weights, of a fixed basket, and by weights and closed."""
    database = Database(url)
    with database.write() as connection:
        account = add_account(connection, "paper", "me", "era", at("2024-01-10 00:00"))
        basket, symbols = BasketQuantities({"A": D(1), "B": D(2)}, D(0)), {"A": "AUSDT", "B": "BUSDT"}
        for symbol, weights in (("MONTH", HALVES), ("FIXED", {}), ("GONE", HALVES)):
            held = {} if weights else {"A": D(1), "B": D(2)}
            definition = make_definition(symbol=symbol, weights=weights, basket=held)
            add_index(connection, account.id, definition, basket, symbols, at("2024-01-10 00:00"))
        set_status(connection, 3, "closed")
        yield connection
    database.close()


def due(connection: Connection, now: str, done: dict[int, list[date]] | None = None) -> list[tuple[str, date]]:
    found = calendars(connection, at(now), done or {})
    return [(each.index.symbol, each.standing.due) for each in found if each.standing.due is not None]


def test_an_open_index_with_a_rulebook_is_due_by_its_calendar_until_it_is_done(connection: Connection) -> None:
    assert due(connection, "2024-02-01 00:09") == []
    assert due(connection, "2024-02-01 00:10") == [("MONTH", date(2024, 2, 1))]
    assert due(connection, "2024-04-20 00:00") == [("MONTH", date(2024, 4, 1))]
    assert due(connection, "2024-04-20 00:00", {1: [date(2024, 2, 1), date(2024, 4, 1)]}) == []
    assert due(connection, "2024-04-20 00:00", {2: [date(2024, 4, 1)]}) == [("MONTH", date(2024, 4, 1))]


def test_an_edited_rulebook_brings_its_calendar_from_then_on(connection: Connection) -> None:
    weekly = make_definition(weights=HALVES, basket={}).document() | {"calendar": {"cron": "0 12 * * 1"}}
    add_version(connection, 1, 2, weekly, at("2024-02-20 00:00"))
    add_version(connection, 2, 2, weekly, at("2024-02-20 00:00"))
    assert due(connection, "2024-02-25 00:00") == [("MONTH", date(2024, 2, 1))]
    monday = date(2024, 2, 26)
    assert due(connection, "2024-02-26 12:00") == [("MONTH", monday), ("FIXED", monday)]
    found = calendars(connection, at("2024-02-26 12:00"), {1: [monday]})
    assert [(each.index.symbol, each.cron, each.standing.next_at) for each in found] == [
        ("MONTH", "0 12 * * 1", at("2024-03-04 12:00")),
        ("FIXED", "0 12 * * 1", at("2024-03-04 12:00")),
    ]
