"""Differences between the books and the venue as rows; open ones stop trading on the account."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import ColumnElement, Connection, insert, select, update

from etf_trader.database import insert_row
from etf_trader.errors import NotFound, ReconciliationMismatch
from etf_trader.execution.comparison import Gap, Missing, moved_by
from etf_trader.ledger.corrections import CAME_IN, WENT_OUT
from etf_trader.ledger.repository import Account
from etf_trader.ledger.tables import differences, unbooked_trades
from etf_trader.market.symbol import SymbolRule
from etf_trader.money import spoken
from etf_trader.risk.halts import RECONCILE, TradingState, halt, halts, resume

LISTED = 3
"""A sentence names so many differences; `etf reconcile` shows all."""

GONE = "gone"
"""How a difference ends that nobody had to book: what was missing has arrived."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What the venue holds of an asset beyond the books (below zero: lacks), until it is booked or gone."""

    id: int
    account_id: int
    asset: str
    venue_quantity: Decimal
    books_quantity: Decimal
    difference: Decimal
    explanation: str
    found_at: datetime
    booked_at: datetime | None
    booked_as: str | None
    holder: str | None
    operator: str | None
    reason: str | None
    transaction_key: str | None

    @property
    def is_open(self) -> bool:
        """Whether it still stops trading."""
        return self.booked_at is None

    @property
    def kinds(self) -> tuple[str, ...]:
        """What it may be booked as, by its sign."""
        return CAME_IN if self.difference > 0 else WENT_OUT

    @property
    def gap(self) -> Gap:
        """Its quantities."""
        return Gap(self.asset, self.venue_quantity, self.books_quantity)


def difference(connection: Connection, number: int) -> Difference:
    """Return one difference.

    Raises:
        NotFound: there is none with this number.
    """
    row = connection.execute(select(differences).where(differences.c.id == number)).one_or_none()
    if row is None:
        raise NotFound(
            f"there is no difference {number}", where="--book", hint="etf reconcile lists the open ones"
        )
    return Difference(**row._mapping)


def open_differences(connection: Connection, account_id: int) -> list[Difference]:
    """Return what nothing has explained yet, oldest first."""
    query = select(differences).where(differences.c.account_id == account_id, differences.c.booked_at.is_(None))
    return [Difference(**row._mapping) for row in connection.execute(query.order_by(differences.c.id))]


def record(
    connection: Connection, account_id: int, found: Sequence[tuple[Gap, str]], now: datetime
) -> list[Difference]:
    """Write what differs now, one open row an asset, close what differs no more, and halt or resume the account.

    Args:
        found: Gaps with what is known of them. An empty text keeps what was known.
    """
    known = {row.asset: row for row in open_differences(connection, account_id)}
    for gap, told in found:
        row = known.pop(gap.asset, None)
        values = {"venue_quantity": gap.venue, "books_quantity": gap.books, "difference": gap.amount}
        if row is None:
            facts = {"account_id": account_id, "asset": gap.asset, "explanation": told, "found_at": now}
            insert_row(connection, differences, values | facts)
        else:
            kept = told or row.explanation
            connection.execute(
                update(differences).where(differences.c.id == row.id).values(**values, explanation=kept)
            )
    for row in known.values():
        close(connection, row.id, now, booked_as=GONE)
    left = open_differences(connection, account_id)
    stop_or_go(connection, account_id, left, now)
    return left


def close(connection: Connection, number: int, now: datetime, *, booked_as: str, **values: str) -> None:
    """Take note of how a difference ended."""
    connection.execute(
        update(differences).where(differences.c.id == number).values(booked_at=now, booked_as=booked_as, **values)
    )


def stop_or_go(connection: Connection, account_id: int, left: Sequence[Difference], now: datetime) -> None:
    """Halt the account while differences are open; lift that halt, and no other, when none is."""
    if left:
        halt(connection, account_id, TradingState.HALTED, RECONCILE, _gaps(left), now)
    elif any(each.cause == RECONCILE for each in halts(connection, account_id)):
        resume(connection, account_id, RECONCILE, now)


def mismatch(account: Account, left: Sequence[Difference]) -> ReconciliationMismatch:
    """Return the error that says what differs and what to type."""
    return ReconciliationMismatch(
        f"the books and the venue differ: {_gaps(left)}",
        where=name_of(account),
        hint="etf reconcile tells what is known; nothing is traded until each is booked as what it was:\n"
        f"etf reconcile --book {left[0].id} --as {'|'.join(left[0].kinds)}",
    )


def name_of(account: Account) -> str | None:
    """Return which account an error is about; None for the one that everybody has on paper."""
    return None if account.uid == account.environment else account.name


def _gaps(left: Sequence[Difference]) -> str:
    """Return what the venue has more or less, the first few: `BTC +0.5, USDT -20, and 2 more`."""
    shown = [f"{row.asset} {'+' if row.difference > 0 else ''}{spoken(row.difference)}" for row in left[:LISTED]]
    more = [f"and {len(left) - LISTED} more"] if len(left) > LISTED else []
    return ", ".join(shown + more)


def note_unbooked(
    connection: Connection,
    account: Account,
    missing: Iterable[Missing],
    rules: Mapping[str, SymbolRule],
    now: datetime,
) -> None:
    """Remember trades that explain a difference and cannot be booked, until what they moved differs no more.

    Whoever books the difference has answered for them: they are not told, or booked, again.
    """
    rows = {
        (row.symbol, row.trade_id)
        for row in connection.execute(
            select(unbooked_trades.c.symbol, unbooked_trades.c.trade_id).where(*_mine(account))
        )
    }
    for each in missing:
        trade = each.trade
        if (trade.symbol, trade.trade_id) in rows:
            continue
        row = {
            "account_id": account.id,
            "era": account.era,
            "symbol": trade.symbol,
            "trade_id": trade.trade_id,
            "venue_order_id": trade.order_id,
            "client_order_id": each.client_order_id,
            "assets": ",".join(moved_by(trade, rules[trade.symbol])),
            "found_at": now,
        }
        connection.execute(insert(unbooked_trades), row)


def settle_unbooked(connection: Connection, account: Account, now: datetime) -> None:
    """Call those trades explained of whose assets none differs any more."""
    differing = {row.asset for row in open_differences(connection, account.id)}
    query = select(unbooked_trades).where(*_mine(account), unbooked_trades.c.explained_at.is_(None))
    for row in connection.execute(query).all():
        if not differing & set(row.assets.split(",")):
            connection.execute(
                update(unbooked_trades)
                .where(
                    *_mine(account),
                    unbooked_trades.c.symbol == row.symbol,
                    unbooked_trades.c.trade_id == row.trade_id,
                )
                .values(explained_at=now)
            )


def _mine(account: Account) -> tuple[ColumnElement[bool], ...]:
    return unbooked_trades.c.account_id == account.id, unbooked_trades.c.era == account.era
