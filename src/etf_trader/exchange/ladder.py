"""The levels of one symbol's book: how deep, where, and how they come and go."""

from decimal import Decimal
from math import sqrt
from typing import NamedTuple

from etf_trader.exchange.market import Depth, MarketBook
from etf_trader.exchange.paths import digest

REACH_BPS = 500.0
"""How far from mid the books end."""
CELLS = 16
"""Levels per doubling of the distance from the best price."""


def _size_weights() -> tuple[float, ...]:
    """Return 256 equally likely level sizes of mean 1: Lomax with tail exponent 2, median 0.44, largest 23."""
    raw = [1 / sqrt(1 - (k + 0.5) / 256) - 1 for k in range(256)]
    mean = sum(raw) / len(raw)
    return tuple(weight / mean for weight in raw)


_WEIGHTS = _size_weights()


class Shape(NamedTuple):
    """How a book looks in the mean; depths are what one side is worth in USDT."""

    depth: float
    """Within 100 bps of mid."""
    eighths: int
    """Depth grows as distance^(eighths / 8) from 10 to 100 bps; before it at least, beyond it at most linearly."""
    touch: float
    """At the best price beyond what the depth curve puts there."""
    spread: int
    """Ticks between the best prices, at least."""
    wide: int
    """In how many of 256 seconds the spread is a tick or more wider; two more draws may widen it further."""
    recovery: float
    """Seconds after which 1/e of what was taken at the touch is still missing."""


class Ladder:
    """The books of one symbol around mids that are given from outside."""

    def __init__(
        self, key: bytes, shape: Shape, tick: str, step: str, start_ticks: float, doubt: float = 0.0
    ) -> None:
        """Make the books.

        Args:
            key: Where their randomness comes from.
            shape: How they look.
            tick: Grid of prices, quote per base.
            step: Grid of quantities, base.
            start_ticks: About where the mid is, in ticks.
            doubt: How far, as a fraction, a mid that is given may be from the true one; the best
                prices stand on either side of the true one all the same.
        """
        self.shape = shape
        self.tick, self.step = Decimal(tick), Decimal(step)
        self.tick_size, self._step_size = float(tick), float(step)
        self._bps_per_tick = self.tick_size * 1e4 / (start_ticks * self.tick_size)
        self._sizes = key
        self._doubt = doubt

    def book(self, second: int, mid: float, unit: float = 1.0) -> MarketBook:
        """Return the book of a second since the epoch.

        Args:
            second: The second.
            mid: What the base is worth then in ticks of the quote, between or on them.
            unit: What one unit of the quote is worth in USDT.
        """
        bid, ask = self.best(second, mid)
        return MarketBook(
            bids=self._side(second, mid, bid, -1, unit),
            asks=self._side(second, mid, ask, 1, unit),
            update_id=1_000_000_000 + second,
            complete=True,
        )

    def best(self, second: int, mid: float) -> tuple[int, int]:
        """Return the best bid and the best ask of a second, in ticks."""
        state = digest(self._sizes, 0xFF, 0, second, 8)
        spread, wide = self.shape.spread, self.shape.wide
        if state[0] < wide:
            spread += 1 + (state[1] < wide) + (state[2] < wide)
        bid = int(mid - spread / 2 + 0.5)  # the pair of ticks that stands nearest around the mid
        ask = bid + spread
        if bid > mid - mid * self._doubt:
            bid -= 1
        if ask < mid + mid * self._doubt:
            ask += 1
        return bid, ask

    def _side(self, second: int, mid: float, best: int, sign: int, unit: float) -> tuple[Depth, ...]:
        """Return one side's levels, best first; ticks are mirrored (times `sign`) so that both walk upwards.

        Price is cut into cells that double in width as the distance doubles, on a
        grid that does not move with the mid; each cell has one level, at a tick of
        its own, that holds the depth curve's increase over the cell times its size.
        """
        mid, best = mid * sign, best * sign
        level_size = _Sizes(self._sizes, second, self._bps_per_tick)
        curve = _Curve(self.shape, abs(mid))
        scale = self._depth_now(second, sign) / self._step_size / self.tick_size / unit
        end = mid + max(abs(mid) * REACH_BPS / 1e4, 6.0)
        tick, step = self.tick, self.step

        below = curve.depth(best + 0.5 - mid)
        weight, _ = level_size(0, best * sign)
        quantity = int((below + self.shape.touch * weight) * scale / abs(best))
        levels = [Depth(best * sign * tick, max(quantity, 1) * step)]
        position, shift = best + 1, 0
        while position < end and position * sign != 0:
            while (position - best) >> (shift + 1) >= CELLS:
                shift += 1
            cell = position >> shift
            after = (cell + 1) << shift
            weight, offset = level_size(shift, cell * sign)
            level = max(position, (cell << shift) + ((offset << shift) >> 8))
            above = curve.depth(after - 0.5 - mid)
            quantity = int((above - below) * weight * scale / abs(level))
            levels.append(Depth(level * sign * tick, max(quantity, 1) * step))
            position, below = after, above
        return tuple(levels)

    def _depth_now(self, second: int, sign: int) -> float:
        """Return how deep the side is now: 0.75 to 1.25, in the mean 1, with another target every 5 minutes."""
        interval, into = divmod(second, 300)
        side = 0 if sign > 0 else 1
        here = digest(self._sizes, 0xFE, 0, interval, 2)[side]
        there = digest(self._sizes, 0xFE, 0, interval + 1, 2)[side]
        return 0.75 + (here + (there - here) * (into / 300)) / 510


