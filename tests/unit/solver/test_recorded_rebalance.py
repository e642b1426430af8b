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


def test_spreading_over_recorded_books_gains_with_size_and_nothing_without() -> None:
    with money_context():
        legs = tuple(
            Leg(
                asset=rule.base,
                rule=rule,
                per_unit=divide_down(D(1000), (bids[0].price + asks[0].price) * 7, D("1e-8")),
                levels=asks,
                complete=False,
                mid=(bids[0].price + asks[0].price) / 2,
                arrival_mid=(bids[0].price + asks[0].price) / 2,
                held=D(0),
                held_cost=D(0),
                residual=D(0),
            )
            for rule, bids, asks in recorded()
        )
        assumed = Assumptions(D(20), D(1), D(15), D("0.1"))
        gains = []
        for units in (2, 2000):
            problem = OrderProblem(Side.BUY, D(units), legs, D(0), float_cash=D(10**6))
            gains.append(plan_schedule(problem, Algo.OPTIMAL, Span(1800, 30, 1000), assumed).gain_bps)
        small, large = gains
        assert small is not None and large is not None
        assert small < 1 and large > 5
