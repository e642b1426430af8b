"""What the venue holds beside what the books say, and how far trades that are not booked explain it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.money import ZERO, plain
from etf_trader.venue.interface import Trade, VenueBalance


@dataclass(frozen=True, slots=True)
class Gap:
    """An asset of which the venue and the books say different quantities, free and locked together."""

    asset: str
    venue: Decimal
    books: Decimal

    @property
    def amount(self) -> Decimal:
        """What the venue holds beyond the books; below zero: lacks."""
        return self.venue - self.books

    def __str__(self) -> str:
        return f"{self.asset}: the venue holds {plain(self.venue)}, the books {plain(self.books)}"


class Whose(StrEnum):
    """Whose order it was that traded."""

    OURS = "ours"
    LOST = "lost"  # made by a life of this database, which has no row of it any more
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Missing:
    """A trade at the venue that the books lack; `obstacle` says why it cannot be booked by itself."""

    trade: Trade
    client_order_id: str
    whose: Whose
    asset_order_id: int | None = None
    obstacle: str = ""

    def __str__(self) -> str:
        trade = self.trade
        name = self.client_order_id or f"number {trade.order_id}"
        which = {
            Whose.OURS: f"order {name} of these books",
            Whose.LOST: f"order {name}, which this database sent and has lost (it was restored from a backup),",
            Whose.FOREIGN: f"order {name}, which is not of these books,",
        }[self.whose]
        did = "bought" if trade.side is Side.BUY else "sold"
        fee = f", fee {plain(trade.fee)} {trade.fee_asset}" if trade.fee else ""
        why = f"; it cannot be booked: {self.obstacle}" if self.obstacle else ""
        return (
            f"{which} {did} {plain(trade.quantity)} {trade.symbol} at {plain(trade.price)} "
            f"(trade {trade.trade_id}{fee}){why}"
        )


def compare_balances(held: Mapping[str, VenueBalance], inside: Mapping[str, Decimal]) -> list[Gap]:
    """Return every asset of which the venue holds another quantity than the books say, by name."""
    totals = {asset: balance.total for asset, balance in held.items()}
    return [
        Gap(asset, totals.get(asset, ZERO), inside.get(asset, ZERO))
        for asset in sorted(totals.keys() | inside.keys())
        if totals.get(asset, ZERO) != inside.get(asset, ZERO)
    ]


def moved_by(trade: Trade, rule: SymbolRule) -> dict[str, Decimal]:
    """Return what a trade changed of each asset at the venue, its fee included."""
    moved = {rule.base: trade.side.sign * trade.quantity}
    for asset, amount in ((rule.quote, -trade.side.sign * trade.value), (trade.fee_asset, -trade.fee)):
        if amount:
            moved[asset] = moved.get(asset, ZERO) + amount
    return moved


def symbols_of_gaps(gaps: Iterable[Gap], rules: Mapping[str, SymbolRule]) -> list[str]:
    """Return the symbols whose trades may explain gaps: both of their assets differ."""
    assets = {gap.asset for gap in gaps}
    return sorted(rule.symbol for rule in rules.values() if {rule.base, rule.quote} <= assets)


def wider_symbols(gaps: Iterable[Gap], rules: Mapping[str, SymbolRule], traded: Iterable[str]) -> list[str]:
    """Return the symbols whose trades may explain gaps by half: one side was balanced by something else."""
    assets, known = {gap.asset for gap in gaps}, set(traded)
    return sorted(
        rule.symbol
        for rule in rules.values()
        if rule.base in assets or (rule.quote in assets and rule.symbol in known)
    )


def unexplained(gap: Gap, missing: Sequence[Missing], rules: Mapping[str, SymbolRule]) -> Decimal:
    """Return what trades that are not booked leave of a gap."""
    moves = (moved_by(each.trade, rules[each.trade.symbol]) for each in missing)
    return gap.amount - sum((moved.get(gap.asset, ZERO) for moved in moves), ZERO)


def explanation(
    gap: Gap, missing: Sequence[Missing], rules: Mapping[str, SymbolRule], notes: Sequence[str]
) -> str:
    """Return what is known of a gap, in sentences without an end; empty when nothing is.

    Args:
        notes: What else touches the asset.
    """
    touching = [each for each in missing if moved_by(each.trade, rules[each.trade.symbol]).get(gap.asset)]
    told = [*notes, *map(str, touching)]
    rest = unexplained(gap, missing, rules)
    if touching and rest:
        told.append(f"that leaves {plain(rest)} {gap.asset} that nothing explains")
    return "; ".join(told)


def due(last: datetime | None, now: datetime, every_seconds: float) -> bool:
    """Return whether the books and the venue should be compared again; a clock set back makes it due."""
    return last is None or not timedelta(0) <= now - last < timedelta(seconds=every_seconds)
