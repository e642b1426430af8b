"""Where the past is read from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from etf_trader.backtest.candles import read_folder
from etf_trader.backtest.history import History
from etf_trader.index.caps import read_caps


@dataclass(frozen=True, slots=True)
class Files:
    """A folder of candles in `quote` and perhaps a table of market caps, with what its columns are called."""

    candles: Path
    quote: str
    caps: Path | None
    columns: Mapping[str, str]
    candles_only: bool

    def read(self) -> History:
        """Read it.

        Raises:
            UsageError, DataError: a file cannot be read, or a row of it; says which.
        """
        table = read_caps(self.caps, self.columns) if self.caps is not None else None
        return History(read_folder(self.candles, self.quote), table, candles_only=self.candles_only)
