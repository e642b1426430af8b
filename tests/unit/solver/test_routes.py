"""Plans over several currencies, worked out by hand: one asset worth 100 and two currencies worth 1."""

import subprocess
import sys
from dataclasses import replace
from decimal import Decimal as D

import pytest
from tests.unit.solver.route_cases import levels, make_book, make_conversion, make_currency, make_route
from tests.unit.solver.solver_cases import make_leg, make_problem, make_rule

from etf_trader.market.symbol import Side
from etf_trader.orders.plan import LossParts
from etf_trader.solver.order import plan_order
from etf_trader.solver.problem import Leg
from etf_trader.solver.route_problem import Conversion, Currency, RoutePlan, RouteProblem
from etf_trader.solver.routes import plan_routes, route_savings

HOME = {
    Side.BUY: (("100.10", "5"), ("100.30", "20")),
    Side.SELL: (("99.90", "5"), ("99.70", "20")),
}
OTHER = {Side.BUY: ("100.05", "5"), Side.SELL: ("99.95", "5")}


def worked(side: Side = Side.BUY, balance: str = "0", **changes: object) -> RouteProblem:
    """Ten units of A: five at 100.10 and more at 100.30 for USDT, five at 100.05 for FDUSD at 1.0001 USDT."""
    order = make_problem(make_leg("A", *HOME[side]), side=side, slack_ticks=0)
    problem = RouteProblem(
        order=order,
        currencies=(make_currency("FDUSD", balance),),
        routes=(make_route("A", "FDUSD", OTHER[side]),),
        conversions=(make_conversion("FDUSD", "USDT", "0.9999 x 10000", "1.0001 x 10000"),),
    )
    return replace(problem, **changes)  # type: ignore[arg-type]


def sent(plan: RoutePlan) -> list[tuple[str, D]]:
    """What is sent, in order: (symbol, quantity), a sell's quantity negative."""
    legs = (*plan.conversions, *plan.legs) if plan.side is Side.BUY else (*plan.legs, *plan.conversions)
    return [(leg.symbol, leg.quantity * leg.side.sign) for leg in legs]


def amounts(plan: RoutePlan) -> dict[str, D]:
    """What the plan takes of each currency."""
    return {each.currency: each.quantity for each in plan.used}


def with_fee(problem: RouteProblem, fee: str) -> RouteProblem:
    """The same, with a fee on conversions."""
    book = problem.conversions[0]
    return replace(problem, conversions=(replace(book, rule=replace(book.rule, taker_fee=D(fee))),))


def test_a_cheaper_book_in_another_currency_is_bought_with_what_was_converted_for_it() -> None:
    plan = plan_routes(worked())
    # 5 x 100.05 = 500.25 FDUSD at 1.0001 are 500.300025 USDT, and 5 x 100.10 = 500.50
    assert sent(plan) == [("FDUSDUSDT", D("500.25")), ("AFDUSD", D(5)), ("AUSDT", D(5))]
    assert amounts(plan) == {"FDUSD": D(0), "USDT": D("1000.800025")}
    assert (plan.units, plan.cash, plan.cost, plan.stopped_by) == (D(10), D("1000.800025"), plan.cash, ("filled",))
    assert plan.single.cash == 5 * D("100.10") + 5 * D("100.30")
    assert plan.saved_bps == D("11.9998")  # 1.199975 of 1000
    assert (plan.method, plan.gap_bps) == ("merge", D(0))
    assert {each.node: each.price for each in plan.multipliers}["FDUSD"] == D("1.0001")


def test_a_sell_brings_home_what_it_receives_elsewhere() -> None:
    plan = plan_routes(worked(Side.SELL))
    # 5 x 99.95 = 499.75 FDUSD at 0.9999 are 499.700025 USDT, and 5 x 99.90 = 499.50
    assert sent(plan) == [("AFDUSD", D(-5)), ("AUSDT", D(-5)), ("FDUSDUSDT", D("-499.75"))]
    assert amounts(plan) == {"FDUSD": D(0), "USDT": D("-999.200025")}
    assert (plan.cash, plan.saved_bps) == (D("999.200025"), D("12.0002"))  # 998 on the home book


def test_loss_is_counted_at_the_arrival_mids_and_a_conversion_is_a_fill_like_any_other() -> None:
    arrived = replace(make_currency("FDUSD"), arrival_mid=D("0.9995"))
    plan = plan_routes(worked(currencies=(arrived,)))
    conversion, other, home = (*plan.conversions, *plan.legs)
    assert conversion.loss == LossParts(D("0.250125"), D("0.050025"), D(0), D(0), D(0))
    # 5 x 100 x 0.9995 is 0.25 below the arrival value: a gain of delay; 5 x 0.05 x 0.9995 of spread
    assert other.loss == LossParts(D("-0.25"), D("0.249875"), D(0), D(0), D(0))
    assert home.loss == LossParts(D(0), D("0.50"), D(0), D(0), D(0))
    assert plan.loss.total == D("0.800025") == plan.cash - 1000


