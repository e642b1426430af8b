"""Several workers, each a process under a host name of its own, lead the accounts of one database between them."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.factories import make_request
from tests.invariants import findings

from etf_trader.bootstrap import Services, open_services
from etf_trader.config import Settings
from etf_trader.database import Database
from etf_trader.execution.lease import HEARTBEAT_SECONDS, HEARTBEATS_MISSED
from etf_trader.execution.tables import leases
from etf_trader.index.store import list_indices
from etf_trader.ledger.audit import audit
from etf_trader.market.symbol import Side
from etf_trader.orders.status import IndexOrderStatus
from etf_trader.orders.store import index_order

D = Decimal
PATIENCE = 60
"""Seconds until a test gives up on what should take a few."""

ACCOUNTS = ("one", "two")


@dataclass(frozen=True, slots=True)
class Desk:
    """The folder of one account, with everything on top of it in this process."""

    folder: Path
    services: Services

    def submit(self, side: Side, quantity: str) -> int:
        """Accept an order and leave it to whoever leads; return its number."""
        with self.services.database.read() as connection:
            (index,) = list_indices(connection, self.services.account.id)
        request = make_request(side, index_id=index.id, quantity=D(quantity))
        return asyncio.run(self.services.desk.accept(request)).id

    def is_filled(self, order: int) -> bool:
        """Return whether an order has been filled whole."""
        with self.services.database.read() as connection:
            return index_order(connection, order).status is IndexOrderStatus.FILLED

    def complaints(self) -> list[str]:
        """Return what is wrong with the books of the account, by the audit and by the invariants."""
        opened = self.services
        with opened.database.read() as connection:
            found = audit(connection, opened.account).findings
        wrong = [f"{finding.entry}: {finding.message}" for finding in found]
        return wrong + findings(opened.database, opened.exchange, opened.account.uid, opened.account.id)


class Worker:
    """`etf worker` as a process, on a host of this name."""

    def __init__(self, folder: Path, host: str) -> None:
        self.host = host
        self.log = folder / f"worker-{host}-{time.monotonic_ns()}.log"
        with self.log.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "etf_trader", "worker"],
                cwd=folder,
                env=os.environ | {"ETF_HOST": host},
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def send(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def leave(self) -> int:
        """Ask it to stop, and return what it ended with."""
        self.send(signal.SIGTERM)
        return self.process.wait(PATIENCE)


@pytest.fixture
def workers() -> Iterator[list[Worker]]:
    """Workers that a test has started; none outlives it."""
    started: list[Worker] = []
    yield started
    for worker in started:
        worker.process.kill()
        worker.process.wait()


@pytest.fixture
def desks(tmp_path: Path, make_postgres_url: Callable[[], str]) -> Iterator[list[Desk]]:
    """Two accounts on one PostgreSQL, each with its folder, made by `etf init` alone."""
    ours, exchange = make_postgres_url(), make_postgres_url()
    made = [make_desk(tmp_path / name, name, ours, exchange) for name in ACCOUNTS]
    yield made
    for desk in made:
        desk.services.close()


def make_desk(folder: Path, name: str, ours: str, exchange: str) -> Desk:
    """Write the configuration of an account, and type `etf init`."""
    folder.mkdir()
    text = f'database = "{ours}"\nholder = "{name}"\n\n[exchange]\ndatabase = "{exchange}"\naccount = "{name}"\n'
    (folder / "etf.toml").write_text(text)
    command = [sys.executable, "-m", "etf_trader", "init"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=PATIENCE)
    return Desk(folder, open_services(Settings.load(cwd=folder, environ={})))


def leaders(database: Database) -> dict[str, int]:
    """Return who leads: by host, how many accounts."""
    with database.read() as connection:
        hosts = connection.scalars(select(leases.c.host).where(leases.c.host.is_not(None))).all()
    return {host: hosts.count(host) for host in hosts}


def leader_of(desk: Desk) -> tuple[str | None, int]:
    """Return the host that leads a desk's account and the epoch of its lease."""
    with desk.services.database.read() as connection:
        row = connection.execute(
            select(leases.c.host, leases.c.epoch).where(leases.c.account_id == desk.services.account.id)
        ).one_or_none()
    return (None, 0) if row is None else (row.host, row.epoch)


