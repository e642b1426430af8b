"""What happens to an account, in the shapes of Binance's user data events.

Source:
    Binance Spot API, user-data-stream.md, state of July 2026.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import Any

from etf_trader.exchange.accounts import DEPOSIT
from etf_trader.exchange.paper import PaperExchange
from etf_trader.exchange.refusal import ExchangeError
from etf_trader.exchange.reports import CANCELED, EXPIRED, TRADE_PREVENTION
from etf_trader.exchange.server.messages import NO_LIST, amount
from etf_trader.exchange.server.parameters import microseconds
from etf_trader.exchange.server.stream_messages import Time
from etf_trader.exchange.views import BalanceView, ReportView, TransferView
from etf_trader.money import ZERO, money_context

Event = dict[str, Any]
_OPEN = ("NEW", "PARTIALLY_FILLED")
_NOTHING = BalanceView(ZERO, ZERO)


class AccountNews:
    """What happens to one account from the moment this is made, each thing once and in order."""

    def __init__(self, exchange: PaperExchange, account: str, time: Time = microseconds) -> None:
        """`time` says how times are written.

        Raises:
            ExchangeError: there is no such account.
        """
        self._exchange = exchange
        self._account = account
        self._time = time
        self._last_report = exchange.last_report(account)
        moved = exchange.transfers(account)
        self._last_transfer = moved[-1].sequence if moved else 0
        self._prevented: dict[int, Decimal] = {}

    def events(self) -> list[Event]:
        """Return what happened since this was asked last."""
        reports = self._exchange.reports(self._account, self._last_report)
        transfers = self._exchange.transfers(self._account, self._last_transfer)
        if not reports and not transfers:
            return []
        balances = self._exchange.balances(self._account)
        assets = {report.order.symbol: self._assets(report.order.symbol, balances) for report in reports}
        now = self._exchange.now()
        events = user_events(reports, transfers, balances, assets, now, self._time, self._prevented)
        if reports:
            self._last_report = reports[-1].sequence
        if transfers:
            self._last_transfer = transfers[-1].sequence
        return events

    def _assets(self, symbol: str, balances: Mapping[str, BalanceView]) -> tuple[str, ...]:
        try:
            (row,) = self._exchange.exchange_info([symbol])["symbols"]
        except ExchangeError:
            return tuple(balances)  # not listed any more: any of them may have changed
        return row["baseAsset"], row["quoteAsset"]


def user_events(
    reports: Iterable[ReportView],
    transfers: Iterable[TransferView],
    balances: Mapping[str, BalanceView],
    assets: Mapping[str, Iterable[str]],
    now: datetime,
    time: Time = microseconds,
    prevented: dict[int, Decimal] | None = None,
) -> list[Event]:
    """Return the events of what happened to an account, in its order.

    The reports of one order at one time belong to one request or one look at the
    market; one position follows them. A transfer is a balance update and a position.

    Args:
        reports: What happened to the account's orders, in order.
        transfers: Its deposits and withdrawals, in order.
        balances: What it has now. Positions show it, also where more has happened since.
        assets: Base and quote of each symbol.
        now: The exchange's time.
        time: How times are written.
        prevented: What self-trade prevention had taken from orders so far, by order id; kept up to date.
    """
    so_far = {} if prevented is None else prevented
    with money_context():
        happened: list[tuple[datetime, int, list[Event]]] = []
        for (_, at), group in groupby(reports, key=lambda report: (report.order.order_id, report.order.updated)):
            rows = list(group)
            touched = dict.fromkeys(assets[rows[0].order.symbol])
            touched |= dict.fromkeys(row.trade.commission_asset for row in rows if row.trade is not None)
            events = [_told(row, so_far, now, time) for row in rows]
            happened.append((at, rows[0].sequence, [*events, account_position(balances, touched, at, now, time)]))
        for transfer in transfers:
            position = account_position(balances, [transfer.asset], transfer.at, now, time)
            happened.append((transfer.at, 0, [balance_update(transfer, now, time), position]))
        happened.sort(key=lambda each: each[0])  # stable: equal times keep their order
        return [event for _, _, events in happened for event in events]


def execution_report(report: ReportView, now: datetime, time: Time = microseconds) -> Event:
    """Return one thing that happened to an order as Binance tells it."""
    order, trade = report.order, report.trade
    event: Event = {
        "e": "executionReport",
        "E": time(now),
        "s": order.symbol,
        "c": order.client_order_id,
        "S": order.side,
        "o": order.type,
        "f": order.time_in_force,
        "q": amount(order.quantity),
        "p": amount(order.price),
        "P": amount(order.stop_price or ZERO),
        "F": amount(order.iceberg_quantity or ZERO),
        "g": NO_LIST,
        "C": "",
        "x": report.kind,
        "X": order.status,
        "r": "NONE",
        "i": order.order_id,
        "l": amount(trade.quantity if trade else ZERO),
        "z": amount(order.executed_quantity),
        "L": amount(trade.price if trade else ZERO),
        "n": amount(trade.commission) if trade else "0",
        "N": trade.commission_asset if trade else None,
        "T": time(order.updated),
        "t": trade.trade_id if trade else -1,
        "I": report.sequence,
        "w": order.status in _OPEN and order.working_at is not None,
        "m": trade.is_maker if trade else False,
        "M": trade is not None,
        "O": time(order.at),
        "Z": amount(order.cumulative_quote),
        "Y": amount(trade.quote_quantity if trade else ZERO),
        "Q": amount(order.quote_quantity or ZERO),
    }
    if order.working_at is not None:
        event["W"] = time(order.working_at)
    event["V"] = order.self_trade_prevention
    if report.kind == CANCELED and order.cancel_id is not None:
        event |= {"c": order.cancel_id, "C": order.client_order_id}
    if order.trailing_delta is not None:
        event["d"] = order.trailing_delta
    if order.expiry_reason is not None and report.kind == EXPIRED:
        event["eR"] = order.expiry_reason
    return event


def account_position(
    balances: Mapping[str, BalanceView],
    assets: Iterable[str],
    at: datetime,
    now: datetime,
    time: Time = microseconds,
) -> Event:
    """Return what an account has of `assets`, which may have changed at `at`."""
    held = {asset: balances.get(asset, _NOTHING) for asset in assets}
    return {
        "e": "outboundAccountPosition",
        "E": time(now),
        "u": time(at),
        "B": [{"a": asset, "f": amount(has.free), "l": amount(has.locked)} for asset, has in held.items()],
    }


def balance_update(transfer: TransferView, now: datetime, time: Time = microseconds) -> Event:
    """Return a deposit, or a withdrawal, which is negative."""
    delta = transfer.amount if transfer.kind == DEPOSIT else -transfer.amount
    return {
        "e": "balanceUpdate",
        "E": time(now),
        "a": transfer.asset,
        "d": amount(delta),
        "T": time(transfer.at),
    }


def _told(report: ReportView, so_far: dict[int, Decimal], now: datetime, time: Time) -> Event:
    event = execution_report(report, now, time)
    if report.kind == TRADE_PREVENTION:
        order = report.order
        last = order.prevented_quantity - so_far.get(order.order_id, ZERO)
        so_far[order.order_id] = order.prevented_quantity
        event |= {"A": amount(order.prevented_quantity), "B": amount(last)}
    return event
