"""Orders over time that are quoted: at the touch of their own side, for a share of each slice, then taken."""

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Connection
from tests.factories import (
    HookedVenue,
    House,
    make_definition,
    make_house,
    make_ladders,
    make_market,
    make_request,
)
from tests.invariants import findings, limit_findings

from etf_trader.errors import OutcomeUnknown, UsageError
from etf_trader.exchange.static import StaticMarket
from etf_trader.exchange.views import OrderView
from etf_trader.execution.batch import QUOTE, TRADE
from etf_trader.execution.passive import MOST_BEYOND
from etf_trader.execution.reconcile import in_flight
from etf_trader.execution.state import done_of, order_state
from etf_trader.ledger.audit import audit
from etf_trader.ledger.fill import fills_of
from etf_trader.market.symbol import Side
from etf_trader.orders.asset_order import AssetOrder, OrderKind
from etf_trader.orders.index_order import IndexOrder, OrderRequest
from etf_trader.orders.schedule import Algo
from etf_trader.orders.status import Shortfall
from etf_trader.orders.store import asset_orders_of, plans_of, request_cancel
from etf_trader.orders.stored_schedule import AtEnd, ScheduleRequest
from etf_trader.risk.halts import RECONCILE, TradingState, halt
from etf_trader.venue.interface import LimitOrder, Listener, VenueOrder

D = Decimal
QUOTED = ScheduleRequest(Algo.TWAP, 120, passive=D("0.5"))
BIDS = {"A": D("99.99"), "B": D("9.99")}
ASKS = {"A": D("100.01"), "B": D("10.01")}
RULES = {"A": {"step": "0.001"}, "B": {"step": "0.01"}}


def books(a: str = "100", b: str = "10") -> dict[str, tuple[list[tuple[str, str]], list[tuple[str, str]]]]:
    return {
        "A": make_ladders(D(a), D("0.01"), D(500)),
        "B": make_ladders(D(b), D("0.01"), D(500)),
    }


@pytest.fixture
async def house(tmp_path: Path) -> House:
    made = make_house(tmp_path, make_market(books(), rules=RULES))
    await made.create(make_definition())
    return made


def asked(side: Side = Side.BUY, schedule: ScheduleRequest = QUOTED, **changes: object) -> OrderRequest:
    return make_request(side, **({"quantity": D(40), "schedule": schedule} | changes))


def move(house: House, asset: str, mid: str) -> None:
    assert isinstance(house.market, StaticMarket)
    house.market.set_book(f"{asset}USDT", *make_ladders(D(mid), D("0.01"), D(500)))


def sent(house: House, order: IndexOrder, purpose: str = QUOTE) -> list[AssetOrder]:
    with house.database.read() as connection:
        numbers = {plan.id for plan in plans_of(connection, order.id) if plan.purpose == purpose}
        return [each for each in asset_orders_of(connection, order.id) if each.plan_id in numbers]


def purposes(house: House, order: IndexOrder) -> list[str]:
    with house.database.read() as connection:
        return [plan.purpose for plan in plans_of(connection, order.id)]


def units(house: House, order: IndexOrder) -> list[Decimal]:
    with house.database.read() as connection:
        return [each.units for each in done_of(connection, order.id)]


async def lead(house: House, order: IndexOrder, *, stay: bool = True) -> IndexOrder:
    await house.manager.run([order.id], stay=stay)
    return house.order(order.id)


def assert_sound(house: House) -> None:
    assert findings(house.database, house.exchange) == []
    with house.database.read() as connection:
        assert limit_findings(connection) == []
        assert audit(connection, house.account).findings == ()
    assert house.exchange.open_orders("paper") == ()


def plan_seconds(house: House, order: IndexOrder, purpose: str) -> list[int]:
    with house.database.read() as connection:
        times = [plan.created_at for plan in plans_of(connection, order.id) if plan.purpose == purpose]
    return [int((at - order.accepted_at).total_seconds()) for at in times]


