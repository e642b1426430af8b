"""In which order a rebalance is sent: sells before the buys they fund, in as few waves as the cash allows."""

from collections.abc import Sequence
from decimal import Decimal

from etf_trader.market.symbol import Side
from etf_trader.money import ZERO
from etf_trader.solver.rebalance_lots import LegTrade


def wave_numbers(trades: Sequence[LegTrade], cash: Decimal, reserve: Decimal) -> list[int]:
    """Return the wave of each trade, from 1; 0 for one that does nothing.

    All sells go first, and with them the buys, the largest first, that the cash
    above the reserve covers even when they fill at the prices of their orders.
    The other buys wait for what the sells bring.

    Args:
        trades: One for each asset, in order of name.
        cash: What is there before, in quote.
        reserve: What must stay, in quote.
    """
    waves = [0 if each.is_idle else 1 if each.side is Side.SELL else 2 for each in trades]
    room = max(cash - reserve, ZERO)
    for position in sorted(range(len(trades)), key=lambda place: trades[place].cash):
        worst = trades[position].beyond - trades[position].cash
        if waves[position] == 2 and worst <= room:
            waves[position] = 1
            room -= worst
    if 1 not in waves:
        waves = [min(each, 1) for each in waves]
    return waves
