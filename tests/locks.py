"""Who holds a database."""

import sqlite3
from pathlib import Path


def is_writable(path: Path) -> bool:
    """Whether an SQLite file can be written at this moment: nobody is, or was stopped, inside a transaction."""
    connection = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()
    return True
