"""Movements that change what a unit holds, as balanced transactions. Pure.

A transaction that puts a basket in force names it in its facts, as `index` and
`basket` (its version): from there on the index holds units x that basket, and
the audit follows it. A wave of a rebalance takes out what it sells, and the
cash, first; while it is under way the index's own account and what is out of it
are the basket together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from etf_trader.ledger.lots import asset_method
from etf_trader.ledger.parties import Parties
from etf_trader.ledger.transaction import LotAction, LotMove, Posting, Transaction, merged, sold, transfer
from etf_trader.money import BASKET_GRID, ZERO, divide_down

WAVE = "wave"
"""The kind of a transaction that takes out of an index what a wave of its rebalance trades."""


@dataclass(frozen=True, slots=True)
class PerUnit:
    """What a unit holds of all that is held: rounded down on the basket's grid, and what that leaves over.

    `dust` is what the float has bought before of assets that have left, in base.
    """

    quantities: Mapping[str, Decimal]
    cash: Decimal
    left: Mapping[str, Decimal]
    cash_left: Decimal
    dust: Mapping[str, Decimal] = field(default_factory=dict)


def per_unit(held: Mapping[str, Decimal], cash: Decimal, units: Decimal) -> PerUnit:
    """Return the basket of `units` units that hold this together, and what its grid leaves over."""
    quantities = {asset: divide_down(quantity, units, BASKET_GRID) for asset, quantity in sorted(held.items())}
    cash_per_unit = divide_down(cash, units, BASKET_GRID)
    left = {asset: held[asset] - quantity * units for asset, quantity in quantities.items()}
    return PerUnit(
        {asset: quantity for asset, quantity in quantities.items() if quantity},
        cash_per_unit,
        {asset: quantity for asset, quantity in left.items() if quantity},
        cash - cash_per_unit * units,
    )


def dust(
    left: Mapping[str, Decimal], mids: Mapping[str, Decimal], least: Mapping[str, Decimal], free: Decimal
) -> dict[str, Decimal]:
    """Return what the float buys of coins that were to leave: what is too little to be sold, in base by asset.

    It would stay in every unit otherwise. The smallest come first, as far as the float can pay.

    Args:
        left: What is left of them, in base.
        mids: In quote per base, of all of them.
        least: The value of the least order in each, in quote.
        free: The cash of the float.
    """
    found = {}
    for asset in sorted(left, key=lambda asset: (left[asset] * mids[asset], asset)):
        value = left[asset] * mids[asset]
        if 0 < value < least[asset] and value <= free:
            found[asset] = left[asset]
            free -= value
    return found


def wave(
    parties: Parties, plan_id: int, taken: Mapping[str, Decimal], cash: Decimal, *, at: datetime, late: str = ""
) -> Transaction:
    """What a wave is about to sell, and all cash, leave the index for the rebalance.

    Args:
        late: The key of a fill of this wave that was found after it had been settled: what that took leaves now.
    """
    lines: list[Posting] = []
    moves: list[LotMove] = []
    for asset, quantity in sorted(taken.items()):
        lines += transfer(parties.index, parties.order, asset, quantity)
        if quantity:
            method = asset_method(parties.lot_method)
            moves.append(
                LotMove(LotAction.CARRY, parties.index, asset, quantity, target=parties.order, method=method)
            )
    lines += transfer(parties.index, parties.order, parties.quote, cash)
    return Transaction(
        key=f"wave:{plan_id}:{late}" if late else f"wave:{plan_id}",
        kind=WAVE,
        at=at,
        narration=f"rebalance {parties.order_id} takes out what it trades",
        postings=merged(lines),
        lot_moves=tuple(moves),
        facts={"plan": plan_id, "index": parties.index_id, "taken": taken, "cash": cash},
        index_order_id=parties.order_id,
    )


def wave_settlement(
    parties: Parties,
    plan_id: int,
    back: Mapping[str, Decimal],
    cash: Decimal,
    basket: PerUnit,
    version: int,
    mids: Mapping[str, Decimal],
    *,
    at: datetime,
) -> Transaction:
    """What a wave has goes back to the index and makes its new basket; what the grid leaves over is the float's.

    Dust is the float's as well, which pays for it: at `mids`, so that nobody gains or loses by it.

    Args:
        back: What the rebalance holds of each asset.
        cash: What it holds in the quote.
        basket: Of everything that the index holds with it.
        version: The number of that basket.
        mids: By which the wave was planned, in quote per base: what the float gets enters its lots at these.
    """
    lines: list[Posting] = []
    moves: list[LotMove] = []
    for asset, quantity in sorted(back.items()):
        lines += transfer(parties.order, parties.index, asset, quantity)
        if quantity:
            moves.append(LotMove(LotAction.CARRY, parties.order, asset, quantity, target=parties.index))
    lines += transfer(parties.order, parties.index, parties.quote, cash)
    for asset, quantity in (*basket.left.items(), *basket.dust.items()):
        lines += transfer(parties.index, parties.float, asset, quantity)
        value = quantity * mids[asset] if asset in mids else ZERO
        method = asset_method(parties.lot_method)
        moves += sold(parties.index, parties.float, asset, quantity, value, method)
    lines += transfer(parties.index, parties.float, parties.quote, basket.cash_left)
    for asset, quantity in basket.dust.items():
        lines += transfer(parties.float, parties.index, parties.quote, quantity * mids[asset])
    return Transaction(
        key=f"basket:{parties.index_id}:{version}",
        kind="basket",
        at=at,
        narration=f"rebalance {parties.order_id}: basket {version} of index {parties.index_id} is what is held",
        postings=merged(lines),
        lot_moves=tuple(moves),
        facts=_facts(plan_id, parties.index_id, version, basket, mids),
        index_order_id=parties.order_id,
    )


def reweighing(
    index_id: int, order_id: int, version: int, quantities: Mapping[str, Decimal], cash: Decimal, *, at: datetime
) -> Transaction:
    """Another basket for an index that has no units: nothing moves."""
    return Transaction(
        key=f"basket:{index_id}:{version}",
        kind="basket",
        at=at,
        narration=f"rebalance {order_id}: basket {version} of index {index_id}, which has no units",
        postings=(),
        facts={"index": index_id, "basket": version, "quantities": quantities, "cash": cash},
        index_order_id=order_id,
    )


def _facts(
    plan_id: int, index_id: int, version: int, basket: PerUnit, mids: Mapping[str, Decimal]
) -> dict[str, Any]:
    return {
        "plan": plan_id,
        "index": index_id,
        "basket": version,
        "left": basket.left,
        "cash_left": basket.cash_left,
        "dust": basket.dust,
        "mids": mids,
    }


def rounding_of(basket: PerUnit, mids: Mapping[str, Decimal]) -> Decimal:
    """Return what the float gets for nothing as baskets have a grid, in quote: less than a step a unit and asset.

    Raises:
        KeyError: an asset of which something is left has no mid.
    """
    return sum((quantity * mids[asset] for asset, quantity in basket.left.items()), basket.cash_left)
