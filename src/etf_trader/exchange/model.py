"""Seeded order books and volumes of twenty coins in several currencies: a pure function of seed, symbol and time.

Nothing is stored and nothing is drawn in order: the state of any second is
computed from hashes, so that every process sees the same market and may look at
any time, in any order, as often as it likes. Books change once a second.

Every platform computes the same books (`paths` says why); the exponential is
`Decimal`'s, which is correctly rounded.

Each asset has a value in USDT in each second, and the best prices of every book
stand on either side of the quotient of two values: `bid <= base / quote <= ask`.
Along a cycle of trades the quotients cancel, so that none pays, whatever the
fees; what accounts take from a book only moves its prices away.

`docs/market-model.md` describes the model and its calibration.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from difflib import get_close_matches
from typing import Any, NamedTuple

from etf_trader.errors import NotFound
from etf_trader.exchange.ladder import Ladder, Shape
from etf_trader.exchange.market import MarketBook, Print
from etf_trader.exchange.model_parameters import (
    COIN_BAND,
    COINS,
    CURRENCIES,
    CURRENCY_BAND,
    CURRENCY_LIMITS,
    CURRENCY_STEP,
    CURRENCY_TICK,
    LIMITS,
    MARKET_VOLATILITY,
    PAIRS,
    TURNOVER,
    Coin,
    Currency,
    Limits,
)
from etf_trader.exchange.model_rows import symbol_row
from etf_trader.exchange.model_volume import DayVolumes, Volume
from etf_trader.exchange.paths import Path, Remembered, digest, key

EPOCH = datetime(2026, 1, 5, tzinfo=UTC)
"""Where the paths of all seeds begin, at the prices of the parameter table."""

FIRST_PRINT = datetime(2017, 7, 14, tzinfo=UTC)
"""Trades are numbered from here on, one a second: long before the epoch, since they were made before it too."""

USDT = "USDT"
FEE = Decimal("0.001")
"""Binance's without discount, maker and taker."""

_SECOND = timedelta(seconds=1)
_MICROSECOND = timedelta(microseconds=1)
_SECONDS_PER_DAY = 86_400
_DOUBT = 1e-12
"""A quotient of two values is computed far more precisely than this."""
_SLOWER = 2.0
"""How much longer than against USDT a coin's other books take to fill up again."""

_CONTEXT = Context(prec=40, rounding=ROUND_HALF_EVEN)
"""Ours alone: the caller's context may be narrower, or trap what is inexact."""


