"""A node's lots: how much of each of its books, in whole lots, covers what it needs or sells what it has.

A continuous plan names the books and their totals. Here all but the first of a
node's books get their total in whole lots, or nothing where that is below the
venue's least order; the first takes the remainder by the residual rule, and
where it gives out, the next ones do. So a remainder too small for a second book
goes to the first.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from etf_trader.market.symbol import Side
from etf_trader.money import ONE, ZERO, ceil_to, divide_down, divide_up, floor_to, share_down
from etf_trader.solver.ladder import Ladder
from etf_trader.solver.network import Arc

_GRAIN = Decimal("1e-6")  # of a lot: what a float total may lack of a whole one


class ArcFill(NamedTuple):
    """What is traded on one arc: base gross of fee, value and fee as in `Take`, and the price of the order.

    `orders` is into how many the venue's largest size splits it. `paid` leaves
    the source at most when the order fills at its own price, `got` reaches the
    target at least; `spent` and `received` are expected.
    """

    quantity: Decimal
    value: Decimal
    fee: Decimal
    fee_value: Decimal
    last: Decimal
    price: Decimal
    spent: Decimal
    received: Decimal
    paid: Decimal
    got: Decimal
    orders: int


class ArcLots:
    """One arc in whole lots."""

    def __init__(self, arc: Arc, slack_ticks: int) -> None:
        self.arc = arc
        self.rule = arc.rule
        self.net = ONE - arc.rule.taker_fee
        self.ladder = Ladder(arc.levels, arc.rule, arc.side, empty_price=arc.mid)
        self.slack_ticks = slack_ticks

    def fill(self, quantity: Decimal) -> ArcFill:
        """Return what `quantity` does."""
        take = self.ladder.take(quantity)
        price = self._order_price(quantity, take.last) if quantity else take.last
        orders = self.rule.order_count(quantity, price)
        if self.arc.side is Side.BUY:
            received = quantity - take.fee
            return ArcFill(quantity, *take, price, take.value, received, quantity * price, received, orders)
        worst = quantity * price
        fee = ceil_to(worst * self.rule.taker_fee, self.rule.quote_quantum)
        return ArcFill(quantity, *take, price, quantity, take.value - take.fee, quantity, worst - fee, orders)

    def planned(self, total: Decimal, units: Decimal, of: Decimal) -> Decimal:
        """Return the whole lots of `total` x units / of; 0 below the least order."""
        grain = _GRAIN * self.rule.step
        lots = self._within(share_down(total + grain, units, of, self.rule.step))
        return lots if lots >= self.least(lots) else ZERO

    def covering(self, need: Decimal) -> Decimal:
        """Return the least lots, and at least the least order, of which `need` arrives.

        What the book has where it has less, and 0 where that is below the least order.
        """
        step, rate = self.rule.step, self.net * self.ladder.touch
        quantity = divide_up(need, self.net if self.arc.side is Side.BUY else rate, step)
        while (missing := need - self.fill(quantity).received) > 0 and self.ladder.holds(quantity):
            last = ONE if self.arc.side is Side.BUY else self.ladder.take(quantity).last
            quantity += divide_up(missing, last, step)
        lots = self._within(max(quantity, self.least(quantity)))
        return lots if lots >= self.least(lots) else ZERO

    def selling(self, have: Decimal) -> Decimal:
        """Return the most lots for which `have` of the source surely suffices; 0 below the least order."""
        if have <= 0:
            return ZERO
        step, is_sell = self.rule.step, self.arc.side is Side.SELL
        lots = self._within(floor_to(have, step) if is_sell else divide_down(have, self.ladder.touch, step))
        while (over := self.fill(lots).paid - have) > 0:
            lots = max(lots - divide_up(over, self.fill(lots).price, step), ZERO)
        return lots if lots >= self.least(lots) else ZERO

    def least(self, quantity: Decimal) -> Decimal:
        """Return the venue's least order: of a buy at the touch, of a sell at the last level of `quantity`."""
        is_buy = self.arc.side is Side.BUY
        return self.rule.least_quantity(self.ladder.touch if is_buy else self.ladder.take(quantity).last)

    def _within(self, quantity: Decimal) -> Decimal:
        """Return `quantity`, or the whole lots on a book that has less; a deep book is not read to its end."""
        return quantity if self.ladder.holds(quantity) else floor_to(self.ladder.depth(), self.rule.step)

    def _order_price(self, quantity: Decimal, last: Decimal) -> Decimal:
        """Return the last level's price and the slack beyond it, as far as the venue accepts it."""
        side, rule = self.arc.side, self.rule
        ticks = rule.ticks_beyond(side, self.arc.mid, last, quantity, self.slack_ticks)
        return last + side.sign * ticks * rule.tick


class Supply(NamedTuple):
    """The arcs that serve a node, by number, the first taking the remainder; and the continuous total of each."""

    arcs: tuple[int, ...]
    totals: tuple[Decimal, ...]


def supplied(
    lots: Sequence[ArcLots], supply: Supply, need: Decimal, units: Decimal, of: Decimal
) -> tuple[dict[int, ArcFill], bool]:
    """Return the fills that bring `need` to a node, and whether the books gave out."""
    fills: dict[int, ArcFill] = {}
    rest = need
    for number, total in zip(supply.arcs[1:], supply.totals[1:], strict=True):
        quantity = lots[number].planned(total, units, of) if rest > 0 else ZERO
        fills[number] = lots[number].fill(quantity)
        rest -= fills[number].received
    for number in supply.arcs:
        if rest <= 0:
            break
        before = fills[number].received if number in fills else ZERO
        fills[number] = lots[number].fill(lots[number].covering(rest + before))
        rest -= fills[number].received - before
    return fills, rest > 0


def sold(
    lots: Sequence[ArcLots], supply: Supply, have: Decimal, units: Decimal, of: Decimal
) -> tuple[dict[int, ArcFill], bool]:
    """Return the fills that sell what a node has, in whole lots, and whether the books gave out."""
    fills: dict[int, ArcFill] = {}
    rest = have
    for number, total in zip(supply.arcs[1:], supply.totals[1:], strict=True):
        fill = lots[number].fill(lots[number].planned(total, units, of))
        fills[number] = fill if fill.paid <= rest else lots[number].fill(lots[number].selling(rest))
        rest -= fills[number].paid
    for number in supply.arcs:
        before = fills[number].paid if number in fills else ZERO
        fills[number] = lots[number].fill(lots[number].selling(rest + before))
        rest -= fills[number].paid - before
    first = lots[supply.arcs[0]]
    least = first.least(ZERO) * (ONE if first.arc.side is Side.SELL else first.ladder.touch)
    return fills, rest >= max(least, first.rule.step)
