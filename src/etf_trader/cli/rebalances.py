"""A rebalance as commands show it: its document, how far it is, and the sentences that say what became of it."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from etf_trader.cli.numbers import bps, count, joined, local_time, money, percent, price, share
from etf_trader.cli.output import bad, good, look
from etf_trader.cli.stops import in_short
from etf_trader.money import percentage
from etf_trader.orders.plan import LOSS_PARTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

    from etf_trader.bootstrap import Services
    from etf_trader.reports.rebalance import RebalanceReport

UNIT_STEP = Decimal("0.0001")
"""What a unit is worth is shown to this: a rebalance costs less than a cent of it."""

MOST_NAMED = 12
"""So many assets are named in a sentence."""

ENDS = ("filled", "cancelled")
"""Stops that the state of a rebalance says already."""


def open_rebalances(connection: Connection, account_id: int) -> list[int]:
    """Return the rebalances of an account that are under way, oldest first."""
    from etf_trader.orders.rebalances import list_rebalances
    from etf_trader.orders.status import IndexOrderStatus

    found = list_rebalances(connection, account_id=account_id, statuses=[IndexOrderStatus.OPEN])
    return [each.id for each in found]


def rebalances_of(
    connection: Connection,
    account_id: int,
    *,
    index_id: int | None = None,
    statuses: Iterable[Any] | None = None,
) -> list[RebalanceReport]:
    """Return rebalances, oldest first."""
    from etf_trader.orders.rebalances import list_rebalances

    found = list_rebalances(connection, account_id=account_id, index_id=index_id, statuses=statuses)
    if not found:
        return []  # most lists have none, and the report is dear to import
    from etf_trader.reports.rebalance import rebalance_report

    return [rebalance_report(connection, each.id) for each in found]


def order_document(report: RebalanceReport) -> dict[str, Any]:
    """Return a rebalance as it stands among orders: what an order has and it has not is null."""
    from etf_trader.orders.rebalance_order import KIND

    nothing = ("position", "units", "average_price", "cash", "limit", "max_loss_bps", "expires_at", "schedule")
    return {
        "id": report.id,
        "kind": KIND,
        "client_key": f"rebalance:{report.index_id}:{report.due_on.isoformat()}",
        "side": "both",
        "index": report.index,
        "index_id": report.index_id,
        "due_on": report.due_on,
        "quantity": report.units_before,
        "fill_percentage": fill_percentage(report),
        "loss": report.cost,
        "loss_bps": report.cost_bps,
        **{part: getattr(report, part) for part in LOSS_PARTS},
        "tif": "gtc",
        "on_shortfall": "hold",
        "status": report.status,
        "stopped_by": list(report.stopped_by),
        "accepted_at": report.accepted_at,
        "ended_at": report.ended_at,
        "cancel_requested_at": report.cancel_requested_at,
        "arrival_nav": report.nav_per_unit_before,
        "waves": len(report.waves),
        "basket": report.baskets[-1].version,
        **dict.fromkeys(nothing),
    }


def fill_percentage(report: RebalanceReport) -> Decimal:
    """Return how many of the assets that were to trade have, from 0 to 100."""
    return percentage(Decimal(report.traded), Decimal(report.trading)) if report.trading else Decimal(100)


def name_of(report: RebalanceReport) -> str:
    """Return what a rebalance is called: its day."""
    return f"rebalance {report.due_on.isoformat()}"


def how_far(report: RebalanceReport) -> str:
    """Return how far a rebalance is: `3 of 8 assets in 2 waves`."""
    far = assets_traded(report)
    return f"{far} in {count(len(report.waves), 'wave')}" if report.trading and report.waves else far


def assets_traded(report: RebalanceReport) -> str:
    """Return how many of its assets have traded, as a list tells it: `3 of 8 assets`."""
    return f"{report.traded} of {count(report.trading, 'asset')}" if report.trading else "nothing to trade"


def state_words(report: RebalanceReport) -> str:
    """Return where a rebalance stands, in words."""
    if report.status == "open" and report.cancel_requested_at is not None:
        return look("being cancelled")
    return bad("stuck") if report.status == "stuck" else report.status


def why_stopped(report: RebalanceReport) -> str:
    """Return what holds up or ended a rebalance, in a few words; nothing where its state says it."""
    return in_short([stop for stop in report.stopped_by if stop not in ENDS], None, None)


def rebalance_sentences(report: RebalanceReport) -> list[str]:
    """Return what a rebalance did, what it cost, what a unit was worth before and after, and where to read on."""
    told = [_result(report), *_capped(report)]
    if report.waves:
        told += [cost_sentence(report), nav_sentence(report)]
    told += next_sentences(report)
    return [*told, f"More: etf report rebalance --id {report.id}"]


def _result(report: RebalanceReport) -> str:
    what = f"{report.index} for {report.due_on.isoformat()} (order {report.id})"
    far = f"{how_far(report)}, {share(report.turnover)} of NAV one way"
    if report.status == "filled":
        if not report.units_before:
            return f"{good('Rebalanced')} {what}: nobody holds units, so its basket was written anew."
        if not report.waves:
            return f"{good('Rebalanced')} {what}: nothing had to be traded."
        return f"{good('Rebalanced')} {what}: {far}."
    if not report.waves:
        far = "nothing has been traded"
    match report.status:
        case "open":
            return f"The rebalance of {what} is {look('under way')}: {far}."
        case "cancelled":
            return f"{look('Cancelled')} the rebalance of {what}: {far}."
        case "stuck":
            return f"The rebalance of {what} is {bad('stuck')}: {far}, and it holds assets."
    return f"The rebalance of {what} {look('ended before it was done')}: {far}."


def _capped(report: RebalanceReport) -> list[str]:
    """Return how much of its trades the turnover cap left, where it did not leave all."""
    if report.scale == 1 or not report.trading:
        return []
    lets = "lets" if report.status == "open" else "let"
    return [f"The turnover cap {lets} {share(report.scale)} of every trade happen."]


def cost_sentence(report: RebalanceReport) -> str:
    """Return what a rebalance cost, and its parts."""
    parts = joined(
        f"{part} {money(getattr(report, part))}"
        for part in LOSS_PARTS
        if money(abs(getattr(report, part))) != "0.00"
    )
    return f"Cost  {money(report.cost)} {report.quote}, {bps(report.cost_bps)} bps of NAV   {parts}".rstrip()


def nav_sentence(report: RebalanceReport) -> str:
    """Return what a unit was worth before and after."""
    before, after = (unit_value(getattr(report, f"nav_per_unit_{when}")) for when in ("before", "after"))
    return f"A unit was worth {before} {report.quote} before and {after} after."


def unit_value(value: Decimal) -> str:
    """Return what a unit is worth, to a hundredth of a cent."""
    return price(value, UNIT_STEP)


def next_sentences(report: RebalanceReport) -> list[str]:
    """Return what stands in the way of a rebalance that is not done, and how it goes on."""
    why = why_stopped(report)
    basket = f"basket {report.baskets[-1].version} is in force"
    rest = f" Left: {named(report.left)}." if report.left else ""
    match report.status:
        case "open" if report.cancel_requested_at is not None:
            return ["It is being cancelled: what is in flight is settled first. etf worker --once does that."]
        case "open":
            held = f"It is held up: {why}. " if why else ""
            lifted = "After etf resume " if "halted" in report.stopped_by else ""
            end = f"etf cancel --order {report.id} ends it"
            return [f"{held}{lifted}etf worker --once goes on with it; {end}.{rest}"]
        case "cancelled":
            return [f"The baskets stay as they are: {basket}.{rest}", *_again(report)]
        case "ended":
            stop = f"Stopped by: {why}. " if why else ""
            return [f"{stop}What is held is the basket: {basket}.{rest}", *_again(report)]
        case "stuck":
            return [f"A trade came in after its end. etf order show {report.id} shows what it holds."]
    return []


def named(assets: Sequence[str]) -> str:
    """Return assets as a sentence lists them; of many the first."""
    more = len(assets) - MOST_NAMED
    return ", ".join(assets[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _again(report: RebalanceReport) -> list[str]:
    if not report.left:
        return []
    trade = f"etf rebalance --index {report.index_id}"
    return [f"{trade} --dry-run shows what is left to trade; {again_from(report.due_on)}: {trade} --force"]


def again_from(due_on: date) -> str:
    """Return from when on an index can be rebalanced again that had its rebalance of a day."""
    return f"it can be traded again from {(due_on + timedelta(days=1)).isoformat()} on (UTC)"


def line(report: RebalanceReport) -> str:
    """Return how far a rebalance is, in one line."""
    why = why_stopped(report)
    far = f"Rebalance {report.id} of {report.index} for {report.due_on.isoformat()}: {how_far(report)}"
    cost = f", cost {money(report.cost)} {report.quote} ({bps(report.cost_bps)} bps)" if report.waves else ""
    state = {"open": "still open", "filled": "done"}.get(report.status, report.status)
    return f"{far}{cost}, {state}{': ' + why if why else ''}."


def cancelled_sentences(report: RebalanceReport, leader: str = "") -> list[str]:
    """Return what became of a rebalance that was cancelled; `leader` is who still has to do it."""
    far = how_far(report) if report.waves else "nothing had been traded"
    name = f"rebalance {report.id} of {report.index}"
    if report.status == "cancelled":
        cost = f", at a cost of {money(report.cost)} {report.quote} ({bps(report.cost_bps)} bps)"
        return [f"{good('Cancelled')} {name}: {far}{cost if report.waves else ''}.", *next_sentences(report)]
    if report.status == "open":
        who = f"{leader}, which leads the account, ends it" if leader else "etf worker --once ends it"
        settled = "what is in flight is settled first, and the baskets stay as they are then"
        return [f"The {name} is {look('not cancelled yet')}: {far}; {settled}. {who[0].upper()}{who[1:]}."]
    word = {"filled": "done", "stuck": "stuck"}.get(report.status, "ended")
    return [f"The {name} was {word} before the cancel reached it: {far}."]


def exit_code_of(report: RebalanceReport) -> int:
    """Return what a command ends with that was about this rebalance: 6 refused by risk or a halt, 7 not whole.

    One that is open waits for whoever leads next: 0.
    """
    if report.status in ("filled", "open"):
        return 0
    return 6 if was_refused(report) else 7


def was_refused(report: RebalanceReport) -> bool:
    """Return whether a halt or a risk limit is in its way."""
    return any(stop in ("halted", "reducing") or stop.startswith("risk(") for stop in report.stopped_by)


def read_report(opened: Services, number: int) -> RebalanceReport:
    """Return the report of a rebalance as it stands.

    Raises:
        NotFound: there is none with this number.
    """
    from etf_trader.reports.rebalance import rebalance_report

    with opened.database.read() as connection:
        return rebalance_report(connection, number)


def fields_of(report: RebalanceReport) -> list[tuple[str, str]]:
    """Return how a rebalance stands, a line each."""
    ended = f", ended {local_time(report.ended_at)}" if report.ended_at is not None else ""
    forced = ", forced" if report.is_forced else ""
    return [
        ("state", state_words(report)),
        ("done", f"{how_far(report)} ({percent(fill_percentage(report))})"),
        ("for", f"{report.due_on.isoformat()}, by rulebook {report.rulebook}{forced}"),
        ("accepted", f"{local_time(report.accepted_at)}{ended}"),
        ("basket", _baskets(report)),
    ]


def _baskets(report: RebalanceReport) -> str:
    versions = [each.version for each in report.baskets]
    return f"{versions[0]} before, {versions[-1]} now" if len(versions) > 1 else f"{versions[0]}, as before"
