"""Unfilled orders by account and window, and what first fills give back of them, at once or a little later."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from etf_trader.exchange import rules, tables
from etf_trader.exchange.many import Many
from etf_trader.exchange.rules import ORDER_LIMITS
from etf_trader.exchange.views import OrderCount

_COUNT, _CREDIT = tables.order_count.c, tables.credit.c
_STORED = select(_COUNT.seconds, _COUNT.window_start, _COUNT["count"]).where(
    _COUNT.account == bindparam("account")
)
_DUE = select(_CREDIT.order_id, _CREDIT.returned).where(
    _CREDIT.account == bindparam("account"), _CREDIT.due <= bindparam("now")
)
_NEW, _LATE = Many(insert(tables.order_count)), Many(insert(tables.credit))
_UPDATE = Many(
    update(tables.order_count)
    .where(_COUNT.account == bindparam("of"), _COUNT.seconds == bindparam("length"))
    .values({"window_start": bindparam("window"), "count": bindparam("counted")})
)
_LENGTHS = [(limit, limit.length) for limit in ORDER_LIMITS]


@dataclass(frozen=True, slots=True)
class CreditDelay:
    """A count that is given back shows after 0 to `most` ms, drawn for each order from `seed`."""

    most: int = 0
    seed: object = None


class Counts:
    """The order counts of some accounts, for as long as nobody else changes them; `save` writes what changed."""

    def __init__(self, connection: Connection, now: datetime, delay: CreditDelay) -> None:
        self._connection = connection
        self._delay = delay
        self._known: dict[str, dict[int, int]] = {}
        self._stored: dict[str, dict[int, tuple[datetime, int]]] = {}
        """What stands written: window and count by account and seconds."""
        self._shown: dict[str, list[int]] = {}
        self._changed: set[str] = set()
        self._late: list[dict[str, object]] = []
        self._now = now
        self._windows = _windows(now)

    def renew(self, now: datetime) -> None:
        """Let it be `now`, with what stands written."""
        self._now, self._windows = now, _windows(now)
        self._known.clear()
        self._shown.clear()

    def of(self, account: str) -> Mapping[int, int]:
        """Return the unfilled orders of `account` in the current window of each limit, by its seconds."""
        if account not in self._known:
            if account not in self._stored:
                rows = self._connection.execute(_STORED, {"account": account}).all()
                self._stored[account] = {row.seconds: (row.window_start, row[2]) for row in rows}
            stored, returned = self._stored[account], self._due(account)
            known = self._known[account] = {}
            for seconds, window in self._windows.items():
                counted_in, count = stored.get(seconds, (None, 0))
                known[seconds] = max(0, (count if counted_in == window else 0) - returned)
        return self._known[account]

    def views(self, account: str) -> tuple[OrderCount, ...]:
        """Return the same as a client sees it."""
        counts = self.of(account)
        return tuple(
            OrderCount(length, each.limit, counts[each.seconds], self._now, self._windows[each.seconds] + length)
            for each, length in _LENGTHS
        )

    def check_room(self, account: str) -> None:
        """Check that one more order is within every limit; one that is refused counts nowhere.

        Raises:
            ExchangeError: -1015.
        """
        counts = self.of(account)
        for limit in ORDER_LIMITS:
            if counts[limit.seconds] >= limit.limit:
                raise rules.too_many_orders(limit, self._now)

    def add(self, account: str) -> None:
        """Count one accepted order."""
        self._change(account, 1)

    def give_back(self, account: str, order_id: int, returned: int) -> None:
        """Take `returned` off the count for the first fill of an order, now or when its delay has passed.

        It counts in the window in which it shows, whenever the order was placed, and never below zero.
        """
        delay = rules.credit_delay(self._delay.most, self._delay.seed, order_id)
        if not delay:
            self._change(account, -returned)
            return
        row = {"order_id": order_id, "account": account, "returned": returned, "due": self._now + delay}
        self._late.append(row)

    def save(self) -> None:
        """Write what changed."""
        for account in sorted(self._changed):
            self._save(account)
        _LATE.run(self._connection, self._late)
        self._changed.clear()
        self._late.clear()

    def _change(self, account: str, by: int) -> None:
        self._known[account] = {seconds: max(0, count + by) for seconds, count in self.of(account).items()}
        self._changed.add(account)

    def _due(self, account: str) -> int:
        """Return what was given back since the count was written.

        Whatever counts an order writes the count, so nothing was counted since and
        the sum is the same as one by one.
        """
        if not self._delay.most:
            return 0
        rows = self._connection.execute(_DUE, {"account": account, "now": self._now}).all()
        self._shown[account] = [row.order_id for row in rows]
        return sum(row.returned for row in rows)

    def _save(self, account: str) -> None:
        known, new, stored = [], [], self._stored[account]
        for seconds, window in self._windows.items():
            count = self._known[account][seconds]
            if seconds in stored:
                known.append({"of": account, "length": seconds, "window": window, "counted": count})
            else:
                new.append({"account": account, "seconds": seconds, "window_start": window, "count": count})
            stored[seconds] = window, count
        _UPDATE.run(self._connection, known)
        _NEW.run(self._connection, new)
        if shown := self._shown.get(account):
            self._connection.execute(delete(tables.credit).where(tables.credit.c.order_id.in_(shown)))


def _windows(now: datetime) -> dict[int, datetime]:
    return {limit.seconds: limit.window(now) for limit in ORDER_LIMITS}
