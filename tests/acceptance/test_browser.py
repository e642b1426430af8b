"""HTML files in a real browser, on a phone and on a desk, by day and by night."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from tests.acceptance.browser import Browser, browser, program
from tests.acceptance.shell import Shell

from etf_trader.cli.exhibit import Areas, Bars, Drift, Exhibit, Key, Lines
from etf_trader.cli.html_page import html_of
from etf_trader.cli.invocation import Invocation, invoked
from etf_trader.cli.output import Page, Table, number, text

D = Decimal
START = datetime(2026, 1, 1, tzinfo=UTC)
EVIL = "<script>document.title='run'</script>"
ASSETS = ["BTC", "ETH", "BNB", "SOL", "XRP", "DOGE", "ADA", "WIFWIFWIFWIF", "1000CHEEMS", EVIL]

PHONE, DESK = 360, 1280
SMALLEST_WORDS = 9.5
"""So many pixels high are the words of a chart at least."""


@pytest.fixture(scope="module")
def seen() -> Iterator[Browser]:
    path = program()
    if path is None:
        pytest.skip("chromium: it is not installed")
    with browser(path) as opened:
        yield opened


def charts() -> str:
    """Return a page with every kind of chart, from small numbers and large ones, names short and long."""
    days = [
        {
            "at": START + timedelta(days=day),
            "nav": D(10_000_000 + 37_000 * (day % 11)),
            "level": D(10_000_000 + 35_000 * (day % 7)),
            "weights": {asset: D(40 + place * (day % 9)) / 1000 for place, asset in enumerate(ASSETS)},
        }
        for day in range(200)
    ]
    legs = [
        {"asset": asset, "weight": D(place) / 50, "target": D("0.1"), "low": D("0.08"), "high": D("0.12")}
        | {"cost": D(place - 3) * 1_234_567}
        for place, asset in enumerate(ASSETS)
    ]
    exhibit = Exhibit(
        numbers=[Key(f"NAV per unit {place}", "nav", unit="USDT") for place in range(5)],
        charts=(
            Lines("NAV and level", "days", "at", {"NAV per unit": "nav", "level of the index": "level"}),
            Areas("Weights", "days", "at", weights="weights"),
            Bars("Cost by asset", "legs", "asset", "cost"),
            Drift("Drift", "legs", "asset", "weight", "target", low="low", high="high"),
        ),
    )

    def draw(page: Page) -> None:
        page.line(f"{EVIL} gained. {'x' * 80}")
        table = Table(*(number(f"number {place}") for place in range(14)), text("why", wrap=True))
        table.row(*(f"{place},000,000.00" for place in range(14)), EVIL)
        page.table(table)
        page.fields([("beside it", "y" * 80)])

    payload = {"head": "ab" * 32, "nav": D("12345678.9"), "days": days, "legs": legs}
    with invoked(Invocation(command="etf report performance", arguments=("report", "performance", EVIL))):
        return html_of("etf.performance/1", payload, draw, exhibit, START)


@pytest.mark.parametrize("dark", [False, True], ids=["day", "night"])
@pytest.mark.parametrize("width", [PHONE, DESK, 800])
def test_a_page_fits_and_no_word_of_a_chart_lies_on_another(
    seen: Browser, tmp_path: Path, width: int, dark: bool
) -> None:
    path = tmp_path / "report.html"
    path.write_text(charts())
    sight = seen.look(path, width=width, dark=dark)
    assert sight.wide <= width
    assert sight.errors == []
    assert sight.requests == [path.as_uri()]
    assert [chart["title"] for chart in sight.charts] == ["NAV and level", "Weights", "Cost by asset", "Drift"]
    for chart in sight.charts:
        assert (chart["outside"], chart["touching"]) == ([], []), chart["title"]
        assert chart["least"] >= SMALLEST_WORDS, chart["title"]
    assert EVIL in sight.text


def test_a_real_report_fits_a_phone_and_a_desk(seen: Browser, held: Shell) -> None:
    held.ok("report", "fills", "--out", "fills.html")
    for width in (PHONE, DESK):
        sight = seen.look(held.folder / "fills.html", width=width)
        assert sight.wide <= width
        assert sight.errors == []
        assert [chart["title"] for chart in sight.charts] == ["Loss by part", "Loss by asset"]
        assert "Position 1 · TOP8 · 100 units" in sight.text
