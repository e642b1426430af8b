"""Creating, funding and closing an index, and every sentence of a refusal.

A at 99.90 to 100.10 and B at 9.99 to 10.01 against USDT; the treasury of self holds 1,000,000.
"""

from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import insert, update
from tests.factories import House, make_definition, make_house, make_ladders, make_market
from tests.invariants import findings

from etf_trader.errors import CrossedBook, DataError, MissingPrice, NotFound, UsageError
from etf_trader.exchange.static import StaticMarket, symbol_row
from etf_trader.execution.administration import Administration
from etf_trader.index.store import Basket, current_basket, find_index, list_indices
from etf_trader.index.tables import methodologies
from etf_trader.seal import canonical

D = Decimal
MILLION = D(1_000_000)


@pytest.fixture
def house(tmp_path: Path) -> House:
    market = make_market(
        {"A": make_ladders(D(100), D("0.10"), D(500)), "B": make_ladders(D(10), D("0.01"), D(5000))},
        rules={"B": {"step": "1", "min_quantity": "1"}},
    )
    return make_house(tmp_path, market)


def cash(house: House, account: str) -> Decimal:
    return house.holdings(account).get("USDT", D(0))


def basket_of(house: House) -> Basket:
    with house.database.read() as connection:
        return current_basket(connection, 1)


def count_of_indices(house: House) -> int:
    with house.database.read() as connection:
        return len(list_indices(connection))


# Create


async def test_a_new_index_has_its_basket_and_its_float(house: House) -> None:
    index = await house.create(make_definition())
    assert (index.id, index.symbol, index.name, index.status, index.unit_asset) == (
        1,
        "TWO",
        "Two",
        "open",
        "unit:1",
    )
    basket = basket_of(house)
    assert basket.quantities == {"A": D(1), "B": D(2)}
    assert (basket.version, basket.cash_per_unit) == (1, D(0))
    assert basket.symbols == {"A": "AUSDT", "B": "BUSDT"}
    assert basket.seal == basket.facts_seal()
    assert (cash(house, "float:1"), cash(house, "treasury:self")) == (D(1000), D(999_000))
    assert findings(house.database, house.exchange) == []


async def test_weights_become_quantities_at_the_mids_of_now(house: House) -> None:
    # .7 x 1000 / 100 = 7 and .3 x 1000 / 10 = 30
    await house.create(make_definition(basket={}, weights={"A": D("0.7"), "B": D("0.3")}))
    assert basket_of(house).quantities == {"A": D(7), "B": D(30)}


async def test_an_index_without_float_books_nothing(house: House) -> None:
    await house.create(make_definition(float_cash=D(0)))
    assert (house.holdings("float:1"), cash(house, "treasury:self")) == ({}, MILLION)


async def test_a_symbol_can_be_taken_only_once(house: House) -> None:
    await house.create(make_definition())
    with pytest.raises(UsageError, match="there is an index TWO already") as refused:
        await house.create(make_definition(name="Another"))
    assert refused.value.hint == "choose another symbol, or look at it: etf index show TWO"
    assert (count_of_indices(house), cash(house, "treasury:self")) == (1, D(999_000))


async def test_a_float_beyond_the_treasury_is_refused(house: House) -> None:
    with pytest.raises(UsageError) as refused:
        await house.create(make_definition(float_cash=D("1000000.01")))
    assert refused.value.message == (
        "the float of 1,000,000.01 USDT is more than the 1,000,000.00 in the treasury of self"
    )
    assert refused.value.hint == "deposit first: etf treasury deposit 1000000"
    assert count_of_indices(house) == 0


@pytest.mark.parametrize(
    ("basket", "sentence"),
    [
        ({"A": D(1), "NONE": D(1)}, "NONE has no market in USDT"),
        ({"X": D(1), "A": D(1), "Y": D(1)}, "X, Y have no market in USDT"),
    ],
    ids=["one", "two"],
)
async def test_a_constituent_without_a_market_is_refused_with_those_there_are(
    house: House, basket: dict[str, Decimal], sentence: str
) -> None:
    with pytest.raises(UsageError) as refused:
        await house.create(make_definition(basket=basket))
    assert (refused.value.message, refused.value.hint) == (sentence, "the venue has A, B")
    assert count_of_indices(house) == 0


