"""Fees paid in BNB, out of the fee inventory: exact, planned only where they are covered, apart from indices."""

import json
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.factories import UID, House, make_definition, make_house, make_ladders, make_market, make_request
from tests.integration.harness import make_folder
from tests.invariants import findings, standing_findings

from etf_trader.cli.plan_fees import fees_of
from etf_trader.errors import ConfigError, LedgerError
from etf_trader.execution.quote import Quote, QuoteRequest
from etf_trader.execution.quoting import Quoter
from etf_trader.execution.transfers import book_transfer
from etf_trader.ledger import accounts
from etf_trader.ledger.audit import audit
from etf_trader.ledger.fill import fills_of
from etf_trader.ledger.repository import Ledger
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO, divide
from etf_trader.orders.index_order import OrderRequest
from etf_trader.orders.status import IndexOrderStatus
from etf_trader.orders.store import plans_of
from etf_trader.seal import canonical
from etf_trader.venue.paper import transfer_from

D = Decimal
BNB_MID = D(900)
RATE = D("0.001")
BOOKS = {
    "A": make_ladders(D(100), D("0.01"), D(50)),
    "B": make_ladders(D(10), D("0.01"), D(400)),
    "BNB": make_ladders(BNB_MID, D("0.01"), D(100)),
}


def open_up(folder: Path, *, burn: bool = True) -> House:
    house = make_house(folder, make_market(BOOKS))
    house.deposit(D(10), "bnb", asset="BNB")
    house.exchange.set_bnb_burn(UID, burn)
    return house


async def make(folder: Path, *, inventory: str = "1", **changes: object) -> House:
    house = open_up(folder)
    await house.create(make_definition(**changes))
    if D(inventory):
        await house.administration.fund_fees("BNB", D(inventory))
    return house


def check(house: House) -> None:
    """Everything holds: identities of each order, the books against the venue, and the audit."""
    assert findings(house.database, house.exchange) == []
    with house.database.read() as connection:
        assert audit(connection, house.account).findings == ()


def fees_of_fills(house: House, order: int) -> tuple[Decimal, Decimal]:
    """Return what an order's fills paid in BNB, and what it paid the inventory for that."""
    with house.database.read() as connection:
        made = fills_of(connection, order)
    assert {each.fee_asset for each in made} == {"BNB"}
    return sum((each.fee for each in made), ZERO), sum((each.fee_value or ZERO for each in made), ZERO)


def first_plan(house: House, order: int) -> str:
    with house.database.read() as connection:
        return plans_of(connection, order)[0].document


async def quoted(house: House, request: OrderRequest, *, burn: bool = True) -> Quote:
    """Return the quote of what an order asks for."""
    house.exchange.set_bnb_burn(UID, burn)
    quoter = Quoter(house.database, house.venue, house.clock, house.account, "self", house.settings)
    asked = QuoteRequest(request.side, 1, request.quantity, False, request.limit_price, request.max_loss_bps)
    found = await quoter.quote(asked)
    house.exchange.set_bnb_burn(UID, True)
    return found


@pytest.fixture
def folder() -> Iterator[Path]:
    made = make_folder()
    yield made
    shutil.rmtree(made)


async def test_what_is_bought_arrives_whole_and_the_order_pays_the_inventory(folder: Path) -> None:
    house = await make(folder)
    order = await house.buy(10)
    assert order.status is IndexOrderStatus.FILLED
    fee, paid = fees_of_fills(house, order.id)
    assert paid == fee * BNB_MID
    assert house.holdings(accounts.FEE_INVENTORY) == {"BNB": 1 - fee, "USDT": paid}
    assert house.holdings("index:1") == {"A": D(10), "B": D(20)}
    assert "A" not in house.holdings("float:1")  # no lot beyond the need: nothing is taken of what arrives
    assert house.loss(order.id).fee == paid
    assert house.loss(order.id).total == house.cash(order.id) - 10 * order.arrival_nav
    check(house)


async def test_a_sell_pays_out_of_what_it_brings(folder: Path) -> None:
    house = await make(folder)
    await house.buy(10)
    order = await house.sell(4)
    fee, paid = fees_of_fills(house, order.id)
    assert paid == fee * BNB_MID and house.loss(order.id).fee == paid
    assert house.loss(order.id).total == 4 * order.arrival_nav - house.cash(order.id)
    check(house)


