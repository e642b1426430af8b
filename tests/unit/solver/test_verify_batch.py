"""Plans that were solved together prove themselves, each alone and all as one batch."""

import copy
import json
import random
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.unit.solver.plan_documents import NOON
from tests.unit.solver.solver_cases import make_rule

from etf_trader.execution.planning import MarketView, document_for
from etf_trader.index.store import Basket
from etf_trader.market.book import Level, OrderBook
from etf_trader.market.document import market_hash
from etf_trader.market.symbol import Side
from etf_trader.money import money_context, round_to
from etf_trader.orders.plan import plan_object_seal
from etf_trader.solver.outcomes import outcomes
from etf_trader.solver.problem import Leg, OrderProblem
from etf_trader.solver.shared import plan_together
from etf_trader.solver.shares import SharedOrder, Touch
from etf_trader.solver.statement import read_statement
from etf_trader.solver.verify import SHARED, verify
from etf_trader.solver.verify_batch import batch_proof, check_batch

D = Decimal
Document = dict[str, Any]
ASSETS = "ABC"


def make_view(chance: random.Random) -> MarketView:
    books, rules = {}, {}
    for asset in ASSETS:
        mid = D(chance.choice(["100", "10", "2.5"]))
        sides = []
        for side in Side:
            price, levels = mid, []
            for _ in range(chance.randint(2, 5)):
                price += side.sign * mid * chance.randint(1, 3) / 1000
                levels.append(Level(price, D(chance.choice(["0.5", "2", "3", "11", "40"])) * 100 / mid))
            sides.append(tuple(levels))
        asks, bids = sides
        symbol, step = f"{asset}USDT", D(chance.choice(["0.01", "0.0001", "1"]))
        books[symbol] = OrderBook(symbol, bids, asks, 1, NOON, chance.random() < 0.6)
        rules[symbol] = make_rule(
            asset,
            tick=D("0.00001"),
            step=step,
            min_quantity=step,
            taker_fee=D(chance.choice(["0", "0.001"])),
            min_notional=D(chance.choice(["0", "5"])),
        )
    return MarketView(books, rules)


def make_basket(chance: random.Random) -> Basket:
    assets = sorted(chance.sample(ASSETS, chance.randint(1, 3)))
    return Basket(
        id=1,
        index_id=1,
        version=1,
        effective_at=NOON,
        cash_per_unit=D(chance.choice(["0", "3.25"])),
        quantities={asset: D(chance.choice(["0.3", "1", "1.7"])) for asset in assets},
        symbols={asset: f"{asset}USDT" for asset in assets},
        seal="",
    )


def make_problem(chance: random.Random, basket: Basket, view: MarketView, residuals: Any) -> OrderProblem:
    side = chance.choice(list(Side))
    legs = []
    for asset, per_unit in sorted(basket.quantities.items()):
        book, rule = view.books[f"{asset}USDT"], view.rules[f"{asset}USDT"]
        held = rule.step * chance.randint(0, 3) if chance.random() < 0.2 else D(0)
        arrival = book.mid * D(chance.choice(["1", "0.999", "1.002"]))
        own = {"held": held, "held_cost": held * book.mid, "residual": residuals[asset]}
        legs.append(Leg(asset, rule, per_unit, book.offers(side), book.complete, book.mid, arrival, **own))
    problem = OrderProblem(
        side=side,
        quantity=D(chance.choice(["1", "2.5", "7"])),
        legs=tuple(legs),
        cash_per_unit=basket.cash_per_unit,
        float_cash=residuals["cash"],
        least_value=max(leg.rule.min_notional for leg in legs),
    )
    if chance.random() < 0.3:
        edge = 1 + side.sign * D(chance.choice(["0.002", "0.005", "0.02"]))
        problem = replace(problem, limit=round_to(problem.nav * edge, D("0.01")))
    if chance.random() < 0.2:
        problem = replace(problem, max_loss_bps=D(chance.choice(["20", "60", "150"])))
    if side is Side.BUY:
        share = D(chance.choice(["1.2", "0.8"]))
        problem = replace(problem, cash=round_to(problem.nav * problem.quantity * share, D("0.01")))
    return problem


