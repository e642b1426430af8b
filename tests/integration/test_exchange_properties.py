"""What must hold after any history of an exchange, and after a process is killed in the middle of one."""

import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from tests.effort import examples

from etf_trader.database import Database
from etf_trader.errors import UsageError
from etf_trader.exchange import tables
from etf_trader.exchange.matching import CONDITIONAL, PREVENTION_MODES
from etf_trader.exchange.paper import (
    ExchangeError,
    ExchangeSettings,
    OrderRequest,
    OrderView,
    PaperExchange,
    ReportView,
)
from etf_trader.exchange.parameters import ORDER_TYPES
from etf_trader.exchange.rules import SymbolRules, credit_delay
from etf_trader.exchange.static import StaticMarket, symbol_row
from etf_trader.money import ZERO, floor_to, money_context

D = Decimal
SETTINGS = ExchangeSettings("stepped", "static", {})
ACCOUNTS = ("one", "two")
ASSETS = ("BTC", "ETH", "USDT", "BNB")
PAIRS = {"BTCUSDT": 100, "ETHUSDT": 50, "ETHBTC": 2, "BNBUSDT": 7}
OLD_PAIRS = ("BTCUSDT", "ETHBTC", "ETHUSDT")


RANGE = {
    "ruleType": "PRICE_RANGE",
    "bidMultiplierUp": "1.005",
    "bidMultiplierDown": "0.5",
    "askMultiplierUp": "2",
    "askMultiplierDown": "0.995",
}


class RestlessMarket(StaticMarket):
    """Books that jump with time, and give back half of what was taken once time has passed."""

    def book(self, symbol: str, at: Any) -> Any:
        second = int((at - self.start).total_seconds())
        middle = PAIRS[symbol] * 100 + (second * 7 + second * second * 3) % 23 - 11
        self.set_book(
            symbol,
            [(str(D(middle - step) / 100), str(1 + (step + second) % 4)) for step in range(1, 9)],
            [(str(D(middle + step) / 100), str(1 + (step * 3 + second) % 4)) for step in range(1, 9)],
        )
        return super().book(symbol, at)

    def still_consumed(
        self, symbol: str, side: str, price: Decimal, quantity: Decimal, since: Any, at: Any
    ) -> Decimal:
        return quantity if since == at else quantity / 2 if quantity > D("0.1") else ZERO


def make_market() -> RestlessMarket:
    rows = [
        symbol_row("BTCUSDT", "BTC", "USDT", precision="6"),
        symbol_row("ETHUSDT", "ETH", "USDT", max_orders="4"),
        symbol_row("ETHBTC", "ETH", "BTC", min_notional="0.1", up="1.05", down="0.95"),
        symbol_row("BNBUSDT", "BNB", "USDT", min_notional="1") | {"executionRules": [RANGE]},
    ]
    return RestlessMarket(rows, {}, maker=D("0.0003"), taker=D("0.00075"))


def make_exchange(database: Database) -> PaperExchange:
    exchange = PaperExchange.create(database, SETTINGS, make_market(), account="one")
    exchange.open_account("two")
    for account in ACCOUNTS:
        for asset, amount in (("BTC", "20"), ("ETH", "30"), ("USDT", "2500"), ("BNB", "0.05")):
            exchange.deposit(account, asset, D(amount), f"start-{asset}")
    return exchange


