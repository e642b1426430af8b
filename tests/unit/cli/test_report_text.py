"""Reports as they are read: the text of a small history, in full."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from tests.factories import House
from tests.unit.reports.worked import buy_of_ten, buy_with_a_limit, make_worked_house, sell_of_five

from etf_trader.cli.invocation import Invocation, invoked
from etf_trader.cli.output import Page, unmarked
from etf_trader.cli.report_fills import draw_fills
from etf_trader.cli.report_holdings import draw_holdings
from etf_trader.clock import SimulatedClock
from etf_trader.exchange.static import EPOCH
from etf_trader.index.store import list_indices
from etf_trader.reports.fills import FillsReport, fills_report
from etf_trader.reports.holdings import HoldingsReport, holdings_report

D = Decimal
HEAD = "0123456789abcdef" * 4


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = await make_worked_house(tmp_path)
    yield made
    made.database.close()


def fills(house: House) -> FillsReport:
    with house.database.read() as connection:
        return replace(fills_report(connection, 1, D(121)), head=HEAD)


def holdings(house: House) -> HoldingsReport:
    with house.database.read() as connection:
        (index,) = list_indices(connection)
        report = holdings_report(connection, index, {"A": D(120), "B": D("9.5")}, SimulatedClock(EPOCH).now())
        return replace(report, head=HEAD)


def text(draw: Callable[[Page], None], *, verbose: bool = False, room: int | None = None) -> str:
    page = Page(room)
    with invoked(Invocation(verbose=verbose)):
        draw(page)
    return unmarked(page.text())


async def traded(house: House) -> None:
    await buy_of_ten(house)
    await buy_with_a_limit(house)
    await sell_of_five(house)


FILLS = """\
Position 1 · TWO · 16.9979 units · paid 2,645.22 USDT · received 598.90 USDT · loss 7.57 USDT (23.4 bps)

order  side  units filled        %  average  loss   bps  missed  stopped by
    1  buy   10 of 10        100.0   120.28  3.83  31.9       -  filled
    2  buy   11.9979 of 100   12.0   120.22  2.64  18.3   88.00  limit 120.50
    3  sell  5 of 5          100.0   119.78  1.10  18.3       -  filled

loss by part   delay 1.00 · spread 2.91 · depth 0.40 · fee 3.25 · rounding 0.00
loss by asset  A 6.47 ████████ · B 1.10 █▎
beside it      against the limit price -7.26

asset  filled      %     average  loss   bps  delay  spread  depth   fee  rounding
A       27.02  100.0  100.07269   6.47  23.9   1.00    2.36   0.40  2.70      0.00
B       55     100.0   10.006364  1.10  20.0   0.00    0.55   0.00  0.55      0.00

order  symbol  side  fills  quantity    average    last     value   fee  loss
    1  AUSDT   buy       2     10.02  100.14012  100.2   1,003.40  1.00  3.41
    1  BUSDT   buy       1     21      10.01      10.01    210.21  0.21  0.42
    2  AUSDT   buy       1     12     100.08     100.08  1,200.96  1.20  2.16
    2  BUSDT   buy       1     24      10.01      10.01    240.24  0.24  0.48
    3  AUSDT   sell      1      5      99.92      99.92    499.60  0.50  0.90
    3  BUSDT   sell      1     10       9.99       9.99     99.90  0.10  0.20
7 fills; -v shows each, --format csv writes them to a file

ledger 0123456789abcdef · loss is against the mids at arrival; positive is a cost
"""

EACH = """\
order  symbol  side  fills  quantity  average    last     value   fee  loss
    1  AUSDT   buy       1      6      100.1   100.1     600.60  0.60  1.80
    1  AUSDT   buy       1      4.02   100.2   100.2     402.80  0.40  1.61
    1  BUSDT   buy       1     21       10.01   10.01    210.21  0.21  0.42
    2  AUSDT   buy       1     12      100.08  100.08  1,200.96  1.20  2.16
    2  BUSDT   buy       1     24       10.01   10.01    240.24  0.24  0.48
    3  AUSDT   sell      1      5       99.92   99.92    499.60  0.50  0.90
    3  BUSDT   sell      1     10        9.99    9.99     99.90  0.10  0.20

ledger 0123456789abcdef · loss is against the mids at arrival; positive is a cost
"""

HOLDINGS = """\
TWO (Two) · 16.9979 units at 139.00 USDT = 2,362.72 USDT

