"""What a trade would cost, told without writing anything.

Index of one A and two B a unit, float 1,000. A trades in lots of .01 at 99.90 to 100.10, B in lots of 1 at
9.99 to 10.01; the least order is 5 USDT, the fee 10 bps. A unit is worth 120. The treasury holds 1,000,000.
"""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.factories import House, make_definition, make_house, make_ladders, make_market, make_request

from etf_trader.errors import MissingPrice, UsageError
from etf_trader.exchange.static import StaticMarket, symbol_row
from etf_trader.execution.budget import note_counts
from etf_trader.execution.quote import Answer, Quote, QuoteRequest, Window
from etf_trader.execution.quoting import Quoter
from etf_trader.index.store import set_status
from etf_trader.ledger import accounts
from etf_trader.market.symbol import Side
from etf_trader.venue.interface import OrderCount

D = Decimal


async def make(tmp_path: Path, depth: str = "1000", float_cash: str = "1000") -> House:
    """The depth is that of each of five levels of B; A has a hundred times less."""
    market = make_market(
        {
            "A": make_ladders(D(100), D("0.10"), D(depth) / 10),
            "B": make_ladders(D(10), D("0.01"), D(depth)),
        },
        rules={"B": {"step": "1", "min_quantity": "1"}},
    )
    house = make_house(tmp_path, market)
    await house.create(make_definition(float_cash=D(float_cash)))
    return house


@pytest.fixture
async def house(tmp_path: Path) -> House:
    return await make(tmp_path)


async def quote(
    house: House,
    side: Side = Side.BUY,
    quantity: str | None = "10",
    *,
    limit_price: Decimal | None = None,
    max_loss_bps: Decimal | None = None,
) -> Quote:
    units = None if quantity in (None, "all") else D(quantity or 0)
    request = QuoteRequest(side, 1, units, quantity == "all", limit_price, max_loss_bps)
    quoter = Quoter(house.database, house.venue, house.clock, house.account, "self", house.settings)
    return await quoter.quote(request)


async def answer(house: House, side: Side = Side.BUY, quantity: str = "10", **limits: Decimal) -> Answer:
    found = (await quote(house, side, quantity, **limits)).answer
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("quantity", "limits"),
    [
        pytest.param("10", {}, id="no limit"),
        pytest.param("1000", {}, id="beyond the books"),
        pytest.param("0.12345678", {}, id="less than lots"),
        pytest.param("10", {"limit_price": D("120.30")}, id="a limit"),
        pytest.param("400", {"limit_price": D("120.30"), "max_loss_bps": D(22)}, id="both limits"),
        pytest.param("400", {"max_loss_bps": D(25)}, id="a loss limit"),
    ],
)
async def test_the_answer_is_the_plan_of_a_dry_run(
    house: House, quantity: str, limits: dict[str, Decimal]
) -> None:
    preview = await house.desk.preview(make_request(Side.BUY, quantity=D(quantity), **limits))
    assert (await answer(house, Side.BUY, quantity, **limits)).document == preview.document


@pytest.mark.parametrize("quantity", ["50", "all", "0.5"])
async def test_so_is_that_of_a_sell(house: House, quantity: str) -> None:
    await house.buy(50)
    wanted = None if quantity == "all" else D(quantity)
    preview = await house.desk.preview(make_request(Side.SELL, quantity=wanted, limit_price=D("119.70")))
    found = await answer(house, Side.SELL, quantity, limit_price=D("119.70"))
    assert (found.quantity, found.document) == (preview.quantity, preview.document)


async def test_the_curve_holds_the_plan_of_each_size(house: House) -> None:
    found = await quote(house, quantity="30")
    sizes = [plan.units for plan in found.curve]
    # five levels of 100 A and a fee of 10 bps make 499.50 units
    assert [str(size.normalize()) for size in sizes] == [
        "5",
        "1E+1",
        "2E+1",
        "3E+1",
        "5E+1",
        "1E+2",
        "2E+2",
        "499.5",
    ]
    for plan in found.curve[:-1]:
        preview = await house.desk.preview(make_request(Side.BUY, quantity=plan.units))
        assert (plan.loss, plan.cash, plan.marginal_price) == (
            preview.plan.loss,
            preview.plan.cash,
            preview.plan.marginal_price,
        )


