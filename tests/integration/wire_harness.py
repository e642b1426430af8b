"""Plays scenarios over real sockets, against a served exchange that fails, and says what is wrong afterwards.

Our manager, with Binance's adapter before it, and the exchange's server run in one
event loop whose waiting takes no time (`quick_loop`): every time-out, Retry-After
and pause is as long as in truth. Each start after an error is another process:
another connection, another measurement of the time.
"""

import asyncio
import random
import shutil
import time
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import aiohttp
from tests.factories import MILLION, UID, HookedVenue, House, WatchedDatabase, copy_template
from tests.integration import quick_loop
from tests.integration.harness import (
    STARTS,
    WATCHED,
    Ends,
    Room,
    differences,
    ends_of,
    gave_up_on_the_venue,
    judge,
    submit,
)
from tests.integration.quick_loop import LoopClock, QuickLoop
from tests.integration.scenarios import SCENARIOS, Scenario
from tests.invariants import standing_findings

from etf_trader.clock import Clock, SimulatedClock
from etf_trader.errors import EtfError, RateLimited
from etf_trader.events import EventLog
from etf_trader.exchange.market import Market
from etf_trader.exchange.paper import ExchangeSettings, OrderRequest, PaperExchange
from etf_trader.exchange.refusal import ExchangeError
from etf_trader.exchange.server import feed, gateway
from etf_trader.exchange.server.app import Address, serving
from etf_trader.exchange.server.faults import Fault, FaultPlan
from etf_trader.exchange.server.keys import add_key
from etf_trader.exchange.server.limits import Limits
from etf_trader.exchange.views import OrderView
from etf_trader.execution.administration import Administration
from etf_trader.execution.desk import Desk
from etf_trader.execution.lease import this_host
from etf_trader.execution.manager import Manager
from etf_trader.execution.reconcile import unbooked
from etf_trader.execution.settings import ExecutionSettings
from etf_trader.execution.transfers import book_transfers
from etf_trader.execution.weights import USUAL_LIMIT, USUAL_SECONDS, WeightLimit, Weights
from etf_trader.ledger.repository import Account, account_of, add_account, begin_incarnation
from etf_trader.money import money_context
from etf_trader.risk.limits import write_limit
from etf_trader.venue.binance.environments import LOCAL, environment
from etf_trader.venue.binance.keys import Keys, Secret
from etf_trader.venue.binance.rest_depth import RestDepth
from etf_trader.venue.binance.streamed_books import StreamedBooks
from etf_trader.venue.binance.timekeeping import MeasuredTime
from etf_trader.venue.binance.venue import BinanceVenue

START = datetime(2026, 3, 2, 9, 30, 0, 250_000, UTC)
WALL = ExchangeSettings("wall", "static", {})

UPSETS = (
    "streams/hold",
    "streams/let_go",
    "streams/cut",
    "streams/disconnect",
    "sockets/cut",
    "sockets/disconnect",
)
"""What the admin endpoint does to connections, beside the faults of requests and events."""

ALL_ARRIVED_SECONDS = 150
"""What was late has arrived by then, and the longest Retry-After is over."""

FEED_EVERY = 1.0
"""Seconds in which the server looks for what nobody asked for: seldom, because plays wait for minutes."""

RARE = {"timed buy": 1, "quoted buy": 1}
"""Scenarios that are long over the wire, and how often they are drawn where others are drawn 5 times."""

LEAST_NOTICE = 0.05
"""Seconds after it was told to wait in which a client may still send what was on its way."""


@dataclass(frozen=True, slots=True)
class Weather:
    """What goes wrong in a play.

    `upset` is the chance that something is done to the connections when an order
    arrives; `ahead` is how far this machine's clock goes wrong, in seconds.
    """

    seed: int = 0
    plan: FaultPlan = field(default_factory=FaultPlan)
    upset: float = 0.0
    ahead: float = 0.0
    streams_books: bool = False

    @classmethod
    def seeded(cls, seed: int) -> "Weather":
        """Draw a few kinds of faults, rare or frequent."""
        dice = random.Random(f"wire {seed}")
        kinds = dice.sample(list(Fault), dice.randint(2, 8))
        plan = FaultPlan(
            seed,
            {kind: dice.choice((0.05, 0.15, 0.4, 0.8)) for kind in kinds},
            questions=dice.choice((0.0, 0.05, 0.2, 1.0)),
            most=dice.choice((2, 6, 15, 40)),
            slowest=dice.choice((0.05, 0.8, 3.0, 11.0)),
            latest=dice.choice((0.3, 2.5, 6.0)),
            longest_wait=dice.choice((1.0, 12.0, 120.0)),
        )
        return cls(
            seed,
            plan,
            upset=dice.choice((0.0, 0.0, 0.1, 0.4)),
            ahead=dice.choice((0.0, 0.0, -40.0, 1.7, 3600.0)),
            streams_books=dice.random() < 0.5,
        )


