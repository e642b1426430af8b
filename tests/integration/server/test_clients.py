"""python-binance as it is, sync and async, against the served exchange."""

import asyncio
import json
import warnings
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from etf_trader.exchange.server.app import Address
from etf_trader.exchange.server.keys import ApiKey

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from binance import AsyncClient, BinanceSocketManager, Client
    from binance.exceptions import BinanceAPIException

D = Decimal
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


def sync_client(address: Address, key: ApiKey) -> Any:
    class Local(Client):  # type: ignore[misc]
        API_URL = address.rest
        MARGIN_API_URL = f"{address.url}/sapi"

    return Local(key.api_key, key.secret)


@pytest.fixture
async def asked(address: Address, key: ApiKey) -> AsyncIterator[Any]:
    """Runs a function with a sync client in a thread: the server has the loop."""
    made = await asyncio.to_thread(sync_client, address, key)

    async def ask(function: Any) -> Any:
        return await asyncio.to_thread(function, made)

    yield ask
    made.close_connection()
    made.loop.close()  # it made one for its thread, and leaves it open


async def test_the_sync_client_looks_at_the_market(asked: Any) -> None:
    info = await asked(lambda client: client.get_exchange_info())
    assert {row["symbol"] for row in info["symbols"]} == {"BTCUSDT", "ETHUSDT", "OLDUSDT"}
    assert (await asked(lambda client: client.get_symbol_info("BTCUSDT")))["baseAsset"] == "BTC"
    assert (await asked(lambda client: client.get_order_book(symbol="BTCUSDT", limit=5)))["asks"][0][
        0
    ] == "100.00000000"
    assert (await asked(lambda client: client.get_orderbook_ticker(symbol="BTCUSDT")))["bidPrice"] == "99.00000000"
    assert len(await asked(lambda client: client.get_klines(symbol="BTCUSDT", interval="5m", limit=7))) == 7
    assert isinstance(await asked(lambda client: client.get_recent_trades(symbol="BTCUSDT")), list)
    assert (await asked(lambda client: client.get_ticker(symbol="BTCUSDT")))["askPrice"] == "100.00000000"
    assert len(await asked(lambda client: client.get_all_tickers())) == 3
    assert (await asked(lambda client: client.get_avg_price(symbol="BTCUSDT")))["mins"] == 5
    assert len(await asked(lambda client: client.get_orderbook_tickers())) == 3


async def test_the_sync_client_trades(asked: Any) -> None:
    bought = await asked(lambda client: client.order_market_buy(symbol="BTCUSDT", quantity="0.5"))
    assert (bought["status"], bought["executedQty"]) == ("FILLED", "0.50000000")
    spent = await asked(lambda client: client.order_market_buy(symbol="BTCUSDT", quoteOrderQty="20"))
    assert spent["cummulativeQuoteQty"] == "20.00000000"
    placed = await asked(lambda client: client.order_limit_buy(symbol="BTCUSDT", quantity="1", price="90"))
    found = await asked(lambda client: client.get_order(symbol="BTCUSDT", orderId=placed["orderId"]))
    assert found["status"] == "NEW"
    assert len(await asked(lambda client: client.get_open_orders())) == 1
    gone = await asked(lambda client: client.cancel_order(symbol="BTCUSDT", orderId=placed["orderId"]))
    assert gone["status"] == "CANCELED"
    assert len(await asked(lambda client: client.get_all_orders(symbol="BTCUSDT"))) == 3
    assert len(await asked(lambda client: client.get_my_trades(symbol="BTCUSDT"))) == 2
    assert (
        await asked(
            lambda client: client.create_test_order(
                symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="GTC", quantity="1", price="90"
            )
        )
        == {}
    )
    account = await asked(lambda client: client.get_account())
    held = {row["asset"]: D(row["free"]) for row in account["balances"]}
    assert held["USDT"] == 1000 - 50 - 20
    assert held["BTC"] == D("10.7") - D("0.0005") - D("0.0002")
    with pytest.raises(BinanceAPIException) as refused:
        await asked(lambda client: client.cancel_order(symbol="BTCUSDT", orderId=placed["orderId"]))
    assert (refused.value.status_code, refused.value.code) == (400, -2011)


