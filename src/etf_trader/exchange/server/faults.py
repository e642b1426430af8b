"""What goes wrong on purpose: a seeded plan of faults, the same again from the same seed.

A fault is drawn for each request and each user event; what was drawn is counted.
Times are real seconds.
"""

import random
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from etf_trader.errors import UsageError
from etf_trader.exchange.refusal import ExchangeError


class Fault(StrEnum):
    """What can go wrong between a client and the exchange, by the name that a plan calls it."""

    SLOW = "slow"
    LATE_ANSWER = "late_answer"
    OVERLOADED = "overloaded"
    LIMITED = "limited"
    BANNED = "banned"
    CUT_BEFORE = "cut_before"
    CUT_AFTER = "cut_after"
    UNEXPECTED_BEFORE = "unexpected_before"
    UNEXPECTED_AFTER = "unexpected_after"
    TIMEOUT_BEFORE = "timeout_before"
    TIMEOUT_AFTER = "timeout_after"
    SERVER_ERROR_BEFORE = "server_error_before"
    SERVER_ERROR_AFTER = "server_error_after"
    ARRIVES_LATE = "arrives_late"
    HIDDEN = "hidden"
    REPORT_LOST = "report_lost"
    REPORT_TWICE = "report_twice"
    REPORT_REORDERED = "report_reordered"
    REPORT_LATE = "report_late"
    STREAM_SILENT = "stream_silent"
    STREAM_STALLED = "stream_stalled"
    STREAM_CUT = "stream_cut"


MEANINGS: Mapping[Fault, str] = {
    Fault.SLOW: "the request waits before it is looked at",
    Fault.LATE_ANSWER: "the answer waits",
    Fault.OVERLOADED: "-1008, nothing was done",
    Fault.LIMITED: "429 with Retry-After, for a while",
    Fault.BANNED: "418 with Retry-After, for a while",
    Fault.CUT_BEFORE: "the connection is cut, nothing was done",
    Fault.CUT_AFTER: "the connection is cut, it was done",
    Fault.UNEXPECTED_BEFORE: "-1006, nothing was done",
    Fault.UNEXPECTED_AFTER: "-1006, it was done",
    Fault.TIMEOUT_BEFORE: "-1007, nothing was done",
    Fault.TIMEOUT_AFTER: "-1007, it was done",
    Fault.SERVER_ERROR_BEFORE: "502 without JSON, nothing was done",
    Fault.SERVER_ERROR_AFTER: "504 without JSON, it was done",
    Fault.ARRIVES_LATE: "the connection is cut, an order comes in later",
    Fault.HIDDEN: "an order is unknown for up to 0.9 s after it was placed",
    Fault.REPORT_LOST: "a user event is never told",
    Fault.REPORT_TWICE: "a user event is told twice",
    Fault.REPORT_REORDERED: "a user event is told after the next one",
    Fault.REPORT_LATE: "a user event is told late",
    Fault.STREAM_SILENT: "a subscription goes on and tells nothing any more",
    Fault.STREAM_STALLED: "a subscription tells nothing for a while, then everything",
    Fault.STREAM_CUT: "the connection of a subscription is cut",
}

