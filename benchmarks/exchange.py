"""Signed orders a second of `etf exchange serve`, beside a bare aiohttp handler that only checks the signature.

    python benchmarks/exchange.py [--only orders|streams|replay] [--seconds 5] [--connections 1 50]

Both are served by processes of their own and asked by the same client, which has
nothing but sockets. Each order is an immediate-or-cancel limit that fills whole.
"""

import argparse
import asyncio
import hmac
import multiprocessing
import resource
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from hashlib import sha256
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import exchange_replay
import exchange_streams
from aiohttp import web

from etf_trader.database import Database
from etf_trader.exchange.paper import ExchangeSettings, PaperExchange
from etf_trader.exchange.server.app import serving
from etf_trader.exchange.server.keys import add_key
from etf_trader.exchange.static import StaticMarket, symbol_row

KEY, SECRET = "k" * 64, "s" * 64
MANY, MOST_CPU = 20, 9
"""With so many connections or more, an order may take so many times the CPU of a bare handler."""
SETTINGS = ExchangeSettings("wall", "static", {"seed": 1})


def bare(pipe: Connection, _folder: str) -> None:
    """Serve a handler that checks the signature and answers the same to all."""
    body = b'{"symbol":"BTCUSDT","orderId":1,"status":"FILLED"}'

    async def handle(request: web.Request) -> web.Response:
        text = await request.text()
        payload, _, signature = text.rpartition("&signature=")
        expected = hmac.new(SECRET.encode(), payload.encode(), sha256).hexdigest()
        if not hmac.compare_digest(expected, signature):
            return web.Response(status=400)
        return web.Response(body=body, content_type="application/json")

    async def serve() -> None:
        app = web.Application()
        app.router.add_post("/api/v3/order", handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        pipe.send((runner.addresses[0][1], KEY, SECRET))
        await until_stopped(pipe)
        await runner.cleanup()

    asyncio.run(serve())


def exchange(pipe: Connection, folder: str) -> None:
    """Serve a paper exchange on an SQLite file."""
    began = time.perf_counter()
    market = StaticMarket(
        [symbol_row("BTCUSDT", "BTC", "USDT")],
        {"BTCUSDT": ((("99", "100000000"),), (("100", "100000000"),))},
    )
    made = PaperExchange.create(Database(f"sqlite:///{folder}/exchange.db"), SETTINGS, market)
    made.deposit("paper", "USDT", Decimal(10**12), "first")
    with made.database.write() as connection:
        key = add_key(connection, "paper", made.now())

    async def serve() -> None:
        async with serving(made) as address:
            print(f"exchange: made and served within {time.perf_counter() - began:.2f} s")
            pipe.send((address.port, key.api_key, key.secret))
            await until_stopped(pipe)

    asyncio.run(serve())


async def until_stopped(pipe: Connection) -> None:
    """Serve until told to stop, and tell the CPU it took, in s, and the memory, in KB."""
    began = time.process_time()
    await asyncio.to_thread(pipe.recv)
    pipe.send((time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))


async def drive(port: int, key: str, secret: str, connections: int, seconds: float) -> list[float]:
    """Send orders over so many connections, each when the last was answered; return the time of each, in s."""
    until = time.perf_counter() + seconds
    times: list[float] = []

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (began := time.perf_counter()) < until:
            writer.write(order(key, secret))
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            body = await reader.readexactly(length)
            assert head.startswith(b"HTTP/1.1 200"), body
            times.append(time.perf_counter() - began)
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    return times


def order(key: str, secret: str) -> bytes:
    """Return a signed order as it goes over the wire."""
    payload = (
        "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=IOC&quantity=0.1&price=100"
        f"&newClientOrderId=b-{secrets.token_hex(8)}&timestamp={int(time.time() * 1000)}"
    )
    signature = hmac.new(secret.encode(), payload.encode(), sha256).hexdigest()
    body = f"{payload}&signature={signature}"
    return (
        f"POST /api/v3/order HTTP/1.1\r\nHost: localhost\r\nX-MBX-APIKEY: {key}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def measure(served: Callable[[Connection, str], None], connections: int, seconds: float) -> tuple[float, Any]:
    """Return orders a second, and what else there is to say."""
    ours, theirs = multiprocessing.Pipe()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        process = multiprocessing.get_context("spawn").Process(target=served, args=(theirs, folder))
        process.start()
        port, key, secret = ours.recv()
        first = asyncio.run(drive(port, key, secret, connections, 0.5))
        times = asyncio.run(drive(port, key, secret, connections, seconds))
        ours.send("stop")
        cpu, memory = ours.recv()
        process.join()
    percentile = statistics.quantiles(times, n=100)[98] * 1000
    each = cpu / (len(first) + len(times)) * 1e6
    return len(times) / seconds, (statistics.median(times) * 1000, percentile, each, memory // 1024)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 50])
    parser.add_argument("--check", action="store_true", help="fail where a ratio is too bad")
    parser.add_argument("--only", choices=("orders", "streams", "replay"))
    parser.add_argument("--subscribers", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--replayed", type=int, default=120, help="seconds of each recording")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="where recordings are")
    asked = parser.parse_args()
    if asked.only in (None, "streams"):
        exchange_streams.main(asked.subscribers, asked.rounds)
    if asked.only in (None, "orders"):
        orders(asked)
    if asked.only in (None, "replay"):
        exchange_replay.main(asked.replayed, asked.data, check=asked.check)


def orders(asked: argparse.Namespace) -> None:
    """Measure orders."""
    print("connections  served by     orders/s   median ms   p99 ms   CPU us each   memory MB")
    for connections in asked.connections:
        rates, costs = [], []
        for served in (bare, exchange):
            rate, (median, percentile, cpu, memory) = measure(served, connections, asked.seconds)
            rates.append(rate)
            costs.append(cpu)
            print(
                f"{connections:>11}  {served.__name__:<10} {rate:>11,.0f} {median:>11.2f}"
                f" {percentile:>8.2f} {cpu:>13.0f} {memory:>11}"
            )
        part, times = rates[1] / rates[0], costs[1] / costs[0]
        print(f"{connections:>11}  {part:.0%} of the bare handler, for {times:.1f} times its CPU")
        if asked.check and connections >= MANY and times > MOST_CPU:
            raise SystemExit(f"an order takes more than {MOST_CPU} times the CPU of a bare handler")


if __name__ == "__main__":
    main()
