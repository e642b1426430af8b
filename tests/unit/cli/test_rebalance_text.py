"""What a rebalance shows beyond its trades: straying, frontier, chart, proof."""

import io
import json
import sys
from dataclasses import replace
from decimal import Decimal

import pytest
from tests.unit.rebalance.test_planning import planned
from tests.unit.solver.test_verify_rebalance import KEPT, THREE, documents_of, sealed

from etf_trader.cli import app
from etf_trader.cli.charts import Mark, curve_chart
from etf_trader.cli.output import Page, unmarked
from etf_trader.cli.plan_waves import legs_table
from etf_trader.cli.rebalance_outlook import beaten, draw_frontier, straying
from etf_trader.money import money_context
from etf_trader.rebalance.frontier import COST, TRADES, Point
from etf_trader.rebalance.outlook import Outlook

D = Decimal


def point(part: str | None, cost: str, error: str | None, *, is_chosen: bool = False) -> Point:
    known = None if error is None else D(error)
    return Point(
        None if part is None else D(part),
        TRADES if error is None else COST,
        3,
        D(cost) / 20,
        D(cost) * 10,
        D(cost),
        known,
        is_chosen,
    )


BEST = (point("0", "0", "800"), point("0.25", "2", "400"), point("0.5", "4", "150"))


def told(outlook: Outlook, room: int | None = None) -> list[str]:
    page = Page(room)
    for sentence in straying(outlook):
        page.line(sentence)
    draw_frontier(page, outlook, "USDT")
    return unmarked(page.text()).splitlines()


def test_a_frontier_is_a_table_and_a_chart_with_the_plan_marked() -> None:
    points = (*BEST, point(None, "5", "300", is_chosen=True), point("1", "8", "1"))
    lines = told(Outlook(D(800), D(300), 90, ("NEW",), points))
    assert lines[0] == "Tracking error, expected  8.00% a year before, 3.00% after   by 90 days of candles"
    assert lines[1] == "Too few candles, taken as the average coin: NEW."
    text = "\n".join(lines)
    assert "the best for 25% of the cost" in text and "what is worth its price" in text
    chart = text.partition("tracking error a year in percent")[2].splitlines()
    # what is planned stands beside the line: between 4 and 2 percent at five eighths of the cost
    [place] = [place for place, line in enumerate(chart) if "●" in line]
    assert 0.6 < chart[place].index("●") / max(map(len, chart)) < 0.66
    assert chart[place - 1].startswith("4") and chart[place + 1].startswith("2")


def test_a_cheaper_way_that_strays_less_than_the_plan_is_explained() -> None:
    found = planned({"A": "0.25", "B": "0.75"}, turnover="0.2")
    capped = (*BEST, point("1", "8", "200", is_chosen=True))
    assert beaten(capped, found) == (
        "A cheaper way strays less: the turnover cap lets the same part of every trade happen."
    )
    stuck = replace(found, scale=D(1), halted=frozenset("C"))
    assert "C cannot be traded, and the others share the rest by their targets" in beaten(capped, stuck)
    priced = (*BEST, point(None, "5", "300", is_chosen=True))
    assert "price_bps counts how far each coin is off" in beaten(priced, replace(found, scale=D(1)))
    assert beaten((*BEST, point("1", "8", "1", is_chosen=True)), found) == ""


def test_without_candles_it_says_so_and_draws_no_chart() -> None:
    points = (point("0", "0", None), point("0.25", "2", None), point("1", "8", None, is_chosen=True))
    text = "\n".join(told(Outlook(None, None, 0, (), points)))
    assert "Tracking error: not known" in text and "25% of every trade" in text and "○" not in text


def test_a_chart_may_have_an_even_axis_from_zero() -> None:
    points = [(D(0), D(8)), (D(4), D(4)), (D(8), D(0))]
    lines = curve_chart(points, room=44, until=D(8), marks=[Mark(D(4), "x")], is_even=True, rows=8)
    assert unmarked(lines[-1]).split() == ["0", "2", "4", "6", "8"]
    [marked] = [line for line in lines if "x" in line]
    assert 20 <= unmarked(marked).index("x") <= 25


def test_a_wave_is_a_table_of_what_trades_and_what_stays() -> None:
    with money_context():
        plan, _ = documents_of(THREE, KEPT)
    page = Page()
    page.table(legs_table(plan, {}))
    text = unmarked(page.text())
    assert "sell" in text and "buy" in text and "Z" in text and "within its band" in text
    assert "planned again when its money is there" in text


@pytest.mark.parametrize("is_changed", [False, True])
def test_a_dry_run_is_proved_from_stdin(
    is_changed: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with money_context():
        plan, market = documents_of(THREE, KEPT)
        if is_changed:
            plan = sealed(plan | {"cost": "0"}, market)
    text = json.dumps({"schema": "etf.rebalance/1", "id": 1, "plan": plan, "market": market})
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    code = app.run(["plan", "verify", "-"])
    out = capsys.readouterr().out
    if is_changed:
        assert code == 9 and "plan.cost is 0, but comes to" in out
    else:
        assert code == 0 and "The plan is proved" in out and "NAV before less NAV after is the cost" in out
