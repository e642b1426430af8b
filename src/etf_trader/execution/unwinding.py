"""Trading back what an order holds beyond its units: where it can be sold, and the plan that sells it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

from etf_trader.errors import DataError
from etf_trader.execution.planning import MarketView, Wish, leg_of, settlement_bounds
from etf_trader.execution.routed import exchangeable, foreign_currencies
from etf_trader.execution.state import OrderState
from etf_trader.index.store import Basket
from etf_trader.market.book import OrderBook
from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.money import ONE, ZERO, ceil_to, divide, floor_to, plain
from etf_trader.orders.plan import LossParts, Plan, PlannedLeg, total_loss
from etf_trader.solver.problem import OrderProblem

Rules = Mapping[str, SymbolRule]


class Rate(NamedTuple):
    """What a currency is worth in the index's quote, now and at the order's arrival, by the book of `symbol`."""

    symbol: str
    mid: Decimal
    arrival_mid: Decimal


class Unwinding(NamedTuple):
    """A plan that trades back, and what was asked for it; `is_exchange` when it sells currencies alone."""

    problem: OrderProblem
    plan: Plan
    is_exchange: bool


class Markets(NamedTuple):
    """Where an order may sell: the markets that trade now, by asset, and the books of the currencies' rates."""

    by_asset: Mapping[str, Sequence[str]]
    rates: Mapping[str, str]

    @property
    def symbols(self) -> list[str]:
        """Every book that matters, sorted."""
        return sorted({*self.rates.values(), *(each for found in self.by_asset.values() for each in found)})


def markets_of(state: OrderState, rules: Rules) -> Markets:
    """Return where an order may sell its assets, and the currencies that it was paid in."""
    quote, arrival = state.index.quote, state.order.arrival
    rates = {}
    for name in foreign_currencies(state.index):
        books = [symbol for symbol in (f"{name}{quote}", f"{quote}{name}") if symbol in rules]
        if books and name in arrival:
            rates[name] = books[0]
    found = {asset: [symbol, *(f"{asset}{name}" for name in rates)] for asset, symbol in state.markets.items()}
    found |= {name: [symbol] for name, symbol in exchangeable(state, rules).items()}
    trading = {
        asset: [symbol for symbol in symbols if symbol in rules and rules[symbol].is_trading]
        for asset, symbols in found.items()
    }
    return Markets(trading, rates)


def plan_unwinding(
    state: OrderState, excess: Mapping[str, Decimal], markets: Markets, view: MarketView
) -> Unwinding:
    """Plan to sell as much of `excess` as the float may not take, each asset where it brings most.

    An asset without a market or a price stays what it is, and out of the plan.
    """
    wish = replace(state.wish(), held=excess)
    rates = _rates(state, markets, view)
    worth = _worth(state, rates)
    symbols = {}
    for asset, found in markets.by_asset.items():
        if ranked := _ranked(found, view, worth):
            symbols[asset] = _best(ranked, excess.get(asset, ZERO), view)
    problem = unwinding_problem(wish, state.basket, symbols, view)
    own = {asset: quantity for asset, quantity in excess.items() if asset in symbols}
    plan = unwinding(wish, symbols, view, own, settlement_bounds(symbols, view), rates)
    is_exchange = all(leg.asset not in state.markets for leg in plan.legs)
    return Unwinding(problem, plan, is_exchange)


def valuation(
    state: OrderState, markets: Markets, view: MarketView
) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    """Return the mid of each constituent that has one, in the index's quote, and what the float may take of it."""
    worth = _worth(state, _rates(state, markets, view))
    mids, symbols = {}, {}
    for asset in state.markets:
        if ranked := _ranked(markets.by_asset[asset], view, worth):
            symbols[asset] = ranked[0]
            mids[asset] = view.books[ranked[0]].mid * worth[view.rules[ranked[0]].quote]
    return mids, settlement_bounds(symbols, view)


def routes_of(state: OrderState, markets: Markets, view: MarketView) -> dict[str, dict[str, Decimal]]:
    """Return the markets of each constituent in other currencies, and what those are worth in the quote."""
    rates = _rates(state, markets, view)
    return {
        asset: {
            symbol: rates[view.rules[symbol].quote].mid
            for symbol in markets.by_asset[asset]
            if symbol in view.books and view.rules[symbol].quote in rates
        }
        for asset in state.markets
    }


def _worth(state: OrderState, rates: Mapping[str, Rate]) -> dict[str, Decimal]:
    return {state.index.quote: ONE, **{name: rate.mid for name, rate in rates.items()}}


def _rates(state: OrderState, markets: Markets, view: MarketView) -> dict[str, Rate]:
    found = {}
    for name, symbol in markets.rates.items():
        if symbol in view.books and (mid := _mid(view.books[symbol])) is not None:
            rate = mid if symbol.startswith(name) else divide(ONE, mid)
            found[name] = Rate(symbol, rate, state.order.arrival[name])
    return found


