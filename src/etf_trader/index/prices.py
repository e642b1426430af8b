"""What something is valued at: a price, where it comes from, and of when it is."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from etf_trader.seal import canonical

MID = "mid"
"""Half way between the best bid and the best ask."""
LAST = "last"
"""The last price that was known: the market is halted, gone, or has no two sides."""
CLOSE = "close"
"""That of the last whole day, UTC."""
MARK = "mark"
"""A person set it: there is no market."""


@dataclass(frozen=True, slots=True)
class Price:
    """Quote per base; `source` is "mid", "close", "last" or "mark"."""

    value: Decimal
    source: str
    at: datetime

    def kept(self) -> "Price":
        """Return it as it is used later, when there is no newer one: a mid is then the last price."""
        return replace(self, source=LAST) if self.source == MID else self


def mids_at(mids: Mapping[str, Decimal], at: datetime) -> dict[str, Price]:
    """Return mids that were read at one moment as prices."""
    return {asset: Price(mid, MID, at) for asset, mid in mids.items()}


def values_of(prices: Mapping[str, Price]) -> dict[str, Decimal]:
    """Return the bare prices."""
    return {asset: price.value for asset, price in prices.items()}


def prices_text(prices: Mapping[str, Price]) -> str:
    """Return prices as canonical JSON."""
    return canonical(
        {asset: {"price": each.value, "source": each.source, "at": each.at} for asset, each in prices.items()}
    )


def prices_from(text: str) -> dict[str, Price]:
    """Read prices back from their canonical JSON."""
    return {
        asset: Price(Decimal(each["price"]), each["source"], datetime.fromisoformat(each["at"]))
        for asset, each in json.loads(text).items()
    }
