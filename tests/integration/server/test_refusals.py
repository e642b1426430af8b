"""What the server refuses, with Binance's codes and texts."""

from typing import Any

import pytest
from tests.integration.server.conftest import RawClient, key_of, now_ms
from yarl import URL

from etf_trader.exchange.paper import PaperExchange

MANDATORY = "Mandatory parameter '{}' was not sent, was empty/null, or malformed."
PERMISSIONS = "Invalid API-key, IP, or permissions for action."


async def test_a_key_that_cannot_be_one_is_told_so(client: RawClient) -> None:
    for key in ("", "short", "x" * 63 + "!"):
        client.headers["X-MBX-APIKEY"] = key
        assert (await client.signed("GET", "/api/v3/account")).error == (401, -2014, "API-key format invalid.")
    client.headers["X-MBX-APIKEY"] = "x" * 64
    assert (await client.signed("GET", "/api/v3/account")).error == (401, -2015, PERMISSIONS)


async def test_a_key_that_may_only_look_cannot_trade(client: RawClient, exchange: PaperExchange) -> None:
    client.key = key_of(exchange, may_trade=False)
    assert (await client.signed("GET", "/api/v3/account")).status == 200
    assert (await client.buy()).error == (401, -2015, PERMISSIONS)


@pytest.mark.parametrize(
    ("query", "code", "text"),
    [
        ("symbol=BTCUSDT&signature=0", -1102, MANDATORY.format("timestamp")),
        ("symbol=BTCUSDT&timestamp={now}", -1102, MANDATORY.format("signature")),
        ("timestamp={now}&timestamp=2&signature=0", -1101, "Duplicate values for a parameter detected."),
        ("timestamp=abc&signature=0", -1100, "Illegal characters found in parameter 'timestamp'; legal range is "),
        ("timestamp={now}&recvWindow=60001&signature=0", -1131, "recvWindow must be less than 60000"),
        ("timestamp={now}&recvWindow=5000.1234&signature=0", -1100, "Illegal characters found in par"),
        ("timestamp={now}&signature=0", -1022, "Signature for this request is not valid."),
    ],
)
async def test_a_request_that_is_not_signed_as_it_must_be(
    client: RawClient, query: str, code: int, text: str
) -> None:
    status, told, message = (
        await client.send("GET", "/api/v3/openOrders", query.replace("{now}", str(now_ms())))
    ).error
    assert (status, told) == (400, code)
    assert message.startswith(text)


@pytest.mark.parametrize(
    ("parameters", "code", "text"),
    [
        ({"symbol": None}, -1102, MANDATORY.format("symbol")),
        ({"symbol": "NOPE"}, -1121, "Invalid symbol."),
        ({"symbol": "btcusdt"}, -1100, "Illegal characters found in parameter 'symbol'; legal range is "),
        ({"side": "HOLD"}, -1117, "Invalid side."),
        ({"type": "WISH"}, -1116, "Invalid orderType."),
        ({"timeInForce": None}, -1102, MANDATORY.format("timeInForce")),
        ({"timeInForce": "SOON"}, -1115, "Invalid timeInForce."),
        ({"quantity": None}, -1102, MANDATORY.format("quantity")),
        ({"quantity": "1e3"}, -1100, "Illegal characters found in parameter 'quantity'; legal range is "),
        ({"quantity": "-1"}, -1100, "Illegal characters found in parameter 'quantity'; legal range is "),
        ({"quantity": ""}, -1105, "Parameter 'quantity' was empty."),
        ({"price": "100.001"}, -1013, "Filter failure: PRICE_FILTER"),
        ({"quantity": "0.123456789"}, -1111, "Parameter 'quantity' has too much precision."),
        ({"quantity": "1.001"}, -1013, "Filter failure: LOT_SIZE"),
        ({"quantity": "0.01", "price": "100"}, -1013, "Filter failure: NOTIONAL"),
        ({"stopPrice": "90"}, -1106, "Parameter 'stopPrice' sent when not required."),
        ({"newClientOrderId": "a b"}, -1100, "Illegal characters found in parameter 'newClientOrderId'; legal"),
        ({"newClientOrderId": "x" * 37}, -1100, "Illegal characters found in parameter 'newClientOrderId'; legal"),
        ({"newOrderRespType": "ALL"}, -1130, "Data sent for parameter 'newOrderRespType' is not valid."),
        ({"quantity": "10", "price": "103"}, -2010, "Account has insufficient balance for requested action."),
        ({"symbol": "OLDUSDT"}, -2010, "Market is closed."),
        (
            {"wish": "rich"},
            -1104,
            "Not all sent parameters were read; read '8' parameter(s) but was sent '9'.",
        ),
    ],
    ids=str,
)
async def test_an_order_that_cannot_be_is_refused_in_binances_words(
    client: RawClient, parameters: dict[str, Any], code: int, text: str
) -> None:
    status, told, message = (await client.buy("1", "100", **parameters)).error
    assert (status, told) == (400, code), message
    assert message.startswith(text)


