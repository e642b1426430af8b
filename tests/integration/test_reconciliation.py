"""The books against the venue: what is found and booked, what stops trading, and what a person says of it."""

import asyncio
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, update
from tests.effort import examples
from tests.factories import (
    UID,
    HookedVenue,
    House,
    make_definition,
    make_house,
    make_ladders,
    make_market,
    make_request,
    open_house,
)
from tests.integration.test_both_databases import together
from tests.invariants import findings
from tests.unit.reports.test_rebalance_report import report_of, require_identities

from etf_trader.errors import EtfError, OutcomeUnknown, ReconciliationMismatch, UsageError
from etf_trader.exchange import tables
from etf_trader.exchange.paper import ExchangeError, OrderRequest
from etf_trader.exchange.static import StaticMarket
from etf_trader.execution.answer import Answer
from etf_trader.execution.differences import Difference, difference, open_differences
from etf_trader.execution.lease import Leases
from etf_trader.execution.reconcile import Reconciler, Reconciliation, compare, unbooked
from etf_trader.index.store import current_basket
from etf_trader.ledger.audit import audit
from etf_trader.ledger.booking import deposit, withdrawal
from etf_trader.ledger.repository import Ledger, begin_incarnation, incarnation, inside_balances
from etf_trader.ledger.tables import differences, fills, late_fills
from etf_trader.ledger.tables import transactions as chain
from etf_trader.money import ZERO, money_context
from etf_trader.orders.rebalances import rebalance_order
from etf_trader.orders.status import AssetOrderStatus, IndexOrderStatus
from etf_trader.orders.store import list_asset_orders
from etf_trader.reports.rebalance import rebalance_report
from etf_trader.risk.halts import OPERATOR, TradingState, halt, halts, trading_state
from etf_trader.venue.interface import LimitOrder, Listener, Placed, Report, Trade, VenueOrder, VenueOrderStatus

D = Decimal


class ForgetfulVenue(HookedVenue):
    """Carries orders out and denies it: `denied` symbols answer nothing, and say that there is no such order.

    Of orders in `short` symbols it tells all trades but the last.
    """

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self.denied: set[str] = set()
        self.short: set[str] = set()
        self.places = 0

    async def place(self, order: LimitOrder) -> Placed:
        self.places += 1
        placed = await super().place(order)
        if order.symbol in self.denied:
            raise OutcomeUnknown("the connection was cut after the request")
        if order.symbol in self.short and placed.trades:
            told = placed.trades[:-1]
            value = sum((trade.value for trade in told), ZERO)
            quantity = sum((trade.quantity for trade in told), ZERO)
            state = replace(
                placed.order,
                status=VenueOrderStatus.EXPIRED,
                executed_quantity=quantity,
                executed_value=value,
            )
            return replace(placed, order=state, trades=told)
        return placed

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        def hear(report: Report) -> None:
            if report.order.symbol not in self.denied | self.short:
                listener(report)

        return super().subscribe(hear)

    async def find(self, symbol: str, client_order_id: str) -> VenueOrder | None:
        return None if symbol in self.denied else await super().find(symbol, client_order_id)

    async def trades_of(self, symbol: str, order_id: int) -> Sequence[Trade]:
        trades = await super().trades_of(symbol, order_id)
        return trades[:-1] if symbol in self.short else trades


def market() -> StaticMarket:
    return make_market(
        {"A": make_ladders(D(100), D("0.01"), D(25), gap=9), "B": make_ladders(D(10), D("0.01"), D(400), gap=2)},
        rules={"B": {"step": "1", "min_quantity": "1"}},
    )


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etf_trader.execution.reconcile.LOOK_AGAIN_SECONDS", 0)


@pytest.fixture
def house(tmp_path: Path, url: str) -> Iterator[House]:
    """A house on each kind of database, with 20,000 USDT, and its exchange's denials."""
    made = make_house(tmp_path, market(), url=url, deposit=D(20_000), venue_type=ForgetfulVenue)
    yield made
    made.database.close()


