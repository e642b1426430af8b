"""A plan as a person reads it: what trades where, what it costs, how near it is to the best possible."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from etf_trader.cli.numbers import (
    bps,
    count,
    few_digits,
    joined,
    money,
    percent,
    price,
    quantity,
    unit_count,
    units,
)
from etf_trader.cli.orders import loss_line
from etf_trader.cli.output import Page, Table, look, number, text
from etf_trader.cli.plan_fees import fee_sentences, with_fees
from etf_trader.money import BPS, ONE, ZERO, divide
from etf_trader.orders.plan import LOSS_PARTS

if TYPE_CHECKING:
    from etf_trader.market.symbol import SymbolRule

Rules = Mapping[str, "SymbolRule"]
TENTH = Decimal("0.1")


def headline(document: Mapping[str, Any], quote: str) -> str:
    """Return what a plan would do, in one sentence."""
    is_buy = document["side"] == "buy"
    verb, way = ("Buy", "over") if is_buy else ("Sell", "under")
    wanted, planned = Decimal(document["quantity"]), Decimal(document["units"])
    what = f"{verb} {unit_count(wanted)} of {document['index']}"
    if not planned:
        return f"{what}: {look('nothing of it is possible now')}."
    cash, loss = money(Decimal(document["cash"])), bps(Decimal(document["loss_bps"]))
    nav = money(Decimal(document["nav"]))
    much = "" if planned == wanted else f"{few_digits(planned)} of them are possible now, "
    return f"{what}: {much}about {cash} {quote}, {loss} bps {way} the price now ({nav})."


def legs_table(document: Mapping[str, Any], rules: Rules) -> Table:
    """Return the constituents of a plan, the largest first; one with several books has a row for each."""
    values = {leg["symbol"]: Decimal(leg["value"]) * _rate(document, leg) for leg in document["legs"]}
    legs = sorted(document["legs"], key=lambda leg: -values[leg["symbol"]])
    over = {leg["symbol"]: _over_mid(leg, _rate(document, leg)) for leg in legs}
    thinnest = max(over, key=lambda symbol: over[symbol], default=None)
    has_routes = bool(document.get("currencies"))
    way = "over mid" if document["side"] == "buy" else "under mid"
    table = Table(
        text(""),
        number("quantity"),
        number("value"),
        number("share", optional=3),
        number("last price", optional=2),
        number(way),
        text("", optional=1),
    )
    total = sum(values.values(), ZERO)
    for leg in legs:
        rule, symbol = rules.get(leg["symbol"]), leg["symbol"]
        amount, last = Decimal(leg["quantity"]), Decimal(leg["last_price"])
        none = "all of it inside" if leg["asset"] in document.get("crossed", {}) else "nothing to trade"
        is_thinnest = symbol == thinnest and len(legs) > 1 and over[symbol] > 0
        table.row(
            symbol if has_routes else leg["asset"],
            quantity(amount, rule.step) if rule else units(amount),
            money(values[symbol]),
            percent(divide(values[symbol] * 100, total, TENTH)) if total else "-",
            price(last, rule.tick) if rule else units(last),
            f"{bps(over[symbol])} bps" if amount else none,
            "thinnest" if is_thinnest else "",
        )
    return table


def draw_plan(page: Page, document: Mapping[str, Any], quote: str, rules: Rules) -> None:
    """Draw the sentence, the constituents, what is traded inside, the loss and the fees of a plan."""
    told, document = fee_sentences(document, quote), with_fees(document)
    if Decimal(document["quantity"]):  # what trades leftovers back wants no units
        page.line(headline(document, quote))
    sends, inside = any(Decimal(leg["quantity"]) for leg in document["legs"]), _inside(document, quote)
    if sends:
        page.line()
        page.table(legs_table(document, rules))
    if sends or inside:
        page.line()
        for sentence in (*_exchanges(document), *inside):
            page.line(sentence)
        parts = {part: Decimal(document[part]) for part in LOSS_PARTS}
        page.line(f"Loss  {money(Decimal(document['loss']))}   {loss_line(parts)}".rstrip())
        for sentence in told:
            page.line(sentence)


def proof(document: Mapping[str, Any]) -> str:
    """Return how near a plan is proved to be to the best possible one."""
    lots = Decimal(document["rounding_bps"])
    gap = Decimal(document["gap_bps"]) - lots
    if gap > 0:
        return f"proof: within {max(gap, Decimal('0.001')):.3f} bps of the best possible"
    return "proof: the best possible" + (", whole lots aside" if lots > 0 else "")


def effort(document: Mapping[str, Any], rules: Rules, used: int, limit: int, window_seconds: int) -> str:
    """Return how much of an order fills with how many orders, and how long sending them takes."""
    orders = order_count(document, rules)
    if not orders:
        return ""
    waits = max(0, -(-(used + orders) // limit) - 1) if limit else 0
    time = f"about {waits * window_seconds} s" if waits else "under a second"
    return joined(
        [
            f"Fills {_whole(Decimal(document['fill_percentage']))}",
            f"{count(orders, 'order')}, {orders} of {limit} slots, {time}",
            proof(document),
        ]
    )


def order_count(document: Mapping[str, Any], rules: Rules) -> int:
    """Return how many orders a plan sends: the venue bounds the largest one."""
    return sum(_order_count(leg, rules) for leg in [*document["legs"], *document.get("conversions", ())])


def _order_count(leg: Mapping[str, Any], rules: Rules) -> int:
    quantity, rule = Decimal(leg["quantity"]), rules.get(leg["symbol"])
    return int(quantity > 0) if rule is None else rule.order_count(quantity, Decimal(leg["limit_price"]))


def _inside(document: Mapping[str, Any], quote: str) -> list[str]:
    """Return what a plan trades with other orders of the account; routed plans know none."""
    crossed = document.get("crossed", {})
    value = sum((Decimal(crossed[asset]) * Decimal(document["mids"][asset]) for asset in crossed), ZERO)
    if not value:
        return []
    return [f"Trades {money(value)} {quote} with your own other orders, at the mid and without a fee."]


def _exchanges(document: Mapping[str, Any]) -> list[str]:
    """Return what a plan exchanges between currencies, and what the other currencies save."""
    if not document.get("currencies"):
        return []
    lines = []
    for leg in document["conversions"]:
        quote = leg["symbol"].removeprefix(leg["asset"])
        base, value = (
            f"{money(Decimal(leg['quantity']))} {leg['asset']}",
            f"{money(Decimal(leg['value']))} {quote}",
        )
        paid, got = (value, base) if leg["side"] == "buy" else (base, value)
        lines.append(f"Exchanges {paid} for {got} {'first' if document['side'] == 'buy' else 'afterwards'}.")
    saved = Decimal(document["saved_bps"])
    others = " and ".join(each["name"] for each in document["currencies"])
    if saved > 0:
        lines.append(f"{others} {'saves' if len(document['currencies']) == 1 else 'save'} {bps(saved)} bps.")
    elif all(_rate_of(document, leg) is None for leg in document["legs"] if Decimal(leg["quantity"])):
        lines.append(f"{others} would save nothing.")
    return lines


def _rate(document: Mapping[str, Any], leg: Mapping[str, Any]) -> Decimal:
    """Return what the currency of a leg's book is worth in the index's quote."""
    rate = _rate_of(document, leg)
    return ONE if rate is None else rate


def _rate_of(document: Mapping[str, Any], leg: Mapping[str, Any]) -> Decimal | None:
    """Return what another currency is worth that a leg trades in; None when it trades in the index's quote."""
    quote = leg["symbol"].removeprefix(leg["asset"])
    rates = {each["name"]: Decimal(each["mid"]) for each in document.get("currencies", ())}
    rates |= {name: Decimal(rate["mid"]) for name, rate in document.get("rates", {}).items()}
    return rates.get(quote)


def _over_mid(leg: Mapping[str, Any], rate: Decimal) -> Decimal:
    """Return what a constituent costs beyond its mid, fee included, in bps of its value at mid."""
    worth = Decimal(leg["quantity"]) * Decimal(leg["mid"]) * rate
    cost = sum((Decimal(leg[part]) for part in ("spread", "depth", "fee")), ZERO)
    return divide(cost * BPS, worth, TENTH) if worth else ZERO


def _whole(percentage: Decimal) -> str:
    return "100%" if percentage == 100 else percent(percentage)
