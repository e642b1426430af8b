"""The paper exchange keeps the venue's contract; its clock and its refusals in particular."""

import asyncio
import itertools
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.contract.suite import (
    A_ASKS,
    A_BIDS,
    B_ASKS,
    B_BIDS,
    CASH,
    CONVERSION_ASKS,
    CONVERSION_BIDS,
    FREE,
    OTHER_ASKS,
    OTHER_BIDS,
    OWNED,
    Heard,
    Stage,
    VenueContract,
)
from tests.effort import examples

from etf_trader.clock import SimulatedClock, SystemClock
from etf_trader.database import Database
from etf_trader.errors import OrderRejected, VenueError
from etf_trader.exchange.paper import ExchangeSettings, OrderRequest, PaperExchange
from etf_trader.exchange.static import EPOCH, StaticMarket, symbol_row
from etf_trader.market.symbol import Side
from etf_trader.venue.interface import LimitOrder, OrderKind, Report, VenueIdentity
from etf_trader.venue.paper import PaperClock, PaperVenue, transfer_from

D = Decimal
UID, OTHER = "paper", "other"
NUMBERS = itertools.count(1)
WALL = datetime.fromisoformat("2026-03-01T12:00:03+00:00")


BOOKS = {
    "AUSDT": (A_BIDS, A_ASKS),
    "BUSDT": (B_BIDS, B_ASKS),
    "AUSDC": (OTHER_BIDS, OTHER_ASKS),
    "USDCUSDT": (CONVERSION_BIDS, CONVERSION_ASKS),
}


def make_market() -> StaticMarket:
    rows = [
        symbol_row("AUSDT", "A", "USDT"),
        symbol_row("BUSDT", "B", "USDT"),
        symbol_row("AUSDC", "A", "USDC"),
        symbol_row("USDCUSDT", "USDC", "USDT", tick="0.0001", min_price="0.0001", up="1.2", down="0.8"),
    ]
    return StaticMarket(rows, BOOKS, free=[FREE])


@dataclass
class PaperStage:
    """A paper exchange on the contract's books."""

    database: Database
    market: StaticMarket
    exchange: PaperExchange
    venue: PaperVenue

    @property
    def identity(self) -> VenueIdentity:
        return VenueIdentity("paper", UID, self.exchange.era)

    async def rest(self, symbol: str, side: Side, quantity: Decimal, price: Decimal, name: str) -> None:
        self.exchange.place(
            UID,
            OrderRequest(symbol, side.name, "LIMIT", "GTC", quantity, price, name, self.exchange.now()),
        )

    async def take(self, symbol: str, side: Side, quantity: Decimal, price: Decimal) -> None:
        now, name = self.exchange.now(), f"other-{next(NUMBERS)}"
        self.exchange.open_account(OTHER)
        for asset in ("A", "USDT"):
            self.exchange.deposit(OTHER, asset, CASH, f"other-{asset}")
        self.exchange.place(OTHER, OrderRequest(symbol, side.name, "LIMIT", "IOC", quantity, price, name, now))

    async def deposit(self, asset: str, amount: Decimal, name: str) -> None:
        self.exchange.deposit(UID, asset, amount, name)

    async def withdraw(self, asset: str, amount: Decimal, name: str) -> None:
        self.exchange.withdraw(UID, asset, amount, name)

    async def use_up_orders(self) -> float:
        for number in range(100):
            await self.rest("BUSDT", Side.BUY, D(1), D("5"), f"idle-{number}")
        (count, _) = self.exchange.order_counts(UID)
        assert count.count == count.limit
        return (count.resets_at - self.exchange.now()).total_seconds()

    async def close_market(self, symbol: str) -> None:
        rows = [row | {"status": "BREAK"} if row["symbol"] == symbol else row for row in self.market.symbols()]
        closed = StaticMarket(rows, BOOKS)
        self.exchange = PaperExchange.open(self.database, lambda kind, parameters: closed)
        self.venue = PaperVenue(self.exchange, UID, is_stepped=True)

    async def trade_beside(self, symbol: str, quantity: Decimal) -> None:
        now = self.exchange.now()
        self.market.set_volume(symbol, quantity, now)
        self.market.set_volume(symbol, D(0), self.exchange.advance(1))


def make_stage(folder: Path, *, clock: str = "stepped") -> PaperStage:
    market, database = make_market(), Database(f"sqlite:///{folder / 'exchange.db'}")
    exchange = PaperExchange.create(
        database,
        ExchangeSettings(clock, "static", {}),
        market,
        account=UID,
        clock=SimulatedClock(WALL),
    )
    exchange.deposit(UID, "USDT", CASH, "cash")
    exchange.deposit(UID, "A", OWNED, "owned")
    return PaperStage(database, market, exchange, PaperVenue(exchange, UID, is_stepped=clock == "stepped"))


