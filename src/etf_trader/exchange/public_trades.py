"""The tape: what accounts traded and what others did, in one row of numbers that ascends with time.

Accounts' trades are counted 1, 2, 3 within a symbol; the market numbers its own.
On the tape a trade's id is how many of both came before it, and itself: a pure
function of the market, the time, and the trades that are stored. At one moment
accounts' trades come first.
"""

from bisect import bisect_right
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from etf_trader.exchange import tables
from etf_trader.exchange.market import Market, Print
from etf_trader.exchange.views import PublicTradeView

_MOST_LOOKED_AT = 100_000
_COLUMN = tables.trade.c
_HERE = _COLUMN.symbol == bindparam("symbol")
_COUNT = select(func.max(_COLUMN.trade_id)).where(_HERE, _COLUMN.at <= bindparam("at"))
_COUNT_BEFORE = select(func.max(_COLUMN.trade_id)).where(_HERE, _COLUMN.at < bindparam("at"))
_FROM = select(tables.trade).where(_HERE, _COLUMN.trade_id >= bindparam("first"), _COLUMN.at <= bindparam("at"))
_FROM = _FROM.order_by(_COLUMN.trade_id, _COLUMN.is_maker).limit(bindparam("most"))


class PublicTrades:
    """The tape of one symbol, up to now."""

    def __init__(self, connection: Connection, market: Market, symbol: str, now: datetime) -> None:
        self._connection = connection
        self._market = market
        self._symbol = symbol
        self._now = now

    def number(self, at: datetime, trade_id: int) -> int:
        """Return the id on the tape of the account's trade numbered `trade_id`, of time `at`."""
        return self._market.printed(self._symbol, at) + trade_id

    def first_trade(self, from_id: int) -> int:
        """Return the number of the first account's trade with this id on the tape or a later one."""
        return self._begin(from_id)[1]

    def before(self, at: datetime) -> int:
        """Return the id of the last trade before `at`; 0 when there is none."""
        traded = self._connection.scalar(_COUNT_BEFORE, {"symbol": self._symbol, "at": at})
        return self._market.printed(self._symbol, at) + (traded or 0)

    def last(self) -> int:
        """Return the id of the last trade up to now; 0 when there is none."""
        return self._market.printed(self._symbol, self._now) + self._traded(self._now)

    def recent(self, limit: int) -> tuple[PublicTradeView, ...]:
        """Return the last `limit` trades, oldest first."""
        traded = self._traded(self._now)
        own = self._own(max(1, traded - limit + 1), limit)
        times = [trade.at for trade in own]
        others = [
            _of_market(each, traded - len(own) + bisect_right(times, each.at)) for each in self._last_prints(limit)
        ]
        return tuple(sorted([*own, *others])[-limit:])

    def since(self, from_id: int, limit: int) -> tuple[PublicTradeView, ...]:
        """Return the first `limit` trades from the id `from_id` on, in order."""
        number, trade_id = self._begin(from_id)
        own = self._own(trade_id, limit)
        times = [trade.at for trade in own]
        end = min(self._market.printed(self._symbol, self._now), number + _MOST_LOOKED_AT)
        prints = islice(self._market.prints(self._symbol, number, end), limit)
        others = [_of_market(each, trade_id - 1 + bisect_right(times, each.at)) for each in prints]
        return tuple(sorted([*own, *others])[:limit])

    def _begin(self, from_id: int) -> tuple[int, int]:
        """Return the numbers of the first print and of the first account's trade with `from_id` or a later id."""
        end = self._market.printed(self._symbol, self._now)
        low, high = max(0, min(end, from_id - 1 - self._traded(self._now))), max(0, min(end, from_id))
        while low < high:
            middle = (low + high) // 2
            if self._id_of_print(middle) >= from_id:
                high = middle
            else:
                low = middle + 1
        if low < end:
            at = self._time_of(low)
            ahead, traded = self._id_of_print(low) - from_id, self._traded(at)
        else:
            traded = self._traded(self._now)
            ahead = end + 1 + traded - from_id
        return low, max(1, traded - max(0, ahead) + 1)

    def _id_of_print(self, number: int) -> int:
        return number + 1 + self._traded(self._time_of(number))

    def _time_of(self, number: int) -> datetime:
        return self._market.print_time(self._symbol, number)

    def _traded(self, at: datetime) -> int:
        """Return how many trades accounts had made by `at`."""
        return self._connection.scalar(_COUNT, {"symbol": self._symbol, "at": at}) or 0

    def _own(self, first: int, most: int) -> list[PublicTradeView]:
        asked = {"symbol": self._symbol, "first": first, "at": self._now, "most": 2 * most}
        rows: dict[int, Any] = {}
        for row in self._connection.execute(_FROM, asked):
            rows.setdefault(row.trade_id, row)  # where both sides are accounts, the taker's comes first
        return [self._of_account(row) for row in list(rows.values())[:most]]

    def _of_account(self, row: Any) -> PublicTradeView:
        is_buyer_maker = row.is_maker == (row.side == "BUY")
        number = self.number(row.at, row.trade_id)
        return PublicTradeView(number, row.price, row.quantity, row.quote_quantity, row.at, is_buyer_maker)

    def _last_prints(self, limit: int) -> list[Print]:
        end = first = self._market.printed(self._symbol, self._now)
        found: list[Print] = []
        while len(found) < limit and first > max(0, end - _MOST_LOOKED_AT):
            before = max(0, first - limit)
            found = [*self._market.prints(self._symbol, before, first), *found]
            first = before
        return found[-limit:]


def _of_market(each: Print, traded: int) -> PublicTradeView:
    """Return a trade of the market before which accounts had made `traded` trades."""
    value = each.price * each.quantity
    return PublicTradeView(
        each.number + 1 + traded, each.price, each.quantity, value, each.at, each.is_buyer_maker
    )
