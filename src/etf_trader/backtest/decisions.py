"""What the rulebook decides on a morning of the past, from what was known at the end of the day before. Pure.

The same `choose` and `weigh` that a fund uses. A row of a table of market caps is
known once its day is over, for such tables are made at the end of a day; so are
candles.
"""

from collections.abc import Collection, Sequence
from datetime import date
from decimal import Decimal

from etf_trader.backtest.candles import Floats
from etf_trader.backtest.history import History
from etf_trader.errors import DataError, UsageError
from etf_trader.index.caps import CapRow
from etf_trader.index.determination import Choice, Determination, choose, listed, weigh
from etf_trader.index.methodology import Methodology
from etf_trader.index.selection import Known
from etf_trader.seal import canonical


class Decider:
    """Decides for one rulebook; what the same rules decided on the same day is remembered in the history.

    The `quote` has no market of its own, as at a venue, and is no constituent.
    """

    def __init__(self, history: History, rule: Methodology, quote: str) -> None:
        self._history, self._rule, self._quote = history, rule, quote
        document = rule.document()
        choosing = [document[name] for name in ("universe", "eligibility", "selection")]
        self._chosen_by = canonical([quote, *choosing])
        self._key = self._chosen_by + canonical([document[name] for name in ("weighting", "weights")])

    def require_prices(self) -> None:
        """Refuse an asset that the rulebook names and nobody has a price of: it may be mistyped.

        Raises:
            UsageError: names the first.
        """
        for asset in (*self._rule.universe.assets, *self._rule.weights):
            if self._history.source(asset, self._history.last_day) is None:
                raise UsageError(
                    f"there is no price of {asset}, which the index names",
                    where="--candles",
                    hint=f"candles of {asset}, or --caps with a table that has it",
                )

    def decide(self, day: int, incumbents: Collection[str]) -> Determination:
        """Return what the index is to hold, by all that is known at the end of `day`.

        Raises:
            DataError: nobody is eligible, the table is too old, or past prices are missing.
            UsageError: the cap or the floor does not fit how many there are.
        """
        key = (self._key, day, tuple(sorted(incumbents)))
        found = self._history.memory.determinations.get(key)
        if found is None:
            found = self._decide(day, incumbents)
            self._history.memory.determinations[key] = found
        return found

    def _decide(self, day: int, incumbents: Collection[str]) -> Determination:
        choice = self._choose(day, incumbents)
        try:
            weights = weigh(self._rule, choice.rows, self._returns(choice, day))
        except DataError as error:
            if error.where is None or error.where in self._history.candles:
                raise
            hint = f"candles of {error.where}, or --candles-only, which leaves out coins without"
            raise DataError(error.message, where=error.where, hint=hint) from error
        return Determination(date.fromordinal(day), weights, ())

    def _choose(self, day: int, incumbents: Collection[str]) -> Choice:
        """Return who is in: from a table of market caps that is the same whatever the weights are made of."""
        rule = self._rule
        has_table = rule.universe.caps is not None
        key = (self._chosen_by if has_table else self._key, day, tuple(sorted(incumbents)))
        found = self._history.memory.choices.get(key)
        if found is None:
            rows, known = self._from_table(day) if has_table else self._from_list(day)
            # Without the verdicts, which nobody reads here: a grid remembers thousands of choices.
            found = Choice(choose(rule, date.fromordinal(day), rows, known, incumbents).rows, ())
            self._history.memory.choices[key] = found
        return found

    def _from_table(self, day: int) -> tuple[Sequence[CapRow], Known]:
        history = self._history
        rows = history.rows(day)
        assert history.listing is not None
        first_seen = history.listing.first_seen if self._rule.eligibility.age_days else {}
        trading = history.trading(day, dict.fromkeys(row.symbol for row in rows))
        return rows, Known({asset: each for asset, each in trading.items() if asset != self._quote}, first_seen)

    def _from_list(self, day: int) -> tuple[Sequence[CapRow], Known]:
        history, need = self._history, self._rule.needs()
        rows = listed(self._rule, date.fromordinal(day))
        trading = {row.symbol: True for row in rows if history.trades(row.symbol, day)}
        if not (need.age_days or need.volume):
            return rows, Known(trading, {})
        first_seen, found = {}, []
        for row in rows:
            candles, volume = history.candles.get(row.symbol), Decimal(0)
            if candles is not None and candles.first <= day:
                first_seen[row.symbol, row.name] = date.fromordinal(candles.first)
                volume = candles.value_traded(day, 1) if candles.last_before(day) == day else volume
            found.append(CapRow(row.day, row.symbol, row.name, row.market_cap, None, volume))
        return found, Known(trading, first_seen)

    def _returns(self, choice: Choice, day: int) -> dict[str, Floats]:
        rule = self._rule.weighting
        if not rule.by.needs_candles:
            return {}
        return self._history.returns([row.symbol for row in choice.rows], day, rule.days)
