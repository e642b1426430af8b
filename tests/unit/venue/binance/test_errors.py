"""What the venue refuses, and what the network does, in our errors."""

import json

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from etf_trader.errors import (
    ConfigError,
    DuplicateOrder,
    EtfError,
    OrderRejected,
    OutcomeUnknown,
    RateLimited,
    VenueError,
    VenueUnavailable,
)
from etf_trader.venue.binance.errors import Refusal, of_order, of_question, refusal

KEY = ConnectionKey("127.0.0.1", 80, False, True, None, None, None)
REFUSED = aiohttp.ClientConnectorError(KEY, OSError(111, "Connection refused"))


def told(status: int, code: int, message: str, retry_after: float | None = None) -> Refusal:
    return Refusal(status, code, message, retry_after)


@pytest.mark.parametrize(
    ("error", "of_an_order", "of_a_question"),
    [
        pytest.param(told(400, -1000, "unknown"), OutcomeUnknown, VenueUnavailable, id="-1000"),
        pytest.param(told(400, -1001, "disconnected"), OutcomeUnknown, VenueUnavailable, id="-1001"),
        pytest.param(told(400, -1006, "unexpected"), OutcomeUnknown, VenueUnavailable, id="-1006"),
        pytest.param(told(408, -1007, "timeout"), OutcomeUnknown, VenueUnavailable, id="-1007"),
        pytest.param(told(500, 0, "HTTP 500"), OutcomeUnknown, VenueUnavailable, id="500"),
        pytest.param(told(503, 0, "HTTP 503"), OutcomeUnknown, VenueUnavailable, id="503"),
        pytest.param(told(504, -1007, "timeout"), OutcomeUnknown, VenueUnavailable, id="504"),
        pytest.param(told(404, 0, "HTTP 404"), OutcomeUnknown, VenueError, id="404"),
        pytest.param(told(400, -1008, "overloaded"), VenueUnavailable, VenueUnavailable, id="-1008"),
        pytest.param(told(503, -1008, "overloaded"), VenueUnavailable, VenueUnavailable, id="503 -1008"),
        pytest.param(told(400, -1021, "outside"), VenueUnavailable, VenueUnavailable, id="-1021"),
        pytest.param(told(429, -1003, "weight", 7), RateLimited, RateLimited, id="429"),
        pytest.param(told(418, -1003, "banned", 120), RateLimited, RateLimited, id="418"),
        pytest.param(told(429, -1015, "orders", 3), RateLimited, RateLimited, id="-1015"),
        pytest.param(told(403, 0, "HTTP 403"), RateLimited, RateLimited, id="403"),
        pytest.param(told(400, -2010, "Duplicate order sent."), DuplicateOrder, VenueError, id="duplicate"),
        pytest.param(told(400, -2010, "no balance"), OrderRejected, VenueError, id="-2010"),
        pytest.param(told(400, -1013, "Filter failure: LOT_SIZE"), OrderRejected, VenueError, id="-1013"),
        pytest.param(told(400, -1121, "Invalid symbol."), OrderRejected, VenueError, id="-1121"),
        pytest.param(told(401, -2015, "Invalid API-key"), ConfigError, ConfigError, id="-2015"),
        pytest.param(told(400, -2014, "API-key format"), ConfigError, ConfigError, id="-2014"),
        pytest.param(told(400, -1022, "Signature"), ConfigError, ConfigError, id="-1022"),
        pytest.param(REFUSED, VenueUnavailable, VenueUnavailable, id="no connection"),
        pytest.param(
            aiohttp.ConnectionTimeoutError(), VenueUnavailable, VenueUnavailable, id="no connection in time"
        ),
        pytest.param(aiohttp.SocketTimeoutError(), OutcomeUnknown, VenueUnavailable, id="no answer in time"),
        pytest.param(TimeoutError(), OutcomeUnknown, VenueUnavailable, id="time is up"),
        pytest.param(aiohttp.ServerDisconnectedError(), OutcomeUnknown, VenueUnavailable, id="cut"),
        pytest.param(aiohttp.ClientPayloadError(), OutcomeUnknown, VenueUnavailable, id="half an answer"),
        pytest.param(ConnectionResetError(), OutcomeUnknown, VenueUnavailable, id="reset"),
        pytest.param(json.JSONDecodeError("x", "{", 0), OutcomeUnknown, VenueUnavailable, id="no JSON"),
    ],
)
def test_what_is_not_known_of_an_order_is_asked_and_a_question_is_put_again(
    error: Exception, of_an_order: type[EtfError], of_a_question: type[EtfError]
) -> None:
    order, question = of_order(error, "BTCUSDT"), of_question(error, "BTCUSDT")
    assert type(order) is of_an_order
    assert type(question) is of_a_question
    assert order.message
    assert question.message
    if not isinstance(order, RateLimited):
        assert order.where == "BTCUSDT"


def test_a_refused_order_carries_code_and_symbol() -> None:
    error = of_order(told(400, -1013, "Filter failure: LOT_SIZE"), "BTCUSDT")
    assert isinstance(error, OrderRejected)
    assert (error.venue_code, error.symbol, error.message) == (-1013, "BTCUSDT", "Filter failure: LOT_SIZE")


@pytest.mark.parametrize(
    ("error", "seconds", "is_of_host"),
    [
        (told(429, -1003, "weight", 7), 7, True),
        (told(418, -1003, "banned", 120), 120, True),
        (told(429, -1015, "orders", 3), 3, False),
        (told(429, -1015, "orders"), 1, False),
        (told(429, -1003, "weight", 0), 1, True),
    ],
)
def test_who_is_told_to_wait_knows_how_long_and_whether_all_must(
    error: Refusal, seconds: float, is_of_host: bool
) -> None:
    for found in (of_order(error, "BTCUSDT"), of_question(error)):
        assert isinstance(found, RateLimited)
        assert (found.retry_after, found.is_of_host) == (seconds, is_of_host)


def test_an_answer_is_read_whatever_it_is() -> None:
    found = refusal(429, {"Retry-After": "12"}, '{"code":-1003,"msg":"Too much"}')
    assert (found.status, found.code, found.message, found.retry_after) == (429, -1003, "Too much", 12)
    for text in ("", "<html>", "[]", "{}", '{"code":"x","msg":1}', "null"):
        found = refusal(502, {"Retry-After": "soon"}, text)
        assert (found.status, found.code, found.message, found.retry_after) == (502, 0, "HTTP 502", None)


def test_what_the_network_did_is_told_without_the_address() -> None:
    secret = "http://127.0.0.1/api?signature=abc"
    for error in (
        aiohttp.InvalidURL(secret),
        aiohttp.ClientPayloadError(secret),
        aiohttp.ServerDisconnectedError(secret),
        ValueError(secret),
        OSError(secret),
    ):
        assert "abc" not in of_order(error, "BTCUSDT").message
        assert "abc" not in of_question(error).message