async def test_without_a_size_there_is_the_curve_alone(house: House) -> None:
    found = await quote(house, quantity=None)
    assert found.answer is None
    assert (found.curve[0].units, found.curve[-1].units) == (D("0.05"), D("499.5"))
    assert [point.units for point in found.shape][-1] == D("499.5")


async def test_a_buy_needs_no_cash(house: House) -> None:
    assert (await answer(house)).payable == D(10)
    house.administration.fund_index("1", D(999_000))
    assert house.holdings(accounts.treasury("self")).get("USDT", D(0)) == D(0)
    found = await answer(house)
    assert (found.plan.units, found.payable) == (D(10), D(0))


async def test_the_treasury_pays_for_what_a_dry_run_would_buy(tmp_path: Path) -> None:
    house = await make(tmp_path, depth="100000")
    found = await answer(house, quantity="40000")
    preview = await house.desk.preview(make_request(Side.BUY, quantity=D(40000)))
    assert preview.plan.stopped_by == ("cash",)
    assert found.plan.units == D(40000)
    assert found.payable == preview.plan.units


async def test_a_sell_needs_no_units(house: House) -> None:
    found = await answer(house, Side.SELL)
    assert (found.plan.units, found.payable) == (D(10), None)


async def test_all_are_the_units_of_all_positions_that_no_order_offers(house: House) -> None:
    with pytest.raises(UsageError, match="self holds no units of TWO that could be sold"):
        await quote(house, Side.SELL, "all")
    await house.buy(10)
    await house.buy("2.5", position="new")
    assert (await answer(house, Side.SELL, "all")).quantity == D("12.5")
    await house.desk.accept(
        make_request(Side.SELL, quantity=D(4), position="1", limit_price=D(500), time_in_force="gtc")
    )
    assert (await answer(house, Side.SELL, "all")).quantity == D("8.5")


async def test_the_largest_size_keeps_the_limits_and_one_step_more_does_not(house: House) -> None:
    found = await quote(house, quantity=None, max_loss_bps=D(30))
    assert found.largest.stopped_by == ("loss",)
    more = found.largest.units + D("0.01")
    assert (await answer(house, quantity=str(more), max_loss_bps=D(30))).plan.units < more
    assert (await answer(house, quantity=str(found.largest.units), max_loss_bps=D(30))).plan.stopped_by == (
        "filled",
    )
    assert (await quote(house, quantity=None)).largest.stopped_by == ("depth(A)",)


async def test_the_least_size_is_that_of_the_float_of_now(tmp_path: Path) -> None:
    house = await make(tmp_path, float_cash="5")
    found = await quote(house, quantity="1")
    # a lot of A worth 5 is .05; one of B is a lot of 1, worth 10
    assert found.float_needed == D(15)
    assert found.least is not None
    assert found.least > D("0.01")
    assert (await answer(house, quantity=str(found.least))).plan.stopped_by == ("filled",)
    below = await answer(house, quantity=str(found.least - D("1e-8")))
    assert "float" in below.plan.stopped_by


async def test_what_the_float_lacks_is_no_error(tmp_path: Path) -> None:
    house = await make(tmp_path, float_cash="0")
    found = await answer(house, quantity="0.001")
    assert found.plan.units == D(0)
    assert "float" in found.plan.stopped_by


async def test_a_limit_that_stops_comes_with_an_outlook(house: House) -> None:
    assert (await quote(house)).outlook is None
    found = await quote(house, quantity="400", limit_price=D("120.40"))
    assert found.answer is not None
    assert found.outlook is not None
    assert found.outlook.units == found.answer.plan.units


async def test_the_naive_ways_stand_beside_the_plan(house: House) -> None:
    found = await quote(house)
    assert found.answer is not None
    assert found.market is not None
    assert found.market.loss == found.answer.plan.loss.total
    assert found.by_asset is None
    assert (await quote(house, max_loss_bps=D(30))).by_asset is not None
    assert (await quote(house, quantity=None)).market is None


async def test_a_closed_index_has_no_price_to_buy_at(house: House) -> None:
    await house.buy(10)
    with house.database.write() as connection:
        set_status(connection, 1, "closed")
    with pytest.raises(UsageError, match="TWO is closed: its units can only be sold"):
        await quote(house)
    assert (await answer(house, Side.SELL, "all")).plan.units == D(10)


