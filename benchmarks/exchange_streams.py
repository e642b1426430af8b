"""Messages a second that the streams fan out, beside bare aiohttp sockets that are sent the same texts.

    python benchmarks/exchange.py --only streams [--subscribers 100] [--rounds 300]

Each round changes every level of a book, looks at the exchange once and tells what
changed to all; the bare server sends a text of the same length to each socket.
Both are processes of their own; the client has nothing but sockets and counts bytes.
"""

import asyncio
import multiprocessing
import resource
import selectors
import socket
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from aiohttp import web

from etf_trader.database import Database
from etf_trader.exchange.paper import ExchangeSettings, PaperExchange
from etf_trader.exchange.server.stream_connection import StreamSettings
from etf_trader.exchange.server.streams import Hub
from etf_trader.exchange.static import StaticMarket, symbol_row

STREAMS = ("btcusdt@bookTicker", "btcusdt@depth20", "btcusdt@depth")
LEVELS = 250
PATIENT = StreamSettings(backlog=1 << 40, tick=1e9)
Served = Callable[[Connection, str, int, int], None]


def bare(pipe: Connection, _folder: str, rounds: int, size: int) -> None:
    """Send a text of `size` bytes to every socket, one after the other."""
    sockets: list[web.WebSocketResponse] = []
    text = "x" * size

    async def handle(request: web.Request) -> web.WebSocketResponse:
        answer = web.WebSocketResponse(compress=False)
        await answer.prepare(request)
        sockets.append(answer)
        async for _ in answer:
            pass
        return answer

    async def send() -> None:
        for _ in range(rounds):
            for each in sockets:
                await each.send_str(text)

    async def serve() -> None:
        app = web.Application()
        app.router.add_get("/ws/{name}", handle)
        await run(app, pipe, send)

    asyncio.run(serve())


def hub(pipe: Connection, folder: str, rounds: int, size: int) -> None:
    """Change the book and tell what changed."""
    database = Database(f"sqlite:///{folder}/exchange.db")
    market = StaticMarket([symbol_row("BTCUSDT", "BTC", "USDT")], {"BTCUSDT": ((), ())})
    served = Hub(PaperExchange.create(database, ExchangeSettings("stepped", "static", {}), market), PATIENT)

    async def send() -> None:
        for number in range(rounds):
            quantity = str(1 + number % 2)
            bids = [(str(1000 - level), quantity) for level in range(LEVELS)]
            asks = [(str(1001 + level), quantity) for level in range(LEVELS)]
            market.set_book("BTCUSDT", bids, asks)
            await served.look()
            await asyncio.sleep(0)

    async def serve() -> None:
        app = web.Application()
        served.mount(app)
        await run(app, pipe, send)

    asyncio.run(serve())


async def run(app: web.Application, pipe: Connection, send: Callable[[], object]) -> None:
    """Serve, send when told to, and tell what it took."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    pipe.send(runner.addresses[0][1])
    await asyncio.to_thread(pipe.recv)
    began = time.process_time()
    sending = send()
    assert asyncio.iscoroutine(sending)
    await sending
    await asyncio.to_thread(pipe.recv)
    pipe.send((time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024))
    await runner.cleanup()


def subscribe(port: int, stream: str) -> socket.socket:
    """Return a connection to a stream."""
    made = socket.create_connection(("127.0.0.1", port))
    lines = (
        f"GET /ws/{stream} HTTP/1.1",
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==",
    )
    made.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += made.recv(1)
    assert answer.startswith(b"HTTP/1.1 101")
    return made


def read(connections: list[socket.socket], enough: Callable[[int], bool]) -> int:
    """Read until nothing has come for a while and what came is enough; return the bytes."""
    total = 0
    with selectors.DefaultSelector() as selector:
        for each in connections:
            selector.register(each, selectors.EVENT_READ)
        while not enough(total):
            ready = selector.select(1)
            if not ready and total:
                break
            for key, _ in ready:
                total += len(key.fileobj.recv(1 << 18))  # type: ignore[union-attr]
    return total


def measure(
    served: Served, stream: str, subscribers: int, rounds: int, size: int
) -> tuple[float, float, int, int]:
    """Return seconds, the server's seconds of CPU, its memory in MB, and the bytes that came."""
    ours, theirs = multiprocessing.Pipe()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        process = multiprocessing.get_context("spawn").Process(target=served, args=(theirs, folder, rounds, size))
        process.start()
        port = ours.recv()
        connections = [subscribe(port, stream) for _ in range(subscribers)]
        if served is hub and stream != "btcusdt@depth":
            read(connections, lambda _: False)  # what stood when they came
        began = last = time.perf_counter()
        ours.send("go")

        def note(_: int) -> bool:
            nonlocal last
            last = time.perf_counter()
            return False

        total = read(connections, note)
        seconds = last - began
        ours.send("enough")
        cpu, memory = ours.recv()
        for each in connections:
            each.close()
        process.join()
    return seconds, cpu, memory, total


def main(subscribers: int, rounds: int) -> None:
    """Measure and print."""
    print(f"{subscribers} subscribers, {rounds} rounds")
    print("stream              served by    bytes   messages/s   CPU us a message   memory MB")
    for stream in STREAMS:
        mine = measure(hub, stream, subscribers, rounds, 0)
        size = mine[3] // (subscribers * rounds) - 4
        other = measure(bare, stream, subscribers, rounds, size)
        rates = []
        for name, (seconds, cpu, memory, _) in (("bare", other), ("hub", mine)):
            count = subscribers * rounds
            rates.append(count / seconds)
            print(
                f"{stream:<19} {name:<10} {size:>7} {count / seconds:>12,.0f} {cpu / count * 1e6:>18.1f}"
                f" {memory:>11}"
            )
        print(f"{stream:<19} {rates[1] / rates[0]:.0%} of the bare fan-out, the look at the exchange included")
