"""The plan object of a wave: what the rest of a rebalance trades and costs. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from etf_trader.execution.waves import Wave
from etf_trader.market.document import market_hash
from etf_trader.solver.rebalance_document import rebalance_plan_document


def wave_document(wave: Wave, market: Mapping[str, Any], beside: Sequence[str] = ()) -> dict[str, Any]:
    """Return the plan object of a wave.

    Args:
        wave: With a plan.
        market: What its view says.
        beside: The seals of the plans of the orders that trade with it in one batch.
    """
    assert wave.plan is not None and wave.problem is not None
    return rebalance_plan_document(
        wave.problem,
        wave.plan,
        index=wave.state.index.symbol,
        basket_version=wave.state.basket.version,
        book_hash=market_hash(market),
        kept=wave.kept,
        beside=beside,
    )
