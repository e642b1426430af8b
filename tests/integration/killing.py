"""Kills whole submits at chosen lines and moments, recovers, and reports what is wrong afterwards.

Runs as a process of its own (`python -m tests.integration.killing`), because it
forks one child a case and must have no threads of its own. The cases come as
JSON on stdin, one finding list a case goes to stdout.
"""

import asyncio
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import FrameType
from typing import Any

from tests.factories import House, make_definition, make_house, make_ladders, make_market, make_request
from tests.invariants import findings, limit_findings, standing_findings

from etf_trader.exchange.market import Depth, MarketBook
from etf_trader.exchange.static import StaticMarket
from etf_trader.market.symbol import Side
from etf_trader.money import money_context
from etf_trader.orders.index_order import OrderRequest
from etf_trader.orders.schedule import Algo
from etf_trader.orders.store import index_order_by_key
from etf_trader.orders.stored_schedule import ScheduleRequest

D = Decimal
KEY = "the-key"
TRACED = ("execution/", "ledger/", "orders/", "venue/paper.py", "exchange/paper.py", "exchange/turn.py")

QUOTED = ScheduleRequest(Algo.TWAP, 60, passive=D("0.3"))

REQUESTS = {
    "buy": make_request(Side.BUY, quantity=D(30), client_key=KEY),
    "limited buy": make_request(Side.BUY, quantity=D(200), limit_price=D("120.45"), client_key=KEY),
    "waiting buy": make_request(
        Side.BUY, quantity=D(200), limit_price=D("120.45"), time_in_force="gtc", client_key=KEY
    ),
    "timed buy": make_request(Side.BUY, quantity=D(30), schedule=ScheduleRequest(Algo.TWAP, 180), client_key=KEY),
    "quoted buy": make_request(Side.BUY, quantity=D(30), schedule=QUOTED, client_key=KEY),
    "quoted sell": make_request(Side.SELL, quantity=D("7.7"), schedule=QUOTED, client_key=KEY),
    "sell": make_request(Side.SELL, quantity=D("7.7"), client_key=KEY),
    "limited sell": make_request(Side.SELL, quantity=None, limit_price=D("119.75"), client_key=KEY),
}


def make_frozen_market(kind: type[StaticMarket] = StaticMarket) -> StaticMarket:
    """Books that do not move, three levels deep, with coarse lots and orders of at most 20 B."""
    return make_market(
        {
            "A": make_ladders(D(100), D("0.01"), D(25), gap=9),
            "B": make_ladders(D(10), D("0.01"), D(40), gap=2),
        },
        rules={"A": {"step": "0.001"}, "B": {"step": "1", "min_quantity": "1", "max_quantity": "20"}},
        kind=kind,
    )


class TidalMarket(StaticMarket):
    """Books that meet our quotes for a moment now and then, the same at the same time whoever looks."""

    def book(self, symbol: str, at: datetime) -> MarketBook:
        """Return the frozen book, or for a second one whose other side has come to the touch."""
        book = super().book(symbol, at)
        bid, ask = book.bids[0], book.asks[0]
        match (at.second + (symbol == "BUSDT")) % 6:
            case 2:  # sellers come down to the best bid: its own buyers are gone for now
                return replace(book, bids=book.bids[1:], asks=(Depth(bid.price, TIDE), *book.asks))
            case 5:
                return replace(book, bids=(Depth(ask.price, TIDE), *book.bids), asks=book.asks[1:])
        return book

    def still_consumed(
        self, symbol: str, side: str, price: Decimal, quantity: Decimal, since: datetime, at: datetime
    ) -> Decimal:
        """Return 0 after a second: what is taken comes back."""
        return quantity if (at - since).total_seconds() < 1 else D(0)


TIDE = D(1)


def make_market_for(name: str) -> StaticMarket:
    """Return the market that a request is played on: quotes need one that comes to them."""
    return make_frozen_market(TidalMarket if name.startswith("quoted") else StaticMarket)


def prepare(folder: Path) -> None:
    """Make a house with an index, and units in it that can be sold."""
    house = make_house(folder, make_frozen_market())

    async def story() -> None:
        await house.create(make_definition())
        await house.buy("15.5")

    asyncio.run(story())
    house.database.close()


async def submit(house: House, request: OrderRequest) -> None:
    """Accept and run, as the command does."""
    order = await house.desk.accept(request)
    await house.manager.run([order.id], stay=True)


async def reconcile_and_run(house: House, request: OrderRequest) -> None:
    """Recover without the client key, as the worker does; what was never accepted is submitted."""
    await house.manager.reconcile()
    with house.database.read() as connection:
        known = index_order_by_key(connection, request.client_key)
    if known is None:
        await submit(house, request)
    else:
        await house.manager.run([known.id], stay=True)


def die_at_line(number: int) -> Callable[[], int]:
    """Begin to count lines of the code under test; SIGKILL this process at `number`. Returns the counter."""
    count = 0

    def line(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if event == "line":
            count += 1
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)
        return line

    def call(frame: FrameType, event: str, _: Any) -> Any:
        name = frame.f_code.co_filename
        return line if "/etf_trader/" in name and any(part in name for part in TRACED) else None

    sys.settrace(call)
    return lambda: count


