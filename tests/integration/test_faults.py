"""A venue that fails, forgets, delays and refuses: every order ends right and every trade is booked once."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from tests.factories import (
    HookedVenue,
    House,
    make_definition,
    make_house,
    make_ladders,
    make_market,
    make_request,
)
from tests.invariants import findings

from etf_trader.errors import (
    AccountLed,
    OrderRejected,
    OutcomeUnknown,
    RateLimited,
    ReconciliationMismatch,
    UsageError,
    VenueUnavailable,
)
from etf_trader.execution.lease import Leases, this_host
from etf_trader.execution.pauses import last_pauses, paused_until
from etf_trader.execution.turns import MOST_BARREN
from etf_trader.ledger.tables import accounts
from etf_trader.market.symbol import Side
from etf_trader.orders.status import AssetOrderStatus, IndexOrderStatus
from etf_trader.orders.store import asset_orders_of, plans_of
from etf_trader.venue.interface import LimitOrder, Listener, Placed, Trade, VenueBalance, VenueOrder

D = Decimal


class FaultyVenue(HookedVenue):
    """Fails as often as it is told: `faults` by method counts down, one fault a call."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self.faults: dict[str, list[Exception | str]] = defaultdict(list)
        self.refused: set[str] = set()
        self.before_balances: Callable[[], object] | None = None
        self.calls: Counter[str] = Counter()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        return lambda: None  # whatever happened must be asked for

    def _next(self, method: str) -> Exception | str | None:
        self.calls[method] += 1
        return self.faults[method].pop(0) if self.faults[method] else None

    async def place(self, order: LimitOrder) -> Placed:
        fault = self._next("place")
        if order.symbol in self.refused:
            raise OrderRejected("Market is closed.", venue_code=-2010, symbol=order.symbol)
        if isinstance(fault, Exception):
            raise fault
        state = await super().place(order)
        if fault == "lose the answer":
            raise OutcomeUnknown("the connection was cut after the request")
        return replace(state, trades=None)  # what traded must be asked for

    async def find(self, symbol: str, client_order_id: str) -> VenueOrder | None:
        fault = self._next("find")
        if isinstance(fault, Exception):
            raise fault
        return None if fault == "not found" else await super().find(symbol, client_order_id)

    async def balances(self) -> Mapping[str, VenueBalance]:
        if self.before_balances is not None:
            before, self.before_balances = self.before_balances, None
            before()
        return await super().balances()

    async def trades_of(self, symbol: str, order_id: int) -> Sequence[Trade]:
        fault = self._next("trades_of")
        if isinstance(fault, Exception):
            raise fault
        trades = await super().trades_of(symbol, order_id)
        return trades[:-1] if fault == "the last is late" else trades


async def make_faulty_house(folder: Path) -> tuple[House, FaultyVenue]:
    """A house whose venue can fail, with an index of one A and two B, and float."""
    market = make_market(
        {"A": make_ladders(D(100), D("0.01"), D(4)), "B": make_ladders(D(10), D("0.01"), D(9))},
        rules={"B": {"step": "1", "min_quantity": "1"}},
    )
    house = make_house(folder, market, venue_type=FaultyVenue)
    await house.create(make_definition())
    assert isinstance(house.venue, FaultyVenue)
    return house, house.venue


UNKNOWN = OutcomeUnknown("no answer in time")
GONE = VenueUnavailable("connection refused")
BUSY = RateLimited("slow down", retry_after=1.5)
LATE = "the last is late"

