"""The plan object of a rebalance and its market read back as values: what was asked, and what is stated.

Everything is checked for its form on the way, and nothing is believed: whether
it is true is for `solver.verify_rebalance` to say.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from etf_trader.market.book import Level, OrderBook
from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.orders.rebalance import CostParts, RebalanceLeg
from etf_trader.solver.reader import Impossible, Malformed, Reader
from etf_trader.solver.rebalance_document import Kept
from etf_trader.solver.rebalance_problem import Aim, Bands, Constituent, Exact, RebalanceProblem, Tracking
from etf_trader.solver.statement import mid_of, price_bounds, read_market, side_of

METHODS = ("bisection", "linprog")

TOTALS = (
    "nav_before",
    "nav_after",
    "cash_before",
    "cash_after",
    "cost",
    "cost_bps",
    "turnover",
    "spread",
    "depth",
    "fee",
    "bound",
    "gap_bps",
    "rounding_bps",
)
"""The numbers that a plan states about itself as a whole."""

_LEG_NUMBERS = (
    "quantity",
    "inside",
    "last_price",
    "mid",
    "value",
    "cost",
    "holding_before",
    "holding_after",
    "drift_before",
    "drift_after",
)


@dataclass(frozen=True, slots=True)
class StatedLeg:
    """What is stated of one asset: the leg, the best price of its book, the parts of its cost."""

    leg: RebalanceLeg
    touch: Decimal
    parts: CostParts


@dataclass(frozen=True, slots=True)
class RebalanceStatement:
    """What the plan object of a rebalance says about its market and about itself.

    `problem` is what was asked, on the levels of `books` that the venue's price
    bounds leave; `totals` are the stated numbers of the whole plan by name.
    """

    index: str
    method: str
    problem: RebalanceProblem
    books: Mapping[str, OrderBook]
    rules: Mapping[str, SymbolRule]
    legs: tuple[StatedLeg, ...]
    waves: int
    kept: tuple[Kept, ...]
    totals: Mapping[str, Decimal]
    saving: Decimal | None
    off_price: Decimal
    short_price: Decimal
    left_out: tuple[str, ...]
    multipliers: Mapping[str, Decimal]
    nav_multiplier: Decimal
    book_hash: str
    beside: tuple[str, ...]


def read_rebalance_statement(plan: object, market: object) -> RebalanceStatement:
    """Return what the plan object of a rebalance and its market say.

    Raises:
        Malformed: something is missing, or is not what it should be; says where.
        Impossible: its form is right, and no market or rebalance can be like that.
    """
    top = Reader(plan, "plan")
    books, rules = read_market(Reader(market, "market"))
    method = top["method"].text()
    if method not in METHODS:
        raise Impossible("plan.method", f"is {method}: no rebalance is made like that")
    return RebalanceStatement(
        index=top["index"].text(),
        method=method,
        problem=_problem(top, books, rules),
        books=books,
        rules=rules,
        legs=tuple(_leg(leg) for leg in top["legs"].list()),
        waves=top["waves"].count(),
        kept=tuple(_kept(each) for each in top["kept"].list()),
        totals={name: top[name].number() for name in TOTALS},
        saving=top["saving"].maybe(Reader.number),
        off_price=top["off_price"].number(),
        short_price=top["short_price"].number(),
        left_out=tuple(name.text() for name in top["left_out"].list()),
        multipliers=top["multipliers"].numbers(),
        nav_multiplier=top["nav_multiplier"].number(),
        book_hash=top["book_hash"].text(),
        beside=tuple(seal.text() for seal in top["beside"].list()) if top.has("beside") else (),
    )


def _leg(leg: Reader) -> StatedLeg:
    numbers = {name: leg[name].number() for name in _LEG_NUMBERS}
    stated = RebalanceLeg(
        asset=leg["asset"].text(),
        symbol=leg["symbol"].text(),
        side=leg["side"].maybe(side_of),
        wave=leg["wave"].count(),
        fee=leg["fee_in_kind"].number(),
        why_skipped=leg["why_skipped"].maybe(Reader.text),
        **numbers,
    )
    parts = CostParts(leg["spread"].number(), leg["depth"].number(), leg["fee"].number())
    return StatedLeg(stated, leg["touch"].number(), parts)


def _kept(each: Reader) -> Kept:
    found = Kept(
        each["asset"].text(),
        each["symbol"].text(),
        each["holding"].number(),
        each["mid"].number(),
        each["why"].maybe(Reader.text),
    )
    if found.holding < 0 or found.mid < 0:
        raise Impossible(each.where, "is less than nothing")
    return found


def _problem(top: Reader, books: Mapping[str, OrderBook], rules: Mapping[str, SymbolRule]) -> RebalanceProblem:
    asked, quote = top["problem"], top["quote"].text()
    constituents = tuple(_constituent(each, quote, books, rules) for each in asked["constituents"].list())
    names = [each.asset for each in constituents]
    if not names or names != sorted(set(names)) or quote in names:
        raise Impossible(f"{asked.where}.constituents", "are none, or not each once in order of name")
    problem = RebalanceProblem(
        quote, asked["cash"].number(), constituents, _aim(asked["aim"]), asked["max_cross_spread_bps"].number()
    )
    if problem.cash < 0 or problem.reserve < 0 or problem.nav <= 0:
        raise Impossible(asked.where, "has cash below 0, weights above 1, or nothing to rebalance")
    return problem


def _aim(aim: Reader) -> Aim:
    kind = aim["kind"].text()
    if kind == "exact":
        return Exact()
    if kind not in ("bands", "tracking"):
        raise Malformed(f"{aim.where}.kind", f"is {kind}, which is no aim")
    number = aim["width" if kind == "bands" else "price_bps"]
    if number.number() < 0:
        raise Impossible(number.where, "is below 0")
    return Bands(number.number()) if kind == "bands" else Tracking(number.number())


def _constituent(
    each: Reader, quote: str, books: Mapping[str, OrderBook], rules: Mapping[str, SymbolRule]
) -> Constituent:
    symbol = each["symbol"].text()
    if symbol not in books or symbol not in rules:
        raise Impossible(f"{each.where}.symbol", f"is {symbol}, which is not in the market")
    book, rule, asset = books[symbol], rules[symbol], each["asset"].text()
    if (rule.base, rule.quote) != (asset, quote):
        raise Impossible(f"{each.where}.symbol", f"is {symbol}, which does not trade {asset} for {quote}")
    holding, weight, mid = (each[name].number() for name in ("holding", "weight", "mid"))
    if holding < 0 or weight < 0 or mid <= 0:
        raise Impossible(each.where, "has a holding or a weight below 0, or no mid")
    if book.bids and book.asks and mid != mid_of(book):
        raise Impossible(f"{each.where}.mid", f"is not the mid of {symbol}")
    bids, asks = (_accepted(book, rule, side, mid) for side in (Side.SELL, Side.BUY))
    return Constituent(asset, rule, holding, weight, mid, bids, asks, each["ordered"].number())


def _accepted(book: OrderBook, rule: SymbolRule, side: Side, mid: Decimal) -> tuple[Level, ...]:
    """Return the levels that a trade on `side` may take, within the venue's price bounds."""
    low, high = price_bounds(rule, side, mid)
    offered = book.asks if side is Side.BUY else book.bids
    return tuple(
        each for each in offered if each.quantity and low <= each.price and (high is None or each.price <= high)
    )
