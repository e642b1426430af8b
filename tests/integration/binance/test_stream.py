"""The user stream comes back from everything that ends it, and nothing is lost meanwhile."""

import asyncio
from collections.abc import Callable
from decimal import Decimal

import pytest
from tests.contract.suite import Heard
from tests.integration.binance.conftest import Wire

from etf_trader.market.symbol import Side
from etf_trader.venue.binance import stream
from etf_trader.venue.interface import OrderKind, VenueOrderStatus

D = Decimal


async def until(done: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not done():
            await asyncio.sleep(0.02)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(stream, "POLL_SECONDS", 0.5)
    monkeypatch.setattr(stream, "REPORT_SECONDS", 0.5)


async def listening(wire: Wire) -> Heard:
    heard = Heard()
    wire.venue.subscribe(heard)
    await asyncio.wait_for(wire.venue.is_streaming(), 5)
    return heard


async def resting(wire: Wire, name: str) -> None:
    await wire.venue.place(await wire.order(kind=OrderKind.POST_ONLY, price=D("99.95"), client_order_id=name))


@pytest.mark.parametrize("how", ["cut", "disconnect"])
async def test_a_connection_that_ends_is_made_anew_and_what_was_missed_is_told(wire: Wire, how: str) -> None:
    heard = await listening(wire)
    await resting(wire, "etf-a-1-1")
    await until(lambda: heard.last("etf-a-1-1") is not None)
    await wire.admin("POST", f"/sockets/{how}")
    await wire.stage.take("AUSDT", Side.SELL, D(2), D("99.95"))
    await until(lambda: bool(heard.trades("etf-a-1-1")))
    await until(lambda: (last := heard.last("etf-a-1-1")) is not None and last.status is VenueOrderStatus.FILLED)
    assert heard.trades("etf-a-1-1") == await wire.venue.trades_of("AUSDT", heard.reports[0].order.order_id)
    await asyncio.wait_for(wire.venue.is_streaming(), 5)
    await resting(wire, "etf-a-1-2")
    await until(lambda: heard.last("etf-a-1-2") is not None)


async def test_a_stream_that_has_gone_silent_is_noticed_by_the_report_that_does_not_come(wire: Wire) -> None:
    heard = await listening(wire)
    await wire.fail("stream_silent", only="", questions=0.0)
    await wire.venue.place(await wire.order())
    await wire.admin("DELETE", "/faults")
    await until(lambda: bool(heard.trades("etf-a-1-1")))
    await resting(wire, "etf-a-1-2")
    await until(lambda: heard.last("etf-a-1-2") is not None)


async def test_a_subscription_that_is_gone_is_subscribed_again(wire: Wire) -> None:
    heard = await listening(wire)
    await resting(wire, "etf-a-1-1")
    await until(lambda: heard.last("etf-a-1-1") is not None)
    following = wire.venue._stream
    assert following is not None
    ask = following._ask

    async def forgotten(socket: object, method: str, params: object) -> object:
        if method == "session.subscriptions":
            following._ask = ask  # type: ignore[method-assign]
            return []
        return await ask(socket, method, params)  # type: ignore[arg-type]

    following._ask = forgotten  # type: ignore[method-assign, assignment]
    await until(lambda: following._ask == ask)
    await asyncio.wait_for(wire.venue.is_streaming(), 5)
    await resting(wire, "etf-a-1-2")
    await until(lambda: heard.last("etf-a-1-2") is not None)


async def test_the_poll_keeps_a_subscription_that_lives(wire: Wire) -> None:
    await listening(wire)
    following = wire.venue._stream
    assert following is not None
    lost: list[bool] = []
    clear = following.is_subscribed.clear
    following.is_subscribed.clear = lambda: (lost.append(True), clear())[1]  # type: ignore[method-assign, func-returns-value]
    await asyncio.sleep(1.6)
    assert not lost


async def test_an_order_whose_answer_was_lost_is_told_by_the_stream(wire: Wire) -> None:
    from etf_trader.errors import OutcomeUnknown

    heard = await listening(wire)
    await wire.fail("cut_after")
    with pytest.raises(OutcomeUnknown):
        await wire.venue.place(await wire.order())
    await until(lambda: bool(heard.trades("etf-a-1-1")))


async def test_who_left_ends_the_stream(wire: Wire) -> None:
    leave = wire.venue.subscribe(Heard())
    await asyncio.wait_for(wire.venue.is_streaming(), 5)
    task = wire.venue._following
    assert task is not None
    leave()
    await asyncio.wait([task], timeout=3)
    assert task.cancelled()
    await until(lambda: wire.venue._following is None)
