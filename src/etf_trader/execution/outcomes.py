"""What became of the orders that were sent: heard in the stream, or asked for until the venue is definite."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from math import inf
from typing import TypeVar

from sqlalchemy import Connection

from etf_trader.clock import Clock
from etf_trader.database import Database
from etf_trader.errors import OutcomeUnknown, RateLimited, ReconciliationMismatch, VenueUnavailable
from etf_trader.events import EventLog
from etf_trader.execution.budget import give_back, note_answer, note_counts
from etf_trader.execution.fee_inventory import prices_for
from etf_trader.execution.fills import book_fill
from etf_trader.execution.group_commit import GroupCommit
from etf_trader.execution.latency import VenueTime
from etf_trader.execution.pauses import note_pause
from etf_trader.execution.sharing import parts_of
from etf_trader.ledger.fill import Fill
from etf_trader.ledger.parties import parties_by_order
from etf_trader.ledger.repository import Account
from etf_trader.money import ZERO
from etf_trader.orders.asset_order import PREFIX, AssetOrder, OrderKind
from etf_trader.orders.status import AssetOrderStatus
from etf_trader.orders.store import asset_order, move_asset_order, note_executed
from etf_trader.venue.interface import OrderCount, Report, Trade, Venue, VenueOrder, VenueOrderStatus

WINDOW_SECONDS = 2.0
"""How long after its grant an order may still reach the venue (recvWindow)."""

FINAL_AFTER = timedelta(seconds=WINDOW_SECONDS + 1)
"""The venue's "no such order" is final once this much of its time has passed since the grant."""

HEAR_SECONDS = 0.1
"""How long the stream is listened to before the venue is asked."""

LOOK_AGAIN_SECONDS = 0.5
TRADES_LATE_LOOKS = 20
MOST_QUESTIONS = 120
FIRST_PATIENCE = 2.0
"""How long a leader tries to be answered at all, in real seconds: so far nothing depends on it."""
MOST_HEARD = 10_000

Answer = TypeVar("Answer")


@dataclass(slots=True)
class _Heard:
    """What the stream told of one order: its last state, and its trades by their ids."""

    order: VenueOrder
    trades: dict[int, Trade] = field(default_factory=dict)


