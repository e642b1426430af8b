"""The venue's order limits: fixed windows, several at once, and what was used, in the database."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection
from tests.factories import make_house, make_market

from etf_trader.execution.budget import Budget, budget, use, window_start
from etf_trader.venue.interface import OrderLimit

TEN = OrderLimit(10, 100)
DAY = OrderLimit(86_400, 200)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    house = make_house(tmp_path, make_market({"A": ([("99", "1")], [("101", "1")])}))
    with house.database.write() as opened:
        yield opened
    house.database.close()


@pytest.mark.parametrize(
    ("seconds", "at", "start"),
    [
        (10, "12:00:00", "12:00:00"),
        (10, "12:00:09.999999", "12:00:00"),
        (10, "12:00:10", "12:00:10"),
        (60, "12:34:56", "12:34:00"),
        (86_400, "23:59:59", "00:00:00"),
    ],
)
def test_windows_are_fixed_on_the_clock(seconds: int, at: str, start: str) -> None:
    day = "2026-01-01T"
    assert window_start(datetime.fromisoformat(f"{day}{at}+00:00"), seconds) == datetime.fromisoformat(
        f"{day}{start}+00:00"
    )


def test_a_fresh_window_has_every_slot(connection: Connection) -> None:
    assert budget(connection, 1, [TEN], NOON) == Budget(100, NOON + timedelta(seconds=10))


def test_what_was_used_is_gone_until_the_window_ends(connection: Connection) -> None:
    use(connection, 1, [TEN], NOON, 60)
    use(connection, 1, [TEN], NOON + timedelta(seconds=3), 40)
    assert budget(connection, 1, [TEN], NOON + timedelta(seconds=9)) == Budget(0, NOON + timedelta(seconds=10))
    assert budget(connection, 1, [TEN], NOON + timedelta(seconds=10)).free == 100


def test_the_tightest_limit_counts_and_says_when_it_opens(connection: Connection) -> None:
    use(connection, 1, [TEN, DAY], NOON, 95)
    use(connection, 1, [TEN, DAY], NOON + timedelta(seconds=10), 100)
    later = NOON + timedelta(seconds=20)
    assert budget(connection, 1, [TEN, DAY], later) == Budget(5, datetime(2026, 1, 2, tzinfo=UTC))


def test_two_limits_that_bind_alike_open_with_the_later(connection: Connection) -> None:
    use(connection, 1, [TEN, DAY], NOON, 100)
    use(connection, 1, [DAY], NOON, 100)
    assert budget(connection, 1, [TEN, DAY], NOON) == Budget(0, datetime(2026, 1, 2, tzinfo=UTC))


def test_nothing_is_granted_just_before_a_window_ends(connection: Connection) -> None:
    late = NOON + timedelta(seconds=9.95)
    assert budget(connection, 1, [TEN], late) == Budget(0, NOON + timedelta(seconds=10))
    assert budget(connection, 1, [TEN], NOON + timedelta(seconds=9.8)).free == 100


def test_a_venue_without_limits_is_not_limited(connection: Connection) -> None:
    assert budget(connection, 1, [], NOON).free > 10**6


def test_more_than_the_limit_used_by_others_leaves_nothing(connection: Connection) -> None:
    use(connection, 1, [TEN], NOON, 130)
    assert budget(connection, 1, [TEN], NOON).free == 0
