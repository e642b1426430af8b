"""A rulebook on past days: nothing is known early, books hold, dead coins count, ended markets are dealt with."""

import gc
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.unit.backtest.past import FREE, PAID, START, candles, decisions, ran, setting, table, walk

from etf_trader.backtest.candles import Candles
from etf_trader.backtest.course import Cause, Course, Step, What
from etf_trader.backtest.history import History
from etf_trader.backtest.journal import audit
from etf_trader.backtest.result import result_of
from etf_trader.backtest.simulator import run
from etf_trader.errors import DataError, UsageError
from etf_trader.money import money_context

D = Decimal
DAYS = 200
COINS = tuple("ABCDEFGH")
EQUAL = {"universe": {"assets": list(COINS)}, "weighting": {"by": "equal"}}
LARGEST = {
    "universe": {"caps": "caps.csv"},
    "selection": {"count": 3, "enter": 2, "exit": 4},
    "weighting": {"by": "capped", "cap": D("0.5")},
}


def monthly(days: int = DAYS) -> list[date]:
    every = (START + timedelta(days=number) for number in range(days))
    return [day for day in every if day.day == 1]


def made(seed: int = 1, days: int = DAYS) -> dict[str, Candles]:
    return {asset: walk(asset, days, seed) for asset in COINS}


def caps_of(past: Mapping[str, Candles], seed: int = 1) -> Mapping[date, Sequence[tuple[str, float, float]]]:
    """Return market caps that follow the prices, with supplies of the coin's own."""
    supply = {asset: 10 ** random.Random(f"{asset}{seed}").uniform(3, 5) for asset in past}
    return {
        day: [
            (asset, float(price) * supply[asset], float(price))
            for asset, each in past.items()
            if (price := each.price(day.toordinal())) is not None
        ]
        for day in monthly()
    }


def checked(course: Course) -> Course:
    assert course.audit is not None
    assert course.audit.findings == ()
    for step in course.steps:
        assert step.nav_before - step.nav_after == step.rebalance.cost
    return course


@pytest.mark.parametrize("cut", [40, 100, 151])
@pytest.mark.parametrize("by", ["capped", "equal", "inverse_volatility", "momentum"])
def test_nothing_that_comes_later_changes_a_decision(by: str, cut: int) -> None:
    """Candles and market caps are other ones from a day on: what was decided until then stays, byte for byte."""
    rules = {**LARGEST, "weighting": {"by": by, "days": 30, **({"cap": D("0.5")} if by == "capped" else {})}}
    past, day = made(), START + timedelta(days=cut)
    later = {}
    for place, (asset, each) in enumerate(made(seed=2).items()):
        closes = [price.decode() for price in past[asset]._closes()[:cut]]
        other = [f"{float(price) * 7:.6g}" for price in each._closes()[cut : -40 if place == 0 else None]]
        later[asset] = candles(asset, closes + other)
    caps, shuffled = caps_of(past), caps_of(later, seed=3)
    known = {on: caps[on] if on < day else shuffled[on][::-1][:5] for on in caps}
    first = ran(rules, History(past, table(caps)), days=DAYS)
    second = ran(rules, History(later, table(known)), days=DAYS)
    # What is known at the end of the last day before the cut decides the morning of that day's morrow.
    assert decisions(first, day) == decisions(second, day)
    assert len([step for step in first.steps if step.day <= day]) >= cut // 31
    assert decisions(first, date.max) != decisions(second, date.max)


@given(
    seed=st.integers(0, 10**6),
    rule=st.sampled_from(
        [{}, {"absolute": D("0.02")}, {"turnover": D("0.1"), "reserve": D("0.05")}, {"nav": D("0.1")}]
    ),
    capital=st.sampled_from(["2000", "100000", "30000000"]),
    fee=st.sampled_from([D(0), D(200)]),
)
@settings(max_examples=examples(12), deadline=None)
def test_the_books_hold_whatever_prices_do(seed: int, rule: Any, capital: str, fee: Decimal) -> None:
    past = made(seed)
    past["A"] = candles("A", [text.decode() for text in past["A"]._closes()[:70]])
    rules = {**EQUAL, "rebalance": rule, "fee": {"management_bps": fee}, "delisting": {"rule": "sell"}}
    course = checked(ran(rules, History(past), capital=capital))
    assert course.audit is not None and course.audit.fills > 0
    assert all(stretch.cash >= 0 for stretch in course.stretches)


