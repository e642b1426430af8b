"""ccxt as it is, sync and streaming, trades with `etf exchange serve`.

It runs under an interpreter of its own (ETF_TEST_CCXT_PYTHON), asks everything in one
go, and prints what it read; the tests here look at that.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.shell import Shell
from tests.acceptance.test_exchange_serve import served

CLIENTS = Path(__file__).parents[1] / "clients"
PYTHON = os.environ.get("ETF_TEST_CCXT_PYTHON")
SECONDS = 120

pytestmark = pytest.mark.skipif(
    PYTHON is None, reason="ccxt absent: set ETF_TEST_CCXT_PYTHON to the interpreter of an environment with ccxt"
)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what each script printed; both work at the same time, with accounts of their own."""
    shell = Shell(tmp_path_factory.mktemp("ccxt"))
    shell.ok("init")
    with served(shell) as (_, facts):
        working = {name: _begin(name, facts["url"], _key(shell, name)) for name in ("rest", "streams")}
        return {name: _answer(process) for name, process in working.items()}


def _key(shell: Shell, account: str) -> tuple[str, str]:
    made = shell.json("exchange", "account", "add", account, "--deposit", "100000")
    return made["api_key"], made["secret_key"]


def _begin(name: str, url: str, key: tuple[str, str]) -> "subprocess.Popen[str]":
    assert PYTHON is not None
    command = [PYTHON, "-W", "ignore", str(CLIENTS / f"ccxt_{name}.py"), url, *key]
    # Nothing of ours reaches it: no path of Python's, and no proxy lies between.
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "NO_PROXY": "*"}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=CLIENTS
    )


def _answer(process: "subprocess.Popen[str]") -> dict[str, Any]:
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err
    answer: dict[str, Any] = json.loads(out)
    return answer


@pytest.fixture
def rest(told: dict[str, Any]) -> dict[str, Any]:
    """Return what was asked over REST."""
    found: dict[str, Any] = told["rest"]
    return found


@pytest.fixture
def streams(told: dict[str, Any]) -> dict[str, Any]:
    """Return what was watched."""
    found: dict[str, Any] = told["streams"]
    return found


def test_ccxt_reads_the_markets_and_their_rules(rest: dict[str, Any]) -> None:
    market = rest["markets"]["BTC/USDT"]
    assert (market["id"], market["active"], market["type"]) == ("BTCUSDT", True, "spot")
    assert (market["precision"]["amount"], market["precision"]["price"]) == (1e-5, 0.01)
    assert (market["limits"]["amount"]["min"], market["limits"]["cost"]["min"]) == (1e-5, 5.0)
    assert {"BTC", "ETH", "USDT"} <= set(rest["currencies"])
    assert rest["status"]["status"] == "ok"
    assert sorted(rest["markets"]) == rest["tickers"] == rest["bids_asks"] == rest["last_prices"] == rest["fees"]


def test_ccxt_reads_books_trades_tickers_and_candles(rest: dict[str, Any]) -> None:
    bids, asks = rest["book"]["bids"], rest["book"]["asks"]
    assert (len(bids), len(asks)) == (5, 5)
    assert bids == sorted(bids, reverse=True)
    assert bids[0][0] < asks[0][0]
    assert [each["symbol"] for each in rest["trades"]] == ["BTC/USDT"] * 5
    ticker = rest["ticker"]
    assert ticker["low"] <= ticker["last"] <= ticker["high"]
    assert ticker["bid"] < ticker["ask"]
    assert [len(candle) for candle in rest["candles"]] == [6, 6, 6]
    assert rest["candles"][1][0] - rest["candles"][0][0] == 3_600_000
    assert (rest["fee"]["maker"], rest["fee"]["taker"]) == (0.001, 0.001)


