"""A person says what a difference was, and it is booked as that."""

from dataclasses import dataclass, replace

from sqlalchemy import Connection

from etf_trader.clock import Clock
from etf_trader.database import Database
from etf_trader.errors import ReconciliationMismatch, UsageError
from etf_trader.execution.comparison import Gap
from etf_trader.execution.differences import GONE, Difference, close, difference
from etf_trader.execution.lease import Lease, check
from etf_trader.execution.reconcile import gaps_of
from etf_trader.ledger import accounts
from etf_trader.ledger.corrections import CAME_IN, WENT_OUT, difference_booking, difference_facts, difference_key
from etf_trader.ledger.repository import Account, Ledger, inside_balances
from etf_trader.money import ZERO, plain
from etf_trader.venue.interface import Venue

KINDS = (*CAME_IN, *WENT_OUT)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person says of difference `number`: what it was, whose, and why; `operator` is who says it."""

    number: int
    booked_as: str
    holder: str
    operator: str
    reason: str


def as_seen(connection: Connection, account: Account, answer: Answer) -> Difference:
    """Return the difference as it stands before it is looked at again, if the answer can be meant for it.

    Raises:
        NotFound: there is none with this number.
        UsageError: it was booked as something else, or it has the other sign.
    """
    row = difference(connection, answer.number)
    if row.account_id != account.id:
        raise UsageError(f"difference {row.id} is another account's", where="--book")
    if row.booked_as == GONE:
        raise UsageError(
            f"difference {row.id} ({plain(row.difference)} {row.asset}) went away by itself: nothing is to book",
            where="--book",
            hint="etf reconcile lists what is open",
        )
    if not row.is_open and (row.booked_as, row.holder) != (answer.booked_as, answer.holder):
        raise UsageError(
            f"difference {row.id} is booked already: as {row.booked_as} for {row.holder}, by {row.operator}",
            where="--book",
            hint="etf reconcile lists what is open",
        )
    if answer.booked_as not in row.kinds:
        less = "more" if row.difference > 0 else "less"
        raise UsageError(
            f"the venue holds {plain(abs(row.difference))} {row.asset} {less} than the books: "
            f"that is no {answer.booked_as}",
            where="--as",
            hint=f"etf reconcile --book {row.id} --as {'|'.join(row.kinds)}",
        )
    return row


async def book_answer(
    database: Database,
    venue: Venue,
    clock: Clock,
    account: Account,
    seen: Difference,
    answer: Answer,
    lease: Lease,
) -> bool:
    """Book a difference as a person says, once; return whether it was open until now.

    The caller leads the account and has just compared it.

    Raises:
        ReconciliationMismatch: the difference has changed since it was `seen`.
        UsageError: the holder's treasury does not cover what went out.
    """
    gaps = {gap.asset: gap for gap in await gaps_of(database, venue, account)}
    with database.write() as connection:
        check(connection, lease)
        row = as_seen_now(connection, account, answer, seen)
        if not row.is_open:
            return False
        books = inside_balances(connection, account.id).get(row.asset, ZERO)
        if gaps.get(row.asset) != Gap(row.asset, row.venue_quantity, books):
            raise _changed(row, gaps.get(row.asset))
        _post(connection, account, row, answer, clock)
    return True


def as_seen_now(connection: Connection, account: Account, answer: Answer, seen: Difference) -> Difference:
    """Return the difference as it stands, if it is still the one that was seen."""
    row = difference(connection, answer.number)
    if row.booked_as == GONE:
        raise _changed(row, None)
    if row.is_open and row.difference != seen.difference:
        raise _changed(seen, row.gap)
    return as_seen(connection, account, answer)


def _post(connection: Connection, account: Account, row: Difference, answer: Answer, clock: Clock) -> None:
    ledger = Ledger(connection, account.id)
    held = ledger.balance(accounts.treasury(answer.holder), row.asset)
    if held + row.difference < 0:
        raise UsageError(
            f"the treasury of {answer.holder} holds {plain(held)} {row.asset}: a {answer.booked_as} of "
            f"{plain(-row.difference)} is not covered",
            where="--holder",
            hint="name whose it was, or bring it back; etf treasury show tells who has what",
        )
    now, key = clock.now(), difference_key(row.id)
    row = replace(row, holder=answer.holder, operator=answer.operator, reason=answer.reason)
    facts = difference_facts(row)
    ledger.post(
        difference_booking(row.id, answer.holder, row.asset, row.difference, answer.booked_as, facts, at=now)
    )
    close(
        connection,
        row.id,
        now,
        booked_as=answer.booked_as,
        holder=answer.holder,
        operator=answer.operator,
        reason=answer.reason,
        transaction_key=key,
    )


def _changed(row: Difference, now: Gap | None) -> ReconciliationMismatch:
    is_now = f"the books and the venue agree on {row.asset}" if now is None else str(now)
    return ReconciliationMismatch(
        f"difference {row.id} has changed: it was {plain(row.difference)} {row.asset}; now {is_now}. "
        "Nothing was booked",
        where="--book",
        hint="etf reconcile shows what there is now",
    )
