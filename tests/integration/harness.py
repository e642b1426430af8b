"""Plays scenarios against a venue that fails, recovers with a sound one, and says what is wrong afterwards.

A workshop keeps one folder whose databases are set back before each play, so
that engines and their compiled statements stay warm: a play takes a tenth of a
second.
"""

import asyncio
import random
import shutil
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cache
from pathlib import Path

from sqlalchemy import Connection
from tests.factories import House, WatchedDatabase, make_house, open_house
from tests.integration.scenarios import SCENARIOS, Rebalance, Scenario
from tests.invariants import findings, limit_findings, max_loss_findings, standing_findings

from etf_trader.database import Database
from etf_trader.errors import EtfError, RateLimited
from etf_trader.exchange.paper import PaperExchange
from etf_trader.execution.reconcile import unbooked
from etf_trader.index.store import current_basket
from etf_trader.ledger.audit import audit
from etf_trader.ledger.repository import account_of
from etf_trader.money import money_context
from etf_trader.orders.index_order import OrderRequest
from etf_trader.orders.rebalances import list_rebalances
from etf_trader.orders.status import IndexOrderStatus
from etf_trader.orders.store import list_index_orders
from etf_trader.venue.faulty import Fault, FaultPlan, FaultyVenue

STARTS = 8
"""So often a play is begun again after an error, as a person or cron would; then the venue is mended."""

ALL_ARRIVED_SECONDS = 300
"""What was late has arrived by then, and the longest Retry-After is over."""

WATCHED = 3
"""One play in so many is looked at after each commit, the others at their ends."""

Ends = dict[str, tuple[str, str]]
"""Units filled and the status of each order, by client key."""


@dataclass(slots=True)
class Played:
    """What a play came to."""

    name: str
    findings: list[str]
    ends: Ends
    fired: Counter[Fault] = field(default_factory=Counter)
    stops: Counter[str] = field(default_factory=Counter)
    """Errors that ended a run before its time, by class; and plays in which an order gave the venue up."""


