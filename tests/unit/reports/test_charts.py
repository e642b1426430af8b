"""Charts are pictures of their numbers, whole XML, and hold no word that is code."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from etf_trader.cli.numbers import money, share
from etf_trader.reports.charts import Target, bar_chart, drift_chart
from etf_trader.reports.svg import labelled, room_of, shortened, ticks, time_ticks
from etf_trader.reports.time_charts import Series, area_chart, line_chart

D = Decimal
START = datetime(2026, 1, 30, tzinfo=UTC)
DAY = timedelta(days=1)
EVIL = "<b>&amp;'"


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg.replace(' xmlns="http://www.w3.org/2000/svg"', ""))


def of_class(svg: str, name: str) -> list[ElementTree.Element]:
    return [each for each in parsed(svg).iter() if name in each.get("class", "").split()]


def told(svg: str) -> list[str]:
    return [each.text or "" for each in parsed(svg).iter("text")]


def bars(*values: str) -> str:
    named = [(f"part {place}", D(value)) for place, value in enumerate(values)]
    return bar_chart("Loss by part", named, width=400, key="a", form=money)


def test_bars_are_as_long_as_their_numbers_and_what_is_below_zero_goes_left() -> None:
    svg = bars("40", "10", "-20")
    drawn = of_class(svg, "bar")
    widths = [float(each.get("width", 0)) for each in drawn]
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.01)
    assert widths[0] / widths[2] == pytest.approx(2, rel=0.01)
    (zero,) = of_class(svg, "zero")
    left = [float(each.get("x", 0)) for each in drawn]
    assert left[0] == left[1] == float(zero.get("x1", 0))
    assert left[2] + widths[2] == pytest.approx(float(zero.get("x1", 0)), abs=0.1)
    assert [each for each in told(svg) if not each.startswith("part")] == ["40.00", "10.00", "-20.00"]


def test_beyond_twenty_bars_the_rest_is_added_up() -> None:
    svg = bars(*["1"] * 25)
    assert len(of_class(svg, "bar")) == 20
    assert told(svg)[-2:] == ["6 others", "6.00"]


@pytest.mark.parametrize("values", [(), ("0", "0")], ids=["no bar", "all nothing"])
def test_where_there_is_no_bar_there_is_no_chart(values: tuple[str, ...]) -> None:
    assert bars(*values) == ""


def test_a_name_is_text_whatever_it_says() -> None:
    days = [START, START + DAY]
    charts = [
        bar_chart(EVIL, [(EVIL, D(1))], width=900, key="a", form=money),
        drift_chart(EVIL, [Target(EVIL, D("0.2"), D("0.1"))], width=900, key="b", form=share),
        line_chart(EVIL, [Series(EVIL, [(at, D(1)) for at in days])], width=900, key="c", form=money),
        area_chart(EVIL, days, {EVIL: [D(1), D(1)]}, width=900, key="d", form=share),
    ]
    for svg in charts:
        assert not list(parsed(svg).iter("b"))
        assert any(EVIL in each for each in told(svg))
        assert parsed(svg).findtext("title") == EVIL


def test_a_chart_tells_a_screen_reader_what_is_seen() -> None:
    rows = [Target("BTC", D("0.42"), D("0.4")), Target("ETH", D("0.2"), D("0.25"))]
    svg = drift_chart("Weights", rows, width=400, key="k", form=share)
    root = parsed(svg)
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == "k-title k-desc"
    assert {each.get("id") for each in root.iter() if each.get("id")} == {"k-title", "k-desc"}
    assert root.findtext("desc") == "BTC 42.0%, target 40.0%; ETH 20.0%, target 25.0%."
    assert {"+2.0%", "-5.0%"} <= set(told(svg))


def test_a_line_rises_with_its_numbers_and_lines_differ_without_colour() -> None:
    nav = Series("NAV", [(START + DAY * day, D(100 + day)) for day in range(5)])
    level = Series("level", [(START + DAY * day, D(100)) for day in range(5)])
    svg = line_chart("NAV", [nav, level], width=400, key="a", form=money)
    first, second = (each for each in of_class(svg, "line") if each.tag == "polyline")
    points = [tuple(map(float, each.split(","))) for each in first.get("points", "").split()]
    assert all(before[0] < after[0] and before[1] > after[1] for before, after in pairwise(points))
    assert first.get("stroke-dasharray") != second.get("stroke-dasharray")
    assert {"NAV 104.00", "level 100.00"} <= set(told(svg))


def test_one_point_is_no_line() -> None:
    assert line_chart("NAV", [Series("NAV", [(START, D(1))])], width=400, key="a", form=money) == ""
    assert area_chart("weights", [START], {"BTC": [D(1)]}, width=400, key="a", form=share) == ""


def test_areas_stand_upon_each_other_and_the_smallest_together() -> None:
    times = [START, START + DAY]
    areas = {f"A{place}": [D("0.05"), D(place) / 100] for place in range(1, 11)}
    svg = area_chart("Weights", times, areas, width=400, key="a", form=share)
    drawn = of_class(svg, "area")
    assert len(drawn) == 8
    assert told(svg)[-1] == "3 others 6.0%"
    outlines = [[tuple(map(float, each.split(","))) for each in area.get("points", "").split()] for area in drawn]
    for lower, upper in pairwise(outlines):
        assert lower[:2] == upper[2:][::-1]  # the upper edge of one is the lower edge of the next


def test_weights_that_add_up_to_hardly_more_than_one_end_at_one() -> None:
    times = [START, START + DAY]
    svg = area_chart(
        "Weights",
        times,
        {"A": [D("0.5"), D("0.500001")], "B": [D("0.5"), D("0.5")]},
        width=400,
        key="a",
        form=share,
    )
    assert "100%" in told(svg)
    assert "125%" not in told(svg)


numbers = st.decimals(-10_000_000, 10_000_000, places=8)


@settings(max_examples=examples(60), deadline=None)
@given(numbers, numbers, st.integers(2, 9))
def test_ticks_are_round_even_and_reach_around(one: Decimal, other: Decimal, most: int) -> None:
    low, high = min(one, other), max(one, other)
    found = ticks(low, high, most)
    assert found[0] <= low
    assert found[-1] >= high
    steps = {after - before for before, after in pairwise(found)}
    assert len(steps) == 1
    assert steps.pop().normalize().as_tuple().digits in {(1,), (2,), (2, 5), (5,)}
    assert len(found) <= most + 1


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(1, 40 * 365 * 86_400), st.integers(2, 9))
def test_ticks_of_time_lie_within_and_are_few(seconds: int, most: int) -> None:
    last = START + timedelta(seconds=seconds)
    found = [at for at, _ in time_ticks(START, last, most)]
    assert all(START <= at <= last for at in found)
    assert len(found) <= most + 1
    assert found == sorted(set(found))
    assert len(found) > 1 or seconds < 2


def test_years_on_a_phone_have_more_than_one_tick() -> None:
    first, last = datetime(2020, 1, 2, tzinfo=UTC), datetime(2025, 9, 30, tzinfo=UTC)
    assert [label for _, label in time_ticks(first, last, 2)] == ["2022", "2024"]


@pytest.mark.parametrize(
    ("span", "labels"),
    [
        (timedelta(hours=30), ["30 Jan", "06:00", "12:00", "18:00", "31 Jan", "06:00"]),
        (timedelta(days=4), ["30 Jan", "31 Jan", "1 Feb", "2 Feb", "3 Feb"]),
        (timedelta(days=150), ["Feb 2026", "Mar 2026", "Apr 2026", "May 2026", "Jun 2026"]),
        (timedelta(days=1500), ["2027", "2028", "2029", "2030"]),
    ],
    ids=["hours", "days", "months", "years"],
)
def test_times_are_labelled_by_what_differs(span: timedelta, labels: list[str]) -> None:
    assert [label for _, label in time_ticks(START, START + span, 6)] == labels


def test_labels_keep_only_the_decimals_that_say_something() -> None:
    assert [label for _, label in labelled([D(0), D("0.5"), D(1)], money)] == ["0.0", "0.5", "1.0"]
    assert [label for _, label in labelled([D(0), D("0.2")], share)] == ["0%", "20%"]


@settings(max_examples=examples(60), deadline=None)
@given(st.text(max_size=40), st.floats(30, 300))
def test_a_shortened_text_has_its_room(text: str, room: float) -> None:
    assert room_of(shortened(text, room)) <= room + 1 or len(shortened(text, room)) == 1
