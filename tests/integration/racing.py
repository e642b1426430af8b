"""One of several processes that want the same thing at once: `python -m tests.integration.racing FOLDER URL WHAT`.

Each says "ready", begins when it is told so, and prints what it got.
"""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

from tests.factories import House, make_house, make_request
from tests.integration.scenarios import make_frozen_market

from etf_trader.clock import SystemClock
from etf_trader.execution.budget import budget, grant
from etf_trader.execution.lease import Lease, Leases, Owner
from etf_trader.execution.queue import Queue
from etf_trader.market.symbol import Side
from etf_trader.money import money_context
from etf_trader.orders.store import list_index_orders, list_plans, request_cancel
from etf_trader.venue.interface import OrderLimit

LIMIT = 60
KEY = "the-same"


def lease(house: House) -> list[int]:
    """Take the lease, as a host of its own, and keep it; print whether it did."""
    taken = Leases(house.database, SystemClock(), f"host-{os.getpid()}").take(house.account.id)
    return [] if taken is None else [taken.epoch]


def slots(house: House) -> list[int]:
    """Take slots of one limit until there are none; print how many."""
    limits, now, taken = [OrderLimit(86_400, LIMIT)], house.clock.now(), 0
    for _ in range(2 * LIMIT):
        with house.database.write() as connection:
            if budget(connection, house.account.id, limits, now).free:
                grant(connection, house.account.id, [1], now)
                taken += 1
    return [taken]


def claims(house: House) -> list[int]:
    """Claim what waits of the last plan, a few at a time, all under one lease; print which orders."""
    queue = Queue(house.database, house.venue, house.clock, house.account, house.log, "here")
    with house.database.read() as connection:
        plan = list_plans(connection)[-1].id
    held = Lease(house.account.id, 1, Owner("here", 1, ""))
    found: list[int] = []
    while True:
        claim = queue._claim(
            [plan], held, [OrderLimit(10, 100)], house.clock.now(), lambda: False, is_ending=False
        )
        if not claim.granted:
            return found
        found += [order.id for order in claim.granted]


def cancel(house: House) -> list[int]:
    """Ask for the cancel of the open order, and work it or follow who does; print what it was filled with."""
    with house.database.write() as connection:
        order = list_index_orders(connection)[-1]
        request_cancel(connection, order.id, house.clock.now())
    asyncio.run(house.manager.run([order.id]))
    return [int(house.order(order.id).status == "cancelled")]


def client_key(house: House) -> list[int]:
    """Accept a request under a key that the others use too; print the number of the order."""
    return [asyncio.run(house.desk.accept(make_request(Side.BUY, client_key=KEY))).id]


RACES: dict[str, Callable[[House], list[int]]] = {
    "lease": lease,
    "slots": slots,
    "claims": claims,
    "cancel": cancel,
    "client_key": client_key,
}


def main(folder: Path, url: str, what: str) -> None:
    """Race once."""
    house = make_house(folder, make_frozen_market(), url=url)
    print("ready", flush=True)
    sys.stdin.readline()
    print(*RACES[what](house), flush=True)
    if what == "lease":
        sys.stdin.readline()  # the lease of a process that has ended would be free
    house.database.close()


if __name__ == "__main__":
    with money_context():
        main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
