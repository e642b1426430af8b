"""What Binance trades and by which rules, and what an account pays there: kept for a while, with its age."""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from etf_trader.market.symbol import SymbolRule
from etf_trader.venue.binance import messages
from etf_trader.venue.binance.client import BinanceClient
from etf_trader.venue.binance.errors import NO_SYMBOL, Refusal
from etf_trader.venue.binance.fees import Fees, FeeTable
from etf_trader.venue.binance.kept_file import KeptFile
from etf_trader.venue.interface import OrderLimit

ALL_GOOD_FOR = 3600.0
"""Seconds for which the list of all markets is kept."""

SOME_GOOD_FOR = 60.0
"""Seconds for which the rules and states of the markets in use are kept."""

MOST_NAMED = 100
"""So many markets are asked for by name at most."""

NOT_PERMITTED = "NOT_PERMITTED"
"""The state of a market that this account, or this kind of order, is kept out of."""


class Markets:
    """The markets of one account."""

    def __init__(
        self,
        now: Callable[[], float],
        account: Callable[[], Awaitable[Mapping[str, Any]]],
        file: KeptFile | None = None,
        fee_file: KeptFile | None = None,
    ) -> None:
        """`now` counts seconds; `account` returns what the venue tells of the account.

        What all markets are is kept in `file` for the processes that come after,
        and what the account pays in `fee_file`.
        """
        self._now = now
        self._account = account
        self._file = file
        self._fees = FeeTable(now, fee_file)
        self._sors: Sequence[Mapping[str, Any]] = ()
        self._rows: dict[str, Mapping[str, Any]] = {}
        self._limits: list[OrderLimit] = []
        self._all: float | None = None
        self._some: float | None = None
        self._used: set[str] = set()

    def use(self, symbols: Iterable[str]) -> None:
        """Keep an eye on these: their states, and exactly what is paid there."""
        self._used.update(symbols)

    def expire(self) -> None:
        """Ask anew next time: the venue refused something that the rules allowed."""
        self._some = None

    @property
    def known_limits(self) -> list[OrderLimit]:
        """The venue's limits on orders, as far as it told them."""
        return list(self._limits)

    @property
    def age(self) -> float | None:
        """Seconds since the venue told the rules of the markets in use; None: it has not."""
        told = self._some if self._some is not None else self._all
        return None if told is None else self._now() - told

    @property
    def list_age(self) -> float | None:
        """Seconds since the venue told the list of all markets, to whichever process; None: it has not."""
        return None if self._all is None else self._now() - self._all

    @property
    def sors(self) -> Sequence[Mapping[str, Any]]:
        """What the venue routes by itself: base assets, each with the symbols it may trade it on."""
        return self._sors

    def row(self, symbol: str) -> Mapping[str, Any]:
        """Return what exchangeInfo said of a market last; nothing where it does not list it."""
        return self._rows.get(symbol, {})

    async def limits(self, client: BinanceClient) -> list[OrderLimit]:
        """Return the venue's limits on orders."""
        await self._refresh(client)
        return list(self._limits)

    async def rules(self, client: BinanceClient) -> dict[str, SymbolRule]:
        """Return the rules of every market, with what this account pays there."""
        await self._refresh(client)
        account = await self._account()
        fees = await self._fees.of(client, account, self._rows.keys(), self._used)
        permissions = frozenset(account.get("permissions", ()))
        return {symbol: _rule(row, fees[symbol], permissions) for symbol, row in self._rows.items()}

    async def _refresh(self, client: BinanceClient) -> None:
        """Ask for what is too old: all markets, or those in use by their names."""
        if self._all is None:
            self._recall(client)
        if self._all is None or self._now() - self._all > ALL_GOOD_FOR:
            await self._read_all(client)
            return
        named = self._used & self._rows.keys()
        if not named or (self._some is not None and self._now() - self._some <= SOME_GOOD_FOR):
            return
        if len(named) > MOST_NAMED:
            await self._read_all(client)
            return
        try:
            asked = json.dumps(sorted(named), separators=(",", ":"))
            body = (await client.get("exchangeInfo", symbols=asked)).body
        except Refusal as error:
            if error.code != NO_SYMBOL:
                raise
            await self._read_all(client)  # one of them is gone
            return
        self._rows |= {row["symbol"]: row for row in body["symbols"]}
        self._some = self._now()

    async def _read_all(self, client: BinanceClient) -> None:
        body = (await client.get("exchangeInfo")).body
        self._take(client, body)
        self._all = self._some = self._now()
        if self._file is not None:
            self._file.write(client.environment.api, body)

    def _recall(self, client: BinanceClient) -> None:
        """Take the list that another process was told within the hour; states of it are asked for anew."""
        kept = None if self._file is None else self._file.read(client.environment.api, ALL_GOOD_FOR)
        if kept is not None and kept.body.get("symbols") and isinstance(kept.body.get("rateLimits"), list):
            self._take(client, kept.body)
            self._all = self._now() - kept.age

    def _take(self, client: BinanceClient, body: Mapping[str, Any]) -> None:
        self._rows = {row["symbol"]: row for row in body["symbols"]}
        self._limits = messages.order_limits(body["rateLimits"])
        self._sors = tuple(body.get("sors", ()))
        if (limit := messages.weight_limit(body["rateLimits"])) is not None:
            client.limited(*limit)


def is_permitted(row: Mapping[str, Any], permissions: frozenset[str]) -> bool:
    """Whether an account with these permissions may send limit orders there: one of each set is needed."""
    sets = row.get("permissionSets") or ()
    is_allowed = not permissions or all(permissions & set(each) for each in sets if each)
    return (
        is_allowed and bool(row.get("isSpotTradingAllowed", True)) and "LIMIT" in row.get("orderTypes", ("LIMIT",))
    )


def _rule(row: Mapping[str, Any], fees: Fees, permissions: frozenset[str]) -> SymbolRule:
    rule = SymbolRule.from_exchange_info(row, maker_fee=fees[0], taker_fee=fees[1])
    if rule.is_trading and not is_permitted(row, permissions):
        return replace(rule, status=NOT_PERMITTED)
    return rule