async def test_the_sync_client_replaces_and_cancels_all(asked: Any) -> None:
    first = await asked(lambda client: client.order_limit_buy(symbol="BTCUSDT", quantity="1", price="90"))
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "1"}
    both = await asked(
        lambda client: client.cancel_replace_order(
            **order, price="91", cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId=first["orderId"]
        )
    )
    assert (both["cancelResult"], both["newOrderResult"]) == ("SUCCESS", "SUCCESS")
    assert both["cancelResponse"]["orderId"] == first["orderId"]
    assert both["newOrderResponse"]["price"] == "91.00000000"
    with pytest.raises(BinanceAPIException) as refused:
        await asked(
            lambda client: client.cancel_replace_order(
                **order, price="92", cancelReplaceMode="STOP_ON_FAILURE", cancelOrderId=first["orderId"]
            )
        )
    assert (refused.value.status_code, refused.value.code) == (400, -2022)
    details = json.loads(refused.value.response.text)["data"]
    assert (details["cancelResult"], details["newOrderResult"]) == ("FAILURE", "NOT_ATTEMPTED")
    with pytest.raises(BinanceAPIException) as partly:
        await asked(
            lambda client: client.cancel_replace_order(
                **order, price="92", cancelReplaceMode="ALLOW_FAILURE", cancelOrderId=first["orderId"]
            )
        )
    assert (partly.value.status_code, partly.value.code) == (409, -2021)
    gone = await asked(lambda client: client.cancel_all_open_orders(symbol="BTCUSDT"))
    assert sorted(each["price"] for each in gone) == ["91.00000000", "92.00000000"]


async def test_the_sync_client_asks_the_wallet(asked: Any) -> None:
    assert {row["coin"] for row in await asked(lambda client: client.get_all_coins_info())} >= {"BTC", "USDT"}
    fees = await asked(lambda client: client.get_trade_fee(symbol="BTCUSDT"))
    assert fees == [{"symbol": "BTCUSDT", "makerCommission": "0.001", "takerCommission": "0.001"}]
    rights = await asked(lambda client: client.get_account_api_permissions())
    assert (rights["enableWithdrawals"], rights["ipRestrict"]) == (False, True)
    deposits = await asked(lambda client: client.get_deposit_history())
    assert {(row["coin"], row["amount"]) for row in deposits} == {("USDT", "1000"), ("BTC", "10")}
    assert await asked(lambda client: client.get_withdraw_history()) == []
    assert await asked(lambda client: client.get_margin_all_pairs()) == []
    burn = await asked(lambda client: client.toggle_bnb_burn_spot_margin(spotBNBBurn="true"))
    assert burn["spotBNBBurn"] is True
    assert (await asked(lambda client: client.get_bnb_burn_spot_margin()))["spotBNBBurn"] is True


@pytest.fixture
async def client(address: Address, key: ApiKey) -> AsyncIterator[Any]:
    class Local(AsyncClient):  # type: ignore[misc]
        API_URL = address.rest
        WS_API_URL = address.websocket_api

    made = await Local.create(key.api_key, key.secret)
    yield made
    await made.close_connection()


async def test_the_async_client_trades_over_rest(client: Any) -> None:
    order = await client.create_order(
        symbol="BTCUSDT", side="SELL", type="LIMIT", timeInForce="IOC", quantity="2", price="98"
    )
    assert [fill["price"] for fill in order["fills"]] == ["99.00000000", "98.00000000"]
    assert (await client.get_current_order_count())[0]["count"] == 0


async def test_the_async_client_trades_over_the_websocket_api(client: Any) -> None:
    placed = await client.ws_create_order(
        symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="GTC", quantity="1", price="90"
    )
    assert placed["status"] == "NEW"
    found = await client.ws_get_order(symbol="BTCUSDT", orderId=placed["orderId"])
    assert found["orderId"] == placed["orderId"]
    assert len(await client.ws_get_open_orders(symbol="BTCUSDT")) == 1
    assert (await client.ws_cancel_order(symbol="BTCUSDT", orderId=placed["orderId"]))["status"] == "CANCELED"
    assert (await client.ws_get_account())["accountType"] == "SPOT"
    assert (await client.ws_get_order_book(symbol="BTCUSDT"))["bids"][0][0] == "99.00000000"


async def test_its_user_socket_tells_what_happens(address: Address, client: Any) -> None:
    class Sockets(BinanceSocketManager):  # type: ignore[misc]
        STREAM_URL = address.streams

    async with Sockets(client).user_socket() as socket:
        await client.create_order(
            symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="IOC", quantity="1", price="100"
        )
        events = [await asyncio.wait_for(socket.recv(), 5) for _ in range(3)]
        assert [(each["e"], each.get("x")) for each in events] == [
            ("executionReport", "NEW"),
            ("executionReport", "TRADE"),
            ("outboundAccountPosition", None),
        ]
        assert {row["a"] for row in events[2]["B"]} == {"BTC", "USDT"}
