"""An exchange that is open: its clock, and the turns in which everything about it is looked at and changed."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, select, update

from etf_trader.clock import Clock, SystemClock
from etf_trader.database import Database
from etf_trader.errors import UsageError
from etf_trader.exchange import foundation, tables
from etf_trader.exchange.counts import CreditDelay
from etf_trader.exchange.foundation import STEPPED, WALL
from etf_trader.exchange.market import Market
from etf_trader.exchange.memory import Memory
from etf_trader.exchange.public_trades import PublicTrades
from etf_trader.exchange.refusal import ExchangeError
from etf_trader.exchange.rules import SymbolRules
from etf_trader.exchange.ticker import Lately
from etf_trader.exchange.turn import Turn
from etf_trader.exchange.views import ExchangeSettings, OrderView, ReportView, TradeView
from etf_trader.money import money_context

CENTURY = 100 * 366 * 86_400
SYSTEM_CLOCK = SystemClock()
Answer = TypeVar("Answer")
_TIME = select(tables.exchange.c.time)
_LOCKED_TIME = _TIME.with_for_update()


class OpenExchange:
    """One simulated exchange: its database, its market and its clock."""

    era: str
    """Random, made with the exchange: ids of another era mean nothing in this one."""

    def __init__(
        self,
        database: Database,
        settings: ExchangeSettings,
        market: Market,
        clock: Clock,
        era: str,
        *,
        tape_ids: bool = False,
    ) -> None:
        self.era = era
        self._database = database
        self._settings = settings
        self._market = market
        self._clock = clock
        self._tape_ids = tape_ids
        self._lately = Lately(market)
        self._delay = CreditDelay(settings.credit_delay, settings.parameters.get("seed"))
        self._memory: Memory | None = None
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
        tape_ids: bool = False,
    ) -> Self:
        """Make the exchange and open `account`; where it exists with equal settings, open it.

        Its era is random, unless one is given so that a run repeats bit for bit.

        Raises:
            UsageError: the settings cannot be.
            ConfigError: it exists with other settings, or its database is of another version.
        """
        foundation.make(database, settings, market, account, clock, era)
        return cls.open(database, lambda kind, parameters: market, clock, tape_ids=tape_ids)

    @classmethod
    def open(
        cls,
        database: Database,
        market_factory: Callable[[str, Mapping[str, Any]], Market],
        clock: Clock = SYSTEM_CLOCK,
        *,
        tape_ids: bool = False,
    ) -> Self:
        """Open the exchange in `database`; its market is made again from its kind and parameters.

        With `tape_ids` it tells and takes the ids that trades have on the tape, which
        all of `recent_trades` are numbered by; without, accounts' trades are counted
        within their symbol.

        Raises:
            ConfigError: there is none.
        """
        row = foundation.stored(database)
        settings = foundation.settings_of(row)
        market = market_factory(settings.market, settings.parameters)
        return cls(database, settings, market, clock, row.era, tape_ids=tape_ids)

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

    def remember(self) -> None:
        """Know from now on, from one change to the next, what was read for the last: one thread may make changes.

        Others may change the same database; what they do is noticed. On a server's
        database, which does not tell, everything is read each time.
        """
        if self._database.is_sqlite and self._memory is None:
            self._memory = Memory(self._database)

    def close(self) -> None:
        """Give up connections."""
        if self._memory is not None:
            self._memory.close()
            self._memory = None
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

    # Inside

    def _look(self, account: str, symbol: str | None, answer: Callable[[Connection], Answer]) -> Answer:
        """Answer `account` from one consistent state, after booking the fills that fell due, if any did."""
        return self._look_at(symbol, lambda turn: answer(turn.connection), account)

    def _look_at(self, symbol: str | None, answer: Callable[[Turn], Answer], account: str | None = None) -> Answer:
        with self._reading() as turn:
            if account is not None:
                self._known(turn, account)
            if not turn.is_due(turn.symbols_with_open_orders(symbol)):
                return answer(turn)
        with self._writing() as turn:
            turn.settle(turn.symbols_with_open_orders(symbol))
            turn.save()
            return answer(turn)

    def _change(self, account: str, symbol: str, decide: Callable[[Turn], Answer]) -> Answer:
        """Let `decide` change something; fills that fell due before stand even when it refuses."""
        with money_context(), self._keeping() as turn:
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
            yield self._turn(connection, self._now(connection))

    @contextmanager
    def _writing(self, step: timedelta | None = None) -> Iterator[Turn]:
        with money_context(), self._database.write() as connection:
            # On PostgreSQL the lock on this row is what keeps two writers apart.
            now = self._now(connection, lock=True)
            if step is not None:
                now += step
                connection.execute(update(tables.exchange).values(time=now))
            yield self._turn(connection, now)

    @contextmanager
    def _keeping(self) -> Iterator[Turn]:
        """Yield a turn that is to be saved, and goes on from the last one if it is remembered."""
        memory = self._memory
        if memory is None:
            with self._database.write() as connection:
                yield self._turn(connection, self._now(connection, lock=True))
            return
        with self._database.write_on(memory.connection):
            now = self._now(memory.connection, lock=True)
            turn = memory.recall(self._symbols)
            if turn is None:
                turn = self._turn(memory.connection, now)
            else:
                turn.renew(now)
            yield turn
        memory.keep(turn)

    def _turn(self, connection: Connection, now: datetime) -> Turn:
        return Turn(connection, self._market, self._symbols, now, self._delay, self._lately)

    def _tape(self, turn: Turn, symbol: str) -> PublicTrades:
        return PublicTrades(turn.connection, self._market, symbol, turn.now)

    def _shown(self, view: OrderView) -> OrderView:
        """Return `view` with the ids that its trades are told by."""
        return replace(view, trades=tuple(map(self._numbered, view.trades))) if self._tape_ids else view

    def _numbered(self, trade: TradeView) -> TradeView:
        if not self._tape_ids:
            return trade
        return replace(trade, trade_id=self._market.printed(trade.symbol, trade.at) + trade.trade_id)

    def _reported(self, report: ReportView) -> ReportView:
        return report if report.trade is None else replace(report, trade=self._numbered(report.trade))

    def _now(self, connection: Connection, *, lock: bool = False) -> datetime:
        if self._settings.clock == WALL and not lock:
            return self._clock.now()
        time = connection.execute(_LOCKED_TIME if lock else _TIME).scalar_one()
        return self._clock.now() if time is None else time

    def _rule(self, symbol: str) -> SymbolRules:
        if symbol not in self._symbols:
            raise ExchangeError(-1121, "Invalid symbol.")
        return self._symbols[symbol]

    def _known(self, turn: Turn, account: str) -> None:
        if not turn.is_account(account):
            raise ExchangeError(-2015, "Invalid API-key, IP, or permissions for action.", http_status=401)