def forgetful(house: House) -> ForgetfulVenue:
    assert isinstance(house.venue, ForgetfulVenue)
    return house.venue


def by_hand(house: House, side: str, quantity: str, *, name: str = "by-hand", price: str = "") -> None:
    """Trade A at the exchange without telling the books; with a price, the order rests there."""
    at = D(price) if price else D("110" if side == "BUY" else "90")
    request = OrderRequest(
        "AUSDT", side, "LIMIT", "GTC" if price else "IOC", D(quantity), at, name, house.exchange.now()
    )
    house.exchange.place(UID, request)


def appear(house: House, asset: str, amount: str) -> None:
    """Let money appear at the exchange, or vanish (below zero), of which it has no record."""
    row, mine = tables.balance, (tables.balance.c.account == UID, tables.balance.c.asset == asset)
    with house.exchange._database.write() as connection:
        free = connection.scalar(select(row.c.free).where(*mine))
        if free is None:
            values = {"account": UID, "asset": asset, "free": D(amount), "locked": ZERO}
            connection.execute(insert(row), values)
        else:
            connection.execute(update(row).where(*mine).values(free=free + D(amount)))


def say(number: int, booked_as: str, holder: str = "self", reason: str = "") -> Answer:
    return Answer(number, booked_as, holder, "tester", reason)


def differing(house: House) -> dict[str, Decimal]:
    with house.database.read() as connection:
        return {row.asset: row.difference for row in open_differences(connection, house.account.id)}


def state_of(house: House) -> TradingState:
    with house.database.read() as connection:
        return trading_state(connection, house.account.id)


def chain_keys(house: House) -> list[str]:
    with house.database.read() as connection:
        return list(connection.scalars(select(chain.c.key).order_by(chain.c.sequence)))


def audited(house: House) -> list[str]:
    with house.database.read() as connection:
        return [f"{each.entry}: {each.message}" for each in audit(connection, house.account).findings]


def off_balance(house: House) -> dict[str, Decimal]:
    """Return, by asset, what the venue holds beyond books and open differences together: nothing, always."""
    held = {asset: view.free + view.locked for asset, view in house.exchange.balances(UID).items()}
    with house.database.read() as connection:
        inside = inside_balances(connection, house.account.id)
    known = differing(house)
    off = {
        asset: held.get(asset, ZERO) - inside.get(asset, ZERO) - known.get(asset, ZERO)
        for asset in held.keys() | inside.keys() | known.keys()
    }
    return {asset: amount for asset, amount in off.items() if amount}


async def test_a_deposit_and_a_withdrawal_on_the_venues_record_are_booked_by_themselves(house: House) -> None:
    house.exchange.deposit(UID, "USDT", D(7), "in")
    house.exchange.withdraw(UID, "USDT", D(3), "out")
    found = await house.manager.reconcile()
    assert found.booked == ("deposit of 7 USDT booked for self", "withdrawal of 3 USDT booked for self")
    assert found.agrees
    assert (await house.manager.reconcile()).booked == ()
    assert findings(house.database, house.exchange) == []


async def test_a_withdrawal_that_the_owner_has_not_is_not_booked_but_asked_about(house: House) -> None:
    house.exchange.deposit(UID, "USDT", D(500), "hers")
    await house.manager.reconcile()
    with house.database.write() as connection:
        ledger, at = Ledger(connection, house.account.id), house.clock.now()
        ledger.post(withdrawal("self", "USDT", D(20_500), key="give", at=at))
        ledger.post(deposit("alice", "USDT", D(20_500), key="take", at=at))
    house.exchange.withdraw(UID, "USDT", D(500), "out")

    found = await house.manager.reconcile()
    (row,) = found.differences
    assert (row.asset, row.difference) == ("USDT", D(-500))
    assert row.explanation == "withdrawal of 500 USDT (out), which the treasury of self does not cover"
    with pytest.raises(UsageError, match="the treasury of self holds 0 USDT: a withdrawal of 500 is not covered"):
        await house.manager.book_difference(say(row.id, "withdrawal"))
    _, after = await house.manager.book_difference(say(row.id, "withdrawal", "alice"))
    assert after.agrees
    assert house.holdings("treasury:alice") == {"USDT": D(20_000)}
    assert (audited(house), await unbooked(house.database, house.venue, house.account)) == ([], [])


