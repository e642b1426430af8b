"""The index that a fund follows, change by change, as it was written down.

It begins with the fund: what a unit holds, at the level of what a unit is worth.
From then on it changes whole, at fixing prices and without cost, and its divisor
keeps the level where it was.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, Row, select

from etf_trader.database import insert_row
from etf_trader.errors import MissingPrice
from etf_trader.index.level import LEVEL_GRID, Benchmark
from etf_trader.index.navs import last_nav
from etf_trader.index.prices import LAST, Price, prices_from, prices_text, values_of
from etf_trader.index.store import Basket, Index, current_basket
from etf_trader.index.tables import benchmarks, indices
from etf_trader.money import divide, round_to
from etf_trader.seal import canonical, seal

BEGAN = "began"


@dataclass(frozen=True, slots=True)
class Fixing:
    """The benchmark in force from a moment on, and the level and the prices at which it came into force."""

    id: int
    index_id: int
    effective_at: datetime
    reason: str
    quantities_text: str
    divisor: Decimal
    level: Decimal
    prices_text: str
    seal: str

    @property
    def benchmark(self) -> Benchmark:
        """What it holds, and what that is divided by."""
        quantities = {asset: Decimal(each) for asset, each in json.loads(self.quantities_text).items()}
        return Benchmark(quantities, self.divisor)

    @property
    def prices(self) -> dict[str, Price]:
        """The fixing prices by asset: of what it held, and of what it holds."""
        return prices_from(self.prices_text)

    def facts_seal(self) -> str:
        """Return the seal that its values should have."""
        facts = {
            "index": self.index_id,
            "effective_at": self.effective_at,
            "reason": self.reason,
            "quantities": self.quantities_text,
            "divisor": self.divisor,
            "level": self.level,
            "prices": self.prices_text,
        }
        return seal("etf.benchmark/1", facts)


def fixings_of(connection: Connection, index_id: int) -> list[Fixing]:
    """Return every benchmark that an index had, in the order in which they came into force.

    Each follows from the one that was written before it, whatever the clock said: it may have been set back.
    """
    query = select(benchmarks).where(benchmarks.c.index_id == index_id).order_by(benchmarks.c.id)
    return [_fixing(row) for row in connection.execute(query)]


def current_fixing(connection: Connection, index_id: int) -> Fixing | None:
    """Return the benchmark in force, which was written last; None: the index has none yet."""
    query = select(benchmarks).where(benchmarks.c.index_id == index_id).order_by(benchmarks.c.id.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else _fixing(row)


def begin(connection: Connection, basket: Basket, prices: Mapping[str, Price], now: datetime) -> Fixing | None:
    """Begin the benchmark of an index with what a unit holds, at the level of what it is worth; return it.

    Its weights are those of the basket without cash: a benchmark is invested whole.
    One that has begun is returned as it is. None: a unit holds nothing but cash, or nothing of worth.

    Raises:
        MissingPrice: a constituent has no price; names it.
    """
    # Two processes must not both begin it: on a server the index's row is the lock (SQLite has BEGIN IMMEDIATE).
    connection.execute(select(indices.c.id).where(indices.c.id == basket.index_id).with_for_update()).one()
    if (known := current_fixing(connection, basket.index_id)) is not None:
        return known
    values = values_of(prices)
    made = Benchmark(basket.quantities)
    if not made.value(values):
        return None
    level = round_to(basket.nav(values), LEVEL_GRID)
    used = {asset: prices[asset] for asset in basket.quantities}
    return _write(connection, basket.index_id, made.at_level(level, values), level, used, now, BEGAN)


def set_benchmark(
    connection: Connection,
    index: Index,
    weights: Mapping[str, Decimal],
    prices: Mapping[str, Price],
    now: datetime,
    reason: str,
) -> Fixing:
    """Give the benchmark other weights, all at once at the fixing `prices`, its level unmoved; return it.

    The same change once more (same moment, same reason) writes nothing. An index
    that has no benchmark yet begins one with its basket first.

    Args:
        weights: By asset, together 1; an asset of weight 0 leaves.
        prices: Of all that it is to hold; of what it holds, the last known is taken where one is missing.

    Raises:
        MissingPrice: there is no price for an asset; names it.
    """
    if (known := _same(connection, index.id, now, reason)) is not None:
        return known
    basket = current_basket(connection, index.id)
    assets = {*basket.quantities, *(asset for asset, weight in weights.items() if weight)}
    before = current_fixing(connection, index.id)
    held = set() if before is None else set(before.benchmark.quantities)
    fixing = with_last_known(connection, index.id, prices, assets | held)
    if before is None:
        before = begin(connection, basket, fixing, now)
    values = values_of(fixing)
    if before is None:
        raise MissingPrice(
            f"{index.symbol} holds nothing but cash: its benchmark has no level", where=index.symbol
        )
    after = before.benchmark.reweighted(weights, values)
    used = {asset: fixing[asset] for asset in {*before.benchmark.quantities, *after.quantities}}
    return _write(connection, index.id, after, before.benchmark.level(values), used, now, reason)


def swap(
    connection: Connection, index: Index, old: str, new: str, ratio: Decimal, now: datetime, reason: str = "swap"
) -> Fixing | None:
    """Make `ratio` of `new` of each `old` in the benchmark, which moves no level; return it.

    None: there is no benchmark, or it does not hold `old`. The same swap once more
    (same moment, same reason) writes nothing.

    Raises:
        MissingPrice: there is no last price for an asset; names it.
    """
    if (known := _same(connection, index.id, now, reason)) is not None:
        return known
    before = current_fixing(connection, index.id)
    if before is None or old not in before.benchmark.quantities:
        return None
    held = before.benchmark
    prices = with_last_known(connection, index.id, {}, held.quantities)
    level = held.level(values_of(prices))
    # What was one is `ratio` now: so is its price, whatever the new one traded at before.
    gone = prices[old]
    prices.setdefault(new, Price(divide(gone.value, ratio), LAST, gone.at))
    return _write(connection, index.id, held.swapped(old, new, ratio), level, prices, now, reason)


def with_last_known(
    connection: Connection, index_id: int, prices: Mapping[str, Price], assets: Collection[str]
) -> dict[str, Price]:
    """Return a price for each of `assets`: the given one, or the last that was written down, flagged as such.

    Raises:
        MissingPrice: neither is there; names the asset.
    """
    found = {asset: prices[asset] for asset in assets if asset in prices}
    missing = [asset for asset in assets if asset not in prices]
    if missing:
        found |= last_known(connection, index_id, missing)
    if unknown := sorted(set(missing) - found.keys()):
        raise MissingPrice(f"{unknown[0]} has no price, and never had one here", where=unknown[0])
    return found


def last_known(connection: Connection, index_id: int, assets: Collection[str]) -> dict[str, Price]:
    """Return the last prices that were written down for an index, as far as there are any."""
    nav, fixing = last_nav(connection, index_id), current_fixing(connection, index_id)
    sources = [each.prices for each in (fixing, nav) if each is not None]
    found: dict[str, Price] = {}
    for source in sources:
        for asset in source.keys() & set(assets):
            if asset not in found or source[asset].at >= found[asset].at:
                found[asset] = source[asset].kept()
    return found


def _same(connection: Connection, index_id: int, now: datetime, reason: str) -> Fixing | None:
    row = connection.execute(
        select(benchmarks).where(
            benchmarks.c.index_id == index_id,
            benchmarks.c.effective_at == now,
            benchmarks.c.reason == reason,
        )
    ).one_or_none()
    return None if row is None else _fixing(row)


def _write(
    connection: Connection,
    index_id: int,
    made: Benchmark,
    level: Decimal,
    prices: Mapping[str, Price],
    now: datetime,
    reason: str,
) -> Fixing:
    said = (index_id, now, reason, canonical(made.quantities), made.divisor, level, prices_text(prices))
    sealed = Fixing(0, *said, seal="").facts_seal()
    columns = ("index_id", "effective_at", "reason", "quantities", "divisor", "level", "prices")
    number = insert_row(connection, benchmarks, dict(zip(columns, said, strict=True)) | {"seal": sealed})
    return Fixing(number, *said, seal=sealed)


def _fixing(row: Row[tuple[object, ...]]) -> Fixing:
    values = dict(row._mapping)
    return Fixing(quantities_text=values.pop("quantities"), prices_text=values.pop("prices"), **values)
