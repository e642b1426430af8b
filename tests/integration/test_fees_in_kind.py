"""The management fee is taken before anything is planned, and paid out of the float."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from sqlalchemy import func, select, update
from tests.factories import House, make_definition, make_house, make_ladders, make_market, make_request
from tests.invariants import findings

from etf_trader.execution.fees_in_kind import accrue, basket_due, pay, payable
from etf_trader.index.definition import IndexDefinition, definition_from
from etf_trader.index.fees import accrual_of
from etf_trader.index.store import current_basket, index_by_id
from etf_trader.index.tables import fee_accruals, methodologies
from etf_trader.ledger.audit import audit
from etf_trader.ledger.tables import transactions
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO
from etf_trader.orders.store import plans_of
from etf_trader.reports.gains import Wanted, gains_report
from etf_trader.reports.period import Period
from etf_trader.reports.rebalance import rebalance_report
from etf_trader.reports.statement import history
from etf_trader.seal import canonical

D = Decimal
YEAR = 31_536_000


def make_fee_definition(bps: int = 100, **changes: object) -> IndexDefinition:
    document = {
        "symbol": "TWO",
        "start_value": 120,
        "weights": {"A": D("0.5"), "B": D("0.5")},
        "fee": {"management_bps": bps},
    }
    return replace(definition_from(document, where="a test"), float_cash=D(1000), **changes)  # type: ignore[arg-type]


def make_fee_house(folder: Path, bps: int = 100) -> House:
    books = {asset: make_ladders(D(mid), D("0.01"), D(10_000)) for asset, mid in (("A", 100), ("B", 10))}
    return make_house(folder, make_market(books))


def mids_of(house: House) -> dict[str, Decimal]:
    books = asyncio.run(house.venue.books(["AUSDT", "BUSDT"], 5))
    return {"A": books["AUSDT"].mid, "B": books["BUSDT"].mid}


def take_fee(house: House) -> bool:
    with house.database.write() as connection:
        return accrue(connection, house.account, 1, house.clock.now())


def sound(house: House) -> None:
    with house.database.read() as connection:
        assert audit(connection, house.account).findings == ()
    assert findings(house.database, house.exchange) == []


def basket(house: House) -> dict[str, Decimal]:
    with house.database.read() as connection:
        return dict(current_basket(connection, 1).quantities)


def test_a_year_takes_the_rate_and_the_index_holds_units_times_the_new_basket(tmp_path: Path) -> None:
    house = make_fee_house(tmp_path)
    asyncio.run(house.create(make_fee_definition()))
    asyncio.run(house.buy(10))
    assert basket(house) == {"A": D("0.6"), "B": D(6)}
    house.exchange.advance(YEAR - (house.clock.now() - house.market.start).total_seconds())
    with house.database.read() as connection:
        begun = accrual_of(connection, 1)
        due = basket_due(connection, house.account.id, 1, house.clock.now())
    assert begun is not None
    assert take_fee(house)
    assert basket(house) == due.quantities
    assert house.holdings("fee_payable:1") == {
        asset: (before - after) * 10
        for (asset, before), after in zip({"A": D("0.6"), "B": D(6)}.items(), basket(house).values(), strict=True)
    }
    assert not take_fee(house)  # no time has passed since
    sound(house)


def test_units_that_nobody_holds_pay_nothing_and_a_first_buyer_pays_from_his_purchase_on(tmp_path: Path) -> None:
    house = make_fee_house(tmp_path)
    asyncio.run(house.create(make_fee_definition()))
    house.exchange.advance(YEAR)
    asyncio.run(house.buy(10))
    assert basket(house) == {"A": D("0.6"), "B": D(6)}
    assert house.holdings("fee_payable:1") == {}


def test_a_creation_and_a_redemption_cost_those_who_stay_nothing(tmp_path: Path) -> None:
    house = make_fee_house(tmp_path)
    asyncio.run(house.create(make_fee_definition(bps=1000)))
    asyncio.run(house.buy(10))
    house.exchange.advance(YEAR / 4)
    for trade in (house.sell(3), house.buy(7), house.sell(None)):
        with house.database.read() as connection:
            due = basket_due(connection, house.account.id, 1, house.clock.now())
        order = asyncio.run(trade)
        # A trade takes the fee until then and leaves every unit with what is due to it, to the last digit.
        assert (order.status, basket(house)) == ("filled", due.quantities)
        sound(house)
    assert house.holdings("index:1") == {}
    assert D("0.6") - basket(house)["A"] > D("0.6") * D("0.1") / 4


def test_an_index_without_a_fee_writes_nothing(tmp_path: Path) -> None:
    house = make_fee_house(tmp_path)
    asyncio.run(house.create(make_definition()))
    asyncio.run(house.buy(10))
    house.exchange.advance(YEAR)
    assert not take_fee(house)
    asyncio.run(house.buy(1))
    with house.database.read() as connection:
        assert accrual_of(connection, 1) is None
        assert connection.scalar(select(func.count()).where(transactions.c.kind == "fee")) == 0
        assert current_basket(connection, 1).version == 1


def test_a_plan_that_is_tried_is_the_plan_that_is_traded(tmp_path: Path) -> None:
    house = make_fee_house(tmp_path)
    asyncio.run(house.create(make_fee_definition()))
    asyncio.run(house.buy(10))
    house.exchange.advance(86_400)
    tried = asyncio.run(house.desk.preview(make_request(Side.SELL, quantity=D(4))))
    order = asyncio.run(house.sell(4))
    assert order.arrival_nav == tried.arrival_nav
    with house.database.read() as connection:
        (plan,) = plans_of(connection, order.id)
    assert plan.document == canonical(tried.document)
    sound(house)
    assert house.loss(order.id).total == 4 * order.arrival_nav - house.cash(order.id)


def test_a_fee_is_paid_out_of_the_float_as_far_as_its_cash_goes(tmp_path: Path) -> None:
    house = make_fee_house(tmp_path)
    asyncio.run(house.create(make_fee_definition(bps=5000)))
    asyncio.run(house.buy(100))
    house.exchange.advance(YEAR)
    take_fee(house)
    mids = mids_of(house)
    before = house.holdings("treasury:self")["USDT"]
    cash = house.holdings("float:1")["USDT"]
    with house.database.write() as connection:
        paid = pay(connection, house.account, index_by_id(connection, 1), "self", mids, house.clock.now())
    assert cash - D("0.001") < paid.paid <= cash
    assert house.holdings("treasury:self")["USDT"] == before + paid.paid
    assert house.holdings("fee_payable:1") == dict(paid.left)
    with house.database.read() as connection:
        gained = gains_report(connection, house.account.id, Period(), Wanted()).years[-1]
        treasury = history(connection, house.account.id, "self", Period()).cash["USDT"]
    assert (gained.of, gained.bearer, gained.index) == ("management", "self", "TWO")
    assert (treasury["management_fees"], treasury["other"]) == (paid.paid, ZERO)
    sound(house)
    asyncio.run(house.buy(5))  # uses what the float bought first
    sound(house)
    with house.database.write() as connection:
        again = pay(connection, house.account, index_by_id(connection, 1), "self", {}, house.clock.now())
        assert again.paid == ZERO  # without prices nothing is bought
        assert payable(connection, house.account.id, index_by_id(connection, 1)) == dict(again.left)


def test_the_audit_finds_a_rate_that_was_changed_afterwards_and_a_state_that_was(tmp_path: Path) -> None:
    house = make_fee_house(tmp_path)
    asyncio.run(house.create(make_fee_definition()))
    asyncio.run(house.buy(10))
    house.exchange.advance(YEAR)
    take_fee(house)
    sound(house)
    with house.database.write() as connection:
        text = connection.execute(select(methodologies.c.document)).scalar_one()
        cheaper = text.replace('"management_bps":"100"', '"management_bps":"10"')
        assert cheaper != text
        connection.execute(update(methodologies).values(document=cheaper))
        connection.execute(update(fee_accruals).values(owed="{}"))
    with house.database.read() as connection:
        told = {finding.message for finding in audit(connection, house.account).findings}
    assert any(message.startswith("it charges ") for message in told)
    assert any("more than its charge" in message for message in told)
    assert "how far it was taken does not match its seal" in told


def test_a_rebalance_whose_fee_is_due_can_be_looked_at_before_its_first_wave_takes_it(tmp_path: Path) -> None:
    house = make_fee_house(tmp_path)
    asyncio.run(house.create(make_fee_definition()))
    asyncio.run(house.buy(10))
    house.exchange.advance(YEAR / 12)
    order = asyncio.run(house.accept_rebalance())
    with house.database.read() as connection:
        before = rebalance_report(connection, order.id)
    assert (before.status, before.units_before) == ("open", D(10))
    assert take_fee(house)
    with house.database.read() as connection:
        taken = rebalance_report(connection, order.id)
        basket_of_rebalance = current_basket(connection, 1)
    assert basket_of_rebalance.version == order.request.basket == 2
    assert (before.nav_before, before.legs) == (taken.nav_before, taken.legs)
