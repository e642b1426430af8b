"""What a run is asked, and how it went: its steps, what happened besides, what was held when."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum

from etf_trader.backtest.depth import Market
from etf_trader.backtest.journal import Audit
from etf_trader.errors import UsageError
from etf_trader.index.level import Benchmark
from etf_trader.index.methodology import Methodology
from etf_trader.money import ZERO, plain
from etf_trader.rebalance.planning import Rebalance

MOST_CAPITAL = Decimal("1e12")
"""More than all coins together are worth finds no market at all."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What is run: a rulebook, how much money, what trading costs, from which morning to the end of which day.

    Without `start` it begins on the first morning on which the rulebook can be followed, without
    `end` it goes on to the last day of which anything is known.
    """

    rule: Methodology
    quote: str
    start_value: Decimal
    capital: Decimal
    market: Market
    start: date | None = None
    end: date | None = None

    def with_capital(self, capital: Decimal, where: str) -> "Setting":
        """Return the same with another capital.

        Raises:
            UsageError: it buys no unit, or is more than any fund has.
        """
        if capital > MOST_CAPITAL:
            raise UsageError(
                f"a capital of {plain(capital)} {self.quote} cannot be: at most {plain(MOST_CAPITAL)}", where=where
            )
        if capital < self.start_value:
            raise UsageError(
                f"{plain(capital)} {self.quote} buy no unit, which is {plain(self.start_value)}",
                where=where,
                hint="more capital, or a smaller start_value in the index file",
            )
        return replace(self, capital=capital)


class Cause(StrEnum):
    """Why a fund traded."""

    BEGIN = "begin"
    DUE = "due"
    DELISTED = "delisted"


@dataclass(frozen=True, slots=True)
class Step:
    """A morning on which the index changed, and what the fund did: NAV is that of the whole fund.

    `due` is the day it was due, `weights` are those of the index from here on.
    """

    day: date
    due: date
    cause: Cause
    weights: Mapping[str, Decimal]
    rebalance: Rebalance
    nav_before: Decimal
    nav_after: Decimal


class What(StrEnum):
    """What happened besides."""

    BEGUN_LATE = "begun late"
    SOLD = "sold"
    FROZEN = "frozen"
    TRADES_AGAIN = "trades again"
    LATE = "late"
    MISSED = "missed"


@dataclass(frozen=True, slots=True)
class Event:
    """Something a reader of the result should know; `asset` where it is about one."""

    day: date
    what: What
    asset: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """What a unit and the index held from a day's close on."""

    day: int
    per_unit: Mapping[str, Decimal]
    cash: Decimal
    benchmark: Benchmark


@dataclass(slots=True)
class Course:
    """How a run went: its steps and events, what was held when, and the books."""

    setting: Setting
    start: int
    end: int
    steps: list[Step] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    stretches: list[Stretch] = field(default_factory=list)
    frozen: frozenset[str] = frozenset()
    units: Decimal = ZERO
    audit: Audit | None = None
