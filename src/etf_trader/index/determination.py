"""What an index is to hold from a day on: who is in, and at what weights. Pure.

The same rulebook, the same rows and the same past prices give the same answer, in
a fund, in a dry run and in a backtest. Nothing that is dated after the day of
determination may be passed in; `CapTable.known_on` sees to that for market caps.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from etf_trader.errors import DataError
from etf_trader.index.caps import CapRow
from etf_trader.index.methodology import Methodology, Weighting
from etf_trader.index.selection import Known, Verdict, eligible, excluded_assets, select
from etf_trader.index.weighting import (
    Floats,
    bounded,
    equal,
    inverse_volatility,
    momentum,
    on_grid,
    proportional,
    risk_parity,
    roots,
)
from etf_trader.money import ZERO

MOST_NAMED = 5
"""So many coins are named with what is wrong with them."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The coins that are in, by rank, and the verdict on every coin looked at."""

    rows: Sequence[CapRow]
    verdicts: Sequence[Verdict]


@dataclass(frozen=True, slots=True)
class Determination:
    """Weights by asset, on the weight grid and together exactly 1, and the verdict on every coin looked at.

    `unranked` are coins that could be in if the table of market caps said how large they are.
    """

    day: date
    weights: Mapping[str, Decimal]
    verdicts: Sequence[Verdict]
    unranked: tuple[str, ...] = ()


def choose(
    rule: Methodology, day: date, rows: Sequence[CapRow], known: Known, incumbents: Collection[str] = ()
) -> Choice:
    """Return who is in the index from `day` on.

    Args:
        rows: The coins to choose from, best first: the market caps of the day, or the list in its order.
        known: Markets, and since when coins have been seen.
        incumbents: The assets that are in the index now.

    Raises:
        DataError: nobody is eligible.
    """
    left, out = eligible(rows, day, rule.needs(), excluded_assets(rule.universe.exclude), known)
    verdicts = select(left, incumbents, rule.buffers())
    chosen = [row for row, verdict in zip(left, verdicts, strict=True) if verdict.why.is_in]
    if not chosen:
        raise DataError(
            f"no coin is eligible on {day}{_named(out)}", hint="see [universe] and [eligibility] of the rulebook"
        )
    return Choice(chosen, (*verdicts, *out))


def _named(out: Sequence[Verdict]) -> str:
    """Return why the first of those left out are."""
    told = ", ".join(f"{each.asset} ({each.why})" for each in out[:MOST_NAMED])
    more = f" and {len(out) - MOST_NAMED} more" if len(out) > MOST_NAMED else ""
    return f": {told}{more}" if told else ""


def weigh(rule: Methodology, chosen: Sequence[CapRow], returns: Mapping[str, Floats]) -> dict[str, Decimal]:
    """Return the weight of each coin that was chosen.

    Args:
        returns: Daily returns by asset up to the day, shape (days,), where weights are made of them.

    Raises:
        DataError: past prices are missing; says whose.
        UsageError: the cap or the floor does not fit how many there are.
    """
    shares = bounded(_shares(rule, chosen, returns), cap=rule.weighting.cap, floor=rule.weighting.floor)
    return on_grid(shares, cap=rule.weighting.cap)


def _shares(rule: Methodology, chosen: Sequence[CapRow], returns: Mapping[str, Floats]) -> dict[str, Fraction]:
    assets = [row.symbol for row in chosen]
    match rule.weighting.by:
        case Weighting.EQUAL:
            return equal(assets)
        case Weighting.CUSTOM:
            return proportional({asset: rule.weights[asset] for asset in assets})
        case Weighting.MARKET_CAP | Weighting.CAPPED:
            return proportional({row.symbol: row.market_cap for row in chosen})
        case Weighting.SQRT_MARKET_CAP:
            return proportional(roots({row.symbol: row.market_cap for row in chosen}))
        case by:
            return _statistical(by, _of(assets, returns))


def _of(assets: Sequence[str], returns: Mapping[str, Floats]) -> dict[str, Floats]:
    if missing := [asset for asset in assets if asset not in returns]:
        more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
        raise DataError(
            f"{', '.join(missing[:MOST_NAMED])}{more}: there are no past prices to weigh by", where=missing[0]
        )
    return {asset: returns[asset] for asset in assets}


def _statistical(by: Weighting, returns: Mapping[str, Floats]) -> dict[str, Fraction]:
    if by is Weighting.INVERSE_VOLATILITY:
        return proportional(inverse_volatility(returns))
    if by is Weighting.RISK_PARITY:
        return proportional(risk_parity(returns))
    gains = momentum(returns)
    # Where nobody has gained there is nothing to follow: all alike, rather than no index.
    return proportional(gains) if any(gain > ZERO for gain in gains.values()) else equal(list(returns))


def listed(rule: Methodology, day: date) -> tuple[CapRow, ...]:
    """Return the rows of a rulebook that names its assets: in their order, of unknown size."""
    assets = rule.universe.assets or tuple(rule.weights)
    return tuple(CapRow(day, asset, asset, ZERO, None, None) for asset in assets)
