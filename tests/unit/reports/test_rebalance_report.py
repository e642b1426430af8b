"""The report of a rebalance adds up to the last digit, whatever the books do meanwhile."""

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import fields
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.effort import examples
from tests.factories import House, Ladder, make_definition, make_house, make_ladders, make_market
from tests.invariants import findings

from etf_trader.cli.rebalances import rebalance_sentences
from etf_trader.errors import NotFound
from etf_trader.exchange.static import StaticMarket
from etf_trader.index.methodology import read_methodology
from etf_trader.index.store import basket_of_version
from etf_trader.money import ZERO, divide, money_context, round_to
from etf_trader.orders.plan import LOSS_PARTS
from etf_trader.reports.rebalance import RebalanceReport, rebalance_report
from etf_trader.venue.interface import LimitOrder

D = Decimal
HAIR = D("0.00000001")
FINE = {"tick": "0.00000001", "step": "0.00000001", "min_quantity": "0.00000001", "min_notional": "0.001"}
COARSE = {"tick": "0.01", "step": "0.01", "min_quantity": "0.01", "min_notional": "5"}


def report_of(house: House, number: int) -> RebalanceReport:
    with house.database.read() as connection:
        return rebalance_report(connection, number)


async def worked(folder: Path, turnover: str = "1") -> tuple[House, int]:
    """The worked example: 10 units of one A, two B, five C; then A, B and D at 25%, 50% and 25%."""
    prices = {"A": "20", "B": "5", "C": "2", "D": "10"}
    books: dict[str, tuple[Ladder, Ladder]] = {
        asset: ([(str(D(price) - HAIR), "100000")], [(str(D(price) + HAIR), "100000")])
        for asset, price in prices.items()
    }
    house = make_house(folder, make_market(books, rules=dict.fromkeys(prices, FINE)))
    await house.create(make_definition(basket={"A": D(1), "B": D(2), "C": D(5)}))
    await house.buy(10)
    weights = {"A": D("0.25"), "B": D("0.5"), "D": D("0.25")}
    rules = read_methodology({"weights": weights, "rebalance": {"turnover": turnover}}, "a test")
    await house.administration.edit_index("1", make_definition(basket={}, weights=weights, rules=rules))
    order = await house.rebalance()
    return house, order.id


async def test_the_worked_rebalance_is_reported_as_it_was_worked_out_by_hand(tmp_path: Path) -> None:
    house, number = await worked(tmp_path)
    report = report_of(house, number)
    assert report.status == "filled"
    assert (report.added, report.removed, report.changed) == (("D",), ("C",), ("A", "B"))
    lines = {line.asset: line for line in report.legs}
    assert [round_to(lines[asset].per_unit_after, D("0.0001")) for asset in "ABCD"] == [
        D("0.4995"),
        D("3.9960"),
        D(0),
        D("0.9990"),
    ]
    assert {asset: lines[asset].weight_before for asset in "ABCD"} == {
        "A": D("0.5"),
        "B": D("0.25"),
        "C": D("0.25"),
        "D": D(0),
    }
    assert report.nav_per_unit_before == 40
    assert round_to(report.nav_per_unit_after, D("0.00001")) == D("39.96")
    # 40 a unit one way at 10 bps, ten units: 20 of it sold, 20 of it bought.
    assert (round_to(report.cost, D("0.001")), round_to(report.fee, D("0.001"))) == (D("0.400"), D("0.400"))
    assert round_to(report.cost_bps, D("0.01")) == D("10.00")
    assert round_to(report.turnover, D("0.001")) == D("0.500")
    assert report.delay == report.market == report.flows == 0
    assert [(wave.basket_before, wave.basket, wave.orders) for wave in report.waves] == [(1, 2, 2), (2, 3, 2)]
    assert [basket.version for basket in report.baskets] == [1, 2, 3]
    assert [basket.reason for basket in report.baskets[1:]] == [f"rebalance {number}"] * 2
    assert (lines["C"].side, lines["C"].planned_quantity, lines["C"].filled) == ("sell", D(50), D(50))
    assert lines["D"].average_price == D("10.00000001")
    assert report.tracking_difference is None
    assert report.left == report.skipped == ()
    require_identities(house, report)


async def test_what_the_turnover_cap_keeps_back_is_not_gone(tmp_path: Path) -> None:
    """Half of NAV was to be traded, a quarter of that may be: of five C in a unit more than three stay."""
    house, number = await worked(tmp_path, turnover="0.125")
    report = report_of(house, number)
    assert (report.status, report.added, report.removed) == ("filled", ("D",), ())
    assert report.scale == D("0.25")
    assert "The turnover cap let 25.0% of every trade happen." in rebalance_sentences(report)
    require_identities(house, report)


def test_there_is_no_report_of_what_is_no_rebalance(tmp_path: Path) -> None:
    house, _ = asyncio.run(worked(tmp_path))
    with house.database.read() as connection, pytest.raises(NotFound):
        rebalance_report(connection, 1)


