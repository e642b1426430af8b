"""A coin becomes another: baskets, holdings, and lots with their age and cost follow it.

The venue exchanges what it holds of all of us; what the books make of that is a
sum per account. What the venue's quantum cannot hold comes off the float.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection

from etf_trader.errors import MissingPrice, UsageError
from etf_trader.execution.at_rest import require_at_rest
from etf_trader.index.benchmarks import swap as swap_benchmark
from etf_trader.index.marks import remove_mark
from etf_trader.index.methodology import ASSET
from etf_trader.index.store import Basket, Index, add_basket, current_basket
from etf_trader.ledger import accounts
from etf_trader.ledger.holdings import SwapPart, swap
from etf_trader.ledger.repository import Account, Ledger, holdings_of_asset
from etf_trader.market.currency import CURRENCIES
from etf_trader.money import BASKET_GRID, UNIT_GRID, ZERO, divide, divide_down, floor_to, money_context, plain
from etf_trader.orders.rebalances import list_rebalances
from etf_trader.orders.status import IndexOrderStatus
from etf_trader.orders.store import enter, index_of_order, index_order, list_index_orders

QUANTUM = UNIT_GRID
"""Venues count coins in steps of this size."""


@dataclass(frozen=True, slots=True)
class Swap:
    """A coin that ends, its successor, how much of that one of it is, and who says so."""

    old: str
    new: str
    ratio: Decimal
    operator: str

    def key(self, whose: str) -> str:
        """Return the ledger's key of it, for an index or for the treasuries."""
        return f"swap:{whose}:{self.old}:{self.new}"


@dataclass(frozen=True, slots=True)
class Swapped:
    """What a swap does to an index (None: to the treasuries); `basket` is the one in force after it.

    `is_done` says that the books had it already.
    """

    index: Index | None
    parts: tuple[SwapPart, ...]
    remainder: Decimal
    basket: Basket | None
    is_done: bool = False

    @property
    def quantity(self) -> Decimal:
        """What there was of the coin that ends."""
        return sum((part.quantity for part in self.parts), ZERO)

    @property
    def received(self) -> Decimal:
        """What there is of its successor for it."""
        return sum((part.received for part in self.parts), ZERO)


def plan_swaps(
    connection: Connection,
    account: Account,
    chosen: Sequence[Index],
    wanted: Swap,
    symbols: Mapping[str, str],
    *,
    treasuries: bool,
) -> list[Swapped]:
    """Return what a swap comes to for these indices, and for the treasuries. Reads only.

    Args:
        connection: Of the books.
        account: Whose books.
        chosen: The indices.
        wanted: The swap.
        symbols: The market of the successor, by the quote of the indices.
        treasuries: Whether what holders have in no index is swapped as well.

    Raises:
        UsageError: nothing of the coin is held, or orders of an index are open.
        AccountLed: an index is being traded.
    """
    with money_context():
        held = holdings_of_asset(connection, account.id, wanted.old)
        groups = [(index, _parts_of(connection, index, held)) for index in chosen]
        rest = (
            {name: amount for name, amount in held.items() if name.startswith("treasury:")} if treasuries else {}
        )
        found: list[Swapped] = [Swapped(None, _as_they_are(rest, wanted.ratio), ZERO, None)] if rest else []
        live = [
            (index, parts)
            for index, parts in groups
            if parts or wanted.old in current_basket(connection, index.id).quantities
        ]
        for index, _ in live:
            _require_no_orders(connection, index, wanted.old)
            require_at_rest(connection, index.id)
        total = sum((sum(parts.values(), ZERO) for _, parts in live), sum(rest.values(), ZERO))
        left = floor_to(total * wanted.ratio, QUANTUM) - sum((each.received for each in found), ZERO)
        for place, (index, parts) in enumerate(live):
            whole = sum(parts.values(), ZERO) * wanted.ratio
            received = left if place == len(live) - 1 else floor_to(whole, QUANTUM)
            left -= received
            found.append(_planned(connection, account, index, parts, received, wanted, symbols))
    return found or _done(connection, account, chosen, wanted)


