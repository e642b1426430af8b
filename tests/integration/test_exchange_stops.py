"""Orders that wait for a price, and icebergs, by hand."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.integration.test_exchange_orders import row_with

from etf_trader.database import Database
from etf_trader.exchange.paper import (
    BalanceView,
    ExchangeError,
    ExchangeSettings,
    OrderRequest,
    OrderView,
    PaperExchange,
)
from etf_trader.exchange.static import StaticMarket

D = Decimal
ALGO = {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 2}
TRAILING = {
    "filterType": "TRAILING_DELTA",
    "minTrailingAboveDelta": 10,
    "maxTrailingAboveDelta": 2000,
    "minTrailingBelowDelta": 20,
    "maxTrailingBelowDelta": 1000,
}
PARTS = {"filterType": "ICEBERG_PARTS", "limit": 5}
ICEBERGS = {"filterType": "MAX_NUM_ICEBERG_ORDERS", "maxNumIcebergOrders": 1}
_names = iter(f"order-{number}" for number in range(1_000_000))


@pytest.fixture
def market() -> StaticMarket:
    row = row_with("BTCUSDT", "BTC", "USDT", ALGO, TRAILING, PARTS, ICEBERGS)
    return StaticMarket([row], {"BTCUSDT": ([("99", "100")], [("101", "100")])})


@pytest.fixture
def exchange(tmp_path: Path, market: StaticMarket) -> Iterator[PaperExchange]:
    database = Database(f"sqlite:///{tmp_path / 'exchange.db'}")
    made = PaperExchange.create(database, ExchangeSettings("stepped", "static", {}), market)
    made.open_account("other")
    for account in ("paper", "other"):
        made.deposit(account, "USDT", D(10_000), "money")
        made.deposit(account, "BTC", D(100), "stock")
    yield made
    database.close()


@pytest.fixture
def move(exchange: PaperExchange, market: StaticMarket) -> Callable[[str], None]:
    """Moves the mid, with a spread of 2, and lets a second pass."""

    def to(mid: str) -> None:
        bid, ask = D(mid) - 1, D(mid) + 1
        market.set_book("BTCUSDT", [(str(bid), "100")], [(str(ask), "100")])
        exchange.advance(1)

    return to


def place(exchange: PaperExchange, side: str, kind: str, account: str = "paper", **said: Any) -> OrderView:
    for name in ("quantity", "price", "stop_price", "iceberg_quantity"):
        said[name] = D(said[name]) if name in said else None
    limited = kind in ("LIMIT", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT")
    bare = OrderRequest(
        "BTCUSDT", side, kind, "GTC" if limited else None, None, None, next(_names), exchange.now()
    )
    return exchange.place(account, replace(bare, **said))


def refusal(exchange: PaperExchange, side: str, kind: str, **said: Any) -> tuple[int, str]:
    with pytest.raises(ExchangeError) as refused:
        place(exchange, side, kind, **said)
    return refused.value.code, refused.value.message


def now(exchange: PaperExchange, order: OrderView, account: str = "paper") -> OrderView:
    return exchange.order(account, "BTCUSDT", order_id=order.order_id)


@pytest.mark.parametrize(
    ("side", "kind", "stop", "near", "there"),
    [
        ("SELL", "STOP_LOSS", "95", "95.01", "95"),
        ("BUY", "STOP_LOSS", "105", "104.99", "105"),
        ("SELL", "TAKE_PROFIT", "105", "104.99", "105.5"),
        ("BUY", "TAKE_PROFIT", "95", "95.01", "94"),
    ],
)
def test_an_order_without_a_limit_waits_for_its_price_and_takes_the_market_then(
    exchange: PaperExchange, move: Callable[[str], None], side: str, kind: str, stop: str, near: str, there: str
) -> None:
    made = place(exchange, side, kind, quantity="2", stop_price=stop)
    assert (made.status, made.working_at, made.trades) == ("NEW", None, ())
    asset, locked = ("USDT", 2 * D(stop)) if side == "BUY" else ("BTC", D(2))
    assert exchange.balances("paper")[asset].locked == locked

    move(near)
    assert now(exchange, made).status == "NEW"
    move(there)
    done = now(exchange, made)
    assert (done.status, done.working_at) == ("FILLED", exchange.now())
    assert done.trades[0].price == D(there) + (1 if side == "BUY" else -1)
    assert not done.trades[0].is_maker
    assert exchange.balances("paper")[asset].locked == 0
    told = exchange.reports("paper")
    assert [each.kind for each in told] == ["NEW", "NEW", "TRADE"]
    assert [each.order.working_at for each in told] == [None, done.working_at, done.working_at]


def test_an_order_with_a_limit_rests_once_it_is_triggered(
    exchange: PaperExchange, move: Callable[[str], None]
) -> None:
    made = place(exchange, "SELL", "STOP_LOSS_LIMIT", quantity="2", price="96", stop_price="95")
    assert exchange.depth("BTCUSDT").asks[0].price == 101
    move("95")
    triggered = now(exchange, made)
    assert (triggered.status, triggered.working_at) == ("NEW", exchange.now())
    assert exchange.depth("BTCUSDT").asks[0] == (D(96), D(102))
    assert exchange.balances("paper")["BTC"] == BalanceView(D(98), D(2))
    move("98")
    assert [(each.price, each.is_maker) for each in now(exchange, made).trades] == [(D(96), True)]


def test_a_waiting_order_can_be_cancelled_and_is_out_of_the_book(
    exchange: PaperExchange, move: Callable[[str], None]
) -> None:
    made = place(exchange, "BUY", "STOP_LOSS_LIMIT", quantity="2", price="106", stop_price="105")
    assert exchange.balances("paper")["USDT"] == BalanceView(D(10_000 - 212), D(212))
    assert exchange.cancel("paper", "BTCUSDT", order_id=made.order_id).status == "CANCELED"
    assert exchange.balances("paper")["USDT"] == BalanceView(D(10_000), D(0))
    move("110")
    assert now(exchange, made).status == "CANCELED"


def test_what_an_account_trades_triggers_too_and_one_order_the_next(
    exchange: PaperExchange, market: StaticMarket
) -> None:
    market.set_book("BTCUSDT", [("99", "1"), ("97", "1"), ("95", "1"), ("90", "9")], [("101", "100")])
    first = place(exchange, "SELL", "STOP_LOSS", "other", quantity="1", stop_price="98")
    second = place(exchange, "SELL", "STOP_LOSS", quantity="1", stop_price="96")
    idle = place(exchange, "SELL", "STOP_LOSS", quantity="1", stop_price="80")
    place(exchange, "SELL", "MARKET", quantity="2")  # at 99 and 97
    assert [each.price for each in now(exchange, first, "other").trades] == [D(95)]
    assert [each.price for each in now(exchange, second).trades] == [D(90)]
    assert now(exchange, idle).status == "NEW"


@pytest.mark.parametrize(
    ("side", "kind", "said", "code", "text"),
    [
        ("SELL", "STOP_LOSS", {"stop_price": "100"}, -2010, "Order would trigger immediately."),
        ("BUY", "STOP_LOSS", {"stop_price": "100"}, -2010, "Order would trigger immediately."),
        ("SELL", "TAKE_PROFIT", {"stop_price": "99"}, -2010, "Order would trigger immediately."),
        ("BUY", "TAKE_PROFIT", {"stop_price": "100.5"}, -2010, "Order would trigger immediately."),
        (
            "BUY",
            "STOP_LOSS",
            {},
            -1102,
            "Param 'stopPrice' or 'trailingDelta' must be sent, but both were empty/null!",
        ),
        ("BUY", "STOP_LOSS", {"stop_price": "105.001"}, -1013, "Filter failure: PRICE_FILTER"),
        ("BUY", "STOP_LOSS", {"stop_price": "105", "quantity": "0.001"}, -1013, "Filter failure: LOT_SIZE"),
        ("BUY", "STOP_LOSS", {"trailing_delta": 9}, -1013, "Filter failure: TRAILING_DELTA"),
        ("BUY", "STOP_LOSS", {"trailing_delta": 2001}, -1013, "Filter failure: TRAILING_DELTA"),
        ("SELL", "STOP_LOSS", {"trailing_delta": 19}, -1013, "Filter failure: TRAILING_DELTA"),
        ("SELL", "TAKE_PROFIT", {"trailing_delta": 2001}, -1013, "Filter failure: TRAILING_DELTA"),
        ("BUY", "TAKE_PROFIT", {"trailing_delta": 1001}, -1013, "Filter failure: TRAILING_DELTA"),
        ("BUY", "STOP_LOSS", {"trailing_delta": 0}, -1100, None),
        (
            "BUY",
            "STOP_LOSS",
            {"stop_price": "9000"},
            -2010,
            "Account has insufficient balance for requested action.",
        ),
    ],
)
def test_a_stop_order_that_cannot_be_is_refused(
    exchange: PaperExchange, side: str, kind: str, said: dict[str, Any], code: int, text: str | None
) -> None:
    found = refusal(exchange, side, kind, **({"quantity": "2"} | said))
    assert found == (code, text or found[1])


def test_so_many_orders_may_wait_and_those_that_were_triggered_do_not_count(
    exchange: PaperExchange, move: Callable[[str], None]
) -> None:
    place(exchange, "SELL", "STOP_LOSS_LIMIT", quantity="1", price="96", stop_price="95")
    place(exchange, "SELL", "STOP_LOSS", quantity="1", stop_price="90")
    wanted = {"quantity": "1", "stop_price": "91"}
    assert refusal(exchange, "SELL", "STOP_LOSS", **wanted) == (-1013, "Filter failure: MAX_NUM_ALGO_ORDERS")
    place(exchange, "SELL", "LIMIT", quantity="1", price="120")
    move("95")
    assert place(exchange, "SELL", "STOP_LOSS", **wanted).status == "NEW"


def test_a_buy_whose_lock_does_not_pay_the_market_expires(
    exchange: PaperExchange, move: Callable[[str], None]
) -> None:
    made = place(exchange, "BUY", "STOP_LOSS", quantity="95", stop_price="105")
    move("110")
    assert (now(exchange, made).status, now(exchange, made).expiry_reason) == ("EXPIRED", "EXCHANGE_CANCELED")
    assert exchange.balances("paper")["USDT"] == BalanceView(D(10_000), D(0))


@pytest.mark.parametrize(
    ("side", "kind", "stop", "path", "at"),
    [
        # each path ends where it triggers: 5% back from the best price since the stop, or since the order
        pytest.param("SELL", "STOP_LOSS", None, ("104", "98.81", "98.8"), 2, id="a sell without a stop"),
        pytest.param("BUY", "STOP_LOSS", None, ("90", "94.49", "94.5"), 2, id="a buy without a stop"),
        pytest.param("BUY", "STOP_LOSS", "110", ("90", "100", "110", "115", "115.5"), 4, id="a buy from its stop"),
        pytest.param("SELL", "TAKE_PROFIT", "105", ("80", "105", "120", "114"), 3, id="a sell from its stop"),
        pytest.param("BUY", "TAKE_PROFIT", "95", ("110", "94", "80", "83.99", "84"), 4, id="a buy below"),
    ],
)
def test_a_trailing_order_follows_the_price_and_turns_with_it(
    exchange: PaperExchange,
    move: Callable[[str], None],
    side: str,
    kind: str,
    stop: str | None,
    path: tuple[str, ...],
    at: int,
) -> None:
    said = {"quantity": "1", "trailing_delta": 500} | ({"stop_price": stop} if stop else {})
    made = place(exchange, side, kind, **said)
    for step, price in enumerate(path):
        move(price)
        exchange.balances("paper")
        assert (now(exchange, made).status == "FILLED") == (step == at), price


def test_a_stop_of_a_halted_symbol_waits_until_it_trades_again(
    exchange: PaperExchange, move: Callable[[str], None]
) -> None:
    made = place(exchange, "SELL", "STOP_LOSS", quantity="1", stop_price="95")
    resting = place(exchange, "BUY", "LIMIT", "other", quantity="1", price="98")
    exchange.set_status("BTCUSDT", "HALT")
    move("90")
    assert (now(exchange, made).status, now(exchange, resting, "other").status) == ("NEW", "NEW")
    exchange.set_status("BTCUSDT", None)
    assert (now(exchange, made).status, now(exchange, resting, "other").status) == ("FILLED", "FILLED")


# Icebergs


def test_an_iceberg_shows_a_part_and_stands_behind_the_others_with_the_next(
    exchange: PaperExchange, market: StaticMarket
) -> None:
    market.set_book("BTCUSDT", (), [("120", "1")])
    iceberg = place(exchange, "SELL", "LIMIT", quantity="5", price="100", iceberg_quantity="2")
    other = place(exchange, "SELL", "LIMIT", "other", quantity="3", price="100")
    assert iceberg.iceberg_quantity == D(2)
    assert exchange.depth("BTCUSDT").asks[0] == (D(100), D(5))
    exchange.open_account("taker")
    exchange.deposit("taker", "USDT", D(10_000), "money")

    def taken(quantity: str) -> list[tuple[Decimal, bool]]:
        made = place(exchange, "BUY", "MARKET", "taker", quantity=quantity)
        mine = {each.trade_id for each in exchange.trades("paper")}
        return [(each.quantity, each.trade_id in mine) for each in made.trades]

    assert taken("3") == [(D(2), True), (D(1), False)]
    assert exchange.depth("BTCUSDT").asks[0] == (D(100), D(4))
    assert taken("3") == [(D(2), False), (D(1), True)]
    assert exchange.depth("BTCUSDT").asks[0] == (D(100), D(1))
    assert taken("2") == [(D(1), True), (D(1), True)]
    assert (now(exchange, iceberg).status, now(exchange, other, "other").status) == ("FILLED", "FILLED")


def test_the_market_that_reaches_an_iceberg_takes_what_is_hidden_too(
    exchange: PaperExchange, move: Callable[[str], None]
) -> None:
    made = place(exchange, "BUY", "LIMIT", quantity="5", price="95", iceberg_quantity="2")
    assert exchange.depth("BTCUSDT").bids[1] == (D(95), D(2))
    move("93")
    assert (now(exchange, made).status, len(now(exchange, made).trades)) == ("FILLED", 1)


@pytest.mark.parametrize(
    ("said", "code", "text"),
    [
        ({"iceberg_quantity": "0.9"}, -1013, "Filter failure: ICEBERG_PARTS"),
        ({"iceberg_quantity": "0.001"}, -1013, "Filter failure: LOT_SIZE"),
        ({"iceberg_quantity": "5.01"}, -2010, "IcebergQty exceeds QTY."),
        ({"iceberg_quantity": "2", "time_in_force": "IOC"}, -1014, "Unsupported order combination."),
    ],
)
def test_an_iceberg_that_cannot_be_is_refused(
    exchange: PaperExchange, said: dict[str, str], code: int, text: str
) -> None:
    assert refusal(exchange, "BUY", "LIMIT", **({"quantity": "5", "price": "90"} | said)) == (code, text)


def test_so_many_icebergs_may_stand(exchange: PaperExchange) -> None:
    wanted = {"quantity": "5", "price": "90", "iceberg_quantity": "1"}
    place(exchange, "BUY", "LIMIT", **wanted)
    assert refusal(exchange, "BUY", "LIMIT", **wanted) == (-1013, "Filter failure: MAX_NUM_ICEBERG_ORDERS")
    place(exchange, "BUY", "LIMIT", quantity="5", price="90", iceberg_quantity="0")
