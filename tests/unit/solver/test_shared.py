"""Several index orders on shared books: worked cases summed by hand."""

from dataclasses import replace
from decimal import Decimal as D

import pytest
from tests.unit.solver.shared_cases import check
from tests.unit.solver.solver_cases import make_leg, make_problem, make_rule

from etf_trader.market.symbol import Side
from etf_trader.solver.outcomes import outcomes
from etf_trader.solver.problem import Leg, OrderProblem
from etf_trader.solver.shared import plan_together
from etf_trader.solver.shares import SharedOrder, SharedPlan, Slice, Touch

FRESH = {asset: Touch(D("99.9"), D("100.1"), True) for asset in ("A", "X", "Y")}


def buy(*legs: Leg, **changes: object) -> OrderProblem:
    return make_problem(*legs, **({"quantity": D(100)} | changes))


def asks(**changes: object) -> Leg:
    """10 at 100, 20 at 101 and 100 at 102, around a mid of 99.5."""
    return make_leg("A", ("100", "10"), ("101", "20"), ("102", "100"), **({"mid": D("99.5")} | changes))


def bids(**changes: object) -> Leg:
    """10 at 99 and 20 at 98, around a mid of 99.5."""
    return make_leg("A", ("99", "10"), ("98", "20"), **({"mid": D("99.5")} | changes))


def solve(*problems: OrderProblem, touches: dict[str, Touch] = FRESH, one_index: bool = False) -> SharedPlan:
    orders = [
        SharedOrder(key, "I" if one_index else f"I{key}", problem) for key, problem in enumerate(problems, 1)
    ]
    shared = plan_together(orders, touches)
    check(orders, touches, shared)
    return shared


def test_a_scarce_asset_stops_only_the_orders_that_hold_it() -> None:
    x, y = make_leg("X", ("100", "100")), make_leg("Y", ("100", "10"))
    shared = solve(buy(x, y), buy(x))
    assert shared.units == {1: D(10), 2: D(90)}
    assert shared.stopped_by == {1: ("depth(Y)",), 2: ("depth(X)",)}
    assert [(sent.symbol, sent.quantity) for sent in shared.asset_orders] == [("XUSDT", D(100)), ("YUSDT", D(10))]


def test_until_the_first_freezes_all_share_every_level_and_later_levels_are_the_others_alone() -> None:
    # all three share the 10 at 100; the second and third the 20 at 101; the third takes 86.67 at 102
    shared = solve(buy(asks(), limit=D(100)), buy(asks(), limit=D(101)), buy(asks()))
    assert shared.units == {1: D("3.33333333"), 2: D("13.33333333"), 3: D(100)}
    assert shared.stopped_by == {1: ("limit",), 2: ("limit",), 3: ("filled",)}
    costs = [column.plan.cost for column in shared.columns]
    assert costs[0] == D("333.333333")
    assert abs(costs[1] - (D("333.333333") + 101 * 10)) < D("1e-6")  # a part of a level is whole quanta
    assert sum(costs) == 10 * 100 + 20 * 101 + D("86.67") * 102


def test_what_an_order_that_stops_early_shares_is_sent_first_and_at_its_own_price() -> None:
    (sent,) = solve(buy(asks(), limit=D(100)), buy(asks())).asset_orders
    # the tight order needs 5, the other 5 + 20 + 75, at 102 and one tick of slack
    assert sent.slices == (Slice(D(10), D(100)), Slice(D(95), D("102.01")))
    assert [(share.worst_price, share.phases) for share in sent.shares] == [
        (D(100), (D(5), D(0))),
        (D("102.01"), (D(5), D(95))),
    ]


def test_without_limits_of_their_own_all_go_in_one_order_at_one_price() -> None:
    x, y = make_leg("X", ("100", "50"), ("101", "50")), make_leg("Y", ("100", "10"))
    sent = solve(buy(x, y), buy(x)).asset_orders[0]
    assert sent.slices == (Slice(D(100), D("101.01")),)
    assert [(share.last_price, share.worst_price) for share in sent.shares] == [
        (D(100), D("101.01")),
        (D(101), D("101.01")),
    ]


