"""Cost curves of books in floats, read as deep as asked."""

from collections.abc import Callable
from decimal import Decimal as D

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from etf_trader.errors import DataError
from etf_trader.market.symbol import Side
from etf_trader.solver.curves import FIRST_WIDTH, Array, Curves

few = settings(max_examples=examples(50), deadline=None)
seeds = st.integers(0, 10**6)
sides = st.sampled_from(list(Side))


def random_ladders(seed: int, side: Side, most: int = 70) -> tuple[list[Array], Array]:
    """A few ladders of up to `most` levels, some of them empty, and their mids."""
    chance = np.random.default_rng(seed)
    mids = chance.uniform(1, 100, chance.integers(1, 5))
    ladders = []
    for mid in mids:
        count = int(chance.integers(0, most))
        steps = np.cumsum(chance.uniform(1e-5, 1e-3, count))
        ladders.append(np.column_stack([mid * (1 + side.sign * steps), chance.uniform(0.1, 5, count)]))
    return ladders, mids


def whole_cost(ladder: Array, quantity: float) -> float:
    """What `quantity` costs, level by level."""
    total = 0.0
    for price, depth in ladder:
        taken = min(depth, quantity)
        total, quantity = total + price * taken, quantity - taken
    return total


@few
@given(seed=seeds, side=sides, share=st.floats(0.0, 1.0))
def test_cost_depth_and_last_price_are_those_of_a_walk(seed: int, side: Side, share: float) -> None:
    ladders, mids = random_ladders(seed, side)
    curves = Curves(ladders, mids, 1000.0, side)
    depths = np.array([ladder[:, 1].sum() for ladder in ladders])
    need = depths * share
    costs = curves.cost(need * mids / 1000.0)
    for row, ladder in enumerate(ladders):
        assert costs[row] * 1000.0 == pytest.approx(whole_cost(ladder, need[row]), rel=1e-12, abs=1e-12)
        if len(ladder):
            count = np.searchsorted(np.cumsum(ladder[:, 1]), need[row] * (1 - 1e-12))
            last = curves.last(need * mids / 1000.0 * (1 - 1e-12))[row]
            assert last == pytest.approx(ladder[min(count, len(ladder) - 1), 0] / mids[row])
    assert curves.depth() * 1000.0 / mids == pytest.approx(depths)


@few
@given(seed=seeds, side=sides, share=st.floats(0.0, 1.0), first=st.integers(1, FIRST_WIDTH))
def test_how_many_levels_are_read_first_changes_no_bit(seed: int, side: Side, share: float, first: int) -> None:
    ladders, mids = random_ladders(seed, side)
    need = np.array([ladder[:, 1].sum() for ladder in ladders]) * mids / 1000.0 * share
    usual, few_first = (Curves(ladders, mids, 1000.0, side, None, each) for each in (FIRST_WIDTH, first))
    for ours, theirs in zip(usual.cost_and_last(need), few_first.cost_and_last(need), strict=True):
        assert ours.tolist() == theirs.tolist()
    assert usual.depth().tolist() == few_first.depth().tolist()


@pytest.mark.parametrize("ask", [Curves.last, Curves.level_ends])
def test_the_last_level_is_found_beyond_what_was_read_before(ask: Callable[[Curves, Array], Array]) -> None:
    ladder = np.column_stack([np.arange(100.0, 300.0), np.ones(200)])
    need = np.array([150.5 * 100.0 / 1000.0])
    fresh, read = (Curves([ladder], np.array([100.0]), 1000.0, Side.BUY) for _ in range(2))
    read.depth()
    assert ask(fresh, need) == pytest.approx(ask(read, need))


@few
@given(seed=seeds, side=sides)
def test_depth_up_to_a_price(seed: int, side: Side) -> None:
    ladders, mids = random_ladders(seed, side)
    ratio = 1 + side.sign * 0.004
    found = Curves(ladders, mids, 1.0, side).up_to(np.full(len(mids), ratio))
    for row, ladder in enumerate(ladders):
        inside = side.sign * ladder[:, 0] / mids[row] <= side.sign * ratio
        assert found[row] == pytest.approx(ladder[inside, 1].sum() * mids[row])


