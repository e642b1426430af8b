"""A schedule as a person reads it: what trades when, what waiting saves, and what was assumed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from math import sqrt
from typing import Any

from etf_trader.cli.numbers import bps, count, duration, few_digits, money, percent, unit_count, units
from etf_trader.cli.output import Page, Table, number, right, text

DAY = 86_400


def draw_schedule(
    page: Page, schedule: Mapping[str, Any], quote: str, volatility: Decimal, *, has_routes: bool
) -> None:
    """Draw the periods of a schedule object, what it saves, and on what assumptions.

    Args:
        page: Where to.
        schedule: The schedule object.
        quote: The quote asset.
        volatility: How far prices move in a day, in percent.
        has_routes: Whether the order itself may trade in other currencies too; a schedule does not.
    """
    alone = f" in {quote} alone" if has_routes else ""
    time = duration(timedelta(seconds=schedule["duration_seconds"]))
    if not Decimal(schedule["units"]):
        page.line(f"Over {time} ({schedule['algo']}): nothing of it either, as long as the books are these.")
        return
    page.line(f"Over {time} ({schedule['algo']}){alone}, in place of all at once:")
    page.line()
    page.table(_periods(schedule, quote))
    page.line()
    for sentence in [*_outcome(schedule, alone), *_short(schedule), *_assumed(schedule, volatility)]:
        page.line(sentence)


def _periods(schedule: Mapping[str, Any], quote: str) -> Table:
    table = Table(
        right("after"),
        number("units"),
        number("share"),
        number(quote, optional=2),
        number("loss"),
        right("orders", optional=1),
        text("", optional=3),
    )
    for period in schedule["periods"][: _trading(schedule)]:
        stops = [name for name in period["stopped_by"] if name != "filled"]
        table.row(
            duration(timedelta(seconds=period["start_seconds"])),
            few_digits(Decimal(period["units"])),
            percent(Decimal(period["percentage"])),
            money(Decimal(period["cash"])),
            f"{bps(Decimal(period['loss_bps']))} bps",
            str(period["orders"]),
            ", ".join(stops),
        )
    return table


def _trading(schedule: Mapping[str, Any]) -> int:
    """Return how many periods there are up to the last that trades."""
    trading = [number for number, each in enumerate(schedule["periods"], 1) if Decimal(each["units"])]
    return trading[-1]


def _outcome(schedule: Mapping[str, Any], alone: str) -> list[str]:
    """Return what the schedule loses, beside the order at once in the same currency."""
    loss, waiting = bps(Decimal(schedule["loss_bps"])), Decimal(schedule["waiting_bps"])
    what = f"{unit_count(Decimal(schedule['units']))} for a loss of {loss} bps"
    at_once = bps(Decimal(schedule["at_once_loss_bps"]))
    if schedule["gain_bps"] is None:
        other = unit_count(Decimal(schedule["at_once_units"]))
        return [f"{what}; at once{alone} it is {other} for {at_once} bps."]
    gain = Decimal(schedule["gain_bps"])
    if len(schedule["periods"]) == 1 and not schedule["periods"][0]["start_seconds"]:
        return [f"{what}. Spreading it gains nothing: all at once{alone} is best."]
    if gain <= 0:
        more = f"{-gain:,.2f} bps more than" if gain else "exactly as much as"
        return [f"{what}, {more} at once{alone} ({at_once} bps): spreading it gains nothing."]
    price = f" The waiting is priced at {waiting:,.2f} bps." if waiting else ""
    return [f"{what}, {gain:,.2f} bps less than at once{alone} ({at_once} bps).{price}"]


def _short(schedule: Mapping[str, Any]) -> list[str]:
    """Return what keeps the schedule from being finer, or whole."""
    told = []
    if rest := schedule["periods"][_trading(schedule) :]:
        trades = f"{count(len(rest), 'period')} after that {'trades' if len(rest) == 1 else 'trade'} nothing"
        told.append(f"The {trades}: {', '.join(rest[0]['stopped_by'])}.")
    if schedule["merged"]:
        told.append(
            f"{count(schedule['merged'], 'period')} too small for the venue's least orders "
            f"{'trades' if schedule['merged'] == 1 else 'trade'} together with the one before."
        )
    needed = schedule["needed_seconds"]
    if needed is not None and Decimal(schedule["units"]) < Decimal(schedule["quantity"]):
        share = percent(Decimal(schedule["assumed"]["participation"]) * 100)
        told.append(
            f"At {share} of the volume all {units(Decimal(schedule['quantity']))} take "
            f"{duration(timedelta(seconds=needed))}."
        )
    return told


def _assumed(schedule: Mapping[str, Any], volatility: Decimal) -> list[str]:
    assumed, seconds = schedule["assumed"], schedule["duration_seconds"]
    moves = Decimal(repr(round(float(volatility) * 100 * sqrt(seconds / DAY), 1)))
    told = [
        f"Assumed: books come back with {assumed['recovery_seconds']} s, mids stay where they are "
        f"(they move about {bps(moves)} bps either way in that time); etf config show lists schedule.*."
    ]
    if schedule["algo"] == "vwap" and assumed["profile"] == "uniform":
        told.append("Nothing is known of the volume by the hour: an even one is assumed, and vwap trades as twap.")
    elif schedule["algo"] == "vwap":
        told.append(
            "The slices follow the volume of the last 20 days by the hour; books are as deep in proportion."
        )
    if schedule["algo"] == "pov":
        told.append(
            f"What others will trade is not known: an even volume is assumed, {assumed['turnover']} times a day "
            "what the books show within 100 bps. The order follows what they trade in fact."
        )
    return told