def test_without_costs_the_fund_is_what_one_reckons_by_hand() -> None:
    """Half each at 10 and 20; A doubles: 1,500 a unit; on the first of February half each again; then B halves."""
    a, b = [10] * 10 + [20] * 49, [20] * 40 + [10] * 19
    rules = {"universe": {"assets": ["A", "B"]}, "weighting": {"by": "equal"}}
    history = History({"A": candles("A", a), "B": candles("B", b)})
    found = result_of(checked(ran(rules, history, market=FREE)), history)
    values = {each.day: float(each.nav_per_unit) for each in found.days}
    assert values[date(2022, 1, 1)] == 1000
    assert values[date(2022, 1, 31)] == pytest.approx(1500, rel=1e-7)
    assert values[date(2022, 2, 28)] == pytest.approx(750 + 375, rel=1e-7)
    assert [step.day for step in found.steps] == [date(2022, 1, 2), date(2022, 2, 1)]
    for each in found.days:
        assert float(each.index_level) == pytest.approx(float(each.nav_per_unit), rel=1e-7)


def test_costs_come_off_and_their_parts_add_up() -> None:
    history = History(made())
    free, paid = (result_of(checked(ran(EQUAL, history, market=market)), history) for market in (FREE, PAID))
    assert paid.nav_end < free.nav_end
    assert free.figures.cost_bps == pytest.approx(0, abs=1e-3)
    figures = paid.figures
    assert figures.cost_bps is not None and figures.fee_bps is not None
    assert figures.spread_bps is not None and figures.depth_bps is not None
    assert figures.cost_bps == pytest.approx(figures.spread_bps + figures.depth_bps + figures.fee_bps, rel=1e-9)
    dearer = result_of(checked(ran(EQUAL, history, capital="50000000")), history)
    assert dearer.figures.depth_bps is not None and dearer.figures.depth_bps > figures.depth_bps


def test_the_quote_in_a_table_of_market_caps_is_no_constituent() -> None:
    past = made()
    caps = {day: [("USDT", 1e12, 1.0), *rows] for day, rows in caps_of(past).items()}
    course, without = (
        checked(ran(LARGEST, History(past, table(each)), days=DAYS)) for each in (caps, caps_of(past))
    )
    assert [step.weights for step in course.steps] == [step.weights for step in without.steps]
    assert all("USDT" not in step.weights for step in course.steps)


def test_a_coin_that_died_is_counted_with_its_loss() -> None:
    """D is the largest, falls to nothing and leaves the table: who looks at survivors alone never sees it."""
    past = {asset: walk(asset, DAYS) for asset in "ABC"}
    caps: dict[date, list[tuple[str, float, float]]] = {}
    for place, day in enumerate(monthly()):
        rows = [(asset, 1e6, float(past[asset].price(day.toordinal()) or 0)) for asset in "ABC"]
        rows += [("D", 4e6, 50.0)] if place < 3 else []
        rows += [("S", 1e3, 1.0)]
        caps[day] = rows
    rules = {**LARGEST, "selection": {"count": 4}, "universe": {"caps": "c", "exclude": ["S"]}}
    everybody = History(past, table(caps))
    survivors = History(past, table(caps), candles_only=True)
    with_it, without = (result_of(checked(ran(rules, each)), each) for each in (everybody, survivors))
    assert "D" in with_it.prices.caps and "D" not in without.prices.candles
    held = next(step for step in with_it.steps if step.day > monthly()[2]).weights["D"]
    assert held == D("0.5")
    [sold] = [event for event in with_it.events if event.what is What.SOLD]
    assert (sold.asset, sold.day) == ("D", monthly()[3] + timedelta(days=1))
    values = {each.day: float(each.nav_per_unit) for each in with_it.days}
    before, after = monthly()[3] - timedelta(days=1), monthly()[3]
    assert values[after] / values[before] < 0.55  # half of it was in D, which is worth a 4,000th at most
    assert with_it.nav_end < without.nav_end * D("0.7")


