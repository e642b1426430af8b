"""From an empty folder to a fund at Binance, over sockets, in processes of their own."""

import json
import os
import signal
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.acceptance.shell import TERMINATE, Shell


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Return a folder with a paper exchange on the machine's clock."""
    shell = Shell(tmp_path_factory.mktemp("exchange"))
    shell.ok("init")
    return shell


@pytest.fixture(scope="module")
def address(exchange: Shell) -> Iterator[str]:
    """Serve it, and return its URL."""
    process = exchange.start("exchange", "serve", "--port", "0", "--admin-port", "0")
    assert process.stdout is not None
    told = [process.stdout.readline().split() for _ in range(5)]
    (exchange.folder / "admin").write_text(told[3][-1])
    yield told[0][1].removesuffix("/api")
    process.send_signal(TERMINATE)
    process.communicate(timeout=20)


def faults(exchange: Shell, verb: str, plan: dict[str, object]) -> None:
    """Switch the faults of the server: PUT a plan, or DELETE it."""
    admin(exchange, verb, "/faults", plan)


def admin(exchange: Shell, verb: str, path: str, body: Mapping[str, object]) -> None:
    """Ask the server's admin endpoint for something."""
    (token,) = (path.read_text().strip() for path in exchange.folder.glob("*.token"))
    request = urllib.request.Request(
        (exchange.folder / "admin").read_text() + path,
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {token}"},
        method=verb,
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200


def keys_in(folder: Path, key: dict[str, str], prefix: str = "ETF_LOCAL", mode: int = 0o600) -> None:
    path = folder / ".env"
    path.write_text(f"{prefix}_API_KEY={key['api_key']}\n{prefix}_SECRET_KEY={key['secret_key']}\n")
    path.chmod(mode)


@pytest.fixture
def fund(exchange: Shell, address: str, tmp_path: Path) -> Shell:
    """Return a folder whose orders go there, before `etf init`; what tests before it asked is forgotten."""
    admin(exchange, "POST", "/pardon", {})
    key = exchange.json("exchange", "account", "add", tmp_path.name.replace("[", "-"), "--deposit", "100000")
    keys_in(tmp_path, key)
    return Shell(tmp_path)


def made(fund: Shell, address: str) -> Shell:
    """Make the fund: its database, its opening balance, an index."""
    fund.ok("init", "--environment", "local", "--url", address)
    assert fund.etf("reconcile").code == 9
    fund.ok("reconcile", "--book", "1", "--as", "opening", "--reason", "it was there before")
    fund.ok("index", "create", "TWO", "--weight", "BTC=0.6", "--weight", "ETH=0.4", "--float", "600")
    return fund


def test_fees_in_bnb_are_booked_and_coming_delistings_told_over_the_wire(
    exchange: Shell, fund: Shell, address: str
) -> None:
    made(fund, address)
    name = fund.folder.name
    admin(exchange, "POST", f"/accounts/{name}/deposits", {"asset": "BNB", "amount": "2", "id": f"{name}-bnb"})
    assert "2 BNB booked for self" in fund.ok("reconcile")
    assert fund.json("treasury", "fees", "1")["balances"][0]["quantity"] == "1"
    exchange.ok("exchange", "account", "burn", "on", name)
    assert fund.json("submit", "buy", "--index", "1", "--qty", "7")["status"] == "filled"
    assert fund.json("submit", "sell", "--index", "1", "--qty", "3")["status"] == "filled"
    assert {asset for (asset,) in fund.rows("select fee_asset from fill")} == {"BNB"}
    inventory = fund.json("treasury", "fees")
    assert inventory["asset"] == "BNB" and [row["asset"] for row in inventory["balances"]] == ["BNB", "USDT"]
    fund.ok("ledger", "audit")
    assert "agree" in fund.ok("reconcile")
    doctor = {row["check"]: row["state"] for row in fund.json("doctor")["checks"]}
    assert doctor["BNB"] == "ok"
    with_bnb = fund.etf("index", "create", "MIXED", "--weight", "BTC=0.5", "--weight", "BNB=0.5", "--float", "600")
    assert with_bnb.code == 0
    refused = fund.etf("submit", "buy", "--index", "2", "--qty", "1")
    assert refused.code == 4 and "MIXED holds BNB" in refused.err
    assert fund.etf("doctor").code != 0
    exchange.ok("exchange", "account", "burn", "off", name)
    admin(
        exchange, "PUT", "/delistings", {"delistings": [{"delistTime": 4_000_000_000_000, "symbols": ["ETHUSDT"]}]}
    )
    told = fund.etf("submit", "buy", "--index", "1", "--qty", "1")
    shown = fund.ok("index", "show", "1")
    admin(exchange, "PUT", "/delistings", {"delistings": []})
    assert told.code == 0 and "ETHUSDT will be delisted" in told.err and "ETHUSDT will be delisted" in shown


def test_what_is_to_end_is_sold_before_by_a_rulebook_that_says_so_and_never_comes_in(
    exchange: Shell, fund: Shell, address: str
) -> None:
    made(fund, address)
    rulebook = 'symbol = "THREE"\nfloat = "600"\n[weights]\nBTC = 0.5\nETH = 0.3\nXRP = 0.2\n'
    (fund.folder / "three.toml").write_text(rulebook + '[delisting]\nrule = "sell"\n')
    fund.ok("index", "create", "--file", "three.toml")
    fund.ok("submit", "buy", "--index", "2", "--qty", "10")
    assert "Nothing is due." in fund.ok("rebalance", "--due")
    ends = [{"delistTime": 4_000_000_000_000, "symbols": ["XRPUSDT"]}]
    admin(exchange, "PUT", "/delistings", {"delistings": ends})
    told = fund.etf("submit", "buy", "--index", "2", "--qty", "1")
    assert "etf rebalance --index 2 does so" in told.err
    left_out = fund.json("rebalance", "--index", "2", "--dry-run")["verdicts"]
    assert {each["asset"]: each["why"] for each in left_out}["XRP"] == "its market is to end"
    sold = fund.etf("rebalance", "--due")
    assert sold.code == 0 and "The market of XRP is to end: the rulebook of THREE sells before that." in sold.err
    assert set(fund.json("report", "rebalance", "--index", "2")["removed"]) == {"XRP"}
    assert "Nothing is due." in fund.ok("rebalance", "--due")
    fund.ok("ledger", "audit")
    admin(exchange, "PUT", "/delistings", {"delistings": []})


def test_a_fund_is_made_bought_sold_and_audited_over_the_wire(fund: Shell, address: str) -> None:
    said = fund.ok("init", "--environment", "local", "--url", address)
    assert "orders go to Binance local" in said
    assert "Made etf.db" in said
    assert not (fund.folder / "exchange.db").exists()
    assert (fund.folder / "etf.db").stat().st_mode & 0o077 == 0
    answer = fund.etf("reconcile")
    assert answer.code == 9
    assert "100,000" in answer.out
    fund.ok("reconcile", "--book", "1", "--as", "opening", "--reason", "it was there before")
    fund.ok("index", "create", "TWO", "--weight", "BTC=0.6", "--weight", "ETH=0.4", "--float", "600")
    plan = fund.json("submit", "buy", "--index", "1", "--qty", "7", "--dry-run")
    assert plan["dry_run"]
    order = fund.json("submit", "buy", "--index", "1", "--qty", "7")
    assert (order["status"], order["units"]) == ("filled", "7")
    assert fund.json("submit", "sell", "--index", "1", "--qty", "all")["status"] == "filled"
    fund.ok("ledger", "audit")
    assert "agree" in fund.ok("reconcile")
    assert fund.rows("select sum(used) > 0 from weight_use") == [(1,)]


def test_doctor_asks_the_venue(fund: Shell, address: str) -> None:
    made(fund, address)
    checks = {each["check"]: each for each in fund.json("doctor")["checks"]}
    asked = ("keys", "venue clock", "account", "permissions", "limits", "fees", "user stream", "delistings")
    assert set(asked) <= checks.keys()
    assert {checks[name]["state"] for name in asked} <= {"ok", "skip"}
    (fund.folder / ".env").chmod(0o644)
    checks = {each["check"]: each for each in fund.json("doctor")["checks"]}
    assert checks["keys"]["state"] == "warn"
    assert "chmod 600" in checks["keys"]["advice"]


def test_doctor_goes_on_where_the_venue_cannot_be_asked(fund: Shell, address: str) -> None:
    made(fund, address)
    answer = fund.etf("doctor", "--json", ETF_BINANCE_URL="http://127.0.0.1:9")
    assert answer.code == 1
    checks = {each["check"]: each for each in answer.document["checks"]}
    assert checks["venue clock"]["state"] == "fail"
    assert checks["limits"]["state"] == "skip"


def test_keys_are_shown_nowhere(fund: Shell, address: str, exchange: Shell) -> None:
    made(fund, address)
    fund.ok("submit", "buy", "--index", "1", "--qty", "1")
    values = [line.partition("=")[2] for line in (fund.folder / ".env").read_text().split()]
    shown = [
        fund.etf(*words)
        for words in (
            ("config", "show", "--json"),
            ("doctor", "-v"),
            ("-v", "ledger", "audit"),
            ("-v", "submit", "buy", "--index", "1", "--qty", "1"),
        )
    ]
    keys_in(fund.folder, {"api_key": values[0], "secret_key": values[1][::-1]})
    out, err = fund.start("-v", "reconcile").communicate(timeout=60)
    assert "Signature for this request is not valid" in err
    assert "Traceback" in err
    told = "".join(answer.out + answer.err for answer in shown) + out + err
    kept = (fund.folder / "etf.db").read_bytes()
    for value in (*values, values[1][::-1]):
        assert value not in told
        assert value.encode() not in kept


def test_the_keys_of_another_account_are_refused(fund: Shell, address: str, exchange: Shell) -> None:
    made(fund, address)
    keys_in(fund.folder, exchange.json("exchange", "account", "add", "somebody-else", "--deposit", "1000"))
    for words in (
        ("init", "--environment", "local", "--url", address),
        ("submit", "buy", "--index", "1", "--qty", "1"),
    ):
        answer = fund.etf(*words)
        assert answer.code == 4
        assert "this database belongs to" in answer.err
    assert fund.rows("select count(*) from account") == [(1,)]
    assert fund.rows("select count(*) from index_order") == [(0,)]
    assert fund.rows("select count(*) from asset_order") == [(0,)]


def test_a_paper_database_never_trades_elsewhere(fund: Shell, address: str) -> None:
    fund.ok("init")
    answer = fund.etf(
        "submit", "buy", "--index", "1", "--qty", "1", ETF_ENVIRONMENT="local", ETF_BINANCE_URL=address
    )
    assert answer.code == 4
    assert "no account at Binance local yet" in answer.err


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"ETF_ENVIRONMENT": "live"}, "there are no keys for the environment live"),
        ({"ETF_ENVIRONMENT": "demo"}, "there are no keys for the environment demo"),
        ({"ETF_ENVIRONMENT": "local"}, "binance.url is not set"),
        ({"ETF_ENVIRONMENT": "local", "ETF_BINANCE_URL": "http://10.0.0.1"}, "must be a server on this machine"),
    ],
)
def test_what_is_not_set_up_is_told_and_makes_nothing(
    empty: Shell, settings: dict[str, str], sentence: str
) -> None:
    answer = empty.etf("init", **settings)
    assert answer.code in (2, 4)
    assert sentence in answer.err
    assert [path.name for path in empty.folder.iterdir()] == []


