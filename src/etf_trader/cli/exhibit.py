"""What a result shows besides its text where there is room for it, in an HTML file: key numbers and charts.

A command names them where it emits, in a function that is only called when they are wanted;
where they come from is a path into its payload:

    def exhibit() -> Exhibit:
        from etf_trader.cli.exhibit import Areas, Bars, Drift, Exhibit, Key, Lines, Parts

        return Exhibit(
            numbers=(Key("NAV per unit", "nav", unit="USDT"), Key("tracking difference", "difference", share)),
            charts=(
                Lines("NAV and index level", "days", "at", {"NAV per unit": "nav", "index level": "level"}),
                Areas("Weights over time", "days", "at", weights="weights"),
                Parts("Cost by part", LOSS_PARTS, note="USDT, positive is a cost"),
                Bars("Cost by asset", "legs", "asset", "cost"),
                Drift("Weights and targets", "plan.legs", "asset", "weight", "target"),
            ),
        )

    output().emit("etf.thing/1", payload, draw, exhibit=exhibit)

A path is a name of the payload, or several with points between them: `plan.legs`. Rows are
dataclasses, structs or mappings; in them, too, names may have points. `form` writes the numbers
(`cli.numbers`: `money`, `share`, `bps`). What a payload does not hold is left out, without a word:
a plan that is None, a number that is None, a line of one point.

- `Lines`: a row for each time, or day; a line for each entry of `series`, its name and its path in the rows.
- `Areas`: what is stacked over time. A row for each time whose `weights` is a mapping by asset; or,
  with `label` and `value` instead, a row for each time and asset.
- `Bars`: a bar for each row, the largest first; with `by`, a chart for each value of it.
- `Parts`: a bar for each name, a number of the payload (or of the record at `of`).
- `Drift`: a row for each asset, `value` beside `target`, with bounds where `low` and `high` are named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, ClassVar, Protocol

from etf_trader.cli.numbers import money, share

Form = Callable[[Decimal], str]

Drawn = Iterator[tuple[str, str]]
"""The title and the SVG of each chart."""


def value_at(record: Any, path: str) -> Any:
    """Return what stands at a path; None where there is nothing. In a list a number counts: `indices.0.nav`."""
    for name in path.split(".") if path else ():
        if isinstance(record, list | tuple) and name.isdecimal():
            record = record[int(name)] if int(name) < len(record) else None
        else:
            record = record.get(name) if isinstance(record, Mapping) else getattr(record, name, None)
    return record


class Chart(Protocol):
    """Names what a chart shows."""

    @property
    def is_full(self) -> bool:
        """Whether it takes the whole width of a desk."""
        ...

    @property
    def note(self) -> str:
        """What the numbers are: their unit, their sign."""
        ...

    def draw(self, payload: Any, width: int, key: str) -> Drawn:
        """Draw it, at this width; `key` is unique in the page."""
        ...


@dataclass(frozen=True, slots=True)
class Key:
    """A number that matters: its name, its path in the payload."""

    name: str
    path: str
    form: Form = money
    unit: str = ""

    def told(self, payload: Any) -> str | None:
        """Return the number as it is read; None where there is none."""
        value = value_at(payload, self.path)
        return None if value is None else self.form(_decimal(value))


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines over time."""

    title: str
    rows: str
    at: str
    series: Mapping[str, str]
    form: Form = money
    note: str = ""
    is_full: ClassVar[bool] = True

    def draw(self, payload: Any, width: int, key: str) -> Drawn:
        """Draw it, at this width; `key` is unique in the page."""
        from etf_trader.reports.time_charts import Series, line_chart

        rows = _rows(payload, self.rows)
        series = [Series(name, _points(rows, self.at, path)) for name, path in self.series.items()]
        yield self.title, line_chart(self.title, series, width=width, key=key, form=self.form)


@dataclass(frozen=True, slots=True)
class Areas:
    """What is stacked over time; an asset that a time does not name is nothing then."""

    title: str
    rows: str
    at: str
    weights: str = ""
    label: str = ""
    value: str = ""
    form: Form = share
    note: str = ""
    is_full: ClassVar[bool] = True

    def draw(self, payload: Any, width: int, key: str) -> Drawn:
        """Draw it, at this width; `key` is unique in the page."""
        from etf_trader.reports.time_charts import area_chart

        columns: dict[datetime, dict[str, Decimal]] = {}
        for row in _rows(payload, self.rows):
            column = columns.setdefault(_moment(value_at(row, self.at)), {})
            if self.weights:
                column.update(value_at(row, self.weights) or {})
            elif (value := value_at(row, self.value)) is not None:
                column[str(value_at(row, self.label))] = value
        times = sorted(columns)
        names = dict.fromkeys(name for at in times for name in columns[at])
        areas = {name: [max(columns[at].get(name, Decimal(0)), Decimal(0)) for at in times] for name in names}
        yield self.title, area_chart(self.title, times, areas, width=width, key=key, form=self.form)