@dataclass(slots=True)
class WirePlay:
    """What a play came to."""

    name: str
    findings: list[str]
    ends: Ends
    fired: Counter[str] = field(default_factory=Counter)
    stops: Counter[str] = field(default_factory=Counter)


class WatchedExchange(PaperExchange):
    """Tells a test just before orders arrive, and counts those that are refused for count."""

    arrives: Callable[[], None] | None = None
    refused_for_count = 0

    def begin_all(
        self, orders: Sequence[tuple[str, OrderRequest]]
    ) -> tuple[list[OrderView | ExchangeError], Callable[[], None]]:
        """Do as the exchange does."""
        if self.arrives is not None:
            for _ in orders:
                self.arrives()
        views, commit = super().begin_all(orders)
        self.refused_for_count += sum(isinstance(each, ExchangeError) and each.code == -1015 for each in views)
        return views, commit


class WatchedLimits(Limits):
    """Counts what is asked by who was told to wait."""

    hurried = 0
    _told_at: datetime | None = None

    def refuse(self, address: str, seconds: float, now: datetime, *, ban: bool) -> ExchangeError:
        """Take note of when somebody was told."""
        self._told_at = now
        return super().refuse(address, seconds, now, ban=ban)

    def admit(self, address: str, now: datetime) -> None:
        """Count who asks again too early."""
        try:
            super().admit(address, now)
        except ExchangeError:
            if self._told_at is None or now > self._told_at + timedelta(seconds=LEAST_NOTICE):
                self.hurried += 1
            raise


@dataclass(frozen=True, slots=True)
class Base:
    """What a scenario begins with, beside its databases: when, and with which key."""

    start: datetime
    keys: Keys


@dataclass(slots=True)
class Process:
    """What a process of ours begins with: where the exchange is, a key, and a database."""

    exchange: PaperExchange
    market: Market
    address: Address
    ours: WatchedDatabase
    keys: Keys
    machine: Clock
    counter: Callable[[], float] = time.monotonic
    streams_books: bool = False

    def venue(self) -> tuple[BinanceVenue, StreamedBooks | None]:
        """Return the adapter as a new process makes it, and where it reads books, if not from itself."""
        clock = MeasuredTime(self.machine, self.counter)
        meter = Weights(self.ours, clock, this_host(), WeightLimit(USUAL_SECONDS, USUAL_LIMIT))
        chosen = environment(LOCAL, self.address.url)
        venue = BinanceVenue(chosen, self.keys, meter=meter, clock=clock)
        books = StreamedBooks(chosen.streams, RestDepth(venue), clock) if self.streams_books else None
        if books is not None:
            venue.read_books_from(books)
        return venue, books

    async def account(self, venue: BinanceVenue) -> Account:
        """Return the account of the database, made when it is new."""
        with self.ours.read() as connection:
            known = account_of(connection, LOCAL, str(gateway.Gateway(self.exchange).uid(UID)))
        if known is not None:
            return known
        identity = await venue.identity()
        with self.ours.write() as connection:
            now = venue.clock().now()
            made = add_account(connection, identity.environment, identity.uid, identity.era, now)
            begin_incarnation(connection, "init", now)
            write_limit(connection, made.id, "price_collar", None, now, by="test")
        return made


@asynccontextmanager
async def process(ours: Process) -> AsyncIterator[tuple[House, BinanceVenue]]:
    """Begin as another process of ours does, and end as it does."""
    venue, books = ours.venue()
    try:
        yield open_wire_house(ours, venue, await ours.account(venue)), venue
    finally:
        if books is not None:
            await books.close()
        await venue.close()


def open_wire_house(ours: Process, venue: BinanceVenue, account: Account) -> House:
    """Put our services behind an adapter."""
    settings, clock, log = ExecutionSettings(), venue.clock(), EventLog()
    return House(
        market=ours.market,
        exchange=ours.exchange,
        database=ours.ours,
        venue=HookedVenue(ours.exchange, UID, is_stepped=False),
        clock=clock,
        account=account,
        settings=settings,
        log=log,
        desk=Desk(ours.ours, venue, clock, account, "self", settings, log),
        manager=Manager(ours.ours, venue, clock, ours.machine, account, settings, log),
        administration=Administration(ours.ours, venue, clock, account, "self"),
    )


