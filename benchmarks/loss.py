"""What the plan saves against the ways in which one would trade without it, and where it saves nothing.

    python benchmarks/loss.py            the table, in Markdown
    python benchmarks/loss.py --quick    one market instead of five
    python benchmarks/loss.py --check    exit 1 when a figure is not of its expected shape

All contenders trade the same books: seeded ones of the paper exchange's model,
and the recorded ones of Binance where they lie beside the checkout. Nobody's
word is taken for what it costs: a `Venue` walks the levels, takes the fee of
each fill rounded up, and counts what is there afterwards. Loss is against the
mid, in basis points of the units that arrived in every constituent; what was
bought beyond them is sold again, at the bids and after fees. Only what is less
than the least order is left, at mid, as the float takes it.
"""

import argparse
import math
import os
import random
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from etf_trader.exchange.market import Market
from etf_trader.exchange.model import EPOCH, ModelMarket
from etf_trader.exchange.model_parameters import COINS
from etf_trader.exchange.recording import RecordingMarket
from etf_trader.execution.routing import OtherBooks, route_problem
from etf_trader.market.book import Level, OrderBook
from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.money import (
    ONE,
    UNIT_GRID,
    ZERO,
    ceil_to,
    divide,
    divide_down,
    divide_up,
    floor_to,
    largest_remainder,
    money_context,
)
from etf_trader.orders.plan import Plan
from etf_trader.orders.rebalance import RebalancePlan
from etf_trader.orders.schedule import Algo, Assumptions
from etf_trader.solver.order import plan_order
from etf_trader.solver.problem import Leg, OrderProblem
from etf_trader.solver.rebalance import plan_rebalance
from etf_trader.solver.rebalance_problem import Constituent, Exact, RebalanceProblem
from etf_trader.solver.routes import plan_routes
from etf_trader.solver.schedule import Span, plan_schedule
from etf_trader.solver.shared import plan_together
from etf_trader.solver.shares import SharedOrder, Touch

D = Decimal
HOME = "USDT"
UNIT = D(1000)
"""What a unit of an index is worth, about."""

PAID = D("0.001")
"""The taker fee of a conversion that is not free."""

OTHERS = ("USDC", "FDUSD")
RECORDED = ("BTC", "ETH", "DOT", "ZIL", "MANA", "DENT", "BTCST")
"""What was recorded against USDT, in 2021."""

AT_ONCE, SLICED, SLICES = "all at once", "ten equal slices", 10
ASSUMED = Assumptions(recovery_seconds=D(20), waiting_bps=ZERO, turnover=D(15), participation=D("0.1"))
"""What `etf` assumes when nothing is configured, but that waiting costs nothing."""

FUND, RESERVE = D(10**7), D("0.01")
OFF = D("0.0002")
"""How far from its target a weight may be after an exact rebalance: its cost, and a lot."""

SLACK = 2.0
"""By what factor a figure may differ from the specification's, which was found on other books."""

TIE = 0.01
"""Basis points below which nothing is gained: what lots decide, and what a schedule is not worth waiting for."""

