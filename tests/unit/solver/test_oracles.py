"""One order solved in several ways that share nothing: closed form, linprog on all levels, segments, any duals."""

import os
from decimal import Decimal as D
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from tests.effort import examples
from tests.unit.solver.solver_cases import make_leg, make_problem

from etf_trader.exchange.recording import RecordingMarket
from etf_trader.market.book import Level
from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.money import BPS, divide_down, money_context
from etf_trader.solver.closed_form import Bounds, IndexCurve, index_curve
from etf_trader.solver.curves import Array, Curves
from etf_trader.solver.lp import EPS, TOLERANCE_BPS, Duals, Program, solve
from etf_trader.solver.order import plan_order
from etf_trader.solver.problem import OrderProblem

DATA = Path(os.environ.get("ETF_TEST_DATA", Path(__file__).parents[4] / "shared" / "data"))
FOLDER = DATA / "recordings-2021"
ASSETS = ("BTC", "ETH", "DOT", "ZIL", "MANA", "DENT", "BTCST")

many = settings(max_examples=examples(60), deadline=None)
seeds = st.integers(0, 10**6)
sides = st.sampled_from(list(Side))


class Market(NamedTuple):
    """Float ladders, and what one order on them wants; all in the quote asset."""

    side: Side
    ladders: list[Array]
    mids: Array
    weights: Array
    nets: Array
    value: float
    bounds: Bounds

    def curve(self) -> IndexCurve:
        curves = Curves(self.ladders, self.mids, self.value, self.side)
        names = [f"depth({row})" for row in range(len(self.mids))]
        return IndexCurve(curves, self.weights, self.nets, names)


def deep_market(seed: int, side: Side) -> Market:
    """A few books of up to 300 levels, so that there is something to join, and by chance each limit."""
    chance = np.random.default_rng(seed)
    count = int(chance.integers(1, 5))
    mids = chance.uniform(1, 100, count)
    ladders = []
    for mid in mids:
        levels = int(chance.integers(20, 300))
        rises = np.cumsum(chance.choice([1e-5, 2e-5, 5e-5], levels))
        ladders.append(np.column_stack([mid * (1 + side.sign * rises), chance.uniform(0.1, 5, levels) / mid]))
    edge = float(chance.choice([1e-3, 2e-3, 4e-3]))
    bounds = Bounds(
        limit=1 + side.sign * edge if chance.random() < 0.4 else None,
        cash=float(chance.uniform(0.1, 1)) if side is Side.BUY and chance.random() < 0.4 else None,
        loss_bps=float(chance.choice([12.0, 15.0, 25.0])) if chance.random() < 0.4 else None,
    )
    nets = chance.choice([1.0, 0.999], count)
    return Market(
        side, ladders, mids, chance.dirichlet(np.ones(count)), nets, float(chance.uniform(50, 2000)), bounds
    )


