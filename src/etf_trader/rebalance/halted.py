"""A rebalance around what cannot trade: it stays, and the others share what it leaves. Pure."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from decimal import Decimal

from etf_trader.index.methodology import RebalanceRule
from etf_trader.market.book import OrderBook
from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.money import ZERO, divide_down
from etf_trader.rebalance.drift import Drift, drifts

_GRID = Decimal("1e-12")


def is_halted(book: OrderBook, rule: SymbolRule) -> bool:
    """Return whether an asset cannot trade now: its market is closed, or a side has no price that it takes."""
    if not (rule.is_trading and book.bids and book.asks):
        return True
    return not (book.accepted(Side.BUY, rule)[0] and book.accepted(Side.SELL, rule)[0])


def price_of(book: OrderBook) -> Decimal:
    """Return the mid of a book, of one with one side its best price; 0 of one without any."""
    price = book.price
    return ZERO if price is None else price


def drifts_around(
    weights: Mapping[str, Decimal],
    targets: Mapping[str, Decimal],
    rule: RebalanceRule,
    stuck: AbstractSet[str],
) -> tuple[Drift, ...]:
    """Return how far each asset has drifted; what is stuck stays, the others share what that leaves."""
    if not stuck:
        return drifts(weights, targets, rule)
    whole = sum(targets.values(), ZERO)
    others = sum((weight for asset, weight in targets.items() if asset not in stuck), ZERO)
    left = max(whole - sum((weights.get(asset, ZERO) for asset in stuck), ZERO), ZERO)
    open_targets = {
        asset: divide_down(weight * left, others, _GRID) for asset, weight in targets.items() if asset not in stuck
    }
    held = {asset: weight for asset, weight in weights.items() if asset not in stuck}
    staying = [
        Drift(asset, weights.get(asset, ZERO), targets.get(asset, ZERO), ZERO)
        for asset in stuck
        if asset in weights or targets.get(asset)
    ]
    return tuple(sorted([*drifts(held, open_targets, rule), *staying], key=lambda each: each.asset))
