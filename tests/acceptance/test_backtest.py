"""`etf backtest`: a rulebook on past prices, made up here and recorded beside the checkout."""

import csv
import io
import os
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from tests.acceptance.shell import Shell
from tests.unit.backtest.past import walk

D = Decimal
DATA = Path(os.environ.get("ETF_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
CAPS = DATA / "market-caps" / "coinmarketcap_monthly_top200_2020-01_2025-10.csv.gz"
recorded = pytest.mark.skipif(not CAPS.exists(), reason=f"recordings absent: no market caps in {DATA}")

START = date(2022, 1, 1)
INDEX = """symbol = "FIVE"
[universe]
assets = ["BTC", "ETH", "SOL", "XRP", "ADA"]
[weighting]
by = "equal"
"""
CALM = INDEX.replace("equal", "inverse_volatility") + '[calendar]\ncron = "10 0 * * 6"\n'
TOP20 = """symbol = "TOP20"
[universe]
caps = "caps.csv"
exclude = ["stablecoins", "wrapped"]
[selection]
count = 20
enter = 18
exit = 24
[weighting]
by = "capped"
cap = 0.3
"""
RUN = ("backtest", "--index-file", "five.toml", "--candles", "candles")


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Return a folder with an index of five coins and a hundred days of candles; ADA ends after sixty."""
    folder = tmp_path_factory.mktemp("past")
    (folder / "candles").mkdir()
    for asset in ("BTC", "ETH", "SOL", "XRP", "ADA"):
        rows = walk(asset, 60 if asset == "ADA" else 100)._rows
        (folder / "candles" / f"{asset}USDT_1d.csv").write_bytes(b"date,close\n" + b"\n".join(rows))
    (folder / "five.toml").write_text(INDEX)
    (folder / "mistyped.toml").write_text(INDEX.replace("BTC", "BTX"))
    (folder / "basket.toml").write_text('symbol = "B"\n[basket]\nBTC = 1\n')
    (folder / "half.toml").write_text('symbol = "HALF"\n[weights]\nBTC = 0.5\nETH = 0.5\n')
    (folder / "top.toml").write_text(TOP20)
    (folder / "calm.toml").write_text(CALM)
    return Shell(folder)


def test_a_run_is_told_with_its_costs_its_prices_and_what_happened(past: Shell) -> None:
    told = past.ok(*RUN)
    assert "FIVE, 2022-01-01 to 2022-04-10: 1,000,000.00 USDT became" in told
    assert "after costs" in told and "bps of NAV a year   spread" in told
    assert "2022-03-05  ADA has no market any more: frozen at" in told
    assert "Prices: daily candles of 5 coins." in told
    assert "audited, nothing is off" in told and "─ one unit   · the index" in told
    found = past.json(*RUN)
    assert found["schema"] == "etf.backtest/1" and found["audit"]["clean"] and not found["survivors_only"]
    assert [each["cause"] for each in found["rebalances"]] == ["begin", "due", "due", "due"]
    first, last = found["days"][0], found["days"][-1]
    assert (first["day"], first["nav_per_unit"], last["day"]) == ("2022-01-01", "1000", "2022-04-10")
    assert last["nav_per_unit"] == found["nav_per_unit"]
    assert D(found["cost"]) == sum(D(each["cost"]) for each in found["rebalances"])
    assert found["runs"][0]["total_return"] == found["total_return"]
    assert past.json(*RUN) == found


def test_what_is_counted_at_the_price_of_an_ended_market_is_told(past: Shell) -> None:
    told, found = past.ok(*RUN), past.json(*RUN)
    [ada] = found["prices"]["ended"]
    assert (ada["asset"], ada["day"]) == ("ADA", "2022-03-01")
    assert found["ended_share"] == ada["share"] and 0 < ada["share"] < 1
    assert f"ended make up {100 * ada['share']:.1f}% of the final value: ADA at its price of 2022-03-01." in told
    sold = past.json(*RUN, "--grid", "delisting=freeze,sell", "--processes", "1")["runs"]
    assert {row["settings"]["delisting"]: row["ended_share"] > 0 for row in sold} == {
        "freeze": True,
        "sell": False,
    }


def test_a_grid_is_a_table_on_any_terminal_and_csv_in_a_pipe(past: Shell) -> None:
    grid = (*RUN, "--processes", "1", "--grid", "calendar=weekly,monthly; band=0,0.05")
    told = past.ok(*grid)
    assert "4 backtests of FIVE, the best return first" in told
    assert "calendar  band" in told and "weekly    0.05" in told
    assert all(len(line) <= 60 for line in past.on_terminal(60, *grid))
    rows = list(csv.DictReader(io.StringIO(past.ok(*grid, "--format", "csv"))))
    assert [row["settings.calendar"] for row in rows].count("weekly") == 2
    returns = [D(row["total_return"]) for row in rows]
    assert returns == sorted(returns, reverse=True)


def test_a_page_has_its_numbers_and_charts_and_names_no_account(past: Shell) -> None:
    (past.folder / "etf.toml").touch()
    past.ok(*RUN, "--out", "run.html")
    page = (past.folder / "run.html").read_text()
    for name in ("fund a year", "index a year", "volatility a year", "deepest fall", "costs a year"):
        assert name in page
    for title in ("NAV per unit and index level", "Weights at each rebalance", "Costs a year by part"):
        assert page.count(f'-title">{title}</title>') == 2  # for a phone and for a desk
    assert "┤" not in page and "paper" not in page
    past.ok(*RUN, "--processes", "1", "--grid", "band=0,0.05", "--out", "grid.html")
    assert "the best a year" in (past.folder / "grid.html").read_text()


def test_weights_alone_have_the_calendar_that_a_fund_of_them_has(past: Shell) -> None:
    found = past.json(*RUN, "--index-file", "half.toml")
    assert [each["due"] for each in found["rebalances"][1:]] == ["2022-02-01", "2022-03-01", "2022-04-01"]


def test_the_management_fee_is_told_beside_the_costs_of_trading(past: Shell) -> None:
    (past.folder / "paid.toml").write_text(INDEX + "[fee]\nmanagement_bps = 200\n")
    found = past.json(*RUN, "--index-file", "paid.toml")
    assert found["management_bps"] == pytest.approx(200, rel=0.02)
    told = past.ok(*RUN, "--index-file", "paid.toml")
    assert f"management    {found['management_bps']:.1f} bps of NAV a year, taken from the basket" in told
    assert "management " not in past.ok(*RUN)


def test_survivors_only_and_no_costs_are_said(past: Shell) -> None:
    told = past.ok(*RUN, "--candles-only", "--no-costs", "--from", "2022-02-01", "--to", "2022-03-20")
    assert "Survivors only" in told and "with no costs at all" in told
    assert "2022-01-31 to 2022-03-20" in told


def test_of_less_than_thirty_days_nothing_is_told_by_the_year(past: Shell) -> None:
    days = ("--from", "2022-02-01", "--to", "2022-02-03")
    told, found = past.ok(*RUN, *days), past.json(*RUN, *days)
    gained, cost = 100 * float(found["total_return"]), found["cost_bps"] * found["years"]
    assert f", {gained:.1f}% after costs." in told and "Of less than 30 days no rate a year is shown." in told
    assert f"costs         {cost:,.1f} bps of NAV   spread" in told
    grid = (*RUN, *days, "--processes", "1", "--grid", "band=0,0.05")
    assert f"came to {gained:.1f}%." in past.ok(*grid) and "of the whole time" in past.ok(*grid)
    for run in ((*RUN, *days), grid):
        past.ok(*run, "--out", "short.html")
        page = (past.folder / "short.html").read_text()
        for name in ("fund a year", "index a year", "the best a year", "osts a year", "turnover a year"):
            assert name not in page


def test_when_it_begins_is_said_and_a_day_that_is_too_early_is_not_taken_for_another(past: Shell) -> None:
    run = (*RUN, "--index-file", "calm.toml")
    told = " ".join(past.ok(*run).split())
    assert "Begun on 2022-01-04, not on 2022-01-02: on 2022-01-03, BTC, ETH" in told
    found = past.json(*run)
    assert found["events"][0]["what"] == "begun late" and found["events"][0]["day"] == "2022-01-04"
    assert found["runs"][0]["from"] == found["from"] == "2022-01-03"
    grid = (*run, "--processes", "1", "--grid", "weighting=equal,inverse_volatility")
    assert {row["from"] for row in past.json(*grid)["runs"]} == {"2022-01-01", "2022-01-03"}
    assert "between 2022-01-01 and 2022-01-03" in " ".join(past.ok(*grid).split())


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--candles", "nowhere"], 2, "cannot read the candles"),
        (["--index-file", "none.toml"], 2, "cannot read none.toml"),
        (["--index-file", "basket.toml"], 2, "no rulebook to be tested"),
        (["--index-file", "top.toml"], 2, "cannot read the market caps"),
        (["--from", "2022-03-01", "--to", "2022-03-01"], 2, "is not before"),
        (["--from", "January"], 2, "write it as 2020-01-31"),
        (["--from", "2030-01-01"], 1, "no day between"),
        (["--index-file", "calm.toml", "--from", "2021-12-24"], 2, "but from 2022-01-04 on"),
        (["--index-file", "mistyped.toml"], 2, "no price of BTX"),
        (["--capital", "10"], 2, "buy no unit"),
        (["--fee-bps", "2000"], 2, "not a fee"),
        (["--processes", "0"], 2, "1 to 256"),
        (["--caps-columns", "price=p"], 2, "no table whose columns"),
        (["--grid", "calender=monthly"], 2, "did you mean calendar?"),
        (
            ["--grid", "eligibility.age_days=3000", "--processes", "1"],
            1,
            "no combination of the grid could be run",
        ),
    ],
)
def test_what_cannot_be_is_a_sentence(past: Shell, words: list[str], code: int, told: str) -> None:
    answer = past.etf(*RUN, *words)
    assert answer.code in (code, 5 if code == 1 else code), answer.err
    assert told in " ".join(answer.err.split())
    assert not answer.out


@recorded
def test_the_largest_twenty_from_2020_to_2025(past: Shell) -> None:
    run = ("backtest", "--index-file", "top.toml", "--candles", str(DATA / "klines-1d"), "--caps", str(CAPS))
    days = ("--from", "2020-01-01", "--to", "2025-10-01")
    whole = past.json(*run, *days)
    assert whole["audit"]["clean"] and not whole["survivors_only"]
    assert sum(each["cause"] == "due" for each in whole["rebalances"]) >= 67
    assert all(max(map(D, each["weights"].values())) <= D("0.3") for each in whole["rebalances"])
    assert {"BTC", "ETH", "MATIC"} <= set(whole["prices"]["candles"])
    assert {"LUNA", "FTT", "EOS"} <= set(whole["prices"]["caps"])
    assert 0.9 < whole["prices"]["candles_share"] < 1
    gone = {each["asset"]: each for each in whole["events"] if each["asset"]}
    assert gone["MATIC"]["what"] == "frozen" and gone["MATIC"]["day"] == "2024-09-14"
    assert gone["LUNA"]["what"] == "sold" and gone["LUNA"]["day"] == "2022-06-02"
    assert 5 < whole["cost_bps"] < 20 and whole["tracking_error"] < 0.01
    survivors = past.json(*run, *days, "--candles-only")
    assert survivors["survivors_only"] and survivors["prices"]["caps"] == []
    assert D(survivors["total_return"]) > D(whole["total_return"])
