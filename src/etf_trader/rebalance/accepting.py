"""Writes a rebalance down, so that whoever leads the account carries it out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import Connection

from etf_trader.clock import Clock
from etf_trader.database import Database
from etf_trader.errors import UsageError
from etf_trader.events import EventLog, RebalanceAccepted
from etf_trader.execution.fee_inventory import mixed, require_apart
from etf_trader.execution.fees_in_kind import basket_due
from etf_trader.execution.look import require_own
from etf_trader.index.benchmarks import set_benchmark
from etf_trader.index.determination import Determination
from etf_trader.index.prices import CLOSE, Price, mids_at
from etf_trader.index.store import Index, find_index
from etf_trader.ledger import accounts
from etf_trader.ledger.repository import Account, Ledger
from etf_trader.money import ONE, ZERO, divide, money_context
from etf_trader.orders.rebalance import RebalanceLeg
from etf_trader.orders.rebalance_order import RebalanceOrder, RebalanceRequest, TargetLeg
from etf_trader.orders.rebalances import add_rebalance, list_rebalances, rebalance_on
from etf_trader.orders.status import IndexOrderStatus
from etf_trader.rebalance.determining import Caps, last_closes
from etf_trader.rebalance.drift import Drift
from etf_trader.rebalance.previewing import RebalancePreview, preview_rebalance
from etf_trader.rebalance.reweighing import Reweighed, reweigh, write_reweighed
from etf_trader.venue.interface import Venue

_PRICE = Decimal("1e-18")

TRIES = 5
"""How often a rebalance is planned again as units were bought or sold while it was."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A rebalance that somebody asks for: of which index, for which day, and whose the float is."""

    reference: str
    due_on: date
    is_forced: bool
    holder: str
    caps: Caps | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """An accepted rebalance; `is_new` unless the index has one for that day already."""

    index: Index
    order: RebalanceOrder
    is_new: bool


async def accept_rebalance(
    database: Database,
    venue: Venue,
    clock: Clock,
    account: Account,
    log: EventLog,
    depth: int,
    wanted: Wanted,
) -> Accepted:
    """Write a rebalance down on the books of now; one that the index has for the day is returned as it is.

    Raises:
        NotFound: there is no such index.
        UsageError: it is closed, it has no rulebook, or another rebalance of it is under way; the table of caps
            cannot be.
        ConfigError: the account pays its fees in what an index holds, or this one is to hold.
        DataError: a price is missing, or what the rulebook needs to know is.
    """
    for _ in range(TRIES):
        with database.read() as connection:
            if (known := _known(connection, account, wanted)) is not None:
                return known
        preview = await preview_rebalance(database, venue, clock, account, depth, wanted.reference, wanted.caps)
        await _require_apart(database, venue, account, preview)
        empty = None
        if preview.rebalance is None:
            empty = await reweigh(venue, preview)
        closes = await _closes(venue, preview, clock.now())
        request = request_of(preview, wanted, empty)
        with database.write() as connection:
            if (known := _known(connection, account, wanted)) is not None:
                return known
            if not _stands(connection, account, request, clock.now()):
                continue
            order = add_rebalance(connection, account.id, request, clock.now())
            log.record(
                connection,
                RebalanceAccepted(
                    order.id, preview.index.symbol, request.due_on.isoformat(), len(request.trading)
                ),
                clock.now(),
            )
            _follow(connection, preview, order, closes, clock.now())
            if empty is not None:
                write_reweighed(connection, log, account, order, empty, clock.now())
        return Accepted(preview.index, order, is_new=True)
    raise UsageError(
        f"units of {wanted.reference} are bought and sold all the time: its rebalance finds no moment",
        where="--index",
        hint="try again",
    )


async def _require_apart(database: Database, venue: Venue, account: Account, preview: RebalancePreview) -> None:
    """Check that fees are paid in nothing that an index holds, or this one is to hold."""
    discount = await require_apart(database, venue, account)
    if discount is not None and discount.asset in preview.determination.weights:
        raise mixed(discount.asset, preview.index.symbol, account, verb="is to hold")


async def _closes(venue: Venue, preview: RebalancePreview, now: datetime) -> dict[str, Price]:
    """Return the last closes, of an index whose weights are set at these."""
    rules = preview.version.rules
    if rules is None or rules.calendar.fixing != CLOSE:
        return {}
    return await last_closes(venue, preview.symbols, now)


