"""Compares the books with the venue: books what explains a difference, and stops trading on what nothing explains.

Balances and open orders first; trades are asked for only where they differ.
Nothing is invented: a difference that stays is a row, the account is halted,
and a person says what it was.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from etf_trader.clock import Clock
from etf_trader.database import Database
from etf_trader.errors import ConfigError, ReconciliationMismatch, VenueError
from etf_trader.events import EventLog
from etf_trader.execution.comparison import (
    Gap,
    Missing,
    Whose,
    compare_balances,
    due,
    explanation,
    moved_by,
    symbols_of_gaps,
    unexplained,
    wider_symbols,
)
from etf_trader.execution.differences import (
    Difference,
    mismatch,
    name_of,
    note_unbooked,
    open_differences,
    record,
    settle_unbooked,
)
from etf_trader.execution.fee_inventory import prices_for, require_apart
from etf_trader.execution.late_fills import book_late_fill
from etf_trader.execution.lease import Lease, check
from etf_trader.execution.missing import Search, traded_symbols
from etf_trader.execution.open_orders import ours_left_open, put_in_order
from etf_trader.execution.transfers import book_transfers, transfer_key, transfers_seen
from etf_trader.ledger.late import last_trades
from etf_trader.ledger.repository import Account, Ledger, inside_balances
from etf_trader.market.symbol import SymbolRule
from etf_trader.money import plain
from etf_trader.orders.store import asset_order, count_unfinished, unsettled_plans
from etf_trader.venue.interface import Venue

LOOKS = 3
LOOK_AGAIN_SECONDS = 0.1
EVERY_SECONDS = 300.0
FROM_THE_START = -1

Rules = Mapping[str, SymbolRule]


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What a comparison found, in sentences: what was booked, what is not ours, and what stays open."""

    account: Account
    booked: tuple[str, ...] = ()
    explained: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether the books and the venue hold the same."""
        return not self.differences

    def after(self, earlier: "Reconciliation") -> "Reconciliation":
        """Return this comparison with what an earlier one in the same go had booked."""
        return replace(self, booked=(*earlier.booked, *self.booked))

    def require_agreement(self) -> None:
        """Check that nothing differs.

        Raises:
            ReconciliationMismatch: something does; says what to type.
        """
        if self.differences:
            raise mismatch(self.account, self.differences)


class Reconciler:
    """Compares an account with its books for whoever leads it; once at its start, then every few minutes."""

    def __init__(
        self,
        database: Database,
        venue: Venue,
        clock: Clock,
        account: Account,
        log: EventLog,
        *,
        every_seconds: float = EVERY_SECONDS,
    ) -> None:
        self._database = database
        self._venue = venue
        self._clock = clock
        self._account = account
        self._log = log
        self._every_seconds = every_seconds
        self._last: datetime | None = None

    async def periodic(self, lease: Lease) -> Reconciliation | None:
        """Compare when it is time and nothing of ours is in flight; None when not. Cheap enough for every turn.

        A venue that does not answer is asked again when it is time the next time.
        """
        if not due(self._last, self._clock.now(), self._every_seconds):
            return None
        with self._database.read() as connection:
            if in_flight(connection, self._account.id):
                return None
        self._last = self._clock.now()
        try:
            return await self.run(lease)
        except VenueError:
            return None

    async def run(self, lease: Lease) -> Reconciliation:
        """Compare now; the caller leads the account and has settled what was in flight.

        Raises:
            ConfigError: the venue's account is another one, its history started again, or it cannot be traded on.
            AccountLed: another process has taken over.
        """
        await require_identity(self._venue, self._account)
        await self._venue.require_ready()
        await require_apart(self._database, self._venue, self._account)
        orders = await put_in_order(self._database, self._venue, self._account)
        result = Reconciliation(self._account, tuple(orders.cancelled), warnings=tuple(orders.foreign))
        result, gaps, notes = await self._look(result)
        missing: list[Missing] = []
        rules: Rules = {}
        if gaps:
            rules = await self._venue.rules()
            missing = await self._search(gaps, rules)
            booked, missing = await self._book(lease, missing)
            result = replace(result, booked=(*result.booked, *booked))
            if booked:
                gaps = await gaps_of(self._database, self._venue, self._account)
        told = [each for each in missing if _touches(each, gaps, rules)]
        left = self._record(lease, gaps, told, rules, notes)
        self._last = self._clock.now()
        return replace(result, explained=tuple(map(str, told)), differences=tuple(left))

    async def _look(self, result: Reconciliation) -> tuple[Reconciliation, list[Gap], dict[str, list[str]]]:
        """Book transfers and compare, more than once: money may have moved between two of our questions."""
        gaps: list[Gap] = []
        notes: dict[str, list[str]] = {}
        for look in range(LOOKS):
            if look:
                await asyncio.sleep(LOOK_AGAIN_SECONDS)
            transferred = await book_transfers(self._database, self._venue, self._account)
            result = replace(result, booked=(*result.booked, *transferred.booked))
            for asset, sentence in transferred.uncovered:
                notes.setdefault(asset, []).append(sentence)
            gaps = await gaps_of(self._database, self._venue, self._account)
            if not gaps:
                break
        return result, gaps, notes

    async def _search(self, gaps: Sequence[Gap], rules: Rules) -> list[Missing]:
        """Return the trades that the books lack and that touch gaps: first the likely and new, then all."""
        search = Search(self._database, self._venue, self._account)
        with self._database.read() as connection:
            last = last_trades(connection, self._account.id, self._account.era)
            traded = traded_symbols(connection, self._account.id)
        likely = {symbol: last.get(symbol, FROM_THE_START) for symbol in symbols_of_gaps(gaps, rules)}
        missing = await search.trades(likely)
        if any(unexplained(gap, missing, rules) for gap in gaps):
            missing = await search.trades(dict.fromkeys(wider_symbols(gaps, rules, traded), FROM_THE_START))
        return missing

    async def _book(self, lease: Lease, missing: Sequence[Missing]) -> tuple[list[str], list[Missing]]:
        """Book the fills of ours that the books lack, a transaction each; return them, and the other trades."""
        booked: list[str] = []
        left: list[Missing] = []
        for each in missing:
            if each.whose is not Whose.OURS or each.asset_order_id is None:
                left.append(each)
                continue
            with self._database.read() as connection:
                order = asset_order(connection, each.asset_order_id)
            prices = await prices_for(self._database, self._venue, order, [each.trade])
            with self._database.write() as connection:
                check(connection, lease)
                order = asset_order(connection, each.asset_order_id)
                if not order.status.is_final:
                    continue  # whoever follows it books it
                now = self._clock.now()
                obstacle = book_late_fill(connection, self._log, self._account, order, each.trade, now, prices)
            if obstacle:
                left.append(replace(each, obstacle=obstacle))
            else:
                booked.append(f"a missing fill found: {each}")
        return booked, left

    def _record(
        self,
        lease: Lease,
        gaps: Sequence[Gap],
        missing: Sequence[Missing],
        rules: Rules,
        notes: Mapping[str, Sequence[str]],
    ) -> list[Difference]:
        found = [(gap, explanation(gap, missing, rules, notes.get(gap.asset, ()))) for gap in gaps]
        with self._database.write() as connection:
            check(connection, lease)
            now = self._clock.now()
            note_unbooked(connection, self._account, missing, rules, now)
            left = record(connection, self._account.id, found, now)
            settle_unbooked(connection, self._account, now)
        return left


def _touches(missing: Missing, gaps: Sequence[Gap], rules: Rules) -> bool:
    return any(gap.asset in moved_by(missing.trade, rules[missing.trade.symbol]) for gap in gaps)


def in_flight(connection: Connection, account_id: int) -> bool:
    """Return whether orders of the account have not come to their end, or a plan's trades are not credited yet."""
    return any(count_unfinished(connection, account_id).values()) or bool(unsettled_plans(connection, account_id))