def test_where_conversion_costs_more_than_it_gains_the_home_books_stay_and_the_plan_says_so() -> None:
    plan = plan_routes(with_fee(worked(), "0.003"))  # 100.05 x 1.0001 / 0.997 is above 100.30
    assert sent(plan) == [("AUSDT", D(10))]
    assert (plan.saved_bps, plan.cash) == (D(0), plan.single.cash)
    assert amounts(plan)["FDUSD"] == 0


def test_what_is_held_of_a_currency_is_spent_at_its_mid_without_a_conversion() -> None:
    plan = plan_routes(with_fee(worked(balance="600"), "0.003"))
    assert sent(plan) == [("AFDUSD", D(5)), ("AUSDT", D(5))]
    assert amounts(plan) == {"FDUSD": D("500.25"), "USDT": D("500.50")}
    assert plan.saved_bps == D("12.5")


def test_a_balance_that_is_too_small_is_used_and_the_rest_is_converted() -> None:
    plan = plan_routes(worked(balance="200"))
    assert sent(plan) == [("FDUSDUSDT", D("300.25")), ("AFDUSD", D(5)), ("AUSDT", D(5))]
    assert amounts(plan) == {"FDUSD": D(200), "USDT": D("500.50") + D("300.25") * D("1.0001")}


def test_a_balance_is_not_overdrawn_where_conversion_does_not_pay() -> None:
    plan = plan_routes(with_fee(worked(balance="200"), "0.003"))
    other, home = plan.legs
    assert (plan.conversions, other.symbol, home.symbol) == ((), "AFDUSD", "AUSDT")
    assert D("1.98") <= other.quantity <= D("1.99")  # 200 / 100.05
    assert other.quantity + home.quantity == 10
    assert amounts(plan)["FDUSD"] == other.value <= 200


def test_slack_in_an_orders_price_is_converted_too_and_stays_when_it_is_not_needed() -> None:
    problem = worked()
    plan = plan_routes(replace(problem, order=replace(problem.order, slack_ticks=1)))
    conversion, other, _ = (*plan.conversions, *plan.legs)
    assert (other.limit_price, conversion.quantity) == (D("100.06"), D("500.30"))
    assert amounts(plan)["FDUSD"] == D("-0.05")
    assert {each.currency: each.quantity for each in plan.reserved} == {
        "FDUSD": D(0),
        "USDT": D("500.30") * D("1.0002") + 5 * D("100.11"),
    }


def test_a_part_below_the_least_order_of_its_book_goes_to_the_other() -> None:
    rule = make_book("A", "FDUSD", min_notional=D(600))
    plan = plan_routes(worked(routes=(make_route("A", "FDUSD", OTHER[Side.BUY], rule=rule),)))
    assert sent(plan) == [("AUSDT", D(10))]


def test_a_conversion_is_at_least_the_venues_least_order_and_the_rest_stays() -> None:
    book = make_conversion("FDUSD", "USDT", "0.9999 x 10000", "1.0001 x 10000", min_quantity=D(700))
    plan = plan_routes(worked(conversions=(book,)))
    assert sent(plan)[0] == ("FDUSDUSDT", D(700))
    assert amounts(plan) == {"FDUSD": D("500.25") - 700, "USDT": 700 * D("1.0001") + D("500.50")}
    assert plan.cash == D("700.07") + D("500.50") - D("199.75")


def test_a_book_without_fee_takes_all_it_can() -> None:
    leg = make_leg("A", ("100.10", "50"), rule=make_rule("A", taker_fee=D("0.001")))
    order = make_problem(leg, slack_ticks=0)
    problem = worked(order=order, routes=(make_route("A", "FDUSD", ("100.10", "50")),))
    plan = plan_routes(problem)
    assert sent(plan) == [("FDUSDUSDT", D("1001.00")), ("AFDUSD", D(10))]
    # at home 10.02 x 100.10 less 0.00998 x 100 of surplus: 1002.004 against 1001 x 1.0001
    assert plan.saved_bps == D("9.0390")


def test_conversions_are_sent_from_the_home_currency_on() -> None:
    via = make_conversion("FDUSD", "USDC", "0.9999 x 10000", "1.0001 x 10000")
    first = make_conversion("USDC", "USDT", "0.9999 x 10000", "1.0001 x 10000")
    plan = plan_routes(
        worked(currencies=(make_currency("FDUSD"), make_currency("USDC")), conversions=(via, first))
    )
    # 500.25 FDUSD are 500.300025 USDC, in lots of a cent 500.31
    assert sent(plan)[:2] == [("USDCUSDT", D("500.31")), ("FDUSDUSDC", D("500.25"))]
    assert amounts(plan)["USDC"] == D("-0.009975")