async def test_a_trade_by_hand_is_named_stops_trading_and_is_booked_by_a_person(house: House) -> None:
    await house.create(make_definition())
    await house.buy(5)
    waiting = await house.desk.accept(make_request(quantity=D(1)))
    by_hand(house, "BUY", "2")
    before = chain_keys(house)

    found = await house.manager.reconcile()
    # 2 A at 100.01, less the fee of 10 bps in A.
    assert differing(house) == {"A": D("1.998"), "USDT": D("-200.02")}
    assert found.explained == (
        "order by-hand, which is not of these books, bought 2 AUSDT at 100.01 (trade 2, fee 0.002 A)",
    )
    assert all(row.explanation == found.explained[0] for row in found.differences)
    assert (chain_keys(house), found.booked) == (before, ())
    assert state_of(house) is TradingState.HALTED
    sent = forgetful(house).places
    with pytest.raises(ReconciliationMismatch, match=r"A \+1.998, USDT -200.02$") as refused:
        await house.manager.run([waiting.id])
    assert "etf reconcile --book 1 --as deposit|airdrop|opening" in (refused.value.hint or "")
    assert forgetful(house).places == sent
    missing = await unbooked(house.database, house.venue, house.account)
    assert missing == [
        "trade 2 of AUSDT (buy 2 at 100.01) is not in the books; "
        "order by-hand is not of these books: etf reconcile tells how to book it"
    ]

    _, after = await house.manager.book_difference(say(1, "airdrop", reason="bought by hand"))
    assert [row.asset for row in after.differences] == ["USDT"]
    assert state_of(house) is TradingState.HALTED
    is_new, after = await house.manager.book_difference(say(2, "withdrawal", reason="paid for it"))
    assert (is_new, after.agrees, state_of(house)) == (True, True, TradingState.ACTIVE)
    assert house.holdings("treasury:self")["A"] == D("1.998")
    assert await unbooked(house.database, house.venue, house.account) == []
    assert audited(house) == []
    await house.manager.run([waiting.id])
    assert house.order(waiting.id).filled == 1
    assert (await house.manager.reconcile()).explained == ()


async def test_one_open_row_an_asset_follows_what_differs_and_closes_by_itself(house: House) -> None:
    appear(house, "USDT", "7")
    await house.manager.reconcile()
    appear(house, "USDT", "2")
    (row,) = (await house.manager.reconcile()).differences
    assert (row.id, row.difference) == (1, D(9))
    with house.database.write() as connection:
        halt(connection, house.account.id, TradingState.HALTED, OPERATOR, "lunch", house.clock.now())
    appear(house, "USDT", "-9")

    found = await house.manager.reconcile()
    assert found.agrees
    with house.database.read() as connection:
        closed = difference(connection, 1)
        assert [each.cause for each in halts(connection, house.account.id)] == [OPERATOR]
    assert (closed.booked_as, closed.transaction_key, closed.is_open) == ("gone", None, False)
    with pytest.raises(UsageError, match=r"difference 1 \(9 USDT\) went away by itself"):
        await house.manager.book_difference(say(1, "deposit"))
    assert audited(house) == []


async def test_running_it_twice_changes_nothing(house: House) -> None:
    await house.create(make_definition())
    by_hand(house, "BUY", "1")
    appear(house, "B", "3")
    first = await house.manager.reconcile()
    keys = chain_keys(house)
    again = await house.manager.reconcile()
    assert again == first
    assert chain_keys(house) == keys
    with house.database.read() as connection:
        assert len(halts(connection, house.account.id, lifted=True)) == 1