@dataclass(frozen=True, slots=True)
class Bars:
    """A bar for each row, the largest first; with `by`, a chart for each value of it."""

    title: str
    rows: str
    label: str
    value: str
    form: Form = money
    note: str = ""
    by: str = ""
    is_full: ClassVar[bool] = False

    def draw(self, payload: Any, width: int, key: str) -> Drawn:
        """Draw it, at this width; `key` is unique in the page."""
        from etf_trader.reports.charts import bar_chart

        groups: dict[Any, list[tuple[str, Decimal]]] = {}
        for row in _rows(payload, self.rows):
            value = value_at(row, self.value)
            if value is not None:
                group = value_at(row, self.by) if self.by else None
                groups.setdefault(group, []).append((str(value_at(row, self.label)), _decimal(value)))
        for place, (group, bars) in enumerate(groups.items()):
            title = f"{self.title}, {group}" if len(groups) > 1 else self.title
            bars.sort(key=lambda bar: -bar[1])
            yield title, bar_chart(title, bars, width=width, key=f"{key}-{place}", form=self.form)


@dataclass(frozen=True, slots=True)
class Parts:
    """A bar for each of some numbers of one record, in the order of their names."""

    title: str
    names: Sequence[str]
    form: Form = money
    note: str = ""
    of: str = ""
    is_full: ClassVar[bool] = False

    def draw(self, payload: Any, width: int, key: str) -> Drawn:
        """Draw it, at this width; `key` is unique in the page."""
        from etf_trader.reports.charts import bar_chart

        record = value_at(payload, self.of)
        known = [(name.replace("_", " "), value_at(record, name)) for name in self.names]
        bars = [(name, _decimal(value)) for name, value in known if value is not None]
        yield self.title, bar_chart(self.title, bars, width=width, key=key, form=self.form)


@dataclass(frozen=True, slots=True)
class Drift:
    """Weights beside their targets, the largest target first."""

    title: str
    rows: str
    label: str
    value: str
    target: str
    form: Form = share
    note: str = ""
    low: str = ""
    high: str = ""
    is_full: ClassVar[bool] = False

    def draw(self, payload: Any, width: int, key: str) -> Drawn:
        """Draw it, at this width; `key` is unique in the page."""
        from etf_trader.reports.charts import Target, drift_chart

        found = [
            Target(
                str(value_at(row, self.label)),
                value_at(row, self.value),
                value_at(row, self.target),
                value_at(row, self.low) if self.low else None,
                value_at(row, self.high) if self.high else None,
            )
            for row in _rows(payload, self.rows)
            if value_at(row, self.value) is not None and value_at(row, self.target) is not None
        ]
        found.sort(key=lambda each: (-each.target, -each.weight, each.name))
        yield self.title, drift_chart(self.title, found, width=width, key=key, form=self.form)


@dataclass(frozen=True, slots=True)
class Exhibit:
    """Key numbers and charts of a result; without a title the command gives one."""

    title: str = ""
    numbers: Sequence[Key] = ()
    charts: Sequence[Chart] = ()


def _rows(payload: Any, path: str) -> Sequence[Any]:
    return value_at(payload, path) or ()


def _points(rows: Sequence[Any], at: str, path: str) -> list[tuple[datetime, Decimal]]:
    known = ((value_at(row, at), value_at(row, path)) for row in rows)
    return sorted((_moment(time), _decimal(value)) for time, value in known if value is not None)


def _moment(time: date) -> datetime:
    """Return a time as a chart takes it: a day is its beginning in UTC."""
    return time if isinstance(time, datetime) else datetime(time.year, time.month, time.day, tzinfo=UTC)


def _decimal(value: Decimal | float) -> Decimal:
    """Return a number as a chart and `form` take it: a statistic as the decimal that it is written as."""
    return value if isinstance(value, Decimal) else Decimal(str(value))
