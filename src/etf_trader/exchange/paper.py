"""The paper exchange: Binance Spot's semantics on a market of ours, with a database of its own.

Every public call is one transaction: a process killed anywhere leaves balances,
orders and trades as they were before the call or as they are after it.
"""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from decimal import Decimal

from sqlalchemy import ColumnElement, Connection

from etf_trader.exchange import accounts, archive, fees, parameters, tables
from etf_trader.exchange.market import Depth
from etf_trader.exchange.market_data import MarketData
from etf_trader.exchange.matching import Order
from etf_trader.exchange.parameters import Terms
from etf_trader.exchange.refusal import ExchangeError, unsupported
from etf_trader.exchange.reports import last_report, order_view, reports_after
from etf_trader.exchange.turn import Turn
from etf_trader.exchange.views import (
    AverageView,
    BalanceView,
    BookView,
    ExchangeSettings,
    KlineView,
    OrderCount,
    OrderRequest,
    OrderView,
    PublicTradeView,
    ReplaceView,
    ReportView,
    TickerView,
    TradeView,
    TransferView,
    VolumeView,
)
from etf_trader.money import money_context

__all__ = [
    "AverageView",
    "BalanceView",
    "BookView",
    "Depth",
    "ExchangeError",
    "ExchangeSettings",
    "KlineView",
    "OrderCount",
    "OrderRequest",
    "OrderView",
    "PaperExchange",
    "PublicTradeView",
    "ReplaceView",
    "ReportView",
    "TickerView",
    "TradeView",
    "TransferView",
    "VolumeView",
]

STOP_ON_FAILURE, ALLOW_FAILURE = "STOP_ON_FAILURE", "ALLOW_FAILURE"
RESTRICTIONS = {"ONLY_NEW": "NEW", "ONLY_PARTIALLY_FILLED": "PARTIALLY_FILLED"}


