"""Which version a database has, and how it is brought to the newest one.

The migrations lie in the package, or at the top of the checkout; each of the
two sections, "etf" for our database and "exchange" for the simulated one, has a
chain of its own.
"""

from pathlib import Path

from sqlalchemy import Connection, text

from etf_trader.database import Database
from etf_trader.errors import ConfigError

HEADS = {"etf": "0012", "exchange": "0002"}
"""The newest revision of each section; a test compares them with the migrations."""


def revision(connection: Connection) -> str | None:
    """Return the revision the database is at; None when it is empty."""
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    current: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return current


def require_head(database: Database, section: str) -> None:
    """Check that `database` has the schema of this version.

    Raises:
        ConfigError: it is missing, older or newer; says which command helps.
    """
    if database.path is not None and not database.path.exists():
        raise ConfigError("there is no database yet", where=str(database), hint="etf init makes it")
    with database.read() as connection:
        found = revision(connection)
    if found is None:
        raise ConfigError("the database is empty", where=str(database), hint="etf init fills it")
    if found != HEADS[section]:
        raise ConfigError(
            f"the database is at version {found}, this program needs {HEADS[section]}",
            where=str(database),
            hint="etf db upgrade (it makes a backup first)"
            if found < HEADS[section]
            else "install a newer etf-trader",
        )


def is_at_head(database: Database, section: str) -> bool:
    """Return whether `database` is there and has the schema of this version."""
    try:
        require_head(database, section)
    except ConfigError:
        return False
    return True


def upgrade(database: Database, section: str, to: str = "head") -> None:
    """Bring `database` to revision `to`, in one transaction."""
    from alembic import command
    from alembic.config import Config

    ini = _alembic_ini()
    config = Config(ini, ini_section=section)
    with database.rebuild() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, to)


def _alembic_ini() -> Path:
    package = Path(__file__).resolve().parent
    for folder in (package, package.parent.parent):
        if (folder / "alembic.ini").is_file() and (folder / "migrations").is_dir():
            return folder / "alembic.ini"
    raise ConfigError("the migrations are not installed", where=str(package), hint="reinstall etf-trader")