DATA = Path(os.environ.get("ETF_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))

Basket = Mapping[str, D]
"""Quantities or weights by asset."""


def even(*assets: str) -> Basket:
    """Return equal weights."""
    return {asset: divide_down(ONE, D(len(assets)), D("1e-6")) for asset in assets}


def ranked(*assets: str) -> Basket:
    """Return weights in proportion to 1 / rank, about those of market capitalisations."""
    shares = [divide(ONE, D(rank), D("1e-6")) for rank in range(1, len(assets) + 1)]
    return {
        asset: divide_down(each, sum(shares, ZERO), D("1e-6")) for asset, each in zip(assets, shares, strict=True)
    }


DEEP = even("BTC", "ETH", "SOL", "BNB", "XRP")
BROAD = ranked(*(coin.asset for coin in COINS))
THIN = even("BTC", "ETH", "UNI", "DOT", "ATOM", "MANA", "ZIL", "DENT")
K, M = D(10**3), D(10**6)


class Venue:
    """Books of one moment; who trades takes from them, and `gained` is what there is more of each asset."""

    def __init__(self, books: Mapping[str, OrderBook], rules: dict[str, SymbolRule], back: Market) -> None:
        """Take the books; `back` says how fast what is taken comes back."""
        self.books, self.rules = books, rules
        self.gained: dict[str, D] = defaultdict(Decimal)
        self._back = back
        self._taken: dict[tuple[str, Side], dict[D, D]] = defaultdict(dict)

    def fresh(self) -> "Venue":
        """Return the same books with nothing taken."""
        return Venue(self.books, self.rules, self._back)

    def mid(self, asset: str) -> D:
        """Return what one of an asset is worth in the home currency."""
        return ONE if asset == HOME else self.books[asset + HOME].mid

    def left(self, symbol: str, side: Side) -> tuple[Level, ...]:
        """Return the levels that a trade on `side` may still take."""
        taken = self._taken[symbol, side]
        levels = self.books[symbol].offers(side)
        if not taken:
            return levels
        rest = (Level(price, quantity - taken.get(price, ZERO)) for price, quantity in levels)
        return tuple(level for level in rest if level.quantity > 0)

    def send(self, symbol: str, side: Side, quantity: D, limit: D | None = None) -> None:
        """Trade up to `quantity`, no level beyond `limit`; the rest is cancelled."""
        rule, taken = self.rules[symbol], self._taken[symbol, side]
        for price, size in _walk(self.left(symbol, side), side, quantity, limit):
            taken[price] = taken.get(price, ZERO) + size
            bought, paid = (rule.base, rule.quote) if side is Side.BUY else (rule.quote, rule.base)
            received, given = (size, size * price) if side is Side.BUY else (size * price, size)
            self.gained[bought] += received - ceil_to(received * rule.taker_fee, rule.fee_quantum(side))
            self.gained[paid] -= given

    def spend(self, symbol: str, cash: D) -> None:
        """Buy for `cash`, in whole lots: a market order by quote quantity."""
        step, lots = self.rules[symbol].step, ZERO
        for price, size in self.left(symbol, Side.BUY):
            part = min(size, divide_down(cash, price, step))
            lots, cash = lots + part, cash - part * price
            if part < size:
                break
        self.send(symbol, Side.BUY, lots)

    def nets(self, symbol: str, quantity: D) -> D:
        """Return what arrives when `quantity` is bought, without buying it."""
        rule = self.rules[symbol]
        parts = [size for _, size in _walk(self.left(symbol, Side.BUY), Side.BUY, quantity, None)]
        return sum((size - ceil_to(size * rule.taker_fee, rule.base_quantum) for size in parts), ZERO)

    def wait(self, seconds: int) -> None:
        """Let time pass: what was taken comes back as the market says."""
        at = (self._back.start, self._back.start + timedelta(seconds=seconds))
        for (symbol, side), taken in self._taken.items():
            shown = "ASK" if side is Side.BUY else "BID"
            for price, missing in list(taken.items()):
                taken[price] = self._back.still_consumed(symbol, shown, price, missing, *at)

    def loss(self) -> D:
        """Return what was lost against the mids, in the home currency."""
        return -sum((amount * self.mid(asset) for asset, amount in self.gained.items()), ZERO)


def _walk(levels: Iterable[Level], side: Side, quantity: D, limit: D | None) -> Iterator[tuple[D, D]]:
    for price, there in levels:
        if quantity <= 0 or (limit is not None and (price - limit) * side.sign > 0):
            return
        size = min(there, quantity)
        quantity -= size
        yield price, size


class Outcome(NamedTuple):
    """What a way of trading came to.

    `filled` is the fraction of the wish that arrived in every constituent,
    `bps` what it lost of that, None when nothing arrived; `stranded` the
    fraction of what was bought that had to be sold again.
    """

    filled: float
    bps: float | None
    stranded: float = 0.0


def bought(venue: Venue, problem: OrderProblem) -> Outcome:
    """Sell what the common fraction leaves over, and return what the buy came to."""
    got = {leg.asset: venue.gained[leg.asset] for leg in problem.legs}
    units = [divide_down(got[leg.asset], leg.per_unit, UNIT_GRID) for leg in problem.legs]
    whole = min(problem.quantity, *units)
    value = stranded = ZERO
    for leg in problem.legs:
        value += got[leg.asset] * leg.mid
        rest = floor_to(got[leg.asset] - leg.per_unit * whole, leg.rule.step)
        bids = venue.left(leg.rule.symbol, Side.SELL)
        if bids and rest >= leg.rule.least_quantity(bids[0].price):
            venue.send(leg.rule.symbol, Side.SELL, rest)
            stranded += rest * leg.mid
    bps = _ratio(venue.loss(), whole * problem.nav) * 1e4 if whole else None
    return Outcome(_ratio(whole, problem.quantity), bps, _ratio(stranded, value) if value else 0.0)


def _ratio(part: D, whole: D) -> float:
    return float(part) / float(whole)


def model_venue(seed: int, quotes: Sequence[str] = (HOME,)) -> Venue:
    """Return the model market of `seed`, at a moment of its own."""
    market = ModelMarket(seed, EPOCH + timedelta(days=10 * seed))
    return _venue(market, [row for row in market.symbols() if row["quoteAsset"] in quotes])


def routes_venue(seed: int, conversion_fee: D) -> Venue:
    """Return the model market with its books in other currencies, and what exchanging those costs."""
    venue = model_venue(seed, (HOME, *OTHERS))
    for symbol in (name + HOME for name in OTHERS):
        venue.rules[symbol] = replace(venue.rules[symbol], taker_fee=conversion_fee)
    return venue


def recorded_venue(folder: Path) -> Venue:
    """Return the recorded books of the constituents, as the recording starts."""
    market, symbols = RecordingMarket(folder), {asset + HOME for asset in RECORDED}
    return _venue(market, [row for row in market.symbols() if row["symbol"] in symbols])


def _venue(market: Market, rows: Iterable[Mapping[str, Any]]) -> Venue:
    books, rules = {}, {}
    for row in rows:
        symbol = row["symbol"]
        maker, taker = market.fees(symbol)
        rules[symbol] = SymbolRule.from_exchange_info(row, maker_fee=maker, taker_fee=taker)
        book = market.book(symbol, market.start)
        bids, asks = (tuple(Level(*each) for each in side) for side in (book.bids, book.asks))
        books[symbol] = OrderBook(symbol, bids, asks, book.update_id, market.start, book.complete)
    return Venue(books, rules, market)


def basket_of(venue: Venue, weights: Mapping[str, D]) -> Basket:
    """Return base per unit of a unit worth 1,000."""
    return {asset: divide_down(weight * UNIT, venue.mid(asset), D("1e-12")) for asset, weight in weights.items()}


def order(venue: Venue, basket: Basket, value: D, side: Side = Side.BUY, **limits: Any) -> OrderProblem:
    """Return the wish for `value` of a basket, on what is left of the books."""
    legs = []
    for asset, per_unit in sorted(basket.items()):
        symbol = asset + HOME
        book = venue.books[symbol]
        levels = venue.left(symbol, side)
        legs.append(
            Leg(asset, venue.rules[symbol], per_unit, levels, book.complete, book.mid, book.mid, *[ZERO] * 3)
        )
    problem = OrderProblem(side, ONE, tuple(legs), ZERO, float_cash=D(10**6))
    return replace(problem, quantity=divide_down(value, problem.nav, UNIT_GRID), **limits)


def follow(venue: Venue, plan: Plan) -> None:
    """Send what a plan says."""
    for leg in plan.legs:
        venue.send(leg.symbol, plan.side, leg.quantity, leg.limit_price)


def lots(venue: Venue, leg: Leg, units: D) -> D:
    """Return the least whole lots of which enough arrives for `units`, as far as the book goes."""
    need = leg.per_unit * units - leg.residual
    if need <= 0 or not leg.levels:
        return ZERO
    quantity = divide_up(need, ONE - leg.rule.taker_fee, leg.rule.step)
    quantity = max(quantity, leg.rule.least_quantity(leg.levels[0].price))
    depth = sum((level.quantity for level in leg.levels), ZERO)
    while venue.nets(leg.rule.symbol, quantity) < need and quantity < depth:
        quantity += leg.rule.step
    return quantity


def market_orders(venue: Venue, problem: OrderProblem) -> None:
    """Send one market order an asset."""
    for leg in problem.legs:
        venue.send(leg.rule.symbol, Side.BUY, lots(venue, leg, problem.quantity))


def limit_orders(venue: Venue, problem: OrderProblem) -> None:
    """Send one order an asset, each with the index's limit as its own: as far from its mid, fee included."""
    assert problem.limit is not None
    for leg in problem.legs:
        quantity = lots(venue, leg, problem.quantity)
        net = ONE - leg.rule.taker_fee
        limit = divide_down(leg.mid * problem.limit * net, problem.nav, leg.rule.tick)
        venue.send(leg.rule.symbol, Side.BUY, quantity, limit)


def cash_orders(venue: Venue, problem: OrderProblem) -> None:
    """Spend the cash by weight, a market order an asset."""
    assert problem.cash is not None
    for leg in problem.legs:
        venue.spend(leg.rule.symbol, divide_down(problem.cash * leg.per_unit * leg.mid, problem.nav, D("1e-8")))


def in_slices(venue: Venue, problem: OrderProblem, seconds: int) -> None:
    """Send market orders for ten equal parts, `seconds` apart; 0: nothing comes back."""
    done = ZERO
    for part in largest_remainder(problem.quantity, [ONE] * SLICES, UNIT_GRID):
        done += part
        for leg in problem.legs:
            symbol = leg.rule.symbol
            rest = replace(leg, levels=venue.left(symbol, Side.BUY), residual=venue.gained[leg.asset])
            venue.send(symbol, Side.BUY, lots(venue, rest, done))
        if seconds:
            venue.wait(seconds)


def scheduled(venue: Venue, problem: OrderProblem, seconds: int) -> None:
    """Trade as the cheapest schedule over the time of the slices says, a plan of its own each period."""
    time = Span(SLICES * seconds, SLICES, SLICES)
    now, done = 0, ZERO
    for period in plan_schedule(problem, Algo.OPTIMAL, time, ASSUMED).periods:
        if period.start_seconds > now:
            venue.wait(period.start_seconds - now)
            now = period.start_seconds
        legs = tuple(
            replace(
                leg,
                levels=venue.left(leg.rule.symbol, Side.BUY),
                residual=venue.gained[leg.asset] - leg.per_unit * done,
            )
            for leg in problem.legs
        )
        plan = plan_order(replace(problem, legs=legs, quantity=period.wanted))
        follow(venue, plan)
        done += plan.units


def routed(venue: Venue, problem: OrderProblem) -> None:
    """Trade by the plan over all currencies."""
    names = {leg.asset for leg in problem.legs} | set(OTHERS)
    beside = {
        symbol: book
        for symbol, book in venue.books.items()
        if venue.rules[symbol].base in names
        and {venue.rules[symbol].base, venue.rules[symbol].quote} & set(OTHERS)
    }
    plan = plan_routes(route_problem(problem, OtherBooks(OTHERS, beside, venue.rules), {}))
    for leg in (*plan.conversions, *plan.legs):
        venue.send(leg.symbol, leg.side, leg.quantity, leg.limit_price)


def in_turn(venue: Venue, wishes: Iterable[OrderProblem]) -> list[D]:
    """Trade each wish by a plan of its own, on what those before it left; return the units of each."""
    units = []
    for wish in wishes:
        legs = tuple(replace(leg, levels=venue.left(leg.rule.symbol, wish.side)) for leg in wish.legs)
        plan = plan_order(replace(wish, legs=legs))
        follow(venue, plan)
        units.append(plan.units)
    return units


def together(venue: Venue, wishes: Sequence[OrderProblem]) -> list[D]:
    """Trade all wishes by one plan; return the units of each."""
    assets = {leg.asset: venue.books[leg.rule.symbol] for wish in wishes for leg in wish.legs}
    touches = {asset: Touch(book.bids[0].price, book.asks[0].price, True) for asset, book in assets.items()}
    orders = [SharedOrder(key, f"I{key}", wish) for key, wish in enumerate(wishes)]
    plan = plan_together(orders, touches)
    for each in plan.asset_orders:
        for part in each.slices:
            venue.send(each.symbol, each.side, part.quantity, part.price)
    return list(plan.units.values())


def all_of(venue: Venue, wishes: Sequence[OrderProblem], units: Sequence[D]) -> Outcome:
    """Return what several wishes came to: the least fraction, and the loss of what all of them filled.

    Raises:
        AssertionError: what was traded does not cover the units.
    """
    value, net = ZERO, defaultdict[str, D](Decimal)
    for wish, filled in zip(wishes, units, strict=True):
        value += filled * wish.nav
        for leg in wish.legs:
            net[leg.asset] += wish.side.sign * leg.per_unit * filled
    for asset, needed in net.items():
        if venue.gained[asset] < needed:
            raise AssertionError(f"{asset}: {venue.gained[asset]} do not cover {needed}")
    least = min(_ratio(filled, wish.quantity) for wish, filled in zip(wishes, units, strict=True))
    return Outcome(least, _ratio(venue.loss(), value) * 1e4 if value else None)


Rebalancing = Callable[["Venue", int, OrderProblem | None], None]


def fund(venue: Venue, seed: int, ordered: Basket) -> RebalanceProblem:
    """Return a fund of 10M whose holdings are up to a tenth off, on what is left of the books."""
    chance, constituents = random.Random(seed), []
    for asset in sorted(BROAD):
        symbol, mid = asset + HOME, venue.mid(asset)
        weight = BROAD[asset] * (ONE - RESERVE)
        held = divide_down(FUND * weight * (1000 + chance.randint(-100, 100)), 1000 * mid, D("1e-8"))
        sides = (venue.left(symbol, Side.SELL), venue.left(symbol, Side.BUY))
        wanted = ordered.get(asset, ZERO)
        constituents.append(Constituent(asset, venue.rules[symbol], held, weight, mid, *sides, wanted))
    return RebalanceProblem(HOME, FUND * RESERVE, tuple(constituents), Exact())


def one_by_one(venue: Venue, seed: int, wish: OrderProblem | None) -> None:
    """Fill the order, then trade each asset of the fund to its part of NAV before, by market orders."""
    complete(venue, wish, {})
    problem = fund(venue, seed, {})
    for each in problem.constituents:
        off = divide(each.weight * problem.nav, each.mid, each.rule.base_quantum) - each.holding
        if off > 0:
            leg = Leg(each.asset, each.rule, off, each.asks, True, each.mid, each.mid, *[ZERO] * 3)
            venue.send(each.rule.symbol, Side.BUY, lots(venue, leg, ONE))
        elif -off >= each.rule.least_quantity(each.mid):
            venue.send(each.rule.symbol, Side.SELL, floor_to(-off, each.rule.step))


def then_rebalance(venue: Venue, seed: int, wish: OrderProblem | None) -> None:
    """Fill the order, then rebalance by a plan of its own."""
    complete(venue, wish, {})
    _send_legs(venue, plan_rebalance(fund(venue, seed, {})))


def one_solve(venue: Venue, seed: int, wish: OrderProblem | None) -> None:
    """Rebalance by a plan that knows the order, and trades inside with it what it can."""
    plan = plan_rebalance(fund(venue, seed, _demand(wish)))
    complete(venue, wish, {leg.asset: leg.inside for leg in plan.legs})
    _send_legs(venue, plan)


def rebalanced(venue: Venue, seed: int, wish: OrderProblem | None, way: Rebalancing) -> float:
    """Return what the fund and the order lost together, in quote.

    Raises:
        AssertionError: a weight is not reached.
    """
    fresh, problem, wanted = venue.fresh(), fund(venue, seed, {}), _demand(wish)
    way(fresh, seed, wish)
    for each in problem.constituents:
        held = each.holding + fresh.gained[each.asset] - wanted.get(each.asset, ZERO)
        if abs(held * each.mid - each.weight * problem.nav) > OFF * problem.nav:
            raise AssertionError(f"{each.asset} is not at its weight")
    return float(fresh.loss())


def complete(venue: Venue, wish: OrderProblem | None, inside: Basket) -> None:
    """Buy at the venue what an order does not get inside."""
    if wish is None:
        return
    for leg in wish.legs:
        symbol = leg.rule.symbol
        rest = replace(leg, levels=venue.left(symbol, Side.BUY), residual=inside.get(leg.asset, ZERO))
        venue.send(symbol, Side.BUY, lots(venue, rest, wish.quantity))


def _demand(wish: OrderProblem | None) -> Basket:
    return {leg.asset: leg.per_unit * wish.quantity for leg in wish.legs} if wish else {}


def _send_legs(venue: Venue, plan: RebalancePlan) -> None:
    for leg in plan.legs:
        if leg.side is not None:
            venue.send(leg.symbol, leg.side, leg.quantity, leg.last_price)


class Shape(NamedTuple):
    """What a figure should be, and its bounds with slack; `judged` says which figure."""

    text: str
    low: float
    high: float
    judged: str = "bps saved"


def near(low: float, high: float, judged: str = "bps saved", text: str = "") -> Shape:
    """Return the shape of a figure between two, with slack."""
    return Shape(text or f"{low:g} to {high:g}", low / SLACK, high * SLACK, judged)


NOTHING = Shape("0.00", -TIE, TIE)
BOOK_ENDS = Shape("much: a book ends", 10.0, math.inf)
TIGHT_THIN = near(60 / 13, math.inf, "times the fill", "60 % against 13 %")
TIGHT = Shape("more", 1.2, math.inf, "times the fill")
STRANDED = near(0.1, 33.0, "% sold again")
UNEVEN = Shape("more where not all comes back", 0.02, 5.0)
TOO_SLOW = Shape("below 0: they come back sooner than assumed", -3.0, 0.0)
FAIR = Shape("more for the last", 1.0, math.inf, "times the least fill")
FIRST = Shape("less: the first had the best levels", 0.3, 1.0, "times the least fill")
NETTED, NETTED_THIN = near(5.0, 15.0), Shape("more on thin books", 10.0, 60.0)
NETTED_PARTLY = near(2.5, 7.5, text="about half of that")
ROUTES, ROUTES_SMALL = near(1.0, 2.3), Shape("less on small orders", TIE, 1.0)
ROUTES_PAID = Shape("less; 0 while no level is 10 bps dearer", -TIE, 2.3)
ONE_SOLVE = near(15.0, 28.0, "% of the rebalance's loss")


class Row(NamedTuple):
    """A contender and the plan on the same books; `figure` is what the shape is about."""

    section: str
    case: str
    rival: str
    theirs: Outcome
    ours: Outcome
    shape: Shape
    figure: float

    @property
    def saved(self) -> float | None:
        """What the plan saves, in bps of what each filled; None where one filled nothing, or other orders."""
        if self.shape.judged == "bps saved":
            return self.figure
        if self.theirs.bps is None or self.ours.bps is None or self.shape.judged == "times the least fill":
            return None
        return self.theirs.bps - self.ours.bps


def row(
    section: str, case: str, rival: str, theirs: Outcome, ours: Outcome, shape: Shape, figure: float | None = None
) -> Row:
    """Return a row, with its figure."""
    if figure is None:
        figure = (theirs.bps or 0.0) - (ours.bps or 0.0)
        if shape.judged.startswith("times"):
            figure = ours.filled / theirs.filled if theirs.filled else math.inf
        elif shape.judged == "% sold again":
            figure = theirs.stranded * 100
    return Row(section, case, rival, theirs, ours, shape, figure)


Way = Callable[[Venue, OrderProblem], None]


def by_plan(venue: Venue, problem: OrderProblem) -> None:
    """Trade by the plan of one order."""
    follow(venue, plan_order(problem))


def tried(venue: Venue, problem: OrderProblem, way: Way) -> Outcome:
    """Return what one way comes to on the fresh books."""
    fresh = venue.fresh()
    way(fresh, problem)
    return bought(fresh, problem)


def tight(problem: OrderProblem) -> OrderProblem:
    """Return the wish under a limit that lets about 60 % of it through."""
    part = plan_order(replace(problem, quantity=floor_to(problem.quantity * D("0.6"), UNIT_GRID)))
    return replace(problem, limit=ceil_to(part.marginal_price, D("1e-8")))


def no_limit(venue: Venue, cases: Sequence[tuple[str, Basket, D, Shape]]) -> list[Row]:
    """Return market orders against the plan."""
    rows = []
    for name, weights, value, shape in cases:
        problem = order(venue, basket_of(venue, weights), value)
        theirs, ours = (tried(venue, problem, way) for way in (market_orders, by_plan))
        rows.append(row("No limit", f"{name}, {_short(value)}", "a market order an asset", theirs, ours, shape))
    return rows


def with_limit(venue: Venue, cases: Sequence[tuple[str, Basket, D, Shape]]) -> list[Row]:
    """Return limits asset by asset against the plan: far from the books, and tight."""
    rows = []
    for name, weights, value, shape in cases:
        problem = order(venue, basket_of(venue, weights), value)
        if shape is NOTHING:
            problem, name = replace(problem, limit=divide_up(problem.nav * 101, D(100), D("1e-8"))), f"{name}, far"
        else:
            problem, name = tight(problem), f"{name}, tight"
        theirs, ours = (tried(venue, problem, way) for way in (limit_orders, by_plan))
        rows.append(row("A limit", f"{name}, {_short(value)}", "the limit on each asset", theirs, ours, shape))
    return rows


def with_cash(venue: Venue, cases: Sequence[tuple[str, Basket, D, Shape]]) -> list[Row]:
    """Return cash spent by weight against the plan with the same cash."""
    rows = []
    for name, weights, value, shape in cases:
        problem = order(venue, basket_of(venue, weights), value, cash=value)
        theirs, ours = (tried(venue, problem, way) for way in (cash_orders, by_plan))
        rows.append(row("Cash", f"{name}, {_short(value)}", "cash by weight", theirs, ours, shape))
    return rows


def over_time(venue: Venue, cases: Sequence[tuple[str, Basket, D, int, Mapping[str, Shape]]]) -> list[Row]:
    """Return the order at once, and equal slices, against the planned schedule, which without time is one plan."""
    rows = []
    for name, weights, value, seconds, shapes in cases:
        problem = order(venue, basket_of(venue, weights), value)
        ours = tried(venue, problem, partial(scheduled, seconds=seconds) if seconds else by_plan)
        ways: dict[str, Way] = {AT_ONCE: by_plan, SLICED: partial(in_slices, seconds=seconds)}
        case = f"{name}, {_short(value)}, " + (f"every {seconds} s" if seconds else "nothing comes back")
        for rival, shape in shapes.items():
            rows.append(row("Time", case, rival, tried(venue, problem, ways[rival]), ours, shape))
    return rows


def several(venue: Venue) -> list[Row]:
    """Return orders one after another against one solve of all; filled is the least fraction of any."""
    thin, broad = basket_of(venue, THIN), basket_of(venue, BROAD)
    alike = [order(venue, thin, M) for _ in range(4)]
    mixed = [_limited(order(venue, basket, M), 30) for basket in (broad, thin)]
    cases = (
        ("4 of 8 coins, 1M each", alike, NOTHING),
        ("4 of 8 coins, 1M each, a limit", [_limited(each, 50) for each in alike], FAIR),
        ("20 coins, then 8, 1M each, a limit", mixed, FAIR),
        ("8 coins, then 20, 1M each, a limit", mixed[::-1], FIRST),
    )
    rows = []
    for case, wishes, shape in cases:
        theirs, ours = (_outcome(venue, wishes, way) for way in (in_turn, together))
        rows.append(row("Several orders", case, "one after another", theirs, ours, shape))
    return rows


def netting(venue: Venue, cases: Sequence[tuple[str, Basket, D, int, Shape]]) -> list[Row]:
    """Return buys and sells apart against netted ones; bps of gross."""
    rows = []
    for name, weights, gross, percent, shape in cases:
        basket = basket_of(venue, weights)
        buys, sells = gross * percent / 100, gross * (100 - percent) / 100
        wishes = [order(venue, basket, buys)] if buys else []
        wishes += [order(venue, basket, sells, Side.SELL)] if sells else []
        theirs, ours = (_outcome(venue, wishes, way) for way in (in_turn, together))
        rows.append(
            row("Netting", f"{name}, {_short(gross)}, {percent} % buys", "each alone", theirs, ours, shape)
        )
    return rows


def routes(seed: int, cases: Sequence[tuple[D, D, Shape]]) -> list[Row]:
    """Return the home books alone against all currencies."""
    rows = []
    for fee, value, shape in cases:
        venue = routes_venue(seed, fee)
        problem = order(venue, basket_of(venue, BROAD), value, cash=2 * value)
        theirs, ours = (tried(venue, problem, way) for way in (by_plan, routed))
        case = f"20 coins, {_short(value)}, conversion " + (f"at {fee * 10_000:.0f} bps" if fee else "free")
        rows.append(row("Routes", case, "USDT books alone", theirs, ours, shape))
    return rows


def rebalances(venue: Venue, seed: int) -> list[Row]:
    """Return a rebalance and an open order against one solve; bps of the fund."""
    basket, alone = basket_of(venue, BROAD), rebalanced(venue, seed, None, then_rebalance)
    cases = (
        ("no order", None, "each asset to its target", one_by_one, NOTHING),
        ("a buy of 100k", 100 * K, "order, then rebalance", then_rebalance, ONE_SOLVE),
        ("a buy of 200k", 200 * K, "order, then rebalance", then_rebalance, ONE_SOLVE),
    )
    rows = []
    for case, value, rival, way, shape in cases:
        wish = order(venue, basket, value) if value else None
        lost, least = (rebalanced(venue, seed, wish, each) for each in (way, one_solve))
        theirs, ours = (Outcome(1.0, each / float(FUND) * 1e4) for each in (lost, least))
        figure = (lost - least) / alone * 100 if value else None
        rows.append(row("Rebalance", f"20 coins, 10M, {case}", rival, theirs, ours, shape, figure))
    return rows


def _outcome(venue: Venue, wishes: Sequence[OrderProblem], way: Callable[..., list[D]]) -> Outcome:
    fresh = venue.fresh()
    return all_of(fresh, wishes, way(fresh, wishes))


def _limited(problem: OrderProblem, bps: int) -> OrderProblem:
    return replace(problem, limit=divide_up(problem.nav * (10_000 + bps), D(10_000), D("1e-8")))


def _short(value: D) -> str:
    return f"{value / M:f}M" if value >= M else f"{value / K:f}k"


def market_rows(seed: int) -> list[Row]:
    """Return all rows of one model market."""
    venue = model_venue(seed)
    deep, broad, thin = ("5 deep coins", DEEP), ("20 coins", BROAD), ("8 coins, some thin", THIN)
    at_once = [(*deep, 100 * K, NOTHING), (*broad, M, NOTHING), (*thin, M, NOTHING), (*thin, 10 * M, BOOK_ENDS)]
    limits = [(*deep, 100 * K, NOTHING), (*deep, 10 * M, TIGHT), (*broad, 10 * M, TIGHT), (*thin, M, TIGHT_THIN)]
    cash = [(*deep, 100 * K, NOTHING), (*broad, 10 * M, STRANDED), (*thin, M, STRANDED), (*thin, 10 * M, STRANDED)]
    times = [
        (*broad, M, 60, {AT_ONCE: near(0.4, 0.4, text="0.4"), SLICED: NOTHING}),
        (*broad, 10 * M, 60, {AT_ONCE: near(6.0, 6.0, text="6"), SLICED: NOTHING}),
        (*thin, M, 5, {SLICED: UNEVEN}),
        (*deep, 10 * M, 5, {SLICED: TOO_SLOW}),
        (*broad, 10 * M, 0, {SLICED: NOTHING}),
    ]
    nets = [(*broad, M, percent, NETTED if percent == 50 else NETTED_PARTLY) for percent in (25, 50, 75)]
    nets = [(*broad, M, 0, NOTHING), *nets, (*broad, M, 100, NOTHING), (*thin, M, 50, NETTED_THIN)]
    ways = [(ZERO, M, ROUTES_SMALL), (ZERO, 10 * M, ROUTES), (PAID, M, NOTHING), (PAID, 10 * M, ROUTES_PAID)]
    return [
        *no_limit(venue, at_once),
        *with_limit(venue, limits),
        *with_cash(venue, cash),
        *over_time(venue, times),
        *several(venue),
        *netting(venue, nets),
        *routes(seed, ways),
        *rebalances(venue, seed),
    ]


def recorded_rows(folder: Path) -> list[Row]:
    """Return the rows of one index order on recorded books."""
    venue = recorded_venue(folder)
    real = ("7 recorded coins of 2021", even(*RECORDED))
    return [
        *no_limit(venue, [(*real, 100 * K, NOTHING), (*real, M, NOTHING), (*real, 10 * M, BOOK_ENDS)]),
        *with_limit(venue, [(*real, M, TIGHT_THIN)]),
        *with_cash(venue, [(*real, M, STRANDED), (*real, 10 * M, STRANDED)]),
        *netting(venue, [(*real, 100 * K, 50, NETTED)]),
    ]


def medians(runs: Sequence[Sequence[Row]]) -> list[Row]:
    """Return the rows of several markets as one: medians; of what should be nothing, the farthest from it."""
    found = []
    for same in zip(*runs, strict=True):
        figures = [each.figure for each in same]
        figure = max(figures, key=abs) if same[0].shape is NOTHING else statistics.median(figures)
        theirs, ours = (_median([getattr(each, side) for each in same]) for side in ("theirs", "ours"))
        found.append(same[0]._replace(theirs=theirs, ours=ours, figure=figure))
    return found


def _median(outcomes: Sequence[Outcome]) -> Outcome:
    losses = [each.bps for each in outcomes if each.bps is not None]
    return Outcome(
        statistics.median(each.filled for each in outcomes),
        statistics.median(losses) if 2 * len(losses) > len(outcomes) else None,
        statistics.median(each.stranded for each in outcomes),
    )


def is_kept(each: Row) -> bool:
    """Return whether a figure is of its shape."""
    return each.shape.low <= each.figure <= each.shape.high


LEGEND = (
    "`x % at y`: x % of the order arrived in every constituent (of several orders: of the one that got least) "
    "and lost y bps against mid. *Sold again*: the part of what was bought that other constituents did not match."
)


def table(rows: Sequence[Row]) -> list[str]:
    """Return the table in Markdown."""
    lines = ["| | order | against | it does | the plan does | saved, bps | measured | expected | |"]
    lines.append("|---|---|---|---|---|---|---|---|---|")
    section = ""
    for each in rows:
        cells = [
            "" if each.section == section else each.section,
            each.case,
            each.rival,
            _said(each.theirs),
            _said(each.ours),
            "" if each.saved is None else _rounded(each.saved),
            _figure(each),
            each.shape.text,
            "nothing to gain" if each.shape is NOTHING and is_kept(each) else "" if is_kept(each) else "not so",
        ]
        lines.append(f"| {' | '.join(cells)} |")
        section = each.section
    nothing = sum(each.shape is NOTHING and is_kept(each) for each in rows)
    return [*lines, "", f"{LEGEND} In {nothing} of {len(rows)} rows there is nothing to gain."]


def _said(outcome: Outcome) -> str:
    if outcome.bps is None:
        return "fills nothing" + (f", {outcome.stranded:.0%} sold again" if outcome.stranded else "")
    stranded = f", {outcome.stranded * 100:.3g} % sold again" if outcome.stranded > 0.00005 else ""
    return f"{outcome.filled * 100:.1f} % at {outcome.bps:.2f}{stranded}"


def _rounded(value: float) -> str:
    return f"{value:.2f}" if abs(value) >= 0.005 else "0.00"


def _figure(each: Row) -> str:
    if each.shape.judged == "bps saved":
        return ""
    if math.isinf(each.figure):
        return "only the plan fills"
    return f"{each.figure:.3g} {each.shape.judged}"


def main() -> int:
    """Print the table; return 1 where a figure is not of its shape and --check was given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one market instead of five")
    parser.add_argument("--check", action="store_true", help="fail where a figure is not of its expected shape")
    options = parser.parse_args()
    seeds = (1,) if options.quick else (1, 2, 3, 4, 5)
    with money_context():
        rows = medians([market_rows(seed) for seed in seeds])
        folder = DATA / "recordings-2021"
        if folder.is_dir():
            rows += recorded_rows(folder)
    print("\n".join(table(rows)))
    return 1 if options.check and not all(map(is_kept, rows)) else 0


if __name__ == "__main__":
    sys.exit(main())
