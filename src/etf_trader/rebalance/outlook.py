"""What a rebalance brings beyond its trades: how far the index strays before and after, and what less would do."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from etf_trader.money import money_context
from etf_trader.rebalance.determining import daily_candles
from etf_trader.rebalance.drift import targets_with_reserve
from etf_trader.rebalance.frontier import Point, active_weights, frontier
from etf_trader.rebalance.planning import Rebalance
from etf_trader.rebalance.previewing import RebalancePreview
from etf_trader.rebalance.tracking import DAYS, Risk, risk_of
from etf_trader.venue.interface import Venue

Closes = Mapping[str, Mapping[date, Decimal]]


@dataclass(frozen=True, slots=True)
class Outlook:
    """Tracking errors in bps a year, None without past prices; `days` of them, and who was taken as the average.

    `frontier` are the ways to do it that none of the others beats.
    """

    tracking_error_before: Decimal | None
    tracking_error_after: Decimal | None
    days: int
    averaged: tuple[str, ...]
    frontier: tuple[Point, ...]


async def past_closes(venue: Venue, symbols: Mapping[str, str], now: datetime) -> Closes:
    """Return the closing prices of the last days by asset and day; of one without candles, none."""
    day = now.astimezone(UTC).date()
    names = sorted(symbols)
    past = await asyncio.gather(*(daily_candles(venue, symbols[asset], day, DAYS + 1) for asset in names))
    return {
        asset: {each.start.date(): each.close for each in candles}
        for asset, candles in zip(names, past, strict=True)
    }


async def look_ahead(venue: Venue, preview: RebalancePreview) -> Outlook | None:
    """Return what a previewed rebalance brings, by the venue's daily candles; None while nobody holds units."""
    if preview.rebalance is None or preview.version.rules is None:
        return None
    closes = await past_closes(venue, preview.symbols, preview.at)
    targets = targets_with_reserve(preview.determination.weights, preview.version.rules.rebalance.reserve)
    return await asyncio.to_thread(outlook_of, preview.rebalance, targets, closes)


def outlook_of(found: Rebalance, targets: Mapping[str, Decimal], closes: Closes) -> Outlook:
    """Return what a planned rebalance brings. Pure.

    Args:
        found: What is planned.
        targets: What the rulebook wants, fractions of NAV.
        closes: Closing prices by asset and day.
    """
    with money_context():
        before = {each.asset: each.weight for each in found.drifts}
        risk = risk_of(closes, {*before, *targets})
        return Outlook(
            _error(risk, before, targets),
            _error(risk, found.weights_after, targets),
            0 if risk is None else risk.days,
            () if risk is None else risk.unknown,
            frontier(found, targets, risk),
        )


def _error(risk: Risk | None, weights: Mapping[str, Decimal], targets: Mapping[str, Decimal]) -> Decimal | None:
    return None if risk is None else risk.tracking_error(active_weights(weights, targets))
