"""What was proved of a rebalance, as a person reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from etf_trader.cli.certificates import told_gap
from etf_trader.cli.numbers import count, units


def proved_rebalance(document: Mapping[str, Any], market: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what was proved, a line for each kind of statement.

    Args:
        document: A plan object that `solver.verify` found nothing wrong with.
        market: The books and rules it was made on.
    """
    from etf_trader.solver.rebalance_statement import read_rebalance_statement

    statement = read_rebalance_statement(document, market)
    totals, quote = statement.totals, statement.problem.quote
    levels = sum(len(book.bids) + len(book.asks) for book in statement.books.values())
    sent = count(sum(1 for each in statement.legs if each.leg.quantity), "asset order")
    waves = count(statement.waves, "wave")
    return [
        ("books", f"{count(len(statement.books), 'book')}, {levels:,} levels and their rules: the hash is theirs"),
        ("orders", f"{sent}: filters, levels from the best price, value, fee, parts of the cost"),
        ("sums", f"NAV before less NAV after is the cost, {units(totals['cost'])} {quote}, to the last digit"),
        ("waves", f"{waves}: cash stays above zero in any order of their legs, at the worst prices"),
        ("bound", f"{units(totals['bound'])} {quote} of NAV, in exact fractions over all levels"),
        ("gap", told_gap(totals["gap_bps"], totals["rounding_bps"])),
    ]