async def test_a_plan_counts_on_the_inventory_only_where_it_covers_half_as_much_again(folder: Path) -> None:
    house = await make(folder, inventory="0")
    due = divide(10 * D(120) * RATE * D("0.75"), BNB_MID, D("1e-8"))
    await house.administration.fund_fees("BNB", due * D("1.4"))
    short = await house.buy(10)
    await house.administration.fund_fees("BNB", due * 2)
    covered = await house.buy(10)
    check(house)
    with house.database.read() as connection:
        said = [json.loads(plan.document)["fees"] for number in (1, 2) for plan in plans_of(connection, number)]
        made = [each for each in fills_of(connection, short.id) if each.symbol == "AUSDT"]
    assert [each.get("rate") for each in said] == [None, "0.0007875"]
    assert sum((each.quantity for each in made), ZERO) > 10  # the first expected a fee in kind
    assert covered.status is short.status is IndexOrderStatus.FILLED


async def test_what_the_inventory_lacks_comes_out_of_the_owners_treasury(folder: Path) -> None:
    house = await make(folder, inventory="0")
    order = await house.buy(10)
    fee, paid = fees_of_fills(house, order.id)
    assert order.status is IndexOrderStatus.FILLED
    assert house.holdings("treasury:self")["BNB"] == 10 - fee
    assert house.holdings(accounts.FEE_INVENTORY) == {"USDT": paid}
    check(house)


async def test_no_order_pays_the_inventory_more_than_it_has(folder: Path) -> None:
    house = await make(folder, inventory="0", float_cash=D(1000))
    order = await house.buy(9000)
    with house.database.read() as connection:
        assert Ledger(connection, 1).balance(accounts.order(order.id), "USDT") == 0
    check(house)


async def test_with_bnb_in_an_index_nothing_is_sent_until_burning_is_off(folder: Path) -> None:
    house = open_up(folder)
    await house.create(make_definition(basket={"A": D(1), "BNB": D("0.1")}))
    with pytest.raises(ConfigError, match="pays its fees in BNB, and TWO holds BNB"):
        await house.buy(1)
    house.exchange.set_bnb_burn(UID, False)
    order = await house.desk.accept(make_request(quantity=D(1)))
    house.exchange.set_bnb_burn(UID, True)
    with pytest.raises(ConfigError, match="pays its fees in BNB, and TWO holds BNB"):
        await house.manager.run([order.id])
    assert house.exchange.orders(UID) == ()
    house.exchange.set_bnb_burn(UID, False)
    await house.manager.run([order.id])
    assert house.order(order.id).status is IndexOrderStatus.FILLED
    check(house)


async def test_burning_that_is_switched_on_between_batches_stops_what_holds_bnb(folder: Path) -> None:
    house = open_up(folder, burn=False)
    await house.create(make_definition(basket={"A": D(1), "BNB": D("0.1")}))
    await house.buy(1)
    house.exchange.set_bnb_burn(UID, True)
    before = len(house.exchange.orders(UID))
    with pytest.raises(ConfigError, match="TWO holds BNB"):
        await house.sell(1)
    assert len(house.exchange.orders(UID)) == before


async def test_bnb_that_is_nobodys_of_the_owner_is_not_taken_silently(folder: Path) -> None:
    house = make_house(folder, make_market(BOOKS))
    await house.create(make_definition())
    view = house.exchange.deposit(UID, "BNB", D(1), "alices")
    with house.database.write() as connection:
        book_transfer(connection, 1, transfer_from(view), "alice")
    house.exchange.set_bnb_burn(UID, True)
    with pytest.raises(LedgerError, match="the venue took"):
        await house.buy(1)
    await house.administration.of("alice").fund_fees("BNB", D(1))
    await house.manager.run([1])
    assert house.order(1).status is IndexOrderStatus.FILLED
    check(house)


COVERED, SHORT = D(1), D("0.0001")
WISHES: dict[str, dict[str, object]] = {
    "all of it": {},
    "a limit": {"quantity": D(100), "limit_price": D("120.17")},
    "a loss limit": {"quantity": D(100), "max_loss_bps": D(14)},
    "a sell": {"side": Side.SELL, "quantity": D(3), "limit_price": D("119.80")},
}