async def test_a_book_without_a_side_has_no_price(tmp_path: Path) -> None:
    house = await make(tmp_path)
    assert isinstance(house.market, StaticMarket)
    house.market.set_book("BUSDT", [], [("10.01", "5")])
    with pytest.raises(MissingPrice, match="BUSDT has no bids"):
        await quote(house)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quantity": "0"}, "the quantity is 0: it must be above 0"),
        ({"quantity": "0.000000001"}, "finer than 8 decimals"),
        ({"limit_price": D(0)}, "the limit is 0: it must be above 0"),
        ({"max_loss_bps": D(10_001)}, "it must lie between 0 and 10,000"),
    ],
    ids=str,
)
async def test_what_cannot_be_is_refused_as_for_an_order(
    house: House, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        await quote(house, **changes)


async def test_slots_are_those_that_are_left(house: House) -> None:
    counts = [OrderCount(each.seconds, 97) for each in await house.venue.order_limits()]
    with house.database.write() as connection:
        note_counts(connection, house.account.id, house.clock.now(), counts, is_last=True)
    found = await quote(house)
    assert found.free_slots == 3
    assert found.seconds_for(3) == 0
    assert 0 < found.seconds_for(4) <= 10
    assert found.seconds_for(104) == found.seconds_for(4) + 10


@pytest.mark.parametrize(
    ("orders", "seconds"),
    [(0, 0), (3, 0), (4, 7), (13, 7), (14, 17), (23, 17)],
)
def test_orders_beyond_a_window_wait_for_the_next_ones(orders: int, seconds: float) -> None:
    assert Window(most=10, seconds=10, free=3, opens_in=7).wait(orders) == seconds


def make_routed(tmp_path: Path, conversion: str = "0.0001", *, crossed: bool = False) -> House:
    """The index above on thin books, with a book of A in USDC that is as deep again."""
    books = {
        "AUSDT": make_ladders(D(100), D("0.10"), D(10)),
        "BUSDT": make_ladders(D(10), D("0.01"), D(10_000)),
        "AUSDC": make_ladders(D(100), D("0.10"), D(10)),
        "USDCUSDT": make_ladders(D(1), D(conversion), D(1_000_000)),
    }
    if crossed:
        books["AUSDC"] = (books["AUSDC"][1], books["AUSDC"][0])
    rows = [symbol_row(symbol, symbol[:-4], symbol[-4:], tick="0.0001") for symbol in books]
    return make_house(tmp_path, StaticMarket(rows, books))


async def test_another_currency_saves_what_its_books_are_better(tmp_path: Path) -> None:
    house = make_routed(tmp_path)
    await house.create(make_definition())
    found = await quote(house, quantity="40")
    assert [each.currencies for each in found.routes] == [("USDT",), ("USDT", "USDC")]
    assert found.routes[1].saved_bps > 0
    assert found.routes[1].orders == 4
    assert {each.units for each in found.routes} == {D(40)}
    assert (await quote(house, quantity="1")).routes[1].saved_bps == 0
    assert (await quote(house, quantity=None)).routes == ()


async def test_only_what_the_books_allow_is_compared(tmp_path: Path) -> None:
    house = make_routed(tmp_path)
    await house.create(make_definition())
    found = await quote(house, quantity="49", limit_price=D("120.40"))
    assert found.answer is not None
    assert 0 < found.answer.plan.units < 49
    assert {each.units for each in found.routes} == {found.answer.plan.units}


async def test_other_books_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    house = make_routed(tmp_path, crossed=True)
    await house.create(make_definition())
    found = await quote(house)
    assert found.routes == ()
    assert found.routes_unknown.startswith("AUSDC is crossed")


async def test_a_venue_without_other_currencies_has_nothing_to_compare(house: House) -> None:
    found = await quote(house)
    assert (found.routes, found.routes_unknown) == ((), "")


@pytest.mark.parametrize("side", Side)
async def test_an_index_with_routes_is_quoted_as_it_would_trade(tmp_path: Path, side: Side) -> None:
    house = make_routed(tmp_path)
    await house.create(make_definition(routes=("USDT", "USDC")))
    await house.buy(45)
    preview = await house.desk.preview(make_request(side, quantity=D(40)))
    assert {leg.symbol for leg in preview.plan.legs} == {"AUSDT", "AUSDC", "BUSDT"}
    assert (await answer(house, side, "40")).document == preview.document
