"""Orders without a limit, cancelling all, cancel-replace and trying, on a database file, by hand."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from etf_trader.database import Database
from etf_trader.exchange.paper import (
    BalanceView,
    ExchangeError,
    ExchangeSettings,
    OrderRequest,
    OrderView,
    PaperExchange,
)
from etf_trader.exchange.static import StaticMarket, symbol_row

D = Decimal
SETTINGS = ExchangeSettings("stepped", "static", {})
_names = iter(f"order-{number}" for number in range(1_000_000))


def row_with(symbol: str, base: str, quote: str, *entries: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a row whose filters are those of `symbol_row`, replaced or joined by `entries`."""
    row = symbol_row(symbol, base, quote)
    replaced = {entry["filterType"] for entry in entries}
    kept = [entry for entry in row["filters"] if entry["filterType"] not in replaced]
    return row | {"filters": [*kept, *entries]} | changes


MARKET_LOT = {"filterType": "MARKET_LOT_SIZE", "minQty": "0", "maxQty": "6", "stepSize": "0"}


@pytest.fixture
def market() -> StaticMarket:
    return StaticMarket(
        [
            row_with("BTCUSDT", "BTC", "USDT", MARKET_LOT),
            row_with("ETHUSDT", "ETH", "USDT", orderTypes=["LIMIT"]),
            row_with("NONEUSDT", "NONE", "USDT", quoteOrderQtyMarketAllowed=False),
        ],
        {
            "BTCUSDT": ((("99", "1"), ("98", "2")), (("100", "1"), ("101", "2"), ("103", "4"))),
            "ETHUSDT": ((("10", "1"),), (("11", "1"),)),
            "NONEUSDT": ((), ()),
        },
    )


@pytest.fixture
def exchange(tmp_path: Path, market: StaticMarket) -> Iterator[PaperExchange]:
    database = Database(f"sqlite:///{tmp_path / 'exchange.db'}")
    made = PaperExchange.create(database, SETTINGS, market)
    made.open_account("other")
    for account in ("paper", "other"):
        made.deposit(account, "USDT", D(1000), "money")
        made.deposit(account, "BTC", D(10), "stock")
    yield made
    database.close()


def asked(exchange: PaperExchange, side: str, kind: str = "MARKET", **said: Any) -> OrderRequest:
    said = {name: D(value) if name in AMOUNTS and value is not None else value for name, value in said.items()}
    bare = OrderRequest("BTCUSDT", side, kind, None, None, None, next(_names), exchange.now())
    return replace(bare, **said)


AMOUNTS = ("quantity", "price", "quote_quantity", "stop_price", "iceberg_quantity")


def place(
    exchange: PaperExchange, side: str, kind: str = "MARKET", account: str = "paper", **said: Any
) -> OrderView:
    return exchange.place(account, asked(exchange, side, kind, **said))


def refusal(exchange: PaperExchange, side: str, kind: str = "MARKET", **said: Any) -> tuple[int, str]:
    with pytest.raises(ExchangeError) as refused:
        place(exchange, side, kind, **said)
    return refused.value.code, refused.value.message


def rest(exchange: PaperExchange, side: str, price: str, quantity: str, account: str = "paper") -> OrderView:
    return place(exchange, side, "LIMIT", account, time_in_force="GTC", price=price, quantity=quantity)


# Without a limit


def test_a_market_buy_takes_the_best_levels_and_pays_from_what_is_free(exchange: PaperExchange) -> None:
    made = place(exchange, "BUY", quantity="2.5")

    assert (made.status, made.type, made.time_in_force, made.price) == ("FILLED", "MARKET", "GTC", D(0))
    assert [(each.price, each.quantity) for each in made.trades] == [(D(100), D(1)), (D(101), D("1.5"))]
    assert made.working_at == made.at == exchange.now()
    assert exchange.balances("paper") == {
        "BTC": BalanceView(D("12.4975"), D(0)),
        "USDT": BalanceView(D("748.5"), D(0)),
    }


def test_a_market_sell_takes_the_best_levels(exchange: PaperExchange) -> None:
    made = place(exchange, "SELL", quantity="2")

    assert (made.status, made.cumulative_quote) == ("FILLED", D(197))
    assert exchange.balances("paper")["BTC"] == BalanceView(D(8), D(0))
    assert exchange.balances("paper")["USDT"] == BalanceView(D("1196.803"), D(0))


def test_what_the_book_does_not_have_expires_and_the_fills_stay(exchange: PaperExchange) -> None:
    made = place(exchange, "SELL", quantity="5")

    assert (made.status, made.expiry_reason) == ("EXPIRED", "INSUFFICIENT_LIQUIDITY")
    assert (made.quantity, made.executed_quantity) == (D(5), D(3))
    assert exchange.balances("paper")["BTC"] == BalanceView(D(7), D(0))
    assert [each.kind for each in exchange.reports("paper")] == ["NEW", "TRADE", "TRADE", "EXPIRED"]


