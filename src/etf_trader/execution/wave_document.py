"""The plan object of a wave: what the rest of a rebalance trades and costs. Pure."""

from collections.abc import Mapping
from typing import Any

from etf_trader.execution.waves import Wave
from etf_trader.market.document import market_hash
from etf_trader.money import plain
from etf_trader.orders.rebalance import RebalanceLeg


def wave_document(wave: Wave, market: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plan object of a wave; `market` is what its view says."""
    assert wave.plan is not None and wave.problem is not None
    plan = wave.plan
    return {
        "index": wave.state.index.symbol,
        "basket_version": wave.state.basket.version,
        "book_hash": market_hash(market),
        "mids": {each.asset: plain(each.mid) for each in wave.problem.constituents},
        "waves": plan.waves,
        "legs": [_leg(leg) for leg in plan.legs],
    }


def _leg(leg: RebalanceLeg) -> dict[str, Any]:
    return {"asset": leg.asset, "side": None if leg.side is None else str(leg.side), "wave": leg.wave}
