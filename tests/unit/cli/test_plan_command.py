"""`etf plan show` and `etf plan verify`: what they say of plans that hold, and of plans that do not."""

import asyncio
import io
import json
import re
import shutil
import sqlite3
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from tests.unit.cli.made import make_folder

from etf_trader.bootstrap import open_services
from etf_trader.cli import app
from etf_trader.cli.plans import legs_table
from etf_trader.config import Settings
from etf_trader.index.definition import definition_from_options
from etf_trader.market.symbol import Side
from etf_trader.money import money_context
from etf_trader.orders.index_order import OrderRequest

D = Decimal
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an index of two: 40.5 units were bought, then 9,000 wanted within a limit."""
    return make_folder(
        tmp_path_factory.mktemp("made"), 'deposit = "100000000"\n', [("40.5", None), ("9000", D("1002"))]
    )


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copy"))


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(folder)

    def typed(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        code = app.run(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return typed


def test_a_plan_that_fills_says_that_nothing_binds_and_nothing_is_gained(run: Run) -> None:
    code, out, err = run("plan", "show", "1")
    assert (code, err) == (0, "")
    assert "Nothing binds: all of it fills, and one market-like order an asset is the optimum." in out
    assert "Optimising gains 0.00 bps." in out
    assert out.endswith("To prove it again: etf plan verify 1\n")


def test_a_plan_that_a_limit_stops_says_what_more_would_bring_and_where_each_book_ends(run: Run) -> None:
    code, out, err = run("plan", "show", "2")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    (stopped,) = [line for line in lines if line.startswith("What binds: limit 1,002.00. ")]
    assert stopped.endswith(" units would break it.")
    assert any(line.split()[:3] == ["limit", "1", "bps"] and "+" in line and "-" in line for line in lines)
    assert any(line.startswith("depth of BTC") and "10%" in line for line in lines)
    titles = next(line for line in lines if "dearest used" in line)
    assert titles.split() == ["dearest", "used", "cheapest", "left", "worth", "after", "fee"]
    assert "No level that is left is cheaper than one that is used" in out


def test_of_orders_that_were_solved_as_one_a_single_one_may_trade(run: Run) -> None:
    wait = ("--index", "1", "--qty", "5", "--tif", "gtc", "--limit")
    assert run("submit", "buy", *wait, "900", "--detach")[0] == 0
    assert run("submit", "buy", *wait, "1010")[0] == 0
    out = run("plan", "show", "3")[1]
    assert "Solved with the other open orders; of them order 4 alone trades.\n" in out


def test_a_plan_says_what_it_trades_with_the_accounts_other_orders(run: Run) -> None:
    assert run("submit", "sell", "--index", "1", "--qty", "30", "--detach")[0] == 0
    code, out, _ = run("submit", "buy", "--index", "1", "--qty", "30", "--dry-run")
    trades = r"^Trades 29,\d{3}\.\d\d USDT with your own other orders, at the mid and without a fee\.$"
    assert (code, len(re.findall(trades, out, re.MULTILINE))) == (0, 1)
    assert "Loss  0.00" in out
    plan = json.loads(run("submit", "buy", "--index", "1", "--qty", "30", "--dry-run", "--json")[1])["plan"]
    assert [line.split("  ")[-1] for line in legs_table(plan, {}).lines(None)[1:]] == ["all of it inside"] * 2
    assert "Trades" not in run("submit", "sell", "--index", "1", "--qty", "1", "--dry-run")[1]


def test_the_document_of_a_shown_plan_has_its_market_and_what_binds(run: Run) -> None:
    code, out, _ = run("plan", "show", "2", "--json")
    document = json.loads(out)
    assert code == 0
    assert sorted(document["market"]["books"]) == ["BTCUSDT", "ETHUSDT"]
    names = [nudge["name"] for nudge in document["binds"]]
    assert names[0] == "limit"
    assert {"depth(BTC)", "depth(ETH)"} <= set(names)
    assert Decimal(document["binds"][0]["more"]) > 0 > Decimal(document["binds"][0]["less"])


@pytest.mark.parametrize("plan", ["1", "2"])
def test_a_stored_plan_is_proved(run: Run, plan: str) -> None:
    code, out, err = run("plan", "verify", plan)
    assert (code, err) == (0, "")
    assert out.startswith(f"Plan {plan} is proved, without a solver and from its books alone:\n")
    assert [line.split()[0] for line in out.splitlines()[1:]] == [
        "books",
        "orders",
        "fraction",
        "limits",
        "bound",
        "gap",
    ]


def test_what_is_shown_and_what_is_only_planned_is_proved_from_stdin(run: Run) -> None:
    _, shown, _ = run("plan", "show", "2", "--json")
    assert run("plan", "verify", "-", stdin=shown)[:2] == (0, run("plan", "verify", "2")[1])
    _, planned, _ = run("submit", "buy", "--index", "1", "--qty", "3", "--dry-run", "--json")
    code, out, err = run("plan", "verify", "-", stdin=planned)
    assert (code, err) == (0, "")
    assert out.startswith("The plan is proved, without a solver")
    assert json.loads(run("plan", "verify", "-", "--json", stdin=planned)[1]) == {
        "schema": "etf.proof/1",
        "plan": None,
        "proved": True,
        "book_hash": json.loads(planned)["plan"]["book_hash"],
        "findings": [],
    }


def test_a_changed_digit_is_told_with_its_place_and_an_exit_code(run: Run) -> None:
    _, planned, _ = run("submit", "sell", "--index", "1", "--qty", "3", "--dry-run", "--json")
    document = json.loads(planned)
    document["plan"]["cash"] = "1" + document["plan"]["cash"]
    code, out, err = run("plan", "verify", "-", stdin=json.dumps(document))
    assert (code, err) == (9, "")
    assert out.startswith("The plan is not proved: plan was changed after it was made: its seal is another.\n")
    assert f"  also plan.cash is {document['plan']['cash']}, but comes to " in out
    assert "Do not trust what it says" in out
    code, out, _ = run("plan", "verify", "-", "--json", stdin=json.dumps(document))
    assert (code, json.loads(out)["proved"]) == (9, False)
    code, out, _ = run("plan", "verify", "-", "--format", "csv", stdin=json.dumps(document))
    assert (code, out.splitlines()[0]) == (9, "where,what")


def test_a_long_list_of_findings_is_cut(run: Run) -> None:
    _, planned, _ = run("submit", "sell", "--index", "1", "--qty", "3", "--dry-run", "--json")
    document = json.loads(planned)
    document["plan"]["units"] = "2"
    code, out, _ = run("plan", "verify", "-", stdin=json.dumps(document))
    assert code == 9
    assert "more; --json lists them all" in out
    assert len(out.splitlines()) == 22


@pytest.mark.parametrize(
    ("stdin", "told"),
    [
        ("", "what came from stdin is empty"),
        (" \n", "what came from stdin is empty"),
        ("Buy 100 units", "what came from stdin is not JSON"),
        ("[" * 100_000, "what came from stdin is not JSON"),
        ("[1]", "what came from stdin is JSON without a schema, not of etf.plan/1"),
        ('{"schema": "etf.order/1", "plan": {}}', "what came from stdin is of etf.order/1, not of etf.plan/1"),
        ('{"schema": "etf.plan/1"}', "what came from stdin has no plan"),
        ('{"schema": "etf.plan/1", "plan": {}}', "what came from stdin has a plan without the market"),
        ('{"schema": "etf.plan/1", "plan": {"a": "\\ud800"}, "market": {}}', "is no plan with its market"),
    ],
)
def test_what_is_no_plan_is_refused_in_a_sentence(run: Run, stdin: str, told: str) -> None:
    code, out, err = run("plan", "verify", "-", stdin=stdin)
    assert (code, out) == (2, "")
    assert told in err
    assert "--dry-run --json | etf plan verify -" in err


@pytest.mark.parametrize("typed", ["x", "--", "1.5"])
def test_what_is_no_number_of_a_plan_is_refused(run: Run, typed: str) -> None:
    assert run("plan", "verify", typed)[0] == 2


def test_a_plan_that_is_not_there_is_not_found(run: Run) -> None:
    code, out, err = run("plan", "verify", "77")
    assert (code, out) == (3, "")
    assert "there is no plan 77" in err


def _change(folder: Path, statement: str) -> None:
    connection = sqlite3.connect(folder / "etf.db", isolation_level=None)
    assert connection.execute(statement).rowcount > 0
    connection.close()


def test_a_plan_from_before_books_were_kept_is_shown_and_says_why_it_cannot_be_proved(
    run: Run, folder: Path
) -> None:
    _change(folder, "DELETE FROM market")
    code, out, _ = run("plan", "show", "1")
    assert code == 0
    assert out.endswith("What bound it cannot be worked out again: etf plan verify 1 says why.\n")
    code, out, err = run("plan", "verify", "1")
    assert (code, out) == (3, "")
    assert "plan 1 was made before books were kept with plans: it cannot be proved again" in err


def test_a_stored_plan_that_was_changed_is_told(run: Run, folder: Path) -> None:
    _change(folder, "UPDATE plan SET document = replace(document, '40.5', '40.6') WHERE id = 1")
    code, out, _ = run("plan", "verify", "1")
    assert code == 9
    assert out.startswith("Plan 1 is not proved: row of plan 1 does not match its seal.\n")


@pytest.fixture(scope="module")
def together(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same folder after two buys and a sell that were solved as one, and a buy in two currencies."""
    folder = Path(shutil.copytree(made, tmp_path_factory.mktemp("together") / "copy"))
    with money_context():
        services = open_services(Settings.load(cwd=folder, environ={}, user_file=folder / "none.toml"))
        routed = definition_from_options(
            "DUO",
            ["BTC=0.6", "ETH=0.4"],
            name=None,
            start_value=D(1000),
            float_cash=D(600),
            routes=("USDT", "USDC"),
        )

        async def trade() -> None:
            await services.administration.create_index(routed, 100)
            orders = []
            for side, quantity in ((Side.BUY, "60"), (Side.BUY, "70"), (Side.SELL, "20")):
                request = OrderRequest(side, 1, D(quantity), "", None, None, "now", f"t{quantity}")
                orders.append(await services.desk.accept(request))
            await services.manager.run([order.id for order in orders])
            order = await services.desk.accept(OrderRequest(Side.BUY, 2, D(30), "", None, None, "now", "routed"))
            await services.manager.run([order.id])

        asyncio.run(trade())
        services.close()
    return folder