async def test_a_difference_is_booked_with_who_said_so_and_why_once(house: House) -> None:
    appear(house, "A", "3")
    await house.manager.reconcile()
    answer = say(1, "airdrop", "alice", "a gift of the chain")
    assert (await house.manager.book_difference(answer))[0] is True
    assert (await house.manager.book_difference(answer))[0] is False
    with house.database.read() as connection:
        row = difference(connection, 1)
    assert (row.booked_as, row.holder, row.operator, row.reason) == (
        "airdrop",
        "alice",
        "tester",
        "a gift of the chain",
    )
    assert chain_keys(house)[-1] == row.transaction_key == "difference:1"
    assert house.holdings("treasury:alice") == {"A": D(3)}
    with pytest.raises(UsageError, match="difference 1 is booked already: as airdrop for alice, by tester"):
        await house.manager.book_difference(say(1, "deposit", "alice"))
    assert audited(house) == []


CHANGES: list[dict[str, object]] = [
    {"venue_quantity": D(9)},
    {"books_quantity": D(9)},
    {"difference": D(9)},
    {"asset": "B"},
    {"explanation": "no"},
    {"booked_as": "deposit"},
    {"holder": "bob"},
    {"operator": "bob"},
    {"reason": "no"},
    {"transaction_key": None},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
async def test_a_changed_row_of_a_booked_difference_is_found(tmp_path: Path, change: dict[str, object]) -> None:
    house = make_house(tmp_path, market(), deposit=D(20_000))
    appear(house, "A", "3")
    await house.manager.reconcile()
    await house.manager.book_difference(say(1, "airdrop", "alice", "a gift"))
    assert audited(house) == []
    with house.database.write() as connection:
        connection.execute(update(differences).values(**change))
    assert [finding.partition(" (")[0] for finding in audited(house)] == ["difference 1"]


@pytest.mark.parametrize(
    ("amount", "kind"), [("3", "withdrawal"), ("3", "dust"), ("-3", "deposit"), ("-3", "opening")]
)
async def test_what_came_in_is_not_booked_as_what_went_out(house: House, amount: str, kind: str) -> None:
    appear(house, "USDT", amount)
    await house.manager.reconcile()
    with pytest.raises(UsageError, match=f"that is no {kind}"):
        await house.manager.book_difference(say(1, kind))
    assert off_balance(house) == {}


async def test_a_difference_that_has_changed_since_is_not_booked(house: House) -> None:
    appear(house, "USDT", "3")
    await house.manager.reconcile()
    appear(house, "USDT", "1")
    with pytest.raises(ReconciliationMismatch, match="difference 1 has changed: it was 3 USDT; now USDT: "):
        await house.manager.book_difference(say(1, "deposit"))
    appear(house, "USDT", "-4")
    with pytest.raises(ReconciliationMismatch, match="the books and the venue agree on USDT"):
        await house.manager.book_difference(say(1, "deposit"))
    assert not [key for key in chain_keys(house) if key.startswith("difference")]


def test_two_who_book_the_same_difference_book_it_once(house: House) -> None:
    appear(house, "USDT", "3")
    asyncio.run(house.manager.reconcile())
    others = [
        open_house(house.exchange, house.market, house.database, house.account, venue_type=ForgetfulVenue)
        for _ in range(3)
    ]
    works = [lambda each=each: asyncio.run(each.manager.book_difference(say(1, "deposit"))) for each in others]

    results = together(works)  # type: ignore[arg-type]

    assert sorted(each[0] for each in results) == [False, False, True]  # type: ignore[index]
    assert house.holdings("treasury:self") == {"USDT": D(20_003)}
    assert findings(house.database, house.exchange) == []


async def test_an_order_that_was_denied_and_lived_is_found_and_booked_once(house: House) -> None:
    await house.create(make_definition())
    venue = forgetful(house)
    venue.denied = {"AUSDT"}
    venue.before_place = lambda order: venue.denied.clear() if venue.places > 2 else None
    order = await house.buy(5)
    assert order.filled == 5
    with house.database.read() as connection:
        ends = {each.id: each for each in list_asset_orders(connection)}
    (denied,) = [each for each in ends.values() if each.status is AssetOrderStatus.WITHDRAWN]

    found = await house.manager.reconcile()

    assert found.agrees
    assert [sentence.startswith("a missing fill found: order etf-") for sentence in found.booked] == [True]
    with house.database.read() as connection:
        late = connection.execute(select(fills).join(late_fills, late_fills.c.fill_id == fills.c.id)).all()
        after = next(each for each in list_asset_orders(connection) if each.id == denied.id)
    assert [(row.asset_order_id, row.quantity) for row in late] == [(denied.id, denied.intent.quantity)]
    assert after == denied  # its end stays sealed as it was
    stuck = house.order(order.id)
    assert (stuck.status, stuck.filled) == (IndexOrderStatus.STUCK, D(5))
    assert house.holdings(f"order:{order.id}") == {"A": denied.intent.quantity * D("0.999")}
    assert (await house.manager.reconcile()).booked == ()
    assert (audited(house), findings(house.database, house.exchange)) == ([], [])
    assert (await house.buy(1)).filled == 1
    with house.database.write() as connection:
        connection.execute(update(late_fills).values(found_at=house.clock.now()))
    assert [finding.partition(": ")[2] for finding in audited(house)] == [
        "that it was found late does not match its seal"
    ]


async def test_a_leg_of_a_rebalance_that_was_denied_and_lived_leaves_the_index_when_it_is_found(
    house: House,
) -> None:
    await house.create(make_definition())
    await house.buy(5)
    await house.administration.edit_index("1", make_definition(basket={}, weights={"A": D("0.6"), "B": D("0.4")}))
    venue = forgetful(house)
    places = venue.places
    venue.denied = {"AUSDT"}
    venue.before_place = lambda order: venue.denied.clear() if venue.places > places + 1 else None
    order = await house.rebalance()

    found = await house.manager.reconcile()

    assert found.agrees
    assert [sentence.startswith("a missing fill found: order etf-") for sentence in found.booked] == [True]
    with house.database.read() as connection:
        assert rebalance_order(connection, order.id).status is IndexOrderStatus.FILLED
        basket = current_basket(connection, 1)
        told = rebalance_report(connection, order.id)
    assert told.nav_after == told.nav_before - told.cost + told.market + told.flows
    assert all(wave.nav_before - wave.nav_after == wave.cost for wave in told.waves)
    assert basket.quantities["A"] * 100 < D("0.4") * basket.nav({"A": D(100), "B": D(10)})  # sold twice
    assert house.holdings(f"order:{order.id}") == {}
    require_report_with_late_fill(house, order.id)
    assert (audited(house), findings(house.database, house.exchange)) == ([], [])


def require_report_with_late_fill(house: House, number: int) -> None:
    """Require that the report of a rebalance tells a fill that was found late apart, and that all adds up."""
    report = report_of(house, number)
    (late,) = report.late_fills
    waves = {wave.wave: wave for wave in report.waves}
    assert (late.wave, late.plan) == (1, waves[1].plan)
    assert (late.orders, late.units, late.basket) == (0, D(5), report.baskets[-1].version)
    assert late.value > 0
    assert len(report.baskets) == 2 + len(waves)
    told = [line.value for line in (*report.waves, late)]
    assert sum(told, ZERO) == sum((line.value for line in report.legs), ZERO)
    require_identities(house, report)


async def test_the_last_trade_of_an_order_is_found_when_the_venue_kept_it_back(house: House) -> None:
    await house.create(make_definition())
    forgetful(house).short = {"AUSDT"}
    order = await house.buy(40)  # 25 at the first level, the rest behind it
    forgetful(house).short.clear()

    found = await house.manager.reconcile()

    assert found.agrees
    assert found.booked
    assert all(sentence.startswith("a missing fill found: order etf-") for sentence in found.booked)
    assert house.order(order.id).status in (IndexOrderStatus.STUCK, IndexOrderStatus.OPEN)
    assert (audited(house), findings(house.database, house.exchange)) == ([], [])


async def test_a_missing_sale_waits_for_the_coin_that_it_took(house: House) -> None:
    await house.create(make_definition())
    await house.buy(10)
    venue = forgetful(house)
    venue.denied, venue.places = {"AUSDT"}, 0
    venue.before_place = lambda order: venue.denied.clear() if venue.places > 2 else None
    await house.sell(5)
    before = chain_keys(house)

    found = await house.manager.reconcile()
    assert (found.booked, chain_keys(house)) == ((), before)
    assert "it cannot be booked: it took 5 A, the treasury of self holds 0" in found.explained[0]
    assert differing(house) == {"A": D(-5), "USDT": D("499.45005")}

    house.exchange.deposit(UID, "A", D(5), "bought back")
    found = await house.manager.reconcile()
    assert found.agrees
    told = [each.split(":")[0] for each in found.booked]
    assert told == ["deposit of 5 A booked for self", "a missing fill found"]
    assert state_of(house) is TradingState.ACTIVE
    assert house.holdings("order:2") == {"USDT": D("499.45005")}
    assert (audited(house), findings(house.database, house.exchange)) == ([], [])


async def test_what_a_person_booked_for_a_missing_sale_is_not_booked_again(house: House) -> None:
    await house.create(make_definition())
    await house.buy(10)
    house.deposit(D(2), "coins", asset="A")
    venue = forgetful(house)
    venue.denied, venue.places = {"AUSDT"}, 0
    venue.before_place = lambda order: venue.denied.clear() if venue.places > 2 else None
    await house.sell(5)
    found = await house.manager.reconcile()
    appear(house, "A", "3")
    found = await house.manager.reconcile()
    assert differing(house)["A"] == -2
    for row in found.differences:
        await house.manager.book_difference(say(row.id, row.kinds[0]))
    house.deposit(D(9), "more coins", asset="A")

    found = await house.manager.reconcile()
    assert (found.agrees, found.booked) == (True, ())
    assert await unbooked(house.database, house.venue, house.account) == []
    assert audited(house) == []


async def test_a_crash_between_the_fill_and_the_rest_books_it_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.create(make_definition())
    venue = forgetful(house)
    venue.denied = {"AUSDT"}
    venue.before_place = lambda order: venue.denied.clear() if venue.places > 2 else None
    await house.buy(5)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Reconciler, "_record", die)
        with pytest.raises(KeyboardInterrupt):
            await house.manager.reconcile()
    found = await house.manager.reconcile()
    assert (found.booked, found.agrees) == ((), True)
    assert (audited(house), findings(house.database, house.exchange)) == ([], [])


