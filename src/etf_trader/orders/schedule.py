"""A schedule: an index order over several periods, and what it is expected to cost."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from etf_trader.money import bps, percentage, plain


class Algo(StrEnum):
    """How an order is spread over time."""

    TWAP = "twap"
    VWAP = "vwap"
    POV = "pov"
    OPTIMAL = "optimal"


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What a schedule takes for granted about a market that nobody has seen yet.

    `recovery_seconds`: of what is taken from a level exp(-t / recovery) is still
    missing after t. `waiting_bps`: what it is worth to have a part of the order
    done an hour earlier, in bps of that part. `profile`: the traded volume of
    each period in proportion to the others; None: uniform, as nothing is known.
    `turnover`: traded volume of a day as a multiple of the depth that one side
    shows within 100 bps of mid; `participation` the share of it that pov takes.
    """

    recovery_seconds: Decimal
    waiting_bps: Decimal
    turnover: Decimal
    participation: Decimal
    profile: tuple[Decimal, ...] | None = None


@dataclass(frozen=True, slots=True)
class Period:
    """What one period is meant to trade and is expected to cost, when books come back as assumed.

    `wanted` is its share of the order, `units` what the books and limits let
    trade of that and of what earlier periods left over. `cash` is what is paid
    (sell: received), `loss` against arrival, both in quote; `orders` the slots.
    """

    start_seconds: int
    wanted: Decimal
    units: Decimal
    cash: Decimal
    loss: Decimal
    orders: int
    stopped_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Schedule:
    """An index order over time, beside the same order at once.

    `periods` are those that trade. `slots` is how many batches the venue's order
    budget allows in the time, `merged` how many periods were too small to trade
    alone. `waiting_bps` is the price of the waiting it does, `gain_bps` what it
    saves of the loss against all at once; None when that fills less. `needed_seconds`
    is the time that all of it takes at the rate of pov; None for the others. Fewer
    units than `least` are not traded alone.
    """

    algo: Algo
    seconds: int
    period_seconds: int
    slots: int
    merged: int
    quantity: Decimal
    arrival_nav: Decimal
    periods: tuple[Period, ...]
    at_once_units: Decimal
    at_once_loss: Decimal
    waiting_bps: Decimal
    needed_seconds: int | None
    assumptions: Assumptions
    method: str
    least: Decimal

    @property
    def units(self) -> Decimal:
        """The units that all periods together trade."""
        return sum((period.units for period in self.periods), Decimal(0))

    @property
    def cash(self) -> Decimal:
        """What all of them pay (sell: receive)."""
        return sum((period.cash for period in self.periods), Decimal(0))

    @property
    def loss(self) -> Decimal:
        """The loss of all of them."""
        return sum((period.loss for period in self.periods), Decimal(0))

    @property
    def loss_bps(self) -> Decimal:
        """The loss in bps of the units traded, at arrival."""
        return bps(self.loss, self.units * self.arrival_nav)

    @property
    def at_once_loss_bps(self) -> Decimal:
        """The loss of the same order at once, in bps."""
        return bps(self.at_once_loss, self.at_once_units * self.arrival_nav)

    @property
    def gain_bps(self) -> Decimal | None:
        """What waiting saves; negative: what it costs; None when at once fills another size."""
        return self.at_once_loss_bps - self.loss_bps if self.at_once_units == self.units else None


def schedule_document(schedule: Schedule) -> dict[str, Any]:
    """Return the schedule object that stands beside the plan, in plain values."""
    assumed = schedule.assumptions
    return {
        "algo": str(schedule.algo),
        "duration_seconds": schedule.seconds,
        "period_seconds": schedule.period_seconds,
        "batches_possible": schedule.slots,
        "merged": schedule.merged,
        "quantity": plain(schedule.quantity),
        "units": plain(schedule.units),
        "cash": plain(schedule.cash),
        "loss": plain(schedule.loss),
        "loss_bps": plain(schedule.loss_bps),
        "waiting_bps": plain(schedule.waiting_bps),
        "at_once_units": plain(schedule.at_once_units),
        "at_once_loss_bps": plain(schedule.at_once_loss_bps),
        "gain_bps": None if schedule.gain_bps is None else plain(schedule.gain_bps),
        "needed_seconds": schedule.needed_seconds,
        "method": schedule.method,
        "assumed": {
            "recovery_seconds": plain(assumed.recovery_seconds),
            "waiting_bps_per_hour": plain(assumed.waiting_bps),
            "turnover": plain(assumed.turnover),
            "participation": plain(assumed.participation),
            "profile": "uniform" if assumed.profile is None else [plain(each) for each in assumed.profile],
        },
        "periods": [_period_document(period, schedule) for period in schedule.periods],
    }


def _period_document(period: Period, schedule: Schedule) -> dict[str, Any]:
    return {
        "start_seconds": period.start_seconds,
        "wanted": plain(period.wanted),
        "units": plain(period.units),
        "percentage": plain(percentage(period.units, schedule.quantity)),
        "cash": plain(period.cash),
        "loss": plain(period.loss),
        "loss_bps": plain(bps(period.loss, period.units * schedule.arrival_nav)),
        "orders": period.orders,
        "stopped_by": list(period.stopped_by),
    }