class ModelMarket:
    """The market of one seed."""

    def __init__(self, seed: int = 1, start: datetime = EPOCH, fees: Mapping[str, Decimal] | None = None) -> None:
        """Make the market of `seed`.

        Args:
            seed: Which of its markets.
            start: Where a stepped clock begins, not before the epoch.
            fees: Maker and taker rate, as a fraction, by quote asset; 10 bps where none is given.
        """
        self.start = start
        self.since: datetime | None = None
        self._seed = seed
        self._fees = dict(fees or {})
        self._values = _Values(seed)
        self._symbols = {each.name: each for each in _symbols(seed)}
        self._rows = tuple(
            symbol_row(each.base, each.quote, each.ladder.tick, each.ladder.step, each.limits, each.band)
            for each in self._symbols.values()
        )
        self._books: dict[str, MarketBook] = {}
        self._books_second = -1
        days = DayVolumes(seed)
        self._volumes = {name: self._volume(each, seed, days) for name, each in self._symbols.items()}

    def symbols(self) -> tuple[dict[str, Any], ...]:
        """Return the rows of exchangeInfo's `symbols`: against USDT, most liquid first, then the others."""
        return self._rows

    def fees(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Return the maker and the taker rate as fractions: both that of the quote asset."""
        rate = self._fees.get(self._symbol(symbol).quote, FEE)
        return rate, rate

    def book(self, symbol: str, at: datetime) -> MarketBook:
        """Return the book of `symbol` in the second of `at`; before the epoch, that of the epoch.

        Raises:
            NotFound: the model has no such symbol.
        """
        second = _second(at)
        if second != self._books_second:
            self._books, self._books_second = {}, second
        book = self._books.get(symbol)
        if book is None:
            found = self._symbol(symbol)
            unit = self._values.value(found.quote, second)
            book = self._books[symbol] = found.ladder.book(second, self.mid_ticks(symbol, second), unit)
        return book

    def mid_ticks(self, symbol: str, second: int) -> float:
        """Return what the base of `symbol` is worth in a second since the epoch, in ticks, between or on them."""
        found = self._symbol(symbol)
        if found.quote == USDT and found.base in self._values.coins:
            return self._values.coins[found.base](second)
        ratio = self._values.value(found.base, second) / self._values.value(found.quote, second)
        return ratio / found.ladder.tick_size

    def still_consumed(
        self, symbol: str, side: str, price: Decimal, quantity: Decimal, since: datetime, at: datetime
    ) -> Decimal:
        """Return what is still missing of `quantity` taken at `since`: it comes back exponentially.

        The time constant is the symbol's within 10 bps of the mid at `since` and grows in
        proportion to the distance beyond, up to tenfold. The result is on the step. Like the
        books it changes with whole seconds, so that each update id stands for one book.
        """
        seconds = (at.replace(microsecond=0) - since) / _SECOND
        if seconds <= 0 or quantity <= 0:
            return quantity
        ladder = self._symbol(symbol).ladder
        distance = abs(float(price) / (self.mid_ticks(symbol, _second(since)) * ladder.tick_size) - 1) * 1e4
        lifetimes = seconds / (ladder.shape.recovery * min(10.0, max(1.0, distance / 10)))
        if lifetimes > 100:
            return Decimal(0)
        left = _CONTEXT.multiply(quantity, _CONTEXT.exp(Decimal.from_float(-lifetimes)))
        steps = _CONTEXT.to_integral_value(_CONTEXT.divide(left, ladder.step))
        return min(quantity, _CONTEXT.multiply(steps, ladder.step))

    def mid(self, symbol: str, at: datetime) -> Decimal:
        """Return the mean of the best prices of the book in the second of `at`."""
        second = _second(at)
        ladder = self._symbol(symbol).ladder
        bid, ask = ladder.best(second, self.mid_ticks(symbol, second))
        return (bid + ask) * ladder.tick / 2

    def traded(self, symbol: str, start: datetime, end: datetime) -> Decimal:
        """Return what others traded, on the step; before the epoch they traded too, at the epoch's prices."""
        first, last = ((at - EPOCH) // _MICROSECOND for at in (start, end))
        return self._volumes[self._symbol(symbol).name].steps(first, last) * self._symbol(symbol).ladder.step

    def prints(self, symbol: str, first: int, last: int) -> Iterator[Print]:
        """Yield a trade for each second, at the best bid or ask; a second in which nothing is traded has none.

        It stands at the last microsecond of its second, when all of it is traded.
        """
        found = self._symbol(symbol)
        sides = key(self._seed, found.name, "prints")
        for number in range(max(0, first), last):
            at = FIRST_PRINT + number * _SECOND
            quantity = self.traded(symbol, at, at + _SECOND)
            if quantity:
                second = _second(at)
                sells = bool(digest(sides, 0, 0, number, 1)[0] % 2)
                bid, ask = found.ladder.best(second, self.mid_ticks(symbol, second))
                price = (bid if sells else ask) * found.ladder.tick
                yield Print(number, self.print_time(symbol, number), price, quantity, sells)

    def printed(self, symbol: str, until: datetime) -> int:
        """Return how many seconds had passed at `until` since the first trade of all."""
        return max(0, (until - FIRST_PRINT) // _SECOND)

    def print_time(self, symbol: str, number: int) -> datetime:
        """Return the last microsecond of the second of that number."""
        return FIRST_PRINT + (number + 1) * _SECOND - _MICROSECOND

    def exchange_filters(self) -> tuple[dict[str, Any], ...]:
        """Return none."""
        return ()

    def finished(self, at: datetime) -> bool:
        """Return False: the model has no end."""
        return False

    def _volume(self, symbol: "_Symbol", seed: int, days: DayVolumes) -> Volume:
        """Return the volume of a symbol: the turnover of its base, times the depth of its books."""
        step = float(symbol.ladder.step)
        daily = symbol.ladder.shape.depth * TURNOVER[symbol.base]

        def mean_steps(day: int) -> float:
            return daily / self._values.value(symbol.base, max(0, day * _SECONDS_PER_DAY)) / step

        return Volume(key(seed, symbol.name, "volume"), mean_steps, days)

    def _symbol(self, name: str) -> "_Symbol":
        try:
            return self._symbols[name]
        except KeyError:
            near = get_close_matches(name, self._symbols, n=1)
            hint = f"did you mean {near[0]}?" if near else None
            raise NotFound(f"the model market has no symbol {name}", hint=hint) from None


class _Symbol(NamedTuple):
    """A symbol: what it trades against what, its books, and what its filters allow."""

    base: str
    quote: str
    ladder: Ladder
    limits: Limits
    band: tuple[str, str]

    @property
    def name(self) -> str:
        return self.base + self.quote


class _Values:
    """What every asset is worth in USDT, second by second: where all books stand."""

    def __init__(self, seed: int) -> None:
        factor = Remembered(Path(key(seed, "market"), MARKET_VOLATILITY).value)
        self.coins = {coin.asset: Remembered(_mid_of(coin, seed, factor)) for coin in COINS}
        """What a coin is worth in ticks of its market against USDT, between or on them."""
        self._ticks = {coin.asset: float(coin.tick) for coin in COINS}
        self._currencies = {each.asset: Remembered(_value_of(each, seed)) for each in CURRENCIES}

    def value(self, asset: str, second: int) -> float:
        """Return what one of `asset` is worth in a second since the epoch."""
        if asset == USDT:
            return 1.0
        if asset in self._currencies:
            return self._currencies[asset](second)
        return self.coins[asset](second) * self._ticks[asset]


def _mid_of(coin: Coin, seed: int, factor: Callable[[int], float]) -> Callable[[int], float]:
    path = Path(key(seed, coin.asset, "path"), coin.own_volatility)
    start = _start_ticks(coin)

    def mid_ticks(second: int) -> float:
        log_return = coin.beta * factor(second) + path.value(second)
        return max(start * float(_CONTEXT.exp(Decimal.from_float(log_return))), 20.0)

    return mid_ticks


def _value_of(currency: Currency, seed: int) -> Callable[[int], float]:
    path = Path(key(seed, currency.asset, "path"), currency.daily_volatility)

    def value(second: int) -> float:
        away = path.value(second)
        return currency.middle + currency.swing * (away / (1.0 + abs(away)))

    return value


def _start_ticks(coin: Coin) -> float:
    return float(coin.price) / float(coin.tick)


def _symbols(seed: int) -> Iterator[_Symbol]:
    coins = {coin.asset: coin for coin in COINS}
    starts = {USDT: 1.0} | {each.asset: each.middle for each in CURRENCIES}
    starts |= {coin.asset: float(coin.price) for coin in COINS}

    def ladder(base: str, quote: str, shape: Shape, tick: str, step: str) -> Ladder:
        start = starts[base] / starts[quote] / float(tick)
        return Ladder(key(seed, base + quote, "sizes"), shape, tick, step, start, _DOUBT)

    for coin in COINS:
        shape = Shape(coin.depth, coin.eighths, coin.touch, 1, coin.wide, coin.recovery)
        books = Ladder(key(seed, coin.asset, "sizes"), shape, coin.tick, coin.step, _start_ticks(coin))
        yield _Symbol(coin.asset, USDT, books, LIMITS[coin.asset], COIN_BAND)
    for each in CURRENCIES:
        shape = Shape(each.depth, each.eighths, each.touch, 1, each.wide, each.recovery)
        books = ladder(each.asset, USDT, shape, CURRENCY_TICK, CURRENCY_STEP)
        yield _Symbol(each.asset, USDT, books, CURRENCY_LIMITS[each.asset], CURRENCY_BAND)
    for pair in PAIRS:
        base, quote, coin = pair.base, pair.quote, coins[pair.base]
        depth, touch = coin.depth * pair.share, coin.touch * pair.share
        shape = Shape(depth, coin.eighths, touch, pair.spread, coin.wide, coin.recovery * _SLOWER)
        books = ladder(base, quote, shape, pair.tick or coin.tick, coin.step)
        limits = LIMITS[base]._replace(max_market_quantity=pair.max_market_quantity)
        if pair.max_quantity:
            limits = limits._replace(max_quantity=pair.max_quantity)
        yield _Symbol(base, quote, books, limits, COIN_BAND)


def _second(at: datetime) -> int:
    return max(0, (at - EPOCH) // _SECOND)