async def test_a_request_from_the_future_or_the_past_is_refused_and_counts_nowhere(client: RawClient) -> None:
    late = await client.buy("1", "90", timestamp=now_ms() - 5100, timeInForce="GTC")
    assert late.error == (400, -1021, "Timestamp for this request is outside of the recvWindow.")
    early = await client.buy("1", "90", timestamp=now_ms() + 1500, timeInForce="GTC")
    assert early.error == (400, -1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    counts = (await client.signed("GET", "/api/v3/rateLimit/order")).json
    assert [row["count"] for row in counts] == [0, 0]
    assert (await client.buy("1", "90", timestamp=now_ms() - 5100, recvWindow=6000)).status == 200


async def test_times_may_be_in_microseconds_and_are_told_so_on_request(client: RawClient) -> None:
    assert (await client.signed("GET", "/api/v3/openOrders", timestamp=now_ms() * 1000)).status == 200
    client.headers["X-MBX-TIME-UNIT"] = "MICROSECOND"
    assert (await client.get("/api/v3/time")).json["serverTime"] > 10**15
    placed = (await client.buy("1", "90", timeInForce="GTC")).json
    assert placed["transactTime"] > 10**15


async def test_an_order_that_is_nowhere_is_told_apart_from_one_that_was_not_named(client: RawClient) -> None:
    order = "/api/v3/order"
    assert (await client.signed("GET", order, symbol="BTCUSDT", orderId=99)).error == (
        400,
        -2013,
        "Order does not exist.",
    )
    assert (await client.signed("GET", order, symbol="BTCUSDT")).error == (
        400,
        -1102,
        "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!",
    )
    placed = (await client.buy("1", "90", timeInForce="GTC", newClientOrderId="one")).json
    names = {"symbol": "BTCUSDT", "orderId": placed["orderId"], "origClientOrderId": "two"}
    assert (await client.signed("GET", order, **names)).error[1] in (-2039, -2013)
    assert (await client.signed("DELETE", order, **names)).error == (400, -2011, "Unknown order sent.")
    names["origClientOrderId"] = "one"
    assert (await client.signed("DELETE", order, **names)).json["status"] == "CANCELED"


async def test_a_name_that_is_open_is_taken_and_free_again_afterwards(client: RawClient) -> None:
    assert (await client.buy("1", "90", timeInForce="GTC", newClientOrderId="mine")).status == 200
    again = await client.buy("1", "90", timeInForce="GTC", newClientOrderId="mine")
    assert again.error == (400, -2010, "Duplicate order sent.")
    await client.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="mine")
    assert (await client.buy("1", "90", timeInForce="GTC", newClientOrderId="mine")).status == 200


async def test_what_is_not_there_is_not_found(client: RawClient) -> None:
    assert (await client.get("/api/v3/nothing")).status == 404
    assert (await client.send("PATCH", "/api/v3/order")).status == 404


@pytest.mark.parametrize("version", ["v3", "v1"])
async def test_listen_keys_are_gone(client: RawClient, version: str) -> None:
    for verb in ("POST", "PUT", "DELETE"):
        answer = await client.send(verb, f"/api/{version}/userDataStream", "" if verb == "POST" else "listenKey=a")
        assert answer.status == 410


async def test_an_odd_encoding_is_signed_as_it_was_sent(client: RawClient) -> None:
    query = f"symbol=BTC%55SDT&timestamp={now_ms()}"
    good = await client.send("GET", "/api/v3/openOrders", f"{query}&signature={client.sign(query)}")
    assert good.json == []
    decoded = str(URL(f"/?{query}").query_string)
    bad = await client.send("GET", "/api/v3/openOrders", f"{query}&signature={client.sign(decoded)}")
    assert bad.error[1] == -1022
