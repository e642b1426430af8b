"""Unfilled orders by account and window, and what first fills give back of them, at once or a little later."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from etf_trader.exchange import rules, tables
from etf_trader.exchange.rules import ORDER_LIMITS
from etf_trader.exchange.views import OrderCount

_COUNT, _CREDIT = tables.order_count.c, tables.credit.c
_STORED = select(_COUNT.seconds, _COUNT.window_start, _COUNT["count"]).where(
    _COUNT.account == bindparam("account")
)
_DUE = select(_CREDIT.order_id, _CREDIT.returned).where(
    _CREDIT.account == bindparam("account"), _CREDIT.due <= bindparam("now")
)
_NEW, _LATE = insert(tables.order_count), insert(tables.credit)
_UPDATE = (
    update(tables.order_count)
    .where(_COUNT.account == bindparam("of"), _COUNT.seconds == bindparam("length"))
    .values({"window_start": bindparam("window"), "count": bindparam("counted")})
)


@dataclass(frozen=True, slots=True)
class CreditDelay:
    """A count that is given back shows after 0 to `most` ms, drawn for each order from `seed`."""

    most: int = 0
    seed: object = None


class Counts:
    """The order counts of some accounts during one transaction; `save` writes what changed."""

    def __init__(self, connection: Connection, now: datetime, delay: CreditDelay) -> None:
        self._connection = connection
        self._now = now
        self._delay = delay
        self._known: dict[str, dict[int, int]] = {}
        self._stored: set[tuple[str, int]] = set()
        self._shown: dict[str, list[int]] = {}
        self._changed: set[str] = set()
        self._late: list[dict[str, object]] = []

    def of(self, account: str) -> Mapping[int, int]:
        """Return the unfilled orders of `account` in the current window of each limit, by its seconds."""
        if account not in self._known:
            rows = self._connection.execute(_STORED, {"account": account}).all()
            stored = {(row.seconds, row.window_start): row[2] for row in rows}
            self._stored.update((account, row.seconds) for row in rows)
            returned = self._due(account)
            self._known[account] = {
                limit.seconds: max(0, stored.get((limit.seconds, limit.window(self._now)), 0) - returned)
                for limit in ORDER_LIMITS
            }
        return self._known[account]

    def views(self, account: str) -> tuple[OrderCount, ...]:
        """Return the same as a client sees it."""
        counts = self.of(account)
        return tuple(
            OrderCount(each.length, each.limit, counts[each.seconds], self._now, each.ends(self._now))
            for each in ORDER_LIMITS
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
        if self._late:
            self._connection.execute(_LATE, self._late)

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
        known, new = [], []
        for limit in ORDER_LIMITS:
            window, count = limit.window(self._now), self._known[account][limit.seconds]
            if (account, limit.seconds) in self._stored:
                known.append({"of": account, "length": limit.seconds, "window": window, "counted": count})
            else:
                new.append({"account": account, "seconds": limit.seconds, "window_start": window, "count": count})
        if known:
            self._connection.execute(_UPDATE, known)
        if new:
            self._connection.execute(_NEW, new)
            self._stored.update((account, limit.seconds) for limit in ORDER_LIMITS)
        if shown := self._shown.get(account):
            self._connection.execute(delete(tables.credit).where(tables.credit.c.order_id.in_(shown)))
