"""A planned rebalance: what each asset trades, in which wave, and what it costs. Exact."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from etf_trader.market.symbol import Side
from etf_trader.money import ZERO


@dataclass(frozen=True, slots=True)
class RebalanceLeg:
    """What a rebalance does in one asset.

    `quantity` is what is sent to the venue, in base, gross of fee; `inside` what
    trades against open index orders at mid. `last_price` is that of the last
    level used, and the price of the immediate-or-cancel order. `value` is
    sum(price x quantity) on the venue, before fee; `fee` in what is received
    (buy: base; sell: quote). `cost` is what NAV at the mids loses by it. Drifts
    are weight less target, of NAV before and of NAV after. `wave` is 0 when
    nothing is traded; `why_skipped` then says why: "below_minimum",
    "within_band", "halted", "cost_above_benefit", "wide_spread"; None when it
    is on its target, to a lot.
    """

    asset: str
    symbol: str
    side: Side | None
    wave: int
    quantity: Decimal
    inside: Decimal
    last_price: Decimal
    mid: Decimal
    value: Decimal
    fee: Decimal
    cost: Decimal
    holding_before: Decimal
    holding_after: Decimal
    drift_before: Decimal
    drift_after: Decimal
    why_skipped: str | None

    @property
    def cash(self) -> Decimal:
        """What it brings in cash, fee paid; below 0 for a buy."""
        inside = self.inside * self.mid
        if self.side is Side.SELL:
            return self.value - self.fee + inside
        return -self.value - inside

    @property
    def worst_cash(self) -> Decimal:
        """What a buy pays at most: all of it at the price of its order."""
        return self.quantity * self.last_price + self.inside * self.mid


@dataclass(frozen=True, slots=True)
class CostParts:
    """What a leg costs NAV, in quote; together its cost, exactly."""

    spread: Decimal
    depth: Decimal
    fee: Decimal

    @property
    def total(self) -> Decimal:
        """The whole cost."""
        return self.spread + self.depth + self.fee


NO_COST = CostParts(ZERO, ZERO, ZERO)


@dataclass(frozen=True, slots=True)
class RebalancePlan:
    """A rebalance in whole lots.

    NAV, cash and costs are in quote, at the mids of the plan: `cost` is NAV
    before less NAV after, exactly. `bound` is the most that any rebalance for
    the same aim, without lots, could leave of NAV, what being off target costs
    taken off; `gap_bps` how far the one without lots is from it, and
    `rounding_bps` what whole lots and prices that may still move cost beyond (below 0:
    they trade less). `multipliers` are what a unit of each asset, and of the
    quote asset, is worth in the bound; `nav_multiplier` what NAV itself is.
    `saving` is what trading with the open orders in one solve saves both
    together; None when there are none.

    `off_price` and `short_price` are what a unit of value costs in the aim that
    lies off target beyond its band, or that the cash lacks of the reserve;
    `left_out` names the assets whose books were not used, as what they wanted
    was below the least order.
    """

    legs: tuple[RebalanceLeg, ...]
    waves: int
    nav_before: Decimal
    nav_after: Decimal
    cash_before: Decimal
    cash_after: Decimal
    cost: Decimal
    saving: Decimal | None
    method: str
    bound: Decimal
    gap_bps: Decimal
    rounding_bps: Decimal
    multipliers: Mapping[str, Decimal]
    nav_multiplier: Decimal
    off_price: Decimal = ZERO
    short_price: Decimal = ZERO
    left_out: tuple[str, ...] = ()
