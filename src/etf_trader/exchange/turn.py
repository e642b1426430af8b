"""One moment of the exchange, inside one transaction: what is loaded, decided and written together."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import partial

from sqlalchemy import Connection, bindparam, select

from etf_trader.exchange import accounts, filters, rules, stops, tables
from etf_trader.exchange.booking import Booking
from etf_trader.exchange.counts import Counts, CreditDelay
from etf_trader.exchange.filters import Reference
from etf_trader.exchange.market import Market
from etf_trader.exchange.matching import BUY, CONDITIONAL, SELL, Order, Range
from etf_trader.exchange.parameters import LIMIT_MAKER, WITHOUT_LIMIT, Terms
from etf_trader.exchange.public_trades import PublicTrades
from etf_trader.exchange.refusal import ExchangeError, rejected
from etf_trader.exchange.rules import TRADING, SymbolRules
from etf_trader.exchange.ticker import Lately
from etf_trader.exchange.trading import Trading, Tradings
from etf_trader.exchange.views import OrderRequest, TradeView
from etf_trader.money import ZERO

INSUFFICIENT = "Account has insufficient balance for requested action."
NO_LIQUIDITY, OUT_OF_RANGE = "INSUFFICIENT_LIQUIDITY", "EXECUTION_RULE_PRICE_RANGE_EXCEEDED"
CANCELLED_HERE = "EXCHANGE_CANCELED"

_COLUMN = tables.orders.c
_OPEN_OF = select(_COLUMN.type, _COLUMN.triggered_at, _COLUMN.iceberg_quantity).where(
    _COLUMN.account == bindparam("account"), _COLUMN.is_open.is_(True)
)
_IN_USE = select(_COLUMN.symbol).where(_COLUMN.is_open.is_(True)).distinct()
_IN_USE_HERE = _IN_USE.where(_COLUMN.symbol == bindparam("symbol"))


class Turn:
    """Everything the exchange knows and decides at `now`; reading turns are simply never saved.

    One that was saved may be renewed: what it has read stays true as long as nobody else writes.
    """

    def __init__(
        self,
        connection: Connection,
        market: Market,
        symbols: Mapping[str, SymbolRules],
        now: datetime,
        delay: CreditDelay,
        lately: Lately,
    ) -> None:
        self.now = now
        self._lately = lately
        self.connection = connection
        self.symbols = symbols
        self._accounts: set[str] = set()
        self._market = market
        self._tradings = Tradings(connection, market, symbols, now)
        self._booking = Booking(connection, market, symbols, now, delay)

    def renew(self, now: datetime) -> None:
        """Let it be `now`, in a new transaction on the same connection."""
        self.now = now
        self._tradings.renew(now)
        self._booking.renew(now)

    @property
    def counts(self) -> Counts:
        """The order counts."""
        return self._booking.counts

    # Looking

    def is_account(self, name: str) -> bool:
        """Return whether a client's account of this name is open."""
        if name not in self._accounts and accounts.is_account(self.connection, name):
            self._accounts.add(name)
        return name in self._accounts

    def load(self, symbols: Iterable[str]) -> None:
        """Read what accounts did to the books of `symbols`, and let due fills happen in memory."""
        self._tradings.load(symbols)

    def trading(self, symbol: str) -> Trading:
        """Return the state of `symbol`, due fills included."""
        return self._tradings.of(symbol)

    def symbols_with_open_orders(self, only: str | None = None) -> list[str]:
        """Return the symbols, or `only` this one, in which some account has an open order.

        Those that the market has dropped stay out: nothing happens to an order in them any more.
        """
        query, values = (_IN_USE, {}) if only is None else (_IN_USE_HERE, {"symbol": only})
        return sorted(symbol for symbol in self.connection.scalars(query, values) if symbol in self.symbols)

    def is_due(self, symbols: Iterable[str]) -> bool:
        """Return whether some open order of `symbols` has something to do by now."""
        wanted = list(symbols)
        self.load(wanted)
        return any(self.trading(symbol).due or self._would_wake(self.trading(symbol)) for symbol in wanted)

    def trade_views(self, order: Order) -> tuple[TradeView, ...]:
        """Return the trades of `order` that this turn made."""
        return self._booking.trade_views(order)

    # Deciding

    def settle(self, symbols: Iterable[str]) -> None:
        """Book the fills of resting orders that fell due by now, and trigger what waited for the price."""
        wanted = list(symbols)
        self.load(wanted)
        for symbol in wanted:
            trading = self.trading(symbol)
            prices = [fill.price for fill in trading.due]
            for fill in trading.due:
                assert fill.resting is not None
                trading.last_trade_id += 1
                self._booking.trade(trading, fill.resting, fill, is_maker=True)
                self._booking.trade_of_market(trading.rules, fill.resting.side, fill)
            if trading.due:
                trading.due = ()
                self._note_touched(trading)
            if trading.waiting() and trading.status == TRADING:
                self._wake(trading, [*prices, *self._mid(trading)])

    def check(self, account: str, request: OrderRequest, terms: Terms) -> None:
        """Check a new order as far as it can be without the book and the account's money.

        Raises:
            ExchangeError: the order is refused.
        """
        trading = self.trading(request.symbol)
        rule, reference = trading.rules, self._reference(trading)
        filters.check_open(rule, request.type, trading.status)
        filters.check(rule, request.side, request.type, terms, reference)
        rule.mode(request.self_trade_prevention)
        filters.check_counts(rule, request.type, terms, trading.open_orders(account))
        filters.check_exchange_counts(
            self._market.exchange_filters(), request.type, terms, partial(self._count_open, account)
        )
        if request.side == BUY and rule.max_position is not None:
            held = self._booking.balances.get(account, rule.base)
            buying = sum((each.remaining for each in trading.open_orders(account) if each.side == BUY), ZERO)
            filters.check_position(rule, held.free + held.locked, buying, terms.quantity)

    def place(self, account: str, request: OrderRequest, terms: Terms) -> Order:
        """Take an order that was checked, trade it, and let the rest stand, wait or expire.

        Every refusal comes before the first change, so that it leaves nothing but
        settled fills behind.

        Raises:
            ExchangeError: the order is refused.
        """
        trading = self.trading(request.symbol)
        if self._booking.is_name_taken(account, request.client_order_id):
            raise rejected("Duplicate order sent.")
        order = self._order(trading, account, request, terms)
        if order.quote_quantity is not None:
            self._size(trading, order)
        if order.is_waiting:
            self._prepare_stop(trading, order)
        self._check_money(trading, order)
        if order.type == LIMIT_MAKER and trading.book.would_trade(order):
            raise rejected("Order would immediately match and take.")
        self._booking.accept(trading.rules, order)
        if order.is_waiting:
            trading.resting[order.order_id] = order
        else:
            self._wake(trading, self._work(trading, order))
        return order

    def cancel(self, symbol: str, order_id: int, cancel_id: str | None = None) -> Order | None:
        """Take an open order out of the book, and return it; None when it is open no more."""
        trading = self.trading(symbol)
        order = trading.resting.get(order_id)
        if order is None or not order.is_open:
            return None
        if not order.is_waiting:
            trading.book.remove(order)
            trading.changes += 1
        order.cancel_id = cancel_id
        self._booking.end(trading.rules, order, "CANCELED")
        return order

    def _order(self, trading: Trading, account: str, request: OrderRequest, terms: Terms) -> Order:
        return Order(
            order_id=self._booking.next_order_id(),
            account=account,
            side=request.side,
            price=terms.price,
            quantity=terms.quantity,
            symbol=request.symbol,
            client_order_id=request.client_order_id,
            type=request.type,
            time_in_force=terms.time_in_force,
            self_trade_prevention=trading.rules.mode(request.self_trade_prevention),
            at=self.now,
            updated=self.now,
            quote_quantity=terms.quote_quantity,
            iceberg_quantity=terms.iceberg_quantity,
            stop_price=terms.stop_price,
            trailing_delta=terms.trailing_delta,
        )

    def _size(self, trading: Trading, order: Order) -> None:
        """Give an order that is told in quote the quantity that comes closest to it, in the steps of both lots."""
        assert order.quote_quantity is not None
        step = max(trading.rules.step, trading.rules.market_lot.step) or trading.rules.base_quantum
        takeable, order.quantity = trading.book.reach(order, order.quote_quantity, step)
        filters.check_liquidity(trading.rules, takeable, order.quantity)

    def _check_money(self, trading: Trading, order: Order) -> None:
        if self._lacks(trading, order):
            self.settle(self.symbols_with_open_orders())  # a fill elsewhere may have brought it
            if self._lacks(trading, order):
                raise rejected(INSUFFICIENT)

    def _lacks(self, trading: Trading, order: Order) -> bool:
        """Return whether the account has too little for `order`: what it locks, or what it trades at once."""
        rule = trading.rules
        self._booking.balances.load(rule.base, rule.quote)
        needed = ZERO if order.triggered_at else order.locks(order.remaining)
        if order.price == 0 and not order.is_waiting:
            if order.side == SELL:
                needed = order.remaining
            else:
                needed = max(trading.book.value_of(order), order.quote_quantity or ZERO)
        return (
            self._booking.balances.get(order.account, rule.quote if order.side == BUY else rule.base).free < needed
        )

    def _work(self, trading: Trading, order: Order) -> list[Decimal]:
        """Let an order that is taken or triggered trade what it can, and return the prices it traded at."""
        within = filters.execution_range(trading.rules, order.side, self._reference(trading))
        if order.time_in_force == "FOK" and not trading.book.fills_whole(order, within):
            self._booking.end(trading.rules, order, "EXPIRED", "UNFILLED_FOK_ORDER_EXPIRED")
            return []
        match = trading.book.take(order.copy(), within)
        ending = [each for each in match.prevented if each.ends and each.order.order_id == order.order_id]
        for each in match.prevented:
            if each not in ending:
                mine = each.order.order_id == order.order_id
                self._booking.prevent(trading.rules, order if mine else each.order, each)
        for fill in match.fills:
            if fill.resting is not None:  # the book has reduced it already, an iceberg for several fills
                fill.resting.executed -= fill.quantity
        for fill in match.fills:
            trading.last_trade_id += 1
            order.executed += fill.quantity
            self._booking.trade(trading, order, fill, is_maker=False)
            if fill.resting is None:
                self._booking.trade_of_market(trading.rules, order.side, fill)
            else:
                fill.resting.executed += fill.quantity
                self._booking.trade(trading, fill.resting, fill, is_maker=True)
        for each in ending:
            self._booking.prevent(trading.rules, order, each)
        if order.remaining:
            reason = self._expires(trading, order, within)
            if reason is None:
                trading.book.rest(order)
                trading.resting[order.order_id] = order
                self._booking.change(order)
            else:
                self._booking.end(trading.rules, order, "EXPIRED", reason)
        if match.fills or match.prevented or order.is_open:
            trading.changes += 1
        self._note_touched(trading)
        return [fill.price for fill in match.fills]

    def _expires(self, trading: Trading, order: Order, within: Range | None) -> str | None:
        """Return why what remains of a taker that met nothing more expires; None when it rests."""
        beyond = trading.book.next_price(order)
        if within is not None and beyond is not None and order.accepts(beyond) and beyond not in within:
            return OUT_OF_RANGE
        if order.type in WITHOUT_LIMIT:
            return NO_LIQUIDITY
        return "UNFILLED_IOC_QUANTITY_EXPIRED" if order.time_in_force == "IOC" else None

    def _prepare_stop(self, trading: Trading, order: Order) -> None:
        """Check an order that is to wait against the price now; a trailing one without a stop follows it."""
        price = next(iter(self._mid(trading)), None)
        if order.trailing_delta is None:
            if price is not None and stops.reached(order, price):
                raise rejected("Order would trigger immediately.")
        elif order.stop_price is None:
            order.trail = price
        if order.price == 0 and order.side == BUY:
            order.reserve = price if order.stop_price is None else order.stop_price
            if order.reserve is None:
                raise ExchangeError(-1112, "No orders on book for symbol.")

    def _wake(self, trading: Trading, prices: list[Decimal]) -> None:
        """Show `prices` to the orders that wait, oldest first, and the prices at which triggered ones trade."""
        coming = list(prices) if trading.waiting() else []
        for price in coming:
            for order in trading.waiting():
                stood = order.trail
                if stops.show(order, price):
                    coming += self._trigger(trading, order)
                elif order.trail != stood:
                    self._booking.change(order)

    def _would_wake(self, trading: Trading) -> bool:
        """Return whether the price now triggers a waiting order, or moves one that trails it."""
        if trading.status != TRADING:
            return False
        for order in trading.waiting():
            seen = order.copy()
            if any(stops.show(seen, price) or seen.trail != order.trail for price in self._mid(trading)):
                return True
        return False

    def _trigger(self, trading: Trading, order: Order) -> list[Decimal]:
        self._booking.trigger(trading.rules, order)
        if self._lacks(trading, order):
            self._booking.end(trading.rules, order, "EXPIRED", CANCELLED_HERE)
            return []
        return self._work(trading, order)

    def _mid(self, trading: Trading) -> tuple[Decimal, ...]:
        mid = self._market.mid(trading.rules.symbol, self.now)
        return () if mid is None else (mid,)

    def _count_open(self, account: str) -> tuple[int, int, int]:
        """Return how many orders `account` has open everywhere, how many of them wait, how many are icebergs."""
        rows = self.connection.execute(_OPEN_OF, {"account": account}).all()
        waiting = sum(row.type in CONDITIONAL and row.triggered_at is None for row in rows)
        return len(rows), waiting, sum(row.iceberg_quantity is not None for row in rows)

    def reference_price(self, symbol: str, minutes: int) -> Decimal | None:
        """Return the mean price of the last whole minutes (of 0: the last price), else the mid of the book."""
        trading = self.trading(symbol)
        if minutes:
            price = self._lately.mean(self.connection, trading.rules, minutes, self.now)
        else:
            newest = PublicTrades(self.connection, self._market, symbol, self.now).recent(1)
            price = newest[0].price if newest else None
        return rules.reference_price(trading.market) if price is None else price

    def _reference(self, trading: Trading) -> Reference:
        return partial(self.reference_price, trading.rules.symbol)

    def _note_touched(self, trading: Trading) -> None:
        self._booking.change(*trading.book.touched.values())

    # Writing

    def save(self) -> None:
        """Write what was decided."""
        self.settle(tuple(self._tradings))  # whatever was looked at is written as it was seen
        self._booking.save()
        self._tradings.save()