def test_a_market_that_ends_is_sold_at_its_last_price_and_its_weight_shared_out() -> None:
    past = made()
    past["A"] = candles("A", [text.decode() for text in past["A"]._closes()[:70]])
    history = History(past)
    course = checked(ran({**EQUAL, "delisting": {"rule": "sell"}}, history))
    last = START + timedelta(days=69)
    [step] = [step for step in course.steps if step.cause is Cause.DELISTED]
    assert step.day == last + timedelta(days=4)  # three days without a candle, then the next morning
    assert step.rebalance.legs["A"].side is not None and "A" not in step.weights
    assert step.rebalance.legs["A"].mid == past["A"].price(last.toordinal())
    assert sum(step.weights.values()) == 1
    assert [(event.what, event.asset) for event in course.events] == [(What.SOLD, "A")]
    assert "A" not in course.stretches[-1].per_unit


def test_a_market_that_ends_is_frozen_by_default_and_the_others_go_on() -> None:
    past = made()
    past["A"] = candles("A", [text.decode() for text in past["A"]._closes()[:70]])
    history = History(past)
    course = checked(ran(EQUAL, history))
    assert [(event.what, event.asset) for event in course.events] == [(What.FROZEN, "A")]
    stretches = [stretch.per_unit["A"] for stretch in course.stretches if stretch.day > START.toordinal() + 73]
    assert len(stretches) > 2 and len(set(stretches)) == 1
    assert "A" not in course.steps[-1].weights and course.frozen == {"A"}


def test_a_market_that_comes_back_is_traded_again() -> None:
    past = made()
    rows = past["A"]._rows
    kept = rows[:70] + rows[100:]
    days = [*past["A"].days[:70], *past["A"].days[100:]]
    past["A"] = Candles("A", past["A"].file, days, kept, 1, None)
    course = checked(ran(EQUAL, History(past)))
    assert [event.what for event in course.events] == [What.FROZEN, What.TRADES_AGAIN]
    assert course.steps[-1].weights["A"] == D("0.125")


def test_market_caps_that_are_known_a_day_late_make_a_late_rebalance() -> None:
    past = made()
    course = checked(ran(LARGEST, History(past, table(caps_of(past)))))
    later = [step for step in course.steps if step.cause is Cause.DUE]
    assert len(later) == 6
    assert all(step.due.day == 1 and step.day - step.due == timedelta(days=1) for step in later)
    assert sum(event.what is What.LATE for event in course.events) == 6


def test_a_run_that_is_done_leaves_nothing_behind() -> None:
    """A grid runs hundreds in a process: what a kept error points to would stay until all memory is searched."""
    history = History(made(), table(caps_of(made())))
    gc.collect()
    gc.disable()
    try:
        assert any(event.what is What.LATE for event in ran(LARGEST, history).events)
        assert not [each for each in gc.get_objects() if isinstance(each, Step)]
    finally:
        gc.enable()


def test_a_rebalance_that_could_not_be_decided_is_told_and_the_fund_goes_on() -> None:
    past, caps = made(), dict(caps_of(made()))
    del caps[monthly()[2]]
    course = checked(ran(LARGEST, History(past, table(caps))))
    [missed] = [event for event in course.events if event.what is What.MISSED]
    assert missed.day == monthly()[2] and "older than 7 days" in missed.text


