"""Lets the manager work while a person watches, and stops it cleanly when asked to."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from etf_trader.cli.invocation import output
from etf_trader.cli.numbers import bps as spoken_bps
from etf_trader.cli.numbers import count, joined, unit_count
from etf_trader.cli.services import in_loop

if TYPE_CHECKING:
    from etf_trader.bootstrap import Services
    from etf_trader.cli.progress import Progress
    from etf_trader.events import Event
    from etf_trader.orders.index_order import IndexOrder


class Interruption:
    """Whether somebody asked to stop: by Ctrl-C or by SIGTERM."""

    def __init__(self) -> None:
        self._signal: int | None = None

    def __call__(self) -> bool:
        return self._signal is not None

    @property
    def exit_code(self) -> int | None:
        """What to end with; None when nobody asked."""
        return None if self._signal is None else 128 + self._signal

    def take(self, number: int) -> None:
        """Take note of a signal."""
        self._signal = number


SAME_SECONDS = 0.2
"""Within so long it is the same signal: who ends a group of processes may send it to each of them twice."""

SETTLING = "Stopping: what was sent is settled first; once more leaves at once."


@contextmanager
def interruptible(told: str | None = SETTLING) -> Iterator[Interruption]:
    """Turn the first Ctrl-C or SIGTERM into a note; a second one takes its usual way. `told` is said then."""
    asked = Interruption()
    usual: dict[int, Any] = {}
    said: list[float] = []

    def note(number: int, _frame: FrameType | None) -> None:
        if not said:
            said.append(time.monotonic())
            asked.take(number)
            if told is not None:
                output().note(told)
        elif time.monotonic() - said[0] >= SAME_SECONDS:
            for each, handler in usual.items():
                signal.signal(each, handler)
            signal.raise_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        usual[number] = signal.signal(number, note)
    try:
        yield asked
    finally:
        for each, handler in usual.items():
            signal.signal(each, handler)


def work(
    opened: Services,
    orders: Iterable[int],
    title: str,
    *,
    wait: bool = True,
    stay: bool = False,
    until: Callable[[], bool] | None = None,
) -> Interruption:
    """Bring orders as far as they go now, showing how far they are.

    Args:
        opened: The services.
        orders: Which orders to follow when another process leads.
        title: What the progress is called.
        wait: Follow another leader; otherwise give up.
        stay: Go on until those that are orders over time are done.
        until: Begin nothing more once this is true.

    Raises:
        AccountLed: another process leads, and `wait` is False.
    """
    wanted = list(orders)
    with interruptible() as asked, output().progress(title) as progress:
        opened.manager.stop_when(lambda: asked() or (until is not None and until()))
        if wanted:
            opened.log.subscribe(_watch(opened, wanted[-1], progress))
        opened.require_switched_on()
        in_loop(opened.manager.run(wanted, wait=wait, stay=stay))
    return asked


def work_rebalances(opened: Services, numbers: Sequence[int], title: str, *, wait: bool) -> Interruption:
    """Bring rebalances as far as they go now, or follow whoever leads the account until they are done.

    Raises:
        AccountLed: another process leads, and `wait` is False.
    """
    from etf_trader.cli.rebalance_watching import RebalanceWatch

    with interruptible() as asked, output().progress(title) as progress:
        opened.manager.stop_when(asked)
        for number in numbers:
            opened.log.subscribe(RebalanceWatch(opened, number, progress))
        opened.require_switched_on()
        in_loop(opened.manager.run(numbers, wait=wait))
    return asked


def cancel_orders(opened: Services, orders: Sequence[int], *, wait: bool) -> Interruption:
    """Ask for the end of open orders, and do it, or follow whoever leads the account until it is done.

    Raises:
        AccountLed: another process leads and `wait` is False; it ends them.
    """
    from etf_trader.orders.store import standing_of

    _ask(opened, orders)

    def are_ended() -> bool:
        with opened.database.read() as connection:
            return all(standing_of(connection, number)[0].is_final for number in orders)

    return work(opened, orders, "Cancelling", wait=wait, until=are_ended)


def free_orders(opened: Services, orders: Sequence[int], *, wait: bool) -> Interruption:
    """Try once more to trade back what stuck orders hold, those too that were to hold it.

    Raises:
        AccountLed: another process leads and `wait` is False; it tries next.
    """
    _ask(opened, orders)
    with interruptible() as asked, output().progress("Trading back"):
        opened.manager.stop_when(asked)
        in_loop(opened.manager.free(orders, wait=wait))
    return asked


def _ask(opened: Services, orders: Sequence[int]) -> None:
    from etf_trader.orders.store import request_cancel

    with opened.database.write() as connection:
        for number in orders:
            request_cancel(connection, number, opened.clock.now())


def _watch(opened: Services, order: int, progress: Progress) -> Callable[[Event], None]:
    """Return what turns the events of an order, or of a rebalance, into progress."""
    from etf_trader.cli.rebalance_watching import RebalanceWatch
    from etf_trader.orders.rebalances import is_rebalance

    with opened.database.read() as connection:
        moves = is_rebalance(connection, order)
    return RebalanceWatch(opened, order, progress) if moves else Watch(opened, order, progress)


class Watch:
    """Turns the events of one order into progress."""

    def __init__(self, opened: Services, order: int, progress: Progress) -> None:
        from etf_trader.orders.store import index_order

        self._opened = opened
        self._order = order
        self._progress = progress
        with opened.database.read() as connection:
            found = index_order(connection, order)
        self._wanted, self._filled = float(found.quantity), float(found.filled)
        self._planned, self._orders = 0.0, 0
        self._symbols: set[str] = set()
        self._so_far = ""
        self._is_quoting = False

    def __call__(self, event: Event) -> None:
        from etf_trader.events import BatchPlanned, BatchSettled, FillBooked

        if event.order != self._order:
            return
        if isinstance(event, BatchPlanned):
            self._planned, self._orders = float(event.units), event.asset_orders
            self._symbols.clear()
            self._is_quoting = self._is_quote(event.plan)
        elif isinstance(event, FillBooked):
            self._symbols.add(event.symbol)
        elif isinstance(event, BatchSettled):
            self._filled, self._planned, self._is_quoting = float(event.filled), 0.0, False
            self._so_far = self._figures()
        self._tell()

    def _tell(self) -> None:
        """Show how far the order is: units credited, and the orders of the batch that have fills."""
        sent = f"{len(self._symbols)} of {count(self._orders, 'order')}" if self._planned else ""
        if self._is_quoting:
            note = joined([f"quoting {count(self._orders, 'order')}", self._so_far])
            self._progress.update(self._filled / self._wanted, note)
            return
        note = self._so_far or sent  # a line has no room for both
        under_way = self._planned * len(self._symbols) / max(self._orders, 1)
        self._progress.update((self._filled + under_way) / self._wanted, note)

    def _is_quote(self, plan: int) -> bool:
        from etf_trader.execution.batch import QUOTE
        from etf_trader.orders.store import stored_plan

        with self._opened.database.read() as connection:
            return stored_plan(connection, plan).purpose == QUOTE

    def _next(self, order: IndexOrder) -> str:
        """Return when an order over time has more to do."""
        from etf_trader.execution.pacing import next_at

        if order.schedule is None or order.remaining == 0:
            return ""
        moment = next_at(order.schedule, order.accepted_at, self._opened.clock.now())
        return "" if moment is None else f"next {moment.astimezone():%H:%M:%S}"

    def _figures(self) -> str:
        """Return units, loss and slots used, as they stand after a batch."""
        from etf_trader.execution.state import arrival_value, order_loss
        from etf_trader.money import bps
        from etf_trader.orders.store import index_order

        with self._opened.database.read() as connection:
            order = index_order(connection, self._order)
            loss, worth = order_loss(connection, order).total, arrival_value(connection, order)
        slots = self._opened.slots()
        return joined(
            [
                unit_count(order.filled),
                f"loss {spoken_bps(bps(loss, worth))} bps" if order.filled else "",
                f"slots {slots.used}/{slots.limit}",
                self._next(order),
            ]
        )
