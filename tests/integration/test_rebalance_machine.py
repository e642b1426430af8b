"""Random orders and rebalances of two overlapping indices: whatever the books do, ours are right."""

import asyncio
from datetime import date, timedelta
from decimal import Decimal
from typing import ClassVar

from hypothesis import settings, strategies
from hypothesis.stateful import rule
from tests.effort import examples
from tests.factories import make_definition, make_ladders
from tests.integration.test_together_machine import PRICES, Batches, depths, moves

from etf_trader.errors import DataError, UsageError
from etf_trader.orders.rebalances import list_rebalances
from etf_trader.orders.status import IndexOrderStatus
from etf_trader.orders.store import request_cancel

D = Decimal

portions = strategies.lists(strategies.integers(0, 4), min_size=3, max_size=3).filter(any)


class Rebalances(Batches):
    """As `Batches`, with a third asset that none of them holds at first, and rulebooks that change."""

    prices: ClassVar[dict[str, Decimal]] = {**PRICES, "C": D(5)}

    def __init__(self) -> None:
        super().__init__()
        self.day = date(2026, 11, 1)

    @rule(index=strategies.sampled_from(["1", "2"]), portions=portions)
    def edit(self, index: str, portions: list[int]) -> None:
        grid = D("0.0001")
        weights = {
            asset: grid * (10_000 * part // sum(portions))
            for asset, part in zip("ABC", portions, strict=True)
            if part
        }
        last = max(weights)
        weights[last] += 1 - sum(weights.values())
        symbol = "TWO" if index == "1" else "ONE"
        asyncio.run(
            self.house.administration.edit_index(index, make_definition(symbol=symbol, basket={}, weights=weights))
        )

    @rule(index=strategies.sampled_from(["1", "2"]))
    def rebalance(self, index: str) -> None:
        self.day += timedelta(days=1)
        try:
            asyncio.run(self.house.accept_rebalance(self.day, index))
        except (UsageError, DataError):  # no rulebook yet, one is under way, or no price
            return

    @rule()
    def cancel_rebalances(self) -> None:
        with self.house.database.write() as connection:
            for order in list_rebalances(connection, statuses=[IndexOrderStatus.OPEN]):
                request_cancel(connection, order.id, self.house.clock.now())

    @rule(moved=moves, spread=strategies.sampled_from([1, 8, 45]), depth=depths)
    def move_the_third(self, moved: int, spread: int, depth: str) -> None:
        mid = D(5) + D("0.01") * moved
        self.market.set_book("CUSDT", *make_ladders(mid, D("0.01"), D(depth), spread=spread, gap=2))


TestRebalances = Rebalances.TestCase
TestRebalances.settings = settings(max_examples=examples(6), stateful_step_count=14, deadline=None)
