"""Rulebooks side by side: every combination of a few values.

    calendar=monthly,quarterly; band=0,0.02; weighting=equal,capped

A key is a short name, or any key of an index file written with its table, like
`selection.exit`. A cell of the grid is the index file with these values in place of
its own, checked as an index file is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from itertools import product
from typing import Any

from etf_trader.backtest.course import Setting
from etf_trader.errors import UsageError
from etf_trader.index.methodology import TABLES, Methodology, read_methodology

CAPITAL = "capital"
SHORT = {
    "calendar": "calendar.cron",
    "band": "rebalance.absolute",
    "relative": "rebalance.relative",
    "nav": "rebalance.nav",
    "to": "rebalance.to",
    "turnover": "rebalance.turnover",
    "reserve": "rebalance.reserve",
    "weighting": "weighting.by",
    "cap": "weighting.cap",
    "floor": "weighting.floor",
    "days": "weighting.days",
    "count": "selection.count",
    "delisting": "delisting.rule",
    CAPITAL: CAPITAL,
}
"""What a grid calls the keys that are compared most."""

CALENDARS = {
    "daily": "10 0 * * *",
    "weekly": "10 0 * * 1",
    "monthly": "10 0 1 * *",
    "quarterly": "10 0 1 1,4,7,10 *",
    "half-yearly": "10 0 1 1,7 *",
    "yearly": "10 0 1 1 *",
}
"""The calendars that have a name."""

MOST_CELLS = 2000

_HINT = 'for example --grid "calendar=monthly,quarterly; band=0,0.02"'


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination: its values as they were typed, by key, and what is run."""

    values: Mapping[str, str]
    setting: Setting


def cells_of(texts: Sequence[str], setting: Setting) -> list[Cell]:
    """Return every combination of the values of a grid.

    Args:
        texts: As typed, each "key=value,value; key=value".
        setting: What all have in common, and what the grid does not say.

    Raises:
        UsageError: a key is unknown, and names the nearest; or a value cannot be, and names the cell.
    """
    axes = _axes(texts)
    count = 1
    for values in axes.values():
        count *= len(values)
    if count > MOST_CELLS:
        raise UsageError(
            f"the grid has {count:,} combinations: at most {MOST_CELLS:,}",
            where="--grid",
            hint="leave some values out",
        )
    combined = (dict(zip(axes, values, strict=True)) for values in product(*axes.values()))
    return [Cell(values, _setting(values, setting)) for values in combined]


def _axes(texts: Sequence[str]) -> dict[str, list[str]]:
    axes: dict[str, list[str]] = {}
    for part in (part.strip() for text in texts for part in text.split(";")):
        if not part:
            continue
        name, separator, listed = part.partition("=")
        name, values = name.strip(), [value.strip() for value in listed.split(",")]
        if not separator or not all(values):
            raise UsageError(f"{part!r} is not of the form KEY=VALUE,VALUE", where="--grid", hint=_HINT)
        _require_key(name)
        if name in axes:
            raise UsageError(f"the grid names {name} twice", where="--grid", hint="give all its values at once")
        if len(set(values)) != len(values):
            raise UsageError(f"the grid has a value of {name} twice", where="--grid", hint="name each once")
        axes[name] = values
    if not axes:
        raise UsageError("the grid is empty", where="--grid", hint=_HINT)
    return axes


def _require_key(name: str) -> None:
    table, _, key = name.partition(".")
    if name in SHORT or (table in TABLES and key):  # which keys a table has is known to who reads index files
        return
    near = get_close_matches(name, [*SHORT, *TABLES], n=1)
    known = ", ".join(SHORT)
    raise UsageError(
        f"a grid has no key {name!r}",
        where="--grid",
        hint=f"did you mean {near[0]}?"
        if near
        else f"one of {known}, or a key of an index file like selection.exit",
    )


def _setting(values: Mapping[str, str], setting: Setting) -> Setting:
    document = _written(setting.rule)
    where = "--grid " + "; ".join(f"{name}={text}" for name, text in values.items())
    for name, text in values.items():
        path = SHORT.get(name, name)
        if path == CAPITAL:
            setting = setting.with_capital(_capital(text), where)
            continue
        table, _, key = path.partition(".")
        document[table][key] = CALENDARS.get(text, text) if path == "calendar.cron" else _value(text)
    return replace(setting, rule=read_methodology(document, where))


def _written(rule: Methodology) -> dict[str, Any]:
    """Return a rulebook as an index file would write it: what it leaves open is not there."""
    document = {
        table: {key: value for key, value in values.items() if value is not None}
        for table, values in rule.document().items()
    }
    return {table: values for table, values in document.items() if table != "weights" or values}


def _value(text: str) -> Any:
    """Return a value as TOML would read it: a truth, a whole number, a number, or a word."""
    if text in ("true", "false"):
        return text == "true"
    if text.isascii() and text.isdecimal():
        return int(text)
    try:
        return Decimal(text)
    except InvalidOperation:
        return text


def _capital(text: str) -> Decimal:
    try:
        capital = Decimal(text)
    except InvalidOperation:
        capital = Decimal("NaN")
    if not capital.is_finite():
        raise UsageError(f"a capital of {text!r} cannot be", where="--grid", hint="capital=100000,1000000")
    return capital
