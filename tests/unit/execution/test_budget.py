"""The venue's order limits: what we think used is never less than what the venue counts."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine

from etf_trader.database import metadata
from etf_trader.execution import tables
from etf_trader.execution.budget import (
    Budget,
    budget,
    give_back,
    grant,
    note_answer,
    note_counts,
    window_start,
    windows,
)
from etf_trader.ledger import tables as ledger
from etf_trader.orders import tables as orders
from etf_trader.venue.interface import OrderCount, OrderLimit

TEN = OrderLimit(10, 100)
DAY = OrderLimit(86_400, 200)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@pytest.fixture
def connection() -> Iterator[Connection]:
    with open_tables() as opened:
        yield opened


def open_tables() -> Connection:
    engine = create_engine("sqlite://")
    connection = engine.connect()
    metadata.create_all(connection, [orders.asset_orders, ledger.accounts, tables.slot_uses, tables.venue_counts])
    return connection


def too_few(free: int, next_look: datetime) -> Budget:
    return Budget(free, next_look, may_ask=False, is_enough=False)


def use(connection: Connection, count: int, at: datetime, *, first: int = 0) -> None:
    """Send `count` orders that the venue answers at once, without telling its count."""
    numbers = range(first, first + count)
    grant(connection, 1, numbers, at)
    for number in numbers:
        note_answer(connection, number, at, None, has_counts=False)


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
    assert budget(connection, 1, [TEN], NOON) == Budget(100, NOON, may_ask=False, is_enough=True)


def test_what_was_used_is_gone_until_the_window_ends(connection: Connection) -> None:
    use(connection, 60, NOON)
    use(connection, 40, after(3), first=60)
    assert budget(connection, 1, [TEN], after(9)) == too_few(0, after(10))
    assert budget(connection, 1, [TEN], after(10)).free == 100


def test_slots_of_another_account_are_its_own(connection: Connection) -> None:
    use(connection, 60, NOON)
    assert budget(connection, 2, [TEN], NOON).free == 100


def test_the_tightest_limit_counts_and_says_when_it_opens(connection: Connection) -> None:
    use(connection, 95, NOON)
    use(connection, 100, after(10), first=100)
    assert budget(connection, 1, [TEN, DAY], after(20)).free == 5
    use(connection, 5, after(20), first=200)
    assert budget(connection, 1, [TEN, DAY], after(20)) == too_few(0, datetime(2026, 1, 2, tzinfo=UTC))


def test_fewer_slots_than_wanted_say_when_there_may_be_more(connection: Connection) -> None:
    use(connection, 95, NOON)
    assert budget(connection, 1, [TEN], after(1), wanted=6) == too_few(5, after(10))
    assert budget(connection, 1, [TEN], after(1), wanted=5).next_look == after(1)
    assert budget(connection, 1, [TEN], after(10), wanted=300).free == 100  # no window has more


def test_of_the_days_slots_the_last_few_are_used_and_not_waited_for(connection: Connection) -> None:
    use(connection, 97, NOON)
    note_counts(connection, 1, after(10), [OrderCount(86_400, 197)], is_last=True)
    assert budget(connection, 1, [TEN, DAY], after(10), wanted=8) == Budget(
        3, after(10), may_ask=False, is_enough=True
    )


def test_what_the_venue_counts_is_news_once(connection: Connection) -> None:
    assert note_counts(connection, 1, NOON, [OrderCount(10, 3)], is_last=False)
    assert not note_counts(connection, 1, NOON, [OrderCount(10, 2)], is_last=False)
    assert not note_counts(connection, 1, after(-1), [OrderCount(10, 9)], is_last=True)
    assert not note_counts(connection, 1, after(1), [], is_last=True)


def test_an_order_without_an_answer_holds_its_slot_in_every_window(connection: Connection) -> None:
    grant(connection, 1, [1, 2], after(9.9))
    assert budget(connection, 1, [TEN], after(10.1)).free == 98
    note_answer(connection, 1, after(9.95), None, has_counts=False)  # it was counted in the window before
    assert budget(connection, 1, [TEN], after(10.1)).free == 99
    note_answer(connection, 2, after(10.05), None, has_counts=False)  # it came too late for that
    assert budget(connection, 1, [TEN], after(10.1)).free == 99
    assert budget(connection, 1, [TEN], after(20)).free == 100


def test_an_order_that_never_arrived_gives_its_slot_back(connection: Connection) -> None:
    grant(connection, 1, [1], NOON)
    give_back(connection, 1)
    assert budget(connection, 1, [TEN], NOON).free == 100
    use(connection, 1, NOON)
    give_back(connection, 0)  # it did arrive
    assert budget(connection, 1, [TEN], NOON).free == 99


def test_a_slot_comes_back_a_second_after_the_first_fill(connection: Connection) -> None:
    use(connection, 100, NOON)
    note_answer(connection, 7, NOON, after(2), has_counts=False)
    note_answer(connection, 7, NOON, after(5), has_counts=False)  # a later fill gives nothing more
    assert budget(connection, 1, [TEN], after(2.5)) == too_few(0, after(3))
    assert budget(connection, 1, [TEN], after(3)).free == 1
    assert budget(connection, 1, [TEN], after(7)).free == 1


def test_the_venues_own_count_corrects_ours_both_ways(connection: Connection) -> None:
    use(connection, 50, NOON)
    note_counts(connection, 1, after(1), [OrderCount(10, 20)], is_last=True)
    assert budget(connection, 1, [TEN], after(1)).free == 80
    note_counts(connection, 1, after(2), [OrderCount(10, 70)], is_last=True)  # somebody trades by hand
    assert budget(connection, 1, [TEN], after(2)).free == 30
    note_counts(connection, 1, after(1.5), [OrderCount(10, 1)], is_last=True)  # late news
    assert budget(connection, 1, [TEN], after(2)).free == 30
    assert budget(connection, 1, [TEN], after(10)).free == 100


def test_of_several_counts_of_one_moment_the_largest_stands_until_the_venue_is_asked(
    connection: Connection,
) -> None:
    for count in (3, 5, 4):
        note_counts(connection, 1, NOON, [OrderCount(10, count)], is_last=False)
    assert budget(connection, 1, [TEN], NOON).free == 95
    note_counts(connection, 1, NOON, [OrderCount(10, 2)], is_last=True)
    assert budget(connection, 1, [TEN], NOON).free == 98


def test_a_count_of_the_moment_of_an_order_whose_answer_told_none_may_not_have_it_in(
    connection: Connection,
) -> None:
    grant(connection, 1, [1, 2], NOON)
    note_answer(connection, 1, after(1), None, has_counts=True)
    note_counts(connection, 1, after(1), [OrderCount(10, 1)], is_last=False)
    note_answer(connection, 2, after(1), None, has_counts=False)
    assert budget(connection, 1, [TEN], after(1.1)).free == 98


def test_a_full_window_with_fills_that_the_count_may_not_show_is_worth_a_question(connection: Connection) -> None:
    use(connection, 100, NOON)
    note_answer(connection, 3, NOON, after(0.2), has_counts=False)
    note_counts(connection, 1, after(0.3), [OrderCount(10, 100)], is_last=False)
    assert budget(connection, 1, [TEN], after(0.5)) == too_few(0, after(1.2))
    assert budget(connection, 1, [TEN], after(1.2)).may_ask
    note_counts(connection, 1, after(1.2), [OrderCount(10, 99)], is_last=True)
    assert budget(connection, 1, [TEN], after(1.2)).free == 1


def test_nothing_is_granted_so_close_to_an_edge_that_the_neighbour_may_count_it(connection: Connection) -> None:
    guard = timedelta(milliseconds=50)
    assert budget(connection, 1, [TEN], after(9.96), guard) == too_few(0, after(10.05))
    assert budget(connection, 1, [TEN], after(10.01), guard) == too_few(0, after(10.05))
    assert budget(connection, 1, [TEN], after(9.9), guard).free == 100


def test_a_venue_without_limits_is_not_limited(connection: Connection) -> None:
    assert budget(connection, 1, [], NOON).free > 10**6


def test_more_than_the_limit_used_by_others_leaves_nothing(connection: Connection) -> None:
    note_counts(connection, 1, NOON, [OrderCount(10, 130)], is_last=True)
    assert budget(connection, 1, [TEN], NOON).free == 0


class CountingVenue:
    """The venue's side: counts what arrives in its windows, and takes fills off with a delay, at most a second."""

    def __init__(self, limit: OrderLimit) -> None:
        self.limit = limit
        self.arrived: list[datetime] = []
        self.returned: list[datetime] = []

    def count(self, now: datetime) -> int:
        start = window_start(now, self.limit.seconds)
        moments = [(at, 1) for at in self.arrived] + [(at, -1) for at in self.returned]
        total = 0
        for at, change in sorted(moments):
            if start <= at <= now:
                total = max(0, total + change)
        return total


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["send", "answer", "lose", "fill", "ask", "foreign", "wait"]),
        st.integers(0, 900),  # milliseconds that pass
        st.integers(0, 1000),  # the delay of a credit, or which order is meant
        st.booleans(),
    ),
    max_size=60,
)


