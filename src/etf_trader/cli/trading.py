"""Whether an account trades, as commands say it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from etf_trader.cli.numbers import local_time
from etf_trader.cli.output import look

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from etf_trader.bootstrap import Services
    from etf_trader.risk.halts import Halt, TradingState


def stopped(opened: Services, connection: Connection) -> tuple[TradingState, list[Halt]]:
    """Return what the account may do, and what stops it."""
    from etf_trader.risk.halts import halts, trading_state

    found = halts(connection, opened.account.id)
    now = opened.clock.now() if found else None  # the exchange is opened only when there is something to tell
    return trading_state(connection, opened.account.id, now), halts(connection, opened.account.id, now=now)


def state_sentence(state: TradingState, found: list[Halt], who: str = "The account") -> str:
    """Return in one sentence that an account is stopped, since when, why, and what to do; "" when it trades."""
    from etf_trader.risk.halts import MEANING, way_out

    if not found:
        return ""
    return f"{who} is {since_when(found)}: {MEANING[state]}. {way_out(found)}."


def since_when(found: list[Halt]) -> str:
    """Return what an account is, since when and why, the strictest first: `halted since 14:30 (by hand)`."""
    from etf_trader.risk.halts import by_state, why

    return " and ".join(
        f"{look(state)} since {local_time(those[0].at)} ({why(those)})" for state, those in by_state(found).items()
    )


def halt_document(halt: Halt) -> dict[str, Any]:
    """Return a halt as other programs read it."""
    return {
        "id": halt.id,
        "state": str(halt.state),
        "cause": halt.cause,
        "reason": halt.reason,
        "at": halt.at,
        "operator": halt.operator,
        "lifted_at": halt.lifted_at,
        "lifted_by": halt.lifted_by,
    }


def operator() -> str:
    """Return who types: the user and the host."""
    import getpass
    import os
    import socket

    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
