"""When an index is due: years of calendars, missed months, clocks that are wrong."""

import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest
from cronsim import CronSim
from freezegun import freeze_time
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from etf_trader.clock import SystemClock
from etf_trader.rebalance.due import Standing, Term, standing

MONTHLY = "10 0 1 * *"
HOUR = timedelta(hours=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def monthly(since: str = "2020-01-15 12:00") -> list[Term]:
    return [Term(at(since), MONTHLY)]


def asked(terms: Sequence[Term], times: Sequence[datetime]) -> list[date]:
    """Return the dates that are done when somebody asks at these times, and does what is due."""
    done: list[date] = []
    for now in times:
        found = standing(terms, done, now)
        if found.due is not None:
            done.append(found.due)
    return done


def hourly(begin: str, days: int, hours: int = 1) -> list[datetime]:
    return [at(begin) + number * HOUR for number in range(0, days * 24, hours)]


def test_a_date_is_due_from_its_minute_on_and_not_before() -> None:
    terms, done = monthly(), [date(2020, 2, 1)]
    assert standing(terms, done, at("2020-03-01 00:09:59")) == Standing(None, None, at("2020-03-01 00:10"))
    for now in ("2020-03-01 00:10", "2020-03-01 00:10:00.000001", "2020-03-01 00:10:30.5", "2020-03-20 04:00"):
        found = standing(terms, done, at(now))
        assert found == Standing(date(2020, 3, 1), at("2020-03-01 00:10"), at("2020-04-01 00:10")), now


def test_an_index_made_at_its_due_minute_waits_for_the_next() -> None:
    assert standing(monthly("2020-03-01 00:10"), [], at("2020-03-01 00:10")).due is None
    assert standing(monthly("2020-03-01 00:09"), [], at("2020-03-01 00:10")).due == date(2020, 3, 1)
    assert standing(monthly(), [], at("2020-01-20 00:00")) == Standing(None, None, at("2020-02-01 00:10"))


@pytest.mark.parametrize("zone", ["America/New_York", "Australia/Lord_Howe"])
def test_every_hour_over_six_years_finds_every_month_once_in_any_zone(
    zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine's own clock jumps twice a year; the calendar is UTC and does not."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    done: list[date] = []
    with freeze_time(at("2020-01-15 12:11")) as frozen:
        while SystemClock().now() < at("2026-01-15 00:00"):
            found = standing(monthly(), done, SystemClock().now())
            if found.due is not None:
                assert SystemClock().now() - at(f"{found.due} 00:10") < 8 * HOUR
                done.append(found.due)
            frozen.tick(7 * HOUR)
    monkeypatch.undo()
    time.tzset()
    assert done == [date(2020 + month // 12, month % 12 + 1, 1) for month in range(1, 73)]


def test_leap_days_month_ends_and_weekdays_are_found() -> None:
    leap = [Term(at("2019-06-01 00:00"), "0 6 29 2 *")]
    assert asked(leap, hourly("2019-06-01 00:00", 365 * 6, hours=23)) == [date(2020, 2, 29), date(2024, 2, 29)]
    assert standing(leap, [date(2024, 2, 29)], at("2026-01-01 00:00")).next_at == at("2028-02-29 06:00")
    last = [Term(at("2023-12-15 00:00"), "0 22 L * *")]
    ends = [date(2023, 12, 31), date(2024, 1, 31), date(2024, 2, 29), date(2024, 3, 31)]
    assert asked(last, hourly("2023-12-15 00:00", 120)) == ends
    fridays = [Term(at("2024-01-01 00:00"), "0 16 * * 5L")]
    assert asked(fridays, hourly("2024-01-01 00:00", 60)) == [date(2024, 1, 26), date(2024, 2, 23)]


def test_a_machine_asleep_at_midnight_does_it_when_it_wakes() -> None:
    awake = [now for now in hourly("2024-01-15 00:30", 90) if 8 <= now.hour < 18]
    assert asked(monthly("2024-01-15 00:00"), awake) == [date(2024, 2, 1), date(2024, 3, 1), date(2024, 4, 1)]


def test_missed_months_are_caught_up_once_by_the_newest() -> None:
    terms = monthly("2024-01-15 00:00")
    times = [at("2024-02-01 01:00"), at("2024-06-20 09:00"), at("2024-06-20 10:00"), at("2024-07-01 00:11")]
    assert asked(terms, times) == [date(2024, 2, 1), date(2024, 6, 1), date(2024, 7, 1)]
    assert standing(terms, [date(2024, 2, 1)], at("2024-06-20 09:00")).next_at == at("2024-07-01 00:10")


def test_one_date_is_one_rebalance_however_often_its_calendar_names_it() -> None:
    terms = [Term(at("2024-01-01 00:30"), "0 */6 * * *")]
    done = [date(2024, 1, 1)]
    assert standing(terms, done, at("2024-01-01 13:00")) == Standing(None, None, at("2024-01-02 00:00"))
    found = standing(terms, done, at("2024-01-02 13:00"))
    assert found == Standing(date(2024, 1, 2), at("2024-01-02 12:00"), at("2024-01-03 00:00"))


def test_one_that_was_forced_closes_what_was_missed_before_it() -> None:
    done = [date(2024, 2, 1), date(2024, 3, 10)]
    found = standing(monthly(), done, at("2024-03-10 12:00"))
    assert found == Standing(None, None, at("2024-04-01 00:10"))


def test_a_clock_set_back_over_a_due_moment_does_nothing_again() -> None:
    missed_then_done = [date(2024, 1, 1), date(2024, 3, 1)]  # February was missed
    assert standing(monthly(), missed_then_done, at("2024-02-29 23:50")).due is None
    assert standing(monthly(), missed_then_done, at("2024-03-01 00:10")).due is None
    assert standing(monthly(), missed_then_done, at("2024-02-29 23:50")).next_at == at("2024-04-01 00:10")


def test_a_clock_that_was_years_ahead_for_a_day_does_not_stop_the_years_until_then() -> None:
    done = [date(2024, 2, 1), date(2030, 1, 1)]
    assert standing(monthly(), done, at("2024-02-10 00:00")).due is None
    assert standing(monthly(), done, at("2024-03-01 00:10")).due == date(2024, 3, 1)
    assert standing(monthly(), done, at("2030-01-01 00:10")).due is None


def test_what_one_calendar_named_stays_due_under_the_next() -> None:
    terms = [*monthly("2024-01-15 00:00"), Term(at("2024-02-03 00:00"), "0 12 * * 1")]
    assert standing(terms, [], at("2024-02-04 00:00")).due == date(2024, 2, 1)
    assert standing(terms, [date(2024, 2, 1)], at("2024-02-04 00:00")).next_at == at("2024-02-05 12:00")
    assert standing(terms, [], at("2024-02-05 12:00")).due == date(2024, 2, 5)
    assert standing(terms, [], at("2024-02-01 00:20")).next_at == at("2024-02-05 12:00")


def test_a_calendar_counts_only_while_it_is_in_force() -> None:
    terms = [Term(at("2024-01-01 00:00"), None), Term(at("2024-03-05 00:00"), MONTHLY)]
    assert standing(terms, [], at("2024-03-20 00:00")) == Standing(None, None, at("2024-04-01 00:10"))
    fixed = [*monthly("2024-01-15 00:00"), Term(at("2024-02-01 00:05"), None)]
    assert standing(fixed, [], at("2024-05-01 00:00")) == Standing(None, None, None)
    assert standing(monthly("2024-01-15 00:00"), [], at("2023-01-01 00:00")).next_at == at("2024-02-01 00:10")


CRONS = st.sampled_from([MONTHLY, "0 16 * * 5", "30 4 29 2 *", "0 */6 * * *", "59 23 L * *", "10 0 1 */3 *"])
STEPS = st.lists(st.timedeltas(timedelta(0), timedelta(days=75)), min_size=1, max_size=25)
BACK = st.lists(st.timedeltas(timedelta(days=-40), timedelta(days=75)), min_size=1, max_size=25)
LATER = st.lists(st.tuples(st.timedeltas(timedelta(minutes=1), timedelta(days=400)), CRONS), max_size=2)


def after_each(begin: datetime, steps: Sequence[timedelta]) -> list[datetime]:
    """Return the times that a clock shows which is moved by these steps."""
    return [begin + sum(steps[:number], timedelta(0)) for number in range(len(steps) + 1)]


def terms_from(first: str, later: Sequence[tuple[timedelta, str]]) -> list[Term]:
    begins = after_each(at("2023-02-17 03:21"), [step for step, _ in later])
    return [Term(since, cron) for since, cron in zip(begins, [first, *(cron for _, cron in later)], strict=True)]


@settings(max_examples=examples(200))
@given(first=CRONS, later=LATER, steps=BACK)
def test_whenever_it_runs_no_date_is_done_twice_and_none_is_open_afterwards(
    first: str, later: list[tuple[timedelta, str]], steps: list[timedelta]
) -> None:
    terms = terms_from(first, later)
    done: list[date] = []
    for now in after_each(terms[0].since, steps):
        found = standing(terms, done, now)
        if found.due is not None:
            assert found.due not in done
            assert found.due_at is not None and terms[0].since < found.due_at <= now
            done.append(found.due)
        after = standing(terms, done, now)
        assert after.due is None and after.next_at == found.next_at
        assert found.next_at is None or (found.next_at > now and found.next_at.date() not in done)


@settings(max_examples=examples(200))
@given(first=CRONS, later=LATER, steps=STEPS)
def test_a_clock_that_goes_on_leaves_nothing_older_open_and_forgets_no_newest_date(
    first: str, later: list[tuple[timedelta, str]], steps: list[timedelta]
) -> None:
    """Held against every moment named one by one, which the decision itself never looks at."""
    terms = terms_from(first, later)
    times = after_each(terms[0].since, steps)
    named = _all_named(terms, times[-1])
    done: list[date] = []
    for now in times:
        newest = max((moment.date() for moment in named if moment <= now), default=None)
        found = standing(terms, done, now)
        is_news = newest is not None and (not done or newest > done[-1])
        assert found.due == (newest if is_news else None)
        if found.due is not None:
            done.append(found.due)
    assert done == sorted(set(done))


def _all_named(terms: Sequence[Term], until: datetime) -> list[datetime]:
    found = []
    for number, term in enumerate(terms):
        end = min(until, terms[number + 1].since) if number + 1 < len(terms) else until
        assert term.cron is not None
        for moment in CronSim(term.cron, term.since):
            if moment > end:
                break
            found.append(moment)
    return found
