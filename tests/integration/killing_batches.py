"""Kills runs of several orders at chosen lines, recovers, and reports what is wrong afterwards.

Runs as a process of its own (`python -m tests.integration.killing_batches`), as
`killing` does: several orders in one batch that share asset orders and meet
inside, or orders over several currencies.
"""

import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.factories import House, make_definition, make_house, make_ladders, make_market, make_request
from tests.integration.killing import die_at_line, forked, judge, spread
from tests.integration.test_routes import make_routes_market
from tests.invariants import findings, limit_findings, standing_findings

from etf_trader.exchange.static import StaticMarket
from etf_trader.ledger.audit import audit
from etf_trader.market.symbol import Side
from etf_trader.money import money_context
from etf_trader.orders.index_order import OrderRequest
from etf_trader.orders.store import list_index_orders

D = Decimal


@dataclass(frozen=True, slots=True)
class Scenario:
    """A market, what happens before, and the requests that are killed."""

    market: Callable[[], StaticMarket]
    before: Callable[[House], Any]
    requests: tuple[OrderRequest, ...]


def shared_market() -> StaticMarket:
    """Books that do not move, with coarse lots and orders of at most 100 B."""
    return make_market(
        {"A": make_ladders(D(100), D("0.01"), D(25), gap=9), "B": make_ladders(D(10), D("0.01"), D(300), gap=2)},
        rules={"A": {"step": "0.001"}, "B": {"step": "1", "min_quantity": "1", "max_quantity": "100"}},
    )


async def two_indices(house: House) -> None:
    """An index of one A and two B, one of five B, and units of the first to sell."""
    await house.create(make_definition())
    await house.create(make_definition(symbol="ONE", basket={"B": D(5)}))
    await house.buy("15.5")


async def one_routed_index(house: House) -> None:
    """An index that trades in USDT and USDC, and units of it to sell."""
    await house.create(make_definition(routes=("USDT", "USDC")))
    await house.buy("60.5")


def asked(key: str, side: Side, quantity: str, **changes: object) -> OrderRequest:
    return make_request(side, quantity=D(quantity), client_key=key, **changes)


SCENARIOS = {
    "shared": Scenario(
        shared_market,
        two_indices,
        (
            asked("one", Side.BUY, "21.5", time_in_force="gtc"),
            asked("two", Side.SELL, "7.7", limit_price=D("119.2"), time_in_force="gtc"),
            asked("three", Side.BUY, "20", index_id=2, limit_price=D("50.4")),
            asked("four", Side.BUY, "200", limit_price=D("120.45"), time_in_force="gtc"),
        ),
    ),
    "routed": Scenario(
        lambda: make_routes_market(free=("USDCUSDT",)),
        one_routed_index,
        (asked("one", Side.BUY, "150"), asked("two", Side.SELL, "40.25", time_in_force="gtc")),
    ),
}


async def submit(house: House, requests: tuple[OrderRequest, ...]) -> None:
    """Accept all, then run them together; what is accepted already is not accepted again."""
    orders = [await house.desk.accept(request) for request in requests]
    await house.manager.run([order.id for order in orders])


async def reconcile_and_submit(house: House, requests: tuple[OrderRequest, ...]) -> None:
    """Settle what was in flight without trading, then go on."""
    await house.manager.reconcile()
    await submit(house, requests)


def run_case(base: Path, folder: Path, scenario: Scenario, case: dict[str, Any]) -> dict[str, Any]:
    """Play one case on a copy of `base`: kill once or twice, recover, look."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(base, folder)

    def opened() -> House:
        return make_house(folder, scenario.market())

    def doomed() -> None:
        house = opened()
        count = die_at_line(case["line"])
        asyncio.run(submit(house, scenario.requests))
        sys.settrace(None)
        (folder / "lines").write_text(str(count()))

    def second() -> None:
        house = opened()
        die_at_line(case["second_line"])
        asyncio.run(submit(house, scenario.requests))

    def recovery() -> None:
        way = reconcile_and_submit if case.get("by") == "reconcile" else submit
        asyncio.run(way(opened(), scenario.requests))

    def look_at_the_wreck() -> None:
        with opened().database.read() as connection:
            (folder / "wreck").write_text(json.dumps(standing_findings(connection)))

    def look() -> None:
        house = opened()
        with house.database.read() as connection:
            found = limit_findings(connection)
            found += [str(each) for each in audit(connection, house.account).findings]
            orders = {order.client_key: order for order in list_index_orders(connection)}
        found += findings(house.database, house.exchange)
        ends = {
            request.client_key: [str(orders[request.client_key].filled), str(orders[request.client_key].status)]
            for request in scenario.requests
        }
        (folder / "facts").write_text(json.dumps({"ends": ends, "findings": found}))

    return judge(folder, case, forked(doomed), look_at_the_wreck, second, recovery, look)


def kill_and_recover(folder: Path, scenario: str, points: int, twice: int) -> list[dict[str, Any]]:
    """Play a scenario in a process of its own: undisturbed, killed at so many lines, and killed twice."""
    wanted = {
        "folder": str(folder),
        "scenario": scenario,
        "points": points,
        "twice": twice,
        "seed": int(os.environ.get("ETF_TEST_KILL_SEED", "1")),
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.killing_batches"],
        input=json.dumps(wanted),
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results: list[dict[str, Any]] = json.loads(done.stdout)["results"]
    for result in results:
        assert result["findings"] == [], f"{result['case']}: {result['findings']}\n{done.stderr}"
    return results


def main() -> None:
    """Serve the cases on stdin."""
    wanted = json.load(sys.stdin)
    folder, scenario = Path(wanted["folder"]), SCENARIOS[wanted["scenario"]]
    base = folder / "base"
    base.mkdir()
    with money_context():
        house = make_house(base, scenario.market())
        asyncio.run(scenario.before(house))
        house.database.close()
        calm = run_case(base, folder / "calm", scenario, {"line": 0})
        results = [calm]
        cases: list[dict[str, Any]] = []
        for point, line in enumerate(spread(wanted["points"], calm["lines"], wanted["seed"])):
            cases.append({"line": line, "by": ("key", "reconcile")[point % 2]})
        dice = random.Random(wanted["seed"])
        for line in spread(wanted["twice"], calm["lines"], wanted["seed"] + 1):
            cases.append({"line": line, "second_line": dice.randrange(1, calm["lines"])})
        results += [run_case(base, folder / "case", scenario, case) for case in cases]
    json.dump({"results": results}, sys.stdout)


if __name__ == "__main__":
    main()
