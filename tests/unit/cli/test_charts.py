"""A curve drawn with characters: what stands where, in any room."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from etf_trader.cli.charts import Mark, curve_chart
from etf_trader.cli.output import unmarked, width

D = Decimal


def drawn(points: list[tuple[str, str]], room: int = 30, **options: object) -> list[str]:
    pairs = [(D(size), D(height)) for size, height in points]
    lines = curve_chart(pairs, room=room, **({"until": pairs[-1][0]} | options))  # type: ignore[arg-type]
    return [unmarked(line) for line in lines]


def test_a_curve_climbs_from_left_to_right() -> None:
    marks = [Mark(D(10), "●"), Mark(D(1000), "▲", on_axis=True)]
    assert drawn([("1", "10"), ("10", "10"), ("100", "20"), ("1000", "50")], marks=marks, level=D(40)) == [
        "50 ┤                        ╭─",
        "   │                      ╭─╯",
        "40 ┤╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╭╯╌╌╌",
        "   │                    ╭╯",
        "30 ┤                  ╭─╯",
        "   │                 ╭╯",
        "20 ┤              ╭──╯",
        "   │          ╭───╯",
        "10 ┤────────●─╯",
        "   │",
        " 0 └┬───────┬────────┬───────▲",
        "    1      10       100  1,000",
    ]


def test_a_curve_that_falls_reads_the_same_way() -> None:
    lines = drawn([("1", "200"), ("100", "10")], room=28)
    assert lines[0] == "200 ┤╮"
    assert lines[-3] == "    │                    ╰──"


def test_nothing_costs_nothing() -> None:
    lines = drawn([("1", "0"), ("10", "0")], room=26)
    assert lines == [
        "1 ┤",
        "  │",
        "  │",
        "  │",
        "0 └───────────────────────",
        "   1                    10",
    ]


@pytest.mark.parametrize(
    ("points", "room"),
    [
        pytest.param([], 80, id="no sizes"),
        pytest.param([("1", "10")], 80, id="one size"),
        pytest.param([("1", "10"), ("2", "10")], 20, id="no room"),
    ],
)
def test_without_a_curve_there_is_no_chart(points: list[tuple[str, str]], room: int) -> None:
    pairs = [(D(size), D(height)) for size, height in points]
    assert curve_chart(pairs, room=room, until=D(1)) == []


def test_a_level_far_above_the_curve_does_not_flatten_it() -> None:
    points = [("1", "10"), ("100", "20")]
    assert drawn(points, level=D(500)) == drawn(points)
    assert "╌" in "".join(drawn(points, level=D(29)))


def test_what_lies_beyond_the_curve_stands_on_the_axis_alone() -> None:
    marks = [Mark(D(50), "●"), Mark(D(100), "▲", on_axis=True)]
    lines = drawn([("1", "10"), ("10", "20")], until=D(100), marks=marks)
    assert "●" not in "".join(lines)
    assert lines[-2].endswith("▲")


@given(
    st.lists(st.decimals(min_value=D("1e-8"), max_value=10**9, places=8), min_size=2, max_size=12, unique=True),
    st.lists(st.decimals(min_value=0, max_value=10**4, places=4), min_size=12, max_size=12),
    st.integers(min_value=24, max_value=120),
    st.one_of(st.none(), st.decimals(min_value=0, max_value=10**4, places=2)),
)
@settings(max_examples=examples(60), deadline=None)
def test_every_line_fits_and_the_ticks_reach_the_highest(
    sizes: list[Decimal], heights: list[Decimal], room: int, level: Decimal | None
) -> None:
    points = list(zip(sorted(sizes), heights, strict=False))
    lines = curve_chart(points, room=room, until=points[-1][0] * 2, level=level, marks=[Mark(points[0][0], "●")])
    assert all(width(line) <= room for line in lines)
    assert len(lines) <= 16
    assert D(unmarked(lines[0]).split("┤")[0].strip()) >= max(height for _, height in points)
    assert sum("●" in line for line in lines) == 1