def audit(exchange: PaperExchange, database: Database) -> None:
    """Check every promise of the exchange on what its database holds."""
    rules = {row["symbol"]: SymbolRules.from_row(row) for row in make_market().symbols()}
    with money_context(), database.read() as connection:
        balances = connection.execute(select(tables.balance)).all()
        transfers = connection.execute(select(tables.transfer)).all()
        orders = connection.execute(select(tables.orders).order_by(tables.orders.c.order_id)).all()
        trades = connection.execute(select(tables.trade).order_by(tables.trade.c.sequence)).all()

        for asset in ASSETS:
            moved = sum(
                (row.amount if row.kind == "deposit" else -row.amount for row in transfers if row.asset == asset),
                ZERO,
            )
            held = sum((row.free + row.locked for row in balances if row.asset == asset), ZERO)
            assert held == moved, f"{asset} was created or destroyed"
            fees = sum((row.commission for row in trades if row.commission_asset == asset), ZERO)
            kept = sum((row.free for row in balances if (row.account, row.asset) == ("fees", asset)), ZERO)
            assert kept == fees

        for account in ACCOUNTS:
            locked: dict[str, Decimal] = dict.fromkeys(ASSETS, ZERO)
            for row in orders:
                if row.account == account and row.is_open:
                    rule, left = rules[row.symbol], row.quantity - row.executed - row.prevented
                    each = row.price if row.reserve is None else row.reserve
                    locked[rule.quote if row.side == "BUY" else rule.base] += (
                        each * left if row.side == "BUY" else left
                    )
            for row in balances:
                if row.account == account:
                    assert row.locked == locked[row.asset], "locks differ from open orders"
                    assert row.free >= 0
        assert not any(row.locked for row in balances if row.account not in ACCOUNTS)

        made: dict[int, list[Any]] = {}
        for row in trades:
            made.setdefault(row.order_id, []).append(row)
        names = set()
        for row in orders:
            own = made.get(row.order_id, [])
            assert row.executed == sum((each.quantity for each in own), ZERO) <= row.quantity
            assert row.cumulative_quote == sum((each.quote_quantity for each in own), ZERO)
            assert row.is_open == (row.status in ("NEW", "PARTIALLY_FILLED"))
            assert row.executed + row.prevented <= row.quantity
            assert (row.status == "FILLED") <= (row.executed + row.prevented == row.quantity)
            assert (row.executed == row.quantity) <= (row.status == "FILLED")
            assert (row.status == "EXPIRED_IN_MATCH") <= (0 < row.prevented == row.quantity - row.executed)
            assert (row.status == "NEW") <= (row.executed == 0)
            is_waiting = row.type in CONDITIONAL and row.triggered_at is None
            if row.time_in_force == "FOK" and not is_waiting:
                assert (row.status, row.executed) in (("FILLED", row.quantity), ("EXPIRED", ZERO))
            if row.type == "LIMIT_MAKER":
                assert all(each.is_maker for each in own), "a post-only order took"
            is_free = row.type in ("MARKET", "STOP_LOSS", "TAKE_PROFIT")
            assert row.price % D("0.01") == 0
            assert (row.price == 0) == is_free
            assert row.quantity % D("0.01") == 0
            assert is_free or row.price * row.quantity >= rules[row.symbol].min_notional
            assert is_waiting or not (is_free and row.is_open)
            assert not (is_waiting and own)
            for each in own:
                assert is_free or (each.price <= row.price if row.side == "BUY" else each.price >= row.price)
                assert each.quote_quantity == each.price * each.quantity
                assert each.price == row.price or not each.is_maker
            if row.quote_quantity is not None and row.status == "FILLED":
                assert row.cumulative_quote <= row.quote_quantity
            if row.iceberg_quantity is not None and row.is_open:
                assert 0 < min(row.shown, row.quantity - row.executed - row.prevented) <= row.iceberg_quantity
            if row.is_open:
                assert (row.account, row.client_order_id) not in names
                names.add((row.account, row.client_order_id))
        sides: dict[tuple[str, int], list[Any]] = {}
        for row in trades:
            sides.setdefault((row.symbol, row.trade_id), []).append(row)
        for both in sides.values():
            assert len({each.account for each in both}) == len(both) <= 2, "an account traded with itself"
            assert len({(each.price, each.quantity) for each in both}) == 1
            assert len(both) == 1 or [each.is_maker for each in both].count(True) == 1
        for symbol in PAIRS:
            ids = [row.trade_id for row in trades if row.symbol == symbol]
            assert ids == sorted(ids)
            assert sorted(set(ids)) == list(range(1, len(set(ids)) + 1))
    audit_reports(exchange)
    for book in exchange.depths(PAIRS).values():
        bids, asks = book.bids, book.asks
        assert not bids or not asks or bids[0].price < asks[0].price
        assert [level.price for level in bids] == sorted({level.price for level in bids}, reverse=True)
        assert [level.price for level in asks] == sorted({level.price for level in asks})
        assert all(level.quantity > 0 for level in (*bids, *asks))


