"""What accounts did to the books: read with one look at the market, joined with it, and written back."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BindParameter, Connection, Select, bindparam, delete, insert, select, update

from etf_trader.exchange import tables
from etf_trader.exchange.many import Many
from etf_trader.exchange.market import Market, MarketBook
from etf_trader.exchange.matching import BID, Fill, Order, SymbolBook
from etf_trader.exchange.reports import order_of
from etf_trader.exchange.rules import TRADING, SymbolRules
from etf_trader.money import ZERO

Consumed = dict[tuple[str, Decimal], tuple[Decimal, datetime]]
"""How much of a market level accounts had taken, and when, by side and price."""

_MANY_LEVELS = 200
_SYMBOLS: BindParameter[list[str]] = bindparam("symbols", expanding=True)
_RESTING = select(tables.orders).where(tables.orders.c.is_open.is_(True), tables.orders.c.symbol.in_(_SYMBOLS))
_CONSUMED = select(tables.consumption).where(tables.consumption.c.symbol.in_(_SYMBOLS))
_STATES = select(tables.symbol_state).where(tables.symbol_state.c.symbol.in_(_SYMBOLS))
_RESTING_1, _CONSUMED_1, _STATES_1 = (
    select(table).where(*conditions, table.c.symbol == bindparam("symbol"))
    for table, conditions in (
        (tables.orders, [tables.orders.c.is_open.is_(True)]),
        (tables.consumption, []),
        (tables.symbol_state, []),
    )
)
"""The same of one symbol: the usual case, and twice as fast."""
_NEW_STATE = insert(tables.symbol_state)
_UPDATE_STATE = Many(
    update(tables.symbol_state)
    .where(tables.symbol_state.c.symbol == bindparam("key"))
    .values({name: bindparam(f"new_{name}") for name in ("changes", "last_trade_id")})
)
_SAME_LEVEL = [tables.consumption.c[name] == bindparam(f"_{name}") for name in ("symbol", "side", "price")]
_NEW_CONSUMPTION = Many(insert(tables.consumption))
_UPDATE_CONSUMPTION = Many(
    update(tables.consumption)
    .where(*_SAME_LEVEL)
    .values({name: bindparam(f"_{name}") for name in ("quantity", "at")})
)
_DELETE_CONSUMPTION = delete(tables.consumption).where(*_SAME_LEVEL)


@dataclass(slots=True)
class Trading:
    """One symbol during one turn: its book, and what was decided and is not written yet."""

    rules: SymbolRules
    status: str
    market: MarketBook
    book: SymbolBook
    resting: dict[int, Order]
    """The accounts' open orders, those that wait for a price among them."""
    consumed: Consumed
    changes: int
    stored_changes: int | None
    last_trade_id: int
    due: tuple[Fill, ...]
    """Fills of resting orders that fell due by now; the book already shows them."""

    def open_orders(self, account: str) -> list[Order]:
        """Return what `account` has open in the symbol."""
        return [order for order in self.resting.values() if order.account == account and order.is_open]

    def waiting(self) -> list[Order]:
        """Return the open orders that wait for a price, oldest first."""
        return [order for order in self.resting.values() if order.is_waiting and order.is_open]


@dataclass(slots=True)
class Written:
    """What stands written of a symbol: its open orders by id, what was consumed, and its state."""

    resting: dict[int, Order]
    consumed: Consumed
    changes: int | None
    last_trade_id: int
    status: str | None


