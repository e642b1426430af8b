"""What an address may ask: request weight and raw requests in fixed windows, waits, and bans that grow.

Source:
    Binance Spot API, rest-api.md, "LIMITS".
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil

from etf_trader.exchange.refusal import ExchangeError
from etf_trader.exchange.server.parameters import EPOCH, milliseconds

PATIENCE = 10
"""How many requests an address may send in a window after it was told to wait; the next one bans it."""

FIRST_BAN = timedelta(minutes=2)
LONGEST_BAN = timedelta(days=3)
WALLET_WEIGHT = 12_000
_STREAMS = "Please use WebSocket Streams for live updates"


@dataclass(frozen=True, slots=True)
class Allowance:
    """At most `limit` in each window of `number` `interval`s, fixed on the clock; by address."""

    kind: str
    interval: str
    number: int
    length: timedelta
    limit: int

    @property
    def letter(self) -> str:
        """The window as the names of headers spell it: 1M."""
        return f"{self.number}{self.interval[0]}"

    def window(self, now: datetime) -> int:
        """Return the number of the window that `now` lies in."""
        return (now - EPOCH) // self.length

    def ends(self, now: datetime) -> datetime:
        """Return the end of the window that `now` lies in."""
        return EPOCH + (self.window(now) + 1) * self.length

    def row(self) -> dict[str, object]:
        """Return this as exchangeInfo tells it."""
        return {
            "rateLimitType": self.kind,
            "interval": self.interval,
            "intervalNum": self.number,
            "limit": self.limit,
        }


@dataclass(slots=True)
class Window:
    """What was used of an allowance in the window that began at `start`."""

    start: int = 0
    used: int = 0


@dataclass(slots=True)
class Visitor:
    """What an address has used, and how it behaved."""

    weight: Window = field(default_factory=Window)
    wallet: Window = field(default_factory=Window)
    raw: Window = field(default_factory=Window)
    connections: Window = field(default_factory=Window)
    ignored: int = 0
    """How many requests were refused for weight in this window."""
    waits_until: datetime | None = None
    """Until when it was told to wait though it had used nothing up."""
    banned_until: datetime | None = None
    ban: timedelta = FIRST_BAN
    """How long the next ban lasts."""


class Limits:
    """Counts what addresses ask, and refuses who asks too much."""

    def __init__(self, weight: int = 6_000, raw: int = 300_000, connections: int = 300) -> None:
        minute = timedelta(minutes=1)
        self.weight = Allowance("REQUEST_WEIGHT", "MINUTE", 1, minute, weight)
        self.wallet = Allowance("REQUEST_WEIGHT", "MINUTE", 1, minute, WALLET_WEIGHT)
        self.raw = Allowance("RAW_REQUESTS", "MINUTE", 5, 5 * minute, raw)
        self.connections = Allowance("CONNECTIONS", "MINUTE", 5, 5 * minute, connections)
        self._visitors: dict[str, Visitor] = {}

    def admit(self, address: str, now: datetime) -> None:
        """Count one request of `address`, whatever it is.

        Raises:
            ExchangeError: -1003 as 418 while it is banned, as 429 when it sent too many.
        """
        visitor = self._visitor(address)
        if visitor.banned_until is not None:
            if now < visitor.banned_until:
                raise banned(visitor.banned_until, now)
            visitor.banned_until = None
        if visitor.waits_until is not None:
            if now < visitor.waits_until:
                raise self._too_many(visitor, self.weight, now, visitor.waits_until)
            visitor.waits_until = None
        if self._add(visitor.raw, self.raw, 1, now) > self.raw.limit:
            raise self._too_many(visitor, self.raw, now)

    def charge(self, address: str, weight: int, now: datetime, *, in_wallet: bool = False) -> None:
        """Count the weight of a request; calls of the wallet have an allowance of their own.

        Raises:
            ExchangeError: -1003 as 429 beyond the limit; as 418 who goes on asking.
        """
        visitor = self._visitor(address)
        allowance, window = (self.wallet, visitor.wallet) if in_wallet else (self.weight, visitor.weight)
        if self._add(window, allowance, weight, now) > allowance.limit:
            raise self._too_many(visitor, allowance, now)
        visitor.ignored = 0

    def give_back(self, address: str, weight: int, now: datetime) -> None:
        """Take back the weight of a request that turned out to cost nothing."""
        self._add(self._visitor(address).weight, self.weight, -weight, now)

    def connect(self, address: str, now: datetime) -> bool:
        """Count an attempt to open a WebSocket; return whether it may be opened."""
        window = self._visitor(address).connections
        return self._add(window, self.connections, 1, now) <= self.connections.limit

    def refuse_connection(self, now: datetime) -> ExchangeError:
        """Return the refusal of a connection too many."""
        seconds = max(1, ceil((self.connections.ends(now) - now).total_seconds()))
        return ExchangeError(
            -1034,
            f"Too many connections; current limit is {self.connections.limit} attempts per 5 MINUTE.",
            http_status=429,
            retry_after=seconds,
        )

    def used(self, address: str, now: datetime, *, in_wallet: bool = False) -> int:
        """Return the weight that `address` has used in the present minute."""
        visitor = self._visitor(address)
        return self._add(visitor.wallet if in_wallet else visitor.weight, self.weight, 0, now)

    def refuse(self, address: str, seconds: float, now: datetime, *, ban: bool) -> ExchangeError:
        """Return the refusal of an address that has to wait for `seconds` though it used nothing up."""
        visitor, until = self._visitor(address), now + timedelta(seconds=seconds)
        if ban:
            visitor.banned_until = until
            return banned(until, now)
        visitor.waits_until = until
        return self._wait(self.weight, seconds)

    def pardon(self) -> None:
        """Forget what everybody used, and every ban."""
        self._visitors.clear()

    def _visitor(self, address: str) -> Visitor:
        visitor = self._visitors.get(address)
        if visitor is None:
            visitor = self._visitors[address] = Visitor()
        return visitor

    def _add(self, window: Window, allowance: Allowance, amount: int, now: datetime) -> int:
        start = allowance.window(now)
        if window.start != start:
            window.start, window.used = start, 0
        window.used = max(0, window.used + amount)
        return window.used

    def _too_many(
        self, visitor: Visitor, allowance: Allowance, now: datetime, until: datetime | None = None
    ) -> ExchangeError:
        visitor.ignored += 1
        if visitor.ignored > PATIENCE:
            visitor.ignored = 0
            visitor.banned_until = now + visitor.ban
            visitor.ban = min(2 * visitor.ban, LONGEST_BAN)
            return banned(visitor.banned_until, now)
        return self._wait(allowance, ((until or allowance.ends(now)) - now).total_seconds())

    def _wait(self, allowance: Allowance, seconds: float) -> ExchangeError:
        window = f"{allowance.number} {allowance.interval}"
        if allowance is self.raw:
            text = f"Too many requests; current limit is {allowance.limit} requests per {window}."
        else:
            text = f"Too much request weight used; current limit is {allowance.limit} request weight per {window}."
        return ExchangeError(
            -1003,
            f"{text} {_STREAMS} to avoid polling the API.",
            http_status=429,
            retry_after=max(1, ceil(seconds)),
        )


def banned(until: datetime, now: datetime) -> ExchangeError:
    """Return the refusal of a banned address."""
    return ExchangeError(
        -1003,
        f"Way too much request weight used; IP banned until {milliseconds(until)}. {_STREAMS} to avoid bans.",
        http_status=418,
        retry_after=max(1, ceil((until - now).total_seconds())),
    )
