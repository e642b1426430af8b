"""The adapter before a served exchange whose faults a test switches."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.contract.wire import WireStage, staged

from etf_trader.market.symbol import Side
from etf_trader.venue.binance.venue import BinanceVenue
from etf_trader.venue.interface import LimitOrder

D = Decimal


@dataclass
class Wire:
    """A stage, and the admin endpoint of its server."""

    stage: WireStage
    session: aiohttp.ClientSession

    @property
    def venue(self) -> BinanceVenue:
        return self.stage.venue

    async def admin(self, verb: str, path: str, document: Mapping[str, Any] | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self.stage.address.admin_token}"}
        address = f"{self.stage.address.admin}{path}"
        async with self.session.request(verb, address, headers=headers, json=document or {}) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def fail(self, fault: str, *, only: str = "order.place", most: int = 1, **changes: float) -> None:
        """Let the next request of a kind fail in one way, so often."""
        plan = {"chances": {fault: 1.0}, "only": [only] if only else [], "most": most} | changes
        await self.admin("PUT", "/faults", plan)

    async def order(self, **changes: Any) -> LimitOrder:
        """A buy of 2 A that the first level fills, granted now."""
        facts: dict[str, Any] = {
            "symbol": "AUSDT",
            "side": Side.BUY,
            "quantity": D(2),
            "price": D("100.10"),
            "client_order_id": "etf-a-1-1",
            "granted_at": await self.venue.server_time(),
            "window_seconds": 2.0,
        }
        return LimitOrder(**(facts | changes))


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    async with staged(tmp_path, admin_port=0) as stage, aiohttp.ClientSession() as session:
        yield Wire(stage, session)