@pytest.mark.parametrize(
    ("side", "amount", "quantity", "spent", "status"),
    [
        pytest.param("BUY", "100", "1", "100", "FILLED", id="exactly a level"),
        pytest.param("BUY", "99.5", "0.99", "99", "FILLED", id="as many steps as it pays"),
        pytest.param("BUY", "150", "1.49", "149.49", "FILLED", id="on to the next level"),
        pytest.param("BUY", "301.5", "2.99", "300.99", "FILLED", id="less than a step is left at the level"),
        pytest.param("BUY", "302", "3", "302", "FILLED", id="exactly two levels"),
        pytest.param("BUY", "302.5", "3", "302", "FILLED", id="too little for a step of the third"),
        pytest.param("SELL", "100", "1.01", "99.98", "FILLED", id="a sell counts what it brings"),
        pytest.param("SELL", "400", "3", "295", "EXPIRED", id="the book ends first"),
    ],
)
def test_an_order_told_in_quote_comes_as_close_as_its_steps_allow(
    exchange: PaperExchange, side: str, amount: str, quantity: str, spent: str, status: str
) -> None:
    made = place(exchange, side, quote_quantity=amount)

    assert (made.status, made.executed_quantity, made.cumulative_quote) == (status, D(quantity), D(spent))
    assert made.quote_quantity == D(amount)
    assert made.quantity == (D(quantity) if status == "FILLED" else D("4.07"))
    assert made.expiry_reason == (None if status == "FILLED" else "INSUFFICIENT_LIQUIDITY")


def test_the_rest_of_an_order_told_in_quote_is_told_at_the_last_price(exchange: PaperExchange) -> None:
    made = place(exchange, "SELL", quote_quantity="400")

    assert made.quantity - made.executed_quantity == D("1.07")  # 105 at 98


@pytest.mark.parametrize(
    ("side", "said", "code", "text"),
    [
        ("BUY", {}, -1102, "Param 'quantity' or 'quoteOrderQty' must be sent, but both were empty/null!"),
        ("BUY", {"quantity": "1", "quote_quantity": "100"}, -1128, "Combination of optional parameters invalid."),
        ("BUY", {"quantity": "1", "price": "100"}, -1106, "Parameter 'price' sent when not required."),
        ("BUY", {"quantity": "1", "stop_price": "100"}, -1106, "Parameter 'stopPrice' sent when not required."),
        ("BUY", {"quantity": "6.01"}, -1013, "Filter failure: MARKET_LOT_SIZE"),
        ("BUY", {"quantity": "1.001"}, -1013, "Filter failure: LOT_SIZE"),
        ("BUY", {"quantity": "0.05"}, -1013, "Filter failure: NOTIONAL"),
        ("BUY", {"quote_quantity": "4.99"}, -1013, "Filter failure: NOTIONAL"),
        ("SELL", {"quote_quantity": "800"}, -1013, "Filter failure: MARKET_LOT_SIZE"),
        ("BUY", {"quote_quantity": "0.123456789"}, -1111, "Parameter 'quoteOrderQty' has too much precision."),
        ("BUY", {"quote_quantity": "1000.01"}, -1013, "Filter failure: MARKET_LOT_SIZE"),
        (
            "BUY",
            {"symbol": "ETHUSDT", "quantity": "1"},
            -1013,
            "Market orders are not supported for this symbol.",
        ),
        (
            "BUY",
            {"symbol": "NONEUSDT", "quote_quantity": "10"},
            -1013,
            "Quote order qty market orders are not support for this symbol.",
        ),
    ],
)
def test_a_market_order_that_cannot_be_is_refused(
    exchange: PaperExchange, side: str, said: dict[str, str], code: int, text: str
) -> None:
    before = exchange.balances("paper")
    assert refusal(exchange, side, **said) == (code, text)
    assert (exchange.balances("paper"), exchange.orders("paper")) == (before, ())


def test_a_market_order_needs_the_money_for_all_that_the_book_has(exchange: PaperExchange) -> None:
    exchange.withdraw("paper", "USDT", D(899), "away")
    enough = place(exchange, "BUY", quantity="1")
    assert enough.status == "FILLED"
    short = "Account has insufficient balance for requested action."
    assert refusal(exchange, "BUY", quantity="1") == (-2010, short)
    assert refusal(exchange, "BUY", quote_quantity="50") == (-2010, short)
    exchange.withdraw("paper", "BTC", D("9.5"), "gone")
    assert refusal(exchange, "SELL", quantity="2") == (-2010, short)


