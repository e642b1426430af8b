"""Proves the books: replays the chain from its beginning and compares everything that was derived from it.

Changes nothing. A finding names the entry that is off; findings come in the
order in which the books were written, so the first is where to look.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from sqlalchemy import Connection, Row, select
from sqlalchemy.exc import NoResultFound

from etf_trader.errors import EtfError, LedgerError
from etf_trader.index.store import Basket, list_baskets, list_indices, position_seal
from etf_trader.index.tables import indices, positions
from etf_trader.ledger.accounts import WITH_LOTS, is_inside, is_unit
from etf_trader.ledger.fees_audit import audit_fees
from etf_trader.ledger.lots import LotBook
from etf_trader.ledger.pile import Lot
from etf_trader.ledger.replay import follow_basket
from etf_trader.ledger.repository import GENESIS, Account
from etf_trader.ledger.rows_audit import audit_rows
from etf_trader.ledger.tables import balances, disposals, lots, postings, transactions
from etf_trader.ledger.transaction import LotMove, Posting, chain_hash
from etf_trader.money import ZERO, plain


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is off: `entry` names the row, `message` says how."""

    entry: str
    message: str


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What was checked and found; `head` is the hash of the last transaction."""

    transactions: int
    postings: int
    fills: int
    head: str
    findings: tuple[Finding, ...]


Baskets = Mapping[tuple[int, int], Basket]
"""Every basket, by index and version."""


@dataclass(slots=True)
class _Replay:
    """The books as they follow from the chain alone.

    `units` are those outstanding and `assets` those ever held, by index;
    `versions` are the baskets in force, and `away` what a wave of a rebalance has taken out to trade.
    """

    balances: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    lots: LotBook = field(default_factory=LotBook)
    lot_order: list[Lot] = field(default_factory=list)
    units: dict[int, Decimal] = field(default_factory=dict)
    assets: dict[int, set[str]] = field(default_factory=dict)
    versions: dict[int, int] = field(default_factory=dict)
    away: dict[int, dict[str, Decimal]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def find(self, entry: str, message: str) -> None:
        self.findings.append(Finding(entry, message))


def audit(connection: Connection, account: Account, head: str | None = None) -> AuditReport:
    """Check the books of one account.

    Args:
        head: A hash that an earlier report printed, or its beginning: it must be in the chain, else
            the chain's end was cut off.
    """
    replay, fill_count = _Replay(), 0
    chain: Sequence[Row[tuple[object, ...]]] = ()
    lines: dict[int, list[Row[tuple[object, ...]]]] = {}
    try:
        chain = connection.execute(
            select(transactions).where(transactions.c.account_id == account.id).order_by(transactions.c.sequence)
        ).all()
        lines = _postings(connection, account.id)
        quotes = {index.id: index.quote for index in list_indices(connection)}
        baskets = _by_version(connection)
        _check_chain(replay, account.id, chain, lines, baskets, quotes)
        _check_versions(replay, connection, account.id)
        _check_balances(replay, connection, account.id)
        _check_lots(replay, connection, account.id, {row.sequence: row.id for row in chain})
        _check_positions(replay, connection, account.id)
        audit_fees(connection, chain, baskets, replay.find)
        fill_count = audit_rows(connection, account, chain, lines, replay.find)
    except (InvalidOperation, ValueError, KeyError, TypeError, NoResultFound, EtfError) as error:
        replay.find("database", f"rows do not fit together or cannot be read ({error})")
    hashes = [row.hash for row in chain]
    if head is not None and not any(known.startswith(head) for known in (*hashes, GENESIS)):
        replay.find("chain", f"the head {head} is not in the chain: its end was cut off or it is another ledger's")
    return AuditReport(
        transactions=len(chain),
        postings=sum(len(each) for each in lines.values()),
        fills=fill_count,
        head=hashes[-1] if hashes else GENESIS,
        findings=tuple(replay.findings),
    )


def _postings(connection: Connection, account_id: int) -> dict[int, list[Row[tuple[object, ...]]]]:
    query = (
        select(postings)
        .join(transactions, transactions.c.id == postings.c.transaction_id)
        .where(transactions.c.account_id == account_id)
        .order_by(postings.c.transaction_id, postings.c.line)
    )
    grouped: dict[int, list[Row[tuple[object, ...]]]] = {}
    for row in connection.execute(query):
        grouped.setdefault(row.transaction_id, []).append(row)
    return grouped


def _check_chain(
    replay: _Replay,
    account_id: int,
    chain: Sequence[Row[tuple[object, ...]]],
    lines: Mapping[int, list[Row[tuple[object, ...]]]],
    baskets: Baskets,
    quotes: Mapping[int, str],
) -> None:
    previous = GENESIS
    for place, row in enumerate(chain, start=1):
        entry = f"transaction {row.sequence} ({row.key})"
        own = lines.get(row.id, [])
        if row.sequence != place:
            replay.find(entry, f"it is number {row.sequence} where {place} should follow")
        if row.previous_hash != previous:
            replay.find(entry, "it does not follow the transaction before it")
        expected = chain_hash(
            account_id=account_id,
            sequence=row.sequence,
            key=row.key,
            kind=row.kind,
            at=row.at,
            index_order_id=row.index_order_id,
            narration=row.narration,
            evidence=row.evidence,
            postings=[Posting(line.account, line.asset, line.amount) for line in own],
            previous=row.previous_hash,
        )
        if row.hash != expected:
            replay.find(entry, "its content does not match its hash")
        previous = row.hash
        _check_postings(replay, entry, own)
        _replay_lots(replay, entry, row)
        _follow_basket(replay, entry, row, own)
        _check_units(replay, entry, own, baskets, quotes)


def _check_postings(replay: _Replay, entry: str, own: list[Row[tuple[object, ...]]]) -> None:
    sums: dict[str, Decimal] = {}
    for place, line in enumerate(own, start=1):
        if line.line != place:
            replay.find(f"{entry} posting {line.line}", f"it is number {line.line} where {place} should follow")
        at = (line.account, line.asset)
        sums[line.asset] = sums.get(line.asset, ZERO) + line.amount
        replay.balances[at] = replay.balances.get(at, ZERO) + line.amount
        if line.balance != replay.balances[at]:
            replay.find(
                f"{entry} posting {line.line}",
                f"it states a balance of {plain(line.balance)} {line.asset} for {line.account}, "
                f"the postings before it make {plain(replay.balances[at])}",
            )
    for asset, amount in sums.items():
        if amount:
            replay.find(entry, f"its postings of {asset} are off by {plain(amount)}")
    for line in own:
        amount = replay.balances[line.account, line.asset]
        if amount < 0 and (is_inside(line.account) or line.account.startswith(("position:", "redeemed:"))):
            replay.find(entry, f"{line.account} is overdrawn: {plain(amount)} {line.asset}")


def _replay_lots(replay: _Replay, entry: str, row: Row[tuple[object, ...]]) -> None:
    try:
        moves = [LotMove.from_list(values) for values in json.loads(row.evidence)["lots"]]
        for move in moves:
            replay.lots.apply(move, row.at, row.sequence)
    except (LedgerError, ValueError, InvalidOperation, KeyError) as error:
        replay.find(entry, f"its lots cannot be followed: {error}")
    for lot in replay.lots.changed:
        if lot.id is None:
            replay.lot_order.append(lot)
            lot.id = len(replay.lot_order)
    replay.lots.forget_changes()


def _check_units(
    replay: _Replay,
    entry: str,
    own: list[Row[tuple[object, ...]]],
    baskets: Baskets,
    quotes: Mapping[int, str],
) -> None:
    """Check that every index touched holds, with what a wave has taken out of it, units outstanding x basket."""
    touched = set()
    for line in own:
        if is_unit(line.asset) and line.account.startswith(("issued:", "redeemed:")):
            number = int(line.asset.partition(":")[2])
            replay.units[number] = replay.units.get(number, ZERO) - line.amount
            touched.add(number)
        elif line.account.startswith("index:"):
            number = int(line.account.partition(":")[2])
            replay.assets.setdefault(number, set()).add(line.asset)
            touched.add(number)
    for number in sorted(touched):
        basket = baskets.get((number, replay.versions.get(number, 1)))
        if basket is None:
            replay.find(entry, f"index {number} holds assets but has no basket")
            continue
        units, away = replay.units.get(number, ZERO), replay.away.get(number, {})
        per_unit = {**basket.quantities, quotes[number]: basket.cash_per_unit}
        for asset in sorted(replay.assets.get(number, set()) | per_unit.keys()):
            held = replay.balances.get((f"index:{number}", asset), ZERO) + away.get(asset, ZERO)
            due = per_unit.get(asset, ZERO) * units
            if held != due:
                replay.find(
                    entry,
                    f"index {number} holds {plain(held)} {asset}, "
                    f"{plain(units)} units of its basket are {plain(due)}",
                )


def _by_version(connection: Connection) -> Baskets:
    return {(basket.index_id, basket.version): basket for basket in list_baskets(connection)}


def _follow_basket(
    replay: _Replay, entry: str, row: Row[tuple[object, ...]], own: list[Row[tuple[object, ...]]]
) -> None:
    """Follow the basket in force, which is the next one each time, and what a wave takes out and brings back."""
    facts = json.loads(row.evidence)["facts"]
    if "basket" in facts:
        number, version = int(facts["index"]), int(facts["basket"])
        if version != replay.versions.get(number, 1) + 1:
            replay.find(entry, f"it puts basket {version} of index {number} in force, which is not the next one")
    follow_basket(replay.versions, replay.away, row.kind, facts, own)


def _check_versions(replay: _Replay, connection: Connection, account_id: int) -> None:
    """Check that no basket is newer than the chain makes it."""
    own = {index.id for index in list_indices(connection, account_id)}
    newest: dict[int, int] = {}
    for basket in list_baskets(connection):
        if basket.index_id in own:
            newest[basket.index_id] = max(basket.version, newest.get(basket.index_id, 0))
    for number, version in newest.items():
        known = replay.versions.get(number, 1)
        if version != known:
            replay.find(f"index {number}", f"its newest basket is {version}, the chain knows {known}")


def _check_balances(replay: _Replay, connection: Connection, account_id: int) -> None:
    rows = connection.execute(
        select(balances).where(balances.c.account_id == account_id).order_by(balances.c.account, balances.c.asset)
    ).all()
    stated = {(row.account, row.asset): row.amount for row in rows}
    for at in sorted(stated.keys() | replay.balances.keys()):
        if stated.get(at, ZERO) != replay.balances.get(at, ZERO):
            account, asset = at
            replay.find(
                f"balance of {account} in {asset}",
                f"it is {plain(stated.get(at, ZERO))}, the postings sum to {plain(replay.balances.get(at, ZERO))}",
            )


def _check_lots(
    replay: _Replay, connection: Connection, account_id: int, transaction_ids: Mapping[int, int]
) -> None:
    rows = connection.execute(select(lots).where(lots.c.account_id == account_id).order_by(lots.c.id)).all()
    if len(rows) != len(replay.lot_order):
        replay.find("lots", f"there are {len(rows)}, the chain makes {len(replay.lot_order)}")
    numbers: dict[int, int] = {}
    for row, lot in zip(rows, replay.lot_order, strict=False):
        assert lot.id is not None
        numbers[lot.id] = row.id
        for name in (
            "account",
            "asset",
            "acquired_at",
            "quantity",
            "cost",
            "open_quantity",
            "open_cost",
            "hifo_rank",
        ):
            if getattr(row, name) != getattr(lot, name):
                replay.find(
                    f"lot {row.id} ({row.account} {row.asset})",
                    f"its {name} is {_shown(getattr(row, name))}, the chain makes it {_shown(getattr(lot, name))}",
                )
        if row.transaction_id != transaction_ids[lot.sequence]:
            replay.find(f"lot {row.id} ({row.account} {row.asset})", "it belongs to another transaction")
        if bool(row.is_open) != bool(lot.open_quantity):
            replay.find(f"lot {row.id} ({row.account} {row.asset})", "it is wrongly marked open or closed")
    found = connection.execute(
        select(disposals)
        .join(lots, lots.c.id == disposals.c.lot_id)
        .where(lots.c.account_id == account_id)
        .order_by(disposals.c.id)
    ).all()
    if len(found) != len(replay.lots.disposals):
        replay.find("disposals", f"there are {len(found)}, the chain makes {len(replay.lots.disposals)}")
    for row, disposal in zip(found, replay.lots.disposals, strict=False):
        entry = f"disposal {row.id}"
        if row.lot_id != numbers.get(disposal.lot.id or 0):
            replay.find(entry, "it is of another lot than the chain makes it")
        if row.transaction_id != transaction_ids[disposal.sequence]:
            replay.find(entry, "it belongs to another transaction")
        for name in ("acquired_at", "disposed_at", "quantity", "proceeds", "cost", "fee", "gain", "days_held"):
            if getattr(row, name) != getattr(disposal, name):
                replay.find(
                    entry,
                    f"its {name} is {_shown(getattr(row, name))}, "
                    f"the chain makes it {_shown(getattr(disposal, name))}",
                )
    for (account, asset), amount in sorted(replay.balances.items()):
        if is_unit(asset) or not account.startswith(WITH_LOTS):
            continue
        held = replay.lots.quantity(account, asset)
        if held and held != amount:
            replay.find(f"lots of {account} in {asset}", f"they hold {plain(held)}, the account {plain(amount)}")


def _check_positions(replay: _Replay, connection: Connection, account_id: int) -> None:
    # All but those of other accounts: whose index nobody has is a finding too.
    others = select(indices.c.id).where(indices.c.account_id != account_id)
    query = select(positions).where(positions.c.index_id.not_in(others)).order_by(positions.c.id)
    for row in connection.execute(query):
        account, unit = f"position:{row.id}", f"unit:{row.index_id}"
        if row.seal != position_seal(row.index_id, row.holder_id, row.opened_at):
            replay.find(f"position {row.id}", "whose it is does not match its seal")
        for name, made in (
            ("units", replay.lots.quantity(account, unit)),
            ("cost", replay.lots.cost(account, unit)),
        ):
            if getattr(row, name) != made:
                replay.find(
                    f"position {row.id}",
                    f"its {name} is {plain(getattr(row, name))}, the chain makes it {plain(made)}",
                )


def _shown(value: object) -> str:
    return plain(value) if isinstance(value, Decimal) else str(value)