def require_identities(house: House, report: RebalanceReport) -> None:
    """Require everything that a report says of itself, to the last digit."""
    with money_context():
        assert report.nav_after == report.nav_before - report.cost + report.market + report.flows
        assert report.cost == sum(getattr(report, part) for part in LOSS_PARTS)
        for part in ("cost", "market", *LOSS_PARTS):
            assert getattr(report, part) == sum(getattr(line, part) for line in report.legs), part
        for line in report.legs:
            assert line.cost == sum(getattr(line, part) for part in LOSS_PARTS)
        played = [*report.waves, *report.late_fills]
        for wave in played:
            parts = wave.spread + wave.depth + wave.fee + wave.rounding
            assert wave.nav_before - wave.nav_after == parts == wave.cost
        assert sum((wave.cost for wave in played), ZERO) == report.cost - report.delay
        for when in ("before", "after"):
            nav, units = getattr(report, f"nav_{when}"), getattr(report, f"units_{when}")
            assert nav == getattr(report, f"nav_per_unit_{when}") * units
            worth = (getattr(line, f"quantity_{when}") * getattr(line, f"mid_{when}") for line in report.legs)
            assert nav == sum(worth)
            weights = sum(getattr(line, f"weight_{when}") for line in report.legs)
            assert abs(weights - 1) < D("1e-10")
            for line in report.legs:
                held = getattr(line, f"per_unit_{when}") * units
                assert getattr(line, f"quantity_{when}") == held
    with house.database.read() as connection:
        basket = basket_of_version(connection, 1, report.baskets[-1].version)
    assert {
        line.asset: line.per_unit_after for line in report.legs if line.per_unit_after and line.symbol
    } == dict(basket.quantities)
    assert {each.name for each in fields(report)} >= {"tracking_difference", "skipped", "verdicts"}


prices = st.decimals(1, 400, places=2)
moves = st.lists(st.tuples(st.sampled_from("ABCD"), st.integers(-40, 40)), max_size=6)
shares = st.lists(st.integers(1, 20), min_size=4, max_size=4)


def mover(house: House, mids: dict[str, Decimal], left: list[tuple[str, int]]) -> Callable[[LimitOrder], None]:
    """Return what moves a book by some ticks before each order that arrives."""

    def move(_order: LimitOrder) -> None:
        if left:
            asset, ticks = left.pop()
            mids[asset] = max(mids[asset] + ticks * D("0.01"), D("0.5"))
            assert isinstance(house.market, StaticMarket)
            bids, asks = make_ladders(mids[asset], D("0.01"), D(60), spread=3, gap=4)
            house.market.set_book(f"{asset}USDT", bids, asks)

    return move


@settings(max_examples=examples(5), deadline=None)
@given(
    mids=st.tuples(prices, prices, prices, prices),
    shares=shares,
    gone=st.sampled_from([*"ABC", ""]),
    moves=moves,
    bought=st.integers(0, 3),
)
@example(  # lots so coarse that the program finds NAV worth less than nothing at the margin
    mids=(D("45.89"), D(1), D(1), D(1)), shares=[1] * 4, gone="A", moves=[("B", 7), ("B", -33)], bought=0
)
def test_every_sum_of_a_report_is_exact_over_moving_books(
    mids: tuple[Decimal, ...],
    shares: list[int],
    gone: str,
    moves: list[tuple[str, int]],
    bought: int,
) -> None:
    asyncio.run(_over_moving_books(dict(zip("ABCD", mids, strict=True)), shares, gone, moves, bought))


async def _over_moving_books(
    mids: dict[str, Decimal],
    shares: list[int],
    gone: str,
    moves: list[tuple[str, int]],
    bought: int,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        books: dict[str, tuple[Ladder, Ladder]] = {
            asset: make_ladders(mid, D("0.01"), D(60), spread=3, gap=4) for asset, mid in mids.items()
        }
        house = make_house(Path(folder), make_market(books, rules=dict.fromkeys(mids, COARSE)))
        basket = {"A": D(1), "B": D(2), "C": D("0.5")}
        await house.create(make_definition(basket=basket))
        await house.buy(20)
        wanted = {asset: share for asset, share in zip("ABCD", shares, strict=True) if asset != gone}
        whole = sum(wanted.values())
        weights = {asset: divide(D(share), D(whole), D("0.0001")) for asset, share in wanted.items()}
        weights["D"] += 1 - sum(weights.values())
        await house.administration.edit_index("1", make_definition(basket={}, weights=weights))
        accepted = await house.accept_rebalance()
        house.venue.before_place = mover(house, mids, moves)
        house.manager.stop_when(lambda: bool(_waves(house, accepted.id)))
        await house.manager.run([accepted.id])
        require_identities(house, report_of(house, accepted.id))
        house.manager.stop_when(lambda: False)
        if bought:
            await house.buy(bought, time_in_force="gtc")
        await house.manager.run([accepted.id])
        require_identities(house, report_of(house, accepted.id))
        assert findings(house.database, house.exchange) == []


def _waves(house: House, number: int) -> int:
    return sum(wave.settled_at is not None for wave in report_of(house, number).waves)


async def test_a_basket_that_nobody_holds_is_reported_by_the_unit(tmp_path: Path) -> None:
    books = {asset: make_ladders(D(mid), D("0.01"), D(10_000)) for asset, mid in (("A", 100), ("B", 10), ("C", 1))}
    house = make_house(tmp_path, make_market(books))
    await house.create(make_definition(basket={"A": D("0.5"), "B": D(5)}))
    weights = {"A": D("0.25"), "C": D("0.75")}
    await house.administration.edit_index("1", make_definition(basket={}, weights=weights))
    report = report_of(house, (await house.rebalance()).id)
    shown = {
        line.asset: (line.weight_before, line.target, round_to(line.weight_after, D("1e-6")))
        for line in report.legs
    }
    assert shown == {
        "A": (D("0.5"), D("0.25"), D("0.25")),
        "B": (D("0.5"), 0, 0),
        "C": (0, D("0.75"), D("0.75")),
        "USDT": (0, 0, 0),
    }
    assert (report.added, report.removed, report.changed) == (("C",), ("B",), ("A",))
    assert [each.version for each in report.baskets] == [1, 2]
    assert {line.asset: line.per_unit_after for line in report.legs}["C"] == D(75)
