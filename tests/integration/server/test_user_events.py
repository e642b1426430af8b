"""What happens to an account, in the shape of Binance's user data events."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.effort import examples

from etf_trader.database import Database
from etf_trader.exchange.paper import ExchangeError, ExchangeSettings, OrderRequest, PaperExchange
from etf_trader.exchange.server.parameters import milliseconds
from etf_trader.exchange.server.user_events import AccountNews, Event
from etf_trader.exchange.static import StaticMarket, symbol_row

D = Decimal
START = 1_767_225_600_000
BIDS = (("99", "1"), ("98", "2"), ("96", "4"))
ASKS = (("100", "1"), ("101", "2"), ("103", "4"))


@pytest.fixture
def market() -> StaticMarket:
    return make_market()


@pytest.fixture
def exchange(tmp_path: Path, market: StaticMarket) -> Iterator[PaperExchange]:
    made = make_exchange(tmp_path, market)
    yield made
    made.close()


@pytest.fixture
def news(exchange: PaperExchange) -> AccountNews:
    return AccountNews(exchange, "one", milliseconds)


def make_market() -> StaticMarket:
    symbols = [symbol_row("BTCUSDT", "BTC", "USDT"), symbol_row("ETHUSDT", "ETH", "USDT")]
    return StaticMarket(symbols, {"BTCUSDT": (BIDS, ASKS), "ETHUSDT": ((("9.90", "100"),), (("10.10", "100"),))})


def make_exchange(folder: Path, market: StaticMarket) -> PaperExchange:
    """Return an exchange on the stepped clock with two accounts of 1000 USDT and 10 BTC."""
    database = Database(f"sqlite:///{folder / 'exchange.db'}")
    settings = ExchangeSettings("stepped", "static", {})
    made = PaperExchange.create(database, settings, market, account="one", tape_ids=True)
    made.open_account("two")
    for account in ("one", "two"):
        made.deposit(account, "USDT", D(1000), "start")
        made.deposit(account, "BTC", D(10), "more")
    return made


def place(exchange: PaperExchange, side: str, quantity: str | None, price: str | None, **changes: Any) -> int:
    order: dict[str, Any] = {
        "symbol": "BTCUSDT",
        "side": side,
        "type": "LIMIT",
        "time_in_force": "GTC",
        "quantity": None if quantity is None else D(quantity),
        "price": None if price is None else D(price),
        "client_order_id": f"order-{exchange.last_report('one')}",
        "timestamp": exchange.now(),
    }
    account = changes.pop("account", "one")
    return exchange.place(account, OrderRequest(**(order | changes))).order_id


def told(events: list[Event]) -> list[str]:
    """Return the events in short: what happened and how the order stood, or which assets a position has."""
    return [
        f"{each['x']} {each['X']}"
        if each["e"] == "executionReport"
        else f"{each['a']} {each['d']}"
        if each["e"] == "balanceUpdate"
        else " ".join(row["a"] for row in each["B"])
        for each in events
    ]


def test_an_order_that_rests_is_new_with_every_field(exchange: PaperExchange, news: AccountNews) -> None:
    order = place(exchange, "BUY", "2", "95", client_order_id="mine")
    exchange.advance(1)
    report, position = news.events()
    assert report.pop("I") > 0
    assert report == {
        "e": "executionReport",
        "E": START + 1000,
        "s": "BTCUSDT",
        "c": "mine",
        "S": "BUY",
        "o": "LIMIT",
        "f": "GTC",
        "q": "2.00000000",
        "p": "95.00000000",
        "P": "0.00000000",
        "F": "0.00000000",
        "g": -1,
        "C": "",
        "x": "NEW",
        "X": "NEW",
        "r": "NONE",
        "i": order,
        "l": "0.00000000",
        "z": "0.00000000",
        "L": "0.00000000",
        "n": "0",
        "N": None,
        "T": START,
        "t": -1,
        "w": True,
        "m": False,
        "M": False,
        "O": START,
        "Z": "0.00000000",
        "Y": "0.00000000",
        "Q": "0.00000000",
        "W": START,
        "V": "EXPIRE_MAKER",
    }
    assert position == {
        "e": "outboundAccountPosition",
        "E": START + 1000,
        "u": START,
        "B": [
            {"a": "BTC", "f": "10.00000000", "l": "0.00000000"},
            {"a": "USDT", "f": "810.00000000", "l": "190.00000000"},
        ],
    }
    assert news.events() == []


def test_an_order_that_takes_is_new_then_trades_then_expires_then_one_position(
    exchange: PaperExchange, news: AccountNews
) -> None:
    place(exchange, "BUY", "4", "101", time_in_force="IOC")
    events = news.events()
    assert told(events) == [
        "NEW NEW",
        "TRADE PARTIALLY_FILLED",
        "TRADE PARTIALLY_FILLED",
        "EXPIRED EXPIRED",
        "BTC USDT",
    ]
    first, second, end = events[1:4]
    assert {name: second[name] for name in ("l", "L", "z", "Z", "Y", "n", "N", "m", "M", "w")} == {
        "l": "2.00000000",
        "L": "101.00000000",
        "z": "3.00000000",
        "Z": "302.00000000",
        "Y": "202.00000000",
        "n": "0.00200000",
        "N": "BTC",
        "m": False,
        "M": True,
        "w": True,
    }
    assert second["t"] == first["t"] + 1
    assert (end["w"], end["t"], end["l"], end["eR"]) == (False, -1, "0.00000000", "UNFILLED_IOC_QUANTITY_EXPIRED")
    assert "eR" not in first


def test_a_market_order_has_no_price_and_says_what_it_was_to_spend(
    exchange: PaperExchange, news: AccountNews
) -> None:
    place(exchange, "BUY", None, None, type="MARKET", time_in_force=None, quote_quantity=D(150))
    events = news.events()
    assert told(events) == ["NEW NEW", "TRADE PARTIALLY_FILLED", "TRADE FILLED", "BTC USDT"]
    assert {(each["o"], each["p"], each["Q"]) for each in events[:3]} == {("MARKET", "0.00000000", "150.00000000")}
    assert events[2]["w"] is False


def test_a_cancel_has_a_name_of_its_own_and_that_of_the_order(exchange: PaperExchange, news: AccountNews) -> None:
    order = place(exchange, "BUY", "2", "95", client_order_id="mine")
    exchange.cancel("one", "BTCUSDT", order_id=order, new_cancel_id="the-cancel")
    events = news.events()
    assert told(events) == ["NEW NEW", "CANCELED CANCELED", "BTC USDT"]
    assert [(each["c"], each["C"]) for each in events[:2]] == [("mine", ""), ("the-cancel", "mine")]


def test_a_resting_order_that_is_filled_is_told_as_maker_and_only_to_its_owner(
    exchange: PaperExchange, market: StaticMarket, news: AccountNews
) -> None:
    other = AccountNews(exchange, "two", milliseconds)
    place(exchange, "BUY", "2", "99.5")
    news.events()
    market.set_book("BTCUSDT", (("97", "1"),), (("99", "5"),))
    exchange.advance(3)
    report, position = news.events()
    assert told([report, position]) == ["TRADE FILLED", "BTC USDT"]
    assert (report["m"], report["L"], report["T"], report["O"]) == (True, "99.50000000", START + 3000, START)
    assert other.events() == []


def test_orders_of_one_look_come_one_by_one_each_with_its_position(
    exchange: PaperExchange, news: AccountNews
) -> None:
    place(exchange, "BUY", "1", "95")
    place(exchange, "BUY", "1", "10", symbol="ETHUSDT")
    assert told(news.events()) == ["NEW NEW", "BTC USDT", "NEW NEW", "ETH USDT"]


def test_a_stop_order_does_not_work_until_it_is_triggered(
    exchange: PaperExchange, market: StaticMarket, news: AccountNews
) -> None:
    place(exchange, "SELL", "1", "90", type="STOP_LOSS_LIMIT", stop_price=D(95))
    waiting, _ = news.events()
    assert (waiting["w"], waiting["P"], "W" in waiting) == (False, "95.00000000", False)
    market.set_book("BTCUSDT", (("94", "5"),), (("95", "5"),))
    place(exchange, "BUY", "0.1", "95", account="two", time_in_force="IOC")
    exchange.advance(1)
    events = news.events()
    assert told(events)[-2:] == ["TRADE FILLED", "BTC USDT"]
    assert events[0]["x"] == "NEW" and "W" in events[0]


def test_self_trade_prevention_tells_how_much_it_took(exchange: PaperExchange, news: AccountNews) -> None:
    place(exchange, "SELL", "0.5", "99.5", client_order_id="maker")
    place(exchange, "BUY", "0.2", "99.5", client_order_id="taker", self_trade_prevention="DECREMENT")
    place(exchange, "BUY", "0.1", "99.5", client_order_id="again", self_trade_prevention="DECREMENT")
    prevented = [each for each in news.events() if each.get("x") == "TRADE_PREVENTION"]
    assert [(each["c"], each["A"], each["B"], each["l"]) for each in prevented if each["c"] == "maker"] == [
        ("maker", "0.20000000", "0.20000000", "0.00000000"),
        ("maker", "0.30000000", "0.10000000", "0.00000000"),
    ]


def test_deposits_and_withdrawals_update_a_balance(exchange: PaperExchange, news: AccountNews) -> None:
    exchange.deposit("one", "ETH", D("1.5"), "in")
    exchange.deposit("one", "ETH", D("1.5"), "in")
    exchange.advance(1)
    exchange.withdraw("one", "USDT", D(40), "out")
    exchange.deposit("two", "USDT", D(1), "others")
    events = news.events()
    assert told(events) == ["ETH 1.50000000", "ETH", "USDT -40.00000000", "USDT"]
    assert events[0] == {
        "e": "balanceUpdate",
        "E": START + 1000,
        "a": "ETH",
        "d": "1.50000000",
        "T": START,
    }
    assert events[3]["B"] == [{"a": "USDT", "f": "960.00000000", "l": "0.00000000"}]


def test_what_happened_before_is_not_told(exchange: PaperExchange) -> None:
    place(exchange, "BUY", "2", "95")
    assert AccountNews(exchange, "one").events() == []


def test_a_symbol_that_was_delisted_still_tells_what_happened_in_it(
    exchange: PaperExchange, market: StaticMarket, news: AccountNews
) -> None:
    place(exchange, "BUY", "1", "10.10", symbol="ETHUSDT")
    market.delist("ETHUSDT")
    assert told(news.events()) == ["NEW NEW", "TRADE FILLED", "BTC ETH USDT"]


class Listener:
    """An account as somebody knows it who has heard its events and nothing else."""

    def __init__(self, balances: Mapping[str, tuple[Decimal, Decimal]]) -> None:
        self.balances = dict(balances)
        self.orders: dict[int, tuple[str, Decimal, Decimal]] = {}
        self.trades: list[tuple[int, Decimal, Decimal, Decimal, str]] = []

    def hear(self, event: Event) -> None:
        if event["e"] == "outboundAccountPosition":
            self.balances |= {row["a"]: (D(row["f"]), D(row["l"])) for row in event["B"]}
        elif event["e"] == "executionReport":
            self.orders[event["i"]] = event["X"], D(event["z"]), D(event["Z"])
            if event["x"] == "TRADE":
                self.trades.append((event["t"], D(event["L"]), D(event["l"]), D(event["n"]), event["N"]))


def held(exchange: PaperExchange) -> dict[str, tuple[Decimal, Decimal]]:
    return {asset: (view.free, view.locked) for asset, view in exchange.balances("one").items()}


steps = st.one_of(
    st.tuples(
        st.just("order"),
        st.sampled_from(["one", "two"]),
        st.sampled_from(["BUY", "SELL"]),
        st.integers(1, 40),
        st.integers(94, 104),
        st.sampled_from(["GTC", "GTC", "IOC", "FOK", "MARKET", "STOP"]),
        st.sampled_from(["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"]),
    ),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
    st.tuples(st.just("market"), st.integers(95, 104)),
    st.tuples(st.just("move"), st.integers(1, 30)),
    st.tuples(st.just("hear")),
)


@settings(max_examples=examples(25), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(steps, min_size=5, max_size=30))
def test_who_hears_the_events_knows_balances_orders_and_trades(
    tmp_path_factory: pytest.TempPathFactory, history: list[tuple[Any, ...]]
) -> None:
    market = make_market()
    exchange = make_exchange(tmp_path_factory.mktemp("events"), market)
    news, listener = AccountNews(exchange, "one"), Listener(held(exchange))
    for number, step in enumerate([*history, ("hear",)]):
        exchange.advance(1)
        try:
            act(exchange, market, number, step)
        except ExchangeError as refusal:
            assert refusal.code in (-1013, -2010, -2011, -1111), refusal
        if step[0] == "hear":
            for event in news.events():
                listener.hear(event)
            assert {asset: has for asset, has in listener.balances.items() if any(has)} == held(exchange)
            assert listener.orders == {
                each.order_id: (each.status, each.executed_quantity, each.cumulative_quote)
                for each in exchange.orders("one")
            }
            assert sorted(listener.trades) == sorted(
                (each.trade_id, each.price, each.quantity, each.commission, each.commission_asset)
                for each in exchange.trades("one")
            )
    exchange.close()


def act(exchange: PaperExchange, market: StaticMarket, number: int, step: tuple[Any, ...]) -> None:
    kind, *rest = step
    if kind == "order":
        account, side, lots, price, life, prevention = rest
        changes: dict[str, Any] = {"account": account, "self_trade_prevention": prevention}
        changes["client_order_id"] = f"n{number}"
        limit: str | None = str(price)
        if life == "MARKET":
            limit, changes = None, changes | {"type": "MARKET", "time_in_force": None}
        elif life == "STOP":
            kinds = {"BUY": "TAKE_PROFIT_LIMIT", "SELL": "STOP_LOSS_LIMIT"}
            changes |= {"type": kinds[side], "stop_price": D(price - 1)}
        else:
            changes["time_in_force"] = life
        place(exchange, side, str(D(lots) / 10), limit, **changes)
    elif kind == "cancel":
        if orders := exchange.open_orders("one"):
            order = orders[rest[0] % len(orders)]
            exchange.cancel("one", order.symbol, order_id=order.order_id)
    elif kind == "market":
        (middle,) = rest
        bids = [(str(middle - step), str(step)) for step in range(1, 4)]
        asks = [(str(middle + step), str(step)) for step in range(1, 4)]
        market.set_book("BTCUSDT", bids, asks)
    elif kind == "move":
        exchange.deposit("one", "USDT", D(rest[0]), f"t{number}")
