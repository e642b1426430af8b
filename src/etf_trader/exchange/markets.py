"""Makes the market that an exchange was opened with."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from etf_trader.errors import ConfigError
from etf_trader.exchange.market import Market
from etf_trader.money import BPS

MOST_BPS = Decimal(100)


def market_from(kind: str, parameters: Mapping[str, Any]) -> Market:
    """Return the market of a kind; each kind is imported only when it is asked for.

    Args:
        kind: "model" or "recording".
        parameters: For a model {"seed": 1, "fees": "FDUSD=0 USDC=9.5"}, the fees in bps by quote asset where
            they are not 10; for a recording {"recordings": path, "exchange_info": path or None}.

    Raises:
        ConfigError: no such kind, a parameter that is missing or makes no sense, files that cannot be read.
    """
    if kind == "model":
        from etf_trader.exchange.model import ModelMarket

        seed = parameters.get("seed", 1)
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise ConfigError(
                f"the seed of the model market is a whole number, not {seed!r}", where="exchange.seed"
            )
        return ModelMarket(seed, fees=_fees(parameters.get("fees", "")))
    if kind == "recording":
        from etf_trader.exchange.recording import RecordingMarket

        folder = parameters.get("recordings")
        if not folder:
            raise ConfigError(
                "a recording market needs the folder or the file of its recordings", where="exchange.recordings"
            )
        info = parameters.get("exchange_info")
        return RecordingMarket(Path(str(folder)), Path(str(info)) if info else None)
    raise ConfigError(f"there is no market of kind {kind!r}", hint="model or recording")


def _fees(text: str) -> dict[str, Decimal]:
    """Return rates as fractions of what is received, by quote asset, from `FDUSD=0 USDC=9.5`."""
    from etf_trader.exchange.model_rows import MIN_NOTIONAL as QUOTES

    rates: dict[str, Decimal] = {}
    for part in text.split():
        quote, _, number = part.partition("=")
        try:
            bps = Decimal(number)
        except InvalidOperation:
            bps = Decimal("NaN")
        if quote not in QUOTES or quote in rates:
            wrong = "is named twice" if quote in rates else "is nothing that the model market has prices in"
            raise ConfigError(f"{quote} {wrong}", where="exchange.fees", hint=f"it has {', '.join(QUOTES)}")
        if not (bps.is_finite() and 0 <= bps <= MOST_BPS):
            raise ConfigError(
                f"the fee of {quote} is {number or 'missing'}: it must be 0 to {MOST_BPS} bps",
                where="exchange.fees",
                hint="write it like FDUSD=0 USDC=9.5",
            )
        rates[quote] = bps / BPS
    return rates
