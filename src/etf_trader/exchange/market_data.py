"""What everyone may ask of an exchange: what trades, by which rules, the books, and what was traded."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from etf_trader.errors import UsageError
from etf_trader.exchange import rules, tape
from etf_trader.exchange.matching import ASK, BID
from etf_trader.exchange.opened import OpenExchange
from etf_trader.exchange.refusal import ExchangeError
from etf_trader.exchange.ticker import ticker
from etf_trader.exchange.trading import changed_statuses, set_status
from etf_trader.exchange.turn import Turn
from etf_trader.exchange.views import AverageView, BookView, KlineView, PublicTradeView, TickerView, VolumeView


class MarketData(OpenExchange):
    """The public side of an exchange."""

    def exchange_info(self, symbols: Iterable[str] | None = None) -> dict[str, Any]:
        """Return Binance's exchangeInfo, of all symbols or of those named.

        Raises:
            ExchangeError: -1121, there is no such symbol.
        """
        wanted = None if symbols is None else set(symbols)
        for symbol in wanted or ():
            self._rule(symbol)
        with self._database.read() as connection:
            statuses = changed_statuses(connection)
        return {
            "timezone": "UTC",
            "serverTime": _milliseconds(self.now()),
            "rateLimits": rules.rate_limits(),
            "exchangeFilters": list(self._market.exchange_filters()),
            "symbols": [
                self._symbols[row["symbol"]].info(row) | statuses.get(row["symbol"], {})
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

    def klines(
        self, symbol: str, seconds: int, start: datetime, end: datetime, *, on_grid: bool = False
    ) -> tuple[KlineView, ...]:
        """Return the candles of 1, 60, 3600 or 86,400 s that open in [start, end), at most 1000, oldest first.

        They stand on whole intervals of UTC. The last may be running; none opens after now.
        With `on_grid` mids are rounded to prices that an order may have.

        Raises:
            ExchangeError: -1121, there is no such symbol; -1120, no such interval.
        """
        tick = self._rule(symbol).tick
        with self._reading() as turn:
            rows = tape.klines(turn.connection, self._market, symbol, seconds, start, end, turn.now)
        return tuple(_on_grid(row, tick) for row in rows) if on_grid and tick else rows

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

    def recent_trades(self, symbol: str, limit: int, from_id: int | None = None) -> tuple[PublicTradeView, ...]:
        """Return the last `limit` trades of everyone in `symbol`, or the first from the id `from_id` on, in order.

        Raises:
            ExchangeError: -1121, there is no such symbol; -1130, `limit` is not positive.
        """
        self._rule(symbol)
        if limit < 1:
            raise ExchangeError(-1130, "Data sent for parameter 'limit' is not valid.")

        def answer(turn: Turn) -> tuple[PublicTradeView, ...]:
            tape = self._tape(turn, symbol)
            return tape.recent(limit) if from_id is None else tape.since(from_id, limit)

        return self._look_at(symbol, answer)

    def first_trade_id(self, symbol: str, at: datetime) -> int:
        """Return the id of the first trade in `symbol`, whoever made it, that is not before `at`; or of the next.

        Raises:
            ExchangeError: -1121, there is no such symbol.
        """
        self._rule(symbol)

        def answer(turn: Turn) -> int:
            return self._tape(turn, symbol).before(min(at, turn.now + timedelta.resolution)) + 1

        return self._look_at(symbol, answer)

    def ticker(self, symbol: str) -> TickerView:
        """Return what was traded of `symbol` in the 24 hours up to now, and the best of its book.

        Raises:
            ExchangeError: -1121, there is no such symbol.
        """
        self._rule(symbol)
        with self._reading() as turn:
            return ticker(turn.connection, self._lately, turn.trading(symbol), self._tape(turn, symbol), turn.now)

    def avg_price(self, symbol: str) -> AverageView:
        """Return the mean price of the last minutes, which filters refer to; the mid where nothing traded.

        Raises:
            ExchangeError: -1121, there is no such symbol; -2043, there is no price at all.
        """
        minutes = self._rule(symbol).reference_minutes
        with self._reading() as turn:
            price = turn.reference_price(symbol, minutes)
            if price is None:
                raise ExchangeError(-2043, "This symbol doesn't have a reference price.")
            newest = self._tape(turn, symbol).recent(1)
            return AverageView(minutes, price, newest[0].at if newest else turn.now)

    def execution_rules(self, symbol: str) -> tuple[dict[str, Any], ...]:
        """Return the rules that takers are held to as they trade, as Binance's executionRules shows them.

        Raises:
            ExchangeError: -1121, there is no such symbol.
        """
        self._rule(symbol)
        row = next(row for row in self._market.symbols() if row["symbol"] == symbol)
        return tuple(row.get("executionRules", ()))

    def set_status(self, symbol: str, status: str | None) -> None:
        """Give `symbol` a status until further notice; the market's own where it is None.

        Raises:
            ExchangeError: -1121, there is no such symbol.
            UsageError: there is no such status.
        """
        self._rule(symbol)
        if status is not None and status not in rules.STATUSES:
            raise UsageError(f"no such status of a symbol: {status!r}", hint=", ".join(rules.STATUSES))
        with self._writing() as turn:
            turn.settle(turn.symbols_with_open_orders(symbol))
            turn.save()
            set_status(turn.connection, symbol, status)

    # Inside

    def _books(self, turn: Turn, symbols: list[str], limit: int) -> dict[str, BookView]:
        turn.load(symbols)
        finished = self._market.finished(turn.now)
        return {symbol: _book(turn, symbol, limit, finished) for symbol in symbols}


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


def _on_grid(row: KlineView, tick: Decimal) -> KlineView:
    return row._replace(
        open=rules.half_up(row.open, tick),
        high=rules.half_up(row.high, tick),
        low=rules.half_up(row.low, tick),
        close=rules.half_up(row.close, tick),
    )


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)
