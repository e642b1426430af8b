"""Seeded order books of twenty coins against USDT: a pure function of seed, symbol and time.

Nothing is stored and nothing is drawn in order: the state of any second is
computed from hashes, so that every process sees the same market and may look at
any time, in any order, as often as it likes. Books change once a second.

Every platform computes the same books. Floats pass through +, -, *, / and sqrt
alone, which IEEE 754 rounds correctly; the exponential is `Decimal`'s, which is
correctly rounded too; randomness is BLAKE2.

`docs/market-model.md` describes the model and its calibration.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from hashlib import blake2b
from math import sqrt
from typing import Any

from etf_trader.errors import NotFound
from etf_trader.exchange.market import Depth, MarketBook
from etf_trader.exchange.model_parameters import COINS, LIMITS, MARKET_VOLATILITY, Coin

EPOCH = datetime(2026, 1, 5, tzinfo=UTC)
"""Where the paths of all seeds begin, at the prices of the parameter table."""

QUOTE = "USDT"
REACH_BPS = 500.0
"""How far from mid the books end."""
CELLS = 16
"""Levels per doubling of the distance from the best price."""

_SECOND = timedelta(seconds=1)
_REMEMBERED = 4096
_LEVELS = 30
"""The path is refined by halving an interval of 2^30 s (34 years) down to 1 s."""
_STATIONARY = 23
"""Intervals beyond 2^23 s (97 days) swing no wider than these: prices keep near where they began."""
_GROUP = 3
"""So many halvings share one hash: 1 + 2 + 4 nodes of 8 bytes each."""
_NORMAL_MEAN, _NORMAL_SD = 8 * 127.5, sqrt(8 * (65536 - 1) / 12)
"""Of the sum of eight random bytes, near enough to a normal variable."""
_SECONDS_PER_DAY = 86_400

_CONTEXT = Context(prec=40, rounding=ROUND_HALF_EVEN)
"""Ours alone: the caller's context may be narrower, or trap what is inexact."""


def _size_weights() -> tuple[float, ...]:
    """Return 256 equally likely level sizes of mean 1: Lomax with tail exponent 2, median 0.44, largest 23."""
    raw = [1 / sqrt(1 - (k + 0.5) / 256) - 1 for k in range(256)]
    mean = sum(raw) / len(raw)
    return tuple(weight / mean for weight in raw)


_WEIGHTS = _size_weights()


class ModelMarket:
    """The market of one seed."""

    def __init__(self, seed: int = 1, start: datetime = EPOCH) -> None:
        """Make the market of `seed`; `start` is where a stepped clock begins, not before the epoch."""
        self.start = start
        self._coins = {coin.asset + QUOTE: _CoinMarket(coin, seed) for coin in COINS}
        self._factor = _Path(_key(seed, "market"), MARKET_VOLATILITY)
        self._factor_returns: dict[int, float] = {}
        self._books: dict[str, MarketBook] = {}
        self._books_second = -1

    def symbols(self) -> tuple[dict[str, Any], ...]:
        """Return the rows of exchangeInfo's `symbols`, most liquid first."""
        return tuple(_symbol_row(market.coin) for market in self._coins.values())

    def fees(self, symbol: str) -> tuple[Decimal, Decimal]:
        """Return the maker and the taker rate as fractions: 10 bps each, Binance's without discount."""
        return Decimal("0.001"), Decimal("0.001")

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
            book = self._books[symbol] = self._coin(symbol).book(second, self._factor_return(second))
        return book

    def still_consumed(
        self, symbol: str, side: str, price: Decimal, quantity: Decimal, since: datetime, at: datetime
    ) -> Decimal:
        """Return what is still missing of `quantity` taken at `since`: it comes back exponentially.

        The time constant is the coin's within 10 bps of the mid at `since` and grows in
        proportion to the distance beyond, up to tenfold. The result is on the step.
        """
        seconds = (at - since) / _SECOND
        if seconds <= 0 or quantity <= 0:
            return quantity
        coin = self._coin(symbol)
        second = _second(since)
        distance = (
            abs(float(price) / (coin.mid_ticks(second, self._factor_return(second)) * coin.tick_size) - 1) * 1e4
        )
        lifetimes = seconds / (coin.coin.recovery * min(10.0, max(1.0, distance / 10)))
        if lifetimes > 100:
            return Decimal(0)
        left = _CONTEXT.multiply(quantity, _CONTEXT.exp(Decimal.from_float(-lifetimes)))
        steps = _CONTEXT.to_integral_value(_CONTEXT.divide(left, coin.step))
        return min(quantity, _CONTEXT.multiply(steps, coin.step))

    def finished(self, at: datetime) -> bool:
        """Return False: the model has no end."""
        return False

    def _coin(self, symbol: str) -> "_CoinMarket":
        try:
            return self._coins[symbol]
        except KeyError:
            raise NotFound(
                f"the model market has no symbol {symbol}", hint="its symbols: " + ", ".join(self._coins)
            ) from None

    def _factor_return(self, second: int) -> float:
        return _remembered(self._factor_returns, second, lambda: self._factor.value(second))


