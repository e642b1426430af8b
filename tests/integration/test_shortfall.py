"""What becomes of an order whose legs do not fill alike, and of what it cannot trade."""

from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path

import pytest
from tests.factories import House, make_definition, make_house, make_market, make_request
from tests.integration.test_routes import make_routes_market
from tests.invariants import findings, limit_findings

from etf_trader.errors import MissingPrice, NotTrading
from etf_trader.exchange.static import StaticMarket
from etf_trader.execution.look import look_at
from etf_trader.execution.state import order_state, released_of
from etf_trader.execution.stuck import Why, kept_by
from etf_trader.execution.unwinding import markets_of
from etf_trader.ledger.audit import audit
from etf_trader.market.symbol import Side
from etf_trader.orders.index_order import IndexOrder
from etf_trader.orders.status import AssetOrderStatus, IndexOrderStatus, Shortfall
from etf_trader.orders.store import asset_orders_of, plans_of, request_cancel
from etf_trader.solver.order import plan_order
from etf_trader.venue.interface import LimitOrder

D = Decimal
A = ([("99.99", "500")], [("100.01", "500")])
B = ([("9.99", "5000")], [("10.01", "5000")])
FAR = ([("10.50", "5000")], [("10.60", "5000")])


@pytest.fixture
async def house(tmp_path: Path) -> House:
    """An index of one A and two B, no fee."""
    made = make_house(tmp_path, make_market({"A": A, "B": B}, taker="0"))
    await made.create(make_definition())
    return made


@pytest.fixture
async def either(tmp_path: Path, url: str) -> AsyncIterator[House]:
    """The same on each kind of database."""
    made = make_house(tmp_path, make_market({"A": A, "B": B}, taker="0"), url=url)
    await made.create(make_definition())
    yield made
    made.database.close()


def market_of(house: House) -> StaticMarket:
    assert isinstance(house.market, StaticMarket)
    return house.market


def set_book(house: House, asset: str, book: tuple[list[tuple[str, str]], list[tuple[str, str]]]) -> None:
    market_of(house).set_book(f"{asset}USDT", *book)


def before_order(house: House, symbols: str | tuple[str, ...], happens: Callable[[], None]) -> None:
    """Let something happen just before the first order in one of `symbols` arrives."""

    def hook(order: LimitOrder) -> None:
        if order.symbol in symbols:
            house.venue.before_place = None
            happens()

    house.venue.before_place = hook


def purposes(house: House, order: IndexOrder) -> list[str]:
    with house.database.read() as connection:
        return [plan.purpose for plan in plans_of(connection, order.id)]


def assert_sound(house: House) -> None:
    assert findings(house.database, house.exchange) == []
    with house.database.read() as connection:
        assert audit(connection, house.account).findings == ()
        assert limit_findings(connection) == []


async def why_kept(house: House, order: IndexOrder) -> dict[str, Why]:
    rules = await house.venue.rules()
    with house.database.read() as connection:
        state = order_state(connection, order.id)
    markets = markets_of(state, rules)
    view = await look_at(house.venue, markets.symbols, 5, rules)
    return {each.asset: each.why for each in kept_by(state, rules, markets, view)}


def cancel(house: House, order: IndexOrder) -> None:
    with house.database.write() as connection:
        request_cancel(connection, order.id, house.clock.now())


def test_a_wish_for_the_usual_reads_as_it_always_did() -> None:
    assert "on_shortfall" not in make_request().canonical_text()
    assert '"on_shortfall":"hold"' in make_request(on_shortfall=Shortfall.HOLD).canonical_text()


# B runs away from 10.01 to 10.60 while A fills: a unit costs 121.21, and the limit is 120.10.


async def test_retry_completes_what_is_held_once_the_books_come_back(house: House) -> None:
    before_order(house, "BUSDT", lambda: set_book(house, "B", FAR))
    order = await house.buy(10, limit_price=D("120.10"), time_in_force="gtc")
    assert (order.status, order.filled) == (IndexOrderStatus.OPEN, D(0))
    assert house.holdings(f"order:{order.id}")["A"] == 10
    assert purposes(house, order) == ["trade"]

    set_book(house, "A", ([("149.00", "500")], [("150.00", "500")]))
    set_book(house, "B", B)
    await house.manager.run([order.id])

    # A went up to 150 meanwhile: what is held counts at the 100.01 that were paid for it.
    order = house.order(order.id)
    assert (order.status, order.filled) == (IndexOrderStatus.FILLED, D(10))
    assert house.cash(order.id) == 10 * (D("100.01") + 2 * D("10.01"))
    assert_sound(house)


