"""A plan object and its market read back as values: what was asked, and what is stated.

Everything is checked for its form on the way, and nothing is believed: whether
it is true is for `solver.verify` to say.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, NamedTuple

from etf_trader.market.book import OrderBook
from etf_trader.market.document import BANDS, NO_TIME, NUMBERS, WORDS
from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.money import ONE, ZERO
from etf_trader.orders.plan import LOSS_PARTS, LossParts, PlannedLeg
from etf_trader.solver.problem import Leg, OrderProblem
from etf_trader.solver.reader import Impossible, Malformed, Reader

_LEG_NUMBERS = ("quantity", "limit_price", "last_price", "touch", "mid", "value", "surplus")


class StatedRate(NamedTuple):
    """What a currency is said to be worth in the index's quote, now and at arrival, and by which book."""

    symbol: str
    mid: Decimal
    arrival_mid: Decimal


ITSELF = StatedRate("", ONE, ONE)
"""The index's quote, in itself."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What a plan object says about its market and about itself.

    `problem` is what was asked, on the levels of `books` that the venue's price
    bounds leave. `totals` are the stated numbers of the whole plan by name, with
    None where the plan says null. `rates` are those of the currencies, beside the
    index's quote, that a plan to trade back is paid in.
    """

    index: str
    method: str
    problem: OrderProblem
    books: Mapping[str, OrderBook]
    rules: Mapping[str, SymbolRule]
    units: Decimal
    legs: tuple[PlannedLeg, ...]
    leg_losses: tuple[Decimal, ...]
    stopped_by: tuple[str, ...]
    beyond: tuple[Decimal, ...]
    multipliers: Mapping[str, Decimal]
    crossed: Mapping[str, Decimal]
    mids: Mapping[str, Decimal]
    bounds: Mapping[str, Decimal]
    totals: Mapping[str, Decimal | None]
    book_hash: str
    seal: str
    rates: Mapping[str, StatedRate]

    def rate(self, leg: Leg) -> StatedRate:
        """Return what the quote of a leg's book is worth in the index's."""
        return self.rates.get(leg.rule.quote, ITSELF)


TOTALS = (
    "fill_percentage",
    "cash",
    "average_price",
    "nav",
    "arrival_nav",
    "marginal_price",
    "loss",
    "loss_bps",
    *LOSS_PARTS,
    "cost",
    "bound",
    "gap_bps",
    "rounding_bps",
)
"""The numbers that a plan states about itself as a whole."""


def read_statement(plan: object, market: object) -> Statement:
    """Return what a plan object and its market say.

    Raises:
        Malformed: something is missing, or is not what it should be; says where.
        Impossible: its form is right, and no market or order can be like that.
    """
    top = Reader(plan, "plan")
    books, rules = read_market(Reader(market, "market"))
    side = side_of(top["side"])
    return Statement(
        index=top["index"].text(),
        method=top["method"].text(),
        problem=_problem(top, side, books, rules),
        books=books,
        rules=rules,
        units=top["units"].number(),
        legs=tuple(planned_leg(leg) for leg in top["legs"].list()),
        leg_losses=tuple(leg["loss"].number() for leg in top["legs"].list()),
        stopped_by=tuple(name.text() for name in top["stopped_by"].list()),
        beyond=tuple(units.number() for units in top["beyond"].list()),
        multipliers=top["multipliers"].numbers(),
        crossed=top["crossed"].numbers(),
        mids=top["mids"].numbers(),
        bounds=top["bounds"].numbers(),
        totals={name: top[name].maybe(Reader.number) for name in TOTALS},
        book_hash=top["book_hash"].text(),
        seal=top["seal"].text(),
        rates={name: _stated_rate(rate) for name, rate in top["rates"].items()} if top.has("rates") else {},
    )


def _stated_rate(rate: Reader) -> StatedRate:
    return StatedRate(rate["symbol"].text(), rate["mid"].number(), rate["arrival_mid"].number())


def side_of(side: Reader) -> Side:
    """Return a side."""
    if side.text() not in ("buy", "sell"):
        raise Malformed(side.where, "is neither buy nor sell")
    return Side(side.text())


def read_market(market: Reader) -> tuple[dict[str, OrderBook], dict[str, SymbolRule]]:
    """Return the books and rules of a market, by symbol."""
    books = {
        symbol: OrderBook(
            symbol=symbol,
            bids=book["bids"].levels(),
            asks=book["asks"].levels(),
            update_id=0,
            at=NO_TIME,
            complete=book["complete"].flag(),
        )
        for symbol, book in market["books"].items()
    }
    return books, {symbol: _rule(symbol, rule) for symbol, rule in market["rules"].items()}