async def test_a_restored_database_recognises_the_orders_that_it_lost(tmp_path: Path) -> None:
    house = make_house(tmp_path, market(), deposit=D(20_000))
    await house.create(make_definition())
    house.database.close()
    shutil.copyfile(tmp_path / "etf.db", tmp_path / "backup.db")
    await house.buy(5)
    house.database.close()
    shutil.copyfile(tmp_path / "backup.db", tmp_path / "etf.db")
    with house.database.write() as connection:
        lost = incarnation(connection)
        begin_incarnation(connection, "restored", house.clock.now())
    by_hand(house, "SELL", "1", name=f"etf-{lost}-1-9", price="130")

    found = await house.manager.reconcile()

    assert found.booked == (f"order etf-{lost}-1-9 was still open in AUSDT and is cancelled",)
    assert len(found.explained) == 2
    assert all("which this database sent and has lost (it was restored" in each for each in found.explained)
    assert differing(house).keys() == {"A", "B", "USDT"}
    for row in found.differences:
        await house.manager.book_difference(say(row.id, row.kinds[0], reason="bought before the restore"))
    assert state_of(house) is TradingState.ACTIVE
    assert (await house.buy(2)).filled == 2
    assert audited(house) == []


async def test_a_foreign_order_that_is_open_warns_and_stops_nothing(house: House) -> None:
    await house.create(make_definition())
    await house.buy(1)
    by_hand(house, "BUY", "1", price="50")
    found = await house.manager.reconcile()
    assert found.agrees
    assert found.warnings == (
        "order by-hand, which is not of these books, is open and buys in AUSDT; "
        "sells of these books in AUSDT may meet it",
    )
    assert await compare(house.database, house.venue, house.account) == []
    assert (await house.buy(1)).filled == 1
    assert len(house.exchange.open_orders(UID)) == 1


