"""Orders placed together are what they would have been one after the other."""

import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.effort import examples

from etf_trader.database import Database
from etf_trader.exchange.paper import ExchangeError, ExchangeSettings, OrderRequest, PaperExchange
from etf_trader.exchange.static import EPOCH, StaticMarket, symbol_row

D = Decimal
SYMBOLS = ("BTCUSDT", "ETHUSDT")
ACCOUNTS = ("paper", "other")

orders = st.fixed_dictionaries(
    {
        "account": st.sampled_from((*ACCOUNTS, *ACCOUNTS, "nobody")),
        "symbol": st.sampled_from((*SYMBOLS, *SYMBOLS, "NOPE")),
        "side": st.sampled_from(("BUY", "SELL")),
        "type": st.sampled_from(("LIMIT", "LIMIT", "LIMIT_MAKER", "MARKET")),
        "time_in_force": st.sampled_from(("GTC", "GTC", "IOC", "FOK")),
        "price": st.sampled_from(("98", "99", "99.5", "100", "101")),
        "quantity": st.sampled_from(("0.1", "0.5", "1", "3", "0.001")),
        "name": st.sampled_from(("a", "b", "c", "d", "e", "f", "g", "h")),
    }
)


def request(drawn: dict[str, Any]) -> OrderRequest:
    kind = drawn["type"]
    return OrderRequest(
        symbol=drawn["symbol"],
        side=drawn["side"],
        type=kind,
        time_in_force=drawn["time_in_force"] if kind == "LIMIT" else None,
        quantity=D(drawn["quantity"]),
        price=None if kind == "MARKET" else D(drawn["price"]),
        client_order_id=drawn["name"],
        timestamp=EPOCH,
        recv_window=60,
    )


def market() -> StaticMarket:
    book = ((("99", "1"), ("98", "2")), (("100", "1"), ("101", "2")))
    rows = [symbol_row(symbol, symbol[:3], "USDT") for symbol in SYMBOLS]
    return StaticMarket(rows, dict.fromkeys(SYMBOLS, book))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of an exchange with two accounts, to be copied: migrations take their time."""
    path = tmp_path_factory.mktemp("template") / "exchange.db"
    settings = ExchangeSettings("stepped", "static", {})
    made = PaperExchange.create(Database(f"sqlite:///{path}"), settings, market(), era="e")
    made.open_account("other")
    for account in ACCOUNTS:
        for asset, amount in (("USDT", D(400)), ("BTC", D(2)), ("ETH", D(2))):
            made.deposit(account, asset, amount, asset)
    made.close()
    return path


def make(template: Path, folder: Path, name: str) -> PaperExchange:
    path = folder / f"{name}.db"
    shutil.copy(template, path)
    return PaperExchange.open(Database(f"sqlite:///{path}"), lambda kind, parameters: market())


def told(answer: Any) -> Any:
    return (answer.code, answer.message) if isinstance(answer, ExchangeError) else (answer, answer.counts)


def place(exchange: PaperExchange, account: str, order: OrderRequest) -> Any:
    try:
        return exchange.place(account, order)
    except ExchangeError as error:
        return error


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.lists(orders, min_size=2, max_size=12), cut=st.integers(1, 12), step=st.booleans())
def test_orders_placed_together_are_what_they_are_one_by_one(
    template: Path, tmp_path: Path, drawn: list[dict[str, Any]], cut: int, step: bool
) -> None:
    together, alone = (make(template, tmp_path, name) for name in ("together", "alone"))
    wanted = [(each["account"], request(each)) for each in drawn]
    for part in (wanted[:cut], wanted[cut:]):
        answers = together.place_all(part)
        assert list(map(told, answers)) == [told(place(alone, account, order)) for account, order in part]
        if step:
            for exchange in (together, alone):
                exchange.advance(1)
    for account in ACCOUNTS:
        assert together.balances(account) == alone.balances(account)
        assert together.orders(account) == alone.orders(account)
        assert together.trades(account) == alone.trades(account)
        assert together.reports(account) == alone.reports(account)
    for symbol in SYMBOLS:
        assert together.depth(symbol) == alone.depth(symbol)
    together.close()
    alone.close()


def test_what_was_begun_and_not_committed_never_was(template: Path, tmp_path: Path) -> None:
    exchange = make(template, tmp_path, "begun")
    order = OrderRequest("BTCUSDT", "BUY", "LIMIT", "GTC", D(1), D(90), "one", EPOCH, 60)
    (_, *_), commit = exchange.begin_all([("paper", order)])
    other = Database(f"sqlite:///{tmp_path / 'begun.db'}")
    with other.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM orders").scalar() == 0
    commit()
    assert [each.client_order_id for each in exchange.open_orders("paper")] == ["one"]
    other.close()
    exchange.close()
