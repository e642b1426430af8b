"""Who trades with whom, at which price: pure price-time priority in one symbol.

Liquidity is of two kinds: the market's levels, of which the exchange knows
price and quantity only, and the resting orders of accounts. At one price the
market's quantity that was there when an order came stands before it, later
quantity behind it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from operator import attrgetter
from typing import NamedTuple

from etf_trader.exchange.market import Depth, MarketBook
from etf_trader.money import ZERO, divide_down

BID, ASK = "BID", "ASK"
BUY, SELL = "BUY", "SELL"
EXPIRE_TAKER, EXPIRE_MAKER, EXPIRE_BOTH, DECREMENT = "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"
PREVENTION_MODES = (EXPIRE_TAKER, EXPIRE_MAKER, EXPIRE_BOTH, DECREMENT)
"""What becomes of two orders of one account that would trade with each other; the taker's mode rules."""

OPEN = ("NEW", "PARTIALLY_FILLED")

CONDITIONAL = ("STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT")
"""Types of orders that wait until the price has reached theirs."""

_PLACES = 1 << 20
"""Places behind an order that renewed parts of icebergs may stand at, before the next order's."""

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True, eq=False)
class Order:
    """An order while the exchange works on it.

    A price of 0 is no limit: the order takes what it finds. `ahead` is how much of
    the market's own quantity at its price was there before it, and is still served
    first. `prevented` is what self-trade prevention took from it, base units. Of an
    iceberg `shown` is what the others see of it; each time that is gone, the next
    part comes from what is hidden, behind everyone at its price: `place` says where
    it stands, by its id where that is 0. A stop order waits until it is triggered;
    `trail` is the best price that a trailing one has seen, and `reserve` what a
    waiting buy without a limit locks of the quote for each unit.
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
    quote_quantity: Decimal | None = None
    iceberg_quantity: Decimal | None = None
    shown: Decimal = ZERO
    place: int = 0
    stop_price: Decimal | None = None
    trailing_delta: int | None = None
    trail: Decimal | None = None
    reserve: Decimal | None = None
    triggered_at: datetime | None = None
    cancel_id: str | None = None

    @property
    def remaining(self) -> Decimal:
        """What may still trade, base units."""
        return self.quantity - self.executed - self.prevented

    @property
    def is_open(self) -> bool:
        """Whether it may still trade, now or later."""
        return self.status in OPEN and self.remaining > 0

    @property
    def visible(self) -> Decimal:
        """What others see of it in the book."""
        return self.remaining if self.iceberg_quantity is None else min(self.shown, self.remaining)

    @property
    def is_conditional(self) -> bool:
        """Whether it is of a type that waits for a price."""
        return self.type in CONDITIONAL

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for its trigger still, and does not stand in the book."""
        return self.triggered_at is None and self.type in CONDITIONAL

    def copy(self) -> "Order":
        """Return it as it is now, to try things on."""
        return Order(*_FIELDS_OF(self))

    def accepts(self, price: Decimal) -> bool:
        """Whether a trade at `price` keeps the order's limit."""
        if not self.price:
            return True
        return price <= self.price if self.side == BUY else price >= self.price

    def locks(self, quantity: Decimal) -> Decimal:
        """Return what it keeps locked for `quantity` of it: quote for a buy, base for a sell."""
        if not self.price and not self.is_waiting:
            return ZERO  # it trades at once, with what is free
        if self.side == SELL:
            return quantity
        return (self.price if self.reserve is None else self.reserve) * quantity


_FIELDS_OF = attrgetter(*(each.name for each in fields(Order)))


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


class Range(NamedTuple):
    """The prices at which a taker may trade, both included."""

    low: Decimal
    high: Decimal

    def __contains__(self, price: object) -> bool:
        return isinstance(price, Decimal) and self.low <= price <= self.high


class Reach(NamedTuple):
    """How far an amount of quote goes: base units that the book has for it, and those wanted where it has more."""

    takeable: Decimal
    wanted: Decimal


