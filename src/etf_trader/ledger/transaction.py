"""A balanced set of postings, with the facts that made it true and the lots it moves."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from json.encoder import encode_basestring as quoted
from typing import Any

from etf_trader.money import ZERO, plain
from etf_trader.seal import canonical, spelled_time


@dataclass(frozen=True, slots=True)
class Posting:
    """`amount` of `asset` into an account (negative: out of it)."""

    account: str
    asset: str
    amount: Decimal


class LotAction(StrEnum):
    """What happens to lots."""

    ACQUIRE = "acquire"
    DISPOSE = "dispose"
    MOVE = "move"
    CARRY = "carry"
    ADJUST = "adjust"
    SWAP = "swap"


@dataclass(frozen=True, slots=True)
class LotMove:
    """One change to the lots of (account, asset).

    acquire: `quantity` at cost `amount`; dispose: `quantity` for proceeds `amount`,
    net of `fee`; move: `quantity` with its cost to `target`, where it is one lot that
    begins then; carry: the same, and its lots stay as old as they are; adjust: `amount`
    more cost on the newest open lot; swap: `quantity` becomes `amount` of the asset
    `target` in the same account, its lots with their age and cost. `method` chooses which lots go first.
    """

    action: LotAction
    account: str
    asset: str
    quantity: Decimal
    amount: Decimal = ZERO
    fee: Decimal = ZERO
    target: str = ""
    method: str = "fifo"

    def as_list(self) -> list[Any]:
        """Return the move as canonical values, for the evidence."""
        return [
            str(self.action),
            self.account,
            self.asset,
            self.quantity,
            self.amount,
            self.fee,
            self.target,
            self.method,
        ]

    @classmethod
    def from_list(cls, values: list[str]) -> "LotMove":
        """Read a move back from the evidence."""
        action, account, asset, quantity, amount, fee, target, method = values
        return cls(
            LotAction(action), account, asset, Decimal(quantity), Decimal(amount), Decimal(fee), target, method
        )


@dataclass(frozen=True, slots=True)
class Transaction:
    """Something that happened to the books, once: `key` is its identity within the account's chain."""

    key: str
    kind: str
    at: datetime
    narration: str
    postings: tuple[Posting, ...]
    lot_moves: tuple[LotMove, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    index_order_id: int | None = None

    def residual(self) -> dict[str, Decimal]:
        """Return, by asset, what keeps the postings from summing to zero."""
        sums: dict[str, Decimal] = {}
        for posting in self.postings:
            sums[posting.asset] = sums.get(posting.asset, ZERO) + posting.amount
        return {asset: amount for asset, amount in sums.items() if amount}

    def evidence(self) -> str:
        """Return facts and lot moves as canonical JSON."""
        return canonical({"facts": self.facts, "lots": [move.as_list() for move in self.lot_moves]})


def sold(
    giver: str, taker: str, asset: str, quantity: Decimal, value: Decimal, method: str = "fifo"
) -> list[LotMove]:
    """Return what one account of ours sells another at `value`: disposed of here, a lot that begins there."""
    return [
        LotMove(LotAction.DISPOSE, giver, asset, quantity, value, method=method),
        LotMove(LotAction.ACQUIRE, taker, asset, quantity, value),
    ]


def merged(postings: list[Posting]) -> tuple[Posting, ...]:
    """Return one posting an account and asset, in order of first appearance, zeros left out."""
    sums: dict[tuple[str, str], Decimal] = {}
    for posting in postings:
        at = (posting.account, posting.asset)
        sums[at] = sums.get(at, ZERO) + posting.amount
    return tuple(Posting(account, asset, amount) for (account, asset), amount in sums.items() if amount)


def transfer(source: str, target: str, asset: str, amount: Decimal) -> list[Posting]:
    """Return the two postings that move `amount` from `source` to `target`."""
    return [Posting(source, asset, -amount), Posting(target, asset, amount)]


def chain_hash(
    *,
    account_id: int,
    sequence: int,
    key: str,
    kind: str,
    at: datetime,
    index_order_id: int | None,
    narration: str,
    evidence: str,
    postings: list[Posting],
    previous: str,
) -> str:
    """Return the hash of a transaction in its place in the chain, over canonical versioned text.

    The text is what `canonical` makes of these facts, put together here: books are made of it.
    """
    moved = ",".join(
        [f'[{quoted(posting.account)},{quoted(posting.asset)},"{plain(posting.amount)}"]' for posting in postings]
    )
    order = "null" if index_order_id is None else index_order_id
    text = (
        f'{{"account":{account_id},"at":"{spelled_time(at)}","evidence":{quoted(evidence)},"key":{quoted(key)},'
        f'"kind":{quoted(kind)},"narration":{quoted(narration)},"order":{order},"postings":[{moved}],'
        f'"previous":{quoted(previous)},"sequence":{sequence}}}'
    )
    return hashlib.sha256(f"etf.chain/1\n{text}".encode()).hexdigest()
