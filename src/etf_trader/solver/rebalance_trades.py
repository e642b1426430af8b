"""The trades that bring holdings to their targets at the least cost, without lots: in floats, as fractions of NAV.

    h_i, w_i, b   holding, target weight, cash; all fractions of NAV before; r = 1 - sum w, the reserve
    y, c          what arrives of a level (sell: leaves), and its price / mid after fee; inside c = 1
    h'_i          h_i + bought_i - sold_i                b' = b - sum c bought + sum c sold >= r V' - short
    V'            sum h' + b', NAV after
    off           h'_i - w_i V' = over_i - under_i + far over_i - far under_i

    max  V' - price x sum of far - worth x short,        over, under <= band

Far is what lies outside the band. Exact targets have no band, and a price of
being far above every cost; a cost of tracking has no band and its own price.
`short` makes good a reserve that cannot be reached. Targets are of NAV after
costs, so what is bought is what can be paid. N + 2 rows.

With a cost of tracking one row more: b' <= max(b, r). What is sold pays for what
is bought, or makes good the reserve: where buying is too dear, selling would only
leave cash, which tracks nothing.

Exact targets on deep books have a closed form: for a trial V' every trade is
fixed, and the cash left beyond the reserve is a concave, falling line of straight
pieces. Newton's steps from above end on the piece that crosses 0, and bisection of
what rounding leaves around it ends at two neighbouring floats.

Source:
    The specification, 3.5; Boyd et al., Multi-Period Trading via Convex Optimization (2017), section 2.3.
"""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from etf_trader.errors import NumericalFailure
from etf_trader.market.symbol import Side
from etf_trader.money import BPS
from etf_trader.solver.curves import Array, Curves
from etf_trader.solver.net_ladder import NetLadder
from etf_trader.solver.offers import Offer
from etf_trader.solver.rebalance_problem import Bands, RebalanceProblem, Tracking

if TYPE_CHECKING:
    from etf_trader.solver.highs import Rows


SMALLEST = 1e-7
"""A target weight below this is too little for the LP."""

_BPS = float(BPS)
_ROUNDS = 200  # of Newton's steps: ends earlier, when V' falls no more
_FIRST = 4  # levels: what drifts in a month is seldom more
_KEPT = 0.95  # of NAV: a rebalance seldom costs more, so what is still too little then is not sold


class Multipliers(NamedTuple):
    """What a unit more of each asset, of cash, and of NAV itself adds to the objective; shape (n,) and numbers."""

    assets: Array
    cash: float
    nav: float


class Prices(NamedTuple):
    """What a fraction of NAV costs in the objective that is off target, or that cash lacks of the reserve."""

    off: float
    short: float


class Trades(NamedTuple):
    """What changes hands, as fractions of NAV, shape (n,); above 0 is bought.

    `nav_after` and `cash` are what is left of NAV, and of it in cash; `off` is
    how far all assets together are outside their bands, `short` what the cash
    lacks of the reserve.
    """

    amounts: Array
    nav_after: float
    cash: float
    off: float
    short: float
    prices: Prices
    multipliers: Multipliers
    method: str

    @property
    def objective(self) -> float:
        """NAV after less what being off target costs."""
        return self.nav_after - self.prices.off * self.off - self.prices.short * self.short


class _Scaled(NamedTuple):
    """The problem in fractions of NAV."""

    holding: Array
    weight: Array
    cash: float
    reserve: float
    band: float
    buys: Curves
    sells: Curves


def exact_trades(problem: RebalanceProblem, buys: Sequence[Offer], sells: Sequence[Offer]) -> Trades | None:
    """Return the trades that reach every target exactly, by bisection; None where the books are too thin for it.

    Args:
        problem: Holdings and targets; its aim is not looked at.
        buys, sells: What is offered of each constituent, in their order.
    """
    scaled = _scaled(problem, buys, sells, _KEPT)
    low = _nav_after(scaled)
    if low < _KEPT:
        scaled = _scaled(problem, buys, sells, 0.0)
        low = _nav_after(scaled)
    drift = scaled.weight * low - scaled.holding
    bought, sold = np.maximum(drift, 0.0), np.maximum(-drift, 0.0)
    if not (scaled.buys.holds(bought) & scaled.sells.holds(sold)).all():
        return None
    price = np.where(bought > 0, scaled.buys.last(bought), np.where(sold > 0, scaled.sells.last(sold), 1.0))
    whole = float(price @ scaled.weight) + scaled.reserve
    return _trades(
        scaled, drift, Prices(0.0, 0.0), Multipliers(price / whole, 1.0 / whole, 1.0 / whole), "bisection"
    )


