"""An HTML file holds what is drawn, its charts, where it is from, and nothing that runs or is fetched."""

import re
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any

from etf_trader.cli.exhibit import Areas, Bars, Drift, Exhibit, Key, Lines, Parts, value_at
from etf_trader.cli.html_page import html_of
from etf_trader.cli.invocation import Invocation, invoked
from etf_trader.cli.numbers import share
from etf_trader.cli.output import Page, Table, good, number, text

D = Decimal
NOW = datetime(2026, 11, 21, 3, 50, tzinfo=UTC)
EVIL = "<script>alert(1)</script>"

DAYS: list[dict[str, Any]] = [
    {
        "at": NOW + timedelta(days=day),
        "nav": D(100 + day),
        "level": D(101),
        "weights": {"BTC": D("0.6"), EVIL: D("0.4")},
    }
    for day in range(3)
]
LEGS = [
    {"asset": "BTC", "weight": D("0.6"), "target": D("0.5"), "cost": D(2), "index": "ONE"},
    {"asset": EVIL, "weight": D("0.4"), "target": D("0.5"), "cost": D(1), "index": EVIL},
]
PAYLOAD: dict[str, Any] = {
    "head": "ab" * 32,
    "nav": D(102),
    "fee": D(3),
    "spread": D(-1),
    "days": DAYS,
    "plan": {"legs": LEGS},
}
EXHIBIT = Exhibit(
    numbers=(Key("NAV per unit", "nav", unit="USDT"), Key("unknown", "nothing.here")),
    charts=(
        Lines("NAV and level", "days", "at", {"NAV": "nav", "level": "level"}),
        Areas("Weights over time", "days", "at", weights="weights"),
        Parts("Cost by part", ("fee", "spread", "unknown"), note="USDT"),
        Bars("Cost by asset", "plan.legs", "asset", "cost"),
        Bars("Cost", "plan.legs", "asset", "cost", by="index"),
        Drift("Drift", "plan.legs", "asset", "weight", "target"),
        Drift("Not planned", "rebalance.legs", "asset", "weight", "target"),
        Bars("Nothing", "none", "asset", "cost"),
    ),
)


def draw(page: Page) -> None:
    page.line(f"{EVIL} has {good('gained')}.")
    page.line()
    table = Table(text("asset"), number("value", optional=1))
    table.row(EVIL, "1,000")
    table.row("  BTC", "2.25")
    page.table(table)
    page.fields([(EVIL, "A 6.47 ████████ · B 1.10 █▎")])
    page.line("60 ┤ ╭─\n 0 └─╯")
    page.line("    10")


def page_of(
    drawn: Callable[[Page], None] = draw, payload: dict[str, Any] = PAYLOAD, exhibit: Exhibit = EXHIBIT
) -> str:
    with invoked(
        Invocation(command="etf report performance", arguments=("report", "performance", "--index", EVIL))
    ):
        return html_of("etf.performance/1", payload, drawn, exhibit, NOW)


