"""What accounts did to the books: read with one look at the market, joined with it, and written back."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, delete, insert, select, update

from etf_trader.exchange import tables
from etf_trader.exchange.market import Market, MarketBook
from etf_trader.exchange.matching import BID, Fill, Order, SymbolBook
from etf_trader.exchange.reports import order_of
from etf_trader.exchange.rules import TRADING, SymbolRules
from etf_trader.money import ZERO

Consumed = Mapping[tuple[str, Decimal], tuple[Decimal, datetime]]
"""How much of a market level accounts had taken, and when, by side and price."""

_MANY_LEVELS = 200
_SYMBOLS: BindParameter[list[str]] = bindparam("symbols", expanding=True)
_RESTING = select(tables.orders).where(tables.orders.c.is_open.is_(True), tables.orders.c.symbol.in_(_SYMBOLS))
_CONSUMED = select(tables.consumption).where(tables.consumption.c.symbol.in_(_SYMBOLS))
_STATES = select(tables.symbol_state).where(tables.symbol_state.c.symbol.in_(_SYMBOLS))
_NEW_STATE = insert(tables.symbol_state)
_UPDATE_STATE = (
    update(tables.symbol_state)
    .where(tables.symbol_state.c.symbol == bindparam("key"))
    .values({name: bindparam(f"new_{name}") for name in ("changes", "last_trade_id")})
)
_SAME_LEVEL = [tables.consumption.c[name] == bindparam(f"_{name}") for name in ("symbol", "side", "price")]
_NEW_CONSUMPTION = insert(tables.consumption)
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


class Tradings:
    """The symbols that one turn looked at."""

    def __init__(
        self, connection: Connection, market: Market, rules: Mapping[str, SymbolRules], now: datetime
    ) -> None:
        self._connection = connection
        self._market = market
        self._rules = rules
        self._now = now
        self._known: dict[str, Trading] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def load(self, symbols: Iterable[str]) -> None:
        """Read what accounts did to the books of `symbols`, and let due fills happen in memory."""
        wanted = [symbol for symbol in dict.fromkeys(symbols) if symbol not in self._known]
        if not wanted:
            return
        resting, consumed = self._resting(wanted), self._consumption(wanted)
        states = {row.symbol: row for row in self._connection.execute(_STATES, {"symbols": wanted})}
        for symbol in wanted:
            self._known[symbol] = self._join(
                symbol, resting.get(symbol, []), consumed.get(symbol, {}), states.get(symbol)
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

    def _join(self, symbol: str, resting: list[Order], consumed: Consumed, state: Any) -> Trading:
        rules = self._rules[symbol]
        status = (None if state is None else state.status) or rules.status
        market = self._market.book(symbol, self._now)
        missing = {level: self._missing(symbol, consumed, *level) for level in consumed if _shows(market, *level)}
        book = SymbolBook(market, [order for order in resting if not order.is_waiting], missing)
        due = tuple(book.settle()) if resting and status == TRADING else ()
        return Trading(
            rules=rules,
            status=status,
            market=market,
            book=book,
            resting={order.order_id: order for order in resting},
            consumed=consumed,
            changes=(0 if state is None else state.changes) + (1 if due else 0),
            stored_changes=None if state is None else state.changes,
            last_trade_id=0 if state is None else state.last_trade_id,
            due=due,
        )

    def _missing(self, symbol: str, consumed: Consumed, side: str, price: Decimal) -> Decimal:
        if (side, price) not in consumed:
            return ZERO
        quantity, since = consumed[side, price]
        return self._market.still_consumed(symbol, side, price, quantity, since, max(since, self._now))

    def _save(self, symbol: str, trading: Trading) -> None:
        if trading.changes == (trading.stored_changes or 0):
            return
        known: list[dict[str, Any]] = []
        new: list[dict[str, Any]] = []
        for (side, price), quantity in trading.book.taken.items():
            missing = self._missing(symbol, trading.consumed, side, price) + quantity
            row = {"symbol": symbol, "side": side, "price": price, "quantity": missing, "at": self._now}
            (known if (side, price) in trading.consumed else new).append(row)
        if known:
            rows = [{f"_{name}": value for name, value in row.items()} for row in known]
            self._connection.execute(_UPDATE_CONSUMPTION, rows)
        if new:
            self._connection.execute(_NEW_CONSUMPTION, new)
        if len(trading.consumed) > _MANY_LEVELS:
            self._forget_restored(symbol, trading)
        values = {"changes": trading.changes, "last_trade_id": trading.last_trade_id}
        if trading.stored_changes is None:
            self._connection.execute(_NEW_STATE, [{"symbol": symbol, **values}])
        else:
            row = {f"new_{name}": value for name, value in values.items()}
            self._connection.execute(_UPDATE_STATE, [{"key": symbol, **row}])

    def _forget_restored(self, symbol: str, trading: Trading) -> None:
        restored = [
            {"_symbol": symbol, "_side": side, "_price": price}
            for side, price in trading.consumed
            if (side, price) not in trading.book.taken and not self._missing(symbol, trading.consumed, side, price)
        ]
        if restored:
            self._connection.execute(_DELETE_CONSUMPTION, restored)

    def _resting(self, symbols: list[str]) -> dict[str, list[Order]]:
        found: dict[str, list[Order]] = {}
        for row in self._connection.execute(_RESTING, {"symbols": symbols}):
            found.setdefault(row.symbol, []).append(order_of(row))
        return found

    def _consumption(self, symbols: list[str]) -> dict[str, dict[tuple[str, Decimal], tuple[Decimal, datetime]]]:
        found: dict[str, dict[tuple[str, Decimal], tuple[Decimal, datetime]]] = {}
        for row in self._connection.execute(_CONSUMED, {"symbols": symbols}):
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
