"""What a unit was worth is written down once for each state, at prices that say where they come from."""

import asyncio
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete
from tests.effort import examples
from tests.factories import House, make_definition, make_house, make_ladders, make_market

from etf_trader.errors import MissingPrice
from etf_trader.exchange.static import StaticMarket
from etf_trader.execution.valuing import prices_now
from etf_trader.index.benchmarks import current_fixing, fixings_of, set_benchmark, swap
from etf_trader.index.methodology import read_methodology
from etf_trader.index.navs import Nav, navs_of
from etf_trader.index.prices import LAST, MID, Price, mids_at
from etf_trader.index.store import Index, index_by_id
from etf_trader.index.tables import benchmarks, navs
from etf_trader.ledger.audit import audit
from etf_trader.ledger.valuation import record_nav
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO, money_context
from etf_trader.reports.nav import nav_report, recorded_nav_report
from etf_trader.reports.performance import performance_report
from etf_trader.reports.period import ALWAYS, Period

D = Decimal
BOOKS = {
    "A": make_ladders(D(20), D("0.01"), D(4000)),
    "B": make_ladders(D(5), D("0.01"), D(8000)),
    "C": make_ladders(D(2), D("0.01"), D(20_000)),
    "D": make_ladders(D(10), D("0.01"), D(4000)),
}
BASKET = {"A": D(1), "B": D(2), "C": D(5)}


def made_house(folder: Path, url: str | None = None) -> House:
    house = make_house(folder, make_market(BOOKS), url=url)
    asyncio.run(house.create(make_definition(basket=BASKET)))
    return house


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = made_house(tmp_path)
    yield made
    made.database.close()


@pytest.fixture
def either(tmp_path: Path, url: str) -> Iterator[House]:
    made = made_house(tmp_path, url)
    yield made
    made.database.close()


def index_of(house: House) -> Index:
    with house.database.read() as connection:
        return index_by_id(connection, 1)


def prices(house: House, *assets: str) -> dict[str, Price]:
    return asyncio.run(prices_now(house.venue, assets or ("A", "B", "C"), "USDT"))


def record(house: House, reason: str = "record") -> Nav:
    known = prices(house)
    with house.database.write() as connection:
        return record_nav(connection, index_of(house), known, house.clock.now(), reason)


def history(house: House) -> list[Nav]:
    with house.database.read() as connection:
        return navs_of(connection, 1)


def audited(house: House) -> list[str]:
    with house.database.read() as connection:
        return [f"{each.entry}: {each.message}" for each in audit(connection, house.account).findings]


def later(house: House, days: int) -> None:
    house.exchange.advance(days * 86_400)


def test_the_history_of_an_index_begins_with_it_and_goes_on_with_every_trade(either: House) -> None:
    asyncio.run(either.buy(10))
    asyncio.run(either.sell(4))
    record(either)
    found = history(either)
    assert [(nav.reason, nav.units, nav.nav_per_unit, nav.level) for nav in found] == [
        ("record", D(0), D(40), D(40)),
        ("trade", D(10), D(40), D(40)),
        ("trade", D(6), D(40), D(40)),
        ("record", D(6), D(40), D(40)),
    ]
    assert found[1].prices["B"] == Price(D(5), MID, found[1].at)
    assert audited(either) == []


def test_a_clock_that_is_set_back_between_two_changes_of_the_index_breaks_no_level(either: House) -> None:
    index, known = index_of(either), prices(either, "A", "B", "C", "D")
    now = either.clock.now()
    changes = [({"A": D(1)}, timedelta(days=2), "first"), ({"B": D("0.5"), "D": D("0.5")}, timedelta(1), "second")]
    for weights, later_by, reason in changes:
        with either.database.write() as connection:
            set_benchmark(connection, index, weights, known, now + later_by, reason)
    either.market.set_book("AUSDT", *make_ladders(D(40), D("0.01"), D(4000)))  # type: ignore[attr-defined]
    moved = prices(either, "A", "B", "C", "D")
    with either.database.write() as connection:
        assert set_benchmark(connection, index, {"A": D(1)}, moved, now, "third").level == D(40)
    with either.database.read() as connection:
        assert [each.reason for each in fixings_of(connection, 1)] == ["began", "first", "second", "third"]
        current = current_fixing(connection, 1)
    assert current is not None
    assert current.reason == "third"
    assert audited(either) == []


