"""From the state of the books, ours and the venue's, to a problem for the solver. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from etf_trader.errors import MissingPrice
from etf_trader.index.store import Basket
from etf_trader.market.book import OrderBook
from etf_trader.market.document import market_document, market_hash
from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.money import BPS, UNIT_GRID, ZERO, ceil_to, divide_down, floor_to
from etf_trader.orders.plan import LossParts, Plan, PlannedLeg, plan_document, total_loss
from etf_trader.solver.problem import Leg, OrderProblem


@dataclass(frozen=True, slots=True)
class MarketView:
    """The books of one moment and the rules they trade by, by symbol.

    `slots` is the most orders that the venue takes in one window; None: any number.
    """

    books: Mapping[str, OrderBook]
    rules: Mapping[str, SymbolRule]
    slots: int | None = None

    def mids(self, symbols: Mapping[str, str]) -> dict[str, Decimal]:
        """Return the mid of each asset; `symbols` maps asset to symbol.

        Raises:
            MissingPrice, CrossedBook: a book has no price.
        """
        return {asset: self.books[symbol].mid for asset, symbol in symbols.items()}

    def document(self) -> dict[str, Any]:
        """Return all books, and the rules that a plan depends on, in plain values."""
        return market_document(self.books.values(), self.rules)


@dataclass(frozen=True, slots=True)
class Wish:
    """The part of an order that is still to be traded, and what it has so far.

    `held` is what the order's account holds of each asset, `held_cost` what was
    paid for it; `cash` what a buy has left to spend.
    """

    side: Side
    quantity: Decimal
    limit_price: Decimal | None
    max_loss_bps: Decimal | None
    arrival: Mapping[str, Decimal]
    cash: Decimal | None
    held: Mapping[str, Decimal] = field(default_factory=dict)
    held_cost: Mapping[str, Decimal] = field(default_factory=dict)
    units_done: Decimal = ZERO
    loss_done: Decimal = ZERO


def order_problem(
    wish: Wish,
    basket: Basket,
    view: MarketView,
    float_holdings: Mapping[str, Decimal],
    float_cash: Decimal,
    slack_ticks: int,
) -> OrderProblem:
    """Return what the solver is asked.

    Raises:
        MissingPrice: a constituent does not trade now.
    """
    for symbol in sorted(basket.symbols.values()):
        if not (rule := view.rules[symbol]).is_trading:
            raise MissingPrice(f"{symbol} does not trade now (the venue says {rule.status})", where=symbol)
    legs = tuple(
        _leg(wish, asset, basket.quantities[asset], view, basket.symbols[asset], float_holdings.get(asset, ZERO))
        for asset in sorted(basket.quantities)
    )
    return OrderProblem(
        side=wish.side,
        quantity=wish.quantity,
        legs=legs,
        cash_per_unit=basket.cash_per_unit,
        float_cash=float_cash,
        cash=wish.cash,
        limit=wish.limit_price,
        max_loss_bps=wish.max_loss_bps,
        units_done=wish.units_done,
        loss_done=wish.loss_done,
        slack_ticks=slack_ticks,
        least_value=max((leg.rule.min_notional for leg in legs), default=ZERO),
    )


def cash_to_reserve(problem: OrderProblem, estimate: Plan, reserve_bps: Decimal) -> Decimal:
    """Return the cash that a buy of `problem` needs at worst, before the float pays for surplus.

    With a limit: every unit at the limit. Without: every unit at the marginal
    price of the estimate, with `reserve_bps` of headroom for moving books. Lot
    steps and minimums come on top.
    """
    if problem.limit is not None:
        per_unit = problem.limit
    else:
        dearest = max(estimate.marginal_price, problem.nav)
        per_unit = dearest + dearest * reserve_bps / 10_000
    lots = ZERO
    for leg in problem.legs:
        least = max(leg.rule.step, leg.rule.least_quantity(leg.mid))
        lots += 2 * least * leg.touch
    return per_unit * problem.quantity + lots


def settlement_bounds(symbols: Mapping[str, str], view: MarketView) -> dict[str, Decimal]:
    """Return what the float may take of each asset when an order ends: max(step, least order), in base.

    What is held of another currency is not worth exchanging up to the same bound.
    """
    bounds = {}
    for asset, symbol in symbols.items():
        rule, mid = view.rules[symbol], view.books[symbol].mid
        # Five per cent below mid, so that an order just above the bound is one the venue accepts.
        bounds[asset] = max(rule.step, rule.least_quantity(mid - mid / 20))
    return bounds


def document_for(
    plan: Plan,
    problem: OrderProblem,
    basket: Basket,
    index: str,
    arrival_nav: Decimal,
    view: MarketView,
    market: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the plan object of a plan that answers `problem`; `market` is `view.document()` if it is known."""
    symbols = {leg.asset: leg.rule.symbol for leg in problem.legs}
    mids = view.mids(symbols)
    return plan_document(
        plan,
        index=index,
        basket_version=basket.version,
        nav=basket.nav(mids),
        arrival_nav=arrival_nav,
        book_hash=market_hash(view.document() if market is None else market),
        mids=mids,
        bounds=settlement_bounds(symbols, view),
        problem=problem.document(),
    )


