"""Statements that run for many rows at a time."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, Insert, Update
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

from etf_trader.database import ExactDecimal, UtcDateTime

Value = Callable[[Any], Any]


class Many:
    """An insert or an update of many rows: on SQLite compiled once, and given to the driver as values.

    Compiled for each use, and bound row by row, it would take longer than what it writes.
    """

    def __init__(self, statement: Insert | Update) -> None:
        self._statement = statement
        self._compiled: tuple[str, list[tuple[str, Value | None]]] | None = None

    def run(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run it for each of `rows`, which all name the same values."""
        if not rows:
            return
        if connection.dialect.name != "sqlite":
            connection.execute(self._statement, rows)
            return
        if self._compiled is None:
            self._compiled = self._compile(connection, list(rows[0]))
        text, values = self._compiled
        columns = (
            [row[name] for row in rows] if value is None else [value(row[name]) for row in rows]
            for name, value in values
        )
        connection.exec_driver_sql(text, list(zip(*columns, strict=True)))

    def _compile(self, connection: Connection, names: list[str]) -> tuple[str, list[tuple[str, Value | None]]]:
        """Return its text, and its values in their order with what makes each of them one of SQLite's."""
        dialect = connection.dialect
        compiled = self._statement.compile(dialect=dialect, column_keys=names)
        assert compiled.positiontup is not None
        return str(compiled), [(name, _value(compiled.binds[name].type, dialect)) for name in compiled.positiontup]


def _value(kind: TypeEngine[Any], dialect: Dialect) -> Value | None:
    if isinstance(kind, ExactDecimal | UtcDateTime):  # texts: SQLAlchemy would wrap this once more
        return partial(kind.process_bind_param, dialect=dialect)
    return kind.dialect_impl(dialect).bind_processor(dialect)
