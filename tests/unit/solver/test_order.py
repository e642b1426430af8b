"""Plans of one order, worked out by hand."""

from dataclasses import replace
from decimal import Decimal as D

import pytest
from tests.unit.solver.solver_cases import make_leg, make_problem, make_rule

from etf_trader.errors import DataError
from etf_trader.market.symbol import Side
from etf_trader.orders.plan import LossParts
from etf_trader.solver.order import float_needed, plan_order, smallest_quantity
from etf_trader.solver.problem import OrderProblem

TWO_LEVELS = (("100.10", "4"), ("100.20", "20"))
TWO_BIDS = (("99.90", "4"), ("99.80", "20"))


def worked_basket(side: Side, quantity: str, residuals: tuple[str, str] = ("0", "0")) -> OrderProblem:
    """The worked example: fees of 10 bps, arrival at 100 and 10, mids of 100.10 and 10.004."""
    books = {
        Side.BUY: ((("100.11", "1"), ("100.14", "5")), (("10.005", "30"), ("10.010", "100"))),
        Side.SELL: ((("100.09", "0.3"), ("100.06", "5")), (("10.003", "20"), ("10.001", "50"))),
    }
    first = make_leg(
        "A",
        *books[side][0],
        rule=make_rule("A", taker_fee=D("0.001")),
        per_unit=D("0.1234567"),
        mid=D("100.10"),
        residual=D(residuals[0]),
    )
    second = make_leg(
        "B",
        *books[side][1],
        rule=make_rule("B", tick=D("0.001"), step=D(1), min_quantity=D(1), taker_fee=D("0.001")),
        per_unit=D("3.7"),
        mid=D("10.004"),
        arrival_mid=D(10),
        residual=D(residuals[1]),
    )
    return make_problem(first, second, side=side, quantity=D(quantity), float_cash=D(20))


def test_the_worked_buy() -> None:
    plan = plan_order(worked_basket(Side.BUY, "10"))
    first, second = plan.legs
    assert (plan.units, plan.stopped_by, plan.method) == (D(10), ("filled",), "closed_form")
    assert (first.quantity, second.quantity) == (D("1.24"), D(38))
    assert (first.value, second.value) == (D("124.1436"), D("380.23"))
    assert (first.fee, second.fee) == (D("0.00124"), D("0.038"))
    assert (first.surplus, second.surplus) == (D("0.004193"), D("0.962"))
    assert (first.last_price, first.limit_price, first.touch) == (D("100.14"), D("100.15"), D("100.11"))
    assert first.loss == LossParts(D(".123876"), D(".0123876"), D(".0071928"), D(".1241436"), D("-.0004193"))
    assert second.loss == LossParts(D(".151848"), D(".037962"), D(".03996"), D(".38023"), D("-.003848"))
    assert plan.cash == D("494.3300327")
    assert plan.loss.total == D("0.8733327") == plan.cash - 10 * D("49.34567")
    assert plan.cost == D("504.3736")
    assert second.limit_price == D("10.011")


def test_the_worked_sell() -> None:
    plan = plan_order(worked_basket(Side.SELL, "3.3", residuals=("0.004193", "0.962")))
    first, second = plan.legs
    assert (plan.units, plan.stopped_by) == (D("3.3"), ("filled",))
    assert (first.quantity, second.quantity) == (D("0.41"), D(13))
    assert (first.surplus, second.surplus) == (D("-0.00259289"), D("-0.79"))
    assert (first.fee, second.fee) == (D("0.0410336"), D("0.130039"))
    assert (first.last_price, first.limit_price) == (D("100.06"), D("100.05"))
    assert plan.cash == D("162.738819111")
    assert plan.loss.total == D("0.101891889") == D("3.3") * D("49.34567") - plan.cash


@pytest.mark.parametrize(
    ("changes", "units", "stopped_by"),
    [
        pytest.param({}, "10", ("filled",), id="nothing binds"),
        pytest.param({"quantity": D(30)}, "24", ("depth(A)",), id="depth"),
        pytest.param({"limit": D("100.15")}, "4", ("limit",), id="limit between levels"),
        pytest.param({"limit": D("100.20")}, "10", ("filled",), id="limit equal to the last price"),
        pytest.param({"limit": D("100.09")}, "0", ("limit",), id="limit below the touch"),
        # 4 at 10 bps and y at 20 bps: 40 + 20 y <= 12 (4 + y)
        pytest.param({"max_loss_bps": D(12)}, "5", ("loss",), id="loss"),
        pytest.param({"max_loss_bps": D(9)}, "0", ("loss",), id="loss below the spread"),
        # 10 bps of 10 units done before, at 5 bps, leaves 50 + 12 z - ...: 40 + 20 y <= 12 (14 + y) - 50
        pytest.param(
            {"max_loss_bps": D(12), "units_done": D(10), "loss_done": D("0.5"), "quantity": D(20)},
            "13.75",
            ("loss",),
            id="loss over earlier batches",
        ),
        pytest.param({"cash": D("501")}, "5", ("cash",), id="cash pays every order at its last price"),
        pytest.param({"cash": D("501"), "cash_per_unit": D("0.05")}, "4.99", ("cash",), id="cash of the basket"),
        pytest.param(
            {"cash": D("100"), "limit": D("100.09")}, "0", ("limit",), id="the first stop is not the only check"
        ),
        pytest.param({"quantity": D(0)}, "0", ("filled",), id="nothing wanted"),
    ],
)
def test_a_buy_stops_where_its_limit_binds(changes: dict[str, D], units: str, stopped_by: tuple[str, ...]) -> None:
    plan = plan_order(make_problem(make_leg("A", *TWO_LEVELS), **changes))
    lot = D("0.02")  # within the lot that is paid before the next is needed
    assert D(units) - lot <= plan.units <= D(units) + lot
    assert plan.stopped_by == stopped_by


