"""The served exchange is killed in the middle of an order and begins again: nothing is lost, and nothing twice."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from tests.factories import UID
from tests.integration.harness import STARTS, differences, ends_of, judge, submit
from tests.integration.scenarios import SCENARIOS
from tests.integration.wire_harness import Process, WireShop, process
from tests.integration.wire_server import MOMENTS

from etf_trader.clock import SystemClock
from etf_trader.errors import EtfError
from etf_trader.exchange.paper import PaperExchange
from etf_trader.exchange.server.app import Address
from etf_trader.execution.reconcile import unbooked

ROOT = Path(__file__).parents[2]
SCENARIO = "buy"


class Served:
    """A server in a process of its own, which is begun again when it dies."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._child: asyncio.subprocess.Process | None = None
        self.port = 0
        self.deaths = 0

    async def begin(self, *doom: str) -> None:
        words = ["-m", "tests.integration.wire_server", str(self._folder), SCENARIO, str(self.port), *doom]
        self._child = await asyncio.create_subprocess_exec(
            sys.executable, *words, cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        assert self._child.stdout is not None
        self.port = int(await self._child.stdout.readline())

    async def watch(self) -> None:
        """Begin again after each death, at the same port."""
        while self._child is not None:
            await self._child.wait()
            self.deaths += 1
            await self.begin()

    async def end(self) -> None:
        if self._child is not None and self._child.returncode is None:
            self._child.kill()
            await self._child.wait()


@asynccontextmanager
async def served(folder: Path, *doom: str) -> AsyncIterator[Served]:
    """Serve, and see to it that somebody does, until the block is left."""
    made = Served(folder)
    await made.begin(*doom)
    watching = asyncio.create_task(made.watch())
    try:
        yield made
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        await made.end()


@pytest.mark.parametrize(("moment", "order"), [(moment, number) for number, moment in enumerate(MOMENTS, start=1)])
def test_a_server_killed_in_the_middle_of_an_order_costs_nothing_but_time(
    tmp_path: Path, moment: str, order: int
) -> None:
    shop, scenario = WireShop(tmp_path), SCENARIOS[SCENARIO]
    calm = shop.calm(SCENARIO)
    base = shop.set_back(SCENARIO)
    market = scenario.market()
    exchange = PaperExchange.open(shop.theirs, lambda kind, parameters: market)

    async def play() -> list[str]:
        async with served(tmp_path, moment, str(order)) as server:
            ours = Process(exchange, market, Address(server.port), shop.ours, base.keys, SystemClock())
            for _ in range(STARTS):
                with suppress(EtfError):
                    async with process(ours) as (house, _):
                        await submit(house, scenario.requests)
                    break
                await asyncio.sleep(1)
            async with process(ours) as (house, venue):
                await submit(house, scenario.requests)
                wrong = await unbooked(house.database, venue, house.account)
                assert server.deaths == 1
                return wrong + judge(house, scenario) + differences(scenario, calm, ends_of(house))

    assert asyncio.run(play()) == []
    assert len(exchange.orders(UID)) > order
    shop.remove()