def wait_for(what: Callable[[], object], says: str, workers: Sequence[Worker] = ()) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + PATIENCE
    while not what():
        told = "\n".join(f"{worker.host}: {worker.log.read_text()}" for worker in workers)
        assert time.monotonic() < deadline, f"{says}\n{told}"
        time.sleep(0.05)


def test_three_workers_share_two_accounts_and_survive_a_kill_and_a_pause(
    desks: list[Desk], workers: list[Worker]
) -> None:
    one, two = desks
    database = one.services.database
    orders = [(desk, desk.submit(Side.BUY, "3")) for desk in desks]

    # Two lead an account each, the third stands by; what was detached before is filled.
    workers += [Worker(one.folder, host) for host in ("alpha", "beta", "gamma")]
    wait_for(lambda: sorted(leaders(database).values()) == [1, 1], "the leases did not spread", workers)
    wait_for(lambda: all(desk.is_filled(order) for desk, order in orders), "the orders were not filled", workers)
    assert sorted(leaders(database).values()) == [1, 1]
    by_host = {worker.host: worker for worker in workers}
    first, second = by_host[str(leader_of(one)[0])], by_host[str(leader_of(two)[0])]
    (third,) = (worker for worker in workers if worker not in (first, second))

    # One is killed with an order on its way: who stood by has its account within four heartbeats.
    orders.append((one, one.submit(Side.BUY, "2")))
    first.process.kill()
    killed_at = time.monotonic()
    orders.append((one, one.submit(Side.SELL, "1")))
    wait_for(lambda: leader_of(one)[0] == third.host, "nobody took the account over", workers)
    took = time.monotonic() - killed_at
    assert took < 2 * HEARTBEAT_SECONDS * (HEARTBEATS_MISSED + 1), f"the account was without a leader for {took} s"
    wait_for(lambda: all(desk.is_filled(order) for desk, order in orders), "an order was lost", workers)

    # One is stopped for longer than its lease: the last one standing has both.
    second.send(signal.SIGSTOP)
    orders.append((two, two.submit(Side.BUY, "1.5")))
    wait_for(lambda: leader_of(two)[0] == third.host, "nobody took the second account over", workers)
    wait_for(lambda: all(desk.is_filled(order) for desk, order in orders), "an order was lost", workers)
    epoch = leader_of(two)[1]
    second.send(signal.SIGCONT)
    wait_for(lambda: "taken over" in second.log.read_text(), "the woken worker noticed nothing", workers)
    assert second.is_alive
    assert leader_of(two) == (third.host, epoch)
    assert [desk.complaints() for desk in desks] == [[], []]

    # It stands by again, and leads both once the other leaves.
    assert third.leave() == 128 + signal.SIGTERM
    wait_for(lambda: leaders(database) == {second.host: 2}, "the woken worker does not stand by", workers)
    orders += [(desk, desk.submit(Side.SELL, "1")) for desk in desks]
    wait_for(lambda: all(desk.is_filled(order) for desk, order in orders), "an order was lost", workers)
    assert second.leave() == 128 + signal.SIGTERM
    assert leaders(database) == {}
    assert [desk.complaints() for desk in desks] == [[], []]


def test_on_one_host_the_account_of_a_killed_worker_is_free_at_once(
    desks: list[Desk], workers: list[Worker]
) -> None:
    one, two = desks
    workers += [Worker(desk.folder, "home") for desk in desks]
    database = one.services.database

    def processes() -> list[int]:
        with database.read() as connection:
            rows = connection.scalars(select(leases.c.process).order_by(leases.c.account_id))
            return [number for number in rows if number is not None]

    wait_for(lambda: len(set(processes())) == 2, "the leases did not spread", workers)
    owner = processes()[0]
    (victim,) = (worker for worker in workers if worker.process.pid == owner)
    (heir,) = (worker for worker in workers if worker is not victim)
    victim.process.kill()
    victim.process.wait()
    with closing(open_services(Settings.load(cwd=one.folder, environ={"ETF_HOST": "home"}))) as opened:
        assert opened.manager.is_free()  # no heartbeat has been missed yet
    order = one.submit(Side.BUY, "2")
    wait_for(lambda: processes() == [heir.process.pid] * 2, "nobody took the account over", workers)
    wait_for(lambda: one.is_filled(order), "the order was not filled", workers)
    assert heir.leave() == 128 + signal.SIGTERM
    assert [desk.complaints() for desk in (one, two)] == [[], []]
