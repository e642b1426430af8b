"""Below every plan over these books, whoever found the multipliers: the certificate over assets and currencies.

A currency's balance may be spent at its mid, and what a plan leaves of it counts
at its mid: where a multiplier is above the mid the balance seems to gain,
where it is below, what is left does, and the bound is lower by that.
"""

from collections.abc import Mapping
from decimal import Decimal

from etf_trader.market.symbol import Side
from etf_trader.money import ONE, ZERO, ceil_to, floor_to
from etf_trader.solver.certificate import BOUND_GRID, BookSide, all_digits, least_cost, need_of
from etf_trader.solver.network import Network


def cash_bound(
    network: Network, prices: Mapping[str, Decimal], units: Decimal, left: Mapping[str, Decimal]
) -> Decimal:
    """Return the least cash, in the home currency, that any plan for `units` could pay for its trades.

    Limits, lots, minimums and slots only make a plan dearer. Of a sell it is the
    most cash that any plan could bring. Rounded outward to the bound's grid.

    Args:
        network: The order's books and balances.
        prices: Multiplier of each node, home currency a unit of it; 1 for the home currency.
        units: Index units.
        left: What a plan leaves in each currency beyond what was there, at most.
    """
    side = network.side
    books = [
        BookSide(arc.side, arc.rule.base, arc.rule.quote, arc.rule.taker_fee, arc.levels) for arc in network.arcs
    ]
    required = dict.fromkeys(network.balances, ZERO)
    for leg in network.legs:
        required[leg.asset] = required.get(leg.asset, ZERO) + side.sign * need_of(leg, side, units)
    with all_digits():
        bound = least_cost(books, prices, required)
        for name, balance in network.balances.items():
            if name != network.home:
                under = network.mids[name] - prices[name]
                bound += min(under, ZERO) * (balance or ZERO) + min(-under, ZERO) * left.get(name, ZERO)
        return floor_to(bound, BOUND_GRID) if side is Side.BUY else ceil_to(-bound, BOUND_GRID)


def multipliers(network: Network, ratios: Mapping[str, float]) -> dict[str, Decimal]:
    """Return a decimal price of each node from what a solver found over its mid; 1 for the home currency.

    A solver's price of the home currency is divided out: where cash binds, all prices carry its premium.
    """
    home = ratios[network.home] if ratios[network.home] > 0 else 1.0
    found = {}
    for name, mid in network.mids.items():
        price = max(ratios[name], 0.0) / home * float(mid)
        found[name] = Decimal(f"{price:.14e}")
    return found | {network.home: ONE}
