"""A venue that fails as networks and exchanges do, for rehearsals and proofs; the same again from the same seed.

It stands before any `Venue`. What it does to a request is drawn from its plan,
and it raises nothing that a real adapter would not. What travels late (an
order, a report) arrives with the first request after it is due.
"""

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import partial
from types import MappingProxyType
from typing import TypeVar

from etf_trader.clock import Clock
from etf_trader.errors import DuplicateOrder, OutcomeUnknown, RateLimited, VenueError, VenueUnavailable
from etf_trader.market.book import OrderBook
from etf_trader.market.candle import Candle
from etf_trader.market.symbol import SymbolRule
from etf_trader.venue.interface import (
    FeeDiscount,
    LimitOrder,
    Listener,
    OrderCounts,
    OrderLimit,
    Placed,
    Report,
    Trade,
    Transfer,
    Venue,
    VenueBalance,
    VenueIdentity,
    VenueOrder,
)

Answer = TypeVar("Answer")

LONGEST_HIDDEN_SECONDS = 0.9
"""A venue knows an order within a second of its arrival; on that the finality of "no such order" rests."""


class Fault(StrEnum):
    """What can go wrong between us and a venue."""

    SLOW = "the request is slow"
    LATE_ANSWER = "the answer is late"
    REFUSED = "connection refused"
    OVERLOADED = "-1008 overloaded"
    LIMITED = "429 with Retry-After"
    BANNED = "418 with Retry-After"
    CUT_BEFORE = "cut before the effect"
    CUT_AFTER = "cut after the effect"
    UNEXPECTED_BEFORE = "-1006 without the effect"
    UNEXPECTED_AFTER = "-1006 with the effect"
    TIMEOUT_BEFORE = "-1007 without the effect"
    TIMEOUT_AFTER = "-1007 with the effect"
    SERVER_ERROR_BEFORE = "5XX without the effect"
    SERVER_ERROR_AFTER = "5XX with the effect"
    ARRIVES_LATE = "the order arrives after we gave up"
    DUPLICATE = "-2010 duplicate: the first one lives"
    BARE = "the answer tells no trades and no counts"
    HIDDEN = "-2013 for a while after placing"
    TRADES_LATE = "trades are listed late"
    REPORT_LOST = "a report is lost"
    REPORT_TWICE = "a report comes twice"
    REPORT_REORDERED = "a report comes after the next"
    REPORT_LATE = "a report comes late"
    STREAM_SILENT = "the stream is silent for good"