async def test_unwind_trades_back_at_once_and_goes_on_with_the_rest(either: House) -> None:
    house = either
    before_order(house, "BUSDT", lambda: set_book(house, "B", FAR))
    order = await house.buy(10, limit_price=D("120.10"), time_in_force="gtc", on_shortfall=Shortfall.UNWIND)
    assert (order.status, order.filled) == (IndexOrderStatus.OPEN, D(0))
    assert house.holdings(f"order:{order.id}").get("A", D(0)) == 0
    assert purposes(house, order) == ["trade", "unwind"]
    assert house.loss(order.id).total == D("0.20")

    set_book(house, "B", B)
    await house.manager.run([order.id])

    order = house.order(order.id)
    assert (order.status, order.filled) == (IndexOrderStatus.FILLED, D(10))
    assert house.loss(order.id).total == D("0.20") + 10 * D("0.01") + 20 * D("0.01")
    assert_sound(house)


async def test_unwind_of_a_sell_sells_the_rest_of_its_baskets(house: House) -> None:
    await house.buy(20)
    before_order(house, "BUSDT", lambda: set_book(house, "B", ([("9.00", "5000")], [("9.10", "5000")])))
    order = await house.sell(10, limit_price=D("119.90"), time_in_force="gtc", on_shortfall=Shortfall.UNWIND)
    # Ten A were sold: ten baskets are redeemed, and their B is sold at the price of now.
    assert (order.status, order.filled) == (IndexOrderStatus.FILLED, D(10))
    assert house.cash(order.id) == 10 * D("99.99") + 20 * D("9.00")
    assert_sound(house)


async def test_hold_keeps_what_it_has_until_somebody_cancels_it(either: House) -> None:
    house = either
    before_order(house, "BUSDT", lambda: set_book(house, "B", FAR))
    order = await house.buy(10, limit_price=D("120.10"), on_shortfall=Shortfall.HOLD)
    assert (order.status, order.stopped_by) == (IndexOrderStatus.STUCK, ("limit", "held"))
    assert house.holdings(f"order:{order.id}") == {"A": D(10)}
    assert await why_kept(house, order) == {"A": Why.WISH}
    assert_sound(house)

    await house.manager.run([])
    assert house.order(order.id).status is IndexOrderStatus.STUCK

    before = house.holdings("treasury:self")["USDT"]
    cancel(house, order)
    await house.manager.free([order.id])
    order = house.order(order.id)
    assert (order.status, order.stopped_by) == (IndexOrderStatus.CANCELLED, ("limit", "cancelled"))
    assert house.holdings(f"order:{order.id}") == {}
    assert house.holdings("treasury:self")["USDT"] == before + 10 * D("99.99")
    assert house.loss(order.id).total == D("0.20")
    assert_sound(house)


async def test_what_is_held_by_wish_is_still_completed_by_the_next_batches(house: House) -> None:
    before_order(house, "BUSDT", lambda: set_book(house, "B", FAR))
    order = await house.buy(10, limit_price=D("120.10"), time_in_force="gtc", on_shortfall=Shortfall.HOLD)
    set_book(house, "B", B)
    await house.manager.run([order.id])
    assert house.order(order.id).status is IndexOrderStatus.FILLED
    assert_sound(house)


