"""A plan proves itself to whoever does not trust it, and any changed digit is found."""

import copy
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.unit.solver.plan_documents import documents_of
from tests.unit.solver.solver_cases import make_leg, make_problem, make_rule, random_problem

from etf_trader.market.document import market_hash
from etf_trader.market.symbol import Side
from etf_trader.orders.plan import plan_object_seal
from etf_trader.solver.order import plan_order
from etf_trader.solver.problem import OrderProblem
from etf_trader.solver.reader import Malformed
from etf_trader.solver.verify import Unprovable, verify

D = Decimal
Document = dict[str, Any]
Path = tuple[str | int, ...]


def any_problem(seed: int, side: Side) -> OrderProblem:
    """An order with by chance every limit, lots of any size, leftovers, minimums and windows."""
    chance = random.Random(seed)
    problem = random_problem(seed, side, step=chance.choice(["0.01", "0.25", "1"]), spare=chance.random() < 0.5)
    notional = D(chance.choice(["0", "5"]))
    legs = tuple(
        replace(
            leg,
            rule=replace(leg.rule, min_notional=notional, tick=D("0.00001")),
            complete=chance.random() < 0.7,
        )
        for leg in problem.legs
    )
    cash = D(chance.choice(["1000000", "30", "5", "0"]))
    quantity = D(0) if chance.random() < 0.1 else problem.quantity
    return replace(problem, legs=legs, float_cash=cash, least_value=notional, quantity=quantity)


def stopped_problem(side: Side = Side.BUY) -> OrderProblem:
    """Three units of A, B and C that a limit stops, with something held and in the float."""
    sign = side.sign
    legs = []
    for asset, held in (("A", D(0)), ("B", D("0.25")), ("C", D(0))):
        levels = [(D(100) + sign * D("0.05") * place, D("0.7") * place) for place in range(1, 6)]
        legs.append(
            replace(
                make_leg(asset, *((str(price), str(quantity)) for price, quantity in levels)),
                rule=make_rule(asset, taker_fee=D("0.001"), min_notional=D(5), max_notional=D(90000)),
                per_unit=D("1.1"),
                arrival_mid=D("100.03"),
                held=held,
                held_cost=held * D("100.07"),
                residual=D("0.013"),
            )
        )
    return make_problem(
        *legs,
        side=side,
        quantity=D(9),
        cash_per_unit=D("0.5"),
        cash=D(5000) if side is Side.BUY else None,
        limit=D("331.3") if side is Side.BUY else D("329.7"),
        max_loss_bps=D(40),
        units_done=D("0.5"),
        loss_done=D("0.11"),
        least_value=D(5),
    )


def sealed(plan: Document, market: Document) -> Document:
    """Return the plan with hash and seal as if it had been made like this."""
    plan = plan | {"book_hash": market_hash(market)}
    return plan | {"seal": plan_object_seal(plan)}