def documents_of(seed: int) -> tuple[list[Document], Document]:
    """Return the plans of two to five orders of two indices on shared books, and their market."""
    chance = random.Random(seed)
    view = make_view(chance)
    with money_context():
        indices = {name: make_basket(chance) for name in "XY"}
        floats = {
            name: {asset: view.rules[f"{asset}USDT"].step * chance.randint(0, 2) for asset in ASSETS}
            | {"cash": D(chance.choice(["100000", "5000", "50"]))}
            for name in indices
        }
        orders = []
        for key in range(1, chance.randint(2, 5) + 1):
            name = chance.choice("XY")
            orders.append(SharedOrder(key, name, make_problem(chance, indices[name], view, floats[name])))
        books = {asset: view.books[f"{asset}USDT"] for asset in ASSETS}
        touches = {asset: Touch(book.bids[0].price, book.asks[0].price, True) for asset, book in books.items()}
        found = outcomes(plan_together(orders, touches, D(chance.choice([50, 5000]))))
        market = view.document()
        made = [
            document_for(
                found[order.key].plan,
                order.problem,
                indices[order.index],
                order.index,
                order.problem.arrival_nav,
                view,
                market,
            )
            for order in orders
        ]
    return [plan for plan in made if plan["method"] == SHARED], market


def findings_of(plans: list[Document], market: Document) -> list[str]:
    alone = [each for plan in plans for each in verify(plan, market)]
    together = check_batch([read_statement(plan, market) for plan in plans]) if not alone else []
    return [f"{each.where} {each.what}" for each in [*alone, *together]]


@settings(max_examples=examples(40), deadline=None)
@given(st.integers(0, 10**6))
def test_every_plan_of_a_batch_is_proved_and_the_batch_as_one(seed: int) -> None:
    plans, market = documents_of(seed)
    assert findings_of(plans, market) == []
    if plans:
        proof = batch_proof([read_statement(plan, market) for plan in plans])
        assert proof.cost >= proof.bound


SEED = 5
"""A batch with venue orders and inside trades on several plans."""


def test_the_batch_that_is_corrupted_below_has_all_that_can_be_corrupted() -> None:
    plans, _ = documents_of(SEED)
    assert len(plans) > 2
    assert sum(D(leg["quantity"]) for plan in plans for leg in plan["legs"]) > 0
    assert {plan["side"] for plan in plans if plan["crossed"]} == {"buy", "sell"}


Change = Callable[[list[Document]], None]


def _leg(plans: list[Document]) -> Document:
    """Return a leg that goes to the venue."""
    return next(leg for plan in plans for leg in plan["legs"] if leg["quantity"] != "0")


def _plan(plans: list[Document]) -> Document:
    """Return a plan that has such a leg."""
    return next(plan for plan in plans if any(leg["quantity"] != "0" for leg in plan["legs"]))


def _more(text: str) -> str:
    return format(D(text) + D("0.01"), "f")


def _crossed(plans: list[Document]) -> None:
    plan = next(plan for plan in plans if plan["crossed"])
    asset = min(plan["crossed"])
    plan["crossed"][asset] = _more(plan["crossed"][asset])


UNBEARABLE = {"buy": "1", "sell": "9999"}
CHANGES: dict[str, Change] = {
    "the quantity of a part": lambda plans: _leg(plans).update(quantity=_more(_leg(plans)["quantity"])),
    "its value": lambda plans: _leg(plans).update(value=_more(_leg(plans)["value"])),
    "its surplus": lambda plans: _leg(plans).update(surplus=_more(_leg(plans)["surplus"])),
    "its last price": lambda plans: _leg(plans).update(last_price=_more(_leg(plans)["last_price"])),
    "its spread": lambda plans: _leg(plans).update(spread=_more(_leg(plans)["spread"])),
    "its depth": lambda plans: _leg(plans).update(depth=_more(_leg(plans)["depth"])),
    "what meets inside": _crossed,
    "the units": lambda plans: _plan(plans).update(units=_more(_plan(plans)["units"])),
    "the cash": lambda plans: _plan(plans).update(cash=_more(_plan(plans)["cash"])),
    "the cost": lambda plans: _plan(plans).update(cost=_more(_plan(plans)["cost"])),
    "the bound": lambda plans: _plan(plans).update(bound=_more(_plan(plans)["cost"])),
    "the marginal price": lambda plans: _plan(plans).update(marginal_price=_more(_plan(plans)["marginal_price"])),
    "the limit": lambda plans: _plan(plans)["problem"].update(limit=UNBEARABLE[_plan(plans)["side"]]),
    "the loss limit": lambda plans: _plan(plans)["problem"].update(max_loss_bps="0.001"),
    "a plan of the batch": lambda plans: plans.remove(_plan(plans)),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_what_was_changed_in_a_batch_is_found_even_when_the_seals_are_made_anew(change: Change) -> None:
    plans, market = documents_of(SEED)
    plans = json.loads(json.dumps(copy.deepcopy(plans)))
    change(plans)
    anew = [plan | {"book_hash": market_hash(market)} for plan in plans]
    anew = [plan | {"seal": plan_object_seal(plan)} for plan in anew]
    assert findings_of(anew, market)