def all_levels(market: Market) -> tuple[float, float]:
    """The fraction and objective of linprog with a column a level and nothing of the package's own."""
    sign, buys = market.side.sign, market.side is Side.BUY
    price = np.concatenate([ladder[:, 0] / mid for ladder, mid in zip(market.ladders, market.mids, strict=True)])
    depth = np.concatenate(
        [ladder[:, 1] * mid / market.value for ladder, mid in zip(market.ladders, market.mids, strict=True)]
    )
    row = np.repeat(np.arange(len(market.mids)), [len(ladder) for ladder in market.ladders])
    net = market.nets[row]
    balance = np.zeros((len(market.mids), len(price) + 1))
    balance[row, np.arange(len(price))] = net if buys else 1.0
    balance[:, -1] = -market.weights
    cash = np.append(sign * price * (1.0 if buys else net), 0.0)
    rows, right = [], []
    bounds = market.bounds
    if bounds.loss_bps is not None:
        rows.append(cash - np.eye(len(cash))[-1] * sign * (1 + sign * bounds.loss_bps / 1e4))
        right.append(0.0)
    if bounds.cash is not None:
        rows.append(cash)
        right.append(bounds.cash)
    objective = cash.copy()
    objective[-1] = -sign * worth_of(market)
    found = linprog(
        objective * 1e4,
        A_ub=np.array(rows) * 1e4 if rows else None,
        b_ub=np.array(right) * 1e4 if rows else None,
        A_eq=balance,
        b_eq=np.zeros(len(market.mids)),
        bounds=[(0, each) for each in [*depth, 1.0]],
        method="highs-ds",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    assert found.x is not None
    return float(found.x[-1]), float(found.fun or 0.0) / 1e4


def worth_of(market: Market) -> float:
    if market.bounds.limit is not None:
        return market.bounds.limit
    return 1.0 + market.side.sign * 2.0


def objective(market: Market, fraction: float) -> float:
    """What a fraction costs less what it is worth, in units of V."""
    return market.side.sign * (market.curve().cost(fraction) - worth_of(market) * fraction)


@many
@given(seed=seeds, side=sides)
def test_the_closed_form_is_linprog_on_all_levels(seed: int, side: Side) -> None:
    market = deep_market(seed, side)
    fraction, best = all_levels(market)
    reach = market.curve().largest(market.bounds)
    assert objective(market, reach.fraction) == pytest.approx(best, abs=1e-9)
    if market.bounds.limit is None:
        assert reach.fraction == pytest.approx(fraction, abs=1e-9)


@many
@given(seed=seeds, side=sides)
def test_segments_stay_within_eps_of_all_levels_and_the_gap_tells_it(seed: int, side: Side) -> None:
    market = deep_market(seed, side)
    _, best = all_levels(market)
    relaxed = solve(market.curve(), market.bounds)
    missed = objective(market, relaxed.fraction) - best
    assert missed >= -1e-9
    assert missed <= 4 * EPS  # a fraction is worth up to three times its value where there is no limit
    if market.bounds.limit is not None:  # else the program has a worth of its own
        assert missed * 1e4 <= relaxed.gap_bps + 1e-4
    assert relaxed.gap_bps <= TOLERANCE_BPS


@many
@given(seed=seeds, side=sides, spread=st.sampled_from([1e-4, 1e-2, 1.0]))
def test_no_multipliers_give_a_bound_above_the_optimum(seed: int, side: Side, spread: float) -> None:
    market = deep_market(seed, side)
    market = market._replace(bounds=market.bounds._replace(limit=1 + side.sign * 0.002))
    chance = np.random.default_rng(seed)
    curve = market.curve()
    segments = curve.curves.segments(curve.need(1.01 * curve.cut(market.bounds)), EPS * curve.weights)
    program = Program(curve, market.bounds, segments)
    best = objective(market, market.curve().largest(market.bounds).fraction)
    duals = Duals(
        asset=side.sign + chance.normal(0, spread, len(market.mids)),
        loss=-float(chance.exponential(spread)) if market.bounds.loss_bps is not None else 0.0,
        cash=-float(chance.exponential(spread)) if market.bounds.cash is not None else 0.0,
    )
    assert program.bound(duals) <= best + 1e-8


@cache
def recorded(side: Side) -> OrderProblem:
    """Ten thousand units of equal weights of the recorded assets, 1,000 a unit."""
    market = RecordingMarket(FOLDER)
    rows = {row["symbol"]: row for row in market.symbols()}
    legs = []
    for asset in ASSETS:
        book = market.book(f"{asset}USDT", market.start)
        fee = D("0.001")
        rule = SymbolRule.from_exchange_info(rows[f"{asset}USDT"], maker_fee=fee, taker_fee=fee)
        levels = tuple(Level(*each) for each in (book.asks if side is Side.BUY else book.bids))
        mid = (book.asks[0][0] + book.bids[0][0]) / 2
        per_unit = divide_down(D(1000), mid * len(ASSETS), D("1e-12"))
        legs.append(make_leg(asset, rule=rule, levels=levels, per_unit=per_unit, mid=mid, arrival_mid=mid))
    return make_problem(*legs, side=side, quantity=D(10_000), float_cash=D(10**6))


@pytest.mark.skipif(not FOLDER.is_dir(), reason="recordings absent")
@pytest.mark.parametrize("side", list(Side), ids=str)
@pytest.mark.parametrize("edge", [None, D(5), D(30), D(120)], ids=["no limit", "5 bps", "30 bps", "120 bps"])
def test_recorded_books_give_one_answer_in_every_way(side: Side, edge: D | None) -> None:
    with money_context():
        problem = recorded(side)
        limit = None if edge is None else divide_down(problem.nav * (BPS + side.sign * edge), BPS, D("0.01"))
    problem = make_problem(*problem.legs, side=side, quantity=problem.quantity, float_cash=D(10**6), limit=limit)
    curve, bounds = index_curve(problem)
    mids = curve.curves.mids
    legs = sorted(problem.legs, key=lambda leg: leg.asset)
    ladders = [np.array(leg.levels, dtype=float) for leg in legs]
    value = float(problem.quantity * problem.nav)
    market = Market(side, ladders, mids, curve.weights, curve.nets, value, bounds)
    fraction, best = all_levels(market)
    reach = curve.largest(bounds)
    assert objective(market, reach.fraction) == pytest.approx(best, abs=1e-9)
    relaxed = solve(market.curve(), bounds)
    assert relaxed.gap_bps <= TOLERANCE_BPS
    closed, solved = plan_order(problem), plan_order(problem, "linprog")
    assert (closed.units, closed.legs) == (solved.units, solved.legs)
    assert abs(float(closed.units / problem.quantity) - reach.fraction) <= 1e-3
    assert closed.gap_bps >= 0 and fraction <= 1
