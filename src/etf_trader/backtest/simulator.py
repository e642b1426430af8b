"""A rulebook run over past days: each morning that something is due, the same decision, plan and booking as live.

    morning of day D      what is known is the end of D - 1: rulebook and prices, the close, are those of then
    due                   a time of the calendar on day D; when the fund begins, `beginning` says
    not to be decided     (market caps too old, nobody eligible): the next morning, until the next is due
    a market that ended   by the rule: sold at its last price, its weight shared out over the others; or frozen
    out of the table      a coin that left the table of market caps is sold, at the most it can be worth

The index is rebalanced at the same prices without cost and without bands; the fund pays.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Context, Decimal
from itertools import pairwise

from msgspec.structs import replace

from etf_trader.backtest.beginning import Hindrance, beginning, due_days, morning_of, weightier
from etf_trader.backtest.course import Cause, Course, Event, Setting, Step, Stretch, What
from etf_trader.backtest.decisions import Decider
from etf_trader.backtest.depth import LEAST_ORDER, tradable
from etf_trader.backtest.fund import Fund
from etf_trader.backtest.history import MOST_BOOKS, History, Source
from etf_trader.errors import DataError, UsageError
from etf_trader.index.determination import Determination
from etf_trader.index.level import Benchmark
from etf_trader.index.methodology import RebalanceRule
from etf_trader.market.book import OrderBook
from etf_trader.market.symbol import SymbolRule
from etf_trader.money import ONE, ZERO, divide, money_context, plain
from etf_trader.rebalance.drift import targets_with_reserve
from etf_trader.rebalance.planning import Holdings, plan_of

_WEIGHT_GRID = Decimal("1e-12")
_FREE_DUST = Decimal("0.01")

_SHOWN = Context(prec=6)

AT_ONCE = RebalanceRule()
"""How the first basket is bought, and a market that ended is left: whatever the bands, and at once."""

Told = Callable[[float], None]


def run(setting: Setting, history: History, told: Told | None = None) -> Course:
    """Run a rulebook over the past.

    Args:
        told: Is told how far it is, a fraction of one.

    Raises:
        DataError: the rulebook could not be followed on a single morning; says why.
        UsageError: it names an asset of which there is no price, or can be followed only from a later day on.
    """
    with money_context():
        return _Run(setting, history).go(told)


class _Run:
    def __init__(self, setting: Setting, history: History) -> None:
        self.setting, self.history = setting, history
        self.decider = Decider(history, setting.rule, setting.quote)
        self.decider.require_prices()
        end = history.last_day if setting.end is None else min(setting.end.toordinal(), history.last_day)
        cron, first = setting.rule.calendar.cron, history.first_day + 1
        self.begun = beginning(self.decider, cron, setting.start, first, end)
        self.course = Course(setting, self.begun.morning - 1, end)
        at = morning_of(self.begun.morning)
        self.fund = Fund(setting.quote, setting.capital, setting.start_value, at)
        self.benchmark = Benchmark({})
        self.members: frozenset[str] = frozenset()
        self.looked = self.course.start
        """The day up to whose end markets that ended have been dealt with."""

    def go(self, told: Told | None) -> Course:
        course = self.course
        self._begin()
        dues = list(due_days(self.setting.rule.calendar.cron, self.begun.morning, course.end))
        for place, (due, until) in enumerate(pairwise([*dues, course.end + 1]), start=1):
            try:
                self._take(due, until)
            except (DataError, UsageError) as error:
                self._tell(due, What.MISSED, None, f"nothing could be decided: {error}")
            if told is not None:
                told(place / len(dues))
        self._follow_ended(course.end, has_rebalance=False)
        course.units = self.fund.units
        course.audit = self.fund.audited()
        return course

    def _begin(self) -> None:
        due, morning, late = self.begun
        if late is not None:
            self._tell(morning, What.BEGUN_LATE, None, late)
        self._follow(self.decider.decide(morning - 1, ()), morning, due, Cause.BEGIN)

    def _take(self, due: int, until: int) -> None:
        """Do what is due on the first morning before `until` on which it can be decided.

        Raises:
            DataError, UsageError: there is none; says what was in the way.
        """
        why: Hindrance | None = None
        for morning in range(due, until):
            try:
                determination = self.decider.decide(morning - 1, self.members)
            except (DataError, UsageError) as error:
                why = weightier(why, morning, error)
                continue
            self._follow_ended(morning)
            if why is not None:
                self._tell(morning, What.LATE, None, f"due on {date.fromordinal(due)}: {why.error}")
            self._follow(determination, morning, due, Cause.DUE)
            return
        if why is not None:
            raise why.error

    def _follow(self, determination: Determination, morning: int, due: int, cause: Cause) -> None:
        aim = AT_ONCE if cause is Cause.BEGIN else self.setting.rule.rebalance
        self._rebalance(morning, due, cause, determination.weights, aim)
        self.members = frozenset(determination.weights)

    def _follow_ended(self, morning: int, *, has_rebalance: bool = True) -> None:
        """Deal with markets that ended before `morning`, each on the morning after that is known.

        Args:
            has_rebalance: Whether on `morning` itself the whole index is rebalanced.
        """
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
            frozen = [] if self.setting.rule.delisting.sells else ended
            self._freeze(frozen, day)
            if sold := [asset for asset in gone if asset not in frozen]:
                self._sell(sold, day, is_due=has_rebalance and day + 1 == morning)
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
        known, at = morning - 1, morning_of(morning)
        self._thaw(known)
        fund.charge(rule.fee.management_bps, at)
        frozen = self.course.frozen
        holdings = fund.holdings
        held = {asset: quantity for asset, quantity in holdings.items() if asset not in frozen}
        targets = targets_with_reserve(
            {a: w for a, w in weights.items() if a not in frozen}, rule.rebalance.reserve
        )
        books, rules = self._books({*held, *targets}, known, at)
        kept = sum((holdings[asset] * self.history.price(asset, known) for asset in frozen), ZERO)
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
        per_unit = {asset: quantity / fund.units for asset, quantity in fund.holdings.items()}
        self.course.stretches.append(Stretch(morning, per_unit, fund.cash / fund.units, self.benchmark))

    def _tell(self, day: int, what: What, asset: str | None, text: str) -> None:
        self.course.events.append(Event(date.fromordinal(day), what, asset, text))


def shown(price: Decimal) -> str:
    """Return a price with the digits that matter to a reader."""
    return plain(_SHOWN.plus(price))
