"""What general clients ask the wallet when they start, and what an account may know about itself."""

from collections.abc import Callable
from typing import Any

from etf_trader.exchange.server import messages
from etf_trader.exchange.server.calls import Ask, Call, Reply, Security, Table
from etf_trader.exchange.views import BalanceView, TransferView
from etf_trader.money import ZERO

NETWORK = "PAPER"
MOST_ROWS = 1000
DEPOSITED, WITHDRAWN = 1, 6
"""What Binance calls the states of transfers that are done."""
_SPAN = ("coin", "status", "startTime", "endTime", "offset", "limit", "txId")


def coins(ask: Ask) -> Reply:
    """Tell every asset, and what the account has of it."""
    exchange = ask.gateway.exchange
    held = exchange.balances(ask.account)
    return Reply([_coin(name, held.get(name)) for name in sorted(exchange.assets)])


def _coin(name: str, balance: BalanceView | None) -> dict[str, Any]:
    nothing = messages.amount(ZERO)
    return {
        "coin": name,
        "name": name,
        "free": nothing if balance is None else messages.amount(balance.free),
        "locked": nothing if balance is None else messages.amount(balance.locked),
        "freeze": nothing,
        "withdrawing": nothing,
        "ipoing": nothing,
        "ipoable": nothing,
        "storage": nothing,
        "isLegalMoney": False,
        "trading": True,
        "depositAllEnable": True,
        "withdrawAllEnable": True,
        "networkList": [
            {
                "network": NETWORK,
                "coin": name,
                "name": "Paper",
                "isDefault": True,
                "depositEnable": True,
                "withdrawEnable": True,
                "depositDesc": "",
                "withdrawDesc": "",
                "specialTips": "",
                "resetAddressStatus": False,
                "addressRegex": "",
                "memoRegex": "",
                "withdrawFee": "0",
                "withdrawMin": "0.00000001",
                "withdrawMax": "9999999999.99999999",
                "withdrawIntegerMultiple": "0.00000001",
                "minConfirm": 1,
                "unLockConfirm": 0,
                "sameAddress": False,
                "estimatedArrivalTime": 1,
                "busy": False,
            }
        ],
    }


def trade_fees(ask: Ask) -> Reply:
    """Tell the fee rates of one symbol or of all."""
    exchange, symbol = ask.gateway.exchange, ask.parameters.optional_symbol()
    rows = exchange.exchange_info(None if symbol is None else [symbol])["symbols"]
    found = []
    for row in rows:
        maker, taker = exchange.fees(ask.account, row["symbol"])
        found.append({"symbol": row["symbol"], "makerCommission": str(maker), "takerCommission": str(taker)})
    return Reply(found)


def nothing(ask: Ask) -> Reply:
    """Answer that there is none: no margin, no coming delisting."""
    return Reply([])


def system_status(ask: Ask) -> Reply:
    """Tell that the venue is not under maintenance: else nobody would answer."""
    return Reply({"status": 0, "msg": "normal"})


def delistings(ask: Ask) -> Reply:
    """Tell the delistings that were announced."""
    return Reply(
        [
            {"delistTime": ask.time(at), "symbols": list(symbols)}
            for at, symbols in sorted(ask.gateway.delistings.items())
        ]
    )


def deposits(ask: Ask) -> Reply:
    """Tell what came in, the newest first."""

    def row(view: TransferView) -> dict[str, Any]:
        return {
            "id": str(view.sequence),
            "amount": str(view.amount),
            "coin": view.asset,
            "network": NETWORK,
            "status": DEPOSITED,
            "address": "",
            "addressTag": "",
            "txId": view.transfer_id,
            "insertTime": ask.time(view.at),
            "completeTime": ask.time(view.at),
            "transferType": 0,
            "confirmTimes": "1/1",
            "unlockConfirm": 0,
            "walletType": 0,
        }

    return _transfers(ask, "deposit", DEPOSITED, row)


