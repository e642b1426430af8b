"""The venue that fails on purpose does what its plan says, and nothing that a real one would not."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from tests.factories import House, make_definition, make_house, make_ladders, make_market

from etf_trader.errors import DuplicateOrder, EtfError, OutcomeUnknown, RateLimited, VenueUnavailable
from etf_trader.market.symbol import Side
from etf_trader.venue.faulty import Fault, FaultPlan, FaultyVenue
from etf_trader.venue.interface import LimitOrder, Report

D = Decimal


@pytest.fixture
async def house(tmp_path: Path) -> House:
    made = make_house(tmp_path, make_market({"A": make_ladders(D(100), D("0.01"), D(4))}))
    await made.create(make_definition(basket={"A": D(1)}))
    return made


def faulty(house: House, *faults: Fault, most: int = 1, **changes: float) -> FaultyVenue:
    """A venue on which each of these faults is certain, until `most` have fired."""
    plan = FaultPlan(5, dict.fromkeys(faults, 1.0), most=most, **changes)
    return FaultyVenue(house.venue, plan, house.clock)


def order(house: House, name: str = "etf-x-1-1") -> LimitOrder:
    return LimitOrder("AUSDT", Side.BUY, D(6), D("100.02"), name, house.clock.now(), 2.0)


def arrived(house: House) -> int:
    return len(house.exchange.orders("paper"))


@pytest.mark.parametrize(
    ("fault", "error", "reaches"),
    [
        (Fault.REFUSED, VenueUnavailable, 0),
        (Fault.OVERLOADED, VenueUnavailable, 0),
        (Fault.LIMITED, RateLimited, 0),
        (Fault.BANNED, RateLimited, 0),
        (Fault.CUT_BEFORE, OutcomeUnknown, 0),
        (Fault.UNEXPECTED_BEFORE, OutcomeUnknown, 0),
        (Fault.TIMEOUT_BEFORE, OutcomeUnknown, 0),
        (Fault.SERVER_ERROR_BEFORE, OutcomeUnknown, 0),
        (Fault.ARRIVES_LATE, OutcomeUnknown, 0),
        (Fault.CUT_AFTER, OutcomeUnknown, 1),
        (Fault.UNEXPECTED_AFTER, OutcomeUnknown, 1),
        (Fault.TIMEOUT_AFTER, OutcomeUnknown, 1),
        (Fault.SERVER_ERROR_AFTER, OutcomeUnknown, 1),
        (Fault.DUPLICATE, DuplicateOrder, 1),
    ],
    ids=str,
)
async def test_a_fault_of_placing_raises_what_an_adapter_raises_with_or_without_the_effect(
    house: House, fault: Fault, error: type[EtfError], reaches: int
) -> None:
    venue = faulty(house, fault)
    with pytest.raises(error):
        await venue.place(order(house))
    assert (arrived(house), venue.incidents.fired) == (reaches, {fault: 1})


@pytest.mark.parametrize("fault", [Fault.SLOW, Fault.LATE_ANSWER])
async def test_a_slow_request_and_a_late_answer_take_time_of_the_venues_clock(house: House, fault: Fault) -> None:
    venue, before = faulty(house, fault, slowest=1.0), house.clock.now()
    placed = await venue.place(order(house))
    assert timedelta(0) < house.clock.now() - before <= timedelta(seconds=1)
    assert (placed.order.at > before) is (fault is Fault.SLOW)


async def test_an_order_that_arrives_late_trades_within_its_window_and_is_refused_after_it(house: House) -> None:
    venue = faulty(house, Fault.ARRIVES_LATE, most=2, latest=1.5)
    with pytest.raises(OutcomeUnknown):
        await venue.place(order(house))
    await house.clock.sleep(1.6)
    assert await venue.find("AUSDT", "etf-x-1-1") is not None
    with pytest.raises(OutcomeUnknown):
        await venue.place(order(house, "etf-x-1-2"))
    await house.clock.sleep(2.1)
    assert await venue.find("AUSDT", "etf-x-1-2") is None
    assert (arrived(house), venue.incidents.came_too_late) == (1, 1)


async def test_who_is_told_to_wait_is_refused_until_then_and_noticed_when_sending(house: House) -> None:
    venue = faulty(house, Fault.BANNED, longest_wait=10.0)
    with pytest.raises(RateLimited) as told:
        await venue.balances()
    assert 1 <= told.value.retry_after <= 10
    await house.clock.sleep(told.value.retry_after / 2)
    with pytest.raises(RateLimited) as again:
        await venue.place(order(house))
    assert again.value.retry_after < told.value.retry_after
    assert venue.incidents.hurried == 1
    await house.clock.sleep(again.value.retry_after)
    await venue.place(order(house))
    assert venue.incidents.hurried == 1


async def test_an_order_is_not_found_for_less_than_a_second(house: House) -> None:
    venue = faulty(house, Fault.HIDDEN)
    await venue.place(order(house))
    assert await venue.find("AUSDT", "etf-x-1-1") is None
    assert await venue.cancel("AUSDT", "etf-x-1-1") is None
    await house.clock.sleep(0.9)
    assert await venue.find("AUSDT", "etf-x-1-1") is not None


async def test_the_last_trade_is_listed_late_everywhere(house: House) -> None:
    venue = faulty(house, Fault.TRADES_LATE, latest=5.0)
    placed = await venue.place(order(house))
    assert [trade.quantity for trade in placed.trades or ()] == [4, 2]
    for late in (await venue.trades_of("AUSDT", placed.order.order_id), await venue.trades_after("AUSDT", -1)):
        assert [trade.quantity for trade in late] == [4]
    await house.clock.sleep(5)
    assert len(await venue.trades_of("AUSDT", placed.order.order_id)) == 2


async def test_a_bare_answer_tells_neither_trades_nor_counts(house: House) -> None:
    placed = await faulty(house, Fault.BARE).place(order(house))
    assert (placed.trades, placed.counts) == (None, ())
    assert placed.order.executed_quantity == 6


@pytest.mark.parametrize(
    ("fault", "at_once", "later"),
    [
        (Fault.REPORT_LOST, [4, 2], [4, 2]),
        (Fault.REPORT_TWICE, [0, 0, 4, 2], [0, 0, 4, 2]),
        (Fault.REPORT_REORDERED, [4, 0, 2], [4, 0, 2]),
        (Fault.REPORT_LATE, [4, 2], [4, 2, 0]),
        (Fault.STREAM_SILENT, [], []),
    ],
    ids=str,
)
async def test_reports_are_lost_doubled_reordered_or_late(
    house: House, fault: Fault, at_once: list[int], later: list[int]
) -> None:
    # A sound stream tells that the order is new, and of its trades of 4 and of 2.
    venue = faulty(house, fault)
    heard: list[Report] = []
    stop = venue.subscribe(heard.append)
    await venue.place(order(house))
    assert [report.trade.quantity if report.trade else 0 for report in heard] == at_once
    await house.clock.sleep(6)
    await venue.server_time()
    assert [report.trade.quantity if report.trade else 0 for report in heard] == later
    stop()
    await venue.place(order(house, "etf-x-1-2"))
    assert len(heard) == len(later)


async def test_a_mended_venue_fails_no_more(house: House) -> None:
    venue = faulty(house, Fault.REFUSED, most=100)
    with pytest.raises(VenueUnavailable):
        await venue.server_time()
    venue.mend()
    assert await venue.server_time() == house.clock.now()


async def test_questions_fail_as_rarely_as_the_plan_says(house: House) -> None:
    venue = faulty(house, Fault.REFUSED, most=100, questions=0.0)
    await venue.rules()
    with pytest.raises(VenueUnavailable):
        await venue.place(order(house))


def test_a_chance_that_is_no_probability_is_a_bug() -> None:
    with pytest.raises(ValueError, match=r"1\.5 is not a probability"):
        FaultPlan(1, {Fault.SLOW: 1.5})
    assert FaultPlan.seeded(3) == FaultPlan.seeded(3) != FaultPlan.seeded(4)
