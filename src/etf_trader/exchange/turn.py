"""One moment of the exchange, inside one transaction: what is loaded, decided and written together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from etf_trader.exchange import reports, rules, tables
from etf_trader.exchange.accounts import FEES, MARKET, Balances
from etf_trader.exchange.counts import Counts, CreditDelay
from etf_trader.exchange.market import Market, MarketBook
from etf_trader.exchange.matching import BUY, Fill, Order, Prevention, SymbolBook
from etf_trader.exchange.refusal import filter_failure, rejected
from etf_trader.exchange.reports import ORDER_COLUMNS, Reports, order_of
from etf_trader.exchange.rules import LIMIT_MAKER, SymbolRules
from etf_trader.exchange.views import OrderRequest, TradeView
from etf_trader.money import ZERO

OPEN = ("NEW", "PARTIALLY_FILLED")
_MUTABLE = ("executed", "cumulative_quote", "prevented", "ahead", "status", "is_open", "expiry_reason", "updated")
_MANY_LEVELS = 200
_UPDATE_ORDER = (
    update(tables.orders)
    .where(tables.orders.c.order_id == bindparam("key"))
    .values({name: bindparam(f"new_{name}") for name in _MUTABLE})
)
_SAME_LEVEL = [tables.consumption.c[name] == bindparam(f"_{name}") for name in ("symbol", "side", "price")]
_UPDATE_CONSUMPTION = (
    update(tables.consumption)
    .where(*_SAME_LEVEL)
    .values({name: bindparam(f"_{name}") for name in ("quantity", "at")})
)
_DELETE_CONSUMPTION = delete(tables.consumption).where(*_SAME_LEVEL)


@dataclass(slots=True)
class Trading:
    """One symbol during one turn: its book, and what was decided and is not written yet."""

    rules: SymbolRules
    market: MarketBook
    book: SymbolBook
    resting: dict[int, Order]
    consumed: Mapping[tuple[str, Decimal], tuple[Decimal, datetime]]
    changes: int
    stored_changes: int | None
    last_trade_id: int
    due: tuple[Fill, ...]
    """Fills of resting orders that fell due by now; the book already shows them."""


class Turn:
    """Everything the exchange knows and decides at `now`; reading turns are simply never saved."""

    def __init__(
        self,
        connection: Connection,
        market: Market,
        symbols: Mapping[str, SymbolRules],
        now: datetime,
        delay: CreditDelay,
    ) -> None:
        self.now = now
        self.balances = Balances(connection)
        self.counts = Counts(connection, now, delay)
        self.connection = connection
        self._market = market
        self._symbols = symbols
        self._trading: dict[str, Trading] = {}
        self._trades: list[dict[str, Any]] = []
        self._new: list[Order] = []
        self._changed: dict[int, Order] = {}
        self._reports = Reports(connection)

    # Looking

    def load(self, symbols: Iterable[str]) -> None:
        """Read what accounts did to the books of `symbols`, and let due fills happen in memory."""
        wanted = [symbol for symbol in dict.fromkeys(symbols) if symbol not in self._trading]
        if not wanted:
            return
        resting = self._resting(wanted)
        consumed = self._consumption(wanted)
        states = {
            row.symbol: row
            for row in self.connection.execute(
                select(tables.symbol_state).where(tables.symbol_state.c.symbol.in_(wanted))
            )
        }
        for symbol in wanted:
            state = states.get(symbol)
            self._trading[symbol] = self._join(
                symbol,
                resting.get(symbol, []),
                consumed.get(symbol, {}),
                stored_changes=state.changes if state else None,
                last_trade_id=state.last_trade_id if state else 0,
            )

    def trading(self, symbol: str) -> Trading:
        """Return the state of `symbol`, due fills included."""
        self.load([symbol])
        return self._trading[symbol]

    def symbols_with_open_orders(self, only: str | None = None) -> list[str]:
        """Return the symbols, or `only` this one, in which some account has an open order."""
        column = tables.orders.c
        query = select(column.symbol).where(column.is_open.is_(True)).distinct()
        if only is not None:
            query = query.where(column.symbol == only)
        return sorted(self.connection.scalars(query))

    def is_due(self, symbols: Iterable[str]) -> bool:
        """Return whether some resting order of `symbols` has something to trade by now."""
        wanted = list(symbols)
        self.load(wanted)
        return any(self._trading[symbol].due for symbol in wanted)

    # Deciding

    def settle(self, symbols: Iterable[str]) -> None:
        """Book the fills of resting orders that fell due by now."""
        wanted = list(symbols)
        self.load(wanted)
        for symbol in wanted:
            trading = self._trading[symbol]
            for fill in trading.due:
                assert fill.resting is not None
                trading.last_trade_id += 1
                self._book_fill(trading, fill.resting, fill, is_maker=True)
                self._book_market(trading, fill.resting.side, fill)
            if trading.due:
                trading.due = ()
                self._note_touched(trading)

    def place(self, account: str, request: OrderRequest, price: Decimal, quantity: Decimal) -> Order:
        """Accept a limit order, trade it, and let the rest stand or expire.

        Every check comes before the first change, so that a refusal leaves
        nothing but settled fills behind.

        Raises:
            ExchangeError: the order is refused.
        """
        trading = self.trading(request.symbol)
        self._check(trading, account, request, price, quantity)
        order = Order(
            order_id=(self.connection.scalar(select(func.max(tables.orders.c.order_id))) or 0) + 1,
            account=account,
            side=request.side,
            price=price,
            quantity=quantity,
            symbol=request.symbol,
            client_order_id=request.client_order_id,
            type=request.type,
            time_in_force=request.time_in_force or "GTC",
            self_trade_prevention=trading.rules.mode(request.self_trade_prevention),
            at=self.now,
            updated=self.now,
        )
        self._check_engine(trading, order)
        self.counts.add(account)
        asset, amount = _cost(trading.rules, order, quantity)
        self.balances.add(account, asset, free=-amount, locked=amount)
        self._new.append(order)
        self._reports.add(reports.NEW, order, self.now)
        if order.time_in_force == "FOK" and not trading.book.fills_whole(order):
            self._end(trading, order, "EXPIRED", "UNFILLED_FOK_ORDER_EXPIRED")
        else:
            self._trade(trading, order)
        return order

    def _check(
        self, trading: Trading, account: str, request: OrderRequest, price: Decimal, quantity: Decimal
    ) -> None:
        rule = trading.rules
        rule.check(request.side, price, quantity, rules.reference_price(trading.market))
        own = [order for order in trading.resting.values() if order.account == account and order.remaining]
        if rule.max_orders is not None and len(own) >= rule.max_orders:
            raise filter_failure("MAX_NUM_ORDERS")
        self.counts.check_room(account)
        if self._is_open(account, request.client_order_id):
            raise rejected("Duplicate order sent.")

    def _check_engine(self, trading: Trading, order: Order) -> None:
        rule = trading.rules
        asset, amount = _cost(rule, order, order.quantity)
        self.balances.load(rule.base, rule.quote)
        if self.balances.get(order.account, asset).free < amount:
            self.settle(self.symbols_with_open_orders())  # a fill elsewhere may have brought it
            if self.balances.get(order.account, asset).free < amount:
                raise rejected("Account has insufficient balance for requested action.")
        if order.type == LIMIT_MAKER and trading.book.would_trade(order):
            raise rejected("Order would immediately match and take.")

    def cancel(self, symbol: str, order_id: int) -> Order | None:
        """Take an open order out of the book, and return it; None when it is open no more."""
        trading = self.trading(symbol)
        order = trading.resting.get(order_id)
        if order is None or not order.remaining:
            return None
        trading.book.remove(order)
        trading.changes += 1
        self._end(trading, order, "CANCELED")
        return order

    def _trade(self, trading: Trading, order: Order) -> None:
        fills, prevented = trading.book.take(replace(order))
        ending = [each for each in prevented if each.ends and each.order.order_id == order.order_id]
        for each in prevented:
            if each not in ending:
                self._prevent(trading, order if each.order.order_id == order.order_id else each.order, each)
        for fill in fills:
            trading.last_trade_id += 1
            order.executed += fill.quantity
            self._book_fill(trading, order, fill, is_maker=False)
            if fill.resting is None:
                self._book_market(trading, order.side, fill)
            else:
                self._book_fill(trading, fill.resting, fill, is_maker=True)
        for each in ending:
            self._prevent(trading, order, each)
        if order.remaining and order.time_in_force == "IOC":
            self._end(trading, order, "EXPIRED", "UNFILLED_IOC_QUANTITY_EXPIRED")
        elif order.remaining:
            trading.book.rest(order)
            trading.resting[order.order_id] = order
        if fills or prevented or order.status in OPEN:
            trading.changes += 1
        self._note_touched(trading)

    def _book_fill(self, trading: Trading, order: Order, fill: Fill, *, is_maker: bool) -> None:
        rule, price, quantity = trading.rules, fill.price, fill.quantity
        self.balances.load(rule.base, rule.quote)
        value = price * quantity
        maker, taker = self._market.fees(rule.symbol)
        received = quantity if order.side == BUY else value
        fee = rule.commission(order.side, received, maker if is_maker else taker)
        if order.side == BUY:
            locked = order.price * quantity
            self.balances.add(order.account, rule.quote, locked=-locked, free=locked - value)
            self.balances.add(order.account, rule.base, free=quantity - fee)
        else:
            self.balances.add(order.account, rule.base, locked=-quantity)
            self.balances.add(order.account, rule.quote, free=value - fee)
        self.balances.add(FEES, rule.received(order.side), free=fee)
        if not order.cumulative_quote:
            returned = rules.MAKER_RETURNS if is_maker else rules.TAKER_RETURNS
            self.counts.give_back(order.account, order.order_id, returned)
        order.cumulative_quote += value
        order.status = "PARTIALLY_FILLED" if order.remaining else "FILLED"
        order.updated = self.now
        self._changed[order.order_id] = order
        self._reports.add(reports.TRADE, order, self.now, trade_id=trading.last_trade_id)
        self._trades.append(
            {
                "symbol": rule.symbol,
                "trade_id": trading.last_trade_id,
                "order_id": order.order_id,
                "account": order.account,
                "client_order_id": order.client_order_id,
                "side": order.side,
                "price": price,
                "quantity": quantity,
                "quote_quantity": value,
                "commission": fee,
                "commission_asset": rule.received(order.side),
                "is_maker": is_maker,
                "at": self.now,
            }
        )

    def _book_market(self, trading: Trading, side: str, fill: Fill) -> None:
        """Book the market's part of a fill with an order on `side`."""
        sign = 1 if side == BUY else -1
        self.balances.add(MARKET, trading.rules.base, free=-sign * fill.quantity)
        self.balances.add(MARKET, trading.rules.quote, free=sign * fill.price * fill.quantity)

    def _end(self, trading: Trading, order: Order, status: str, reason: str | None = None) -> None:
        """End an order with something left: its lock goes back."""
        self._unlock(trading, order, order.remaining)
        order.status, order.expiry_reason, order.updated = status, reason, self.now
        self._changed[order.order_id] = order
        self._reports.add(status, order, self.now)

    def _prevent(self, trading: Trading, order: Order, prevention: Prevention) -> None:
        """Free what self-trade prevention took from `order`, which ends when nothing is left of it.

        The book has reduced its resting orders already; the taker is reduced here,
        so that each fill and each prevention finds it as it stood.
        """
        if prevention.order is not order:
            order.prevented += prevention.quantity
        self._unlock(trading, order, prevention.quantity)
        if prevention.ends:
            order.status = "EXPIRED_IN_MATCH"
        order.updated = self.now
        self._changed[order.order_id] = order
        self._reports.add(reports.TRADE_PREVENTION, order, self.now)

    def _unlock(self, trading: Trading, order: Order, quantity: Decimal) -> None:
        asset, amount = _cost(trading.rules, order, quantity)
        self.balances.add(order.account, asset, free=amount, locked=-amount)

    def _note_touched(self, trading: Trading) -> None:
        self._changed.update(trading.book.touched)

    # Writing

    def save(self) -> None:
        """Write what was decided."""
        self.settle(self._trading)  # whatever was looked at is written as it was seen
        self.balances.save()
        if self._new:
            self.connection.execute(insert(tables.orders), [_order_row(order) for order in self._new])
            for order in self._new:
                self._changed.pop(order.order_id, None)
        if self._changed:
            rows = [{"key": order.order_id} | _changes(order) for order in self._changed.values()]
            self.connection.execute(_UPDATE_ORDER, rows)
        if self._trades:
            self.connection.execute(insert(tables.trade), self._trades)
        for symbol, trading in self._trading.items():
            self._save_symbol(symbol, trading)
        self._reports.save()
        self.counts.save()

    def trade_views(self, order: Order) -> tuple[TradeView, ...]:
        """Return the trades of `order` that this turn made."""
        return tuple(
            TradeView(**{name: value for name, value in row.items() if name != "account"})
            for row in self._trades
            if row["order_id"] == order.order_id
        )

    def _save_symbol(self, symbol: str, trading: Trading) -> None:
        if trading.changes == (trading.stored_changes or 0):
            return
        table = tables.consumption
        known: list[dict[str, Any]] = []
        new: list[dict[str, Any]] = []
        for (side, price), quantity in trading.book.taken.items():
            missing = self._missing(symbol, trading.consumed, side, price) + quantity
            row = {"symbol": symbol, "side": side, "price": price, "quantity": missing, "at": self.now}
            (known if (side, price) in trading.consumed else new).append(row)
        if known:
            self.connection.execute(
                _UPDATE_CONSUMPTION, [{f"_{name}": value for name, value in row.items()} for row in known]
            )
        if new:
            self.connection.execute(insert(table), new)
        if len(trading.consumed) > _MANY_LEVELS:
            self._forget_restored(symbol, trading)
        state = tables.symbol_state
        values = {"changes": trading.changes, "last_trade_id": trading.last_trade_id}
        if trading.stored_changes is not None:
            self.connection.execute(update(state).where(state.c.symbol == symbol).values(values))
        else:
            self.connection.execute(insert(state).values(symbol=symbol, **values))

    def _forget_restored(self, symbol: str, trading: Trading) -> None:
        restored = [
            {"_symbol": symbol, "_side": side, "_price": price}
            for side, price in trading.consumed
            if (side, price) not in trading.book.taken and not self._missing(symbol, trading.consumed, side, price)
        ]
        if restored:
            self.connection.execute(_DELETE_CONSUMPTION, restored)

    # Loading

    def _join(
        self,
        symbol: str,
        resting: list[Order],
        consumed: Mapping[tuple[str, Decimal], tuple[Decimal, datetime]],
        *,
        stored_changes: int | None,
        last_trade_id: int,
    ) -> Trading:
        market = self._market.book(symbol, self.now)
        missing = partial(self._missing, symbol, consumed) if consumed else None
        book = SymbolBook(market, resting, missing)
        due = tuple(book.settle()) if resting else ()
        return Trading(
            rules=self._symbols[symbol],
            market=market,
            book=book,
            resting={order.order_id: order for order in resting},
            consumed=consumed,
            changes=(stored_changes or 0) + (1 if due else 0),
            stored_changes=stored_changes,
            last_trade_id=last_trade_id,
            due=due,
        )

    def _missing(
        self,
        symbol: str,
        consumed: Mapping[tuple[str, Decimal], tuple[Decimal, datetime]],
        side: str,
        price: Decimal,
    ) -> Decimal:
        if (side, price) not in consumed:
            return ZERO
        quantity, since = consumed[side, price]
        return self._market.still_consumed(symbol, side, price, quantity, since, max(since, self.now))

    def _resting(self, symbols: list[str]) -> dict[str, list[Order]]:
        column = tables.orders.c
        query = select(tables.orders).where(column.is_open.is_(True), column.symbol.in_(symbols))
        found: dict[str, list[Order]] = {}
        for row in self.connection.execute(query):
            found.setdefault(row.symbol, []).append(order_of(row))
        return found

    def _consumption(self, symbols: list[str]) -> dict[str, dict[tuple[str, Decimal], tuple[Decimal, datetime]]]:
        found: dict[str, dict[tuple[str, Decimal], tuple[Decimal, datetime]]] = {}
        query = select(tables.consumption).where(tables.consumption.c.symbol.in_(symbols))
        for row in self.connection.execute(query):
            found.setdefault(row.symbol, {})[row.side, row.price] = (row.quantity, row.at)
        return found

    def _is_open(self, account: str, client_order_id: str) -> bool:
        column = tables.orders.c
        query = select(column.order_id).where(
            column.account == account,
            column.client_order_id == client_order_id,
            column.is_open.is_(True),
        )
        return self.connection.scalar(query) is not None


def _cost(rule: SymbolRules, order: Order, quantity: Decimal) -> tuple[str, Decimal]:
    """Return the asset, and how much of it, that an order locks for `quantity`."""
    return (rule.quote, order.price * quantity) if order.side == BUY else (rule.base, quantity)


def _order_row(order: Order) -> dict[str, Any]:
    return {name: getattr(order, name) for name in ORDER_COLUMNS} | {"is_open": order.status in OPEN}


def _changes(order: Order) -> dict[str, Any]:
    row = _order_row(order)
    return {f"new_{name}": row[name] for name in _MUTABLE}
