"""A quote proves itself: at the touch of its own side, never through it, for a maker's fee."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.unit.solver.plan_documents import book_of, documents_of
from tests.unit.solver.test_verify import FREE, any_problem, changed, numbers_in, sealed, stopped_problem

from etf_trader.market.symbol import Side
from etf_trader.money import money_context
from etf_trader.orders.plan import plan_object_seal
from etf_trader.solver.order import plan_order
from etf_trader.solver.passive import QUOTE, at_own_touch
from etf_trader.solver.problem import OrderProblem
from etf_trader.solver.verify import verify

D = Decimal
MAKER = D("0.0004")


def quoted(asked: OrderProblem) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the plan object of a quote, and the market it was made on."""
    legs = tuple(replace(leg, rule=replace(leg.rule, maker_fee=MAKER)) for leg in asked.legs)
    asked = replace(asked, legs=legs, slack_ticks=0)
    with money_context():
        problem = at_own_touch(asked, {leg.rule.symbol: book_of(leg, asked.side) for leg in legs})
        plan = replace(plan_order(problem), method=QUOTE, beside={"due": "9"})
    return documents_of(asked, plan)


@settings(max_examples=examples(60), deadline=None)
@given(seed=st.integers(0, 10**6), side=st.sampled_from(Side))
def test_every_quote_is_proved(seed: int, side: Side) -> None:
    assert verify(*quoted(any_problem(seed, side))) == []


@pytest.mark.parametrize("side", list(Side))
def test_it_trades_at_its_own_side_for_the_fee_of_a_maker(side: Side) -> None:
    plan, market = quoted(replace(stopped_problem(side), limit=None))
    assert plan["stopped_by"] == ["filled"]
    assert D(plan["spread"]) < 0
    assert D(plan["depth"]) == 0
    for leg in plan["legs"]:
        book = market["books"][leg["symbol"]]
        assert leg["limit_price"] == leg["touch"] == (book["bids"] if side is Side.BUY else book["asks"])[0][0]
    fee, value = (sum(D(leg[name]) for leg in plan["legs"]) for name in ("fee", "value"))
    assert abs(fee - MAKER * value) < D("0.00001")


@pytest.mark.parametrize("side", list(Side))
def test_a_changed_digit_of_a_quote_is_found_even_when_the_seal_is_made_anew(side: Side) -> None:
    plan, market = quoted(stopped_problem(side))
    checked = 0
    for path in numbers_in(plan):
        if path[:1] in FREE or path in (("seal",), ("due",)):
            continue
        assert verify(sealed(changed(plan, path), market), market), path
        checked += 1
    assert checked > 60


@pytest.mark.parametrize("side", list(Side))
def test_a_quote_that_would_trade_at_once_is_refuted(side: Side) -> None:
    plan, market = quoted(stopped_problem(side))
    book = market["books"][plan["legs"][0]["symbol"]]
    plan["legs"][0]["limit_price"] = (book["asks"] if side is Side.BUY else book["bids"])[0][0]
    found = verify(plan | {"seal": plan_object_seal(plan)}, market)
    assert any("would trade at once" in finding.what for finding in found)


def test_a_quote_that_passes_for_an_order_that_takes_is_refuted() -> None:
    plan, market = quoted(stopped_problem())
    assert verify(sealed(plan | {"method": "closed_form"}, market), market)
