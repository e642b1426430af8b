"""Everything a fund asks of an exchange, asked by ccxt as it is; prints what came of it as JSON.

Runs under the interpreter of another environment, which has ccxt and nothing of
ours: `python ccxt_rest.py URL KEY SECRET`.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

import ccxt

SYMBOL = "BTC/USDT"
TIMES_IN_FORCE = {"LIMIT": ("GTC", "IOC", "FOK")}
NEAR = {"GTC": 0.9, "IOC": 1.01, "FOK": 1.01}
"""What the last price is multiplied by: far below the book, or beyond it."""


def client(url: str, key: str, secret: str) -> Any:
    """Return ccxt's Binance at another address; nothing else in it changes."""
    made = ccxt.binance(
        {"apiKey": key, "secret": secret, "enableRateLimit": False, "options": {"fetchMarkets": ["spot"]}}
    )
    for name, address in made.urls["api"].items():
        if isinstance(address, str):
            made.urls["api"][name] = address.replace("https://api.binance.com", url)
    return made


def placed(exchange: Any, kind: str, more: dict[str, str], last: float) -> dict[str, Any]:
    """Place an order of a type, and return it as ccxt read it and as it is looked up."""
    stops = {"STOP_LOSS": 0.9, "TAKE_PROFIT": 1.1}
    params: dict[str, Any] = dict(more)
    price = None
    base = kind.removesuffix("_LIMIT")
    if base in stops:
        params["stopPrice"] = exchange.price_to_precision(SYMBOL, last * stops[base])
    if "LIMIT" in kind:
        factor = stops.get(base) or NEAR[more.get("timeInForce", "GTC")]
        price = exchange.price_to_precision(SYMBOL, last * factor)
    side = "sell" if base in stops else "buy"
    order = exchange.create_order(SYMBOL, kind, side, 0.01, price, params)
    found = exchange.fetch_order(order["id"], SYMBOL)
    return {"created": order, "found": found}


def main(url: str, key: str, secret: str) -> None:
    """Ask everything, and print it."""
    exchange = client(url, key, secret)
    facts: dict[str, Any] = {"ccxt": ccxt.__version__}
    markets = exchange.load_markets()
    facts["markets"] = {
        name: {
            "id": each["id"],
            "active": each["active"],
            "type": each["type"],
            "precision": each["precision"],
            "limits": each["limits"],
        }
        for name, each in markets.items()
    }
    facts["currencies"] = sorted(exchange.fetch_currencies())
    facts["time"] = exchange.fetch_time()
    facts["status"] = exchange.fetch_status()
    facts["balance"] = exchange.fetch_balance()["total"]
    facts["book"] = exchange.fetch_order_book(SYMBOL, 5)
    facts["trades"] = exchange.fetch_trades(SYMBOL, limit=5)
    facts["ticker"] = exchange.fetch_ticker(SYMBOL)
    facts["tickers"] = sorted(exchange.fetch_tickers())
    facts["bids_asks"] = sorted(exchange.fetch_bids_asks())
    facts["last_prices"] = sorted(exchange.fetch_last_prices())
    facts["candles"] = exchange.fetch_ohlcv(SYMBOL, "1h", limit=3)
    facts["fee"] = exchange.fetch_trading_fee(SYMBOL)
    facts["fees"] = sorted(exchange.fetch_trading_fees())
    last = facts["ticker"]["last"]
    bought = exchange.create_order(SYMBOL, "market", "buy", 0.2)
    facts["bought"] = bought
    facts["for_money"] = exchange.create_market_buy_order_with_cost(SYMBOL, 500)
    facts["types"] = exchange.market(SYMBOL)["info"]["orderTypes"]
    facts["orders"] = {
        f"{kind} {time}".strip(): placed(exchange, kind, {"timeInForce": time} if time else {}, last)
        for kind in facts["types"]
        for time in TIMES_IN_FORCE.get(kind, ("",))
    }
    facts["open"] = exchange.fetch_open_orders(SYMBOL)
    first = next(each for each in facts["open"] if each["type"] == "limit")
    facts["edited"] = exchange.edit_order(
        first["id"], SYMBOL, "limit", "buy", 0.02, exchange.price_to_precision(SYMBOL, last * 0.88)
    )
    facts["cancelled"] = exchange.cancel_order(facts["edited"]["id"], SYMBOL)
    facts["cancelled_all"] = exchange.cancel_all_orders(SYMBOL)
    facts["open_after"] = exchange.fetch_open_orders(SYMBOL)
    facts["all"] = exchange.fetch_orders(SYMBOL)
    facts["closed"] = exchange.fetch_closed_orders(SYMBOL)
    facts["my_trades"] = exchange.fetch_my_trades(SYMBOL)
    facts["of_order"] = exchange.fetch_order_trades(bought["id"], SYMBOL)
    facts["deposits"] = exchange.fetch_deposits()
    facts["withdrawals"] = exchange.fetch_withdrawals()
    facts["balance_after"] = exchange.fetch_balance()
    facts["refused"] = {}
    asked: dict[str, Callable[[], Any]] = {
        "too small": lambda: exchange.create_order(SYMBOL, "limit", "buy", 0.00001, 1000),
        "no money": lambda: exchange.create_order(
            SYMBOL, "limit", "buy", 50, exchange.price_to_precision(SYMBOL, last)
        ),
        "no order": lambda: exchange.fetch_order("987654321", SYMBOL),
        "no order to cancel": lambda: exchange.cancel_order("987654321", SYMBOL),
        "wrong secret": lambda: client(url, key, "x" * 64).fetch_balance(),
    }
    for name, ask in asked.items():
        try:
            ask()
            facts["refused"][name] = None
        except ccxt.ExchangeError as error:
            facts["refused"][name] = type(error).__name__
    print(json.dumps(facts))


if __name__ == "__main__":
    main(*sys.argv[1:])