async def require_agreement(database: Database, venue: Venue, account: Account) -> None:
    """Check, without writing, that nothing but transfers not booked yet lies between the books and the venue.

    Raises:
        ReconciliationMismatch: something differs, or did when the account was last compared.
        ConfigError: another account, or its history began again; or an index holds what fees are paid in.
    """
    await require_identity(venue, account)  # before its transfers are taken for ours
    await require_apart(database, venue, account)
    with database.read() as connection:
        seen = transfers_seen(connection, account.id)
        known = open_differences(connection, account.id)
    if known:
        raise mismatch(account, known)
    if await venue.transfers(seen):
        return  # who leads next books them, and compares
    if told := await compare(database, venue, account):
        raise ReconciliationMismatch(
            "the books and the venue differ: " + "; ".join(told),
            where=name_of(account),
            hint="etf reconcile finds out why; nothing is traded until the two agree",
        )


async def require_identity(venue: Venue, account: Account) -> None:
    """Check that the database belongs to this venue account and this era of it.

    Raises:
        ConfigError: it does not.
    """
    identity = await venue.identity()
    if (identity.environment, identity.uid) != (account.environment, account.uid):
        raise ConfigError(
            f"this database belongs to {account.environment}:{account.uid}, "
            f"the venue says {identity.environment}:{identity.uid}",
            hint="use the database of that account",
        )
    if identity.era != account.era:
        raise ConfigError(
            "the venue's history started again since this database was made",
            where=name_of(account),
            hint="begin with another database; on paper, etf exchange reset archives both together",
        )


