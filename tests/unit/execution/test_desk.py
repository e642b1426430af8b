"""Orders coming in: which position they are for, what is reserved, and every sentence of a refusal.

Index of one A and two B a unit, float 1,000. A trades in lots of .01 at 99.90 to 100.10, B in lots of 1 at
9.99 to 10.01; the least order is 5 USDT, the fee 10 bps. A unit is worth 120. The treasury holds 1,000,000.
"""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.factories import House, make_definition, make_house, make_ladders, make_market, make_request

from etf_trader.clock import SimulatedClock
from etf_trader.errors import CrossedBook, MissingPrice, NotFound, UsageError
from etf_trader.exchange.static import EPOCH, StaticMarket, symbol_row
from etf_trader.execution.desk import Desk
from etf_trader.execution.settings import ExecutionSettings
from etf_trader.index.store import list_positions, set_status
from etf_trader.ledger.repository import Ledger
from etf_trader.market.symbol import Side
from etf_trader.orders.index_order import IndexOrder
from etf_trader.orders.store import list_index_orders, request_cancel

D = Decimal


def make_books(depth: str = "100000") -> StaticMarket:
    return make_market(
        {
            "A": make_ladders(D(100), D("0.10"), D(depth)),
            "B": make_ladders(D(10), D("0.01"), D(depth)),
        },
        rules={"B": {"step": "1", "min_quantity": "1"}},
    )


@pytest.fixture
async def house(tmp_path: Path) -> House:
    made = make_house(tmp_path, make_books())
    await made.create(make_definition())
    return made


def desk_of(house: House, holder: str, **changes: Any) -> Desk:
    """Return the desk of another holder, or with other settings."""
    chosen = ExecutionSettings(**changes)
    return Desk(house.database, house.venue, house.clock, house.account, holder, chosen, house.log)


async def refusal(desk: Desk, side: Side, **changes: Any) -> UsageError:
    """Return why an order is refused, by preview and by acceptance alike."""
    request = make_request(side, **changes)
    with pytest.raises(UsageError) as previewed:
        await desk.preview(request)
    with pytest.raises(UsageError) as refused:
        await desk.accept(request)
    assert refused.value.message == previewed.value.message
    return refused.value


async def accept(house: House, side: Side = Side.BUY, **changes: Any) -> IndexOrder:
    return await house.desk.accept(make_request(side, **changes))


def cash(house: House, account: str) -> Decimal:
    return house.holdings(account).get("USDT", D(0))


# Which position


async def test_the_first_buy_opens_a_position(house: House) -> None:
    order = await accept(house)
    assert order.position_id == 1
    assert (house.position(1).units, house.position(1).index_id) == (D(0), 1)


async def test_without_a_number_an_order_is_for_the_only_open_position(house: House) -> None:
    await house.buy(10)
    assert (await house.buy(1)).position_id == 1
    assert (await house.sell(2)).position_id == 1


async def test_a_position_with_nothing_but_an_open_order_is_open(house: House) -> None:
    waiting = await house.buy(10, limit_price=D(100), time_in_force="gtc")
    assert (str(waiting.status), waiting.filled) == ("open", D(0))
    assert (await house.buy(1)).position_id == 1


async def test_an_emptied_position_is_left_alone(house: House) -> None:
    await house.buy(10)
    await house.sell(None)
    assert (await house.buy(1)).position_id == 2


async def test_a_new_position_is_opened_when_asked_for(house: House) -> None:
    await house.buy(10)
    assert (await house.buy(1, position="new")).position_id == 2
    assert (await house.buy(1, position="1")).position_id == 1


@pytest.mark.parametrize(
    ("side", "hint"),
    [(Side.BUY, "say which: --position N, or --position new"), (Side.SELL, "say which: --position N")],
)
async def test_of_several_open_positions_one_must_be_named(house: House, side: Side, hint: str) -> None:
    await house.buy(10)
    await house.buy("2.5", position="new")
    error = await refusal(house.desk, side, quantity=D(1))
    assert error.message == "self has 2 open positions in TWO: 1 (10 units), 2 (2.50 units)"
    assert (error.where, error.hint) == ("--position", hint)
    assert (await house.sell(1, position="2")).position_id == 2