@contextmanager
def tide(house: House, script: Callable[[float], None]) -> Iterator[None]:
    """Call `script` with the seconds gone whenever the exchange's clock is about to move."""
    start, advance = house.exchange.now(), house.exchange.advance

    def moved(seconds: Decimal | float) -> object:
        script((house.exchange.now() - start).total_seconds())
        return advance(seconds)

    house.exchange.advance = moved  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        house.exchange.advance = advance  # type: ignore[method-assign]


class Takers:
    """Others who take our quotes: their limits reach our price for a moment."""

    def __init__(self, house: House, side: Side = Side.BUY) -> None:
        self._house, self._side = house, side
        self._taken = {"A": D(0), "B": D(0)}

    def take(self, asset: str, quantity: Decimal | None = None) -> None:
        """Take so much of what rests in `asset`, all without a quantity; the books stand as before after it."""
        assert isinstance(self._house.market, StaticMarket)
        resting = [each for each in open_orders(self._house) if each.symbol == f"{asset}USDT"]
        if not resting:
            return
        wanted = sum((each.quantity - each.executed_quantity for each in resting), D(0))
        self._taken[asset] += wanted if quantity is None else min(quantity, wanted)
        price, tick = resting[0].price, D("0.01")
        level = [(str(price), str(self._taken[asset]))]
        bids, asks = make_ladders(price, tick, D(500))
        book = (bids, level) if self._side is Side.BUY else (level, asks)
        self._house.market.set_book(f"{asset}USDT", *book)
        self._house.exchange.balances("paper")  # whoever looks books what fell due
        move(self._house, asset, "100" if asset == "A" else "10")


def open_orders(house: House) -> list[OrderView]:
    return list(house.exchange.open_orders("paper"))


