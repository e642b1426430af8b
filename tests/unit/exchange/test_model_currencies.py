"""The model's books in other currencies: where they stand, how deep they are, and that no way around pays."""

import re
import statistics
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.factories import D

from etf_trader.database import Database
from etf_trader.exchange.market import Depth, MarketBook
from etf_trader.exchange.model import EPOCH, ModelMarket
from etf_trader.exchange.model_parameters import COINS, CURRENCIES, PAIRS, Currency, Pair
from etf_trader.exchange.paper import ExchangeSettings, OrderRequest, PaperExchange

MARKET = ModelMarket(1)
ROWS = {row["symbol"]: row for row in MARKET.symbols()}
QUOTES = ("USDT", "USDC", "FDUSD", "BTC", "ETH")
MOST_BOOKS = 4

Rates = Mapping[str, Mapping[str, Fraction]]
"""How much of an asset one unit of another becomes at best, by what is given and what is received."""


def after(second: float) -> datetime:
    return EPOCH + timedelta(seconds=second)


def rates_of(best: Mapping[str, tuple[Decimal, Decimal]], fee: Callable[[str], Decimal]) -> Rates:
    """Return the best rates of books (best bid and ask by symbol) after the taker fee of each symbol."""
    rates: dict[str, dict[str, Fraction]] = {}
    for symbol, (bid, ask) in best.items():
        base, quote = ROWS[symbol]["baseAsset"], ROWS[symbol]["quoteAsset"]
        kept = 1 - Fraction(fee(symbol))
        rates.setdefault(base, {})[quote] = Fraction(bid) * kept
        rates.setdefault(quote, {})[base] = kept / Fraction(ask)
    return rates


def cycles(rates: Rates) -> Iterator[tuple[tuple[str, ...], Fraction]]:
    """Yield every cycle of two to four books, begun at its first asset by name, with what one unit becomes."""

    def extend(way: tuple[str, ...], product: Fraction) -> Iterator[tuple[tuple[str, ...], Fraction]]:
        for asset, rate in rates[way[-1]].items():
            if asset == way[0] and len(way) > 1:
                yield way, product * rate
            elif asset > way[0] and asset not in way and len(way) < MOST_BOOKS:
                yield from extend((*way, asset), product * rate)

    for start in rates:
        yield from extend((start,), Fraction(1))


def best_of(market: ModelMarket, second: int) -> dict[str, tuple[Decimal, Decimal]]:
    books = {symbol: market.book(symbol, after(second)) for symbol in ROWS}
    return {symbol: (book.bids[0].price, book.asks[0].price) for symbol, book in books.items()}


def free(symbol: str) -> Decimal:
    return Decimal(0)


def test_the_cycles_looked_at_are_those_of_two_to_four_books() -> None:
    # By hand: A and B trade against C and against each other.
    rates = {"A": {"B": Fraction(2), "C": Fraction(3)}, "B": {"A": Fraction(1, 2), "C": Fraction(1)}}
    rates |= {"C": {"A": Fraction(1, 4), "B": Fraction(1)}}
    found = dict(cycles(rates))
    assert found == {
        ("A", "B"): Fraction(1),
        ("A", "C"): Fraction(3, 4),
        ("B", "C"): Fraction(1),
        ("A", "B", "C"): Fraction(1, 2),  # 2 x 1 x 1/4
        ("A", "C", "B"): Fraction(3, 2),  # 3 x 1 x 1/2: this one would pay
    }
    ways = {way for way, _ in cycles(rates_of(best_of(MARKET, 0), free))}
    assert {len(way) for way in ways} == {2, 3, 4}
    assert ("ADA", "USDC", "USDT") in ways
    assert ("ADA", "BTC", "FDUSD", "USDT") in ways


