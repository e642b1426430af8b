"""Made-up pasts: candles and market caps for a few coins and months."""

import math
import random
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from etf_trader.backtest.candles import Candles
from etf_trader.backtest.course import Course, Setting
from etf_trader.backtest.depth import Market
from etf_trader.backtest.history import History
from etf_trader.backtest.simulator import run
from etf_trader.index.caps import CapRow, CapTable
from etf_trader.index.methodology import read_methodology
from etf_trader.orders.rebalance import RebalanceLeg
from etf_trader.seal import canonical

D = Decimal
START = date(2022, 1, 1)
FREE = Market(D(0), has_costs=False)
PAID = Market(D("0.001"))


def candles(asset: str, closes: Sequence[object], start: date = START) -> Candles:
    """Return candles of consecutive days."""
    rows = [f"{start + timedelta(days=place)},{close}".encode() for place, close in enumerate(closes)]
    first = start.toordinal()
    return Candles(asset, Path(f"{asset}.csv"), range(first, first + len(rows)), rows, 1, None)


def walk(asset: str, days: int, seed: int = 1, start: date = START, price: float = 100.0) -> Candles:
    """Return candles that wander."""
    chance = random.Random(f"{asset}{seed}")
    closes = []
    for _ in range(days):
        price *= math.exp(chance.gauss(0, 0.04))
        closes.append(f"{price:.6g}")
    return candles(asset, closes, start)


def table(days: Mapping[date, Sequence[tuple[str, float, float]]]) -> CapTable:
    """Return market caps: for each day (symbol, capitalisation, price), each symbol its own name."""
    return CapTable(
        {
            day: tuple(
                CapRow(day, symbol, symbol.title(), D(f"{cap:.2f}"), D(f"{price:.6g}"), None)
                for symbol, cap, price in sorted(rows, key=lambda row: -row[1])
            )
            for day, rows in sorted(days.items())
        },
        "caps.csv",
    )


def setting(tables: Mapping[str, Any], *, days: int, market: Market = PAID, capital: str = "100000") -> Setting:
    """Return what is run, from the second day on, with the tables of an index file."""
    rule = read_methodology(tables, "index.toml")
    start = START + timedelta(days=1)
    return Setting(rule, "USDT", D(1000), D(capital), market, start, START + timedelta(days=days - 1))


def ran(tables: Mapping[str, Any], history: History, **changes: Any) -> Course:
    """Run a rulebook over a past."""
    days = changes.pop("days", history.last_day - START.toordinal() + 1)
    return run(setting(tables, days=days, **changes), history)


def decisions(course: Course, until: date) -> str:
    """Return everything that was decided and traded on mornings up to `until`, as canonical text."""
    return canonical(
        [
            [str(step.day), step.weights, step.nav_before, step.nav_after, [_leg(leg) for leg in _legs(step)]]
            for step in course.steps
            if step.day <= until
        ]
    )


def _legs(step: Any) -> list[RebalanceLeg]:
    return [leg for leg in step.rebalance.legs.values() if leg.side is not None]


def _leg(leg: RebalanceLeg) -> list[object]:
    return [leg.asset, str(leg.side), leg.quantity, leg.value, leg.fee, leg.last_price]
