"""What a rulebook that is being written may not say, or had better not; one in force is followed. Pure."""

from collections.abc import Collection
from decimal import Decimal
from difflib import get_close_matches

from etf_trader.errors import UsageError
from etf_trader.index.caps import COLUMNS
from etf_trader.index.methodology import Methodology
from etf_trader.index.selection import GROUPS
from etf_trader.money import BPS, plain

MISTYPED = 0.75
"""A word so near to the name of a group is that name, mistyped."""


def refuse_mistakes(rule: Methodology, where: str) -> None:
    """Refuse words that are nearly those of a rulebook, and a rulebook by which nothing is ever traded.

    Raises:
        UsageError: names what is wrong, and what was meant.
    """
    for word in rule.universe.exclude:
        near = get_close_matches(word.lower(), GROUPS, n=1, cutoff=MISTYPED)
        if near and word.lower() not in GROUPS:
            raise UsageError(
                f"universe.exclude names {word!r}, which is no group", where=where, hint=f"did you mean {near[0]}?"
            )
    for key in rule.universe.columns:
        if key not in COLUMNS:
            near = get_close_matches(key, COLUMNS, n=1)
            hint = f"did you mean universe.columns.{near[0]}?" if near else f"one of {', '.join(COLUMNS)}"
            raise UsageError(f"unknown key 'universe.columns.{key}' in the index file", where=where, hint=hint)
    if not rule.rebalance.turnover:
        raise UsageError(
            "rebalance.turnover is 0: nothing would ever be traded",
            where=where,
            hint="leave it out, or say how much of NAV may be traded at once, like turnover = 0.2",
        )


def single_coins(rule: Methodology) -> list[str]:
    """Return what a rulebook leaves out by the name of a coin, as it is written."""
    return [word for word in rule.universe.exclude if word.lower() not in GROUPS]


def doubts(rule: Methodology, known: Collection[str], taker_fee: Decimal) -> list[str]:
    """Return what of a rulebook is probably not meant, a sentence each.

    Args:
        known: The assets that the venue or the table of market caps knows.
        taker_fee: The least that a trade costs at the venue, as a fraction of its value.
    """
    found = []
    if words := [word for word in single_coins(rule) if word.upper() not in known]:
        near = [name for word in words for name in get_close_matches(word.lower(), GROUPS, n=1)]
        meant = f" Did you mean {near[0]}?" if near else ""
        found.append(f"universe.exclude names {', '.join(words)}: no such coin is known here.{meant}")
    price = rule.rebalance.price_bps
    if price is not None and price < taker_fee * BPS:
        fee = f"the venue's fee alone is {plain(taker_fee * BPS)} bps"
        found.append(f"rebalance.price_bps is {plain(price)}, and {fee}: by this rulebook nothing is ever traded.")
    return found