def test_an_equal_buy_and_sell_send_nothing_and_meet_at_mid() -> None:
    shared = solve(buy(asks()), buy(bids(), side=Side.SELL))
    assert shared.asset_orders == ()
    assert [(cross.buyer, cross.seller, cross.quantity, cross.mid) for cross in shared.crosses] == [
        (1, 2, D(100), D("99.5"))
    ]
    assert [column.plan.cash for column in shared.columns] == [D(9950), D(9950)]
    assert [column.plan.loss.total for column in shared.columns] == [D(-50), D(50)]  # arrival was 100: delay alone


def test_only_the_net_of_both_sides_is_sent_and_what_meets_is_the_best_level() -> None:
    # the seller's 100 meet the first half of both buyers; 5 each are left at 100, then the limit ends
    shared = solve(buy(asks(), limit=D(100)), buy(asks()), buy(bids(), side=Side.SELL))
    assert abs(shared.units[1] - 55) < D("1e-6")
    assert (shared.units[2], shared.units[3]) == (D(100), D(100))
    (sent,) = shared.asset_orders
    assert (sent.side, sent.quantity) == (Side.BUY, D(55))


def test_a_seller_makes_room_for_a_buyer_on_a_short_book() -> None:
    # 10 on the book and 50 from the seller, who goes on when the book has ended: the buyer gets 60
    short = make_leg("A", ("100", "10"), mid=D("99.5"))
    shared = solve(buy(short), buy(bids(), side=Side.SELL, quantity=D(50)))
    assert abs(shared.units[1] - 60) < D("1e-6")
    assert shared.units[2] == D(50)
    assert shared.stopped_by[1] == ("depth(A)",)


@pytest.mark.parametrize(
    "touch",
    [
        Touch(D("99.9"), D("100.1"), False),
        Touch(D("99.7"), D("100.3"), True),  # 60 bps
        None,
    ],
    ids=["stale", "wide", "unknown"],
)
def test_where_wishes_may_not_meet_neither_side_trades(touch: Touch | None) -> None:
    touches = {} if touch is None else {"A": touch}
    shared = solve(buy(asks()), buy(bids(), side=Side.SELL), touches=touches)
    assert shared.units == {1: D(0), 2: D(0)}
    assert shared.stopped_by == {1: ("cross(A)",), 2: ("cross(A)",)}
    assert (shared.asset_orders, shared.crosses) == ((), ())


def test_a_spread_of_fifty_bps_is_narrow_enough() -> None:
    shared = solve(buy(asks()), buy(bids(), side=Side.SELL), touches={"A": Touch(D("99.75"), D("100.25"), True)})
    assert len(shared.crosses) == 1


def test_only_orders_that_hold_the_asset_wait() -> None:
    x = make_leg("X", ("100", "500"))
    sold = make_leg("X", ("99", "500"), mid=D(100))
    shared = solve(
        buy(asks(), x), buy(bids(), side=Side.SELL), buy(sold, side=Side.SELL), touches={"X": FRESH["X"]}
    )
    assert shared.stopped_by == {1: ("cross(A)",), 2: ("cross(A)",), 3: ("filled",)}


def test_an_order_that_its_own_limit_keeps_out_is_in_nobodys_way() -> None:
    shared = solve(buy(asks(), limit=D(90)), buy(bids(), side=Side.SELL, quantity=D(30)), touches={})
    assert shared.stopped_by == {1: ("limit",), 2: ("filled",)}


def test_limits_between_mid_and_touch_meet_inside_and_nowhere_else() -> None:
    # the buyer's limit is below every ask, the seller's above every bid
    shared = solve(buy(asks(), limit=D("99.6")), buy(bids(), side=Side.SELL, quantity=D(40), limit=D("99.4")))
    assert abs(shared.units[1] - 40) < D("1e-6")
    assert shared.stopped_by == {1: ("limit",), 2: ("filled",)}
    assert shared.asset_orders == ()


