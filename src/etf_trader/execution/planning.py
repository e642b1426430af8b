"""From the state of the books, ours and the venue's, to a problem for the solver. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from etf_trader.errors import MissingPrice, NotTrading
from etf_trader.index.store import Basket
from etf_trader.market.book import OrderBook
from etf_trader.market.document import market_document, market_hash
from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.money import BPS, ONE, UNIT_GRID, ZERO, divide_down
from etf_trader.orders.plan import Plan, plan_document
from etf_trader.solver.problem import Leg, OrderProblem


@dataclass(frozen=True, slots=True)
class FeesApart:
    """Fees that are paid from the inventory and not of what is received.

    `rate` is the part of what is traded that they come to at most. By `rules`
    they would be taken of what is received, as much as they are expected to be.
    """

    rate: Decimal
    rules: Mapping[str, SymbolRule]


@dataclass(frozen=True, slots=True)
class MarketView:
    """The books of one moment and the rules they trade by, by symbol.

    `slots` is the most orders that the venue takes in one window; None: any number.
    With `fees_apart` the rules know no fee.
    """

    books: Mapping[str, OrderBook]
    rules: Mapping[str, SymbolRule]
    slots: int | None = None
    fees_apart: FeesApart | None = None

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
        NotTrading: the venue has halted a constituent.
        MissingPrice, CrossedBook: a book has no price, or there are no constituents.
    """
    if not basket.quantities:
        raise MissingPrice(
            "the index holds nothing but cash: its rebalance has sold, and not bought yet",
            where="basket",
            hint=f"etf rebalance --index {basket.index_id} goes on with it, or tells when the next is due",
        )
    for symbol in sorted(basket.symbols.values()):
        if not (rule := view.rules[symbol]).is_trading:
            raise NotTrading(f"{symbol} does not trade now (the venue says {rule.status})", where=symbol)
    legs = tuple(
        leg_of(wish, asset, basket.quantities[asset], view, basket.symbols[asset], float_holdings.get(asset, ZERO))
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
    rates = {name: Decimal(rate["mid"]) for name, rate in plan.beside.get("rates", {}).items()}
    mids = {leg.asset: leg.mid * rates.get(leg.rule.quote, ONE) for leg in problem.legs}
    return plan_document(
        plan,
        index=index,
        basket_version=basket.version,
        nav=sum((leg.per_unit * mids[leg.asset] for leg in problem.legs), basket.cash_per_unit),
        arrival_nav=arrival_nav,
        book_hash=market_hash(view.document() if market is None else market),
        mids=mids,
        bounds=settlement_bounds(symbols, view),
        problem=problem.document(),
    )


def leg_of(wish: Wish, asset: str, per_unit: Decimal, view: MarketView, symbol: str, residual: Decimal) -> Leg:
    """Return one constituent as the solver sees it: what a unit needs of it, what is there, and its book."""
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


def completion(
    wish: Wish,
    basket: Basket,
    view: MarketView,
    bounds: Mapping[str, Decimal],
    routes: Mapping[str, Mapping[str, Decimal]] | None = None,
) -> Decimal:
    """Return the units to which a buy that must end completes what it holds; 0 when trading back is better.

    Some legs filled, others did not: each number of units that one of the held
    assets suffices for is weighed. What is missing costs the ask, what is too
    much brings the bid, both against arrival and after fees; a unit is worth
    the loss that the order's own limits accept. Nothing beyond `bounds` is held: 0.

    Args:
        wish: The rest of the order, and what it holds.
        basket: What a unit needs.
        view: The books.
        bounds: What the float may take of each asset, in base.
        routes: Other markets of an asset, each with what its quote is worth in the index's.
    """
    if all(quantity <= bounds[asset] for asset, quantity in wish.held.items()):
        return ZERO
    held = {asset: wish.held.get(asset, ZERO) for asset in basket.quantities}
    reach = {divide_down(held[asset], a, UNIT_GRID) for asset, a in basket.quantities.items()}
    accepted = _accepted_loss(wish, basket)
    nets = {
        asset: _best_nets({basket.symbols[asset]: ONE, **(routes or {}).get(asset, {})}, view)
        for asset in basket.quantities
    }

    def regret(units: Decimal) -> Decimal:
        total = -accepted * units
        for asset, a in basket.quantities.items():
            missing = a * units - held[asset]
            buying, selling = nets[asset]
            total += missing * ((buying if missing > 0 else selling) - wish.arrival[asset])
        return total

    candidates = sorted({min(units, wish.quantity) for units in reach} | {ZERO}, reverse=True)
    return min(candidates, key=regret)


def _best_nets(markets: Mapping[str, Decimal], view: MarketView) -> tuple[Decimal, Decimal]:
    """Return the least that an asset costs and the most that it brings, after fees, over its markets."""
    buying, selling = [], []
    for symbol, rate in markets.items():
        book, fee = view.books[symbol], view.rules[symbol].taker_fee
        if book.bids and book.asks:
            buying.append(book.asks[0].price * (1 + fee) * rate)
            selling.append(book.bids[0].price * (1 - fee) * rate)
    return min(buying), max(selling)


def _accepted_loss(wish: Wish, basket: Basket) -> Decimal:
    """Return the loss against arrival that an order's limits accept for a unit; 0 without limits."""
    arrival_nav = basket.nav(wish.arrival)
    bounds = []
    if wish.max_loss_bps is not None:
        bounds.append(arrival_nav * wish.max_loss_bps / BPS)
    if wish.limit_price is not None:
        bounds.append(wish.limit_price - arrival_nav)
    return max(min(bounds), ZERO) if bounds else ZERO