def test_recording_twice_at_one_moment_changes_nothing(either: House) -> None:
    assert record(either) == record(either)
    assert len(history(either)) == 1  # the state it was created with, at the same moment still
    later(either, 1)
    assert record(either) == record(either)
    assert len(history(either)) == 2


def test_the_index_changes_whole_and_its_level_stays(either: House) -> None:
    """The worked rebalance of docs/accounting: A .5, B 4, D 1 at the level of 40."""
    index, weights = index_of(either), {"A": D("0.25"), "B": D("0.5"), "C": D(0), "D": D("0.25")}
    known = prices(either, "A", "B", "C", "D")
    for _ in range(2):  # the second time nothing is written
        with either.database.write() as connection:
            fixing = set_benchmark(connection, index, weights, known, either.clock.now(), "rebalance 1")
    assert fixing.benchmark.quantities == {"A": D("0.5"), "B": D(4), "D": D(1)}
    assert fixing.level == D(40)
    with either.database.read() as connection:
        assert [each.reason for each in fixings_of(connection, 1)] == ["began", "rebalance 1"]
    later(either, 1)
    assert isinstance(either.market, StaticMarket)
    either.market.set_book("DUSDT", *make_ladders(D(20), D("0.01"), D(4000)))
    found = prices(either, "A", "B", "C", "D")
    with either.database.write() as connection:
        nav = record_nav(connection, index, found, either.clock.now())
    assert (nav.nav_per_unit, nav.level) == (D(40), D(50))  # the fund has not followed yet
    assert set(nav.prices) == {"A", "B", "C", "D"}
    assert audited(either) == []


def test_a_swap_of_tokens_moves_no_level(either: House) -> None:
    index = index_of(either)
    for _ in range(2):
        with either.database.write() as connection:
            fixing = swap(connection, index, "C", "E", D(4), either.clock.now())
    assert fixing is not None
    assert fixing.benchmark.quantities == {"A": D(1), "B": D(2), "E": D(20)}
    assert fixing.level == D(40)
    assert fixing.prices["E"] == Price(D("0.5"), LAST, fixing.prices["C"].at)
    with either.database.write() as connection:
        assert swap(connection, index, "NONE", "E", D(1), either.clock.now(), "swap 2") is None
        nav = record_nav(connection, index, {}, either.clock.now() + timedelta(hours=1))
    assert nav.level == D(40)
    assert audited(either) == []


def test_an_index_of_before_begins_its_benchmark_with_its_first_row(house: House) -> None:
    asyncio.run(house.buy(10))
    with house.database.write() as connection:
        connection.execute(delete(navs))
        connection.execute(delete(benchmarks))
    assert isinstance(house.market, StaticMarket)
    house.market.set_book("AUSDT", *make_ladders(D(30), D("0.01"), D(4000)))
    nav = record(house)
    assert (nav.nav_per_unit, nav.level, nav.units) == (D(50), D(50), D(10))
    with house.database.read() as connection:
        fixing = current_fixing(connection, 1)
    assert fixing is not None
    assert fixing.benchmark.weights({"A": D(30), "B": D(5), "C": D(2)}) == {
        "A": D("0.6"),
        "B": D("0.2"),
        "C": D("0.2"),
    }


def test_a_price_that_is_not_of_now_is_the_last_known_and_says_so(house: House) -> None:
    assert isinstance(house.market, StaticMarket)
    began = house.clock.now()
    later(house, 1)
    house.market.set_status("AUSDT", "BREAK")
    house.market.set_book("BUSDT", [], [("5.01", "10")])
    house.market.delist("CUSDT")
    nav = record(house)
    assert (nav.prices["A"].source, nav.prices["A"].at) == (LAST, nav.at)  # its books stand still
    assert nav.prices["B"] == Price(D(5), LAST, began)
    assert nav.prices["C"] == Price(D(2), LAST, began)
    known = prices(house)
    later(house, 1)
    with house.database.read() as connection:
        report = nav_report(connection, index_of(house), known, house.clock.now())
    assert {line.asset: line.age_seconds.days for line in report.flagged} == {"A": 1, "B": 2, "C": 2}
    assert report.nav == D(40)