def forked(work: Callable[[], None]) -> int:
    """Run `work` in a child, and return its number without waiting."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with money_context():
                work()
            code = 0
        except BaseException as error:  # noqa: BLE001 - the child must end here whatever happened
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
        finally:
            sys.stderr.flush()
            os._exit(code)
    return child


def finished(child: int) -> int:
    """Wait for a child and return its exit code; a negative one is a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def judge(
    folder: Path,
    case: dict[str, Any],
    child: int,
    wreck: Callable[[], None],
    second: Callable[[], None],
    recovery: Callable[[], None],
    look: Callable[[], None],
) -> dict[str, Any]:
    """Wait for the doomed `child`, then read its wreck, kill once more where asked, recover and look.

    `wreck` and `look` leave what they find in files of those names ("wreck",
    "facts") in `folder`; the doomed child leaves the lines it ran in "lines".
    """
    code = finished(child)
    if code not in (0, -signal.SIGKILL):
        return {"case": case, "findings": [f"the submit ended with {code}"]}
    if finished(forked(wreck)) != 0:
        return {"case": case, "findings": ["the wreck could not be read"]}
    standing = json.loads((folder / "wreck").read_text())
    if "second_line" in case:
        finished(forked(second))
    if finished(forked(recovery)) != 0:
        return {"case": case, "findings": ["recovery failed"]}
    if finished(forked(look)) != 0:
        return {"case": case, "findings": ["what was asked for is not there"]}
    facts = json.loads((folder / "facts").read_text())
    lines = folder / "lines"
    return {
        "case": case,
        "killed": code != 0,
        "lines": int(lines.read_text()) if lines.exists() else None,
        **facts,
        "findings": standing + facts["findings"],
    }


def run_case(base: Path, folder: Path, case: dict[str, Any]) -> dict[str, Any]:
    """Play one case on a copy of `base`: kill once or more, recover, look."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(base, folder)
    request, name = REQUESTS[case["request"]], case["request"]

    def doomed() -> None:
        house = make_house(folder, make_market_for(name))
        count = die_at_line(case["line"]) if "line" in case else None
        asyncio.run(submit(house, request))
        sys.settrace(None)
        if count is not None:
            (folder / "lines").write_text(str(count()))

    def second() -> None:
        house = make_house(folder, make_market_for(name))
        die_at_line(case["second_line"])
        asyncio.run(reconcile_and_run(house, request))

    def recovery() -> None:
        house = make_house(folder, make_market_for(name))
        asyncio.run((reconcile_and_run if case.get("by") == "reconcile" else submit)(house, request))

    def look() -> None:
        house = make_house(folder, make_market_for(name))
        with house.database.read() as connection:
            order = index_order_by_key(connection, KEY)
            assert order is not None
            found = limit_findings(connection)
        found += findings(house.database, house.exchange)
        found += [f"{each.client_order_id} is still open" for each in house.exchange.open_orders("paper")]
        facts = {"filled": str(order.filled), "status": str(order.status), "findings": found}
        (folder / "facts").write_text(json.dumps(facts))

    def look_at_the_wreck() -> None:
        house = make_house(folder, make_market_for(name))
        with house.database.read() as connection:
            (folder / "wreck").write_text(json.dumps(standing_findings(connection)))

    child = forked(doomed)
    if "seconds" in case:
        time.sleep(case["seconds"])
        os.kill(child, signal.SIGKILL)
    return judge(folder, case, child, look_at_the_wreck, second, recovery, look)


def spread(points: int, lines: int, seed: int) -> list[int]:
    """Return `points` line numbers that cover a run of `lines`, one in each equal stretch."""
    dice = random.Random(seed)
    return [1 + int((point + dice.random()) * lines / points) for point in range(points)]


def main() -> None:
    """Serve the cases on stdin."""
    asked = json.load(sys.stdin)
    folder = Path(asked["folder"])
    base = folder / "base"
    base.mkdir()
    with money_context():
        prepare(base)
        calm = run_case(base, folder / "calm", {"request": asked["request"], "line": 0})
        results = [calm]
        start = time.monotonic()
        finished(
            forked(
                lambda: asyncio.run(
                    submit(
                        make_house(_copied(base, folder), make_market_for(asked["request"])),
                        REQUESTS[asked["request"]],
                    )
                )
            )
        )
        seconds = time.monotonic() - start
        cases: list[dict[str, Any]] = []
        for point, line in enumerate(spread(asked["points"], calm["lines"], asked["seed"])):
            cases.append({"request": asked["request"], "line": line, "by": ("key", "reconcile")[point % 2]})
        dice = random.Random(asked["seed"])
        for line in spread(asked["twice"], calm["lines"], asked["seed"] + 1):
            second = dice.randrange(1, calm["lines"])
            cases.append({"request": asked["request"], "line": line, "second_line": second})
        for _ in range(asked["moments"]):
            cases.append({"request": asked["request"], "seconds": dice.random() * seconds})
        results += [run_case(base, folder / "case", case) for case in cases]
    json.dump({"results": results}, sys.stdout)


def _copied(base: Path, folder: Path) -> Path:
    return Path(shutil.copytree(base, folder / "timed"))


if __name__ == "__main__":
    main()
