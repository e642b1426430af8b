"""From the fractions of a rebalance to whole lots that can be paid, exactly.

Trades are rounded to the nearest lot; one below the venue's least order is not
done. What is bought must be paid for even when every order fills at its own
price, out of the cash that is there and what the sells bring, and the reserve
stays: the buys give up lots until it does.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from etf_trader.market.symbol import Side
from etf_trader.money import ONE, ZERO, ceil_to, divide, floor_to, round_to
from etf_trader.solver.ladder import Ladder, Take
from etf_trader.solver.offers import Offer
from etf_trader.solver.rebalance_problem import Constituent, RebalanceProblem

_FINE = Decimal("1e-18")


class LegTrade(NamedTuple):
    """One asset in whole lots: `quantity` on the venue, gross of fee, and `inside` at mid; in base.

    `is_small` says that it is below the least order, and nothing is sent. `change`
    is what is held more, in base; `cash` what it brings, below 0 for a buy; `cost`
    what NAV at mid loses.
    """

    side: Side
    mid: Decimal
    inside: Decimal
    quantity: Decimal
    take: Take
    is_small: bool
    change: Decimal
    cash: Decimal
    cost: Decimal

    @classmethod
    def of(
        cls, side: Side, mid: Decimal, inside: Decimal, quantity: Decimal, take: Take, *, is_small: bool = False
    ) -> "LegTrade":
        """Return the trade with what follows from it."""
        if side is Side.BUY:
            change, cash = quantity - take.fee + inside, -take.value - inside * mid
        else:
            change, cash = -quantity - inside, take.value - take.fee + inside * mid
        return cls(side, mid, inside, quantity, take, is_small, change, cash, -cash - change * mid)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is traded."""
        return not (self.quantity or self.inside)

    @property
    def beyond(self) -> Decimal:
        """What a buy pays more when all of it fills at its last price."""
        return self.quantity * self.take.last - self.take.value if self.side is Side.BUY else ZERO


class LegBook:
    """What one asset can trade on one side, in lots."""

    def __init__(self, constituent: Constituent, made: Offer) -> None:
        self.rule, self.offer = constituent.rule, made
        self.holding = constituent.holding
        self.ladder = Ladder(made.levels, self.rule, made.side, empty_price=constituent.mid)

    def nearest(self, wanted: Decimal) -> LegTrade:
        """Return the trade of the whole lots nearest to `wanted`, base that arrives (sell: leaves)."""
        side, step = self.offer.side, self.rule.step
        most = self.holding if side is Side.SELL else wanted
        inside = min(
            round_to(wanted, self.rule.base_quantum), self.offer.inside, floor_to(most, self.rule.base_quantum)
        )
        rest = max(min(wanted, most) - inside, ZERO)
        gross = divide(rest, ONE - self.rule.taker_fee, _FINE) if side is Side.BUY else rest
        lots = round_to(gross, step)
        if not self.ladder.holds(lots):
            lots = floor_to(self.ladder.depth(), step)
        if side is Side.SELL:
            lots = min(lots, floor_to(self.holding - inside, step))
        return self.of(inside, lots)

    def of(self, inside: Decimal, quantity: Decimal) -> LegTrade:
        """Return the trade of `quantity` on the venue, none of it when that is below the least order."""
        take = self.ladder.take(quantity)
        is_small = 0 < quantity < self.rule.least_quantity(take.last)
        if is_small:
            quantity, take = ZERO, self.ladder.take(ZERO)
        return LegTrade.of(self.offer.side, self.offer.mid, inside, quantity, take, is_small=is_small)


def affordable(problem: RebalanceProblem, books: Sequence[LegBook], trades: Sequence[LegTrade]) -> list[LegTrade]:
    """Return the trades with fewer lots bought, so that the worst they may cost leaves the reserve."""
    kept = list(trades)
    short = _short(problem, kept)
    beyond = sum((each.beyond for each in kept), ZERO)
    if short > 0 and beyond > 0:
        for position, each in enumerate(kept):
            if each.beyond:
                kept[position] = _less(books[position], each, divide(short * each.beyond, beyond, _FINE))
    while (short := _short(problem, kept)) > 0:
        buys = [position for position, each in enumerate(kept) if each.side is Side.BUY and not each.is_idle]
        if not buys:
            break
        least = {position: _least_cash(books[position], kept[position]) for position in buys}
        enough = [position for position in buys if least[position] >= short]
        chosen = min(enough, key=least.__getitem__) if enough else max(buys, key=least.__getitem__)
        kept[chosen] = _less(books[chosen], kept[chosen], short)
    return kept


def _least_cash(book: LegBook, trade: LegTrade) -> Decimal:
    """Return what one lot less saves at most; of a trade inside alone, one quantum less."""
    return trade.take.last * book.rule.step if trade.quantity else trade.mid * book.rule.base_quantum


def _less(book: LegBook, trade: LegTrade, cash: Decimal) -> LegTrade:
    """Return a buy that pays at least `cash` less at its last price, on the venue as far as it goes; or none."""
    if trade.quantity:
        step = book.rule.step
        lots = ceil_to(divide(cash, trade.take.last, _FINE), step)
        return book.of(trade.inside, max(trade.quantity - max(lots, step), ZERO))
    quantum = book.rule.base_quantum
    less = ceil_to(divide(cash, trade.mid, _FINE), quantum)
    inside = max(trade.inside - max(less, quantum), ZERO)
    return LegTrade.of(trade.side, trade.mid, inside, trade.quantity, trade.take, is_small=trade.is_small)


def _short(problem: RebalanceProblem, trades: Sequence[LegTrade]) -> Decimal:
    """Return what the cash lacks of the reserve when every buy fills at its last price."""
    cash = problem.cash + sum((each.cash - each.beyond for each in trades), ZERO)
    return problem.reserve * nav_after(problem, trades) - cash


def nav_after(problem: RebalanceProblem, trades: Sequence[LegTrade]) -> Decimal:
    """Return NAV at the mids after trades."""
    return problem.nav - sum((each.cost for each in trades), ZERO)