def grown_up(later: int) -> History:
    """Return a past in which two coins have candles from the first day, and four more come later."""
    past = {asset: walk(asset, DAYS) for asset in "AB"}
    start = START + timedelta(days=later)
    return History(past | {asset: walk(asset, DAYS - later, start=start) for asset in "CDEF"})


def test_what_is_in_the_way_is_told_and_not_that_a_good_table_ages() -> None:
    """A table of a month's first day is old when the next is due; what is in the way is a coin without candles."""
    past = made()
    known = {day: [*rows, ("Z", 1e9, 1.0)] for day, rows in caps_of(past).items()}
    rules = {**LARGEST, "weighting": {"by": "inverse_volatility", "days": 20}}
    with pytest.raises(DataError, match=", Z: there are no past prices to weigh by") as refused:
        ran(rules, History(past, table(known)))
    assert refused.value.hint == "candles of Z, or --candles-only, which leaves out coins without"
    known[date(2022, 2, 1)] = known[date(2022, 2, 1)][:-1]
    course = checked(run(replace(setting(rules, days=DAYS), start=None), History(past, table(known))))
    assert course.steps[0].due == date(2022, 2, 2)
    missed = [event for event in course.events if event.what is What.MISSED]
    assert missed and all("Z: there are no past prices to weigh by" in event.text for event in missed)


CAPPED = {
    "universe": {"assets": list("ABCDEF")},
    "weighting": {"by": "inverse_volatility", "days": 20, "cap": D("0.3")},
}


def test_a_run_begins_on_the_first_morning_on_which_its_rulebook_can_be_followed() -> None:
    """Four more coins can be weighed by their volatility when they have closed three times."""
    history = grown_up(later=40)
    course = checked(run(replace(setting(CAPPED, days=DAYS), start=None), history))
    begun = START + timedelta(days=43)
    [told] = [event for event in course.events if event.what is What.BEGUN_LATE]
    assert (course.steps[0].day, course.steps[0].due, told.day) == (begun, begun, begun)
    why = "on 2022-02-12, C, D, E, F: there are no past prices to weigh by"
    assert told.text == f"begun on {begun}, not on 2022-01-02: {why}"
    assert result_of(course, history).days[0].day == begun - timedelta(days=1)
    assert [step.due for step in course.steps[1:]] == [day for day in monthly() if day > begun]
    asked = checked(run(replace(setting(CAPPED, days=DAYS), start=begun), history))
    assert decisions(asked, date.max) == decisions(course, date.max) and asked.events == []


def test_when_a_run_begins_does_not_hang_on_what_comes_later() -> None:
    one, changed = grown_up(later=40), {}
    for asset, each in one.candles.items():
        known = [text.decode() for text in each._closes()[: each.up_to(START.toordinal() + 42)]]
        changed[asset] = candles(asset, [*known, *["1", "900"] * 5], date.fromordinal(each.first))
    other = History(changed)
    courses = [run(replace(setting(CAPPED, days=DAYS), start=None), each) for each in (one, other)]
    assert courses[0].steps[0] == courses[1].steps[0] and courses[0].events[0] == courses[1].events[0]


def test_a_first_day_that_cannot_be_is_refused_with_the_first_that_can() -> None:
    history = grown_up(later=40)
    with pytest.raises(UsageError) as refused:
        run(setting(CAPPED, days=DAYS), history)
    assert "cannot be followed on 2022-01-02, but from 2022-02-13 on" in str(refused.value)
    assert "C, D, E, F: there are no past prices" in str(refused.value)
    assert refused.value.hint == "--from 2022-02-13"
    near = replace(setting(CAPPED, days=DAYS), start=date(2022, 2, 11))
    course = checked(run(near, history))  # as with every rebalance: late, and before the next is due
    assert (course.steps[0].day, course.steps[0].due) == (date(2022, 2, 13), date(2022, 2, 11))
    due = {**CAPPED, "calendar": {"cron": "0 0 13 * *"}}  # at the latest when the calendar is next due, and once
    steps = checked(run(replace(setting(due, days=DAYS), start=date(2022, 2, 11)), history)).steps
    assert [step.day for step in steps[:2]] == [date(2022, 2, 13), date(2022, 3, 13)]
    [told] = course.events
    assert told.what is What.BEGUN_LATE and "no past prices to weigh by" in told.text