async def test_it_is_repeated_when_it_is_time_and_nothing_is_in_flight(house: House) -> None:
    reconciler = Reconciler(house.database, house.venue, house.clock, house.account, house.log, every_seconds=300)
    lease = Leases(house.database, house.clock).take(house.account.id)
    assert lease is not None
    assert isinstance(await reconciler.periodic(lease), Reconciliation)
    appear(house, "USDT", "3")
    assert await reconciler.periodic(lease) is None
    house.exchange.advance(299)
    assert await reconciler.periodic(lease) is None
    house.exchange.advance(1)
    found = await reconciler.periodic(lease)
    assert found is not None
    with pytest.raises(ReconciliationMismatch):
        found.require_agreement()


ACTIONS = st.one_of(
    st.tuples(st.sampled_from(["deposit", "withdraw"]), st.integers(1, 50)),
    st.tuples(st.just("appear"), st.sampled_from(["USDT:5", "USDT:-4", "A:0.5", "A:-0.25", "B:1", "B:-2"])),
    st.tuples(st.sampled_from(["hand buy", "hand sell"]), st.integers(1, 3)),
    st.tuples(st.sampled_from(["buy", "sell", "denied buy", "denied sell"]), st.integers(1, 4)),
    st.tuples(st.just("book"), st.integers(0, 5)),
    st.tuples(st.just("reconcile"), st.just(0)),
)


