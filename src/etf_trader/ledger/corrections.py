"""What corrects the books, as transactions: a difference that a person books, a fill found late. Pure."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from etf_trader.ledger import accounts
from etf_trader.ledger.fill import Fill, Part
from etf_trader.ledger.parties import Parties
from etf_trader.ledger.transaction import LotAction, LotMove, Posting, Transaction, merged, transfer
from etf_trader.money import ZERO, plain, share_down
from etf_trader.orders.asset_order import AssetOrder, quote_of

CAME_IN = ("deposit", "airdrop", "opening")
WENT_OUT = ("withdrawal", "dust")
"""What a person may call a difference: the venue holds more than the books, or less."""


def difference_key(number: int) -> str:
    """Return the ledger's key of a difference that a person booked."""
    return f"difference:{number}"


def difference_facts(row: Any) -> dict[str, Any]:
    """Return what the chain keeps of a booked difference: what was known, who said what it was, and why."""
    return {
        "difference": row.difference,
        "venue": row.venue_quantity,
        "books": row.books_quantity,
        "explanation": row.explanation,
        "found_at": row.found_at,
        "operator": row.operator,
        "reason": row.reason,
    }


def difference_booking(
    number: int,
    holder: str,
    asset: str,
    amount: Decimal,
    booked_as: str,
    facts: Mapping[str, Any],
    *,
    at: datetime,
) -> Transaction:
    """What the venue holds beyond the books (`amount` < 0: lacks) becomes, or leaves, a holder's treasury.

    Args:
        facts: Who said so, and why.
    """
    return Transaction(
        key=difference_key(number),
        kind=booked_as,
        at=at,
        narration=f"difference {number} booked as {booked_as}: {plain(amount)} {asset} for {holder}",
        postings=tuple(transfer(accounts.capital(holder), accounts.treasury(holder), asset, amount)),
        facts=facts,
    )


def late_parts(order: AssetOrder, allotted: Mapping[int, Decimal], fill: Fill) -> list[Part] | None:
    """Return whose parts a fill is that came after the others; None when it is more than the order was for.

    Who has a share left is served in order of the shares. The last takes what is left of the fee.

    Args:
        allotted: What each index order has of the order's other fills, in base.
    """
    left, fee_left = fill.quantity, fill.fee
    parts: list[Part] = []
    grid = Decimal(1).scaleb(min(int(fill.fee.as_tuple().exponent), 0))
    for share in order.shares:
        owner = share.index_order_id
        taken = min(left, share.quantity - allotted.get(owner, ZERO))
        if taken <= 0:
            continue
        left -= taken
        fee = fee_left if not left else share_down(fill.fee, taken, fill.quantity, grid)
        fee_left -= fee
        parts.append(Part(owner, taken, fill.price * taken, fee))
    return None if left else parts


def lacking(booking: Transaction, account: str, held: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Return what `account`, holding `held`, lacks of each asset for a transaction."""
    moved: dict[str, Decimal] = {}
    for posting in booking.postings:
        if posting.account == account:
            moved[posting.asset] = moved.get(posting.asset, ZERO) + posting.amount
    after = {asset: held.get(asset, ZERO) + amount for asset, amount in moved.items()}
    return {asset: -amount for asset, amount in after.items() if amount < 0}


def recall(
    parties: Parties, fill: Fill, part: Part, amounts: Mapping[str, Decimal], asset: str, *, at: datetime
) -> Transaction:
    """What a fill found late took comes back out of its holder's treasury: the order has given it back already.

    A coin that is recalled enters the order's lots at what the fill brought for it.
    """
    lines: list[Posting] = []
    moves: list[LotMove] = []
    for name, amount in sorted(amounts.items()):
        lines += transfer(accounts.treasury(parties.holder), parties.order, name, amount)
        if name == asset and asset not in parties.rates:
            worth = amount * fill.price * parties.rate(quote_of(fill.symbol, asset))
            moves.append(LotMove(LotAction.ACQUIRE, parties.order, asset, amount, worth))
    return Transaction(
        key=f"recall:{part.index_order_id}:{fill.key}",
        kind="recall",
        at=at,
        narration=f"order {parties.order_id}: for trade {fill.trade_id} of {fill.symbol}, which was found late",
        postings=merged(lines),
        lot_moves=tuple(moves),
        facts={"fill": fill.key},
        index_order_id=parties.order_id,
    )
