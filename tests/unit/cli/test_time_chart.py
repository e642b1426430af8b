"""Curves over time drawn with characters: what stands where, in any room."""

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from etf_trader.cli.output import unmarked, width
from etf_trader.cli.time_chart import ROWS, time_chart

D = Decimal
START = datetime(2026, 1, 1, tzinfo=UTC)


def curve(*values: str | Decimal) -> list[tuple[datetime, Decimal]]:
    return [(START + timedelta(days=day), D(value)) for day, value in enumerate(values)]


@pytest.fixture(autouse=True)
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_the_fund_is_a_line_and_its_index_dots_where_it_is_elsewhere() -> None:
    lines = [unmarked(line) for line in time_chart(curve("10", "20", "15"), curve("10", "20", "20"), room=42)]
    assert lines == [
        "20.00 ┤                ╭────────────────╮·",
        "      │                │                │",
        "      │                │                │",
        "      │                │                │",
        "      │                │                │",
        "15.00 ┤                │                ╰─",
        "      │                │",
        "      │                │",
        "      │                │",
        "      │                │",
        "10.00 ┤────────────────╯",
        "       2026-01-01               2026-01-03",
    ]


def test_what_doubles_rises_alike_where_values_grew_much_and_years_begin_below() -> None:
    days = [date(2020, 7, 1), date(2021, 7, 1), date(2022, 7, 1)]
    lines = [unmarked(each) for each in time_chart([*zip(days, map(D, (1, 4, 16)), strict=True)], room=72)]
    assert [line.split("┤")[0].strip() for line in lines if "┤" in line] == ["16.00", "4.00", "1.00"]
    assert "╭" in lines[ROWS // 2] and "╯" in lines[ROWS // 2]
    assert lines[-1].split() == ["2020-07-01", "2021", "2022", "2022-07-01"]
    assert lines[-1].index("2021 ") - lines[0].index("┤") - 1 == round(184 / 730 * 64)


def test_nothing_is_drawn_of_one_moment_or_without_room() -> None:
    assert time_chart(curve("1"), [], room=80) == []
    assert time_chart([*curve("1"), *curve("2")], [], room=80) == []
    assert time_chart(curve("1", "2"), [], room=20) == []


@settings(max_examples=examples(50))
@given(
    st.lists(st.decimals("0.01", "100000", places=2), min_size=2, max_size=30),
    st.lists(st.decimals("0.01", "100000", places=2), max_size=30),
    st.integers(50, 120),
)
def test_every_chart_keeps_to_its_room_and_reaches_both_ends(
    line: list[Decimal], dots: list[Decimal], room: int
) -> None:
    lines = [unmarked(each) for each in time_chart(curve(*line), curve(*dots), room=room)]
    assert len(lines) == ROWS + 1
    assert max(map(width, lines)) <= room
    assert all(any(sign in each for sign in "─╭╮╯╰│┤") for each in lines[:-1])
    assert lines[-1].split()[0] == ("2026-01-01" if len(line) > 2 else "00:00:00")