async def test_what_cannot_trade_is_stuck_and_is_traded_back_once_it_can(either: House) -> None:
    house = either

    # A fills; then B runs away and A is halted: neither can it be completed, nor sold.
    def happens() -> None:
        set_book(house, "B", FAR)
        market_of(house).set_status("AUSDT", "BREAK")

    order = await house.desk.accept(make_request(quantity=D(10), limit_price=D("120.10"), time_in_force="gtc"))
    before_order(house, "BUSDT", happens)
    await house.manager.run([order.id])
    assert house.order(order.id).filled == 0
    cancel(house, order)
    await house.manager.run([order.id])

    order = house.order(order.id)
    assert (order.status, order.stopped_by) == (IndexOrderStatus.STUCK, ("cancelled",))
    assert order.cancel_requested_at is None
    assert await why_kept(house, order) == {"A": Why.HALTED}
    await house.manager.run([])
    assert house.order(order.id).status is IndexOrderStatus.STUCK

    market_of(house).set_status("AUSDT", "TRADING")
    assert await why_kept(house, order) == {"A": Why.NEXT}
    await house.manager.run([])
    order = house.order(order.id)
    assert (order.status, order.stopped_by) == (IndexOrderStatus.CANCELLED, ("cancelled",))
    with house.database.read() as connection:
        released = released_of(connection, order)
    assert released["USDT"] > 10 * D("99.99")
    assert house.holdings("treasury:self")["USDT"] == 999_000 - D("0.20")
    assert_sound(house)


async def test_a_stuck_order_frees_itself_piece_by_piece(house: House) -> None:
    def happens() -> None:
        set_book(house, "B", FAR)
        set_book(house, "A", ([("99.99", "0.01")], [("100.01", "500")]))

    before_order(house, "BUSDT", happens)
    order = await house.buy(10, limit_price=D("120.10"))
    assert order.status is IndexOrderStatus.STUCK
    for _ in range(2):
        set_book(house, "A", ([("99.99", "4")], [("100.01", "500")]))
        await house.manager.run([])
        assert house.order(order.id).status is IndexOrderStatus.STUCK
        assert set(house.holdings(f"order:{order.id}")) == {"A"}  # what it brought is the holder's
        assert_sound(house)
    set_book(house, "A", A)
    await house.manager.run([])
    assert house.order(order.id).status is IndexOrderStatus.ENDED
    assert house.holdings("treasury:self")["USDT"] == 999_000 - D("0.20")
    assert_sound(house)


async def test_one_asset_without_a_market_does_not_keep_the_others_from_being_sold(house: House) -> None:
    # A fills, B does not and leaves the exchange for good: A is sold all the same.
    def happens() -> None:
        set_book(house, "B", FAR)
        market_of(house).delist("BUSDT")

    before_order(house, "BUSDT", happens)
    order = await house.desk.accept(make_request(quantity=D(10), limit_price=D("120.10")))
    with pytest.raises(MissingPrice, match="B has no market BUSDT"):
        await house.manager.run([order.id])
    order = house.order(order.id)
    assert (order.status, order.stopped_by) == (IndexOrderStatus.ENDED, ("delisted(BUSDT)",))
    assert house.holdings(f"order:{order.id}") == {}
    assert_sound(house)


# Orders that use several currencies.


async def routed_house(folder: Path, **changes: str) -> House:
    house = make_house(folder, make_routes_market(free=("USDCUSDT",), **changes))
    await house.create(make_definition(routes=("USDT", "USDC")))
    return house


@pytest.mark.parametrize(("usdc", "a"), [("1", "100"), ("0.98", "102.04")], ids=["at par", "away from par"])
async def test_a_leg_is_traded_back_in_the_currency_it_has_a_market_in(tmp_path: Path, usdc: str, a: str) -> None:
    house = await routed_house(tmp_path, usdc=usdc, a=a)

    def happens() -> None:
        set_book(house, "B", ([("15.00", "5000")], [("16.00", "5000")]))
        market_of(house).set_status("AUSDT", "HALT")

    order = await house.desk.accept(make_request(quantity=D(50), limit_price=D("121.50"), time_in_force="gtc"))
    before_order(house, "BUSDT", happens)
    await house.manager.run([order.id])
    assert house.holdings(f"order:{order.id}").get("A", D(0)) > 1
    cancel(house, order)
    await house.manager.run([order.id])

    order = house.order(order.id)
    assert order.status is IndexOrderStatus.CANCELLED
    assert [view.symbol for view in house.exchange.orders("paper") if view.side == "SELL"] == ["AUSDC"]
    assert house.holdings(f"order:{order.id}") == {}
    assert house.holdings("treasury:self")["USDC"] > 0
    assert_sound(house)