def cheapest_trades(
    problem: RebalanceProblem, buys: Sequence[Offer], sells: Sequence[Offer], eps_bps: float
) -> Trades:
    """Return the trades that the aim is worth, by the LP on joined levels.

    Args:
        problem: Holdings, targets and aim.
        buys, sells: What is offered of each constituent, in their order.
        eps_bps: How much joined levels may overstate the cost of all, in bps of NAV.

    Raises:
        NumericalFailure: a target weight is above 0 and below 1e-7, or HiGHS found no optimum.
    """
    from etf_trader.solver.highs import minimise

    for constituent in problem.constituents:
        if 0 < float(constituent.weight) < SMALLEST:
            raise NumericalFailure(
                f"{constituent.asset} has a target of {constituent.weight}: too little for the LP",
                where=constituent.asset,
            )
    scaled = _scaled(problem, buys, sells)
    program = _Program(scaled, eps_bps, _price_off(problem))
    found = minimise(program.objective, program.high, equal=program.equal(), upper=program.cash_rows())
    nav = -float(found.equal_duals[-1])
    assets = found.equal_duals[:-1] / _BPS + nav
    cash = nav - float(found.upper_duals[0] - found.upper_duals[1:].sum()) / _BPS
    return _trades(scaled, program.amounts(found.x), program.prices, Multipliers(assets, cash, nav), "linprog")


class _Program:
    """Columns: bought and sold by segment; over, under, far over, far under by asset; V'; short."""

    def __init__(self, scaled: _Scaled, eps_bps: float, price_off: float | None) -> None:
        self.scaled, self.count, self.has_price = scaled, len(scaled.holding), price_off is not None
        share = np.maximum(np.maximum(scaled.weight, scaled.holding), 0.1 / self.count)
        eps = eps_bps / _BPS / 2 * share / share.sum()
        self.buy = scaled.buys.segments(np.minimum(scaled.weight + scaled.band, 1.0), eps)
        self.sell = scaled.sells.segments(scaled.holding, eps)
        self.lost = np.concatenate([self.buy.price - 1.0, 1.0 - self.sell.price])
        self.traded = len(self.lost)
        self.nav = self.traded + 4 * self.count
        dearest = float(self.lost.max(initial=0.0))
        off = 4.0 * dearest + 0.01 if price_off is None else price_off
        self.prices = Prices(off, 4.0 * max(off, dearest) + 0.01)
        near, far = np.full(2 * self.count, scaled.band), np.full(2 * self.count, 2.0)
        # V' is 1 at most by its row; a bound of its own there would take the price that belongs to the assets
        self.high = np.concatenate([self.buy.depth, self.sell.depth, near, far, [2.0, 1.0]])
        self.objective = np.zeros(self.nav + 2)
        self.objective[self.traded + 2 * self.count : self.nav] = self.prices.off * _BPS
        self.objective[self.nav :] = -_BPS, self.prices.short * _BPS

    def equal(self) -> "Rows":
        """Return the rows of being off target, one an asset, and that of NAV after, in bps."""
        from etf_trader.solver.highs import rows_of

        each = np.arange(self.count)
        way = np.concatenate([np.ones(len(self.buy.price)), -np.ones(len(self.sell.price))])
        off = np.tile(np.repeat([-1.0, 1.0], self.count), 2)
        lost = np.where(self.lost * _BPS < SMALLEST, 0.0, self.lost * _BPS)
        data = np.concatenate([way, off, -self.scaled.weight, lost, [_BPS]])
        last = np.full(self.traded + 1, self.count)
        row = np.concatenate([self.buy.row, self.sell.row, np.tile(each, 4), each, last])
        column = np.concatenate(
            [np.arange(self.nav), np.full(self.count, self.nav), np.arange(self.traded), [self.nav]]
        )
        return rows_of(data, row, column, np.append(-self.scaled.holding, _BPS), self.nav + 2)

    def cash_rows(self) -> "Rows":
        """Return the row that the cash keeps the reserve, and with a cost of tracking that it grows to no more."""
        from etf_trader.solver.highs import rows_of

        scaled = self.scaled
        reserve = scaled.reserve if scaled.reserve >= SMALLEST else 0.0
        paid = np.concatenate([self.buy.price, -self.sell.price])
        data = np.concatenate([paid, [reserve, -1.0]])
        column = np.concatenate([np.arange(self.traded), [self.nav, self.nav + 1]])
        row = np.zeros(len(data), dtype=np.intp)
        most = [scaled.cash]
        if self.has_price:
            data, column = np.concatenate([data, -paid]), np.concatenate([column, np.arange(self.traded)])
            row = np.concatenate([row, np.ones(self.traded, dtype=np.intp)])
            most.append(max(scaled.reserve - scaled.cash, 0.0))
        return rows_of(data, row, column, np.array(most), self.nav + 2)

    def amounts(self, x: Array) -> Array:
        """Return what each asset trades in all."""
        bought = np.bincount(self.buy.row, x[: len(self.buy.row)], self.count)
        sold = np.bincount(self.sell.row, x[len(self.buy.row) : self.traded], self.count)
        return (bought - sold).astype(np.float64)