def test_what_never_had_a_price_has_no_worth_and_nothing_is_written(house: House) -> None:
    with house.database.write() as connection:
        connection.execute(delete(navs))
        connection.execute(delete(benchmarks))
    known = prices(house)
    del known["C"]
    index, now = index_of(house), house.clock.now()
    with (
        pytest.raises(MissingPrice, match="C has no price, and never had one here"),
        house.database.write() as connection,
    ):
        record_nav(connection, index, known, now)
    assert history(house) == []


def test_what_somebody_marks_keeps_its_source_until_there_is_a_price(house: House) -> None:
    index, now = index_of(house), house.clock.now()
    marked = mids_at({"A": D(20), "B": D(5)}, now) | {"C": Price(D(1), "mark", now)}
    with house.database.write() as connection:
        record_nav(connection, index, marked, now + timedelta(hours=1))
        nav = record_nav(connection, index, {}, now + timedelta(hours=2))
    assert {asset: price.source for asset, price in nav.prices.items()} == {"A": LAST, "B": LAST, "C": "mark"}
    assert nav.nav_per_unit == D(35)


def test_the_certificate_of_a_day_has_the_head_of_then(house: House) -> None:
    began = house.clock.now()
    later(house, 1)
    asyncio.run(house.buy(10))
    with house.database.read() as connection:
        before = recorded_nav_report(connection, index_of(house), began + timedelta(hours=1))
        newest = recorded_nav_report(connection, index_of(house))
        assert recorded_nav_report(connection, index_of(house), began) is None
    assert before is not None and newest is not None
    assert (before.units, newest.units, newest.value) == (D(0), D(10), D(400))
    assert before.head != newest.head
    assert sum((line.value for line in newest.prices), newest.cash) == newest.value


steps = st.lists(
    st.tuples(st.sampled_from(Side), st.decimals("0.5", "40", places=3), st.booleans()), min_size=1, max_size=3
)


@settings(max_examples=examples(5), deadline=None)
@given(steps)
def test_who_comes_and_goes_charges_nothing_to_those_who_stay(wanted: list[tuple[Side, Decimal, bool]]) -> None:
    """Fees and spreads are paid by whoever trades: at unmoved mids NAV per unit stays, to the last digit.

    The holdings of the index say so, not its basket: they are what units are backed by.
    """
    with tempfile.TemporaryDirectory() as folder, money_context():
        house = made_house(Path(folder))
        asyncio.run(house.buy("33.3"))
        for side, units, is_new in wanted:
            if side is Side.BUY:
                asyncio.run(house.buy(units, position="new" if is_new else "1"))
            else:
                asyncio.run(house.sell(min(units, house.position(1).units / 2), position="1"))
            held = house.holdings("index:1")
            worth = sum((held[asset] * mid for asset, mid in (("A", D(20)), ("B", D(5)), ("C", D(2)))), ZERO)
            assert worth == history(house)[-1].units * D(40)
        assert {nav.nav_per_unit for nav in history(house)} == {D(40)}
        with house.database.read() as connection:
            report = performance_report(connection, index_of(house), ALWAYS)
        assert audited(house) == []
        house.database.close()
    assert report is not None
    assert (report.fund_return, report.gain, report.drawdown.depth) == (ZERO, ZERO, ZERO)
    assert report.trading.loss == report.trading.loss_of_flows > 0
    assert report.opening + report.created - report.redeemed == report.closing
    assert sum((flow.units for flow in report.flows), ZERO) == report.navs[-1].units


