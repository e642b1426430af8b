"""A quote as a person reads it, and as a document."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from etf_trader.cli.charts import Mark, curve_chart
from etf_trader.cli.numbers import EIGHT_PLACES, bps, count, few_digits, joined, money, percent, unit_count
from etf_trader.cli.orders import loss_line
from etf_trader.cli.output import Page, Table, dim, look, number, text
from etf_trader.cli.plans import headline, pieces, proof
from etf_trader.cli.stops import Stopped, sentences
from etf_trader.market.currency import how_to_deposit
from etf_trader.money import (
    BPS,
    ONE,
    UNIT_GRID,
    ZERO,
    average_price,
    ceil_to,
    floor_to,
    percentage,
    plain,
    round_to,
)
from etf_trader.money import bps as bps_of
from etf_trader.orders.plan import LOSS_PARTS

if TYPE_CHECKING:
    from etf_trader.execution.quote import Answer, Quote
    from etf_trader.orders.plan import Plan
    from etf_trader.solver.quote import BookEnd, Naive
    from etf_trader.solver.route_problem import RouteSaving

ASKED, WITHIN, EMPTY, UNREAD = "●", "◆", "▲", "△"

CHART_ROOM = 96
"""A chart is not drawn wider than this; in a pipe it is as wide as 80 columns."""

ENDS_SHOWN = 8
HALF_DECADE = 3
HUNDRED = Decimal(100)
HUNDREDTH = Decimal("0.01")


def draw_quote(page: Page, quote: Quote) -> None:
    """Draw the answer, the cost curve and what bounds it."""
    if quote.answer is None:
        page.line(_range_headline(quote))
    else:
        _draw_answer(page, quote, quote.answer)
    if quote.curve:
        page.line()
        page.table(_curve_table(quote))
        _draw_chart(page, quote)
    page.line()
    page.fields(_bounds(quote))
    page.line(_next_step(quote))


def _range_headline(quote: Quote) -> str:
    """Return what a person who named no size wants to know first."""
    doing, cash, largest = "Buying" if _is_buy(quote) else "Selling", quote.index.quote, quote.largest
    if not quote.curve:
        return f"{doing} {quote.index.symbol}: {look('nothing of it is possible now')}."
    if within := _within(quote):
        if not largest.units:
            return f"{doing} {quote.index.symbol}: {look('nothing of it is possible')}{within}."
        return (
            f"{doing} {quote.index.symbol}{within}: up to {unit_count(largest.units)}, "
            f"about {money(largest.cash)} {cash}; a unit is worth {money(quote.nav)} now."
        )
    ends = [quote.curve[0], quote.curve[-1]][: len(quote.curve)]
    losses = " and ".join(f"{bps(_loss_bps(quote, plan))} bps at {unit_count(plan.units)}" for plan in ends)
    return f"{doing} {quote.index.symbol} loses {losses}; a unit is worth {money(quote.nav)} {cash} now."


def _within(quote: Quote) -> str:
    """Return the limits that were given, as a sentence ends; nothing without one."""
    limit, most = quote.request.limit_price, quote.request.max_loss_bps
    bounds = [] if limit is None else [f"{money(limit)} a unit"]
    if most is not None:
        bounds.append(f"{bps(most)} bps")
    return f" within {' and '.join(bounds)}" if bounds else ""


def _draw_answer(page: Page, quote: Quote, answer: Answer) -> None:
    document, plan = answer.document, answer.plan
    page.line(headline(document, quote.index.quote))
    if plan.units:
        page.line()
        parts = {part: Decimal(document[part]) for part in LOSS_PARTS}
        page.line(f"Loss  {money(plan.loss.total)}   {loss_line(parts)}")
    if orders := orders_of(quote):
        page.line(
            joined(
                [
                    f"Fills {_whole(percentage(plan.units, answer.quantity))}",
                    f"{count(orders, 'order')}, {orders} of {count(quote.free_slots, 'free slot')}, "
                    f"{_time(quote.seconds_for(orders))}",
                    proof(document),
                ]
            )
        )
    for sentence in sentences(_stopped(quote, answer)):
        page.line(sentence)
    for sentence in (*_compared(quote, answer), *_routes(quote, answer)):
        page.line(sentence)


def orders_of(quote: Quote) -> int:
    """Return how many orders the answer sends."""
    legs = [] if quote.answer is None else quote.answer.document["legs"]
    return sum(pieces(leg, quote.view.rules) for leg in legs)


def _whole(share: Decimal) -> str:
    return "100%" if share == 100 else percent(share)


def _time(seconds: float) -> str:
    return f"about {seconds:.0f} s" if seconds >= 1 else "under a second"


def _stopped(quote: Quote, answer: Answer) -> Stopped:
    return Stopped(
        stopped_by=answer.plan.stopped_by,
        side=quote.request.side,
        symbol=quote.index.symbol,
        quote=quote.index.quote,
        index_id=quote.index.id,
        limit=quote.request.limit_price,
        max_loss_bps=quote.request.max_loss_bps,
        outlook=answer.outlook,
    )


def _compared(quote: Quote, answer: Answer) -> list[str]:
    """Return how much the plan is better than orders asset by asset, plainly."""
    market, by_asset, cash = quote.market, quote.by_asset, quote.index.quote
    if market is None or {"float", "minimum"} & set(answer.plan.stopped_by):
        return []  # no way of trading makes whole lots of it
    lost = f"{bps(naive_bps(quote, market))} bps"
    gain = gain_bps(quote)
    if gain is not None:
        if abs(gain) < HUNDREDTH / 2:
            return ["The best way is one market-like order per asset: optimising gains 0.00 bps."]
        return [f"One market order per asset would lose {gain:.2f} bps more."]
    told = [f"One market order per asset would {_verb(quote)} all {unit_count(market.units)} and lose {lost}."]
    if market.units < answer.quantity:
        told = [
            f"One market order per asset would make {unit_count(market.units)} and leave {money(market.stranded)} "
            f"{cash} in assets that make none"
            + (f"; with those traded back it loses {lost}." if market.units else ".")
        ]
    if by_asset is not None:
        told.append(
            f"The same limit on each asset alone would make {unit_count(by_asset.units)} and leave "
            f"{money(by_asset.stranded)} {cash} in assets that make none."
        )
    return told


def _routes(quote: Quote, answer: Answer) -> list[str]:
    """Return what other currencies would save, plainly."""
    if answer.routes_unknown:
        return [f"What other currencies would save cannot be told: {answer.routes_unknown}."]
    saved = [(", ".join(each.currencies[1:]), each) for each in answer.routes[1:]]
    if not saved:
        return []
    if all(each.saved_bps < HUNDREDTH / 2 for _, each in saved):
        names = " or ".join(dict.fromkeys(name for each in answer.routes[1:] for name in each.currencies[1:]))
        return [f"Trading in {names} beside {quote.index.quote} would save nothing."]
    told = [
        f"{names} {each.saved_bps:.2f} bps ({money(saved_cash(quote, each))} {quote.index.quote}, "
        f"{count(each.orders, 'order')})"
        for names, each in saved
    ]
    return [f"Trading in other currencies beside {quote.index.quote} would save: {joined(told)}."]


def saved_cash(quote: Quote, saving: RouteSaving) -> Decimal:
    """Return what other currencies save, in the quote asset."""
    return saving.saved_bps * saving.units * quote.nav / BPS


def gain_bps(quote: Quote) -> Decimal | None:
    """Return what the plan loses less than a market order an asset; None unless both trade all that was asked."""
    answer, market = quote.answer, quote.market
    if answer is None or market is None or not answer.plan.units == answer.quantity == market.units:
        return None
    return naive_bps(quote, market) - _loss_bps(quote, answer.plan)


def naive_bps(quote: Quote, naive: Naive) -> Decimal:
    """Return the loss of a naive way in bps of the units it makes, what is stranded traded back."""
    return bps_of(naive.loss + naive.unwinding, naive.units * quote.nav)


def _curve_table(quote: Quote) -> Table:
    table = Table(
        number("units"),
        number("cash", optional=1),
        number("loss"),
        number("bps"),
        number("last unit"),
        text("", wrap=True),
    )
    told: set[str] = set()
    for plan in quote.curve:
        remarks = [each for each in _remarks(quote, plan) if each not in told]
        told.update(remarks)
        table.row(
            few_digits(plan.units),
            money(plan.cash),
            money(plan.loss.total),
            bps(_loss_bps(quote, plan)),
            money(plan.marginal_price),
            ", ".join(remarks),
        )
    return table


def _remarks(quote: Quote, plan: Plan) -> list[str]:
    request, remarks = quote.request, []
    if quote.answer is not None and plan.units == quote.answer.quantity:
        remarks.append("asked for")
    limit, most = request.limit_price, request.max_loss_bps
    if limit is not None and (plan.marginal_price - limit) * request.side.sign > 0:
        remarks.append("from here beyond the limit")
    if most is not None and _loss_bps(quote, plan) > most:
        remarks.append("from here beyond the loss limit")
    if plan is quote.curve[-1]:
        remarks.append(_end_of_curve(quote))
    return remarks


def _end_of_curve(quote: Quote) -> str:
    first = quote.ends[0]
    return f"{first.asset} {'gives out' if first.is_complete else 'is read no further'}"


def _draw_chart(page: Page, quote: Quote) -> None:
    points = [(point.units, max(point.loss_bps, ZERO)) for point in quote.shape]
    last = points[-1][0] if points else ONE
    near = [end for end in quote.ends if end.units <= last * HALF_DECADE]
    marks = [Mark(end.units, EMPTY if end.is_complete else UNREAD, on_axis=True) for end in near if end.units]
    if quote.answer is not None and quote.answer.quantity <= last:
        marks.append(Mark(quote.answer.quantity, ASKED))
    if _within(quote) and quote.largest.units:
        marks.append(Mark(quote.largest.units, WITHIN))
    lines = curve_chart(
        points,
        room=min(CHART_ROOM, 80 if page.room is None else page.room),
        until=near[-1].units if near else last,
        marks=marks,
        level=quote.request.max_loss_bps,
    )
    if not lines:
        return
    page.line()
    page.line(dim("loss in bps, by units"))
    for line in lines:
        page.line(line)
    page.line(dim(_legend(quote, near)))


def _legend(quote: Quote, near: list[BookEnd]) -> str:
    answer, bound, within = quote.answer, quote.request.max_loss_bps, _within(quote)
    is_shown = answer is not None and answer.quantity <= quote.curve[-1].units
    return joined(
        [
            f"{ASKED} {unit_count(answer.quantity)}" if answer is not None and is_shown else "",
            f"{WITHIN} the most{within}" if within and quote.largest.units else "",
            f"╌ {bps(bound)} bps" if bound is not None else "",
            _named(EMPTY, "empty beyond", [end.asset for end in near if end.is_complete]),
            _named(UNREAD, "read no further", [end.asset for end in near if not end.is_complete]),
        ]
    )


def _named(sign: str, told: str, assets: list[str]) -> str:
    names = ", ".join([*assets[:ENDS_SHOWN], *["…"][: len(assets) > ENDS_SHOWN]])
    return f"{sign} {names} {told}" if assets else ""


def _bounds(quote: Quote) -> list[tuple[str, str]]:
    """Return what bounds a size, from above and from below."""
    rows = [("gives out", _ends(quote)), ("largest", _largest(quote)), ("least", _least(quote))]
    answer, cash = quote.answer, quote.index.quote
    if answer is not None and answer.payable is not None and answer.payable < answer.plan.units:
        pays = f"pays for {unit_count(answer.payable)}" if answer.payable else "pays for none of it"
        rows.append(("treasury", f"{money(quote.treasury)} {cash} {look(pays)} ({how_to_deposit(cash)})"))
    return rows


def _ends(quote: Quote) -> str:
    shown = [
        f"{end.asset} {'' if end.is_complete else 'beyond '}{_rounded(end.units)}"
        for end in quote.ends[:ENDS_SHOWN]
    ]
    rest = len(quote.ends) - len(shown)
    return joined([*shown, f"{rest} more" if rest else ""]) + " units"


def _rounded(units: Decimal) -> str:
    """Return units with fewer digits still: where a book ends need not be known to the cent."""
    return f"{floor_to(units, ONE):,}" if units >= HUNDRED else few_digits(units)


def _largest(quote: Quote) -> str:
    plan, within = quote.largest, _within(quote)
    if not plan.units:
        return look(f"none{within}")
    cost = "" if quote.request.max_loss_bps is not None else f", at {bps(_loss_bps(quote, plan))} bps"
    by_book = [name for name in plan.stopped_by if name.startswith(("depth", "window"))]
    end = f": then {_end_of_curve(quote)}" if by_book else ""
    return f"{unit_count(plan.units)}{within}{cost}{end}"


def _least(quote: Quote) -> str:
    holds = f"the float holds {money(quote.float_cash)} {quote.index.quote}"
    suffices = f"{money(quote.float_needed)} suffice for every size"
    if quote.least is not None and quote.float_cash >= quote.float_needed:
        return f"any size: {holds}, {suffices}"
    missing = quote.float_needed - quote.float_cash
    fund = f"etf index fund {quote.index.id} {ceil_to(missing, HUNDRED):f}"
    if quote.least is None:
        return f"{look('none')}: {holds}, {suffices} ({fund})"
    least = few_digits(quote.least) if quote.least > UNIT_GRID else "any, though not every,"
    return f"{least} {'unit' if quote.least == ONE else 'units'}: {holds}, {suffices} ({fund})"


def _next_step(quote: Quote) -> str:
    request, answer = quote.request, quote.answer
    typed = ["etf submit", _verb(quote), f"--index {quote.index.id}"]
    amount = floor_to(quote.largest.units, HUNDREDTH) if _within(quote) and quote.largest.units >= 1 else HUNDRED
    typed.append(f"--qty {plain(amount if answer is None else answer.quantity)}")
    if request.limit_price is not None:
        typed.append(f"--limit {plain(request.limit_price)}")
    if request.max_loss_bps is not None:
        typed.append(f"--max-loss {plain(request.max_loss_bps)}")
    return dim(f"A quote changes nothing. The orders one by one: {' '.join(typed)} --dry-run")


def document_of(quote: Quote) -> dict[str, Any]:
    """Return the quote as a document: the answer at the top, then the curve and what bounds it."""
    answer, orders = quote.answer, orders_of(quote)
    plan = None if answer is None else answer.document
    parts = (
        "units",
        "fill_percentage",
        "cash",
        "average_price",
        "marginal_price",
        "loss",
        "loss_bps",
        *LOSS_PARTS,
    )
    return {
        "index": quote.index.symbol,
        "side": quote.request.side,
        "quantity": None if answer is None else answer.quantity,
        "limit": quote.request.limit_price,
        "max_loss_bps": quote.request.max_loss_bps,
        "nav": quote.nav,
        **{part: None if plan is None else plan[part] for part in parts},
        "stopped_by": None if plan is None else plan["stopped_by"],
        "gain_bps": gain_bps(quote),
        "market_orders": _naive_document(quote, quote.market),
        "limit_by_asset": _naive_document(quote, quote.by_asset),
        "routes": [] if answer is None else [_route_document(quote, each) for each in answer.routes],
        "routes_unknown": None if answer is None else answer.routes_unknown or None,
        "orders": None if answer is None else orders,
        "free_slots": quote.free_slots,
        "seconds": None if answer is None else quote.seconds_for(orders),
        "treasury": quote.treasury,
        "treasury_units": None if answer is None else answer.payable,
        "largest": {
            "units": quote.largest.units,
            "loss_bps": _loss_bps(quote, quote.largest),
            "stopped_by": quote.largest.stopped_by,
        },
        "least": quote.least,
        "float": quote.float_cash,
        "float_for_every_size": quote.float_needed,
        "curve_method": "plan",
        "curve": [_curve_row(quote, each) for each in quote.curve],
        "ends": [
            {"asset": end.asset, "symbol": end.symbol, "units": end.units, "complete": end.is_complete}
            for end in quote.ends
        ],
        "plan": plan,
    }


CURVE_COLUMNS = ("units", "cash", "average_price", "marginal_price", "loss", "loss_bps", *LOSS_PARTS)


def _curve_row(quote: Quote, plan: Plan) -> dict[str, Any]:
    loss = {part: getattr(plan.loss, part) for part in LOSS_PARTS}
    return {
        "units": plan.units,
        "cash": plan.cash,
        "average_price": average_price(plan.cash, plan.units),
        "marginal_price": plan.marginal_price,
        "loss": plan.loss.total,
        "loss_bps": _loss_bps(quote, plan),
        **loss,
    }


def _naive_document(quote: Quote, naive: Naive | None) -> dict[str, Any] | None:
    if naive is None:
        return None
    return {
        "units": naive.units,
        "stranded": naive.stranded,
        "loss": naive.loss,
        "unwinding": naive.unwinding,
        "loss_bps": naive_bps(quote, naive),
    }


def _route_document(quote: Quote, saving: RouteSaving) -> dict[str, Any]:
    return {
        "currencies": saving.currencies,
        "units": saving.units,
        "loss_bps": saving.loss_bps,
        "orders": saving.orders,
        "saved_bps": saving.saved_bps,
        "saved": round_to(saved_cash(quote, saving), EIGHT_PLACES),
        "method": saving.method,
    }


def _loss_bps(quote: Quote, plan: Plan) -> Decimal:
    return bps_of(plan.loss.total, plan.units * quote.nav)


def _is_buy(quote: Quote) -> bool:
    return quote.request.side.sign > 0


def _verb(quote: Quote) -> str:
    return "buy" if _is_buy(quote) else "sell"
