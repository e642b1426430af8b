"""REST of the served exchange, call by call."""

from decimal import Decimal
from typing import Any

D = Decimal


async def test_the_time_and_the_books_are_told_to_anyone(client: Any) -> None:
    assert (await client.get("/api/v3/ping")).json == {}
    assert (await client.get("/api/v3/time")).json["serverTime"] > 1_700_000_000_000
    book = (await client.get("/api/v3/depth", symbol="BTCUSDT", limit=2)).json
    assert book["bids"] == [["99.00000000", "1.00000000"], ["98.00000000", "2.00000000"]]
    assert book["lastUpdateId"] > 0


async def test_an_order_trades_and_is_told_in_full(client: Any) -> None:
    answer = await client.buy("1.5", "101", newClientOrderId="mine")
    assert answer.status == 200, answer.text
    order = answer.json
    assert order["status"] == "FILLED"
    assert order["clientOrderId"] == "mine"
    assert [(fill["price"], fill["qty"]) for fill in order["fills"]] == [
        ("100.00000000", "1.00000000"),
        ("101.00000000", "0.50000000"),
    ]
    assert answer.headers["X-MBX-ORDER-COUNT-10S"] == "0"
    found = (await client.signed("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="mine")).json
    assert found["orderId"] == order["orderId"]
    assert found["cummulativeQuoteQty"] == order["cummulativeQuoteQty"] == "150.50000000"
    trades = (await client.signed("GET", "/api/v3/myTrades", symbol="BTCUSDT")).json
    assert [trade["qty"] for trade in trades] == ["1.00000000", "0.50000000"]
    balances = {row["asset"]: row for row in (await client.signed("GET", "/api/v3/account")).json["balances"]}
    assert D(balances["USDT"]["free"]) == D("849.5")


async def test_a_resting_order_is_open_until_it_is_cancelled(client: Any) -> None:
    placed = (await client.buy("1", "90", timeInForce="GTC")).json
    assert placed["status"] == "NEW"
    listed = (await client.signed("GET", "/api/v3/openOrders")).json
    assert [each["orderId"] for each in listed] == [placed["orderId"]]
    gone = (await client.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", orderId=placed["orderId"])).json
    assert (gone["status"], gone["origClientOrderId"]) == ("CANCELED", placed["clientOrderId"])
    assert gone["clientOrderId"] != placed["clientOrderId"]
    assert (await client.signed("GET", "/api/v3/openOrders", symbol="BTCUSDT")).json == []
    again = await client.signed("DELETE", "/api/v3/order", symbol="BTCUSDT", orderId=placed["orderId"])
    assert again.error == (400, -2011, "Unknown order sent.")
