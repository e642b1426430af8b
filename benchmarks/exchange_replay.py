"""Seconds of a recording that a client plays in a second of real time, stepping through it over the wire.

    python benchmarks/exchange.py --only replay [--replayed 120] [--data ../shared/data]

A recording of the model market is made first; real ones are played where their folder is
there. It is replayed by `etf exchange serve`, a process of its own. The client moves the
clock by a second, reads the best 100 levels of every book, and moves on. Beside it the
same requests are answered by a bare aiohttp handler, with texts of the same length.
"""

import asyncio
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from aiohttp import web

MODEL = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "DENTUSDT")
FOLDERS = ("recordings-2021", "recordings-2024")
LIMIT = 100
LEAST_PART = 0.01
"""So much of the bare handler's speed a replay has at least; each move waits for a disk that others use."""
ETF = (sys.executable, "-m", "etf_trader")
FREE = ("--weight", "1000000000")


class Place(NamedTuple):
    """Where requests go: the public port, the admin port with its token, and the symbols."""

    port: int
    admin: int
    token: str
    symbols: Sequence[str]


class Speed(NamedTuple):
    """What it took to play `seconds`: real seconds, and the mean length of a book's text."""

    seconds: int
    took: float
    length: int


def etf(folder: Path, *words: str) -> Any:
    """Run a command in a folder, and return its document."""
    done = subprocess.run([*ETF, *words, "--json"], cwd=folder, env=_environment(folder), capture_output=True)
    if done.returncode:
        raise SystemExit(f"etf {' '.join(words)}: {done.stderr.decode()}")
    return json.loads(done.stdout)


def _environment(folder: Path) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ETF_", "XDG_"))}
    source = str(Path(__file__).parents[1] / "src")
    return kept | {"HOME": str(folder), "PYTHONPATH": source}


@contextmanager
def replaying(folder: Path, recordings: Path) -> Iterator[Place]:
    """Serve an exchange that replays a folder of recordings."""
    rules = recordings / "exchangeInfo.json"
    known = ["--exchange-info", str(rules)] if rules.exists() else []
    etf(folder, "init", "--here", "--market", "recording", "--recordings", str(recordings), *known)
    with subprocess.Popen(
        [*ETF, "exchange", "serve", "--port", "0", "--admin-port", "0", "--until-eof", "--json", *FREE],
        cwd=folder,
        env=_environment(folder),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        text = ""
        for line in process.stdout:
            text += line
            if line.startswith("}"):
                break
        told = json.loads(text)
        ports = [urlsplit(told[name]).port or 0 for name in ("url", "admin")]
        yield Place(*ports, Path(told["token_file"]).read_text().strip(), _symbols(ports[0]))
        process.stdin.close()


def _symbols(port: int) -> list[str]:
    import urllib.request

    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v3/exchangeInfo") as answer:
        return [row["symbol"] for row in json.load(answer)["symbols"]]


def bare(pipe: Connection, length: int) -> None:
    """Answer whatever is asked with a text of this length."""
    text = "x" * length

    async def serve() -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", lambda _: asyncio.sleep(0, web.Response(text=text)))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        pipe.send(runner.addresses[0][1])
        await asyncio.to_thread(pipe.recv)
        await runner.cleanup()

    asyncio.run(serve())


async def play(place: Place, seconds: int) -> Speed:
    """Step through so many seconds, or to the recording's end; return what it took."""
    market = [await asyncio.open_connection("127.0.0.1", place.port, limit=1 << 22) for _ in place.symbols]
    clock = await asyncio.open_connection("127.0.0.1", place.admin, limit=1 << 22)
    length = 0
    began = time.perf_counter()
    for _ in range(seconds):
        await _ask(clock, "POST", "/clock", place.token, '{"seconds": "1"}')
        books = (
            _ask(each, "GET", f"/api/v3/depth?symbol={symbol}&limit={LIMIT}")
            for each, symbol in zip(market, place.symbols, strict=True)
        )
        length += sum(await asyncio.gather(*books))
    took = time.perf_counter() - began
    for _, writer in (*market, clock):
        writer.close()
    return Speed(seconds, took, length // (seconds * len(place.symbols)))


async def _ask(
    connection: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    verb: str,
    path: str,
    token: str = "",
    body: str = "",
) -> int:
    """Ask, and return how long the answer was."""
    reader, writer = connection
    writer.write(
        f"{verb} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    answer = await reader.readexactly(length)
    if not head.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"{verb} {path}: {answer.decode()}")
    return length


def beside(place: Place, speed: Speed) -> Speed:
    """Return what a bare handler takes for the same requests."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=bare, args=(theirs, speed.length))
    process.start()
    port = ours.recv()
    found = asyncio.run(play(place._replace(port=port, admin=port), speed.seconds))
    ours.send("stop")
    process.join()
    return found


def recordings(folder: Path, data: Path, seconds: int) -> Iterator[tuple[str, Path]]:
    """Make a recording of the model market, and yield it and those that are there, by name."""
    made = folder / "model"
    etf(
        folder,
        *("market", "record", "--symbols", ",".join(MODEL), "--out", str(made)),
        *("--duration", f"{seconds + 10}s"),
    )
    yield f"model, {len(MODEL)} books", made
    yield from ((name, (data / name).resolve()) for name in FOLDERS if (data / name).is_dir())


def main(seconds: int, data: Path, *, check: bool) -> None:
    """Measure and print."""
    print("recording             seconds  symbols   s a second  bare handler   part of bare")
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        root = Path(name)
        for number, (called, path) in enumerate(recordings(root, data, seconds)):
            folder = root / str(number)
            folder.mkdir()
            with replaying(folder, path) as place:
                speed = asyncio.run(play(place, seconds))
                rate = speed.seconds / speed.took
                base = beside(place, speed)
            bare_rate = base.seconds / base.took
            print(
                f"{called:<20} {speed.seconds:>8} {len(place.symbols):>8} {rate:>12,.0f}"
                f" {bare_rate:>13,.0f} {rate / bare_rate:>14.1%}"
            )
            if check and rate < LEAST_PART * bare_rate:
                raise SystemExit(f"{called} is replayed at less than {LEAST_PART:.1%} of a bare handler's speed")