class Tradings:
    """The symbols that one turn looked at, or several with `renew` between them."""

    def __init__(
        self, connection: Connection, market: Market, rules: Mapping[str, SymbolRules], now: datetime
    ) -> None:
        self._connection = connection
        self._market = market
        self._rules = rules
        self._now = now
        self._written: dict[str, Written] = {}
        self._known: dict[str, Trading] = {}

    def renew(self, now: datetime) -> None:
        """Let it be `now`: the market is looked at again, what accounts did is known."""
        self._now = now
        self._known.clear()

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def load(self, symbols: Iterable[str]) -> None:
        """Read what accounts did to the books of `symbols`, and let due fills happen in memory."""
        wanted = [symbol for symbol in dict.fromkeys(symbols) if symbol not in self._known]
        if not wanted:
            return
        if unread := [symbol for symbol in wanted if symbol not in self._written]:
            self._read(unread)
        for symbol in wanted:
            self._known[symbol] = self._join(symbol, self._written[symbol])

    def _read(self, symbols: list[str]) -> None:
        resting, consumed = self._resting(symbols), self._consumption(symbols)
        states = {row.symbol: row for row in self._rows(_STATES, _STATES_1, symbols)}
        for symbol in symbols:
            state = states.get(symbol)
            self._written[symbol] = Written(
                resting=resting.get(symbol, {}),
                consumed=consumed.get(symbol, {}),
                changes=None if state is None else state.changes,
                last_trade_id=0 if state is None else state.last_trade_id,
                status=None if state is None else state.status,
            )

    def of(self, symbol: str) -> Trading:
        """Return the state of `symbol`, due fills included."""
        if symbol not in self._known:
            self.load([symbol])
        return self._known[symbol]

    def save(self) -> None:
        """Write what changed."""
        for symbol, trading in self._known.items():
            self._save(symbol, trading)

    def _join(self, symbol: str, written: Written) -> Trading:
        rules, consumed = self._rules[symbol], written.consumed
        status = written.status or rules.status
        market = self._market.book(symbol, self._now)
        missing = {level: self._missing(symbol, consumed, *level) for level in consumed if _shows(market, *level)}
        book = SymbolBook(market, [order for order in written.resting.values() if not order.is_waiting], missing)
        due = tuple(book.settle()) if written.resting and status == TRADING else ()
        return Trading(
            rules=rules,
            status=status,
            market=market,
            book=book,
            resting=written.resting,
            consumed=consumed,
            changes=(written.changes or 0) + (1 if due else 0),
            stored_changes=written.changes,
            last_trade_id=written.last_trade_id,
            due=due,
        )

    def _missing(self, symbol: str, consumed: Consumed, side: str, price: Decimal) -> Decimal:
        if (side, price) not in consumed:
            return ZERO
        quantity, since = consumed[side, price]
        return self._market.still_consumed(symbol, side, price, quantity, since, max(since, self._now))

    def _save(self, symbol: str, trading: Trading) -> None:
        for order in [order for order in trading.resting.values() if not order.is_open]:
            del trading.resting[order.order_id]
        if trading.changes == (trading.stored_changes or 0):
            return
        known: list[dict[str, Any]] = []
        new: list[dict[str, Any]] = []
        for (side, price), quantity in trading.book.taken.items():
            missing = self._missing(symbol, trading.consumed, side, price) + quantity
            row = {"symbol": symbol, "side": side, "price": price, "quantity": missing, "at": self._now}
            (known if (side, price) in trading.consumed else new).append(row)
            trading.consumed[side, price] = missing, self._now
        rows = [{f"_{name}": value for name, value in row.items()} for row in known]
        _UPDATE_CONSUMPTION.run(self._connection, rows)
        _NEW_CONSUMPTION.run(self._connection, new)
        if len(trading.consumed) > _MANY_LEVELS:
            self._forget_restored(symbol, trading)
        values = {"changes": trading.changes, "last_trade_id": trading.last_trade_id}
        if trading.stored_changes is None:
            self._connection.execute(_NEW_STATE, [{"symbol": symbol, **values}])
        else:
            row = {f"new_{name}": value for name, value in values.items()}
            _UPDATE_STATE.run(self._connection, [{"key": symbol, **row}])
        written = self._written[symbol]
        written.changes, written.last_trade_id = trading.changes, trading.last_trade_id

    def _forget_restored(self, symbol: str, trading: Trading) -> None:
        restored = [
            level
            for level in trading.consumed
            if level not in trading.book.taken and not self._missing(symbol, trading.consumed, *level)
        ]
        if restored:
            rows = [{"_symbol": symbol, "_side": side, "_price": price} for side, price in restored]
            self._connection.execute(_DELETE_CONSUMPTION, rows)
            for level in restored:
                del trading.consumed[level]

    def _rows(self, several: Select[Any], one: Select[Any], symbols: list[str]) -> Iterable[Any]:
        if len(symbols) == 1:
            return self._connection.execute(one, {"symbol": symbols[0]})
        return self._connection.execute(several, {"symbols": symbols})

    def _resting(self, symbols: list[str]) -> dict[str, dict[int, Order]]:
        found: dict[str, dict[int, Order]] = {}
        for row in self._rows(_RESTING, _RESTING_1, symbols):
            found.setdefault(row.symbol, {})[row.order_id] = order_of(row)
        return found

    def _consumption(self, symbols: list[str]) -> dict[str, Consumed]:
        found: dict[str, Consumed] = {}
        for row in self._rows(_CONSUMED, _CONSUMED_1, symbols):
            found.setdefault(row.symbol, {})[row.side, row.price] = (row.quantity, row.at)
        return found


def changed_statuses(connection: Connection) -> dict[str, dict[str, str]]:
    """Return the statuses that symbols were given, as parts of their rows of exchangeInfo."""
    state = tables.symbol_state.c
    rows = connection.execute(select(state.symbol, state.status).where(state.status.is_not(None)))
    return {row.symbol: {"status": row.status} for row in rows}


def set_status(connection: Connection, symbol: str, status: str | None) -> None:
    """Give a symbol another status than the market's, or the market's again."""
    table = tables.symbol_state
    if not connection.execute(update(table).where(table.c.symbol == symbol).values(status=status)).rowcount:
        connection.execute(_NEW_STATE, [{"symbol": symbol, "changes": 0, "last_trade_id": 0, "status": status}])


def _shows(market: MarketBook, side: str, price: Decimal) -> bool:
    """Return whether the market has a level at `price`; most that accounts took from are gone by now."""
    levels, sign = (market.bids, -1) if side == BID else (market.asks, 1)
    place = bisect_left(levels, sign * price, key=lambda level: sign * level.price)
    return place < len(levels) and levels[place].price == price
