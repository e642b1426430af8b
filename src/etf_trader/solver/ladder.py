"""One side of a book with running totals, read only as deep as it is asked."""

from bisect import bisect_left
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from etf_trader.errors import DataError
from etf_trader.market.book import Level
from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.money import ZERO, ceil_to


class Take(NamedTuple):
    """What a quantity costs on a ladder.

    `value` is sum(price x quantity) in quote, before fee. `fee` is in what is
    received (buy: base; sell: quote) and `fee_value` the same in quote. `last`
    is the price of the last level used; of a quantity of zero, the touch.
    """

    value: Decimal
    fee: Decimal
    fee_value: Decimal
    last: Decimal


class Ladder:
    """Levels of one side, best first, with prefix sums of quantity, value and fee.

    Levels are read, checked and added up one by one as a question reaches
    them: a small order on a book of 5000 levels costs a few levels. The venue
    rounds each fill's fee, so the fee of every level is rounded up to a whole
    quantum of the asset it is taken in.
    """

    def __init__(self, levels: Sequence[Level], rule: SymbolRule, side: Side, empty_price: Decimal) -> None:
        """Take the levels of one side and read the first; without any, `touch` is `empty_price`.

        Raises:
            DataError: a level, now or when it is read, is not finite, not positive or out of order.
        """
        self._levels = levels
        self._side = side
        self._symbol = rule.symbol
        self._rate = rule.taker_fee
        self._quantum = rule.fee_quantum(side)
        self._prices: list[Decimal] = []
        self._ends: list[Decimal] = [ZERO]  # entry k: sum over the first k levels; so for the three below
        self._values: list[Decimal] = [ZERO]
        self._fees: list[Decimal] = [ZERO]
        self._fee_values: list[Decimal] = [ZERO]
        self._read_to(rule.step)
        self.touch = self._prices[0] if levels else empty_price

    def __bool__(self) -> bool:
        return bool(self._levels)

    def holds(self, quantity: Decimal) -> bool:
        """Return whether the ladder is at least `quantity` deep."""
        self._read_to(quantity)
        return self._ends[-1] >= quantity

    def depth(self) -> Decimal:
        """Return the quantity of all levels, having read them all."""
        self._read_to(Decimal("Infinity"))
        return self._ends[-1]

    def take(self, quantity: Decimal) -> Take:
        """Return what `quantity` costs; beyond the depth, as if the last level went on."""
        if quantity <= 0:
            return Take(ZERO, ZERO, ZERO, self.touch)
        self._read_to(quantity)
        before = bisect_left(self._ends, quantity) - 1
        last = self._prices[before] if before < len(self._prices) else self._last()
        rest = quantity - self._ends[before]
        fee, fee_value = self._fee(last, rest)
        value = self._values[before] + rest * last
        return Take(value, self._fees[before] + fee, self._fee_values[before] + fee_value, last)

    def _last(self) -> Decimal:
        return self._prices[-1] if self._prices else self.touch

    def _fee(self, price: Decimal, quantity: Decimal) -> tuple[Decimal, Decimal]:
        if self._rate == 0:
            return ZERO, ZERO
        if self._side is Side.BUY:
            fee = ceil_to(quantity * self._rate, self._quantum)
            return fee, fee * price
        fee = ceil_to(quantity * price * self._rate, self._quantum)
        return fee, fee

    def _read_to(self, quantity: Decimal) -> None:
        """Read levels until they hold `quantity`: the inner loop of every plan, hence its local names."""
        levels, prices, sign = self._levels, self._prices, self._side.sign
        ends, values, fees, fee_values = self._ends, self._values, self._fees, self._fee_values
        end, value = ends[-1], values[-1]
        last = prices[-1] if prices else None
        while end < quantity and len(prices) < len(levels):
            price, size = levels[len(prices)]
            if not (price.is_finite() and size.is_finite() and price > 0 and size > 0):
                raise DataError(f"{self._symbol}: a level of {size} at {price} is no level", where=self._symbol)
            if last is not None and (price - last) * sign <= 0:
                raise DataError(f"{self._symbol}: level {price} after {last} is out of order", where=self._symbol)
            fee, fee_value = self._fee(price, size)
            end, value, last = end + size, value + price * size, price
            prices.append(price)
            ends.append(end)
            values.append(value)
            fees.append(fees[-1] + fee)
            fee_values.append(fee_values[-1] + fee_value)
