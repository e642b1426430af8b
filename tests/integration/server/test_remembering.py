"""An exchange that remembers what it has read does what one does that reads everything anew, row by row."""

import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from tests.effort import examples

from etf_trader.database import Database
from etf_trader.exchange import tables
from etf_trader.exchange.paper import ExchangeError, ExchangeSettings, OrderRequest, PaperExchange
from etf_trader.exchange.static import EPOCH, StaticMarket, symbol_row

D = Decimal
SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT")
ACCOUNTS = ("paper", "other")
NAMES = tuple("abcdefgh")
PRICES = ("98", "99", "99.5", "100", "101")
STOPPED = ("STOP_LOSS", "TAKE_PROFIT_LIMIT", "STOP_LOSS_LIMIT")

new_orders = st.fixed_dictionaries(
    {
        "account": st.sampled_from((*ACCOUNTS, *ACCOUNTS, *ACCOUNTS, *ACCOUNTS, "nobody")),
        "symbol": st.sampled_from(SYMBOLS),
        "side": st.sampled_from(("BUY", "SELL")),
        "type": st.sampled_from(("LIMIT", "LIMIT", "LIMIT", "LIMIT_MAKER", "MARKET", *STOPPED)),
        "time_in_force": st.sampled_from(("GTC", "GTC", "IOC", "FOK")),
        "price": st.sampled_from(PRICES),
        "stop": st.sampled_from(PRICES),
        "quantity": st.sampled_from(("0.1", "0.5", "1", "3")),
        "iceberg": st.sampled_from((None, None, None, "0.1")),
        "name": st.sampled_from(NAMES),
    }
)
symbol_and_account = (st.sampled_from(SYMBOLS), st.sampled_from(ACCOUNTS))
placing = st.tuples(st.just("place"), st.lists(new_orders, min_size=2, max_size=4))
others = st.one_of(
    st.tuples(st.just("cancel"), *symbol_and_account, st.sampled_from(NAMES)),
    st.tuples(st.just("cancel all"), *symbol_and_account),
    st.tuples(st.just("replace"), new_orders, st.sampled_from(NAMES)),
    st.tuples(st.just("book"), st.sampled_from(SYMBOLS), st.sampled_from((96, 98, 99, 100, 103))),
    st.tuples(st.just("advance"), st.sampled_from((0, 1, 12))),
    st.tuples(st.just("deposit"), st.sampled_from(ACCOUNTS), st.sampled_from(("USDT", "BTC"))),
    st.tuples(st.just("burn"), st.sampled_from(ACCOUNTS), st.booleans()),
    st.tuples(st.just("halt"), st.sampled_from(SYMBOLS), st.sampled_from(("HALT", None))),
    st.tuples(st.just("look"), *symbol_and_account),
)
pairs = st.lists(st.tuples(placing, others), min_size=8, max_size=12)