_UNAVAILABLE = {
    Fault.REFUSED: "connection refused",
    Fault.OVERLOADED: "-1008: the server is overloaded",
}
_LIMITING = {Fault.LIMITED: "429: too many requests", Fault.BANNED: "418: this address is banned"}
_LOST = {
    Fault.CUT_BEFORE: "the connection was cut",
    Fault.UNEXPECTED_BEFORE: "-1006: an unexpected response; execution status unknown",
    Fault.TIMEOUT_BEFORE: "-1007: timeout waiting for response; execution status unknown",
    Fault.SERVER_ERROR_BEFORE: "502: execution status unknown",
}
_UNANSWERED = {
    Fault.CUT_AFTER: "the connection was cut",
    Fault.UNEXPECTED_AFTER: "-1006: an unexpected response; execution status unknown",
    Fault.TIMEOUT_AFTER: "-1007: timeout waiting for response; execution status unknown",
    Fault.SERVER_ERROR_AFTER: "504: execution status unknown",
}
_OF_REQUESTS = (Fault.SLOW, Fault.LATE_ANSWER, *_UNAVAILABLE, *_LIMITING, *_LOST, *_UNANSWERED)
_OF_ORDERS = (Fault.ARRIVES_LATE, Fault.DUPLICATE, *_OF_REQUESTS)
_OF_REPORTS = (
    Fault.REPORT_LOST,
    Fault.REPORT_TWICE,
    Fault.REPORT_REORDERED,
    Fault.REPORT_LATE,
    Fault.STREAM_SILENT,
)


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Which faults a venue has, how often, how many and how long; the rest is drawn from `seed`.

    `chances` are probabilities from 0 to 1, at each occasion a fault has; those
    of questions, which are many, are multiplied by `questions`. After `most`
    faults the venue is sound. Times are seconds of the venue's clock: a slow
    request or answer takes up to `slowest`, what arrives late comes within
    `latest`, Retry-After says up to `longest_wait`.
    """

    seed: int
    chances: Mapping[Fault, float]
    questions: float = 1.0
    most: int = 20
    slowest: float = 3.0
    latest: float = 6.0
    longest_wait: float = 12.0

    def __post_init__(self) -> None:
        for what, chance in (*self.chances.items(), ("questions", self.questions)):
            if not 0 <= chance <= 1:
                raise ValueError(f"{what}: {chance} is not a probability")
        object.__setattr__(self, "chances", MappingProxyType(dict(self.chances)))

    @classmethod
    def none(cls) -> "FaultPlan":
        """Return the plan of a venue that never fails."""
        return cls(0, {})

    @classmethod
    def seeded(cls, seed: int) -> "FaultPlan":
        """Draw a scenario: a few kinds of faults, rare or frequent."""
        dice = random.Random(seed)
        kinds = dice.sample(list(Fault), dice.randint(2, 8))
        chances = {kind: dice.choice((0.05, 0.15, 0.4, 0.8)) for kind in kinds}
        return cls(
            seed,
            chances,
            questions=dice.choice((0.0, 0.05, 0.2, 1.0)),
            most=dice.choice((2, 6, 15, 40)),
            slowest=dice.choice((0.05, 0.8, 3.0)),
            latest=dice.choice((0.3, 2.5, 6.0)),
            longest_wait=dice.choice((1.0, 12.0, 120.0)),
        )


@dataclass(slots=True)
class Incidents:
    """What a faulty venue did, and what it saw its clients do."""

    fired: Counter[Fault] = field(default_factory=Counter)
    refused_for_count: int = 0
    """Orders beyond the order count, by the true venue's word."""
    came_too_late: int = 0
    """Orders that arrived after their window, and were refused."""
    hurried: int = 0
    """Orders sent while the venue had said to wait."""