class TestPaperVenue(VenueContract):
    """The whole contract."""

    @pytest.fixture
    def stage(self, tmp_path: Path) -> Stage:
        return make_stage(tmp_path)


async def test_the_stepped_clock_moves_one_second_with_a_batch(tmp_path: Path) -> None:
    stage = make_stage(tmp_path)
    assert await stage.venue.server_time() == EPOCH
    await stage.venue.batch_done()
    assert await stage.venue.server_time() == EPOCH + timedelta(seconds=1)


async def test_the_wall_clock_is_not_moved_by_a_batch(tmp_path: Path) -> None:
    stage = make_stage(tmp_path, clock="wall")
    assert await stage.venue.server_time() == WALL
    await stage.venue.batch_done()
    assert await stage.venue.server_time() == WALL
    assert isinstance(stage.venue.clock(), SystemClock)


async def test_a_stepped_venue_shares_its_clock_and_sleeping_moves_it(tmp_path: Path) -> None:
    stage = make_stage(tmp_path)
    clock = stage.venue.clock()
    assert isinstance(clock, PaperClock)
    assert clock.now() == EPOCH == clock.now()
    await clock.sleep(2.5)
    assert clock.now() == EPOCH + timedelta(seconds=2.5) == await stage.venue.server_time()


async def test_sleeping_on_the_stepped_clock_lets_others_run(tmp_path: Path) -> None:
    clock = make_stage(tmp_path).venue.clock()
    seen: list[str] = []

    async def other() -> None:
        seen.append("ran")

    task = asyncio.create_task(other())
    await clock.sleep(1)
    assert seen == ["ran"]
    await task


async def test_an_account_the_exchange_does_not_know_is_an_error_of_ours(tmp_path: Path) -> None:
    venue = PaperVenue(make_stage(tmp_path).exchange, "nobody", is_stepped=True)
    questions: Sequence[Callable[[], Awaitable[object]]] = (
        venue.balances,
        venue.open_orders,
        lambda: venue.trades_of("AUSDT", 1),
        lambda: venue.trades_after("AUSDT", 0),
        lambda: venue.transfers(0),
        lambda: venue.find("AUSDT", "first"),
        lambda: venue.cancel("AUSDT", "first"),
    )
    for ask in questions:
        with pytest.raises(VenueError, match="Invalid API-key") as refused:
            await ask()
        assert refused.value.exit_code == 5


async def test_trades_in_an_unknown_symbol_are_an_error_of_ours(tmp_path: Path) -> None:
    venue = make_stage(tmp_path).venue
    with pytest.raises(VenueError, match="Invalid symbol"):
        await venue.trades_of("NONEUSDT", 1)
    with pytest.raises(VenueError, match="Invalid symbol") as refused:
        await venue.trades_after("NONEUSDT", 0)
    assert refused.value.where == "NONEUSDT"


def test_a_withdrawal_is_negative_in_our_words(tmp_path: Path) -> None:
    exchange = make_stage(tmp_path).exchange
    view = exchange.withdraw(UID, "A", D(2), "out")
    assert (view.kind, view.amount) == ("withdrawal", D(2))
    assert transfer_from(view).amount == D(-2)


def post_only(name: str, price: str = "99.95", quantity: str = "2", at: datetime = EPOCH) -> LimitOrder:
    return LimitOrder("AUSDT", Side.BUY, D(quantity), D(price), name, at, 2, OrderKind.POST_ONLY)


def immediate(name: str, price: str = "100.10", quantity: str = "2", at: datetime = EPOCH) -> LimitOrder:
    return replace(post_only(name, price, quantity, at), kind=OrderKind.IOC)


def facts(heard: Heard) -> list[tuple[str, str, str, bool]]:
    return [
        (each.order.client_order_id, each.order.status.value, str(each.order.executed_quantity), bool(each.trade))
        for each in heard.reports
    ]


async def test_each_thing_is_told_once_and_in_order(tmp_path: Path) -> None:
    stage, heard = make_stage(tmp_path), Heard()
    venue = stage.venue
    await venue.place(immediate("before"))
    venue.subscribe(heard)
    await venue.place(immediate("both", "100.20", "20"))
    await venue.place(post_only("low"))
    await stage.take("AUSDT", Side.SELL, D("0.5"), D("99.95"))
    await venue.cancel("AUSDT", "low")
    for _ in range(2):
        await venue.books(["AUSDT"], 5)
        await venue.balances()
        await venue.open_orders()
        await venue.find("AUSDT", "both")
        await venue.batch_done()
    assert facts(heard) == [
        ("both", "open", "0", False),
        ("both", "open", "1", True),
        ("both", "open", "9", True),
        ("both", "expired", "9", False),
        ("low", "open", "0", False),
        ("low", "open", "0.5", True),
        ("low", "cancelled", "0.5", False),
    ]