@pytest.mark.parametrize(("wish", "inventory"), [*((wish, COVERED) for wish in WISHES), ("a limit", SHORT)])
async def test_a_dry_run_and_a_quote_count_on_the_inventory_as_the_order_does(
    folder: Path, wish: str, inventory: Decimal
) -> None:
    house = await make(folder, inventory="2")
    await house.buy(8)
    left = house.holdings(accounts.FEE_INVENTORY)["BNB"] - inventory
    await house.administration.fund_fees("BNB", -left)
    request = make_request(**WISHES[wish])  # type: ignore[arg-type]
    preview = await house.desk.preview(request)
    answer = (await quoted(house, request)).answer
    order = await house.submit(request)
    assert (first_plan(house, order.id), answer and answer.document) == (
        canonical(preview.document),
        preview.document,
    )
    told = fees_of(json.loads(canonical(preview.document)))
    assert told is not None and told["beside"] is (inventory == COVERED)
    if told["beside"]:
        assert {leg["fee"] for leg in preview.document["legs"]} == {"0"}
        loss, (fee, paid) = house.loss(order.id), fees_of_fills(house, order.id)
        assert abs(told["value"] - paid) < D("1e-4") and abs(told["quantity"] - fee) < D("1e-7")
        assert abs(D(told["loss"]) - loss.total) < D("1e-4")
        assert abs(D(told["cash"]) - house.cash(order.id)) < D("1e-4")
    check(house)


async def test_what_is_only_tried_counts_beside_what_is_in_flight(folder: Path) -> None:
    house = await make(folder, inventory="0")
    due = divide(10 * D(120) * RATE * D("0.75"), BNB_MID, D("1e-8"))
    await house.administration.fund_fees("BNB", due * 2)
    waiting = await house.desk.accept(make_request(limit_price=D(110), time_in_force="gtc"))
    request = make_request()
    preview = await house.desk.preview(request)
    assert "rate" not in preview.document["fees"]  # enough for one, not for both
    order = await house.submit(request)
    assert first_plan(house, order.id) == canonical(preview.document)
    assert house.order(waiting.id).status is IndexOrderStatus.OPEN


async def test_a_quote_weighs_other_ways_with_the_same_fees(folder: Path) -> None:
    house = await make(folder)
    found = await quoted(house, make_request(quantity=D(200)))
    full = await quoted(house, make_request(quantity=D(200)), burn=False)
    assert found.answer is not None and found.compared is not None and found.market is not None
    beside = D(fees_of(json.loads(canonical(found.answer.document)))["loss"])  # type: ignore[index]
    assert abs(found.compared.loss.total - beside) < D("0.001") * beside
    assert found.gain_bps is not None and abs(found.gain_bps) < D("0.005")
    for row, other in zip(found.curve[:-1], full.curve, strict=False):
        assert abs(row.loss.fee - other.loss.fee * D("0.75")) < D("0.01") * row.loss.fee


@settings(max_examples=examples(8), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    units=st.decimals("0.5", "40", places=3),
    back=st.integers(1, 100),
    inventory=st.sampled_from(["0", "0.0001", "0.02", "5"]),
    limit_bps=st.sampled_from([None, 5, 12, 40]),
)
async def test_the_identities_hold_whatever_pays_the_fees(
    units: Decimal, back: int, inventory: str, limit_bps: int | None
) -> None:
    folder = make_folder()
    try:
        house = await make(folder, inventory=inventory)
        most = None if limit_bps is None else D(limit_bps)
        bought = await house.buy(units, max_loss_bps=most)
        if most is not None and bought.filled:
            assert house.loss(bought.id).total * 10_000 <= most * bought.filled * bought.arrival_nav
        if bought.filled:
            await house.sell((bought.filled * back / 100).quantize(D("1e-8")) or None)
        check(house)
    finally:
        shutil.rmtree(folder)


async def test_a_wave_whose_cash_is_all_promised_pays_no_more_fees_than_it_has_to_spare(tmp_path: Path) -> None:
    books = {asset: make_ladders(D(mid), D("0.01"), D(5000)) for asset, mid in (("A", 100), ("C", 7), ("D", 3))}
    house = make_house(tmp_path, make_market({**books, "BNB": BOOKS["BNB"]}))
    house.deposit(D(10), "bnb", asset="BNB")
    await house.create(make_definition(basket={"A": D(1)}))
    await house.buy(200)
    await house.administration.fund_fees("BNB", D(1))
    weights = {"C": D("0.5"), "D": D("0.5")}
    await house.administration.edit_index("1", make_definition(basket={}, weights=weights))
    house.exchange.set_bnb_burn(UID, True)
    seen: list[str] = []
    house.database.watch = lambda connection: seen.extend(standing_findings(connection))
    assert (await house.rebalance()).status is IndexOrderStatus.FILLED
    assert seen == []
    check(house)
