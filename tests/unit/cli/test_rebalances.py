"""What commands say about a rebalance that is under way, was cancelled, or is done, and its progress."""

from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import pytest
from tests.factories import House, WatchedDatabase, make_definition, make_house, make_ladders, make_market

from etf_trader.bootstrap import Slots
from etf_trader.cli.invocation import Invocation, invoked
from etf_trader.cli.output import Page, unmarked
from etf_trader.cli.progress import Progress
from etf_trader.cli.rebalance_list import emit_list
from etf_trader.cli.rebalance_watching import RebalanceWatch
from etf_trader.cli.rebalances import (
    cancelled_sentences,
    exit_code_of,
    line,
    order_document,
    rebalance_sentences,
)
from etf_trader.cli.report_rebalance import draw
from etf_trader.orders.store import request_cancel
from etf_trader.reports.rebalance import RebalanceReport, rebalance_report

D = Decimal


@pytest.fixture
async def house(tmp_path: Path) -> House:
    """Ten units of one A and two B, which are to be half B and half C."""
    mids = {"A": D(20), "B": D(5), "C": D(10)}
    coarse = {"tick": "0.01", "step": "0.01", "min_quantity": "0.01", "min_notional": "1"}
    books = {asset: make_ladders(mid, D("0.01"), D(1000)) for asset, mid in mids.items()}
    made = make_house(tmp_path, make_market(books, rules=dict.fromkeys(mids, coarse)))
    await made.create(make_definition())
    await made.buy(10)
    weights = {"B": D("0.5"), "C": D("0.5")}
    await made.administration.edit_index("1", make_definition(basket={}, weights=weights))
    return made


def report_of(house: House, number: int) -> RebalanceReport:
    with house.database.read() as connection:
        return rebalance_report(connection, number)


async def after_one_wave(house: House) -> int:
    """Accept a rebalance, play its first wave, and return its number."""
    accepted = await house.accept_rebalance()
    house.manager.stop_when(lambda: bool(report_of(house, accepted.id).baskets[1:]))
    await house.manager.run([accepted.id])
    house.manager.stop_when(lambda: False)
    return accepted.id


def told(report: RebalanceReport) -> str:
    return unmarked(" ".join(rebalance_sentences(report)))


async def test_one_that_is_under_way_says_how_far_it_is_and_how_it_goes_on(house: House) -> None:
    report = report_of(house, await after_one_wave(house))
    said = told(report)
    assert "The rebalance of TWO for 2026-11-01 (order 2) is under way: 1 of 3 assets in 1 wave" in said
    assert "etf worker --once goes on with it; etf cancel --order 2 ends it. Left: B, C." in said
    assert "1 of 3 assets in 1 wave, cost" in line(report) and line(report).endswith("still open.")
    assert (exit_code_of(report), report.left) == (0, ("B", "C"))
    page = Page()
    draw(page, report)
    assert "Gone: A." in page.text() and "etf plan verify 2" in page.text()


async def test_a_cancelled_one_keeps_the_basket_of_its_last_wave(house: House) -> None:
    number = await after_one_wave(house)
    with house.database.write() as connection:
        request_cancel(connection, number, house.clock.now())
    assert "is being cancelled" in told(report_of(house, number)).replace("It is", "is")
    await house.manager.run([number])
    report = report_of(house, number)
    first, *rest = map(unmarked, cancelled_sentences(report))
    assert first.startswith("Cancelled rebalance 2 of TWO: 1 of 3 assets in 1 wave, at a cost of")
    assert rest == [
        "The baskets stay as they are: basket 2 is in force. Left: B, C.",
        "etf rebalance --index 1 --dry-run shows what is left to trade; it can be traded again from 2026-11-02 on "
        "(UTC): etf rebalance --index 1 --force",
    ]
    assert (report.status, exit_code_of(report)) == ("cancelled", 7)
    assert report.nav_after == report.nav_before - report.cost + report.market


async def test_a_done_one_says_what_it_cost_and_what_a_unit_was_worth(house: House) -> None:
    order = await house.rebalance()
    report = report_of(house, order.id)
    first, cost, nav, last = map(unmarked, rebalance_sentences(report))
    assert first.startswith("Rebalanced TWO for 2026-11-01 (order 2): 3 of 3 assets in 2 waves, 66.")
    assert cost.startswith("Cost  0.") and "bps of NAV" in cost and "fee" in cost
    assert nav.startswith("A unit was worth 30.0000 USDT before and 29.9")
    assert last == "More: etf report rebalance --id 2"
    assert (order_document(report)["fill_percentage"], exit_code_of(report)) == (100, 0)


async def test_what_was_left_alone_is_told_by_reason(house: House) -> None:
    report = report_of(house, (await house.rebalance()).id)
    why = {"A": "below_minimum", "B": "halted", "C": "below_minimum"}
    legs = tuple(replace(each, why_skipped=why.get(each.asset)) for each in report.legs)
    page = Page()
    draw(page, replace(report, legs=legs, skipped=("A", "B", "C")))
    assert "Left alone: A, C (below the venue's least order); B (its market did not trade)." in page.text()


async def test_costs_of_indices_with_other_quotes_are_not_added_up(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    report = report_of(house, (await house.rebalance()).id)
    other = replace(report, id=9, index="DUO", quote="USDC", cost=D("2.5"))
    with invoked(Invocation()):
        emit_list([report, other], "")
    said, _, head, *rows = capsys.readouterr().out.splitlines()
    assert said.startswith("2 rebalances, at a cost of 0.") and said.endswith(" USDT and 2.50 USDC in all.")
    assert "cost  in" in head and ["USDC" in row for row in rows] == [True, False]


@dataclass(frozen=True)
class Opened:
    """What a watch asks of the services."""

    database: WatchedDatabase

    def slots(self) -> Slots:
        return Slots(3, 100, 10)


class Heard(Progress):
    """A progress that keeps what it was told."""

    def __init__(self) -> None:
        super().__init__("Rebalancing", None)
        self.notes: list[tuple[float, str]] = []

    def update(self, fraction: Decimal | float | None, text: str = "") -> None:
        self.notes.append((float(fraction or 0), text))


async def test_progress_shows_waves_orders_and_assets(house: House) -> None:
    accepted = await house.accept_rebalance()
    heard = Heard()
    house.log.subscribe(RebalanceWatch(Opened(house.database), accepted.id, heard))  # type: ignore[arg-type]
    await house.manager.run([accepted.id])
    fractions = [fraction for fraction, _ in heard.notes]
    assert fractions == sorted(fractions) and fractions[-1] == 1
    notes = [text for _, text in heard.notes]
    assert notes[0] == "wave 1 · 0 of 1 order · slots 3/100"
    assert "wave 2 · 1 of 2 orders · slots 3/100" in notes
    assert notes[-1] == "wave 2 · 3 of 3 assets · slots 3/100"