def audit_reports(exchange: PaperExchange) -> None:
    """Check that what was told of each order is its whole life, and leads to where it stands."""
    for account in ACCOUNTS:
        told: dict[int, list[ReportView]] = {}
        for each in exchange.reports(account):
            told.setdefault(each.order.order_id, []).append(each)
        for order in exchange.orders(account):
            life = told.pop(order.order_id)
            stops = order.type in CONDITIONAL and order.working_at is not None
            assert [each.kind for each in life].count("NEW") == 1 + stops
            assert (life[0].kind, life[0].order.status, life[0].order.executed_quantity) == ("NEW", "NEW", ZERO)
            assert [each.trade for each in life if each.kind == "TRADE"] == list(order.trades)
            assert replace(life[-1].order, trades=order.trades) == order
            executed = ZERO
            for each in life:
                executed += each.trade.quantity if each.trade is not None else ZERO
                assert each.order.executed_quantity == executed
                assert (each is life[-1]) or each.order.status in ("NEW", "PARTIALLY_FILLED")
        assert not told


def act(exchange: PaperExchange, step: Mapping[str, Any], name: str) -> None:
    """Do one thing; refusals are fine, they must only leave the books in order."""
    account = step["account"]
    try:
        if step["what"] == "place":
            exchange.place(
                account,
                replace(
                    OrderRequest(
                        symbol=step["symbol"],
                        side=step["side"],
                        type="LIMIT_MAKER" if step["time_in_force"] is None else "LIMIT",
                        time_in_force=step["time_in_force"],
                        self_trade_prevention=step["mode"],
                        quantity=step["quantity"],
                        price=PAIRS[step["symbol"]] + step["away"],
                        client_order_id=name,
                        timestamp=exchange.now(),
                    ),
                    **of_kind(step),
                ),
            )
        elif step["what"] == "replace":
            standing = exchange.open_orders(account, step["symbol"])
            chosen = standing[step["which"] % len(standing)] if standing else None
            request = OrderRequest(
                step["symbol"],
                step["side"],
                "LIMIT",
                "GTC",
                step["quantity"],
                PAIRS[step["symbol"]] + step["away"],
                name if chosen is None else chosen.client_order_id,
                exchange.now(),
            )
            mode = ("STOP_ON_FAILURE", "ALLOW_FAILURE")[step["which"] % 2]
            exchange.cancel_replace(account, request, mode, order_id=chosen.order_id if chosen else 10_000)
        elif step["what"] == "cancel all":
            exchange.cancel_all(account, step["symbol"])
        elif step["what"] == "burn":
            exchange.set_bnb_burn(account, step["which"] > 1)
        elif step["what"] == "status":
            exchange.set_status(step["symbol"], (None, None, "HALT", "CANCEL_ONLY", None, "BREAK")[step["which"]])
        elif step["what"] == "cancel":
            standing = exchange.open_orders(account)
            if standing:
                chosen = standing[step["which"] % len(standing)]
                exchange.cancel(account, chosen.symbol, order_id=chosen.order_id)
        elif step["what"] == "advance":
            exchange.advance(step["which"])
        elif step["what"] == "withdraw":
            exchange.withdraw(account, "USDT", step["quantity"], name)
        else:
            exchange.balances(account)
    except (ExchangeError, UsageError):
        pass


