"""The plan object of a rebalance proves itself, and any changed digit is found."""

import copy
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.unit.solver.plan_documents import NOON
from tests.unit.solver.rebalance_cases import make_constituent, make_rebalance, random_rebalance

from etf_trader.market.book import Level, OrderBook
from etf_trader.market.document import market_document, market_hash
from etf_trader.money import money_context, plain
from etf_trader.orders.plan import plan_object_seal
from etf_trader.seal import canonical
from etf_trader.solver.findings import Finding
from etf_trader.solver.reader import Malformed
from etf_trader.solver.rebalance import plan_rebalance
from etf_trader.solver.rebalance_document import Kept, rebalance_plan_document
from etf_trader.solver.rebalance_problem import Aim, Bands, Exact, RebalanceProblem, Tracking
from etf_trader.solver.verify import verify

D = Decimal
Document = dict[str, Any]
SEEDS = st.integers(0, 10**9)
AIMS = st.sampled_from([Exact(), Bands(D("0.03")), Tracking(D(25)), Tracking(D(200)), Tracking(D("0.1"))])


@pytest.fixture(autouse=True)
def _exact() -> Iterator[None]:
    with money_context():
        yield


def market_of_problem(problem: RebalanceProblem, kept: tuple[Kept, ...] = ()) -> Document:
    """The books and rules of a problem; of what is kept, one level a side."""
    books = [OrderBook(each.rule.symbol, each.bids, each.asks, 1, NOON, True) for each in problem.constituents]
    rules = {each.rule.symbol: each.rule for each in problem.constituents}
    for each in kept:
        level = D("0.01")
        bids, asks = ((Level(each.mid + sign * level, D(1)),) for sign in (-1, 1))
        books.append(OrderBook(each.symbol, bids, asks, 1, NOON, True))
        rules[each.symbol] = replace(make_constituent(each.asset).rule, symbol=each.symbol)
    return market_document(books, rules)


def documents_of(problem: RebalanceProblem, kept: tuple[Kept, ...] = ()) -> tuple[Document, Document]:
    """The plan object of a problem, and its market."""
    market = market_of_problem(problem, kept)
    plan = rebalance_plan_document(
        problem, plan_rebalance(problem), index="X", basket_version=2, book_hash=market_hash(market), kept=kept
    )
    return json.loads(canonical(plan)), market


def priced(problem: RebalanceProblem) -> RebalanceProblem:
    """A random problem whose mids are those of its books."""
    return replace(
        problem,
        constituents=tuple(
            replace(each, mid=(each.bids[0].price + each.asks[0].price) / 2) for each in problem.constituents
        ),
    )


def sealed(plan: Document, market: Document) -> Document:
    """A changed plan, sealed again: what a program that is wrong would have written."""
    changed = plan | {"book_hash": market_hash(market)}
    return changed | {"seal": plan_object_seal(changed)}


def verdict(plan: Document, market: Document) -> list[Finding]:
    """What is found; a plan that cannot be read is a finding, too."""
    try:
        return verify(plan, market)
    except Malformed as error:
        return [Finding(error.where, error.what)]


LADDER = tuple(Level(D("10.01") + D("0.01") * step, D("0.3")) for step in range(20))
THREE = make_rebalance(
    make_constituent("A", holding=D(13), weight=D("0.4")),
    make_constituent("B", holding=D(9), weight=D("0.35"), asks=LADDER),
    make_constituent("C", holding=D("7.5"), weight=D("0.25")),
    cash="5",
)
KEPT = (Kept("Z", "ZUSDT", D(3), D(2), "within_band"),)


@settings(max_examples=examples(80), deadline=None)
@given(SEEDS, AIMS, st.booleans(), st.booleans(), st.sampled_from(["0.0001", "0.01", "1"]))
@example(712, Exact(), False, True, "0.0001")  # free trades inside
@example(50946, Tracking(D(200)), False, True, "0.0001")  # a reserve that cannot be reached
@example(1026, Exact(), False, True, "1")  # bought inside, sold in lots of one
def test_every_plan_is_proved(seed: int, aim: Aim, deep: bool, orders: bool, step: str) -> None:
    problem = priced(random_rebalance(seed, aim, deep=deep, orders=orders, step=step))
    plan, market = documents_of(problem)
    assert verify(plan, market) == []
    assert D(plan["gap_bps"]) - D(plan["rounding_bps"]) <= D("0.05")


@settings(max_examples=examples(25), deadline=None)
@given(SEEDS, AIMS, st.integers(0, 10**6))
def test_the_order_of_the_constituents_changes_no_byte(seed: int, aim: Aim, shuffle: int) -> None:
    problem = priced(random_rebalance(seed, aim, deep=False, orders=True))
    shuffled = list(problem.constituents)
    random.Random(shuffle).shuffle(shuffled)
    other = replace(problem, constituents=tuple(shuffled))
    assert canonical(documents_of(other)) == canonical(documents_of(problem))


