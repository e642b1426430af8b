"""How much of an order over time is due: worked by hand, and for any schedule, time and history."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_trader.execution.pacing import Done, last_period, next_at, pace, slices_done, units_allowed, volume_window
from etf_trader.money import UNIT_GRID, ZERO
from etf_trader.orders.schedule import Algo
from etf_trader.orders.stored_schedule import AtEnd, StoredSchedule, TimeSlice, read_schedule
from etf_trader.seal import canonical

D = Decimal
START = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def make_schedule(
    *quantities: str, period: int = 60, least: str = "0", at_end: AtEnd = AtEnd.TAKE
) -> StoredSchedule:
    slices = tuple(TimeSlice(number * period, D(each)) for number, each in enumerate(quantities))
    return StoredSchedule(Algo.TWAP, period * len(quantities), at_end, period, slices, None, D(least))


def make_pov(least: str = "0", at_end: AtEnd = AtEnd.TAKE) -> StoredSchedule:
    return StoredSchedule(Algo.POV, 600, at_end, 60, (), D("0.1"), D(least))


def due(schedule: StoredSchedule, seconds: float, *done: tuple[float, str], quantity: str = "40") -> Decimal:
    made = [Done(at(when), D(units), D(units)) for when, units in done]
    return pace(schedule, START, D(quantity), made, at(seconds)).due


FOUR = make_schedule("10", "10", "10", "10")


@pytest.mark.parametrize(
    ("seconds", "done", "expected"),
    [
        pytest.param(-5, (), "0", id="a clock behind the acceptance"),
        pytest.param(0, (), "10", id="the first slice is due at once"),
        pytest.param(30, ((1, "10"),), "0", id="a slice that is done is done"),
        pytest.param(30, ((1, "4"),), "6", id="what moved away is due again in its slice"),
        pytest.param(60, ((1, "10"),), "10", id="the next one"),
        pytest.param(60, ((1, "4"),), "16", id="what lacked is carried over"),
        pytest.param(60, (), "20", id="a missed slice doubles the next"),
        pytest.param(180, (), "20", id="three missed slices do no more"),
        pytest.param(180, ((1, "10"), (61, "10"), (125, "10"), (181, "4")), "6", id="the last one"),
        pytest.param(239.9, ((1, "10"),), "20", id="just before the end"),
        pytest.param(240, ((1, "10"),), "30", id="at the end all that is left"),
        pytest.param(99999, ((1, "10"), (300, "30")), "0", id="and nothing after that"),
    ],
)
def test_what_is_due_is_worked_by_hand(seconds: float, done: tuple[tuple[float, str], ...], expected: str) -> None:
    assert due(FOUR, seconds, *done) == D(expected)


def test_an_order_that_leaves_the_rest_has_nothing_due_at_its_end() -> None:
    schedule = make_schedule("10", "10", at_end=AtEnd.LEAVE)
    at_end = pace(schedule, START, D(20), [], at(120))
    assert (at_end.due, at_end.is_end) == (ZERO, True)


def test_too_little_for_the_venue_waits_for_the_next_slice_but_not_for_nothing() -> None:
    schedule = make_schedule("10", "10", least="2")
    assert due(schedule, 30, (1, "8.5"), quantity="20") == 0
    assert due(schedule, 60, (1, "8.5"), quantity="20") == D("11.5")
    assert due(schedule, 61, (1, "8.5"), (60, "10"), quantity="20") == D("1.5")


def test_the_next_slice_is_the_one_that_starts_next_and_the_last_wait_is_for_the_end() -> None:
    times = [next_at(FOUR, START, at(seconds)) for seconds in (0, 59.5, 60, 180, 239)]
    assert times == [at(60), at(60), at(120), at(240), at(240)]
    assert next_at(FOUR, START, at(240)) is None
    assert next_at(make_pov(), START, at(61)) == at(120)


def test_pov_takes_the_share_of_the_thinnest_constituent() -> None:
    volumes, per_unit = {"A": D(300), "B": D(50), "C": D(7)}, {"A": D(1), "B": D(2), "C": D(0)}
    assert units_allowed(D("0.1"), volumes, per_unit) == D("2.5")
    assert units_allowed(D("0.1"), {"A": D(1)}, {"A": D(3)}) == D("0.03333333")


def test_the_volume_of_pov_is_that_of_whole_periods_since_the_last_slice() -> None:
    schedule = make_pov()
    assert volume_window(schedule, START, [], at(59)) == (at(0), at(0))
    assert volume_window(schedule, START, [], at(130)) == (at(0), at(120))
    done = [Done(at(125), D(1), D(1))]
    assert volume_window(schedule, START, done, at(179)) == (at(120), at(120))
    assert volume_window(schedule, START, done, at(181)) == (at(120), at(180))
    assert last_period(schedule, (at(0), at(180))) == (at(120), at(180))
    assert last_period(schedule, (at(120), at(120))) == (at(120), at(120))


@pytest.mark.parametrize(
    ("seconds", "done", "allowed", "latest", "expected"),
    [
        pytest.param(30, (), "0", "0", "0", id="nothing before the first period is over"),
        pytest.param(60, (), "5", "5", "5", id="a period"),
        pytest.param(240, (), "20", "5", "10", id="three missed periods double one slice"),
        pytest.param(240, ((60, "5", "5"),), "15", "5", "10", id="so do two"),
        pytest.param(240, (), "5", "5", "5", id="a quiet time misses nothing"),
        pytest.param(120, ((60, "5", "3"),), "5", "5", "7", id="what lacked is carried over"),
        pytest.param(120, ((60, "9", "1"),), "5", "5", "10", id="but at most doubles"),
        pytest.param(300, (), "1", "0.2", "0", id="too little waits"),
        pytest.param(300, (), "2.5", "0.5", "2", id="until it can be traded"),
        pytest.param(600, ((60, "5", "5"),), "0", "0", "35", id="at the end all that is left"),
    ],
)
def test_what_pov_has_due_is_worked_by_hand(
    seconds: float, done: tuple[tuple[float, str, str], ...], allowed: str, latest: str, expected: str
) -> None:
    made = [Done(at(when), D(wanted), D(units)) for when, wanted, units in done]
    assert pace(make_pov("2"), START, D(40), made, at(seconds), D(allowed), D(latest)).due == D(expected)


def test_a_schedule_is_read_back_as_it_was_written() -> None:
    for schedule in (FOUR, make_pov("0.5"), make_schedule("1.5", at_end=AtEnd.LEAVE)):
        assert read_schedule(canonical(schedule.document())) == schedule
    assert read_schedule(None) is None


quantities = st.integers(1, 10**12).map(lambda steps: steps * UNIT_GRID)
schedules = st.lists(quantities, min_size=1, max_size=12).map(
    lambda each: StoredSchedule(
        Algo.TWAP,
        60 * len(each),
        AtEnd.TAKE,
        60,
        tuple(TimeSlice(60 * n, q) for n, q in enumerate(each)),
        None,
        ZERO,
    )
)


def total(schedule: StoredSchedule) -> Decimal:
    return sum((each.quantity for each in schedule.slices), ZERO)


@given(schedule=schedules, data=st.data())
def test_whatever_fills_and_whenever_somebody_looks_the_pace_is_kept(
    schedule: StoredSchedule, data: st.DataObject
) -> None:
    """A story of looks at rising times, each filling any part of what is due: never over, at most doubled."""
    looks = sorted(data.draw(st.lists(st.integers(0, schedule.seconds * 10 - 1), max_size=30)))
    done: list[Done] = []
    for look in looks:
        now = at(look / 10)
        what = pace(schedule, START, total(schedule), done, now)
        begun = [each for each in schedule.slices if each.start_seconds * 10 <= look]
        start = at(begun[-1].start_seconds)
        here = sum((each.units for each in done if each.at >= start), ZERO)
        assert what.due >= 0 and not what.is_end
        assert here + what.due <= 2 * begun[-1].quantity
        assert sum((each.units for each in done), ZERO) + what.due <= sum((each.quantity for each in begun), ZERO)
        assert pace(schedule, START, total(schedule), list(done), now) == what
        part = data.draw(st.sampled_from([0, 1, 3, 4]))
        if what.due and part:
            done.append(Done(now, what.due, what.due / UNIT_GRID * part // 4 * UNIT_GRID))
    credited = sum((each.units for each in slices_done(schedule, START, done)), ZERO)
    assert credited == sum((each.units for each in done), ZERO)
    end = pace(schedule, START, total(schedule), done, schedule.ends_at(START))
    assert end.is_end and end.due == total(schedule) - credited


@given(schedule=schedules, delay=st.integers(0, 59))
def test_without_a_miss_each_slice_is_the_plan(schedule: StoredSchedule, delay: int) -> None:
    done: list[Done] = []
    now = START + timedelta(seconds=delay)
    while (what := pace(schedule, START, total(schedule), done, now)) and not what.is_end:
        done.append(Done(now, what.due, what.due))
        assert pace(schedule, START, total(schedule), done, now).due == 0
        following = next_at(schedule, START, now)
        assert following is not None
        now = following + timedelta(seconds=delay)
    assert [each.units for each in done] == [each.quantity for each in schedule.slices]
    assert what.due == 0


@given(
    schedule=schedules, history=st.lists(st.tuples(st.integers(0, 700), quantities), max_size=5), data=st.data()
)
def test_within_what_was_done_more_time_never_means_less_due_in_all(
    schedule: StoredSchedule, history: list[tuple[int, Decimal]], data: st.DataObject
) -> None:
    """What may be traded until a moment only grows as time passes and nothing else does."""
    left, done = total(schedule), []
    for seconds, units in sorted(history):
        part = min(units, left)
        left -= part
        done.append(Done(at(seconds), part, part))
    after = max((each.at for each in done), default=START)
    early, late = sorted(data.draw(st.lists(st.integers(0, schedule.seconds), min_size=2, max_size=2)))
    if at(early) < after:
        return
    slices = {each.start_seconds for each in schedule.slices}
    same = not any(early < start <= late for start in slices)
    first, second = (pace(schedule, START, total(schedule), done, at(each)) for each in (early, late))
    if same or second.is_end:
        assert second.due >= first.due
    else:
        own = [each.quantity for each in schedule.slices if each.start_seconds <= late][-1]
        assert second.due >= min(first.due, 2 * own)