def test_opposite_orders_that_could_only_trade_inside_but_in_other_proportions_do_not_trade() -> None:
    # each takes from the other what the other's limit then forbids: fractions fall for ever, unless that is seen
    def leg(asset: str, side: Side, per_unit: str) -> Leg:
        return make_leg(asset, (str(100 + side.sign), "500"), per_unit=D(per_unit))

    buyer = buy(leg("X", Side.BUY, "1"), leg("Y", Side.BUY, "1"), limit=D(200))
    seller = buy(leg("X", Side.SELL, "2"), leg("Y", Side.SELL, "1"), side=Side.SELL, quantity=D(50), limit=D(300))
    shared = solve(buyer, seller)
    assert shared.stopped_by == {1: ("limit",), 2: ("limit",)}
    assert all(units < D("1e-6") for units in shared.units.values())


def test_a_residual_of_the_float_is_not_in_the_way_of_those_who_meet_inside() -> None:
    shared = solve(
        buy(asks(), limit=D("99.5"), quantity=D(10)),
        buy(bids(residual=D("0.5")), side=Side.SELL, limit=D("99.5"), quantity=D(10)),
    )
    assert shared.stopped_by == {1: ("filled",), 2: ("filled",)}
    assert shared.asset_orders == ()


def test_a_share_below_the_least_order_that_needs_a_price_of_its_own_waits() -> None:
    # the first level is too small for a least order at the tight limit, so that the other is not held up by it
    rule = make_rule("A", min_notional=D(5000))
    book = asks(rule=rule)
    shared = solve(buy(book, limit=D(100), quantity=D(50)), buy(book, quantity=D(70)))
    assert shared.stopped_by == {1: ("minimum",), 2: ("filled",)}
    assert shared.asset_orders[0].quantity == D(70)


def test_orders_of_one_index_are_one_column_and_its_parts_add_up() -> None:
    problems = [buy(asks(), quantity=D(text)) for text in ("10.3", "7.77777777", "0.00000001")]
    shared = solve(*problems, one_index=True)
    (column,) = shared.columns
    (sent,) = shared.asset_orders
    found = outcomes(shared)
    assert [member.units for member in column.members] == [D("10.3"), D("7.77777777"), D("1e-8")]
    assert sent.quantity == D("18.08")
    assert sum(got.plan.legs[0].quantity for got in found.values()) == D("18.08")
    assert sum(got.plan.cash for got in found.values()) == column.plan.cash
    assert all(got.plan.legs[0].surplus >= 0 for got in found.values())


def test_an_order_of_a_column_that_is_short_of_cash_stops_alone() -> None:
    rich, poor = buy(asks(), quantity=D(10), cash=D(2000)), buy(asks(), quantity=D(10), cash=D(101))
    shared = solve(rich, rich, poor, one_index=True)
    assert [shared.units[key] for key in (1, 2)] == [D(10), D(10)]
    assert shared.units[3] == D("1.01")  # at 100: all three together have not used up the first level by then
    assert shared.stopped_by[3] == ("cash",)


def test_the_residual_of_one_float_is_used_once() -> None:
    leg = asks(residual=D(2), rule=make_rule("A", step=D(1), min_quantity=D(1)))
    shared = solve(buy(leg, quantity=D(5)), buy(leg, quantity=D(5), limit=D(200)), one_index=True)
    assert shared.asset_orders[0].quantity == D(8)


def test_what_the_float_cannot_pay_for_shrinks_the_order() -> None:
    coarse = asks(rule=make_rule("A", step=D(10), min_quantity=D(10)))
    poor = buy(coarse, quantity=D("14"), float_cash=D(1))
    shared = solve(poor, replace(poor, limit=D(200)), one_index=True)
    assert shared.asset_orders[0].quantity % 10 == 0
    assert any("float" in names for names in shared.stopped_by.values())


def test_two_stories_about_one_book_are_refused() -> None:
    orders = [SharedOrder(1, "I", buy(asks())), SharedOrder(2, "J", buy(asks(mid=D(99))))]
    with pytest.raises(ValueError, match="A: two orders tell its book differently"):
        plan_together(orders, {})


def test_two_orders_with_one_key_are_refused() -> None:
    with pytest.raises(ValueError, match="same key"):
        plan_together([SharedOrder(1, "I", buy(asks()))] * 2, {})


def test_nothing_asked_is_nothing_done() -> None:
    assert plan_together([], {}) == SharedPlan((), (), ())
