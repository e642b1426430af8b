"""Where the prices of a run came from: candles or the table of market caps, and markets that have ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from etf_trader.backtest.course import Course
from etf_trader.backtest.history import History, Source


@dataclass(frozen=True, slots=True)
class Ended:
    """A coin that is held at the end and has no market: counted at its last price, that of `day`.

    `share` is its part of the final NAV.
    """

    asset: str
    day: date
    share: float


@dataclass(frozen=True, slots=True)
class Prices:
    """Where prices came from: how many coins that were held, and how much of the index by days and weight.

    `ended` are those at the end whose price is of a market that is no more, the largest first.
    """

    candles: tuple[str, ...]
    caps: tuple[str, ...]
    candles_share: float
    ended: tuple[Ended, ...]

    @property
    def ended_share(self) -> float:
        """Which part of the final NAV is counted at last prices of ended markets."""
        return sum(each.share for each in self.ended)


def prices_of(course: Course, history: History, nav_per_unit: float) -> Prices:
    """Return where the prices of the index came from: each step counts as many days as it lasted.

    Args:
        nav_per_unit: At the end, above 0.
    """
    sources: dict[str, set[Source]] = {}
    by_candles = whole = 0.0
    ends = [step.day for step in course.steps[1:]] + [date.fromordinal(course.end + 1)]
    for step, until in zip(course.steps, ends, strict=True):
        lasted, known = (until - step.day).days, step.day.toordinal() - 1
        for asset, weight in step.weights.items():
            source = history.source(asset, known)
            if source is None:
                continue
            sources.setdefault(asset, set()).add(source)
            whole += float(weight) * lasted
            by_candles += float(weight) * lasted * (source is Source.CANDLES)
    return Prices(
        candles=tuple(sorted(asset for asset, found in sources.items() if Source.CANDLES in found)),
        caps=tuple(sorted(asset for asset, found in sources.items() if found == {Source.CAPS})),
        candles_share=by_candles / whole if whole else 0.0,
        ended=tuple(sorted(_ended(course, history, nav_per_unit), key=lambda each: (-each.share, each.asset))),
    )


def _ended(course: Course, history: History, nav_per_unit: float) -> Sequence[Ended]:
    end = course.end
    return [
        Ended(asset, date.fromordinal(on), float(quantity) * float(price) / nav_per_unit)
        for asset, quantity in course.stretches[-1].per_unit.items()
        if not history.trades(asset, end)
        for on, price in [history.last_price(asset, end)]
    ]