def numbers_in(value: object, path: Path = ()) -> Iterator[Path]:
    """Yield the place of every number of a JSON document."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, each in pairs:
            yield from numbers_in(each, (*path, key))
    elif isinstance(value, int) and not isinstance(value, bool):
        yield path
    elif isinstance(value, str):
        try:
            Decimal(value)
        except ArithmeticError:
            return
        yield path


def changed(document: Document, path: Path, place: int = -1) -> Document:
    """Return a copy with one digit of a number changed, by default the last."""
    document = copy.deepcopy(document)
    inner: Any = document
    for key in path[:-1]:
        inner = inner[key]
    old = inner[path[-1]]
    digits = [i for i, letter in enumerate(str(old)) if letter.isdigit()]
    at = digits[place]
    text = str(old)
    digit = str(int(text[at]) + 1) if text[at] in "12345678" else "5"
    new = text[:at] + digit + text[at + 1 :]
    inner[path[-1]] = int(new) if isinstance(old, int) else new
    return document


@settings(max_examples=examples(60), deadline=None)
@given(seed=st.integers(0, 10**6), side=st.sampled_from(Side))
def test_every_plan_is_proved(seed: int, side: Side) -> None:
    assert verify(*documents_of(any_problem(seed, side))) == []


@pytest.mark.parametrize("seed", [24, 249, 26], ids=["leftovers", "a tiny order", "the float decides"])
@pytest.mark.parametrize("side", list(Side))
def test_plans_that_were_not_proved_once(seed: int, side: Side) -> None:
    assert verify(*documents_of(any_problem(seed, side))) == []


def test_a_plan_by_linear_program_is_proved() -> None:
    problem = stopped_problem()
    assert verify(*documents_of(problem, plan_order(problem, "linprog"))) == []


@pytest.mark.parametrize("side", list(Side))
def test_the_plan_that_is_corrupted_below_is_proved_and_stopped(side: Side) -> None:
    plan, market = documents_of(stopped_problem(side))
    assert verify(plan, market) == []
    assert plan["stopped_by"] == ["limit"]
    assert verify(json.loads(json.dumps(plan)), json.loads(json.dumps(market))) == []


@pytest.mark.parametrize("side", list(Side))
def test_any_changed_digit_of_plan_or_market_is_found(side: Side) -> None:
    plan, market = documents_of(stopped_problem(side))
    for place in (0, -1):
        for path in numbers_in(plan):
            assert verify(changed(plan, path, place), market), path
        for path in numbers_in(market):
            assert verify(plan, changed(market, path, place)), path


FREE = {
    ("basket_version",): "a name: it says which basket, and states nothing about it",
    ("problem",): "what was asked: another question has another true answer",
    ("limit_price",): "an order may reach as far as its slack, if every limit holds",
}
"""Numbers whose last digit may change in a plan that is sealed anew, and why it may still be true."""


@pytest.mark.parametrize("side", list(Side))
def test_a_changed_digit_is_found_by_what_it_says_even_when_the_seal_is_made_anew(side: Side) -> None:
    plan, market = documents_of(stopped_problem(side))
    checked = 0
    for path in numbers_in(plan):
        if path[:1] in FREE or path[-1:] in FREE or path == ("seal",):
            continue
        for place in (0, -1):
            assert verify(sealed(changed(plan, path, place), market), market), path
            checked += 1
    assert checked > 120


def test_a_negative_multiplier_or_none_at_all_proves_nothing() -> None:
    plan, market = documents_of(stopped_problem())
    multipliers = plan["multipliers"]
    for false, told in (
        (multipliers | {"A": "-1"}, "are not all 0 or more"),
        ({"A": "1"}, "not one for each asset"),
        (multipliers | {"Z": "1"}, "not one for each asset"),
    ):
        findings = verify(sealed(plan | {"multipliers": false}, market), market)
        assert any(told in finding.what for finding in findings), findings


def test_a_level_that_was_used_and_is_another_is_found_even_when_all_hashes_are_made_anew() -> None:
    plan, market = documents_of(stopped_problem())
    for path in numbers_in(market["books"]["AUSDT"]["asks"][0]):
        for place in (0, -1):
            false = changed(market, ("books", "AUSDT", "asks", 0, *path), place)
            assert verify(sealed(plan, false), false)


Change = Callable[[Document, Document], None]


def _one_more_unit(plan: Document, market: Document) -> None:
    plan["units"] = str(D(plan["units"]) + 1)


def _one_unit_less(plan: Document, market: Document) -> None:
    plan["units"] = str(D(plan["units"]) - 1)


def _nothing_stops(plan: Document, market: Document) -> None:
    plan["stopped_by"], plan["beyond"] = ["filled"], []


def _cash_stops_too(plan: Document, market: Document) -> None:
    plan["stopped_by"] = ["limit", "cash"]


def _another_asset(plan: Document, market: Document) -> None:
    plan["legs"][0]["asset"] = "Z"


def _coarser_step(plan: Document, market: Document) -> None:
    market["rules"]["AUSDT"]["step"] = "0.7"


def _higher_minimum(plan: Document, market: Document) -> None:
    market["rules"]["AUSDT"]["min_notional"] = "800"


def _coarser_tick(plan: Document, market: Document) -> None:
    market["rules"]["AUSDT"]["tick"] = "0.7"


def _narrow_band(plan: Document, market: Document) -> None:
    market["rules"]["AUSDT"]["bid_band"] = ["0.9", "1.0001"]


def _dearer_fee(plan: Document, market: Document) -> None:
    market["rules"]["AUSDT"]["taker_fee"] = "0.002"


def _tighter_limit(plan: Document, market: Document) -> None:
    plan["problem"]["limit"] = "331.2"


def _wider_limit(plan: Document, market: Document) -> None:
    plan["problem"]["limit"] = "331.4"


def _less_cash(plan: Document, market: Document) -> None:
    plan["problem"]["cash"] = "100"


def _less_loss(plan: Document, market: Document) -> None:
    plan["problem"]["max_loss_bps"] = "1"


def _poor_float(plan: Document, market: Document) -> None:
    plan["problem"]["float_cash"] = "-100000"


LIES: dict[str, tuple[Change, str]] = {
    "more units than the limit leaves": (_one_more_unit, "limit"),
    "fewer units than possible": (_one_unit_less, "plan.beyond"),
    "stopped, and says filled": (_nothing_stops, "says filled"),
    "stopped by cash, and it is not": (_cash_stops_too, "is limit, cash, but a size beyond breaks limit"),
    "another asset": (_another_asset, "are not those of the basket"),
    "a step that quantities do not keep": (_coarser_step, "not on the step of 0.7"),
    "a least order that quantities do not reach": (_higher_minimum, "below the least order"),
    "a tick that prices do not keep": (_coarser_tick, "not on the tick of 0.7"),
    "a band that prices leave": (_narrow_band, "the venue does not accept it"),
    "another fee": (_dearer_fee, "plan.legs.A.fee"),
    "a limit that is broken": (_tighter_limit, "breaks a limit of the order: limit"),
    "a limit that would let more trade": (_wider_limit, "is limit, but a size beyond breaks nothing"),
    "cash that does not suffice": (_less_cash, "breaks a limit of the order: cash"),
    "a loss limit that is broken": (_less_loss, "breaks a limit of the order: loss"),
    "a float that cannot pay": (_poor_float, "breaks a limit of the order: float"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "told"), LIES.values(), ids=LIES.keys())
def test_a_plan_that_says_what_is_not_so_is_refuted_by_name(change: Change, told: str) -> None:
    plan, market = copy.deepcopy(documents_of(stopped_problem()))
    change(plan, market)
    findings = [f"{finding.where} {finding.what}" for finding in verify(sealed(plan, market), market)]
    assert any(told in finding for finding in findings), findings


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("units",), "three", "plan.units is 'three', which is not a number as plans write it"),
        (("units",), "1.50", "plan.units is '1.50'"),
        (("units",), 3, "plan.units is not a text"),
        (("legs",), {}, "plan.legs is not a list"),
        (("problem",), None, "plan.problem is not an object"),
        (("side",), "hold", "plan.side is neither buy nor sell"),
        (("problem", "slack_ticks"), -1, "plan.problem.slack_ticks is not a whole number"),
    ],
)
def test_what_is_no_plan_is_told_with_its_place(path: Path, value: object, told: str) -> None:
    plan, market = copy.deepcopy(documents_of(stopped_problem()))
    inner = plan
    for key in path[:-1]:
        inner = inner[str(key)]
    inner[str(path[-1])] = value
    with pytest.raises(Malformed, match=told.replace("(", r"\(")):
        verify(sealed(plan, market), market)


@pytest.mark.parametrize("name", ["units", "legs", "problem", "seal", "book_hash", "multipliers", "beyond"])
def test_a_plan_without_one_of_its_parts_is_no_plan(name: str) -> None:
    plan, market = documents_of(stopped_problem())
    lacking = {key: value for key, value in plan.items() if key != name}
    if name not in ("seal", "book_hash"):
        lacking = sealed(lacking, market)
        with pytest.raises(Malformed, match=f"plan.{name} is missing"):
            verify(lacking, market)
    else:
        assert verify(lacking, market)


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("books", "AUSDT", "asks"), [], "has a side without levels"),
        (("books", "AUSDT", "asks", 0, 0), "90", "is crossed"),
        (("books", "AUSDT", "asks", 1, 0), "100.01", "is out of order"),
        (("books", "AUSDT", "asks", 1, 1), "-1", "less than nothing"),
        (("rules", "AUSDT", "step"), "0", "rules.AUSDT.step is not above 0"),
        (("rules", "AUSDT", "taker_fee"), "1", "is not a share of what is received"),
    ],
)
def test_a_market_that_cannot_be_is_found(path: Path, value: object, told: str) -> None:
    plan, market = copy.deepcopy(documents_of(stopped_problem()))
    inner: Any = market
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    (finding,) = verify(sealed(plan, market), market)
    assert told in f"{finding.where} {finding.what}"


def test_what_cannot_be_proved_is_told_apart_from_what_is_false() -> None:
    plan, market = documents_of(stopped_problem())
    change, told = {"method": "guess"}, "plan.method is guess"
    with pytest.raises(Unprovable, match=told):
        verify(sealed(plan | change, market), market)
    assert any(told in f"{each.where} {each.what}" for each in verify(plan | change, market))


SPANS = ["0", "-1", "9" * 60, "0." + "0" * 59 + "1"]
JUNK: list[object] = [None, True, 0, -1, 10**30, 0.5, "", "x", "1e5", [], [[]], {}, ["0"], *SPANS, *SPANS]


@settings(max_examples=examples(60), deadline=None)
@given(seed=st.integers(0, 10**6))
def test_whatever_is_handed_in_is_answered(seed: int) -> None:
    chance = random.Random(seed)
    plan, market = copy.deepcopy(documents_of(stopped_problem(chance.choice(list(Side)))))
    for document in (plan, market):
        for _ in range(chance.randint(0, 2)):
            inner: Any = document
            while isinstance(inner, dict | list) and inner:
                key = chance.choice(list(inner)) if isinstance(inner, dict) else chance.randrange(len(inner))
                if not isinstance(inner[key], dict | list) or not inner[key] or chance.random() < 0.2:
                    inner[key] = copy.deepcopy(chance.choice(JUNK))
                    break
                inner = inner[key]
    try:
        verify(sealed(plan, market), market)
    except Malformed as error:
        assert str(error)
