"""Asking before real money is traded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etf_trader.cli.invocation import output
from etf_trader.errors import EtfError, UsageError

if TYPE_CHECKING:
    from etf_trader.bootstrap import Services

LIVE = "live"


def confirm_live(opened: Services, what: str, *, yes: bool) -> None:
    """Ask whether `what` is to be done with real money; where the money is not real nothing is asked.

    Raises:
        UsageError: there is no terminal to ask at, and --yes was not given.
        EtfError: the answer was no.
    """
    if opened.account.environment != LIVE or yes:
        return
    if not output().is_interactive:
        raise UsageError(
            "this trades real money; without a terminal nothing is asked", where="--yes", hint="add --yes"
        )
    if not output().confirm(f"{what} with real money?"):
        raise EtfError("nothing was done: the answer was no")
