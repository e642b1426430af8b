"""The options that several commands take, each declared once, and how their values are read."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from etf_trader.cli.commands import HOW, LIMITS, WHAT

if TYPE_CHECKING:
    from etf_trader.rebalance.determining import Caps

ALGOS = ("now", "twap", "vwap", "pov", "optimal")

LONGEST_NUMBER = 6
"""So many digits has the number of a duration at most."""

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def read_decimal(text: str) -> Decimal:
    """Return the number a person typed: digits, perhaps a sign and a point, nothing else."""
    digits = text.removeprefix("-").removeprefix("+")
    if not (digits.isascii() and digits.replace(".", "", 1).isdecimal() and len(digits) <= 40):
        bare = digits.replace(",", "")
        like = bare if bare != digits and bare.replace(".", "", 1).isdecimal() else "1000.25"
        raise typer.BadParameter(f"{text!r} is not a number; write it as {like}")
    return Decimal(text)


def read_positive(text: str) -> Decimal:
    """Return a number above zero."""
    number = read_decimal(text)
    if number <= 0:
        raise typer.BadParameter(f"{text} is not above zero")
    return number


def read_duration(text: str) -> timedelta:
    """Return a duration: `90s`, `30m`, `1h`, `2d`."""
    number, unit = text[:-1], text[-1:]
    if not _is_duration(text):
        raise typer.BadParameter(f"{text!r} is not a duration; write it as 90s, 30m, 1h or 2d")
    if len(number) > LONGEST_NUMBER:
        raise typer.BadParameter(f"{text!r} is too long; write it as 90s, 30m, 1h or 2d")
    return timedelta(seconds=int(number) * _SECONDS[unit])


def _is_duration(text: str) -> bool:
    number = text[:-1]
    return text[-1:] in _SECONDS and number.isascii() and number.isdecimal() and number.strip("0") != ""


def read_order_duration(text: str) -> timedelta:
    """Return for how long an order works, if one may."""
    from etf_trader.orders.stored_schedule import LONGEST_SECONDS

    duration = read_duration(text)
    if duration.total_seconds() > LONGEST_SECONDS:
        longest = LONGEST_SECONDS // _SECONDS["d"]
        raise typer.BadParameter(f"{text!r} is too long; an order works for at most {longest}d")
    return duration


def _numbered(where: str) -> Callable[[str], int]:
    """Return what reads the number of something; `where` says where the numbers are shown."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", text, re.ASCII):
            raise typer.BadParameter(f"{text!r} is not a number; {where}")
        return int(text)

    return read


read_order_number = _numbered("etf order list shows them")
read_position_number = _numbered("etf position list --all shows them")
read_plan_number = _numbered("etf order show ORDER shows those of an order")


def read_time_in_force(text: str) -> str:
    """Return `now`, `gtc` or a duration, as it was typed."""
    if text not in ("now", "gtc"):
        if not _is_duration(text):
            raise typer.BadParameter(f"{text!r} is neither now nor gtc nor a duration such as 30m")
        read_order_duration(text)
    return text


def one_of(*names: str) -> Callable[[str], str]:
    """Return what reads one of a few words."""

    def read(text: str) -> str:
        if text not in names:
            raise typer.BadParameter(f"{text!r} is not one of {', '.join(names)}")
        return text

    return read


@dataclass(frozen=True, slots=True)
class Quantity:
    """Units to trade; None: all of them."""

    units: Decimal | None


def read_quantity_or_all(text: str) -> Quantity:
    """Return a number of units, or all of them."""
    return Quantity(None if text == "all" else read_positive(text))


def option(
    name: str, panel: str, text: str, metavar: str | None = None, read: Callable[[str], object] | None = None
) -> Any:
    """Return what declares an option of a command.

    Args:
        name: What is typed.
        panel: The section of the help where it stands.
        text: What it does; the default stands behind it where there is one.
        metavar: What its value is called; None for a flag.
        read: Makes the value of what was typed, or refuses it.
    """
    return typer.Option(name, help=text, metavar=metavar, parser=read, rich_help_panel=panel)


IndexOption = Annotated[str | None, option("--index", WHAT, "The index, by number or symbol.", "INDEX")]
RequiredIndexOption = Annotated[str, option("--index", WHAT, "The index, by number or symbol.", "INDEX")]


def read_column(text: str) -> tuple[str, str]:
    """Return what a column says, and how it is called: `market_cap=Market Cap`."""
    what, separator, name = text.partition("=")
    if not (separator and what.strip() and name.strip()):
        raise typer.BadParameter(f"{text!r} is not of the form WHAT=COLUMN, like market_cap=Cap")
    return what.strip(), name.strip()


def caps_of(file: Path | None, columns: list[Any] | None) -> Caps | None:
    """Return the table of market caps that was typed, if any was."""
    if file is None and not columns:
        return None
    from etf_trader.rebalance.determining import Caps

    return Caps(file, dict(columns or ()))


