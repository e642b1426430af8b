"""The prices of shared asset orders: one order an asset, and more only where a limit forbids its price.

An order that stops early may pay as much as the others where its own limits
allow it: then all share one price. Where they do not, the phases up to its last
one go to the venue at its own last price, first: whoever is in them shares
every level, and no fill beyond that price can become its own.
"""

from collections.abc import Mapping
from decimal import Decimal

from etf_trader.market.symbol import Side
from etf_trader.money import ceil_to, floor_to
from etf_trader.solver.allotment import Allotted
from etf_trader.solver.finish import Finish
from etf_trader.solver.shares import Slice
from etf_trader.solver.slack import Last, with_slack


def worst_prices(finish: Finish) -> list[dict[str, Decimal]]:
    """Return, by column and asset, the worst price that an order of ours may have for it."""
    own = [_own_prices(finish, column) for column in range(len(finish.asks))]
    common: dict[str, Decimal] = {}
    for asset, allotted in finish.allotted.items():
        prices = [mine[asset] for mine in own if asset in mine]
        if prices:
            common[asset] = max(prices) if allotted.side is Side.BUY else min(prices)
    return [
        {asset: common[asset] for asset in mine} if _accepts(finish, column, mine, common) else mine
        for column, mine in enumerate(own)
    ]


def slices(allotted: Allotted, worst: Mapping[int, Decimal]) -> tuple[Slice, ...]:
    """Return the venue's orders in one asset, best price first; `worst` are the columns' own worst prices.

    Each has whole lots, and at least the venue's least order. What is too small
    for an order of its own goes with the better price, where no limit breaks.
    """
    rule, sign = allotted.rule, allotted.side.sign
    prices = sorted({worst[column] for column in _takers(allotted)}, key=lambda price: price * sign)
    found: list[Slice] = []
    sent = Decimal(0)
    for price, following in zip(prices, [*prices[1:], None], strict=True):
        left = allotted.quantity - sent
        size = left
        if following is not None:
            due, shared = _until(allotted, {c for c, last in worst.items() if (last - price) * sign <= 0})
            needed = ceil_to(due - sent, rule.step)
            if needed <= 0:
                continue
            spare = left - rule.least_quantity(following)
            size = max(needed, rule.least_quantity(price), floor_to(min(shared - sent, spare), rule.step))
            if size > spare:
                size = left
        if size > 0:
            found.append(Slice(size, price))
            sent += size
    return tuple(found)


def _takers(allotted: Allotted) -> dict[int, tuple[Decimal, ...]]:
    """Return what each column takes of the book, by phase."""
    return {column: taken.phases for column, taken in allotted.taken.items() if taken.fill.quantity}


def _until(allotted: Allotted, bound: set[int]) -> tuple[Decimal, Decimal]:
    """Return what all take until the last phase of `bound`: with only their part of that phase, and with all."""
    takers = _takers(allotted)
    mine = [phases for column, phases in takers.items() if column in bound]
    phase = max(place for phases in mine for place, part in enumerate(phases) if part)
    before = sum((sum(phases[:phase], Decimal(0)) for phases in takers.values()), Decimal(0))
    own = sum((phases[phase] for phases in mine), Decimal(0))
    return before + own, before + sum((phases[phase] for phases in takers.values()), Decimal(0))


def too_small(finish: Finish, prices: list[dict[str, Decimal]]) -> set[int]:
    """Return the columns whose part of an asset is too small for an order of its own, where it needs one.

    The venue's least order may be more than the book has at their price: they
    wait, rather than that others do not fill.
    """
    waiting: set[int] = set()
    for asset, allotted in finish.allotted.items():
        worst = {column: prices[column][asset] for column in _takers(allotted)}
        parts: dict[Decimal, Decimal] = {}
        for column, price in worst.items():
            parts[price] = parts.get(price, Decimal(0)) + allotted.taken[column].fill.quantity
        if len(parts) > 1 and not _all_fill(allotted, slices(allotted, worst)):
            least = min(parts, key=lambda price: (parts[price], price))
            waiting |= {column for column, price in worst.items() if price == least}
    return waiting


def _all_fill(allotted: Allotted, sent: tuple[Slice, ...]) -> bool:
    """Return whether the book fills every slice within its price, one after the other."""
    ends = [start for _, start in allotted.levels[1:]]
    reached = Decimal(0)
    for quantity, price in sent:
        reached += quantity
        within = [
            end
            for (level, _), end in zip(allotted.levels, [*ends, allotted.quantity], strict=True)
            if (level - price) * allotted.side.sign <= 0
        ]
        if reached > max(within, default=Decimal(0)):
            return False
    return True


def _own_prices(finish: Finish, column: int) -> dict[str, Decimal]:
    """Return the last price of each leg with the slack that the order's own limit and cash leave."""
    problem, prices = finish.asks[column].problem, finish.prices[column]
    standing, taken = finish.standing(column), finish.taken(column)
    lasts = [
        Last(leg, slope, got.fill.last, got.fill.quantity, finish.allotted[leg.asset].quantity)
        for leg, slope in zip(problem.legs, prices.slopes, strict=True)
        if (got := taken.get(leg.asset)) is not None and got.fill.quantity
    ]
    own = with_slack(problem, lasts, prices.scale, standing.limited, standing.reserve)
    return {each.leg.asset: price for each, price in zip(lasts, own, strict=True)}


def _accepts(finish: Finish, column: int, own: Mapping[str, Decimal], common: Mapping[str, Decimal]) -> bool:
    """Return whether every limit of a column holds at the common prices."""
    if all(common[asset] == price for asset, price in own.items()):
        return True
    problem, prices = finish.asks[column].problem, finish.prices[column]
    if problem.max_loss_bps is not None:
        return False
    at = {asset: common[asset] for asset in own}
    standing = finish.standing(column, at)
    if problem.limit is not None and (standing.limited - problem.limit * prices.scale) * problem.side.sign > 0:
        return False
    return problem.cash is None or problem.side is Side.SELL or standing.reserve <= problem.cash