def _done(connection: Connection, account: Account, chosen: Sequence[Index], wanted: Swap) -> list[Swapped]:
    """Return the swaps that the books have already; nothing of the coin is held.

    Raises:
        UsageError: there is none.
    """
    ledger = Ledger(connection, account.id)
    done = [each for each in chosen if ledger.has(wanted.key(str(each.id)))]
    if done:
        return [Swapped(each, (), ZERO, current_basket(connection, each.id), is_done=True) for each in done]
    whose = chosen[0].symbol if len(chosen) == 1 else "no index"
    said = f"{whose} holds no {wanted.old}" if len(chosen) == 1 else f"{whose} holds {wanted.old}"
    raise UsageError(said, where="--from", hint="etf index list, and etf index show N, tell what is held")


def carry_out(
    connection: Connection, account: Account, planned: Sequence[Swapped], wanted: Swap, now: datetime
) -> None:
    """Book what was planned, all of it in the caller's transaction."""
    ledger = Ledger(connection, account.id)
    with money_context():
        for each in planned:
            if not each.is_done:
                _carry_out(connection, ledger, each, wanted, now)


def _carry_out(connection: Connection, ledger: Ledger, each: Swapped, wanted: Swap, now: datetime) -> None:
    facts: dict[str, object] = {"operator": wanted.operator}
    remainder, index = ("", "", ZERO), each.index
    if index is not None:
        remainder = (accounts.index(index.id), accounts.index_float(index.id), each.remainder)
        _carry_arrivals(connection, each, wanted)
        remove_mark(connection, index.id, wanted.old, wanted.operator, now)
        if each.basket is not None:
            reason = f"{wanted.old} became {wanted.new}"
            basket = each.basket
            made = add_basket(
                connection, index.id, basket.quantities, basket.symbols, basket.cash_per_unit, reason, now
            )
            facts |= {"index": index.id, "basket": made.version}
        with suppress(MissingPrice):  # a level that cannot be told now is told again when there are prices
            swap_benchmark(
                connection,
                index,
                wanted.old,
                wanted.new,
                wanted.ratio,
                now,
                reason=f"{wanted.old} became {wanted.new}",
            )
    key = _next_key(ledger, wanted.key("treasury" if index is None else str(index.id)))
    ledger.post(swap(key, wanted.old, wanted.new, wanted.ratio, each.parts, facts, remainder=remainder, at=now))


def _carry_arrivals(connection: Connection, each: Swapped, wanted: Swap) -> None:
    """Let stuck orders sell the successor of what they keep: its arrival price is that of the coin that ended."""
    for part in each.parts:
        kind, _, number = part.account.partition(":")
        if kind == "order":
            order = index_order(connection, int(number))
            enter(connection, order, {wanted.new: divide(order.arrival[wanted.old], wanted.ratio)})


def _next_key(ledger: Ledger, key: str) -> str:
    """Return the key of a swap that happens once; of an index that bought the coin again, the next one."""
    number, found = 1, key
    while ledger.has(found):
        number += 1
        found = f"{key}:{number}"
    return found


def _parts_of(connection: Connection, index: Index, held: Mapping[str, Decimal]) -> dict[str, Decimal]:
    own = {accounts.index(index.id), accounts.index_float(index.id), accounts.fee_payable(index.id)}
    found = {name: amount for name, amount in held.items() if name in own}
    for name, amount in held.items():
        kind, _, number = name.partition(":")
        if kind == "order" and index_of_order(connection, int(number)) == index.id:
            found[name] = amount
    return found


def _as_they_are(held: Mapping[str, Decimal], ratio: Decimal) -> tuple[SwapPart, ...]:
    return tuple(
        SwapPart(name, amount, floor_to(amount * ratio, QUANTUM), has_lots=False)
        for name, amount in sorted(held.items())
    )


