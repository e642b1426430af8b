"""`etf worker`: works the open orders, once or for as long as it runs."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from etf_trader.cli.commands import HOW, command, single
from etf_trader.cli.invocation import output
from etf_trader.cli.options import NoWaitOption, OnInterruptOption
from etf_trader.cli.output import Page
from etf_trader.cli.services import in_loop, services
from etf_trader.errors import DatabaseFailure

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from etf_trader.bootstrap import Services
    from etf_trader.cli.orders import OrderFacts
    from etf_trader.errors import EtfError
    from etf_trader.orders.index_order import IndexOrder

app = single()


@command(app, examples=("etf worker", "etf worker --once    one round, for cron"))
def worker(
    once: Annotated[
        bool, typer.Option("--once", help="Work what is open once, then leave.", rich_help_panel=HOW)
    ] = False,
    on_interrupt: OnInterruptOption = "keep",
    no_wait: NoWaitOption = False,
) -> None:
    """Work the open orders at their limits, until Ctrl-C; with --once, one round."""

    with services() as opened:
        if once:
            _once(opened, on_interrupt, wait=not no_wait)
        else:
            if no_wait:
                _require_free(opened)
            _forever(opened, on_interrupt)


def _require_free(opened: Services) -> None:
    """Refuse to stand by for another process.

    Raises:
        AccountLed: another process leads the account.
    """
    from etf_trader.errors import AccountLed

    if not opened.manager.is_free():
        raise AccountLed("another process leads this account", hint="without --no-wait a worker stands by for it")


def _once(opened: Services, on_interrupt: str, *, wait: bool) -> None:
    from etf_trader.cli.orders import exit_code_of, order_facts
    from etf_trader.cli.rebalances import exit_code_of as code_of_rebalance
    from etf_trader.cli.rebalances import line, order_document
    from etf_trader.cli.trading import state_sentence, stopped
    from etf_trader.cli.working import cancel_orders, work
    from etf_trader.orders.store import index_order
    from etf_trader.reports.rebalance import rebalance_report

    moving = _moving(opened)
    wanted = [order.id for order in _open_orders(opened)]
    numbers = moving + wanted
    code = work(opened, numbers, "Working the open orders", wait=wait).exit_code
    if code is not None and on_interrupt == "cancel":
        cancel_orders(opened, numbers, wait=True)
    frozen = _frozen(opened)
    with opened.database.read() as connection:
        worked = [order_facts(connection, index_order(connection, number)) for number in wanted]
        moved = [rebalance_report(connection, number) for number in moving]
        state, halts = stopped(opened, connection)

    def draw(page: Page) -> None:
        if not worked and not moved:
            page.line("Nothing to do: no order is open.")
        for report in moved:
            page.line(line(report))
        for facts in worked:
            page.line(sentence(facts))
        for said in frozen:
            page.line(said)
        if halts:
            page.line(state_sentence(state, halts))

    documents = [*map(order_document, moved), *(facts.document() for facts in worked)]
    output().emit("etf.work/1", {"state": str(state), "orders": documents}, draw)
    codes = [*(exit_code_of(facts.order) for facts in worked), *map(code_of_rebalance, moved)]
    worst = max(codes, default=0)
    if code is not None or worst:
        raise typer.Exit(worst if code is None else code)


def _frozen(opened: Services) -> list[str]:
    """Return what of the open indices cannot be traded now; nothing when the venue does not answer."""
    from etf_trader.cli.caveats import frozen_by_index
    from etf_trader.errors import EtfError

    with suppress(EtfError):
        return [said for sentences in frozen_by_index(opened).values() for said in sentences]
    return []


def _forever(opened: Services, on_interrupt: str) -> None:
    """Lead every account of the database that nobody else leads, and tell what changes."""
    from etf_trader.bootstrap import open_all
    from etf_trader.cli.working import interruptible
    from etf_trader.execution.serving import serve

    opened.require_switched_on()
    accounts = open_all(opened.settings)
    news = {each.account.id: News(each, is_alone=len(accounts) == 1) for each in accounts}
    output().note("Working the open orders of every account. Ctrl-C ends it.")
    for teller in news.values():
        teller.tell_state()
    with interruptible() as asked:
        managers = [each.manager for each in accounts]
        in_loop(serve(managers, asked, lambda manager, error: news[manager.account_id].tell(error)))
        code = asked.exit_code
    if on_interrupt == "cancel":
        for each in accounts:
            _cancel_all(each)
    left = sum(len(_open_orders(each)) + len(_moving(each)) for each in accounts)
    output().note(f"Stopped. {left or 'No'} order{'' if left == 1 else 's'} still open.")
    raise typer.Exit(code or 0)


def _cancel_all(opened: Services) -> None:
    """Cancel what is still open, and say what came of it."""
    from etf_trader.cli.orders import order_facts
    from etf_trader.cli.rebalances import line, read_report
    from etf_trader.cli.working import cancel_orders
    from etf_trader.orders.store import index_order

    moving = _moving(opened)
    numbers = [order.id for order in _open_orders(opened)]
    if not moving and not numbers:
        return
    cancel_orders(opened, moving + numbers, wait=True)
    for number in moving:
        output().say(line(read_report(opened, number)))
    with opened.database.read() as connection:
        for facts in [order_facts(connection, index_order(connection, each)) for each in numbers]:
            output().say(sentence(facts))


class News:
    """Tells what changes in the orders of one account, and what keeps them from being worked."""

    def __init__(self, opened: Services, *, is_alone: bool) -> None:
        self._opened = opened
        self._who = "The account" if is_alone else f"Account {opened.account.name}"
        self._state = ""
        self._told: dict[int, str] = {}
        self._open: set[int] = set()
        self._waiting = ""
        self._markets: frozenset[tuple[str, bool]] = frozenset()
        self._frozen: dict[int, list[str]] = {}

    def tell(self, error: EtfError | None) -> None:
        """Print what is news after a round that met `error`, or nothing."""
        waiting = "" if error is None else f"Waiting: {error.message}."
        if waiting != self._waiting and waiting:
            output().note(waiting)
        self._waiting = waiting
        with suppress(DatabaseFailure):  # it was told, or will be after the next round
            self.tell_state()
            self._tell_orders()
            self._tell_frozen()

    def tell_state(self) -> None:
        """Say once that the account is stopped, and once that it is not any more."""
        from etf_trader.cli.trading import state_sentence, stopped

        with self._opened.database.read() as connection:
            said = state_sentence(*stopped(self._opened, connection), self._who)
        if said != self._state:
            output().note(said or f"{self._who} trades again.")
        self._state = said

    def _tell_frozen(self) -> None:
        """Say once of each index what of it cannot be traded, and once that it can again."""
        from etf_trader.execution.frozen import frozen_of
        from etf_trader.index.store import current_basket, list_indices

        rules = self._opened.manager.rules
        markets = frozenset((rule.symbol, rule.is_trading) for rule in rules.values())
        if markets == self._markets:
            return
        self._markets = markets
        with self._opened.database.read() as connection:
            known = [each for each in list_indices(connection, self._opened.account.id) if each.is_open]
            baskets = {each.id: current_basket(connection, each.id) for each in known}
        for index in known:
            said = [each.sentence for each in frozen_of(baskets[index.id], rules)]
            if said != self._frozen.get(index.id, []):
                output().note(
                    f"Frozen in {index.symbol}: {'; '.join(said)}. etf index show {index.id} says what that means."
                    if said
                    else f"All of {index.symbol} trades again."
                )
            self._frozen[index.id] = said

    def _tell_orders(self) -> None:
        now_open = {order.id for order in _open_orders(self._opened)} | set(_moving(self._opened))
        with self._opened.database.read() as connection:
            for number in sorted(self._open | now_open):
                said = _said(connection, number)
                if self._told.get(number) != said:
                    output().say(said)
                self._told[number] = said
        self._open = now_open


def _said(connection: Connection, number: int) -> str:
    """Return how far an order, or a rebalance, is."""
    from etf_trader.cli.orders import order_facts
    from etf_trader.cli.rebalances import line
    from etf_trader.orders.rebalances import is_rebalance
    from etf_trader.orders.store import index_order
    from etf_trader.reports.rebalance import rebalance_report

    if is_rebalance(connection, number):
        return line(rebalance_report(connection, number))
    return sentence(order_facts(connection, index_order(connection, number)))


def _moving(opened: Services) -> list[int]:
    from etf_trader.cli.rebalances import open_rebalances

    with opened.database.read() as connection:
        return open_rebalances(connection, opened.account.id)


def sentence(facts: OrderFacts) -> str:
    """Return how far an order is, in one line."""
    from etf_trader.cli.orders import result, stops_of
    from etf_trader.cli.stops import in_short

    order = facts.order
    why = in_short(stops_of(order), order.limit_price, order.max_loss_bps)
    said = result(facts).rstrip(".")
    if order.status == "open":
        return f"{said}, still open{': ' + why if why else ''}."
    return f"{said}{', ended: ' + why if why else ''}."


def _open_orders(opened: Services) -> list[IndexOrder]:
    from etf_trader.orders.status import IndexOrderStatus
    from etf_trader.orders.store import list_index_orders

    with opened.database.read() as connection:
        return list_index_orders(connection, account_id=opened.account.id, statuses=[IndexOrderStatus.OPEN])