@settings(max_examples=examples(12), deadline=None)
@given(st.integers(1, 50), st.integers(0, 10 * 365 * 86_400))
def test_no_cycle_of_two_to_four_books_pays_even_without_fees(seed: int, second: int) -> None:
    found = dict(cycles(rates_of(best_of(ModelMarket(seed), second), free)))
    assert len(found) > 1000
    best = max(found, key=lambda way: found[way])
    assert found[best] <= 1, best


def test_with_fees_of_ten_bps_every_cycle_loses_about_ten_bps_a_book_or_more() -> None:
    rates = rates_of(best_of(MARKET, 12_345), lambda symbol: MARKET.fees(symbol)[1])
    assert all(product <= Fraction(999, 1000) ** len(way) for way, product in cycles(rates))


@settings(max_examples=examples(40), deadline=None)
@given(st.sampled_from(sorted(ROWS)), st.integers(1, 50), st.integers(0, 10 * 365 * 86_400))
def test_the_best_prices_stand_on_either_side_of_what_the_base_is_worth(
    symbol: str, seed: int, second: int
) -> None:
    # What makes the cycles cancel: one value for each asset, whatever book it is seen in.
    market = ModelMarket(seed)
    base, quote = ROWS[symbol]["baseAsset"], ROWS[symbol]["quoteAsset"]

    def value(asset: str) -> Fraction:
        if asset == "USDT":
            return Fraction(1)
        tick = next(entry["tickSize"] for entry in ROWS[f"{asset}USDT"]["filters"] if "tickSize" in entry)
        return Fraction(market.mid_ticks(f"{asset}USDT", second)) * Fraction(tick)

    book = market.book(symbol, after(second))
    worth = value(base) / value(quote)
    slack = Fraction(1, 10**13)  # the currencies' values are floats themselves, not multiples of a tick
    assert Fraction(book.bids[0].price) <= worth * (1 + slack)
    assert Fraction(book.asks[0].price) >= worth * (1 - slack)


TAKEN = {
    "BTCUSDC": "SELL",
    "ADABTC": "BUY",
    "USDCUSDT": "BUY",
    "ETHBTC": "SELL",
    "FDUSDUSDT": "SELL",
    "BNBETH": "BUY",
    "SOLUSDT": "BUY",
}


def test_no_cycle_pays_after_we_took_from_the_books(tmp_path: Path) -> None:
    made = ExchangeSettings("stepped", "model", {"seed": 1})
    exchange = PaperExchange.create(Database(f"sqlite:///{tmp_path / 'exchange.db'}"), made, MARKET)
    for asset in {row["baseAsset"] for row in ROWS.values()} | set(QUOTES):
        exchange.deposit("paper", asset, D(10**12), f"start-{asset}")
    untouched = best_of(MARKET, 0)
    for symbol, side in TAKEN.items():
        take(exchange, symbol, side, levels=8)
    moved = best_now(exchange)
    assert all(moved[symbol] != untouched[symbol] for symbol in TAKEN)
    for seconds in (0, 1, 2, 10):
        exchange.advance(seconds)
        found = dict(cycles(rates_of(best_now(exchange), free)))
        assert max(found.values()) <= 1


def take(exchange: PaperExchange, symbol: str, side: str, *, levels: int) -> None:
    """Take the best levels of a book, in orders as large as may be."""
    view = exchange.depth(symbol, levels)
    for number, (price, quantity) in enumerate(view.asks if side == "BUY" else view.bids):
        order = OrderRequest(symbol, side, "LIMIT", "IOC", quantity, price, f"{symbol}-{number}", exchange.now())
        assert exchange.place("paper", order).status == "FILLED"


def best_now(exchange: PaperExchange) -> dict[str, tuple[Decimal, Decimal]]:
    views = exchange.depths(list(ROWS), 1)
    return {symbol: (view.bids[0].price, view.asks[0].price) for symbol, view in views.items()}


# Currencies


