"""Watches one order: planned against done, as often as that changes, until it ends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from etf_trader.cli.invocation import output
from etf_trader.cli.numbers import bps, count, duration, few_digits, joined, local_time, money, percent
from etf_trader.cli.output import Page
from etf_trader.cli.services import in_loop

if TYPE_CHECKING:
    from etf_trader.bootstrap import Services
    from etf_trader.cli.orders import OrderFacts
    from etf_trader.execution.window import WindowPrices
    from etf_trader.orders.index_order import IndexOrder


@dataclass(frozen=True, slots=True)
class Sight:
    """An order at one moment, and the market since it came in; `planned` units until now, None without slices."""

    facts: OrderFacts
    now: datetime
    planned: Decimal | None
    slices: int
    begun: int
    next_at: datetime | None
    market: WindowPrices | None

    @property
    def left(self) -> timedelta | None:
        """Return the time that is left of its schedule; None when it has none, or has ended."""
        order = self.facts.order
        if order.schedule is None or order.status.is_final:
            return None
        return max(order.schedule.ends_at(order.accepted_at) - self.now, timedelta(0))

    def slippage_bps(self, price: Decimal | None) -> Decimal | None:
        """Return by how much the order's average is worse than a price of the market; None without either."""
        from etf_trader.execution.window import slippage_bps

        average = self.facts.average_price
        if price is None or average is None:
            return None
        return slippage_bps(self.facts.order.side, average, price)

    def document(self) -> dict[str, Any]:
        """Return it as other programs read it."""
        return (
            self.facts.document()
            | {
                "at": self.now,
                "planned_units": self.planned,
                "next_at": self.next_at,
                "seconds_left": None if self.left is None else int(self.left.total_seconds()),
            }
            | self.against_market()
        )

    def against_market(self) -> dict[str, Decimal | None]:
        """Return the market's average prices in the time of the order, and what its own average is beside them."""
        market = self.market
        mid_twap, vwap = (None, None) if market is None else (market.mid_twap, market.market_vwap)
        return {
            "mid_twap": mid_twap,
            "mid_twap_slippage_bps": self.slippage_bps(mid_twap),
            "market_vwap": vwap,
            "market_vwap_slippage_bps": self.slippage_bps(vwap),
        }


def watch_order(opened: Services, number: int, *, once: bool) -> IndexOrder:
    """Show an order until it ends, once if asked to, and return it as it was seen last.

    A program gets that alone.
    """
    from etf_trader.cli.live import follow

    sight, shown = see(opened, number), output()
    if not once and not _is_over(sight):
        sight = follow(lambda: see(opened, number), draw, line, news=_state, is_over=_is_over)
        if shown.is_table:
            return sight.facts.order
    shown.emit("etf.order/1", sight.document(), lambda page: draw(page, sight))
    return sight.facts.order


def _is_over(sight: Sight) -> bool:
    return sight.facts.order.status.is_final


def _state(sight: Sight) -> tuple[object, ...]:
    """Return what counts as a change: time that passes alone does not."""
    order = sight.facts.order
    return (
        order.status,
        order.filled,
        order.stopped_by,
        order.cancel_requested_at,
        sight.begun,
        sight.facts.quoting > 0,
    )


def see(opened: Services, number: int) -> Sight:
    """Return how an order stands now, and what the market did meanwhile where the venue tells.

    Raises:
        NotFound: there is no such order.
    """
    from etf_trader.cli.orders import order_facts
    from etf_trader.cli.timed_orders import planned_until, slices_begun
    from etf_trader.execution.pacing import next_at, slices_done
    from etf_trader.orders.store import index_order

    with opened.database.read() as connection:
        facts = order_facts(connection, index_order(connection, number))
    order, now = facts.order, opened.clock.now()
    schedule = order.schedule
    slices = [] if schedule is None else slices_done(schedule, order.accepted_at, facts.done)
    is_at_work = schedule is not None and not order.status.is_final
    return Sight(
        facts=facts,
        now=now,
        planned=planned_until(order, slices, now),
        slices=len(slices),
        begun=slices_begun(slices, now),
        next_at=next_at(schedule, order.accepted_at, now) if schedule is not None and is_at_work else None,
        market=_market(opened, order, now) if schedule is not None else None,
    )


def _market(opened: Services, order: IndexOrder, now: datetime) -> WindowPrices | None:
    """Return the market's prices since the order came in; None where the venue does not tell."""
    from etf_trader.errors import EtfError
    from etf_trader.execution.window import window_prices
    from etf_trader.index.store import current_basket

    with opened.database.read() as connection:
        basket = current_basket(connection, order.index_id)
    until = min(now, order.ended_at or now)
    try:
        return in_loop(window_prices(opened.venue, basket, order.accepted_at, until))
    except EtfError:
        return None


def line(sight: Sight) -> str:
    """Return the sight in one line, for a pipe."""
    facts, order = sight.facts, sight.facts.order
    planned = "" if sight.planned is None else f" ({few_digits(sight.planned)} planned)"
    return joined(
        [
            local_time(sight.now),
            f"slice {sight.begun}/{sight.slices}" if sight.slices else "",
            f"{few_digits(order.filled)} of {few_digits(order.quantity)} units{planned}",
            f"average {money(facts.average_price)}" if facts.average_price is not None else "",
            f"loss {bps(facts.loss_bps)} bps" if order.filled else "",
            *_against(sight),
            _left(sight),
        ]
    )


def market_sentence(sight: Sight) -> str:
    """Return what an order's average is beside the market's in its time; empty where nothing is known."""
    slips = joined(_against(sight))
    return f"Against the market in that time: {slips}." if slips else ""


def _against(sight: Sight) -> list[str]:
    market = sight.market
    if market is None:
        return []
    pairs = (("mid TWAP", market.mid_twap), ("market VWAP", market.market_vwap))
    told = [(name, sight.slippage_bps(price)) for name, price in pairs]
    return [f"{bps(slip, signed=True)} bps to {name}" for name, slip in told if slip is not None]


def _left(sight: Sight) -> str:
    from etf_trader.cli.orders import status_words, stops_of
    from etf_trader.cli.stops import in_short

    order = sight.facts.order
    why = in_short(stops_of(order), order.limit_price, order.max_loss_bps)
    if order.status.is_final or sight.left is None:
        return f"{status_words(order)}{': ' + why if why else ''}"
    quoting = f", quoting {count(sight.facts.quoting, 'order')} at the touch" if sight.facts.quoting else ""
    return f"{duration(sight.left)} left{quoting}{', held up: ' + why if why else ''}"


def draw(page: Page, sight: Sight) -> None:
    """Draw the sight whole."""
    from etf_trader.cli.orders import loss_sentence, result
    from etf_trader.cli.timed_orders import manner

    facts, order = sight.facts, sight.facts.order
    page.line(result(facts))
    rows = [
        ("done", f"{few_digits(order.filled)} of {few_digits(order.quantity)} ({percent(facts.fill_percentage)})")
    ]
    if sight.planned is not None:
        rows.append(("planned by now", f"{few_digits(sight.planned)}, slice {sight.begun} of {sight.slices}"))
    if order.filled:
        rows.append(("loss", loss_sentence(facts).removeprefix("Loss ")))
    if slips := joined(_against(sight)):
        rows.append(("slippage", slips))
    if order.schedule is not None:
        rows.append(("works", manner(order.schedule)))
    rows.append(("state", _left(sight)))
    if sight.next_at is not None:
        rows.append(("next", local_time(sight.next_at)))
    page.fields(rows)