LONGEST_HIDDEN = 0.9
OF_ORDERS = (Fault.ARRIVES_LATE,)
OF_REQUESTS = (
    Fault.SLOW,
    Fault.LATE_ANSWER,
    Fault.OVERLOADED,
    Fault.LIMITED,
    Fault.BANNED,
    Fault.CUT_BEFORE,
    Fault.CUT_AFTER,
    Fault.UNEXPECTED_BEFORE,
    Fault.UNEXPECTED_AFTER,
    Fault.TIMEOUT_BEFORE,
    Fault.TIMEOUT_AFTER,
    Fault.SERVER_ERROR_BEFORE,
    Fault.SERVER_ERROR_AFTER,
)
OF_EVENTS = (
    Fault.REPORT_LOST,
    Fault.REPORT_TWICE,
    Fault.REPORT_REORDERED,
    Fault.REPORT_LATE,
    Fault.STREAM_SILENT,
    Fault.STREAM_STALLED,
    Fault.STREAM_CUT,
)
_TIMES = ("slowest", "latest", "longest_wait")


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Which faults the exchange has, how often and how long; the rest is drawn from `seed`.

    `chances` are probabilities at each occasion, those of requests that change
    nothing multiplied by `questions`. After `most` faults it is sound. `only` are
    the calls that are touched, by name (`order.place`); all when it is empty.
    """

    seed: int = 0
    chances: Mapping[Fault, float] = field(default_factory=dict)
    questions: float = 1.0
    most: int = 1_000_000
    slowest: float = 3.0
    latest: float = 6.0
    longest_wait: float = 12.0
    only: frozenset[str] = frozenset()

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> "FaultPlan":
        """Return the plan that a JSON object describes; names it does not have keep their defaults.

        Raises:
            UsageError: something in it cannot be.
        """
        if unknown := sorted(document.keys() - cls.__slots__):
            raise UsageError(f"a plan has no {unknown[0]!r}", hint=f"it has {', '.join(cls.__slots__)}")
        given = document.get("chances", {})
        if not isinstance(given, Mapping):
            raise UsageError('chances is an object: {"cut_after": 0.05}')
        chances = {_fault(name): _chance(name, value) for name, value in given.items()}
        values: dict[str, Any] = {name: document[name] for name in document if name != "chances"}
        for name in ("seed", "most"):
            if name in values and (isinstance(values[name], bool) or not isinstance(values[name], int)):
                raise UsageError(f"{name} is a whole number, not {values[name]!r}")
        for name in _TIMES:
            if name in values:
                values[name] = _seconds(name, values[name])
        if "questions" in values:
            values["questions"] = _chance("questions", values["questions"])
        if "only" in values:
            values["only"] = _names(values["only"])
        return cls(chances=chances, **values)

    def document(self) -> dict[str, Any]:
        """Return the plan as JSON describes it."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        return plain | {"only": sorted(self.only), "chances": {str(k): v for k, v in self.chances.items()}}


class Faults:
    """Draws what goes wrong, by a plan that may be changed."""

    def __init__(self, plan: FaultPlan | None = None) -> None:
        self.fired: Counter[Fault] = Counter()
        self.follow(plan or FaultPlan())

    def follow(self, plan: FaultPlan) -> None:
        """Follow another plan from now on; nothing is remembered of the one before."""
        self.plan = plan
        self.fired.clear()
        self._left = plan.most
        self._dice = random.Random(plan.seed)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing can go wrong any more."""
        return not self._left or not self.plan.chances

    def of_request(self, name: str, *, changes: bool, is_order: bool) -> Fault | None:
        """Return what happens to a request of the call `name`."""
        if self.is_quiet or (self.plan.only and name not in self.plan.only):
            return None
        wanted = (*OF_ORDERS, *OF_REQUESTS) if is_order else OF_REQUESTS
        return self.draw(wanted, 1.0 if changes else self.plan.questions)

    def of_event(self) -> Fault | None:
        """Return what happens to a user event."""
        return None if self.is_quiet else self.draw(OF_EVENTS)

    def draw(self, faults: Iterable[Fault], share: float = 1.0) -> Fault | None:
        """Return the first of `faults` that the dice bring, or None."""
        for fault in faults:
            chance = self.plan.chances.get(fault, 0.0) * share
            if self._left > 0 and chance > 0 and self._dice.random() < chance:
                self._left -= 1
                self.fired[fault] += 1
                return fault
        return None

    def seconds(self, longest: float) -> float:
        """Return a time up to `longest`."""
        return self._dice.random() * longest


class Veil:
    """Hides orders for a moment after they were placed, as an exchange with several machines does."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._hidden: dict[int, float] = {}

    def placed(self, order_id: int) -> None:
        """Take note of a new order; the dice say whether it is hidden."""
        if not self._faults.is_quiet and self._faults.draw((Fault.HIDDEN,)):
            self._hidden[order_id] = time.monotonic() + self._faults.seconds(LONGEST_HIDDEN)

    def look(self, order_id: int) -> None:
        """Refuse to show an order that is hidden still.

        Raises:
            ExchangeError: -2013.
        """
        if order_id in self._hidden:
            if time.monotonic() < self._hidden[order_id]:
                raise ExchangeError(-2013, "Order does not exist.")
            del self._hidden[order_id]


def _fault(name: str) -> Fault:
    try:
        return Fault(name)
    except ValueError:
        raise UsageError(f"there is no fault {name!r}", hint=f"there are {', '.join(Fault)}") from None


def _chance(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or not 0 <= value <= 1:
        raise UsageError(f"{name}: {value!r} is not a probability")
    return float(value)


def _seconds(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or not 0 <= value <= 3600:
        raise UsageError(f"{name} is 0 to 3600 seconds, not {value!r}")
    return float(value)


def _names(value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise UsageError("only is a list of calls, such as order.place")
    return frozenset(value)
