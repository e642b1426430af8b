"""Who trades with whom, at which price: pure price-time priority in one symbol.

Liquidity is of two kinds: the market's levels, of which the exchange knows
price and quantity only, and the resting orders of accounts. At one price the
market's quantity that was there when an order came stands before it, later
quantity behind it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

from etf_trader.exchange.market import Depth, MarketBook
from etf_trader.money import ZERO

BID, ASK = "BID", "ASK"
BUY, SELL = "BUY", "SELL"
EXPIRE_TAKER, EXPIRE_MAKER, EXPIRE_BOTH, DECREMENT = "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"
PREVENTION_MODES = (EXPIRE_TAKER, EXPIRE_MAKER, EXPIRE_BOTH, DECREMENT)
"""What becomes of two orders of one account that would trade with each other; the taker's mode rules."""

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True, eq=False)
class Order:
    """An order while the exchange works on it.

    `ahead` is how much of the market's own quantity at its price was there before
    it, and is still served first. `prevented` is what self-trade prevention took
    from it, base units.
    """

    order_id: int
    account: str
    side: str
    price: Decimal
    quantity: Decimal
    executed: Decimal = ZERO
    cumulative_quote: Decimal = ZERO
    prevented: Decimal = ZERO
    ahead: Decimal = ZERO
    symbol: str = ""
    client_order_id: str = ""
    type: str = "LIMIT"
    time_in_force: str = "GTC"
    self_trade_prevention: str = EXPIRE_MAKER
    status: str = "NEW"
    expiry_reason: str | None = None
    at: datetime = field(default=_NEVER)
    updated: datetime = field(default=_NEVER)

    @property
    def remaining(self) -> Decimal:
        """What may still trade, base units."""
        return self.quantity - self.executed - self.prevented

    def accepts(self, price: Decimal) -> bool:
        """Whether a trade at `price` keeps the order's limit."""
        return price <= self.price if self.side == BUY else price >= self.price


class Fill(NamedTuple):
    """Part of an order's trading: at `price`, with `resting`, or with the market where that is None."""

    price: Decimal
    quantity: Decimal
    resting: Order | None


class Prevention(NamedTuple):
    """What self-trade prevention took from an order, base units; nothing is left of it when it `ends`."""

    order: Order
    quantity: Decimal
    ends: bool


class Match(NamedTuple):
    """What came of a taker: its fills, best price first, and what would have been trades with itself."""

    fills: list[Fill]
    prevented: list[Prevention]