@settings(max_examples=examples(25), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(ACTIONS, min_size=2, max_size=9))
def test_books_and_open_differences_are_what_the_venue_holds_whatever_happens(
    actions: list[tuple[str, int | str]],
) -> None:
    with TemporaryDirectory() as folder, money_context():
        house = make_house(Path(folder), market(), deposit=D(20_000), venue_type=ForgetfulVenue)
        asyncio.run(_play(house, actions))
        house.database.close()


async def _play(house: House, actions: list[tuple[str, int | str]]) -> None:
    await house.create(make_definition())
    for step, (name, value) in enumerate(actions):
        with suppress(EtfError, ExchangeError):  # refused: by the exchange, or because the books differ
            await _act(house, name, value, step)
        found = await house.manager.reconcile()
        assert off_balance(house) == {}, name
        assert await house.manager.reconcile() == replace(found, booked=()), name
        assert audited(house) == [], name
        assert (state_of(house) is TradingState.HALTED) is bool(differing(house))


async def _act(house: House, name: str, value: int | str, step: int) -> None:
    venue = forgetful(house)
    if name in ("deposit", "withdraw"):
        move = house.exchange.deposit if name == "deposit" else house.exchange.withdraw
        move(UID, "USDT", D(value), f"t{step}")
    elif name == "appear":
        asset, amount = str(value).split(":")
        held = house.exchange.balances(UID).get(asset)
        if D(amount) > 0 or (held is not None and held.free + D(amount) >= 0):
            appear(house, asset, amount)
    elif name.startswith("hand"):
        by_hand(house, name.split()[1].upper(), str(value), name=f"hand-{step}")
    elif name == "book":
        await _answer(house, int(value))
    elif name != "reconcile":
        first = venue.places
        venue.denied = {"AUSDT"} if name.startswith("denied") else set()
        venue.before_place = lambda order: venue.denied.clear() if venue.places > first + 2 else None
        await (house.buy if name.endswith("buy") else house.sell)(int(value))
        venue.denied = set()


async def _answer(house: House, place: int) -> None:
    with house.database.read() as connection:
        rows: list[Difference] = open_differences(connection, house.account.id)
    if rows:
        row = rows[place % len(rows)]
        await house.manager.book_difference(say(row.id, row.kinds[place % len(row.kinds)]))
