"""The proof of a plan as a person follows it: where it ends in each book, what stops it, what more would bring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from etf_trader.cli.numbers import count, few_digits, money, price, units
from etf_trader.cli.output import Page, Table, number, text
from etf_trader.cli.stops import in_short
from etf_trader.money import round_to

if TYPE_CHECKING:
    from etf_trader.solver.binding import Nudge
    from etf_trader.solver.statement import Statement

METHODS = {
    "closed_form": "closed form",
    "linprog": "linear program",
    "knapsack": "the best books for the slots there are",
    "merge": "merged ladders of all currencies",
    "milp": "integer program over books",
    "shared": "one solve for all orders of the batch",
    "unwind": "trading back at the best prices",
    "quote": "closed form, at the touch of the own side",
}
SHARED, UNWIND, QUOTE = "shared", "unwind", "quote"
MOST_SHOWN = 6
"""Nudges told at most: the first are the order's own limits, then the books that matter most."""


def draw_certificate(page: Page, document: Mapping[str, Any], quote: str) -> None:
    """Draw how a plan was found, and how near it is proved to be to the best possible."""
    is_buy = document["side"] == "buy"
    best = "no plan for these units costs less" if is_buy else "no plan for them brings more"
    if document["method"] == UNWIND:
        best = "what the books give"
    if document["method"] == QUOTE:
        best = "the same at these prices without lots"
    if document["method"] == SHARED:
        best = "its part of what the batch comes to without lots"
    page.fields(
        [
            ("found by", METHODS.get(document["method"], document["method"])),
            ("cost" if is_buy else "brings", f"{money(Decimal(document['cost']))} {quote}"),
            ("bound", f"{money(Decimal(document['bound']))} {quote}: {best}"),
            ("gap", told_gap(Decimal(document["gap_bps"]), Decimal(document["rounding_bps"]))),
            *([("slots", _slots(document, quote))] if document.get("slots") else []),
            ("books", f"SHA-256 {document['book_hash']}"),
        ]
    )


def _slots(document: Mapping[str, Any], quote: str) -> str:
    """Return what is known about the choice of books under the slots: by arithmetic, or on the solver's word."""
    slots, is_buy = document["slots"], document["side"] == "buy"
    most = f"{count(slots['most'], 'order')} at most"
    if slots["is_fallback"]:
        return f"{most}: time was over, the plan is the linear program's with fewer routes"
    if slots["bound"] is None:
        return f"{most}: they leave some units undone"
    whose = "by arithmetic in floats" if document["method"] == "knapsack" else "on the integer solver's word"
    better = "costs less than" if is_buy else "brings more than"
    late = "" if slots["is_proved"] else "; time was over before both met"
    return f"{most}: no choice of books {better} {money(Decimal(slots['bound']))} {quote}, {whose}{late}"


def draw_books(page: Page, statement: Statement) -> None:
    """Draw where the plan ends in each book: the dearest level used, and the cheapest that is left."""
    from etf_trader.solver.binding import frontiers

    used = frontiers(statement.problem, statement.legs)
    if not used:
        return
    is_buy = statement.problem.side.sign > 0
    worst, best = ("dearest used", "cheapest left") if is_buy else ("cheapest used", "dearest left")
    ticks = {leg.asset: leg.rule.tick for leg in statement.problem.legs}
    table = Table(text(""), number(worst), number(best), number("worth after fee", optional=1))
    for each in used:
        left = "none" if each.best_left is None else price(each.best_left, ticks[each.asset])
        worth = price(statement.multipliers[each.asset], ticks[each.asset])
        table.row(each.asset, price(each.worst_used, ticks[each.asset]), left, worth)
    page.table(table)
    better = "cheaper" if is_buy else "dearer"
    page.line(f"No level that is left is {better} than one that is used: nothing can be exchanged for the better.")


def draw_stops(page: Page, statement: Statement, nudges: Sequence[Nudge], quote: str) -> None:
    """Draw what stopped the plan, and what each limit decides, in units."""
    problem = statement.problem
    verb = "buys" if problem.side.sign > 0 else "sells"
    if statement.stopped_by == ("filled",):
        page.line("Nothing binds: all of it fills, and one market-like order an asset is the optimum.")
        page.line("Optimising gains 0.00 bps.")
    else:
        page.line(f"{_what_binds(statement)} {_beyond(statement)}".rstrip())
    shown = nudges[:MOST_SHOWN]
    if shown:
        table = Table(text("what decides"), text(""), number(f"more {verb}"), number(f"less {verb}"))
        for nudge in shown:
            table.row(_name(nudge.name), _by(nudge, quote), _units(nudge.more), _units(nudge.less))
        page.table(table)
    for name in statement.stopped_by:
        if name.startswith("window("):
            page.line(f"Look deeper in {name[7:-1]}: what lies beyond the levels that were read is not known.")