async def test_a_new_position_has_nothing_to_sell(house: House) -> None:
    await house.buy(10)
    error = await refusal(house.desk, Side.SELL, position="new")
    assert error.message == "a new position has nothing to sell"


async def test_somebody_elses_position_is_not_touched(house: House) -> None:
    await house.buy(10)
    error = await refusal(desk_of(house, "ann"), Side.SELL, position="1", quantity=D(1))
    assert error.message == "position 1 is not one of ann's in TWO"
    assert error.hint == "etf position list shows whose they are"


async def test_a_position_in_another_index_is_not_touched(house: House) -> None:
    await house.buy(10)
    await house.create(make_definition(symbol="ALONE", basket={"A": D(1)}, float_cash=D(10)))
    error = await refusal(house.desk, Side.BUY, index_id=2, position="1")
    assert error.message == "position 1 is not one of self's in ALONE"


async def test_a_position_that_is_not_there_is_not_found(house: House) -> None:
    with pytest.raises(NotFound, match="there is no position 7"):
        await accept(house, position="7")


async def test_what_one_does_not_have_cannot_be_sold(house: House) -> None:
    error = await refusal(house.desk, Side.SELL)
    assert error.message == "self holds no units of TWO"
    assert error.hint == "etf submit buy --index 1 --qty 100 buys some"


# How much


async def test_more_than_the_position_holds_cannot_be_sold(house: House) -> None:
    await house.buy(10)
    error = await refusal(house.desk, Side.SELL, quantity=D("10.00000001"))
    assert error.message == "position 1 holds 10 units of TWO: 10.00000001 cannot be sold"
    assert (error.where, error.hint) == ("--qty", "sell at most 10")


async def test_units_that_an_open_order_offers_cannot_be_sold_again(house: House) -> None:
    await house.buy(10)
    await house.sell(4, limit_price=D(130), time_in_force="gtc")
    error = await refusal(house.desk, Side.SELL, quantity=D(7))
    assert error.message == (
        "position 1 holds 10 units of TWO, 4 of them offered by open orders: 7 cannot be sold"
    )
    assert error.hint == "sell at most 6"


async def test_when_all_units_are_offered_there_is_nothing_to_sell(house: House) -> None:
    await house.buy(10)
    await house.sell(None, limit_price=D(130), time_in_force="gtc")
    error = await refusal(house.desk, Side.SELL, quantity=None)
    assert error.message == (
        "position 1 holds 10 units of TWO, 10 of them offered by open orders: all cannot be sold"
    )
    assert error.hint == "etf order list shows the open orders"


async def test_all_is_what_is_not_offered_yet(house: House) -> None:
    await house.buy(10)
    await house.sell(4, limit_price=D(130), time_in_force="gtc")
    order = await accept(house, Side.SELL, quantity=None)
    assert order.quantity == D(6)
    assert house.holdings("order:3") == {"unit:1": D(6)}
    assert house.holdings("position:1") == {}


async def test_selling_all_leaves_nothing(house: House) -> None:
    await house.buy("3.14159265")
    order = await house.sell(None)
    assert (order.quantity, order.filled) == (D("3.14159265"),) * 2
    assert (house.position().units, house.position().cost) == (D(0), D(0))
    assert house.holdings("index:1") == {}


async def test_units_of_a_closed_index_can_only_be_sold(house: House) -> None:
    await house.buy(10)
    with house.database.write() as connection:
        set_status(connection, 1, "closed")
    error = await refusal(house.desk, Side.BUY)
    assert error.message == "TWO is closed: its units can only be sold"
    assert (await house.sell(10)).filled == D(10)


