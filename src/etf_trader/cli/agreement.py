"""Whether the books and the venue agree, before anything new is accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etf_trader.cli.services import in_loop

if TYPE_CHECKING:
    from etf_trader.bootstrap import Services


def require_agreement(opened: Services) -> None:
    """Compare the books with the venue, unless a leader is at work and does so.

    Raises:
        ReconciliationMismatch: they differ; no order is written.
    """
    from etf_trader.errors import ReconciliationMismatch
    from etf_trader.execution.differences import mismatch, open_differences
    from etf_trader.execution.reconcile import require_agreement as compare

    before = _leadership(opened)
    if before is None:
        with opened.database.read() as connection:
            known = open_differences(connection, opened.account.id)
        if known:
            raise mismatch(opened.account, known)
        return
    try:
        in_loop(compare(opened.database, opened.venue, opened.account))
    except ReconciliationMismatch:
        if _leadership(opened) == before:  # otherwise somebody traded while we looked
            # Find out why: what explains it is booked, and what nothing explains gets its number.
            in_loop(opened.manager.reconcile(wait=False)).require_agreement()


def _leadership(opened: Services) -> int | None:
    """Return the epoch of a free lease with nothing left to settle; None while somebody is at work."""
    from etf_trader.clock import SystemClock
    from etf_trader.execution.lease import epoch, leader
    from etf_trader.orders.store import unsettled_plans

    with opened.database.read() as connection:
        if leader(connection, opened.account.id, SystemClock().now(), opened.settings.host) is not None:
            return None
        return None if unsettled_plans(connection, opened.account.id) else epoch(connection, opened.account.id)
