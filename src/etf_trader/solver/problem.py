"""What the solver is asked: one index order on the books of now."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from etf_trader.market.book import Level
from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.money import DIGITS, divide_up, money_context, plain


@dataclass(frozen=True, slots=True)
class Leg:
    """One constituent of the basket and the book it trades on.

    `per_unit` is base per index unit. `levels` are what a trade takes, best
    first, within the venue's price bounds; `complete` says that nothing lies
    beyond them. `held` is what the order itself already has of the asset (buy:
    bought beyond the units credited; sell: redeemed and not sold), `residual`
    what the index's float has. `arrival_mid` is frozen with the order, `mid` is
    that of the batch.
    """

    asset: str
    rule: SymbolRule
    per_unit: Decimal
    levels: tuple[Level, ...]
    complete: bool
    mid: Decimal
    arrival_mid: Decimal
    held: Decimal
    held_cost: Decimal
    residual: Decimal

    @property
    def touch(self) -> Decimal:
        """The best price; the mid where nothing is on offer."""
        return self.levels[0].price if self.levels else self.mid

    @property
    def paid(self) -> Decimal:
        """The price at which a buy's `held` was bought, fees included, rounded up to 1e-18."""
        return divide_up(self.held_cost, self.held, Decimal("1e-18"))

    @property
    def end(self) -> str:
        """What stops a plan where the book ends: "depth(ASSET)", or "window(SYMBOL)" if more may lie beyond."""
        return f"depth({self.asset})" if self.complete else f"window({self.rule.symbol})"


@dataclass(frozen=True, slots=True)
class OrderProblem:
    """An index order as the solver sees it: all legs, what may be spent, and every limit.

    `quantity` is the units still wanted, on a grid of 1e-8. `cash` bounds what a
    buy may pay (None: a sell). `limit` is the marginal price of a unit, fees
    included. `max_loss_bps` bounds the loss from arrival, over the units done
    before (`units_done`, at `loss_done`) and those of this plan together.
    `float_cash` is what the float can pay for surplus. A part of the order that
    is worth less than `least_value` at mid is not traded: nobody wants dust.
    """

    side: Side
    quantity: Decimal
    legs: tuple[Leg, ...]
    cash_per_unit: Decimal
    float_cash: Decimal
    cash: Decimal | None = None
    limit: Decimal | None = None
    max_loss_bps: Decimal | None = None
    units_done: Decimal = Decimal(0)
    loss_done: Decimal = Decimal(0)
    slack_ticks: int = 1
    least_value: Decimal = Decimal(0)

    @property
    def arrival_nav(self) -> Decimal:
        """NAV per unit at the arrival mids."""
        return sum((leg.per_unit * leg.arrival_mid for leg in self.legs), self.cash_per_unit)

    @property
    def nav(self) -> Decimal:
        """NAV per unit at the batch mids."""
        return sum((leg.per_unit * leg.mid for leg in self.legs), self.cash_per_unit)

    def document(self) -> dict[str, Any]:
        """Return what was asked in plain values; side, quantity and market stand beside it."""
        numbers = ("cash_per_unit", "float_cash", "units_done", "loss_done", "least_value")
        bounds = ("limit", "max_loss_bps", "cash")
        return {
            **{name: plain(getattr(self, name)) for name in numbers},
            **{name: None if getattr(self, name) is None else plain(getattr(self, name)) for name in bounds},
            "slack_ticks": self.slack_ticks,
            "legs": [_leg_document(leg) for leg in self.legs],
        }


@contextmanager
def exact(legs: Iterable[Leg]) -> Iterator[None]:
    """Run in the money context, with digits for one factor more for each fee rate there is."""
    rates = {leg.rule.taker_fee for leg in legs}
    with money_context(DIGITS + 10 * len(rates)):
        yield


def _leg_document(leg: Leg) -> dict[str, str]:
    numbers = ("per_unit", "arrival_mid", "held", "held_cost", "residual")
    return {
        "asset": leg.asset,
        "symbol": leg.rule.symbol,
        **{name: plain(getattr(leg, name)) for name in numbers},
    }