async def gaps_of(database: Database, venue: Venue, account: Account) -> list[Gap]:
    """Return every asset of which the venue holds another quantity than the books say; changes nothing."""
    held = await venue.balances()
    with database.read() as connection:
        return compare_balances(held, inside_balances(connection, account.id))


async def compare(database: Database, venue: Venue, account: Account) -> list[str]:
    """Return, in sentences, what differs, and orders of ours that should not be open; changes nothing."""
    gaps = await gaps_of(database, venue, account)
    left = await ours_left_open(database, venue)
    return [
        *map(str, gaps),
        *(f"{order.symbol}: order {order.client_order_id} is open at the venue" for order in left),
    ]


async def unbooked(database: Database, venue: Venue, account: Account) -> list[str]:
    """Return, in sentences, what the venue's record has and the books lack, and what to type; changes nothing.

    A trade that is not ours is told while an asset that it moved differs: the rest
    of it is nobody's business here.
    """
    with database.read() as connection:
        symbols = traded_symbols(connection, account.id)
        seen = transfers_seen(connection, account.id)
    gaps, rules = await gaps_of(database, venue, account), await venue.rules()
    symbols = sorted({*symbols, *symbols_of_gaps(gaps, rules)})
    search = Search(database, venue, account)
    told = [
        f"trade {each.trade.trade_id} of {each.trade.symbol} ({each.trade.side} {plain(each.trade.quantity)} at "
        f"{plain(each.trade.price)}) is not in the books; {_what_to_do(each)}"
        for each in await search.trades(dict.fromkeys(symbols, FROM_THE_START))
        if each.whose is Whose.OURS or _touches(each, gaps, rules)
    ]
    transfers = await venue.transfers(seen)
    with database.read() as connection:
        ledger = Ledger(connection, account.id)
        told += [
            f"transfer {transfer.transfer_id} ({plain(transfer.amount)} {transfer.asset}) is not in the books; "
            "etf reconcile books it"
            for transfer in transfers
            if not ledger.has(transfer_key(transfer.transfer_id))
        ]
    return told


def _what_to_do(missing: Missing) -> str:
    if missing.whose is Whose.OURS:
        return "etf reconcile books it"
    name = missing.client_order_id or missing.trade.order_id
    return f"order {name} is not of these books: etf reconcile tells how to book it"
