import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from etf_trader import schema
from etf_trader.cli import app, doctor
from etf_trader.cli.doctor import Finding, Subject
from etf_trader.database import Database

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)

    def typed(*arguments: str) -> tuple[int, str, str]:
        code = app.run(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return typed


def found(out: str) -> dict[str, str]:
    return {each["check"]: each["state"] for each in json.loads(out)["checks"]}


def test_a_fresh_machine_is_in_order_and_points_to_init(run: Run) -> None:
    code, out, _ = run("doctor", "--json")
    states = found(out)
    assert code == 0
    assert states["python"] == states["package"] == states["sqlite"] == states["clock"] == "ok"
    assert states["configuration"] == states["database"] == states["exchange database"] == "skip"
    assert "etf init makes it" in run("doctor")[1]


def test_made_databases_are_checked(run: Run, tmp_path: Path) -> None:
    (tmp_path / "etf.toml").write_text("")
    for section in ("etf", "exchange"):
        schema.upgrade(Database(f"sqlite:///{tmp_path / section}.db"), section)
    assert found(run("doctor", "--json")[1])["database"] == "ok"
    (tmp_path / "etf.db").chmod(0o644)
    (tmp_path / "etf.toml").chmod(0o666)
    code, out, _ = run("doctor")
    assert code == 0
    assert f"chmod 600 {tmp_path / 'etf.db'}" in out
    assert f"chmod 600 {tmp_path / 'etf.toml'}" in out
    (tmp_path / "exchange.db").write_text("junk" * 500)
    code, out, _ = run("doctor")
    assert code == 1
    assert out.startswith("1 thing to repair: exchange database.")


def test_a_broken_configuration_is_a_finding_not_an_end(run: Run, tmp_path: Path) -> None:
    (tmp_path / "etf.toml").write_text("holdr = 1")
    code, out, _ = run("doctor", "--json")
    checks = {each["check"]: each for each in json.loads(out)["checks"]}
    assert code == 1
    assert "did you mean 'holder'" in checks["configuration"]["found"]
    assert checks["database"]["state"] == "skip"
    assert checks["python"]["state"] == "ok"


def test_another_check_is_one_function(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def check_key(_subject: Subject) -> Iterator[Finding]:
        yield Finding("key", "fail", "it may withdraw", "make one that may not")

    monkeypatch.setattr(doctor, "CHECKS", [check_key])
    code, out, _ = run("doctor")
    assert code == 1
    assert out.splitlines() == [
        "1 thing to repair: key.",
        "",
        "check  state  found",
        "key    fail   it may withdraw",
        "              -> make one that may not",
    ]


def test_csv_lists_the_checks(run: Run) -> None:
    assert run("doctor", "--format", "csv")[1].startswith("check,state,found,advice\r\npython,ok,")