class PaperExchange(MarketData):
    """One simulated exchange: its market, its accounts and its clock."""

    # Orders

    def place(self, account: str, request: OrderRequest) -> OrderView:
        """Take a new order and trade it, and return it with its trades and the account's order counts.

        Raises:
            ExchangeError: it is refused, with Binance's code; only -1015 is worth repeating.
        """
        (answer,) = self.place_all([(account, request)])
        if isinstance(answer, ExchangeError):
            raise answer
        return answer

    def place_all(self, orders: Sequence[tuple[str, OrderRequest]]) -> list[OrderView | ExchangeError]:
        """Take new orders one after the other, in one transaction, and return what `place` would of each.

        A refusal is the end of that order alone; fills that fell due before stand.
        """
        answers, commit = self.begin_all(orders)
        commit()
        return answers

    def begin_all(
        self, orders: Sequence[tuple[str, OrderRequest]]
    ) -> tuple[list[OrderView | ExchangeError], Callable[[], None]]:
        """Do what `place_all` does as far as the commit, and return the answers with it.

        Nothing stands, and nobody may be answered, before the returned function was
        called; it waits for the disk, and any thread may call it.
        """
        answers: list[OrderView | ExchangeError] = []
        with ExitStack() as stack:
            turn = stack.enter_context(self._keeping())
            with money_context():
                for account, request in orders:
                    try:
                        self._known(turn, account)
                        answers.append(self._place(turn, account, request))
                    except ExchangeError as refusal:
                        answers.append(refusal)
                turn.save()
            return answers, stack.pop_all().close

    def test(self, account: str, request: OrderRequest) -> None:
        """Check a new order as `place` does before it looks at the book and the account's money; place nothing.

        Raises:
            ExchangeError: it would be refused.
        """
        self._rule(request.symbol)
        with self._reading() as turn:
            self._known(turn, account)
            self._check(turn, account, request)

    def cancel(
        self,
        account: str,
        symbol: str,
        *,
        order_id: int | None = None,
        client_order_id: str | None = None,
        new_cancel_id: str | None = None,
        restriction: str | None = None,
    ) -> OrderView:
        """Cancel an open order, and return it as it ended; fills that fell due before stay.

        Args:
            account: Whose.
            symbol: The order's.
            order_id: Its id; this or the next must be given.
            client_order_id: Its name.
            new_cancel_id: What the cancellation is called; a name is made up when None.
            restriction: ONLY_NEW or ONLY_PARTIALLY_FILLED: cancel it only as long as that is its status.

        Raises:
            ExchangeError: -2011, there is no such open order: it may have filled; or it has another status.
        """
        self._rule(symbol)
        _check_name(order_id, client_order_id)
        return self._change(
            account,
            symbol,
            lambda turn: self._cancel(
                turn, account, symbol, order_id, client_order_id, new_cancel_id, restriction
            ),
        )

    def cancel_all(self, account: str, symbol: str) -> tuple[OrderView, ...]:
        """Cancel every open order of `account` in `symbol`, and return them as they ended, oldest first.

        Raises:
            ExchangeError: -2011, there is none.
        """
        self._rule(symbol)

        def decide(turn: Turn) -> tuple[OrderView, ...]:
            standing = sorted(order.order_id for order in turn.trading(symbol).open_orders(account))
            if not standing:
                raise ExchangeError(-2011, "Unknown order sent.")
            return tuple(self._cancel(turn, account, symbol, order_id, None, None, None) for order_id in standing)

        return self._change(account, symbol, decide)

    def cancel_replace(
        self,
        account: str,
        request: OrderRequest,
        mode: str,
        *,
        order_id: int | None = None,
        client_order_id: str | None = None,
        new_cancel_id: str | None = None,
        restriction: str | None = None,
    ) -> ReplaceView:
        """Cancel an order and place another in one go, and return what came of both.

        The new order's filters and count are looked at before anything happens. Then
        the first is cancelled; where that fails, STOP_ON_FAILURE leaves it at that,
        which counts as an order all the same, and ALLOW_FAILURE goes on.

        Args:
            account: Whose.
            request: The new order, in the symbol of the old.
            mode: STOP_ON_FAILURE or ALLOW_FAILURE.
            order_id: The order to cancel; this or the next must be given.
            client_order_id: Its name.
            new_cancel_id: What the cancellation is called; a name is made up when None.
            restriction: As in `cancel`.

        Raises:
            ExchangeError: the new order cannot be, or comes too soon; nothing happened.
        """
        rule = self._rule(request.symbol)
        _check_name(order_id, client_order_id)
        if mode not in (STOP_ON_FAILURE, ALLOW_FAILURE):
            raise ExchangeError(-1145, "Invalid cancelReplaceMode.")

        def decide(turn: Turn) -> ReplaceView:
            if not rule.allows.get("cancelReplaceAllowed", True):
                raise unsupported("Order cancel-replace is not supported for this symbol.")
            terms = self._check(turn, account, request)
            turn.counts.check_room(account)
            cancelled: OrderView | ExchangeError
            try:
                cancelled = self._cancel(
                    turn, account, request.symbol, order_id, client_order_id, new_cancel_id, restriction
                )
            except ExchangeError as refusal:
                cancelled = refusal
                if mode == STOP_ON_FAILURE:
                    turn.counts.add(account)
                    return ReplaceView(cancelled, None)
            try:
                return ReplaceView(cancelled, self._placed(turn, account, request, terms))
            except ExchangeError as refusal:
                return ReplaceView(cancelled, refusal)

        return self._change(account, request.symbol, decide)

    def order(
        self, account: str, symbol: str, *, order_id: int | None = None, client_order_id: str | None = None
    ) -> OrderView:
        """Return an order; of several with one client order id the last.

        Raises:
            ExchangeError: -2013, there is none.
        """
        self._rule(symbol)
        _check_name(order_id, client_order_id)

        def answer(connection: Connection) -> OrderView:
            found = archive.find(connection, account, symbol, order_id, client_order_id)
            if found is None:
                raise ExchangeError(-2013, "Order does not exist.")
            return self._shown(order_view(found, archive.trades_of(connection, found.order_id)))

        return self._look(account, symbol, answer)

    def open_orders(self, account: str, symbol: str | None = None) -> tuple[OrderView, ...]:
        """Return the open orders of `account`, oldest first."""
        return self._orders(account, symbol, tables.orders.c.is_open.is_(True))

    def orders(self, account: str, symbol: str | None = None, from_order_id: int = 0) -> tuple[OrderView, ...]:
        """Return all orders of `account` from `from_order_id` on, oldest first."""
        return self._orders(account, symbol, tables.orders.c.order_id >= from_order_id)

    def trades(
        self, account: str, symbol: str | None = None, *, order_id: int | None = None, from_id: int = 0
    ) -> tuple[TradeView, ...]:
        """Return the trades of `account`, in the order they happened.

        Args:
            account: Whose.
            symbol: Only of this symbol; of all when None.
            order_id: Only of this order.
            from_id: Only trade ids from here on; they ascend within a symbol.

        Raises:
            ExchangeError: -1121, there is no such symbol.
        """
        if symbol is not None:
            self._rule(symbol)

        def answer(turn: Turn) -> tuple[TradeView, ...]:
            column = tables.trade.c
            conditions = [column.account == account]
            if symbol is not None:
                conditions.append(column.symbol == symbol)
            if order_id is not None:
                conditions.append(column.order_id == order_id)
            if not self._tape_ids:
                conditions.append(column.trade_id >= from_id)
            elif symbol is not None and from_id > 0:
                conditions.append(column.trade_id >= self._tape(turn, symbol).first_trade(from_id))
            found = map(self._numbered, archive.trades(turn.connection, *conditions))
            return tuple(trade for trade in found if trade.trade_id >= from_id)

        return self._look_at(symbol, answer, account)

    def order_counts(self, account: str) -> tuple[OrderCount, ...]:
        """Return how many unfilled orders `account` has in the current window of each limit."""
        with self._reading() as turn:
            self._known(turn, account)
            return turn.counts.views(account)

    # What happened

    def last_report(self, account: str) -> int:
        """Return the sequence of the last thing that happened to an order of `account`; 0 for nothing yet."""
        with self._reading() as turn:
            self._known(turn, account)
            return last_report(turn.connection, account)

    def reports(self, account: str, after: int = 0, *, settled: bool = False) -> tuple[ReportView, ...]:
        """Return what happened to the orders of `account` since the report numbered `after`, in order.

        With `settled` it only reads what was written, which is all there is right
        after a request that has booked what fell due.
        """
        if settled:
            with self._reading() as turn:
                return tuple(map(self._reported, reports_after(turn.connection, account, after)))
        return self._look(
            account, None, lambda connection: tuple(map(self._reported, reports_after(connection, account, after)))
        )

    # Money

    def open_account(self, name: str) -> bool:
        """Open the account `name`, and return whether it was not open already.

        Raises:
            UsageError: an account cannot be called that.
        """
        with self._writing() as turn:
            is_new = not turn.is_account(name)
            accounts.open_account(turn.connection, name, turn.now)
            return is_new

    def balances(self, account: str) -> dict[str, BalanceView]:
        """Return what `account` has, by asset, without the assets it has nothing of."""
        return self._look(account, None, lambda connection: accounts.balances_of(connection, account))

    def deposit(self, account: str, asset: str, amount: Decimal, transfer_id: str) -> TransferView:
        """Credit `amount` of `asset`, once for each `transfer_id`.

        Raises:
            UsageError: the amount, asset or id cannot be, or the id stands for another transfer.
            NotFound: there is no such account.
        """
        return self._move(account, accounts.DEPOSIT, asset, amount, transfer_id)

    def withdraw(self, account: str, asset: str, amount: Decimal, transfer_id: str) -> TransferView:
        """Debit `amount` of the free `asset`, once for each `transfer_id`.

        Raises:
            UsageError: there is not enough free, or as for a deposit.
            NotFound: there is no such account.
        """
        return self._move(account, accounts.WITHDRAWAL, asset, amount, transfer_id)

    def transfers(self, account: str, after: int = 0) -> tuple[TransferView, ...]:
        """Return the deposits and withdrawals of `account` with a sequence above `after`, in order."""
        with self._reading() as turn:
            self._known(turn, account)
            return tuple(accounts.transfers(turn.connection, account, after))

    def bnb_burn(self, account: str) -> bool:
        """Return whether `account` pays its fees in BNB, at three quarters, where it has enough of it."""
        with self._reading() as turn:
            self._known(turn, account)
            return fees.burns_bnb(turn.connection, account)

    def set_bnb_burn(self, account: str, on: bool) -> None:
        """Let `account` pay its fees in BNB from now on, or in what it receives, as at first."""
        with self._writing() as turn:
            self._known(turn, account)
            turn.settle(turn.symbols_with_open_orders())
            turn.save()
            fees.set_bnb_burn(turn.connection, account, on=on)

    # Inside

    def _place(self, turn: Turn, account: str, request: OrderRequest) -> OrderView:
        self._rule(request.symbol)
        turn.settle([request.symbol])
        terms = self._check(turn, account, request)
        turn.counts.check_room(account)
        return self._placed(turn, account, request, terms)

    def _check(self, turn: Turn, account: str, request: OrderRequest) -> Terms:
        parameters.check_time(request, turn.now)
        terms = parameters.check_parameters(request)
        turn.check(account, request, terms)
        return terms

    def _placed(self, turn: Turn, account: str, request: OrderRequest, terms: Terms) -> OrderView:
        order = turn.place(account, request, terms)
        return self._shown(order_view(order, turn.trade_views(order), turn.counts.views(account)))

    def _cancel(
        self,
        turn: Turn,
        account: str,
        symbol: str,
        order_id: int | None,
        client_order_id: str | None,
        cancel_id: str | None,
        restriction: str | None,
    ) -> OrderView:
        found = archive.find(turn.connection, account, symbol, order_id, client_order_id, only_open=True)
        if found is None or not (standing := turn.trading(symbol).resting[found.order_id]).is_open:
            raise ExchangeError(-2011, "Unknown order sent.")
        if restriction is not None and standing.status != RESTRICTIONS.get(restriction):
            raise ExchangeError(-2011, "Order was not canceled due to cancel restrictions.")
        order = turn.cancel(symbol, found.order_id, cancel_id or self._made_up(found))
        assert order is not None
        before = archive.trades_of(turn.connection, order.order_id)
        return self._shown(order_view(order, (*before, *turn.trade_views(order))))

    def _made_up(self, order: Order) -> str:
        """Return the name of a cancellation that nobody named: the same each time."""
        return hashlib.sha256(f"{self.era}:{order.order_id}".encode()).hexdigest()[:22]

    def _move(self, account: str, kind: str, asset: str, amount: Decimal, transfer_id: str) -> TransferView:
        with self._writing() as turn:
            turn.settle(turn.symbols_with_open_orders())
            turn.save()
            return accounts.move(
                turn.connection, account, kind, asset, amount, transfer_id, turn.now, assets=self._assets
            )

    def _orders(self, account: str, symbol: str | None, *conditions: ColumnElement[bool]) -> tuple[OrderView, ...]:
        column = tables.orders.c
        wanted = [column.account == account, *conditions]
        if symbol is not None:
            self._rule(symbol)
            wanted.append(column.symbol == symbol)

        return self._look(
            account, symbol, lambda connection: tuple(map(self._shown, archive.orders(connection, *wanted)))
        )


def _check_name(order_id: int | None, client_order_id: str | None) -> None:
    if order_id is None and client_order_id is None:
        raise ExchangeError(
            -1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
        )