@pytest.mark.parametrize("currency", CURRENCIES, ids=lambda currency: currency.asset)
def test_a_currency_moves_slowly_and_within_its_swing(currency: Currency) -> None:
    ticks = [MARKET.mid_ticks(f"{currency.asset}USDT", hour * 3600) for hour in range(0, 24 * 1000, 7)]
    values = [tick * 0.0001 for tick in ticks]
    assert values[0] == pytest.approx(currency.middle)
    assert max(abs(value - currency.middle) for value in values) < currency.swing
    assert max(values) - min(values) > currency.swing  # it uses what it may
    assert max(abs(late - early) for early, late in pairwise(values)) < 0.5 * currency.swing


@pytest.fixture(scope="module")
def looks() -> dict[str, list[MarketBook]]:
    times = [after(7919 * number) for number in range(40)]
    return {symbol: [MARKET.book(symbol, at) for at in times] for symbol in ROWS}


def usdt_within(levels: tuple[Depth, ...], mid: Decimal, bps: int) -> float:
    """Return the base units of levels near the mid."""
    reach = mid * bps / 10_000
    return sum(float(quantity) for price, quantity in levels if abs(price - mid) <= reach)


def depth_of(books: list[MarketBook], bps: int = 100) -> float:
    return statistics.fmean(
        usdt_within(side, (book.bids[0].price + book.asks[0].price) / 2, bps)
        for book in books
        for side in (book.bids, book.asks)
    )


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.base + pair.quote)
def test_a_pair_is_as_deep_as_its_share_says(pair: Pair, looks: dict[str, list[MarketBook]]) -> None:
    own, against_usdt = depth_of(looks[pair.base + pair.quote]), depth_of(looks[f"{pair.base}USDT"])
    assert 0.7 < own / against_usdt / pair.share < 1.4


def test_conversion_is_far_deeper_than_any_coin(looks: dict[str, list[MarketBook]]) -> None:
    for currency in CURRENCIES:
        depth = depth_of(looks[f"{currency.asset}USDT"])
        assert 0.8 < depth / currency.depth < 1.25
        assert depth > 1.5 * max(coin.depth for coin in COINS)


def test_spreads_are_those_of_the_table_or_a_little_more(looks: dict[str, list[MarketBook]]) -> None:
    for pair in PAIRS:
        symbol = pair.base + pair.quote
        tick = next(Decimal(entry["tickSize"]) for entry in ROWS[symbol]["filters"] if "tickSize" in entry)
        spreads = {(book.asks[0].price - book.bids[0].price) / tick for book in looks[symbol]}
        assert pair.spread in spreads
        assert spreads <= set(range(pair.spread, pair.spread + 5))


def test_the_docs_show_the_pairs_and_the_currencies() -> None:
    page = (Path(__file__).parents[3] / "docs" / "market-model.md").read_text(encoding="utf-8")
    rows = [re.split(r"\s*\|\s*", line)[1:-1] for line in page.splitlines() if line.startswith("|")]
    cells = [(row[0], zip(HEADS, row[1:], strict=True)) for row in rows if len(row) == len(HEADS) + 1]
    shown = {(base, quote): cell for base, row in cells for quote, cell in row}
    for pair in PAIRS:
        share, spread = shown[pair.base, pair.quote].split(", ")
        assert float(share.rstrip(" %")) == pytest.approx(100 * pair.share)
        assert int(spread) == pair.spread
    written = {(base, quote) for (base, quote), cell in shown.items() if "%" in cell}
    assert written == {(pair.base, pair.quote) for pair in PAIRS}

    for each in CURRENCIES:
        (row,) = (row for row in rows if row[0] == each.asset and len(row) == 8)
        middle, swing, depth, exponent, touch, wide, recovery = (float(cell) for cell in row[1:])
        assert (middle, wide, recovery) == (each.middle, each.wide, each.recovery)
        assert swing == pytest.approx(each.swing * 1e4)
        assert (depth * 1e6, exponent * 8, touch * 1e6) == (each.depth, each.eighths, each.touch)


HEADS = ("USDC", "FDUSD", "BTC", "ETH")