async def test_an_empty_treasury_buys_nothing(tmp_path: Path) -> None:
    house = make_house(tmp_path, make_books(), deposit=D(1000))
    await house.create(make_definition())  # all of it is the float now
    error = await refusal(house.desk, Side.BUY)
    assert error.message == "the treasury of self has no free USDT to buy with"
    assert (error.where, error.hint) == ("treasury", "etf treasury deposit 1000000")


async def test_a_holder_without_a_treasury_buys_nothing(house: House) -> None:
    error = await refusal(desk_of(house, "ann"), Side.BUY)
    assert error.message == "the treasury of ann has no free USDT to buy with"


# Too small


async def test_an_order_whose_lots_need_more_float_than_there_is_names_the_float(tmp_path: Path) -> None:
    house = make_house(tmp_path, make_books())
    await house.create(make_definition(float_cash=D(0), basket={"A": D("0.1234567"), "B": D("3.7")}))
    # A: .1234567 / .999, lots of .01: .13, net .12987, .0064133 over at 100 = .64133
    # B: 3.7 / .999, lots of 1: 4, net 3.996, .296 over at 10 = 2.96; together 3.60133
    error = await refusal(house.desk, Side.BUY, quantity=D(1))
    assert error.message == (
        "1 unit needs a float of 3.61 USDT for lot steps and least orders; the float of TWO holds 0.00"
    )
    assert error.hint == "give the index a float once: etf index fund 1 100"


async def test_an_order_below_the_least_order_names_what_would_do(tmp_path: Path) -> None:
    house = make_house(tmp_path, make_books())
    await house.create(make_definition(float_cash=D(6)))
    # .01 units need .01 A and .02 B: the venue's least is .05 A and one B, which leave .04 A and .979 B over,
    # worth 4 + 9.79 = 13.79 of a float of 6.
    error = await refusal(house.desk, Side.BUY, quantity=D("0.01"))
    assert error.message.startswith("0.01 units (1.20 USDT) is below the least order of ")
    assert error.message.endswith(" units while the float of TWO is 6.00 USDT")
    assert error.hint is not None
    named = error.message.split("least order of ")[1].split(" units")[0]
    assert error.hint.endswith(f"or trade at least {named}")
    least = D(named)
    # What it names does trade, and a hair less does not.
    assert (await house.buy(least)).filled == least
    with house.database.read() as connection:
        assert len(list_index_orders(connection)) == 1


async def test_an_index_with_float_takes_the_smallest_order(house: House) -> None:
    order = await house.buy("0.00000001")
    assert order.filled == D("0.00000001")


# Client keys


async def test_the_same_key_with_the_same_text_is_the_same_order(house: House) -> None:
    request = make_request(client_key="monthly", limit_price=D("130.0"))
    first = await house.desk.accept(request)
    again = await house.desk.accept(make_request(client_key="monthly", limit_price=D(130)))
    assert again == first
    assert cash(house, "order:1") + cash(house, "treasury:self") == D(999_000)
    with house.database.read() as connection:
        assert len(list_index_orders(connection)) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"quantity": D(11)},
        {"limit_price": D(130)},
        {"max_loss_bps": D(10)},
        {"time_in_force": "gtc"},
        {"position": "new"},
    ],
    ids=lambda changes: next(iter(changes)),
)
async def test_the_same_key_with_another_text_is_refused(house: House, changes: dict[str, Any]) -> None:
    await accept(house, client_key="monthly")
    with pytest.raises(UsageError, match="the client key monthly belongs to order 1") as refused:
        await accept(house, client_key="monthly", **changes)
    assert refused.value.where == "--client-key"


async def test_a_key_is_taken_even_by_an_order_that_ended(house: House) -> None:
    order = await house.buy(10, client_key="monthly")
    assert (await accept(house, client_key="monthly")).id == order.id


async def test_the_same_key_twice_at_once_is_one_order(house: House) -> None:
    request = make_request(client_key="monthly")
    first, second = await asyncio.gather(house.desk.accept(request), house.desk.accept(request))
    assert first == second


# Cash


