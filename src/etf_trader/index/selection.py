"""Who is in an index: eligible coins by rank, with buffers that keep those at the edge from going in and out.

Pure: what is asked for and what is known in, who is in and why out.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from etf_trader.index.caps import CapRow

STABLECOINS = "stablecoins"
WRAPPED = "wrapped"

GROUPS: Mapping[str, frozenset[str]] = {
    STABLECOINS: frozenset(
        [
            "USDT",
            "USDC",
            "FDUSD",
            "DAI",
            "BUSD",
            "TUSD",
            "USDP",
            "PAX",
            "GUSD",
            "USDD",
            "FRAX",
            "UST",
            "USTC",
            "LUSD",
            "USDE",
            "USDS",
            "PYUSD",
            "RLUSD",
            "USD1",
            "SUSD",
            "HUSD",
            "EURS",
            "EURT",
            "EURC",
            "XAUT",
            "PAXG",
            "BFUSD",
            "USDG",
            "USD0",
            "USDY",
            "USTB",
            "BUIDL",
            "CRVUSD",
            "GHO",
        ]
    ),
    WRAPPED: frozenset(
        [
            "WBTC",
            "WETH",
            "WBNB",
            "STETH",
            "WSTETH",
            "RETH",
            "CBETH",
            "WBETH",
            "BETH",
            "HBTC",
            "RENBTC",
            "BTCB",
            "CBBTC",
            "WEETH",
            "METH",
            "EZETH",
            "RSETH",
            "LBTC",
            "SOLVBTC",
            "JITOSOL",
            "MSOL",
            "BNSOL",
            "WEETH",
            "TBTC",
            "EETH",
        ]
    ),
}
"""What is left out by the name of its kind: coins that follow a currency, a metal, or another coin."""


class Why(StrEnum):
    """Why a coin is in an index, or is not."""

    KEPT = "kept"
    ENTERED = "entered"
    FILLED_UP = "filled up"
    EXCLUDED = "excluded"
    NO_MARKET = "no market"
    NOT_TRADING = "not trading"
    ENDING = "its market is to end"
    TOO_YOUNG = "too young"
    TOO_LITTLE_VOLUME = "too little volume"
    SECOND_OF_ITS_SYMBOL = "second of its symbol"
    BEYOND_EXIT = "beyond the exit rank"
    BEYOND_ENTRY = "beyond the entry rank"
    FULL = "full"

    @property
    def is_in(self) -> bool:
        """Whether the coin is a constituent."""
        return self in (Why.KEPT, Why.ENTERED, Why.FILLED_UP)


@dataclass(frozen=True, slots=True)
class Eligibility:
    """What a coin needs: days since it was first seen, and volume of a day in the table's currency."""

    age_days: int = 0
    volume: Decimal = Decimal(0)
    trading: bool = True


@dataclass(frozen=True, slots=True)
class Buffers:
    """How many constituents there are, up to which rank one may enter, and up to which rank it may stay."""

    count: int
    enter: int
    exit: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a coin; `rank` counts the eligible ones from 1, None for one that is not eligible."""

    asset: str
    name: str
    rank: int | None
    why: Why


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of coins on the day of decision: markets by asset and whether they trade, and first days.

    `ending` are those whose market is to end, and which do not wait for that in the index.
    """

    trading: Mapping[str, bool]
    first_seen: Mapping[tuple[str, str], date]
    ending: frozenset[str] = frozenset()


def excluded_assets(names: Collection[str]) -> frozenset[str]:
    """Return the assets that a list of groups and assets leaves out."""
    found: set[str] = set()
    for name in names:
        found |= GROUPS.get(name.lower(), frozenset({name.upper()}))
    return frozenset(found)


def eligible(
    rows: Sequence[CapRow], day: date, rule: Eligibility, excluded: Collection[str], known: Known
) -> tuple[list[CapRow], list[Verdict]]:
    """Return the coins that may be in the index, in the order of `rows`, and the verdict on the others.

    Of coins that share a symbol the first, which is the largest, has the market.
    """
    left: list[CapRow] = []
    out: list[Verdict] = []
    seen: set[str] = set()
    for row in rows:
        why = _hindrance(row, day, rule, excluded, known)
        if row.symbol in seen:
            why = Why.SECOND_OF_ITS_SYMBOL
        seen.add(row.symbol)
        if why is None:
            left.append(row)
        else:
            out.append(Verdict(row.symbol, row.name, None, why))
    return left, out


def _hindrance(row: CapRow, day: date, rule: Eligibility, excluded: Collection[str], known: Known) -> Why | None:
    if row.symbol in excluded:
        return Why.EXCLUDED
    if row.symbol not in known.trading:
        return Why.NO_MARKET
    if rule.trading and not known.trading[row.symbol]:
        return Why.NOT_TRADING
    if row.symbol in known.ending:
        return Why.ENDING
    first = known.first_seen.get((row.symbol, row.name))
    if rule.age_days and (first is None or (day - first).days < rule.age_days):
        return Why.TOO_YOUNG
    if rule.volume and (row.volume is None or row.volume < rule.volume):
        return Why.TOO_LITTLE_VOLUME
    return None


def select(ranked: Sequence[CapRow], incumbents: Collection[str], buffers: Buffers) -> list[Verdict]:
    """Return the verdict on each ranked coin, in their order.

    Incumbents up to the exit rank are kept, then coins up to the entry rank are
    added until the index is full, then whoever comes next by rank.
    """
    ranks = {row.symbol: rank for rank, row in enumerate(ranked, start=1)}
    chosen: dict[str, Why] = {}

    def add(why: Why, most: int, among: Collection[str]) -> None:
        for row in ranked[:most]:
            if len(chosen) < buffers.count and row.symbol in among and row.symbol not in chosen:
                chosen[row.symbol] = why

    add(Why.KEPT, buffers.exit, incumbents)
    add(Why.ENTERED, buffers.enter, ranks)
    add(Why.FILLED_UP, len(ranked), ranks)
    return [
        Verdict(
            row.symbol,
            row.name,
            ranks[row.symbol],
            chosen.get(row.symbol) or _reason(row.symbol, ranks, incumbents, buffers),
        )
        for row in ranked
    ]


def _reason(asset: str, ranks: Mapping[str, int], incumbents: Collection[str], buffers: Buffers) -> Why:
    if asset in incumbents:
        return Why.BEYOND_EXIT if ranks[asset] > buffers.exit else Why.FULL
    return Why.BEYOND_ENTRY if ranks[asset] > buffers.enter else Why.FULL
