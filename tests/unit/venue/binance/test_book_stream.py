"""Connections are kept through whatever a server does to them, and no faster than it allows."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from aiohttp import WSMsgType, web

from etf_trader.clock import SystemClock
from etf_trader.venue.binance.book_stream import MOST_STREAMS, NAMES_A_MESSAGE, Streams, StreamSettings

QUICK = StreamSettings(
    connect_timeout=1,
    answer_timeout=0.3,
    quiet=0.2,
    control_pause=0.01,
    least_wait=0.02,
    most_wait=0.2,
    steady=0.3,
)


@dataclass
class Heard:
    """What a listener was told."""

    words: list[str] = field(default_factory=list)
    flowing: set[str] = field(default_factory=set)
    losses: list[str] = field(default_factory=list)
    breaks_on: str = ""

    def live(self, streams: Sequence[str]) -> None:
        self.flowing |= set(streams)

    def message(self, stream: str, data: msgspec.Raw, text: str, at: datetime) -> None:
        if stream == self.breaks_on:
            raise AssertionError("a bug in who listens")
        self.words.append(bytes(data).decode())

    def lost(self, streams: Sequence[str], why: str) -> None:
        self.flowing -= set(streams)
        self.losses.append(why)


Manner = Callable[["Server", web.WebSocketResponse], Awaitable[None]]


@dataclass
class Server:
    """A server with bad manners: each connection is treated by the next of them, the last one for good."""

    manners: list[Manner]
    port: int = 0
    connected: list[float] = field(default_factory=list)
    asked: list[tuple[float, list[str]]] = field(default_factory=list)
    open: list[web.WebSocketResponse] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        manner = self.manners[min(len(self.connected), len(self.manners) - 1)]
        self.connected.append(asyncio.get_running_loop().time())
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        self.open.append(socket)
        await manner(self, socket)
        return socket

    async def say(self, stream: str, word: str) -> None:
        for socket in self.open:
            if not socket.closed:
                await socket.send_str(json.dumps({"stream": stream, "data": word}))


async def polite(server: Server, socket: web.WebSocketResponse) -> None:
    async for message in socket:
        if message.type is WSMsgType.PING:
            await socket.pong(message.data)
        elif message.type is WSMsgType.TEXT:
            request = json.loads(message.data)
            server.asked.append((asyncio.get_running_loop().time(), request["params"]))
            await socket.send_str(json.dumps({"result": None, "id": request["id"]}))


async def mute(server: Server, socket: web.WebSocketResponse) -> None:
    """Take the subscription, and answer no ping."""
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            request = json.loads(message.data)
            await socket.send_str(json.dumps({"result": None, "id": request["id"]}))


async def deaf(server: Server, socket: web.WebSocketResponse) -> None:
    """Answer nothing at all."""
    async for _ in socket:
        pass


async def refusing(server: Server, socket: web.WebSocketResponse) -> None:
    async for message in socket:
        request = json.loads(message.data)
        await socket.send_str(json.dumps({"error": {"code": 2, "msg": "Invalid request"}, "id": request["id"]}))


async def slamming(server: Server, socket: web.WebSocketResponse) -> None:
    await socket.close()


async def babbling(server: Server, socket: web.WebSocketResponse) -> None:
    await socket.send_str("this is no JSON")
    await deaf(server, socket)


@asynccontextmanager
async def served(*manners: Manner) -> AsyncIterator[Server]:
    server = Server(list(manners))
    app = web.Application()
    app.router.add_get("/stream", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.port = runner.addresses[0][1]
    yield server
    await runner.cleanup()


@asynccontextmanager
async def following(
    server: Server, heard: Heard, names: Sequence[str] = ("a@depth", "b@depth"), settings: StreamSettings = QUICK
) -> AsyncIterator[Streams]:
    streams = Streams(f"ws://127.0.0.1:{server.port}/", heard, SystemClock(), settings)
    await streams.add(names)
    yield streams
    await streams.close()


async def until(condition: Callable[[], Any], seconds: float = 8) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def test_what_streams_say_is_told_in_order() -> None:
    heard = Heard()
    async with served(polite) as server, following(server, heard) as streams:
        await until(lambda: heard.flowing == {"a@depth", "b@depth"})
        for word in ("1", "2", "3"):
            await server.say("a@depth", word)
        await until(lambda: heard.words == ['"1"', '"2"', '"3"'])
        assert streams.trouble is None
        assert not heard.losses


@pytest.mark.parametrize(
    ("manner", "why"),
    [
        (mute, "said nothing for"),
        (deaf, "no answer in time"),
        (refusing, "refused the subscription"),
        (slamming, "closed the connection"),
        (babbling, "no message"),
    ],
)
async def test_a_bad_connection_is_given_up_and_another_one_opened(manner: Manner, why: str) -> None:
    heard, troubles = Heard(), set[str]()
    async with served(manner, polite) as server, following(server, heard) as streams:

        def is_right() -> bool:
            troubles.add(streams.trouble or "")
            return len(server.connected) == 2 and heard.flowing == {"a@depth", "b@depth"}

        await until(is_right)
        await server.say("a@depth", "again")
        await until(lambda: heard.words == ['"again"'])
    assert any(why in trouble for trouble in troubles), troubles


async def test_a_server_that_slams_the_door_is_tried_less_and_less_often() -> None:
    async with served(slamming) as server, following(server, Heard()):
        await asyncio.sleep(1.5)
    gaps = [after - before for before, after in pairwise(server.connected)]
    assert len(server.connected) < 20
    assert gaps[-1] > gaps[0]


async def test_no_more_connections_are_tried_than_the_venue_allows() -> None:
    settings = StreamSettings(least_wait=0.001, most_wait=0.001, attempts=5, attempts_window=60)
    async with served(slamming) as server, following(server, Heard(), settings=settings):
        await asyncio.sleep(0.5)
    assert len(server.connected) == 5


async def test_many_streams_are_asked_for_in_few_messages_and_slowly() -> None:
    names = [f"x{number}@depth" for number in range(MOST_STREAMS + 10)]
    heard = Heard()
    settings = StreamSettings(control_pause=0.05)
    async with served(polite) as server, following(server, heard, names, settings) as streams:
        await until(lambda: heard.flowing == set(names))
        assert streams.connections == 2
        assert len(server.connected) == 2
        await streams.add([*names, "y@depth"])
        await until(lambda: "y@depth" in heard.flowing)
        assert streams.connections == 2
    assert all(len(params) <= NAMES_A_MESSAGE for _, params in server.asked)
    asked = [name for _, params in server.asked for name in params]
    assert sorted(asked) == sorted([*names, "y@depth"])
    times = [at for at, params in server.asked if params[0] in names[:MOST_STREAMS]]
    assert all(after - before > 0.04 for before, after in pairwise(times))


@pytest.mark.parametrize("word", ['{"e":"serverShutdown","E":1}', '{"stream":"!serverShutdown","data":{"E":1}}'])
async def test_before_a_server_shuts_down_another_connection_takes_over(word: str) -> None:
    heard = Heard()
    async with served(polite) as server, following(server, heard):
        await until(lambda: heard.flowing)
        await server.open[0].send_str(word)
        await until(lambda: server.open[0].closed)
        assert len(server.connected) == 2
        await server.say("a@depth", "still there")
        await until(lambda: heard.words == ['"still there"'])
        assert not heard.losses


async def test_what_the_new_connection_hears_is_told_after_what_the_old_one_had() -> None:
    heard = Heard()
    async with served(polite) as server, following(server, heard):
        await until(lambda: heard.flowing)
        first = server.open[0]
        await first.send_str('{"e":"serverShutdown","E":1}')
        number = 0
        while len(server.connected) == 1 or not first.closed:
            number += 1
            await server.say("a@depth", str(number))
            await asyncio.sleep(0.005)
        await until(lambda: heard.words and int(json.loads(heard.words[-1])) == number)
        seen = [int(json.loads(word)) for word in heard.words]
        assert sorted(set(seen)) == list(range(1, number + 1))
        assert not heard.losses


async def test_a_bug_in_who_listens_comes_to_light() -> None:
    heard = Heard(breaks_on="a@depth")
    async with served(polite) as server, following(server, heard) as streams:
        await until(lambda: heard.flowing)
        await server.say("a@depth", "1")

        def is_found() -> bool:
            try:
                streams.check()
            except AssertionError:
                return True
            return False

        await until(is_found)


async def test_a_stream_that_stands_still_can_be_renewed() -> None:
    heard = Heard()
    async with served(polite) as server, following(server, heard) as streams:
        await until(lambda: heard.flowing)
        streams.renew("a@depth", "its stream stood still")
        await until(lambda: len(server.connected) == 2 and heard.flowing)
        assert heard.losses == ["its stream stood still"]