def _rule(symbol: str, rule: Reader) -> SymbolRule:
    values: dict[str, Any] = {name: rule[name].text() for name in WORDS}
    values |= {name: rule[name].pair() for name in BANDS}
    values |= {name: rule[name].number() for name in NUMBERS}
    for name in ("step", "base_quantum", "quote_quantum"):
        if values[name] <= 0:
            raise Impossible(f"{rule.where}.{name}", "is not above 0")
    if not 0 <= values["taker_fee"] < 1:
        raise Impossible(f"{rule.where}.taker_fee", "is not a share of what is received")
    return SymbolRule(symbol=symbol, **values)


def _problem(
    top: Reader, side: Side, books: Mapping[str, OrderBook], rules: Mapping[str, SymbolRule]
) -> OrderProblem:
    asked = top["problem"]
    legs = tuple(_leg(leg, side, books, rules) for leg in asked["legs"].list())
    if not any(leg.per_unit for leg in legs) or len({leg.asset for leg in legs}) != len(legs):
        raise Impossible(f"{asked.where}.legs", "names no asset, or one of them twice")
    return OrderProblem(
        side=side,
        quantity=top["quantity"].number(),
        legs=legs,
        cash_per_unit=asked["cash_per_unit"].number(),
        float_cash=asked["float_cash"].number(),
        cash=asked["cash"].maybe(Reader.number),
        limit=asked["limit"].maybe(Reader.number),
        max_loss_bps=asked["max_loss_bps"].maybe(Reader.number),
        units_done=asked["units_done"].number(),
        loss_done=asked["loss_done"].number(),
        slack_ticks=asked["slack_ticks"].count(),
        least_value=asked["least_value"].number(),
    )


def _leg(leg: Reader, side: Side, books: Mapping[str, OrderBook], rules: Mapping[str, SymbolRule]) -> Leg:
    numbers = {name: leg[name].number() for name in ("per_unit", "arrival_mid", "held", "held_cost", "residual")}
    if min(numbers.values()) < 0 or not numbers["arrival_mid"]:
        raise Impossible(leg.where, "has a quantity below 0, or no price at arrival")
    book = venue_leg(books, rules, leg["symbol"].text(), side, leg.where)
    return replace(
        book,
        asset=leg["asset"].text(),
        per_unit=numbers["per_unit"],
        arrival_mid=numbers["arrival_mid"],
        held=numbers["held"],
        held_cost=numbers["held_cost"],
        residual=numbers["residual"],
    )


def venue_leg(
    books: Mapping[str, OrderBook], rules: Mapping[str, SymbolRule], symbol: str, side: Side, where: str
) -> Leg:
    """Return one side of a book as a leg of which nothing is wanted, on the levels that the venue accepts."""
    if symbol not in books or symbol not in rules:
        raise Impossible(f"{where}.symbol", f"is {symbol}, which is not in the market")
    book, rule = books[symbol], rules[symbol]
    mid = mid_of(book)
    offered = [level for level in (book.asks if side is Side.BUY else book.bids) if level.quantity]
    low, high = price_bounds(rule, side, mid)
    levels = tuple(each for each in offered if low <= each.price and (high is None or each.price <= high))
    return Leg(
        asset=rule.base,
        rule=rule,
        per_unit=ZERO,
        levels=levels,
        complete=book.complete or len(levels) < len(offered),
        mid=mid,
        arrival_mid=mid,
        held=ZERO,
        held_cost=ZERO,
        residual=ZERO,
    )


def price_bounds(rule: SymbolRule, side: Side, mid: Decimal) -> tuple[Decimal, Decimal | None]:
    """Return the lowest and the highest price that the venue accepts of an order on `side`; None: any."""
    down, up = rule.bid_band if side is Side.BUY else rule.ask_band
    highs = [bound for bound in (mid * up, rule.max_price) if bound]
    return max(mid * down, rule.min_price), min(highs, default=None)


def mid_of(book: OrderBook) -> Decimal:
    """Return the mean of the best prices, having checked the order of all levels."""
    where = f"market.books.{book.symbol}"
    if not book.bids or not book.asks:
        raise Impossible(where, "has a side without levels: it has no price")
    for name, sign, levels in (("bids", -1, book.bids), ("asks", 1, book.asks)):
        for place, (price, quantity) in enumerate(levels):
            if price <= 0 or quantity < 0:
                raise Impossible(
                    f"{where}.{name}[{place}]", "is not a level: it has no price, or less than nothing"
                )
            if place and (price - levels[place - 1].price) * sign <= 0:
                raise Impossible(f"{where}.{name}[{place}]", "is out of order: levels run from the best price")
    if book.bids[0].price >= book.asks[0].price:
        raise Impossible(where, "is crossed: its best bid is not below its best ask")
    return (book.bids[0].price + book.asks[0].price) / 2


def planned_leg(leg: Reader) -> PlannedLeg:
    """Return what is stated of one leg."""
    numbers = {name: leg[name].number() for name in _LEG_NUMBERS}
    return PlannedLeg(
        asset=leg["asset"].text(),
        symbol=leg["symbol"].text(),
        fee=leg["fee_in_kind"].number(),
        loss=LossParts(**{part: leg[part].number() for part in LOSS_PARTS}),
        **numbers,
    )