async def test_an_order_that_must_end_is_completed_on_the_books_of_another_currency(tmp_path: Path) -> None:
    house = await routed_house(tmp_path)
    far = ([("99.99", "500")], [("100.01", "0.01"), ("130.00", "500")])

    def happens() -> None:
        for symbol in ("AUSDT", "AUSDC"):
            market_of(house).set_book(symbol, *far)

    order = await house.desk.accept(make_request(quantity=D(10), max_loss_bps=D(30), time_in_force="gtc"))
    before_order(house, ("AUSDT", "AUSDC"), happens)
    await house.manager.run([order.id])
    assert house.holdings(f"order:{order.id}").get("B", D(0)) > 15
    # A for 100.25 and the fee loses 32 bps in all, more than the order's 30; giving up its B would lose more.
    market_of(house).set_book("AUSDC", [("99.99", "500")], [("100.25", "5000")])
    cancel(house, order)
    await house.manager.run([order.id])

    order = house.order(order.id)
    assert (order.status, order.filled) == (IndexOrderStatus.FILLED, D(10))
    assert [each.symbol for each in house.exchange.orders("paper")][-1] == "AUSDC"
    assert_sound(house)


# One bad symbol.


@pytest.fixture
async def two(tmp_path: Path) -> House:
    """Two indices that share nothing but the account: one of A and B, one of C."""
    books = {"A": A, "B": B, "C": A}
    made = make_house(tmp_path, make_market(books, taker="0"))
    await made.create(make_definition())
    await made.create(make_definition(symbol="ONE", name="One", basket={"C": D(1)}))
    return made


@pytest.mark.parametrize("status", ["HALT", "BREAK", "END_OF_DAY"])
async def test_a_halted_symbol_stops_only_the_orders_that_hold_it(two: House, status: str) -> None:
    bad = await two.desk.accept(make_request(quantity=D(5)))
    waiting = await two.desk.accept(make_request(quantity=D(5), time_in_force="gtc", position="new"))
    good = await two.desk.accept(make_request(quantity=D(7), index_id=2))
    market_of(two).set_status("BUSDT", status)

    await two.manager.run([good.id])  # what stops another's order is none of its business

    assert two.order(good.id).status is IndexOrderStatus.FILLED
    ended = two.order(bad.id)
    assert (ended.status, ended.stopped_by) == (IndexOrderStatus.ENDED, ("halted(BUSDT)",))
    held = two.order(waiting.id)
    assert (held.status, held.stopped_by) == (IndexOrderStatus.OPEN, ("halted(BUSDT)",))
    market_of(two).set_status("BUSDT", "TRADING")
    await two.manager.run([])
    assert two.order(waiting.id).status is IndexOrderStatus.FILLED
    assert_sound(two)


async def test_who_wanted_the_order_is_told_of_the_halt(two: House) -> None:
    bad = await two.desk.accept(make_request(quantity=D(5)))
    market_of(two).set_status("BUSDT", "HALT")
    with pytest.raises(NotTrading, match="BUSDT does not trade now"):
        await two.manager.run([bad.id])


async def test_a_delisted_symbol_stops_only_the_orders_that_hold_it(two: House) -> None:
    waiting = await two.desk.accept(make_request(quantity=D(5), time_in_force="gtc"))
    good = await two.desk.accept(make_request(quantity=D(7), index_id=2))
    market_of(two).delist("BUSDT")
    await two.manager.run([good.id])
    assert two.order(good.id).status is IndexOrderStatus.FILLED
    assert two.order(waiting.id).stopped_by == ("delisted(BUSDT)",)
    assert_sound(two)


