"""What the waves of a rebalance did: what was held before and after each, and the loss of its fills.

A fill that was found after its wave had been settled is told apart, in a line
of its own: it changed what is held when it was found, by a basket of then.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, select

from etf_trader.execution.batch import WAVE
from etf_trader.execution.fees_in_kind import basket_due
from etf_trader.execution.loss import fill_loss
from etf_trader.execution.rebalance_state import assets_done
from etf_trader.execution.state import fills_with_orders
from etf_trader.execution.wave_settlement import mids_of
from etf_trader.index.store import Basket, basket_at, basket_of_version, baskets_by_id, baskets_by_version
from etf_trader.ledger import accounts
from etf_trader.ledger.baskets import WAVE as TAKEN_OUT
from etf_trader.ledger.fill import Fill
from etf_trader.ledger.tables import postings, transactions
from etf_trader.money import ZERO
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
    """What came back to the index at `at`: which basket it made, by version, and what its grid left to the float.

    `dust` is what the float bought at mid of coins that had left, in base by asset.

    `late` is the key of the fill that was found only then; empty: the wave itself was settled.
    """

    transaction: int
    plan: int
    at: datetime
    basket: int
    left: Held
    dust: Mapping[str, Decimal]
    late: str


@dataclass(frozen=True, slots=True)
class Played:
    """One wave, or a fill of it that was found late (`is_late`). Quantities are those of `units` units.

    `came` is what the index had gained since the one before, for units bought or sold meanwhile. `mids` are
    those the wave was planned by; of what had no price then, the last before. `settled` is None while
    it is under way; `done` are the assets that traded all that they were to.
    """

    number: int
    plan: StoredPlan
    units: Decimal
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
    def is_late(self) -> bool:
        """Whether it is a fill that was found after its wave had been settled."""
        return self.settled is not None and bool(self.settled.late)

    @property
    def left(self) -> Held:
        """What the float got, as baskets have a grid."""
        return NOTHING if self.settled is None else self.settled.left

    def to_float(self, asset: str) -> Decimal:
        """Return what the float got of an asset: what baskets have no grid for, and dust that it paid for."""
        dust = ZERO if self.settled is None else self.settled.dust.get(asset, ZERO)
        return self.left.of(asset) + dust

    @property
    def after(self) -> Held:
        """What was held afterwards: units x the basket it made; while it is under way, what its fills leave."""
        return _filled(self.before, self.pairs) if self.basket is None else held_by(self.basket, self.units)

    @property
    def planned_cost(self) -> Decimal:
        """What the legs that it sent were to cost."""
        if self.is_late:
            return ZERO
        legs = json.loads(self.plan.document)["legs"]
        return sum((Decimal(leg["cost"]) for leg in legs if leg["wave"] == 1), ZERO)

    @property
    def rounding(self) -> dict[str, Decimal]:
        """What the float got, in quote at the mids of the wave, by asset; cash apart."""
        return {asset: quantity * self.mids.get(asset, ZERO) for asset, quantity in self.left.quantities.items()}

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
    end, version = order.ended_at, order.request.basket
    found = baskets_by_version(connection, order.index_id, [version]).get(version)
    if found is not None and (end is None or found.effective_at <= end):
        return found
    if end is not None:  # it ended before a wave: the fee was taken later, if at all
        return basket_at(connection, order.index_id, end)
    return basket_due(connection, order.account_id, order.index_id, order.accepted_at)


def waves_played(connection: Connection, order: RebalanceOrder, start: Basket) -> list[Played]:
    """Read the waves of a rebalance, and the fills of them that were found late, in the order of their baskets.

    Args:
        order: The rebalance.
        start: The basket that it was accepted on.
    """
    ends = _settlements(connection, order.id)
    versions = {each for end in ends for each in (end.basket - 1, end.basket)}
    made = baskets_by_version(connection, order.index_id, versions)
    pairs = fills_with_orders(connection, order.id)
    late = {end.late for end in ends}
    in_time = [pair for pair in pairs if pair[0].key not in late]
    waves = _waves(connection, order, {end.plan: end for end in ends if not end.late}, made, in_time)
    found_late = [_found_late(connection, waves[end.plan], end, made, pairs) for end in ends if end.late]
    return _in_order([*waves.values(), *found_late], held_by(start, order.request.units))


def _found_late(
    connection: Connection,
    wave: Played,
    end: Settled,
    made: Mapping[int, Basket],
    pairs: Sequence[tuple[Fill, AssetOrder]],
) -> Played:
    """Return what a fill did to an index whose wave had been settled without it."""
    units, before = _units_before(connection, wave.basket_before.index_id, end), made[end.basket - 1]
    return replace(
        wave,
        units=units,
        before=held_by(before, units),
        basket_before=before,
        sent=(),
        pairs=[pair for pair in pairs if pair[0].key == end.late],
        settled=end,
        basket=made[end.basket],
        done=frozenset(),
    )


def _waves(
    connection: Connection,
    order: RebalanceOrder,
    settled: Mapping[int, Settled],
    made: Mapping[int, Basket],
    pairs: Sequence[tuple[Fill, AssetOrder]],
) -> dict[int, Played]:
    """Return the waves by plan, oldest first, without what came between them."""
    plans = [plan for plan in plans_of(connection, order.id) if plan.purpose == WAVE]
    baskets = baskets_by_id(connection, {plan.basket_id for plan in plans})
    mids: dict[str, Decimal] = dict(order.arrival)
    found: dict[int, Played] = {}
    for plan in plans:
        sent = asset_orders_of_plan(connection, plan.id)
        numbers, end = {each.id for each in sent}, settled.get(plan.id)
        mids = mids | dict(mids_of(plan))
        found[plan.id] = Played(
            number=len(found) + 1,
            plan=plan,
            units=plan.units,
            mids=mids,
            came=NOTHING,
            before=held_by(baskets[plan.basket_id], plan.units),
            basket_before=baskets[plan.basket_id],
            sent=sent,
            pairs=[pair for pair in pairs if pair[1].id in numbers],
            settled=end,
            basket=None if end is None else made[end.basket],
            done=assets_done(connection, plan, sent),
        )
    return found


def _in_order(played: Sequence[Played], held: Held) -> list[Played]:
    """Return what was played in the order of the baskets it made, each with what had come since the one before."""
    found = []
    for each in sorted(played, key=lambda each: math.inf if each.basket is None else each.basket.version):
        found.append(replace(each, came=each.before.less(held)))
        held = each.after
    return found


def written_anew(connection: Connection, order: RebalanceOrder) -> Basket | None:
    """Return the basket that a rebalance wrote of an index that nobody held; None: it wrote none."""
    booked = [facts for _, facts in _booked(connection, order.id) if "plan" not in facts]
    return basket_of_version(connection, order.index_id, booked[-1]["basket"]) if booked else None


def _settlements(connection: Connection, order_id: int) -> list[Settled]:
    """Return what the waves of a rebalance brought back to its index, in order."""
    found, late = [], ""
    for row, facts in _booked(connection, order_id):
        if row.kind == TAKEN_OUT:  # wave:PLAN, and the key of a fill that was found late
            late = ":".join(row.key.split(":")[2:])
        elif "plan" in facts:
            left = {asset: Decimal(quantity) for asset, quantity in facts["left"].items()}
            of_float = Held(left, Decimal(facts["cash_left"]))
            dust = {asset: Decimal(quantity) for asset, quantity in facts["dust"].items()}
            found.append(Settled(row.id, facts["plan"], row.at, facts["basket"], of_float, dust, late))
    return found


def _booked(connection: Connection, order_id: int) -> list[tuple[Row[Any], dict[str, Any]]]:
    """Return what a rebalance took out of its index and brought back, with the facts of each, in order."""
    query = select(*(transactions.c[name] for name in ("id", "key", "kind", "at", "evidence"))).where(
        transactions.c.index_order_id == order_id, transactions.c.kind.in_((TAKEN_OUT, "basket"))
    )
    rows = connection.execute(query.order_by(transactions.c.id)).all()
    return [(row, json.loads(row.evidence)["facts"]) for row in rows]


def _units_before(connection: Connection, index_id: int, end: Settled) -> Decimal:
    """Return the units that were outstanding when something of a wave came back to its index."""
    issued = select(postings.c.balance).where(
        postings.c.account == accounts.issued(index_id), postings.c.transaction_id < end.transaction
    )
    newest = issued.order_by(postings.c.transaction_id.desc(), postings.c.line.desc()).limit(1)
    return -(connection.scalar(newest) or ZERO)


def _filled(before: Held, pairs: Sequence[tuple[Fill, AssetOrder]]) -> Held:
    """Return what is held after fills, fees taken off."""
    quantities, cash = dict(before.quantities), before.cash
    for fill, order in pairs:
        asset, sign = order.intent.asset, fill.side.sign
        in_kind = fill.fee_value is None and fill.fee_asset == asset
        quantities[asset] = quantities.get(asset, ZERO) + sign * fill.quantity - (fill.fee if in_kind else ZERO)
        cash -= sign * fill.value + (ZERO if in_kind else fill.fee if fill.fee_value is None else fill.fee_value)
    return Held(quantities, cash)
