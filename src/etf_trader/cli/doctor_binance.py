"""What `etf doctor` asks of Binance: keys, permissions, clock, limits, stream, fees, delistings."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from etf_trader.cli.numbers import count, local_time
from etf_trader.errors import ConfigError, EtfError
from etf_trader.money import plain
from etf_trader.venue import PAPER

if TYPE_CHECKING:
    from etf_trader.config import Settings
    from etf_trader.venue.binance.standing import Standing
    from etf_trader.venue.binance.venue import BinanceVenue

OK, WARN, FAIL, SKIP = "ok", "warn", "fail", "skip"

MOST_OFFSET = timedelta(seconds=1)
"""A request dated further ahead of the venue is refused, were its time not reckoned."""

STREAM_SECONDS = 5.0
SOON = timedelta(days=30)


class Row(NamedTuple):
    """The result of one check."""

    check: str
    state: str
    found: str
    advice: str = ""


ALL = ("keys", "venue clock", "account", "permissions", "limits", "fees", "BNB", "user stream", "delistings")


def binance_rows(settings: Settings) -> Iterator[Row]:
    """Check the account at Binance; on paper nothing is asked."""
    if settings.environment == PAPER:
        return
    yield from keys_row(settings)
    from etf_trader.bootstrap import binance_venue

    try:
        venue = binance_venue(settings)
    except ConfigError as error:
        yield Row("venue", FAIL, error.message, error.hint or "")
        return
    yield from asyncio.run(_rows(venue, settings))


def keys_row(settings: Settings) -> Iterator[Row]:
    """Where the keys are found, and whether others may read them."""
    from etf_trader.bootstrap import key_file
    from etf_trader.venue.binance.keys import find_keys, is_open_to_others

    path = key_file(settings)
    try:
        keys = find_keys(settings.environment, os.environ, path)
    except ConfigError as error:
        yield Row("keys", FAIL, error.message, error.hint or "")
        return
    kind = "Ed25519" if keys.is_ed25519 else "HMAC"
    if is_open_to_others(path):
        yield Row("keys", WARN, f"{kind}, from {keys.source}; {path} can be read by others", f"chmod 600 {path}")
    else:
        yield Row("keys", OK, f"{kind}, from {keys.source}")


async def _rows(venue: BinanceVenue, settings: Settings) -> list[Row]:
    """Ask one thing after the other; after the first that cannot be asked the rest is skipped."""
    rows: list[Row] = []
    checks: dict[str, Callable[[], AsyncIterator[Row]]] = {
        "venue clock": lambda: clock_rows(venue),
        "account": lambda: _account(venue, settings),
        "permissions": lambda: _permissions(venue, settings),
        "limits": lambda: _limits(venue),
        "fees": lambda: _fees(venue),
        "BNB": lambda: _fee_payment(venue, settings),
        "user stream": lambda: _stream(venue),
        "delistings": lambda: _delistings(venue, settings),
    }
    failed = ""
    for name, check in checks.items():
        if failed:
            rows.append(Row(name, SKIP, f"not known: {failed}"))
            continue
        try:
            rows += [row async for row in check()]
        except EtfError as error:
            rows.append(Row(name, FAIL, error.message, error.hint or ""))
            failed = "the venue cannot be asked"
    await venue.close()
    return rows


async def clock_rows(venue: BinanceVenue) -> AsyncIterator[Row]:
    """How far this machine's clock is off the venue's."""
    from etf_trader.clock import SystemClock
    from etf_trader.venue.binance.timekeeping import SteppedTime

    now = await venue.server_time()
    if isinstance(venue.clock(), SteppedTime):
        yield Row("venue clock", OK, f"it stands at {local_time(now)} until somebody moves it")
        return
    offset, error = now - SystemClock().now(), venue.clock_error()
    told = f"this machine is {_milliseconds(-offset)} ms off the venue's, known to {_milliseconds(error)} ms"
    if abs(offset) > MOST_OFFSET:
        yield Row(
            "venue clock", WARN, told, "set this machine's clock (NTP); requests carry the venue's time anyway"
        )
    else:
        yield Row("venue clock", OK, told)


async def _account(venue: BinanceVenue, settings: Settings) -> AsyncIterator[Row]:
    from etf_trader.bootstrap import open_services

    identity = await venue.identity()
    told = f"{identity.environment} account {identity.uid}"
    try:
        opened = open_services(settings)
    except ConfigError as error:
        yield Row("account", SKIP, f"{told}; {error.message}", error.hint or "")
        return
    known = opened.account
    opened.close()
    if (known.uid, known.era) != (identity.uid, identity.era):
        yield Row(
            "account",
            FAIL,
            f"{told}, since {identity.era}; the database belongs to {known.uid}, since {known.era}",
            "take the keys of that account, or another database",
        )
    else:
        yield Row("account", OK, told)


async def _permissions(venue: BinanceVenue, settings: Settings) -> AsyncIterator[Row]:
    from etf_trader.venue.binance.standing import obstacle

    found = await venue.standing()
    allows = settings.binance.allow_withdraw_key
    in_the_way = obstacle(found, is_live=venue.environment.is_live, allows_withdraw_key=allows)
    if in_the_way is not None:
        yield Row("permissions", FAIL, in_the_way.message, in_the_way.hint or "")
        return
    if found.key_trades is None:
        yield Row("permissions", OK, "the account may trade; the venue does not tell what the key may")
        return
    yield _of_key(found)


def _of_key(found: Standing) -> Row:
    may = "the key may trade" + (" and withdraw" if found.key_withdraws else ", and not withdraw")
    if found.key_withdraws:
        return Row("permissions", WARN, may, "take the right to withdraw from it: nothing here needs it")
    if not found.is_ip_restricted:
        return Row("permissions", WARN, f"{may}; from any address", "restrict the key to this machine's address")
    return Row("permissions", OK, f"{may}; from its own addresses only")


async def _limits(venue: BinanceVenue) -> AsyncIterator[Row]:
    limits, counts = await venue.order_limits(), await venue.order_counts()
    used = {each.seconds: each.count for each in counts.counts}
    told = ", ".join(
        f"{used.get(each.seconds, 0):,} of {each.limit:,} orders in {each.seconds:,} s" for each in limits
    )
    if (age := venue.list_age()) is not None:
        told = f"{told}; markets as told {age:.0f} s ago"
    yield Row("limits", OK if limits else WARN, told or "the venue names no limit on orders")


async def _fees(venue: BinanceVenue) -> AsyncIterator[Row]:
    rules = await venue.rules()
    rates = sorted({rule.taker_fee for rule in rules.values() if rule.is_trading})
    closed = sum(not rule.is_trading for rule in rules.values())
    most = max(rates, default=Decimal(0))
    told = f"at most {plain(most * 10_000)} bps on {count(len(rules) - closed, 'market')}; {closed} not trading"
    yield Row("fees", OK, told)


async def _fee_payment(venue: BinanceVenue, settings: Settings) -> AsyncIterator[Row]:
    """Whether fees are paid in BNB, and whether the books can bear that."""
    from etf_trader.bootstrap import open_services
    from etf_trader.execution.fee_inventory import constituent_of
    from etf_trader.ledger import accounts
    from etf_trader.ledger.fill import pays_apart
    from etf_trader.ledger.repository import Ledger

    told = (await venue.standing()).pays_in_bnb
    discount = await venue.fee_discount()
    try:
        opened = open_services(settings)
    except ConfigError as error:
        yield Row("BNB", SKIP, error.message, error.hint or "")
        return
    with opened.database.read() as connection:
        has_paid = pays_apart(connection, opened.account.id)
        held = Ledger(connection, opened.account.id).balance(accounts.FEE_INVENTORY, "BNB")
        index = constituent_of(connection, opened.account.id, "BNB")
    opened.close()
    if discount is None and not (told is None and has_paid):
        said = "fees are taken from what is received"
        yield Row("BNB", OK, said if told is False else f"{said}, as far as fills tell; the venue does not")
        return
    by = "the last fill says" if told is None else "the venue says"
    if index is not None:
        yield Row("BNB", FAIL, f"fees are paid in BNB, {by}, and {index} holds BNB", "switch it off at the venue")
    elif not held:
        yield Row("BNB", WARN, f"fees are paid in BNB, {by}; the fee inventory is empty", "etf treasury fees 1")
    else:
        yield Row("BNB", OK, f"fees are paid in BNB, {by}; the fee inventory holds {plain(held)}")


async def _stream(venue: BinanceVenue) -> AsyncIterator[Row]:
    stop = venue.subscribe(lambda _: None)
    try:
        await asyncio.wait_for(venue.is_streaming(), STREAM_SECONDS)
    except TimeoutError:
        yield Row(
            "user stream",
            WARN,
            "it cannot be subscribed",
            "trading works without it, by asking; is a proxy between?",
        )
    else:
        yield Row("user stream", OK, "it is subscribed")
    finally:
        stop()


async def _delistings(venue: BinanceVenue, settings: Settings) -> AsyncIterator[Row]:
    from etf_trader.bootstrap import open_services
    from etf_trader.execution.delisted import concerned

    found = await venue.delistings()
    if found is None:
        yield Row("delistings", SKIP, "the venue does not tell")
        return
    now = await venue.server_time()
    coming = {symbol: at for symbol, at in found.items() if now <= at <= now + SOON}
    held: dict[str, list[str]] = {}
    try:
        opened = open_services(settings)
        with opened.database.read() as connection:
            held = concerned(connection, opened.account.id, coming)
        opened.close()
    except ConfigError:
        pass  # there are no indices yet
    if not coming:
        yield Row("delistings", OK, f"none in {SOON.days} days")
    elif not held:
        yield Row("delistings", OK, f"{count(len(coming), 'market')} in {SOON.days} days, none of an index")
    for symbol, indices in sorted(held.items()):
        yield Row(
            "delistings",
            WARN,
            f"{symbol} of {', '.join(indices)} trades until {local_time(coming[symbol])}",
            "sell the index, or what it holds, before then",
        )


def _milliseconds(span: timedelta) -> str:
    return f"{span.total_seconds() * 1000:.0f}"
