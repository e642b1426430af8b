"""Exact decimal arithmetic: one context, and the few named ways in which a quotient is rounded.

Sums and products of money are exact: they run in `money_context()`, where an
inexact result raises instead of losing a digit. Every rounding is a call to a
function below, which says in its name which way it goes.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import (
    ROUND_HALF_EVEN,
    Clamped,
    Context,
    Decimal,
    DivisionByZero,
    FloatOperation,
    Inexact,
    InvalidOperation,
    Overflow,
    localcontext,
)

ZERO = Decimal(0)
ONE = Decimal(1)
BPS = Decimal(10_000)

UNIT_GRID = Decimal("1e-8")
"""Index units are counted in steps of this size."""

BASKET_GRID = Decimal("1e-12")
"""Basket quantities per unit are counted in steps of this size."""

DIGITS = 60
"""How many digits money has."""

_QUOTIENT = Context(prec=DIGITS, rounding=ROUND_HALF_EVEN, traps=[DivisionByZero, InvalidOperation, Overflow])
_EXACT = Context(
    prec=DIGITS,
    rounding=ROUND_HALF_EVEN,
    traps=[Inexact, DivisionByZero, InvalidOperation, Overflow, FloatOperation, Clamped],
)
_WIDE = _EXACT.copy()
_WIDE.prec = 2 * DIGITS  # of a product of two amounts


@contextmanager
def money_context(digits: int = DIGITS) -> Iterator[None]:
    """Run in 60 digits, or more, with `Inexact` and float mixing trapped; enter it in every new thread."""
    with localcontext(_EXACT) as context:
        context.prec = digits
        yield


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """Return the largest multiple of `step` that is not above `value`."""
    return _whole_below(value, step) * step


def ceil_to(value: Decimal, step: Decimal) -> Decimal:
    """Return the smallest multiple of `step` that is not below `value`."""
    return _whole_above(value, step) * step


def round_to(value: Decimal, step: Decimal) -> Decimal:
    """Return the multiple of `step` nearest to `value`, ties to even."""
    whole, rest = divmod(value, step)
    if rest:
        # The step is halved, not the rest doubled: a rest may have all the digits that there are.
        half, away = abs(step) / 2, 1 if value > 0 else -1
        if abs(rest) > half or (abs(rest) == half and whole % 2):
            whole += away
    return whole * step


def _whole_below(value: Decimal, step: Decimal) -> Decimal:
    whole, rest = divmod(value, step)  # exact: an integer and a remainder with the sign of `value`
    return whole - 1 if rest and value < 0 else whole


def _whole_above(value: Decimal, step: Decimal) -> Decimal:
    whole, rest = divmod(value, step)
    return whole + 1 if rest and value > 0 else whole


def divide(numerator: Decimal, denominator: Decimal, step: Decimal = Decimal("1e-18")) -> Decimal:
    """Return the quotient rounded half-even to `step`: for averages and ratios, never for what is owed."""
    return round_to(_QUOTIENT.divide(numerator, denominator), step)


def divide_down(numerator: Decimal, denominator: Decimal, step: Decimal) -> Decimal:
    """Return the largest multiple of `step` not above numerator / denominator (denominator > 0)."""
    return _whole_below(numerator, step * denominator) * step


def divide_up(numerator: Decimal, denominator: Decimal, step: Decimal) -> Decimal:
    """Return the smallest multiple of `step` not below numerator / denominator (denominator > 0)."""
    return _whole_above(numerator, step * denominator) * step


def share_down(total: Decimal, part: Decimal, whole: Decimal, step: Decimal) -> Decimal:
    """Return the largest multiple of `step` not above total x part / whole (whole > 0).

    Cost, quantity and part may have so many digits that the product of two of
    them has more than money has: it is formed with twice as many.
    """
    product = _WIDE.multiply(total, part)
    count, rest = _WIDE.divmod(product, _WIDE.multiply(step, whole))
    return _WIDE.multiply(_WIDE.subtract(count, ONE) if rest and product < 0 else count, step)


def largest_remainder(total: Decimal, weights: Sequence[Decimal], step: Decimal) -> list[Decimal]:
    """Split `total` in proportion to `weights` into multiples of `step` that add up to it exactly.

    Every part is its exact share rounded down or up. Those up are the shares
    that lose most by rounding down; of equal losses, the first. A weight of 0
    gets 0.

    Args:
        total: What is split, 0 or more, a multiple of `step`.
        weights: One for each part, 0 or more, not all 0 unless the total is.
        step: The grid of the parts, above 0.

    Raises:
        ValueError: an argument is not as described.
    """
    ratios = [weight.as_integer_ratio() for weight in weights]
    if step <= 0 or total < 0 or total % step or any(numerator < 0 for numerator, _ in ratios):
        raise ValueError(f"{total} cannot be split by {len(weights)} weights in steps of {step}")
    unit = math.lcm(*(denominator for _, denominator in ratios))
    shares = [numerator * (unit // denominator) for numerator, denominator in ratios]
    if total and not any(shares):
        raise ValueError(f"{total} cannot be split: no weight is above 0")
    return [part * step for part in apportion(int(total / step), shares)]


def apportion(total: int, weights: Sequence[int], owed: Sequence[float] | None = None) -> list[int]:
    """Return whole parts of `total` in proportion to `weights`, by largest remainder, ties to the first.

    No part is larger than its weight while `total` is not larger than all
    weights together; without any weight nothing is split. Integers: a product
    may have more digits than money has. `owed` is what earlier splits left to
    each, in parts of one.
    """
    whole = sum(weights)
    if whole == 0:
        return [0] * len(weights)
    parts = [total * weight // whole for weight in weights]
    if left := total - sum(parts):
        lost = [total * weight % whole for weight in weights]
        ranks: Sequence[float] = lost
        if owed is not None:
            ranks = [each / whole + more for each, more in zip(lost, owed, strict=True)]
        eligible = [place for place, each in enumerate(lost) if each]
        for place in sorted(eligible, key=lambda each: -ranks[each])[:left]:
            parts[place] += 1
    return parts


def bps(part: Decimal, whole: Decimal) -> Decimal:
    """Return part / whole in basis points, to four decimals; 0 when the whole is 0."""
    return divide(part * BPS, whole, Decimal("0.0001")) if whole else ZERO


def percentage(part: Decimal, whole: Decimal) -> Decimal:
    """Return part / whole in percent, to four decimals; 0 when the whole is 0."""
    return divide(part * 100, whole, Decimal("0.0001")) if whole else ZERO


def average_price(value: Decimal, quantity: Decimal) -> Decimal | None:
    """Return what one of `quantity` was worth, to eight decimals; None when there is nothing."""
    return divide(value, quantity, Decimal("1e-8")) if quantity else None


def plain(value: Decimal) -> str:
    """Return the canonical text of a decimal: no exponent, no trailing zeros, no minus zero."""
    if not value:
        return "0"
    text = str(value)  # twice as fast as `format`, and the same where there is no exponent
    if "E" in text:
        text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def spoken_cash(value: Decimal) -> str:
    """Return an amount of the quote asset as a sentence says it: what there is at least, in cents."""
    return f"{floor_to(value, Decimal('0.01')):,.2f}"


def spoken_value(value: Decimal, bound: Decimal | None = None) -> str:
    """Return a value or a loss in the quote asset as a sentence says it: to the nearest cent.

    Above a `bound` that reads the same in cents it has the digits that tell them apart.
    """
    cents = f"{round_to(value, Decimal('0.01')):,.2f}"
    if bound is not None and value > bound and cents == spoken_value(bound):
        return spoken(ceil_to(value, Decimal("1e-8")))
    return cents


def spoken(value: Decimal) -> str:
    """Return an amount as a sentence says it: thousands separated, at least two decimals if it has any."""
    whole, point, fraction = plain(value).partition(".")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    grouped = f"{int(digits):,}"
    return f"{sign}{grouped}{point}{fraction.ljust(2, '0') if point else ''}"