def of_kind(step: Mapping[str, Any]) -> dict[str, Any]:
    """Return what makes an order of another kind out of a limit order; nothing for the kinds of old."""
    kind, price = step.get("kind"), PAIRS[step["symbol"]] + step["away"]
    if kind is None:
        return {}
    if kind == "ICEBERG":
        part = {"iceberg_quantity": floor_to(step["quantity"] * D("0.4"), D("0.01"))}
        return part if step["time_in_force"] in ("GTC", None) else part | {"time_in_force": "GTC"}
    if kind in ("MARKET", "QUOTE"):
        free = {"type": "MARKET", "price": None, "time_in_force": None}
        if kind == "QUOTE":
            return free | {"quantity": None, "quote_quantity": 20 * step["quantity"]}
        return free | {"quantity": step["quantity"] * (6 if step["which"] == 1 else 1)}
    trails = step["which"] == 0
    stop = {"type": kind, "stop_price": None if trails else price, "trailing_delta": 5 if trails else None}
    if kind in ("STOP_LOSS", "TAKE_PROFIT"):
        return stop | {"price": None, "time_in_force": None}
    return stop | {"time_in_force": step["time_in_force"] or "GTC"}


actions = st.fixed_dictionaries(
    {
        "what": st.sampled_from(["place"] * 6 + ["cancel", "advance", "advance", "withdraw", "look"]),
        "account": st.sampled_from(ACCOUNTS),
        "symbol": st.sampled_from(OLD_PAIRS),
        "side": st.sampled_from(["BUY", "SELL"]),
        "time_in_force": st.sampled_from(["GTC", "GTC", "IOC", "FOK", None]),
        "mode": st.sampled_from([None, *PREVENTION_MODES]),
        "quantity": st.integers(1, 900).map(lambda n: D(n) / 100) | st.decimals(0, 9, places=3),
        "away": st.integers(-20, 20).map(lambda n: D(n) / 100),
        "which": st.integers(0, 5),
    }
)


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(actions, max_size=25))
def test_any_history_leaves_the_books_in_order(history: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/exchange.db")
        exchange = make_exchange(database)
        for number, step in enumerate(history):
            act(exchange, step, f"step-{number}")
        audit(exchange, database)
        database.close()


KINDS = (None, "ICEBERG", "MARKET", "QUOTE", *CONDITIONAL)
WIDER = ["place"] * 8 + [
    "cancel",
    "advance",
    "advance",
    "replace",
    "cancel all",
    "burn",
    "status",
    "look",
    "withdraw",
]
wider = st.tuples(actions, st.sampled_from(WIDER), st.sampled_from(KINDS), st.sampled_from(sorted(PAIRS))).map(
    lambda four: four[0] | {"what": four[1], "kind": four[2], "symbol": four[3]}
)


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(wider, max_size=25))
def test_any_history_of_every_kind_of_order_leaves_the_books_in_order(history: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/exchange.db")
        exchange = make_exchange(database)
        for number, step in enumerate(history):
            act(exchange, step, f"step-{number}")
        audit(exchange, database)
        database.close()


@pytest.mark.parametrize("seed", range(2))
def test_a_long_history_of_every_kind_of_order_meets_everything(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    database = Database(f"sqlite:///{tmp_path / 'exchange.db'}")
    exchange = make_exchange(database)
    for number in range(500):
        step = some_step(chance) | {"symbol": chance.choice(sorted(PAIRS)), "kind": chance.choice(KINDS)}
        if number % 25 == 0:
            step["what"] = chance.choice(["replace", "cancel all", "burn", "status"])
        act(exchange, step, f"wide-{number}")
        if number % 100 == 99:
            audit(exchange, database)
    orders = [order for account in ACCOUNTS for order in exchange.orders(account)]
    assert {order.type for order in orders} == set(ORDER_TYPES)
    assert {"INSUFFICIENT_LIQUIDITY", "EXECUTION_RULE_PRICE_RANGE_EXCEEDED"} <= {
        order.expiry_reason for order in orders
    }
    for kind in CONDITIONAL:
        assert any(order.type == kind and order.trades for order in orders), kind
        assert any(order.trailing_delta is not None and order.trades for order in orders), kind
    assert any(len(each.trades) > 1 and each.iceberg_quantity for each in orders)
    assert any(each.quote_quantity and each.trades for each in orders)
    assert {"BNB", "USDT"} <= {trade.commission_asset for order in orders for trade in order.trades}
    database.close()


@settings(max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(actions, max_size=15))
def test_the_same_history_gives_the_same_exchange(history: list[dict[str, Any]]) -> None:
    seen = []
    for _ in range(2):
        with tempfile.TemporaryDirectory() as folder:
            database = Database(f"sqlite:///{folder}/exchange.db")
            exchange = make_exchange(database)
            for number, step in enumerate(history):
                act(exchange, step, f"step-{number}")
            seen.append(
                [
                    (_without_names(exchange.orders(name)), exchange.trades(name), exchange.balances(name))
                    for name in ACCOUNTS
                ]
                + [exchange.depths(PAIRS)]
            )
            database.close()
    assert seen[0] == seen[1]


def _without_names(orders: Sequence[OrderView]) -> list[OrderView]:
    """Return the orders without the names of their cancels, which are the venue's own, and random."""
    return [replace(order, cancel_id=None) for order in orders]


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from([0, 1, 50, 300, 700, 3_000, 9_500])), max_size=14),
    st.sampled_from([0, 1, 800, 5_000]),
    st.integers(0, 9_999),
)
def test_counts_that_come_back_late_are_those_of_one_book_of_events(
    steps: list[tuple[bool, int]], most: int, start: int
) -> None:
    """Each step places an order, which fills or not, and lets so many milliseconds pass; by hand beside it."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/exchange.db")
        market = StaticMarket([symbol_row("BTCUSDT", "BTC", "USDT")], {"BTCUSDT": ((), [("100", "1000")])})
        asked = replace(SETTINGS, credit_delay=most, start=market.start + timedelta(milliseconds=start))
        exchange = PaperExchange.create(database, asked, market, account="one")
        exchange.deposit("one", "USDT", D(10_000), "start")
        now, coming = start, []
        held = {10_000: 0, 86_400_000: 0}  # by the length of the window in ms
        for number, (fills, pause) in enumerate(steps, start=1):
            order = OrderRequest(
                "BTCUSDT", "BUY", "LIMIT", "IOC", D(1), D(100 if fills else 90), f"o-{number}", exchange.now()
            )
            made = exchange.place("one", order)
            held = {length: count + 1 for length, count in held.items()}
            if fills:
                coming.append(now + round(credit_delay(most, None, number).total_seconds() * 1000))
            for due in [due for due in coming if due <= now]:
                coming.remove(due)
                held = {length: max(0, count - 1) for length, count in held.items()}
            assert [each.count for each in made.counts] == list(held.values())
            later = now + pause
            exchange.advance(D(pause) / 1000)
            held = {length: count if now // length == later // length else 0 for length, count in held.items()}
            for due in [due for due in coming if due <= later]:
                coming.remove(due)
                over = [length for length in held if due // length < later // length]
                held |= {length: max(0, count - 1) for length, count in held.items() if length not in over}
            now = later
            assert [each.count for each in exchange.order_counts("one")] == list(held.values())
        database.close()


def some_step(chance: random.Random) -> dict[str, Any]:
    """Return something to do, mostly orders near the middle of the book."""
    return {
        "what": chance.choice(["place"] * 8 + ["cancel", "advance", "look"]),
        "account": chance.choice(ACCOUNTS),
        "symbol": chance.choice(OLD_PAIRS),
        "side": chance.choice(["BUY", "SELL"]),
        "time_in_force": chance.choice(["GTC", "GTC", "IOC", "IOC", "FOK", None]),
        "mode": chance.choice([None, *PREVENTION_MODES]),
        "quantity": D(chance.randint(20, 500)) / 100,
        "away": D(chance.randint(-15, 15)) / 100,
        "which": chance.randint(0, 3),
    }


@pytest.mark.parametrize("seed", range(2))
def test_a_long_history_meets_everything(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    database = Database(f"sqlite:///{tmp_path / 'exchange.db'}")
    exchange = make_exchange(database)
    for number in range(400):
        act(exchange, some_step(chance), f"long-{number}")
        if number % 100 == 99:
            audit(exchange, database)
    orders = [order for account in ACCOUNTS for order in exchange.orders(account)]
    sides = Counter((each.symbol, each.trade_id) for order in orders for each in order.trades)
    assert {"NEW", "FILLED", "CANCELED", "EXPIRED", "EXPIRED_IN_MATCH"} <= {order.status for order in orders}
    assert {"UNFILLED_FOK_ORDER_EXPIRED", "UNFILLED_IOC_QUANTITY_EXPIRED"} <= {
        each.expiry_reason for each in orders
    }
    assert {each.status for each in orders if each.time_in_force == "FOK"} == {"FILLED", "EXPIRED"}
    assert any(each.type == "LIMIT_MAKER" and each.trades for each in orders)
    assert any(each.prevented_quantity and each.executed_quantity for each in orders)
    assert 2 in sides.values(), "no two accounts traded with each other"
    makers = [each for order in orders for each in order.trades if each.is_maker]
    assert any(sides[each.symbol, each.trade_id] == 1 for each in makers), "no market reached a resting order"
    database.close()


def _trade_until_killed(path: Path, seed: int, ready: int, steps: int = 1_000_000) -> None:
    chance = random.Random(seed)
    database = Database(f"sqlite:///{path}")
    exchange = PaperExchange.open(database, lambda *_: make_market())
    is_told = False
    for number in range(steps):
        if not is_told and exchange.orders("one"):
            os.write(ready, b"x")
            is_told = True
        act(exchange, some_step(chance), f"kill-{seed}-{number}")


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # Python 3.12 on forking beside threads
def test_processes_trade_at_once(tmp_path: Path) -> None:
    path = tmp_path / "exchange.db"
    database = Database(f"sqlite:///{path}")
    make_exchange(database)
    database.close()
    listening, ready = os.pipe()
    children = []
    for seed in range(3):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                _trade_until_killed(path, seed, ready, steps=40)
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    os.close(ready)
    os.close(listening)
    exchange = PaperExchange.open(database, lambda *_: make_market())
    audit(exchange, database)
    assert exchange.orders("one")
    database.close()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # Python 3.12 on forking beside threads
@pytest.mark.parametrize("seed", range(3))
def test_a_killed_process_leaves_the_books_in_order(tmp_path: Path, seed: int) -> None:
    """Thirty processes, each killed at a random moment of its trading; the books are audited after each."""
    path = tmp_path / "exchange.db"
    database = Database(f"sqlite:///{path}")
    make_exchange(database)
    database.close()  # a connection must not be shared with the children
    chance = random.Random(seed)
    for turn in range(10):
        listening, ready = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                _trade_until_killed(path, seed * 100 + turn, ready)
            finally:
                os._exit(1)
        os.close(ready)
        assert os.read(listening, 1) == b"x"
        os.close(listening)
        time.sleep(chance.uniform(0, 0.15))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status)
        after = Database(f"sqlite:///{path}")
        audit(PaperExchange.open(after, lambda *_: make_market()), after)
        after.close()
    after = Database(f"sqlite:///{path}")
    exchange = PaperExchange.open(after, lambda *_: make_market())
    assert exchange.orders("one")
    after.close()
