"""The parts of a loss as tables and sentences show them."""

from __future__ import annotations

from typing import Any

from etf_trader.cli.numbers import joined, money
from etf_trader.cli.output import Column, number
from etf_trader.orders.plan import LOSS_PARTS

RARE_PARTS = ("delay", "rounding")
"""Nothing, mostly: the first columns to go."""


def part_columns(*, optional: int) -> list[Column]:
    """Return a column for each part; those that are nothing, mostly, go before the others."""
    return [number(part, optional=optional + (part in RARE_PARTS)) for part in LOSS_PARTS]


def part_cells(line: Any) -> list[str]:
    """Return the parts of the loss of a line, a cell for each of `part_columns`."""
    return [money(getattr(line, part)) for part in LOSS_PARTS]


def parts_told(line: Any) -> str:
    """Return the parts of the loss of a line, in one line."""
    return joined(f"{part} {money(getattr(line, part))}" for part in LOSS_PARTS)
