"""Currencies: what a treasury holds and an index is priced, paid and traded in."""

from collections.abc import Iterable
from difflib import get_close_matches

CURRENCIES = (
    *("USDT", "USDC", "FDUSD", "TUSD", "USD1", "USDP", "DAI", "BUSD", "EURI", "AEUR"),
    *("EUR", "TRY", "BRL", "JPY", "PLN", "RON", "CZK", "MXN", "ARS", "COP", "ZAR", "UAH", "GBP"),
)
"""Stable coins and state money that Binance Spot quotes prices in; BTC, ETH and BNB quote too, and swing.

Source:
    The quote assets of `exchangeInfo` of 2023-08 and 2024-09; USD1 listed since.
"""


DEFAULT = "USDT"
"""What units are paid in and a treasury holds when nothing else is said."""

MOST_NAMED = 3


def meant(name: str, known: Iterable[str]) -> str:
    """Return a hint for a name that is none of `known` (not empty): the nearest of them, else the first few."""
    names = list(known)
    near = get_close_matches(name.upper(), names, n=1, cutoff=0.5)
    first = ", ".join(names[:MOST_NAMED])
    if near:
        return f"did you mean {near[0]}?"
    return f"one of {first}" if len(names) <= MOST_NAMED else f"for example {first}"
