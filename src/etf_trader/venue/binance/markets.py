"""What Binance trades and by which rules, and what an account pays there: kept for a while, with its age."""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from etf_trader.market.symbol import SymbolRule
from etf_trader.money import ZERO
from etf_trader.venue.binance import messages
from etf_trader.venue.binance.client import BinanceClient
from etf_trader.venue.binance.errors import NO_SYMBOL, Refusal
from etf_trader.venue.binance.info_file import InfoFile, KeptInfo
from etf_trader.venue.binance.standing import ABSENT
from etf_trader.venue.interface import OrderLimit

ALL_GOOD_FOR = 3600.0
"""Seconds for which the list of all markets is kept."""

SOME_GOOD_FOR = 60.0
"""Seconds for which the rules and states of the markets in use are kept."""

FEES_GOOD_FOR = 3600.0

FEW = 10
"""The fees of so many markets are asked for one by one, where there is no list of them."""

MOST_NAMED = 100
"""So many markets are asked for by name at most."""

NOT_PERMITTED = "NOT_PERMITTED"
"""The state of a market that this account, or this kind of order, is kept out of."""

Fees = tuple[Decimal, Decimal]


@dataclass(frozen=True, slots=True)
class Kept:
    """Something the venue told at `at`, seconds of the loop's counter."""

    value: Any
    at: float


class Markets:
    """The markets of one account."""

    def __init__(
        self,
        now: Callable[[], float],
        account: Callable[[], Awaitable[Mapping[str, Any]]],
        file: InfoFile | None = None,
    ) -> None:
        """`now` counts seconds; `account` returns what the venue tells of the account.

        What all markets are is kept in `file` for the processes that come after.
        """
        self._now = now
        self._account = account
        self._file = file
        self._sors: Sequence[Mapping[str, Any]] = ()
        self._rows: dict[str, Mapping[str, Any]] = {}
        self._limits: list[OrderLimit] = []
        self._all: float | None = None
        self._some: float | None = None
        self._used: set[str] = set()
        self._list: Kept | None = None
        self._single: dict[str, Kept] = {}

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
        fees = await self._fees(client, account)
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
            self._file.write(KeptInfo(datetime.now(UTC), body))

    def _recall(self, client: BinanceClient) -> None:
        """Take the list that another process was told within the hour; states of it are asked for anew."""
        kept = None if self._file is None else self._file.read()
        if kept is None:
            return
        age = (datetime.now(UTC) - kept.at).total_seconds()
        if 0 <= age <= ALL_GOOD_FOR:
            self._take(client, kept.body)
            self._all = self._now() - age

    def _take(self, client: BinanceClient, body: Mapping[str, Any]) -> None:
        self._rows = {row["symbol"]: row for row in body["symbols"]}
        self._limits = messages.order_limits(body["rateLimits"])
        self._sors = tuple(body.get("sors", ()))
        if (limit := messages.weight_limit(body["rateLimits"])) is not None:
            client.limited(*limit)

    async def _fees(self, client: BinanceClient, account: Mapping[str, Any]) -> dict[str, Fees]:
        """Return maker and taker fees: asked for singly, else listed, else what the account pays in general."""
        rates = account.get("commissionRates", {})
        general = (Decimal(rates.get("maker", "0.001")), Decimal(rates.get("taker", "0.001")))
        listed = await self._listed(client)
        wanted = self._used if listed or len(self._rows) > FEW else self._rows.keys()
        for symbol in sorted(wanted & self._rows.keys()):
            if self._is_old(self._single.get(symbol)):
                self._single[symbol] = Kept(await _commission(client, symbol), self._now())
        single = {symbol: kept.value for symbol, kept in self._single.items() if kept.value is not None}
        return {symbol: single.get(symbol) or listed.get(symbol) or general for symbol in self._rows}

    async def _listed(self, client: BinanceClient) -> Mapping[str, Fees]:
        if client.environment.wallet is None:
            return {}
        if self._list is None or self._is_old(self._list):
            try:
                rows = (await client.wallet("asset/tradeFee")).body
            except Refusal as error:
                if error.status not in ABSENT or error.code:
                    raise
                rows = ()
            found = {
                row["symbol"]: (Decimal(row["makerCommission"]), Decimal(row["takerCommission"])) for row in rows
            }
            self._list = Kept(found, self._now())
        listed: Mapping[str, Fees] = self._list.value
        return listed

    def _is_old(self, kept: Kept | None) -> bool:
        return kept is None or self._now() - kept.at > FEES_GOOD_FOR


async def _commission(client: BinanceClient, symbol: str) -> Fees | None:
    try:
        return fees_from((await client.get("account/commission", signed=True, symbol=symbol)).body)
    except Refusal as error:
        if error.status in ABSENT and not error.code:
            return None
        raise


def fees_from(row: Mapping[str, Any]) -> Fees:
    """Return maker and taker fee of a market: all that is charged, whichever side, before any discount."""
    kinds = [part for name, part in row.items() if name.endswith("Commission") and isinstance(part, Mapping)]
    sides = sum((max(Decimal(part.get("buyer", 0)), Decimal(part.get("seller", 0))) for part in kinds), ZERO)
    maker, taker = (sum((Decimal(part.get(role, 0)) for part in kinds), ZERO) for role in ("maker", "taker"))
    return maker + sides, taker + sides


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