def test_the_home_currency_may_be_the_base_of_a_conversion() -> None:
    lira = Currency("TRY", D(0), D("0.025"), D("0.025"))
    route = make_route("A", "TRY", ("4001", "5"), mid=D(4000))
    book = make_conversion("USDT", "TRY", "39.99 x 10000", "40.01 x 10000")
    plan = plan_routes(worked(currencies=(lira,), routes=(route,), conversions=(book,)))
    # 5 x 4001 = 20005 TRY at 39.99 are 500.25006... USDT, in lots of a cent 500.26
    assert sent(plan) == [("USDTTRY", D("-500.26")), ("ATRY", D(5)), ("AUSDT", D(5))]
    assert amounts(plan) == {"TRY": 20005 - D("500.26") * D("39.99"), "USDT": D("500.26") + D("500.50")}


def test_an_asset_without_a_home_book_is_bought_where_it_trades() -> None:
    order = make_problem(make_leg("A"), quantity=D(5), slack_ticks=0)
    plan = plan_routes(worked(order=order))
    assert (plan.single.units, plan.units) == (D(0), D(5))
    assert sent(plan) == [("FDUSDUSDT", D("500.25")), ("AFDUSD", D(5))]
    assert (plan.stopped_by, plan.saved_bps) == (("filled",), D(0))


@pytest.mark.parametrize(
    ("changes", "units", "stopped_by"),
    [
        pytest.param({"quantity": D(40)}, "30", ("depth(A)",), id="depth of both books"),
        pytest.param({"limit": D("100.07")}, "5", ("limit",), id="limit that only the other book keeps"),
        pytest.param({"limit": D("100.06")}, "0", ("limit",), id="conversion counts in the limit"),
        pytest.param(
            {"limit": D("100.10"), "quantity": D(12)}, "10", ("limit",), id="limit at the end of a level"
        ),
        pytest.param({"max_loss_bps": D("6.1")}, "5.1", ("loss",), id="loss"),
        pytest.param({"cash": D("500.31")}, "5", ("cash",), id="cash"),
    ],
)
def test_limits_hold_over_all_books(changes: dict[str, D], units: str, stopped_by: tuple[str, ...]) -> None:
    order = replace(worked().order, **changes)  # type: ignore[arg-type]
    plan = plan_routes(worked(order=order))
    assert abs(plan.units - D(units)) <= D("0.03")
    assert plan.stopped_by == stopped_by


def test_the_crumbs_of_cash_that_rounding_leaves_in_a_basket_are_no_reason_to_give_up() -> None:
    order = replace(worked().order, quantity=D(40), cash_per_unit=D("0.000000087891"))
    plan = plan_routes(worked(order=order))
    assert (plan.method, plan.stopped_by) == ("linprog", ("depth(A)",))
    assert abs(plan.units - D(30)) <= D("0.03")


def test_the_window_of_a_book_is_not_its_end() -> None:
    problem = worked(order=replace(worked().order, quantity=D(40)))
    route = replace(problem.routes[0], complete=False)
    assert plan_routes(replace(problem, routes=(route,))).stopped_by == ("window(AFDUSD)",)


def test_an_order_larger_than_the_venues_largest_counts_as_several() -> None:
    problem = worked()
    rule = replace(problem.order.legs[0].rule, max_quantity=D(2))
    legs: tuple[Leg, ...] = (replace(problem.order.legs[0], rule=rule),)
    plan = plan_routes(replace(problem, order=replace(problem.order, legs=legs)))
    assert [leg.orders for leg in plan.legs] == [1, 3]
    assert plan.orders == 5


def test_one_currency_is_the_plan_of_one_order() -> None:
    problem = worked(currencies=(), routes=(), conversions=())
    plan = plan_routes(problem)
    assert plan.single == plan_order(problem.order)
    assert (plan.cash, plan.method, plan.saved_bps) == (plan.single.cash, "closed_form", D(0))


def test_savings_name_each_currency_and_all_together() -> None:
    usdc = make_route("A", "USDC", ("100.12", "5"))
    book = make_conversion("USDC", "USDT", "0.9999 x 10000", "1.0001 x 10000")
    base = worked()
    rows = route_savings(
        replace(
            base,
            currencies=(*base.currencies, make_currency("USDC")),
            routes=(*base.routes, usdc),
            conversions=(*base.conversions, book),
        )
    )
    assert [(row.currencies, row.saved_bps) for row in rows] == [
        (("USDT",), D(0)),
        (("USDT", "FDUSD"), D("11.9998")),
        (("USDT", "USDC"), D("8.4994")),  # 5 x 100.12 x 1.0001 = 500.65006 instead of 501.50
        (("USDT", "FDUSD", "USDC"), D("11.9998")),
    ]
    assert [row.orders for row in rows] == [1, 3, 3, 3]
    assert rows[0].loss_bps == 20


