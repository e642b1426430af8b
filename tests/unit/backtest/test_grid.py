"""Grids: what may be typed, what is refused, and that processes change nothing."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from tests.unit.backtest.past import setting, walk

from etf_trader.backtest.files import Files
from etf_trader.backtest.grid import cells_of
from etf_trader.backtest.grid_runs import merit, require_result, running
from etf_trader.errors import DataError, UsageError

D = Decimal
RULES = {"universe": {"assets": ["A", "B", "C"]}, "weighting": {"by": "equal"}}


def test_every_combination_is_a_cell_and_is_checked_as_an_index_file() -> None:
    common = setting(RULES, days=100)
    cells = cells_of(["calendar=monthly, quarterly ; band=0,0.02", "capital=1000,5000"], common)
    assert len(cells) == 8
    assert cells[0].values == {"calendar": "monthly", "band": "0", "capital": "1000"}
    last = cells[-1].setting
    assert last.rule.calendar.cron == "10 0 1 1,4,7,10 *"
    assert (last.rule.rebalance.absolute, last.capital) == (D("0.02"), D(5000))
    [cell] = cells_of(["rebalance.reserve=0.1; weighting=inverse_volatility; days=30"], common)
    assert cell.setting.rule.rebalance.reserve == D("0.1") and cell.setting.rule.weighting.days == 30
    assert cells_of(["calendar=0 12 * * 1"], common)[0].setting.rule.calendar.cron == "0 12 * * 1"


@pytest.mark.parametrize(
    ("text", "told", "hint"),
    [
        ("calender=monthly", "no key 'calender'", "did you mean calendar?"),
        ("zzz=1", "no key 'zzz'", "one of calendar, band"),
        ("band", "not of the form", "--grid"),
        ("band=", "not of the form", "--grid"),
        ("band=0,", "not of the form", "--grid"),
        ("", "empty", "--grid"),
        ("band=0; band=1", "names band twice", "at once"),
        ("band=0,0", "value of band twice", "once"),
        ("band=2", "rebalance.absolute must be a fraction", ""),
        ("weighting=equals", "weighting.by must be one of", ""),
        ("weighting=capped", "weighting.cap is missing", "cap = 0.3"),
        ("calendar=sometimes", "no cron expression", "five fields"),
        ("selection.exits=3", "unknown key 'selection.exits'", "did you mean selection.exit?"),
        ("capital=none", "capital of 'none'", "capital="),
        ("capital=1e30", "at most 1000000000000", ""),
        ("capital=999", "buy no unit", "more capital"),
        ("count=" + ",".join(map(str, range(1, 3000))), "2,999 combinations", "leave some"),
    ],
)
def test_what_a_grid_cannot_mean_is_refused_with_the_remedy(text: str, told: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        cells_of([text], setting(RULES, days=100))
    assert told in str(refused.value)
    assert hint in str(refused.value.hint or "")


def test_processes_change_nothing_and_who_is_refused_comes_last(tmp_path: Path) -> None:
    for asset in "ABC":
        (tmp_path / f"{asset}.csv").write_bytes(b"date,close\n" + b"\n".join(walk(asset, 100)._rows))
    files = Files(tmp_path, "USDT", None, {}, candles_only=False)
    history = files.read()
    cells = cells_of(["calendar=weekly,monthly; eligibility.age_days=0,2000"], setting(RULES, days=100))
    found = []
    for processes in (1, 2):
        with running(cells, files, history, processes) as rows:
            found.append(sorted(rows, key=merit))
    here, apart = found
    assert here == apart
    assert [row.refused is None for row in here] == [True, True, False, False]
    first, second = (row.figures for row in here[:2])
    assert first is not None and second is not None
    assert first.total_return >= second.total_return
    assert all(row.findings == () for row in here)
    require_result(here)
    with pytest.raises(DataError, match="no coin is eligible"):
        require_result(here[2:])
    assert {row.start for row in here} == {date.fromordinal(history.first_day), None}
