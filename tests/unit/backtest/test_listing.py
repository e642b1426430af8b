"""The table of market caps as a history: who goes on, who leaves, and what they are worth then."""

from datetime import date
from decimal import Decimal

from tests.unit.backtest.past import candles

from etf_trader.backtest.history import History, Source
from etf_trader.backtest.listing import Listing
from etf_trader.index.caps import CapRow, CapTable

D = Decimal
DAYS = (date(2022, 1, 1), date(2022, 2, 1), date(2022, 3, 1))


def row(day: date, symbol: str, cap: str, price: str, name: str | None = None) -> CapRow:
    return CapRow(day, symbol, name or symbol, D(cap), D(price), None)


def listing(*days: list[CapRow]) -> Listing:
    return Listing(CapTable({each[0].day: tuple(each) for each in days}, "caps.csv"))


def test_a_price_is_good_from_its_day_until_the_next() -> None:
    found = listing([row(DAYS[0], "A", "9", "3")], [row(DAYS[1], "A", "9", "4")])
    assert found.quote("A", DAYS[0].toordinal() - 1) is None
    for day, price in ((DAYS[0], 3), (date(2022, 1, 31), 3), (DAYS[1], 4), (date(2030, 1, 1), 4)):
        quote = found.quote("A", day.toordinal())
        assert quote is not None and quote.price == price and not quote.left


def test_who_leaves_is_worth_no_more_than_the_smallest() -> None:
    found = listing(
        [row(DAYS[0], "A", "900", "1"), row(DAYS[0], "LUNA", "300", "80")],
        [row(DAYS[1], "A", "900", "1"), row(DAYS[1], "Z", "3", "5")],
    )
    quote = found.quote("LUNA", DAYS[1].toordinal())
    assert quote is not None and quote.left and quote.price == D("0.8")
    start, end = DAYS[0].toordinal(), DAYS[2].toordinal()
    assert found.left_between("LUNA", start, end) == DAYS[1].toordinal()
    assert found.left_between("LUNA", DAYS[1].toordinal(), end) is None
    assert found.left_between("A", start, end) is None
    assert found.prices("LUNA", start, end)[[0, 30, 31, -1]].tolist() == [80, 80, 0.8, 0.8]


def test_a_coin_that_was_smaller_than_the_smallest_leaves_at_its_price() -> None:
    found = listing([row(DAYS[0], "A", "9", "1"), row(DAYS[0], "B", "2", "5")], [row(DAYS[1], "A", "9", "1")])
    quote = found.quote("B", DAYS[1].toordinal())
    assert quote is not None and quote.left and quote.price == 5


def test_a_coin_goes_on_under_another_name_when_its_price_does() -> None:
    first = [row(DAYS[0], "BNB", "9", "500", "Binance Coin"), row(DAYS[0], "X", "8", "500", "Old")]
    second = [row(DAYS[1], "BNB", "9", "400", "BNB"), row(DAYS[1], "X", "8", "2", "New")]
    third = [row(DAYS[2], "BNB", "9", "300", "BNB"), row(DAYS[2], "X", "8", "3", "New")]
    found = listing(first, second, third)
    renamed, other = (found.quote(symbol, DAYS[1].toordinal()) for symbol in ("BNB", "X"))
    assert renamed is not None and not renamed.left and renamed.price == 400
    assert other is not None and other.left  # another coin took its symbol: nobody who held it holds that
    back = found.quote("X", DAYS[2].toordinal())
    assert back is not None and not back.left and back.price == 3


def test_candles_are_traded_on_from_the_first_to_the_last_and_the_table_before() -> None:
    rows = [[row(day, "A", "9", str(place + 1)), row(day, "B", "8", "7")] for place, day in enumerate(DAYS)]
    table = CapTable({each[0].day: tuple(each) for each in rows}, "caps.csv")
    past = History({"A": candles("A", [50] * 10, DAYS[1])}, table)
    before, during, after = DAYS[0].toordinal(), DAYS[1].toordinal(), DAYS[2].toordinal()
    assert [past.source("A", day) for day in (before - 1, before, during, after)] == [
        None,
        Source.CAPS,
        Source.CANDLES,
        Source.CANDLES,
    ]
    assert [past.price("A", day) for day in (before, during, after)] == [1, 50, 50]
    assert [past.trades("A", day) for day in (before, during, after)] == [True, True, False]
    assert [past.trades("B", day) for day in (before - 1, before, after)] == [False, True, True]
    assert past.series("A", before, during + 1).tolist() == [1.0] * 31 + [50.0, 50.0]
    alone = History({"A": candles("A", [50] * 10, DAYS[1])}, table, candles_only=True)
    assert [alone.trades("A", day) for day in (before, during)] == [False, True]
    assert not alone.trades("B", during)
    assert (past.rank("A", during), past.rank("B", during), past.rank("C", during)) == (1, 2, 3)
