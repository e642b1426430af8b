"""`etf rebalance`: brings an index back to its rulebook, or shows what that would trade and cost."""

from __future__ import annotations

from typing import Annotated

from etf_trader.cli.commands import HOW, WHAT, command, single
from etf_trader.cli.options import (
    CapsColumnsOption,
    CapsOption,
    DryRunOption,
    IndexOption,
    LiveYesOption,
    NoWaitOption,
    caps_of,
    option,
)

app = single()

DueOption = Annotated[bool, option("--due", WHAT, "Whatever is due, of all indices: for cron.")]
ForceOption = Annotated[bool, option("--force", HOW, "Trade though nothing is due.")]


@command(
    app,
    examples=(
        "etf rebalance --index 1                                trade what its rulebook wants, if it is due",
        "etf rebalance --due                                    all that is due: for cron",
        "etf rebalance --index 1 --dry-run                      what it would trade and cost now",
        "etf rebalance --index TOP20 --dry-run --caps caps.csv  by another table of market caps",
    ),
    csv="legs",
)
def rebalance(
    index: IndexOption = None,
    due: DueOption = False,
    caps: CapsOption = None,
    caps_columns: CapsColumnsOption = None,
    dry_run: DryRunOption = False,
    force: ForceOption = False,
    no_wait: NoWaitOption = False,
    yes: LiveYesOption = False,
) -> None:
    """Bring an index back to its rulebook at the least cost, when that is due."""
    _check(index, due=due, dry_run=dry_run, force=force)
    if not dry_run:
        from etf_trader.cli.rebalance_run import Way, run

        run(Way(index, due, force, no_wait, yes, caps_of(caps, caps_columns)))
    elif index is not None:
        from etf_trader.cli.rebalance_preview import show_preview

        show_preview(index, caps_of(caps, caps_columns))


def _check(index: str | None, *, due: bool, dry_run: bool, force: bool) -> None:
    """Refuse what excludes each other.

    Raises:
        UsageError: it is not said what to rebalance, or twice, or --force is without an index.
    """
    from etf_trader.errors import UsageError

    if (index is None) != due:
        raise UsageError(
            "say what to rebalance" if index is None else "say one thing to rebalance, not two",
            where="--index",
            hint="--index N, or --due for whatever is due",
        )
    if due and (dry_run or force):
        raise UsageError(
            f"{'--dry-run' if dry_run else '--force'} is for one index",
            where="--due",
            hint="name it: --index N",
        )