def _follow(
    connection: Connection,
    preview: RebalancePreview,
    order: RebalanceOrder,
    closes: Mapping[str, Price],
    now: datetime,
) -> None:
    """Give the index that the fund follows its new weights, whole and without cost, at its fixing prices.

    Those are the mids of the acceptance, or `closes` where its rulebook wants them.
    What has no price has no place in it until it has one.
    """
    known = {asset: mid for asset, mid in order.arrival.items() if mid}
    prices = {**mids_at(known, now), **closes}
    weights = {asset: weight for asset, weight in preview.determination.weights.items() if asset in prices}
    if weights:
        set_benchmark(connection, preview.index, weights, prices, now, f"rebalance {order.id}")


def _known(connection: Connection, account: Account, wanted: Wanted) -> Accepted | None:
    """Return the rebalance that an index has for a day; refuse a second one while another is under way."""
    index = find_index(connection, wanted.reference)
    require_own(index, account.id)
    if (known := rebalance_on(connection, index.id, wanted.due_on)) is not None:
        return Accepted(index, known, is_new=False)
    if open_ones := list_rebalances(connection, index_id=index.id, statuses=[IndexOrderStatus.OPEN]):
        number, due_on = open_ones[0].id, open_ones[0].request.due_on
        raise UsageError(
            f"rebalance {number} of {index.symbol}, of {due_on}, is under way",
            where="--index",
            hint=f"etf worker --once goes on with it; etf cancel --order {number} ends it",
        )
    return None


def _stands(connection: Connection, account: Account, request: RebalanceRequest, now: datetime) -> bool:
    """Return whether the index still holds what the rebalance was planned from, its fee taken until now."""
    ledger = Ledger(connection, account.id)
    units = ledger.units_outstanding(accounts.issued(request.index_id), f"unit:{request.index_id}")
    version = basket_due(connection, account.id, request.index_id, now).version
    return (units, version) == (request.units, request.basket)


def request_of(preview: RebalancePreview, wanted: Wanted, empty: Reweighed | None) -> RebalanceRequest:
    """Return what is written down of a rebalance; `empty` is for one that has nothing to plan: no units."""
    found = preview.rebalance
    assert preview.version.rules is not None
    return RebalanceRequest(
        index_id=preview.index.id,
        due_on=wanted.due_on,
        is_forced=wanted.is_forced,
        holder=wanted.holder,
        rulebook=preview.version.version,
        basket=preview.basket.version,
        units=preview.units,
        nav=found.nav if found is not None else ZERO if empty is None else empty.nav,
        scale=ONE if found is None else found.scale,
        reserve=preview.version.rules.rebalance.reserve,
        price_bps=preview.version.rules.rebalance.price_bps,
        arrival=dict(preview.mids if empty is None else empty.mids),
        determination=determination_document(preview.determination),
        legs=() if found is None else tuple(_leg(preview, drift) for drift in found.drifts),
    )


def determination_document(determination: Determination) -> dict[str, object]:
    """Return who is in the index and why, in plain values."""
    return {
        "day": determination.day.isoformat(),
        "weights": {asset: str(weight) for asset, weight in determination.weights.items()},
        "verdicts": [
            {
                "asset": each.asset,
                "name": each.name,
                "rank": each.rank,
                "is_in": each.why.is_in,
                "why": str(each.why),
            }
            for each in determination.verdicts
        ],
    }


def _leg(preview: RebalancePreview, drift: Drift) -> TargetLeg:
    found = preview.rebalance
    assert found is not None
    leg = found.legs.get(drift.asset)
    return TargetLeg(
        asset=drift.asset,
        symbol=preview.listed_as[drift.asset],
        weight=drift.weight,
        target=drift.target,
        width=drift.width,
        aim=drift.aim,
        part=found.parts.get(drift.asset),
        holding=preview.held.get(drift.asset, ZERO),
        side=None if leg is None else leg.side,
        quantity=ZERO if leg is None else leg.quantity,
        price=ZERO if leg is None or not leg.quantity else _average(leg),
        cost=ZERO if leg is None else leg.cost,
        why_skipped=found.why_skipped(drift),
    )


def _average(leg: RebalanceLeg) -> Decimal:
    with money_context():
        return divide(leg.value, leg.quantity, _PRICE)
