"""Asking before real money is traded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etf_trader.cli.invocation import output
from etf_trader.errors import EtfError, UsageError
from etf_trader.venue import LIVE

if TYPE_CHECKING:
    from etf_trader.bootstrap import Services


def require_can_ask(opened: Services, *, yes: bool) -> None:
    """Refuse, before anything is looked up, an order that could not be confirmed later.

    Raises:
        UsageError: there is no terminal to ask at, and --yes was not given.
        ConfigError: live trading is not switched on.
    """
    opened.require_switched_on()
    if opened.account.environment == LIVE and not (yes or output().is_interactive):
        raise UsageError(
            "this trades real money; without a terminal nothing is asked", where="--yes", hint="add --yes"
        )


def confirm_live(opened: Services, what: str, *, yes: bool) -> None:
    """Ask whether `what` is to be done with real money; where the money is not real nothing is asked.

    Raises:
        EtfError: the answer was no.
        UsageError, ConfigError: as `require_can_ask`.
    """
    require_can_ask(opened, yes=yes)
    if opened.account.environment != LIVE or yes:
        return
    if not output().confirm(f"{what} with real money?"):
        raise EtfError("nothing was done: the answer was no")
