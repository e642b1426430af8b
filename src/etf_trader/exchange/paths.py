"""Random numbers and paths as pure functions of seed, place and time: nothing is stored, nothing drawn in order.

Floats pass through +, -, *, / and sqrt alone, which IEEE 754 rounds correctly,
and randomness is BLAKE2: every platform computes the same.
"""

from collections.abc import Callable
from hashlib import blake2b
from math import sqrt
from typing import Generic, TypeVar

Value = TypeVar("Value")

_REMEMBERED = 4096
_LEVELS = 30
"""The path is refined by halving an interval of 2^30 s (34 years) down to 1 s."""
_STATIONARY = 23
"""Intervals beyond 2^23 s (97 days) swing no wider than these: prices keep near where they began."""
_GROUP = 3
"""So many halvings share one hash: 1 + 2 + 4 nodes of 8 bytes each."""
_NORMAL_MEAN, _NORMAL_SD = 8 * 127.5, sqrt(8 * (65536 - 1) / 12)
"""Of the sum of eight random bytes, near enough to a normal variable."""
_SECONDS_PER_DAY = 86_400


class Path:
    """A Brownian path of log prices from 0 at the epoch, by midpoint displacement (Lévy's construction).

    The value of a second is a sum over the halvings that lead to it, each with a
    hashed normal variable: any second costs the same ten hashes.
    """

    def __init__(self, key: bytes, daily_volatility: float) -> None:
        """Make the path; `daily_volatility` is the standard deviation of a day's log return."""
        self._key = key
        per_second = daily_volatility / sqrt(_SECONDS_PER_DAY)
        # An interval of length L displaces its middle by a standard deviation of sqrt(L) / 2.
        self._displacement = [
            per_second * sqrt(1 << min(_LEVELS - level, _STATIONARY)) / 2 / _NORMAL_SD for level in range(_LEVELS)
        ]

    def value(self, second: int) -> float:
        """Return the log price in a second since the epoch, relative to the epoch's."""
        total = 0.0
        for level in range(_LEVELS):
            length_bits = _LEVELS - level  # this halving cuts intervals of 2^length_bits seconds
            group, depth = divmod(level, _GROUP)
            if depth == 0:
                numbers = digest(self._key, group, 0, second >> length_bits, 56)
            node = (1 << depth) - 1 + ((second >> length_bits) & ((1 << depth) - 1))
            into = second & ((1 << length_bits) - 1)
            half = 1 << (length_bits - 1)
            height = (into if into <= half else 2 * half - into) / half
            normal = sum(numbers[8 * node : 8 * node + 8]) - _NORMAL_MEAN
            total += self._displacement[level] * normal * height
        return total


class Remembered(Generic[Value]):
    """A function of a place in time whose last values are kept: one place is asked about many times."""

    def __init__(self, make: Callable[[int], Value], most: int = _REMEMBERED) -> None:
        self._make = make
        self._most = most
        self._values: dict[int, Value] = {}

    def __call__(self, place: int) -> Value:
        """Return the value of a place, made once."""
        value = self._values.get(place)
        if value is None:
            if len(self._values) >= self._most:
                self._values.clear()
            value = self._values[place] = self._make(place)
        return value


def normal(eight: bytes) -> float:
    """Return a standard normal variable, near enough, from eight random bytes."""
    return (sum(eight) - _NORMAL_MEAN) / _NORMAL_SD


def key(seed: int, *names: str) -> bytes:
    """Return the key of one of a seed's sources of randomness."""
    return blake2b("/".join((str(seed), *names)).encode(), digest_size=32).digest()


def digest(key: bytes, kind: int, place: int, time: int, size: int) -> bytes:
    """Return `size` random bytes, the same for the same arguments."""
    data = kind.to_bytes(1, "big") + place.to_bytes(8, "big", signed=True) + time.to_bytes(8, "big", signed=True)
    return blake2b(data, digest_size=size, key=key).digest()