@pytest.mark.parametrize("plan", ["3", "4", "5"])
def test_plans_that_were_solved_as_one_say_so_and_what_they_pay_together(
    run: Run, together: Path, monkeypatch: pytest.MonkeyPatch, plan: str
) -> None:
    monkeypatch.chdir(together)
    code, out, err = run("plan", "show", plan)
    assert (code, err) == (0, "")
    assert "Solved as one: orders 3, 4 and 5. Each level is shared in proportion to what they need of it." in out
    assert "Nothing binds: all of it fills." in out
    assert re.search(r"^Together they pay 110,[\d,.]+ USDT at the venue\.$", out, re.MULTILINE)
    code, out, err = run("plan", "verify", plan)
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["books", "orders", "fraction", "limits", "sums"]


def test_a_lie_in_one_plan_of_a_batch_is_found_in_its_siblings(run: Run, together: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(together, tmp_path / "lie"))
    connection = sqlite3.connect(folder / "etf.db", isolation_level=None)
    (text,) = connection.execute("SELECT document FROM plan WHERE id = 3").fetchone()
    document = json.loads(text)
    leg = document["legs"][0]
    leg["value"] = str(D(leg["value"]) + 1)
    connection.execute("UPDATE plan SET document = ? WHERE id = 3", (json.dumps(document),))
    connection.close()
    code, out, _ = run("plan", "verify", "4", "--config", str(folder / "etf.toml"))
    assert code == 9
    assert "value of BTC is " in out