class Outcomes:
    """Learns and books what became of the asset orders of an account."""

    def __init__(
        self, database: Database, venue: Venue, clock: Clock, account: Account, log: EventLog, host: str
    ) -> None:
        self._database = database
        self._venue = venue
        self._clock = clock
        self._account = account
        self._log = log
        self._host = host
        self._time = VenueTime(clock)
        self._heard: OrderedDict[str, _Heard] = OrderedDict()
        self.commits = GroupCommit(database)
        self._news: set[str] = set()

    def listen(self) -> Callable[[], None]:
        """Take note of what the stream tells, until the returned function is called."""
        return self._venue.subscribe(self._hear)

    def _hear(self, report: Report) -> None:
        """Keep what a report says if it is news: reports may be late, doubled, or in another order."""
        name = report.order.client_order_id
        if not name.startswith(PREFIX):
            return
        self._news.add(name)
        heard = self._heard.setdefault(name, _Heard(report.order))
        if report.trade is not None:
            heard.trades[report.trade.trade_id] = report.trade
        if not heard.order.status.is_final and report.order.executed_quantity >= heard.order.executed_quantity:
            heard.order = report.order
        while len(self._heard) > MOST_HEARD:
            self._heard.popitem(last=False)

    def _told(self, order: AssetOrder) -> tuple[VenueOrder, tuple[Trade, ...]] | None:
        """Return the end of an order if the stream told it whole, every trade of it."""
        heard = self._heard.get(order.intent.client_order_id)
        if heard is None or not heard.order.status.is_final:
            return None
        trades = tuple(heard.trades[number] for number in sorted(heard.trades))
        return (heard.order, trades) if _is_whole(heard.order, trades) else None

    async def follow(self, order: AssetOrder) -> None:
        """Listen, then ask by client order id until the venue is definite, and book what it says."""
        assert order.granted_at is not None
        intent = order.intent
        if self._told(order) is None:
            await self._clock.sleep(HEAR_SECONDS)
        while True:
            if (told := self._told(order)) is not None:
                await self.learn(order, *told)
                return
            asked_at = await self.venue_time()
            state = await self.ask(partial(self._venue.find, intent.symbol, intent.client_order_id))
            if state is not None:
                await self.learn(order, state, None)
                return
            if asked_at > order.granted_at + FINAL_AFTER:
                self.withdraw(order, "it never reached the venue")
                return
            await self._clock.sleep(LOOK_AGAIN_SECONDS)

    def news(self) -> set[str]:
        """Return the client order ids of which the stream told something since this was asked last."""
        told, self._news = self._news, set()
        return told

    async def take_in(self, order: AssetOrder) -> None:
        """Book what the stream told of a resting order since it was looked at last."""
        heard = self._heard.get(order.intent.client_order_id)
        if heard is None or (
            heard.order.executed_quantity == order.executed_quantity and not heard.order.status.is_final
        ):
            return
        trades = tuple(heard.trades[number] for number in sorted(heard.trades))
        await self.learn(order, heard.order, trades)

    async def look_up(self, order: AssetOrder) -> None:
        """Ask where a resting order stands, and book what it has traded."""
        state = await self.ask(partial(self._venue.find, order.intent.symbol, order.intent.client_order_id))
        if state is not None and (state.status.is_final or state.executed_quantity != order.executed_quantity):
            await self.learn(order, state, None)

    async def take_out(self, order: AssetOrder) -> None:
        """Cancel a resting order, and book what it traded until then: the race with a fill ends in the truth."""
        await self.learn(order, await self._cancelled(order, None), None)

    async def _cancelled(self, order: AssetOrder, state: VenueOrder | None) -> VenueOrder:
        """Cancel an order until the venue says that it has ended, and return where it stands then.

        Raises:
            ReconciliationMismatch: the venue does not know an order that it took.
        """
        intent, unknown = order.intent, 0
        while state is None or not state.status.is_final:
            found = await self.ask(partial(self._venue.cancel, intent.symbol, intent.client_order_id))
            state, unknown = found or state, unknown + (found is None)
            if unknown > TRADES_LATE_LOOKS:
                raise ReconciliationMismatch(
                    f"the venue took order {intent.client_order_id} and does not know it any more",
                    where=intent.symbol,
                    hint="etf reconcile tells what it did to the balances",
                )
            if state is None or not state.status.is_final:
                await self._clock.sleep(LOOK_AGAIN_SECONDS)
        return state

    async def learn(
        self,
        order: AssetOrder,
        state: VenueOrder,
        told: Sequence[Trade] | None,
        counts: Sequence[OrderCount] = (),
    ) -> None:
        """Book the trades of an order, and take note of where it stands and of what the venue counts.

        Args:
            told: Its trades, as far as they came with the answer.
        """
        answered, is_told = state.at, told is not None and _is_whole(state, told)
        may_rest = order.intent.kind is OrderKind.POST_ONLY
        if not (is_told and (state.status.is_final or may_rest)):
            # The slots know of it before anything else is asked.
            await self.commits.do(partial(self._note, order, state, counts))
        if not may_rest:
            state = await self._cancelled(order, state)
        trades = told if told is not None and _is_whole(state, told) else await self._trades(state)
        prices = await self.ask(partial(prices_for, self._database, self._venue, order, trades))
        await self.commits.do(partial(self._learnt, order, state, trades, prices, answered, counts))
        if state.status.is_final:
            self._heard.pop(order.intent.client_order_id, None)

    def _learnt(
        self,
        order: AssetOrder,
        state: VenueOrder,
        trades: Sequence[Trade],
        prices: Mapping[str, Decimal],
        answered: datetime,
        counts: Sequence[OrderCount],
        connection: Connection,
    ) -> None:
        """Write what is known of an order: its slot, its trades, and its end if it has ended."""
        first = min((trade.at for trade in trades), default=None)
        note_answer(connection, order.id, answered, first, has_counts=bool(counts))
        note_counts(connection, self._account.id, answered, counts, is_last=False)
        self._book(connection, order, trades, prices)
        if state.status.is_final:
            self._end(connection, order, _ending(state), state.reason, state, trades)
        else:
            note_executed(connection, order, AssetOrderStatus.OPEN, **_executed(state, trades))

    def _note(
        self, order: AssetOrder, state: VenueOrder, counts: Sequence[OrderCount], connection: Connection
    ) -> None:
        """Take note that the venue has an order, and of its counts."""
        note_answer(connection, order.id, state.at, None, has_counts=bool(counts))
        note_counts(connection, self._account.id, state.at, counts, is_last=False)

    def withdraw(self, order: AssetOrder, reason: str) -> None:
        """End an order that is known never to have taken effect."""
        with self._database.write() as connection:
            give_back(connection, order.id)
            self._end(connection, order, AssetOrderStatus.WITHDRAWN, reason)

    async def reject(self, order: AssetOrder, reason: str) -> None:
        """End an order that the venue refused; it may have counted it."""
        at = await self.venue_time()
        with self._database.write() as connection:
            note_answer(connection, order.id, at, None, has_counts=False)
            self._end(connection, order, AssetOrderStatus.REJECTED, reason)

    async def _trades(self, state: VenueOrder) -> Sequence[Trade]:
        """Return the trades of an order, once they add up to what it executed."""
        if not state.executed_quantity:
            return ()
        for _ in range(TRADES_LATE_LOOKS):
            trades = await self.ask(partial(self._venue.trades_of, state.symbol, state.order_id))
            # A resting order may have traded more since it was asked where it stands.
            if sum((trade.quantity for trade in trades), ZERO) >= state.executed_quantity:
                return trades
            await self._clock.sleep(LOOK_AGAIN_SECONDS)
        raise ReconciliationMismatch(
            f"the venue executed {state.executed_quantity} of order {state.order_id} but does not list its trades",
            where=state.symbol,
            hint="etf reconcile books them when they appear",
        )

    def _book(
        self, connection: Connection, order: AssetOrder, trades: Sequence[Trade], prices: Mapping[str, Decimal]
    ) -> None:
        """Book the trades of an order, each to the index orders that it was made for."""
        made = [fill_from_trade(self._account, order.id, trade) for trade in trades]
        parties = parties_by_order(connection, [share.index_order_id for share in order.shares])
        for fill, parts in zip(made, parts_of(order, made), strict=True):
            book_fill(connection, self._log, fill, parts, parties, order.intent.asset, prices)

    def _end(
        self,
        connection: Connection,
        order: AssetOrder,
        status: AssetOrderStatus,
        reason: str | None,
        state: VenueOrder | None = None,
        trades: Sequence[Trade] = (),
    ) -> None:
        present = asset_order(connection, order.id)
        if present.status.is_final:
            return  # whoever took over has learnt it
        move_asset_order(connection, present, status, self._clock.now(), reason=reason, **_executed(state, trades))

    async def venue_time(self) -> datetime:
        """Return the venue's clock."""
        now = await self.ask(self._venue.server_time)
        self._time.note(now)
        return now

    def pause(self, error: RateLimited, now: datetime) -> datetime:
        """Write down that everybody has to wait, and return until when; `now` is the venue's time."""
        with self._database.write() as connection:
            return note_pause(connection, self._account.id, self._host, error, now)

    async def ask(self, question: Callable[[], Awaitable[Answer]], patience: float = inf) -> Answer:
        """Put a question that changes nothing, or may be repeated, until the venue answers it.

        Args:
            patience: Seconds of real time after which it is put once more and not again.

        Raises:
            VenueError: it has not answered for long; what is in flight is learnt at the next start.
        """
        began = time.monotonic()
        for _ in range(MOST_QUESTIONS):
            if time.monotonic() - began > patience:
                break
            try:
                return await question()
            except RateLimited as error:
                self.pause(error, self._time.now())
                await self._clock.sleep(error.retry_after)
            except (VenueUnavailable, OutcomeUnknown):
                await self._clock.sleep(LOOK_AGAIN_SECONDS)
        return await question()