@pytest.mark.parametrize(
    ("changes", "units", "stopped_by"),
    [
        pytest.param({}, "10", ("filled",), id="nothing binds"),
        pytest.param({"quantity": D(30)}, "24", ("depth(A)",), id="depth"),
        pytest.param({"limit": D("99.85")}, "4", ("limit",), id="limit between levels"),
        pytest.param({"limit": D("99.80")}, "10", ("filled",), id="limit equal to the last price"),
        pytest.param({"max_loss_bps": D(12)}, "5", ("loss",), id="loss"),
        pytest.param({"cash": D(1)}, "10", ("filled",), id="a sell needs no cash"),
    ],
)
def test_a_sell_stops_where_its_limit_binds(
    changes: dict[str, D], units: str, stopped_by: tuple[str, ...]
) -> None:
    plan = plan_order(make_problem(make_leg("A", *TWO_BIDS), side=Side.SELL, **changes))
    assert D(units) - D("0.02") <= plan.units <= D(units) + D("0.02")
    assert plan.stopped_by == stopped_by


def test_all_assets_stop_together_and_the_thin_one_is_named() -> None:
    deep, thin = make_leg("DEEP", ("100.10", "500")), make_leg("THIN", ("100.10", "3"))
    plan = plan_order(make_problem(deep, thin))
    assert plan.units == 3
    assert [leg.quantity for leg in plan.legs] == [3, 3]
    assert plan.stopped_by == ("depth(THIN)",)


def test_the_end_of_a_window_is_not_the_end_of_the_book() -> None:
    legs = (make_leg("B", ("100.10", "3"), complete=False), make_leg("A", ("100.10", "3")))
    assert plan_order(make_problem(*legs)).stopped_by == ("depth(A)", "window(BUSDT)")


def test_an_empty_book_stops_the_order_before_anything_else() -> None:
    plan = plan_order(make_problem(make_leg("A", *TWO_LEVELS), make_leg("B", residual=D(1))))
    assert (plan.units, plan.cash, plan.stopped_by) == (D(0), D(0), ("depth(B)",))
    assert [leg.quantity for leg in plan.legs] == [0, 0]


def test_fees_are_part_of_the_marginal_price() -> None:
    leg = make_leg("A", ("99.90", "4"), ("100", "4"), rule=make_rule("A", taker_fee=D("0.5")))
    plan = plan_order(make_problem(leg, limit=D("199.8")))
    assert plan.marginal_price == D("199.8")
    assert (plan.units, plan.stopped_by) == (D(2), ("limit",))


def test_slack_goes_as_far_as_the_limit_in_order_of_symbol() -> None:
    legs = [make_leg(asset, ("100.10", "50")) for asset in ("B", "A")]
    plan = plan_order(make_problem(*legs, limit=D("200.21"), slack_ticks=3))
    assert [leg.limit_price for leg in plan.legs] == [D("100.10"), D("100.11")]
    free = plan_order(make_problem(*legs, slack_ticks=3))
    assert [leg.limit_price for leg in free.legs] == [D("100.13"), D("100.13")]


def test_slack_yields_to_cash() -> None:
    plan = plan_order(make_problem(make_leg("A", ("100.10", "50")), cash=D(1001)))
    assert (plan.units, plan.legs[0].limit_price) == (D(10), D("100.10"))


def test_slack_keeps_the_least_notional_of_a_sell_and_the_price_band() -> None:
    rule = make_rule("A", min_notional=D(10), min_quantity=D("0.01"))
    leg = make_leg("A", ("100.00", "50"), rule=rule, mid=D("100.01"), arrival_mid=D("100.01"))
    plan = plan_order(make_problem(leg, side=Side.SELL, quantity=D("0.1")))
    assert (plan.legs[0].quantity, plan.legs[0].limit_price) == (D("0.1"), D("100.00"))
    banded = make_leg("A", ("100.10", "50"), rule=make_rule("A", bid_band=(D("0.5"), D("1.001"))))
    assert plan_order(make_problem(banded)).legs[0].limit_price == D("100.10")


def test_the_residual_is_used_before_anything_is_bought() -> None:
    leg = make_leg("A", *TWO_LEVELS, residual=D("2.005"))
    plan = plan_order(make_problem(leg, quantity=D(4)))
    assert plan.legs[0].quantity == D("2.00")
    assert plan.legs[0].surplus == D("-2.00")
    assert plan.cash == 2 * D("100.10") + 2 * D(100)


