"""Orders that share asset orders, meet inside and share a float, when something goes wrong on the way."""

import json
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import pytest
from tests.factories import House, make_definition, make_house, make_ladders, make_market, make_request
from tests.integration.test_faults import FAULTS, FaultyVenue
from tests.integration.test_moving_books import set_book
from tests.integration.test_together import assert_sound
from tests.invariants import limit_findings, standing_findings

from etf_trader.errors import OrderRejected, VenueError
from etf_trader.execution.queue import Queue
from etf_trader.ledger.fill import INTERNAL
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO
from etf_trader.orders.index_order import IndexOrder
from etf_trader.orders.store import list_asset_orders, plans_beside, plans_of
from etf_trader.reports.fills import FillLine, fills_report
from etf_trader.venue.interface import LimitOrder

D = Decimal


async def faulty_house(folder: Path, **changes: object) -> tuple[House, FaultyVenue]:
    """A house with an index of one A and two B, another of five B, and 20 units of the first."""
    market = make_market(
        {"A": make_ladders(D(100), D("0.01"), D(50)), "B": make_ladders(D(10), D("0.01"), D(500))},
        rules={"B": {"step": "1", "min_quantity": "1"}},
    )
    house = make_house(folder, market, venue_type=FaultyVenue)
    await house.create(make_definition(**changes))
    await house.create(make_definition(symbol="ONE", basket={"B": D(5)}))
    await house.buy(20)
    assert isinstance(house.venue, FaultyVenue)
    return house, house.venue


async def three_orders(house: House, **changes: object) -> list[IndexOrder]:
    """Accept two buys that share B and a sell that meets both."""
    requests = [
        make_request(Side.BUY, quantity=D(31), **changes),
        make_request(Side.BUY, index_id=2, quantity=D(12), **changes),
        make_request(Side.SELL, quantity=D("7.7"), **changes),
    ]
    return [await house.desk.accept(request) for request in requests]


def ends(house: House, orders: list[IndexOrder]) -> list[str]:
    return [str(house.order(each.id).status) for each in orders]


@pytest.mark.parametrize(
    "name", ["no order ever arrived", "both answers were lost", "everything in turn", "trades come late"]
)
async def test_every_fault_of_shared_orders_ends_with_each_order_filled(tmp_path: Path, name: str) -> None:
    house, venue = await faulty_house(tmp_path)
    faults: dict[str, list[Exception | str]] = FAULTS[name]  # type: ignore[assignment]
    venue.faults.update({method: list(each) for method, each in faults.items()})
    orders = await three_orders(house)
    await house.manager.run([each.id for each in orders])
    assert ends(house, orders) == ["filled", "filled", "filled"]
    assert not any(venue.faults.values())
    assert_sound(house)


async def test_a_refused_shared_order_is_sent_again_and_ends_only_whom_it_stops(tmp_path: Path) -> None:
    house, venue = await faulty_house(tmp_path)
    venue.refused = {"AUSDT"}
    orders = await three_orders(house)
    await house.manager.run([each.id for each in orders])
    first, second, third = (house.order(each.id) for each in orders)
    # What the sell has of A met the first buy inside; the second holds none.
    assert (first.status, first.stopped_by) == ("ended", ("rejected(A)",))
    assert (second.status, third.status) == ("filled", "filled")
    assert D("7.6") < first.filled < D("7.8")
    assert_sound(house)


async def test_everything_refused_ends_all_orders_and_leaves_what_met_inside(tmp_path: Path) -> None:
    house, venue = await faulty_house(tmp_path)
    refusal = OrderRejected("Market is closed.", venue_code=-2010, symbol="AUSDT")
    venue.faults["place"] = [refusal] * 100
    orders = await three_orders(house)
    await house.manager.run([each.id for each in orders])
    assert venue.calls["place"] < 60
    assert all(each != "open" for each in ends(house, orders))
    assert_sound(house)


