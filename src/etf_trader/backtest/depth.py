"""Order books for a past that only left prices: around a close, as deep as books of Binance are known to be.

    depth within 100 bps, one side     DEPTH x rank ^ -DEPTH_FALLS, in quote
    depth within d bps                 that x (d / 100) ^ a; a is DEEP_NEAR for the two largest, else DEEP_FAR
    half the spread, in bps            HALF_SPREAD x rank ^ SPREAD_RISES

Rank is by market capitalisation on the day; without a table of them, by what was
traded in the 30 days before. All of these are assumptions, fitted to books of 2021
to 2026 and held constant over time: books of 2020 were thinner. A lot is worth 0.1
to 1 of the quote, the least order 5. A book ends at 2000 bps.

Source:
    Depth snapshots of Binance Spot, 2021 and 2024 to 2026.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Context, Decimal
from functools import lru_cache

from etf_trader.market.book import Level, OrderBook
from etf_trader.market.symbol import SymbolRule
from etf_trader.money import BPS, ONE, ZERO

DEPTH = 16e6
DEPTH_FALLS = 0.9
DEEP_NEAR = 0.6
DEEP_FAR = 1.2
LARGEST = 2
HALF_SPREAD = 0.5
SPREAD_RISES = 0.5
LEAST_ORDER = Decimal(5)
DISTANCES = (2.5, 5.0, 10.0, 20.0, 35.0, 60.0, 100.0, 170.0, 300.0, 550.0, 1000.0, 2000.0)
"""Where the levels of a side end, in bps from mid; a level has the price of its middle, the first the touch."""

FREE_SPREAD = Decimal("1e-9")
FREE_DEPTH = Decimal("1e15")
"""Without costs everything trades at the close: a book must have a spread, so it has one of next to nothing."""

_QUANTUM = Decimal("1e-8")
_PRICE = Context(prec=10)  # a venue has ticks and steps: prices and quantities with no more digits than matter
_AWAY = Context(prec=5)
_QUANTITY = Context(prec=8)


@dataclass(frozen=True, slots=True)
class Market:
    """How a trade is charged: the fee as a fraction, and whether there are costs at all."""

    fee: Decimal
    has_costs: bool = True

    def rule(self, asset: str, quote: str, price: Decimal) -> SymbolRule:
        """Return the rules of a market whose price is `price`: lots worth 0.1 to 1, fees in what is received."""
        step = (
            ONE.scaleb(-price.adjusted() - 1)
            if self.has_costs
            else _QUANTUM * min(ONE, ONE.scaleb(-price.adjusted()))
        )
        return SymbolRule(
            symbol=asset + quote,
            base=asset,
            quote=quote,
            status="TRADING",
            tick=ZERO,
            min_price=ZERO,
            max_price=ZERO,
            step=step,
            min_quantity=ZERO,
            max_quantity=ZERO,
            min_notional=LEAST_ORDER if self.has_costs else ZERO,
            max_notional=ZERO,
            bid_band=(ZERO, ZERO),
            ask_band=(ZERO, ZERO),
            base_quantum=min(_QUANTUM, step),
            quote_quantum=_QUANTUM,
            maker_fee=self.fee,
            taker_fee=self.fee,
        )

    def book(self, symbol: str, mid: Decimal, rank: int, at: datetime) -> OrderBook:
        """Return the book around `mid` of the coin that ranks `rank`, from 1."""
        shape = _shape(rank) if self.has_costs else _FREE
        bids, asks = [], []
        for distance, value in shape:
            away, quantity = _AWAY.multiply(mid, distance), _QUANTITY.divide(value, mid)
            bids.append(Level(mid - away, quantity))
            asks.append(Level(mid + away, quantity))
        return OrderBook(symbol, tuple(bids), tuple(asks), 1, at, complete=True)


def tradable(price: Decimal) -> Decimal:
    """Return a price with no more digits than a venue's."""
    return _PRICE.plus(price)


@lru_cache(maxsize=4096)
def _shape(rank: int) -> Sequence[tuple[Decimal, Decimal]]:
    """Return the levels of a side: how far from mid, as a part of it, and what is there, in quote."""
    half, exponent = HALF_SPREAD * rank**SPREAD_RISES, DEEP_NEAR if rank <= LARGEST else DEEP_FAR
    whole = DEPTH * rank**-DEPTH_FALLS
    found, low = [], 0.0
    for high in DISTANCES:
        if high <= half:
            continue
        value = whole * ((high / 100) ** exponent - (low / 100) ** exponent)
        away = (low + high) / 2 if low else half
        found.append((Decimal(f"{away:.4f}") / BPS, Decimal(f"{value:.2f}")))
        low = high
    return tuple(found)


_FREE = ((FREE_SPREAD, FREE_DEPTH),)
