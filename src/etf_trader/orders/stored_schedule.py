"""The schedule of an order over time as it is asked for, and as it is stored with the order."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from etf_trader.errors import UsageError
from etf_trader.money import ZERO, plain
from etf_trader.orders.schedule import Algo, Schedule

LONGEST_SECONDS = 366 * 86_400
LEAST_PASSIVE = Decimal("0.01")


class AtEnd(StrEnum):
    """What becomes of the rest of an order when its time is over."""

    TAKE = "take"  # all of it is traded at once, as far as limits let
    LEAVE = "leave"  # it is given up


@dataclass(frozen=True, slots=True)
class ScheduleRequest:
    """How an order is to be spread over `seconds`.

    `participation` is the share of the volume that pov takes, a fraction of one;
    None: that of the settings. `passive` is the share of each slice's time in
    which what is due is quoted before it is taken, a fraction of one; None: not at all.
    """

    algo: Algo
    seconds: int
    at_end: AtEnd = AtEnd.TAKE
    participation: Decimal | None = None
    passive: Decimal | None = None

    def document(self) -> dict[str, Any]:
        """Return what was asked in plain values: part of what a client key stands for."""
        asked = {
            "algo": str(self.algo),
            "duration_seconds": self.seconds,
            "at_end": str(self.at_end),
            "participation": None if self.participation is None else plain(self.participation),
        }
        return asked | _passive_document(self.passive)

    def check(self) -> None:
        """Check what can be checked without the market.

        Raises:
            UsageError: a value cannot be; says which and what to write.
        """
        if not 0 < self.seconds <= LONGEST_SECONDS:
            raise UsageError(
                f"an order over {self.seconds} s cannot be", where="--duration", hint="from 1s to 366d"
            )
        if self.passive is not None and not LEAST_PASSIVE <= self.passive <= 1:
            raise UsageError(
                f"quotes for {plain(self.passive * 100)}% of the time cannot be",
                where="--passive",
                hint="a percentage from 1 to 100",
            )
        if self.participation is None:
            return
        if self.algo is not Algo.POV:
            raise UsageError(
                f"{self.algo} goes by time, not by a share of the volume",
                where="--participation",
                hint="leave it out, or take --algo pov",
            )
        if not ZERO < self.participation <= 1:
            raise UsageError(
                f"a participation of {plain(self.participation * 100)}% cannot be",
                where="--participation",
                hint="a percentage above 0 and at most 100",
            )


@dataclass(frozen=True, slots=True)
class TimeSlice:
    """Units that become due `start_seconds` after the order was accepted."""

    start_seconds: int
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class StoredSchedule:
    """When an order over time trades how much; fixed when the order is accepted.

    `slices` add up to the order; pov has none: every `period_seconds` it takes
    `participation`, a fraction, of what others traded. Less than `least` units
    are not traded alone: they wait for the next slice. For `passive`, a fraction,
    of each slice's time what is due is quoted; None: it is taken at once.
    """

    algo: Algo
    seconds: int
    at_end: AtEnd
    period_seconds: int
    slices: tuple[TimeSlice, ...]
    participation: Decimal | None
    least: Decimal
    passive: Decimal | None = None

    def ends_at(self, accepted_at: datetime) -> datetime:
        """Return when the time of an order that was accepted then is over."""
        return accepted_at + timedelta(seconds=self.seconds)

    def document(self) -> dict[str, Any]:
        """Return the schedule in plain values, as it is stored, sealed and shown."""
        facts = {
            "algo": str(self.algo),
            "duration_seconds": self.seconds,
            "at_end": str(self.at_end),
            "period_seconds": self.period_seconds,
            "slices": [
                {"start_seconds": each.start_seconds, "quantity": plain(each.quantity)} for each in self.slices
            ],
            "participation": None if self.participation is None else plain(self.participation),
            "least": plain(self.least),
        }
        return facts | _passive_document(self.passive)


def _passive_document(share: Decimal | None) -> dict[str, str]:
    """Return the share that is quoted; schedules without read as they did before there were quotes."""
    return {} if share is None else {"passive": plain(share)}


def stored_schedule(schedule: Schedule, asked: ScheduleRequest) -> StoredSchedule:
    """Return what is kept of a schedule that was planned for an order."""
    is_pov = schedule.algo is Algo.POV
    slices = () if is_pov else tuple(TimeSlice(each.start_seconds, each.wanted) for each in schedule.periods)
    return StoredSchedule(
        algo=schedule.algo,
        seconds=schedule.seconds,
        at_end=asked.at_end,
        period_seconds=schedule.period_seconds,
        slices=slices,
        participation=schedule.assumptions.participation if is_pov else None,
        least=schedule.least,
        passive=asked.passive,
    )


def read_schedule(text: str | None) -> StoredSchedule | None:
    """Return the schedule that a row has; None for an order at once."""
    if text is None:
        return None
    found: Mapping[str, Any] = json.loads(text)
    share = found["participation"]
    return StoredSchedule(
        algo=Algo(found["algo"]),
        seconds=found["duration_seconds"],
        at_end=AtEnd(found["at_end"]),
        period_seconds=found["period_seconds"],
        slices=tuple(TimeSlice(each["start_seconds"], Decimal(each["quantity"])) for each in found["slices"]),
        participation=None if share is None else Decimal(share),
        least=Decimal(found["least"]),
        passive=Decimal(found["passive"]) if "passive" in found else None,
    )