def test_coins_too_few_for_the_cap_leave_a_rebalance_out_and_do_not_end_the_run() -> None:
    past = made()
    for asset in "CDEFGH":
        past[asset] = candles(asset, [text.decode() for text in past[asset]._closes()[:70]])
    rules = {**EQUAL, "weighting": {"by": "equal", "cap": D("0.3")}}
    course = checked(ran(rules, History(past)))
    missed = [event for event in course.events if event.what is What.MISSED]
    assert [event.day for event in missed] == [day for day in monthly() if day > START + timedelta(days=72)]
    assert "a cap of 30% on 2 constituents" in missed[0].text


def test_a_market_that_ends_on_the_last_day_is_not_said_to_be_sold() -> None:
    past = made()
    past["A"] = candles("A", [text.decode() for text in past["A"]._closes()[: DAYS - 3]])
    rules = {**EQUAL, "delisting": {"rule": "sell"}}
    assert [event.what for event in checked(ran(rules, History(past))).events] == []
    past["A"] = candles("A", [text.decode() for text in past["A"]._closes()[: DAYS - 4]])
    course = checked(ran(rules, History(past)))
    assert [(event.what, event.day) for event in course.events] == [(What.SOLD, START + timedelta(days=DAYS - 1))]
    assert (course.steps[-1].cause, course.steps[-1].day) == (Cause.DELISTED, course.events[0].day)


def test_a_rulebook_that_can_never_be_followed_is_refused() -> None:
    with pytest.raises(DataError, match=r"cannot be followed on any day .* no coin is eligible"):
        ran({**EQUAL, "eligibility": {"age_days": 3000}}, History(made()))


def test_the_management_fee_shrinks_the_basket_day_by_day() -> None:
    flat = {asset: candles(asset, [10] * 366) for asset in "AB"}
    rules = {"universe": {"assets": ["A", "B"]}, "weighting": {"by": "equal"}, "fee": {"management_bps": D(100)}}
    history = History(flat)
    found = result_of(checked(ran(rules, history, market=FREE)), history)
    assert float(found.days[-1].nav_per_unit) == pytest.approx(1000 * math.exp(-0.01), rel=1e-5)
    assert float(found.days[-1].index_level) == pytest.approx(1000, rel=1e-9)
    lost = found.course.units * (1000 - found.days[-1].nav_per_unit)
    assert float(found.figures.management) == pytest.approx(float(lost), rel=1e-3)
    assert found.figures.management_bps == pytest.approx(100, rel=1e-3)
    falls = [a.nav_per_unit > b.nav_per_unit for a, b in zip(found.days, found.days[1:], strict=False)]
    assert all(falls[1:])


def test_a_digit_changed_in_the_books_is_found() -> None:
    from etf_trader.backtest.simulator import _Run

    with money_context():
        this = _Run(setting(EQUAL, days=DAYS), History(made()))
        this.go(None)
        assert this.fund is not None
        journal = this.fund.journal
        place = next(n for n, entry in enumerate(journal.entries) if entry.kind == "fill")
        entry = journal.entries[place]
        for changed in (
            entry._replace(narration=entry.narration + "0"),
            entry._replace(evidence=entry.evidence.replace("acquire", "dispose")),
            entry._replace(
                postings=(replace(entry.postings[0], amount=entry.postings[0].amount + 1), *entry.postings[1:]),
            ),
        ):
            journal.entries[place] = changed
            findings = audit(journal, 1).findings
            assert findings and f"transaction {entry.sequence}" in findings[0]
        journal.entries[place] = entry
        assert audit(journal, 1).findings == ()
        journal.balances["index:1", "USDT"] += 1
        assert audit(journal, 1).findings
