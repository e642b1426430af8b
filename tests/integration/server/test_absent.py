"""What Binance has and this exchange has not is answered as Binance does, by REST and by the WebSocket API."""

from typing import Any

import pytest

NOT_FOUND = "<html><head><title>404 Not found</title></head><body><h2>404 Not found</h2></body></html>"


@pytest.mark.parametrize("verb", ["GET", "POST", "PUT", "DELETE"])
async def test_an_unknown_path_is_not_found(client: Any, verb: str) -> None:
    answer = await client.send(verb, "/api/v3/sor/order", "symbol=BTCUSDT", "a=b" if verb == "POST" else None)
    assert (answer.status, answer.text) == (404, NOT_FOUND)


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("openOrderList", {}),
        ("allOrderList", {"limit": 5}),
        ("myAllocations", {"symbol": "BTCUSDT"}),
        ("order/amendments", {"symbol": "BTCUSDT", "orderId": 1}),
    ],
)
async def test_there_are_no_lists_allocations_and_amendments(
    client: Any, path: str, asked: dict[str, Any]
) -> None:
    assert (await client.signed("GET", f"/api/v3/{path}", **asked)).json == []


@pytest.mark.parametrize(
    ("verb", "path", "asked", "refusal"),
    [
        ("GET", "orderList", {"orderListId": 1}, (400, -2013, "Order list does not exist.")),
        (
            "POST",
            "orderList/oco",
            {"symbol": "BTCUSDT", "side": "SELL", "quantity": 1, "aboveType": "LIMIT_MAKER", "belowStopPrice": 9},
            (400, -1013, "OCO orders are not supported for this symbol."),
        ),
        (
            "POST",
            "orderList/otoco",
            {"symbol": "BTCUSDT", "workingType": "LIMIT", "pendingAboveType": "LIMIT_MAKER"},
            (400, -1013, "OTO orders are not supported for this symbol."),
        ),
        (
            "PUT",
            "order/amend/keepPriority",
            {"symbol": "BTCUSDT", "orderId": 1, "newQty": "0.5"},
            (400, -1013, "Order amend is not supported for this symbol."),
        ),
        ("POST", "orderList/oco", {"symbol": "NONE"}, (400, -1121, "Invalid symbol.")),
    ],
    ids=["list", "oco", "otoco", "amend", "symbol"],
)
async def test_orders_of_kinds_that_no_symbol_takes_are_refused(
    client: Any, verb: str, path: str, asked: dict[str, Any], refusal: tuple[int, int, str]
) -> None:
    assert (await client.signed(verb, f"/api/v3/{path}", **asked)).error == refusal


async def test_the_filters_of_an_account_are_those_that_count_its_orders(client: Any) -> None:
    told = (await client.signed("GET", "/api/v3/myFilters", symbol="BTCUSDT")).json
    assert set(told) == {"exchangeFilters", "symbolFilters", "assetFilters"}
    assert all(each["filterType"].startswith("MAX_") for each in told["symbolFilters"])


async def test_no_symbol_has_a_reference_price(client: Any) -> None:
    answer = await client.get("/api/v3/referencePrice", symbol="BTCUSDT")
    assert answer.error == (400, -2043, "This symbol doesn't have a reference price.")