def test_what_the_order_holds_is_used_first_and_not_paid_again() -> None:
    plan = plan_order(make_problem(make_leg("A", *TWO_LEVELS, held=D("1.5"), held_cost=D("150")), quantity=D(4)))
    assert plan.legs[0].quantity == D("2.5")
    assert plan.cash == D("250.25")


def test_what_the_order_holds_beyond_one_lot_stays_its_own() -> None:
    ample, short = make_leg("A", *TWO_LEVELS, held=D(9)), make_leg("B", ("100.10", "3"))
    plan = plan_order(make_problem(ample, short))
    assert (plan.units, plan.stopped_by) == (D(3), ("depth(B)",))
    assert plan.legs[0].surplus == D("0.01")


def test_a_least_order_is_bought_and_the_float_pays_the_rest() -> None:
    leg = make_leg("A", *TWO_LEVELS, rule=make_rule("A", min_notional=D(50)))
    problem = make_problem(leg, quantity=D("0.1"), float_cash=D(100))
    plan = plan_order(problem)
    assert (plan.units, plan.legs[0].quantity, plan.legs[0].surplus) == (D("0.1"), D("0.50"), D("0.40"))
    assert float_needed(problem) == 40
    assert plan_order(replace(problem, float_cash=D(40))).stopped_by == ("filled",)
    poor = replace(problem, float_cash=D("39"))
    assert plan_order(poor).units == 0
    assert plan_order(poor).stopped_by == ("float", "minimum")
    assert smallest_quantity(poor) == D("0.11")


def test_the_float_is_not_blamed_where_no_size_is_within_the_limit() -> None:
    leg = make_leg("A", *TWO_LEVELS, rule=make_rule("A", min_notional=D(50)))
    assert plan_order(make_problem(leg, limit=D(100), float_cash=D(1))).stopped_by == ("limit",)


def test_a_sell_below_the_least_order_goes_to_the_float() -> None:
    leg = make_leg("A", *TWO_BIDS, rule=make_rule("A", min_notional=D(50)))
    plan = plan_order(make_problem(leg, side=Side.SELL, quantity=D("0.4")))
    assert (plan.units, plan.legs[0].quantity, plan.legs[0].surplus) == (D("0.4"), D(0), D("0.4"))
    assert (plan.cash, plan.loss.total) == (D(40), D(0))


def test_no_size_works_without_float_when_lots_never_fit() -> None:
    leg = make_leg("A", ("100.10", "50"), rule=make_rule("A", taker_fee=D("0.001")), per_unit=D("0.30000007"))
    problem = make_problem(leg, float_cash=D(0))
    assert smallest_quantity(problem) is None
    assert plan_order(problem).stopped_by == ("float",)


def test_a_sell_completes_what_it_redeemed_before() -> None:
    left, done = make_leg("A", *TWO_BIDS, held=D(6)), make_leg("B", ("99.90", "50"))
    plan = plan_order(make_problem(left, done, side=Side.SELL, quantity=D(0)))
    assert (plan.units, plan.stopped_by) == (D(0), ("filled",))
    assert [leg.quantity for leg in plan.legs] == [6, 0]
    assert plan.cash == 4 * D("99.90") + 2 * D("99.80")


def test_a_sell_completes_as_much_as_the_book_takes() -> None:
    plan = plan_order(make_problem(make_leg("A", *TWO_BIDS, held=D(30)), side=Side.SELL, quantity=D(0)))
    assert (plan.legs[0].quantity, plan.stopped_by) == (D(24), ("depth(A)",))
    refused = make_problem(make_leg("A", *TWO_BIDS, held=D(30)), side=Side.SELL, quantity=D(0), limit=D("99.85"))
    assert plan_order(refused).stopped_by == ("limit", "depth(A)")
    assert plan_order(refused).legs[0].quantity == 0


def test_a_deep_book_is_read_only_as_far_as_the_plan_goes() -> None:
    good = make_leg("A", *TWO_LEVELS)
    tail = tuple(good.levels[1]._replace(price=D("NaN")) for _ in range(5))
    assert plan_order(make_problem(replace(good, levels=good.levels + tail), quantity=D(1))).units == 1


@pytest.mark.parametrize(
    "level", [("100.10", "1"), ("100.05", "1"), ("100.30", "0"), ("100.30", "NaN"), ("-1", "1"), ("Infinity", "1")]
)
def test_a_ladder_that_is_no_ladder_is_refused_by_name(level: tuple[str, str]) -> None:
    with pytest.raises(DataError, match="AUSDT"):
        plan_order(make_problem(make_leg("A", ("100.10", "4"), level)))


@pytest.mark.parametrize(
    "changes",
    [{"quantity": D("1e-9")}, {"quantity": D(-1)}, {"quantity": D("NaN")}, {"legs": ()}],
    ids=["off the grid", "negative", "not a number", "no legs"],
)
def test_a_malformed_problem_is_a_bug(changes: dict[str, D]) -> None:
    with pytest.raises(ValueError):
        plan_order(make_problem(make_leg("A", *TWO_LEVELS), **changes))
