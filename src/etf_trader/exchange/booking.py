"""What happens to orders, as it is written: balances, fees, trades, counts, reports, all in one transaction."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from etf_trader.exchange import reports, rules, tables
from etf_trader.exchange.accounts import FEES, MARKET, Balances
from etf_trader.exchange.counts import Counts, CreditDelay
from etf_trader.exchange.fees import Fees
from etf_trader.exchange.many import Many
from etf_trader.exchange.market import Market
from etf_trader.exchange.matching import BUY, OPEN, Fill, Order, Prevention
from etf_trader.exchange.reports import ORDER_COLUMNS, Reports
from etf_trader.exchange.rules import SymbolRules
from etf_trader.exchange.trading import Trading
from etf_trader.exchange.views import TradeView
from etf_trader.money import ZERO

_MUTABLE = (
    "executed",
    "cumulative_quote",
    "prevented",
    "ahead",
    "status",
    "is_open",
    "expiry_reason",
    "updated",
    "shown",
    "place",
    "trail",
    "triggered_at",
    "cancel_id",
)
_COLUMN = tables.orders.c
_LAST_ID = select(func.max(_COLUMN.order_id))
_SAME_NAME = select(_COLUMN.order_id).where(
    _COLUMN.account == bindparam("account"),
    _COLUMN.client_order_id == bindparam("client_order_id"),
    _COLUMN.is_open.is_(True),
)
_NAMES = select(_COLUMN.order_id, _COLUMN.client_order_id).where(
    _COLUMN.account == bindparam("account"), _COLUMN.is_open.is_(True)
)
_NEW_ORDER, _NEW_TRADE = Many(insert(tables.orders)), Many(insert(tables.trade))
_UPDATE_ORDER = Many(
    update(tables.orders)
    .where(_COLUMN.order_id == bindparam("key"))
    .values({name: bindparam(f"new_{name}") for name in _MUTABLE})
)


class Booking:
    """The books of the exchange during one turn, or several with `renew` between them."""

    def __init__(
        self,
        connection: Connection,
        market: Market,
        symbols: Mapping[str, SymbolRules],
        now: datetime,
        delay: CreditDelay,
    ) -> None:
        self.balances = Balances(connection)
        self.counts = Counts(connection, now, delay)
        self._connection = connection
        self._now = now
        self._fees = Fees(connection, market, symbols, self.balances, now)
        self._reports = Reports(connection)
        self._last_id: int | None = None
        self._asked: set[str] = set()
        self._names: dict[str, dict[str, list[int]]] = {}
        """The open orders of accounts by name, of those that have placed several."""
        self._new: list[Order] = []
        self._changed: dict[int, Order] = {}
        self._trades: list[dict[str, Any]] = []
        self._trades_of: dict[int, list[dict[str, Any]]] = {}

    def renew(self, now: datetime) -> None:
        """Let it be `now`, with what was saved."""
        self._now = now
        self.counts.renew(now)
        self._fees.renew(now)
        for order in (*self._new, *self._changed.values()):
            if not order.is_open and (ids := self._names.get(order.account, {}).get(order.client_order_id)):
                ids.remove(order.order_id)
                if not ids:
                    del self._names[order.account][order.client_order_id]
        self._new.clear()
        self._changed.clear()
        self._trades.clear()
        self._trades_of.clear()

    def next_order_id(self) -> int:
        """Return the id of an order that is taken now."""
        if self._last_id is None:
            self._last_id = self._connection.scalar(_LAST_ID) or 0
        return self._last_id + 1

    def is_name_taken(self, account: str, client_order_id: str) -> bool:
        """Return whether an open order of `account` has this name."""
        names = self._names.get(account)
        if names is None and account not in self._asked:
            self._asked.add(account)
            asked = {"account": account, "client_order_id": client_order_id}
            return self._is_one_open(self._connection.scalars(_SAME_NAME, asked))
        if names is None:  # the second order: from now on it is cheaper to know them all
            names = self._names[account] = {}
            for order_id, name in self._connection.execute(_NAMES, {"account": account}):
                names.setdefault(name, []).append(order_id)
            for order in self._new:
                if order.account == account:
                    names.setdefault(order.client_order_id, []).append(order.order_id)
        return self._is_one_open(names.get(client_order_id, ()))

    def _is_one_open(self, order_ids: Iterable[int]) -> bool:
        return any((known := self._changed.get(order_id)) is None or known.is_open for order_id in order_ids)

    def accept(self, rule: SymbolRules, order: Order) -> None:
        """Take a new order: it counts, and what it may cost is locked."""
        self.counts.add(order.account)
        self.lock(rule, order, order.remaining)
        self._new.append(order)
        self._last_id = order.order_id
        self._changed[order.order_id] = order
        if order.account in self._names:
            self._names[order.account].setdefault(order.client_order_id, []).append(order.order_id)
        self._reports.add(reports.NEW, order, self._now)

    def trigger(self, rule: SymbolRules, order: Order) -> None:
        """Let an order that waited for its price work from now on; one without a limit gives back its lock."""
        locked = order.locks(order.remaining)
        order.triggered_at = order.updated = self._now
        self._add_lock(rule, order, order.locks(order.remaining) - locked)
        self.change(order)
        self._reports.add(reports.NEW, order, self._now)

    def trade(self, trading: Trading, order: Order, fill: Fill, *, is_maker: bool) -> None:
        """Book one side of a trade; `fill` of a taker that met another account is booked twice, once for each."""
        rule, price, quantity = trading.rules, fill.price, fill.quantity
        value, account = price * quantity, order.account
        self.balances.load(rule.base, rule.quote)
        locked = order.locks(quantity)
        if order.side == BUY:
            self.balances.add(account, rule.quote, locked=-locked, free=locked - value)
            self.balances.add(account, rule.base, free=quantity)
        else:
            self.balances.add(account, rule.base, locked=-locked, free=locked - quantity)
            self.balances.add(account, rule.quote, free=value)
        asset, fee = self._fees.of(account, rule, order.side, price, quantity, is_maker=is_maker)
        self.balances.add(account, asset, free=-fee)
        self.balances.add(FEES, asset, free=fee)
        if not order.cumulative_quote:
            returned = rules.MAKER_RETURNS if is_maker else rules.TAKER_RETURNS
            self.counts.give_back(account, order.order_id, returned)
        order.cumulative_quote += value
        order.status = "PARTIALLY_FILLED" if order.remaining else "FILLED"
        order.updated = self._now
        self.change(order)
        self._reports.add(reports.TRADE, order, self._now, trade_id=trading.last_trade_id)
        row = {
            "symbol": rule.symbol,
            "trade_id": trading.last_trade_id,
            "order_id": order.order_id,
            "account": account,
            "client_order_id": order.client_order_id,
            "side": order.side,
            "price": price,
            "quantity": quantity,
            "quote_quantity": value,
            "commission": fee,
            "commission_asset": asset,
            "is_maker": is_maker,
            "at": self._now,
        }
        self._trades.append(row)
        self._trades_of.setdefault(order.order_id, []).append(row)

    def trade_of_market(self, rule: SymbolRules, side: str, fill: Fill) -> None:
        """Book the market's part of a fill with an order on `side`."""
        sign = 1 if side == BUY else -1
        self.balances.add(MARKET, rule.base, free=-sign * fill.quantity)
        self.balances.add(MARKET, rule.quote, free=sign * fill.price * fill.quantity)

    def end(self, rule: SymbolRules, order: Order, status: str, reason: str | None = None) -> None:
        """End an order with something left: its lock goes back."""
        self._add_lock(rule, order, -order.locks(order.remaining))
        order.status, order.expiry_reason, order.updated = status, reason, self._now
        self.change(order)
        self._reports.add(status, order, self._now)

    def prevent(self, rule: SymbolRules, order: Order, prevention: Prevention) -> None:
        """Free what self-trade prevention took from `order`, which ends when nothing is left of it.

        The book has reduced its resting orders already; the taker is reduced here,
        so that each fill and each prevention finds it as it stood.
        """
        if prevention.order is not order:
            order.prevented += prevention.quantity
        self._add_lock(rule, order, -order.locks(prevention.quantity))
        if prevention.ends:
            order.status = "EXPIRED_IN_MATCH"
        order.updated = self._now
        self.change(order)
        self._reports.add(reports.TRADE_PREVENTION, order, self._now)

    def lock(self, rule: SymbolRules, order: Order, quantity: Decimal) -> None:
        """Lock what `quantity` of `order` may cost."""
        self._add_lock(rule, order, order.locks(quantity))

    def change(self, *orders: Order) -> None:
        """Note that orders have changed."""
        self._changed.update((order.order_id, order) for order in orders)

    def trade_views(self, order: Order) -> tuple[TradeView, ...]:
        """Return the trades of `order` that this turn made."""
        return tuple(
            TradeView(**{name: value for name, value in row.items() if name != "account"})
            for row in self._trades_of.get(order.order_id, ())
        )

    def save(self) -> None:
        """Write what was decided."""
        self.balances.save()
        for order in self._new:
            self._changed.pop(order.order_id, None)
        # Changes come first: a new order may have the name of one that ends here.
        rows = [{"key": order.order_id} | _changes(order) for order in self._changed.values()]
        _UPDATE_ORDER.run(self._connection, rows)
        _NEW_ORDER.run(self._connection, [_order_row(order) for order in self._new])
        _NEW_TRADE.run(self._connection, self._trades)
        self._reports.save()
        self.counts.save()

    def _add_lock(self, rule: SymbolRules, order: Order, amount: Decimal) -> None:
        asset = rule.quote if order.side == BUY else rule.base
        if amount != ZERO:
            self.balances.add(order.account, asset, free=-amount, locked=amount)


def _order_row(order: Order) -> dict[str, Any]:
    return {name: getattr(order, name) for name in ORDER_COLUMNS} | {"is_open": order.status in OPEN}


def _changes(order: Order) -> dict[str, Any]:
    row = _order_row(order)
    return {f"new_{name}": row[name] for name in _MUTABLE}
