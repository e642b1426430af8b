"""What is done to the holdings of an index between rebalances, as balanced transactions. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from etf_trader.ledger import accounts
from etf_trader.ledger.transaction import LotAction, LotMove, Posting, Transaction, merged, sold, transfer
from etf_trader.money import ZERO, plain


@dataclass(frozen=True, slots=True)
class Term:
    """From when until when a fee was taken, and the charge for it, in basis points x microseconds."""

    start: datetime
    end: datetime
    charge: Decimal


def fee_accrual(
    index_id: int,
    quote: str,
    lot_method: str,
    version: int,
    taken: Mapping[str, Decimal],
    units: Decimal,
    term: Term,
) -> Transaction:
    """The management fee leaves the index in kind, and its basket is smaller by it.

    Args:
        index_id: The index.
        quote: Its quote, of which no lots are kept.
        lot_method: Which lots leave first. What is payable is one lot an asset, but of a "hifo" index.
        version: The number of the basket that is left.
        taken: Of one unit, by asset.
        units: How many are outstanding.
        term: What it is taken for.
    """
    source, target = accounts.index(index_id), accounts.fee_payable(index_id)
    lines: list[Posting] = []
    moves: list[LotMove] = []
    for asset, quantity in sorted(taken.items()):
        lines += transfer(source, target, asset, quantity * units)
        if asset != quote:
            method = "hifo" if lot_method == "hifo" else "average"
            moves.append(LotMove(LotAction.MOVE, source, asset, quantity * units, target=target, method=method))
    return Transaction(
        key=f"fee:{index_id}:{version}",
        kind="fee",
        at=term.end,
        narration=f"management fee of index {index_id}, basket {version}",
        postings=merged(lines),
        lot_moves=tuple(moves),
        facts={
            "index": index_id,
            "basket": version,
            "from": term.start,
            "until": term.end,
            "charge": term.charge,
            "units": units,
            "taken": taken,
        },
    )


def fee_payment(
    holder: str,
    index_id: int,
    quote: str,
    bought: Mapping[str, Decimal],
    mids: Mapping[str, Decimal],
    cash: Decimal,
    *,
    key: str,
    at: datetime,
) -> Transaction:
    """The float buys what of a fee is payable, at mid; that cash, and what is payable in cash, go to the owner."""
    source, target, treasury = (
        accounts.fee_payable(index_id),
        accounts.index_float(index_id),
        accounts.treasury(holder),
    )
    lines = transfer(source, treasury, quote, cash)
    moves: list[LotMove] = []
    for asset, quantity in sorted(bought.items()):
        value = quantity * mids[asset]
        lines += transfer(source, target, asset, quantity) + transfer(target, treasury, quote, value)
        moves += sold(source, target, asset, quantity, value)
    return Transaction(
        key=key,
        kind="fee_payment",
        at=at,
        narration=f"management fee of index {index_id} paid out to {holder}",
        postings=merged(lines),
        lot_moves=tuple(moves),
        facts={"bought": bought, "mids": mids, "cash": cash},
    )


@dataclass(frozen=True, slots=True)
class SwapPart:
    """What one account has of the coin that ends, and what it gets of its successor."""

    account: str
    quantity: Decimal
    received: Decimal
    has_lots: bool = True


def swap(
    key: str,
    old: str,
    new: str,
    ratio: Decimal,
    parts: Sequence[SwapPart],
    facts: Mapping[str, object],
    *,
    remainder: tuple[str, str, Decimal] = ("", "", ZERO),
    at: datetime,
) -> Transaction:
    """A coin becomes its successor, with its lots: when they were acquired and what they cost stays.

    Args:
        key: What makes it unique.
        old: The coin that ends.
        new: Its successor.
        ratio: How much of that one of the old coin is.
        parts: Whose holdings become what.
        facts: What else is to be kept; `index` and `basket` put the basket in force.
        remainder: From which account to which so much of the successor goes that a basket's grid cannot hold.
        at: When.
    """
    lines: list[Posting] = []
    moves: list[LotMove] = []
    for part in parts:
        lines += transfer(part.account, accounts.SWAPPED, old, part.quantity)
        lines += transfer(accounts.SWAPPED, part.account, new, part.received)
        if part.has_lots and part.received:
            moves.append(LotMove(LotAction.SWAP, part.account, old, part.quantity, part.received, target=new))
        elif part.has_lots and part.quantity:  # less than the venue counts
            moves.append(LotMove(LotAction.DISPOSE, part.account, old, part.quantity))
    source, target, left = remainder
    if left:
        lines += transfer(source, target, new, left)
        moves.append(LotMove(LotAction.CARRY, source, new, left, target=target))
    return Transaction(
        key=key,
        kind="swap",
        at=at,
        narration=f"{old} became {new}, {plain(ratio)} for one",
        postings=merged(lines),
        lot_moves=tuple(moves),
        facts={"from": old, "to": new, "ratio": ratio, **facts},
    )
