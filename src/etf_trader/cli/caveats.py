"""What there is to say of prices that are no mids, and of constituents that cannot be traded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from etf_trader.cli.numbers import local_time, units
from etf_trader.cli.output import look
from etf_trader.cli.services import in_loop

if TYPE_CHECKING:
    from etf_trader.bootstrap import Services
    from etf_trader.execution.frozen import Frozen
    from etf_trader.index.marks import Mark
    from etf_trader.index.store import Index


def sentences(
    opened: Services,
    index: Index,
    frozen: Sequence[Frozen],
    sources: Mapping[str, str],
    at: Mapping[str, datetime],
) -> list[str]:
    """Return what is frozen in an index, what that means, and what prices rest on that are no mids of now."""
    from etf_trader.index.marks import marks_of

    if not frozen and not sources:
        return []
    with opened.database.read() as connection:
        marks = marks_of(connection, index.id)
    found = [_price(asset, sources, at, marks) for asset in sorted(sources)]
    stuck = [f"{look('Frozen')}: {each.sentence}." for each in frozen]
    for each in frozen:
        if each.asset not in sources and not each.status:
            found.append(
                f"{each.asset} has no price. To set one: etf index mark {index.id} --asset {each.asset} "
                '--price PRICE --reason "why"'
            )
    return [*stuck, *(consequences(opened, index, frozen) if frozen else []), *found]


def consequences(opened: Services, index: Index, frozen: Sequence[Frozen]) -> list[str]:
    """Return what frozen constituents keep from happening, and what the rulebook does with them."""
    names, is_one = ", ".join(each.asset for each in frozen), len(frozen) == 1
    it = "it" if is_one else "them"
    found = [f"No units of {index.symbol} can be made; who sells is paid the rest, and keeps his part of {names}."]
    if sells_what_ends(opened, index.id):
        return [
            *found,
            f"Its rulebook sells {it}: etf rebalance --index {index.id} --force does so where there is a market, "
            "and spreads the weight.",
        ]
    return [*found, f"Its rulebook freezes {it}: {names} {'stays' if is_one else 'stay'} until the market opens."]


def endings(opened: Services, index: Index) -> list[str]:
    """Return which markets of an index are to end, by what the venue says, and whether its rulebook sells."""
    from etf_trader.execution.delisted import ending_markets
    from etf_trader.index.store import current_basket

    now = opened.clock.now()
    ending = {symbol: at for symbol, at in in_loop(ending_markets(opened.venue)).items() if at > now}
    if not ending:
        return []
    with opened.database.read() as connection:
        symbols = sorted(ending.keys() & set(current_basket(connection, index.id).symbols.values()))
    told = [f"{symbol} will be delisted: it trades until {local_time(ending[symbol])}." for symbol in symbols]
    if symbols and sells_what_ends(opened, index.id):
        told.append(f"Its rulebook wants it sold before: etf rebalance --index {index.id} does so.")
    return told


def frozen_by_index(opened: Services, indices: Sequence[Index] | None = None) -> dict[int, list[str]]:
    """Return what of each index cannot be traded now, and what that means; all that can be traded is left out.

    Args:
        indices: Those that are looked at; None: all that are open.
    """
    from etf_trader.execution.frozen import frozen_of
    from etf_trader.index.store import current_basket, list_indices

    with opened.database.read() as connection:
        if indices is None:
            indices = [each for each in list_indices(connection, opened.account.id) if each.is_open]
        baskets = [(index, current_basket(connection, index.id)) for index in indices]
    rules = in_loop(opened.venue.rules()) if baskets else {}
    found = {}
    for index, basket in baskets:
        if frozen := frozen_of(basket, rules):
            stuck = [f"{look('Frozen')} in {index.symbol}: {each.sentence}." for each in frozen]
            found[index.id] = [*stuck, *consequences(opened, index, frozen)]
    return found


def sells_what_ends(opened: Services, index_id: int) -> bool:
    """Return whether the rulebook of an index sells a constituent whose market ends; else it stays frozen."""
    from etf_trader.index.history import versions_of

    with opened.database.read() as connection:
        rules = versions_of(connection, index_id)[-1].rules
    return rules is not None and rules.delisting.sells


def _price(asset: str, sources: Mapping[str, str], at: Mapping[str, datetime], marks: Mapping[str, Mark]) -> str:
    if sources[asset] == "mark":
        made = marks[asset]
        return (
            f"{look('Marked')}: {asset} is valued at {units(made.price)} by {made.operator} since "
            f"{local_time(made.set_at)}: {made.reason}."
        )
    return f"{look('Last price')}: {asset} is valued as of {local_time(at[asset])}."
