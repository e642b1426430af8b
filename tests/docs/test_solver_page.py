"""The worked example of docs/solver.md: every number of it comes out of the solver, from the page's own tables."""

import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest
from tests.docs.test_pages import BLOCK, ROOT, computed, table_after, text_of, words_in
from tests.unit.solver.solver_cases import make_leg, make_problem, make_rule

from etf_trader.market.book import Level
from etf_trader.market.symbol import Side
from etf_trader.money import money_context, round_to
from etf_trader.orders.plan import LOSS_PARTS, Plan
from etf_trader.solver.binding import what_binds
from etf_trader.solver.certificate import order_bound
from etf_trader.solver.order import plan_order
from etf_trader.solver.problem import Leg, OrderProblem
from etf_trader.solver.quote import limits_by_asset, market_orders
from etf_trader.solver.shared import plan_together
from etf_trader.solver.shares import SharedOrder
from etf_trader.solver.trial import Model

D = Decimal
PAGE = text_of("solver.md")
NET = D("0.999")


def the_problem() -> OrderProblem:
    levels = [[D(cell) for cell in row[1:]] for row in table_after(PAGE, "level")]
    legs = []
    for place, (asset, *numbers) in enumerate(table_after(PAGE, "asset")):
        per_unit, step, tick, mid, arrival_mid = map(D, numbers)
        legs.append(
            make_leg(
                asset,
                rule=make_rule(
                    asset, step=step, tick=tick, min_quantity=step, min_notional=D(5), taker_fee=D("0.001")
                ),
                per_unit=per_unit,
                levels=tuple(Level(row[2 * place], row[2 * place + 1]) for row in levels),
                mid=mid,
                arrival_mid=arrival_mid,
            )
        )
    limit = re.search(r"Asked for are 100 units with `--limit ([0-9.]+)`", PAGE)
    assert limit is not None
    return make_problem(
        *legs,
        quantity=D(100),
        limit=D(limit[1]),
        cash=D(20_000),
        float_cash=D(10),
        slack_ticks=1,
        least_value=D(5),
    )


PROBLEM = the_problem()
PLAN = plan_order(PROBLEM)
LEGS = dict(zip(PROBLEM.legs, PLAN.legs, strict=True))


def sums() -> Iterator[tuple[str, list[str]]]:
    for kind, content in BLOCK.findall(PAGE):
        if kind == "sums":
            for line in content.splitlines():
                label, equation = re.split(r"\s{2,}", line, maxsplit=1)
                yield label, equation.split(" = ")


def sum_of(label: str) -> Decimal:
    return computed(next(sides[-1] for name, sides in sums() if name == label))


def bound_of(leg: Leg) -> Decimal:
    """Return the bound of one asset, without the rounding of a multiplier that is a quotient."""
    gross = leg.per_unit * PLAN.units / NET
    worst = LEGS[leg].last_price
    return gross * worst - sum((max(worst - price, D(0)) * depth for price, depth in leg.levels), D(0))


def test_the_books_have_three_assets_and_five_levels() -> None:
    assert [len(leg.levels) for leg in PROBLEM.legs] == [5, 5, 5]
    assert all(
        leg.per_unit / NET == gross for leg, gross in zip(PROBLEM.legs, (D("0.5"), D(3), D(20)), strict=True)
    )


@pytest.mark.parametrize("method", ["auto", "linprog"])
def test_the_plan_goes_as_far_as_the_page_says(method: str) -> None:
    plan = plan_order(PROBLEM, method)
    assert plan.units == D("60.25")
    assert plan.stopped_by == ("limit",)
    assert plan.beyond == (D("60.25000001"),)
    for said in ("**60.25 units**", "`beyond` names 60.25000001", "`stopped_by` is\n`limit`"):
        assert said in PAGE


def test_every_step_of_the_price_of_the_next_unit_is_where_the_page_says() -> None:
    steps = table_after(PAGE, "up to units")
    assert [row[0] for row in steps] == ["20", "25", "30", "50", "60.25", "70"]
    for units, *last, price in steps:
        plan = plan_order(replace(PROBLEM, limit=D(price)))
        assert plan.units == D(units)
        assert plan.marginal_price == D(price)
        assert [leg.last_price for leg in plan.legs] == [D(cell) for cell in last]


def test_what_it_buys_stands_in_the_table() -> None:
    rows = {row[0]: [D(cell) for cell in row[1:]] for row in table_of_what_it_buys()}
    expected = {
        "need after fee": [leg.per_unit * PLAN.units for leg in LEGS],
        "before fee": [leg.per_unit * PLAN.units / NET for leg in LEGS],
        "whole lots": [leg.quantity for leg in PLAN.legs],
        "last level used": [leg.last_price for leg in PLAN.legs],
        "price of the order": [leg.limit_price for leg in PLAN.legs],
        "paid": [leg.value for leg in PLAN.legs],
        "fee, in kind": [leg.fee for leg in PLAN.legs],
        "to the float": [leg.surplus for leg in PLAN.legs],
        "spread": [leg.loss.spread for leg in PLAN.legs],
        "depth": [leg.loss.depth for leg in PLAN.legs],
        "multiplier x 0.999": [round_to(PLAN.multipliers[leg.asset] * NET, D("1e-12")) for leg in LEGS],
    }
    assert rows == expected


