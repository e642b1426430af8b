"""What a writer knows from one transaction to the next: its last turn, as long as nobody else has written."""

from collections.abc import Mapping

from etf_trader.database import Database, journal_mode
from etf_trader.exchange.rules import SymbolRules
from etf_trader.exchange.turn import Turn


class Memory:
    """The last turn on a connection of its own, which SQLite tells whether others have committed since."""

    def __init__(self, database: Database) -> None:
        self.connection = database.engine.connect()
        if journal_mode() != "wal":
            self._set_journal("PERSIST")  # one that stays costs less than one made and removed each time
        self._turn: Turn | None = None
        self._version = 0

    def recall(self, symbols: Mapping[str, SymbolRules]) -> Turn | None:
        """Return the last turn, once, within a write scope; None where it does not hold any more.

        That is so when another connection has committed, when rules other than
        these held, and when the last transaction failed.
        """
        turn, seen = self._turn, self._version
        self._turn = None
        self._version = self.connection.exec_driver_sql("PRAGMA data_version").scalar_one()
        return turn if turn is not None and turn.symbols is symbols and self._version == seen else None

    def keep(self, turn: Turn) -> None:
        """Remember a turn that was saved and committed."""
        self._turn = turn

    def close(self) -> None:
        """Give up the connection."""
        self._turn = None
        if journal_mode() != "wal":
            self._set_journal("DELETE")
        self.connection.close()

    def _set_journal(self, mode: str) -> None:
        driver = self.connection.connection.driver_connection
        assert driver is not None
        driver.execute(f"PRAGMA journal_mode = {mode}")