FAULTS = {
    "the order never arrived": {"place": [UNKNOWN]},
    "no order ever arrived": {"place": [UNKNOWN, UNKNOWN]},
    "the answer was lost": {"place": ["lose the answer"]},
    "both answers were lost": {"place": ["lose the answer", "lose the answer"]},
    "lost, and not found at first": {"place": ["lose the answer"], "find": ["not found"] * 4},
    "lost, and asking fails": {"place": ["lose the answer"], "find": [GONE, UNKNOWN, BUSY]},
    "unavailable": {"place": [GONE, GONE]},
    "rate limited": {"place": [BUSY]},
    "everything in turn": {"place": [GONE, BUSY, UNKNOWN, "lose the answer"]},
    "trades come late": {"trades_of": [LATE] * 7},
    "trades cannot be asked for": {"trades_of": [GONE, BUSY, UNKNOWN]},
}


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("side", list(Side))
async def test_every_fault_ends_in_the_order_filled_and_each_trade_booked_once(
    tmp_path: Path, side: Side, faults: dict[str, list[Exception | str]]
) -> None:
    house, venue = await make_faulty_house(tmp_path)
    if side is Side.SELL:
        await house.buy(12)
    venue.faults.update({method: list(each) for method, each in faults.items()})

    order = await house.submit(make_request(side, quantity=D(10)))

    assert (order.status, order.filled) == (IndexOrderStatus.FILLED, D(10))
    assert not any(venue.faults.values())
    assert findings(house.database, house.exchange) == []


async def test_not_found_is_final_only_once_the_request_could_no_longer_arrive(tmp_path: Path) -> None:
    house, venue = await make_faulty_house(tmp_path)
    venue.faults["place"] = [UNKNOWN]
    order = await house.buy(1)
    with house.database.read() as connection:
        lost = next(
            each
            for each in asset_orders_of(connection, order.id)
            if each.status is AssetOrderStatus.WITHDRAWN and each.granted_at and each.ended_at
        )
    assert lost.granted_at is not None and lost.ended_at is not None
    assert (lost.ended_at - lost.granted_at).total_seconds() > 3


async def test_a_venue_that_hides_trades_for_long_stops_the_run_and_the_next_start_books_them(
    tmp_path: Path,
) -> None:
    house, venue = await make_faulty_house(tmp_path)
    venue.faults["trades_of"] = [LATE] * 100
    request = make_request(Side.BUY, quantity=D(10))
    with pytest.raises(ReconciliationMismatch, match="does not list its trades"):
        await house.submit(request)
    venue.faults.clear()

    order = await house.submit(request)

    assert (order.status, order.filled) == (IndexOrderStatus.FILLED, D(10))
    assert findings(house.database, house.exchange) == []


async def test_an_error_in_one_leg_leaves_no_other_leg_in_flight(tmp_path: Path) -> None:
    house, venue = await make_faulty_house(tmp_path)
    venue.faults["trades_of"] = [LATE] * 39  # the first leg gives up while the second still asks
    with pytest.raises(ReconciliationMismatch):
        await house.buy(10)
    assert venue.calls["trades_of"] == 40
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def test_an_order_refused_again_and_again_ends_and_says_so(tmp_path: Path) -> None:
    house, venue = await make_faulty_house(tmp_path)
    venue.faults["place"] = [OrderRejected("Market is closed.", venue_code=-2010, symbol="AUSDT")] * 50

    order = await house.buy(10)

    assert (order.status, order.filled) == (IndexOrderStatus.ENDED, D(0))
    assert order.stopped_by == ("rejected(A)", "rejected(B)")
    assert venue.calls["place"] == 2 * MOST_BARREN
    assert findings(house.database, house.exchange) == []


async def test_one_refused_leg_gives_the_other_back_to_the_market_at_the_orders_cost(tmp_path: Path) -> None:
    house, venue = await make_faulty_house(tmp_path)
    venue.refused = {"AUSDT"}

    order = await house.buy(10)

    assert (order.status, order.filled, order.stopped_by) == (IndexOrderStatus.ENDED, D(0), ("rejected(A)",))
    with house.database.read() as connection:
        purposes = [plan.purpose for plan in plans_of(connection, order.id)]
    assert purposes == ["trade"] * (1 + MOST_BARREN) + ["unwind"]
    assert house.loss(order.id).total == house.cash(order.id) > 0
    assert findings(house.database, house.exchange) == []


async def test_a_venue_that_takes_nothing_leaves_the_order_unfilled_and_sends_no_more_than_five_times(
    tmp_path: Path,
) -> None:
    house, venue = await make_faulty_house(tmp_path)
    venue.faults["place"] = [GONE] * 10
    order = await house.desk.accept(make_request(Side.BUY, quantity=D(1)))
    await house.manager.run([order.id])
    with house.database.read() as connection:
        attempts = [each.attempts for each in asset_orders_of(connection, order.id)]
    assert attempts[:2] == [5, 5]
    assert house.order(order.id).filled == 1
    assert findings(house.database, house.exchange) == []