async def test_a_quote_asset_without_markets_is_refused(house: House) -> None:
    with pytest.raises(UsageError, match="A, B have no market in EUR") as refused:
        await house.create(make_definition(quote="EUR", float_cash=D(0)))
    assert refused.value.hint == "the venue has no market in EUR at all"


@pytest.mark.parametrize(
    ("book", "error"),
    [(([], [("10.01", "5")]), MissingPrice), (([("10.02", "5")], [("10.01", "5")]), CrossedBook)],
    ids=["one-sided", "crossed"],
)
async def test_without_a_price_there_is_no_index(
    house: House, book: tuple[list[tuple[str, str]], list[tuple[str, str]]], error: type[DataError]
) -> None:
    assert isinstance(house.market, StaticMarket)
    house.market.set_book("BUSDT", *book)
    with pytest.raises(error, match="BUSDT"):
        await house.create(make_definition())
    assert (count_of_indices(house), cash(house, "treasury:self")) == (0, MILLION)


async def test_the_markets_of_a_definition_are_its_symbols(house: House) -> None:
    assert await house.administration.markets(make_definition()) == {"A": "AUSDT", "B": "BUSDT"}


# Routes


@pytest.fixture
def routed(tmp_path: Path) -> House:
    """A and B against USDT, USDC against USDT, and FDUSD against USDC alone."""
    ladders = make_ladders(D(1), D("0.01"), D(500))
    rows = [symbol_row(f"{base}{quote}", base, quote) for base, quote in PAIRS]
    return make_house(tmp_path, StaticMarket(rows, {base + quote: ladders for base, quote in PAIRS}))


PAIRS = (("A", "USDT"), ("B", "USDT"), ("USDC", "USDT"), ("FDUSD", "USDC"))


async def test_an_index_keeps_its_routes_in_the_order_written(routed: House) -> None:
    index = await routed.create(make_definition(routes=("USDC", "USDT")))
    assert index.routes == ("USDC", "USDT")
    with routed.database.read() as connection:
        assert [each.routes for each in list_indices(connection)] == [("USDC", "USDT")]
        assert find_index(connection, "TWO").routes == ("USDC", "USDT")
    assert basket_of(routed).symbols == {"A": "AUSDT", "B": "BUSDT"}  # what values it stays in the quote


async def test_an_index_made_before_there_were_routes_trades_in_its_quote(routed: House) -> None:
    await routed.create(make_definition(routes=("USDT", "USDC")))
    document = make_definition().document()
    del document["routes"]
    with routed.database.write() as connection:
        connection.execute(update(methodologies).values(document=canonical(document)))
    with routed.database.read() as connection:
        assert find_index(connection, "1").routes == ("USDT",)


async def test_the_newest_methodology_has_the_routes_in_force(routed: House) -> None:
    await routed.create(make_definition())
    await routed.create(make_definition(symbol="OTHER", routes=("USDT", "USDC")))
    later = make_definition(routes=("USDT", "FDUSD", "USDC")).document()
    row = {"index_id": 1, "version": 2, "effective_at": routed.exchange.now(), "document": canonical(later)}
    with routed.database.write() as connection:
        connection.execute(insert(methodologies), row)
    with routed.database.read() as connection:
        routes = [index.routes for index in list_indices(connection)]
    assert routes == [("USDT", "FDUSD", "USDC"), ("USDT", "USDC")]


async def test_a_route_may_be_reached_through_another(routed: House) -> None:
    index = await routed.create(make_definition(routes=("USDT", "FDUSD", "USDC")))
    assert index.routes == ("USDT", "FDUSD", "USDC")


async def test_a_route_without_a_way_to_it_is_refused_with_the_currencies_there_are(routed: House) -> None:
    with pytest.raises(UsageError) as refused:
        await routed.create(make_definition(routes=("USDT", "FDUSD")))
    assert refused.value.message == "FDUSD cannot be a route: the venue has no market between it and USDT"
    assert refused.value.hint == "currencies that it quotes prices in: USDC, USDT"
    assert count_of_indices(routed) == 0


