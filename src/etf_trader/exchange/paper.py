"""The paper exchange: Binance Spot's semantics on a market of ours, with a database of its own.

Every public call is one transaction: a process killed anywhere leaves balances,
orders and trades as they were before the call or as they are after it.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, select, update

from etf_trader.clock import Clock, SystemClock
from etf_trader.database import Database
from etf_trader.errors import UsageError
from etf_trader.exchange import accounts, archive, fees, foundation, parameters, rules, tables, tape
from etf_trader.exchange.counts import CreditDelay
from etf_trader.exchange.foundation import STEPPED, WALL
from etf_trader.exchange.market import Depth, Market
from etf_trader.exchange.matching import ASK, BID, Order
from etf_trader.exchange.parameters import Terms
from etf_trader.exchange.refusal import ExchangeError
from etf_trader.exchange.reports import last_report, order_view, reports_after
from etf_trader.exchange.rules import SymbolRules
from etf_trader.exchange.turn import Turn
from etf_trader.exchange.views import (
    BalanceView,
    BookView,
    ExchangeSettings,
    KlineView,
    OrderCount,
    OrderRequest,
    OrderView,
    ReplaceView,
    ReportView,
    TradeView,
    TransferView,
    VolumeView,
)
from etf_trader.money import money_context

__all__ = [
    "BalanceView",
    "BookView",
    "Depth",
    "ExchangeError",
    "ExchangeSettings",
    "KlineView",
    "OrderCount",
    "OrderRequest",
    "OrderView",
    "PaperExchange",
    "ReplaceView",
    "ReportView",
    "TradeView",
    "TransferView",
    "VolumeView",
]

STOP_ON_FAILURE, ALLOW_FAILURE = "STOP_ON_FAILURE", "ALLOW_FAILURE"
RESTRICTIONS = {"ONLY_NEW": "NEW", "ONLY_PARTIALLY_FILLED": "PARTIALLY_FILLED"}
CENTURY = 100 * 366 * 86_400
SYSTEM_CLOCK = SystemClock()
Answer = TypeVar("Answer")


class PaperExchange:
    """One simulated exchange: its market, its accounts and its clock."""

    era: str
    """Random, made with the exchange: ids of another era mean nothing in this one."""

    def __init__(
        self, database: Database, settings: ExchangeSettings, market: Market, clock: Clock, era: str
    ) -> None:
        self.era = era
        self._database = database
        self._settings = settings
        self._market = market
        self._clock = clock
        self._delay = CreditDelay(settings.credit_delay, settings.parameters.get("seed"))
        self._rows: tuple[dict[str, Any], ...] = ()
        self._in_force: dict[str, SymbolRules] = {}
        self._assets = {asset for rule in self._symbols.values() for asset in (rule.base, rule.quote)}

    @property
    def _symbols(self) -> dict[str, SymbolRules]:
        """The rules in force: a market may halt a symbol or drop it, and has other rows then."""
        rows = self._market.symbols()
        if rows is not self._rows:
            self._rows, self._in_force = rows, {row["symbol"]: SymbolRules.from_row(row) for row in rows}
        return self._in_force

    @classmethod
    def create(
        cls,
        database: Database,
        settings: ExchangeSettings,
        market: Market,
        *,
        account: str = "paper",
        clock: Clock = SYSTEM_CLOCK,
        era: str | None = None,
    ) -> "PaperExchange":
        """Make the exchange and open `account`; where it exists with equal settings, open it.

        Its era is random, unless one is given so that a run repeats bit for bit.

        Raises:
            UsageError: the settings cannot be.
            ConfigError: it exists with other settings, or its database is of another version.
        """
        foundation.make(database, settings, market, account, clock, era)
        return cls.open(database, lambda kind, parameters: market, clock)

    @classmethod
    def open(
        cls,
        database: Database,
        market_factory: Callable[[str, Mapping[str, Any]], Market],
        clock: Clock = SYSTEM_CLOCK,
    ) -> "PaperExchange":
        """Open the exchange in `database`; its market is made again from its kind and parameters.

        Raises:
            ConfigError: there is none.
        """
        row = foundation.stored(database)
        settings = foundation.settings_of(row)
        return cls(database, settings, market_factory(settings.market, settings.parameters), clock, row.era)

    @staticmethod
    def settings(database: Database) -> ExchangeSettings:
        """Return what the exchange in `database` was made with.

        Raises:
            ConfigError: there is none.
        """
        return foundation.settings_of(foundation.stored(database))

    @property
    def is_stepped(self) -> bool:
        """Whether its clock moves by steps."""
        return self._settings.clock == STEPPED

    @property
    def database(self) -> Database:
        """Where it is kept."""
        return self._database

    @property
    def assets(self) -> frozenset[str]:
        """Everything that its accounts can hold."""
        return frozenset(self._assets)

    def close(self) -> None:
        """Give up connections."""
        self._database.close()

    # Time

    def now(self) -> datetime:
        """Return the exchange's time: the wall clock's, or where the stepped clock stands."""
        if self._settings.clock == WALL:
            return self._clock.now()
        with self._database.read() as connection:
            return self._now(connection)

    def advance(self, seconds: Decimal | float) -> datetime:
        """Move the stepped clock on, fill what falls due, and return the new time.

        Raises:
            UsageError: the exchange runs on the wall clock, or `seconds` is negative or beyond a century.
        """
        if self._settings.clock == WALL:
            raise UsageError(
                "this exchange runs on the wall clock, which only waiting moves",
                hint="make one with the stepped clock to move its time by hand",
            )
        if not 0 <= seconds <= CENTURY:
            raise UsageError(f"the clock cannot be moved by {seconds} s", hint="from 0 s to a century")
        step = timedelta(seconds=float(seconds))
        with self._writing(step) as turn:
            turn.settle(turn.symbols_with_open_orders())
            turn.save()
            return turn.now

    def finished(self) -> bool:
        """Return whether its recording is over and its last books stand from now on."""
        return self._market.finished(self.now())

    # What trades

    def exchange_info(self, symbols: Iterable[str] | None = None) -> dict[str, Any]:
        """Return Binance's exchangeInfo, of all symbols or of those named.

        Raises:
            ExchangeError: -1121, there is no such symbol.
        """
        wanted = None if symbols is None else set(symbols)
        for symbol in wanted or ():
            self._rule(symbol)
        return {
            "timezone": "UTC",
            "serverTime": _milliseconds(self.now()),
            "rateLimits": rules.rate_limits(),
            "exchangeFilters": [],
            "symbols": [
                self._symbols[row["symbol"]].info(row)
                for row in self._market.symbols()
                if wanted is None or row["symbol"] in wanted
            ],
        }

    def fees(self, account: str, symbol: str) -> tuple[Decimal, Decimal]:
        """Return the maker and the taker rate of `symbol`, fractions of what is received; the same for everyone.

        Raises:
            ExchangeError: -1121, there is no such symbol.
        """
        self._rule(symbol)
        return self._market.fees(symbol)

    def depth(self, symbol: str, limit: int = 100, *, settled: bool = False) -> BookView:
        """Return the book of `symbol` now, at most `limit` levels a side; `settled` as for `depths`.

        Raises:
            ExchangeError: -1121, there is no such symbol.
        """
        return self.depths([symbol], limit, settled=settled)[symbol]

    def depths(self, symbols: Iterable[str], limit: int = 100, *, settled: bool = False) -> dict[str, BookView]:
        """Return the books of `symbols` at one moment, at most `limit` levels a side.

        With `settled`, fills that fell due are booked first: what is only shown may
        be gone a moment later, and its update id with it.

        Raises:
            ExchangeError: -1121, there is no such symbol; -1130, `limit` is not positive.
        """
        if limit < 1:
            raise ExchangeError(-1130, "Data sent for parameter 'limit' is not valid.")
        wanted = list(symbols)
        for symbol in wanted:
            self._rule(symbol)
        with self._reading() as turn:
            if not settled or not turn.is_due(wanted):
                return self._books(turn, wanted, limit)
        with self._writing() as turn:
            turn.settle(wanted)
            turn.save()
            return self._books(turn, wanted, limit)

    def klines(self, symbol: str, seconds: int, start: datetime, end: datetime) -> tuple[KlineView, ...]:
        """Return the candles of 60, 3600 or 86,400 s that open in [start, end), at most 1000, oldest first.

        They stand on whole intervals of UTC. The last may be running; none opens after now.

        Raises:
            ExchangeError: -1121, there is no such symbol; -1120, no such interval.
        """
        self._rule(symbol)
        with self._reading() as turn:
            return tape.klines(turn.connection, self._market, symbol, seconds, start, end, turn.now)

    def volume(self, account: str, symbol: str, start: datetime, end: datetime) -> VolumeView:
        """Return what was traded of `symbol` in [start, end) up to now, and what `account` traded of it.

        Raises:
            ExchangeError: -1121, there is no such symbol.
        """
        self._rule(symbol)
        until = min(end, self.now())
        return self._look(
            account,
            symbol,
            lambda connection: tape.volume(connection, self._market, account, symbol, start, until),
        )

    # Orders

    def place(self, account: str, request: OrderRequest) -> OrderView:
        """Take a new order and trade it, and return it with its trades and the account's order counts.

        Raises:
            ExchangeError: it is refused, with Binance's code; only -1015 is worth repeating.
        """
        self._rule(request.symbol)

        def decide(turn: Turn) -> OrderView:
            terms = self._check(turn, account, request)
            turn.counts.check_room(account)
            return _placed(turn, account, turn.place(account, request, terms))

        return self._change(account, request.symbol, decide)

    def test(self, account: str, request: OrderRequest) -> None:
        """Check a new order as `place` does before it looks at the book and the account's money; place nothing.

        Raises:
            ExchangeError: it would be refused.
        """
        self._rule(request.symbol)
        with self._reading() as turn:
            self._known(turn, account)
            self._check(turn, account, request)

    def cancel(
        self,
        account: str,
        symbol: str,
        *,
        order_id: int | None = None,
        client_order_id: str | None = None,
        new_cancel_id: str | None = None,
        restriction: str | None = None,
    ) -> OrderView:
        """Cancel an open order, and return it as it ended; fills that fell due before stay.

        Args:
            account: Whose.
            symbol: The order's.
            order_id: Its id; this or the next must be given.
            client_order_id: Its name.
            new_cancel_id: What the cancellation is called; a name is made up when None.
            restriction: ONLY_NEW or ONLY_PARTIALLY_FILLED: cancel it only as long as that is its status.

        Raises:
            ExchangeError: -2011, there is no such open order: it may have filled; or it has another status.
        """
        self._rule(symbol)
        _check_name(order_id, client_order_id)
        return self._change(
            account,
            symbol,
            lambda turn: self._cancel(
                turn, account, symbol, order_id, client_order_id, new_cancel_id, restriction
            ),
        )

    def cancel_all(self, account: str, symbol: str) -> tuple[OrderView, ...]:
        """Cancel every open order of `account` in `symbol`, and return them as they ended, oldest first.

        Raises:
            ExchangeError: -2011, there is none.
        """
        self._rule(symbol)

        def decide(turn: Turn) -> tuple[OrderView, ...]:
            standing = sorted(order.order_id for order in turn.trading(symbol).open_orders(account))
            if not standing:
                raise ExchangeError(-2011, "Unknown order sent.")
            return tuple(self._cancel(turn, account, symbol, order_id, None, None, None) for order_id in standing)

        return self._change(account, symbol, decide)

    def cancel_replace(
        self,
        account: str,
        request: OrderRequest,
        mode: str,
        *,
        order_id: int | None = None,
        client_order_id: str | None = None,
        new_cancel_id: str | None = None,
        restriction: str | None = None,
    ) -> ReplaceView:
        """Cancel an order and place another in one go, and return what came of both.

        The new order's filters and count are looked at before anything happens. Then
        the first is cancelled; where that fails, STOP_ON_FAILURE leaves it at that,
        which counts as an order all the same, and ALLOW_FAILURE goes on.

        Args:
            account: Whose.
            request: The new order, in the symbol of the old.
            mode: STOP_ON_FAILURE or ALLOW_FAILURE.
            order_id: The order to cancel; this or the next must be given.
            client_order_id: Its name.
            new_cancel_id: What the cancellation is called; a name is made up when None.
            restriction: As in `cancel`.

        Raises:
            ExchangeError: the new order cannot be, or comes too soon; nothing happened.
        """
        rule = self._rule(request.symbol)
        _check_name(order_id, client_order_id)
        if mode not in (STOP_ON_FAILURE, ALLOW_FAILURE):
            raise ExchangeError(-1145, "Invalid cancelReplaceMode.")

        def decide(turn: Turn) -> ReplaceView:
            if not rule.allows.get("cancelReplaceAllowed", True):
                raise ExchangeError(-2010, "Order cancel-replace is not supported for this symbol.")
            terms = self._check(turn, account, request)
            turn.counts.check_room(account)
            cancelled: OrderView | ExchangeError
            try:
                cancelled = self._cancel(
                    turn, account, request.symbol, order_id, client_order_id, new_cancel_id, restriction
                )
            except ExchangeError as refusal:
                cancelled = refusal
                if mode == STOP_ON_FAILURE:
                    turn.counts.add(account)
                    return ReplaceView(cancelled, None)
            try:
                return ReplaceView(cancelled, _placed(turn, account, turn.place(account, request, terms)))
            except ExchangeError as refusal:
                return ReplaceView(cancelled, refusal)

        return self._change(account, request.symbol, decide)

    def order(
        self, account: str, symbol: str, *, order_id: int | None = None, client_order_id: str | None = None
    ) -> OrderView:
        """Return an order; of several with one client order id the last.

        Raises:
            ExchangeError: -2013, there is none.
        """
        self._rule(symbol)
        _check_name(order_id, client_order_id)

        def answer(connection: Connection) -> OrderView:
            found = archive.find(connection, account, symbol, order_id, client_order_id)
            if found is None:
                raise ExchangeError(-2013, "Order does not exist.")
            return order_view(found, archive.trades_of(connection, found.order_id))

        return self._look(account, symbol, answer)

    def open_orders(self, account: str, symbol: str | None = None) -> tuple[OrderView, ...]:
        """Return the open orders of `account`, oldest first."""
        return self._orders(account, symbol, tables.orders.c.is_open.is_(True))

    def orders(self, account: str, symbol: str | None = None, from_order_id: int = 0) -> tuple[OrderView, ...]:
        """Return all orders of `account` from `from_order_id` on, oldest first."""
        return self._orders(account, symbol, tables.orders.c.order_id >= from_order_id)

    def trades(
        self, account: str, symbol: str | None = None, *, order_id: int | None = None, from_id: int = 0
    ) -> tuple[TradeView, ...]:
        """Return the trades of `account`, in the order they happened.

        Args:
            account: Whose.
            symbol: Only of this symbol; of all when None.
            order_id: Only of this order.
            from_id: Only trade ids from here on; they ascend within a symbol.

        Raises:
            ExchangeError: -1121, there is no such symbol.
        """
        column = tables.trade.c
        conditions = [column.account == account, column.trade_id >= from_id]
        if symbol is not None:
            self._rule(symbol)
            conditions.append(column.symbol == symbol)
        if order_id is not None:
            conditions.append(column.order_id == order_id)
        return self._look(account, symbol, lambda connection: tuple(archive.trades(connection, *conditions)))

    def order_counts(self, account: str) -> tuple[OrderCount, ...]:
        """Return how many unfilled orders `account` has in the current window of each limit."""
        with self._reading() as turn:
            self._known(turn, account)
            return turn.counts.views(account)

    # What happened

    def last_report(self, account: str) -> int:
        """Return the sequence of the last thing that happened to an order of `account`; 0 for nothing yet."""
        with self._reading() as turn:
            self._known(turn, account)
            return last_report(turn.connection, account)

    def reports(self, account: str, after: int = 0, *, settled: bool = False) -> tuple[ReportView, ...]:
        """Return what happened to the orders of `account` since the report numbered `after`, in order.

        With `settled` it only reads what was written, which is all there is right
        after a request that has booked what fell due.
        """
        if settled:
            with self._reading() as turn:
                return tuple(reports_after(turn.connection, account, after))
        return self._look(account, None, lambda connection: tuple(reports_after(connection, account, after)))

    # Money

    def open_account(self, name: str) -> None:
        """Open the account `name`, unless it is open already.

        Raises:
            UsageError: an account cannot be called that.
        """
        with self._writing() as turn:
            accounts.open_account(turn.connection, name, turn.now)

    def balances(self, account: str) -> dict[str, BalanceView]:
        """Return what `account` has, by asset, without the assets it has nothing of."""
        return self._look(account, None, lambda connection: accounts.balances_of(connection, account))

    def deposit(self, account: str, asset: str, amount: Decimal, transfer_id: str) -> TransferView:
        """Credit `amount` of `asset`, once for each `transfer_id`.

        Raises:
            UsageError: the amount, asset or id cannot be, or the id stands for another transfer.
            NotFound: there is no such account.
        """
        return self._move(account, accounts.DEPOSIT, asset, amount, transfer_id)

    def withdraw(self, account: str, asset: str, amount: Decimal, transfer_id: str) -> TransferView:
        """Debit `amount` of the free `asset`, once for each `transfer_id`.

        Raises:
            UsageError: there is not enough free, or as for a deposit.
            NotFound: there is no such account.
        """
        return self._move(account, accounts.WITHDRAWAL, asset, amount, transfer_id)

    def transfers(self, account: str, after: int = 0) -> tuple[TransferView, ...]:
        """Return the deposits and withdrawals of `account` with a sequence above `after`, in order."""
        with self._reading() as turn:
            self._known(turn, account)
            return tuple(accounts.transfers(turn.connection, account, after))

    def bnb_burn(self, account: str) -> bool:
        """Return whether `account` pays its fees in BNB, at three quarters, where it has enough of it."""
        with self._reading() as turn:
            self._known(turn, account)
            return fees.burns_bnb(turn.connection, account)

    def set_bnb_burn(self, account: str, on: bool) -> None:
        """Let `account` pay its fees in BNB from now on, or in what it receives, as at first."""
        with self._writing() as turn:
            self._known(turn, account)
            turn.settle(turn.symbols_with_open_orders())
            turn.save()
            fees.set_bnb_burn(turn.connection, account, on=on)

    # Inside

    def _books(self, turn: Turn, symbols: list[str], limit: int) -> dict[str, BookView]:
        turn.load(symbols)
        finished = self._market.finished(turn.now)
        return {symbol: _book(turn, symbol, limit, finished) for symbol in symbols}

    def _check(self, turn: Turn, account: str, request: OrderRequest) -> Terms:
        parameters.check_time(request, turn.now)
        terms = parameters.check_parameters(request)
        turn.check(account, request, terms)
        return terms

    def _cancel(
        self,
        turn: Turn,
        account: str,
        symbol: str,
        order_id: int | None,
        client_order_id: str | None,
        cancel_id: str | None,
        restriction: str | None,
    ) -> OrderView:
        found = archive.find(turn.connection, account, symbol, order_id, client_order_id, only_open=True)
        if found is None or not (standing := turn.trading(symbol).resting[found.order_id]).is_open:
            raise ExchangeError(-2011, "Unknown order sent.")
        if restriction is not None and standing.status != RESTRICTIONS[restriction]:
            raise ExchangeError(-2011, "Order was not canceled due to cancel restrictions.")
        order = turn.cancel(symbol, found.order_id, cancel_id or self._made_up(found))
        assert order is not None
        before = archive.trades_of(turn.connection, order.order_id)
        return order_view(order, (*before, *turn.trade_views(order)))

    def _made_up(self, order: Order) -> str:
        """Return the name of a cancellation that nobody named: the same each time."""
        return hashlib.sha256(f"{self.era}:{order.order_id}".encode()).hexdigest()[:22]

    def _move(self, account: str, kind: str, asset: str, amount: Decimal, transfer_id: str) -> TransferView:
        with self._writing() as turn:
            turn.settle(turn.symbols_with_open_orders())
            turn.save()
            return accounts.move(
                turn.connection, account, kind, asset, amount, transfer_id, turn.now, assets=self._assets
            )

    def _orders(self, account: str, symbol: str | None, *conditions: ColumnElement[bool]) -> tuple[OrderView, ...]:
        column = tables.orders.c
        wanted = [column.account == account, *conditions]
        if symbol is not None:
            self._rule(symbol)
            wanted.append(column.symbol == symbol)

        return self._look(account, symbol, lambda connection: archive.orders(connection, *wanted))

    def _look(self, account: str, symbol: str | None, answer: Callable[[Connection], Answer]) -> Answer:
        """Answer from one consistent state, after booking the fills that fell due, if any did."""
        with self._reading() as turn:
            self._known(turn, account)
            if not turn.is_due(turn.symbols_with_open_orders(symbol)):
                return answer(turn.connection)
        with self._writing() as turn:
            turn.settle(turn.symbols_with_open_orders(symbol))
            turn.save()
            return answer(turn.connection)

    def _change(self, account: str, symbol: str, decide: Callable[[Turn], Answer]) -> Answer:
        """Let `decide` change something; fills that fell due before stand even when it refuses."""
        with self._writing() as turn:
            self._known(turn, account)
            turn.settle([symbol])
            refusal: ExchangeError | None = None
            try:
                answer = decide(turn)
            except ExchangeError as error:
                refusal = error
            turn.save()
        if refusal is not None:
            raise refusal
        return answer

    @contextmanager
    def _reading(self) -> Iterator[Turn]:
        with money_context(), self._database.read() as connection:
            yield Turn(connection, self._market, self._symbols, self._now(connection), self._delay)

    @contextmanager
    def _writing(self, step: timedelta | None = None) -> Iterator[Turn]:
        with money_context(), self._database.write() as connection:
            # On PostgreSQL the lock on this row is what keeps two writers apart.
            now = self._now(connection, lock=True)
            if step is not None:
                now += step
                connection.execute(update(tables.exchange).values(time=now))
            yield Turn(connection, self._market, self._symbols, now, self._delay)

    def _now(self, connection: Connection, *, lock: bool = False) -> datetime:
        if self._settings.clock == WALL and not lock:
            return self._clock.now()
        query = select(tables.exchange.c.time)
        time = connection.execute(query.with_for_update() if lock else query).scalar_one()
        return self._clock.now() if time is None else time

    def _rule(self, symbol: str) -> SymbolRules:
        if symbol not in self._symbols:
            raise ExchangeError(-1121, "Invalid symbol.")
        return self._symbols[symbol]

    def _known(self, turn: Turn, account: str) -> None:
        if not accounts.is_account(turn.connection, account):
            raise ExchangeError(-2015, "Invalid API-key, IP, or permissions for action.", http_status=401)


def _book(turn: Turn, symbol: str, limit: int, finished: bool) -> BookView:
    trading = turn.trading(symbol)
    bids, asks = trading.book.levels(BID), trading.book.levels(ASK)
    return BookView(
        symbol=symbol,
        bids=bids[:limit],
        asks=asks[:limit],
        update_id=trading.market.update_id + trading.changes,
        at=turn.now,
        complete=trading.market.complete and max(len(bids), len(asks)) <= limit,
        finished=finished,
    )


def _placed(turn: Turn, account: str, order: Order) -> OrderView:
    return replace(order_view(order, turn.trade_views(order)), counts=turn.counts.views(account))


def _check_name(order_id: int | None, client_order_id: str | None) -> None:
    if order_id is None and client_order_id is None:
        raise ExchangeError(
            -1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
        )


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)