def unwinding_problem(wish: Wish, basket: Basket, symbols: Mapping[str, str], view: MarketView) -> OrderProblem:
    """Return what is asked of `unwinding`: a sell of no units, of what the order holds, on these markets."""
    selling = replace(wish, side=Side.SELL)
    legs = tuple(
        _leg(selling, asset, basket.quantities.get(asset, ZERO), view, symbols[asset], ZERO)
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


def _leg(wish: Wish, asset: str, per_unit: Decimal, view: MarketView, symbol: str, residual: Decimal) -> Leg:
    rule, book = view.rules[symbol], view.books[symbol]
    levels, complete = book.accepted(wish.side, rule)
    return Leg(
        asset=asset,
        rule=rule,
        per_unit=per_unit,
        levels=levels,
        complete=complete,
        mid=book.mid,
        arrival_mid=wish.arrival[asset],
        held=wish.held.get(asset, ZERO),
        held_cost=wish.held_cost.get(asset, ZERO),
        residual=residual,
    )


def completion(wish: Wish, basket: Basket, view: MarketView, bounds: Mapping[str, Decimal]) -> Decimal:
    """Return the units to which a buy that must end completes what it holds; 0 when trading back is better.

    Some legs filled, others did not: each number of units that one of the held
    assets suffices for is weighed. What is missing costs the ask, what is too
    much brings the bid, both against arrival and after fees; a unit is worth
    the loss that the order's own limits accept. Nothing beyond `bounds` is held: 0.
    """
    if all(quantity <= bounds[asset] for asset, quantity in wish.held.items()):
        return ZERO
    held = {asset: wish.held.get(asset, ZERO) for asset in basket.quantities}
    reach = {divide_down(held[asset], a, UNIT_GRID) for asset, a in basket.quantities.items()}
    accepted = _accepted_loss(wish, basket)

    def regret(units: Decimal) -> Decimal:
        total = -accepted * units
        for asset, a in basket.quantities.items():
            symbol = basket.symbols[asset]
            book, fee = view.books[symbol], view.rules[symbol].taker_fee
            missing = a * units - held[asset]
            price = book.asks[0].price if missing > 0 else book.bids[0].price
            total += missing * (price - wish.arrival[asset]) + abs(missing) * price * fee
        return total

    candidates = sorted({min(units, wish.quantity) for units in reach} | {ZERO}, reverse=True)
    return min(candidates, key=regret)


def _accepted_loss(wish: Wish, basket: Basket) -> Decimal:
    """Return the loss against arrival that an order's limits accept for a unit; 0 without limits."""
    arrival_nav = basket.nav(wish.arrival)
    bounds = []
    if wish.max_loss_bps is not None:
        bounds.append(arrival_nav * wish.max_loss_bps / BPS)
    if wish.limit_price is not None:
        bounds.append(wish.limit_price - arrival_nav)
    return max(min(bounds), ZERO) if bounds else ZERO


def unwinding(
    wish: Wish,
    symbols: Mapping[str, str],
    view: MarketView,
    excess: Mapping[str, Decimal],
    bounds: Mapping[str, Decimal],
) -> Plan:
    """Plan to sell what an order holds beyond the bounds, at the books' best prices.

    For legs that failed while others filled, and for other currencies that a
    sell was paid in: the order bears what this costs. `symbols` are the markets
    of what it holds.
    """
    legs = []
    for asset in sorted(excess):
        if excess[asset] > bounds[asset]:
            symbol = symbols[asset]
            leg = _sale(asset, excess[asset], view.books[symbol], view.rules[symbol], wish.arrival[asset])
            if leg is not None:
                legs.append(leg)
    received = sum((leg.value - leg.fee for leg in legs), ZERO)
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
    )


def _sale(
    asset: str, quantity: Decimal, book: OrderBook, rule: SymbolRule, arrival_mid: Decimal
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
        delay=-sold * (mid - arrival_mid),
        spread=-sold * (touch - mid),
        depth=touch * sold - value,
        fee=fee,
        rounding=ZERO,
    )
    return PlannedLeg(asset, rule.symbol, sold, last, last, touch, mid, value, fee, ZERO, loss)