def test_live_keys_that_others_may_read_are_refused(empty: Shell) -> None:
    keys_in(empty.folder, {"api_key": "a" * 64, "secret_key": "b" * 64}, "BINANCE", 0o640)
    answer = empty.etf("init", ETF_ENVIRONMENT="live", ETF_LIVE="true")
    assert answer.code == 4
    assert "others may read" in answer.err
    assert "chmod 600" in answer.err


def test_paper_commands_say_that_there_is_no_paper_exchange(fund: Shell, address: str) -> None:
    made(fund, address)
    for words in (
        ("exchange", "reset", "--yes"),
        ("treasury", "deposit", "5"),
        ("exchange", "deposit", "USDT", "5"),
    ):
        answer = fund.etf(*words)
        assert answer.code == 4
        assert "orders go to Binance local" in answer.err


def test_a_leader_that_is_killed_in_the_middle_loses_nothing(fund: Shell, address: str) -> None:
    made(fund, address)
    answer = fund.interrupted(
        *("submit", "buy", "--index", "1", "--qty", "20", "--client-key", "once"),
        number=signal.SIGKILL,
        when=lambda: fund.rows("select count(*) from asset_order where status <> 'written'") != [(0,)],
    )
    again = fund.json("submit", "buy", "--index", "1", "--qty", "20", "--client-key", "once")
    assert (again["status"], again["units"]) == ("filled", "20")
    fund.ok("ledger", "audit")
    assert "agree" in fund.ok("reconcile")
    assert answer.code in (-signal.SIGKILL, 0)


