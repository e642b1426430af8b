"""Keeps the accounts of a database led: each process takes those that nobody leads, and the load spreads."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from etf_trader.errors import AccountLed, EtfError
from etf_trader.execution.lease import HEARTBEAT_SECONDS
from etf_trader.execution.manager import Manager

STANDBY_SECONDS = 0.2
"""How often a process looks whether an account has lost its leader."""

PATIENCE_SECONDS = 2 * HEARTBEAT_SECONDS
"""For each account that a process leads already it leaves the next one to others for so long."""

AFTER_ERROR_SECONDS = 1.0

LONGEST_PAUSE = 15.0
"""After each failure in a row an account is left alone for twice as long, at most for this."""

Told = Callable[[Manager, EtfError | None], None]


async def serve(managers: Sequence[Manager], stop: Callable[[], bool], told: Told) -> None:
    """Lead these accounts, each whenever nobody else does, until `stop` says so.

    Args:
        told: Hears of a manager after each of its rounds, with what went wrong in it.
    """
    leading: set[int] = set()

    async def keep(manager: Manager) -> None:
        waited, pause = 0.0, AFTER_ERROR_SECONDS
        while not stop():
            try:
                waited = waited + STANDBY_SECONDS if manager.is_free() else 0.0
                if waited > PATIENCE_SECONDS * len(leading):
                    waited = 0.0
                    leading.add(manager.account_id)
                    await manager.lead(stop, told)
                pause = AFTER_ERROR_SECONDS
            except AccountLed as error:
                told(manager, error)
            except Exception as error:  # noqa: BLE001 the outermost loop: one account's trouble is not the others'
                told(manager, _spoken(error))
                await _sleep(pause, stop)
                pause = min(2 * pause, LONGEST_PAUSE)
            finally:
                leading.discard(manager.account_id)
            await asyncio.sleep(STANDBY_SECONDS)

    await asyncio.gather(*(keep(manager) for manager in managers))


async def _sleep(seconds: float, stop: Callable[[], bool]) -> None:
    """Wait, but not past a stop."""
    end = asyncio.get_running_loop().time() + seconds
    while not stop() and asyncio.get_running_loop().time() < end:
        await asyncio.sleep(STANDBY_SECONDS)


def _spoken(error: Exception) -> EtfError:
    """Return an error that can be told; one of ours stays as it is, what is a bug is logged with its trace."""
    if isinstance(error, EtfError):
        return error
    logging.getLogger(__name__).error("an account cannot be worked", exc_info=error)
    return EtfError(f"{type(error).__name__}: {error}", hint="this is a bug; the account is tried again")