async def test_a_preview_writes_nothing(house: House) -> None:
    before = _everything(house)
    preview = await house.desk.preview(make_request())
    assert (preview.quantity, preview.position, preview.arrival_nav) == (D(10), None, D(120))
    assert preview.plan.units == D(10)
    assert _everything(house) == before


async def test_accepting_a_buy_sets_its_reserve_aside_to_the_cent(house: House) -> None:
    request = make_request()
    reserve = (await house.desk.preview(request)).reserved["USDT"]
    order = await house.desk.accept(request)
    assert cash(house, "order:1") == reserve == reserve.quantize(D("0.01"))
    assert cash(house, "treasury:self") == D(999_000) - reserve
    # Ten units cost 10 x (100.10 + 20.02) / .999 = 1,202.40...; 2% of headroom: 1,226.45...
    # Lots: 2 x .06 x 100.10 + 2 x 1 x 10.01, for the least order of 5 USDT is .05 A at 100
    assert D("1226.45") + D(30) < reserve < D("1226.46") + D(33)
    assert (order.arrival, order.arrival_nav) == ({"A": D(100), "B": D(10)}, D(120))


async def test_with_a_limit_every_unit_is_reserved_at_the_limit(house: House) -> None:
    preview = await house.desk.preview(make_request(limit_price=D(125)))
    assert D(1250) < preview.reserved["USDT"] < D(1250) + D(33)


async def test_headroom_is_what_the_settings_say(house: House) -> None:
    request = make_request(quantity=D(1000))
    tight = await desk_of(house, "self", reserve_bps=D(0)).preview(request)
    wide = await desk_of(house, "self", reserve_bps=D(500)).preview(request)
    assert wide.reserved["USDT"] - tight.reserved["USDT"] > D(1000) * 120 * 5 / 100


async def test_what_a_buy_did_not_spend_returns_to_its_holder(house: House) -> None:
    order = await house.buy(10)
    assert cash(house, "order:1") == D(0)
    assert cash(house, "treasury:self") == D(999_000) - house.cash(order.id)


async def test_two_orders_cannot_reserve_the_same_cash(house: House) -> None:
    first = await accept(house, quantity=D(6000))  # about 735,000
    second = await accept(house, quantity=D(6000))
    assert cash(house, "order:1") > D(6000) * 120
    assert cash(house, "order:2") == D(999_000) - cash(house, "order:1")
    assert cash(house, "treasury:self") == D(0)
    error = await refusal(house.desk, Side.BUY)
    assert "the treasury of self has no free USDT" in error.message
    await house.manager.run([first.id, second.id])
    assert house.order(1).filled == D(6000)
    assert (house.order(2).stopped_by, D(0) < house.order(2).filled < D(6000)) == (("cash",), True)
    assert cash(house, "treasury:self") >= 0


async def test_of_two_orders_at_once_the_second_is_told_that_the_cash_is_gone(house: House) -> None:
    requests = [make_request(quantity=D(6000)), make_request(quantity=D(6000))]
    done = await asyncio.gather(*(house.desk.accept(each) for each in requests), return_exceptions=True)
    (order,) = [each for each in done if isinstance(each, IndexOrder)]
    (error,) = [each for each in done if isinstance(each, UsageError)]
    assert error.message.startswith("another order took the cash: the treasury holds ")
    assert error.hint == "repeat the command"
    assert cash(house, f"order:{order.id}") + cash(house, "treasury:self") == D(999_000)


async def test_of_two_sells_at_once_the_second_is_told_that_the_units_are_offered(house: House) -> None:
    await house.buy(10)
    requests = [make_request(Side.SELL, quantity=D(6)), make_request(Side.SELL, quantity=D(6))]
    done = await asyncio.gather(*(house.desk.accept(each) for each in requests), return_exceptions=True)
    (error,) = [each for each in done if isinstance(each, UsageError)]
    assert "6 of them offered by open orders: 6 cannot be sold" in error.message


