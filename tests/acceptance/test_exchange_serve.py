"""`etf exchange serve` and `etf exchange account add`, as processes."""

import hmac
import http.client
import json
import re
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from Crypto.PublicKey import ECC
from tests.acceptance.shell import Shell

from etf_trader.database import Database
from etf_trader.exchange.markets import market_from
from etf_trader.exchange.paper import PaperExchange


@contextmanager
def served(shell: Shell, *options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Serve the exchange of a folder, and yield the process with what it printed."""
    command = [sys.executable, "-m", "etf_trader", "exchange", "serve", "--port", "0", "--json", *options]
    process = subprocess.Popen(
        command,
        cwd=shell.folder,
        env=shell._environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        lines = ""
        while not lines.rstrip().endswith("}"):
            line = process.stdout.readline()
            assert line, process.stderr.read()
            lines += line
        yield process, json.loads(lines)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def test_it_serves_until_it_is_told_to_stop(made: Shell) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        with served(made) as (process, facts):
            assert get(f"{facts['rest']}/v3/ping") == {}
            assert facts["admin"] is None
            began = time.monotonic()
            process.send_signal(number)
            assert process.wait(timeout=20) == 128 + number
            assert time.monotonic() - began < 5
            assert process.stderr is not None
            assert process.stderr.read() == "Stopped.\n"


def test_it_ends_with_standard_input_and_grants_the_weight_that_it_was_told(made: Shell) -> None:
    words = ("exchange", "serve", "--port", "0", "--weight", "7000", "--until-eof")
    with made.start(*words, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        info = get(f"{process.stdout.readline().split()[1]}/v3/exchangeInfo?symbol=BTCUSDT")
        limits = {row["limit"] for row in info["rateLimits"] if row["rateLimitType"] == "REQUEST_WEIGHT"}
        assert limits == {7000}
        process.stdin.close()
        assert process.wait(20) == 0
    answer = made.etf("exchange", "serve", "--weight", "5")
    assert answer.code == 2
    assert "--weight" in answer.err


def test_an_account_of_its_own_has_keys_and_money(made: Shell) -> None:
    said = made.ok("exchange", "account", "add", "alice", "--deposit", "1000")
    assert re.search(r"^API key +[A-Za-z0-9]{64}$", said, re.MULTILINE)
    assert re.search(r"^secret key +[A-Za-z0-9]{64}$", said, re.MULTILINE)
    again = made.json("exchange", "account", "add", "alice")
    assert again["api_key"] not in said
    assert again["kind"] == "HMAC"


def test_an_ed25519_key_is_never_secret_to_us(made: Shell) -> None:
    private = ECC.generate(curve="Ed25519")
    path = made.folder / "public.pem"
    path.write_text(private.public_key().export_key(format="PEM"))
    facts = made.json("exchange", "account", "add", "bob", "--ed25519", str(path))
    assert (facts["kind"], facts["secret_key"]) == ("ED25519", None)
    path.write_text("nonsense")
    answer = made.etf("exchange", "account", "add", "bob", "--ed25519", str(path))
    assert answer.code == 2
    assert "this is no Ed25519 public key in PEM" in answer.err
    answer = made.etf("exchange", "account", "add", "bob", "--ed25519", "nowhere.pem")
    assert answer.code == 2
    assert "the public key cannot be read" in answer.err


def test_an_account_cannot_be_called_anything(made: Shell) -> None:
    answer = made.etf("exchange", "account", "add", "market")
    assert answer.code == 2
    assert "an account cannot be called 'market'" in answer.err


def test_a_port_in_use_gets_one_sentence(made: Shell) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for option in ("--port", "--admin-port"):
            other = () if option == "--port" else ("--port", "0")
            answer = made.etf("exchange", "serve", option, str(port), *other)
            assert answer.code == 4
            assert f"port {port} of 127.0.0.1 cannot be served: another program listens there" in answer.err


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.1", "example.org", "::"])
def test_it_is_never_served_to_other_machines(made: Shell, host: str) -> None:
    answer = made.etf("exchange", "serve", "--host", host)
    assert answer.code == 2
    assert f"{host!r} is not an address of this machine alone" in answer.err


def test_the_admin_endpoint_has_a_token_that_only_we_can_read(made: Shell) -> None:
    with served(made, "--admin-port", "0") as (process, facts):
        file = Path(facts["token_file"])
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        request = urllib.request.Request(
            f"{facts['admin']}/", headers={"Authorization": f"Bearer {file.read_text().strip()}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert json.load(answer)["fired"] == {}
        process.terminate()
        process.wait(timeout=20)
        assert not file.exists()


def test_listen_keys_come_by_a_switch(made: Shell) -> None:
    key = made.json("exchange", "account", "add", "old")["api_key"]
    with served(made, "--listen-keys") as (_, facts):
        request = urllib.request.Request(
            f"{facts['rest']}/v3/userDataStream", method="POST", headers={"X-MBX-APIKEY": key}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert len(json.load(answer)["listenKey"]) == 64


def test_what_was_answered_stands_after_a_kill(made: Shell) -> None:
    """The exchange of the folder has a stepped clock, so that every request carries its one time."""
    key = made.json("exchange", "account", "add", "alice", "--deposit", "100000")
    answered: list[str] = []

    def place(base: str, number: int, at: int) -> None:
        payload = (
            "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=IOC&quantity=0.001&price=200000"
            f"&newClientOrderId=k{number}&timestamp={at}"
        )
        signature = hmac.new(key["secret_key"].encode(), payload.encode(), sha256).hexdigest()
        request = urllib.request.Request(
            f"{base}/v3/order",
            data=f"{payload}&signature={signature}".encode(),
            headers={"X-MBX-APIKEY": key["api_key"]},
        )
        with suppress(OSError, http.client.HTTPException), urllib.request.urlopen(request, timeout=20) as answer:
            assert json.load(answer)["status"] == "FILLED"
            answered.append(f"k{number}")

    with served(made) as (process, facts), ThreadPoolExecutor(16) as pool:
        at = get(f"{facts['rest']}/v3/time")["serverTime"]
        sent = [pool.submit(place, facts["rest"], number, at) for number in range(90)]
        while len(answered) < 25:
            time.sleep(0.01)
        process.kill()
        for each in sent:
            each.result()
    assert 25 <= len(answered) < 90
    exchange = PaperExchange.open(Database(f"sqlite:///{made.folder / 'exchange.db'}"), market_from)
    orders = {each.client_order_id: each for each in exchange.orders("alice")}
    assert set(answered) <= orders.keys()
    spent = sum(each.cumulative_quote for each in orders.values())
    assert exchange.balances("alice")["USDT"].free == 100_000 - spent
    assert len(exchange.trades("alice")) == sum(len(each.trades) for each in orders.values())
    exchange.close()
