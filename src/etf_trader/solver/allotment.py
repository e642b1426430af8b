"""Who gets which part of which level of one asset, exactly.

What meets inside is the best level of the longer side, at mid and without fee.
Between two freezes (a phase) the orders that are still active share every level
in proportion to what they need. Whole lots: the net is rounded up (buys) or
down (sells) once; what that adds or leaves belongs to the order that goes
furthest, ties to the first, in its last phase. Everything is counted in whole
quanta and split by largest remainder, so that parts add up to the last digit.

    need      base after fees that an order's units need beyond what it has (sell: has to sell)
    grain     1e-20, on which needs and what meets inside are counted
    grid      the commission quantum, on which parts of fills are counted
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.money import BASKET_GRID, ONE, UNIT_GRID, ZERO, apportion, ceil_to, divide_up, floor_to
from etf_trader.solver.lots import LegFill
from etf_trader.solver.problem import Leg

GRAIN = BASKET_GRID * UNIT_GRID
_SAME = 1e-9  # freezes nearer than this are one


class Want(NamedTuple):
    """What a column of `orders` orders wants of an asset while the common fraction goes from `begin` to `end`.

    `leg.residual` is what this column may use of its index's float, `room` what that float may take of it.
    """

    column: int
    side: Side
    leg: Leg
    units: Decimal
    begin: float
    end: float
    orders: int
    room: Decimal

    @property
    def need(self) -> Decimal:
        """The need; not positive when nothing must trade.

        The float's residual counts only in what goes to the venue anyway: it
        makes up whole lots, and neither meets anybody inside nor is in the way.
        """
        held, wanted = self.leg.held, self.leg.per_unit * self.units
        return wanted - held if self.side is Side.BUY else wanted + held


class Taken(NamedTuple):
    """What a column gets: `fill` on the venue, `crossed` inside; the rest as in a `Share`."""

    fill: LegFill
    crossed: Decimal
    phases: tuple[Decimal, ...]
    exact: Decimal
    margin: Decimal


class Offered(NamedTuple):
    """What somebody beside the orders buys or sells of an asset where they want the opposite: in base, at mid."""

    side: Side
    quantity: Decimal


class Allotted(NamedTuple):
    """One asset, shared out. `quantity` is the net on the venue; nothing goes there when it is 0.

    `beyond` is what the orders of the longer side need beyond what meets inside, base after fee.
    `levels` are (price, quantity before it) of those in use, `points` the common
    fraction at which each phase ends and `ends` what it has used then, without
    what lots add.
    """

    side: Side
    rule: SymbolRule
    grid: Decimal
    quantity: Decimal
    taken: dict[int, Taken]
    levels: tuple[tuple[Decimal, Decimal], ...]
    points: tuple[float, ...]
    ends: tuple[Decimal, ...]
    is_deep: bool
    beyond: Decimal


def grid_of(rule: SymbolRule) -> Decimal:
    """Return the grid of parts: the commission quantum, or the lot where that is finer."""
    return rule.step if rule.step % rule.base_quantum else rule.base_quantum


def allot_asset(wants: Sequence[Want], offered: Offered | None = None) -> Allotted:
    """Share one asset out among the columns that hold it; they meet inside first, then what is `offered`."""
    needs = {want.column: _grains(want) for want in wants}
    totals = {side: sum(needs[want.column] for want in wants if want.side is side) for side in Side}
    side = Side.BUY if totals[Side.BUY] >= totals[Side.SELL] else Side.SELL
    inside = min(totals.values())
    if offered is not None and offered.side is not side:
        inside = min(inside + int(offered.quantity / GRAIN), totals[side])
    long = [want for want in wants if want.side is side and needs[want.column]]
    market = _Market(long or wants, side)
    market.run({want.column: needs[want.column] for want in long}, inside)
    taken = {}
    for want in wants:
        crossed = market.crossed.get(want.column, 0) if want.side is side else needs[want.column]
        taken[want.column] = market.taken(want, crossed * GRAIN)
    return Allotted(
        side,
        market.rule,
        market.grid,
        market.quantity * market.grid,
        taken,
        tuple((price, start * market.grid) for price, start in market.levels),
        tuple(market.points),
        tuple(end * market.grid for end in market.ends),
        market.is_deep,
        (totals[side] - inside) * GRAIN,
    )


def _grains(want: Want) -> int:
    need = max(want.need, ZERO)
    return int((ceil_to if want.side is Side.BUY else floor_to)(need, GRAIN) / GRAIN)


class _Market:
    """The longer side of one asset: the orders on it, what meets inside, then the levels of the book."""

    def __init__(self, wants: Sequence[Want], side: Side) -> None:
        leg = wants[0].leg
        self.side, self.wants, self.rule, self.mid = side, wants, leg.rule, leg.mid
        self.book = leg.levels if wants[0].side is side else ()
        self.touch = self.book[0].price if self.book else leg.mid
        self.net = ONE - leg.rule.taker_fee
        self.grid = grid_of(leg.rule)
        self.step = int(leg.rule.step / self.grid)
        self.least = leg.rule.least_quantity(self.touch)
        self.points, self.last_phase = _phases(wants)
        self.crossed: dict[int, int] = {}
        self.exact: dict[int, Decimal] = {}
        self.margin = ZERO
        self.parts: list[list[int]] = []  # quanta by want and phase
        self.ends: list[int] = []
        self.levels: list[tuple[Decimal, int]] = []
        self.quantity = 0
        self.is_deep = self.is_minimal = False
        self._value = [ZERO] * len(wants)
        self._fee = [ZERO] * len(wants)
        self._fee_value = [ZERO] * len(wants)
        self._last = [self.touch] * len(wants)

    def run(self, needs: dict[int, int], inside: int) -> None:
        """Share out what meets inside, then the book."""
        if not needs:
            return
        beyond = self._meet([self._by_phase(want, place, needs) for place, want in enumerate(self.wants)], inside)
        self._gross_up(beyond)
        self._round_to_lots()
        self._walk()

    def _by_phase(self, want: Want, place: int, needs: dict[int, int]) -> list[int]:
        """Return the grains that a want needs in each phase."""
        need, span = needs[want.column], want.end - want.begin
        reached = []
        for phase, point in enumerate(self.points):
            if phase >= self.last_phase[place] or span <= 0:
                reached.append(need if phase >= self.last_phase[place] else 0)
            else:
                share = min(max((point - want.begin) / span, 0.0), 1.0)
                reached.append((need * int(share * 2**53) + 2**52) >> 53)
        return _steps(reached)

    def _meet(self, rows: list[list[int]], inside: int) -> list[list[int]]:
        """Let the first `inside` grains meet inside; return what is left by want and phase."""
        met = [0] * len(rows)
        for phase in range(len(self.points)):
            column = [row[phase] for row in rows]
            parts = apportion(min(inside, sum(column)), column)
            inside -= sum(parts)
            for place, part in enumerate(parts):
                met[place] += part
                rows[place][phase] -= part
        self.crossed = {want.column: met[place] for place, want in enumerate(self.wants)}
        return rows

    def _gross_up(self, beyond: list[list[int]]) -> None:
        """Turn needs into quanta of the book, with one quantum a level and order more where fees are rounded."""
        total = sum(map(sum, beyond)) * GRAIN
        if self.side is Side.BUY and self.rule.taker_fee:
            used = self._levels_of(divide_up(total, self.net, self.grid))
            self.margin = (used + 1) * self.grid if total else ZERO
        for place, want in enumerate(self.wants):
            need, residual = sum(beyond[place]) * GRAIN, want.leg.residual
            if self.side is Side.BUY:
                need = max(need - residual, ZERO)
                self.exact[want.column] = exact = divide_up(need, self.net, GRAIN)
                more = want.orders - 1 + want.orders * int(self.margin / self.grid)
                quanta = int(ceil_to(exact, self.grid) / self.grid) + more if need else 0
            else:
                self.exact[want.column] = need = need + residual if need else ZERO
                quanta = max(int(need // self.grid) - (want.orders - 1), 0)
            reached, row, whole = 0, [], sum(beyond[place])
            for part in beyond[place]:
                reached += part
                row.append(quanta * reached // whole if whole else 0)
            self.parts.append(_steps(row))
        running = 0
        for phase in range(len(self.points)):
            running += sum(row[phase] for row in self.parts)
            self.ends.append(running)

    def _levels_of(self, quantity: Decimal) -> int:
        """Return how many levels of the book a quantity uses."""
        for count, level in enumerate(self.book, 1):
            quantity -= level.quantity
            if quantity <= 0:
                return count
        return len(self.book)

    def _round_to_lots(self) -> None:
        """Round the net to whole lots of at least the venue's least order, and charge it to who goes furthest."""
        wanted = self.ends[-1]
        if not wanted:
            return
        queue = sorted(
            (place for place, row in enumerate(self.parts) if any(row)),
            key=lambda place: (-self.last_phase[place], self.wants[place].column),
        )
        if self.side is Side.BUY:
            self.quantity = max(-(-wanted // self.step) * self.step, int(self.least / self.grid))
            self.is_minimal = self.quantity > -(-wanted // self.step) * self.step
            self.parts[queue[0]][self.last_phase[queue[0]]] += self.quantity - wanted
            return
        self.quantity = wanted // self.step * self.step
        if self.quantity * self.grid < self.rule.least_quantity(self._price_at(self.quantity)):
            self.quantity, self.is_minimal = 0, True
        excess = wanted - self.quantity
        for place in queue:
            for phase in reversed(range(len(self.points))):
                cut = min(excess, self.parts[place][phase])
                self.parts[place][phase] -= cut
                excess -= cut

    def _price_at(self, quanta: int) -> Decimal:
        left = quanta * self.grid
        for price, quantity in self.book:
            left -= quantity
            if left <= 0:
                return price
        return self.book[-1].price if self.book else self.touch

    def _walk(self) -> None:
        """Go through phases and levels side by side; the last level goes on where the book ends."""
        left = [list(row) for row in self.parts]
        owed = [0.0] * len(left)
        number, start, inside_level = -1, 0, 0
        level: list[int] = [0] * len(left)
        price = self.touch
        for phase in range(len(self.points)):
            while to_place := sum(row[phase] for row in left):
                if inside_level == 0:
                    self._close(price, level, owed)
                    level = [0] * len(left)
                    number += 1
                    self.is_deep |= number >= len(self.book)
                    price = self.book[min(number, len(self.book) - 1)].price if self.book else self.touch
                    inside_level = to_place if self.is_deep else int(self.book[number].quantity / self.grid)
                    if inside_level == 0:
                        continue
                    self.levels.append((price, start))
                column = [row[phase] for row in left]
                parts = apportion(min(inside_level, to_place), column)
                taken = sum(parts)
                inside_level, start = inside_level - taken, start + taken
                for place, part in enumerate(parts):
                    left[place][phase] -= part
                    level[place] += part
        self._close(price, level, owed)

    def _close(self, price: Decimal, level: list[int], owed: list[float]) -> None:
        """Book what a level gave to each; its fee is rounded once, and split."""
        total = sum(level)
        if not total:
            return
        rate, quantum = self.rule.taker_fee, self.rule.fee_quantum(self.side)
        amount = total * self.grid
        charged = amount * rate if self.side is Side.BUY else amount * price * rate
        quanta = int(ceil_to(charged, quantum) / quantum)
        fees = apportion(quanta, level, owed) if quanta else [0] * len(level)
        for place, part in enumerate(level):
            if part:
                fee = fees[place] * quantum
                owed[place] += quanta * part / total - fees[place]
                self._value[place] += part * self.grid * price
                self._fee[place] += fee
                self._fee_value[place] += fee * price if self.side is Side.BUY else fee
                self._last[place] = price

    def taken(self, want: Want, crossed: Decimal) -> Taken:
        """Return what a want gets, with what the float takes of it."""
        place = next((index for index, each in enumerate(self.wants) if each.column == want.column), None)
        is_long = place is not None and bool(self.parts)
        row = self.parts[place] if place is not None and is_long else []
        quantity = sum(row) * self.grid
        at = place or 0
        value, fee, fee_value, last = (
            (self._value[at], self._fee[at], self._fee_value[at], self._last[at])
            if quantity
            else (ZERO, ZERO, ZERO, self.mid if crossed else want.leg.touch)
        )
        leg, wanted = want.leg, want.leg.per_unit * want.units
        if want.side is Side.BUY:
            surplus = leg.held + crossed + quantity - fee - wanted
            surplus = surplus if quantity or crossed else min(surplus, want.room)
        else:
            surplus = min(leg.held + wanted - crossed - quantity, want.room)
        fill = LegFill(
            quantity, value, fee, fee_value, last, surplus, self.is_deep and is_long, self.is_minimal and is_long
        )
        phases = tuple(part * self.grid for part in row)
        return Taken(fill, crossed, phases, self.exact.get(want.column, ZERO) if is_long else ZERO, self.margin)


def _phases(wants: Sequence[Want]) -> tuple[list[float], list[int]]:
    """Return the common fractions at which orders freeze, and the last phase of each want."""
    points: list[float] = []
    for end in sorted({want.end for want in wants}):
        if points and end - points[-1] <= _SAME * max(abs(end), 1e-3):
            points[-1] = end
        else:
            points.append(end)
    last = [next(phase for phase, point in enumerate(points) if want.end <= point) for want in wants]
    return points, last


def _steps(reached: Sequence[int]) -> list[int]:
    """Return the differences of running totals, none below 0."""
    return [max(now - before, 0) for before, now in zip([0, *reached[:-1]], reached, strict=True)]
