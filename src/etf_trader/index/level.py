"""The index as a benchmark: its level, which no cost and no change of constituents moves.

The fund follows it and pays for that; what the two differ by is the tracking
difference. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from etf_trader.errors import MissingPrice
from etf_trader.money import BASKET_GRID, DIGITS, ONE, ZERO, divide, divide_down, money_context

LEVEL_GRID = Decimal("1e-8")
"""Levels are told in steps of this size."""

_DIVISOR_GRID = Decimal("1e-30")

Prices = Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What the index would hold, by asset, and what its value is divided by."""

    quantities: Mapping[str, Decimal]
    divisor: Decimal = ONE

    def value(self, prices: Prices) -> Decimal:
        """Return what it would hold is worth.

        Raises:
            MissingPrice: a constituent has no price; names it.
        """
        total = ZERO
        for asset, quantity in self.quantities.items():
            if asset not in prices:
                raise MissingPrice(f"{asset} has no price: the level cannot be told", where=asset)
            total += quantity * prices[asset]
        return total

    def level(self, prices: Prices) -> Decimal:
        """Return the level at `prices`, on the level grid."""
        return divide(self.value(prices), self.divisor, LEVEL_GRID)

    def weights(self, prices: Prices) -> dict[str, Decimal]:
        """Return the weights to which prices have moved it."""
        value = self.value(prices)
        return {asset: divide(quantity * prices[asset], value) for asset, quantity in self.quantities.items()}

    def reweighted(self, weights: Mapping[str, Decimal], prices: Prices) -> "Benchmark":
        """Return the benchmark with these weights at the fixing `prices`: its level there is the same as before.

        Args:
            weights: By asset, together 1; an asset of weight 0 leaves.
            prices: Of everything that it holds, and of everything that it is to hold.
        """
        value = self.value(prices)
        wanted = {asset: weight for asset, weight in weights.items() if weight}
        quantities = {
            asset: divide_down(weight * value, prices[asset], BASKET_GRID) for asset, weight in wanted.items()
        }
        return Benchmark(quantities, self.divisor).continuing(self, prices)

    def swapped(self, old: str, new: str, ratio: Decimal) -> "Benchmark":
        """Return the benchmark after each `old` became `ratio` of `new`, which changes no value."""
        quantities = dict(self.quantities)
        gained = quantities.pop(old) * ratio
        quantities[new] = quantities.get(new, ZERO) + gained
        return Benchmark(quantities, self.divisor)

    def at_level(self, level: Decimal, prices: Prices) -> "Benchmark":
        """Return what this holds with the divisor at which its level at `prices` is `level`, which is above 0."""
        return Benchmark(self.quantities, divide(self.value(prices), level, _DIVISOR_GRID))

    def continuing(self, before: "Benchmark", prices: Prices) -> "Benchmark":
        """Return what this holds with the divisor at which its level at `prices` is that of `before`."""
        with money_context(2 * DIGITS):  # a product of a value and a divisor has more digits than money has
            divisor = divide(self.value(prices) * before.divisor, before.value(prices), _DIVISOR_GRID)
        return Benchmark(self.quantities, divisor)