async def test_a_symbol_refused_again_and_again_stops_only_the_orders_that_hold_it(two: House) -> None:
    # It halts after the rules were read: the exchange refuses what is sent.
    bad = await two.desk.accept(make_request(quantity=D(5), time_in_force="gtc"))
    good = await two.desk.accept(make_request(quantity=D(7), index_id=2))
    before_order(two, "BUSDT", lambda: market_of(two).set_status("BUSDT", "HALT"))
    await two.manager.run([good.id])
    assert two.order(good.id).status is IndexOrderStatus.FILLED
    stopped = two.order(bad.id)
    assert (stopped.status, stopped.stopped_by) == (IndexOrderStatus.OPEN, ("rejected(B)",))
    market_of(two).set_status("BUSDT", "TRADING")
    await two.manager.run([bad.id])
    assert two.order(bad.id).status is IndexOrderStatus.FILLED
    assert_sound(two)


async def test_a_solver_failure_of_one_order_stops_it_alone(two: House, monkeypatch: pytest.MonkeyPatch) -> None:
    from etf_trader.errors import NumericalFailure
    from etf_trader.execution import together

    bad = await two.desk.accept(make_request(quantity=D(5), time_in_force="gtc"))
    good = await two.desk.accept(make_request(quantity=D(7), index_id=2))
    other = await two.desk.accept(make_request(quantity=D(3), index_id=2, position="new"))
    alone, shared = plan_order, together._solved

    def fails_alone(problem: object, *rest: object) -> object:
        if {leg.asset for leg in problem.legs} == {"A", "B"}:  # type: ignore[attr-defined]
            raise NumericalFailure("the solver gave up")
        return alone(problem, *rest)  # type: ignore[arg-type]

    def fails_together(orders: list[object], *rest: object) -> object:
        if bad.id in {order.key for order in orders}:  # type: ignore[attr-defined]
            raise NumericalFailure("the solver gave up")
        return shared(orders, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(together, "plan_order", fails_alone)
    monkeypatch.setattr(together, "_solved", fails_together)
    await two.manager.run([good.id])
    assert [two.order(each.id).status for each in (good, other)] == [IndexOrderStatus.FILLED] * 2
    assert two.order(bad.id).stopped_by == ("solver",)
    assert_sound(two)


async def test_orders_that_find_no_plan_together_are_planned_one_after_the_other(
    two: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    from etf_trader.errors import NumericalFailure
    from etf_trader.execution import together

    orders = [await two.desk.accept(make_request(quantity=D(q), position="new")) for q in (5, 6, 7)]

    def fails(*_: object) -> object:
        raise NumericalFailure("the solver gave up")

    monkeypatch.setattr(together, "_solved", fails)
    await two.manager.run([])
    assert [two.order(each.id).filled for each in orders] == [D(5), D(6), D(7)]
    assert_sound(two)


@pytest.mark.parametrize("policy", list(Shortfall), ids=str)
async def test_a_leader_that_is_stopped_keeps_the_order_and_the_next_one_goes_on(
    house: House, policy: Shortfall
) -> None:
    asked: list[bool] = []

    def happens() -> None:
        set_book(house, "B", FAR)
        asked.append(True)  # Ctrl-C, while the batch is under way

    order = await house.desk.accept(make_request(quantity=D(10), limit_price=D("120.10"), on_shortfall=policy))
    before_order(house, "BUSDT", happens)
    house.manager.stop_when(lambda: bool(asked))
    await house.manager.run([order.id])
    assert house.order(order.id).status is IndexOrderStatus.OPEN
    assert house.holdings(f"order:{order.id}")["A"] == 10
    assert_sound(house)

    house.manager.stop_when(lambda: False)
    await house.manager.run([order.id])
    ended = house.order(order.id)
    assert ended.status is (IndexOrderStatus.STUCK if policy is Shortfall.HOLD else IndexOrderStatus.ENDED)
    assert_sound(house)


async def test_a_leader_that_is_stopped_while_it_trades_back_leaves_the_order_open(house: House) -> None:
    asked: list[bool] = []
    order = await house.desk.accept(make_request(quantity=D(10), limit_price=D("120.10"), time_in_force="gtc"))
    before_order(house, "BUSDT", lambda: set_book(house, "B", FAR))
    await house.manager.run([order.id])
    cancel(house, order)
    set_book(house, "A", ([("99.99", "4"), ("99.00", "0.01")], [("100.01", "500")]))
    before_order(house, "AUSDT", lambda: asked.append(True))
    house.manager.stop_when(lambda: bool(asked))
    await house.manager.run([order.id])
    assert house.order(order.id).status is IndexOrderStatus.OPEN
    assert house.holdings(f"order:{order.id}")["A"] < 10

    set_book(house, "A", A)
    house.manager.stop_when(lambda: False)
    await house.manager.run([order.id])
    assert house.order(order.id).status is IndexOrderStatus.CANCELLED
    assert house.holdings(f"order:{order.id}") == {}
    assert_sound(house)


async def test_a_cancel_that_comes_too_late_changes_nothing(house: House) -> None:
    order = await house.buy(10)
    cancel(house, order)
    assert house.order(order.id) == order


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
async def test_an_order_cancelled_while_its_batch_is_under_way_keeps_what_that_filled(
    house: House, side: Side
) -> None:
    await house.buy(20)
    order = await house.desk.accept(make_request(side, quantity=D(10), time_in_force="gtc", limit_price=D(120)))
    if side is Side.BUY:
        set_book(house, "A", ([("99.00", "500")], [("99.50", "4")]))
    else:
        set_book(house, "A", ([("101.00", "4")], [("102.00", "500")]))
    before_order(house, "AUSDT", lambda: cancel(house, order))
    await house.manager.run([order.id])
    order = house.order(order.id)
    if order.status is IndexOrderStatus.OPEN:
        await house.manager.run([order.id])
        order = house.order(order.id)
    assert order.status is IndexOrderStatus.CANCELLED
    assert D(4) <= order.filled < D("4.06")  # the float may round a lot
    assert_sound(house)


async def test_what_waits_for_slots_is_withdrawn_by_a_cancel_and_never_sent(tmp_path: Path) -> None:
    # 2,500 B in orders of at most 20 are more than the 100 that ten seconds allow.
    house = make_house(tmp_path, make_market({"A": A, "B": B}, rules={"B": {"max_quantity": "20"}}, taker="0"))
    await house.create(make_definition())
    house.market.set_book("AUSDT", [("99.99", "9000")], [("100.01", "9000")])  # type: ignore[attr-defined]
    house.market.set_book("BUSDT", [("9.99", "90000")], [("10.01", "90000")])  # type: ignore[attr-defined]
    order = await house.desk.accept(make_request(quantity=D(1250), time_in_force="gtc"))
    arrived: list[str] = []

    def count(each: LimitOrder) -> None:
        arrived.append(each.symbol)
        if len(arrived) == 50:
            cancel(house, order)

    house.venue.before_place = count
    await house.manager.run([order.id])
    order = house.order(order.id)
    if order.status is IndexOrderStatus.OPEN:
        await house.manager.run([order.id])
        order = house.order(order.id)

    assert order.status is IndexOrderStatus.CANCELLED
    with house.database.read() as connection:
        sent = asset_orders_of(connection, order.id)
        released = released_of(connection, order)
    withdrawn = [each for each in sent if each.status is AssetOrderStatus.WITHDRAWN]
    assert withdrawn
    assert {each.reason for each in withdrawn} == {"its order was cancelled"}
    assert len(house.exchange.orders("paper")) == len(sent) - len(withdrawn)
    assert 0 < order.filled < 1250
    assert released["USDT"] > 0
    assert_sound(house)


async def test_killed_between_trading_back_and_the_end_the_next_leader_ends_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    from etf_trader.execution import ending

    before_order(house, "BUSDT", lambda: set_book(house, "B", FAR))
    order = await house.buy(10, limit_price=D("120.10"), on_shortfall=Shortfall.HOLD)
    cancel(house, order)

    def dies(*_: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched, pytest.raises(RuntimeError, match="killed"):
        patched.setattr(ending, "end", dies)
        await house.manager.free([order.id])
    assert house.holdings(f"order:{order.id}") == {"USDT": 10 * D("99.99")}
    assert house.order(order.id).status is IndexOrderStatus.STUCK

    await house.manager.run([])
    assert house.order(order.id).status is IndexOrderStatus.CANCELLED
    assert house.holdings(f"order:{order.id}") == {}
    assert len(house.exchange.orders("paper")) == 3
    assert_sound(house)