def _planned(
    connection: Connection,
    account: Account,
    index: Index,
    held: Mapping[str, Decimal],
    received: Decimal,
    wanted: Swap,
    symbols: Mapping[str, str],
) -> Swapped:
    basket = current_basket(connection, index.id)
    own, beside = accounts.index(index.id), accounts.index_float(index.id)
    others = {name: amount for name, amount in held.items() if name not in (own, beside)}
    parts = {name: amount * wanted.ratio for name, amount in others.items()}
    available = received - sum(parts.values(), ZERO)
    if available < 0:  # less than a quantum, and nobody else is there to bear it
        largest = max(parts, key=lambda name: parts[name])
        parts[largest], available = parts[largest] + available, ZERO
    parts[own] = min(held.get(own, ZERO) * wanted.ratio, available)
    parts[beside] = available - parts[own]
    per_unit, remainder = _per_unit(connection, account, index, basket, parts[own], wanted)
    return Swapped(
        index,
        tuple(SwapPart(name, held.get(name, ZERO), parts[name]) for name in sorted(parts) if name in held),
        remainder,
        _basket_after(basket, per_unit, wanted, symbols[index.quote]) if wanted.old in basket.quantities else None,
    )


def _per_unit(
    connection: Connection, account: Account, index: Index, basket: Basket, received: Decimal, wanted: Swap
) -> tuple[Decimal, Decimal]:
    """Return what a unit gets, on the basket's grid, and what that leaves over."""
    units = Ledger(connection, account.id).units_outstanding(accounts.issued(index.id), index.unit_asset)
    if not units:
        return floor_to(basket.quantities.get(wanted.old, ZERO) * wanted.ratio, BASKET_GRID), ZERO
    per_unit = divide_down(received, units, BASKET_GRID)
    return per_unit, received - per_unit * units


def _basket_after(basket: Basket, per_unit: Decimal, wanted: Swap, symbol: str) -> Basket:
    quantities = {asset: quantity for asset, quantity in basket.quantities.items() if asset != wanted.old}
    quantities[wanted.new] = quantities.get(wanted.new, ZERO) + per_unit
    symbols = {asset: name for asset, name in basket.symbols.items() if asset != wanted.old}
    return Basket(
        basket.id,
        basket.index_id,
        basket.version + 1,
        basket.effective_at,
        basket.cash_per_unit,
        dict(sorted(quantities.items())),
        {wanted.new: symbol, **symbols},
        "",
        f"{wanted.old} became {wanted.new}",
    )


def _require_no_orders(connection: Connection, index: Index, old: str) -> None:
    still = [IndexOrderStatus.OPEN]
    found = [f"order {each.id}" for each in list_index_orders(connection, index_id=index.id, statuses=still)]
    found += [f"rebalance {each.id}" for each in list_rebalances(connection, index_id=index.id, statuses=still)]
    if found:
        raise UsageError(
            f"{', '.join(found[:5])} of {index.symbol} {'is' if len(found) == 1 else 'are'} open: "
            f"{old} cannot be swapped meanwhile",
            where="--from",
            hint=f"etf cancel --index {index.id} ends {'it' if len(found) == 1 else 'them'}",
        )


def require_coins(*assets: str) -> None:
    """Refuse a swap of a currency: cash is no constituent.

    Raises:
        UsageError: one is a currency, or no name of a coin.
    """
    for each in assets:
        if each in CURRENCIES:
            raise UsageError(
                f"{each} is a currency: no index holds it as a coin", where="--from", hint="name coins"
            )
        if not ASSET.fullmatch(each):
            raise UsageError(f"{each!r} is not the symbol of an asset", where="--to", hint="write it like POL")


def require_ratio(ratio: Decimal) -> None:
    """Refuse a ratio that no swap can have.

    Raises:
        UsageError: says why.
    """
    if ratio <= 0:
        raise UsageError(f"a ratio of {plain(ratio)} makes nothing of a coin", where="--ratio", hint="--ratio 1")
    if ratio != floor_to(ratio, BASKET_GRID):
        raise UsageError("a ratio has at most 12 decimals", where="--ratio", hint="--ratio 1")