async def test_quotes_that_nobody_takes_are_taken_after_their_share(house: House) -> None:
    order = await lead(house, await house.desk.accept(asked()))
    assert (order.status, order.filled) == ("filled", D(40))
    quotes, taken = sent(house, order), sent(house, order, TRADE)
    assert {each.intent.kind for each in quotes} == {OrderKind.POST_ONLY}
    assert {each.intent.price for each in quotes} == set(BIDS.values())
    assert not any(each.executed_quantity for each in quotes)
    assert {each.intent.kind for each in taken} == {OrderKind.IOC}
    assert plan_seconds(house, order, QUOTE) == [0, 60]
    assert [at // 5 * 5 for at in plan_seconds(house, order, TRADE)] == [30, 90]
    assert_sound(house)


@pytest.mark.parametrize("side", list(Side))
async def test_quotes_that_others_take_are_all_that_is_needed(house: House, side: Side) -> None:
    await house.buy(60)
    order = await house.desk.accept(asked(side))
    takers = Takers(house, side)

    def take_all(_: float) -> None:
        takers.take("A")
        takers.take("B")

    with tide(house, take_all):
        order = await lead(house, order)
    assert (order.status, order.filled) == ("filled", D(40))
    assert set(purposes(house, order)) == {QUOTE}
    with house.database.read() as connection:
        assert all(fill.is_maker for fill in fills_of(connection, order.id))
    assert house.loss(order.id).spread < 0  # half a spread earned, where taking pays it
    assert house.loss(order.id).depth == 0
    assert max(units(house, order)) <= D("2.4")  # 5% of 40 units, but for the smallest leg
    assert_sound(house)


@pytest.mark.parametrize("side", list(Side))
async def test_what_is_filled_partly_is_kept_and_the_rest_is_taken(house: House, side: Side) -> None:
    await house.buy(60)
    order = await house.desk.accept(asked(side))
    takers = Takers(house, side)

    def nibble(seconds: float) -> None:
        if seconds in (3, 63):
            takers.take("A", D("0.5"))
            takers.take("B", D("1.5"))

    with tide(house, nibble):
        order = await lead(house, order)
    assert (order.status, order.filled) == ("filled", D(40))
    done = [(each.intent.asset, each.executed_quantity) for each in sent(house, order) if each.executed_quantity]
    assert done == [("A", D("0.5")), ("B", D("1.5"))] * 2
    assert plan_seconds(house, order, QUOTE) == [0, 60]
    assert_sound(house)


@pytest.mark.parametrize("side", list(Side))
async def test_laggards_are_taken_once_the_leaders_are_far_enough_ahead(house: House, side: Side) -> None:
    """A is five sixths of a unit: a quote of it alone is all that may run ahead."""
    await house.buy(60)
    order = await house.desk.accept(asked(side))
    takers = Takers(house, side)
    with tide(house, lambda _: takers.take("A")):
        order = await lead(house, order)
    assert (order.status, order.filled) == ("filled", D(40))
    assert purposes(house, order)[:4] == [QUOTE, TRADE, QUOTE, TRADE]
    quoted = {each.intent.asset for each in sent(house, order) if each.executed_quantity}
    assert quoted == {"A"}
    assert sum(each.executed_quantity for each in sent(house, order, TRADE) if each.intent.asset == "A") < D(1)
    assert_sound(house)


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("seed", range(2))
async def test_no_more_than_a_twentieth_runs_ahead_whoever_takes_what(house: House, side: Side, seed: int) -> None:
    await house.buy(60)
    order = await house.desk.accept(asked(side, replace(QUOTED, passive=D(1))))
    takers, dice = Takers(house, side), random.Random(seed)
    found: list[Decimal] = []

    def take_some(_: float) -> None:
        for asset in BIDS:
            if dice.random() < 0.2:
                takers.take(asset, D(dice.randint(1, 300)) / 100 if dice.random() < 0.7 else None)

    def watch(connection: Connection) -> None:
        if not in_flight(connection, 1):
            found.append(ahead(connection, order.id))

    house.database.watch = watch
    with tide(house, take_some):
        order = await lead(house, order)
    house.database.watch = None
    assert (order.status, order.filled) == ("filled", D(40))
    slack = 2 * D(5) + D("0.1") + D("0.1")  # least orders, and steps
    assert 0 < max(found) <= MOST_BEYOND * 40 * 120 + slack
    assert_sound(house)


def ahead(connection: Connection, order_id: int) -> Decimal:
    """Return the value that an order has traded beyond what all assets have reached."""
    state = order_state(connection, order_id)
    mids, per_unit = {"A": D(100), "B": D(10)}, {"A": D(1), "B": D(2)}
    parts = [state.held[asset] / per_unit[asset] for asset in per_unit]
    reached = min(parts) if state.order.side is Side.BUY else max(parts)
    return sum((abs(state.held[asset] - reached * a) * mids[asset] for asset, a in per_unit.items()), D(0))


async def test_quotes_follow_the_touch_when_it_has_moved_away(house: House) -> None:
    order = await house.desk.accept(asked())

    def rise(seconds: float) -> None:
        if seconds == 2:
            move(house, "A", "100.20")

    with tide(house, rise):
        order = await lead(house, order)
    prices = [each.intent.price for each in sent(house, order) if each.intent.asset == "A"]
    assert prices[:2] == [D("99.99"), D("100.19")]
    first, second = plan_seconds(house, order, QUOTE)[:2]
    assert 5 <= second - first <= 9
    assert_sound(house)


async def test_a_cancel_ends_a_quote_at_once(house: House) -> None:
    order = await house.desk.accept(asked())
    takers = Takers(house)

    def give_up(seconds: float) -> None:
        if seconds == 4:
            takers.take("A", D(1))
            takers.take("B", D(2))
        if seconds == 6:
            with house.database.write() as connection:
                request_cancel(connection, order.id, house.clock.now())

    with tide(house, give_up):
        order = await lead(house, order)
    assert (order.status, order.filled) == ("cancelled", D("0.999"))
    assert order.ended_at is not None
    assert (order.ended_at - order.accepted_at).total_seconds() < 10
    assert_sound(house)


async def test_who_is_interrupted_leaves_no_quote_behind(house: House) -> None:
    order = await house.desk.accept(asked())
    is_stopped = False
    house.manager.stop_when(lambda: is_stopped)

    def stop(seconds: float) -> None:
        nonlocal is_stopped
        is_stopped = seconds >= 6

    with tide(house, stop):
        order = await lead(house, order)
    assert (order.status, order.filled, order.stopped_by) == ("open", D(0), ())
    assert (house.exchange.now() - order.accepted_at).total_seconds() < 10
    assert_sound(house)


async def test_a_halt_takes_quotes_out_of_the_books(house: House) -> None:
    order = await house.desk.accept(asked())
    seen: list[int] = []

    def stop_trading(seconds: float) -> None:
        if seconds == 6:
            with house.database.write() as connection:
                halt(connection, 1, TradingState.HALTED, RECONCILE, "test", house.clock.now())
        if 8 <= seconds < 30:
            seen.append(len(open_orders(house)))

    with tide(house, stop_trading):
        order = await lead(house, order, stay=True)
    assert set(seen) <= {0}
    assert order.filled == 0
    assert_sound(house)


async def test_a_quote_that_would_take_is_refused_and_made_again(house: House) -> None:
    order = await house.desk.accept(asked())
    moved = False

    def fall(request: LimitOrder) -> None:
        nonlocal moved
        if not moved and request.symbol == "AUSDT":
            moved = True
            move(house, "A", "99.90")

    house.venue.before_place = fall
    order = await lead(house, order)
    first, second = [each for each in sent(house, order) if each.intent.asset == "A"][:2]
    assert (first.status, first.reason) == ("rejected", "Order would immediately match and take.")
    assert (second.intent.price, second.status) == (D("99.89"), "unfilled")
    assert order.filled == 40
    assert_sound(house)


async def test_never_both_sides_of_a_symbol_rest(house: House) -> None:
    await house.buy(60)
    buy = await house.desk.accept(asked(position="new"))
    sell = await house.desk.accept(asked(Side.SELL, position="1", quantity=D(30)))
    sides: list[set[tuple[str, str]]] = []

    def look(_: float) -> None:
        sides.append({(each.symbol, each.side) for each in open_orders(house)})

    with tide(house, look):
        await house.manager.run([buy.id, sell.id], stay=True)
    assert all(len({symbol for symbol, _ in each}) == len(each) for each in sides)
    assert {side for each in sides for _, side in each} == {"BUY"}
    assert (house.order(buy.id).status, house.order(sell.id).status) == ("filled", "filled")
    assert_sound(house)


async def test_a_new_order_does_not_wait_for_a_quote(house: House) -> None:
    await house.buy(10)
    order = await house.desk.accept(asked(position="new"))
    others: list[asyncio.Task[IndexOrder]] = []

    def come(seconds: float) -> None:
        if seconds == 6:
            others.append(
                asyncio.ensure_future(house.desk.accept(make_request(Side.SELL, quantity=D(5), position="1")))
            )

    with tide(house, come):
        order = await lead(house, order)
    other = house.order((await others[0]).id)
    assert (other.status, order.status) == ("filled", "filled")
    assert other.ended_at is not None
    assert (other.ended_at - order.accepted_at).total_seconds() < 12
    assert len(plan_seconds(house, order, QUOTE)) == 3
    assert_sound(house)


async def test_who_does_not_stay_does_not_quote(house: House) -> None:
    order = await house.desk.accept(asked())
    assert (await lead(house, order, stay=False)).filled == 0
    assert purposes(house, order) == []
    house.exchange.advance(30)
    assert (await lead(house, order, stay=False)).filled == 20
    assert purposes(house, order) == [TRADE]
    assert_sound(house)


async def test_a_quote_of_all_the_time_takes_at_the_end_alone(house: House) -> None:
    schedule = replace(QUOTED, passive=D(1), at_end=AtEnd.TAKE)
    order = await lead(house, await house.desk.accept(asked(schedule=schedule)))
    assert (order.status, order.filled) == ("filled", D(40))
    assert [at // 5 * 5 for at in plan_seconds(house, order, TRADE)] == [120]
    assert_sound(house)


async def test_a_quote_keeps_the_limit_at_its_own_price(house: House) -> None:
    """Taking costs 100.02 + 20.02 and a fee; quoting 99.99 + 19.98 and a fee."""
    leave = replace(QUOTED, at_end=AtEnd.LEAVE)
    order = await house.desk.accept(asked(schedule=leave, limit_price=D("120.10")))
    takers = Takers(house)

    def take_all(_: float) -> None:
        takers.take("A")
        takers.take("B")

    with tide(house, take_all):
        order = await lead(house, order)
    assert (order.status, order.filled) == ("filled", D(40))
    other = await house.desk.accept(asked(schedule=leave, limit_price=D("120.08")))
    other = await lead(house, other)
    assert (other.status, other.filled) == ("ended", D(0))
    assert_sound(house)


async def test_pov_quotes_what_the_volume_allows_and_takes_the_rest(house: House) -> None:
    assert isinstance(house.market, StaticMarket)
    house.market.set_volume("AUSDT", D(10))
    house.market.set_volume("BUSDT", D("0.5"))
    schedule = ScheduleRequest(Algo.POV, 180, AtEnd.LEAVE, D("0.2"), D("0.5"))
    order = await lead(house, await house.desk.accept(asked(schedule=schedule)))
    assert order.filled == 6  # 0.2 x 0.5 x 60 / 2 a minute, twice
    assert plan_seconds(house, order, QUOTE) == [60, 120]
    assert [at // 5 * 5 for at in plan_seconds(house, order, TRADE)] == [90, 150]
    assert_sound(house)


async def test_trading_each_quote_back_at_once_is_refused(house: House) -> None:
    with pytest.raises(UsageError, match="would trade each back at once"):
        await house.desk.accept(asked(on_shortfall=Shortfall.UNWIND))


class DeafVenue(HookedVenue):
    """A venue whose stream tells nothing."""

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        return lambda: None


async def test_what_the_stream_does_not_tell_is_asked_for(tmp_path: Path, house: House) -> None:
    order = await house.desk.accept(asked())
    deaf = make_house(tmp_path, house.market, venue_type=DeafVenue)
    takers = Takers(deaf)
    with tide(deaf, lambda _: takers.take("A") or takers.take("B")):  # type: ignore[func-returns-value]
        order = await lead(deaf, order)
    assert order.status == "filled"
    assert all(each.executed_quantity == each.intent.quantity for each in sent(deaf, order))
    assert_sound(deaf)


class MumblingVenue(HookedVenue):
    """A venue that cancels, and loses every other answer to it."""

    lost = 0

    async def cancel(self, symbol: str, client_order_id: str) -> VenueOrder | None:
        found = await super().cancel(symbol, client_order_id)
        self.lost += 1
        if self.lost % 2:
            raise OutcomeUnknown("no answer", where=symbol)
        return found


async def test_a_cancel_without_an_answer_is_repeated(tmp_path: Path, house: House) -> None:
    order = await house.desk.accept(asked())
    mumbling = make_house(tmp_path, house.market, venue_type=MumblingVenue)
    takers = Takers(mumbling)
    with tide(mumbling, lambda seconds: takers.take("A", D(1)) if seconds == 4 else None):
        order = await lead(mumbling, order)
    assert (order.status, order.filled) == ("filled", D(40))
    assert isinstance(mumbling.venue, MumblingVenue) and mumbling.venue.lost > 2
    assert_sound(mumbling)


async def test_a_worker_quotes_on_a_clock_that_others_move_and_gives_way_to_who_waits(house: House) -> None:
    waiting = await house.desk.accept(
        make_request(Side.BUY, quantity=D(1), limit_price=D(100), time_in_force="gtc")
    )
    order = await house.desk.accept(asked(position="new"))
    is_over = False
    working = asyncio.create_task(house.manager.lead(lambda: is_over, lambda *_: None))

    async def until(is_so: Callable[[], bool]) -> None:
        while not is_so():
            assert not working.done(), working
            await asyncio.sleep(0.3)
            house.exchange.advance(1)

    await until(lambda: house.order(order.id).filled == 20)
    is_over = True
    await asyncio.wait_for(working, 20)
    assert house.order(waiting.id).stopped_by == ("limit",)
    *quotes, last = purposes(house, order)
    assert (set(quotes), last) == ({QUOTE}, TRADE)
    assert len(quotes) > 1
    assert_sound(house)