class SymbolBook:
    """The market's levels that are left, and the accounts' resting orders, of one symbol at one moment."""

    def __init__(
        self,
        market: MarketBook,
        resting: Iterable[Order] = (),
        consumed: Callable[[str, Decimal], Decimal] | None = None,
    ) -> None:
        """Join them; `consumed(side, price)` says how much of a market level is missing."""
        self.taken: dict[tuple[str, Decimal], Decimal] = {}
        """What was taken from the market's levels since, base units by side and price."""
        self.touched: dict[int, Order] = {}
        """The resting orders whose state changed since, by id."""
        self._levels = {
            BID: _left(BID, market.bids, consumed),
            ASK: _left(ASK, market.asks, consumed),
        }
        self._head = {BID: 0, ASK: 0}
        self._resting: dict[str, list[Order]] = {BID: [], ASK: []}
        for order in resting:
            self._resting[_stands(order)].append(order)
        for side in (BID, ASK):
            self._resting[side].sort(key=lambda each: _priority(each))

    def levels(self, side: str) -> tuple[Depth, ...]:
        """Return everything on offer on `side`, best price first, one entry a price."""
        market = self._levels[side][self._head[side] :]
        if not self._resting[side]:
            return tuple(market)
        total = dict(market)
        for order in self._resting[side]:
            total[order.price] = total.get(order.price, ZERO) + order.remaining
        return tuple(Depth(price, total[price]) for price in sorted(total, reverse=side == BID))

    def settle(self) -> list[Fill]:
        """Fill the resting orders that the market's other side has reached, and return how.

        They trade at their own price, best price and oldest first, against the
        market's best levels, as far as those go.
        """
        fills = []
        for side, other in ((ASK, BID), (BID, ASK)):
            for order in tuple(self._resting[side]):
                before = order.executed
                while order.remaining and (level := self._market(other)) and order.accepts(level.price):
                    order.executed += self._take_market(other, order.remaining)
                if order.executed > before:
                    fills.append(Fill(order.price, order.executed - before, order))
                    self._touch(side, order)
                if order.remaining:
                    break  # whoever stands behind has a worse price, and nothing is left for this one
        return fills

    def would_trade(self, order: Order) -> bool:
        """Return whether something on the other side stands within the limit of `order`."""
        price = self._best(_meets(order))
        return price is not None and order.accepts(price)

    def fills_whole(self, taker: Order) -> bool:
        """Return whether `take` would trade all of `taker`; nothing changes."""
        order = replace(taker)
        self._copy().take(order)
        return order.executed == order.quantity

    def take(self, taker: Order) -> Match:
        """Trade `taker` against the book as far as its limit allows.

        Its fills are one for each price and counterparty. It never trades with a
        resting order of its own account: its mode says which of the two, or both,
        end instead, or that both are made smaller by what they have in common.
        """
        match = Match([], [])
        side = _meets(taker)
        while taker.remaining:
            price = self._best(side)
            if price is None or not taker.accepts(price):
                break
            self._take_level(side, price, taker, match)
        return match

    def rest(self, order: Order) -> None:
        """Let what remains of `order` stand in the book, behind what stands at its price."""
        side = _stands(order)
        order.ahead = next((level.quantity for level in self._rest_of(side) if level.price == order.price), ZERO)
        self._resting[side].append(order)
        self._resting[side].sort(key=lambda each: _priority(each))

    def remove(self, order: Order) -> None:
        """Take `order` out of the book."""
        self._resting[_stands(order)].remove(order)

    def _take_level(self, side: str, price: Decimal, taker: Order, match: Match) -> None:
        level = self._market(side)
        at_market = level.quantity if level is not None and level.price == price else ZERO
        from_market, place = ZERO, len(match.fills)
        for order in self._at(side, price):
            before_it = min(taker.remaining, min(order.ahead, at_market) - from_market)
            if before_it > 0:
                from_market += before_it
                taker.executed += before_it
            if not taker.remaining:
                break
            if order.account == taker.account:
                self._prevent(side, order, taker, match)
                continue
            quantity = min(taker.remaining, order.remaining)
            order.executed += quantity
            taker.executed += quantity
            match.fills.append(Fill(price, quantity, order))
            self._touch(side, order)
            if from_market == 0:
                place = len(match.fills)
        behind = min(taker.remaining, at_market - from_market)
        from_market += behind
        taker.executed += behind
        if from_market:
            match.fills.insert(place, Fill(price, from_market, None))
            self._take_market(side, from_market)
        for order in self._at(side, price):
            if order.ahead:
                order.ahead = max(ZERO, min(order.ahead, at_market) - from_market)
                self.touched[order.order_id] = order

    def _prevent(self, side: str, maker: Order, taker: Order, match: Match) -> None:
        common = min(maker.remaining, taker.remaining)
        mode = taker.self_trade_prevention
        if mode != EXPIRE_TAKER:
            self._reduce(maker, common if mode == DECREMENT else maker.remaining, match)
            self._touch(side, maker)
        if mode != EXPIRE_MAKER:
            self._reduce(taker, common if mode == DECREMENT else taker.remaining, match)

    def _reduce(self, order: Order, quantity: Decimal, match: Match) -> None:
        order.prevented += quantity
        match.prevented.append(Prevention(order, quantity, not order.remaining))

    def _copy(self) -> "SymbolBook":
        copy = SymbolBook(
            MarketBook((), (), 0, True), (replace(each) for side in (BID, ASK) for each in self._resting[side])
        )
        copy._levels = {side: list(self._rest_of(side)) for side in (BID, ASK)}
        return copy

    def _market(self, side: str) -> Depth | None:
        levels, head = self._levels[side], self._head[side]
        return levels[head] if head < len(levels) else None

    def _rest_of(self, side: str) -> Iterable[Depth]:
        return self._levels[side][self._head[side] :]

    def _best(self, side: str) -> Decimal | None:
        prices = [order.price for order in self._resting[side][:1]]
        if level := self._market(side):
            prices.append(level.price)
        if not prices:
            return None
        return min(prices) if side == ASK else max(prices)

    def _at(self, side: str, price: Decimal) -> tuple[Order, ...]:
        return tuple(order for order in self._resting[side] if order.price == price)

    def _take_market(self, side: str, quantity: Decimal) -> Decimal:
        """Take up to `quantity` from the market's best level, and return how much it was."""
        head = self._head[side]
        level = self._levels[side][head]
        taken = min(quantity, level.quantity)
        if taken == level.quantity:
            self._head[side] += 1
        else:
            self._levels[side][head] = Depth(level.price, level.quantity - taken)
        self.taken[side, level.price] = self.taken.get((side, level.price), ZERO) + taken
        return taken

    def _touch(self, side: str, order: Order) -> None:
        self.touched[order.order_id] = order
        if not order.remaining:
            self._resting[side].remove(order)


def _left(side: str, levels: Iterable[Depth], consumed: Callable[[str, Decimal], Decimal] | None) -> list[Depth]:
    if consumed is None:
        return list(levels)
    left = []
    for level in levels:
        missing = consumed(side, level.price)
        if missing < level.quantity:
            left.append(Depth(level.price, level.quantity - missing) if missing else level)
    return left


def _stands(order: Order) -> str:
    return BID if order.side == BUY else ASK


def _meets(order: Order) -> str:
    return ASK if order.side == BUY else BID


def _priority(order: Order) -> tuple[Decimal, int]:
    return (-order.price if order.side == BUY else order.price, order.order_id)