@pytest.mark.parametrize(
    "changes",
    [
        {"currencies": ()},
        {"currencies": (make_currency("FDUSD"), make_currency("FDUSD"))},
        {"currencies": (make_currency("FDUSD", "-1"),)},
        {"currencies": (make_currency("FDUSD"), make_currency("A", "5"))},
        {"routes": (make_route("B", "FDUSD", ("100", "1")),)},
        {"routes": (make_route("A", "FDUSD", ("100.05", "5")), make_route("A", "FDUSD", ("100.05", "5")))},
        {"routes": (make_route("A", "FDUSD", ("100.05", "5"), rule=make_book("A", "FDUSD", taker_fee=D(1))),)},
    ],
    ids=["no such currency", "twice", "a debt", "a held asset", "no such asset", "a book twice", "all is fee"],
)
def test_a_malformed_problem_is_a_bug(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        plan_routes(replace(worked(), **changes))  # type: ignore[arg-type]


def test_conversion_levels_are_read_as_far_as_they_are_needed() -> None:
    book = worked().conversions[0]
    dearer = replace(book, asks=levels(("1.0001", "300"), ("1.0004", "10000")))
    plan = plan_routes(worked(conversions=(dearer,)))
    # the dearer part still pays: 100.05 x 1.0004 = 100.09 is below 100.10
    assert sent(plan)[0] == ("FDUSDUSDT", D("500.25"))
    assert plan.conversions[0].value == 300 * D("1.0001") + D("200.25") * D("1.0004")
    too_dear: Conversion = replace(book, asks=levels(("1.0001", "300"), ("1.01", "10000")))
    plan = plan_routes(worked(conversions=(too_dear,)))
    assert D("299") <= plan.conversions[0].quantity <= 300
    assert plan.method == "linprog"


def crossed(side: Side) -> RouteProblem:
    """A hundred units of 0.01 BTC and 0.1 ETH: ETH is scarce in USDT and ample in BTC, a constituent itself."""
    sign = side.sign
    far = "3030" if sign > 0 else "2970"
    btc = make_leg("BTC", (str(60000 + 6 * sign), "5"), per_unit=D("0.01"), mid=D(60000), arrival_mid=D(60000))
    eth = make_leg(
        "ETH", (str(3000 + 3 * sign), "1"), (far, "100"), per_unit=D("0.1"), mid=D(3000), arrival_mid=D(3000)
    )
    rule = make_book("ETH", "BTC", tick=D("0.00001"), min_price=D("0.00001"))
    cross = make_route("ETH", "BTC", ("0.05001" if sign > 0 else "0.04999", "100"), rule=rule, mid=D("0.05"))
    order = make_problem(btc, eth, side=side, quantity=D(100), float_cash=D(10000), slack_ticks=0)
    return RouteProblem(order, (Currency("BTC", D(0), D(60000), D(60000)),), (cross,))


def test_a_constituent_may_be_the_currency_of_another() -> None:
    plan = plan_routes(crossed(Side.BUY))
    # 10 ETH at 0.05001 take 0.5001 BTC beside the one that is wanted; a lot of 0.01 leaves 0.0099 to the float
    assert sent(plan) == [("BTCUSDT", D("1.51")), ("ETHBTC", D(10))]
    assert plan.cost == D("1.51") * 60006
    assert plan.cash == plan.cost - D("0.0099") * 60000
    assert [(each.asset, each.quantity) for each in plan.surplus] == [("BTC", D("0.0099")), ("ETH", D(0))]
    assert plan.loss.total == plan.cash - 100 * D(900)
    assert [leg.loss.spread for leg in plan.legs] == [D("9.06"), 10 * D("0.00001") * 60000]
    assert {each.node: each.price for each in plan.multipliers}["ETH"] == D("0.05001") * 60006


def test_what_such_a_sell_receives_is_sold_with_the_constituent() -> None:
    plan = plan_routes(crossed(Side.SELL))
    # 10 ETH at 0.04999 bring 0.4999 BTC: 1.4999 in lots of 0.01 are 1.49, one lot at most goes to the float
    assert sent(plan) == [("ETHBTC", D(-10)), ("BTCUSDT", D("-1.49"))]
    assert plan.cost == D("1.49") * 59994
    assert [(each.asset, each.quantity) for each in plan.surplus] == [("BTC", D("0.0099")), ("ETH", D(0))]


def test_while_conversion_is_flat_no_linear_program_is_imported() -> None:
    script = (
        "import sys; from tests.unit.solver.test_routes import worked;"
        "from etf_trader.solver.routes import plan_routes;"
        "assert plan_routes(worked()).method == 'merge'; assert 'scipy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
