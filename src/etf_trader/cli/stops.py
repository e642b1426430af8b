"""What stops an order, in words, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from etf_trader.cli.numbers import bps_given, money, unit_count, units
from etf_trader.cli.services import in_loop
from etf_trader.money import round_to

if TYPE_CHECKING:
    from etf_trader.bootstrap import Services
    from etf_trader.execution.desk import Preview
    from etf_trader.execution.outlook import Outlook
    from etf_trader.execution.stuck import Kept
    from etf_trader.index.store import Index
    from etf_trader.market.symbol import Side, SymbolRule
    from etf_trader.orders.index_order import IndexOrder

LIMITS = ("limit", "loss")
"""Stops about which the books can say what comes next."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """An order, or a wish, that did not go through whole."""

    environment: str
    stopped_by: Sequence[str]
    side: Side
    symbol: str
    quote: str
    index_id: int
    limit: Decimal | None
    max_loss_bps: Decimal | None
    outlook: Outlook | None
    has_begun: bool = False
    order: int | None = None
    refusal: str | None = None
    is_over_time: bool = False


def in_short(stopped_by: Sequence[str], limit: Decimal | None, max_loss_bps: Decimal | None) -> str:
    """Return what stopped an order in a few words, for a table."""
    return ", ".join(_short(name, limit, max_loss_bps) for name in stopped_by)


def _short(name: str, limit: Decimal | None, max_loss_bps: Decimal | None) -> str:
    kind, _, of = name.rstrip(")").partition("(")
    words = {
        "limit": f"limit {money(limit)}" if limit is not None else "limit",
        "loss": f"loss limit {bps_given(max_loss_bps)} bps" if max_loss_bps is not None else "loss limit",
        "minimum": "least order",
        "depth": f"{of} sold out",
        "window": f"levels read of {of}",
        "price": "no price",
        "moved": "moving books",
        "rejected": f"{of} refused by the venue",
        "halted": f"{of} halted" if of else "the account is halted",
        "delisted": f"no market {of}",
        "solver": "no plan found",
        "held": "what it keeps",
        "units": "no units are left",
        "cross": f"{of} in an opposite order",
        "slots": "order limit",
        "risk": f"risk limit {of}",
        "reducing": "the account only sells",
    }
    return words.get(kind, kind)


def why_kept(kept: Kept, rules: Mapping[str, SymbolRule]) -> str:
    """Return why a stuck order still holds something, in words."""
    status = rules[kept.symbol].status if kept.symbol in rules else ""
    words = {
        "wish": "kept as --on-shortfall hold wishes",
        "delisted": f"the venue has no market {kept.symbol} any more",
        "halted": f"{kept.symbol} does not trade now (the venue says {status})",
        "price": f"the book of {kept.symbol} has no price now",
        "float": "too little to be sold, and the float cannot pay for it",
        "next": f"{kept.symbol} trades: it is traded back next",
    }
    return words[kept.why]


def next_of_stuck(order: IndexOrder, kept: Iterable[Kept]) -> str:
    """Return what can be done about a stuck order."""
    reasons = {str(each.why) for each in kept}
    if "wish" in reasons:
        return f"etf cancel --order {order.id} trades it back."
    if reasons == {"float"}:
        return (
            f"etf index fund {order.index_id} 600 gives the float more; the next etf worker --once ends it then."
        )
    return (
        f"The next command that trades tries again (etf worker --once); etf cancel --order {order.id} does so now."
    )


def sentences(stopped: Stopped) -> list[str]:
    """Return what stopped an order and what to do about it, a sentence for each stop."""
    return [_sentence(name, stopped) for name in stopped.stopped_by if name != "filled"]


def _sentence(name: str, stopped: Stopped) -> str:
    from etf_trader.venue.money_in import how_to_deposit

    kind, _, of = name.rstrip(")").partition("(")
    is_buy = stopped.side.sign > 0
    number = "" if stopped.order is None else f"{stopped.order} "
    if kind in LIMITS:
        return f"Stopped by the {'limit' if kind == 'limit' else 'loss limit'}: " + _limit(kind, stopped)
    words = {
        "cash": (
            "Stopped by cash: the treasury does not hold more for it. "
            f"To add some: {how_to_deposit(stopped.quote, stopped.environment)}."
        ),
        "float": (
            f"Stopped by the float: {stopped.symbol} has too little beside the units for lot steps and least "
            f"orders. etf index fund {stopped.index_id} 600 adds some."
        ),
        "minimum": (
            "Stopped by the venue's least order: the rest is too small for it. "
            f"A larger order, or more float (etf index fund {stopped.index_id} 600), may do."
        ),
        "depth": (
            f"Stopped by the order book of {of}: nothing more {'is on offer' if is_buy else 'is bid for'} there "
            "now."
        ),
        "window": (
            f"Stopped by what is read of the book of {of}: more may lie beyond. "
            "etf config set solver.depth 5000 reads on."
        ),
        "cross": (
            f"Stopped by another order of yours: it wants the other side of {of}, and while that book is wide the "
            "two do not meet inside. etf order list shows it; etf cancel ends one of them."
        ),
        "slots": (
            "Stopped by the venue's order limit: more units would need more orders at once than it takes. "
            "The same order again may do more."
        ),
        "halted": (
            f"Stopped by the venue: {of} does not trade now. The same order again once it does, or --tif gtc, "
            "which waits for it."
            if of
            else "Stopped by a halt of the account. etf risk show says whether it still stands, and why; "
            "etf resume lifts it."
        ),
        "delisted": f"Stopped by the venue: it has no market {of}, or no more. etf index show tells what is held.",
        "solver": "Stopped by the solver: it found no plan for this order on these books. Try again later.",
        "held": (
            "It keeps what it bought or sold beyond whole units, as --on-shortfall hold wishes. "
            f"etf cancel --order {number}trades that back."
        ),
        "price": "Stopped by a missing price: a constituent's book is one-sided or empty. Try again later.",
        "moved": "Stopped by books that moved on before the orders arrived. The same order again may do more.",
        "rejected": (
            f"Stopped by the venue: it refused the orders for {of}. etf order show {number}says why; once that is "
            "mended the same order again may do more."
        ),
        "risk": (
            f"Refused by the risk limit {of}{': ' + stopped.refusal if stopped.refusal else ''}. "
            f"etf risk show lists the limits; etf risk set {of} VALUE changes this one."
        ),
        "reducing": (
            "Stopped because the account only sold. etf risk show says whether it still does, and why; etf resume "
            "lets it buy again."
        ),
        "time": (
            "Its time is over. A longer one: --duration 6h; --at-end take trades the rest when it ends."
            if stopped.is_over_time
            else "Its time is over. A longer one: --tif 6h, or --tif gtc."
        ),
        "cancelled": "It was cancelled.",
    }
    return words.get(kind, f"Stopped by {name}.")


def _limit(kind: str, stopped: Stopped) -> str:
    is_buy = stopped.side.sign > 0
    bound = (
        f"{money(stopped.limit)} a unit"
        if kind == "limit" and stopped.limit is not None
        else f"{bps_given(stopped.max_loss_bps or Decimal(0))} bps from arrival"
    )
    outlook, next_one = stopped.outlook, "the next unit" if stopped.has_begun else "already the first unit"
    if outlook is None:
        return f"{bound}."
    verb = "cost" if is_buy else "bring"
    price = _beyond(outlook.price, stopped.limit)
    if kind == "limit":
        told = (
            f"{outlook.asset}'s next level would make a unit {verb} {price}"
            if outlook.asset
            else f"{next_one} would {verb} {price}, fees included"
        )
    else:
        whose = f"{outlook.asset}'s next level" if outlook.asset else next_one
        told = f"{whose} would lose more than {bound}"
    more = f" 1 bps more {'buys' if is_buy else 'sells'} {unit_count(outlook.more)} more." if outlook.more else ""
    return f"{told}.{more}"


def _beyond(price: Decimal, limit: Decimal | None) -> str:
    """Return a price with as many digits as it takes to see that it is not the limit."""
    if limit is None or money(price) != money(limit):
        return money(price)
    return units(round_to(price, Decimal("0.000001")))


def stopped_order(opened: Services, order: IndexOrder, index: Index) -> Stopped:
    """Return what stopped an order, with a look at what the books offer beyond its limits now."""
    return Stopped(
        environment=opened.account.environment,
        stopped_by=order.stopped_by,
        side=order.side,
        symbol=index.symbol,
        quote=index.quote,
        index_id=index.id,
        limit=order.limit_price,
        max_loss_bps=order.max_loss_bps,
        outlook=_outlook_of(opened, order) if _has_outlook(index, order.stopped_by) else None,
        has_begun=order.filled > 0,
        order=order.id,
        refusal=_refusal(opened, order),
        is_over_time=order.schedule is not None,
    )


def _refusal(opened: Services, order: IndexOrder) -> str | None:
    """Return with which sentence a risk limit refused an order; None when none did."""
    if not any(stop.startswith("risk(") for stop in order.stopped_by):
        return None
    from etf_trader.execution.risk_review import last_refusal

    with opened.database.read() as connection:
        return last_refusal(connection, order.id)


def stopped_preview(opened: Services, preview: Preview) -> Stopped:
    """Return what would stop an order that was only tried."""
    return Stopped(
        environment=opened.account.environment,
        stopped_by=preview.plan.stopped_by,
        side=preview.request.side,
        symbol=preview.index.symbol,
        quote=preview.index.quote,
        index_id=preview.index.id,
        limit=preview.request.limit_price,
        max_loss_bps=preview.request.max_loss_bps,
        outlook=_outlook_of_preview(opened, preview)
        if _has_outlook(preview.index, preview.plan.stopped_by)
        else None,
        has_begun=preview.plan.units > 0,
    )


def _has_outlook(index: Index, stopped_by: Sequence[str]) -> bool:
    """Whether what lies beyond a limit can be told: it is about the quote's books alone."""
    return bool(set(LIMITS) & set(stopped_by)) and len(index.routes) == 1