class _CoinMarket:
    """The books of one coin."""

    def __init__(self, coin: Coin, seed: int) -> None:
        self.coin = coin
        self.tick, self.step = Decimal(coin.tick), Decimal(coin.step)
        self.tick_size, self._step_size = float(coin.tick), float(coin.step)
        self._start_ticks = float(coin.price) / self.tick_size
        self._path = _Path(_key(seed, coin.asset, "path"), coin.own_volatility)
        self._sizes = _key(seed, coin.asset, "sizes")
        self._mids: dict[int, float] = {}

    def mid_ticks(self, second: int, factor: float) -> float:
        """Return the middle of the market in ticks, between or on them."""
        return _remembered(self._mids, second, lambda: self._mid_ticks(second, factor))

    def _mid_ticks(self, second: int, factor: float) -> float:
        log_return = self.coin.beta * factor + self._path.value(second)
        ticks = self._start_ticks * float(_CONTEXT.exp(Decimal.from_float(log_return)))
        return max(ticks, 20.0)

    def book(self, second: int, factor: float) -> MarketBook:
        """Return the book of a second since the epoch."""
        mid = self.mid_ticks(second, factor)
        state = _digest(self._sizes, 0xFF, 0, second, 8)
        spread = 1
        if state[0] < self.coin.wide:
            spread = 2 + (state[1] < self.coin.wide) + (state[2] < self.coin.wide)
        bid = int(mid - spread / 2 + 0.5)  # the pair of ticks that stands nearest around the mid
        return MarketBook(
            bids=self._side(second, mid, bid, -1),
            asks=self._side(second, mid, bid + spread, 1),
            update_id=1_000_000_000 + second,
            complete=True,
        )

    def _side(self, second: int, mid: float, best: int, sign: int) -> tuple[Depth, ...]:
        """Return one side's levels, best first; ticks are mirrored (times `sign`) so that both walk upwards.

        Price is cut into cells that double in width as the distance doubles, on a
        grid that does not move with the mid; each cell has one level, at a tick of
        its own, that holds the depth curve's increase over the cell times its size.
        """
        mid, best = mid * sign, best * sign
        level_size = _Sizes(self._sizes, second, self.tick_size * 1e4 / (self._start_ticks * self.tick_size))
        curve = _Curve(self.coin, abs(mid))
        scale = self._depth_now(second, sign) / self._step_size / self.tick_size
        end = mid + max(abs(mid) * REACH_BPS / 1e4, 6.0)
        tick, step = self.tick, self.step

        below = curve.depth(best + 0.5 - mid)
        weight, _ = level_size(0, best * sign)
        quantity = int((below + self.coin.touch * weight) * scale / abs(best))
        levels = [Depth(best * sign * tick, max(quantity, 1) * step)]
        position, shift = best + 1, 0
        while position < end and position * sign != 0:
            while (position - best) >> (shift + 1) >= CELLS:
                shift += 1
            cell = position >> shift
            after = (cell + 1) << shift
            weight, offset = level_size(shift, cell * sign)
            level = max(position, (cell << shift) + ((offset << shift) >> 8))
            above = curve.depth(after - 0.5 - mid)
            quantity = int((above - below) * weight * scale / abs(level))
            levels.append(Depth(level * sign * tick, max(quantity, 1) * step))
            position, below = after, above
        return tuple(levels)

    def _depth_now(self, second: int, sign: int) -> float:
        """Return how deep the side is now: 0.75 to 1.25, in the mean 1, with another target every 5 minutes."""
        interval, into = divmod(second, 300)
        side = 0 if sign > 0 else 1
        here = _digest(self._sizes, 0xFE, 0, interval, 2)[side]
        there = _digest(self._sizes, 0xFE, 0, interval + 1, 2)[side]
        return 0.75 + (here + (there - here) * (into / 300)) / 510


