"""One submit on the frozen house in a process of its own: `python -m tests.integration.submitting FOLDER REQUEST`.

Waits for the file `go` in the folder, so that several begin at once. With
ETF_TEST_STOP it stops itself with SIGSTOP just before its first order arrives,
with ETF_TEST_SLOW it takes so many seconds for each order.
"""

import asyncio
import os
import signal
import sys
import time
from decimal import Decimal
from pathlib import Path

from tests.factories import make_house, make_request
from tests.integration.scenarios import make_frozen_market

from etf_trader.errors import EtfError
from etf_trader.exchange.static import StaticMarket
from etf_trader.market.symbol import Side
from etf_trader.money import money_context
from etf_trader.venue.interface import LimitOrder


def main(folder: Path, side: str, quantity: str, client_key: str, *, market: StaticMarket | None = None) -> int:
    """Submit, and return the exit code that the command would."""
    house = make_house(folder, market or make_frozen_market())
    request = make_request(Side(side), quantity=Decimal(quantity), client_key=client_key)
    (folder / f"ready-{os.getpid()}").touch()
    while not (folder / "go").exists():
        time.sleep(0.005)

    def stop(_: LimitOrder) -> None:
        house.venue.before_place = None
        os.kill(os.getpid(), signal.SIGSTOP)

    def dawdle(_: LimitOrder) -> None:
        time.sleep(float(os.environ["ETF_TEST_SLOW"]))

    if os.environ.get("ETF_TEST_SLOW"):
        house.venue.before_place = dawdle
    if os.environ.get("ETF_TEST_STOP"):
        house.venue.before_place = stop
    try:
        order = asyncio.run(house.submit(request))
    except EtfError as error:
        print(f"{error.code}: {error.message}", file=sys.stderr)
        return error.exit_code
    print(f"{order.status} {order.filled}")
    return 0


if __name__ == "__main__":
    with money_context():
        sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