class SymbolBook:
    """The market's levels that are left, and the accounts' resting orders, of one symbol at one moment."""

    def __init__(
        self,
        market: MarketBook,
        resting: Iterable[Order] = (),
        consumed: Mapping[tuple[str, Decimal], Decimal] | None = None,
    ) -> None:
        """Join them; `consumed` says how much is missing of a market level, by side and price."""
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
            self._sort(side)

    def levels(self, side: str) -> tuple[Depth, ...]:
        """Return everything on offer on `side`, best price first, one entry a price."""
        market = self._levels[side][self._head[side] :]
        if not self._resting[side]:
            return tuple(market)
        total = dict(market)
        for order in self._resting[side]:
            total[order.price] = total.get(order.price, ZERO) + order.visible
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
                    self._renew(side, order, order.executed - before)
                    self._touch(side, order)
                if order.remaining:
                    break  # whoever stands behind has a worse price, and nothing is left for this one
        return fills

    def would_trade(self, order: Order) -> bool:
        """Return whether something on the other side stands within the limit of `order`."""
        price = self._best(_meets(order))
        return price is not None and order.accepts(price)

    def next_price(self, taker: Order) -> Decimal | None:
        """Return the best price that `taker` would meet; None when nobody is there."""
        return self._best(_meets(taker))

    def fills_whole(self, taker: Order, within: Range | None = None) -> bool:
        """Return whether `take` would trade all of `taker`; nothing changes."""
        order = taker.copy()
        self._copy().take(order, within)
        return order.executed == order.quantity

    def value_of(self, taker: Order, within: Range | None = None) -> Decimal:
        """Return the value, in quote, of what `take` would trade of `taker`; nothing changes."""
        fills, _ = self._copy().take(taker.copy(), within)
        return sum((fill.price * fill.quantity for fill in fills), ZERO)

    def reach(self, taker: Order, budget: Decimal, step: Decimal) -> Reach:
        """Return how much of `taker` the book trades for `budget` of quote, in steps, best price first.

        What self-trade prevention takes from it counts as traded. Where the book has
        too little, what else is wanted is told at the last price. Nothing changes.
        """
        copy, order, side = self._copy(), replace(taker, quantity=ZERO), _meets(taker)
        match, last = Match([], []), ZERO
        while (price := copy._best(side)) is not None:
            last = price
            affordable = divide_down(budget, price, step)
            if not affordable:
                return Reach(order.quantity, order.quantity)
            before = order.executed + order.prevented
            order.quantity = before + affordable
            copy._take_level(side, price, order, match)
            taken = order.executed + order.prevented - before
            budget -= taken * price
            order.quantity = before + taken
            if any(each.order is order and order.self_trade_prevention != DECREMENT for each in match.prevented):
                return Reach(order.quantity, order.quantity)
        more = divide_down(budget, last, step) if last else ZERO
        return Reach(order.quantity, order.quantity + more)

    def take(self, taker: Order, within: Range | None = None) -> Match:
        """Trade `taker` against the book as far as its limit allows, and at prices `within` alone.

        Its fills are one for each price and counterparty. It never trades with a
        resting order of its own account: its mode says which of the two, or both,
        end instead, or that both are made smaller by what they have in common.
        """
        match = Match([], [])
        side = _meets(taker)
        while taker.remaining:
            price = self._best(side)
            if price is None or not taker.accepts(price) or (within is not None and price not in within):
                break
            self._take_level(side, price, taker, match)
        return match

    def rest(self, order: Order) -> None:
        """Let what remains of `order` stand in the book, behind what stands at its price."""
        side = _stands(order)
        order.ahead = next((level.quantity for level in self._rest_of(side) if level.price == order.price), ZERO)
        if order.iceberg_quantity is not None:
            order.shown = min(order.iceberg_quantity, order.remaining)
        self._resting[side].append(order)
        self._sort(side)

    def _sort(self, side: str) -> None:
        self._resting[side].sort(key=_priority)

    def _renew(self, side: str, order: Order, served: Decimal) -> None:
        """Show the next part of an iceberg of which all that was shown is served, behind everyone at its price."""
        if order.iceberg_quantity is None:
            return
        order.shown -= served
        if order.shown <= 0 and order.remaining:
            order.shown = min(order.iceberg_quantity + order.shown % order.iceberg_quantity, order.remaining)
            order.place = max(_place(each) for each in self._at(side, order.price)) + 1
            order.ahead = ZERO
            self._sort(side)

    def remove(self, order: Order) -> None:
        """Take `order` out of the book."""
        self._resting[_stands(order)].remove(order)

    def _take_level(self, side: str, price: Decimal, taker: Order, match: Match) -> None:
        level = self._market(side)
        at_market = level.quantity if level is not None and level.price == price else ZERO
        from_market, place = ZERO, len(match.fills)
        renewed: list[Order] = []
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
            quantity = min(taker.remaining, order.visible)
            order.executed += quantity
            taker.executed += quantity
            match.fills.append(Fill(price, quantity, order))
            stood = order.place
            self._renew(side, order, quantity)
            if order.place != stood:
                renewed.append(order)
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
        for order in renewed:
            order.ahead = at_market - from_market

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
            MarketBook((), (), 0, True), (each.copy() for side in (BID, ASK) for each in self._resting[side])
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


def _left(
    side: str, levels: Iterable[Depth], consumed: Mapping[tuple[str, Decimal], Decimal] | None
) -> list[Depth]:
    missing = {price: quantity for (of, price), quantity in (consumed or {}).items() if of == side and quantity}
    if not missing:
        return list(levels)
    left = []
    for level in levels:
        gone = missing.get(level.price)
        if gone is None:
            left.append(level)
        elif gone < level.quantity:
            left.append(Depth(level.price, level.quantity - gone))
    return left


def _stands(order: Order) -> str:
    return BID if order.side == BUY else ASK


def _meets(order: Order) -> str:
    return ASK if order.side == BUY else BID


def _place(order: Order) -> int:
    return order.place or order.order_id * _PLACES


def _priority(order: Order) -> tuple[Decimal, int]:
    return (-order.price if order.side == BUY else order.price, _place(order))
