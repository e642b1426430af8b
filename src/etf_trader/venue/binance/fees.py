"""What an account pays at each market: asked for singly, else listed, else what it pays in general."""

from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from etf_trader.money import ZERO, plain
from etf_trader.venue.binance.client import BinanceClient
from etf_trader.venue.binance.errors import Refusal
from etf_trader.venue.binance.kept_file import KeptFile
from etf_trader.venue.binance.standing import ABSENT

GOOD_FOR = 3600.0
"""Seconds for which fees are kept; what a fill really cost, the fill says."""

FEW = 10
"""The fees of so many markets are asked for one by one, where there is no list of them."""

Fees = tuple[Decimal, Decimal]
"""What a maker pays, and a taker, as a share of what is received."""


class Told(NamedTuple):
    """What the venue told at `at`, seconds of the counter; None: it does not tell."""

    fees: Fees | None
    at: float


class FeeTable:
    """The fees of one account, kept for an hour: asking weighs twenty a market."""

    def __init__(self, now: Callable[[], float], file: KeptFile | None = None) -> None:
        """`now` counts seconds; `file` keeps what was told for the processes that come after."""
        self._now = now
        self._file = file
        self._listed: Mapping[str, Fees] | None = None
        self._listed_at = 0.0
        self._single: dict[str, Told] = {}
        self._is_recalled = False

    async def of(
        self, client: BinanceClient, account: Mapping[str, Any], symbols: Collection[str], used: Collection[str]
    ) -> dict[str, Fees]:
        """Return maker and taker fees of `symbols`; those in use are asked for exactly."""
        rates = account.get("commissionRates", {})
        general = (Decimal(rates.get("maker", "0.001")), Decimal(rates.get("taker", "0.001")))
        listed = await self._list(client)
        source = f"{client.environment.api} {account.get('uid')}"
        self._recall(source)
        wanted = used if listed or len(symbols) > FEW else symbols
        asked = [symbol for symbol in sorted(set(wanted) & set(symbols)) if self._is_old(symbol)]
        for symbol in asked:
            self._single[symbol] = Told(await _commission(client, symbol), self._now())
        if asked:
            self._keep(source)
        single = {symbol: told.fees for symbol, told in self._single.items() if told.fees is not None}
        return {symbol: single.get(symbol) or listed.get(symbol) or general for symbol in symbols}

    async def _list(self, client: BinanceClient) -> Mapping[str, Fees]:
        if client.environment.wallet is None:
            return {}
        if self._listed is None or self._now() - self._listed_at > GOOD_FOR:
            try:
                rows = (await client.wallet("asset/tradeFee")).body
            except Refusal as error:
                if error.status not in ABSENT or error.code:
                    raise
                rows = ()
            self._listed = {
                row["symbol"]: (Decimal(row["makerCommission"]), Decimal(row["takerCommission"])) for row in rows
            }
            self._listed_at = self._now()
        return self._listed

    def _is_old(self, symbol: str) -> bool:
        told = self._single.get(symbol)
        return told is None or self._now() - told.at > GOOD_FOR

    def _recall(self, source: str) -> None:
        """Take what another process was told within the hour."""
        if self._file is None or self._is_recalled:
            return
        self._is_recalled = True
        kept = self._file.read(source, GOOD_FOR)
        if kept is None:
            return
        for symbol, (age, *fees) in kept.body.items():
            told = Told((Decimal(fees[0]), Decimal(fees[1])) if fees else None, self._now() - kept.age - age)
            self._single.setdefault(symbol, told)

    def _keep(self, source: str) -> None:
        if self._file is None:
            return
        now = self._now()
        body = {
            symbol: [now - told.at, *(plain(fee) for fee in told.fees or ())]
            for symbol, told in self._single.items()
            if now - told.at <= GOOD_FOR
        }
        self._file.write(source, body)


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