def _price_off(problem: RebalanceProblem) -> float | None:
    """Return what a fraction of NAV outside its band costs; None: more than any trade."""
    return float(problem.aim.price_bps) / _BPS if isinstance(problem.aim, Tracking) else None


def _scaled(
    problem: RebalanceProblem, buys: Sequence[Offer], sells: Sequence[Offer], kept: float | None = None
) -> _Scaled:
    """Return the problem in fractions of NAV.

    Args:
        kept: Leave out what no exact target needs that trades while so much of NAV is left, or more.
    """
    nav = problem.nav
    value = float(nav)
    mids = np.array([float(each.mid) for each in problem.constituents])
    names = [each.asset for each in problem.constituents]
    holding = np.array([float(each.value) / value for each in problem.constituents])
    weight = np.array([float(each.weight) for each in problem.constituents])
    bought, sold = [True] * len(names), [True] * len(names)
    if kept is not None:
        bought, sold = (weight > holding).tolist(), (weight * kept < holding).tolist()
    return _Scaled(
        holding=holding,
        weight=weight,
        cash=float(problem.cash) / value,
        reserve=float(problem.reserve),
        band=float(problem.aim.width) if isinstance(problem.aim, Bands) else 0.0,
        buys=Curves(_ladders(buys, bought), mids, value, Side.BUY, names, _FIRST),
        sells=Curves(_ladders(sells, sold), mids, value, Side.SELL, names, _FIRST),
    )


def _ladders(offers: Sequence[Offer], wanted: Sequence[bool]) -> list[Sequence[Any]]:
    return [NetLadder(each) if is_wanted else () for each, is_wanted in zip(offers, wanted, strict=True)]


def _nav_after(scaled: _Scaled) -> float:
    """Return the most that NAV can be when all targets are reached: the last float that leaves the reserve."""
    nav = 1.0
    for _ in range(_ROUNDS):
        spare, falls = _spare_and_slope(scaled, nav)
        below = nav + spare / falls
        if spare >= 0.0 or below >= nav:
            break
        nav = below
    return _last(lambda nav: _spare(scaled, nav) >= 0.0, nav)


def _last(holds: Callable[[float], bool], near: float) -> float:
    """Return the last float up to 1 at which something holds that holds from 0 to somewhere `near`."""
    low, high, width = near, near, math.ulp(near)
    while low > 0.0 and not holds(low):
        low, high, width = max(low - width, 0.0), low, 2 * width
    while low == high < 1.0:
        above = min(low + width, 1.0)
        low, high, width = (above, above, 2 * width) if holds(above) else (low, above, width)
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _spare(scaled: _Scaled, nav: float) -> float:
    """Return the cash beyond the reserve when all targets of a NAV of `nav` are reached."""
    return _cash(scaled, scaled.weight * nav - scaled.holding) - scaled.reserve * nav


def _spare_and_slope(scaled: _Scaled, nav: float) -> tuple[float, float]:
    """Return the cash beyond the reserve at a NAV of `nav`, and what it falls by for each unit of NAV more."""
    drift = scaled.weight * nav - scaled.holding
    bought, sold = np.maximum(drift, 0.0), np.maximum(-drift, 0.0)
    paid, dearest = scaled.buys.cost_and_last(bought)
    brought, cheapest = scaled.sells.cost_and_last(sold)
    falls = float(np.where(sold > 0, cheapest, dearest) @ scaled.weight) + scaled.reserve
    cash = scaled.cash - float(paid.sum()) + float(brought.sum())
    return cash - scaled.reserve * nav, falls


def _cash(scaled: _Scaled, drift: Array) -> float:
    paid = scaled.buys.cost(np.maximum(drift, 0.0)).sum()
    return scaled.cash - float(paid) + float(scaled.sells.cost(np.maximum(-drift, 0.0)).sum())


def _trades(scaled: _Scaled, amounts: Array, prices: Prices, multipliers: Multipliers, method: str) -> Trades:
    """Return trades with their true cost: on all levels, from the best."""
    cash = _cash(scaled, amounts)
    holding = scaled.holding + amounts
    nav = float(holding.sum()) + cash
    off = np.maximum(np.abs(holding - scaled.weight * nav) - scaled.band, 0.0)
    short = max(scaled.reserve * nav - cash, 0.0)
    return Trades(amounts, nav, cash, float(off.sum()), short, prices, multipliers, method)
