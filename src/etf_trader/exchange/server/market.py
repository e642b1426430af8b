"""What anyone may ask: the time, what trades, and the books."""

from collections.abc import Mapping
from typing import Any

from etf_trader.exchange.refusal import ExchangeError
from etf_trader.exchange.server import messages
from etf_trader.exchange.server.calls import Ask, Call, Reply, Table
from etf_trader.exchange.server.parameters import Parameters

MOST_LEVELS = 5000
_DEPTH_WEIGHTS = ((100, 5), (500, 25), (1000, 50))
_OF_EVERY_SYMBOL: Mapping[str, Any] = {
    "quotePrecision": 8,
    "icebergAllowed": False,
    "ocoAllowed": False,
    "otoAllowed": False,
    "opoAllowed": False,
    "quoteOrderQtyMarketAllowed": True,
    "allowTrailingStop": False,
    "cancelReplaceAllowed": True,
    "amendAllowed": False,
    "pegInstructionsAllowed": False,
    "isSpotTradingAllowed": True,
    "isMarginTradingAllowed": False,
    "permissions": [],
    "permissionSets": [["SPOT"]],
}
"""What a row of a market may leave out."""


def ping(ask: Ask) -> Reply:
    """Answer that the exchange is there."""
    return Reply({})


def server_time(ask: Ask) -> Reply:
    """Tell the time."""
    return Reply({"serverTime": ask.time(ask.now)})


def exchange_info(ask: Ask) -> Reply:
    """Tell what trades, by which rules."""
    wanted = _wanted(ask.parameters)
    info = ask.gateway.exchange.exchange_info(wanted)
    rows = [{**_OF_EVERY_SYMBOL, **row} for row in info["symbols"]]
    status = ask.parameters.text("symbolStatus")
    if status is not None:
        rows = [row for row in rows if row["status"] == status]
    if wanted is None and not _asks_spot(ask.parameters):
        rows = []
    if not ask.parameters.flag("showPermissionSets", default=True):
        rows = [{name: value for name, value in row.items() if name != "permissionSets"} for row in rows]
    return Reply(
        {
            **info,
            "serverTime": ask.time(ask.now),
            "rateLimits": ask.gateway.rate_limits(),
            "symbols": rows,
        }
    )


def depth(ask: Ask) -> Reply:
    """Tell the book of a symbol."""
    symbol = ask.parameters.symbol()
    limit = ask.parameters.limit(100, MOST_LEVELS)
    return Reply(messages.depth(ask.gateway.exchange.depth(symbol, limit)))


def _depth_weight(parameters: Parameters) -> int:
    try:
        limit = parameters.limit(100, MOST_LEVELS)
    except ExchangeError:
        return 5
    return next((weight for most, weight in _DEPTH_WEIGHTS if limit <= most), 250)


def _wanted(parameters: Parameters) -> list[str] | None:
    """Return the symbols that were named; None when none were."""
    symbol, symbols = parameters.optional_symbol(), parameters.symbols()
    if symbol is not None and symbols is not None:
        raise ExchangeError(-1128, "Combination of optional parameters invalid.")
    return [symbol] if symbol is not None else symbols


def _asks_spot(parameters: Parameters) -> bool:
    permissions = parameters.text("permissions")
    return permissions is None or "SPOT" in permissions


def add_to(table: Table) -> None:
    """Add these calls."""
    table.add(Call(ping, frozenset(), 1, path="/api/v3/ping", method="ping"))
    table.add(Call(server_time, frozenset(), 1, path="/api/v3/time", method="time"))
    table.add(
        Call(
            exchange_info,
            frozenset(("symbol", "symbols", "permissions", "showPermissionSets", "symbolStatus")),
            20,
            path="/api/v3/exchangeInfo",
            method="exchangeInfo",
        )
    )
    table.add(
        Call(
            depth,
            frozenset(("symbol", "limit", "symbolStatus")),
            _depth_weight,
            path="/api/v3/depth",
            method="depth",
        )
    )
