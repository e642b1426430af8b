"""A rebalance is planned from what the ledger holds and the venue lists."""

from decimal import Decimal
from pathlib import Path

import pytest
from tests.factories import House, make_definition, make_house, make_ladders, make_market, make_request

from etf_trader.exchange.static import StaticMarket
from etf_trader.index.methodology import Methodology, RebalanceRule
from etf_trader.index.store import current_basket
from etf_trader.market.document import market_hash
from etf_trader.orders.store import plans_of
from etf_trader.rebalance.document import plan_object
from etf_trader.rebalance.previewing import RebalancePreview, preview_rebalance
from etf_trader.seal import canonical
from etf_trader.solver.verify import verify

D = Decimal


@pytest.fixture
async def house(tmp_path: Path) -> House:
    """Ten units of an index of A and B, half each."""
    books = {asset: make_ladders(D(mid), D("0.01"), D(100)) for asset, mid in (("A", 100), ("B", 10))}
    made = make_house(tmp_path, make_market(books, taker="0"))
    await made.create(make_definition(basket={}, weights={"A": D("0.5"), "B": D("0.5")}))
    order = await made.desk.accept(make_request(quantity=D(2)))
    await made.manager.run([order.id])
    return made


async def preview(house: House) -> RebalancePreview:
    return await preview_rebalance(house.database, house.venue, house.clock, house.account, 1000, "1", None)


async def test_what_is_held_is_units_times_basket(house: House) -> None:
    found = await preview(house)
    assert found.rebalance is not None
    mids = {asset: (await house.venue.books([f"{asset}USDT"], 5))[f"{asset}USDT"].mid for asset in "AB"}
    with house.database.read() as connection:
        assert found.rebalance.nav == found.units * current_basket(connection, 1).nav(mids)


async def test_what_the_venue_lists_no_more_stays_and_counts_for_nothing(house: House) -> None:
    assert isinstance(house.market, StaticMarket)
    house.market.delist("BUSDT")
    found = await preview(house)
    assert found.rebalance is not None
    assert found.rebalance.nav == found.units * found.basket.quantities["A"] * D(100)
    assert {each.asset: found.rebalance.why_skipped(each) for each in found.rebalance.drifts} == {
        "A": None,
        "B": "delisted",
    }
    assert found.listed_as["B"] == "BUSDT"


FOUR = {"A": "100", "B": "10", "C": "20", "D": "5"}


@pytest.fixture
async def four(tmp_path: Path) -> House:
    """Two units of an index of four, a quarter each; then D is to leave, and the rest has other weights."""
    books = {asset: make_ladders(D(mid), D("0.01"), D(100), levels=30) for asset, mid in FOUR.items()}
    made = make_house(tmp_path, make_market(books))
    await made.create(make_definition(basket={}, weights=dict.fromkeys(FOUR, D("0.25"))))
    await made.buy(2)
    return made


async def edited(house: House, **rule: object) -> None:
    """Give the index a rulebook that wants 50% of A, 29% of B, and 21% of C."""
    weights = {"A": D("0.5"), "B": D("0.29"), "C": D("0.21")}
    rules = Methodology(rebalance=RebalanceRule(**rule), weights=weights)  # type: ignore[arg-type]
    await house.administration.edit_index("1", make_definition(basket={}, weights=weights, rules=rules))


async def planned_and_executed(house: House) -> tuple[RebalancePreview, dict[str, object]]:
    """What a dry run says, and the plan object of the first wave just after."""
    found = await preview(house)
    assert found.rebalance is not None
    book_hash = market_hash(found.market)
    dry = plan_object(found.rebalance, index="TWO", basket_version=found.basket.version, book_hash=book_hash)
    assert dry is not None and verify(dry, found.market) == []
    order = await house.rebalance()
    with house.database.read() as connection:
        wave = plans_of(connection, order.id)[0]
    assert canonical(dry) == wave.document
    return found, dry


@pytest.mark.parametrize(
    "rule",
    [{}, {"absolute": D("0.06")}, {"price_bps": D(17)}, {"turnover": D("0.1"), "reserve": D("0.02")}],
    ids=["exact", "bands", "price", "cap"],
)
async def test_the_first_wave_is_what_the_dry_run_showed_byte_for_byte(four: House, rule: dict[str, D]) -> None:
    await edited(four, **rule)
    found, dry = await planned_and_executed(four)
    kept = {each["asset"]: each["why"] for each in dry["kept"]}  # type: ignore[attr-defined]
    assert list(kept.values()) == (["within_band"] if "absolute" in rule else [])
    assert found.rebalance is not None and found.rebalance.orders
    # what was sold is spent to the last wave, also where some of it was not worth its price
    idle = four.holdings("index:1")["USDT"] - found.rebalance.nav * rule.get("reserve", D(0))
    assert idle < found.rebalance.nav / 200


@pytest.mark.parametrize("how", ["closed", "without bids"])
async def test_what_is_halted_stays_and_the_rest_goes_around_it(four: House, how: str) -> None:
    await edited(four)
    assert isinstance(four.market, StaticMarket)
    if how == "closed":
        four.market.set_status("DUSDT", "BREAK")
    else:
        four.market.set_book("DUSDT", [], [("5.01", "100")])
    found, _ = await planned_and_executed(four)
    assert found.rebalance is not None
    legs = {each.asset: each for each in found.rebalance.drifts}
    assert found.rebalance.why_skipped(legs["D"]) == "halted"
    left = 1 - legs["D"].weight
    for asset, weight in {"A": D("0.5"), "B": D("0.29"), "C": D("0.21")}.items():
        assert abs(found.rebalance.weights_after[asset] - weight * left) < D("0.001"), asset
    assert four.holdings("index:1")["D"] == found.held["D"]
