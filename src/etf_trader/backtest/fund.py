"""The fund of a backtest: what a unit holds, kept in books that every trade goes through."""

from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal

from etf_trader.backtest import bookings
from etf_trader.backtest.journal import Audit, Journal, audit
from etf_trader.ledger.baskets import dust
from etf_trader.market.symbol import Side
from etf_trader.money import BASKET_GRID, ONE, UNIT_GRID, ZERO, divide, divide_down
from etf_trader.rebalance.planning import Rebalance

YEAR_SECONDS = 31_536_000
FLOAT_PART = Decimal("0.001")
"""The float a fund begins with, as a part of its capital: it takes what is too little to be sold."""

_RATE_GRID = Decimal("1e-15")
_CENT = Decimal("0.01")


class Fund:
    """A fund that somebody subscribed to once, with `capital`; what it holds is units x basket at every basket."""

    def __init__(self, quote: str, capital: Decimal, start_value: Decimal, at: datetime) -> None:
        self.quote, self.journal = quote, Journal()
        self.units = divide_down(capital, start_value, UNIT_GRID)
        self.charged_at = at
        self._numbers = {"basket": 1, "fill": 0, "fee": 0}
        invested, spare = self.units * start_value, divide_down(capital * FLOAT_PART, ONE, _CENT)
        self.journal.post(bookings.deposit(quote, invested + spare, at))
        if spare:
            self.journal.post(bookings.funding(quote, spare, at))
        self.journal.post(bookings.subscription(quote, self.units, start_value, at))

    @property
    def holdings(self) -> dict[str, Decimal]:
        """What it holds of each asset, cash apart."""
        held = self.journal.holdings(bookings.INDEX)
        held.pop(self.quote, None)
        return held

    @property
    def cash(self) -> Decimal:
        """What it holds in cash."""
        return self.journal.balance(bookings.INDEX, self.quote)

    def charge(self, bps_a_year: Decimal, at: datetime) -> None:
        """Take the management fee since it was last taken, in kind: each quantity of the basket shrinks alike."""
        seconds = int((at - self.charged_at).total_seconds())
        self.charged_at = at
        if not bps_a_year or not seconds:
            return
        part = divide(bps_a_year * seconds, Decimal(10_000 * YEAR_SECONDS), _RATE_GRID)
        held = self.holdings | {self.quote: self.cash}
        per_unit = {
            asset: divide_down(quantity * (ONE - part), self.units, BASKET_GRID)
            for asset, quantity in held.items()
        }
        taken = {asset: quantity - per_unit[asset] * self.units for asset, quantity in held.items() if quantity}
        self.journal.post(bookings.fee(self._next("fee"), self.quote, _nonzero(per_unit), taken, at))

    def trade(self, rebalance: Rebalance, leaving: Collection[str], least: Decimal, at: datetime) -> None:
        """Book a planned rebalance: its legs as they were planned, sells first, then the basket that they make.

        Args:
            leaving: Assets that are in the index no more: what is left of them and worth less than
                `least` goes to the float at mid, as far as that can pay.
        """
        legs = [leg for leg in rebalance.legs.values() if leg.side is not None]
        for leg in sorted(legs, key=lambda leg: (leg.wave, leg.side is Side.BUY)):
            self.journal.post(bookings.fill(leg, self.quote, self._next("fill"), at))
        held, free = self.holdings, self.journal.balance(bookings.FLOAT, self.quote)
        mids = {asset: leg.mid for asset, leg in rebalance.legs.items()}
        left = {asset: held[asset] for asset in leaving & held.keys() & mids.keys()}
        bought = dust(left, mids, dict.fromkeys(left, least), free)
        self._put_in_force(bought, {asset: quantity * mids[asset] for asset, quantity in bought.items()}, at)

    def audited(self) -> Audit:
        """Return what a check of the books finds."""
        return audit(self.journal, bookings.INDEX_ID)

    def _put_in_force(self, bought: Mapping[str, Decimal], paid: Mapping[str, Decimal], at: datetime) -> None:
        """Book the basket that everything makes but what the float has bought, in base, and paid for, in quote."""
        held = {asset: quantity for asset, quantity in self.holdings.items() if asset not in bought}
        held[self.quote] = self.cash + sum(paid.values(), ZERO)
        per_unit = {asset: divide_down(quantity, self.units, BASKET_GRID) for asset, quantity in held.items()}
        left = {asset: quantity - per_unit[asset] * self.units for asset, quantity in held.items()}
        left |= bought
        self.journal.post(
            bookings.basket(self._next("basket"), self.quote, _nonzero(per_unit), _nonzero(left), paid, at)
        )

    def _next(self, kind: str) -> int:
        self._numbers[kind] += 1
        return self._numbers[kind]


def _nonzero(amounts: Mapping[str, Decimal]) -> dict[str, Decimal]:
    return {asset: amount for asset, amount in amounts.items() if amount}
