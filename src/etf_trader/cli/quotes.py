"""A quote as a person reads it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from etf_trader.cli.numbers import bps, count, few_digits, joined, money, percent, unit_count
from etf_trader.cli.orders import loss_line
from etf_trader.cli.output import Page, dim, look
from etf_trader.cli.plan_fees import fee_sentences, with_fees
from etf_trader.cli.plans import headline, order_count, proof
from etf_trader.cli.quote_curve import draw_curve, end_of_curve, within
from etf_trader.cli.stops import Stopped, sentences
from etf_trader.money import ONE, UNIT_GRID, ceil_to, floor_to, percentage, plain
from etf_trader.orders.plan import LOSS_PARTS
from etf_trader.venue.money_in import how_to_deposit

if TYPE_CHECKING:
    from etf_trader.execution.quote import Answer, Quote
    from etf_trader.solver.quote import Naive

ENDS_SHOWN = 8
HUNDRED = Decimal(100)
HUNDREDTH = Decimal("0.01")


def draw_quote(page: Page, quote: Quote) -> None:
    """Draw the answer, the cost curve and what bounds it."""
    for each in quote.frozen:
        page.line(f"{look('Frozen')}: {each.sentence}. This is about the rest of a unit.")
    if quote.frozen and quote.is_buy:
        page.line("Nothing can be bought until it trades: a unit is a whole basket.")
    if quote.answer is None:
        page.line(_range_headline(quote))
    else:
        _draw_answer(page, quote, quote.answer)
    if quote.curve:
        page.line()
        if len(quote.index.routes) > 1:
            page.line(f"In {quote.index.quote} alone:")
        draw_curve(page, quote)
    page.line()
    page.fields(_bounds(quote))
    page.line(_next_step(quote))


def _range_headline(quote: Quote) -> str:
    """Return what a person who named no size wants to know first."""
    doing, cash, largest = "Buying" if quote.is_buy else "Selling", quote.index.quote, quote.largest
    if not quote.curve:
        return f"{doing} {quote.index.symbol}: {look('nothing of it is possible now')}."
    if bounds := within(quote):
        if not largest.units:
            return f"{doing} {quote.index.symbol}: {look('nothing of it is possible')}{bounds}."
        return (
            f"{doing} {quote.index.symbol}{bounds}: up to {unit_count(largest.units)}, "
            f"about {money(largest.cash)} {cash}; a unit is worth {money(quote.nav)} now."
        )
    ends = [quote.curve[0], quote.curve[-1]][: len(quote.curve)]
    losses = " and ".join(f"{bps(row.loss_bps)} bps at {unit_count(row.units)}" for row in ends)
    return f"{doing} {quote.index.symbol} loses {losses}; a unit is worth {money(quote.nav)} {cash} now."


def _draw_answer(page: Page, quote: Quote, answer: Answer) -> None:
    document, plan = with_fees(answer.document), answer.plan
    page.line(headline(document, quote.index.quote))
    if plan.units:
        page.line()
        parts = {part: Decimal(document[part]) for part in LOSS_PARTS}
        page.line(f"Loss  {money(Decimal(document['loss']))}   {loss_line(parts)}")
        for sentence in fee_sentences(answer.document, quote.index.quote):
            page.line(sentence)
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
    if Decimal(document["cash"]) < 0:
        page.line("It costs more than it brings: its lots are larger than the units. Sell more at once.")
    for sentence in sentences(_stopped(quote, answer)):
        page.line(sentence)
    for sentence in (*_compared(quote, answer), *_routes(quote)):
        page.line(sentence)


def orders_of(quote: Quote) -> int:
    """Return how many orders the answer sends."""
    return 0 if quote.answer is None else order_count(quote.answer.document, quote.answer.view.rules)


def _whole(share: Decimal) -> str:
    return "100%" if share == 100 else percent(share)


def _time(seconds: float) -> str:
    return f"about {seconds:.0f} s" if seconds >= 1 else "under a second"


def _stopped(quote: Quote, answer: Answer) -> Stopped:
    return Stopped(
        environment=quote.environment,
        stopped_by=answer.plan.stopped_by,
        side=quote.request.side,
        symbol=quote.index.symbol,
        quote=quote.index.quote,
        index_id=quote.index.id,
        limit=quote.request.limit_price,
        max_loss_bps=quote.request.max_loss_bps,
        outlook=quote.outlook,
        has_begun=answer.plan.units > 0,
    )


def _compared(quote: Quote, answer: Answer) -> list[str]:
    """Return how much the plan is better than orders asset by asset, plainly."""
    market, by_asset = quote.market, quote.by_asset
    if market is None or {"float", "minimum"} & set(answer.plan.stopped_by):
        return []  # no way of trading makes whole lots of it
    lost = f"{bps(quote.naive_bps(market))} bps"
    if (gain := quote.gain_bps) is not None:
        if abs(gain) < HUNDREDTH / 2:
            return ["The best way is one market-like order per asset: optimising gains 0.00 bps."]
        return [f"One market order per asset would lose {abs(gain):,.2f} bps {'more' if gain > 0 else 'less'}."]
    told = [
        f"One market order per asset would {quote.request.side} all {unit_count(market.units)} and lose {lost}."
    ]
    if market.units < answer.quantity:
        back = f"; with those traded back it loses {lost}" if market.units else ""
        told = [f"One market order per asset would {_made(quote, market)}{back}."]
    if by_asset is not None:
        told.append(f"The same limit on each asset alone would {_made(quote, by_asset)}.")
    return told


def _made(quote: Quote, naive: Naive) -> str:
    made = f"make {unit_count(naive.units)}"
    if not naive.stranded:
        return made
    return f"{made} and leave {money(naive.stranded)} {quote.index.quote} in assets that make none"


def _routes(quote: Quote) -> list[str]:
    """Return what other currencies would save, plainly."""
    if quote.routes_unknown:
        return [f"What other currencies would save cannot be told: {quote.routes_unknown}."]
    saved = [(", ".join(each.currencies[1:]), each) for each in quote.routes[1:]]
    if not saved:
        return []
    if all(each.saved_bps < HUNDREDTH / 2 for _, each in saved):
        names = " or ".join(dict.fromkeys(name for each in quote.routes[1:] for name in each.currencies[1:]))
        return [f"Trading in {names} beside {quote.index.quote} would save nothing."]
    told = [
        f"{names} {each.saved_bps:,.2f} bps ({money(quote.saved(each))} {quote.index.quote}, "
        f"{count(each.orders, 'order')})"
        for names, each in saved
    ]
    return [f"Trading in other currencies beside {quote.index.quote} would save: {joined(told)}."]


def _bounds(quote: Quote) -> list[tuple[str, str]]:
    """Return what bounds a size, from above and from below."""
    rows = [("gives out", _ends(quote)), ("largest", _largest(quote)), ("least", _least(quote))]
    answer, cash = quote.answer, quote.index.quote
    if answer is not None and answer.payable is not None and answer.payable < answer.plan.units:
        how = how_to_deposit(cash, quote.environment)
        pays = f"pays for {unit_count(answer.payable)}" if answer.payable else "pays for none of it"
        rows.append(("treasury", f"{money(quote.treasury)} {cash} {look(pays)} ({how})"))
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
    plan, bounds = quote.largest, within(quote)
    if not plan.units:
        return look(f"none{bounds}")
    cost = "" if quote.request.max_loss_bps is not None else f", at {bps(quote.loss_bps(plan))} bps"
    by_book = [name for name in plan.stopped_by if name.startswith(("depth", "window"))]
    end = f": then {end_of_curve(quote)}" if by_book else ""
    return f"{unit_count(plan.units)}{bounds}{cost}{end}"


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
    typed = ["etf submit", quote.request.side, f"--index {quote.index.id}"]
    amount = floor_to(quote.largest.units, HUNDREDTH) if within(quote) and quote.largest.units >= 1 else HUNDRED
    typed.append(f"--qty {plain(amount if answer is None else answer.quantity)}")
    if request.limit_price is not None:
        typed.append(f"--limit {plain(request.limit_price)}")
    if request.max_loss_bps is not None:
        typed.append(f"--max-loss {plain(request.max_loss_bps)}")
    return dim(f"A quote changes nothing. The orders one by one: {' '.join(typed)} --dry-run")