@few
@given(seed=seeds, side=sides, eps=st.sampled_from([1e-7, 1e-5, 1e-3]), share=st.floats(0.05, 1.0))
def test_joined_levels_overstate_the_cost_by_at_most_eps(seed: int, side: Side, eps: float, share: float) -> None:
    ladders, mids = random_ladders(seed, side)
    curves = Curves(ladders, mids, 1000.0, side)
    most = curves.depth() * share
    segments = curves.segments(most, np.full(len(mids), eps))
    for row in range(len(mids)):
        mine = segments.row == row
        prices, depths = segments.price[mine], segments.depth[mine]
        assert depths.sum() == pytest.approx(most[row])
        assert (np.diff(prices) * side.sign >= -1e-12).all()
        ends = np.concatenate([[0.0], np.cumsum(depths)])
        totals = np.concatenate([[0.0], np.cumsum(prices * depths)])
        for need in np.linspace(0.0, most[row], 23):
            joined = np.interp(need, ends, totals)
            true = curves.cost(np.where(np.arange(len(mids)) == row, need, 0.0))[row]
            assert -1e-12 <= side.sign * (joined - true) <= eps + 1e-12


def test_only_the_rows_that_end_inside_the_question_are_read_further() -> None:
    ladder = np.column_stack([np.linspace(100, 200, 5000), np.ones(5000)])
    curves = Curves([ladder, ladder], np.full(2, 100.0), 100.0, Side.BUY)
    assert curves.prices.shape == (2, FIRST_WIDTH)
    curves.cost(np.array([1.0, 100.0]))
    assert curves.prices.shape == (2, 128)
    assert curves.ends[0, -1] == FIRST_WIDTH
    assert curves.ends[1, -1] == 121


def test_decimals_and_floats_are_read_alike() -> None:
    exact = [(D("100.1"), D("2.5")), (D("100.2"), D("0.1"))]
    curves = Curves([exact, np.array(exact, dtype=float)], np.full(2, 100.0), 1000.0, Side.BUY)
    assert (curves.prices[0] == curves.prices[1]).all()
    assert (curves.costs[0] == curves.costs[1]).all()


@pytest.mark.parametrize(
    "levels",
    [
        [(100.0, 1.0), (float("nan"), 1.0)],
        [(100.0, float("inf"))],
        [(100.0, 0.0)],
        [(100.0, 1.0), (101.0, -1.0)],
        [(0.0, 1.0)],
        [(100.0, 1.0), (100.0, 1.0)],
        [(100.0, 1.0), (99.0, 1.0)],
    ],
    ids=["NaN price", "infinite quantity", "no quantity", "negative", "no price", "twice", "out of order"],
)
def test_a_bad_level_is_an_error_that_names_the_book(levels: list[tuple[float, float]]) -> None:
    with pytest.raises(DataError, match="AUSDT"):
        Curves([levels], np.array([100.0]), 1000.0, Side.BUY, ["AUSDT"])


def test_a_bad_level_far_down_is_found_when_it_is_read() -> None:
    levels = [(100.0 + n, 1.0) for n in range(FIRST_WIDTH)] + [(1.0, 1.0)]
    curves = Curves([levels], np.array([100.0]), 1000.0, Side.BUY, ["AUSDT"])
    with pytest.raises(DataError, match=r"a level of 1\.0 at 1\.0"):
        curves.depth()


@few
@given(seed=seeds, side=sides, share=st.floats(0.0, 1.0))
def test_a_book_that_is_split_costs_there_what_its_levels_cost(seed: int, side: Side, share: float) -> None:
    ladders, mids = random_ladders(seed, side)
    curves = Curves(ladders, mids, 1000.0, side)
    most = curves.depth()
    whole = curves.segments(most, np.full(len(mids), 1e-3))
    parts = curves.split(whole, most * share)
    assert np.bincount(parts.row, parts.depth, len(mids)) == pytest.approx(most)
    assert len(whole.row) <= len(parts.row) <= len(whole.row) + len(mids)
    for row in range(len(mids)):
        mine = parts.row == row
        assert (np.diff(parts.price[mine]) * side.sign >= -1e-9).all()
        ends = np.concatenate([[0.0], np.cumsum(parts.depth[mine])])
        totals = np.concatenate([[0.0], np.cumsum((parts.price * parts.depth)[mine])])
        gaps = np.abs(ends - most[row] * share)
        if gaps.min() < 1e-9:
            assert totals[gaps.argmin()] == pytest.approx(curves.cost(most * share)[row], abs=1e-8)
