"""One leader an account: a lease row with owner, epoch and heartbeat.

On the owner's host the lease is free the moment its process is dead. A process
that is only stopped (SIGSTOP, a suspended job) keeps it there: it may go on at
any moment, and whoever sits at that host can continue or kill it. Other hosts
take over after three missed heartbeats; what was stopped then finds another
epoch in every transaction, and its orders are too old for the venue.
"""

import os
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, Row, insert, select, update

from etf_trader.clock import Clock
from etf_trader.database import Database, server_now
from etf_trader.errors import AccountLed
from etf_trader.execution.tables import leases

HEARTBEAT_SECONDS = 2.0
HEARTBEATS_MISSED = 3
"""A lease of another host is free when this many heartbeats did not come."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A process that can lead."""

    host: str
    process: int
    process_start: str

    @classmethod
    def this_process(cls, host: str) -> "Owner":
        """Return the running process, on the host that it is told it runs on."""
        return cls(host, os.getpid(), _process_start(os.getpid()))


def this_host() -> str:
    """Return the name by which the system knows this host."""
    return socket.gethostname()


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to send orders for an account, until another process takes it over."""

    account_id: int
    epoch: int
    owner: Owner


def leader(connection: Connection, account_id: int, now: datetime, host: str | None = None) -> Owner | None:
    """Return who leads the account and is alive, seen from `host`; None when the lease is free."""
    row = connection.execute(select(leases).where(leases.c.account_id == account_id)).one_or_none()
    return (
        None
        if row is None or _is_free(row, now, host or this_host())
        else Owner(row.host, row.process, row.process_start)
    )


def epoch(connection: Connection, account_id: int) -> int:
    """Return how often the account's lease was taken; 0 before the first time."""
    return connection.scalar(select(leases.c.epoch).where(leases.c.account_id == account_id)) or 0


def leads_any(connection: Connection, now: datetime, host: str | None = None) -> Owner | None:
    """Return a living leader of any account of this database, seen from `host`."""
    for row in connection.execute(select(leases)):
        if not _is_free(row, now, host or this_host()):
            return Owner(row.host, row.process, row.process_start)
    return None


class Leases:
    """Takes, renews, checks and gives back the lease of an account."""

    def __init__(self, database: Database, clock: Clock, host: str | None = None) -> None:
        self._database = database
        self._clock = clock
        self._host = host or this_host()
        self._given_up: dict[int, int] = {}
        """Epochs that this process has done with, by account, also where that could not be written."""

    def take(self, account_id: int) -> Lease | None:
        """Take the lease if it is free, and return it; None when another process leads."""
        owner = Owner.this_process(self._host)
        with self._database.write() as connection:
            now = self._now(connection)
            row = connection.execute(
                select(leases).where(leases.c.account_id == account_id).with_for_update()
            ).one_or_none()
            if row is not None and not self._is_ours_to_take(row, now):
                return None
            epoch = 1 if row is None else row.epoch + 1
            values = {
                "epoch": epoch,
                "host": owner.host,
                "process": owner.process,
                "process_start": owner.process_start,
                "heartbeat_at": now,
            }
            if row is None:
                connection.execute(insert(leases), {"account_id": account_id} | values)
            else:
                connection.execute(update(leases).where(leases.c.account_id == account_id).values(**values))
        return Lease(account_id, epoch, owner)

    def is_free(self, account_id: int) -> bool:
        """Return whether nobody leads the account; changes nothing."""
        with self._database.read() as connection:
            row = connection.execute(select(leases).where(leases.c.account_id == account_id)).one_or_none()
            return row is None or self._is_ours_to_take(row, self._now(connection))

    def _is_ours_to_take(self, row: Row[tuple[object, ...]], now: datetime) -> bool:
        if _is_free(row, now, self._host):
            return True
        # A lease that could not be given back, the disk being full, still names this process.
        return bool(row.process == os.getpid() and self._given_up.get(row.account_id) == row.epoch)

    def renew(self, lease: Lease) -> None:
        """Show that the leader lives.

        Raises:
            AccountLed: another process has taken over.
        """
        with self._database.write() as connection:
            check(connection, lease)
            connection.execute(
                update(leases)
                .where(leases.c.account_id == lease.account_id)
                .values(heartbeat_at=self._now(connection))
            )

    def require(self, lease: Lease) -> None:
        """Check that the lease is still ours, without writing.

        Raises:
            AccountLed: another process has taken over.
        """
        with self._database.read() as connection:
            if epoch(connection, lease.account_id) != lease.epoch:
                raise _lost()

    def give_back(self, lease: Lease) -> None:
        """Free the lease, if it is still ours."""
        self._given_up[lease.account_id] = lease.epoch
        with self._database.write() as connection:
            connection.execute(
                update(leases)
                .where(leases.c.account_id == lease.account_id, leases.c.epoch == lease.epoch)
                .values(host=None, process=None, process_start=None)
            )

    def _now(self, connection: Connection) -> datetime:
        return server_now(connection) or self._clock.now()


def check(connection: Connection, lease: Lease) -> None:
    """Check, in the transaction that acts on it, that the lease is still ours.

    Raises:
        AccountLed: another process has taken over.
    """
    epoch = connection.scalar(
        select(leases.c.epoch).where(leases.c.account_id == lease.account_id).with_for_update()
    )
    if epoch != lease.epoch:
        raise _lost()


def _lost() -> AccountLed:
    return AccountLed("another process has taken over the account", hint="etf order list shows what it does")


def _is_free(row: Row[tuple[object, ...]], now: datetime, host: str) -> bool:
    if row.host is None:
        return True
    if row.host == host:
        return not _is_alive(row.process, row.process_start)
    silence: timedelta = now - row.heartbeat_at
    return silence > timedelta(seconds=HEARTBEAT_SECONDS * HEARTBEATS_MISSED)


def _is_alive(process: int, started: str) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    # The number may have been given to another process since; its start time tells them apart.
    return _process_start(process) == started


def _process_start(process: int) -> str:
    """Return when a process started, as the kernel counts it; empty where the system does not tell.

    A zombie counts as dead: its files and sockets are gone.
    """
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