def table_of_what_it_buys() -> list[list[str]]:
    return table_after(PAGE.split("### What it buys")[1].replace("| | A |", "| what | A |", 1), "what")


def test_the_sums_are_right() -> None:
    for label, sides in sums():
        for left, right in pairwise(map(computed, sides)):
            assert left == right, f"{label}: {left} is not {right}"


def test_the_sums_come_to_what_the_plan_says() -> None:
    bounds = {leg.asset: bound_of(leg) for leg in PROBLEM.legs}
    expected = {
        **{f"paid for {leg.asset}": leg.value for leg in PLAN.legs},
        "cost": PLAN.cost,
        "float pays": sum((leg.surplus * leg.mid for leg in PLAN.legs), D(0)),
        "cash": PLAN.cash,
        "loss": PLAN.loss.total,
        **{part: getattr(PLAN.loss, part) for part in LOSS_PARTS},
        "together": PLAN.loss.total,
        **{f"bound for {asset}": bound for asset, bound in bounds.items()},
        "bound": sum(bounds.values(), D(0)),
        "gap": PLAN.cost - sum(bounds.values(), D(0)),
    }
    assert {label: sum_of(label) for label, _ in sums()} == expected


def test_the_bound_is_that_of_the_certificate_to_a_hundred_millionth() -> None:
    assert PLAN.bound == D("6026.18924999")
    assert order_bound(PROBLEM, PLAN.units, PLAN.multipliers) == PLAN.bound
    assert 0 <= sum_of("bound") - PLAN.bound <= D("1e-8")
    assert PLAN.gap_bps == PLAN.rounding_bps == D("4.9855")
    assert PROBLEM.nav == D("99.9")
    assert PROBLEM.arrival_nav == D("99.894006")
    lots = sum_of("gap") - sum_of("float pays")
    for said in (
        "6026.18924999",
        "4.9855 bps of 60.25 x 99.9",
        "99.894006",
        f"the lots cost the order {lots} USDT",
    ):
        assert said in PAGE


def test_what_binds_stands_in_the_table() -> None:
    with money_context():
        found = {nudge.name: (nudge.more, nudge.less) for nudge in what_binds(PROBLEM, PLAN)}
    names = {"limit by 1 bps": "limit", "float by 10 USDT": "float", "depth of C by 10%": "depth(C)"}
    assert {names[row[0]]: (D(row[1]), D(row[2])) for row in table_after(PAGE, "moved")} == found


def test_the_other_ways_to_trade_come_to_what_the_page_says() -> None:
    tick = {leg.asset: leg.rule.tick for leg in PROBLEM.legs}
    back = {leg.asset: [Level(leg.mid - tick[leg.asset], D(10_000))] for leg in PROBLEM.legs}
    unlimited: Plan = plan_order(replace(PROBLEM, limit=None))
    with money_context():
        market, by_asset = market_orders(PROBLEM, back), limits_by_asset(PROBLEM, back)
    assert unlimited.stopped_by == ("filled",)
    assert unlimited.cost == D("10003.3165") == market.loss + PROBLEM.nav * 100
    assert by_asset is not None
    assert by_asset.units == 50
    assert by_asset.stranded == 149 * 10 + 204 == 1694
    for said in ("for 10,003.3165 USDT", "make **50** units", "149 B and 204 C, worth 1,694 USDT"):
        assert said in PAGE.replace("\n", " ")


def test_the_numbers_are_so_small_that_fees_never_round() -> None:
    trial = Model(PROBLEM).trial(int(PLAN.units / D("1e-8")))
    assert all(fill.fee == fill.quantity * D("0.001") for fill in trial.fills)


def test_the_modules_named_in_the_formulations_exist() -> None:
    named = [
        word
        for modules in re.findall(r"^\*\*[^*]+\*\* \(([^)]*)\)", PAGE, re.MULTILINE)
        for word in words_in(modules)
    ]
    assert len(named) > 15
    for name in named:
        assert list((ROOT / "src" / "etf_trader" / "solver").glob(f"{name}.py")), name


def test_two_orders_share_a_book_as_the_page_says() -> None:
    books = {"X": D(100), "Y": D(10)}

    def asking(assets: str) -> OrderProblem:
        legs = [make_leg(asset, ("100", str(books[asset]))) for asset in assets]
        return make_problem(*legs, side=Side.BUY, quantity=D(100), cash=D(10**6), float_cash=D(10**6))

    shared = plan_together([SharedOrder(1, "XY", asking("XY")), SharedOrder(2, "X", asking("X"))], {})
    assert shared.units == {1: D(10), 2: D(90)}
    assert "100 X and 10 Y on offer" in PAGE
    assert "get **10** and **90**" in PAGE