def test_ccxt_places_every_type_of_order_that_the_exchange_names(rest: dict[str, Any]) -> None:
    ends = {name: order["found"]["status"] for name, order in rest["orders"].items()}
    assert ends == {
        "LIMIT GTC": "open",
        "LIMIT IOC": "closed",
        "LIMIT FOK": "closed",
        "LIMIT_MAKER": "open",
        "MARKET": "closed",
        "STOP_LOSS_LIMIT": "open",
        "TAKE_PROFIT_LIMIT": "open",
    }
    assert {name.split()[0] for name in ends} == set(rest["types"])
    for order in rest["orders"].values():
        created, found = order["created"], order["found"]
        assert created["id"] == found["id"]
        assert created["filled"] == found["filled"] == (0.01 if found["status"] == "closed" else 0)
        assert created["triggerPrice"] == found["triggerPrice"]
    assert [each["currency"] for each in rest["bought"]["fees"]] == ["BTC"]
    assert rest["bought"]["fees"][0]["cost"] == pytest.approx(0.0002)
    assert 490 < rest["for_money"]["cost"] <= 500


def test_ccxt_looks_up_changes_and_cancels_orders(rest: dict[str, Any]) -> None:
    standing = {order["found"]["id"] for order in rest["orders"].values() if order["found"]["status"] == "open"}
    assert {each["id"] for each in rest["open"]} == standing
    assert (rest["edited"]["status"], rest["edited"]["amount"]) == ("open", 0.02)
    assert (rest["cancelled"]["id"], rest["cancelled"]["status"]) == (rest["edited"]["id"], "canceled")
    replaced = next(each["id"] for each in rest["open"] if each["type"] == "limit")
    assert {each["id"] for each in rest["cancelled_all"]} == standing - {replaced}
    assert rest["open_after"] == []
    assert {each["id"] for each in rest["closed"]} < {each["id"] for each in rest["all"]}


def test_ccxt_reads_trades_transfers_and_balances_that_agree(rest: dict[str, Any]) -> None:
    assert rest["balance"]["USDT"] == 100_000
    assert [(each["amount"], each["currency"], each["status"]) for each in rest["deposits"]] == [
        (100_000, "USDT", "ok")
    ]
    assert rest["withdrawals"] == []
    assert {each["order"] for each in rest["of_order"]} == {rest["bought"]["id"]}
    assert sum(each["amount"] for each in rest["of_order"]) == pytest.approx(0.2)
    bought = sum(each["amount"] - each["fee"]["cost"] for each in rest["my_trades"])
    assert rest["balance_after"]["BTC"]["total"] == pytest.approx(bought, abs=1e-9)
    paid = sum(each["cost"] for each in rest["my_trades"])
    assert rest["balance_after"]["USDT"]["free"] == pytest.approx(100_000 - paid, abs=1e-6)


def test_ccxt_understands_why_it_is_refused(rest: dict[str, Any]) -> None:
    assert rest["refused"] == {
        "too small": "InvalidOrder",
        "no money": "InsufficientFunds",
        "no order": "OrderNotFound",
        "no order to cancel": "OrderNotFound",
        "wrong secret": "AuthenticationError",
    }


def test_ccxt_watches_the_market(streams: dict[str, Any]) -> None:
    book = streams["book"]
    assert book["told"] >= 5
    assert book["compared"] > 0
    assert book["differing"] == 0
    assert {each["symbol"] for each in streams["trades"]} == {"BTC/USDT"}
    assert streams["ticker"]["low"] <= streams["ticker"]["last"] <= streams["ticker"]["high"]
    assert len(streams["candles"][-1]) == 6
    assert streams["bids_asks"]["BTC/USDT"]["bid"] < streams["bids_asks"]["BTC/USDT"]["ask"]


def test_ccxt_watches_its_orders_trades_and_balances(streams: dict[str, Any]) -> None:
    account = streams["account"]
    ends = {name: (status, filled) for name, status, filled in account["orders"]}
    assert ends == {account["bought"]: ("closed", 0.1), account["cancelled"]: ("canceled", 0)}
    assert {order for order, *_ in account["trades"]} == {account["bought"]}
    assert account["balance"] == account["asked"]
    assert account["balance"]["total"] == pytest.approx(0.0999)


def test_ccxt_trades_over_the_websocket_api(streams: dict[str, Any]) -> None:
    socket = streams["socket"]
    assert (socket["placed"], socket["found"], socket["cancelled"]) == ("open", "open", "canceled")
    assert socket["open"] == [socket["id"]]
    assert socket["market"] == ["closed", 0.01]
    held = {each["asset"]: each["free"] for each in socket["balance"]["balances"]}
    assert held["BTC"] == "0.08990000"
    assert socket["trades"] >= 2  # an order may take several levels
