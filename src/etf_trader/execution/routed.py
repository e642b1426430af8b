"""An order that may use the books of several currencies: what is asked, and the answer as a plan. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from etf_trader.execution.planning import MarketView
from etf_trader.execution.routing import OtherBooks, route_problem, route_symbols
from etf_trader.execution.state import OrderState
from etf_trader.index.store import Basket, Index
from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.money import ZERO, plain
from etf_trader.orders.plan import NO_LOSS, Plan, PlannedConversion, PlannedLeg, leg_document
from etf_trader.solver.problem import Leg, OrderProblem
from etf_trader.solver.route_problem import Currency, RouteLeg, RoutePlan, RouteProblem, SlotProof


def foreign_currencies(index: Index) -> tuple[str, ...]:
    """Return the currencies beside its quote that an index may trade in."""
    return tuple(name for name in index.routes if name != index.quote)


def symbols_of(index: Index, basket: Basket, rules: Mapping[str, SymbolRule]) -> list[str]:
    """Return every market that an order of `index` may use: its own, in other currencies, and between those."""
    own = [symbol for symbol in basket.symbols.values() if symbol in rules]
    others = foreign_currencies(index)
    return sorted({*own, *(route_symbols(index.quote, others, basket.quantities, rules) if others else ())})


def exchangeable(state: OrderState, rules: Mapping[str, SymbolRule]) -> dict[str, str]:
    """Return the other currencies that a sell was paid in, and the markets that sell them for the index's quote.

    What a buy has left of another currency stays what it is: exchanging it back would cost once more.
    """
    if state.order.side is Side.BUY:
        return {}
    markets = {name: f"{name}{state.index.quote}" for name, held in state.other_cash.items() if held}
    return {name: symbol for name, symbol in markets.items() if symbol in rules}


def rates_of(problem: RouteProblem) -> dict[str, Decimal]:
    """Return what each other currency is worth in the index's quote now."""
    return {currency.name: currency.mid for currency in problem.currencies}


def routed_problem(
    order: OrderProblem,
    index: Index,
    view: MarketView,
    held: Mapping[str, Decimal],
    arrival: Mapping[str, Decimal],
    *,
    may_convert: bool,
) -> RouteProblem:
    """Return `order` with the books of the index's other currencies beside its own.

    Args:
        held: What may be spent of each other currency.
        arrival: What they were worth when the order arrived; without a price then, a currency has
            nothing to be counted at and stays out. Empty when the order arrives now.
        may_convert: Whether currencies may be exchanged; else only what is held of them is used.
    """
    own = {leg.rule.symbol for leg in order.legs}
    books = {symbol: book for symbol, book in view.books.items() if symbol not in own}
    names = tuple(name for name in foreign_currencies(index) if not arrival or name in arrival)
    problem = route_problem(order, OtherBooks(names, books, view.rules), held)
    currencies = tuple(replace(each, arrival_mid=arrival.get(each.name, each.mid)) for each in problem.currencies)
    conversions = problem.conversions if may_convert else ()
    return replace(problem, currencies=currencies, conversions=conversions, slots=view.slots)


def open_ends(plan: Plan, view: MarketView) -> list[str]:
    """Return where a deeper look may change a plan: what stops it, and the window of each book that it uses up.

    Over several books an order may fill with the first levels of one, and pay
    more in another for what lies just beyond.
    """
    traded = [(plan.side, leg) for leg in plan.legs] + [(each.side, each.leg) for each in plan.conversions]
    return [*plan.stopped_by, *(f"window({leg.symbol})" for side, leg in traded if _is_used_up(leg, side, view))]


def _is_used_up(leg: PlannedLeg, side: Side, view: MarketView) -> bool:
    book = view.books[leg.symbol]
    seen = sum((level.quantity for level in book.offers(side)), ZERO)
    return not book.complete and seen - leg.quantity < view.rules[leg.symbol].step


def plan_of(answer: RoutePlan, problem: RouteProblem) -> Plan:
    """Return the answer in the words of one order's plan."""
    conversions = tuple(PlannedConversion(each.side, _leg(each)) for each in answer.conversions)
    return Plan(
        side=answer.side,
        wanted=answer.wanted,
        units=answer.units,
        legs=tuple(_legs(answer, problem.order)),
        cash=answer.cash,
        loss=answer.loss,
        marginal_price=answer.marginal_price,
        stopped_by=answer.stopped_by,
        method=answer.method,
        cost=answer.cost,
        bound=answer.bound,
        gap_bps=answer.gap_bps,
        rounding_bps=answer.rounding_bps,
        multipliers={each.node: each.price for each in answer.multipliers},
        beyond=answer.single.beyond if answer.units == answer.single.units else (),
        conversions=conversions,
        beside={
            "currencies": [_currency(each) for each in problem.currencies],
            "may_convert": bool(problem.conversions),
            "conversions": [{"side": str(each.side), **leg_document(each.leg)} for each in conversions],
            "used": {each.currency: plain(each.quantity) for each in answer.used},
            "reserved": {each.currency: plain(each.quantity) for each in answer.reserved},
            "saved_bps": plain(answer.saved_bps),
            "slots": None if answer.slots is None else _slots(answer.slots),
        },
    )


def _slots(proof: SlotProof) -> dict[str, Any]:
    return {
        "most": proof.slots,
        "bound": None if proof.bound is None else plain(proof.bound),
        "is_proved": proof.is_proved,
        "is_fallback": proof.is_fallback,
    }


def _currency(currency: Currency) -> dict[str, str]:
    return {
        "name": currency.name,
        "balance": plain(currency.balance),
        "mid": plain(currency.mid),
        "arrival_mid": plain(currency.arrival_mid),
    }


def _legs(answer: RoutePlan, order: OrderProblem) -> Iterable[PlannedLeg]:
    """Yield the legs of each asset; what the float takes of it stands with the first."""
    surplus = {each.asset: each.quantity for each in answer.surplus}
    for leg in order.legs:
        taken = surplus.get(leg.asset, ZERO)
        own = [_leg(each) for each in answer.legs if each.asset == leg.asset] or [_idle(leg)]
        rounding = -taken * (leg.mid - leg.arrival_mid)
        yield replace(own[0], surplus=taken, loss=replace(own[0].loss, rounding=rounding))
        yield from own[1:]


def _leg(leg: RouteLeg) -> PlannedLeg:
    return PlannedLeg(
        asset=leg.asset,
        symbol=leg.symbol,
        quantity=leg.quantity,
        limit_price=leg.limit_price,
        last_price=leg.last_price,
        touch=leg.touch,
        mid=leg.mid,
        value=leg.value,
        fee=leg.fee,
        surplus=ZERO,
        loss=leg.loss,
    )


def _idle(leg: Leg) -> PlannedLeg:
    price = leg.touch
    return PlannedLeg(
        asset=leg.asset,
        symbol=leg.rule.symbol,
        quantity=ZERO,
        limit_price=price,
        last_price=price,
        touch=price,
        mid=leg.mid,
        value=ZERO,
        fee=ZERO,
        surplus=ZERO,
        loss=NO_LOSS,
    )