async def limited_and_free(folder: Path) -> tuple[House, list[IndexOrder]]:
    """A buy of 60 that its limit stops after two levels of 100 each, beside one of 300 that goes on.

    The limit is reached at 200 of 360: 33.33 and 166.67 share the two levels, then the second takes 133.33 alone.
    """
    market = make_market({"B": make_ladders(D(10), D("0.01"), D(100), levels=9)}, taker="0")
    house = make_house(folder, market)
    await house.create(make_definition(basket={"B": D(1)}))
    requests = [
        make_request(quantity=D(60), limit_price=D("10.02")),
        make_request(quantity=D(300), limit_price=D("10.06"), time_in_force="gtc"),
    ]
    return house, [await house.desk.accept(request) for request in requests]


async def test_orders_with_different_limits_share_every_level_as_planned(tmp_path: Path) -> None:
    house, orders = await limited_and_free(tmp_path)
    await house.manager.run([each.id for each in orders])
    assert [house.order(each.id).filled for each in orders] == [D("33.33333333"), D(300)]
    # Half of the first is paid 10.01, half 10.02: the tight limit is no reason for better prices.
    assert abs(house.cash(orders[0].id) - D("33.33333333") * D("10.015")) < D("0.0001")
    with house.database.read() as connection:
        planned = [json.loads(plans_of(connection, each.id)[0].document)["cash"] for each in orders]
    for order, cash in zip(orders, planned, strict=True):
        assert abs(house.cash(order.id) - D(cash)) < D("0.0001")
    assert_sound(house)


@pytest.mark.parametrize(
    ("levels", "first", "second"),
    [
        # 30 of the 133.33 after the limit are there: the second alone goes short
        ([("10.01", "100"), ("10.02", "100"), ("10.03", "30")], "33.33333333", "196.66666667"),
        # 150 of the 200 that both share: each gets three quarters, and nothing is left for another try
        ([("10.01", "100"), ("10.02", "50")], "25", "125"),
    ],
    ids=["after the limit", "before it"],
)
async def test_a_shortfall_comes_off_the_last_phase_and_is_shared_within_one(
    tmp_path: Path, levels: list[tuple[str, str]], first: str, second: str
) -> None:
    house, orders = await limited_and_free(tmp_path)

    def shrink(_: LimitOrder) -> None:
        house.venue.before_place = None
        set_book(house, "B", [("9.99", "100")], [*levels, ("10.07", "900")])

    house.venue.before_place = shrink
    await house.manager.run([each.id for each in orders])
    filled = [house.order(each.id).filled for each in orders]
    assert all(abs(got - D(text)) < D("0.01") for got, text in zip(filled, (first, second), strict=True)), filled
    assert sum(filled) == sum(D(quantity) for _, quantity in levels)
    with house.database.read() as connection:
        assert limit_findings(connection) == []
    assert_sound(house)


async def test_parts_of_shared_orders_add_up_and_none_pays_beyond_its_limit(tmp_path: Path) -> None:
    house, _ = await faulty_house(tmp_path)
    orders = [
        await house.desk.accept(
            make_request(Side.BUY, quantity=D(90), limit_price=D("120.17"), time_in_force="gtc")
        ),
        await house.desk.accept(make_request(Side.BUY, quantity=D("44.4"))),
        await house.desk.accept(make_request(Side.BUY, index_id=2, quantity=D(77), max_loss_bps=D(30))),
    ]
    depth = iter(["20", "3", "400", "400"])

    def move(order: LimitOrder) -> None:
        if (quantity := next(depth, None)) is not None:
            asset = order.symbol.removesuffix("USDT")
            set_book(house, asset, *make_ladders(D(100) if asset == "A" else D(10), D("0.01"), D(quantity)))

    house.venue.before_place = move
    await house.manager.run([each.id for each in orders])
    with house.database.read() as connection:
        assert limit_findings(connection) == []
    _assert_reports_add_up(house)
    assert_sound(house)


def _assert_reports_add_up(house: House) -> None:
    """Check every order's report, and the parts of every shared asset order against the venue's trades."""
    with house.database.read() as connection:
        sent = list_asset_orders(connection)
        numbers = sorted({share.index_order_id for order in sent for share in order.shares})
        lines: list[FillLine] = []
        for number in numbers:
            order = house.order(number)
            (line,) = (report := fills_report(connection, order.position_id, None, number)).orders
            sign = order.side.sign
            assert line.loss == sign * (line.cash - line.arrival_value) - line.held_value, number
            assert line.loss == sum((each.loss for each in line.constituents), ZERO)
            lines += report.fills
    trades = {(each.symbol, each.trade_id): each for each in house.exchange.trades("paper")}
    parts: dict[tuple[str, int], list[Decimal]] = defaultdict(lambda: [ZERO, ZERO, ZERO])
    for each in lines:
        if each.venue == INTERNAL:
            continue
        for place, amount in enumerate((each.quantity, each.value, each.fee)):
            parts[each.symbol, each.trade_id][place] += amount
    assert parts == {key: [each.quantity, each.quote_quantity, each.commission] for key, each in trades.items()}