class FaultyVenue:
    """`venue` with the faults of `plan`; everything that passes between takes its time from `clock`."""

    def __init__(self, venue: Venue, plan: FaultPlan, clock: Clock) -> None:
        self.incidents = Incidents()
        self._venue = venue
        self._plan = plan
        self._clock = clock
        self._dice = random.Random(plan.seed)
        self._left = plan.most
        self._waits: tuple[datetime, datetime] | None = None
        self._orders: list[tuple[datetime, LimitOrder]] = []
        self._hidden: dict[str, datetime] = {}
        self._unlisted: dict[tuple[str, int], datetime] = {}
        self._reports: list[tuple[datetime, Report]] = []
        self._held: Report | None = None
        self._is_silent = False
        self._listeners: list[Listener] = []
        venue.subscribe(self._heard)

    def mend(self) -> None:
        """Fail no more; what is on its way still arrives."""
        self._left = 0

    # Questions

    async def identity(self) -> VenueIdentity:
        """Return which account this is."""
        return await self._request(self._venue.identity)

    async def server_time(self) -> datetime:
        """Return the venue's clock."""
        return await self._request(self._venue.server_time)

    def clock_error(self) -> timedelta:
        """Return how far the venue's clock may be off."""
        return self._venue.clock_error()

    async def require_ready(self) -> None:
        """Check that the account can be traded on."""
        await self._request(self._venue.require_ready)

    async def fee_discount(self) -> FeeDiscount | None:
        """Return in what fees are paid."""
        return await self._request(self._venue.fee_discount)

    async def delistings(self) -> Mapping[str, datetime] | None:
        """Return when markets will end."""
        return await self._request(self._venue.delistings)

    async def rules(self) -> Mapping[str, SymbolRule]:
        """Return the trading rules and our fee rates of every symbol."""
        return await self._request(self._venue.rules)

    async def order_limits(self) -> Sequence[OrderLimit]:
        """Return the venue's limits on orders per window."""
        return await self._request(self._venue.order_limits)

    async def books(self, symbols: Sequence[str], depth: int) -> Mapping[str, OrderBook]:
        """Return the books of `symbols`."""
        return await self._request(partial(self._venue.books, symbols, depth))

    async def balances(self) -> Mapping[str, VenueBalance]:
        """Return what the account holds of each asset."""
        return await self._request(self._venue.balances)

    async def order_counts(self) -> OrderCounts:
        """Return how many unfilled orders the venue counts in the present windows."""
        return await self._request(self._venue.order_counts)

    async def find(self, symbol: str, client_order_id: str) -> VenueOrder | None:
        """Return the order with our id; None when the venue knows no such order, or not yet."""
        found = await self._request(partial(self._venue.find, symbol, client_order_id))
        return None if self._is_hidden(client_order_id) else found

    async def order(self, symbol: str, order_id: int) -> VenueOrder | None:
        """Return the order with the venue's own id; None when it knows no such order, or not yet."""
        found = await self._request(partial(self._venue.order, symbol, order_id))
        return None if found is None or self._is_hidden(found.client_order_id) else found

    async def open_orders(self) -> Sequence[VenueOrder]:
        """Return all open orders of the account, as far as the venue shows them."""
        orders = await self._request(self._venue.open_orders)
        return [order for order in orders if not self._is_hidden(order.client_order_id)]

    async def trades_of(self, symbol: str, order_id: int) -> Sequence[Trade]:
        """Return the executions of one order, as far as the venue lists them."""
        return self._listed(await self._request(partial(self._venue.trades_of, symbol, order_id)))

    async def trades_after(self, symbol: str, trade_id: int) -> Sequence[Trade]:
        """Return the account's executions in `symbol` with a larger id, as far as the venue lists them."""
        return self._listed(await self._request(partial(self._venue.trades_after, symbol, trade_id)))

    async def transfers(self, after: int) -> Sequence[Transfer]:
        """Return deposits and withdrawals with a larger sequence number."""
        return await self._request(partial(self._venue.transfers, after))

    async def candles(self, symbol: str, seconds: int, start: datetime, end: datetime) -> Sequence[Candle]:
        """Return the candles that open in [start, end), oldest first."""
        return await self._request(partial(self._venue.candles, symbol, seconds, start, end))

    async def volume(self, symbol: str, start: datetime, end: datetime) -> Decimal:
        """Return the base units that others than us traded in [start, end), up to now."""
        return await self._request(partial(self._venue.volume, symbol, start, end))

    async def batch_done(self) -> None:
        """Take note that a batch has ended."""
        await self._venue.batch_done()

    # Orders

    async def place(self, order: LimitOrder) -> Placed:
        """Send `order`; it may arrive, arrive late, or not at all, whatever is answered."""
        self._note_hurry()
        return await self._request(partial(self._place, order), order)

    async def cancel(self, symbol: str, client_order_id: str) -> VenueOrder | None:
        """Cancel the order if it is open and the venue shows it already."""

        async def cancelled() -> VenueOrder | None:
            if self._is_hidden(client_order_id):
                return None
            return await self._venue.cancel(symbol, client_order_id)

        return await self._request(cancelled)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell `listener` of what happens to our orders, with the faults of a stream."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    # The way of a request

    async def _request(self, ask: Callable[[], Awaitable[Answer]], order: LimitOrder | None = None) -> Answer:
        await self._arrivals()
        self._refuse_who_should_wait()
        fault = self._draw(_OF_REQUESTS, self._plan.questions) if order is None else self._draw(_OF_ORDERS)
        if fault in _UNAVAILABLE:
            raise VenueUnavailable(_UNAVAILABLE[fault])
        if fault in _LIMITING:
            raise self._limit(fault)
        if fault is Fault.ARRIVES_LATE and order is not None:
            self._orders.append((self._after(self._plan.latest), order))
            raise OutcomeUnknown("no answer in time")
        if fault in _LOST:
            raise OutcomeUnknown(_LOST[fault])
        if fault is Fault.SLOW:
            await self._pass(self._plan.slowest)
        answer = await ask()
        if fault is Fault.DUPLICATE and order is not None:
            raise DuplicateOrder("Duplicate order sent.", where=order.symbol)
        if fault in _UNANSWERED:
            raise OutcomeUnknown(_UNANSWERED[fault])
        if fault is Fault.LATE_ANSWER:
            await self._pass(self._plan.slowest)
        return answer

    async def _place(self, order: LimitOrder) -> Placed:
        """Let an order reach the venue, and draw how much of it the venue shows at first."""
        try:
            placed = await self._venue.place(order)
        except RateLimited:
            self.incidents.refused_for_count += 1
            raise
        if self._draw((Fault.HIDDEN,)):
            self._hidden[order.client_order_id] = self._after(min(self._plan.latest, LONGEST_HIDDEN_SECONDS))
        if placed.order.executed_quantity and self._draw((Fault.TRADES_LATE,)):
            self._unlisted[order.symbol, placed.order.order_id] = self._after(self._plan.latest)
        if self._draw((Fault.BARE,)):
            return replace(placed, trades=None, counts=())
        return placed

    async def _arrivals(self) -> None:
        """Let everything arrive that is due: late orders at the venue, late reports at the listeners."""
        if not self._orders and not self._reports and self._held is None:
            return
        now = self._clock.now()
        due = [order for at, order in self._orders if at <= now]
        self._orders = [(at, order) for at, order in self._orders if at > now]
        for order in due:
            try:
                await self._place(order)
            except VenueUnavailable:
                self.incidents.came_too_late += 1
            except VenueError:
                pass  # refused; nobody waits for the answer
        reports = [report for at, report in self._reports if at <= now]
        self._reports = [(at, report) for at, report in self._reports if at > now]
        if self._held is not None:
            reports.append(self._held)
            self._held = None
        self._tell(reports)

    def _refuse_who_should_wait(self) -> None:
        if self._waits is None:
            return
        left = (self._waits[1] - self._clock.now()).total_seconds()
        if left > 0:
            raise RateLimited(_LIMITING[Fault.LIMITED], retry_after=left, is_of_host=True)
        self._waits = None

    def _note_hurry(self) -> None:
        """Count an order that is sent at a later moment than the venue said to wait, and too early."""
        if self._waits is not None and self._waits[0] < self._clock.now() < self._waits[1]:
            self.incidents.hurried += 1

    def _limit(self, fault: Fault) -> RateLimited:
        seconds = 1 + round(self._dice.random() * (self._plan.longest_wait - 1))
        now = self._clock.now()
        self._waits = (now, now + timedelta(seconds=seconds))
        return RateLimited(_LIMITING[fault], retry_after=seconds, is_of_host=True)

    # What the venue shows

    def _is_hidden(self, client_order_id: str) -> bool:
        until = self._hidden.get(client_order_id)
        return until is not None and self._clock.now() < until

    def _listed(self, trades: Iterable[Trade]) -> list[Trade]:
        """Leave out the last trade of every order whose trades are listed late."""
        shown = list(trades)
        if not self._unlisted:
            return shown
        now = self._clock.now()
        for (symbol, order_id), until in self._unlisted.items():
            late = [trade for trade in shown if (trade.symbol, trade.order_id) == (symbol, order_id)]
            if late and now < until:
                shown.remove(late[-1])
        return shown

    # The stream

    def _heard(self, report: Report) -> None:
        if self._is_silent:
            return
        fault = self._draw(_OF_REPORTS)
        if fault is Fault.STREAM_SILENT:
            self._is_silent = True
        elif fault is Fault.REPORT_LATE:
            self._reports.append((self._after(self._plan.latest), report))
        elif fault is Fault.REPORT_REORDERED and self._held is None:
            self._held = report
        elif fault is not Fault.REPORT_LOST:
            reports = [report] * (2 if fault is Fault.REPORT_TWICE else 1)
            if self._held is not None:
                reports.append(self._held)
                self._held = None
            self._tell(reports)

    def _tell(self, reports: Iterable[Report]) -> None:
        for report in reports:
            for listener in tuple(self._listeners):
                listener(report)

    # Chance

    def _draw(self, faults: Iterable[Fault], share: float = 1.0) -> Fault | None:
        """Return the fault of this occasion, or None; what is drawn is written down."""
        for fault in faults:
            chance = self._plan.chances.get(fault, 0.0) * share
            if self._left > 0 and chance > 0 and self._dice.random() < chance:
                self._left -= 1
                self.incidents.fired[fault] += 1
                return fault
        return None

    def _after(self, longest: float) -> datetime:
        return self._clock.now() + timedelta(seconds=self._dice.random() * longest)

    async def _pass(self, longest: float) -> None:
        await self._clock.sleep(self._dice.random() * longest)