@dataclass(slots=True)
class Scene:
    """A served exchange, its admin endpoint, and our side of it."""

    ours: Process
    exchange: WatchedExchange
    session: aiohttp.ClientSession
    limits: WatchedLimits
    tasks: set["asyncio.Task[Any]"] = field(default_factory=set)

    async def admin(self, verb: str, path: str, document: Mapping[str, Any] | None = None) -> Any:
        """Ask the admin endpoint for something."""
        address = self.ours.address
        headers = {"Authorization": f"Bearer {address.admin_token}"}
        url = f"{address.admin}/{path}"
        async with self.session.request(verb, url, headers=headers, json=document or {}) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    def soon(self, path: str) -> None:
        """Have the admin endpoint do something to the connections, beside what runs."""
        task = asyncio.ensure_future(self.admin("POST", path))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


class WireShop(Room):
    """A room, and what scenarios begin with."""

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(folder)
        self._bases: dict[str, Base] = {}
        self._calm: dict[str, Ends] = {}

    def set_back(self, name: str) -> Base:
        """Put the databases as they are when this scenario begins."""
        if name not in self._bases:
            self._bases[name] = self._prepare(name)
        self.put(self.base_of(name))
        return self._bases[name]

    def calm(self, name: str) -> Ends:
        """Return how the scenario ends undisturbed."""
        if name not in self._calm:
            self._calm[name] = self.play(name, Weather()).ends
        return self._calm[name]

    def play(self, name: str, weather: Weather, *, moves: bool = False) -> WirePlay:
        """Play a scenario in this weather, let it clear up, and judge."""
        scenario = SCENARIOS[name].moving() if moves else SCENARIOS[name]
        is_calm = not weather.plan.chances and not weather.upset
        calm = None if moves or is_calm else self.calm(name)
        base = self.set_back(name)
        with scenario.limits(), mock.patch.object(feed, "EVERY", FEED_EVERY):
            play = quick_loop.run(lambda loop: self._played(loop, scenario, base, weather))
        if calm is not None and not play.stops["GaveUp"]:
            play.findings += differences(scenario, calm, play.ends)
        return replace(play, name=name)

    def play_seed(self, seed: int) -> WirePlay:
        """Play the scenario and the weather that a seed stands for."""
        dice = random.Random(f"play {seed}")
        weights = [RARE.get(name, 5 * each.weight) for name, each in SCENARIOS.items()]
        (name,) = dice.choices(list(SCENARIOS), weights)
        moves = dice.random() < 0.4 and SCENARIOS[name].may_move
        played = self.play(name, Weather.seeded(seed), moves=moves)
        return replace(played, name=f"seed {seed}: {name}{', moving' if moves else ''}")

    # Inside

    def _prepare(self, name: str) -> Base:
        """Make what stands before a scenario begins, over the wire as well."""
        self.close()
        for each in ("etf", "exchange"):
            for left in self.folder.glob(f"{each}.db*"):
                left.unlink()
            copy_template(each, self.folder / f"{each}.db")
        scenario = SCENARIOS[name]
        then = SimulatedClock(START - timedelta(seconds=1))
        exchange = PaperExchange.create(self.theirs, WALL, scenario.market(), account=UID, clock=then)
        exchange.deposit(UID, "USDT", MILLION, "first")
        with self.theirs.write() as connection:
            made = add_key(connection, UID, START)
        keys = Keys(Secret(made.api_key), Secret(made.secret), "test")

        async def before(loop: QuickLoop) -> datetime:
            async with self._scene(loop, scenario, Base(START, keys), Weather()) as scene:
                async with process(scene.ours) as (house, venue):
                    await book_transfers(house.database, venue, house.account)
                    await scenario.before(house)
                return scene.exchange.now()

        ended = quick_loop.run(before)
        self.close()
        place = self.base_of(name)
        place.mkdir()
        for each in ("etf.db", "exchange.db"):
            shutil.copyfile(self.folder / each, place / each)
        # Ten minutes later, so that no order counts any more, and at a whole second as plays always begin.
        return Base((ended + timedelta(seconds=600)).replace(microsecond=250_000), keys)

    @asynccontextmanager
    async def _scene(
        self, loop: QuickLoop, scenario: Scenario, base: Base, weather: Weather
    ) -> AsyncIterator[Scene]:
        market, made = scenario.market(), []

        def watched(*allowed: int) -> WatchedLimits:
            made.append(WatchedLimits(*allowed))
            return made[-1]

        exchange = WatchedExchange.open(self.theirs, lambda kind, parameters: market, LoopClock(loop, base.start))
        with mock.patch.object(gateway, "Limits", watched):
            served = serving(exchange, admin_port=0)
            address = await served.__aenter__()
        try:
            async with aiohttp.ClientSession() as session:
                ours = Process(
                    exchange,
                    market,
                    address,
                    self.ours,
                    base.keys,
                    LoopClock(loop, base.start, weather.ahead),
                    loop.time,
                    weather.streams_books,
                )
                scene = Scene(ours, exchange, session, made[0])
                yield scene
        finally:
            await served.__aexit__(None, None, None)

    async def _played(self, loop: QuickLoop, scenario: Scenario, base: Base, weather: Weather) -> WirePlay:
        async with self._scene(loop, scenario, base, weather) as scene:
            seen: list[str] = []
            if weather.seed % WATCHED == 0:
                self.ours.watch = lambda connection: seen.extend(standing_findings(connection))
            stops: Counter[str] = Counter()
            fired: Counter[str] = Counter()
            wrong = await _run(scene, scenario, weather, stops, fired)
            self.ours.watch = None
            async with process(scene.ours) as (house, _):
                wrong += seen[:3] + judge(house, scenario) + _incidents(scene)
                ends, gave_up = ends_of(house), gave_up_on_the_venue(house)
            stops["GaveUp"] += gave_up
            return WirePlay("", wrong, ends, fired, stops)


