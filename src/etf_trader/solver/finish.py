"""From fractions to whole units: the largest near them that keep every limit of every order, exactly.

Floats have found how far each order gets. Here every asset is shared out in
whole lots and quanta, and every limit is looked at again with what each order
really gets. An order that breaks one shrinks by about what is too much, and
everything it touches is shared out again; sizes only fall, so that it ends.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from etf_trader.market.symbol import Side
from etf_trader.money import BPS, ONE, UNIT_GRID, ZERO, ceil_to, divide, divide_up, floor_to
from etf_trader.solver.allotment import Allotted, Offered, Taken, Want, allot_asset
from etf_trader.solver.problem import Leg, OrderProblem
from etf_trader.solver.standing import Prices, Standing, rounding
from etf_trader.solver.stops import in_order

SIZES = 10
"""Orders of a column that bounds its loss have the same number of digits: they are within this factor."""

_ROUNDS = 60
_PATIENCE = 3  # estimates of what is too much, before an order shrinks by leaps
_LEAP = 8
_PING_PONG = 10  # rounds
_HAIR = 100_000
_EFFORT = 5_000  # columns of an asset that are shared out again to give back what was too much
_FINE = 20  # halvings: a millionth of an order is not missed


@dataclass(frozen=True, slots=True)
class Ask:
    """Orders of one index that are solved as one: their sum, and how many there are.

    `problem` has the residuals that they may use, and no other column does.
    """

    index: str
    problem: OrderProblem
    orders: int


class Fault(NamedTuple):
    """A limit that a column breaks, and by how many steps of the unit grid it should shrink.

    `is_rounding` says that it is a book that is too short by a hair.
    """

    name: str
    steps: int
    is_rounding: bool = False


class Finish:
    """The columns of one solve and their sizes; orders and assets as in the asks."""

    def __init__(
        self,
        asks: Sequence[Ask],
        fractions: Sequence[float],
        stops: Sequence[tuple[str, ...]],
        offered: Mapping[str, Offered] | None = None,
    ) -> None:
        self.asks = asks
        self.offered = offered or {}
        self.stops = list(stops)
        self.fractions = list(fractions)
        self.steps = [
            min(round(fraction * float(ask.problem.quantity / UNIT_GRID)), int(ask.problem.quantity / UNIT_GRID))
            if fraction < 1.0
            else int(ask.problem.quantity / UNIT_GRID)
            for ask, fraction in zip(asks, fractions, strict=True)
        ]
        self.allotted: dict[str, Allotted] = {}
        self.prices = [Prices(ask.problem) for ask in asks]
        self._wanted, self._most = list(self.steps), list(self.steps)
        self._is_out = [False] * len(asks)
        self._tries = [0] * len(asks)
        self._refused: dict[int, int] = {}  # the least size of a column that broke a limit
        self._faults: list[set[str]] = [set() for _ in asks]
        self._legs: dict[str, list[tuple[int, Leg]]] = {}
        for column, ask in enumerate(asks):
            for leg in ask.problem.legs:
                self._legs.setdefault(leg.asset, []).append((column, leg))

    def begin_at(self, sizes: Sequence[Decimal]) -> None:
        """Begin with these units of each column, instead of with what the fractions come to."""
        for column, units in enumerate(sizes):
            self._resize(column, int(units / UNIT_GRID))
        self._wanted, self._most = list(self.steps), list(self.steps)

    def run(self) -> None:
        """Shrink what breaks a limit until nothing does, then give back what was too much of that."""
        self._settle(self._legs)
        self._regrow()
        dusty = [column for column in range(len(self.asks)) if self._is_dust(column)]
        for column in dusty:
            self.steps[column] = 0
        if dusty:
            self._settle(self._assets_of(dusty))

    def units(self, column: int) -> Decimal:
        """The units of a column."""
        return self.steps[column] * UNIT_GRID

    def taken(self, column: int) -> dict[str, Taken]:
        """Return what a column gets of each of its assets; nothing of those it does not trade."""
        legs = self.asks[column].problem.legs
        traded = [leg.asset for leg in legs if leg.asset in self.allotted]
        found = {asset: self.allotted[asset].taken.get(column) for asset in traded}
        return {asset: taken for asset, taken in found.items() if taken is not None}

    def stopped_by(self, column: int) -> tuple[str, ...]:
        """Return what stops a column, in canonical order."""
        if self.steps[column] == int(self.asks[column].problem.quantity / UNIT_GRID):
            return ("filled",)
        before, faults = self.stops[column], self._faults[column]
        if before == ("filled",) or (faults and self.steps[column] * 100 < self._wanted[column] * 99):
            before = tuple(faults)
        return in_order(before)

    def _settle(self, assets: Iterable[str]) -> None:
        self._allot(assets)
        for number in range(1, _ROUNDS + 1):
            faults = self._all_faults()
            if not faults:
                return
            if number % _PING_PONG == 0 and all(fault.is_rounding for fault in faults.values()):
                self._scale(10 ** (number // _PING_PONG), {fault.name for fault in faults.values()})
                continue
            for column, fault in faults.items():
                self._shrink(column, fault)
            self._allot(self._assets_of(faults))
        while faults := self._all_faults():
            for column, fault in faults.items():
                self._faults[column].add(fault.name)
                self.steps[column], self._is_out[column] = 0, True
            self._allot(self._assets_of(faults))

    def _scale(self, parts: int, names: set[str]) -> None:
        """Bring all columns down by `parts` in a thousand million of what the fractions said.

        Where a book on either side of an asset is used up to the last, one order
        that gives way by a hair takes from another what it was to meet inside.
        All together keep what they meet.
        """
        for column, wanted in enumerate(self._wanted):
            steps = min(self._most[column], wanted - -(-wanted * parts // 10**9))
            if not self._is_out[column]:
                self._resize(column, max(steps, 0))
                self._tries[column] = 0
                self._faults[column] |= names
        self._allot(sorted(self._legs))

    def _regrow(self) -> None:
        """Halve the way back to the least size that broke a limit, column by column, while effort lasts."""
        effort = _EFFORT
        for column, refused in sorted(self._refused.items()):
            low, high = self.steps[column], refused
            touched = [leg.asset for leg in self.asks[column].problem.legs]
            each = sum(len(self._legs[asset]) for asset in touched)
            while high - low > max(refused >> _FINE, 1) and effort > each and not self._is_out[column]:
                effort -= each
                middle = (low + high) // 2
                before = dict(self.allotted)
                self._resize(column, middle)
                self._allot(touched)
                if self._all_faults():
                    high = middle
                    self._resize(column, low)
                    self.allotted = before
                else:
                    low = middle

    def _resize(self, column: int, steps: int) -> None:
        self.steps[column] = steps
        self.fractions[column] = steps / max(int(self.asks[column].problem.quantity / UNIT_GRID), 1)

    def _shrink(self, column: int, fault: Fault) -> None:
        self._faults[column].add(fault.name)
        if self.steps[column] == 0:
            self._is_out[column] = True
        self._tries[column] += 1
        leap = _LEAP ** max(self._tries[column] - _PATIENCE, 0)
        self._refused[column] = self.steps[column]
        self._resize(column, max(self.steps[column] - max(fault.steps, leap), 0))
        if not fault.is_rounding:
            self._most[column] = self.steps[column]
        if self.steps[column] == 0 and any(taken.fill.is_minimal for taken in self.taken(column).values()):
            self._faults[column].add("minimum")

    def _is_dust(self, column: int) -> bool:
        problem, units = self.asks[column].problem, self.units(column)
        return 0 < units < problem.quantity and units * problem.nav < problem.least_value

    def _assets_of(self, columns: Iterable[int]) -> list[str]:
        return sorted({leg.asset for column in columns for leg in self.asks[column].problem.legs})

    def _allot(self, assets: Iterable[str]) -> None:
        for asset in assets:
            wants = [self._want(column, leg) for column, leg in self._legs[asset] if self._trades(column, leg)]
            if wants:
                self.allotted[asset] = allot_asset(wants, self.offered.get(asset))
            else:
                self.allotted.pop(asset, None)

    def _trades(self, column: int, leg: Leg) -> bool:
        if self._is_out[column]:
            return False
        return self.steps[column] > 0 or (self.asks[column].problem.side is Side.SELL and leg.held > 0)

    def _want(self, column: int, leg: Leg) -> Want:
        ask, units, fraction = self.asks[column], self.units(column), self.fractions[column]
        least = leg.rule.least_quantity(leg.touch)
        room = max(least - leg.residual, ZERO)
        begin, side = 0.0, ask.problem.side
        if leg.held and leg.per_unit:
            begin = side.sign * float(leg.held) / float(leg.per_unit * max(ask.problem.quantity, UNIT_GRID))
        return Want(column, side, leg, units, begin, fraction, ask.orders, room)

    def _all_faults(self) -> dict[int, Fault]:
        """Return what the columns break, at most one fault each; a depth before a limit of the orders' own."""
        faults: dict[int, Fault] = {}
        for asset in sorted(self.allotted):
            if self.allotted[asset].is_deep:
                column, fault = self._too_deep(asset)
                faults.setdefault(column, fault)
        if faults:
            return faults
        standings = {column: self.standing(column) for column in range(len(self.asks)) if self.taken(column)}
        for column, standing in standings.items():
            fault_of = self._own_fault(column, standing)
            if fault_of is not None:
                faults[column] = fault_of
        return faults or self._float_faults(standings)

    def standing(self, column: int, at: Mapping[str, Decimal] | None = None) -> Standing:
        """Return the totals of a column; `at` are the prices of its orders, instead of the last level's."""
        problem = self.asks[column].problem
        return self.prices[column].standing(problem, self.units(column), self.taken(column), at or {})

    def _own_fault(self, column: int, standing: Standing) -> Fault | None:
        problem, prices = self.asks[column].problem, self.prices[column]
        sign = problem.side.sign
        if problem.limit is not None and sign * (standing.limited - problem.limit * prices.scale) > 0:
            return Fault("limit", self._retreat(column, standing))
        if problem.max_loss_bps is not None:
            units = problem.units_done + self.units(column)
            allowed = problem.max_loss_bps * units * problem.arrival_nav / BPS
            excess = problem.loss_done + standing.loss + self._spread(column) - allowed
            if excess > 0:
                dearest = problem.arrival_nav * (ONE + sign * problem.max_loss_bps / BPS)
                slope = sign * (divide(standing.marginal, prices.scale) - dearest)
                return Fault("loss", _steps_up(excess, slope) if slope > 0 else 1)
        if problem.cash is not None and problem.side is Side.BUY and standing.reserve > problem.cash:
            per_unit = divide(standing.marginal, prices.scale)
            return Fault("cash", _steps_up(standing.reserve - problem.cash, per_unit) if per_unit > 0 else 1)
        return None

    def _spread(self, column: int) -> Decimal:
        """Return what a column's loss must leave, so that every order of it keeps its own bound.

        Parts are whole quanta, so that one order may get a few more than its
        share; the smallest has at least a tenth of the largest one's units.
        """
        orders = self.asks[column].orders
        if orders == 1:
            return ZERO
        legs = {leg.asset: leg for leg in self.asks[column].problem.legs}
        each = sum((rounding(legs[asset], taken) for asset, taken in self.taken(column).items()), ZERO)
        return SIZES * orders * each

    def _too_deep(self, asset: str) -> tuple[int, Fault]:
        """Return who goes furthest on a book that is too short, and by how much."""
        allotted = self.allotted[asset]
        excess = _excess(allotted)
        takers = [column for column, taken in allotted.taken.items() if taken.fill.is_deep and taken.fill.quantity]
        # who gets all its units is asked last: it would no longer be filled
        column = max(takers, key=lambda each: (self.fractions[each] < 1.0, self.fractions[each], -each))
        leg = next(leg for leg in self.asks[column].problem.legs if leg.asset == asset)
        steps = _steps_up(excess, leg.per_unit)
        return column, Fault(leg.end, steps, steps <= max(self.steps[column] // _HAIR, 16))

    def _float_faults(self, standings: Mapping[int, Standing]) -> dict[int, Fault]:
        faults = {}
        for index in sorted({ask.index for ask in self.asks}):
            mine = [column for column in standings if self.asks[column].index == index]
            pays = sum((standings[column].float_pays for column in mine), ZERO)
            if mine and pays > self.asks[mine[0]].problem.float_cash:
                column = max(mine, key=lambda each: (standings[each].float_pays, -each))
                faults[column] = Fault("float", self._to_fewer_lots(column))
        return faults

    def _to_fewer_lots(self, column: int) -> int:
        """Return about the steps after which the dearest of what the float takes of a column is a lot less."""
        problem = self.asks[column].problem
        taken = self.taken(column)
        legs = [leg for leg in problem.legs if leg.per_unit and leg.asset in taken]
        leg = max(legs, key=lambda each: taken[each.asset].fill.surplus * each.mid)
        allotted = self.allotted[leg.asset]
        wanted = allotted.ends[-1] if allotted.ends else ZERO
        if problem.side is Side.BUY:
            return _steps_up(max(wanted - allotted.quantity + leg.rule.step, leg.rule.step / 8), leg.per_unit)
        return _steps_up(max(wanted - allotted.quantity, leg.rule.step / 8), leg.per_unit)

    def _retreat(self, column: int, standing: Standing) -> int:
        """Return about the steps after which a column's last levels are cheap enough for its limit."""
        problem, prices = self.asks[column].problem, self.prices[column]
        excess = abs(float(standing.limited - (problem.limit or ZERO) * prices.scale))
        ways = []
        for leg in problem.legs:
            taken = self.taken(column).get(leg.asset)
            if taken is not None and taken.fill.quantity:
                allotted = self.allotted[leg.asset]
                number = max(place for place, level in enumerate(allotted.levels) if level[0] == taken.fill.last)
                ways.append((_way_back(leg, allotted, taken, number), leg.asset, number))
        heapify(ways)
        slopes = {leg.asset: slope for leg, slope in zip(problem.legs, prices.slopes, strict=True)}
        back = 0.0
        while ways and excess > 0:
            back, asset, number = heappop(ways)
            if number == 0:
                return self.steps[column]
            allotted = self.allotted[asset]
            excess -= abs(float(slopes[asset] * (allotted.levels[number][0] - allotted.levels[number - 1][0])))
            leg = next(each for each in problem.legs if each.asset == asset)
            taken = self.taken(column)[asset]
            heappush(ways, (_way_back(leg, allotted, taken, number - 1), asset, number - 1))
        return int(back * float(problem.quantity / UNIT_GRID)) + 2


def _way_back(leg: Leg, allotted: Allotted, taken: Taken, number: int) -> float:
    """Return the fraction by which a column must come down to leave level `number`."""
    phase = max((place for place, part in enumerate(taken.phases) if part), default=0)
    start = allotted.levels[number][1]
    if allotted.side is Side.BUY and phase == len(allotted.ends) - 1:
        start = floor_to(start, leg.rule.step)
    before = allotted.ends[phase - 1] if phase else ZERO
    span = allotted.points[phase] - (allotted.points[phase - 1] if phase else 0.0)
    used = float(allotted.ends[phase] - before)
    return float(allotted.ends[phase] - start) / used * span if used else 0.0


def _excess(allotted: Allotted) -> Decimal:
    """Return by how much the need of an asset, before it is made whole lots, is more than its book can serve."""
    wanted, step = allotted.ends[-1], allotted.rule.step
    lots = floor_to(allotted.levels[-1][1], step)
    if any(taken.fill.is_minimal for taken in allotted.taken.values()):
        return wanted  # the least order is more than there is: only no need at all is served
    return wanted - lots if allotted.side is Side.BUY else max(wanted - lots - step, ZERO) + allotted.grid


def _steps_up(amount: Decimal, each: Decimal) -> int:
    """Return the steps of the unit grid that are worth `amount` at `each` a unit, and one more."""
    return int(ceil_to(divide_up(amount, each, UNIT_GRID), UNIT_GRID) / UNIT_GRID) + 1 if each else 1
