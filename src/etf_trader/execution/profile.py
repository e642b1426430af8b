"""When in a day the constituents of an index are traded: what a VWAP order follows. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from etf_trader.market.candle import Candle
from etf_trader.money import ONE, ZERO, divide, largest_remainder, money_context

DAYS = 20
"""How many whole days a profile looks back."""

HOUR = 3600
HOURS = 24
GRID = Decimal("1e-12")
"""Shares and weights are counted in steps of this size."""

_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
_MICROSECOND = timedelta(microseconds=1)


def profile_span(now: datetime) -> tuple[datetime, datetime]:
    """Return the days that a profile looks at: the last 20 whole ones in UTC, as (start, end) of candles."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - DAYS * _DAY, today


def hourly_profile(
    candles: Mapping[str, Sequence[Candle]],
    mids: Mapping[str, Decimal],
    per_unit: Mapping[str, Decimal],
    now: datetime,
) -> tuple[Decimal, ...] | None:
    """Return which part of a day's value is traded in each hour (UTC), for all constituents together.

    A constituent's part is the mean over its whole days among the last 20; a day
    is whole when it has all 24 hours and something was traded in it. Constituents
    count by their value in the basket; one without a whole day does not count.

    Args:
        candles: Hourly candles of each constituent, in any order; others are passed over.
        mids: The price of each constituent.
        per_unit: The quantity of each constituent in an index unit; cash is none.
        now: The day of it is not over, and does not count.

    Returns:
        24 parts, 0 or more, that sum to exactly 1; None when nothing is known, so that an even profile is all
        there is to follow.
    """
    with money_context():
        total = [ZERO] * HOURS
        for asset, quantity in per_unit.items():
            parts = _mean_day(candles.get(asset, ()), now) if quantity else None
            if parts is not None:
                value = quantity * mids[asset]
                total = [before + value * part for before, part in zip(total, parts, strict=True)]
        return tuple(largest_remainder(ONE, total, GRID)) if any(total) else None


def spread(
    profile: Sequence[Decimal] | None, start: datetime, seconds: int, period_seconds: int
) -> tuple[Decimal, ...]:
    """Return which part of an order's volume each of its periods has, by the hours that it lies in.

    Within an hour volume is even. Where the profile has nothing in the whole time, it is even over all of it.

    Args:
        profile: 24 parts of a day, by hour (UTC); None: an even one.
        start: When the order begins.
        seconds: How long it takes, above 0.
        period_seconds: How long a period takes, above 0; the last may be shorter.

    Returns:
        A part for each period, 0 or more, that sum to exactly 1.
    """
    if seconds <= 0 or period_seconds <= 0:
        raise ValueError(f"{seconds} s cannot be cut into periods of {period_seconds} s")
    hours = [ONE] * HOURS if profile is None else profile
    ends = [*range(period_seconds, seconds, period_seconds), seconds]
    with money_context():
        weights = [_volume(hours, start, first, last) for first, last in pairwise([0, *ends])]
        if not any(weights):
            return spread(None, start, seconds, period_seconds)
        return tuple(largest_remainder(ONE, weights, GRID))


def _mean_day(candles: Sequence[Candle], now: datetime) -> list[Decimal] | None:
    """Return the mean part of each hour in the whole days of a constituent; None when it has none."""
    first, end = profile_span(now)
    days: dict[datetime, list[Decimal | None]] = {}
    for candle in candles:
        if candle.seconds == HOUR and first <= candle.start < end:
            at = candle.start.astimezone(UTC)
            day = days.setdefault(at.replace(hour=0, minute=0, second=0, microsecond=0), [None] * HOURS)
            day[at.hour] = candle.value
    whole = [values for day in days.values() if len(values := [each for each in day if each is not None]) == HOURS]
    totals = [(values, sum(values, ZERO)) for values in whole]
    parts = [[divide(value, total) for value in values] for values, total in totals if total]
    return [divide(sum(of_hour, ZERO), Decimal(len(parts))) for of_hour in zip(*parts, strict=True)] or None


def _volume(hours: Sequence[Decimal], start: datetime, first: int, last: int) -> Decimal:
    """Return the profile's volume between two times, in seconds from `start`, as parts of a day x microseconds."""
    at, end = (start.astimezone(UTC) + timedelta(seconds=seconds) for seconds in (first, last))
    volume = ZERO
    while at < end:
        until = min(end, at.replace(minute=0, second=0, microsecond=0) + _HOUR)
        volume += hours[at.hour] * ((until - at) // _MICROSECOND)
        at = until
    return volume
