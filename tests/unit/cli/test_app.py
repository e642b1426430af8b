import json
import os
import re
import signal
import subprocess
import sys
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import typer

from etf_trader.cli import app
from etf_trader.cli.commands import command, group
from etf_trader.cli.invocation import output
from etf_trader.cli.later import LATER
from etf_trader.cli.options import (
    DryRunOption,
    LimitOption,
    QuantityOption,
    QuantityOrAllOption,
    RequiredIndexOption,
    TimeInForceOption,
)
from etf_trader.errors import EtfError, NotFound, Refused
from etf_trader.money import ONE

Run = Callable[..., tuple[int, str, str]]
STARTUP_FORBIDDEN = {
    "pydantic",
    "rich",
    "sqlalchemy",
    "numpy",
    "scipy",
    "pandas",
    "binance",
    "alembic",
    "asyncio",
    "aiohttp",
    "websockets",
    "requests",
    "msgspec",
    "tomlkit",
    "platformdirs",
    "tomllib",
    "sqlite3",
    "logging",
    "jinja2",
    "xlsxwriter",
}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run `etf` in this process, in a folder of its own; return exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def typed(*arguments: str) -> tuple[int, str, str]:
        code = app.run(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return typed


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A group `etf order` whose commands do what a test needs."""
    module = types.ModuleType("etf_trader.cli.order")
    here = group()
    module.app = here  # type: ignore[attr-defined]

    @command(here, "buy", examples=("etf order buy --index 1 --qty 100",), csv="rows")
    def buy(
        index: RequiredIndexOption,
        qty: QuantityOption,
        limit: LimitOption = None,
        tif: TimeInForceOption = "now",
        dry_run: DryRunOption = False,
    ) -> None:
        """Buy units."""
        row = {"index": index, "qty": qty, "limit": limit, "tif": tif, "dry_run": dry_run}
        output().emit("etf.try/1", {"rows": [row]}, lambda page: page.line(f"{index} {qty} {limit} {tif}"))

    @command(here, "sell", examples=("etf order sell --qty all",))
    def sell(qty: QuantityOrAllOption) -> None:
        """Sell units."""
        output().say(f"{qty.units}")

    @command(here, "fail", examples=("etf order fail refused",))
    def fail(how: str) -> None:
        """Fail somehow."""
        failures: dict[str, BaseException] = {
            "refused": Refused("too much", limit="concentration", where="DENT", hint="buy less"),
            "default": NotFound(),
            "bug": KeyError("x"),
            "disk": OSError(28, "No space left on device", "etf.db"),
            "interrupt": KeyboardInterrupt(),
            "told": KeyboardInterrupt("order 3 keeps working"),
            "partly": typer.Exit(7),
            "abort": typer.Abort(),
        }
        if how == "inexact":
            ONE / 3
        if how == "cause":
            raise EtfError("it failed") from ValueError("deep down")
        raise failures[how]

    monkeypatch.setitem(sys.modules, "etf_trader.cli.order", module)
    yield module


def test_help_lists_the_commands_in_sections_with_examples_on_top(run: Run) -> None:
    code, out, err = run("--help")
    assert (code, err) == (0, "")
    headings = re.findall(r"^(\w+):", out, flags=re.MULTILINE)
    assert headings == [
        "Usage",
        "Examples",
        "Start",
        "Index",
        "Trade",
        "Money",
        "Report",
        "Safety",
        "Venue",
        "Output",
    ]
    assert all(re.search(rf"^  {name} +\w", out, flags=re.MULTILINE) for name in app.COMMANDS)
    assert not any(re.search(rf"^  {name} ", out, flags=re.MULTILINE) for name in LATER)


def test_no_command_at_all_asks_for_help(run: Run) -> None:
    assert run() == run("--help")


def test_help_of_a_command_has_its_sections(run: Run, tried: ModuleType) -> None:
    _, out, _ = run("order", "buy", "-h")
    assert re.findall(r"^(\w+):", out, flags=re.MULTILINE) == [
        "Usage",
        "Examples",
        "What",
        "Limits",
        "How",
        "Output",
    ]
    assert "  etf order buy --index 1 --qty 100\n" in out
    assert "[default: now]" in " ".join(out.split())
    for option in ("--json", "--format table|json|csv", "-q, --quiet", "-v, --verbose", "--config FILE"):
        assert option in out


@pytest.mark.parametrize(
    ("typed", "sentence", "hint"),
    [
        ("vesion", "there is no command etf vesion; did you mean version?", "etf --help lists them"),
        ("xyzzy", "there is no command etf xyzzy.", "etf --help lists them"),
        ("order", "etf order needs a command: buy, sell, fail", "etf order --help"),
        ("order byu", "there is no command etf order byu; did you mean buy?", "etf order --help"),
        ("--json order byu", '"message": "there is no command etf order byu; did you mean buy?"', ""),
        (
            "order buy --indx 1",
            "etf order buy has no option --indx; did you mean --index?",
            "etf order buy --help",
        ),
        ("order buy --qty 1", "etf order buy needs --index", "etf order buy --help"),
        ("order buy --index", "--index needs a value", "etf order buy --help"),
        ("order buy --passiv 6", "etf order buy has no option --passiv.", "etf order buy --help"),
        (
            "order buy --index 1 --qty 1 --tif 5000d",
            "--tif: '5000d' is too long; an order works for at most 366d.",
            "",
        ),
        ("order buy --index 1 --qty 1 --tif 9999999d", "--tif: '9999999d' is too long;", ""),
        ("order buy --slices 6", "etf order buy has no option --slices.", "etf order buy --help"),
        ("order buy --limt 6", "etf order buy has no option --limt; did you mean --limit?", ""),
        ("order buy --ratefor 6", "etf order buy has no option --ratefor.", "etf order buy --help"),
        ("order fail --how 6", "etf order fail takes its how without --how", "etf order fail HOW"),
        ("order fail", "etf order fail needs HOW", ""),
        ("order buy --index 1 --qty 1,000", "--qty: '1,000' is not a number; write it as 1000.", ""),
        ("order buy --index 1 --qty x", "--qty: 'x' is not a number; write it as 1000.25", ""),
        ("order buy --index 1 --qty NaN", "--qty: 'NaN' is not a number", ""),
        ("order buy --index 1 --qty 1e3", "--qty: '1e3' is not a number", ""),
        ("order buy --index 1 --qty 0", "--qty: 0 is not above zero", ""),
        ("order buy --index 1 --qty -1", "--qty: -1 is not above zero", ""),
        ("order buy --index 1 --qty 1 --tif soon", "--tif: 'soon' is neither now nor gtc nor a duration", ""),
        ("order buy --index 1 --qty 1 --tif 0m", "--tif: '0m' is neither now nor gtc nor a duration", ""),
        ("order buy --index 1 --qty 1 2", "etf order buy does not take '2'", "etf order buy --help"),
        (
            "order buy --index 1 --qty 1 --format xml",
            "cannot print 'xml': --format takes table, json, csv, html or xlsx",
            "",
        ),
        ("order sell --qty 1 --format csv", "cannot print 'csv': --format takes table or json", ""),
        ("dashboard", "etf dashboard comes with a later version", "today: etf report fills"),
        ("--quiet", "etf needs a command", "etf --help"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(
    run: Run, tried: ModuleType, typed: str, sentence: str, hint: str
) -> None:
    code, out, err = run(*typed.split())
    assert (code, out) == (2, "")
    assert sentence in err
    assert hint in err


@pytest.mark.parametrize("name", sorted(LATER))
def test_a_later_command_is_refused_and_says_what_to_do_today(run: Run, name: str) -> None:
    code, _, err = run(*name.split())
    assert code == 2
    assert f"etf {name} comes with a later version" in err
    assert LATER[name] in err


@pytest.mark.parametrize(
    ("how", "code", "told"),
    [
        ("refused", 6, "etf: too much (DENT).\n     buy less  [exit 6]\n"),
        ("default", 3, "etf: What was named does not exist: list what does.  [exit 3]\n"),
        ("disk", 1, "etf: no space left on device (etf.db).\n     repair it and repeat the command  [exit 1]\n"),
        ("interrupt", 130, "etf: interrupted.  [exit 130]\n"),
        ("told", 130, "etf: order 3 keeps working.  [exit 130]\n"),
        ("partly", 7, ""),
        ("abort", 1, "etf: nothing was done: the question was not answered.  [exit 1]\n"),
    ],
)
def test_every_end_has_its_sentence_and_exit_code(
    run: Run, tried: ModuleType, how: str, code: int, told: str
) -> None:
    assert run("order", "fail", how) == (code, "", told)


@pytest.mark.parametrize("flag", [["--json"], ["--format", "json"], ["--format=json"]])
@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_errors_are_documents_when_json_was_asked_for(
    run: Run, tried: ModuleType, flag: list[str], first: bool
) -> None:
    arguments = [*flag, "order", "fail", "refused"] if first else ["order", "fail", "refused", *flag]
    code, out, err = run(*arguments)
    assert (code, out) == (6, "")
    assert json.loads(err) == {
        "schema": "etf.error/1",
        "code": "refused",
        "exit": 6,
        "message": "too much",
        "where": "DENT",
        "hint": "buy less",
    }


def test_a_bug_is_one_sentence_and_a_traceback_on_request(run: Run, tried: ModuleType) -> None:
    code, _, err = run("order", "fail", "bug")
    assert code == 1
    assert err.startswith("etf: a bug: KeyError: 'x'.\n     etf -v shows the traceback")
    _, _, err = run("-v", "order", "fail", "bug")
    assert "Traceback" in err
    _, _, err = run("order", "fail", "cause", "-v")
    assert "deep down" in err


def test_commands_run_in_the_money_context(run: Run, tried: ModuleType) -> None:
    assert "Inexact" in run("order", "fail", "inexact")[2]


@pytest.mark.parametrize(
    ("typed", "printed"),
    [
        ("order buy --index TOP8 --qty 100.5 --limit 1010", "TOP8 100.5 1010 now\n"),
        ("order buy --index 1 --qty 1 --tif 30m", "1 1 None 30m\n"),
        ("order buy --index 1 --qty .5 --tif gtc -q", "1 0.5 None gtc\n"),
        ("order buy --index 1 --qty 1 --format csv", "index,qty,limit,tif,dry_run\n1,1,,now,false\n"),
        ("order sell --qty all", "None\n"),
        ("order sell --qty 2.50", "2.50\n"),
    ],
)
def test_values_arrive_as_they_are_meant(run: Run, tried: ModuleType, typed: str, printed: str) -> None:
    code, out, err = run(*typed.split())
    assert (code, out.replace("\r\n", "\n"), err) == (0, printed, "")


def test_json_prints_the_document_alone(run: Run, tried: ModuleType) -> None:
    _, out, _ = run("order", "buy", "--index", "1", "--qty", "1", "--json")
    row = {"index": "1", "qty": "1", "limit": None, "tif": "now", "dry_run": False}
    assert json.loads(out) == {"schema": "etf.try/1", "rows": [row]}


def test_an_index_is_named_once(run: Run) -> None:
    assert run("index", "show", "--index", "1", "--index=2")[0] == 2
    assert "--index was typed twice" in run("index", "show", "--index", "1", "--index=2")[2]
    assert "does not take '1'" in run("index", "show", "1", "--index", "2")[2]
    assert run("index", "show", "--index")[0] == 2


def test_version_is_told_by_an_option_and_a_command(run: Run) -> None:
    assert run("--version")[1] == "etf-trader 0.1.0\n"
    assert run("version")[1].startswith("etf-trader 0.1.0 (Python 3.")
    assert json.loads(run("version", "--json")[1])["version"] == "0.1.0"


def etf(*arguments: str, **changes: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "etf_trader", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **(pipes | changes))  # type: ignore[call-overload, no-any-return]


def test_start_up_imports_nothing_heavy() -> None:
    """`etf --help` knows the table of commands and nothing of what they need."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "etf_trader", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "typer" in loaded
    assert loaded & STARTUP_FORBIDDEN == set()


@pytest.mark.parametrize("name", sorted(app.COMMANDS))
def test_the_help_of_every_group_imports_nothing_heavy(name: str) -> None:
    code = (
        "import sys; from etf_trader.cli.app import run; "
        f"run([{name!r}, '--help']); print(' '.join(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {module.partition(".")[0] for module in done.stderr.split()}
    assert loaded & (STARTUP_FORBIDDEN - {"sqlite3", "logging"}) == set()


def test_a_reader_that_goes_away_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    process = etf("--help", stdout=write)
    os.close(write)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGPIPE
    assert err == ""


def test_a_full_disk_under_the_output_is_told() -> None:
    with Path("/dev/full").open("w") as full:
        process = etf("version", stdout=full)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "no space left on device" in err


@pytest.mark.parametrize(
    ("sent", "code", "told"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_signals_end_with_their_codes(sent: signal.Signals, code: int, told: str) -> None:
    program = (
        "import sys, time; from etf_trader.cli import app; "
        "app._invoke = lambda *_: (print('ready', flush=True), time.sleep(60)); "
        "sys.argv = ['etf', 'x']; app.main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.05)
    process.send_signal(sent)
    _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert err == f"etf: {told}.  [exit {code}]\n"


def test_completion_knows_the_commands() -> None:
    environ = os.environ | {"_ETF_COMPLETE": "complete_bash", "COMP_WORDS": "etf re", "COMP_CWORD": "1"}
    process = etf(env=environ)
    out, _ = process.communicate(timeout=30)
    assert out.split() == ["rebalance", "reconcile", "report", "resume"]
