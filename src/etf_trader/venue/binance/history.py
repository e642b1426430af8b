"""What Binance keeps of the past: our trades, our transfers, candles and volumes, page by page.

Source:
    Binance Spot API: rest-api.md (myTrades, klines); wallet: deposit and withdraw history.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from etf_trader.errors import VenueError
from etf_trader.market.candle import Candle
from etf_trader.money import ZERO
from etf_trader.venue.binance import messages
from etf_trader.venue.binance.client import BinanceClient, milliseconds, moment
from etf_trader.venue.binance.errors import Refusal
from etf_trader.venue.binance.standing import ABSENT
from etf_trader.venue.interface import Trade, Transfer

MOST_TRADES = MOST_CANDLES = MOST_TRANSFERS = 1000

INTERVALS = {60: "1m", 3600: "1h", 86_400: "1d"}
CANDLE_LENGTHS = (60, 3600, 86_400)

TRANSFER_SPAN = timedelta(days=89)
"""The wallet tells of at most 90 days at a time."""

CONFIRMED_LATE = timedelta(days=7)
"""A deposit may be under way for so long before it counts."""

FIRST_LOOK = timedelta(days=89)
"""How far back is looked when nothing has been seen yet."""

CREDITED = (1,)
"""States of a deposit that is in the balance."""

NOT_LEFT = (1, 3, 5)
"""States of a withdrawal that was cancelled, rejected, or failed."""

IN_A_MILLISECOND = 1000
"""So many transfers of one millisecond can be told apart."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)
_MILLISECOND = timedelta(milliseconds=1)


async def trades(
    client: BinanceClient, symbol: str, *, order_id: int | None = None, after: int = -1
) -> list[Trade]:
    """Return our executions in `symbol` with an id above `after`, of one order or of all, oldest first."""
    found: list[Trade] = []
    # Of one order the first page is asked for without an id: together they are rarely needed.
    start = None if order_id is not None else after + 1
    while True:
        rows = (
            await client.get(
                "myTrades", signed=True, symbol=symbol, orderId=order_id, fromId=start, limit=MOST_TRADES
            )
        ).body
        found += [messages.trade(row) for row in rows]
        if len(rows) < MOST_TRADES:
            return sorted(found, key=lambda each: each.trade_id)
        start = found[-1].trade_id + 1


async def candles(
    client: BinanceClient, symbol: str, seconds: int, start: datetime, end: datetime
) -> list[Candle]:
    """Return the candles that open in [start, end), oldest first.

    Raises:
        VenueError: the venue has no candles of that length.
    """
    if seconds not in CANDLE_LENGTHS:
        raise VenueError(f"there are no candles of {seconds} seconds", where=symbol)
    return await _candles(client, symbol, seconds, start, end)


async def _candles(
    client: BinanceClient, symbol: str, seconds: int, start: datetime, end: datetime
) -> list[Candle]:
    found: list[Candle] = []
    while start < end:
        answer = await client.get(
            "klines",
            symbol=symbol,
            interval=INTERVALS[seconds],
            startTime=milliseconds(_next_millisecond(start)),
            endTime=milliseconds(_next_millisecond(end)) - 1,
            limit=MOST_CANDLES,
        )
        found += [messages.candle(symbol, seconds, row) for row in answer.body]
        if len(answer.body) < MOST_CANDLES:
            break
        start = found[-1].start + timedelta(seconds=seconds)
    return found


async def volume_of_others(client: BinanceClient, symbol: str, start: datetime, end: datetime) -> Decimal:
    """Return what others than us traded in [start, end), base units, to the millisecond."""
    first, last = _next_millisecond(start), _next_millisecond(end)
    total = ZERO
    for is_whole, since, until in spans(first, last):
        if is_whole:
            total += sum((each.volume for each in await _candles(client, symbol, 60, since, until)), ZERO)
        else:
            total += await _traded(client, symbol, since, until)
    return total - await _ours(client, symbol, first, last)


def spans(first: datetime, last: datetime) -> Iterator[tuple[bool, datetime, datetime]]:
    """Cut [first, last) into its whole minutes, and what is before and after them."""
    inner_first, inner_last = _next_minute(first), last.replace(second=0, microsecond=0)
    if inner_first >= inner_last:
        parts = [(False, first, last)]
    else:
        parts = [(False, first, inner_first), (True, inner_first, inner_last), (False, inner_last, last)]
    yield from (part for part in parts if part[1] < part[2])


async def _traded(client: BinanceClient, symbol: str, first: datetime, last: datetime) -> Decimal:
    """Return everybody's volume in [first, last), trade by trade.

    A venue that keeps microseconds may leave out what comes after the last whole
    millisecond that is asked for: the one after it is asked for too, and not counted.
    """
    until, start = milliseconds(last), milliseconds(first)
    rows = (await client.get("aggTrades", symbol=symbol, startTime=start, endTime=until, limit=MOST_TRADES)).body
    total = ZERO
    while rows:
        total += sum((Decimal(row["q"]) for row in rows if start <= int(row["T"]) < until), ZERO)
        if len(rows) < MOST_TRADES or int(rows[-1]["T"]) >= until:
            break
        rows = (
            await client.get("aggTrades", symbol=symbol, fromId=int(rows[-1]["a"]) + 1, limit=MOST_TRADES)
        ).body
    return total