def draw_batch(page: Page, statement: Statement, batch: Mapping[int, Statement | None], quote: str) -> None:
    """Draw what stopped a plan that was solved with others, and what their batch is proved to cost; by order."""
    from etf_trader.solver.verify_batch import batch_proof

    problem = statement.problem
    shared = {order: each for order, each in batch.items() if each is not None and each.method == SHARED}
    others = joined_numbers(sorted(shared))
    if len(shared) == 1:
        page.line(f"Solved with the other open orders; of them order {others} alone trades.")
    else:
        page.line(f"Solved as one: orders {others}. Each level is shared in proportion to what they need of it.")
    page.line(_what_binds(statement))
    for leg in problem.legs:
        if f"depth({leg.asset})" in statement.stopped_by:
            depth = sum((level.quantity for level in leg.levels), Decimal(0))
            want = [order for order in sorted(shared) if _holds(shared[order], leg.asset, problem.side)]
            page.line(f"Bottleneck: {units(depth)} {leg.asset} for orders {joined_numbers(want)}.")
    proof = batch_proof(list(shared.values()))
    pays = "pay" if proof.cost >= 0 else "receive"
    gap = f"{money(proof.cost - proof.bound)} {quote}"
    page.line(f"Together they {pays} {money(abs(proof.cost))} {quote} at the venue.")
    page.line(f"No plan for their units is better by more than {gap}, which is lots and least orders.")


def draw_routes(page: Page, statement: Statement, quote: str) -> None:
    """Draw what stopped a plan over several currencies, and the prices of all nodes that prove it."""
    page.line(_what_binds(statement))
    table = Table(text(""), number(f"worth in {quote}"))
    for node, worth in sorted(statement.multipliers.items()):
        table.row(node, f"{round_to(worth, Decimal('1e-8')):,f}")
    page.table(table)
    page.line("No level that is left is better than these prices: nothing can be exchanged for the better.")


def _what_binds(statement: Statement) -> str:
    problem = statement.problem
    if statement.stopped_by == ("filled",):
        return "Nothing binds: all of it fills."
    return f"What binds: {in_short(statement.stopped_by, problem.limit, problem.max_loss_bps)}."


def _beyond(statement: Statement) -> str:
    """Return the size that shows what stopped a plan; routed ones name none."""
    return f"{units(statement.beyond[0])} units would break it." if statement.beyond else ""


def _holds(statement: Statement, asset: str, side: object) -> bool:
    return statement.problem.side is side and any(leg.asset == asset for leg in statement.problem.legs)


def joined_numbers(numbers: Sequence[int]) -> str:
    """Return numbers as a sentence lists them."""
    *most, last = [str(number) for number in numbers]
    return f"{', '.join(most)} and {last}" if most else last


def proved_fields(statement: Statement) -> list[tuple[str, str]]:
    """Return what was proved, a line for each kind of statement."""
    problem, totals = statement.problem, statement.totals
    levels = sum(len(book.bids) + len(book.asks) for book in statement.books.values())
    sent = count(sum(1 for leg in statement.legs if leg.quantity), "asset order")
    prices = "the touch of the own side" if statement.method == QUOTE else "levels from the best price"
    taken = f"filters, {prices}, value, fee, loss"
    books = f"{count(len(statement.books), 'book')}, {levels:,} levels and their rules: the hash is theirs"
    if statement.method == UNWIND:
        return [
            ("books", books),
            ("orders", f"{sent}: {taken}"),
            ("sums", "cash and loss to the last digit; only what is beyond the units is sold"),
        ]
    fraction = f"every asset covers {units(statement.units)} units exactly; the float takes what is over"
    if statement.method == SHARED:
        return [
            ("books", books),
            ("orders", f"its part of {sent}; {count(len(statement.crossed), 'asset')} inside"),
            ("fraction", fraction),
            ("limits", _limits(statement)),
            ("sums", "cash and loss to the last digit"),
        ]
    stop = "all of it fills"
    if statement.stopped_by != ("filled",):
        what = in_short(statement.stopped_by, problem.limit, problem.max_loss_bps)
        stop = f"stopped by {what}. {_beyond(statement)}".rstrip(". ")
    return [
        ("books", books),
        ("orders", f"{sent}: {taken}"),
        ("fraction", fraction),
        ("limits", f"{_limits(statement)}; {stop}"),
        ("bound", f"{units(totals['bound'] or Decimal(0))}, in exact fractions over all levels"),
        ("gap", told_gap(totals["gap_bps"] or Decimal(0), totals["rounding_bps"] or Decimal(0))),
    ]


def _limits(statement: Statement) -> str:
    problem = statement.problem
    given = {"limit": problem.limit, "loss limit": problem.max_loss_bps, "cash": problem.cash}
    return f"{', '.join([*(name for name, value in given.items() if value is not None), 'float'])} kept"


def told_gap(gap: Decimal, rounding: Decimal) -> str:
    """Return how far a plan is from the best possible one, in bps, and how much of it is due to whole lots."""
    if gap == 0:
        return "none: it is the best possible"
    due = " from whole lots and least orders" if rounding == gap else f", {rounding:.3f} of it from whole lots"
    return f"{gap:.3f} bps{due}"


def _name(name: str) -> str:
    kind, _, of = name.rstrip(")").partition("(")
    words = {
        "limit": "limit",
        "loss": "loss limit",
        "limit and loss": "both limits",
        "cash": "cash",
        "float": "float",
    }
    return f"depth of {of}" if kind == "depth" else words.get(kind, kind)


def _by(nudge: Nudge, quote: str) -> str:
    if nudge.name.startswith("depth("):
        return f"{nudge.by * 100:.0f}%"
    return f"{nudge.by:,f} {quote}" if nudge.name in ("cash", "float") else f"{nudge.by:f} bps"


def _units(change: Decimal) -> str:
    return f"{'+' if change > 0 else '-'}{few_digits(abs(change))}" if change else "0"
