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
        parameters: For a model {"seed": 1, "fees": {"FDUSD": "0"}}, the fees in bps by quote asset; for a
            recording {"recordings": path, "exchange_info": path or None}.

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
        return ModelMarket(seed, fees=_fees(parameters.get("fees", {})))
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


def _fees(given: Mapping[str, Any]) -> dict[str, Decimal]:
    """Return rates as fractions of what is received, by quote asset, from basis points."""
    from etf_trader.exchange.model_rows import MIN_NOTIONAL as QUOTES

    rates = {}
    for quote, text in given.items():
        if quote not in QUOTES:
            raise ConfigError(
                f"the model market has no prices in {quote}", where="exchange.fees", hint=f"in {', '.join(QUOTES)}"
            )
        try:
            bps = Decimal(str(text))
        except InvalidOperation as error:
            raise ConfigError(f"the fee of {quote} is {text!r}, not a number", where="exchange.fees") from error
        if not (bps.is_finite() and 0 <= bps <= MOST_BPS):
            raise ConfigError(f"the fee of {quote} is {text} bps; it is 0 to {MOST_BPS}", where="exchange.fees")
        rates[quote] = bps / BPS
    return rates
