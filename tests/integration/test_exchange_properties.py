"""What must hold after any history of an exchange, and after a process is killed in the middle of one."""

import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from etf_trader.database import Database
from etf_trader.errors import UsageError
from etf_trader.exchange import tables
from etf_trader.exchange.matching import PREVENTION_MODES
from etf_trader.exchange.paper import ExchangeError, ExchangeSettings, OrderRequest, PaperExchange, ReportView
from etf_trader.exchange.rules import SymbolRules, credit_delay
from etf_trader.exchange.static import StaticMarket, symbol_row
from etf_trader.money import ZERO, money_context

D = Decimal
SETTINGS = ExchangeSettings("stepped", "static", {})
ACCOUNTS = ("one", "two")
ASSETS = ("BTC", "ETH", "USDT")
PAIRS = {"BTCUSDT": 100, "ETHUSDT": 50, "ETHBTC": 2}


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
    ]
    return RestlessMarket(rows, {}, maker=D("0.0003"), taker=D("0.00075"))


def make_exchange(database: Database) -> PaperExchange:
    exchange = PaperExchange.create(database, SETTINGS, make_market(), account="one")
    exchange.open_account("two")
    for account in ACCOUNTS:
        for asset, amount in (("BTC", "20"), ("ETH", "30"), ("USDT", "2500")):
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
                    locked[rule.quote if row.side == "BUY" else rule.base] += (
                        row.price * left if row.side == "BUY" else left
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
            if row.time_in_force == "FOK":
                assert (row.status, row.executed) in (("FILLED", row.quantity), ("EXPIRED", ZERO))
            if row.type == "LIMIT_MAKER":
                assert all(each.is_maker for each in own), "a post-only order took"
            assert row.price % D("0.01") == 0
            assert row.quantity % D("0.01") == 0
            assert row.price * row.quantity >= rules[row.symbol].min_notional
            for each in own:
                assert each.price <= row.price if row.side == "BUY" else each.price >= row.price
                assert each.quote_quantity == each.price * each.quantity
                assert each.price == row.price or not each.is_maker
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
            assert [each.kind for each in life].count("NEW") == 1
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
            )
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


actions = st.fixed_dictionaries(
    {
        "what": st.sampled_from(["place"] * 6 + ["cancel", "advance", "advance", "withdraw", "look"]),
        "account": st.sampled_from(ACCOUNTS),
        "symbol": st.sampled_from(sorted(PAIRS)),
        "side": st.sampled_from(["BUY", "SELL"]),
        "time_in_force": st.sampled_from(["GTC", "GTC", "IOC", "FOK", None]),
        "mode": st.sampled_from([None, *PREVENTION_MODES]),
        "quantity": st.integers(1, 900).map(lambda n: D(n) / 100) | st.decimals(0, 9, places=3),
        "away": st.integers(-20, 20).map(lambda n: D(n) / 100),
        "which": st.integers(0, 5),
    }
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(actions, max_size=25))
def test_any_history_leaves_the_books_in_order(history: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/exchange.db")
        exchange = make_exchange(database)
        for number, step in enumerate(history):
            act(exchange, step, f"step-{number}")
        audit(exchange, database)
        database.close()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
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
                [(exchange.orders(name), exchange.trades(name), exchange.balances(name)) for name in ACCOUNTS]
                + [exchange.depths(PAIRS)]
            )
            database.close()
    assert seen[0] == seen[1]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
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
        "symbol": chance.choice(sorted(PAIRS)),
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