@given(STEPS)
def test_what_we_think_used_is_never_less_than_what_the_venue_counts(
    steps: list[tuple[str, int, int, bool]],
) -> None:
    limit, venue = OrderLimit(10, 6), CountingVenue(OrderLimit(10, 6))
    flying: list[int] = []
    answered: list[int] = []
    now, number = NOON, 0
    with open_tables() as connection:
        for what, milliseconds, which, told in steps:
            now += timedelta(milliseconds=milliseconds + 1)
            counts = [OrderCount(10, venue.count(now))]
            if what == "send" and budget(connection, 1, [limit], now).free:
                grant(connection, 1, [number], now)
                venue.arrived.append(now)
                flying.append(number)
                number += 1
            elif what == "answer" and flying:
                order = flying.pop(which % len(flying))
                note_answer(connection, order, now, None, has_counts=told)
                if told:
                    note_counts(connection, 1, now, counts, is_last=False)
                answered.append(order)
            elif what == "fill" and answered:
                note_answer(connection, answered.pop(which % len(answered)), now, now, has_counts=False)
                venue.returned.append(now + timedelta(milliseconds=which))
            elif what == "ask":
                note_counts(connection, 1, now, counts, is_last=True)
            elif what == "foreign" and told:
                venue.arrived.append(now)
                note_counts(connection, 1, now, [OrderCount(10, venue.count(now))], is_last=True)
            (known,) = windows(connection, 1, [limit], now)
            assert known.used >= venue.count(now)
            if not flying and what == "ask":
                assert known.used == venue.count(now)
