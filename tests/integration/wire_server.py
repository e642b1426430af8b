"""Serves the exchange of a folder to a test, and dies by SIGKILL at a chosen moment of a chosen order.

    python -m tests.integration.wire_server FOLDER SCENARIO PORT [MOMENT ORDER]

Prints its port. The moments: an order has `arrived`, is `written` and not committed, is
`committed` and not answered.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence

from tests.integration.scenarios import SCENARIOS

from etf_trader.database import Database
from etf_trader.exchange.paper import OrderRequest, PaperExchange
from etf_trader.exchange.refusal import ExchangeError
from etf_trader.exchange.server.app import serving
from etf_trader.exchange.views import OrderView

MOMENTS = ("arrived", "written", "committed")


class DoomedExchange(PaperExchange):
    """Kills its process at a moment of the `left`-th order."""

    moment = ""
    left = 0

    def begin_all(
        self, orders: Sequence[tuple[str, OrderRequest]]
    ) -> tuple[list[OrderView | ExchangeError], Callable[[], None]]:
        """Do as the exchange does, as far as it comes."""
        self.left -= len(orders)
        self._die("arrived")
        views, commit = super().begin_all(orders)
        self._die("written")

        def committed() -> None:
            commit()
            self._die("committed")

        return views, committed

    def _die(self, moment: str) -> None:
        if self.moment == moment and self.left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


async def main(folder: str, scenario: str, port: str, moment: str = "", order: str = "0") -> None:
    """Serve until killed."""
    market = SCENARIOS[scenario].market()
    database = Database(f"sqlite:///{folder}/exchange.db")
    exchange = DoomedExchange.open(database, lambda kind, parameters: market)
    exchange.moment, exchange.left = moment, int(order)
    async with serving(exchange, port=int(port)) as address:
        print(address.port, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
