"""A client that follows the documented algorithm ends with the server's book, bit for bit."""

import asyncio
import shutil
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.effort import examples
from tests.integration.server.following import Follower
from tests.integration.server.stream_clients import StreamClient, connected, streams

from etf_trader.database import Database
from etf_trader.exchange.model import ModelMarket
from etf_trader.exchange.paper import ExchangeError, ExchangeSettings, OrderRequest, PaperExchange
from etf_trader.exchange.server import messages
from etf_trader.exchange.server.streams import Hub

D = Decimal
SETTINGS = ExchangeSettings("stepped", "model", {"seed": 5})
SYMBOLS = ("SHIBUSDT", "BTCUSDT")
LOTS = {"SHIBUSDT": D(2_000_000), "BTCUSDT": D("0.5")}
SPEEDS = ("depth", "depth@100ms")
_market = ModelMarket(5)
_template: list[tuple[TemporaryDirectory[str], Path]] = []


def template() -> Path:
    """Return a database with an exchange of two rich accounts, made once."""
    if not _template:
        folder = TemporaryDirectory()
        path = Path(folder.name) / "exchange.db"
        exchange = PaperExchange.create(Database(f"sqlite:///{path}"), SETTINGS, _market, account="one")
        exchange.open_account("two")
        for account in ("one", "two"):
            for asset, amount in (("USDT", "5000000"), ("BTC", "50"), ("SHIB", "90000000000")):
                exchange.deposit(account, asset, D(amount), asset)
        exchange.close()
        _template.append((folder, path))
    return _template[0][1]


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[PaperExchange]:
    opened = open_copy(tmp_path)
    yield opened
    opened.close()


def open_copy(folder: Path) -> PaperExchange:
    path = folder / "exchange.db"
    shutil.copy(template(), path)
    return PaperExchange.open(Database(f"sqlite:///{path}"), lambda kind, parameters: _market)


def snapshot(hub: Hub, symbol: str) -> dict[str, Any]:
    """Return what REST answers."""
    return messages.depth(hub.book(symbol, 5000))


def send(
    exchange: PaperExchange, account: str, symbol: str, side: str, distance: int, lots: int, life: str
) -> None:
    """Send an order `distance` bps into the other side of the book, or before it where that is negative."""
    book = exchange.depth(symbol, 1, settled=True)
    touch, sign = (book.asks[0].price, 1) if side == "BUY" else (book.bids[0].price, -1)
    tick = next(
        D(each["tickSize"])
        for each in exchange.exchange_info([symbol])["symbols"][0]["filters"]
        if each["filterType"] == "PRICE_FILTER"
    )
    price = (touch * (10_000 + sign * distance) / 10_000) // tick * tick
    request = OrderRequest(
        symbol=symbol,
        side=side,
        type="LIMIT",
        time_in_force=life,
        quantity=LOTS[symbol] * lots,
        price=price,
        client_order_id=f"x{exchange.last_report(account)}",
        timestamp=exchange.now(),
    )
    if life == "MARKET":
        request = replace(request, type=life, time_in_force=None, price=None)
    elif life == "ICEBERG":
        request = replace(request, time_in_force="GTC", iceberg_quantity=LOTS[symbol])
    elif life == "STOP":
        kind = "STOP_LOSS_LIMIT" if (side == "BUY") == (distance > 0) else "TAKE_PROFIT_LIMIT"
        request = replace(request, type=kind, time_in_force="GTC", stop_price=price)
    try:
        exchange.place(account, request)
    except ExchangeError as refusal:
        assert refusal.code in (-1013, -1015, -2010), refusal