def _mid(book: OrderBook) -> Decimal | None:
    try:
        return book.mid
    except DataError:
        return None


def _ranked(symbols: Sequence[str], view: MarketView, worth: Mapping[str, Decimal]) -> list[str]:
    """Return the markets that have a price, the one that pays most first; of equals the index's own."""

    def pays(symbol: str) -> Decimal:
        rule = view.rules[symbol]
        return view.books[symbol].bids[0].price * (1 - rule.taker_fee) * worth[rule.quote]

    priced = [
        symbol for symbol in symbols if _mid(view.books[symbol]) is not None and view.rules[symbol].quote in worth
    ]
    return sorted(priced, key=lambda symbol: -pays(symbol))


def _best(ranked: Sequence[str], quantity: Decimal, view: MarketView) -> str:
    """Return the first market that takes a least order of `quantity`; the first of all where none does."""
    for symbol in ranked:
        if _sale("", quantity, view.books[symbol], view.rules[symbol], ZERO, ONE) is not None:
            return symbol
    return ranked[0]


def unwinding_problem(wish: Wish, basket: Basket, symbols: Mapping[str, str], view: MarketView) -> OrderProblem:
    """Return what is asked of `unwinding`: a sell of no units, of what the order holds, on these markets."""
    selling = replace(wish, side=Side.SELL)
    legs = tuple(
        leg_of(selling, asset, basket.quantities.get(asset, ZERO), view, symbols[asset], ZERO)
        for asset in sorted(symbols)
    )
    return OrderProblem(
        side=Side.SELL,
        quantity=ZERO,
        legs=legs,
        cash_per_unit=basket.cash_per_unit,
        float_cash=ZERO,
        units_done=wish.units_done,
        loss_done=wish.loss_done,
        slack_ticks=0,
    )


def unwinding(
    wish: Wish,
    symbols: Mapping[str, str],
    view: MarketView,
    excess: Mapping[str, Decimal],
    bounds: Mapping[str, Decimal],
    rates: Mapping[str, Rate] | None = None,
) -> Plan:
    """Plan to sell what an order holds beyond the bounds, at the books' best prices.

    For legs that failed while others filled, and for other currencies that a
    sell was paid in: the order bears what this costs. `symbols` are the markets
    of what it holds; what one of them pays in another currency counts at what
    that was worth at arrival.
    """
    legs, received, known = [], ZERO, rates or {}
    for asset in sorted(excess):
        if excess[asset] > bounds[asset]:
            symbol = symbols[asset]
            rule, book = view.rules[symbol], view.books[symbol]
            rate = known[rule.quote].arrival_mid if rule.quote in known else ONE
            leg = _sale(asset, excess[asset], book, rule, wish.arrival[asset], rate)
            if leg is not None:
                legs.append(leg)
                received += (leg.value - leg.fee) * rate
    used = {view.rules[symbol].quote for symbol in symbols.values()}
    foreign = {name: rate for name, rate in known.items() if name in used}
    return Plan(
        side=Side.SELL,
        wanted=ZERO,
        units=ZERO,
        legs=tuple(legs),
        cash=received,
        loss=total_loss(leg.loss for leg in legs),
        marginal_price=ZERO,
        stopped_by=("filled",),
        method="unwind",
        cost=received,
        bound=received,
        gap_bps=ZERO,
        rounding_bps=ZERO,
        beside={"rates": {name: _rate_document(foreign[name]) for name in sorted(foreign)}} if foreign else {},
    )


def _rate_document(rate: Rate) -> dict[str, str]:
    return {"symbol": rate.symbol, "mid": plain(rate.mid), "arrival_mid": plain(rate.arrival_mid)}


def _sale(
    asset: str, quantity: Decimal, book: OrderBook, rule: SymbolRule, arrival_mid: Decimal, rate: Decimal
) -> PlannedLeg | None:
    """Return a leg that sells as many whole lots of `quantity` as the book takes; None when none can be."""
    mid, touch = book.mid, book.bids[0].price
    low, _ = rule.price_bounds(Side.SELL, mid)
    left = wanted = floor_to(quantity, rule.step)
    value, last = ZERO, touch
    for level in book.bids:
        if left == 0 or level.price < low:
            break
        part = min(left, level.quantity)
        value, last, left = value + part * level.price, level.price, left - part
    sold = wanted - left
    if sold < rule.least_quantity(last):
        return None
    fee = ceil_to(value * rule.taker_fee, rule.quote_quantum)
    loss = LossParts(
        delay=-sold * (mid * rate - arrival_mid),
        spread=-sold * (touch - mid) * rate,
        depth=(touch * sold - value) * rate,
        fee=fee * rate,
        rounding=ZERO,
    )
    return PlannedLeg(asset, rule.symbol, sold, last, last, touch, mid, value, fee, ZERO, loss)
