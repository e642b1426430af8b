"""Who gets which fraction: closed form, linear programs, level columns for every order, and brute force agree."""

import random
from dataclasses import replace
from decimal import Decimal as D
from itertools import product

import numpy as np
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from tests.effort import examples
from tests.unit.solver.shared_cases import random_orders
from tests.unit.solver.solver_cases import make_leg, make_problem, make_rule

from etf_trader.market.symbol import Side
from etf_trader.solver.course import common_fractions
from etf_trader.solver.curves import Array
from etf_trader.solver.fairness import Demand, fair_fractions, max_min, progressive_filling
from etf_trader.solver.shared import plan_together
from etf_trader.solver.shares import SharedOrder, Touch
from etf_trader.solver.wishes import Wishes

many = settings(max_examples=examples(50), deadline=None, suppress_health_check=[HealthCheck.too_slow])
seeds = st.integers(0, 10**6)


def random_demand(seed: int, *, one_side: bool) -> tuple[Demand, Array]:
    """Up to six orders of up to five assets, some of them capped, most books too short."""
    chance = np.random.default_rng(seed)
    orders, assets = int(chance.integers(1, 7)), int(chance.integers(1, 6))
    rate = chance.uniform(0.05, 1, (orders, assets)) * (chance.random((orders, assets)) < 0.6)
    sign = np.ones(orders) if one_side else chance.choice([1.0, -1.0], orders)
    depths = [np.where(chance.random(assets) < 0.3, np.inf, chance.uniform(0, 1.5, assets)) for _ in range(2)]
    caps = np.where(chance.random(orders) < 0.4, chance.uniform(0, 1, orders), 1.0)
    return Demand(sign, rate, np.zeros((orders, assets)), *depths), caps


@many
@given(seed=seeds)
def test_progressive_filling_is_the_lexicographic_program(seed: int) -> None:
    demand, caps = random_demand(seed, one_side=True)
    assert np.allclose(progressive_filling(demand, caps), max_min(demand, caps), atol=1e-7)


@many
@given(seed=seeds)
@example(seed=1078)  # two books that all but exclude any exchange between two orders
def test_no_order_can_be_raised_without_lowering_one_that_has_no_more(seed: int) -> None:
    demand, caps = random_demand(seed, one_side=False)
    fractions = fair_fractions(demand, caps)
    signed = (demand.sign[:, None] * demand.rate).T
    net = signed @ fractions
    assert (net <= demand.ask_depth + 1e-7).all()
    assert (-net <= demand.bid_depth + 1e-7).all()
    matrix, room = _rows(demand, signed)
    for row in np.flatnonzero(fractions < caps - 1e-6):
        low = np.where(fractions <= fractions[row] + 1e-6, fractions - 1e-8, 0.0).clip(0)
        best = linprog(
            -np.eye(len(caps))[row],
            A_ub=matrix,
            b_ub=room,
            bounds=list(zip(low.tolist(), caps.tolist(), strict=True)),
        )
        assert best.fun is not None
        assert -best.fun <= fractions[row] + 1e-4


def _rows(demand: Demand, signed: Array) -> tuple[Array | None, Array | None]:
    matrix, room = np.vstack([signed, -signed]), np.concatenate([demand.ask_depth, demand.bid_depth]) + 1e-8
    known = np.isfinite(room)
    return (matrix[known], room[known]) if known.any() else (None, None)