async def test_a_client_key_stands_for_one_order_however_often_it_is_accepted(tmp_path: Path) -> None:
    house, _ = await make_faulty_house(tmp_path)
    request = make_request(Side.BUY, quantity=D(2), client_key="monthly")
    first = await house.submit(request)
    again = await house.submit(request)
    assert (again.id, again.filled) == (first.id, D(2))
    with pytest.raises(UsageError, match="belongs to order 1"):
        await house.submit(make_request(Side.BUY, quantity=D(3), client_key="monthly"))


async def test_a_leader_that_was_taken_over_stops_and_books_nothing_twice(tmp_path: Path) -> None:
    house, venue = await make_faulty_house(tmp_path)
    other = make_house(tmp_path, house.market)
    order = await house.desk.accept(make_request(Side.BUY, quantity=D(10)))

    def take_over(_: LimitOrder) -> None:
        # What another host does after three heartbeats: the row changes hands, and it brings the order to its end.
        with other.database.write() as connection:
            connection.exec_driver_sql("UPDATE lease SET host = NULL")
        venue.before_place = None

    venue.before_place = take_over
    stale = asyncio.create_task(house.manager.run([order.id]))
    while venue.before_place is not None:
        await asyncio.sleep(0)
    lease = Leases(other.database, other.clock).take(other.account.id)
    assert lease is not None
    with pytest.raises(AccountLed, match="taken over"):
        await stale
    Leases(other.database, other.clock).give_back(lease)

    await other.manager.run([order.id])

    assert house.order(order.id).filled == D(10)
    assert findings(house.database, house.exchange) == []


async def test_settling_a_plan_twice_credits_its_units_once(tmp_path: Path) -> None:
    house, _ = await make_faulty_house(tmp_path)
    order = await house.buy(5)
    before = house.holdings("float:1"), house.holdings("index:1"), house.order(order.id)
    lease = Leases(house.database, house.clock).take(house.account.id)
    assert lease is not None
    house.manager._trader.settle(1, lease)
    assert (house.holdings("float:1"), house.holdings("index:1"), house.order(order.id)) == before
    assert findings(house.database, house.exchange) == []


async def test_a_deposit_between_two_questions_of_the_reconciliation_is_no_difference(tmp_path: Path) -> None:
    house, venue = await make_faulty_house(tmp_path)
    venue.before_balances = lambda: house.exchange.deposit("paper", "USDT", D(7), "meanwhile")

    assert (await house.manager.reconcile()).booked == ("deposit of 7 USDT booked for self",)
    assert findings(house.database, house.exchange) == []


async def test_money_that_nothing_explains_stops_the_leader_before_it_sends(tmp_path: Path) -> None:
    house, venue = await make_faulty_house(tmp_path)
    with house.database.write() as connection:
        connection.execute(accounts.update().values(transfers_seen=99))  # what came in will not be looked for
    house.exchange.deposit("paper", "USDT", D(7), "unseen")

    with pytest.raises(ReconciliationMismatch, match=r"the books and the venue differ: USDT \+7"):
        await house.buy(1)
    assert venue.calls["place"] == 0


async def test_a_ban_that_answers_a_question_is_written_down_for_everybody_on_the_host(tmp_path: Path) -> None:
    house, venue = await make_faulty_house(tmp_path)
    venue.faults["place"] = ["lose the answer"]
    venue.faults["find"] = [RateLimited("IP banned", retry_after=90, is_of_host=True)]
    before = house.clock.now()
    order = await house.buy(10)
    assert order.filled == 10
    with house.database.read() as connection:
        (pause,) = last_pauses(connection, house.account.id, this_host(), 5)
        assert (pause.reason, pause.host) == ("IP banned", this_host())
        assert before + timedelta(seconds=90) <= pause.until <= before + timedelta(seconds=95)
        assert paused_until(connection, 2, this_host(), before) == pause.until
