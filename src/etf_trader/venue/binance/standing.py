"""How an account and its key stand at Binance: what they may do, what they pay fees in, what leaves the market.

Source:
    Binance wallet: account/apiRestrictions, bnbBurn, spot/delist-schedule.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from etf_trader.errors import ConfigError
from etf_trader.venue.binance.client import BinanceClient, moment
from etf_trader.venue.binance.errors import NO_SYMBOL, Refusal

FEE_ASSET = "BNB"
PAID_IN_FEE_ASSET = Decimal("0.75")
"""Which part of a fee is due in it. The venue tells its discount in a way that may be read as 25 or as 75 %."""

COMMISSION_SYMBOL = "BTCUSDT"

ABSENT = (403, 404)
"""Answers of a host that has no such page."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the venue says of an account and of the key that asks; None where it cannot be asked."""

    uid: str
    can_trade: bool
    key_trades: bool | None = None
    key_withdraws: bool | None = None
    is_ip_restricted: bool | None = None
    pays_in_bnb: bool | None = None


@dataclass(frozen=True, slots=True)
class Delisting:
    """Markets that end at `at`."""

    at: datetime
    symbols: tuple[str, ...]


async def standing(client: BinanceClient, account: Mapping[str, Any]) -> Standing:
    """Ask how the account stands, of which `account` is what the venue told."""
    restrictions = await _wallet(client, "account/apiRestrictions") or {}
    return Standing(
        uid=str(account["uid"]),
        can_trade=bool(account.get("canTrade", True)),
        key_trades=restrictions.get("enableSpotAndMarginTrading"),
        key_withdraws=restrictions.get("enableWithdrawals"),
        is_ip_restricted=restrictions.get("ipRestrict"),
        pays_in_bnb=await pays_in_bnb(client),
    )


async def pays_in_bnb(client: BinanceClient) -> bool | None:
    """Return whether the account pays its fees in BNB; None where neither wallet nor commission tells."""
    burn = await _wallet(client, "bnbBurn")
    if burn is not None:
        return bool(burn["spotBNBBurn"])
    try:
        body = (await client.get("account/commission", signed=True, symbol=COMMISSION_SYMBOL)).body
    except Refusal as error:
        if error.code == NO_SYMBOL or (error.status in ABSENT and not error.code):
            return None
        raise
    told = body.get("discount", {}).get("enabledForAccount")
    return None if told is None else bool(told)


async def delistings(client: BinanceClient) -> list[Delisting] | None:
    """Return which markets will end, and when; None where the venue cannot be asked."""
    rows: Sequence[Mapping[str, Any]] | None = await _wallet(client, "spot/delist-schedule")
    if rows is None:
        return None
    return [Delisting(moment(row["delistTime"]), tuple(row["symbols"])) for row in rows]


def obstacle(found: Standing, *, is_live: bool, allows_withdraw_key: bool) -> ConfigError | None:
    """Return what keeps the account from being traded on; None: nothing does."""
    where = f"account {found.uid}"
    if not found.can_trade:
        return ConfigError("the venue lets this account not trade", where=where, hint="ask the venue why")
    if found.key_trades is False:
        return ConfigError(
            "the API key may not trade", where=where, hint="let it trade spot, in its restrictions at the venue"
        )
    if is_live and found.key_withdraws and not allows_withdraw_key:
        return ConfigError(
            "the API key may withdraw, which nothing here needs",
            where=where,
            hint="take that right from it at the venue; or etf config set binance.allow_withdraw_key true",
        )
    return None


async def _wallet(client: BinanceClient, path: str) -> Any:
    if client.environment.wallet is None:
        return None
    try:
        return (await client.wallet(path)).body
    except Refusal as error:
        if error.status in ABSENT and not error.code:
            return None
        raise