async def test_two_buys_of_one_index_share_a_float_that_is_never_overdrawn(tmp_path: Path) -> None:
    # A lot of B is 10: each buy's rounding up may cost the float up to 10 B, 100 USDT.
    market = make_market(
        {"A": make_ladders(D(100), D("0.01"), D(500)), "B": make_ladders(D(10), D("0.01"), D(500))},
        rules={"B": {"step": "10", "min_quantity": "10"}},
    )
    house = make_house(tmp_path, market)
    await house.create(make_definition(float_cash=D(130)))
    seen: list[str] = []
    house.database.watch = lambda connection: seen.extend(standing_findings(connection))
    texts = ["10.1", "7.3"]
    orders = [await house.desk.accept(make_request(Side.BUY, quantity=D(text))) for text in texts]
    await house.manager.run([each.id for each in orders])
    assert ends(house, orders) == ["filled", "filled"]
    assert seen == []
    assert house.holdings("float:1")["USDT"] >= 0
    assert_sound(house)


async def test_what_a_sell_has_left_over_meets_a_buy_though_no_unit_of_it_can_trade(tmp_path: Path) -> None:
    house, _ = await faulty_house(tmp_path)

    def shrink(_: LimitOrder) -> None:
        house.venue.before_place = None
        set_book(house, "A", *make_ladders(D(100), D("0.01"), D(1)))
        set_book(house, "B", [("9.99", "1")], [("10.01", "500")])

    house.venue.before_place = shrink
    sell = await house.desk.accept(make_request(Side.SELL, quantity=D(10), time_in_force="gtc"))
    house.manager.stop_when(lambda: len(house.exchange.orders("paper")) > 3)
    await house.manager.run([sell.id])
    assert house.holdings(f"order:{sell.id}")["B"] > 0
    house.manager.stop_when(lambda: False)
    # Nobody bids for A within the venue's price band; the sell still holds B.
    set_book(house, "A", [("1", "50")], [("100.01", "50")])
    set_book(house, "B", *make_ladders(D(10), D("0.01"), D(500)))
    buy = await house.desk.accept(make_request(Side.BUY, index_id=2, quantity=D(10)))
    await house.manager.run([buy.id])
    assert house.order(buy.id).status == "filled"
    assert "B" not in house.holdings(f"order:{sell.id}")
    assert_sound(house)


async def test_an_order_that_ends_first_leaves_the_float_as_the_next_one_sees_it(tmp_path: Path) -> None:
    house, _ = await faulty_house(tmp_path)
    short = await house.desk.accept(make_request(Side.BUY, quantity=D(9), limit_price=D(1), time_in_force="30m"))
    house.exchange.advance(3600)
    sell = await house.desk.accept(make_request(Side.SELL, quantity=D("3.3")))
    await house.manager.run([sell.id])
    assert ends(house, [short, sell]) == ["ended", "filled"]
    assert_sound(house)


async def test_plans_of_two_batches_on_the_same_books_at_the_same_moment_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, _ = await faulty_house(tmp_path)
    orders = await three_orders(house)

    async def stopped(*_: object, **__: object) -> None:
        raise VenueError("the leader stops between writing and sending")

    with monkeypatch.context() as patch, pytest.raises(VenueError):
        patch.setattr(Queue, "run", stopped)
        await house.manager.run([each.id for each in orders])
    await house.manager.run([each.id for each in orders])
    with house.database.read() as connection:
        first, second = plans_of(connection, orders[0].id)
        assert first.created_at == second.created_at
        assert [len(plans_beside(connection, each)) for each in (first, second)] == [3, 2]
    assert ends(house, orders) == ["filled", "filled", "filled"]
    assert_sound(house)
