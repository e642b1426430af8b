"""Random orders of two overlapping indices on books that move: whatever happens, the books are right."""

import asyncio
import shutil
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

from hypothesis import settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.effort import examples
from tests.factories import make_definition, make_house, make_ladders, make_market, make_request
from tests.invariants import findings, limit_findings, standing_findings

from etf_trader.errors import DataError, UsageError
from etf_trader.ledger.audit import audit
from etf_trader.market.symbol import Side
from etf_trader.money import money_context
from etf_trader.orders.index_order import IndexOrder
from etf_trader.orders.status import IndexOrderStatus
from etf_trader.orders.store import list_index_orders, request_cancel
from etf_trader.venue.interface import LimitOrder

D = Decimal
PRICES = {"A": D(100), "B": D(10)}

quantities = strategies.sampled_from(["0.3", "1", "2.55", "7.7", "12.34567891", "40", "150"])
offsets = strategies.sampled_from([-40, -5, 0, 5, 40])  # bps of the price of a unit
depths = strategies.sampled_from(["0.5", "3", "20", "400"])
assets = strategies.sampled_from(["A", "B"])
moves = strategies.integers(-60, 60)  # ticks


class Batches(RuleBasedStateMachine):
    """An index of one A and two B, another of five B, and units of both to sell."""

    prices: ClassVar[dict[str, Decimal]] = PRICES

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="etf-batches-"))
        self.seen: list[str] = []
        self._context = money_context()
        self._context.__enter__()

    @initialize(step=strategies.sampled_from(["0.001", "1"]), float_cash=strategies.sampled_from([0, 9, 1000]))
    def begin(self, step: str, float_cash: int) -> None:
        rules = {"A": {"step": "0.001"}, "B": {"step": step, "min_quantity": step}}
        self.market = make_market(
            {asset: make_ladders(price, D("0.01"), D(100)) for asset, price in self.prices.items()}, rules=rules
        )
        self.house = make_house(self.folder, self.market)
        asyncio.run(self._found(D(float_cash)))
        self.house.database.watch = lambda connection: self.seen.extend(standing_findings(connection))

    async def _found(self, float_cash: Decimal) -> None:
        await self.house.create(make_definition(float_cash=D(1000)))
        await self.house.create(make_definition(symbol="ONE", basket={"B": D(5)}, float_cash=D(1000)))
        await self.house.buy(20)
        await self.house.buy(20, index_id=2)
        for index in ("1", "2"):
            held = self.house.holdings(f"float:{index}")["USDT"]
            self.house.administration.fund_index(index, float_cash - held)

    @rule(
        side=strategies.sampled_from(list(Side)),
        index=strategies.sampled_from([1, 2]),
        quantity=quantities,
        stays=strategies.booleans(),
        limit=strategies.none() | offsets,
        max_loss=strategies.none() | strategies.sampled_from([15, 40]),
    )
    def submit(
        self, side: Side, index: int, quantity: str, stays: bool, limit: int | None, max_loss: int | None
    ) -> None:
        unit = D(120) if index == 1 else D(50)
        request = make_request(
            side,
            index_id=index,
            quantity=D(quantity),
            limit_price=None if limit is None else unit + unit * limit / 10_000,
            max_loss_bps=None if max_loss is None else D(max_loss),
            time_in_force="gtc" if stays else "now",
        )
        try:
            asyncio.run(self.house.desk.accept(request))
        except (UsageError, DataError):
            return

    @rule()
    def work(self) -> None:
        try:
            asyncio.run(self.house.manager.run([]))
        except DataError:
            return

    @precondition(lambda self: self._open())
    @rule(data=strategies.data())
    def cancel(self, data: strategies.DataObject) -> None:
        order = data.draw(strategies.sampled_from([each.id for each in self._open()]))
        with self.house.database.write() as connection:
            request_cancel(connection, order, self.house.clock.now())

    @rule(asset=assets, moved=moves, spread=strategies.sampled_from([1, 8, 45]), depth=depths)
    def move(self, asset: str, moved: int, spread: int, depth: str) -> None:
        self._set(asset, moved, spread, depth)

    @rule(asset=assets, moved=moves, depth=depths)
    def move_when_the_next_order_arrives(self, asset: str, moved: int, depth: str) -> None:
        def move(_: LimitOrder) -> None:
            self.house.venue.before_place = None
            self._set(asset, moved, 1, depth)

        self.house.venue.before_place = move

    def _set(self, asset: str, moved: int, spread: int, depth: str) -> None:
        mid = PRICES[asset] + D("0.01") * moved
        self.market.set_book(f"{asset}USDT", *make_ladders(mid, D("0.01"), D(depth), spread=spread, gap=2))

    def _open(self) -> list[IndexOrder]:
        with self.house.database.read() as connection:
            return list_index_orders(connection, statuses=[IndexOrderStatus.OPEN])

    @invariant()
    def the_books_are_right(self) -> None:
        if not hasattr(self, "house"):
            return
        assert self.seen == []
        assert findings(self.house.database, self.house.exchange) == []
        with self.house.database.read() as connection:
            assert limit_findings(connection) == []
            assert audit(connection, self.house.account).findings == ()

    def teardown(self) -> None:
        if hasattr(self, "house"):
            self.house.database.close()
        self._context.__exit__(None, None, None)
        shutil.rmtree(self.folder, ignore_errors=True)


TestBatches = Batches.TestCase
TestBatches.settings = settings(max_examples=examples(6), stateful_step_count=12, deadline=None)