class _Curve:
    """Expected depth of one side in USDT by distance from the mid in ticks.

    Three powers of the distance meet at 10 and at 100 bps. Near the touch books
    are at least as thin as a straight line, far away they thin out again.
    """

    def __init__(self, coin: Coin, mid: float) -> None:
        self._per_tick = 100.0 / mid  # one tick in units of 100 bps of the mid
        self._depth = float(coin.depth)
        self._inner, self._middle, self._outer = max(8, coin.eighths), coin.eighths, min(8, coin.eighths)
        self._depth_at_10_bps = self._depth * _power(0.1, self._middle)

    def depth(self, ticks: float) -> float:
        """Return the USDT expected up to `ticks` from the mid."""
        distance = ticks * self._per_tick
        if distance < 0.1:
            return self._depth_at_10_bps * _power(distance * 10, self._inner)
        return self._depth * _power(distance, self._middle if distance < 1 else self._outer)


def _power(base: float, eighths: int) -> float:
    """Return base ^ (eighths / 8) by square roots, which every platform rounds alike; `pow` may differ."""
    half = sqrt(base)
    quarter = sqrt(half)
    result = 1.0
    for _ in range(eighths >> 3):
        result *= base
    if eighths & 4:
        result *= half
    if eighths & 2:
        result *= quarter
    if eighths & 1:
        result *= sqrt(quarter)
    return result


class _Sizes:
    """Sizes and places of levels in one second: smooth in time, independent between cells."""

    def __init__(self, key: bytes, second: int, bps_per_tick: float) -> None:
        self._key, self._second, self._bps_per_tick = key, second, bps_per_tick
        self._blocks: dict[tuple[int, int], tuple[bytes, bytes, bytes, float]] = {}

    def __call__(self, shift: int, cell: int) -> tuple[float, int]:
        """Return the weight (mean 1) of a cell's level and its place in the cell in 256ths."""
        block, index = cell >> 6, cell & 63
        known = self._blocks.get((shift, block))
        if known is None:
            known = self._blocks[shift, block] = self._make(shift, block)
        before, after, places, part = known
        weight = _WEIGHTS[before[index]]
        return weight + (_WEIGHTS[after[index]] - weight) * part, places[index]

    def _make(self, shift: int, block: int) -> tuple[bytes, bytes, bytes, float]:
        # Sizes near the mid turn over in seconds, those far away in minutes.
        distance = (CELLS << shift) * self._bps_per_tick
        period = 8 if distance < 5 else 32 if distance < 50 else 128
        epoch, into = divmod(self._second + block * 5 + shift * 3, period)
        return (
            _digest(self._key, shift, block, epoch, 64),
            _digest(self._key, shift, block, epoch + 1, 64),
            _digest(self._key, shift | 0x80, block, 0, 64),
            into / period,
        )


