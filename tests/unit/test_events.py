"""An event is written with what made it true; subscribers hear of it once that stands, and never otherwise."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select

from etf_trader.database import Database, metadata
from etf_trader.events import (
    BatchPlanned,
    BatchSettled,
    Event,
    EventLog,
    FillBooked,
    OrderAccepted,
    OrderEnded,
    events,
)

D = Decimal
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ENDED = OrderEnded(3, "ended", "limit", D("1.50"))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path / 'events.db'}")
    with made.write() as connection:
        metadata.create_all(connection, tables=[events])
    yield made
    made.close()


def rows(database: Database) -> list[tuple[str, dict[str, object]]]:
    with database.read() as connection:
        found = connection.execute(select(events).order_by(events.c.id))
        return [(row.kind, json.loads(row.document)) for row in found]


@pytest.mark.parametrize(
    ("event", "document"),
    [
        (
            OrderAccepted(1, "buy", "TOP8", D("10.0")),
            {"order": 1, "side": "buy", "index": "TOP8", "quantity": "10"},
        ),
        (BatchPlanned(1, 2, D("0.5"), 8), {"order": 1, "plan": 2, "units": "0.5", "asset_orders": 8}),
        (
            FillBooked(1, "AUSDT", D(3), D("1E+2")),
            {"order": 1, "symbol": "AUSDT", "quantity": "3", "price": "100"},
        ),
        (
            BatchSettled(1, 2, D(4), D(5), D(6)),
            {"order": 1, "plan": 2, "units": "4", "filled": "5", "wanted": "6"},
        ),
        (ENDED, {"order": 3, "status": "ended", "stopped_by": "limit", "filled": "1.5"}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Event) else "",
)
def test_each_event_is_a_row_with_its_kind_and_facts(
    database: Database, event: Event, document: dict[str, object]
) -> None:
    with database.write() as connection:
        EventLog().record(connection, event, NOON)
    assert rows(database) == [(type(event).__name__, document)]
    with database.read() as connection:
        assert connection.scalar(select(events.c.at)) == NOON


def test_subscribers_hear_of_it_only_after_the_commit(database: Database) -> None:
    log, heard = EventLog(), list[tuple[Event, int]]()
    log.subscribe(lambda event: heard.append((event, len(rows(database)))))
    with database.write() as connection:
        log.record(connection, ENDED, NOON)
        assert heard == []
    assert heard == [(ENDED, 1)]  # when it was told, the row stood


def test_nobody_hears_of_what_was_rolled_back(database: Database) -> None:
    log, heard = EventLog(), list[Event]()
    log.subscribe(heard.append)
    with pytest.raises(RuntimeError, match="no"), database.write() as connection:
        log.record(connection, ENDED, NOON)
        raise RuntimeError("no")
    assert (heard, rows(database)) == ([], [])
    # Nor is it told with the next commit.
    with database.write() as connection:
        connection.execute(select(events))
    assert heard == []


def test_every_subscriber_hears_every_event_in_order(database: Database) -> None:
    log, one, other = EventLog(), list[Event](), list[Event]()
    log.subscribe(one.append)
    log.subscribe(other.append)
    told = [FillBooked(1, "AUSDT", D(number), D(100)) for number in range(3)]
    with database.write() as connection:
        for event in told:
            log.record(connection, event, NOON)
    assert one == other == told


def test_a_subscriber_may_write_for_itself(database: Database) -> None:
    log = EventLog()
    log.subscribe(lambda event: _note(database, event))
    with database.write() as connection:
        log.record(connection, OrderAccepted(1, "buy", "TOP8", D(1)), NOON)
    assert [kind for kind, _ in rows(database)] == ["OrderAccepted", "OrderEnded"]


def _note(database: Database, event: Event) -> None:
    with database.write() as connection:
        EventLog().record(connection, OrderEnded(event.order, "noted", "", D(0)), NOON)


def test_a_subscriber_that_fails_does_not_come_between_an_order_and_its_books(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Event] = []

    def fails(event: Event) -> None:
        raise RuntimeError("no terminal")

    log = EventLog()
    log.subscribe(fails)
    log.subscribe(heard.append)
    with database.write() as connection:
        log.record(connection, ENDED, NOON)
    assert heard == [ENDED]
    assert "a subscriber failed on OrderEnded" in caplog.text
