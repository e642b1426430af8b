"""`etf report rebalance`: what a rebalance did to an index, and what it cost."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from etf_trader.cli.commands import WHAT, command
from etf_trader.cli.invocation import output
from etf_trader.cli.loss_parts import part_cells, part_columns
from etf_trader.cli.numbers import CENT, bps, few_digits, joined, local_time, money, share, short
from etf_trader.cli.options import IndexOption, read_order_number
from etf_trader.cli.output import Page, Table, dim, number, right, text
from etf_trader.cli.records import columns_of, row_of
from etf_trader.cli.services import services
from etf_trader.money import BPS, round_to
from etf_trader.orders.plan import LOSS_PARTS

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from etf_trader.bootstrap import Services
    from etf_trader.cli.exhibit import Exhibit
    from etf_trader.reports.rebalance import RebalanceReport
    from etf_trader.reports.rebalance_legs import RebalanceLine

WHY = {
    "within_band": "within its band",
    "below_minimum": "below the venue's least order",
    "halted": "its market did not trade",
    "delisted": "the venue had no market for it any more",
    "turnover_cap": "kept back by the turnover cap",
    "cost_above_benefit": "it would have cost more than it brings",
    "wide_spread": "its spread was too wide",
}
CHANGED = {"added": "new", "removed": "gone"}

IdOption = Annotated[
    int | None,
    typer.Option(
        "--id",
        help="The rebalance, by the number of its order.",
        metavar="ORDER",
        parser=read_order_number,
        rich_help_panel=WHAT,
    ),
]
AllOption = Annotated[bool, typer.Option("--all", help="List all of them.", rich_help_panel=WHAT)]


def add_to(app: typer.Typer) -> None:
    """Add the command to `etf report`."""
    seen = (
        "etf report rebalance --index 1          the latest",
        "etf report rebalance --index 1 --all    a line each",
        "etf report rebalance --id 7 --format csv",
    )
    command(app, "rebalance", examples=seen, csv="legs")(rebalance)


def rebalance(index: IndexOption = None, id_: IdOption = None, all_: AllOption = False) -> None:
    """Report a rebalance: weights and quantities before and after, its cost by part and asset, its waves."""
    from etf_trader.cli.rebalance_list import emit_list
    from etf_trader.errors import UsageError

    if id_ is not None and (all_ or index is not None):
        raise UsageError(
            "a number says which rebalance: --index and --all add nothing to --id",
            where="--id",
            hint="leave them out",
        )
    with services() as opened, opened.database.read() as connection:
        found = _found(connection, opened, index, id_, all_=all_)
        made = "" if found else _none(connection, opened, index)
    if all_:
        emit_list(found, made)
    else:
        _emit(found[-1] if found else None, made)


def _found(
    connection: Connection, opened: Services, index: str | None, number: int | None, *, all_: bool
) -> list[RebalanceReport]:
    """Return the rebalances that were meant, oldest first; the latest alone unless all are wanted.

    Raises:
        NotFound: there is no such rebalance, or index.
    """
    from etf_trader.index.store import find_index
    from etf_trader.orders.rebalances import list_rebalances
    from etf_trader.reports.rebalance import rebalance_report

    if number is not None:
        return [rebalance_report(connection, number)]
    chosen = None if index is None else find_index(connection, index).id
    made = list_rebalances(connection, account_id=opened.account.id, index_id=chosen)
    return [rebalance_report(connection, each.id) for each in (made if all_ else made[-1:])]


def _none(connection: Connection, opened: Services, index: str | None) -> str:
    """Return that there is no rebalance yet, and how one is made."""
    from etf_trader.index.store import find_index, list_indices

    found = list_indices(connection, opened.account.id) if index is None else [find_index(connection, index)]
    if not found:
        return "There is no index yet. etf init makes a sample, etf index create one of your own."
    return f"{found[0].symbol} has never been rebalanced. etf rebalance --index {found[0].id} does it." + (
        " With --dry-run it shows what it would trade."
    )


def _emit(report: RebalanceReport | None, made: str) -> None:
    def told(page: Page) -> None:
        if report is None:
            page.line(made)
        else:
            draw(page, report)

    payload = {"id": None, "legs": []} if report is None else row_of(report)
    output().emit("etf.report_rebalance/1", payload, told, columns=_columns(), exhibit=lambda: _exhibit(report))


def _exhibit(report: RebalanceReport | None) -> Exhibit:
    """Return the numbers and charts of a report that an HTML file shows besides."""
    from etf_trader.cli.exhibit import Bars, Drift, Exhibit, Key, Parts
    from etf_trader.cli.rebalances import unit_value

    if report is None:
        return Exhibit()
    note = f"{report.quote}, positive is a cost"
    return Exhibit(
        title=f"Rebalance of {report.index} for {report.due_on.isoformat()}",
        numbers=(
            Key("cost", "cost", unit=report.quote),
            Key("of NAV", "cost_bps", bps, unit="bps"),
            Key("turnover", "turnover", share),
            Key("a unit before", "nav_per_unit_before", unit_value, report.quote),
            Key("a unit after", "nav_per_unit_after", unit_value, report.quote),
        ),
        charts=(
            Drift("Weights before, and targets", "legs", "asset", "weight_before", "target"),
            Drift("Weights after, and targets", "legs", "asset", "weight_after", "target"),
            Parts("Cost by part", LOSS_PARTS, note=note),
            Bars("Cost by asset", "legs", "asset", "cost", note=note),
        ),
    )


def _columns() -> list[str]:
    from etf_trader.reports.rebalance_legs import RebalanceLine

    return columns_of(RebalanceLine)


def draw(page: Page, report: RebalanceReport) -> None:
    """Draw a report for a person."""
    from etf_trader.cli.rebalances import named, rebalance_sentences

    for sentence in rebalance_sentences(report)[:-1]:
        page.line(sentence)
    page.line()
    page.table(_weights_table(report))
    if sentence := _came_and_went(report):
        page.line(sentence)
    if report.skipped:
        page.line(f"Left alone: {_left_alone(report)}.")
    if left_out := [f"{each['asset']} ({each['why']})" for each in report.verdicts if not each["is_in"]]:
        page.line(f"Not in the index: {named(left_out)}.")
    if any(line.filled for line in report.legs):
        page.line()
        page.table(_trades_table(report))
    if report.waves:
        page.line()
        page.table(_waves_table(report))
        page.line()
        _draw_nav(page, report)
        if (since := report.tracking_difference) is not None:
            page.line(f"Since then the fund made {bps(since * BPS, signed=True)} bps beside its index.")
    page.line(dim(f"ledger {report.head[:16]} · cost is against the mids at acceptance; positive is a cost"))


def _left_alone(report: RebalanceReport) -> str:
    """Return what was not traded, by reason."""
    from etf_trader.cli.rebalances import named

    reasons: dict[str, list[str]] = {}
    for line in report.legs:
        if line.why_skipped is not None:
            reasons.setdefault(line.why_skipped, []).append(line.asset)
    return "; ".join(f"{named(assets)} ({WHY.get(why, why)})" for why, assets in reasons.items())


def _came_and_went(report: RebalanceReport) -> str:
    from etf_trader.cli.rebalances import named

    told = [
        f"New: {named(report.added)}." if report.added else "",
        f"Gone: {named(report.removed)}." if report.removed else "",
    ]
    return " ".join(filter(None, told))


def _weights_table(report: RebalanceReport) -> Table:
    table = Table(
        text(""),
        number("weight"),
        number("target"),
        number("after"),
        number("a unit had", optional=2),
        number("a unit has", optional=1),
        number("held before", optional=4),
        number("held after", optional=3),
        text(""),
    )
    for line in _by_weight(report):
        table.row(
            line.asset,
            share(line.weight_before),
            share(line.target),
            share(line.weight_after),
            short(line.per_unit_before),
            short(line.per_unit_after),
            few_digits(line.quantity_before) if line.symbol else money(line.quantity_before),
            few_digits(line.quantity_after) if line.symbol else money(line.quantity_after),
            dim(_note(line)),
        )
    return table


def _note(line: RebalanceLine) -> str:
    """Return that an asset came or went; what is less than a lot cannot be sold and stays."""
    if line.symbol is None:
        return "cash"
    stays = ", dust stays" if line.change == "removed" and line.quantity_after else ""
    return CHANGED.get(line.change, "") + stays


def _by_weight(report: RebalanceReport) -> list[RebalanceLine]:
    """Return the lines, the largest target first, cash last."""
    return sorted(
        report.legs, key=lambda line: (line.symbol is None, -line.target, -line.weight_before, line.asset)
    )


def _trades_table(report: RebalanceReport) -> Table:
    table = Table(
        text("trade"),
        number("planned", optional=3),
        number("filled", optional=1),
        number("planned at", optional=5),
        number("average", optional=2),
        number("value", optional=4),
        number("cost"),
        number("bps of NAV"),
        *part_columns(optional=6),
    )
    for line in _by_weight(report):
        if not (line.planned_quantity or line.filled or round_to(line.cost, CENT)):
            continue
        table.row(
            f"{line.side} {line.asset}" if line.side else line.asset,
            few_digits(line.planned_quantity),
            few_digits(line.filled),
            "-" if not line.planned_price else _price(line.planned_price),
            "-" if line.average_price is None else _price(line.average_price),
            money(line.value),
            money(line.cost),
            bps(line.cost_bps),
            *part_cells(line),
        )
    return table


def _waves_table(report: RebalanceReport) -> Table:
    table = Table(
        right("wave"),
        right("plan"),
        text("at", optional=4),
        right("orders", optional=2),
        number("value", optional=3),
        number("planned cost", optional=1),
        number("cost"),
        text("basket"),
    )
    for wave in (*report.waves, *report.late_fills):
        made = "under way" if wave.basket is None else f"{wave.basket_before} to {wave.basket}"
        is_late = wave in report.late_fills
        table.row(
            str(wave.wave),
            str(wave.plan),
            local_time(wave.settled_at if is_late and wave.settled_at else wave.created_at),
            "found late" if is_late else f"{wave.orders_filled} of {wave.orders}",
            money(wave.value),
            money(wave.planned_cost),
            money(wave.cost),
            made,
        )
    return table


def _draw_nav(page: Page, report: RebalanceReport) -> None:
    """Draw how NAV came from before to after."""
    steps = [
        f"{money(report.nav_before)} before",
        f"cost {money(-report.cost, signed=True)}",
        f"market {money(report.market, signed=True)}",
        f"units and fee meanwhile {money(report.flows, signed=True)}" if round_to(report.flows, CENT) else "",
        f"{money(report.nav_after)} after",
    ]
    page.line(f"NAV in {report.quote}   {joined(steps)}")
    page.line(
        f"Planned at {money(report.planned_cost)} {report.quote}. "
        f"etf plan verify {report.waves[-1].plan} proves the last wave's plan."
    )


def _price(value: Decimal) -> str:
    return short(value) if value < 1 else few_digits(value)
