"""The paper exchange keeps the venue's contract; its clock and its refusals in particular."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from tests.unit.venue.contract import (
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
    Stage,
    VenueContract,
)

from etf_trader.clock import SimulatedClock, SystemClock
from etf_trader.database import Database
from etf_trader.errors import VenueError
from etf_trader.exchange.paper import ExchangeSettings, OrderRequest, PaperExchange
from etf_trader.exchange.static import EPOCH, StaticMarket, symbol_row
from etf_trader.market.symbol import Side
from etf_trader.venue.interface import VenueIdentity
from etf_trader.venue.paper import PaperClock, PaperVenue, transfer_from

D = Decimal
UID = "paper"
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