async def books(stage: PaperStage) -> None:
    await stage.venue.books(["BUSDT"], 1)


async def batch(stage: PaperStage) -> None:
    await stage.venue.batch_done()


async def sleep(stage: PaperStage) -> None:
    await stage.venue.clock().sleep(0.01)


async def balances(stage: PaperStage) -> None:
    await stage.venue.balances()


async def orders(stage: PaperStage) -> None:
    await stage.venue.open_orders()


async def find(stage: PaperStage) -> None:
    await stage.venue.find("AUSDT", "low")


async def cancel(stage: PaperStage) -> None:
    await stage.venue.cancel("AUSDT", "low")


async def trades(stage: PaperStage) -> None:
    await stage.venue.trades_after("AUSDT", 0)


async def another(stage: PaperStage) -> None:
    await stage.venue.place(immediate("next", "90", at=stage.exchange.now()))


async def moved(stage: PaperStage) -> None:
    stage.exchange.advance(1)
    await stage.venue.books(["BUSDT"], 1)


LOOKS = [books, batch, sleep, balances, orders, find, cancel, trades, another]


@pytest.mark.parametrize("look", [*LOOKS, moved], ids=lambda look: look.__name__)
async def test_a_fill_that_the_market_brought_is_told_at_the_next_look(
    tmp_path: Path, look: Callable[[PaperStage], Awaitable[None]]
) -> None:
    stage, heard = make_stage(tmp_path), Heard()
    await stage.venue.place(post_only("low"))
    stage.venue.subscribe(heard)
    stage.market.set_book("AUSDT", [("99.00", "5")], [("99.90", "0.5")])
    await look(stage)
    (first, *rest) = heard.reports
    assert first.trade is not None
    assert (first.trade.price, first.trade.quantity, first.trade.is_maker) == (D("99.95"), D("0.5"), True)
    assert (first.order.client_order_id, first.order.executed_quantity) == ("low", D("0.5"))
    assert not any(each.trade for each in rest)


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.__name__)
async def test_on_the_wall_clock_it_is_told_as_well(
    tmp_path: Path, look: Callable[[PaperStage], Awaitable[None]]
) -> None:
    stage, heard = make_stage(tmp_path, clock="wall"), Heard()
    await stage.venue.place(post_only("low", at=WALL))
    stage.venue.subscribe(heard)
    stage.market.set_book("AUSDT", [("99.00", "5")], [("99.90", "0.5")])
    await look(stage)
    assert [each.trade.quantity for each in heard.reports if each.trade] == [D("0.5")]


async def test_what_another_process_did_is_told(tmp_path: Path) -> None:
    """Another process has the database open too, and an account of the exchange or ours trades there."""
    stage, heard = make_stage(tmp_path), Heard()
    elsewhere = PaperExchange.open(Database(f"sqlite:///{tmp_path / 'exchange.db'}"), lambda *_: stage.market)
    await stage.venue.place(post_only("low"))
    stage.venue.subscribe(heard)
    here, stage.exchange = stage.exchange, elsewhere
    await stage.take("AUSDT", Side.SELL, D("0.5"), D("99.95"))
    await PaperVenue(elsewhere, UID, is_stepped=True).place(immediate("theirs"))
    elsewhere.cancel(UID, "AUSDT", client_order_id="low")
    assert heard.reports == []
    stage.exchange = here
    await stage.venue.books(["AUSDT"], 1)
    assert facts(heard) == [
        ("low", "open", "0.5", True),
        ("theirs", "open", "0", False),
        ("theirs", "filled", "2", True),
        ("low", "cancelled", "0.5", False),
    ]


async def test_nobody_hears_what_was_before_he_listened(tmp_path: Path) -> None:
    stage, early, late, again = make_stage(tmp_path), Heard(), Heard(), Heard()
    leave = stage.venue.subscribe(early)
    stage.exchange.place(UID, OrderRequest("AUSDT", "BUY", "LIMIT", "IOC", D(1), D("100.10"), "unseen", EPOCH))
    leave_too = stage.venue.subscribe(late)
    assert [name for name, *_ in facts(early)] == ["unseen", "unseen"]
    assert late.reports == []
    leave()
    leave_too()
    await stage.venue.place(immediate("alone"))
    stage.venue.subscribe(again)
    await stage.venue.place(immediate("heard", quantity="0.1"))
    assert {name for name, *_ in facts(again)} == {"heard"}