asset  quantity  price     value  weight  in the float
A      16.99798  120    2,039.76   86.3%       0
B      33.99596    9.5    322.96   13.7%       0.95904

float 999.52 USDT, of which 990.41 in cash
position 1 of self: 16.9979 units, cost 2,043.81, worth 2,362.72, gain +318.91
ledger 0123456789abcdef
"""


async def test_the_report_of_fills_reads_as_written_here(house: House) -> None:
    await traded(house)
    report = fills(house)
    assert text(lambda page: draw_fills(page, report)) == FILLS


async def test_verbose_shows_each_fill_and_changes_nothing_else(house: House) -> None:
    await traded(house)
    report = fills(house)
    shown = text(lambda page: draw_fills(page, report), verbose=True)
    assert shown == FILLS[: FILLS.index("order  symbol")] + EACH


async def test_the_report_of_holdings_reads_as_written_here(house: House) -> None:
    await traded(house)
    report = holdings(house)
    assert text(lambda page: draw_holdings(page, report)) == HOLDINGS


async def test_a_narrow_terminal_loses_columns_and_no_digits(house: House) -> None:
    await traded(house)
    report = fills(house)
    narrow = text(lambda page: draw_fills(page, report), room=80)
    assert max(map(len, narrow.splitlines())) <= 80
    for number in ("11.9979 of 100", "100.14012", "1,003.40", "55", "23.4 bps"):
        assert number in narrow
    assert "rounding" not in narrow.split("asset  filled")[1].splitlines()[0]
    assert "rounding" in FILLS.split("asset  filled")[1].splitlines()[0]


async def test_an_order_of_which_nothing_filled_says_so(house: House) -> None:
    await house.buy(10, limit_price=D(100))
    report = fills(house)
    shown = text(lambda page: draw_fills(page, report))
    assert shown.endswith("Nothing has filled.\n")
    assert "0 of 10" in shown
    assert "limit 100.00" in shown
    assert "against the limit price" not in shown


async def test_what_was_missed_is_summed_over_one_side_only(house: House) -> None:
    await buy_of_ten(house)
    await buy_with_a_limit(house)
    report = fills(house)
    one_side = text(lambda page: draw_fills(page, report))
    assert "missed on what did not fill 88.00 · against the limit price -3.36" in one_side
    await sell_of_five(house)
    both = fills(house)
    assert "missed on what" not in text(lambda page: draw_fills(page, both))
    assert both.missed is not None
    assert both.missed == report.missed


async def test_a_limit_of_an_order_that_filled_nothing_is_no_comparison(house: House) -> None:
    await buy_of_ten(house)
    await house.buy(10, limit_price=D(100))
    report = fills(house)
    assert "against the limit price" not in text(lambda page: draw_fills(page, report))


@pytest.mark.parametrize("room", [80, 60])
async def test_a_number_stays_with_its_name(house: House, room: int) -> None:
    await traded(house)
    report = fills(house)
    narrow = text(lambda page: draw_fills(page, report), room=room)
    assert max(map(len, narrow.splitlines())) <= room
    for part in ("delay 1.00", "depth 0.40", "rounding 0.00", "A 6.47 ████████", "loss 7.57 USDT (23.4 bps)"):
        assert part in narrow


async def test_an_open_order_is_still_open_in_the_table(house: House) -> None:
    await house.buy(10, limit_price=D(100), time_in_force="gtc")
    report = fills(house)
    assert "still open" in text(lambda page: draw_fills(page, report))


async def test_a_position_without_orders_says_how_to_begin(house: House) -> None:
    await buy_of_ten(house)
    report = replace(fills(house), orders=(), fills=(), paid=D(0), loss=D(0), loss_bps=D(0))
    shown = text(lambda page: draw_fills(page, report))
    assert shown.endswith("No orders yet. etf submit buy --index TWO --qty 100 buys some units.\n")


async def test_a_closed_index_and_its_cash_are_told(house: House) -> None:
    await buy_of_ten(house)
    report = replace(holdings(house), status="closed", name="TWO", cash=D("12.5"), cash_per_unit=D("1.25"))
    first, *rest = text(lambda page: draw_holdings(page, report)).splitlines()
    assert first == "TWO · 10 units at 139.00 USDT = 1,390.00 USDT · closed"
    assert any(line.split()[:4] == ["USDT", "12.50", "1", "12.50"] for line in rest)
