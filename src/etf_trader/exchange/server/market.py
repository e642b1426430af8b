"""What anyone may ask: the time, what trades, the books, and what was traded."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from etf_trader.exchange.refusal import ExchangeError, missing
from etf_trader.exchange.server import messages, refusals
from etf_trader.exchange.server.calls import Ask, Call, Reply, Table
from etf_trader.exchange.server.candles import Interval, candles
from etf_trader.exchange.server.parameters import EPOCH, Parameters
from etf_trader.exchange.server.windows import window

MOST_LEVELS = 5000
MOST_ROWS = 1000
WINDOW = r"^(([1-9]|[1-5][0-9])m|([1-9]|1[0-9]|2[0-3])h|[1-7]d)$"
_DEPTH_WEIGHTS = ((100, 5), (500, 25), (1000, 50))
_OF_EVERY_SYMBOL: Mapping[str, Any] = {
    "quotePrecision": 8,
    "icebergAllowed": True,
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
    wanted = _named(ask.parameters)
    info = ask.gateway.exchange.exchange_info(wanted)
    rows = [{**_OF_EVERY_SYMBOL, **row} for row in info["symbols"]]
    status = ask.parameters.text("symbolStatus")
    if status is not None:
        rows = [row for row in rows if row["status"] == status]
    if wanted is None and "SPOT" not in (ask.parameters.text("permissions") or "SPOT"):
        rows = []
    if not ask.parameters.flag("showPermissionSets", default=True):
        rows = [{name: value for name, value in row.items() if name != "permissionSets"} for row in rows]
    body = {**info, "serverTime": ask.time(ask.now), "rateLimits": ask.gateway.rate_limits(), "symbols": rows}
    return Reply(body)


def depth(ask: Ask) -> Reply:
    """Tell the book of a symbol."""
    symbol = ask.parameters.symbol()
    limit = ask.parameters.limit(100, MOST_LEVELS)
    return Reply(messages.depth(ask.gateway.hub.book(symbol, limit)))


def trades(ask: Ask) -> Reply:
    """Tell the last trades of a symbol, or those from an id on."""
    parameters = ask.parameters
    symbol, from_id = parameters.symbol(), parameters.whole("fromId")
    limit = parameters.limit(500, MOST_ROWS)
    views = ask.gateway.exchange.recent_trades(symbol, limit, from_id)
    return Reply([messages.public_trade(ask, view) for view in views])


def aggregate_trades(ask: Ask) -> Reply:
    """Tell the trades of a symbol, each as an aggregate of one."""
    parameters = ask.parameters
    symbol, from_id = parameters.symbol(), parameters.whole("fromId")
    start, end = parameters.span()
    limit, exchange = parameters.limit(500, MOST_ROWS), ask.gateway.exchange
    if from_id is not None and (start is not None or end is not None):
        raise ExchangeError(-1128, "Combination of optional parameters invalid.")
    if start is not None:
        from_id = exchange.first_trade_id(symbol, start)
    elif end is not None:
        from_id = max(1, exchange.first_trade_id(symbol, end + timedelta.resolution) - limit)
    views = exchange.recent_trades(symbol, limit, from_id)
    found = [each for each in views if end is None or each.at <= end]
    return Reply([messages.aggregate_trade(ask, view) for view in found])


def klines(ask: Ask) -> Reply:
    """Tell candles: the last ones, or those of a span of time."""
    parameters = ask.parameters
    symbol = parameters.symbol()
    interval = Interval.named(parameters.needed("interval"))
    start, end = parameters.moment("startTime"), parameters.moment("endTime")
    limit = parameters.limit(500, MOST_ROWS)
    last = interval.opening(ask.now if end is None else min(end, ask.now))
    if start is None:
        start = max(EPOCH, interval.after(last, 1 - limit))
    until = interval.after(last)
    rows = candles(ask.gateway.exchange, symbol, interval, start, until, limit)
    return Reply([messages.kline(ask, row, interval.after(row.at)) for row in rows])


def average_price(ask: Ask) -> Reply:
    """Tell the mean price of the last minutes."""
    view = ask.gateway.exchange.avg_price(ask.parameters.symbol())
    return Reply({"mins": view.minutes, "price": messages.amount(view.price), "closeTime": ask.time(view.closed)})


def ticker_day(ask: Ask) -> Reply:
    """Tell the statistics of the last 24 hours."""
    kind = ask.parameters.choice("type", ("FULL", "MINI"), refusals.invalid("type")) or "FULL"
    exchange = ask.gateway.exchange
    return _each(ask, lambda symbol: messages.ticker(ask, exchange.ticker(symbol), kind, is_day=True))


def ticker_window(ask: Ask) -> Reply:
    """Tell the statistics of a window of some minutes, hours or days."""
    parameters = ask.parameters
    kind = parameters.choice("type", ("FULL", "MINI"), refusals.invalid("type")) or "FULL"
    size = parameters.text("windowSize", WINDOW) or "1d"
    _one_or_many(parameters)
    length = timedelta(seconds=int(size[:-1]) * {"m": 60, "h": 3600, "d": 86_400}[size[-1]])
    return _each(ask, lambda symbol: _window(ask, symbol, ask.now - length, kind))


def ticker_today(ask: Ask) -> Reply:
    """Tell the statistics since midnight, UTC."""
    kind = ask.parameters.choice("type", ("FULL", "MINI"), refusals.invalid("type")) or "FULL"
    _one_or_many(ask.parameters)
    midnight = ask.now.replace(hour=0, minute=0, second=0, microsecond=0)
    return _each(ask, lambda symbol: _window(ask, symbol, midnight, kind))


def _window(ask: Ask, symbol: str, start: datetime, kind: str) -> dict[str, Any]:
    return messages.ticker(ask, window(ask.gateway.exchange, symbol, start, ask.now), kind)


def ticker_price(ask: Ask) -> Reply:
    """Tell last prices."""
    exchange = ask.gateway.exchange
    return _each(ask, lambda symbol: messages.last_price(exchange.ticker(symbol)))


def ticker_book(ask: Ask) -> Reply:
    """Tell the best prices of books."""
    wanted, is_one = _symbols(ask)
    books = ask.gateway.exchange.depths(wanted, 1, settled=True)
    rows = [messages.book_ticker(books[symbol]) for symbol in wanted]
    return Reply(rows[0] if is_one else rows)


def execution_rules(ask: Ask) -> Reply:
    """Tell the rules that takers are held to as they trade."""
    exchange, (wanted, _) = ask.gateway.exchange, _symbols(ask)
    found = [{"symbol": symbol, "rules": list(exchange.execution_rules(symbol))} for symbol in wanted]
    return Reply({"symbolRules": [row for row in found if row["rules"]]})


def _each(ask: Ask, row: Any) -> Reply:
    wanted, is_one = _symbols(ask)
    rows = [row(symbol) for symbol in wanted]
    return Reply(rows[0] if is_one else rows)


def _symbols(ask: Ask) -> tuple[list[str], bool]:
    """Return the symbols that were asked for, of all those that trade, and whether it was exactly one."""
    named = _named(ask.parameters)
    exchange = ask.gateway.exchange
    rows = exchange.exchange_info(named)["symbols"]  # refuses what there is not
    status = ask.parameters.text("symbolStatus")
    if named is not None and status is None:
        return named, "symbol" in ask.parameters
    return [row["symbol"] for row in rows if row["status"] == (status or row["status"])], False


def _named(parameters: Parameters) -> list[str] | None:
    """Return the symbols that were named; None when none were."""
    symbol, symbols = parameters.optional_symbol(), parameters.symbols()
    if symbol is not None and symbols is not None:
        raise ExchangeError(-1128, "Combination of optional parameters invalid.")
    return [symbol] if symbol is not None else symbols


def _one_or_many(parameters: Parameters) -> None:
    if "symbol" not in parameters and "symbols" not in parameters:
        raise missing("symbol")


def _depth_weight(parameters: Parameters) -> int:
    try:
        limit = parameters.limit(100, MOST_LEVELS)
    except ExchangeError:
        return 5
    return next((weight for most, weight in _DEPTH_WEIGHTS if limit <= most), 250)


def _count(parameters: Parameters) -> int | None:
    """Return how many symbols are named; None when none are."""
    if "symbol" in parameters:
        return 1
    text = parameters.raw("symbols")
    return None if text is None else text.count(",") + 1


def _day_weight(parameters: Parameters) -> int:
    number = _count(parameters)
    if number is None or number > 100:
        return 80
    return 2 if number <= 20 else 40


def _window_weight(parameters: Parameters) -> int:
    return min(200, 4 * (_count(parameters) or 1))


def _rules_weight(parameters: Parameters) -> int:
    return min(40, 2 * (_count(parameters) or 20))


def _price_weight(parameters: Parameters) -> int:
    return 2 if "symbol" in parameters else 4


def add_to(table: Table) -> None:
    """Add these calls."""
    names = ("symbol", "symbols", "symbolStatus")
    span = ("startTime", "endTime", "limit")
    candle = ("symbol", "interval", "timeZone", *span)
    rows: tuple[tuple[str, str, Any, Any, tuple[str, ...]], ...] = (
        ("ping", "ping", ping, 1, ()),
        ("time", "time", server_time, 1, ()),
        ("exchangeInfo", "exchangeInfo", exchange_info, 20, (*names, "permissions", "showPermissionSets")),
        ("depth", "depth", depth, _depth_weight, ("symbol", "limit", "symbolStatus")),
        ("trades", "trades.recent", trades, 25, ("symbol", "limit")),
        ("historicalTrades", "trades.historical", trades, 25, ("symbol", "limit", "fromId")),
        ("aggTrades", "trades.aggregate", aggregate_trades, 4, ("symbol", "fromId", *span)),
        ("klines", "klines", klines, 2, candle),
        ("uiKlines", "uiKlines", klines, 2, candle),
        ("avgPrice", "avgPrice", average_price, 2, ("symbol",)),
        ("ticker/24hr", "ticker.24hr", ticker_day, _day_weight, (*names, "type")),
        ("ticker/tradingDay", "ticker.tradingDay", ticker_today, _window_weight, (*names, "type", "timeZone")),
        ("ticker/price", "ticker.price", ticker_price, _price_weight, names),
        ("ticker/bookTicker", "ticker.book", ticker_book, _price_weight, names),
        ("executionRules", "executionRules", execution_rules, _rules_weight, names),
        ("ticker", "ticker", ticker_window, _window_weight, (*names, "type", "windowSize")),
    )
    for path, method, handler, weight, takes in rows:
        table.add(Call(handler, frozenset(takes), weight, path=f"/api/v3/{path}", method=method))