def test_an_order_told_in_quote_finds_nobody(exchange: PaperExchange, market: StaticMarket) -> None:
    market.set_book("BTCUSDT", (), ())
    assert refusal(exchange, "BUY", quote_quantity="100") == (
        -2010,
        "Order book liquidity is less than symbol minimum quantity.",
    )
    made = place(exchange, "BUY", quantity="1")
    assert (made.status, made.executed_quantity) == ("EXPIRED", D(0))


def test_an_order_told_in_quote_finds_less_than_the_least_lot(
    exchange: PaperExchange, market: StaticMarket
) -> None:
    market.set_book("BTCUSDT", (), [("1000", "0.005")])
    assert refusal(exchange, "BUY", quote_quantity="100") == (
        -2010,
        "Order book liquidity is less than LOT_SIZE filter minimum quantity.",
    )


@pytest.mark.parametrize(
    ("mode", "status", "executed", "standing"),
    [
        ("EXPIRE_MAKER", "FILLED", "1.49", 0),
        ("EXPIRE_TAKER", "EXPIRED_IN_MATCH", "0", 1),
        ("EXPIRE_BOTH", "EXPIRED_IN_MATCH", "0", 0),
        ("DECREMENT", "FILLED", "1", 0),
    ],
)
def test_an_order_told_in_quote_does_not_trade_with_its_own_account(
    exchange: PaperExchange, mode: str, status: str, executed: str, standing: int
) -> None:
    """A sell of 0.5 at 99.5 of the same account comes first; what it takes of the order counts as spent."""
    rest(exchange, "SELL", "99.5", "0.5")
    made = place(exchange, "BUY", quote_quantity="150", self_trade_prevention=mode)
    assert (made.status, made.executed_quantity) == (status, D(executed))
    assert len(exchange.open_orders("paper")) == standing
    assert all(view.locked == 0 for view in exchange.balances("paper").values()) == (standing == 0)


def test_two_accounts_meet_in_a_market_order(exchange: PaperExchange) -> None:
    rest(exchange, "SELL", "99.5", "0.5", "other")
    made = place(exchange, "BUY", quantity="1")
    assert [(each.price, each.quantity) for each in made.trades] == [(D("99.5"), D("0.5")), (D(100), D("0.5"))]
    assert exchange.balances("other")["USDT"].free == D("1049.70025")


# Cancelling


def test_all_orders_of_a_symbol_are_cancelled_and_no_others(exchange: PaperExchange) -> None:
    mine = [rest(exchange, "BUY", price, "1") for price in ("90", "91")]
    rest(exchange, "BUY", "92", "1", "other")
    ended = exchange.cancel_all("paper", "BTCUSDT")

    assert [each.order_id for each in ended] == [each.order_id for each in mine]
    assert {each.status for each in ended} == {"CANCELED"}
    assert exchange.balances("paper")["USDT"] == BalanceView(D(1000), D(0))
    assert len(exchange.open_orders("other")) == 1
    with pytest.raises(ExchangeError) as refused:
        exchange.cancel_all("paper", "BTCUSDT")
    assert (refused.value.code, refused.value.message) == (-2011, "Unknown order sent.")


def test_a_cancellation_has_a_name_of_its_own(exchange: PaperExchange) -> None:
    first, second = rest(exchange, "BUY", "90", "1"), rest(exchange, "BUY", "91", "1")
    named = exchange.cancel("paper", "BTCUSDT", order_id=first.order_id, new_cancel_id="mine")
    made_up = exchange.cancel("paper", "BTCUSDT", order_id=second.order_id)
    assert (named.cancel_id, named.client_order_id) == ("mine", first.client_order_id)
    assert made_up.cancel_id not in (None, "", second.client_order_id)
    assert len(made_up.cancel_id or "") <= 36
    assert exchange.order("paper", "BTCUSDT", order_id=first.order_id).cancel_id == "mine"


@pytest.mark.parametrize(("restriction", "cancels"), [("ONLY_NEW", False), ("ONLY_PARTIALLY_FILLED", True)])
def test_a_restricted_cancellation_looks_at_the_status(
    exchange: PaperExchange, restriction: str, cancels: bool
) -> None:
    made = rest(exchange, "BUY", "100", "2")
    assert made.status == "PARTIALLY_FILLED"
    if cancels:
        ended = exchange.cancel("paper", "BTCUSDT", order_id=made.order_id, restriction=restriction)
        assert ended.status == "CANCELED"
        return
    with pytest.raises(ExchangeError) as refused:
        exchange.cancel("paper", "BTCUSDT", order_id=made.order_id, restriction=restriction)
    assert refused.value.code == -2011
    assert refused.value.message == "Order was not canceled due to cancel restrictions."


# Cancel-replace


