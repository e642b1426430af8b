"""A plan: the asset orders that one solve chose, and what they are expected to cost."""

from dataclasses import dataclass
from decimal import Decimal

from etf_trader.market.symbol import Side


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
