"""How a leader works at present: when it is to stop, how it waits, and whether it stays to watch what rests."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from etf_trader.database import Database
from etf_trader.execution.queue import Stop
from etf_trader.execution.timing import work_at_hand

Pause = Callable[[float], Awaitable[None]]


@dataclass(slots=True)
class Shift:
    """What the parts of a leader share while it leads an account.

    Begin no new batch once `stop` says so. `pause` is how it waits while a quote
    rests; one that does not stay takes what is due after its time to rest is over.
    """

    database: Database
    account_id: int
    pause: Pause
    stop: Stop = lambda: False
    stays: Callable[[], bool] = lambda: False

    def at_hand(self) -> frozenset[tuple[int, bool]]:
        """Return the open orders of the account, each with whether it is to be cancelled."""
        with self.database.read() as connection:
            return work_at_hand(connection, self.account_id)

    def until_news(self) -> Stop:
        """Return what tells whether to stop waiting: asked to stop, or somebody wants something new."""
        known = self.at_hand()
        return lambda: self.stop() or self.at_hand() != known
