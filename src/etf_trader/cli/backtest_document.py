"""A backtest, or a grid of them, as a document: `etf.backtest/1`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from etf_trader.money import BPS

if TYPE_CHECKING:
    from etf_trader.backtest.course import Setting, Step
    from etf_trader.backtest.files import Files
    from etf_trader.backtest.grid_runs import Row
    from etf_trader.backtest.result import Result


def run_document(symbol: str, files: Files, found: Result) -> dict[str, Any]:
    """Return one run: its figures at the top, then every rebalance, event and day."""
    course = found.course
    figures = asdict(found.figures)
    audit = found.audit
    return {
        **_head(symbol, files, course.setting),
        "from": found.days[0].day,
        "to": found.days[-1].day,
        "capital": course.units * course.setting.start_value,
        "units": course.units,
        "nav_per_unit": found.days[-1].nav_per_unit,
        "index_level": found.days[-1].index_level,
        "nav": found.nav_end,
        **figures,
        "prices": asdict(found.prices),
        "skipped": dict(found.skipped),
        "audit": {
            "clean": not audit.findings,
            "transactions": audit.transactions,
            "postings": audit.postings,
            "fills": audit.fills,
            "head": audit.head,
        },
        "runs": [{"settings": {}, "from": found.days[0].day, **figures, "refused": None}],
        "events": list(found.events),
        "rebalances": [_step(step) for step in found.steps],
        "days": list(found.days),
    }


def grid_document(symbol: str, files: Files, setting: Setting, rows: Sequence[Row]) -> dict[str, Any]:
    """Return a grid: a run for each combination, the best return first."""
    return {
        **_head(symbol, files, setting),
        "runs": [
            {
                "settings": dict(row.values),
                "from": row.start,
                **(asdict(row.figures) if row.figures is not None else {}),
                "refused": row.refused,
            }
            for row in rows
        ],
    }


def _head(symbol: str, files: Files, setting: Setting) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "quote": setting.quote,
        "costs": setting.market.has_costs,
        "venue_fee_bps": setting.market.fee * BPS,
        "survivors_only": files.candles_only,
    }


def _step(step: Step) -> dict[str, Any]:
    found = step.rebalance
    return {
        "day": step.day,
        "due": step.due,
        "cause": step.cause,
        "nav_before": step.nav_before,
        "nav_after": step.nav_after,
        "cost": found.cost,
        "turnover": found.turnover if found.nav else None,
        "orders": found.orders,
        "scale": found.scale,
        "weights": dict(step.weights),
    }
