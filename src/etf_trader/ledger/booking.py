"""What each movement of the books looks like, as balanced transactions. Pure: numbers in, transactions out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from etf_trader.errors import LedgerError
from etf_trader.ledger import accounts
from etf_trader.ledger.fill import Fill, Part
from etf_trader.ledger.lots import LotBook, asset_method
from etf_trader.ledger.parties import Parties
from etf_trader.ledger.transaction import LotAction, LotMove, Posting, Transaction, merged, sold, transfer
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO, plain
from etf_trader.orders.asset_order import quote_of


@dataclass(frozen=True, slots=True)
class Baskets:
    """`units` whole baskets: quantities of each asset, and cash, for all of them together."""

    units: Decimal
    quantities: Mapping[str, Decimal]
    cash: Decimal


def baskets(units: Decimal, per_unit: Mapping[str, Decimal], cash_per_unit: Decimal) -> Baskets:
    """Return what `units` baskets hold."""
    return Baskets(units, {asset: a * units for asset, a in per_unit.items()}, cash_per_unit * units)


def deposit(holder: str, asset: str, amount: Decimal, *, key: str, at: datetime, source: str = "") -> Transaction:
    """Money that came into the venue account becomes a holder's treasury."""
    return Transaction(
        key=key,
        kind="deposit",
        at=at,
        narration=source or f"deposit of {plain(amount)} {asset} for {holder}",
        postings=tuple(transfer(accounts.capital(holder), accounts.treasury(holder), asset, amount)),
    )


def withdrawal(holder: str, asset: str, amount: Decimal, *, key: str, at: datetime) -> Transaction:
    """A holder's cash leaves the venue account."""
    return Transaction(
        key=key,
        kind="withdrawal",
        at=at,
        narration=f"withdrawal of {plain(amount)} {asset} for {holder}",
        postings=tuple(transfer(accounts.treasury(holder), accounts.capital(holder), asset, amount)),
    )


def funding(holder: str, index_id: int, quote: str, amount: Decimal, *, key: str, at: datetime) -> Transaction:
    """The owner gives an index float (`amount` < 0: takes it back)."""
    return Transaction(
        key=key,
        kind="funding",
        at=at,
        narration=f"float of index {index_id}: {plain(amount)} {quote}",
        postings=tuple(transfer(accounts.treasury(holder), accounts.index_float(index_id), quote, amount)),
    )


def reservation(parties: Parties, amounts: Mapping[str, Decimal], *, at: datetime) -> Transaction:
    """Accepting an order takes a buy's worst-case cash, or a sell's units, out of reach of others."""
    lines: list[Posting] = []
    for asset, amount in sorted(amounts.items()):
        source = parties.position if asset == parties.unit else accounts.treasury(parties.holder)
        lines += transfer(source, parties.order, asset, amount)
    return Transaction(
        key=f"accept:{parties.order_id}",
        kind="accept",
        at=at,
        narration=f"order {parties.order_id} accepted",
        postings=merged(lines),
        facts={"reserved": amounts},
        index_order_id=parties.order_id,
    )


def release(parties: Parties, left: Mapping[str, Decimal], *, at: datetime, before: int = 0) -> Transaction:
    """What an order has left of cash and units returns to its holder when it ends.

    `before` is how often it was released already: what was stuck is traded back later.
    """
    lines: list[Posting] = []
    for asset, amount in sorted(left.items()):
        target = parties.position if asset == parties.unit else accounts.treasury(parties.holder)
        lines += transfer(parties.order, target, asset, amount)
    return Transaction(
        key=_repeated(f"release:{parties.order_id}", before),
        kind="release",
        at=at,
        narration=f"order {parties.order_id} ended",
        postings=merged(lines),
        index_order_id=parties.order_id,
    )


