"""Keeps the accounts of a database led: each process takes those that nobody leads, and the load spreads."""

import asyncio
from collections.abc import Callable, Sequence

from etf_trader.errors import EtfError
from etf_trader.execution.lease import HEARTBEAT_SECONDS
from etf_trader.execution.manager import Manager

STANDBY_SECONDS = 0.2
"""How often a process looks whether an account has lost its leader."""

PATIENCE_SECONDS = 2 * HEARTBEAT_SECONDS
"""For each account that a process leads already it leaves the next one to others for so long."""

AFTER_ERROR_SECONDS = 1.0

Told = Callable[[Manager, EtfError | None], None]


async def serve(managers: Sequence[Manager], stop: Callable[[], bool], told: Told) -> None:
    """Lead these accounts, each whenever nobody else does, until `stop` says so.

    Args:
        told: Hears of a manager after each of its rounds, with what went wrong in it.
    """
    leading: set[int] = set()

    async def keep(manager: Manager) -> None:
        waited = 0.0
        while not stop():
            try:
                waited = waited + STANDBY_SECONDS if manager.is_free() else 0.0
                if waited > PATIENCE_SECONDS * len(leading):
                    waited = 0.0
                    leading.add(manager.account_id)
                    await manager.lead(stop, told)
            except EtfError as error:
                told(manager, error)
                await asyncio.sleep(AFTER_ERROR_SECONDS)
            finally:
                leading.discard(manager.account_id)
            await asyncio.sleep(STANDBY_SECONDS)

    await asyncio.gather(*(keep(manager) for manager in managers))
