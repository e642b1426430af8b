from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from etf_trader import schema
from etf_trader.database import Database
from etf_trader.errors import ConfigError

SECTIONS = sorted(schema.HEADS)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(f"sqlite:///{tmp_path / 'test.db'}")


@pytest.mark.parametrize("section", SECTIONS)
def test_the_program_knows_the_newest_migration(section: str) -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    root = Path(__file__).resolve().parents[2]
    scripts = ScriptDirectory.from_config(Config(root / "alembic.ini", ini_section=section))
    assert scripts.get_heads() == [schema.HEADS[section]]


@pytest.mark.parametrize("section", SECTIONS)
def test_an_empty_database_is_brought_to_the_head(database: Database, section: str) -> None:
    schema.upgrade(database, section)
    schema.require_head(database, section)
    with database.read() as connection:
        assert schema.revision(connection) == schema.HEADS[section]
        assert len(inspect(connection).get_table_names()) > 1


@pytest.mark.parametrize("section", SECTIONS)
def test_an_upgrade_of_what_is_new_changes_nothing(database: Database, section: str) -> None:
    schema.upgrade(database, section)
    assert database.path is not None
    before = database.path.read_bytes()
    schema.upgrade(database, section)
    assert database.path.read_bytes() == before


def test_a_database_that_is_not_there_points_to_init(database: Database) -> None:
    with pytest.raises(ConfigError, match="no database yet") as caught:
        schema.require_head(database, "etf")
    assert caught.value.hint == "etf init makes it"
    assert database.path is not None
    assert not database.path.exists()


@pytest.mark.parametrize(
    ("found", "hint"), [("0000", "etf db upgrade"), ("9999", "install a newer etf-trader")], ids=["older", "newer"]
)
def test_another_version_says_what_to_do(database: Database, found: str, hint: str) -> None:
    schema.upgrade(database, "etf")
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :found"), {"found": found})
    with pytest.raises(ConfigError, match=f"version {found}, this program needs {schema.HEADS['etf']}") as caught:
        schema.require_head(database, "etf")
    assert caught.value.hint is not None
    assert caught.value.hint.startswith(hint)


def test_an_upgrade_that_fails_leaves_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic import command

    def half(config: object, revision: str) -> None:
        connection = config.attributes["connection"]  # type: ignore[attr-defined]
        connection.execute(text("CREATE TABLE half (id INTEGER)"))
        raise RuntimeError("power cut")

    monkeypatch.setattr(command, "upgrade", half)
    with pytest.raises(RuntimeError, match="power cut"):
        schema.upgrade(database, "etf")
    with database.read() as connection:
        assert inspect(connection).get_table_names() == []
