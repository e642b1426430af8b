"""What a fill costs, and in which asset: what is received, or BNB at three quarters where the account burns it."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache

from sqlalchemy import Connection, bindparam, select, update

from etf_trader.exchange import tables
from etf_trader.exchange.accounts import Balances
from etf_trader.exchange.market import Market
from etf_trader.exchange.matching import BUY
from etf_trader.exchange.rules import SymbolRules, half_up
from etf_trader.money import divide

BNB = "BNB"
PAID_IN_BNB = Decimal("0.75")
"""Which part of a fee is due where it is paid in BNB."""

_GRID = Decimal("1e-8")
_BETWEEN = ("USDT", "USDC", "FDUSD", "BTC")
"""What an asset is valued through that has no market with BNB."""

_ACCOUNT = tables.account.c
_BURNS = select(_ACCOUNT.bnb_burn).where(_ACCOUNT.name == bindparam("name"))


def burns_bnb(connection: Connection, account: str) -> bool:
    """Return whether `account` pays its fees in BNB where it has enough."""
    return bool(connection.scalar(_BURNS, {"name": account}))


def set_bnb_burn(connection: Connection, account: str, *, on: bool) -> None:
    """Let `account` pay its fees in BNB from now on, or not."""
    connection.execute(update(tables.account).where(_ACCOUNT.name == account).values(bnb_burn=on))


class Fees:
    """The fees of one turn, or of several with `renew` between them."""

    def __init__(
        self,
        connection: Connection,
        market: Market,
        symbols: Mapping[str, SymbolRules],
        balances: Balances,
        now: datetime,
    ) -> None:
        self._market = market
        self._now = now
        self._symbols = symbols
        self._balances = balances
        self._burns = cache(lambda account: burns_bnb(connection, account))
        self._mid = cache(lambda symbol: market.mid(symbol, self._now))

    def renew(self, now: datetime) -> None:
        """Let it be `now`."""
        self._now = now
        self._mid.cache_clear()

    def of(
        self, account: str, rules: SymbolRules, side: str, price: Decimal, quantity: Decimal, *, is_maker: bool
    ) -> tuple[str, Decimal]:
        """Return the asset of a fill's fee and how much it is, not negative.

        What the fill brings must be in the account's balance already: it counts
        towards a fee in BNB.
        """
        rate = self._market.fees(rules.symbol)[0 if is_maker else 1]
        received = quantity if side == BUY else price * quantity
        asset, fee = rules.received(side), rules.commission(side, received, rate)
        if not fee or not self._burns(account):
            return asset, fee
        value = self._in_bnb(rules, side, price, received * rate)
        due = None if value is None else half_up(value * PAID_IN_BNB, _GRID)
        if due is None or self._balances.get(account, BNB).free < due:
            return asset, fee
        return BNB, due

    def _in_bnb(self, rules: SymbolRules, side: str, price: Decimal, amount: Decimal) -> Decimal | None:
        """Return what `amount` of what an order receives is worth in BNB, at the fill's price and present mids."""
        if rules.received(side) == BNB:
            return amount
        in_base, in_quote = (amount, amount * price) if side == BUY else (divide(amount, price), amount)
        value = self._worth(in_quote, rules.quote)
        return self._worth(in_base, rules.base) if value is None else value

    def _worth(self, amount: Decimal, asset: str) -> Decimal | None:
        if (direct := self._exchanged(amount, asset, BNB)) is not None:
            return direct
        for between in _BETWEEN:
            there = self._exchanged(amount, asset, between)
            if there is not None and (value := self._exchanged(there, between, BNB)) is not None:
                return value
        return None

    def _exchanged(self, amount: Decimal, asset: str, wanted: str) -> Decimal | None:
        """Return `amount` of `asset` in `wanted` at the mid of a market of both; None where there is none."""
        if asset == wanted:
            return amount
        if wanted + asset in self._symbols and (mid := self._mid(wanted + asset)):
            return divide(amount, mid)
        if asset + wanted in self._symbols and (mid := self._mid(asset + wanted)):
            return amount * mid
        return None
