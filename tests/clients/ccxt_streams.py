"""What happens at an exchange, watched by ccxt's streams as they are; prints what they told as JSON.

Runs under the interpreter of another environment, which has ccxt and nothing of
ours: `python ccxt_streams.py URL KEY SECRET`.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import ccxt.pro

SYMBOL = "BTC/USDT"
PATIENCE = 20


def client(url: str, key: str, secret: str) -> Any:
    """Return ccxt's Binance at another address; nothing else in it changes."""
    options = {"fetchMarkets": ["spot"]}
    made = ccxt.pro.binance({"apiKey": key, "secret": secret, "enableRateLimit": False, "options": options})
    sockets = "ws" + url.removeprefix("http")
    addresses = made.urls["api"]
    for name, address in addresses.items():
        if isinstance(address, str):
            addresses[name] = address.replace("https://api.binance.com", url)
    addresses["ws"]["spot"] = f"{sockets}/ws"
    addresses["ws"]["ws-api"]["spot"] = f"{sockets}/ws-api/v3"
    return made


async def soon(awaitable: Awaitable[Any]) -> Any:
    """Wait, but not for ever."""
    return await asyncio.wait_for(awaitable, PATIENCE)


async def book(exchange: Any) -> dict[str, Any]:
    """Watch a book for some updates, then hold it against a snapshot of the same moment, if one comes."""
    told = compared = differing = 0
    while told < 5 or (not compared and told < 50):
        watched = await soon(exchange.watch_order_book(SYMBOL, 100))
        told += 1
        nonce, seen = watched["nonce"], [list(each[:2]) for side in ("bids", "asks") for each in watched[side][:5]]
        asked = await exchange.fetch_order_book(SYMBOL, 100)
        if asked["nonce"] == nonce:
            compared += 1
            differing += seen != asked["bids"][:5] + asked["asks"][:5]
    return {"told": told, "compared": compared, "differing": differing}


async def until(watch: Callable[[], Awaitable[Any]], is_over: Callable[[list[Any]], bool]) -> list[Any]:
    """Watch until what is told says so; return all that was told."""
    told: list[Any] = []
    while not is_over(told):
        told += await soon(watch())
    return told


async def account(exchange: Any, last: float) -> dict[str, Any]:
    """Watch what happens to our orders, our trades and our balances while we trade."""
    started = asyncio.gather(
        until(
            lambda: exchange.watch_orders(SYMBOL),
            lambda told: {"closed", "canceled"} <= {e["status"] for e in told},
        ),
        until(lambda: exchange.watch_my_trades(SYMBOL), lambda told: bool(told)),
        balances(exchange),
    )
    await asyncio.sleep(1)
    bought = await exchange.create_order(SYMBOL, "market", "buy", 0.1)
    resting = await exchange.create_order(
        SYMBOL, "limit", "buy", 0.01, exchange.price_to_precision(SYMBOL, last * 0.9)
    )
    await exchange.cancel_order(resting["id"], SYMBOL)
    orders, trades, held = await started
    return {
        "bought": bought["id"],
        "cancelled": resting["id"],
        "orders": [[each["id"], each["status"], each["filled"]] for each in orders],
        "trades": [[each["order"], each["amount"], each["price"], each["fee"]] for each in trades],
        "balance": held,
        "asked": (await exchange.fetch_balance())["BTC"],
    }


async def balances(exchange: Any) -> Any:
    """Watch balances until some BTC came in."""
    before = (await exchange.fetch_balance())["BTC"]["total"]
    while True:
        told = await soon(exchange.watch_balance())
        if told.get("BTC", {}).get("total", before) > before:
            return told["BTC"]


async def over_the_socket(exchange: Any, last: float) -> dict[str, Any]:
    """Place, look up and cancel over the WebSocket API."""
    price = exchange.price_to_precision(SYMBOL, last * 0.9)
    placed = await soon(exchange.create_order_ws(SYMBOL, "limit", "buy", 0.01, price))
    found = await soon(exchange.fetch_order_ws(placed["id"], SYMBOL))
    standing = await soon(exchange.fetch_open_orders_ws(SYMBOL))
    cancelled = await soon(exchange.cancel_order_ws(placed["id"], SYMBOL))
    market = await soon(exchange.create_order_ws(SYMBOL, "market", "sell", 0.01))
    return {
        "placed": placed["status"],
        "found": found["status"],
        "open": [each["id"] for each in standing],
        "cancelled": cancelled["status"],
        "id": placed["id"],
        "market": [market["status"], market["filled"]],
        "balance": (await soon(exchange.fetch_balance_ws()))["info"],
        "trades": len(await soon(exchange.fetch_my_trades_ws(SYMBOL))),
    }


async def main(url: str, key: str, secret: str) -> None:
    """Watch everything, and print it."""
    exchange = client(url, key, secret)
    try:
        await exchange.load_markets()
        last = (await exchange.fetch_ticker(SYMBOL))["last"]
        facts: dict[str, Any] = {}
        names = ("book", "trades", "ticker", "candles", "bids_asks")
        facts |= dict(
            zip(
                names,
                await asyncio.gather(
                    book(exchange),
                    soon(exchange.watch_trades(SYMBOL)),
                    soon(exchange.watch_ticker(SYMBOL)),
                    soon(exchange.watch_ohlcv(SYMBOL, "1m")),
                    soon(exchange.watch_bids_asks([SYMBOL])),
                ),
                strict=True,
            )
        )
        facts["account"] = await account(exchange, last)
        facts["socket"] = await over_the_socket(exchange, last)
        print(json.dumps(facts))
    finally:
        await exchange.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
