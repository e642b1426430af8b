"""What a client may ask about its account: balances, trades, fees and counts."""

from etf_trader.exchange.refusal import ExchangeError
from etf_trader.exchange.server import messages
from etf_trader.exchange.server.calls import Ask, Call, Reply, Security, Table
from etf_trader.exchange.server.trading import check_span
from etf_trader.exchange.views import BalanceView
from etf_trader.money import ZERO

NOTHING = BalanceView(ZERO, ZERO)
MOST_ROWS = 1000


def account(ask: Ask) -> Reply:
    """Tell what the account has and may do."""
    exchange = ask.gateway.exchange
    held = exchange.balances(ask.account)
    names = sorted(exchange.assets | held.keys())
    if ask.parameters.flag("omitZeroBalances"):
        names = sorted(held)
    balances = [
        {
            "asset": name,
            "free": messages.amount(held.get(name, NOTHING).free),
            "locked": messages.amount(held.get(name, NOTHING).locked),
        }
        for name in names
    ]
    return Reply(
        {
            "makerCommission": 10,
            "takerCommission": 10,
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": {
                "maker": "0.00100000",
                "taker": "0.00100000",
                "buyer": "0.00000000",
                "seller": "0.00000000",
            },
            "canTrade": True,
            "canWithdraw": True,
            "canDeposit": True,
            "brokered": False,
            "requireSelfTradePrevention": False,
            "preventSor": False,
            "updateTime": ask.time(ask.now),
            "accountType": "SPOT",
            "balances": balances,
            "permissions": ["SPOT"],
            "uid": ask.gateway.uid(ask.account),
        }
    )


def own_trades(ask: Ask) -> Reply:
    """Tell the account's trades in a symbol.

    From an id on they ascend from there, in a span of time from its start;
    otherwise they are the last ones.
    """
    parameters = ask.parameters
    symbol = parameters.symbol()
    start, end = parameters.span()
    from_id, order_id = parameters.whole("fromId"), parameters.whole("orderId")
    limit = parameters.limit(500, MOST_ROWS)
    check_span(start, end)
    if from_id is not None and (start is not None or end is not None):
        raise ExchangeError(-1128, "Combination of optional parameters invalid.")
    views = ask.gateway.exchange.trades(ask.account, symbol, order_id=order_id, from_id=from_id or 0)
    found = [view for view in views if (start is None or view.at >= start) and (end is None or view.at <= end)]
    is_from_start = from_id is not None or start is not None
    chosen = found[:limit] if is_from_start else found[-limit:]
    return Reply([messages.own_trade(ask, view) for view in chosen])


def commission(ask: Ask) -> Reply:
    """Tell the fee rates of a symbol."""
    symbol, exchange = ask.parameters.symbol(), ask.gateway.exchange
    maker, taker = exchange.fees(ask.account, symbol)
    sides = {"buyer": messages.amount(ZERO), "seller": messages.amount(ZERO)}
    return Reply(
        {
            "symbol": symbol,
            "standardCommission": {"maker": messages.amount(maker), "taker": messages.amount(taker)} | sides,
            "specialCommission": messages.no_rates() | sides,
            "taxCommission": messages.no_rates() | sides,
            "discount": messages.discount(on=exchange.bnb_burn(ask.account)),
        }
    )


def order_counts(ask: Ask) -> Reply:
    """Tell how many unfilled orders count in the present windows."""
    counts = ask.gateway.exchange.order_counts(ask.account)
    return Reply(messages.count_limits(counts))


def add_to(table: Table) -> None:
    """Add these calls."""
    look = Security.USER_DATA
    table.add(
        Call(account, frozenset(("omitZeroBalances",)), 20, look, "GET", "/api/v3/account", "account.status")
    )
    table.add(
        Call(
            commission,
            frozenset(("symbol",)),
            20,
            look,
            "GET",
            "/api/v3/account/commission",
            "account.commission",
        )
    )
    table.add(
        Call(
            own_trades,
            frozenset(("symbol", "orderId", "startTime", "endTime", "fromId", "limit")),
            lambda parameters: 5 if "orderId" in parameters else 20,
            look,
            "GET",
            "/api/v3/myTrades",
            "myTrades",
        )
    )
    table.add(
        Call(
            order_counts,
            frozenset(),
            40,
            look,
            "GET",
            "/api/v3/rateLimit/order",
            "account.rateLimits.orders",
        )
    )