def test_what_is_kept_is_part_of_nav_and_of_the_proof() -> None:
    plan, market = documents_of(THREE, KEPT)
    assert verify(plan, market) == []
    alone, _ = documents_of(THREE)
    assert D(plan["nav_before"]) == D(alone["nav_before"]) + 6 and plan["cost"] == alone["cost"]
    assert D(plan["bound"]) == D(alone["bound"]) + 6
    plan["kept"][0]["mid"] = "2.5"
    assert any(each.where == "plan.kept.Z.mid" for each in verify(sealed(plan, market), market))


def test_the_document_is_complete_and_says_what_it_costs() -> None:
    plan, _ = documents_of(THREE)
    assert D(plan["nav_before"]) - D(plan["nav_after"]) == D(plan["cost"])
    assert sum((D(plan[part]) for part in ("spread", "depth", "fee")), D(0)) == D(plan["cost"])
    for leg in plan["legs"]:
        assert sum((D(leg[part]) for part in ("spread", "depth", "fee")), D(0)) == D(leg["cost"])


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every text, number and null in a document, with its place."""
    if isinstance(value, dict):
        for name in value:
            yield from leaves(value[name], (*path, name))
    elif isinstance(value, list):
        for place, each in enumerate(value):
            yield from leaves(each, (*path, place))
    else:
        yield path, value


def put(document: Document, path: tuple[str | int, ...], value: Any) -> Document:
    changed = copy.deepcopy(document)
    at: Any = changed
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return changed


def nudged(value: Any) -> Any:
    """A little more of a number; another text."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    try:
        return plain(D(value) * D("1.001") + D("0.001"))
    except (ArithmeticError, TypeError):
        return f"{value or ''}x"


TOLD_ALONE = {"index", "basket_version"}
"""What a plan cannot prove of itself: the rows around it say whether it is so."""


def test_any_value_of_a_plan_that_is_changed_is_found_though_it_is_sealed_again() -> None:
    plan, market = documents_of(THREE, KEPT)
    unseen = []
    for path, value in leaves(plan):
        outside = path[0] in {*TOLD_ALONE, "seal", "book_hash"}
        if outside or (path[0] == "kept" and path[-1] in {"why", "symbol"}):
            continue
        found = verdict(sealed(put(plan, path, nudged(value)), market), market)
        if not found:
            unseen.append(path)
    # Another price that is high enough, and how much of the gap is due to lots, are for the plan to say.
    assert set(unseen) <= {("short_price",), ("rounding_bps",), ("problem", "max_cross_spread_bps")}


def test_a_changed_level_rule_or_seal_is_found() -> None:
    plan, market = documents_of(THREE)
    for path, value in leaves(market):
        changed = put(market, path, nudged(value))
        assert verdict(plan, changed), path
    used = put(market, ("books", "BUSDT", "asks", 0, 1), "0.2")
    assert any("is not what the plan was made on" in each.what for each in verify(plan, used))
    assert any(each.where == "plan.legs.B.value" for each in verify(sealed(plan, used), used))
    better = put(market, ("books", "AUSDT", "bids", 0, 0), "9.995")
    assert verdict(sealed(plan, better), better)


@settings(max_examples=examples(40), deadline=None)
@given(SEEDS, AIMS, st.integers(0, 10**6), st.sampled_from(["0.9", "0.999", "1.0001", "1.002", "1.3"]))
def test_another_multiplier_makes_it_fail_or_the_gap_grow(seed: int, aim: Aim, chance: int, by: str) -> None:
    problem = priced(random_rebalance(seed, aim))
    plan, market = documents_of(problem)
    name = random.Random(chance).choice(sorted(plan["multipliers"]))
    changed = put(plan, ("multipliers", name), plain(D(plan["multipliers"][name]) * D(by)))
    found = {each.where: each.what for each in verdict(sealed(changed, market), market)}
    if set(found) <= {"plan.bound", "plan.gap_bps", "plan.rounding_bps"} and "plan.gap_bps" in found:
        smooth = D(plan["gap_bps"]) - D(plan["rounding_bps"])
        came_to = D(found["plan.gap_bps"].rpartition(" ")[2])
        assert came_to >= D(plan["gap_bps"]) - smooth - D("0.0001")
    # nothing found: of what is sold whole, or is not held, other multipliers prove as much


def test_a_plan_that_does_less_than_it_could_has_a_gap() -> None:
    plan, market = documents_of(THREE)
    lazy = documents_of(replace(THREE, aim=Tracking(D(5))))[0]
    stated = lazy | {name: plan[name] for name in ("problem", "multipliers", "nav_multiplier", "bound")}
    stated |= {name: plan[name] for name in ("off_price", "short_price", "method")}
    stated["legs"] = [leg | {"why_skipped": None} for leg in lazy["legs"]]
    found = {each.where: each.what for each in verify(sealed(stated, market), market)}
    assert set(found) == {"plan.gap_bps"}
    assert D(found["plan.gap_bps"].rpartition(" ")[2]) > 10


def test_it_needs_no_solver() -> None:
    code = (
        "import sys; from etf_trader.solver import verify; "
        "sys.exit(any(name in sys.modules for name in ('scipy', 'numpy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
