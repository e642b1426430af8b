"""A rulebook run over past days: each morning that something is due, the same decision, plan and booking as live.

    morning of day D      what is known is the end of D - 1: rulebook and prices, the close, are those of then
    due                   a time of the calendar on day D; the fund itself begins at the first morning
    not to be decided     (market caps too old, nobody eligible): the next morning, until the next is due
    a market that ended   by the rule: sold at its last price, its weight shared out over the others; or frozen
    out of the table      a coin that left the table of market caps is sold, at the most it can be worth

The index is rebalanced at the same prices without cost and without bands; the fund pays.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal
from enum import StrEnum

from msgspec.structs import replace

from etf_trader.backtest.decisions import Decider
from etf_trader.backtest.depth import LEAST_ORDER, Market, tradable
from etf_trader.backtest.fund import Fund
from etf_trader.backtest.history import MOST_BOOKS, History, Source
from etf_trader.backtest.journal import Audit
from etf_trader.errors import DataError
from etf_trader.index.level import Benchmark
from etf_trader.index.methodology import Methodology, RebalanceRule, next_due
from etf_trader.market.book import OrderBook
from etf_trader.market.symbol import SymbolRule
from etf_trader.money import ONE, ZERO, divide, money_context, plain
from etf_trader.rebalance.drift import targets_with_reserve
from etf_trader.rebalance.planning import Holdings, Rebalance, plan_of

_WEIGHT_GRID = Decimal("1e-12")
_FREE_DUST = Decimal("0.01")

_SHOWN = Context(prec=6)

AT_ONCE = RebalanceRule()
"""How the first basket is bought, and a market that ended is left: whatever the bands, and at once."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What is run: a rulebook, how much money, what trading costs, from which morning to the end of which day."""

    rule: Methodology
    quote: str
    start_value: Decimal
    capital: Decimal
    market: Market
    start: date
    end: date


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
    """What a unit and the index held from a day's close on; the fee runs from `charged`."""

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


Told = Callable[[float], None]


def run(setting: Setting, history: History, told: Told | None = None) -> Course:
    """Run a rulebook over the past.

    Args:
        told: Is told how far it is, a fraction of one.

    Raises:
        DataError: the rulebook could not be followed on a single morning; says why.
        UsageError: it names an asset of which there is no price.
    """
    with money_context():
        return _Run(setting, history).go(told)


