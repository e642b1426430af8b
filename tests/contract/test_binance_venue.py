"""Binance's adapter keeps the venue's contract, talking to the paper exchange as a server."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.contract.suite import Stage, VenueContract
from tests.contract.wire import staged


class TestBinanceVenue(VenueContract):
    """The whole contract, over real sockets."""

    @pytest.fixture
    async def stage(self, tmp_path: Path) -> AsyncIterator[Stage]:
        async with staged(tmp_path) as stage:
            yield stage
