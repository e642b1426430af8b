"""A plan: the asset orders that one solve chose, and what they are expected to cost."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from etf_trader.market.symbol import Side
from etf_trader.money import ZERO, average_price, bps, percentage, plain
from etf_trader.seal import seal

PLAN = "etf.plan/1"

LOSS_PARTS = ("delay", "spread", "depth", "fee", "rounding")


@dataclass(frozen=True, slots=True)
class LossParts:
    """Loss against arrival by part, in the quote asset; positive is a cost."""

    delay: Decimal
    spread: Decimal
    depth: Decimal
    fee: Decimal
    rounding: Decimal

    @property
    def total(self) -> Decimal:
        """The loss: the sum of the parts."""
        return self.delay + self.spread + self.depth + self.fee + self.rounding


NO_LOSS = LossParts(ZERO, ZERO, ZERO, ZERO, ZERO)


def total_loss(losses: Iterable[LossParts]) -> LossParts:
    """Add losses part by part."""
    delay = spread = depth = fee = rounding = ZERO
    for loss in losses:
        delay += loss.delay
        spread += loss.spread
        depth += loss.depth
        fee += loss.fee
        rounding += loss.rounding
    return LossParts(delay, spread, depth, fee, rounding)


@dataclass(frozen=True, slots=True)
class PlannedLeg:
    """What a plan does in one constituent.

    `quantity` is what is sent to the venue (0: nothing needs to trade), in base,
    gross of fee. `limit_price` is the price of the immediate-or-cancel orders,
    `last_price` that of the last level meant to be used, `touch` the best one.
    `value` is sum(price x quantity) over the levels, before fee; `fee` is in what
    is received (buy: base; sell: quote). `surplus` is what the float takes of
    this asset when everything fills (negative: what it gives), at `mid`.
    """

    asset: str
    symbol: str
    quantity: Decimal
    limit_price: Decimal
    last_price: Decimal
    touch: Decimal
    mid: Decimal
    value: Decimal
    fee: Decimal
    surplus: Decimal
    loss: LossParts


class PlannedConversion(NamedTuple):
    """A trade between two currencies: `leg` buys or sells its asset, a currency, for the quote of its symbol."""

    side: Side
    leg: PlannedLeg


@dataclass(frozen=True, slots=True)
class Plan:
    """The best way to trade an index order, or as much of it as its limits let.

    `units` is what is credited (sell: redeemed) when all legs fill; `cash` is
    what the order pays for it (sell: receives), float settlement and basket cash
    included. `stopped_by` names what keeps `units` below what was wanted, e.g.
    ("limit",) or ("depth(DENT)",); ("filled",) when nothing does. `cost` and
    `bound` are the cash of the legs and the least that any plan for these units
    could pay (sell: most that any could receive), `gap_bps` their difference in
    bps of the value at mid, of which `rounding_bps` is due to lots and minimums.
    `multipliers` prove the bound: the price after fee of the dearest level that
    the units need, for each asset that trades. `beyond` are the sizes above
    `units` at which `stopped_by` shows. `crossed` is what meets other orders
    inside, in base by asset, at mid and without fee: `cost` has it, legs do not.

    Of an order that may use several currencies a constituent may have a leg for
    each; a leg's prices, value and a fee in quote are in the quote of its
    symbol. `conversions` are sent before the legs of a buy, and `beside` is what
    the plan object of such an order says beyond others.
    """

    side: Side
    wanted: Decimal
    units: Decimal
    legs: tuple[PlannedLeg, ...]
    cash: Decimal
    loss: LossParts
    marginal_price: Decimal
    stopped_by: tuple[str, ...]
    method: str
    cost: Decimal
    bound: Decimal
    gap_bps: Decimal
    rounding_bps: Decimal
    multipliers: Mapping[str, Decimal] = field(default_factory=dict)
    beyond: tuple[Decimal, ...] = ()
    crossed: Mapping[str, Decimal] = field(default_factory=dict)
    conversions: tuple[PlannedConversion, ...] = ()
    beside: Mapping[str, Any] = field(default_factory=dict)


def plan_document(
    plan: Plan,
    *,
    index: str,
    basket_version: int,
    nav: Decimal,
    arrival_nav: Decimal,
    book_hash: str,
    mids: Mapping[str, Decimal],
    bounds: Mapping[str, Decimal],
    problem: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the plan object: what `--dry-run --json` shows and what is stored, in plain values.

    Numbers of rows, times and client order ids stand outside it, so that the
    same books give the same bytes. `mids` are in quote; `bounds` is what the
    float may take of each asset when the order ends, in base. `problem` is what
    was asked, with all that the order and the float had. `seal` is the SHA-256
    over all the rest.
    """
    average = average_price(plan.cash, plan.units)
    document = {
        "index": index,
        "basket_version": basket_version,
        "side": str(plan.side),
        "quantity": plain(plan.wanted),
        "units": plain(plan.units),
        "fill_percentage": plain(percentage(plan.units, plan.wanted)),
        "cash": plain(plan.cash),
        "average_price": None if average is None else plain(average),
        "nav": plain(nav),
        "arrival_nav": plain(arrival_nav),
        "marginal_price": plain(plan.marginal_price),
        "loss": plain(plan.loss.total),
        "loss_bps": plain(bps(plan.loss.total, plan.units * arrival_nav)),
        **{part: plain(getattr(plan.loss, part)) for part in LOSS_PARTS},
        "stopped_by": list(plan.stopped_by),
        "method": plan.method,
        "cost": plain(plan.cost),
        "bound": plain(plan.bound),
        "gap_bps": plain(plan.gap_bps),
        "rounding_bps": plain(plan.rounding_bps),
        "book_hash": book_hash,
        "mids": {asset: plain(mids[asset]) for asset in sorted(mids)},
        "bounds": {asset: plain(bounds[asset]) for asset in sorted(bounds)},
        "legs": [leg_document(leg) for leg in plan.legs],
        "multipliers": {asset: plain(plan.multipliers[asset]) for asset in sorted(plan.multipliers)},
        "beyond": [plain(units) for units in plan.beyond],
        "crossed": {asset: plain(plan.crossed[asset]) for asset in sorted(plan.crossed)},
        "problem": dict(problem),
    }
    document |= plan.beside
    return document | {"seal": plan_object_seal(document)}


def plan_mids(document: Mapping[str, Any]) -> dict[str, Decimal]:
    """Return the mids that a plan object was made on, in quote per base: that of a wave has one at each asset."""
    if "mids" in document:
        return {asset: Decimal(mid) for asset, mid in document["mids"].items()}
    return {each["asset"]: Decimal(each["mid"]) for each in (*document["legs"], *document["kept"])}


def plan_object_seal(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 over all of a plan object but its own seal."""
    return seal(PLAN, {name: value for name, value in document.items() if name != "seal"})


def leg_document(leg: PlannedLeg) -> dict[str, Any]:
    """Return a leg in plain values."""
    return {
        "asset": leg.asset,
        "symbol": leg.symbol,
        "quantity": plain(leg.quantity),
        "limit_price": plain(leg.limit_price),
        "last_price": plain(leg.last_price),
        "touch": plain(leg.touch),
        "mid": plain(leg.mid),
        "value": plain(leg.value),
        "fee_in_kind": plain(leg.fee),
        "surplus": plain(leg.surplus),
        "loss": plain(leg.loss.total),
        **{part: plain(getattr(leg.loss, part)) for part in LOSS_PARTS},
    }