class FollowedBooks(RuleBasedStateMachine):
    """One client for each speed of each symbol; time passes, orders trade and rest, clients come again."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.new_event_loop()
        self._folder = TemporaryDirectory()
        self.exchange = open_copy(Path(self._folder.name))
        self._stack = AsyncExitStack()
        self.followers: dict[str, Follower] = {}
        self.clients: dict[str, tuple[AsyncExitStack, StreamClient]] = {}
        self.asked: dict[str, dict[str, Any]] = {}

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run_until_complete(work)

    @initialize()
    def serve(self) -> None:
        self.hub, self.address = self.run(self._stack.enter_async_context(streams(self.exchange)))
        for symbol in SYMBOLS:
            for speed in SPEEDS:
                self.connect(f"{symbol.lower()}@{speed}")

    def connect(self, name: str) -> None:
        stack = AsyncExitStack()
        client = self.run(stack.enter_async_context(connected(self.address, f"ws/{name}")))
        self.clients[name] = stack, client
        self.followers[name] = Follower()
        self.asked.pop(name, None)

    @rule(seconds=st.sampled_from(["0.05", "0.3", "0.95", "1", "1", "7", "61", "3600"]))
    def advance(self, seconds: str) -> None:
        self.exchange.advance(D(seconds))

    @rule(
        account=st.sampled_from(["one", "two"]),
        symbol=st.sampled_from(SYMBOLS),
        side=st.sampled_from(["BUY", "SELL"]),
        distance=st.integers(-6, 6),
        lots=st.integers(1, 60),
        life=st.sampled_from(["GTC", "GTC", "IOC", "FOK", "MARKET", "ICEBERG", "STOP"]),
    )
    def order(self, account: str, symbol: str, side: str, distance: int, lots: int, life: str) -> None:
        send(self.exchange, account, symbol, side, distance, lots, life)

    @rule(account=st.sampled_from(["one", "two"]), which=st.integers(0, 9))
    def cancel(self, account: str, which: int) -> None:
        if orders := self.exchange.open_orders(account):
            order = orders[which % len(orders)]
            try:
                self.exchange.cancel(account, order.symbol, order_id=order.order_id)
            except ExchangeError as refusal:
                assert refusal.code == -2011, refusal

    @rule()
    def look(self) -> None:
        self.run(self.hub.look())

    @rule(symbol=st.sampled_from(SYMBOLS), lots=st.integers(1, 9))
    def flash(self, symbol: str, lots: int) -> None:
        """Show a level to who asks, and take it away again before the streams look."""
        send(self.exchange, "one", symbol, "BUY", -3, lots, "GTC")
        self.ask()
        for order in self.exchange.open_orders("one", symbol):
            self.exchange.cancel("one", symbol, order_id=order.order_id)

    @rule(name=st.sampled_from([f"{symbol.lower()}@{speed}" for symbol in SYMBOLS for speed in SPEEDS]))
    def connect_again(self, name: str) -> None:
        stack, _ = self.clients.pop(name)
        self.run(stack.aclose())
        self.connect(name)

    @rule()
    def ask(self) -> None:
        """Take the snapshots, which come to the clients later."""
        for name, follower in self.followers.items():
            if not follower.is_following:
                self.asked[name] = snapshot(self.hub, name.partition("@")[0].upper())

    @precondition(lambda self: self.asked)
    @rule()
    def answer(self) -> None:
        for name, answered in self.asked.items():
            self.hear(name)
            self.followers[name].begin(answered)
        self.asked.clear()

    def hear(self, name: str) -> None:
        for event in self.run(self.clients[name][1].heard()):
            assert event["e"] == "depthUpdate" and event["U"] <= event["u"]
            assert event["b"] or event["a"]
            self.followers[name].hear(event)

    @rule()
    def compare(self) -> None:
        self.look()
        for name, follower in self.followers.items():
            self.hear(name)
            if follower.is_following:
                book = self.exchange.depth(name.partition("@")[0].upper(), 5000, settled=True)
                assert follower.levels() == (list(book.bids), list(book.asks)), name

    @invariant()
    def nobody_was_dropped(self) -> None:
        assert len(self.hub) == len(self.clients) if self.clients else True

    def teardown(self) -> None:
        if self.clients:
            self.compare()
        for stack, _ in self.clients.values():
            self.run(stack.aclose())
        self.run(self._stack.aclose())
        self._loop.close()
        self.exchange.close()
        self._folder.cleanup()


TestFollowedBooks = pytest.mark.timeout(600)(FollowedBooks.TestCase)
TestFollowedBooks.settings = settings(max_examples=examples(25), stateful_step_count=40, deadline=None)


async def test_a_follower_has_the_servers_book_through_hours_in_which_orders_trade_and_rest(
    exchange: PaperExchange,
) -> None:
    import random

    dice = random.Random(1)
    began = exchange.now()
    async with streams(exchange) as (hub, address), connected(address, "ws/shibusdt@depth@100ms") as client:
        follower = Follower()
        assert follower.begin(snapshot(hub, "SHIBUSDT"))
        while exchange.now() - began < timedelta(hours=3):
            exchange.advance(dice.choice([1, 1, 5, 20, 90, 600]))
            if dice.random() < 0.7:
                side, account = dice.choice(["BUY", "SELL"]), dice.choice(["one", "two"])
                send(exchange, account, "SHIBUSDT", side, dice.randint(-4, 4), dice.randint(1, 40), "GTC")
            await hub.look()
            for event in await client.heard():
                follower.hear(event)
            book = exchange.depth("SHIBUSDT", 5000)
            assert follower.book_id == book.update_id
            assert follower.levels() == (list(book.bids), list(book.asks))