async def all_of(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Let all run to their ends, then raise what went wrong first: nothing is left in flight behind an error."""
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


def fill_from_trade(account: Account, asset_order_id: int, trade: Trade) -> Fill:
    """Return the fill by which the ledger knows a venue trade."""
    return Fill(
        account_id=account.id,
        era=account.era,
        symbol=trade.symbol,
        venue_order_id=trade.order_id,
        trade_id=trade.trade_id,
        asset_order_id=asset_order_id,
        side=trade.side,
        price=trade.price,
        quantity=trade.quantity,
        value=trade.value,
        fee=trade.fee,
        fee_asset=trade.fee_asset,
        is_maker=trade.is_maker,
        at=trade.at,
    )


def _is_whole(state: VenueOrder, trades: Sequence[Trade]) -> bool:
    return sum((trade.quantity for trade in trades), ZERO) == state.executed_quantity


def _executed(state: VenueOrder | None, trades: Sequence[Trade]) -> dict[str, object]:
    return {
        "venue_order_id": None if state is None else state.order_id,
        "executed_quantity": sum((trade.quantity for trade in trades), ZERO),
        "executed_value": sum((trade.value for trade in trades), ZERO),
    }


def _ending(state: VenueOrder) -> AssetOrderStatus:
    if state.status is VenueOrderStatus.FILLED:
        return AssetOrderStatus.FILLED
    if state.status is VenueOrderStatus.REJECTED:
        return AssetOrderStatus.REJECTED
    return AssetOrderStatus.PARTIAL if state.executed_quantity else AssetOrderStatus.UNFILLED
