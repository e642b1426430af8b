"""Finds what a rulebook asks for: market caps from a table, markets and past prices from the venue."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

from etf_trader.errors import DataError, UsageError
from etf_trader.execution.delisted import ending_markets
from etf_trader.index.caps import CapRow, CapTable, read_caps
from etf_trader.index.determination import Choice, Determination, choose, listed, weigh
from etf_trader.index.methodology import Methodology
from etf_trader.index.mistakes import doubts, single_coins
from etf_trader.index.prices import CLOSE, Price
from etf_trader.index.selection import Known, excluded_assets
from etf_trader.index.weighting import Floats, daily_returns
from etf_trader.market.candle import Candle
from etf_trader.money import ZERO
from etf_trader.venue.interface import Venue

DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Caps:
    """A table of market caps to be used instead of the rulebook's own, and how its columns are called."""

    file: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)


async def determine_now(
    venue: Venue,
    rule: Methodology,
    quote: str,
    now: datetime,
    incumbents: Collection[str] = (),
    caps: Caps | None = None,
) -> Determination:
    """Return what the rulebook says today, at this venue.

    Days are UTC and end before `now`: of today nothing is used but which markets trade, and which are to end.
    A coin whose market is to end does not come in, and leaves where the rulebook sells it.

    Raises:
        DataError: nobody is eligible, the table is too old, or past prices are missing.
        UsageError: the table cannot be read; the cap or the floor does not fit how many there are.
    """
    day = now.astimezone(UTC).date()
    markets = {
        each.base: each for each in (await venue.rules()).values() if each.quote == quote and each.base != quote
    }
    trading = {asset: each.is_trading for asset, each in markets.items()}
    symbols = {asset: each.symbol for asset, each in markets.items()}
    ending = await ending_markets(venue)
    staying = () if rule.delisting.sells else incumbents
    leaving = frozenset(asset for asset, symbol in symbols.items() if symbol in ending and asset not in staying)
    table, unranked = _table(rule, caps), frozenset[str]()
    if table is not None:
        rows: Sequence[CapRow] = table.known_on(day)
        unranked = (table.unranked_on(day) & trading.keys()) - excluded_assets(rule.universe.exclude)
        known = Known(trading, _first_days(table, rows, day) if rule.eligibility.age_days else {}, leaving)
    else:
        rows, first_seen = await _listed(venue, rule, day, symbols)
        known = Known(trading, first_seen, leaving)
    choice = choose(rule, day, rows, known, incumbents)
    returns = await _returns(venue, rule, choice, day, symbols)
    weights = _weights(rule, choice.rows, returns)
    return Determination(day, weights, choice.verdicts, tuple(sorted(unranked)))


async def doubts_now(venue: Venue, rule: Methodology, quote: str, caps: Caps | None = None) -> list[str]:
    """Return what of a rulebook is probably not meant, by what this venue and its table of market caps know."""
    rules = [each for each in (await venue.rules()).values() if each.quote == quote]
    known = {each.base for each in (await venue.rules()).values()} | set(rule.universe.assets)
    if unknown := {word.upper() for word in single_coins(rule)} - known:
        try:
            table = _table(rule, caps)
            known |= set() if table is None else {row.symbol for rows in table.days.values() for row in rows}
        except (DataError, UsageError):
            known |= unknown  # what makes weights says that the table cannot be read
    return doubts(rule, known, min((each.taker_fee for each in rules), default=ZERO))


def _weights(rule: Methodology, chosen: Sequence[CapRow], returns: Mapping[str, Floats]) -> Mapping[str, Decimal]:
    """Return the weights of what was chosen; where they are made of past prices that say nothing, what to do."""
    try:
        return weigh(rule, chosen, returns)
    except DataError as error:
        if error.hint is not None or not rule.weighting.by.needs_candles:
            raise
        hint = (
            f"weights by {rule.weighting.by} are made of the last {rule.weighting.days} days: wait for some on "
            "which it moves (a stepped paper exchange: etf exchange advance 4d), or weigh by something else"
        )
        raise DataError(error.message, where=error.where, hint=hint) from error