def request(drawn: dict[str, Any]) -> OrderRequest:
    kind, limited = drawn["type"], drawn["type"] not in ("MARKET", "STOP_LOSS")
    is_timed = kind in ("LIMIT", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT")
    return OrderRequest(
        symbol=drawn["symbol"],
        side=drawn["side"],
        type=kind,
        time_in_force=drawn["time_in_force"] if is_timed else None,
        quantity=D(drawn["quantity"]),
        price=D(drawn["price"]) if limited else None,
        client_order_id=drawn["name"],
        timestamp=EPOCH,
        recv_window=60,
        stop_price=D(drawn["stop"]) if kind in STOPPED else None,
        iceberg_quantity=D(drawn["iceberg"])
        if drawn["iceberg"] and (kind, drawn["time_in_force"]) == ("LIMIT", "GTC")
        else None,
    )


def book(middle: int) -> tuple[Any, Any]:
    bids, asks = (middle - 1, middle - 2), (middle, middle + 1)
    return tuple((str(price), "1.5") for price in bids), tuple((str(price), "1.5") for price in asks)


def market() -> StaticMarket:
    rows = [symbol_row(symbol, symbol[:3], "USDT") for symbol in SYMBOLS]
    return StaticMarket(rows, {symbol: book(100) for symbol in SYMBOLS})


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of an exchange with two accounts, to be copied: migrations take their time."""
    path = tmp_path_factory.mktemp("template") / "exchange.db"
    made = PaperExchange.create(
        Database(f"sqlite:///{path}"),
        ExchangeSettings("stepped", "static", {"seed": 3}, credit_delay=900),
        market(),
        era="e",
    )
    made.open_account("other")
    for account in ACCOUNTS:
        for asset, amount in (("USDT", D(900)), ("BTC", D(2)), ("ETH", D(2)), ("BNB", D(3))):
            made.deposit(account, asset, amount, asset)
    made.close()
    return path


class Side:
    """An exchange, its market, and the same database as another process has it open."""

    def __init__(self, template: Path, path: Path, *, remembers: bool) -> None:
        shutil.copy(template, path)
        self.market = market()
        self.exchange, self.elsewhere = (
            PaperExchange.open(Database(f"sqlite:///{path}"), lambda kind, parameters: self.market)
            for _ in range(2)
        )
        if remembers:
            self.exchange.remember()

    def do(self, number: int, what: str, *rest: Any) -> Any:
        """Do one step; what somebody else would do to the database is done elsewhere."""
        exchange = self.exchange
        try:
            if what == "place":
                answers = exchange.place_all([(each["account"], request(each)) for each in rest[0]])
                return [_told(each) for each in answers]
            if what == "cancel":
                return exchange.cancel(rest[1], rest[0], client_order_id=rest[2])
            if what == "cancel all":
                return exchange.cancel_all(rest[1], rest[0])
            if what == "replace":
                account = rest[0]["account"]
                both = exchange.cancel_replace(account, request(rest[0]), "ALLOW_FAILURE", client_order_id=rest[1])
                return [_told(each) for each in both]
            if what == "book":
                return self.market.set_book(rest[0], *book(rest[1]))
            if what == "look":
                return exchange.balances(rest[1]), exchange.open_orders(rest[1]), exchange.depth(rest[0])
            return self._elsewhere(number, what, *rest)
        except ExchangeError as error:
            return _told(error)

    def _elsewhere(self, number: int, what: str, *rest: Any) -> Any:
        if what == "advance":
            return self.elsewhere.advance(rest[0])
        if what == "deposit":
            return self.elsewhere.deposit(rest[0], rest[1], D(5), f"later-{number}")
        if what == "burn":
            return self.elsewhere.set_bnb_burn(rest[0], rest[1])
        assert what == "halt"
        return self.elsewhere.set_status(rest[0], rest[1])

    def rows(self) -> dict[str, list[Any]]:
        """Return every row of every table."""
        with self.exchange.database.read() as connection:
            return {
                table.name: sorted(map(repr, connection.execute(select(table))))
                for table in tables.metadata.sorted_tables
            }

    def close(self) -> None:
        self.exchange.close()
        self.elsewhere.close()


def _told(answer: Any) -> Any:
    return (answer.code, answer.message) if isinstance(answer, ExchangeError) else answer


@settings(max_examples=examples(12), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=pairs)
def test_what_is_remembered_leaves_the_rows_that_reading_anew_leaves(
    template: Path, tmp_path: Path, drawn: list[tuple[tuple[Any, ...], tuple[Any, ...]]]
) -> None:
    sides = [Side(template, tmp_path / f"{name}.db", remembers=name == "one") for name in ("one", "two")]
    for number, step in enumerate(step for pair in drawn for step in pair):
        remembering, anew = (side.do(number, *step) for side in sides)
        assert remembering == anew, step
    remembering, anew = (side.rows() for side in sides)
    assert remembering == anew
    for side in sides:
        side.close()


def test_what_another_process_did_counts_for_the_next_order(template: Path, tmp_path: Path) -> None:
    side = Side(template, tmp_path / "one.db", remembers=True)
    order = OrderRequest("BTCUSDT", "BUY", "LIMIT", "GTC", D(9), D(98), "a", EPOCH, 60)
    side.exchange.place("paper", order)
    with pytest.raises(ExchangeError, match="insufficient"):
        side.exchange.place("paper", OrderRequest("BTCUSDT", "BUY", "LIMIT", "GTC", D(9), D(98), "b", EPOCH, 60))
    side.elsewhere.deposit("paper", "USDT", D(1000), "more")
    side.exchange.place("paper", OrderRequest("BTCUSDT", "BUY", "LIMIT", "GTC", D(9), D(98), "b", EPOCH, 60))
    side.elsewhere.set_status("BTCUSDT", "HALT")
    with pytest.raises(ExchangeError, match="closed"):
        side.exchange.place("paper", OrderRequest("BTCUSDT", "BUY", "LIMIT", "GTC", D(1), D(98), "c", EPOCH, 60))
    side.close()


def test_a_transaction_that_fails_is_forgotten(template: Path, tmp_path: Path) -> None:
    side = Side(template, tmp_path / "one.db", remembers=True)
    order = OrderRequest("BTCUSDT", "BUY", "LIMIT", "GTC", D(1), D(98), "a", EPOCH, 60)
    side.exchange.place("paper", order)
    before = side.rows()
    # What cannot be written: somebody drops a table between the decision and the rows.
    with side.elsewhere.database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE report RENAME TO gone")
    with pytest.raises(Exception, match="version"):
        side.exchange.place("paper", OrderRequest("BTCUSDT", "BUY", "LIMIT", "GTC", D(1), D(98), "b", EPOCH, 60))
    with side.elsewhere.database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE gone RENAME TO report")
    assert side.rows() == before
    side.exchange.place("paper", OrderRequest("BTCUSDT", "BUY", "LIMIT", "GTC", D(1), D(98), "b", EPOCH, 60))
    assert [each.client_order_id for each in side.exchange.open_orders("paper")] == ["a", "b"]
    side.close()
