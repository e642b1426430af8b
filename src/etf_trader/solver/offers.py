"""What a rebalance can trade of an asset: inside against open index orders first, then the venue's book.

    buying   ordered < 0   inside at mid, as much as the orders sell; then all asks
             ordered > 0   the asks that the orders leave
    selling  ordered > 0   inside at mid, as much as the orders buy; then all bids
             ordered < 0   the bids that the orders leave

So an order never pays more than without the rebalance, what both trade inside
costs neither of them anything, and no level is sold twice.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from etf_trader.market.book import Level
from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.money import BPS, ONE, ZERO, divide_up
from etf_trader.solver.certificate import BookSide
from etf_trader.solver.rebalance_problem import Constituent


class Offer(NamedTuple):
    """What one side of an asset offers to the fund.

    `inside` is what trades against the orders at mid without fee, in base;
    `levels` what is left for the fund on the venue, best first.
    """

    side: Side
    asset: str
    quote: str
    mid: Decimal
    fee: Decimal
    inside: Decimal
    levels: Sequence[Level]

    def sides(self) -> list[BookSide]:
        """Return it as sides of books, the one inside without fee."""
        venue = BookSide(self.side, self.asset, self.quote, self.fee, self.levels)
        if not self.inside:
            return [venue]
        return [BookSide(self.side, self.asset, self.quote, ZERO, [(self.mid, self.inside)]), venue]

    def within(self, most: Decimal) -> "Offer":
        """Return the best `most` of it, in base."""
        inside = min(self.inside, most)
        left = most - inside
        if left <= 0:
            return self._replace(inside=inside, levels=())
        for place, (price, quantity) in enumerate(self.levels):
            if quantity >= left:
                return self._replace(inside=inside, levels=(*self.levels[:place], Level(price, left)))
            left -= quantity
        return self._replace(inside=inside)


def offer(
    constituent: Constituent,
    side: Side,
    max_cross_spread_bps: Decimal,
    *,
    with_orders: bool = True,
    venue: bool = True,
) -> Offer:
    """Return what the fund can trade of an asset on `side`.

    Args:
        constituent: The asset, its book and what is ordered of it.
        side: Whether the fund buys or sells.
        max_cross_spread_bps: The widest spread at which fund and orders trade inside.
        with_orders: Whether they do at all.
        venue: Whether the book may be used.
    """
    against = -side.sign * constituent.ordered
    levels: Sequence[Level] = constituent.levels(side) if venue and not constituent.is_halted else ()
    inside = ZERO
    if constituent.is_halted:
        pass
    elif against < 0:
        levels = behind(levels, side, constituent.ordered, constituent.rule)
    elif against > 0 and with_orders:
        spread = constituent.asks[0].price - constituent.bids[0].price
        if spread * BPS <= max_cross_spread_bps * constituent.mid:
            inside = against
        else:
            levels = ()  # both at the venue would trade with each other
    rule = constituent.rule
    return Offer(side, constituent.asset, rule.quote, constituent.mid, rule.taker_fee, inside, levels)


def behind(levels: Sequence[Level], side: Side, ordered: Decimal, rule: SymbolRule) -> Sequence[Level]:
    """Return the levels of a book that the orders leave; all of them where they want the opposite of `side`.

    Args:
        levels: Best first.
        side: Whether the fund buys or sells.
        ordered: What the orders want of the asset, netted, in base after fee; below 0 they sell.
        rule: Of its market.
    """
    same = side.sign * ordered
    if same <= 0:
        return levels
    net = ONE - rule.taker_fee if side is Side.BUY else ONE
    return _left(levels, divide_up(same, net, rule.step))


def _left(levels: Sequence[Level], taken: Decimal) -> Sequence[Level]:
    """Return the levels after the best `taken` are gone."""
    for position, (price, quantity) in enumerate(levels):
        if quantity > taken:
            return (Level(price, quantity - taken), *levels[position + 1 :])
        taken -= quantity
    return ()


def net_demand(orders: Iterable[tuple[Side, Decimal, Mapping[str, Decimal]]]) -> dict[str, Decimal]:
    """Return what index orders want of each asset, netted with each other, in base; below 0 they sell.

    Args:
        orders: Side, units that are to fill, and basket of each.
    """
    demand: dict[str, Decimal] = {}
    for side, units, basket in orders:
        for asset, per_unit in basket.items():
            demand[asset] = demand.get(asset, ZERO) + side.sign * per_unit * units
    return demand
