"""What a plan over several currencies states beside others: its trades, and its currencies.

Read and added up; whether it is true is for `solver.verify_routes` to say.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from etf_trader.market.symbol import Side
from etf_trader.money import ONE, ZERO
from etf_trader.orders.plan import PlannedLeg
from etf_trader.solver.problem import Leg
from etf_trader.solver.reader import Impossible, Reader
from etf_trader.solver.statement import Statement, planned_leg, side_of, venue_leg


@dataclass(frozen=True, slots=True)
class Trade:
    """What is stated of one book, and the book itself; `where` names it in the plan."""

    where: str
    side: Side
    stated: PlannedLeg
    loss: Decimal
    book: Leg
    is_conversion: bool

    @property
    def quote(self) -> str:
        """The currency that it is priced in."""
        return self.book.rule.quote

    @property
    def flows(self) -> tuple[tuple[str, Decimal], tuple[str, Decimal]]:
        """What it brings to its base and to its quote; negative: takes."""
        stated = self.stated
        if self.side is Side.BUY:
            return (self.book.asset, stated.quantity - stated.fee), (self.quote, -stated.value)
        return (self.book.asset, -stated.quantity), (self.quote, stated.value - stated.fee)


@dataclass(frozen=True, slots=True)
class Money:
    """The currencies of a plan: what may be spent of each, and what it is worth in the home one."""

    home: str
    balances: Mapping[str, Decimal]
    mids: Mapping[str, Decimal]
    arrival: Mapping[str, Decimal]
    used: Mapping[str, Decimal]
    reserved: Mapping[str, Decimal]
    saved_bps: Decimal
    slots: int | None
    may_convert: bool


def money_of(statement: Statement, top: Reader) -> Money:
    """Return what a plan says about its currencies."""
    home = statement.problem.legs[0].rule.quote
    named = {each["name"].text(): each for each in top["currencies"].list()}
    return Money(
        home=home,
        balances={name: each["balance"].number() for name, each in named.items()},
        mids={home: ONE} | {name: each["mid"].number() for name, each in named.items()},
        arrival={home: ONE} | {name: each["arrival_mid"].number() for name, each in named.items()},
        used=top["used"].numbers(),
        reserved=top["reserved"].numbers(),
        saved_bps=top["saved_bps"].number(),
        slots=top["slots"].maybe(lambda slots: slots["most"].count()),
        may_convert=top["may_convert"].flag(),
    )


def trades_of(statement: Statement, top: Reader) -> list[Trade]:
    """Return what a plan says about every book that it uses, constituents first.

    Raises:
        Impossible: a book is not in the market, or trades another asset.
    """
    side = statement.problem.side
    trades = [_trade(statement, leg, side, is_conversion=False) for leg in top["legs"].list()]
    conversions = top["conversions"].list()
    return trades + [_trade(statement, leg, side_of(leg["side"]), is_conversion=True) for leg in conversions]


def _trade(statement: Statement, leg: Reader, side: Side, *, is_conversion: bool) -> Trade:
    stated = planned_leg(leg)
    book = venue_leg(statement.books, statement.rules, stated.symbol, side, leg.where)
    if book.asset != stated.asset:
        raise Impossible(leg.where, f"names {stated.asset}, and {stated.symbol} trades {book.asset}")
    return Trade(f"{leg.where} ({stated.symbol})", side, stated, leg["loss"].number(), book, is_conversion)


def net_of(trades: list[Trade]) -> dict[str, Decimal]:
    """Return what all trades bring to each node."""
    net: dict[str, Decimal] = {}
    for trade in trades:
        for node, amount in trade.flows:
            net[node] = net.get(node, ZERO) + amount
    return net


def surplus_of(statement: Statement) -> dict[str, Decimal]:
    """Return what the float takes of each asset, over all its books."""
    surplus: dict[str, Decimal] = {}
    for leg in statement.legs:
        surplus[leg.asset] = surplus.get(leg.asset, ZERO) + leg.surplus
    return surplus


def float_pays(statement: Statement) -> Decimal:
    """Return what the float pays for its part (negative: receives), in the home currency."""
    mids = {leg.asset: leg.mid for leg in statement.problem.legs}
    return sum((x * mids.get(asset, ZERO) for asset, x in surplus_of(statement).items()), ZERO)