def new_limit(exchange: PaperExchange, price: str, quantity: str, **said: Any) -> OrderRequest:
    return asked(exchange, "BUY", "LIMIT", time_in_force="GTC", price=price, quantity=quantity, **said)


def counted(exchange: PaperExchange) -> int:
    return exchange.order_counts("paper")[0].count


def test_an_order_is_replaced_with_the_money_it_held(exchange: PaperExchange) -> None:
    old = rest(exchange, "BUY", "90", "11")
    done = exchange.cancel_replace(
        "paper",
        new_limit(exchange, "91", "10.9", client_order_id=old.client_order_id),
        "STOP_ON_FAILURE",
        order_id=old.order_id,
        new_cancel_id="gone",
    )
    assert isinstance(done.cancel, OrderView)
    assert isinstance(done.place, OrderView)
    assert (done.cancel.order_id, done.cancel.status, done.cancel.cancel_id) == (old.order_id, "CANCELED", "gone")
    assert (done.place.status, done.place.client_order_id) == ("NEW", old.client_order_id)
    assert [each.count for each in done.place.counts] == [2, 2]
    assert exchange.balances("paper")["USDT"] == BalanceView(D("8.1"), D("991.9"))


def test_where_nothing_is_cancelled_the_new_order_is_not_attempted_and_counts(exchange: PaperExchange) -> None:
    done = exchange.cancel_replace("paper", new_limit(exchange, "91", "1"), "STOP_ON_FAILURE", order_id=7)
    assert isinstance(done.cancel, ExchangeError)
    assert (done.cancel.code, done.place) == (-2011, None)
    assert (exchange.orders("paper"), counted(exchange)) == ((), 1)


def test_where_nothing_is_cancelled_the_new_order_may_be_placed_all_the_same(exchange: PaperExchange) -> None:
    done = exchange.cancel_replace("paper", new_limit(exchange, "91", "1"), "ALLOW_FAILURE", order_id=7)
    assert isinstance(done.cancel, ExchangeError)
    assert isinstance(done.place, OrderView)
    assert len(exchange.open_orders("paper")) == counted(exchange) == 1


def test_both_halves_may_fail_and_one_that_succeeds_stands(exchange: PaperExchange) -> None:
    done = exchange.cancel_replace("paper", new_limit(exchange, "91", "100"), "ALLOW_FAILURE", order_id=7)
    assert isinstance(done.cancel, ExchangeError)
    assert isinstance(done.place, ExchangeError)
    assert (done.cancel.code, done.place.code) == (-2011, -2010)

    old = rest(exchange, "BUY", "90", "1")
    done = exchange.cancel_replace(
        "paper", new_limit(exchange, "91", "100"), "STOP_ON_FAILURE", order_id=old.order_id
    )
    assert isinstance(done.cancel, OrderView)
    assert isinstance(done.place, ExchangeError)
    assert (done.place.code, exchange.open_orders("paper")) == (-2010, ())


def test_filters_and_counts_are_looked_at_before_anything_is_cancelled(exchange: PaperExchange) -> None:
    old = rest(exchange, "BUY", "90", "1")
    with pytest.raises(ExchangeError, match="LOT_SIZE"):
        exchange.cancel_replace(
            "paper", new_limit(exchange, "91", "0.001"), "STOP_ON_FAILURE", order_id=old.order_id
        )
    with pytest.raises(ExchangeError) as refused:
        exchange.cancel_replace("paper", new_limit(exchange, "91", "1"), "SOMETIMES", order_id=old.order_id)
    assert refused.value.code == -1145
    for number in range(99):
        place(exchange, "BUY", "LIMIT", time_in_force="IOC", price="90", quantity="1")
        assert counted(exchange) == number + 2
    with pytest.raises(ExchangeError) as refused:
        exchange.cancel_replace("paper", new_limit(exchange, "91", "1"), "STOP_ON_FAILURE", order_id=old.order_id)
    assert (refused.value.code, refused.value.http_status) == (-1015, 429)
    assert [each.order_id for each in exchange.open_orders("paper")] == [old.order_id]


# Trying


def test_an_order_that_is_tried_is_checked_and_not_placed(exchange: PaperExchange) -> None:
    exchange.test("paper", asked(exchange, "BUY", quantity="1"))
    exchange.test("paper", new_limit(exchange, "91", "1000"))  # the money is the engine's affair
    with pytest.raises(ExchangeError, match="LOT_SIZE"):
        exchange.test("paper", new_limit(exchange, "91", "0.001"))
    with pytest.raises(ExchangeError) as refused:
        exchange.test("stranger", asked(exchange, "BUY", quantity="1"))
    assert refused.value.code == -2015
    assert (exchange.orders("paper"), counted(exchange)) == ((), 0)
