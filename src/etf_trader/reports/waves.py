"""What the waves of a rebalance did: what was held before and after each, and the loss of its fills."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, select

from etf_trader.execution.batch import WAVE
from etf_trader.execution.fees_in_kind import basket_due
from etf_trader.execution.loss import fill_loss
from etf_trader.execution.rebalance_state import assets_done
from etf_trader.execution.state import fills_with_orders
from etf_trader.execution.wave_settlement import mids_of
from etf_trader.index.store import Basket, baskets_of
from etf_trader.ledger.fill import Fill
from etf_trader.ledger.late import late_keys
from etf_trader.ledger.tables import transactions
from etf_trader.money import ONE, ZERO
from etf_trader.orders.asset_order import AssetOrder
from etf_trader.orders.plan import LossParts, total_loss
from etf_trader.orders.rebalance_order import RebalanceOrder
from etf_trader.orders.store import StoredPlan, asset_orders_of_plan, plans_of

Mids = Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Held:
    """What all units of an index hold: in base by asset, cash in the quote."""

    quantities: Mapping[str, Decimal]
    cash: Decimal

    def of(self, asset: str) -> Decimal:
        """Return what is held of an asset."""
        return self.quantities.get(asset, ZERO)

    def value(self, mids: Mids) -> Decimal:
        """Return what it is worth, in quote; what never had a price counts as nothing."""
        worth = (quantity * mids.get(asset, ZERO) for asset, quantity in self.quantities.items())
        return sum(worth, self.cash)

    def less(self, other: "Held") -> "Held":
        """Return by how much it is more than `other`."""
        assets = self.quantities.keys() | other.quantities.keys()
        return Held({asset: self.of(asset) - other.of(asset) for asset in assets}, self.cash - other.cash)


NOTHING = Held({}, ZERO)


@dataclass(frozen=True, slots=True)
class Settled:
    """How a wave ended: the version of the basket that it made, and what its grid left to the float."""

    basket: int
    left: Held


@dataclass(frozen=True, slots=True)
class Played:
    """One wave. `came` is what the index had gained since the wave before, for units bought or sold meanwhile.

    `mids` are those it was planned by; of what had no price then, the last before. `settled` is None while
    it is under way; `done` are the assets that traded all that they were to.
    """

    number: int
    plan: StoredPlan
    mids: Mids
    came: Held
    before: Held
    basket_before: Basket
    sent: Sequence[AssetOrder]
    pairs: Sequence[tuple[Fill, AssetOrder]]
    settled: Settled | None
    basket: Basket | None
    done: frozenset[str]

    @property
    def left(self) -> Held:
        """What the float got, as baskets have a grid."""
        return NOTHING if self.settled is None else self.settled.left

    @property
    def after(self) -> Held:
        """What was held afterwards: units x the basket it made; while it is under way, what its fills leave."""
        return _filled(self.before, self.pairs) if self.basket is None else held_by(self.basket, self.plan.units)

    @property
    def planned_cost(self) -> Decimal:
        """What the legs that it sent were to cost."""
        legs = json.loads(self.plan.document)["legs"]
        return sum((Decimal(leg["cost"]) for leg in legs if leg["wave"] == 1), ZERO)

    @property
    def rounding(self) -> dict[str, Decimal]:
        """What the float got, in quote at the mids of the wave, by asset; cash apart."""
        return {asset: quantity * self.mids.get(asset, ZERO) for asset, quantity in self.left.quantities.items()}

    @property
    def nav_per_unit_after(self) -> Decimal | None:
        """NAV per unit of the basket it made, at its own mids."""
        return None if self.basket is None else held_by(self.basket, ONE).value(self.mids)

    def loss(self, arrival: Mids) -> LossParts:
        """Return the loss of its fills against `arrival`, and what the float got."""
        rounding = sum(self.rounding.values(), self.left.cash)
        fills = [fill_loss(fill, order.intent, arrival) for fill, order in self.pairs]
        return total_loss([*fills, LossParts(ZERO, ZERO, ZERO, ZERO, rounding)])


def held_by(basket: Basket, units: Decimal) -> Held:
    """Return what `units` units hold."""
    quantities = {asset: quantity * units for asset, quantity in basket.quantities.items()}
    return Held(quantities, basket.cash_per_unit * units)


def arrival_of(order: RebalanceOrder, played: Sequence[Played]) -> dict[str, Decimal]:
    """Return the mids at acceptance; of what was not held or wanted then, the first that was read."""
    found: dict[str, Decimal] = {}
    for wave in reversed(played):
        found |= wave.mids
    return found | dict(order.arrival)


def start_of(connection: Connection, order: RebalanceOrder) -> Basket:
    """Return the basket that a rebalance was accepted on.

    Until its first wave has taken the fee this basket is not written yet: it is
    the one that was due at acceptance.
    """
    end = order.ended_at
    baskets = baskets_of(connection, order.index_id)
    known = {each.version: each for each in baskets if end is None or each.effective_at <= end}
    if (found := known.get(order.request.basket)) is not None:
        return found
    if end is not None:  # it ended before a wave: the fee was taken later, if at all
        return known[max(known)]
    return basket_due(connection, order.account_id, order.index_id, order.accepted_at)


def waves_played(connection: Connection, order: RebalanceOrder) -> list[Played]:
    """Read the waves of a rebalance, in order; a fill that was found later is of none of them."""
    baskets = baskets_of(connection, order.index_id)
    by_id, by_version = ({getattr(each, key): each for each in baskets} for key in ("id", "version"))
    settled = _settlements(connection, order.id)
    pairs = fills_with_orders(connection, order.id)
    late = late_keys(connection, {sent.id for _, sent in pairs})
    pairs = [pair for pair in pairs if pair[0].key not in late]
    held = held_by(start_of(connection, order), order.request.units)
    mids: dict[str, Decimal] = dict(order.arrival)
    found: list[Played] = []
    for plan in plans_of(connection, order.id):
        if plan.purpose != WAVE:
            continue
        sent = asset_orders_of_plan(connection, plan.id)
        numbers = {each.id for each in sent}
        end = settled.get(plan.id)
        own = by_id[plan.basket_id]
        before = held_by(own, plan.units)
        mids = mids | dict(mids_of(plan))
        wave = Played(
            number=len(found) + 1,
            plan=plan,
            mids=mids,
            came=before.less(held),
            before=before,
            basket_before=own,
            sent=sent,
            pairs=[pair for pair in pairs if pair[1].id in numbers],
            settled=end,
            basket=None if end is None else by_version[end.basket],
            done=assets_done(connection, plan, sent),
        )
        held = wave.after
        found.append(wave)
    return found


def _settlements(connection: Connection, order_id: int) -> dict[int, Settled]:
    """Return how the waves of a rebalance ended, by plan, from the evidence of what was booked."""
    query = select(transactions.c.evidence).where(
        transactions.c.index_order_id == order_id, transactions.c.kind == "basket"
    )
    found: dict[int, Settled] = {}
    for evidence in connection.scalars(query.order_by(transactions.c.id)):
        facts: dict[str, Any] = json.loads(evidence)["facts"]
        if "plan" not in facts:
            continue  # nobody held units: the basket was written anew, and nothing traded
        left = {asset: Decimal(quantity) for asset, quantity in facts["left"].items()}
        made = Settled(facts["basket"], Held(left, Decimal(facts["cash_left"])))
        found.setdefault(facts["plan"], made)  # a fill that was found later makes another basket
    return found


def _filled(before: Held, pairs: Sequence[tuple[Fill, AssetOrder]]) -> Held:
    """Return what is held after fills, fees taken off."""
    quantities, cash = dict(before.quantities), before.cash
    for fill, order in pairs:
        asset, sign = order.intent.asset, fill.side.sign
        in_kind = fill.fee_value is None and fill.fee_asset == asset
        quantities[asset] = quantities.get(asset, ZERO) + sign * fill.quantity - (fill.fee if in_kind else ZERO)
        cash -= sign * fill.value + (ZERO if in_kind else fill.fee if fill.fee_value is None else fill.fee_value)
    return Held(quantities, cash)