class _Curve:
    """Expected depth of one side in USDT by distance from the mid in ticks.

    Three powers of the distance meet at 10 and at 100 bps. Near the touch books
    are at least as thin as a straight line, far away they thin out again.
    """

    def __init__(self, shape: Shape, mid: float) -> None:
        self._per_tick = 100.0 / mid  # one tick in units of 100 bps of the mid
        self._depth = shape.depth
        self._inner, self._middle, self._outer = max(8, shape.eighths), shape.eighths, min(8, shape.eighths)
        self._depth_at_10_bps = self._depth * power(0.1, self._middle)

    def depth(self, ticks: float) -> float:
        """Return the USDT expected up to `ticks` from the mid."""
        distance = ticks * self._per_tick
        if distance < 0.1:
            return self._depth_at_10_bps * power(distance * 10, self._inner)
        return self._depth * power(distance, self._middle if distance < 1 else self._outer)


def power(base: float, eighths: int) -> float:
    """Return base ^ (eighths / 8) by square roots, which every platform rounds alike; `pow` may differ."""
    half = sqrt(base)
    quarter = sqrt(half)
    result = 1.0
    for _ in range(eighths >> 3):
        result *= base
    if eighths & 4:
        result *= half
    if eighths & 2:
        result *= quarter
    if eighths & 1:
        result *= sqrt(quarter)
    return result


class _Sizes:
    """Sizes and places of levels in one second: smooth in time, independent between cells."""

    def __init__(self, key: bytes, second: int, bps_per_tick: float) -> None:
        self._key, self._second, self._bps_per_tick = key, second, bps_per_tick
        self._blocks: dict[tuple[int, int], tuple[bytes, bytes, bytes, float]] = {}

    def __call__(self, shift: int, cell: int) -> tuple[float, int]:
        """Return the weight (mean 1) of a cell's level and its place in the cell in 256ths."""
        block, index = cell >> 6, cell & 63
        known = self._blocks.get((shift, block))
        if known is None:
            known = self._blocks[shift, block] = self._make(shift, block)
        before, after, places, part = known
        weight = _WEIGHTS[before[index]]
        return weight + (_WEIGHTS[after[index]] - weight) * part, places[index]

    def _make(self, shift: int, block: int) -> tuple[bytes, bytes, bytes, float]:
        # Sizes near the mid turn over in seconds, those far away in minutes.
        distance = (CELLS << shift) * self._bps_per_tick
        period = 8 if distance < 5 else 32 if distance < 50 else 128
        epoch, into = divmod(self._second + block * 5 + shift * 3, period)
        return (
            digest(self._key, shift, block, epoch, 64),
            digest(self._key, shift, block, epoch + 1, 64),
            digest(self._key, shift | 0x80, block, 0, 64),
            into / period,
        )
