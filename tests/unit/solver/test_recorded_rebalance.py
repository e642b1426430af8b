"""Rebalances and schedules on seven recorded books of Binance, where the recordings are present."""

import os
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest
from tests.unit.solver.test_rebalance_properties import check_sums

from etf_trader.exchange.recording import RecordingMarket
from etf_trader.market.book import Level
from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.money import divide_down, money_context
from etf_trader.orders.schedule import Algo, Assumptions
from etf_trader.solver.problem import Leg, OrderProblem
from etf_trader.solver.rebalance import plan_rebalance
from etf_trader.solver.rebalance_problem import Aim, Bands, Constituent, Exact, RebalanceProblem, Tracking
from etf_trader.solver.schedule import Span, plan_schedule

D = Decimal
DATA = Path(os.environ.get("ETF_TEST_DATA", Path(__file__).parents[4] / "shared" / "data"))
FOLDER = DATA / "recordings-2021"
ASSETS = ("BTC", "ETH", "DOT", "ZIL", "MANA", "DENT", "BTCST")
FEE = D("0.001")
HALF_HOUR = Span(1800, 30, 1000)
ASSUMED = Assumptions(recovery_seconds=D(20), waiting_bps=D(1), turnover=D(15), participation=D("0.1"))

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="recordings absent")


@cache
def recorded() -> tuple[tuple[SymbolRule, tuple[Level, ...], tuple[Level, ...]], ...]:
    """The rule, bids and asks of each asset as the recording starts."""
    market = RecordingMarket(FOLDER)
    rows = {row["symbol"]: row for row in market.symbols()}
    books = []
    for asset in ASSETS:
        book = market.book(f"{asset}USDT", market.start)
        rule = SymbolRule.from_exchange_info(rows[f"{asset}USDT"], maker_fee=FEE, taker_fee=FEE)
        books.append((rule, *(tuple(Level(*each) for each in side) for side in (book.bids, book.asks))))
    return tuple(books)  # type: ignore[arg-type]


def rebalance(aim: Aim, nav: int) -> RebalanceProblem:
    """Equal weights from holdings that are between nothing and twice as much."""
    constituents = []
    for number, (rule, bids, asks) in enumerate(recorded()):
        mid = (bids[0].price + asks[0].price) / 2
        holding = divide_down(D(nav) * number, mid * 21, D("1e-8"))
        constituents.append(
            Constituent(rule.base, rule, holding, divide_down(D(99), D(700), D("1e-12")), mid, bids, asks)
        )
    return RebalanceProblem("USDT", D(nav) / 100, tuple(constituents), aim)


@pytest.mark.parametrize("aim", [Exact(), Bands(D("0.02")), Tracking(D(30))], ids=["exact", "bands", "tracking"])
@pytest.mark.parametrize("nav", [2_000, 200_000, 5_000_000])
def test_a_rebalance_on_recorded_books_adds_up_and_is_proved(aim: Aim, nav: int) -> None:
    with money_context():
        problem = rebalance(aim, nav)
        plan = plan_rebalance(problem)
        check_sums(problem, plan)
        assert plan.gap_bps <= D("0.05")
        assert plan.waves == 2 and 0 < plan.cost < nav // 100


def order(units: int) -> OrderProblem:
    """A buy of an index of equal weights, 1,000 a unit."""
    legs = []
    for rule, bids, asks in recorded():
        mid = (bids[0].price + asks[0].price) / 2
        per_unit = divide_down(D(1000), mid * 7, D("1e-8"))
        legs.append(Leg(rule.base, rule, per_unit, asks, False, mid, mid, D(0), D(0), D(0)))
    return OrderProblem(Side.BUY, D(units), tuple(legs), D(0), float_cash=D(10**6))


def test_spreading_over_recorded_books_gains_with_size_and_nothing_without() -> None:
    with money_context():
        small = plan_schedule(order(2), Algo.OPTIMAL, HALF_HOUR, ASSUMED)
        large = plan_schedule(order(500), Algo.OPTIMAL, HALF_HOUR, ASSUMED)
        even = plan_schedule(order(500), Algo.TWAP, HALF_HOUR, ASSUMED)
        assert small.gain_bps == 0 and len(small.periods) == 1
        assert large.gain_bps is not None and large.gain_bps > 5
        # joined levels may cost a tenth of a basis point over all periods, not in each
        assert large.loss_bps + large.waiting_bps < even.loss_bps + even.waiting_bps + D("0.1")
