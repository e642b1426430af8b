"""How money comes to an account, and how it pays its fees: what to type on paper, what to do at a venue."""

from decimal import Decimal

from etf_trader.market.currency import CURRENCIES, DEFAULT
from etf_trader.money import plain
from etf_trader.venue import PAPER

MILLION = Decimal(1_000_000)


def how_to_deposit(asset: str, environment: str, amount: Decimal = MILLION) -> str:
    """Return what to do so that a treasury holds more of `asset`; on paper `amount` more."""
    if environment != PAPER:
        return f"send {asset} to the account at {venue_name(environment)}, then etf reconcile"
    if asset not in CURRENCIES:
        return f"etf exchange deposit {asset} {plain(amount)}"
    return f"etf treasury deposit {plain(amount)}" + ("" if asset == DEFAULT else f" --asset {asset}")


def how_to_stop_burning(asset: str, environment: str) -> str:
    """Return what to do so that fees are taken from what is received, and not in `asset`."""
    if environment == PAPER:
        return "etf exchange account burn off"
    return f"switch off paying fees in {asset} at {venue_name(environment)}"


def venue_name(environment: str) -> str:
    """Return by which name people know a venue that is not on paper."""
    return "the local exchange" if environment == "local" else "Binance"