class Elements(HTMLParser):
    """Every element with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_nothing_runs_and_nothing_is_fetched() -> None:
    page = page_of()
    elements = Elements(page).found
    assert not {"script", "link", "img", "iframe", "object", "form", "base"} & {tag for tag, _ in elements}
    names = {name for _, attributes in elements for name in attributes}
    assert not [name for name in names if name in ("style", "src", "href") or name.startswith("on")]
    assert set(re.findall(r"https?://[^\"' ]+", page)) == {"http://www.w3.org/2000/svg"}
    assert EVIL not in page


def test_its_policy_allows_its_own_style_and_nothing_else() -> None:
    page = page_of()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    style = re.search(r"<style>(.*?)</style>", page, flags=re.DOTALL)
    assert policy is not None
    assert style is not None
    told = b64encode(sha256(style[1].encode()).digest()).decode()
    assert policy[1] == f"default-src 'none'; style-src 'sha256-{told}'; base-uri 'none'; form-action 'none'"
    assert "url(" not in style[1]
    assert "@import" not in style[1]


def test_the_sentence_comes_first_then_numbers_charts_tables_and_where_it_is_from() -> None:
    page = page_of()
    marks = ['class="lead"', 'class="key"', "<figure", "<table", 'class="facts"', "<footer"]
    places = [page.index(mark) for mark in marks]
    assert places == sorted(places)
    assert '<span class="good">gained</span>' in page
    assert "<td>\u00a0\u00a0BTC</td>" in page  # a part of the line above
    assert "<pre" not in page  # charts show what was drawn of characters
    assert "NAV per unit <small>USDT</small></dt><dd>102.00</dd>" in page
    for told in (
        "2026-11-21 03:50:00 UTC by etf",
        "etf report performance --index",
        "ab" * 32,
        "etf.performance/1",
    ):
        assert told in page[places[-1] :]


def test_every_chart_is_drawn_for_a_phone_and_for_a_desk_and_what_is_not_there_is_left_out() -> None:
    page = page_of()
    titles = re.findall(r"<figcaption>(.*?)(?: <small>|</figcaption>)", page)
    assert titles[:4] == ["NAV and level", "Weights over time", "Cost by part", "Cost by asset"]
    assert titles[4] == "Cost, ONE"
    assert titles[6:] == ["Drift"]
    assert page.count("<svg xmlns") == 2 * len(titles)
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_rows_may_come_one_for_each_time_and_asset() -> None:
    rows = [
        {"at": day["at"], "asset": asset, "weight": weight}
        for day in DAYS
        for asset, weight in day["weights"].items()
    ]
    long = Areas("Weights", "rows", "at", label="asset", value="weight")
    wide = Areas("Weights", "days", "at", weights="weights")
    assert list(long.draw({"rows": rows}, 400, "k")) == list(wide.draw(PAYLOAD, 400, "k"))


def test_numbers_stand_on_their_point_and_bars_of_characters_are_left_to_the_charts() -> None:
    page = page_of()
    assert '<td class="number">1,000\u2008\u2007\u2007</td>' in page
    assert '<td class="number">2.25</td>' in page
    assert "A 6.47 · B 1.10</dd>" in page


def test_a_drawing_of_characters_stays_together() -> None:
    page = page_of(lambda page: page.line("60 ┤ ╭─\n 0 └─╯\n    10"), {}, Exhibit())
    found = re.search(r"<pre[^>]*>(.*?)</pre>", page, flags=re.DOTALL)
    assert found is not None
    assert found[1] == "60 ┤ ╭─\n 0 └─╯\n    10\n"


def test_an_empty_line_parts_what_is_said() -> None:
    page = page_of(lambda page: page.line("One.\nTwo.\n\nThree."), {}, Exhibit())
    assert '<p class="lead">One.</p>\n<p>Two.</p>\n<p class="apart">Three.</p>' in page


def test_what_is_there_to_be_pasted_stays_as_it_is() -> None:
    page = page_of(lambda page: page.verbatim("0 * * * *  etf\n  --due"), {}, Exhibit())
    assert "<pre>0 * * * *  etf\n  --due\n</pre>" in page


def test_what_draws_nothing_is_still_a_page() -> None:
    page = page_of(lambda page: None, {}, Exhibit())
    assert '<h1>Performance <span class="account">paper</span></h1>' in page
    assert "figure" not in page[page.index("<body>") :]


def test_a_path_leads_through_records_mappings_and_lists() -> None:
    assert value_at({"plan": {"legs": LEGS}}, "plan.legs.1.asset") == EVIL
    assert value_at({"plan": None}, "plan.legs.0.asset") is None
    assert value_at({"legs": []}, "legs.0") is None
    assert value_at(DAYS[0], "weights.BTC") == D("0.6")
    assert share(D("0.6")) == "60.0%"