def _table(rule: Methodology, caps: Caps | None) -> CapTable | None:
    if rule.universe.caps is None:
        refuse_caps(caps)
        return None
    typed = caps or Caps()
    return read_caps(typed.file or Path(rule.universe.caps), {**rule.universe.columns, **typed.columns})


def refuse_caps(caps: Caps | None) -> None:
    """Refuse a table of market caps, or names of its columns, for an index that names its assets.

    Raises:
        UsageError: one was typed.
    """
    if caps is not None:
        raise UsageError(
            "the index names its assets: it takes no table of market caps",
            where="--caps",
            hint="leave --caps and --caps-columns out, or give its rulebook universe.caps",
        )


def _first_days(table: CapTable, rows: Sequence[CapRow], day: date) -> dict[tuple[str, str], date]:
    """Return the first day of each of these coins in the table."""
    wanted = {(row.symbol, row.name) for row in rows}
    found: dict[tuple[str, str], date] = {}
    for each in sorted(table.days):
        if each > day:
            break
        for row in table.days[each]:
            if (row.symbol, row.name) in wanted:
                found.setdefault((row.symbol, row.name), each)
    return found


async def _listed(
    venue: Venue, rule: Methodology, day: date, symbols: Mapping[str, str]
) -> tuple[Sequence[CapRow], dict[tuple[str, str], date]]:
    """Return the rows of a list, with yesterday's volume and first days where the rulebook asks for them."""
    rows = listed(rule, day)
    need = rule.needs()
    if not (need.age_days or need.volume):
        return rows, {}
    days = max(need.age_days, 1) + 1
    past = await asyncio.gather(*(daily_candles(venue, symbols.get(row.symbol), day, days) for row in rows))
    found, first_seen = [], {}
    for row, candles in zip(rows, past, strict=True):
        if candles:
            first_seen[(row.symbol, row.name)] = candles[0].start.date()
        volume = candles[-1].value if candles and candles[-1].start.date() == day - timedelta(days=1) else ZERO
        found.append(CapRow(day, row.symbol, row.name, row.market_cap, None, volume))
    return tuple(found), first_seen


async def _returns(
    venue: Venue, rule: Methodology, choice: Choice, day: date, symbols: Mapping[str, str]
) -> dict[str, Floats]:
    """Return daily returns of what was chosen up to yesterday's close, where weights are made of them."""
    if not rule.weighting.by.needs_candles:
        return {}
    past = await asyncio.gather(
        *(daily_candles(venue, symbols[row.symbol], day, rule.weighting.days + 1) for row in choice.rows)
    )
    closes = {
        row.symbol: {each.start.date(): float(each.close) for each in candles}
        for row, candles in zip(choice.rows, past, strict=True)
    }
    return daily_returns(closes)


async def last_closes(venue: Venue, symbols: Mapping[str, str], now: datetime) -> dict[str, Price]:
    """Return the close of the last whole day, UTC, of each asset; `symbols` are their markets."""
    day = now.astimezone(UTC).date()
    found = await asyncio.gather(*(daily_candles(venue, symbol, day, 1) for symbol in symbols.values()))
    return {
        asset: Price(candles[-1].close, CLOSE, candles[-1].start + timedelta(days=1))
        for asset, candles in zip(symbols, found, strict=True)
        if candles
    }


async def daily_candles(venue: Venue, symbol: str | None, day: date, days: int) -> list[Candle]:
    """Return the daily candles of the last `days` whole days before `day`, oldest first."""
    if symbol is None:
        return []
    end = datetime.combine(day, time(), UTC)
    found = await venue.candles(symbol, DAY_SECONDS, end - timedelta(days=days), end)
    return [each for each in found if each.start < end]