@many
@given(seed=seeds)
def test_orders_without_level_columns_get_what_orders_with_level_columns_get(seed: int) -> None:
    orders, _ = random_orders(seed, one_side=True)
    problems = [
        replace(
            order.problem,
            limit=None,
            max_loss_bps=None,
            cash=None,
            legs=tuple(replace(leg, held=D(0), residual=D(0)) for leg in order.problem.legs),
        )
        for order in orders
    ]
    wishes = Wishes(problems)
    fractions, _ = common_fractions(wishes)
    sign = problems[0].side.sign
    columns = [
        (row, wishes.assets.index(leg.asset), float(price / leg.mid), float(quantity * leg.mid) / wishes.value)
        for row, problem in enumerate(problems)
        for leg in problem.legs
        for price, quantity in leg.levels
    ]
    count, whole = len(columns), len(columns) + len(problems) + 1
    net = wishes.net if sign > 0 else np.ones(len(wishes.assets))
    balance = np.zeros((len(problems) * len(wishes.assets), whole))
    shared: dict[tuple[int, float], list[int]] = {}
    for number, (row, asset, price, _) in enumerate(columns):
        balance[row * len(wishes.assets) + asset, number] = net[asset]
        shared.setdefault((asset, price), []).append(number)
    for row, asset in product(range(len(problems)), range(len(wishes.assets))):
        balance[row * len(wishes.assets) + asset, count + row] = -wishes.demand.rate[row, asset]
    depth = np.zeros((len(shared), whole))
    room = np.zeros(len(shared))
    for place, numbers in enumerate(shared.values()):
        depth[place, numbers], room[place] = 1.0, columns[numbers[0]][3]
    least = np.hstack([np.zeros((len(problems), count)), -np.eye(len(problems)), np.ones((len(problems), 1))])
    objective = np.zeros(whole)
    objective[-1] = -1.0
    high = [*(each[3] for each in columns), *([1.0] * (len(problems) + 1))]
    best = linprog(
        objective,
        A_ub=np.vstack([depth, least]),
        b_ub=np.concatenate([room, np.zeros(len(problems))]),
        A_eq=balance,
        b_eq=np.zeros(len(balance)),
        bounds=[(0, each) for each in high],
    )
    assert best.fun is not None
    assert abs(-best.fun - fractions.min()) <= 1e-9
    # and at these fractions the cost is the same: nobody owns a level
    cost = np.array([*(sign * each[2] for each in columns), *([0.0] * (len(problems) + 1))])
    fixed = [(0, each[3]) for each in columns] + [(each, each) for each in fractions * (1 - 1e-12)] + [(0.0, 0.0)]
    cheapest = linprog(cost, A_ub=depth, b_ub=room, A_eq=balance, b_eq=np.zeros(len(balance)), bounds=fixed)
    used = wishes.demand.used(fractions, sign)
    together = wishes.curves[sign].cost(used / net)
    assert cheapest.fun is not None
    assert abs(sign * cheapest.fun - together.sum()) <= 1e-9


@many
@given(seed=seeds)
@example(seed=3847)  # books used up on both sides: who gives way by a hair takes it from another
@example(seed=4171)
@example(seed=5922)
def test_no_whole_units_on_a_tiny_book_are_fairer(seed: int) -> None:
    chance = random.Random(seed)
    rule = {asset: make_rule(asset, step=D(1), min_quantity=D(1)) for asset in "AB"}
    depth = {(asset, side): chance.randint(0, 4) for asset in "AB" for side in Side}
    orders = []
    for key in range(1, chance.randint(3, 5)):
        side = chance.choice(list(Side))
        legs = [
            make_leg(
                asset,
                *([(str(100 + side.sign), str(depth[asset, side]))] if depth[asset, side] else []),
                rule=rule[asset],
                per_unit=D(chance.randint(1, 2)),
            )
            for asset in chance.choice(["A", "B", "AB"])
        ]
        wanted = D(chance.randint(1, 3))
        orders.append(
            SharedOrder(key, f"I{key}", make_problem(*legs, side=side, quantity=wanted, float_cash=D(10**6)))
        )
    touches = {asset: Touch(D("99.9"), D("100.1"), True) for asset in "AB"}
    shared = plan_together(orders, touches)
    mine = sorted(float(shared.units[order.key]) / float(order.problem.quantity) for order in orders)
    sizes = [range(int(order.problem.quantity) + 1) for order in orders]
    for units in product(*sizes):
        if _fits(orders, units, depth):
            other = sorted(each / float(order.problem.quantity) for each, order in zip(units, orders, strict=True))
            ahead = next((a - b for a, b in zip(other, mine, strict=True) if abs(a - b) > 1e-6), 0.0)
            assert ahead <= 0


def _fits(orders: list[SharedOrder], units: tuple[int, ...], depth: dict[tuple[str, Side], int]) -> bool:
    for asset in "AB":
        net = sum(
            order.problem.side.sign * int(leg.per_unit) * each
            for order, each in zip(orders, units, strict=True)
            for leg in order.problem.legs
            if leg.asset == asset
        )
        if not -depth[asset, Side.SELL] <= net <= depth[asset, Side.BUY]:
            return False
    return True