def fill_booking(fill: Fill, shares: Sequence[tuple[Parties, Part]], asset: str) -> Transaction:
    """A trade: the orders it was made for against the market, its fee to the venue.

    What was paid in another currency costs what that was worth at arrival; a
    trade between currencies is cash for cash and makes no lots. A fee in neither
    base nor quote leaves the fee inventory, which the order pays for it.

    Raises:
        LedgerError: the fee was taken in an asset that is neither base nor quote of the trade, and has no value.
    """
    lines: list[Posting] = []
    moves: list[LotMove] = []
    quote = quote_of(fill.symbol, asset)
    for parties, part in shares:
        sign, account = fill.side.sign, parties.order
        lines += transfer(accounts.MARKET, account, asset, sign * part.quantity)
        lines += transfer(account, accounts.MARKET, quote, sign * part.value)
        rate = parties.rate(quote)
        in_base = part.fee if fill.fee_asset == asset else ZERO
        in_quote = part.fee * rate if fill.fee_asset == quote else ZERO
        if part.fee and fill.fee_asset not in (asset, quote):
            worth = _fee_worth(fill, part)
            in_quote = worth * rate
            lines += transfer(accounts.FEE_INVENTORY, accounts.VENUE_FEES, fill.fee_asset, part.fee)
            lines += transfer(account, accounts.FEE_INVENTORY, quote, worth)
            moves.append(LotMove(LotAction.DISPOSE, accounts.FEE_INVENTORY, fill.fee_asset, part.fee, in_quote))
        else:
            lines += transfer(account, accounts.VENUE_FEES, fill.fee_asset, part.fee)
        if asset in parties.rates:
            continue
        if fill.side is Side.BUY:
            net, paid = part.quantity - in_base, part.value * rate + in_quote
            moves.append(LotMove(LotAction.ACQUIRE, account, asset, net, paid))
        else:
            gave, received = part.quantity + in_base, part.value * rate - in_quote
            moves.append(LotMove(LotAction.DISPOSE, account, asset, gave, received, fee=in_quote))
    return Transaction(
        key=fill.key,
        kind="fill",
        at=fill.at,
        narration=f"{fill.side} {plain(fill.quantity)} {fill.symbol} at {plain(fill.price)}",
        postings=merged(lines),
        lot_moves=tuple(moves),
        facts={"seal": fill.seal()},
        index_order_id=shares[0][0].order_id if len(shares) == 1 else None,
    )


def _fee_worth(fill: Fill, part: Part) -> Decimal:
    if part.fee_value is None:
        raise LedgerError(
            f"the fee of trade {fill.trade_id} was taken in {fill.fee_asset}, and nobody said what that is worth",
            where=fill.symbol,
        )
    return part.fee_value


def fee_funding(
    holder: str, asset: str, amount: Decimal, cost: Decimal | None, *, key: str, at: datetime
) -> Transaction:
    """A holder puts an asset into the fee inventory (`amount` < 0: takes it back).

    Args:
        cost: What the quantity is worth, of an asset that fees are paid in; None: cash, of which no lots are kept.
    """
    moves = []
    if cost is not None:
        action = LotAction.ACQUIRE if amount > 0 else LotAction.DISPOSE
        moves.append(LotMove(action, accounts.FEE_INVENTORY, asset, abs(amount), abs(cost)))
    return Transaction(
        key=key,
        kind="fees",
        at=at,
        narration=f"fee inventory: {plain(amount)} {asset} of {holder}",
        postings=tuple(transfer(accounts.treasury(holder), accounts.FEE_INVENTORY, asset, amount)),
        lot_moves=tuple(moves),
    )