class _Path:
    """A Brownian path of log prices from 0 at the epoch, by midpoint displacement (Lévy's construction).

    The value of a second is a sum over the halvings that lead to it, each with a
    hashed normal variable: any second costs the same ten hashes.
    """

    def __init__(self, key: bytes, daily_volatility: float) -> None:
        """Make the path; `daily_volatility` is the standard deviation of a day's log return."""
        self._key = key
        per_second = daily_volatility / sqrt(_SECONDS_PER_DAY)
        # An interval of length L displaces its middle by a standard deviation of sqrt(L) / 2.
        self._displacement = [
            per_second * sqrt(1 << min(_LEVELS - level, _STATIONARY)) / 2 / _NORMAL_SD for level in range(_LEVELS)
        ]

    def value(self, second: int) -> float:
        """Return the log price in a second since the epoch, relative to the epoch's."""
        total = 0.0
        for level in range(_LEVELS):
            length_bits = _LEVELS - level  # this halving cuts intervals of 2^length_bits seconds
            group, depth = divmod(level, _GROUP)
            if depth == 0:
                numbers = _digest(self._key, group, 0, second >> length_bits, 56)
            node = (1 << depth) - 1 + ((second >> length_bits) & ((1 << depth) - 1))
            into = second & ((1 << length_bits) - 1)
            half = 1 << (length_bits - 1)
            height = (into if into <= half else 2 * half - into) / half
            normal = sum(numbers[8 * node : 8 * node + 8]) - _NORMAL_MEAN
            total += self._displacement[level] * normal * height
        return total


def _remembered(values: dict[int, float], second: int, make: Callable[[], float]) -> float:
    """Return the value of a second, made once: what was taken then is asked about level by level."""
    value = values.get(second)
    if value is None:
        if len(values) >= _REMEMBERED:
            values.clear()
        value = values[second] = make()
    return value


def _second(at: datetime) -> int:
    return max(0, (at - EPOCH) // _SECOND)


def _key(seed: int, *names: str) -> bytes:
    return blake2b("/".join((str(seed), *names)).encode(), digest_size=32).digest()


def _digest(key: bytes, kind: int, place: int, time: int, size: int) -> bytes:
    data = kind.to_bytes(1, "big") + place.to_bytes(8, "big", signed=True) + time.to_bytes(8, "big", signed=True)
    return blake2b(data, digest_size=size, key=key).digest()


def _symbol_row(coin: Coin) -> dict[str, Any]:
    """Return the coin's row of exchangeInfo, in the shape of 2026."""

    limits = LIMITS[coin.asset]

    def text(value: str) -> str:
        return f"{Decimal(value):.8f}"

    return {
        "symbol": coin.asset + QUOTE,
        "status": "TRADING",
        "baseAsset": coin.asset,
        "baseAssetPrecision": limits.precision,
        "quoteAsset": QUOTE,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": limits.precision,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": True,
        "opoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        "cancelReplaceAllowed": True,
        "amendAllowed": True,
        "pegInstructionsAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": text(coin.tick),
                "maxPrice": text("1000000"),
                "tickSize": text(coin.tick),
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": text(coin.step),
                "maxQty": text(limits.max_quantity),
                "stepSize": text(coin.step),
            },
            {"filterType": "ICEBERG_PARTS", "limit": 100},
            {
                "filterType": "MARKET_LOT_SIZE",
                "minQty": text("0"),
                "maxQty": text(limits.max_market_quantity),
                "stepSize": text("0"),
            },
            {
                "filterType": "TRAILING_DELTA",
                "minTrailingAboveDelta": 10,
                "maxTrailingAboveDelta": 2000,
                "minTrailingBelowDelta": 10,
                "maxTrailingBelowDelta": 2000,
            },
            {
                "filterType": "PERCENT_PRICE_BY_SIDE",
                "bidMultiplierUp": "5",
                "bidMultiplierDown": "0.2",
                "askMultiplierUp": "5",
                "askMultiplierDown": "0.2",
                "avgPriceMins": 5,
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": text("5"),
                "applyMinToMarket": True,
                "maxNotional": text("9000000"),
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
            {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": 20},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
            {"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": 10},
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": [
            "EXPIRE_TAKER",
            "EXPIRE_MAKER",
            "EXPIRE_BOTH",
            "DECREMENT",
            "TRANSFER",
        ],
    }