# Fund


async def test_a_float_is_filled_and_taken_back(house: House) -> None:
    await house.create(make_definition())
    assert house.administration.fund_index("1", D("250.5")) == D("1250.5")
    assert house.administration.fund_index("two", D("-1250.5")) == D(0)
    assert cash(house, "treasury:self") == MILLION
    assert findings(house.database, house.exchange) == []


async def test_the_same_amount_twice_is_two_transfers(house: House) -> None:
    await house.create(make_definition())
    house.administration.fund_index("1", D(10))
    assert house.administration.fund_index("1", D(10)) == D(1020)


async def test_more_than_the_treasury_cannot_be_given(house: House) -> None:
    await house.create(make_definition())
    with pytest.raises(UsageError) as refused:
        house.administration.fund_index("1", D("999000.01"))
    assert refused.value.message == (
        "the float of 999,000.01 USDT is more than the 999,000.00 in the treasury of self"
    )
    assert cash(house, "float:1") == D(1000)


async def test_more_than_the_float_cannot_be_taken_back(house: House) -> None:
    await house.create(make_definition())
    with pytest.raises(UsageError) as refused:
        house.administration.fund_index("1", D("-1000.005"))
    assert refused.value.message == "the float of TWO holds 1,000.00 USDT: 1,000.005 cannot be taken back"
    assert (refused.value.where, cash(house, "float:1")) == ("amount", D(1000))


async def test_the_float_is_filled_from_the_treasury_of_the_holder(house: House) -> None:
    await house.create(make_definition())
    ann = Administration(house.database, house.venue, house.clock, house.account, "ann")
    with pytest.raises(UsageError, match=r"more than the 0\.00 in the treasury of ann"):
        ann.fund_index("1", D(1))


async def test_an_unknown_index_is_not_found_and_those_there_are_are_named(house: House) -> None:
    with pytest.raises(NotFound) as nothing:
        house.administration.fund_index("1", D(1))
    assert nothing.value.hint == "make one: etf index create --file index.toml"
    await house.create(make_definition())
    with pytest.raises(NotFound, match="there is no index 'NINE'") as refused:
        house.administration.close_index("NINE")
    assert refused.value.hint == "known: 1 (TWO)"


# Close


async def test_closing_gives_the_float_back(house: House) -> None:
    await house.create(make_definition())
    index, given_back, dust = house.administration.close_index("TWO")
    assert (index.symbol, given_back, dust) == ("TWO", D(1000), {})
    assert (house.holdings("float:1"), cash(house, "treasury:self")) == ({}, MILLION)
    with house.database.read() as connection:
        assert list_indices(connection)[0].status == "closed"


async def test_dust_stays_with_a_closed_index_and_is_told(house: House) -> None:
    await house.create(make_definition())
    await house.buy(10)
    await house.sell(None)
    _, given_back, dust = house.administration.close_index("1")
    assert set(dust) <= {"A", "B"}
    assert dust == house.holdings("float:1")
    assert given_back > 0
    assert findings(house.database, house.exchange) == []


async def test_an_index_with_units_cannot_be_closed(house: House) -> None:
    await house.create(make_definition())
    await house.buy("2.5")
    with pytest.raises(UsageError, match=r"TWO has 2\.50 units and cannot be closed") as refused:
        house.administration.close_index("1")
    assert refused.value.hint == "etf submit sell --index 1 --qty all"


async def test_an_index_with_an_open_order_cannot_be_closed(house: House) -> None:
    await house.create(make_definition())
    await house.buy(10, limit_price=D(100), time_in_force="gtc")
    with pytest.raises(UsageError, match="TWO has 1 open order and cannot be closed") as refused:
        house.administration.close_index("1")
    assert refused.value.hint == "etf cancel --index 1"


async def test_an_index_is_closed_once(house: House) -> None:
    await house.create(make_definition())
    house.administration.close_index("1")
    with pytest.raises(UsageError, match="TWO is closed already"):
        house.administration.close_index("1")
