"""What the books of a backtest say of each movement, as balanced transactions. Pure.

One holder subscribes once; the fund trades out of the index's own account, sells
before what they pay for. A basket that a transaction puts in force stands in its facts.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from etf_trader.backtest.journal import BASKET
from etf_trader.ledger import accounts
from etf_trader.ledger.transaction import LotAction, LotMove, Posting, Transaction, merged, transfer
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO, plain
from etf_trader.orders.rebalance import RebalanceLeg

INDEX_ID = 1
HOLDER = "self"
INDEX = accounts.index(INDEX_ID)
FLOAT = accounts.index_float(INDEX_ID)
PAYABLE = f"fee_payable:{INDEX_ID}"
"""The management fee that was taken and not paid out."""


def deposit(quote: str, amount: Decimal, at: datetime) -> Transaction:
    """The holder brings the money for the units and for the float."""
    return Transaction(
        key="deposit:1",
        kind="deposit",
        at=at,
        narration=f"deposit of {plain(amount)} {quote}",
        postings=tuple(transfer(accounts.capital(HOLDER), accounts.treasury(HOLDER), quote, amount)),
    )


def funding(quote: str, amount: Decimal, at: datetime) -> Transaction:
    """The owner gives the index its float."""
    return Transaction(
        key="funding:1",
        kind="funding",
        at=at,
        narration=f"float: {plain(amount)} {quote}",
        postings=tuple(transfer(accounts.treasury(HOLDER), FLOAT, quote, amount)),
    )


def subscription(quote: str, units: Decimal, cash_per_unit: Decimal, at: datetime) -> Transaction:
    """Units are credited for their cash: the first basket is cash alone, and the first rebalance buys."""
    amount, unit = units * cash_per_unit, accounts.unit(INDEX_ID)
    position = accounts.position(1)
    lines = transfer(accounts.treasury(HOLDER), INDEX, quote, amount)
    lines += transfer(accounts.issued(INDEX_ID), position, unit, units)
    return Transaction(
        key="credit:1",
        kind="credit",
        at=at,
        narration=f"{plain(units)} units credited",
        postings=merged(lines),
        lot_moves=(LotMove(LotAction.ACQUIRE, position, unit, units, amount),),
        facts={"units": units, BASKET: {quote: cash_per_unit}},
    )


def fill(leg: RebalanceLeg, quote: str, number: int, at: datetime) -> Transaction:
    """A leg traded as it was planned: the index against the market, its fee to the venue."""
    assert leg.side is not None
    sign, asset, is_buy = leg.side.sign, leg.asset, leg.side is Side.BUY
    gained = leg.quantity - leg.fee if is_buy else -leg.quantity
    brought = -leg.value if is_buy else leg.value - leg.fee
    lines = (
        Posting(INDEX, asset, gained),
        Posting(accounts.MARKET, asset, -sign * leg.quantity),
        Posting(INDEX, quote, brought),
        Posting(accounts.MARKET, quote, sign * leg.value),
        Posting(accounts.VENUE_FEES, asset if is_buy else quote, leg.fee),
    )
    if is_buy:
        move = LotMove(LotAction.ACQUIRE, INDEX, asset, gained, leg.value)
    else:
        move = LotMove(LotAction.DISPOSE, INDEX, asset, leg.quantity, brought, leg.fee)
    return Transaction(
        key=f"fill:backtest:{leg.symbol}:{number}:{number}",
        kind="fill",
        at=at,
        narration=f"{leg.side} {plain(leg.quantity)} {leg.symbol}",
        postings=tuple(line for line in lines if line.amount),
        lot_moves=(move,),
        facts={"last_price": leg.last_price, "mid": leg.mid},
    )


def basket(
    number: int,
    quote: str,
    per_unit: Mapping[str, Decimal],
    left: Mapping[str, Decimal],
    bought: Mapping[str, Decimal],
    at: datetime,
) -> Transaction:
    """What is held is the basket from now on; what its grid leaves over, and dust, go to the float.

    Args:
        left: What the grid leaves over of each asset, cash among them: given for nothing.
        bought: What the float pays for what it takes of an asset that has left the index, by asset, in quote.
    """
    lines: list[Posting] = []
    moves: list[LotMove] = []
    for asset, quantity in left.items():
        lines += transfer(INDEX, FLOAT, asset, quantity)
        if asset != quote:
            value = bought.get(asset, ZERO)
            moves.append(LotMove(LotAction.DISPOSE, INDEX, asset, quantity, value))
            moves.append(LotMove(LotAction.ACQUIRE, FLOAT, asset, quantity, value))
    for value in bought.values():
        lines += transfer(FLOAT, INDEX, quote, value)
    return Transaction(
        key=f"basket:{number}",
        kind="basket",
        at=at,
        narration=f"basket {number} in force",
        postings=merged(lines),
        lot_moves=tuple(moves),
        facts={BASKET: per_unit},
    )


def fee(
    number: int, quote: str, per_unit: Mapping[str, Decimal], taken: Mapping[str, Decimal], at: datetime
) -> Transaction:
    """The management fee since the last one: the basket shrinks in kind, and what that frees is payable."""
    lines = [line for asset, quantity in taken.items() for line in transfer(INDEX, PAYABLE, asset, quantity)]
    return Transaction(
        key=f"management:{number}",
        kind="management",
        at=at,
        narration=f"management fee {number}",
        postings=merged(lines),
        lot_moves=tuple(
            LotMove(LotAction.MOVE, INDEX, asset, quantity, target=PAYABLE)
            for asset, quantity in taken.items()
            if asset != quote
        ),
        facts={BASKET: per_unit},
    )