def test_performance_has_the_sums_of_what_came_went_and_was_gained(house: House) -> None:
    """10 units at 40; A doubles: 600; 5 more at 60; A back to 20: 15 units at 40. Bought in all: 400 + 300."""
    assert isinstance(house.market, StaticMarket)
    asyncio.run(house.buy(10))
    later(house, 1)
    between = house.clock.now()
    house.market.set_book("AUSDT", *make_ladders(D(40), D("0.01"), D(4000)))
    asyncio.run(house.buy(5))
    later(house, 1)
    house.market.set_book("AUSDT", *make_ladders(D(20), D("0.01"), D(4000)))
    record(house)
    with house.database.read() as connection:
        whole = performance_report(connection, index_of(house), ALWAYS)
        part = performance_report(connection, index_of(house), Period(between))
        none = performance_report(connection, index_of(house), Period(None, between - timedelta(days=9)))
    assert none is None
    assert whole is not None and part is not None
    assert (whole.opening, whole.created, whole.redeemed, whole.gain, whole.closing) == tuple(
        map(D, (0, 700, 0, -100, 600))
    )
    assert (part.opening, part.created, part.redeemed, part.gain, part.closing) == tuple(
        map(D, (400, 300, 0, -100, 600))
    )
    assert (whole.fund_return, whole.index_return, whole.tracking_difference) == (ZERO, ZERO, ZERO)
    assert whole.drawdown.depth == D("0.333333333333")
    assert whole.money_weighted.over_period is not None and whole.money_weighted.over_period < 0


def test_an_index_may_be_fixed_at_the_close_of_the_day_before(house: House) -> None:
    asyncio.run(house.buy(10))
    weights = {"A": D("0.5"), "B": D("0.5")}
    rules = read_methodology({"weights": weights, "calendar": {"fixing": "close"}}, "a test")
    definition = make_definition(basket={}, weights=weights, rules=rules)
    asyncio.run(house.administration.edit_index("1", definition))
    later(house, 2)
    order = asyncio.run(house.accept_rebalance())
    with house.database.read() as connection:
        fixing = current_fixing(connection, 1)
    assert fixing is not None and fixing.reason == f"rebalance {order.id}"
    day = house.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    assert {(each.source, each.at) for asset, each in fixing.prices.items() if asset in "AB"} == {("close", day)}
    assert audited(house) == []


def test_a_rebalance_costs_the_fund_what_its_index_keeps(tmp_path: Path) -> None:
    """The worked rebalance: the level stays at 40, the fund falls to 39.96, by 10 bps on all that it trades."""
    hair, fine = D("0.00000001"), {"tick": "0.00000001", "step": "0.00000001", "min_quantity": "0.00000001"}
    mids = {"A": D(20), "B": D(5), "C": D(2), "D": D(10)}
    books = {asset: ([(str(mid - hair), "100000")], [(str(mid + hair), "100000")]) for asset, mid in mids.items()}
    market = make_market(books, rules=dict.fromkeys(mids, fine | {"min_notional": "0.001"}))
    house = make_house(tmp_path, market)
    asyncio.run(house.create(make_definition(basket=BASKET)))
    asyncio.run(house.buy(10))
    weights = {"A": D("0.25"), "B": D("0.5"), "D": D("0.25")}
    asyncio.run(house.administration.edit_index("1", make_definition(basket={}, weights=weights)))
    later(house, 1)
    asyncio.run(house.rebalance())
    later(house, 1)
    record(house)
    with house.database.read() as connection:
        report = performance_report(connection, index_of(house), ALWAYS)
    check_adjoining(house)
    assert audited(house) == []
    house.database.close()
    assert report is not None
    assert report.index_return == ZERO
    assert report.gain == -report.trading.loss_of_rebalances
    assert round(float(report.tracking_difference or 0), 6) == -0.001
    assert abs(float(report.turnover or 0) - 0.5) < 0.001
    assert report.trading.turned_over > 0


def check_adjoining(house: House) -> None:
    """Check that two spans that adjoin come to the whole, wherever they are cut: nothing is told twice."""
    index = index_of(house)
    for nav in history(house):
        for cut in (nav.at, nav.at + timedelta(microseconds=1)):
            with house.database.read() as connection:
                whole, *found = (
                    performance_report(connection, index, period)
                    for period in (ALWAYS, Period(until=cut), Period(since=cut))
                )
            parts = [part for part in found if part is not None]
            assert whole is not None
            for name in ("created", "redeemed", "gain"):
                assert sum(getattr(part, name) for part in parts) == getattr(whole, name)
            for name in ("loss", "loss_of_flows", "loss_of_rebalances", "turned_over"):
                assert sum(getattr(part.trading, name) for part in parts) == getattr(whole.trading, name)
