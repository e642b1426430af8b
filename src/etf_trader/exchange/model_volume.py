"""What others trade in the model market: a pure function of seed, symbol and time, in whole steps.

A day's volume is drawn and shared out among its hours, an hour's among its
minutes, and a minute's evenly: each share is a difference of rounded running
sums, so that any two spans that adjoin add up exactly, and any span costs three
hashes for each of its days and one more for each of its ends.

`docs/market-model.md` describes it and names its sources.
"""

from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import cache
from itertools import accumulate

from etf_trader.exchange.paths import Remembered, digest, key, normal

HOURS = (
    45, 40, 36, 33, 31, 30, 31, 34, 40, 37, 36, 37,
    43, 53, 60, 61, 58, 52, 46, 42, 40, 38, 38, 39,
)  # fmt: skip
"""How much is traded in each hour (UTC) of a day in proportion to the others, in the mean; 1000 together."""

WEEKDAY, WEEKEND = 1.097, 0.757
"""Of a mean day: a day of the weekend has 0.69 of the volume of another, and a week the mean."""
COMMON, OWN = 0.52, 0.41
"""Standard deviations of the logarithm of a day's volume: what all symbols have in common, and a symbol's own."""

_MINUTE = 60_000_000
_HOUR, _DAY = 60 * _MINUTE, 24 * 60 * _MINUTE
_OF_DAY, _OF_HOURS, _OF_MINUTES = range(3)
_MOST_DAYS, _MOST_HOURS = 4096, 256

_CONTEXT = Context(prec=40, rounding=ROUND_HALF_EVEN)


@cache
def _minute_weights() -> tuple[int, ...]:
    """Return 256 equally likely weights of minutes: exponential, mean about 1000."""
    tails = [_CONTEXT.divide(Decimal(2 * k + 1), Decimal(512)) for k in range(256)]
    return tuple(int(_CONTEXT.multiply(_CONTEXT.ln(tail), Decimal(-1000))) for tail in tails)


class DayVolumes:
    """How busy each day is for all symbols together."""

    def __init__(self, seed: int) -> None:
        self._key = key(seed, "volume")
        self.busyness = Remembered(self._make, _MOST_DAYS)
        """By day since the epoch, in the mean 1 over a week."""

    def _make(self, day: int) -> float:
        of_week = WEEKEND if day % 7 >= 5 else WEEKDAY  # the epoch is a Monday
        return of_week * _busyness(digest(self._key, _OF_DAY, 0, day, 8), COMMON)


class Volume:
    """What others trade in one symbol."""

    def __init__(self, key: bytes, mean_steps: Callable[[int], float], days: DayVolumes) -> None:
        """Make the volume.

        Args:
            key: Where its randomness comes from.
            mean_steps: Steps that a day since the epoch has in the mean.
            days: How busy each day is.
        """
        self._key = key
        self._mean_steps = mean_steps
        self._days = days
        self._hours = Remembered(self._make_hours, _MOST_DAYS)
        self._minutes = Remembered(self._make_minutes, _MOST_HOURS)

    def steps(self, start: int, end: int) -> int:
        """Return what is traded in [start, end), microseconds since the epoch, in steps; 0 or more."""
        if end <= start:
            return 0
        first, last = start // _DAY, end // _DAY
        whole = sum(self._hours(day)[-1] for day in range(first, last))
        return whole + self._until(last, end % _DAY) - self._until(first, start % _DAY)

    def _until(self, day: int, into: int) -> int:
        """Return what is traded from the beginning of a day to a time of it."""
        if into == 0:
            return 0
        hour, into = divmod(into, _HOUR)
        minute, into = divmod(into, _MINUTE)
        minutes = self._minutes(day * 24 + hour)
        part = (minutes[minute + 1] - minutes[minute]) * into // _MINUTE
        return self._hours(day)[hour] + minutes[minute] + part

    def _make_hours(self, day: int) -> Sequence[int]:
        """Return what is traded from the beginning of a day to each of its hours, and to its end."""
        own = _busyness(digest(self._key, _OF_DAY, 0, day, 8), OWN)
        total = int(self._mean_steps(day) * self._days.busyness(day) * own)
        noise = digest(self._key, _OF_HOURS, 0, day, 24)
        return _running(total, [share * (64 + byte) for share, byte in zip(HOURS, noise, strict=True)])

    def _make_minutes(self, hour: int) -> Sequence[int]:
        """Return what is traded from the beginning of an hour to each of its minutes, and to its end."""
        day, of_day = divmod(hour, 24)
        hours = self._hours(day)
        noise = digest(self._key, _OF_MINUTES, 0, hour, 60)
        weights = _minute_weights()
        return _running(hours[of_day + 1] - hours[of_day], [weights[byte] for byte in noise])


def _busyness(eight: bytes, deviation: float) -> float:
    """Return a lognormal variable of mean 1."""
    exponent = deviation * normal(eight) - deviation * deviation / 2
    return float(_CONTEXT.exp(Decimal.from_float(exponent)))


def _running(total: int, weights: Sequence[int]) -> Sequence[int]:
    """Return the running sums of `total` shared out by `weights`, from 0 to `total`."""
    whole = sum(weights)
    return [total * sum_so_far // whole for sum_so_far in accumulate(weights, initial=0)]
