"""The options that several commands take, each declared once, and how their values are read."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Annotated

import typer

from etf_trader.cli.commands import HOW, LIMITS, WHAT

ALGOS = ("now", "twap", "vwap", "pov", "optimal")

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
    is_whole = number.isascii() and number.isdecimal() and len(number) <= 6
    if unit not in _SECONDS or not is_whole or int(number) == 0:
        raise typer.BadParameter(f"{text!r} is not a duration; write it as 90s, 30m, 1h or 2d")
    return timedelta(seconds=int(number) * _SECONDS[unit])


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
        try:
            read_duration(text)
        except typer.BadParameter as error:
            raise typer.BadParameter(f"{text!r} is neither now nor gtc nor a duration such as 30m") from error
    return text


def _one_of(*names: str) -> Callable[[str], str]:
    """Return what reads one of a few words."""

    def read(text: str) -> str:
        if text not in names:
            raise typer.BadParameter(f"{text!r} is not one of {', '.join(names)}")
        return text

    return read


def read_algo(text: str) -> str:
    """Return the name of a way to spread an order over time."""
    if text not in ALGOS:
        raise typer.BadParameter(f"{text!r} is not one of {', '.join(ALGOS)}")
    return text


def read_at_end(text: str) -> str:
    """Return what becomes of the rest of an order over time."""
    if text not in ("take", "leave"):
        raise typer.BadParameter(f"{text!r} is neither take nor leave")
    return text


@dataclass(frozen=True, slots=True)
class Quantity:
    """Units to trade; None: all of them."""

    units: Decimal | None


def read_quantity_or_all(text: str) -> Quantity:
    """Return a number of units, or all of them."""
    return Quantity(None if text == "all" else read_positive(text))


IndexOption = Annotated[
    str | None,
    typer.Option("--index", help="The index, by number or symbol.", metavar="INDEX", rich_help_panel=WHAT),
]
RequiredIndexOption = Annotated[
    str, typer.Option("--index", help="The index, by number or symbol.", metavar="INDEX", rich_help_panel=WHAT)
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
QuantityOption = Annotated[
    Decimal,
    typer.Option("--qty", help="Units to buy.", metavar="UNITS", parser=read_positive, rich_help_panel=WHAT),
]
QuantityOrAllOption = Annotated[
    Quantity,
    typer.Option(
        "--qty",
        help="Units to sell, or all.",
        metavar="UNITS|all",
        parser=read_quantity_or_all,
        rich_help_panel=WHAT,
    ),
]
PositionOption = Annotated[
    int | None,
    typer.Option(
        "--position",
        help="The position, by number.",
        metavar="POSITION",
        parser=read_position_number,
        rich_help_panel=WHAT,
    ),
]
PositionOrNewOption = Annotated[
    str | None,
    typer.Option(
        "--position",
        help="The position, by number, or new.  [default: your only open one]",
        metavar="POSITION|new",
        rich_help_panel=WHAT,
    ),
]
OrderOption = Annotated[
    int | None,
    typer.Option(
        "--order", help="The order, by number.", metavar="ORDER", parser=read_order_number, rich_help_panel=WHAT
    ),
]
LimitOption = Annotated[
    Decimal | None,
    typer.Option(
        "--limit",
        help="The worst price of one unit, fees included.  [default: none]",
        metavar="PRICE",
        parser=read_positive,
        rich_help_panel=LIMITS,
    ),
]
MaxLossOption = Annotated[
    Decimal | None,
    typer.Option(
        "--max-loss",
        help="The most that may be lost against arrival, in bps.  [default: none]",
        metavar="BPS",
        parser=read_positive,
        rich_help_panel=LIMITS,
    ),
]
TimeInForceOption = Annotated[
    str,
    typer.Option(
        "--tif",
        help="How long the order works: now, gtc (until cancelled), or 30m.",
        metavar="now|gtc|TIME",
        parser=read_time_in_force,
        show_default=True,
        rich_help_panel=LIMITS,
    ),
]
AlgoOption = Annotated[
    str | None,
    typer.Option(
        "--algo",
        help="How to spread the order over --duration; now is all at once.  [default: now]",
        metavar="now|twap|vwap|pov|optimal",
        parser=read_algo,
        rich_help_panel=HOW,
    ),
]
DurationOption = Annotated[
    timedelta | None,
    typer.Option(
        "--duration",
        help="The time of an --algo: 90s, 30m, 1h, 2d.",
        metavar="TIME",
        parser=read_duration,
        rich_help_panel=HOW,
    ),
]
OnShortfallOption = Annotated[
    str,
    typer.Option(
        "--on-shortfall",
        help="Legs that fill while others do not: complete them (retry), trade them back at once (unwind), "
        "or keep what cannot be completed (hold).",
        metavar="retry|unwind|hold",
        parser=_one_of("retry", "unwind", "hold"),
        show_default=True,
        rich_help_panel=HOW,
    ),
]
OnInterruptOption = Annotated[
    str,
    typer.Option(
        "--on-interrupt",
        help="What Ctrl-C leaves of the order: keep it open, or cancel it.",
        metavar="keep|cancel",
        parser=_one_of("keep", "cancel"),
        show_default=True,
        rich_help_panel=HOW,
    ),
]
AtEndOption = Annotated[
    str | None,
    typer.Option(
        "--at-end",
        help="What becomes of the rest when --duration is over: take it at once, or leave it.  [default: take]",
        metavar="take|leave",
        parser=read_at_end,
        rich_help_panel=HOW,
    ),
]
ParticipationOption = Annotated[
    Decimal | None,
    typer.Option(
        "--participation",
        help="With --algo pov: the share of what others trade, in percent.  [default: schedule.participation]",
        metavar="PERCENT",
        parser=read_positive,
        rich_help_panel=HOW,
    ),
]
PassiveOption = Annotated[
    Decimal | None,
    typer.Option(
        "--passive",
        help="The share of each slice's time in which what is due is quoted at the touch before it is taken, in "
        "percent, 1 to 100.  [default: none]",
        metavar="PERCENT",
        parser=read_positive,
        rich_help_panel=HOW,
    ),
]
ClientKeyOption = Annotated[
    str | None,
    typer.Option(
        "--client-key",
        help="Your name for the order: typed again, it continues that order.  [default: a new one]",
        metavar="KEY",
        rich_help_panel=HOW,
    ),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only show what would happen.", rich_help_panel=HOW)]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.", rich_help_panel=HOW)]
LiveYesOption = Annotated[
    bool,
    typer.Option("--yes", help="Do not ask for confirmation (live trading only).", rich_help_panel=HOW),
]
DetachOption = Annotated[
    bool, typer.Option("--detach", help="Accept the order and leave it to a worker.", rich_help_panel=HOW)
]
NoWaitOption = Annotated[
    bool,
    typer.Option("--no-wait", help="Give up (exit 8) when another process leads.", rich_help_panel=HOW),
]