async def test_a_cancelled_order_gives_its_cash_back(house: House) -> None:
    order = await house.buy(10, limit_price=D(100), time_in_force="gtc")
    assert cash(house, "order:1") > 0
    with house.database.write() as connection:
        request_cancel(connection, order.id, house.clock.now())
    await house.manager.run([order.id])
    assert (cash(house, "order:1"), cash(house, "treasury:self")) == (D(0), D(999_000))


@settings(max_examples=examples(15))
@given(
    quantity=st.decimals("0.00000001", "3000", places=8),
    limit=st.none() | st.decimals("110", "140", places=2),
    depth=st.sampled_from(["200", "3000", "100000"]),
    float_cash=st.sampled_from([D(0), D(50), D(1000)]),
)
def test_the_reserve_covers_whatever_the_order_comes_to(
    tmp_path_factory: pytest.TempPathFactory,
    quantity: Decimal,
    limit: Decimal | None,
    depth: str,
    float_cash: Decimal,
) -> None:
    async def play() -> None:
        house = make_house(tmp_path_factory.mktemp("reserve"), make_books(depth))
        await house.create(make_definition(float_cash=float_cash))
        try:
            order = await accept(house, quantity=quantity, limit_price=limit)
        except UsageError:
            return  # too small for its float
        reserve = cash(house, "order:1")
        await house.manager.run([order.id])
        done = house.order(1)
        # Nothing but its limits and the books stopped it: neither cash, nor was any overdrawn on the way.
        assert "cash" not in done.stopped_by
        assert house.cash(1) <= reserve
        assert cash(house, "treasury:self") == D(1_000_000) - float_cash - house.cash(1)
        house.database.close()

    asyncio.run(play())


# Prices


@pytest.mark.parametrize(
    ("book", "error"),
    [
        (([], [("100.10", "5")]), MissingPrice),
        (([("99.90", "5")], []), MissingPrice),
        (([("100.10", "5")], [("100.10", "5")]), CrossedBook),
    ],
    ids=["no bids", "no asks", "crossed"],
)
async def test_without_a_price_no_order_is_accepted(
    house: House, book: tuple[list[tuple[str, str]], list[tuple[str, str]]], error: type[Exception]
) -> None:
    assert isinstance(house.market, StaticMarket)
    house.market.set_book("AUSDT", *book)
    with pytest.raises(error, match="AUSDT"):
        await accept(house)
    with house.database.read() as connection:
        assert list_index_orders(connection) == []
        assert list_positions(connection) == []


async def test_an_order_with_a_lifetime_knows_when_it_ends(house: House) -> None:
    order = await accept(house, time_in_force="30m")
    assert order.expires_at is not None
    assert (order.expires_at - order.accepted_at).total_seconds() == 1800
    assert order.accepted_at == house.clock.now() == SimulatedClock(EPOCH).now()
    assert (await accept(house, time_in_force="gtc")).expires_at is None


def _everything(house: House) -> list[str]:
    with house.database.read() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        held = Ledger(connection, house.account.id).holdings("treasury:self")
        return [*raw.iterdump(), str(held)]


async def test_a_book_is_read_on_before_a_dearer_one_in_another_currency_is_used(tmp_path: Path) -> None:
    # of A, 150 are on offer up to 101.50, in 150 levels; in USDC they begin at 103
    books = {
        "AUSDT": make_ladders(D(100), D("0.01"), D(1), levels=300),
        "AUSDC": make_ladders(D(100), D("0.01"), D(1000), spread=300),
        "BUSDT": make_ladders(D(10), D("0.01"), D(10_000)),
        "USDCUSDT": make_ladders(D(1), D("0.0001"), D(1_000_000)),
    }
    rows = [symbol_row(symbol, symbol[:-4], symbol[-4:], tick="0.0001") for symbol in books]
    house = make_house(tmp_path, StaticMarket(rows, books))
    await house.create(make_definition(routes=("USDT", "USDC")))
    preview = await house.desk.preview(make_request(Side.BUY, quantity=D(149)))
    assert {leg.symbol for leg in preview.plan.legs if leg.quantity} == {"AUSDT", "BUSDT"}
    assert len(preview.view.books["AUSDT"].asks) > 100
