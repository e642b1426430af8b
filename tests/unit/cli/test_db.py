import json
import sqlite3
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import insert, text

from etf_trader import schema
from etf_trader.backup import back_up, backup_folder, found_in
from etf_trader.cli import app
from etf_trader.database import Database
from etf_trader.errors import ConfigError, NotFound, UsageError
from etf_trader.execution.lease import Owner, this_host
from etf_trader.execution.tables import leases
from etf_trader.ledger.repository import begin_incarnation, incarnation
from etf_trader.ledger.tables import accounts, holders

Run = Callable[..., tuple[int, str, str]]
NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "etf.toml").write_text("")

    def typed(*arguments: str) -> tuple[int, str, str]:
        code = app.run(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return typed


@pytest.fixture
def databases(tmp_path: Path) -> dict[str, Database]:
    both = {section: Database(f"sqlite:///{tmp_path / section}.db") for section in ("etf", "exchange")}
    for section, database in both.items():
        schema.upgrade(database, section)
    with both["etf"].write() as connection:
        begin_incarnation(connection, "init", NOW)
        connection.execute(insert(holders), {"id": 1, "name": "self", "created_at": NOW})
    return both


def holder(database: Database) -> str:
    with database.read() as connection:
        return str(connection.scalar(text("SELECT name FROM holder")))


def rename(database: Database, name: str) -> None:
    with database.write() as connection:
        connection.execute(text("UPDATE holder SET name = :name"), {"name": name})


def states(run: Run) -> dict[str, str]:
    return {each["section"]: each["state"] for each in json.loads(run("db", "status", "--json")[1])["databases"]}


def test_before_init_nothing_is_there_and_looking_makes_nothing(run: Run, tmp_path: Path) -> None:
    assert states(run) == {"etf": "not there yet", "exchange": "not there yet"}
    assert [path.name for path in tmp_path.iterdir()] == ["etf.toml"]
    for command in ("upgrade", "backup"):
        code, _, err = run("db", command)
        assert code == 4
        assert "etf init makes it" in err


@pytest.mark.usefixtures("databases")
def test_status_tells_version_journal_and_size(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("db", "status", "--json")
    first = json.loads(out)["databases"][0]
    assert code == 0
    assert first["file"] == str(tmp_path / "etf.db")
    assert first["revision"] == first["needed"] == schema.HEADS["etf"]
    assert first["state"] == "up to date"
    assert first["size"] == (tmp_path / "etf.db").stat().st_size
    assert "up to date" in run("db", "status")[1]


def test_an_older_database_is_upgraded_after_a_backup(
    run: Run, databases: dict[str, Database], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with databases["etf"].write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    assert run("db", "status")[0] == 4

    def upgraded(database: Database, section: str, to: str = "head") -> None:
        assert section == "etf"
        with database.write() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :to"), {"to": schema.HEADS[section]})

    monkeypatch.setattr(schema, "upgrade", upgraded)
    code, out, err = run("db", "upgrade")
    assert code == 0
    assert f"etf: upgraded from 0000 to {schema.HEADS['etf']}." in out
    assert "Backup in" in err
    (folder,) = (tmp_path / "backups").iterdir()
    with sqlite3.connect(folder / "etf.db") as old:
        assert old.execute("SELECT version_num FROM alembic_version").fetchone() == ("0000",)


@pytest.mark.usefixtures("databases")
def test_an_upgrade_of_what_is_new_does_nothing(run: Run, tmp_path: Path) -> None:
    code, out, err = run("db", "upgrade")
    assert (code, err) == (0, "")
    assert out == f"etf: up to date ({schema.HEADS['etf']}).\nexchange: up to date ({schema.HEADS['exchange']}).\n"
    assert not (tmp_path / "backups").exists()


def test_a_newer_database_is_left_alone(run: Run, databases: dict[str, Database]) -> None:
    with databases["exchange"].write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    code, _, err = run("db", "upgrade")
    assert code == 4
    assert "install a newer etf-trader" in err


def test_a_backup_is_private_whole_and_comes_back(
    run: Run, databases: dict[str, Database], tmp_path: Path
) -> None:
    code, out, _ = run("db", "backup", "--out", "monday", "--json")
    assert code == 0
    assert json.loads(out)["files"] == [str(tmp_path / "monday" / f"{name}.db") for name in ("etf", "exchange")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "monday").iterdir()} == {0o600}
    with databases["etf"].read() as connection:
        before = incarnation(connection)
    rename(databases["etf"], "tuesday")
    code, out, _ = run("db", "restore", "monday")
    assert code == 0
    assert "Next: etf reconcile" in out
    assert holder(databases["etf"]) == "self"
    (kept,) = (tmp_path / "backups").iterdir()
    assert holder(Database(f"sqlite:///{kept / 'etf.db'}")) == "tuesday"
    with databases["etf"].read() as connection:
        assert incarnation(connection) != before


def test_a_backup_is_taken_while_another_writes(databases: dict[str, Database], tmp_path: Path) -> None:
    with databases["etf"].write() as connection:
        connection.execute(text("UPDATE holder SET name = 'half'"))
        back_up({"etf": databases["etf"]}, tmp_path / "now")
    assert holder(Database(f"sqlite:///{tmp_path / 'now' / 'etf.db'}")) == "self"


def test_one_file_of_a_backup_can_be_restored(run: Run, databases: dict[str, Database]) -> None:
    run("db", "backup", "--out", "monday")
    rename(databases["etf"], "tuesday")
    assert run("db", "restore", "monday/exchange.db")[0] == 0
    assert holder(databases["etf"]) == "tuesday"


def test_a_damaged_database_is_kept_aside_and_replaced(
    run: Run, databases: dict[str, Database], tmp_path: Path
) -> None:
    run("db", "backup", "--out", "monday")
    databases["etf"].close()
    (tmp_path / "etf.db").write_text("junk" * 2000)
    assert states(run)["etf"] == "unreadable"
    assert run("db", "restore", "monday")[0] == 0
    assert holder(databases["etf"]) == "self"
    (kept,) = (tmp_path / "backups").iterdir()
    assert (kept / "etf.db").read_text().startswith("junk")


@pytest.mark.parametrize("command", [["restore", "monday"]])
def test_nothing_is_replaced_while_a_process_trades(
    run: Run, databases: dict[str, Database], command: list[str]
) -> None:
    run("db", "backup", "--out", "monday")
    owner = Owner.this_process(this_host())
    account = {"id": 1, "environment": "paper", "uid": "1", "era": "1", "transfers_seen": 0, "created_at": NOW}
    with databases["etf"].write() as connection:
        connection.execute(insert(accounts), account)
        connection.execute(
            insert(leases),
            {
                "account_id": 1,
                "epoch": 1,
                "host": owner.host,
                "process": owner.process,
                "process_start": owner.process_start,
                "heartbeat_at": NOW,
            },
        )
    rename(databases["etf"], "tuesday")
    code, _, err = run("db", *command)
    assert code == 8
    assert f"process {owner.process}" in err
    assert holder(databases["etf"]) == "tuesday"


def test_what_is_no_backup_is_refused(databases: dict[str, Database], tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        found_in(tmp_path / "nope")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ConfigError, match="no backup in this folder"):
        found_in(empty)
    (empty / "etf.db").write_text("junk" * 500)
    with pytest.raises(ConfigError, match="damaged"):
        found_in(empty)
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE x (id INTEGER)")
    with pytest.raises(ConfigError, match="no database of etf"):
        found_in(tmp_path / "other.db")
    mixed = back_up({"exchange": databases["exchange"]}, tmp_path / "mixed")["exchange"]
    mixed.rename(tmp_path / "mixed" / "etf.db")
    with pytest.raises(ConfigError, match="not the etf database"):
        found_in(tmp_path / "mixed")


def test_a_backup_never_overwrites(databases: dict[str, Database], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exists already"):
        back_up(databases, tmp_path)
    first = backup_folder(databases["etf"], NOW)
    assert first.name == "20261121T040000Z"
    first.mkdir(parents=True)
    assert backup_folder(databases["etf"], NOW).name == "20261121T040000Z-2"


def test_a_server_is_backed_up_by_its_own_tools() -> None:
    with pytest.raises(UsageError, match="not a file") as caught:
        back_up({"etf": Database("postgresql+psycopg://u:secret@h/etf")}, Path("x"))
    assert "pg_dump" in str(caught.value.hint)
    assert "secret" not in caught.value.message