class _Run:
    def __init__(self, setting: Setting, history: History) -> None:
        self.setting, self.history = setting, history
        self.decider = Decider(history, setting.rule)
        self.decider.require_prices()
        end = min(setting.end.toordinal(), history.last_day)
        self.course = Course(setting, setting.start.toordinal(), end)
        self.fund: Fund | None = None
        self.benchmark = Benchmark({})
        self.members: frozenset[str] = frozenset()
        self.looked = 0
        """The day up to whose end markets that ended have been dealt with."""

    def go(self, told: Told | None) -> Course:
        course, refused = self.course, DataError("there is no day between --from and --to that has prices")
        dues = list(_dues(self.setting.rule, course.start, course.end))
        for place, due in enumerate(dues):
            until = dues[place + 1] if place + 1 < len(dues) else course.end + 1
            try:
                self._take(due, until)
            except DataError as error:
                if self.fund is None:
                    refused = error
                else:
                    self._tell(due, What.MISSED, None, f"nothing could be decided: {error}")
            if told is not None:
                told((place + 1) / len(dues))
        if self.fund is None:
            raise refused
        self._follow_ended(course.end + 1)
        course.units = self.fund.units
        course.audit = self.fund.audited()
        return course

    def _take(self, due: int, until: int) -> None:
        """Do what is due on the first morning before `until` on which it can be decided.

        Raises:
            DataError: there is none; the first reason.
        """
        first: DataError | None = None
        for morning in range(due, until):
            try:
                determination = self.decider.decide(morning - 1, self.members)
            except DataError as error:
                first = first or error
                continue
            if self.fund is None:
                self._begin(morning)
                cause = Cause.BEGIN
            else:
                cause = Cause.DUE
                self._follow_ended(morning)
                if first is not None:
                    self._tell(morning, What.LATE, None, f"due on {date.fromordinal(due)}: {first}")
            aim = AT_ONCE if cause is Cause.BEGIN else self.setting.rule.rebalance
            self._rebalance(morning, due, cause, determination.weights, aim)
            self.members = frozenset(determination.weights)
            return
        if first is not None:
            raise first

    def _begin(self, morning: int) -> None:
        setting, at = self.setting, _at(morning)
        self.fund = Fund(setting.quote, setting.capital, setting.start_value, at)
        self.course.start = self.looked = morning - 1

    def _follow_ended(self, morning: int) -> None:
        """Deal with markets that ended before `morning`, each on the morning after that is known."""
        assert self.fund is not None
        while True:
            held = sorted(self.fund.holdings.keys() - self.course.frozen)
            ends = [
                (day, a)
                for a in held
                if (day := self.history.gone_between(a, self.looked, morning - 1)) is not None
            ]
            if not ends:
                break
            day = min(ends)[0]
            gone = [asset for on, asset in ends if on == day]
            ended = [asset for asset in gone if self.history.source(asset, day) is Source.CANDLES]
            frozen = ended if self.setting.rule.delisting.rule == "freeze" else []
            self._freeze(frozen, day)
            if sold := [asset for asset in gone if asset not in frozen]:
                self._sell(sold, day, is_due=day + 1 == morning)
            self.looked = day
        self.looked = max(self.looked, morning - 1)

    def _freeze(self, gone: Sequence[str], day: int) -> None:
        self.course.frozen |= set(gone)
        for asset in gone:
            price = self.history.price(asset, day)
            self._tell(day + 1, What.FROZEN, asset, f"{asset} has no market any more: frozen at {shown(price)}")

    def _sell(self, gone: Sequence[str], day: int, *, is_due: bool) -> None:
        for asset in gone:
            price = self.history.price(asset, day)
            if self.history.source(asset, day) is Source.CANDLES:
                said = f"{asset} has no market any more: sold at its last price, {shown(price)}"
            else:
                said = (
                    f"{asset} has left the table of market caps: sold at the most it can be worth, {shown(price)}"
                )
            self._tell(day + 1, What.SOLD, asset, said)
        self.members -= set(gone)
        if is_due:  # the rebalance of that morning sells it
            return
        assert self.fund is not None
        weights = self._without(gone, day)
        self._rebalance(day + 1, day + 1, Cause.DELISTED, weights, AT_ONCE)

    def _without(self, gone: Sequence[str], day: int) -> dict[str, Decimal]:
        """Return what the index weighs now without some assets: theirs is shared out in proportion; sum 1."""
        prices = {asset: self.history.price(asset, day) for asset in self.benchmark.quantities}
        now = {asset: weight for asset, weight in self.benchmark.weights(prices).items() if asset not in gone}
        if not now:
            return {}
        whole = sum(now.values(), ZERO)
        found = {asset: divide(weight, whole, _WEIGHT_GRID) for asset, weight in now.items()}
        largest = max(found, key=lambda asset: (found[asset], asset))
        found[largest] += ONE - sum(found.values(), ZERO)
        return found

    def _rebalance(
        self, morning: int, due: int, cause: Cause, weights: Mapping[str, Decimal], aim: RebalanceRule
    ) -> None:
        fund, rule = self.fund, self.setting.rule
        assert fund is not None
        known, at = morning - 1, _at(morning)
        self._thaw(known)
        fund.charge(rule.fee.management_bps, at)
        frozen = self.course.frozen
        held = {asset: quantity for asset, quantity in fund.holdings.items() if asset not in frozen}
        targets = targets_with_reserve(
            {a: w for a, w in weights.items() if a not in frozen}, rule.rebalance.reserve
        )
        books, rules = self._books({*held, *targets}, known, at)
        kept = sum((fund.holdings[asset] * self.history.price(asset, known) for asset in frozen), ZERO)
        found = plan_of(
            Holdings(fund.quote, held, fund.cash),
            targets,
            replace(aim, reserve=rule.rebalance.reserve),
            books,
            rules,
        )
        has_costs = self.setting.market.has_costs
        fund.trade(found, held.keys() - targets.keys(), LEAST_ORDER if has_costs else _FREE_DUST, at)
        self._reweigh(weights, known)
        self.course.steps.append(
            Step(
                date.fromordinal(morning),
                date.fromordinal(due),
                cause,
                weights,
                found,
                found.nav + kept,
                found.nav_after + kept,
            )
        )
        self._record(morning)

    def _thaw(self, known: int) -> None:
        """What is frozen and has a market again can be traded again."""
        for asset in sorted(self.course.frozen):
            if self.history.trades(asset, known):
                self.course.frozen -= {asset}
                self._tell(known + 1, What.TRADES_AGAIN, asset, f"{asset} has a market again")

    def _books(
        self, assets: Iterable[str], known: int, at: datetime
    ) -> tuple[dict[str, OrderBook], dict[str, SymbolRule]]:
        market, memory = self.setting.market, self.history.memory.books
        books, rules = {}, {}
        for asset in sorted(assets):
            key = (asset, known, market)
            if key not in memory:
                if len(memory) >= MOST_BOOKS:
                    memory.clear()
                price = tradable(self.history.price(asset, known))
                rule = market.rule(asset, self.setting.quote, price)
                memory[key] = market.book(rule.symbol, price, self.history.rank(asset, known), at), rule
            books[asset], rules[asset] = memory[key]
        return books, rules

    def _reweigh(self, weights: Mapping[str, Decimal], known: int) -> None:
        prices = {asset: self.history.price(asset, known) for asset in {*self.benchmark.quantities, *weights}}
        if not self.benchmark.quantities:
            cash = {
                asset: divide(weight * self.setting.start_value, prices[asset], Decimal("1e-18"))
                for asset, weight in weights.items()
            }
            self.benchmark = Benchmark(cash)
        elif weights:
            self.benchmark = self.benchmark.reweighted(weights, prices)

    def _record(self, morning: int) -> None:
        fund = self.fund
        assert fund is not None
        per_unit = {asset: quantity / fund.units for asset, quantity in fund.holdings.items()}
        self.course.stretches.append(Stretch(morning, per_unit, fund.cash / fund.units, self.benchmark))

    def _tell(self, day: int, what: What, asset: str | None, text: str) -> None:
        self.course.events.append(Event(date.fromordinal(day), what, asset, text))


def _at(morning: int) -> datetime:
    return datetime.combine(date.fromordinal(morning), time(), UTC)


def shown(price: Decimal) -> str:
    """Return a price with the digits that matter to a reader."""
    return plain(_SHOWN.plus(price))


def _dues(rule: Methodology, start: int, end: int) -> Iterator[int]:
    """Yield the days on which something is due: the first, then those of the calendar."""
    yield start
    last, at = start, _at(start + 1) - timedelta(microseconds=1)
    while True:
        at = next_due(rule.calendar.cron, at)
        if at.toordinal() > end:
            return
        if at.toordinal() > last:
            last = at.toordinal()
            yield last