def creation(
    parties: Parties,
    plan_id: int,
    created: Baskets,
    surplus: Mapping[str, Decimal],
    mids: Mapping[str, Decimal],
    lots: LotBook,
    *,
    at: datetime,
) -> Transaction:
    """Whole baskets become units; what lots and minimums left over goes to the float at mid, in cash.

    Args:
        surplus: What the float takes of each asset (negative: gives).
        lots: The lots as they stand, to tell what the new units cost; not written.
    """
    lines, moves = _float_settlement(parties, surplus, mids)
    for asset, quantity in created.quantities.items():
        lines += transfer(parties.order, parties.index, asset, quantity)
        if quantity:
            moves.append(LotMove(LotAction.CARRY, parties.order, asset, quantity, target=parties.index))
    lines += transfer(parties.order, parties.index, parties.quote, created.cash)
    lines += transfer(accounts.issued(parties.index_id), parties.position, parties.unit, created.units)
    assets = [*created.quantities]
    before = sum((lots.cost(parties.order, asset) for asset in assets), ZERO)
    for move in moves:
        lots.apply(move, at, 0)
    after = sum((lots.cost(parties.order, asset) for asset in assets), ZERO)
    cash_to_float = -sum((x * mids[asset] for asset, x in surplus.items()), ZERO)
    cost = before - after + created.cash + cash_to_float
    if created.units:
        moves.append(
            LotMove(
                LotAction.ACQUIRE, parties.position, parties.unit, created.units, cost, method=parties.lot_method
            )
        )
    return Transaction(
        key=f"credit:{plan_id}",
        kind="credit",
        at=at,
        narration=f"{plain(created.units)} units credited to order {parties.order_id}",
        postings=merged(lines),
        lot_moves=tuple(moves),
        facts=_facts(plan_id, created.units, cost if created.units else ZERO, surplus, mids),
        index_order_id=parties.order_id,
    )


def redemption(
    parties: Parties,
    plan_id: int,
    given: Baskets,
    lent: Mapping[str, Decimal],
    mids: Mapping[str, Decimal],
    order_cash: Decimal,
    *,
    at: datetime,
) -> Transaction:
    """The baskets a sell is about to trade leave the index; the float lends what lots round up.

    Args:
        lent: What the float gives of each asset; paid for, or given back, by the settlement.
        order_cash: What the order had received before, so that this batch's proceeds can be told.
    """
    lines: list[Posting] = []
    moves: list[LotMove] = []
    for asset, quantity in given.quantities.items():
        lines += transfer(parties.index, parties.order, asset, quantity)
        if quantity:
            moves.append(
                LotMove(
                    LotAction.CARRY,
                    parties.index,
                    asset,
                    quantity,
                    target=parties.order,
                    method=asset_method(parties.lot_method),
                )
            )
    for asset, quantity in lent.items():
        if quantity:
            lines += transfer(parties.float, parties.order, asset, quantity)
            value = quantity * mids[asset]
            moves += sold(parties.float, parties.order, asset, quantity, value)
    lines += transfer(parties.index, parties.order, parties.quote, given.cash)
    lines += transfer(parties.order, accounts.redeemed(parties.order_id), parties.unit, given.units)
    return Transaction(
        key=f"redeem:{plan_id}",
        kind="redeem",
        at=at,
        narration=f"{plain(given.units)} units offered by order {parties.order_id}",
        postings=merged(lines),
        lot_moves=tuple(moves),
        facts={"plan": plan_id, "units": given.units, "lent": lent, "mids": mids, "cash": order_cash},
        index_order_id=parties.order_id,
    )


