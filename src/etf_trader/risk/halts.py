"""Whether an account may trade: rows that say who stopped it, why, and since when.

Several causes may hold at once, each until it is lifted; the strictest counts.
The caller opens the transaction: a halt stands for everybody from its commit on.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import groupby

from sqlalchemy import Connection, select, update

from etf_trader.database import insert_row
from etf_trader.errors import Refused
from etf_trader.market.symbol import Side
from etf_trader.risk.tables import halts as halt_rows

OPERATOR = "operator"
RECONCILE = "reconcile"
DAILY_LOSS = "daily_loss"
CAUSES = (OPERATOR, RECONCILE, DAILY_LOSS)
"""What stops an account: a person, a difference that nothing explains, the loss of a day."""


HALTED_BEFORE_SENDING = "the account was halted before it was sent"
"""Why an order was withdrawn."""


class TradingState(StrEnum):
    """What an account may do, from everything to nothing."""

    ACTIVE = "active"
    REDUCING = "reducing"  # sells and cancels only
    HALTED = "halted"  # nothing is sent

    def permits(self, side: Side) -> bool:
        """Return whether orders of this side may be sent."""
        return self is TradingState.ACTIVE or (self is TradingState.REDUCING and side is Side.SELL)


_STRICTNESS = tuple(TradingState)


@dataclass(frozen=True, slots=True)
class Halt:
    """One reason why an account does not trade freely; `operator` is empty when the program saw to it itself."""

    id: int
    account_id: int
    state: TradingState
    cause: str
    reason: str
    at: datetime
    operator: str
    lifted_at: datetime | None
    lifted_by: str | None

    @property
    def is_in_force(self) -> bool:
        """Whether nobody has lifted it."""
        return self.lifted_at is None

    def is_over(self, now: datetime) -> bool:
        """Whether it was for a UTC day, which has ended."""
        return self.cause == DAILY_LOSS and self.at.astimezone(UTC).date() < now.astimezone(UTC).date()


def halts(
    connection: Connection, account_id: int, *, lifted: bool = False, now: datetime | None = None
) -> list[Halt]:
    """Return what stops an account, oldest first; with `lifted`, also what ever did.

    With `now`, what stopped it for a day that is over is left out before anybody has lifted it.
    """
    query = select(halt_rows).where(halt_rows.c.account_id == account_id).order_by(halt_rows.c.id)
    if not lifted:
        query = query.where(halt_rows.c.lifted_at.is_(None))
    rows = (dict(row._mapping) for row in connection.execute(query))
    found = [Halt(**(row | {"state": TradingState(row["state"])})) for row in rows]
    return [each for each in found if now is None or not each.is_over(now)]


def trading_state(connection: Connection, account_id: int, now: datetime | None = None) -> TradingState:
    """Return what the account may do: the strictest halt that nobody has lifted."""
    states = (each.state for each in halts(connection, account_id, now=now))
    return max(states, key=_STRICTNESS.index, default=TradingState.ACTIVE)


def halt(
    connection: Connection,
    account_id: int,
    state: TradingState,
    cause: str,
    reason: str,
    now: datetime,
    *,
    operator: str = "",
) -> Halt:
    """Stop an account, and return the row that says so; the same cause twice stays the first."""
    if state is TradingState.ACTIVE:
        raise ValueError("an account that is active is not halted")
    for known in halts(connection, account_id, now=now):
        if (known.cause, known.state) == (cause, state):
            return known
    row = {
        "account_id": account_id,
        "state": str(state),
        "cause": cause,
        "reason": reason,
        "at": now,
        "operator": operator,
    }
    number = insert_row(connection, halt_rows, row)
    return next(each for each in halts(connection, account_id) if each.id == number)


def resume(
    connection: Connection, account_id: int, cause: str | None, now: datetime, *, operator: str = ""
) -> list[Halt]:
    """Lift what stops an account for `cause`, or for whatever cause; return what was lifted."""
    found = [each for each in halts(connection, account_id) if cause in (None, each.cause)]
    for each in found:
        connection.execute(
            update(halt_rows).where(halt_rows.c.id == each.id).values(lifted_at=now, lifted_by=operator)
        )
    return found


def lift_past_days(connection: Connection, account_id: int, now: datetime) -> None:
    """Lift what stopped an account for a UTC day that is over."""
    for each in halts(connection, account_id):
        if each.is_over(now):
            connection.execute(
                update(halt_rows).where(halt_rows.c.id == each.id).values(lifted_at=now, lifted_by="")
            )


def require_active(
    connection: Connection, account_id: int, sides: Iterable[Side] = (), now: datetime | None = None
) -> None:
    """Check that orders of these sides may be sent; without sides, that not everything is stopped.

    Called in the transaction that takes a slot, and again before a request leaves.

    Raises:
        Refused: the account is halted, or is only reducing and a side is a buy.
    """
    state = trading_state(connection, account_id, now)
    if state is TradingState.HALTED or not all(state.permits(side) for side in sides):
        raise refusal(halts(connection, account_id, now=now), state)


def refusal(found: Sequence[Halt], state: TradingState) -> Refused:
    """Return the error that says that an account is stopped, why, and what to do."""
    stopped = " and ".join(f"{name} ({why(those)})" for name, those in by_state(found).items())
    return Refused(
        f"the account is {stopped}: {MEANING[state]}",
        limit=str(state),
        where=str(state),
        hint=f"etf risk show says since when; {way_out(found)}",
    )


def by_state(found: Iterable[Halt]) -> dict[TradingState, list[Halt]]:
    """Return halts by what they leave an account to do, the strictest first."""
    strictest_first = sorted(found, key=lambda each: _STRICTNESS.index(each.state), reverse=True)
    return {state: list(those) for state, those in groupby(strictest_first, key=lambda each: each.state)}


def why(found: Iterable[Halt]) -> str:
    """Return for what reasons halts stop an account, in a few words."""
    words = {OPERATOR: "by hand", DAILY_LOSS: "the loss of the day", RECONCILE: "a difference with the venue"}
    causes = [(words.get(each.cause, each.cause), each.reason) for each in found]
    return "; ".join(f"{cause}: {reason}" if reason else cause for cause, reason in causes)


def way_out(found: Sequence[Halt]) -> str:
    """Return what lets the account trade again: differences are booked, all else is lifted."""
    differences = sum(each.cause == RECONCILE for each in found)
    if not differences:
        lifts = {1: "it", 2: "both"}.get(len(found), "all")
        return f"etf resume lifts {lifts}"
    rest = ", and etf resume lifts the rest" if differences < len(found) else ""
    return f"etf reconcile tells how to book it{rest}"


MEANING = {
    TradingState.ACTIVE: "it trades",
    TradingState.REDUCING: "it only sells, and buys wait",
    TradingState.HALTED: "nothing is sent",
}
"""What a state means, in a few words."""