COINS = [
    *("BTC", "ETH", "SOL", "BNB", "XRP", "DOGE", "TRX", "ADA", "LINK", "LTC"),
    *("AVAX", "UNI", "BCH", "DOT", "XLM", "SHIB", "ATOM", "MANA", "ZIL", "DENT"),
]
EVERY_WAY = (
    *("slow", "overloaded", "cut_before", "cut_after", "unexpected_before", "unexpected_after", "arrives_late"),
    *("server_error_before", "server_error_after", "hidden", "report_lost", "report_twice", "stream_cut"),
)


def test_twenty_coins_are_bought_though_one_request_in_twenty_fails(
    fund: Shell, address: str, exchange: Shell
) -> None:
    more = {"asset": "USDT", "amount": "100000", "id": f"{fund.folder.name}-more"}
    admin(exchange, "POST", f"/accounts/{fund.folder.name}/deposits", more)
    fund.ok("init", "--environment", "local", "--url", address)
    assert fund.etf("reconcile").code == 9
    fund.ok("reconcile", "--book", "1", "--as", "opening", "--reason", "it was there before")
    weights = [word for coin in COINS for word in ("--weight", f"{coin}=0.05")]
    fund.ok("index", "create", "TWENTY", *weights, "--float", "600")
    chances = {"chances": {name: 0.05 / len(EVERY_WAY) for name in EVERY_WAY}, "seed": 5, "slowest": 0.5}
    faults(exchange, "PUT", chances)
    try:
        order = fund.json("submit", "buy", "--index", "1", "--qty", "100", "--max-loss", "100")
    finally:
        faults(exchange, "DELETE", {})
    assert (order["status"], order["units"]) == ("filled", "100")
    fund.ok("ledger", "audit")
    assert "agree" in fund.ok("reconcile")


def test_the_variables_of_keys_are_no_settings(fund: Shell) -> None:
    assert "ETF_LOCAL_API_KEY" not in os.environ
    assert json.loads(fund.etf("config", "show", "--json", ETF_LOCAL_API_KEY="x").out)["settings"]


@pytest.mark.parametrize(
    ("settings", "code", "sentence"),
    [
        ({}, 4, "live trading is not switched on"),
        ({"ETF_LIVE": "true"}, 2, "this trades real money; without a terminal nothing is asked"),
    ],
)
def test_a_live_order_needs_the_switch_and_a_yes(
    empty: Shell, settings: dict[str, str], code: int, sentence: str
) -> None:
    empty.ok("init")
    empty.run("update account set environment = 'live'")
    keys_in(empty.folder, {"api_key": "a" * 64, "secret_key": "b" * 64}, "BINANCE")
    answer = empty.etf("submit", "buy", "--index", "1", "--qty", "1", ETF_ENVIRONMENT="live", **settings)
    assert answer.code == code
    assert sentence in answer.err
    assert empty.rows("select count(*) from index_order") == [(0,)]
