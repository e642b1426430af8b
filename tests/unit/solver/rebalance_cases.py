"""Rebalances for the solver's tests: by hand, and random small ones."""

import random
from dataclasses import replace

from tests.unit.solver.solver_cases import D, make_rule

from etf_trader.market.book import Level
from etf_trader.market.symbol import Side
from etf_trader.money import divide_down
from etf_trader.solver.offers import Offer, offer
from etf_trader.solver.rebalance_problem import Aim, Constituent, Exact, RebalanceProblem

ZERO = D(0)


def make_constituent(asset: str = "A", **changes: object) -> Constituent:
    """10 of an asset at 10 and half of all, on deep books of 10 bps a side; fee 10 bps, lots of 1e-6."""
    step = D("1e-6")
    constituent = Constituent(
        asset=asset,
        rule=make_rule(asset, taker_fee=D("0.001"), step=step, min_quantity=step, tick=D("0.001")),
        holding=D(10),
        weight=D("0.5"),
        mid=D(10),
        bids=(Level(D("9.99"), D(10**6)),),
        asks=(Level(D("10.01"), D(10**6)),),
    )
    return replace(constituent, **changes)  # type: ignore[arg-type]


def make_rebalance(*constituents: Constituent, aim: Aim | None = None, cash: str = "0") -> RebalanceProblem:
    """A rebalance to exact targets."""
    return RebalanceProblem("USDT", D(cash), constituents, aim or Exact())


def offers_of(
    problem: RebalanceProblem, *, with_orders: bool = True
) -> tuple[tuple[Offer, ...], tuple[Offer, ...]]:
    """What can be bought and sold of each constituent."""
    buys, sells = (
        tuple(
            offer(each, side, problem.max_cross_spread_bps, with_orders=with_orders)
            for each in problem.constituents
        )
        for side in (Side.BUY, Side.SELL)
    )
    return buys, sells


def random_rebalance(
    seed: int, aim: Aim, *, deep: bool = True, orders: bool = False, step: str = "0.0001", scale: int = 0
) -> RebalanceProblem:
    """A few assets off their targets, on ladders of some levels; prices x 10^scale, quantities / 10^scale."""
    chance = random.Random(seed)
    count = chance.randint(2, 5)
    parts = [chance.randint(0, 6) for _ in range(count)]
    reserve = chance.choice([0, 0, 1])
    total = sum(parts) + reserve or 1
    weights = [divide_down(D(part), D(total), D("1e-12")) for part in parts]
    constituents = tuple(
        _random_constituent(chance, f"A{number}", weight, deep, orders, step, scale)
        for number, weight in enumerate(weights)
    )
    cash = D(chance.choice(["0", "15", "120.5"])) + (0 if any(each.holding for each in constituents) else 50)
    return RebalanceProblem("USDT", cash, constituents, aim)


def _random_constituent(
    chance: random.Random, asset: str, weight: D, deep: bool, orders: bool, step: str, scale: int
) -> Constituent:
    mid = D(chance.choice(["100", "10", "2.5"]))
    half = mid * D(chance.choice(["0.00005", "0.0004", "0.001"]))
    fee = D(chance.choice(["0", "0.001", "0.00075"]))
    worth = D(chance.choice(["0", "40", "100", "250"]))
    sides = []
    for sign in (-1, 1):
        price, levels = mid + sign * half, []
        for _ in range(chance.randint(1, 5)):
            levels.append(Level(price, D(chance.choice([3, 20, 55])) / mid))
            price += sign * mid * D(chance.choice(["0.0001", "0.0007", "0.003"]))
        if deep:
            levels.append(Level(price, D(10**5) / mid))
        sides.append(tuple(_scaled(level, scale) for level in levels))
    least = D(step).scaleb(-scale)
    rule = make_rule(
        asset,
        tick=D("1e-9"),
        step=least,
        min_quantity=least,
        min_notional=D(chance.choice(["0", "5"])),
        taker_fee=fee,
        base_quantum=D("1e-8").scaleb(-scale),
    )
    ordered = D(chance.choice(["-30", "-4", "0", "4", "30"])) / mid if orders else ZERO
    holding, mid = (worth / mid).scaleb(-scale), mid.scaleb(scale)
    bids, asks = sides
    return Constituent(asset, rule, holding, weight, mid, bids, asks, ordered.scaleb(-scale))


def _scaled(level: Level, scale: int) -> Level:
    return Level(level.price.scaleb(scale), level.quantity.scaleb(-scale))