async def _run(
    scene: Scene, scenario: Scenario, weather: Weather, stops: Counter[str], fired: Counter[str]
) -> list[str]:
    """Run a scenario to its end, starting again after errors; then in good weather. Returns what cannot be."""
    await scene.admin("PUT", "faults", weather.plan.document())
    for start in range(STARTS + 2):
        if start == STARTS:
            await _clear_up(scene, fired)
        try:
            async with process(scene.ours) as (house, _):
                _stir(scene, house, scenario, weather)
                await submit(house, scenario.requests)
            break
        except EtfError as error:
            stops[type(error).__name__] += 1
            if start == STARTS + 1:
                return [f"it does not end: {type(error).__name__}: {error} ({error.where})"]
            await scene.ours.machine.sleep(error.retry_after if isinstance(error, RateLimited) else 1)
        except Exception:  # noqa: BLE001 - a bug is a finding, and the next seed is played
            return [traceback.format_exc(limit=-6)]
    await _clear_up(scene, fired)
    await scene.ours.machine.sleep(ALL_ARRIVED_SECONDS)
    try:
        async with process(scene.ours) as (house, venue):
            await submit(house, scenario.requests)
            return await unbooked(house.database, venue, house.account)
    except Exception:  # noqa: BLE001 - as above
        return ["in good weather: " + traceback.format_exc(limit=-6)]


def _stir(scene: Scene, house: House, scenario: Scenario, weather: Weather) -> None:
    """Arrange what happens just before orders arrive, once for all processes of a play."""
    if scene.exchange.arrives is not None:
        return
    scenario.stir(house, weather.seed)
    dice = random.Random(f"upsets {weather.seed}")

    def arrives() -> None:
        assert house.venue.before_place is not None
        house.venue.before_place(None)  # type: ignore[arg-type]  # which order it is matters to none
        if dice.random() < weather.upset:
            scene.soon(dice.choice(UPSETS))

    scene.exchange.arrives = arrives


async def _clear_up(scene: Scene, fired: Counter[str]) -> None:
    scene.exchange.arrives = scene.exchange.arrives or (lambda: None)
    fired.update((await scene.admin("DELETE", "faults"))["fired"])
    await scene.admin("POST", "streams/let_go")


def _incidents(scene: Scene) -> list[str]:
    found = []
    if scene.exchange.refused_for_count:
        found.append(f"{scene.exchange.refused_for_count} orders were refused for count")
    if scene.limits.hurried:
        found.append(f"{scene.limits.hurried} requests were sent while the venue had said to wait")
    return found


@cache
def wire_shop() -> WireShop:
    """Return this process's shop."""
    return WireShop()


def played(seeds: Iterable[int], report: Callable[[WirePlay], None] | None = None) -> list[WirePlay]:
    """Play seeds one after the other in this process."""
    results = []
    with money_context():
        for seed in seeds:
            results.append(wire_shop().play_seed(seed))
            if report is not None:
                report(results[-1])
    return results