async def _ours(client: BinanceClient, symbol: str, first: datetime, last: datetime) -> Decimal:
    total = ZERO
    while first < last:
        until = min(first + _DAY - _MILLISECOND, last)
        total += sum([each.quantity for each in await _trades_between(client, symbol, first, until)], ZERO)
        first = until
    return total


async def _trades_between(client: BinanceClient, symbol: str, first: datetime, last: datetime) -> list[Trade]:
    rows = (
        await client.get(
            "myTrades",
            signed=True,
            symbol=symbol,
            startTime=milliseconds(first),
            endTime=milliseconds(last),
            limit=MOST_TRADES,
        )
    ).body
    found = [messages.trade(row) for row in rows]
    while len(rows) == MOST_TRADES and found[-1].at < last:
        rows = (
            await client.get(
                "myTrades", signed=True, symbol=symbol, fromId=found[-1].trade_id + 1, limit=MOST_TRADES
            )
        ).body
        found += [messages.trade(row) for row in rows]
    return [each for each in found if first <= each.at < last]


def _next_millisecond(at: datetime) -> datetime:
    return moment(-(-(at - _EPOCH) // _MILLISECOND))


def _next_minute(at: datetime) -> datetime:
    whole = at.replace(second=0, microsecond=0)
    return whole if whole == at else whole + _MINUTE


async def transfers(client: BinanceClient, after: int) -> list[Transfer]:
    """Return deposits and withdrawals with a larger sequence number than `after`, oldest first.

    The number is the venue's time of the transfer in milliseconds, times a
    thousand, plus its place among those of the same millisecond; so one that
    becomes known after a later one was booked is not told: it stays a difference.
    """
    now = client.clock.now()
    seen = _EPOCH + timedelta(milliseconds=after // IN_A_MILLISECOND)
    since = max(seen, now - FIRST_LOOK) if not after else seen
    try:
        rows = [
            *[
                each
                for row in await _pages(client, "capital/deposit/hisrec", since - CONFIRMED_LATE, now)
                if (each := deposit(row)) is not None
            ],
            *[
                each
                for row in await _pages(client, "capital/withdraw/history", since - _DAY, now)
                if (each := withdrawal(row)) is not None
            ],
        ]
    except Refusal as error:
        if error.status in ABSENT and not error.code:
            return []  # a server without a wallet
        raise
    return [each for each in numbered(rows) if each.sequence > after]


async def _pages(client: BinanceClient, path: str, since: datetime, now: datetime) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    while since < now:
        until = min(since + TRANSFER_SPAN, now)
        offset = 0
        while True:
            rows = (
                await client.wallet(
                    path,
                    startTime=milliseconds(since),
                    endTime=milliseconds(until),
                    limit=MOST_TRANSFERS,
                    offset=offset or None,
                )
            ).body
            found += rows
            if len(rows) < MOST_TRANSFERS:
                break
            offset += len(rows)
        since = until + _MILLISECOND
    return found


def deposit(row: Mapping[str, Any]) -> Transfer | None:
    """Read a deposit, dated when it was credited; None as long as it is not."""
    if int(row["status"]) not in CREDITED:
        return None
    at = moment(row.get("completeTime") or row["insertTime"])
    return Transfer(0, str(row.get("id") or row["txId"]), row["coin"], Decimal(row["amount"]), at)


def withdrawal(row: Mapping[str, Any]) -> Transfer | None:
    """Read a withdrawal, its fee with it, dated when it was asked for: then it leaves the balance."""
    if int(row["status"]) in NOT_LEFT:
        return None
    amount = Decimal(row["amount"]) + Decimal(row.get("transactionFee", 0))
    return Transfer(0, str(row["id"]), row["coin"], -amount, _written(row["applyTime"]))


def _written(value: object) -> datetime:
    """Return a time that the wallet writes either as a text, in UTC, or in milliseconds."""
    text = str(value)
    if text.isdecimal():
        return moment(text)
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)


def _last_millisecond(transfer: Transfer) -> int:
    """Return the latest that a transfer can have been: withdrawals are dated in whole seconds."""
    return milliseconds(transfer.at) + (999 if transfer.amount < 0 else 0)


def numbered(found: Sequence[Transfer]) -> list[Transfer]:
    """Return transfers in order, each with its number."""
    ordered: list[Transfer] = []
    for each in sorted(found, key=lambda one: (_last_millisecond(one), one.transfer_id)):
        number = _last_millisecond(each) * IN_A_MILLISECOND
        if ordered and ordered[-1].sequence >= number:
            number = ordered[-1].sequence + 1
        ordered.append(Transfer(number, each.transfer_id, each.asset, each.amount, each.at))
    return ordered