def redemption_settlement(
    parties: Parties,
    plan_id: int,
    redeemed_units: Decimal,
    returned: Baskets,
    float_takes: Mapping[str, Decimal],
    lent: Mapping[str, Decimal],
    mids: Mapping[str, Decimal],
    order_cash_now: Decimal,
    order_cash_before: Decimal,
    *,
    at: datetime,
) -> Transaction:
    """Units that were sold are cancelled, unsold baskets go back, and the float is paid for what it gave."""
    lines: list[Posting] = []
    moves: list[LotMove] = []
    for asset, quantity in returned.quantities.items():
        lines += transfer(parties.order, parties.index, asset, quantity)
        if quantity:
            moves.append(LotMove(LotAction.CARRY, parties.order, asset, quantity, target=parties.index))
    lines += transfer(parties.order, parties.index, parties.quote, returned.cash)
    cash_from_float = ZERO
    for asset, quantity in float_takes.items():
        lines += transfer(parties.order, parties.float, asset, quantity)
        if quantity:
            value = quantity * mids[asset]
            moves += sold(parties.order, parties.float, asset, quantity, value)
    surplus = {asset: float_takes.get(asset, ZERO) - lent.get(asset, ZERO) for asset in mids}
    cash_from_float = sum((x * mids[asset] for asset, x in surplus.items()), ZERO)
    lines += transfer(parties.float, parties.order, parties.quote, cash_from_float)
    lines += transfer(accounts.redeemed(parties.order_id), parties.order, parties.unit, returned.units)
    lines += transfer(
        accounts.redeemed(parties.order_id), accounts.issued(parties.index_id), parties.unit, redeemed_units
    )
    proceeds = order_cash_now - order_cash_before - returned.cash + cash_from_float
    if redeemed_units:
        moves.append(
            LotMove(
                LotAction.DISPOSE,
                parties.position,
                parties.unit,
                redeemed_units,
                proceeds,
                method=parties.lot_method,
            )
        )
    return Transaction(
        key=f"settle:{plan_id}",
        kind="settle",
        at=at,
        narration=f"{plain(redeemed_units)} units redeemed by order {parties.order_id}",
        postings=merged(lines),
        lot_moves=tuple(moves),
        facts=_facts(plan_id, redeemed_units, proceeds if redeemed_units else ZERO, surplus, mids),
        index_order_id=parties.order_id,
    )


def closing(
    parties: Parties,
    side: Side,
    surplus: Mapping[str, Decimal],
    mids: Mapping[str, Decimal],
    cash_beyond_units: Decimal,
    *,
    at: datetime,
    before: int = 0,
) -> Transaction:
    """What an order still holds at its end goes to the float at mid; the units it got bear the difference.

    Args:
        cash_beyond_units: Buy: cash paid that no unit lot carries yet; sell: cash
            received that no disposal carries yet; both after this settlement.
        before: How often it was closed already: what was stuck is traded back later.
    """
    lines, moves = _float_settlement(parties, surplus, mids)
    if cash_beyond_units:
        action = LotAction.ADJUST if side is Side.BUY else LotAction.DISPOSE
        moves.append(LotMove(action, parties.position, parties.unit, ZERO, cash_beyond_units))
    return Transaction(
        key=_repeated(f"close:{parties.order_id}", before),
        kind="close",
        at=at,
        narration=f"what order {parties.order_id} held beyond its units went to the float",
        postings=merged(lines),
        lot_moves=tuple(moves),
        facts={"units": ZERO, "cash": cash_beyond_units, "surplus": surplus, "mids": mids},
        index_order_id=parties.order_id,
    )


def _repeated(key: str, before: int) -> str:
    """Return the key of something that happens once to most orders: the first time is not counted in it."""
    return f"{key}:{before + 1}" if before else key


def _float_settlement(
    parties: Parties, surplus: Mapping[str, Decimal], mids: Mapping[str, Decimal]
) -> tuple[list[Posting], list[LotMove]]:
    """Return the postings and lot moves by which the float takes (negative: gives) `surplus` at mid, in cash."""
    lines: list[Posting] = []
    moves: list[LotMove] = []
    cash = ZERO
    for asset, quantity in surplus.items():
        if not quantity:
            continue
        value = quantity * mids[asset]
        cash += value
        lines += transfer(parties.order, parties.float, asset, quantity)
        giver, taker = (parties.order, parties.float) if quantity > 0 else (parties.float, parties.order)
        moves += sold(giver, taker, asset, abs(quantity), abs(value))
    lines += transfer(parties.float, parties.order, parties.quote, cash)
    return lines, moves


def _facts(
    plan_id: int, units: Decimal, cash: Decimal, surplus: Mapping[str, Decimal], mids: Mapping[str, Decimal]
) -> dict[str, Any]:
    return {"plan": plan_id, "units": units, "cash": cash, "surplus": surplus, "mids": mids}
