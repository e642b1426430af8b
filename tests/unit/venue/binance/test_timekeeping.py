"""The venue's time is reckoned within the error that is told."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_trader.clock import SimulatedClock
from etf_trader.errors import ConfigError, VenueUnavailable
from etf_trader.venue.binance.timekeeping import DRIFT, GOOD_FOR, LOOK_EVERY, MeasuredTime, SteppedTime

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Machine:
    """A machine whose clock and counter a test moves, and a venue whose clock is ahead of it."""

    def __init__(self, ahead: float = 0.0) -> None:
        self.wall = SimulatedClock(START)
        self.counted = 100.0
        self.ahead = timedelta(seconds=ahead)
        self.time = MeasuredTime(self.wall, lambda: self.counted)
        self.true = START + self.ahead

    def pass_(self, seconds: float) -> None:
        self.wall.advance(timedelta(seconds=seconds))
        self.counted += seconds
        self.true += timedelta(seconds=seconds)

    def ask(self, there: float, back: float) -> None:
        sent = self.time.sent()
        self.pass_(there)
        told = self.true.replace(microsecond=self.true.microsecond // 1000 * 1000)
        self.pass_(back)
        self.time.note(told, sent)

    @property
    def wrong_by(self) -> timedelta:
        return abs(self.time.now() - self.true)


seconds = st.floats(0, 3, allow_nan=False)


@given(st.floats(-1e6, 1e6), st.lists(st.tuples(seconds, seconds, st.floats(0, 80)), min_size=1, max_size=6))
def test_it_is_never_further_off_than_it_says(ahead: float, asked: list[tuple[float, float, float]]) -> None:
    machine = Machine(ahead)
    for there, back, wait in asked:
        machine.ask(there, back)
        machine.pass_(wait)
        if machine.time.error < timedelta(seconds=1):
            assert machine.wrong_by <= machine.time.error + timedelta(microseconds=10)


def test_before_it_is_told_it_is_this_machines_and_may_be_off_by_a_second() -> None:
    machine = Machine()
    assert machine.time.now() == START
    assert not machine.time.is_known
    assert machine.time.error == timedelta(seconds=1)


def test_a_quick_answer_is_kept_over_slow_ones_as_long_as_it_is_surer() -> None:
    machine = Machine(5)
    machine.ask(0.01, 0.01)
    machine.ask(0.0, 2.0)
    assert machine.wrong_by < timedelta(milliseconds=2)
    machine.pass_(GOOD_FOR + 1)
    machine.ask(0.0, 0.2)
    assert machine.time.error < timedelta(seconds=0.11)


def test_it_is_asked_again_after_a_minute_and_after_a_jump_of_the_clock() -> None:
    machine = Machine()
    machine.ask(0.01, 0.01)
    assert machine.time.is_known
    machine.wall.advance(timedelta(seconds=2))  # somebody set it
    assert not machine.time.is_known
    machine.ask(0.01, 0.01)
    assert machine.time.is_known
    machine.pass_(GOOD_FOR + 1)
    assert not machine.time.is_known


def test_a_clock_that_is_set_does_not_move_the_venues() -> None:
    machine = Machine(3)
    machine.ask(0.01, 0.01)
    machine.wall.advance(timedelta(hours=-1))
    assert machine.wrong_by < timedelta(milliseconds=2)


def test_doubt_asks_again_and_goes_on_reckoning() -> None:
    machine = Machine(3)
    machine.ask(0.01, 0.01)
    machine.time.doubt()
    assert not machine.time.is_known
    assert machine.wrong_by < timedelta(milliseconds=2)
    assert machine.time.error == timedelta(seconds=1)
    machine.ask(0.3, 0.3)
    assert machine.time.is_known


def test_its_error_grows_with_the_drift() -> None:
    machine = Machine()
    machine.ask(0.0, 0.0)
    before = machine.time.error
    machine.pass_(50)
    assert machine.time.error - before == timedelta(seconds=50 * DRIFT)


async def test_a_stepped_time_is_what_was_told_last_and_sleeping_moves_it() -> None:
    moved: list[float] = []
    time = SteppedTime(moved.append)
    time.note(START, 0.0)
    assert (time.now(), time.error, time.is_known) == (START, timedelta(0), False)
    await time.sleep(1.5)
    assert moved == [1.5]
    assert time.now() == START + timedelta(seconds=1.5)


async def test_a_stepped_server_is_believed_about_where_it_was_moved() -> None:
    async def move(seconds: float) -> datetime:
        return START + timedelta(seconds=60 * seconds)

    time = SteppedTime(move)
    await time.batch_done()
    assert time.now() == START + timedelta(minutes=1)


def test_a_stepped_time_does_not_go_back_when_an_old_answer_comes_late() -> None:
    time = SteppedTime(lambda _: None)
    time.note(START + timedelta(seconds=1), 0.0)
    time.note(START, 0.0)
    assert time.now() == START + timedelta(seconds=1)


def test_a_stepped_server_is_asked_before_it_has_told_and_again_after_a_moment() -> None:
    answers: list[datetime | None] = [None, START, None, START + timedelta(hours=1)]
    seconds = [0.0]

    def ask() -> datetime:
        told = answers.pop(0)
        if told is None:
            raise VenueUnavailable("it does not answer")
        return told

    time = SteppedTime(lambda _: None, ask, lambda: seconds[0])
    with pytest.raises(VenueUnavailable):
        time.now()
    assert time.now() == START
    seconds[0] += LOOK_EVERY / 2
    assert time.now() == START
    seconds[0] += LOOK_EVERY
    assert time.now() == START  # no answer: it stands as far as we know
    seconds[0] += 2 * LOOK_EVERY
    assert time.now() == START + timedelta(hours=1)


def test_what_is_wrong_with_a_stepped_server_is_told_before_its_time_is_believed() -> None:
    def ask() -> datetime:
        raise ConfigError("the server runs on the machine's clock, which nobody moves")

    time = SteppedTime(lambda _: None, ask)
    with pytest.raises(ConfigError):
        time.note(START, 0.0)
