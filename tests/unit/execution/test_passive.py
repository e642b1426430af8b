"""How much is quoted at once, how far leaders may run, and books without our own orders."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_trader.execution.look import without_own
from etf_trader.execution.pacing import Done, next_at, pace, quotes_until
from etf_trader.execution.passive import MOST_BEYOND, beyond, most_at_once, touch_moved
from etf_trader.market.book import Level, OrderBook
from etf_trader.market.symbol import Side
from etf_trader.money import money_context
from etf_trader.orders.asset_order import AssetOrder, Intent, OrderKind, Share, Slice
from etf_trader.orders.schedule import Algo
from etf_trader.orders.status import AssetOrderStatus
from etf_trader.orders.stored_schedule import AtEnd, StoredSchedule, TimeSlice

D = Decimal
START = datetime(2026, 1, 1, tzinfo=UTC)
PER_UNIT = {"A": D(1), "B": D(2)}
MIDS = {"A": D(100), "B": D(10)}

amounts = st.integers(1, 10**9).map(lambda each: D(each).scaleb(-4))
parts = st.integers(0, 10_000).map(lambda each: D(each).scaleb(-4))


def at(seconds: int) -> datetime:
    return START + timedelta(seconds=seconds)


def make_schedule(passive: str | None, algo: Algo = Algo.TWAP) -> StoredSchedule:
    slices = () if algo is Algo.POV else (TimeSlice(0, D(10)), TimeSlice(60, D(10)))
    share = D("0.1") if algo is Algo.POV else None
    return StoredSchedule(algo, 180, AtEnd.TAKE, 60, slices, share, D(1), None if passive is None else D(passive))


@pytest.mark.parametrize(
    ("passive", "now", "until"),
    [
        ("0.5", 0, 30),
        ("0.5", 29, 30),
        ("0.5", 30, None),
        ("0.5", 60, 120),  # the last slice lasts until the end
        ("0.5", 120, None),
        ("1", 59, 60),
        ("1", 179, 180),
        ("1", 180, None),
        ("0.01", 0, None),  # less than a second
        (None, 0, None),
    ],
)
def test_a_slice_is_quoted_for_its_share_of_the_time(passive: str | None, now: int, until: int | None) -> None:
    found = quotes_until(make_schedule(passive), START, at(now))
    assert found == (None if until is None else at(until))


def test_the_end_of_the_quoting_time_is_something_to_wake_for() -> None:
    schedule = make_schedule("0.5")
    assert [next_at(schedule, START, at(now)) for now in (0, 30, 60, 120)] == [at(30), at(60), at(120), at(180)]


def test_a_slice_of_pov_stays_due_until_all_of_its_batches_have_traded_it() -> None:
    schedule = make_schedule("0.5", Algo.POV)
    quoted = [Done(at(60), D(8), D(3)), Done(at(70), D(8), D(0))]
    due = pace(schedule, START, D(100), quoted, at(95))
    assert (due.due, due.quote_until) == (D(5), None)
    # What it left over comes on top of what the volume allows next.
    assert pace(schedule, START, D(100), quoted, at(120), D(4), D(4)).due == D(8)


@given(st.lists(st.tuples(amounts, amounts), min_size=2, max_size=6), amounts, st.data())
def test_whatever_fills_of_a_quote_no_more_than_a_twentieth_runs_ahead(
    legs: list[tuple[Decimal, Decimal]], quantity: Decimal, data: st.DataObject
) -> None:
    per_unit = {str(place): a for place, (a, _) in enumerate(legs)}
    mids = {str(place): mid for place, (_, mid) in enumerate(legs)}
    with money_context():
        units = most_at_once(quantity, per_unit, mids)
        left = {asset: units * a * data.draw(parts) for asset, a in per_unit.items()}
        nav = sum((a * mids[asset] for asset, a in per_unit.items()), D(0))
        assert beyond(left, per_unit, mids) <= MOST_BEYOND * quantity * nav


@pytest.mark.parametrize(
    ("left", "value"),
    [
        ({"A": D(10), "B": D(20)}, D(0)),
        ({"A": D(0), "B": D(20)}, D(1000)),
        ({"A": D(10), "B": D(0)}, D(200)),
        ({"A": D(5)}, D(100)),
        ({}, D(0)),
    ],
)
def test_what_runs_ahead_is_counted_from_the_slowest(left: dict[str, Decimal], value: Decimal) -> None:
    assert beyond(left, PER_UNIT, MIDS) == value


def make_book() -> OrderBook:
    bids = (Level(D(99), D(5)), Level(D(98), D(7)))
    asks = (Level(D(101), D(3)), Level(D(102), D(9)))
    return OrderBook("AUSDT", bids, asks, 1, START, complete=True)


def make_resting(side: Side, price: str, quantity: str, executed: str = "0", symbol: str = "AUSDT") -> AssetOrder:
    intent = Intent(
        client_order_id="etf-life-1-1",
        asset="A",
        symbol=symbol,
        side=side,
        quantity=D(quantity),
        price=D(price),
        arrival_mid=D(100),
        mid=D(100),
        touch=D(price),
        kind=OrderKind.POST_ONLY,
    )
    share = Share(1, 1, (Slice(D(quantity), D(price)),))
    seal = intent.seal(1, 1)
    status = AssetOrderStatus.OPEN
    return AssetOrder(
        1, 1, 1, intent, (share,), seal, status, 1, None, START, 1, D(executed), D(0), None, None, None
    )


@pytest.mark.parametrize(
    ("order", "bids", "asks"),
    [
        (make_resting(Side.BUY, "99", "4", "1"), [(99, 2), (98, 7)], [(101, 3), (102, 9)]),
        (make_resting(Side.BUY, "99", "5"), [(98, 7)], [(101, 3), (102, 9)]),
        (make_resting(Side.BUY, "99", "6"), [(98, 7)], [(101, 3), (102, 9)]),  # a fill of it is not known yet
        (make_resting(Side.SELL, "102", "9"), [(99, 5), (98, 7)], [(101, 3)]),
        (make_resting(Side.BUY, "97", "5"), [(99, 5), (98, 7)], [(101, 3), (102, 9)]),
        (make_resting(Side.BUY, "99", "5", symbol="BUSDT"), [(99, 5), (98, 7)], [(101, 3), (102, 9)]),
    ],
    ids=["in part", "alone", "more than is seen", "the other side", "another price", "another book"],
)
def test_our_own_orders_are_no_liquidity(
    order: AssetOrder, bids: list[tuple[int, int]], asks: list[tuple[int, int]]
) -> None:
    found = without_own({"AUSDT": make_book()}, [order])["AUSDT"]
    assert [(int(each.price), int(each.quantity)) for each in found.bids] == bids
    assert [(int(each.price), int(each.quantity)) for each in found.asks] == asks


@pytest.mark.parametrize(("price", "moved"), [("99", False), ("98", True), ("100", True)])
def test_a_quote_is_left_behind_when_others_stand_elsewhere(price: str, moved: bool) -> None:
    order = make_resting(Side.BUY, price, "1")
    assert touch_moved(order, make_book()) is moved
    nobody = OrderBook("AUSDT", (), make_book().asks, 1, START)
    assert not touch_moved(order, nobody)