CapsOption = Annotated[
    Path | None,
    typer.Option(
        "--caps",
        help="The table of market caps, a CSV file, in place of the one its file names.",
        metavar="FILE",
        rich_help_panel=WHAT,
    ),
]
CapsColumnsOption = Annotated[
    list[Any] | None,
    typer.Option(
        "--caps-columns",
        help="How a column of it is called, like market_cap=Cap. Repeat it.",
        metavar="WHAT=COLUMN",
        parser=read_column,
        rich_help_panel=WHAT,
    ),
]
IndexArgument = Annotated[str, typer.Argument(help="The index, by number or symbol.", metavar="INDEX")]
OrderArgument = Annotated[
    int, typer.Argument(help="The order's number.", metavar="ORDER", parser=read_order_number)
]
PositionArgument = Annotated[
    int, typer.Argument(help="The position's number.", metavar="POSITION", parser=read_position_number)
]
PlanArgument = Annotated[int, typer.Argument(help="The plan's number.", metavar="PLAN", parser=read_plan_number)]
AmountArgument = Annotated[
    Decimal, typer.Argument(help="How much, in the asset.", metavar="AMOUNT", parser=read_positive)
]
DurationArgument = Annotated[
    timedelta, typer.Argument(help="How long: 90s, 30m, 1h, 2d.", metavar="DURATION", parser=read_duration)
]
QuantityOption = Annotated[Decimal, option("--qty", WHAT, "Units to buy.", "UNITS", read_positive)]
QuantityOrAllOption = Annotated[
    Quantity, option("--qty", WHAT, "Units to sell, or all.", "UNITS|all", read_quantity_or_all)
]
PositionOption = Annotated[
    int | None, option("--position", WHAT, "The position, by number.", "POSITION", read_position_number)
]
PositionOrNewOption = Annotated[
    str | None,
    option("--position", WHAT, "The position, by number, or new.  [default: your only open one]", "POSITION|new"),
]
OrderOption = Annotated[int | None, option("--order", WHAT, "The order, by number.", "ORDER", read_order_number)]
LimitOption = Annotated[
    Decimal | None,
    option(
        "--limit", LIMITS, "The worst price of one unit, fees included.  [default: none]", "PRICE", read_positive
    ),
]
MaxLossOption = Annotated[
    Decimal | None,
    option(
        "--max-loss",
        LIMITS,
        "The most that may be lost against arrival, in bps.  [default: none]",
        "BPS",
        read_positive,
    ),
]
TimeInForceOption = Annotated[
    str,
    option(
        "--tif",
        LIMITS,
        "How long the order works: now, gtc (until cancelled), or 30m.",
        "now|gtc|TIME",
        read_time_in_force,
    ),
]
AlgoOption = Annotated[
    str | None,
    option(
        "--algo",
        HOW,
        "How to spread the order over --duration; now is all at once.  [default: now]",
        "now|twap|vwap|pov|optimal",
        one_of(*ALGOS),
    ),
]
DurationOption = Annotated[
    timedelta | None,
    option("--duration", HOW, "The time of an --algo: 90s, 30m, 1h, 2d.", "TIME", read_order_duration),
]
OnShortfallOption = Annotated[
    str,
    option(
        "--on-shortfall",
        HOW,
        "Legs that fill while others do not: complete them (retry), trade them back at once (unwind), "
        "or keep what cannot be completed (hold).",
        "retry|unwind|hold",
        one_of("retry", "unwind", "hold"),
    ),
]
OnInterruptOption = Annotated[
    str,
    option(
        "--on-interrupt",
        HOW,
        "What Ctrl-C leaves of the order: keep it open, or cancel it.",
        "keep|cancel",
        one_of("keep", "cancel"),
    ),
]
AtEndOption = Annotated[
    str | None,
    option(
        "--at-end",
        HOW,
        "What becomes of the rest when --duration is over: take it at once, or leave it.  [default: take]",
        "take|leave",
        one_of("take", "leave"),
    ),
]
ParticipationOption = Annotated[
    Decimal | None,
    option(
        "--participation",
        HOW,
        "With --algo pov: the share of what others trade, in percent.  [default: schedule.participation]",
        "PERCENT",
        read_positive,
    ),
]
PassiveOption = Annotated[
    Decimal | None,
    option(
        "--passive",
        HOW,
        "The share of each slice's time in which what is due is quoted at the touch before it is taken, in "
        "percent, 1 to 100.  [default: none]",
        "PERCENT",
        read_positive,
    ),
]
ClientKeyOption = Annotated[
    str | None,
    option(
        "--client-key",
        HOW,
        "Your name for the order: typed again, it continues that order.  [default: a new one]",
        "KEY",
    ),
]
DryRunOption = Annotated[bool, option("--dry-run", HOW, "Only show what would happen.")]
YesOption = Annotated[bool, option("--yes", HOW, "Do not ask.")]
LiveYesOption = Annotated[bool, option("--yes", HOW, "Do not ask for confirmation (live trading only).")]
DetachOption = Annotated[bool, option("--detach", HOW, "Accept the order and leave it to a worker.")]
NoWaitOption = Annotated[bool, option("--no-wait", HOW, "Give up (exit 8) when another process leads.")]
LeaveToLeaderOption = Annotated[
    bool,
    option(
        "--no-wait",
        HOW,
        "When another process leads, leave at once (exit 8): the order is accepted, and that process works it.",
    ),
]
EndedByLeaderOption = Annotated[
    bool, option("--no-wait", HOW, "When another process leads, leave at once (exit 8): that process ends them.")
]
ByOption = Annotated[
    str,
    option(
        "--by",
        WHAT,
        "What each line is about.",
        "order|index|month|asset",
        one_of("order", "index", "month", "asset"),
    ),
]
