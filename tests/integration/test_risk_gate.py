"""The gate before real batches: what is refused writes nothing, and the others go on."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.factories import UID, House, make_definition, make_house, make_ladders, make_market, make_request
from tests.invariants import findings

from etf_trader.cli.orders import exit_code_of
from etf_trader.errors import Refused
from etf_trader.events import events
from etf_trader.execution.day_loss import DayLoss
from etf_trader.execution.queue import Claim, Queue
from etf_trader.execution.risk_review import last_refusal
from etf_trader.ledger.tables import transactions
from etf_trader.market.symbol import Side
from etf_trader.money import floor_to
from etf_trader.orders.store import asset_orders_of, list_asset_orders, list_index_orders, plans_of
from etf_trader.risk.halts import DAILY_LOSS, OPERATOR, TradingState, halt, halts, resume, trading_state
from etf_trader.venue.interface import LimitOrder

D = Decimal


@pytest.fixture
def house(tmp_path: Path) -> House:
    market = make_market(
        {"A": make_ladders(D(100), D("0.01"), D(500)), "B": make_ladders(D(10), D("0.01"), D(5000))},
        rules={"A": {"step": "0.001"}, "B": {"step": "1", "min_quantity": "1", "max_quantity": "20"}},
    )
    made = make_house(tmp_path, market)
    asyncio.run(made.create(make_definition()))
    return made


def stop(house: House, state: TradingState = TradingState.HALTED) -> None:
    with house.database.write() as connection:
        halt(connection, 1, state, OPERATOR, "test", house.clock.now())


def go_on(house: House) -> None:
    with house.database.write() as connection:
        resume(connection, 1, None, house.clock.now())


def state(house: House) -> TradingState:
    with house.database.read() as connection:
        return trading_state(connection, 1)


def loss_of_day(house: House) -> Decimal:
    with house.database.read() as connection:
        return DayLoss(1).read(connection, house.clock.now())


async def accept(house: House, quantity: str, **changes: object) -> int:
    order = await house.desk.accept(make_request(Side.BUY, quantity=D(quantity), **changes))
    return order.id


def written(house: House) -> tuple[int, int, int]:
    with house.database.read() as connection:
        return (
            len(list_index_orders(connection)),
            len(list_asset_orders(connection)),
            len(connection.execute(select(transactions.c.id)).all()),
        )


@pytest.mark.parametrize(
    ("name", "value"),
    [("index_order", "1000"), ("position", "1000"), ("position_share", "50")],
)
async def test_what_can_be_known_is_refused_before_anything_is_written(
    house: House, name: str, value: str
) -> None:
    await house.buy(5)
    before = written(house)
    house.limit(name, value)
    with pytest.raises(Refused, match=name) as caught:
        await house.buy(10)
    assert (caught.value.limit, caught.value.exit_code) == (name, 6)
    assert caught.value.hint is not None and f"etf risk set {name}" in caught.value.hint
    assert written(house) == before
    house.limit(name, None)
    assert (await house.buy(10)).filled == 10


async def test_a_position_counts_the_open_buys_for_it(house: House) -> None:
    await accept(house, "10", limit_price=D(50), time_in_force="gtc")
    house.limit("position", "1300")  # 10 units that wait are worth 1,200
    with pytest.raises(Refused, match=r"position would be worth 1,320\.00"):
        await house.buy(1)
    assert (await house.desk.accept(make_request(quantity=D(1), position="new"))).quantity == 1


async def test_a_batch_beyond_a_limit_writes_nothing_and_the_others_proceed(house: House) -> None:
    # Alone each fits; the large one wants an order for A that is worth more than may be sent.
    large = await accept(house, "100", time_in_force="gtc", position="new")
    small = await accept(house, "3", position="new")
    house.limit("asset_order", "5000")
    await house.manager.run([large, small])

    assert str(house.order(small).status) == "filled"
    assert (house.order(large).status, house.order(large).stopped_by) == ("open", ("risk(asset_order)",))
    with house.database.read() as connection:
        assert plans_of(connection, large) == []
        assert asset_orders_of(connection, large) == []
        assert "asset_order allows 5,000.00" in (last_refusal(connection, large) or "")
        assert last_refusal(connection, small) is None
    await house.manager.run([])  # told once, however often it is looked at
    with house.database.read() as connection:
        kinds = [row.kind for row in connection.execute(select(events))]
    assert kinds.count("RiskRefused") == 1
    house.limit("asset_order", None)
    await house.manager.run([large])
    assert house.order(large).status == "filled"
    assert findings(house.database, house.exchange) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("asset_order", "500"), ("open_orders", "1"), ("price_collar", "0.5"), ("order_rate", "1")],
)
async def test_an_order_for_now_ends_with_the_code_of_its_limit(house: House, name: str, value: str) -> None:
    house.limit(name, value)
    order = await house.buy(10)
    assert (str(order.status), order.stopped_by, order.filled) == ("ended", (f"risk({name})",), D(0))
    assert exit_code_of(order) == 6
    assert list(house.exchange.orders(UID)) == []
    assert findings(house.database, house.exchange) == []


async def test_the_book_of_a_live_venue_may_not_be_old(house: House) -> None:
    house.exchange.advance(60)
    order = await accept(house, "3", time_in_force="gtc")
    gate = house.manager._gate
    gate._account = replace(house.account, environment="live")
    view_of = house.venue.books

    async def old(symbols: object, depth: int) -> object:
        books = await view_of(symbols, depth)  # type: ignore[arg-type]
        at = house.clock.now() - timedelta(seconds=6)
        return {name: replace(book, at=at) if name == "BUSDT" else book for name, book in books.items()}

    house.venue.books = old  # type: ignore[method-assign,assignment]
    await house.manager.run([order])
    assert house.order(order).stopped_by == ("risk(book_age)",)
    gate._account = house.account  # the paper exchange tells time as it likes
    await house.manager.run([order])
    assert house.order(order).status == "filled"


async def test_a_day_that_lost_too_much_leaves_the_account_only_selling(house: House) -> None:
    first = await house.buy(10)
    lost = loss_of_day(house)
    assert lost == house.loss(first.id).total > 0
    waiting = await accept(house, "5", time_in_force="gtc")
    house.limit("daily_loss", str(floor_to(lost, D("0.01"))))
    await house.manager.run([waiting])
    assert house.order(waiting).stopped_by == ("reducing",) or house.order(waiting).stopped_by == (
        "risk(daily_loss)",
    )
    assert state(house) is TradingState.REDUCING
    with house.database.read() as connection:
        (stopped,) = halts(connection, 1)
    assert (stopped.cause, stopped.operator) == (DAILY_LOSS, "")

    with pytest.raises(Refused, match="only sells"):
        await house.buy(1)
    assert (await house.sell(4)).filled == 4  # selling goes on
    go_on(house)  # whoever lifts it allows the same loss once more
    assert loss_of_day(house) == 0
    await house.manager.run([waiting])
    assert house.order(waiting).status == "filled"


async def test_an_order_refused_for_the_loss_of_the_day_leaves_the_account_only_selling(house: House) -> None:
    await house.buy(10)
    house.limit("daily_loss", "0.01")
    with pytest.raises(Refused, match="have lost"):
        await accept(house, "5")
    assert state(house) is TradingState.REDUCING
    assert (await house.sell(1)).filled == 1


async def test_a_new_day_begins_at_nothing_and_trades_again(house: House) -> None:
    await house.buy(10)
    waiting = await accept(house, "2", time_in_force="gtc")
    house.limit("daily_loss", "0.01")
    await house.manager.run([waiting])
    assert state(house) is TradingState.REDUCING
    house.limit("daily_loss", "100")
    await house.manager.run([waiting])
    assert house.order(waiting).status == "open"
    house.exchange.advance(86_400)
    assert loss_of_day(house) == 0
    await house.manager.run([waiting])
    assert house.order(waiting).status == "filled"
    assert state(house) is TradingState.ACTIVE


async def test_the_loss_of_a_day_is_what_its_orders_report_read_at_once_or_piece_by_piece(house: House) -> None:
    pieces = DayLoss(1)
    numbers = []
    for trade, quantity in ((house.buy, "10"), (house.sell, "3.5"), (house.buy, "0.7")):
        numbers.append((await trade(quantity)).id)
        with house.database.read() as connection:
            assert pieces.read(connection, house.clock.now()) == sum(house.loss(each).total for each in numbers)
    assert loss_of_day(house) == sum(house.loss(each).total for each in numbers)


async def test_nothing_is_accepted_while_halted_and_what_waits_goes_on_afterwards(house: House) -> None:
    waiting = await accept(house, "5", time_in_force="gtc")
    now = await accept(house, "2")
    stop(house)
    before = written(house)
    for side in Side:
        with pytest.raises(Refused, match="halted") as caught:
            await house.submit(make_request(side, quantity=D(1)))
        assert caught.value.limit == "halted"
    assert written(house) == before
    await house.manager.run([waiting, now])
    assert (house.order(waiting).status, house.order(waiting).stopped_by) == ("open", ("halted",))
    assert (house.order(now).status, house.order(now).stopped_by) == ("ended", ("halted",))
    assert (exit_code_of(house.order(waiting)), exit_code_of(house.order(now))) == (0, 6)
    assert list(house.exchange.orders(UID)) == []
    go_on(house)
    await house.manager.run([waiting])
    assert house.order(waiting).status == "filled"
    assert findings(house.database, house.exchange) == []


@pytest.mark.parametrize("arrived", [0, 1, 2, 5])
async def test_a_halt_in_the_middle_of_a_batch_sends_nothing_more(house: House, arrived: int) -> None:
    count = 0

    def watch(_: LimitOrder) -> None:
        nonlocal count
        if count == arrived:
            stop(house)
        count += 1

    house.venue.before_place = watch
    order = await house.buy(100)
    placed = len(house.exchange.orders(UID))
    assert placed <= arrived + 1  # the one that was already past the check
    assert order.stopped_by[-1] == "halted"
    assert exit_code_of(order) == 6
    assert findings(house.database, house.exchange) == []
    if order.status == "open":  # it holds what cannot be traded back now
        house.venue.before_place = None
        await house.manager.run([order.id])
        assert (house.order(order.id).status, len(house.exchange.orders(UID))) == ("open", placed)
        go_on(house)
        await house.manager.run([order.id])
        ended = house.order(order.id)  # what was bought of A is completed with B, or traded back
        assert ended.status in ("ended", "filled")
        assert exit_code_of(ended) == (0 if ended.status == "filled" else 6)
    assert findings(house.database, house.exchange) == []


async def test_an_account_that_only_sells_trades_back_what_a_stopped_buy_holds(house: House) -> None:
    count = 0

    def watch(_: LimitOrder) -> None:
        nonlocal count
        if count == 1:
            stop(house, TradingState.REDUCING)
        count += 1

    house.venue.before_place = watch
    order = await house.buy(100)
    assert (order.status, order.stopped_by) == ("ended", ("reducing",))
    assert exit_code_of(order) == 6
    with house.database.read() as connection:
        late = [sent.intent.side for sent in asset_orders_of(connection, order.id) if sent.executed_quantity]
    assert Side.SELL in late
    assert findings(house.database, house.exchange) == []


async def test_a_slot_that_was_granted_just_before_a_halt_is_not_used(house: House) -> None:
    """The check at the moment of sending stands behind the one at the grant."""
    claim = Queue._claim

    def late(queue: Queue, *arguments: Any, **options: Any) -> Claim:
        claimed = claim(queue, *arguments, **options)
        stop(house)
        return claimed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Queue, "_claim", late)
        order = await house.buy(5)
    assert (order.status, order.stopped_by) == ("ended", ("halted",))
    assert list(house.exchange.orders(UID)) == []
    with house.database.read() as connection:
        sent = asset_orders_of(connection, order.id)
    assert {(str(each.status), each.reason) for each in sent} == {("withdrawn", "the account is halted")}
