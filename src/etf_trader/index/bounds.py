"""Whether a cap and a floor leave room for weights that sum to 1."""

from decimal import Decimal
from fractions import Fraction

from etf_trader.errors import UsageError


def require_bounds(count: int, cap: Decimal | None, floor: Decimal | None, where: str) -> None:
    """Refuse bounds, as fractions, that no weights of so many constituents keep.

    Raises:
        UsageError: cap x count is below 1, or floor x count above it; says what would do.
    """
    most = Fraction(1) if cap is None else Fraction(cap)
    least = Fraction(0) if floor is None else Fraction(floor)
    if most * count < 1:
        raise UsageError(
            f"a cap of {_percent(most)} on {count} constituents leaves {_percent(1 - most * count)} for nobody",
            where=where,
            hint=f"a cap of at least {_percent(Fraction(1, count))}, or more constituents",
        )
    if least * count > 1 or least > most:
        raise UsageError(
            f"a floor of {_percent(least)} under {count} constituents does not fit",
            where=where,
            hint=f"a floor of at most {_percent(min(Fraction(1, count), most))}",
        )


def _percent(share: Fraction) -> str:
    return f"{float(share * 100):.4g}%"
