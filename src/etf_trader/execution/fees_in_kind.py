"""Takes the management fee of indices out of their baskets, and pays it out.

Before anything of an index is planned, and once a day by a leader that stays. So
nobody pays for a time in which he held nothing, and a redemption has paid.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import Connection, select

from etf_trader.database import Database
from etf_trader.execution.at_rest import moving
from etf_trader.execution.lease import Lease, check
from etf_trader.index.fees import (
    REASON,
    Accrual,
    Taken,
    accrual_of,
    charge,
    list_accruals,
    rates_of,
    take,
    write_accrual,
)
from etf_trader.index.store import Basket, Index, add_basket, current_basket, index_by_id
from etf_trader.index.tables import indices
from etf_trader.ledger import accounts
from etf_trader.ledger.holdings import Term, fee_accrual, fee_payment
from etf_trader.ledger.repository import Account, Ledger, chain_head
from etf_trader.money import UNIT_GRID, ZERO, divide_down, money_context

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class _Due:
    """What is to be taken of an index now, and the basket that it leaves."""

    index: Index
    accrual: Accrual
    units: Decimal
    taken: Taken
    left: Basket
    term: Term


def accrue(connection: Connection, account: Account, index_id: int, now: datetime) -> bool:
    """Take the fee of an index until `now`; return whether its basket changed. One without a fee costs a look.

    While a batch or a wave of it is on its way, and while it is less than a step
    of the basket's grid, the fee waits; nothing of it is lost.
    """
    due = _due(connection, account.id, index_id, now)
    if due is None or moving(connection, index_id) is not None:
        return False
    if not due.units:  # nobody holds any: nobody pays
        write_accrual(connection, index_id, now, {})
        return False
    if not due.taken.quantities:
        return False
    index, left = due.index, due.left
    made = add_basket(connection, index_id, left.quantities, left.symbols, left.cash_per_unit, REASON, now)
    Ledger(connection, account.id).post(
        fee_accrual(
            index_id, index.quote, index.lot_method, made.version, due.taken.quantities, due.units, due.term
        )
    )
    write_accrual(connection, index_id, now, due.taken.owed)
    return True


def basket_due(connection: Connection, account_id: int, index_id: int, now: datetime) -> Basket:
    """Return the basket that is in force once the fee is taken until `now`; changes nothing."""
    due = _due(connection, account_id, index_id, now)
    if due is None or not due.units or not due.taken.quantities or moving(connection, index_id) is not None:
        return current_basket(connection, index_id)
    return due.left


def accrue_before(
    database: Database, account: Account, lease: Lease, index_ids: Iterable[int], now: datetime
) -> bool:
    """Take the fees of these indices before something of them is planned; return whether a basket changed."""
    with database.read() as connection:
        wanted = [each for each in sorted(set(index_ids)) if _is_behind(connection, each, now)]
    return _accrue_all(database, account, lease, wanted, now)


def accrue_daily(database: Database, account: Account, lease: Lease, now: datetime) -> bool:
    """Take the fees that nobody has taken for a day; return whether a basket changed."""
    with database.read() as connection:
        own = set(connection.scalars(select(indices.c.id).where(indices.c.account_id == account.id)))
        late = [
            each.index_id
            for each in list_accruals(connection)
            if each.index_id in own and now - each.until >= DAY and charge_of(connection, each, now)
        ]
    return _accrue_all(database, account, lease, late, now)


def _accrue_all(
    database: Database, account: Account, lease: Lease, index_ids: Iterable[int], now: datetime
) -> bool:
    wanted = list(index_ids)
    if not wanted:
        return False
    with database.write() as connection, money_context():
        check(connection, lease)
        changed = [accrue(connection, account, each, now) for each in wanted]
    return any(changed)


def _is_behind(connection: Connection, index_id: int, now: datetime) -> bool:
    accrual = accrual_of(connection, index_id)
    return accrual is not None and accrual.until < now


def charge_of(connection: Connection, accrual: Accrual, now: datetime) -> Decimal:
    """Return what has been charged since the fee was taken last, in basis points x microseconds."""
    return charge(rates_of(connection, accrual.index_id), accrual.until, now)


def _due(connection: Connection, account_id: int, index_id: int, now: datetime) -> _Due | None:
    """Return what is to be taken; None when nothing is charged."""
    accrual = accrual_of(connection, index_id)
    if accrual is None or accrual.until >= now:
        return None
    charged = charge_of(connection, accrual, now)
    if not charged:
        return None
    index, basket = index_by_id(connection, index_id), current_basket(connection, index_id)
    units = Ledger(connection, account_id).units_outstanding(accounts.issued(index_id), index.unit_asset)
    with money_context():
        taken = take(basket, index.quote, charged, accrual.owed)
        return _Due(
            index, accrual, units, taken, taken.out_of(basket, index.quote), Term(accrual.until, now, charged)
        )


@dataclass(frozen=True, slots=True)
class Payment:
    """What of a fee is paid out: what the float buys, at which mids, and the cash that the owner gets in all.

    `left` is what stays payable: what has no price now, and what the float has no cash for.
    """

    bought: Mapping[str, Decimal]
    mids: Mapping[str, Decimal]
    cash: Decimal
    paid: Decimal
    left: Mapping[str, Decimal]


def payable(connection: Connection, account_id: int, index: Index) -> dict[str, Decimal]:
    """Return what has been taken and not paid out, by asset, the quote among them."""
    return Ledger(connection, account_id).holdings(accounts.fee_payable(index.id))


def plan_payment(
    held: Mapping[str, Decimal], quote: str, mids: Mapping[str, Decimal], float_cash: Decimal
) -> Payment:
    """Decide what is paid out now: the float buys what is worth most first, as far as its cash goes. Pure."""
    cash, budget = held.get(quote, ZERO), float_cash
    bought: dict[str, Decimal] = {}
    priced = [asset for asset in held if asset in mids and asset != quote]
    for asset in sorted(priced, key=lambda each: (-held[each] * mids[each], each)):
        quantity = held[asset]
        if quantity * mids[asset] > budget:
            quantity = divide_down(budget, mids[asset], UNIT_GRID)
        if quantity:
            bought[asset] = quantity
            budget -= quantity * mids[asset]
    left = {asset: amount - bought.get(asset, ZERO) for asset, amount in held.items() if asset != quote}
    return Payment(
        bought,
        {asset: mids[asset] for asset in bought},
        cash,
        cash + float_cash - budget,
        {asset: amount for asset, amount in left.items() if amount},
    )


def pay(
    connection: Connection,
    account: Account,
    index: Index,
    holder: str,
    mids: Mapping[str, Decimal],
    now: datetime,
) -> Payment:
    """Pay out the fee of an index to its owner as far as its float can, and return what was paid."""
    ledger = Ledger(connection, account.id)
    with money_context():
        float_cash = ledger.balance(accounts.index_float(index.id), index.quote)
        found = plan_payment(payable(connection, account.id, index), index.quote, mids, float_cash)
        if found.paid:
            number, _ = chain_head(connection, account.id)
            key = f"fee_payment:{index.id}:{number + 1}"
            ledger.post(
                fee_payment(holder, index.id, index.quote, found.bought, found.mids, found.cash, key=key, at=now)
            )
    return found
