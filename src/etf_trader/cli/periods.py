"""The options that say which time a report is about: days or moments, in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Annotated

import typer

from etf_trader.cli.commands import WHAT
from etf_trader.cli.options import option


def read_moment(text: str) -> datetime:
    """Return a day (its beginning in UTC), or a moment; one without a zone is in UTC."""
    try:
        if len(text) == len("2026-01-31"):
            return datetime.combine(date.fromisoformat(text), time(), UTC)
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is no day and no moment; write it as 2026-01-31 or 2026-01-31T14:30Z"
        ) from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


FromOption = Annotated[
    datetime | None,
    option("--from", WHAT, "From this day or moment on, in UTC.  [default: the beginning]", "DATE", read_moment),
]
ToOption = Annotated[
    datetime | None,
    option(
        "--to", WHAT, "Up to this day or moment, itself left out, in UTC.  [default: now]", "DATE", read_moment
    ),
]
AsOfOption = Annotated[
    datetime | None,
    typer.Option(
        "--as-of",
        "--at",
        help="As it stood when this day or moment, in UTC, began.  [default: now]",
        metavar="DATE",
        parser=read_moment,
        rich_help_panel=WHAT,
    ),
]