async def test_a_listener_may_leave_and_bring_another_while_it_is_told(tmp_path: Path) -> None:
    stage, also = make_stage(tmp_path), Heard()
    told: list[Report] = []

    def once(report: Report) -> None:
        told.append(report)
        leave()
        stage.venue.subscribe(also)

    leave = stage.venue.subscribe(once)
    stage.venue.subscribe(kept := Heard())
    await stage.venue.place(immediate("first", "100.20", "4"))
    assert len(told) == 1
    assert [executed for _, _, executed, _ in facts(kept)] == ["0", "3", "4"]
    assert also.reports == []
    await stage.venue.place(immediate("second", quantity="0.1"))
    assert facts(also) == facts(kept)[3:]
    assert len(told) == 1


def noting(scopes: list[str], name: str, whole: Callable[[], object]) -> Callable[[], object]:
    def scope() -> object:
        scopes.append(name)
        return whole()

    return scope


async def test_an_order_nobody_listens_to_costs_no_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = make_stage(tmp_path)
    scopes: list[str] = []
    for name in ("read", "write"):
        monkeypatch.setattr(stage.database, name, noting(scopes, name, getattr(stage.database, name)))
    placed = await stage.venue.place(immediate("first"))
    assert scopes == ["write"]
    assert [each.count for each in placed.counts] == [0, 0]
    await stage.venue.books(["AUSDT"], 5)
    await stage.venue.batch_done()
    assert scopes == ["write", "read", "write"]

    scopes.clear()
    stage.venue.subscribe(Heard())
    await stage.venue.place(immediate("second", at=stage.exchange.now()))
    assert scopes.count("write") == 1


MOVES = [
    ([("99.90", "5")], [("100.10", "3")]),
    ([("98", "5")], [("99.5", "1")]),
    ([("100.5", "2")], [("101", "4")]),
]

happenings = st.fixed_dictionaries(
    {
        "what": st.sampled_from(
            ["place"] * 4 + ["take"] * 2 + ["elsewhere", "cancel", "move", "advance", "listen"]
        ),
        "kind": st.sampled_from(OrderKind),
        "side": st.sampled_from(Side),
        "price": st.integers(-8, 8).map(lambda n: 100 + D(n) / 10),
        "quantity": st.integers(1, 40).map(lambda n: D(n) / 10),
        "which": st.integers(0, 2),
    }
)


async def happen(stage: PaperStage, step: Mapping[str, Any], name: str, elsewhere: PaperVenue) -> None:
    """Let something happen to our orders, by us, by somebody else, or by the market; refusals are fine."""
    at = stage.exchange.now()
    order = LimitOrder("AUSDT", step["side"], step["quantity"], step["price"], name, at, 2, step["kind"])
    with suppress(OrderRejected):
        if step["what"] == "place":
            await stage.venue.place(order)
        elif step["what"] == "elsewhere":
            await elsewhere.place(order)
        elif step["what"] == "take":
            await stage.take("AUSDT", step["side"], step["quantity"], step["price"])
        elif step["what"] == "cancel":
            for each in (await stage.venue.open_orders())[: step["which"]]:
                await stage.venue.cancel("AUSDT", each.client_order_id)
        elif step["what"] == "move":
            stage.market.set_book("AUSDT", *MOVES[step["which"]])
        elif step["what"] == "advance":
            await stage.venue.clock().sleep(step["which"])


@settings(max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(happenings, max_size=16))
def test_whoever_listens_hears_all_that_happens_from_then_on_once_and_in_order(
    history: list[dict[str, Any]],
) -> None:
    async def play(folder: Path) -> None:
        stage = make_stage(folder)
        elsewhere = PaperVenue(stage.exchange, UID, is_stepped=True)
        listening: list[tuple[int, Heard]] = []
        for number, step in enumerate(history):
            if step["what"] == "listen":
                heard = Heard()
                stage.venue.subscribe(heard)
                listening.append((stage.exchange.last_report(UID), heard))
            await happen(stage, step, f"step-{number}", elsewhere)
        await stage.venue.books(["AUSDT"], 1)
        for since, heard in listening:
            known = stage.exchange.reports(UID, since)
            assert [(each.order.order_id, each.order.executed_quantity) for each in heard.reports] == [
                (each.order.order_id, each.order.executed_quantity) for each in known
            ]
            assert [each.trade and each.trade.trade_id for each in heard.reports] == [
                each.trade and each.trade.trade_id for each in known
            ]
        stage.database.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder)))
