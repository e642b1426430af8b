"""A signed request may come in the query, in the body, or in both."""

from urllib.parse import urlencode

import pytest
from tests.integration.server.conftest import RawClient, now_ms

ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1", "price": "90"}


@pytest.mark.parametrize("cut", range(len(ORDER) + 2))
async def test_parameters_may_be_split_between_query_and_body(client: RawClient, cut: int) -> None:
    parts = [f"{name}={value}" for name, value in ORDER.items()] + [f"timestamp={now_ms()}"]
    query, body = "&".join(parts[:cut]), "&".join(parts[cut:])
    signature = client.sign(query + body)  # without anything between them
    if body:
        body += f"&signature={signature}"
    else:
        query += f"&signature={signature}"
    answer = await client.send("POST", "/api/v3/order", query, body)
    assert answer.status == 200, answer.text


async def test_the_signature_may_stand_in_the_query_of_a_body(client: RawClient) -> None:
    body = urlencode(ORDER | {"timestamp": now_ms()})
    answer = await client.send("POST", "/api/v3/order", f"signature={client.sign(body)}", body)
    assert answer.status == 200, answer.text


async def test_of_a_parameter_in_both_the_query_counts(client: RawClient) -> None:
    query, body = urlencode(ORDER | {"timestamp": now_ms()}), "price=91"
    signature = client.sign(query + body)
    answer = await client.send("POST", "/api/v3/order", query, f"{body}&signature={signature}")
    assert answer.json["price"] == "90.00000000"


async def test_a_cancel_may_be_signed_in_its_body(client: RawClient) -> None:
    placed = (await client.buy("1", "90", timeInForce="GTC")).json
    body = urlencode({"symbol": "BTCUSDT", "orderId": placed["orderId"], "timestamp": now_ms()})
    answer = await client.send("DELETE", "/api/v3/order", "", f"{body}&signature={client.sign(body)}")
    assert answer.json["status"] == "CANCELED"