def withdrawals(ask: Ask) -> Reply:
    """Tell what went out, the newest first."""

    def row(view: TransferView) -> dict[str, Any]:
        at = view.at.strftime("%Y-%m-%d %H:%M:%S")
        return {
            "id": str(view.sequence),
            "amount": str(view.amount),
            "transactionFee": "0",
            "coin": view.asset,
            "status": WITHDRAWN,
            "address": "",
            "txId": view.transfer_id,
            "applyTime": at,
            "network": NETWORK,
            "transferType": 0,
            "info": "",
            "confirmNo": 1,
            "walletType": 0,
            "txKey": "",
            "completeTime": at,
        }

    return _transfers(ask, "withdrawal", WITHDRAWN, row)


def _transfers(ask: Ask, kind: str, done: int, row: Callable[[TransferView], dict[str, Any]]) -> Reply:
    parameters = ask.parameters
    coin, name = parameters.text("coin"), parameters.text("txId")
    start, end = parameters.span()
    offset, limit = parameters.whole("offset", 0) or 0, parameters.limit(MOST_ROWS, MOST_ROWS)
    found = [
        view
        for view in reversed(ask.gateway.exchange.transfers(ask.account))
        if view.kind == kind
        and coin in (None, view.asset)
        and name in (None, view.transfer_id)
        and (start is None or view.at >= start)
        and (end is None or view.at <= end)
        and parameters.whole("status", done) == done
    ]
    return Reply([row(view) for view in found[offset : offset + limit]])


def rights(ask: Ask) -> Reply:
    """Tell what the key may do."""
    assert ask.key is not None
    return Reply(
        {
            "ipRestrict": ask.key.is_ip_restricted,
            "createTime": ask.time(ask.key.made),
            "enableReading": True,
            "enableSpotAndMarginTrading": ask.key.may_trade,
            "enableWithdrawals": ask.key.may_withdraw,
            "enableInternalTransfer": False,
            "enableMargin": False,
            "enableFutures": False,
            "permitsUniversalTransfer": False,
            "enableVanillaOptions": False,
            "enablePortfolioMarginTrading": False,
            "enableFixApiTrade": False,
            "enableFixReadOnly": False,
        }
    )


def bnb_burn(ask: Ask) -> Reply:
    """Tell whether fees are paid in BNB."""
    on = ask.gateway.exchange.bnb_burn(ask.account)
    return Reply({"spotBNBBurn": on, "interestBNBBurn": False})


def set_bnb_burn(ask: Ask) -> Reply:
    """Pay fees in BNB, or no more."""
    ask.parameters.flag("interestBNBBurn")
    if "spotBNBBurn" in ask.parameters:
        ask.gateway.exchange.set_bnb_burn(ask.account, ask.parameters.flag("spotBNBBurn"))
    return bnb_burn(ask)


def add_to(table: Table) -> None:
    """Add these calls."""
    look = Security.USER_DATA
    rows: tuple[tuple[str, Any, int, Security, tuple[str, ...]], ...] = (
        ("capital/config/getall", coins, 10, look, ()),
        ("capital/deposit/hisrec", deposits, 1, look, ("includeSource", *_SPAN)),
        ("capital/withdraw/history", withdrawals, 1, look, ("withdrawOrderId", "idList", *_SPAN)),
        ("asset/tradeFee", trade_fees, 1, look, ("symbol",)),
        ("account/apiRestrictions", rights, 1, look, ()),
        ("spot/delist-schedule", delistings, 100, Security.KEY, ()),
        ("bnbBurn", bnb_burn, 1, look, ()),
        ("system/status", system_status, 1, Security.NONE, ()),
        ("margin/allPairs", nothing, 1, Security.KEY, ("symbol",)),
        ("margin/isolated/allPairs", nothing, 10, Security.KEY, ("symbol",)),
    )
    for path, handler, weight, security, takes in rows:
        table.add(Call(handler, frozenset(takes), weight, security, path=f"/sapi/v1/{path}"))
    switch = frozenset(("spotBNBBurn", "interestBNBBurn"))
    table.add(Call(set_bnb_burn, switch, 1, look, "POST", "/sapi/v1/bnbBurn", changes=True))