def test_a_plan_over_several_currencies_is_shown_with_their_prices(
    run: Run, together: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(together)
    code, out, err = run("plan", "show", "6")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    start = next(place for place, line in enumerate(lines) if line.split() == ["worth", "in", "USDT"])
    assert [line.split()[0] for line in lines[start + 1 : start + 5]] == ["BTC", "ETH", "USDC", "USDT"]
    assert run("plan", "verify", "6")[0] == 0


def test_verifying_needs_neither_numpy_nor_scipy(folder: Path) -> None:
    import subprocess

    asked = (
        "import sys; from etf_trader.cli import app; code = app.run(['plan', 'verify', '1']); "
        "loaded = {'numpy', 'scipy'} & set(sys.modules); sys.exit(code or bool(loaded))"
    )
    done = subprocess.run([sys.executable, "-c", asked], cwd=folder, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_over_several_currencies_a_limit_is_named_and_nothing_said_of_one_currency_alone(
    run: Run, together: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shutil.copytree(together, tmp_path / "limited"))
    words = ("buy", "--index", "DUO", "--qty", "9000", "--limit", "1002")
    for command in (("submit", *words, "--dry-run"), ("quote", *words), ("submit", *words)):
        code, out, _ = run(*command)
        assert code in (0, 7)
        assert "\nStopped by the limit: 1,002.00 a unit.\n" in out
    _, out, _ = run("order", "show", "7")
    assert {"BTCUSDT", "ETHUSDC", "ETHUSDT"} <= {line.split()[0] for line in out.splitlines() if line}