def make_folder() -> Path:
    """Return a new folder, in memory where the system has such."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="etf-plays-", dir=memory if memory.is_dir() else None))


class Room:
    """A folder to play in, with the databases of both sides."""

    def __init__(self, folder: Path | None = None) -> None:
        self._made_here = folder is None
        self.folder = make_folder() if folder is None else folder
        self.ours = WatchedDatabase(f"sqlite:///{self.folder / 'etf.db'}")
        self.theirs = Database(f"sqlite:///{self.folder / 'exchange.db'}")

    def remove(self) -> None:
        """Throw everything away."""
        self.close()
        if self._made_here:
            shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """Give up connections, as must be before a fork and before files are replaced."""
        self.ours.close()
        self.theirs.close()

    def base_of(self, name: str) -> Path:
        """Return where that is kept with which a scenario begins."""
        return self.folder / name.replace(" ", "-")

    def put(self, base: Path) -> None:
        """Put the databases as they are kept there."""
        self.close()
        self.ours.watch = None
        for each in ("etf.db", "exchange.db"):
            for left in self.folder.glob(f"{each}-*"):
                left.unlink()
            shutil.copyfile(base / each, self.folder / each)


class Workshop(Room):
    """A room, and what scenarios begin with."""

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(folder)
        self._calm: dict[str, Ends] = {}

    def set_back(self, name: str) -> None:
        """Put the databases as they are when this scenario begins."""
        base = self.base_of(name)
        if not base.exists():
            base.mkdir()
            prepare(base, SCENARIOS[name])
        self.put(base)

    def open(self, scenario: Scenario, through: FaultyVenue | None = None) -> House:
        """Open what stands in the folder, as a process does that starts."""
        market = scenario.market()
        exchange = PaperExchange.open(self.theirs, lambda kind, parameters: market)
        with self.ours.read() as connection:
            account = account_of(connection, "paper", "paper")
        assert account is not None
        return open_house(
            exchange, market, self.ours, account, through=None if through is None else lambda venue, clock: through
        )

    def calm(self, name: str) -> Ends:
        """Return how the scenario ends undisturbed."""
        if name not in self._calm:
            self._calm[name] = self.play(name, FaultPlan.none()).ends
        return self._calm[name]

    def play(self, name: str, plan: FaultPlan, *, moves: bool = False) -> Played:
        """Play a scenario against a venue with these faults, mend it, and judge."""
        scenario = SCENARIOS[name].moving() if moves else SCENARIOS[name]
        calm = None if moves or not plan.chances else self.calm(name)
        self.set_back(name)
        with scenario.limits():
            first = self.open(scenario)
            scenario.stir(first, plan.seed)
            venue = FaultyVenue(first.venue, plan, first.clock)
            seen: list[str] = []
            if plan.seed % WATCHED == 0:
                self.ours.watch = lambda connection: seen.extend(standing_findings(connection))
            house = _reached_by(first, venue)
            stops: Counter[str] = Counter()
            wrong = asyncio.run(_run(house, venue, scenario, stops))
            self.ours.watch = None
            wrong += seen[:3] + judge(house, scenario) + _incidents(venue)
            ends, gave_up = ends_of(house), gave_up_on_the_venue(house)
        stops["GaveUp"] += gave_up
        if calm is not None and not gave_up:
            wrong += differences(scenario, calm, ends)
        return Played(name, wrong, ends, venue.incidents.fired, stops)

    def play_seed(self, seed: int) -> Played:
        """Play the scenario and the faults that a seed stands for."""
        dice = random.Random(seed)
        (name,) = dice.choices(list(SCENARIOS), [each.weight for each in SCENARIOS.values()])
        moves = dice.random() < 0.4 and SCENARIOS[name].may_move
        played = self.play(name, FaultPlan.seeded(seed), moves=moves)
        return replace(played, name=f"seed {seed}: {name}{', moving' if moves else ''}")


def _reached_by(house: House, venue: FaultyVenue) -> House:
    """Return the services of `house`, made anew, with `venue` before its venue."""
    again = open_house(
        house.exchange, house.market, house.database, house.account, through=lambda hooked, clock: venue
    )
    return replace(again, venue=house.venue)


async def _run(house: House, venue: FaultyVenue, scenario: Scenario, stops: Counter[str]) -> list[str]:
    """Run a scenario to its end, starting again after errors; then with a sound venue. Returns what cannot be."""
    for start in range(STARTS + 2):
        if start == STARTS:
            venue.mend()
        try:
            await submit(_reached_by(house, venue), scenario.requests)
            break
        except EtfError as error:
            stops[type(error).__name__] += 1
            if start == STARTS + 1:
                return [f"it does not end: {type(error).__name__}: {error} ({error.where})"]
            await house.clock.sleep(error.retry_after if isinstance(error, RateLimited) else 1)
        except Exception:  # noqa: BLE001 - a bug is a finding, and the next seed is played
            return [traceback.format_exc(limit=-6)]
    venue.mend()
    await house.clock.sleep(ALL_ARRIVED_SECONDS)
    last = _reached_by(house, venue)
    try:
        await submit(last, scenario.requests)
        return await unbooked(last.database, last.venue, last.account)
    except Exception:  # noqa: BLE001 - as above
        return ["with a sound venue: " + traceback.format_exc(limit=-6)]


Requests = Iterable[OrderRequest | Rebalance]


async def submit(house: House, requests: Requests) -> None:
    """Accept all, then run them together; what is accepted already is not accepted again."""
    numbers = []
    for request in requests:
        if isinstance(request, Rebalance):
            numbers.append((await house.accept_rebalance(request.due_on)).id)
        else:
            numbers.append((await house.desk.accept(request)).id)
    await house.manager.run(numbers, stay=True)


async def reconcile_and_submit(house: House, requests: Requests) -> None:
    """Settle what was in flight without trading, then go on."""
    await house.manager.reconcile()
    await submit(house, requests)


def judge(house: House, scenario: Scenario) -> list[str]:
    """Return what does not hold of the books, between them and the exchange, and of limits."""
    with house.database.read() as connection:
        found = limit_findings(connection) + max_loss_findings(connection)
        found += [f"audit: {each.entry} {each.message}" for each in audit(connection, house.account).findings]
        if not scenario.moves:
            found += [
                f"rebalance {order.id} is {order.status}"
                for order in list_rebalances(connection)
                if not order.status.is_final
            ]
            found += _off_target(connection)
            found += [
                f"{order.client_key} is {order.status}"
                for order in list_index_orders(connection)
                if not order.stays_open and not order.status.is_final
            ]
    return found + findings(house.database, house.exchange)


FAR = Decimal("0.01")
"""So far from its targets a rebalance may end on books that do not move: lots, and least orders."""


def _off_target(connection: Connection) -> list[str]:
    """Return what is far from the target of a rebalance that was filled, on books that do not move."""
    found = []
    for order in list_rebalances(connection, statuses=[IndexOrderStatus.FILLED]):
        basket = current_basket(connection, order.index_id)
        nav = basket.nav(order.arrival)
        for leg in order.request.legs:
            weight = basket.quantities.get(leg.asset, Decimal(0)) * order.arrival[leg.asset]
            if abs(weight - leg.target * nav) > FAR * nav:
                found.append(f"rebalance {order.id} leaves {leg.asset} worth {weight} of {nav}, not {leg.target}")
    return found


def ends_of(house: House) -> Ends:
    """Return how the orders stand."""
    with house.database.read() as connection:
        ends = {
            order.client_key: (str(order.filled), str(order.status)) for order in list_index_orders(connection)
        }
        for order in list_rebalances(connection):
            ends[order.request.client_key] = ("0", str(order.status))
        return ends


def gave_up_on_the_venue(house: House) -> bool:
    """Whether an order for now ended because nothing reached the venue, again and again.

    Three batches that execute nothing end it. On books that do not move that is
    the venue's doing, and the other orders then find more on the books.
    """
    with house.database.read() as connection:
        orders, rebalances = list_index_orders(connection), list_rebalances(connection)
        stands = [(each.status, each.stopped_by) for each in orders]
        stands += [(each.status, each.stopped_by) for each in rebalances]
    return (IndexOrderStatus.ENDED, ("moved",)) in stands


def differences(scenario: Scenario, calm: Ends, ends: Ends) -> list[str]:
    """Return which orders ended otherwise than undisturbed; how much a cancelled one had by then is chance."""
    found = []
    for request in scenario.requests:
        key = request.client_key
        if key in (*scenario.cancelled, *scenario.chance):
            continue
        if key not in ends:
            found.append(f"{key} was never accepted")
            continue
        slack = (scenario.slack or {}).get(key, Decimal(0))
        apart = abs(Decimal(ends[key][0]) - Decimal(calm[key][0]))
        if apart > slack or ends[key][1] != calm[key][1]:
            found.append(f"{key} ended as {ends[key]}, undisturbed as {calm[key]}")
    return found


def _incidents(venue: FaultyVenue) -> list[str]:
    seen = venue.incidents
    found = []
    if seen.refused_for_count:
        found.append(f"{seen.refused_for_count} orders were refused for count")
    if seen.hurried:
        found.append(f"{seen.hurried} orders were sent while the venue had said to wait")
    return found


def prepare(folder: Path, scenario: Scenario) -> None:
    """Make what stands before a scenario begins."""
    house = make_house(folder, scenario.market())
    asyncio.run(scenario.before(house))
    house.database.close()


@cache
def workshop() -> Workshop:
    """Return this process's workshop."""
    return Workshop()


def played(seeds: Iterable[int], report: Callable[[Played], None] | None = None) -> list[Played]:
    """Play seeds one after the other in this process."""
    results = []
    with money_context():
        for seed in seeds:
            results.append(workshop().play_seed(seed))
            if report is not None:
                report(results[-1])
    return results
