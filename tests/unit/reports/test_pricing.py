"""What a moment of the past is valued by, and in which currency it is told."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import cast

import pytest
from tests.factories import House, make_house, make_ladders
from tests.unit.reports.test_rebalance_report import worked
from tests.unit.reports.worked import buy_of_ten, make_worked_house

from etf_trader.errors import DataError, UsageError
from etf_trader.exchange.static import StaticMarket, symbol_row
from etf_trader.market.candle import Candle
from etf_trader.market.symbol import SymbolRule
from etf_trader.reports.currency import converted, market_rate, typed_rate
from etf_trader.reports.losses import FeeLine
from etf_trader.reports.pricing import Price, close_before, past_prices, price_at
from etf_trader.reports.rebalance import rebalance_report
from etf_trader.venue.interface import Venue

D = Decimal
MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
SYMBOLS = {"A": "AUSDT", "B": "BUSDT"}


class Candles:
    """Candles of one market that say when they are of: a day's close is its day, a minute's its minute."""

    async def rules(self) -> dict[str, SymbolRule]:
        row = symbol_row("EURUSDT", "EUR", "USDT")
        return {"EURUSDT": SymbolRule.from_exchange_info(row, maker_fee=D(0), taker_fee=D(0))}

    async def candles(self, symbol: str, seconds: int, start: datetime, end: datetime) -> list[Candle]:
        found, step = [], timedelta(seconds=seconds)
        at = datetime.fromtimestamp(int(start.timestamp()) // seconds * seconds, UTC)
        while at < end:
            if at >= start:
                price = D(at.day if seconds > 60 else at.minute)
                found.append(Candle(symbol, at, seconds, price, price, price, price, D(1), price))
            at += step
        return found


def candles() -> Venue:
    return cast(Venue, Candles())  # nothing else of it is asked


async def test_a_day_is_valued_by_the_close_of_the_day_before() -> None:
    price = await close_before(candles(), "A", "AUSDT", MIDNIGHT)
    assert price == Price("A", D(1), "the day's close", MIDNIGHT, D(0))


async def test_a_moment_within_a_day_never_sees_a_candle_that_has_not_ended() -> None:
    moment = MIDNIGHT + timedelta(hours=9, minutes=30, seconds=20)
    price = await close_before(candles(), "A", "AUSDT", moment)
    # The minute of 9:29 ended at 9:30:00.
    assert price == Price("A", D(29), "the minute's close", MIDNIGHT + timedelta(hours=9, minutes=30), D(20))


async def test_a_fresh_mid_of_a_plan_comes_before_a_candle_and_an_old_one_after(tmp_path: Path) -> None:
    house = await make_worked_house(tmp_path)
    order = await buy_of_ten(house)
    planned = order.accepted_at

    async def valued(venue: Venue | None, later: timedelta) -> dict[str, Price]:
        return await past_prices(house.database, venue, 1, "USDT", SYMBOLS, planned + later)

    fresh = await valued(candles(), timedelta(minutes=59))
    assert (fresh["A"].price, fresh["A"].source, fresh["A"].age_seconds) == (D(100), "plan 1", D(59 * 60))
    stale = await valued(candles(), timedelta(hours=2))
    assert {each.source for each in stale.values()} == {"the minute's close"}
    alone = await valued(None, timedelta(hours=2))
    assert (alone["A"].price, alone["A"].source, alone["A"].age_seconds) == (D(100), "plan 1", D(7200))
    with pytest.raises(DataError, match="nothing says what A was worth before"):
        await past_prices(house.database, None, 1, "USDT", SYMBOLS, planned)


async def test_the_plan_of_a_wave_tells_prices_too(tmp_path: Path) -> None:
    house, number = await worked(tmp_path)
    later = house.clock.now() + timedelta(minutes=1)
    with house.database.read() as connection:
        wave = rebalance_report(connection, number).waves[-1]
    found = await past_prices(house.database, None, 1, "USDT", {"C": "CUSDT", "D": "DUSDT"}, later)
    assert (found["D"].price, found["D"].source) == (D(10), f"plan {wave.plan}")
    assert found["C"].price == D(2)


def test_an_age_is_exact() -> None:
    found = price_at("A", D(1), "mid", MIDNIGHT, MIDNIGHT + timedelta(days=1, microseconds=1))
    assert found.age_seconds == D("86400.000001")


def currency_house(folder: Path) -> House:
    """A venue that has EURUSDT at 1.25 and USDTTRY at 40."""
    rows = [symbol_row("EURUSDT", "EUR", "USDT"), symbol_row("USDTTRY", "USDT", "TRY")]
    books = {
        "EURUSDT": make_ladders(D("1.25"), D("0.01"), D(100)),
        "USDTTRY": make_ladders(D(40), D("0.01"), D(100)),
    }
    return make_house(folder, StaticMarket(rows, books, maker=D(0), taker=D(0)))


async def test_a_rate_is_the_mid_of_the_market_between_the_two(tmp_path: Path) -> None:
    house = currency_house(tmp_path)
    euro = await market_rate(house.venue, "USDT", "EUR", None)
    assert (euro.rate, euro.source) == (D("0.8"), "EURUSDT mid 1.25")
    assert euro.at is not None
    lira = await market_rate(house.venue, "USDT", "TRY", None)
    assert (lira.rate, lira.source) == (D(40), "USDTTRY mid 40")
    assert (await market_rate(house.venue, "USDT", "USDT", None)).rate == 1


async def test_dollars_are_not_tethers(tmp_path: Path) -> None:
    house = currency_house(tmp_path)
    with pytest.raises(UsageError, match="no market between USDT and USD") as refused:
        await market_rate(house.venue, "USDT", "USD", None)
    assert refused.value.hint == "say what one USDT is worth: --currency USD --rate 0.9998"


async def test_a_rate_of_the_past_is_the_close_of_its_candle() -> None:
    rate = await market_rate(candles(), "USDT", "EUR", datetime(2026, 3, 6, tzinfo=UTC))
    assert (rate.rate, rate.source) == (D("0.2"), "EURUSDT the day's close 5")


def test_amounts_are_multiplied_and_nothing_else() -> None:
    line = FeeLine("BNB", D("0.5"), "USDT", D("300.1"), D(1000), D("3000"))
    euros = converted(line, {"USDT": typed_rate("USDT", "EUR", D("0.92"))})
    assert (euros.currency, euros.value, euros.traded) == ("EUR", D("276.092"), D(920))
    assert (euros.quantity, euros.traded_bps) == (line.quantity, line.traded_bps)


def test_a_rate_finer_than_sums_stay_exact_with_is_refused() -> None:
    with pytest.raises(UsageError, match="more than 12 decimals"):
        typed_rate("USDT", "EUR", D("0.9123456789012"))
