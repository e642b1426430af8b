"""What a moment of the past is valued by: prices that were recorded then, else the venue's candles."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import Connection, select

from etf_trader.database import Database
from etf_trader.errors import DataError, VenueError
from etf_trader.index.tables import indices
from etf_trader.market.candle import Candle
from etf_trader.orders.plan import plan_mids
from etf_trader.orders.tables import index_orders, plans
from etf_trader.reports.period import moment_text
from etf_trader.venue.interface import Venue

FRESH = timedelta(hours=1)
"""A recorded mid that is not older than this is better than a candle."""

DAY, MINUTE = 86_400, 60


@dataclass(frozen=True, slots=True)
class Price:
    """What one of `asset` is worth in quote: from where, of when, and how old it was when it was used."""

    asset: str
    price: Decimal
    source: str
    at: datetime
    age_seconds: Decimal


def price_at(asset: str, price: Decimal, source: str, at: datetime, moment: datetime) -> Price:
    """Return a price of `at` as it is used at `moment`."""
    return Price(asset, price, source, at, age_of(at, moment))


def age_of(at: datetime, moment: datetime) -> Decimal:
    """Return how many seconds before `moment` something was; 0 for what was not before it."""
    age = max(moment - at, timedelta())
    return Decimal(age.days * DAY + age.seconds) + Decimal(age.microseconds).scaleb(-6)


def recorded_prices(
    connection: Connection, account_id: int, quote: str, assets: set[str], moment: datetime
) -> dict[str, Price]:
    """Return the newest mids before `moment` that plans were made on, as far as there are some."""
    query = (
        select(plans.c.id, plans.c.created_at, plans.c.document)
        .join(index_orders, index_orders.c.id == plans.c.index_order_id)
        .join(indices, indices.c.id == index_orders.c.index_id)
        .where(index_orders.c.account_id == account_id, indices.c.quote == quote, plans.c.created_at < moment)
        .order_by(plans.c.id.desc())
    )
    found: dict[str, Price] = {}
    for row in connection.execute(query):
        mids = plan_mids(json.loads(row.document))
        for asset in assets & (mids.keys() - found.keys()):
            found[asset] = price_at(asset, mids[asset], f"plan {row.id}", row.created_at, moment)
        if len(found) == len(assets):
            break
    return found


async def past_prices(
    database: Database,
    venue: Venue | None,
    account_id: int,
    quote: str,
    symbols: Mapping[str, str],
    moment: datetime,
) -> dict[str, Price]:
    """Return what each asset was worth in `quote` just before `moment`.

    A mid that a plan was made on in the hour before; else the close of the last
    candle that had ended: the day's at the beginning of a day, the minute's
    within one; else the newest mid that was recorded, however old it is.

    Args:
        venue: Who is asked for candles; None: nobody can be.
        symbols: The assets that are wanted, with the symbols they trade as against `quote`.

    Raises:
        DataError: an asset has no price before that moment.
    """
    with database.read() as connection:
        recorded = recorded_prices(connection, account_id, quote, set(symbols), moment)
    found = {}
    for asset, symbol in sorted(symbols.items()):
        known = recorded.get(asset)
        if known is None or moment - known.at > FRESH:
            known = await close_before(venue, asset, symbol, moment) or known
        if known is None:
            raise DataError(
                f"nothing says what {asset} was worth before {moment_text(moment)}: no plan was made on its "
                f"books, and the venue has no candles of {symbol}",
                where=symbol,
            )
        found[asset] = known
    return found


async def close_before(venue: Venue | None, asset: str, symbol: str, moment: datetime) -> Price | None:
    """Return the close of the last candle that ended by `moment`; None where the venue has none."""
    if venue is None:
        return None
    spans = [(DAY, timedelta(days=3), "the day's close")]
    if "T" in moment_text(moment):
        spans.insert(0, (MINUTE, FRESH, "the minute's close"))
    for seconds, back, source in spans:
        try:
            candles = await venue.candles(symbol, seconds, moment - back, moment)
        except (VenueError, DataError):
            continue
        ended = [candle for candle in candles if _end(candle) <= moment]
        if ended:
            return price_at(asset, ended[-1].close, source, _end(ended[-1]), moment)
    return None


def _end(candle: Candle) -> datetime:
    return candle.start + timedelta(seconds=candle.seconds)