def _outlook_of(opened: Services, order: IndexOrder) -> Outlook | None:
    from dataclasses import replace

    from etf_trader.errors import EtfError
    from etf_trader.execution.fee_inventory import InFlight
    from etf_trader.execution.fees_apart import as_paid, counted, outlook_with_fees
    from etf_trader.execution.look import look
    from etf_trader.execution.planning import order_problem
    from etf_trader.execution.state import order_state

    with opened.database.read() as connection:
        state = order_state(connection, order.id)
    if not order.remaining:
        return None
    chosen = opened.settings
    try:
        view = in_loop(look(opened.venue, state.basket, chosen.solver.depth))
        # An order that has ended gave its cash back: what comes next is asked without.
        wish = replace(state.wish(), cash=None)
        problem = order_problem(wish, state.basket, view, state.float, state.float_cash, chosen.trade.slack_ticks)
        tried = InFlight({state.index.quote: order.remaining * order.arrival_nav} if order.status.is_final else {})
        rules = view.rules.values()
        paid_in = counted(opened.database, opened.venue, opened.account, [state.index], rules, tried)
        seen = as_paid(view, in_loop(paid_in), [order.max_loss_bps])
        return outlook_with_fees(problem, seen, chosen.solver.method)
    except EtfError:
        return None


def _outlook_of_preview(opened: Services, preview: Preview) -> Outlook:
    from etf_trader.execution.fees_apart import in_kind, outlook_with_fees
    from etf_trader.execution.planning import Wish, order_problem
    from etf_trader.ledger import accounts
    from etf_trader.ledger.repository import Ledger
    from etf_trader.money import ZERO

    request, chosen = preview.request, opened.settings
    with opened.database.read() as connection:
        held = Ledger(connection, opened.account.id).holdings(accounts.index_float(preview.index.id))
    wish = Wish(
        side=request.side,
        quantity=preview.quantity,
        limit_price=request.limit_price,
        max_loss_bps=request.max_loss_bps,
        arrival=preview.arrival,
        cash=None,
    )
    cash = held.get(preview.index.quote, ZERO)
    problem = order_problem(wish, preview.basket, in_kind(preview.view), held, cash, chosen.trade.slack_ticks)
    return outlook_with_fees(problem, preview.view, chosen.solver.method)
