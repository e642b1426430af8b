"""The paper exchange on a database file: orders, balances, clock and limits, by hand."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select, update

from etf_trader import schema
from etf_trader.clock import SimulatedClock
from etf_trader.database import Database
from etf_trader.errors import ConfigError, NotFound, UsageError
from etf_trader.exchange import rules, tables, trading
from etf_trader.exchange.paper import (
    BalanceView,
    Depth,
    ExchangeError,
    ExchangeSettings,
    OrderRequest,
    OrderView,
    PaperExchange,
)
from etf_trader.exchange.parameters import ORDER_TYPES
from etf_trader.exchange.static import EPOCH, StaticMarket, symbol_row

D = Decimal
Levels = Sequence[tuple[str, str]]
SETTINGS = ExchangeSettings("stepped", "static", {"seed": 7})
BIDS: Levels = (("99", "1"), ("98", "2"), ("96", "4"))
ASKS: Levels = (("100", "1"), ("101", "2"), ("103", "4"))


@pytest.fixture
def market() -> StaticMarket:
    return StaticMarket(
        [
            symbol_row("BTCUSDT", "BTC", "USDT", max_orders="3"),
            symbol_row("ETHUSDT", "ETH", "USDT"),
            symbol_row("ETHBTC", "ETH", "BTC", min_notional="0.01"),
            symbol_row("OLDUSDT", "OLD", "USDT", status="BREAK"),
        ],
        {
            "BTCUSDT": (BIDS, ASKS),
            "ETHUSDT": ((("9.90", "100"),), (("10.10", "100"),)),
            "ETHBTC": ((("0.10", "50"),), (("0.11", "50"),)),
            "OLDUSDT": ((), ()),
        },
        maker=D("0.0005"),
        taker=D("0.001"),
    )


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path / 'exchange.db'}")
    yield made
    made.close()


@pytest.fixture
def exchange(database: Database, market: StaticMarket) -> PaperExchange:
    made = PaperExchange.create(database, SETTINGS, market)
    made.open_account("other")
    made.deposit("paper", "USDT", D(1000), "start")
    made.deposit("other", "BTC", D(10), "start")
    made.deposit("other", "USDT", D(1000), "more")
    return made


_names = iter(f"order-{number}" for number in range(1_000_000))


def request(exchange: PaperExchange, side: str, price: str, quantity: str, /, **changes: Any) -> OrderRequest:
    return replace(
        OrderRequest(
            symbol="BTCUSDT",
            side=side,
            type="LIMIT",
            time_in_force="IOC",
            quantity=D(quantity),
            price=D(price),
            client_order_id=next(_names),
            timestamp=exchange.now(),
        ),
        **changes,
    )


def place(
    exchange: PaperExchange, side: str, price: str, quantity: str, /, account: str = "paper", **changes: Any
) -> OrderView:
    return exchange.place(account, request(exchange, side, price, quantity, **changes))


def refusal(exchange: PaperExchange, side: str, price: str, quantity: str, /, **changes: Any) -> ExchangeError:
    with pytest.raises(ExchangeError) as refused:
        place(exchange, side, price, quantity, **changes)
    return refused.value


def levels(*pairs: tuple[str, str]) -> tuple[Depth, ...]:
    return tuple(Depth(D(price), D(quantity)) for price, quantity in pairs)


# Orders


def test_a_buy_takes_the_levels_and_pays_its_fee_in_what_it_receives(exchange: PaperExchange) -> None:
    made = place(exchange, "BUY", "101", "2")

    assert (made.status, made.executed_quantity, made.expiry_reason) == ("FILLED", D(2), None)
    assert made.cumulative_quote == D(201)
    assert [
        (each.trade_id, each.price, each.quantity, each.quote_quantity, each.commission, each.commission_asset)
        for each in made.trades
    ] == [(1, D(100), D(1), D(100), D("0.001"), "BTC"), (2, D(101), D(1), D(101), D("0.001"), "BTC")]
    assert not any(each.is_maker for each in made.trades)
    assert exchange.balances("paper") == {
        "BTC": BalanceView(D("1.998"), D(0)),
        "USDT": BalanceView(D(799), D(0)),
    }


def test_a_sell_pays_its_fee_in_quote(exchange: PaperExchange) -> None:
    made = place(exchange, "SELL", "98", "2", account="other")

    assert (made.cumulative_quote, made.status) == (D(197), "FILLED")
    assert [(each.commission, each.commission_asset) for each in made.trades] == [
        (D("0.099"), "USDT"),
        (D("0.098"), "USDT"),
    ]
    assert exchange.balances("other") == {
        "BTC": BalanceView(D(8), D(0)),
        "USDT": BalanceView(D("1196.803"), D(0)),
    }


def test_what_an_immediate_order_leaves_expires_and_its_fills_stay(exchange: PaperExchange) -> None:
    made = place(exchange, "BUY", "100", "3")

    assert (made.status, made.expiry_reason) == ("EXPIRED", "UNFILLED_IOC_QUANTITY_EXPIRED")
    assert made.executed_quantity == D(1)
    assert exchange.balances("paper")["USDT"] == BalanceView(D(900), D(0))
    assert exchange.open_orders("paper") == ()


def test_an_immediate_order_that_reaches_nothing_expires_whole(exchange: PaperExchange) -> None:
    before = exchange.depth("BTCUSDT")
    made = place(exchange, "BUY", "99.5", "3")

    assert (made.status, made.executed_quantity, made.trades) == ("EXPIRED", D(0), ())
    assert exchange.balances("paper") == {"USDT": BalanceView(D(1000), D(0))}
    assert exchange.depth("BTCUSDT") == before


def test_a_resting_order_locks_what_it_may_cost_and_stands_in_the_book(exchange: PaperExchange) -> None:
    made = place(exchange, "BUY", "99.5", "2", time_in_force="GTC")

    assert made.status == "NEW"
    assert exchange.balances("paper")["USDT"] == BalanceView(D(801), D(199))
    assert exchange.depth("BTCUSDT").bids[:2] == levels(("99.5", "2"), ("99", "1"))
    assert exchange.open_orders("paper") == (made,)
    assert exchange.open_orders("other") == ()


def test_the_rest_of_a_partly_filled_order_stays(exchange: PaperExchange) -> None:
    made = place(exchange, "BUY", "100", "3", time_in_force="GTC")

    assert (made.status, made.executed_quantity) == ("PARTIALLY_FILLED", D(1))
    assert exchange.balances("paper")["USDT"] == BalanceView(D(700), D(200))


def test_price_improvement_is_refunded(exchange: PaperExchange) -> None:
    place(exchange, "BUY", "110", "3", time_in_force="GTC")

    assert exchange.balances("paper")["USDT"] == BalanceView(D(1000 - 100 - 202), D(0))


def test_cancelling_gives_back_the_lock(exchange: PaperExchange) -> None:
    made = place(exchange, "BUY", "100", "3", time_in_force="GTC")
    ended = exchange.cancel("paper", "BTCUSDT", order_id=made.order_id)

    assert (ended.status, ended.executed_quantity, ended.trades) == ("CANCELED", D(1), made.trades)
    assert exchange.balances("paper")["USDT"] == BalanceView(D(900), D(0))
    assert exchange.order("paper", "BTCUSDT", client_order_id=made.client_order_id) == ended
    assert exchange.depth("BTCUSDT").bids == levels(*BIDS)


def test_accounts_trade_with_each_other_under_one_trade_id(exchange: PaperExchange) -> None:
    offer = place(exchange, "SELL", "99.5", "1", account="other", time_in_force="GTC")
    taken = place(exchange, "BUY", "100", "1.5")

    assert [(each.price, each.quantity) for each in taken.trades] == [(D("99.5"), D(1)), (D(100), D("0.5"))]
    (made,) = exchange.trades("other")
    assert (made.trade_id, made.is_maker, made.order_id) == (taken.trades[0].trade_id, True, offer.order_id)
    assert (made.commission, made.commission_asset) == (D("0.04975"), "USDT")
    assert taken.trades[0].commission == D("0.001")
    assert exchange.order("other", "BTCUSDT", order_id=offer.order_id).status == "FILLED"
    assert exchange.balances("other")["BTC"] == BalanceView(D(9), D(0))


def test_an_account_does_not_trade_with_itself(exchange: PaperExchange) -> None:
    offer = place(exchange, "SELL", "99.5", "1", account="other", time_in_force="GTC")
    taken = place(exchange, "BUY", "100", "1", account="other")

    assert [each.price for each in taken.trades] == [D(100)]
    ended = exchange.order("other", "BTCUSDT", order_id=offer.order_id)
    assert (ended.status, ended.executed_quantity) == ("EXPIRED_IN_MATCH", D(0))
    assert exchange.balances("other")["BTC"] == BalanceView(D("10.999"), D(0))


def test_an_order_that_must_not_take_rests_or_is_refused(exchange: PaperExchange, market: StaticMarket) -> None:
    def quote(side: str, price: str, quantity: str, **changes: Any) -> OrderView:
        return place(exchange, side, price, quantity, type="LIMIT_MAKER", time_in_force=None, **changes)

    made = quote("BUY", "99.5", "2")
    assert (made.status, made.type, made.time_in_force, made.trades) == ("NEW", "LIMIT_MAKER", "GTC", ())
    assert exchange.balances("paper")["USDT"] == BalanceView(D(801), D(199))
    counted = counts(exchange)

    with pytest.raises(ExchangeError, match=r"Order would immediately match and take\.") as refused:
        quote("SELL", "99.5", "1", account="other")
    assert refused.value.code == -2010
    assert exchange.order_counts("other")[0].count == 0
    assert counts(exchange) == counted

    market.set_book("BTCUSDT", BIDS, [("99.4", "0.5"), ("101", "1")])
    taken = exchange.order("paper", "BTCUSDT", order_id=made.order_id)
    assert (taken.status, taken.executed_quantity) == ("PARTIALLY_FILLED", D("0.5"))
    assert [(each.price, each.is_maker) for each in taken.trades] == [(D("99.5"), True)]


def test_an_order_that_must_fill_whole_does_or_expires_without_a_trade(exchange: PaperExchange) -> None:
    whole = place(exchange, "BUY", "101", "3", time_in_force="FOK")
    assert (whole.status, whole.executed_quantity, len(whole.trades)) == ("FILLED", D(3), 2)
    before, shown = exchange.balances("paper"), exchange.depth("BTCUSDT")
    more = place(exchange, "BUY", "103", "4.01", time_in_force="FOK")
    assert (more.status, more.expiry_reason) == ("EXPIRED", "UNFILLED_FOK_ORDER_EXPIRED")
    assert (more.executed_quantity, more.trades) == (D(0), ())
    assert (exchange.balances("paper"), exchange.depth("BTCUSDT")) == (before, shown)
    assert counts(exchange) == [1, 1]  # the fill gave its own back, the expiry nothing


@pytest.mark.parametrize(
    ("mode", "own", "taker", "locked"),
    [
        pytest.param(None, ("EXPIRED_IN_MATCH", "0", "2"), ("FILLED", "3", "0"), "0", id="the symbol's own mode"),
        pytest.param("EXPIRE_TAKER", ("NEW", "0", "0"), ("EXPIRED_IN_MATCH", "1", "2"), "2", id="taker"),
        pytest.param(
            "EXPIRE_BOTH", ("EXPIRED_IN_MATCH", "0", "2"), ("EXPIRED_IN_MATCH", "1", "2"), "0", id="both"
        ),
        pytest.param(
            "DECREMENT", ("EXPIRED_IN_MATCH", "0", "2"), ("EXPIRED_IN_MATCH", "1", "2"), "0", id="smaller"
        ),
    ],
)
def test_the_mode_of_the_taker_prevents_a_trade_with_itself(
    exchange: PaperExchange, mode: str | None, own: tuple[str, str, str], taker: tuple[str, str, str], locked: str
) -> None:
    """A sell of 2 at 100.5 stands behind the market's 1 at 100 when a buy of 3 up to 101 comes."""
    offer = place(exchange, "SELL", "100.5", "2", account="other", time_in_force="GTC")
    made = place(exchange, "BUY", "101", "3", account="other", self_trade_prevention=mode)
    offer = exchange.order("other", "BTCUSDT", order_id=offer.order_id)

    assert (offer.status, offer.executed_quantity, offer.prevented_quantity) == (own[0], D(own[1]), D(own[2]))
    assert (made.status, made.executed_quantity, made.prevented_quantity) == (taker[0], D(taker[1]), D(taker[2]))
    assert made.self_trade_prevention == mode or mode is None
    assert offer.self_trade_prevention == "EXPIRE_MAKER"
    balances = exchange.balances("other")
    assert balances["BTC"].locked == D(locked)
    assert balances["USDT"] == BalanceView(1000 - made.cumulative_quote, D(0))


def test_orders_that_shrank_go_on_with_what_is_left(exchange: PaperExchange, market: StaticMarket) -> None:
    offer = place(exchange, "SELL", "99.5", "3", account="other", time_in_force="GTC")
    made = place(exchange, "BUY", "99.5", "1", account="other", self_trade_prevention="DECREMENT")
    assert (made.status, made.prevented_quantity) == ("EXPIRED_IN_MATCH", D(1))
    (offer,) = exchange.open_orders("other")
    assert (offer.status, offer.quantity, offer.prevented_quantity) == ("NEW", D(3), D(1))
    assert exchange.depth("BTCUSDT").asks[0] == Depth(D("99.5"), D(2))
    assert exchange.balances("other")["BTC"] == BalanceView(D(8), D(2))

    market.set_book("BTCUSDT", [("99.5", "2")], ASKS)
    ended = exchange.order("other", "BTCUSDT", order_id=offer.order_id)
    assert (ended.status, ended.executed_quantity) == ("FILLED", D(2))
    assert exchange.balances("other")["BTC"] == BalanceView(D(8), D(0))


def test_an_order_fills_as_maker_when_the_market_comes_to_it(
    exchange: PaperExchange, market: StaticMarket
) -> None:
    made = place(exchange, "BUY", "99.5", "2", time_in_force="GTC")
    market.set_book("BTCUSDT", [("97", "1")], [("99", "1.5"), ("102", "1")])

    seen = exchange.depth("BTCUSDT")
    assert seen.bids == levels(("99.5", "0.5"), ("97", "1"))
    assert seen.asks == levels(("102", "1"))
    (filled,) = exchange.open_orders("paper")
    assert (filled.status, filled.executed_quantity) == ("PARTIALLY_FILLED", D("1.5"))
    (trade,) = filled.trades
    assert (trade.price, trade.is_maker, trade.commission) == (D("99.5"), True, D("0.00075"))
    assert exchange.balances("paper") == {
        "BTC": BalanceView(D("1.49925"), D(0)),
        "USDT": BalanceView(D(801), D("49.75")),
    }
    assert exchange.depth("BTCUSDT") == seen
    assert exchange.trades("paper", order_id=made.order_id) == (trade,)


def test_looking_at_books_writes_nothing(
    exchange: PaperExchange, market: StaticMarket, database: Database
) -> None:
    place(exchange, "BUY", "99.5", "2", time_in_force="GTC")
    market.set_book("BTCUSDT", BIDS, [("99", "1.5")])
    path = database.path
    assert path is not None
    before = path.read_bytes()

    exchange.depths(["BTCUSDT", "ETHUSDT"])
    exchange.exchange_info()
    exchange.order_counts("paper")

    assert path.read_bytes() == before


def test_an_order_that_filled_meanwhile_cannot_be_cancelled_and_keeps_its_fill(
    exchange: PaperExchange, market: StaticMarket
) -> None:
    made = place(exchange, "BUY", "99.5", "1", time_in_force="GTC")
    market.set_book("BTCUSDT", BIDS, [("99", "5")])
    with pytest.raises(ExchangeError, match=r"Unknown order sent\.") as refused:
        exchange.cancel("paper", "BTCUSDT", order_id=made.order_id)
    assert refused.value.code == -2011

    market.set_book("BTCUSDT", BIDS, ASKS)
    assert exchange.order("paper", "BTCUSDT", order_id=made.order_id).status == "FILLED"


def test_a_fill_in_another_symbol_pays_for_an_order(exchange: PaperExchange, market: StaticMarket) -> None:
    exchange.open_account("poor")
    exchange.deposit("poor", "BTC", D(1), "start")
    place(exchange, "SELL", "105", "1", account="poor", time_in_force="GTC")
    market.set_book("BTCUSDT", [("106", "1")], [("107", "1")])

    made = place(exchange, "BUY", "10.10", "10", account="poor", symbol="ETHUSDT")

    assert made.status == "FILLED"
    assert exchange.balances("poor") == {
        "ETH": BalanceView(D("9.99"), D(0)),
        "USDT": BalanceView(D("105") - D("0.0525") - D(101), D(0)),
    }


def test_what_is_taken_stays_taken_until_the_market_brings_it_back(
    exchange: PaperExchange, market: StaticMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(exchange, "BUY", "101", "2")
    assert exchange.depth("BTCUSDT").asks == levels(("101", "1"), ("103", "4"))
    asked = []

    def half(symbol: str, side: str, price: Decimal, quantity: Decimal, since: datetime, at: datetime) -> Decimal:
        asked.append((symbol, side, price, quantity, since, at))
        return quantity / 2

    monkeypatch.setattr(market, "still_consumed", half)
    later = exchange.advance(10)
    assert exchange.depth("BTCUSDT").asks == levels(("100", "0.5"), ("101", "1.5"), ("103", "4"))
    assert ("BTCUSDT", "ASK", D(100), D(1), EPOCH, later) in asked

    place(exchange, "BUY", "100", "0.5")
    monkeypatch.setattr(market, "still_consumed", lambda *given: given[3])
    assert exchange.depth("BTCUSDT").asks == levels(("101", "1"), ("103", "4"))


def test_levels_that_came_back_are_forgotten(
    exchange: PaperExchange, market: StaticMarket, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trading, "_MANY_LEVELS", 1)
    place(exchange, "BUY", "101", "2")
    exchange.advance(60)
    monkeypatch.setattr(market, "still_consumed", lambda *given: D(0))
    place(exchange, "SELL", "98", "0.5", account="other")
    with database.read() as connection:
        rows = connection.execute(select(tables.consumption)).all()
    assert [(row.side, row.price, row.quantity) for row in rows] == [("BID", D(99), D("0.5"))]


def test_update_ids_grow_with_the_market_and_with_accounts(exchange: PaperExchange, market: StaticMarket) -> None:
    seen = [exchange.depth("BTCUSDT").update_id]
    place(exchange, "BUY", "100", "0.5")
    seen.append(exchange.depth("BTCUSDT").update_id)
    made = place(exchange, "BUY", "90", "0.5", time_in_force="GTC")
    seen.append(exchange.depth("BTCUSDT").update_id)
    exchange.cancel("paper", "BTCUSDT", order_id=made.order_id)
    seen.append(exchange.depth("BTCUSDT").update_id)
    market.set_book("BTCUSDT", BIDS, ASKS)
    seen.append(exchange.depth("BTCUSDT").update_id)
    assert seen == sorted(set(seen))


def test_a_book_is_complete_only_when_nothing_is_cut(exchange: PaperExchange) -> None:
    assert exchange.depth("BTCUSDT").complete
    assert exchange.depth("BTCUSDT", 3).complete
    cut = exchange.depth("BTCUSDT", 2)
    assert not cut.complete
    assert (cut.bids, cut.asks) == (levels(*BIDS[:2]), levels(*ASKS[:2]))
    with pytest.raises(ExchangeError):
        exchange.depth("BTCUSDT", 0)


def test_a_window_of_a_deeper_book_is_never_complete(database: Database) -> None:
    shallow = StaticMarket([symbol_row("BTCUSDT", "BTC", "USDT")], {"BTCUSDT": (BIDS, ASKS)}, complete=False)
    assert not PaperExchange.create(database, SETTINGS, shallow).depth("BTCUSDT").complete


def test_depths_show_one_moment(exchange: PaperExchange) -> None:
    books = exchange.depths(["ETHUSDT", "BTCUSDT"])
    assert list(books) == ["ETHUSDT", "BTCUSDT"]
    assert {book.at for book in books.values()} == {EPOCH}
    assert books["BTCUSDT"] == exchange.depth("BTCUSDT")


# Refusals


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        ({"symbol": "NOPE"}, -1121, "Invalid symbol."),
        ({"symbol": "OLDUSDT"}, -2010, "Market is closed."),
        ({"type": "SLOW"}, -1116, "Invalid orderType."),
        ({"type": "MARKET"}, -1106, "Parameter 'timeInForce' sent when not required."),
        ({"time_in_force": "GTX"}, -1115, "Invalid timeInForce."),
        ({"type": "LIMIT_MAKER", "time_in_force": None}, -2010, "Order would immediately match and take."),
        (
            {"self_trade_prevention": "TRANSFER"},
            -1013,
            "This symbol does not allow the specified self-trade prevention mode.",
        ),
        ({"quantity": D("1.001")}, -1013, "Filter failure: LOT_SIZE"),
        ({"price": D("100.001")}, -1013, "Filter failure: PRICE_FILTER"),
        ({"price": D("498")}, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
        ({"quantity": D("0.04")}, -1013, "Filter failure: NOTIONAL"),
        ({"quantity": D("10.01")}, -2010, "Account has insufficient balance for requested action."),
        ({"account": "stranger"}, -2015, "Invalid API-key, IP, or permissions for action."),
        ({"account": "market"}, -2015, "Invalid API-key, IP, or permissions for action."),
        (
            {"timestamp": EPOCH - timedelta(seconds=6)},
            -1021,
            "Timestamp for this request is outside of the recvWindow.",
        ),
    ],
)
def test_a_refused_order_changes_nothing(
    exchange: PaperExchange, database: Database, changes: dict[str, Any], code: int, text: str
) -> None:
    path = database.path
    assert path is not None
    before = path.read_bytes()
    refused = refusal(exchange, "BUY", "100", "1", **changes)
    assert (refused.code, refused.message) == (code, text)
    assert path.read_bytes() == before


def test_a_client_order_id_is_unique_among_open_orders_only(exchange: PaperExchange) -> None:
    first = place(exchange, "BUY", "90", "1", time_in_force="GTC", client_order_id="same")
    refused = refusal(exchange, "BUY", "10", "1", symbol="ETHUSDT", client_order_id="same")
    assert (refused.code, refused.message) == (-2010, "Duplicate order sent.")
    place(exchange, "BUY", "90", "1", account="other", time_in_force="GTC", client_order_id="same")

    exchange.cancel("paper", "BTCUSDT", client_order_id="same")
    again = place(exchange, "BUY", "100", "1", client_order_id="same")
    assert again.order_id > first.order_id
    assert exchange.order("paper", "BTCUSDT", client_order_id="same") == again
    assert exchange.order("paper", "BTCUSDT", order_id=first.order_id).status == "CANCELED"


def test_only_so_many_orders_may_be_open(exchange: PaperExchange) -> None:
    for price in ("90", "91", "92"):
        place(exchange, "BUY", price, "1", time_in_force="GTC")
    assert refusal(exchange, "BUY", "93", "1").message == "Filter failure: MAX_NUM_ORDERS"
    exchange.cancel("paper", "BTCUSDT", order_id=1)
    assert place(exchange, "BUY", "93", "1", time_in_force="GTC").status == "NEW"


def test_a_locked_balance_buys_nothing_else(exchange: PaperExchange) -> None:
    place(exchange, "BUY", "90", "10", time_in_force="GTC")
    assert refusal(exchange, "BUY", "100", "1.01").code == -2010
    assert place(exchange, "BUY", "100", "1").status == "FILLED"


@pytest.mark.parametrize("name", [{"order_id": 77}, {"client_order_id": "nobody"}])
def test_unknown_orders_have_their_codes(exchange: PaperExchange, name: dict[str, Any]) -> None:
    with pytest.raises(ExchangeError, match=r"Order does not exist\.") as unknown:
        exchange.order("paper", "BTCUSDT", **name)
    assert unknown.value.code == -2013
    with pytest.raises(ExchangeError, match=r"Unknown order sent\.") as unknown:
        exchange.cancel("paper", "BTCUSDT", **name)
    assert unknown.value.code == -2011


def test_an_order_is_not_another_accounts_or_symbols(exchange: PaperExchange) -> None:
    made = place(exchange, "BUY", "90", "1", time_in_force="GTC")
    for account, symbol in (("other", "BTCUSDT"), ("paper", "ETHUSDT")):
        with pytest.raises(ExchangeError):
            exchange.order(account, symbol, order_id=made.order_id)
        with pytest.raises(ExchangeError):
            exchange.cancel(account, symbol, order_id=made.order_id)
    with pytest.raises(ExchangeError):
        exchange.cancel("paper", "BTCUSDT", order_id=made.order_id, client_order_id="another")
    with pytest.raises(ExchangeError) as refused:
        exchange.order("paper", "BTCUSDT")
    assert refused.value.code == -1102


# Lists


def test_orders_and_trades_are_listed_in_order(exchange: PaperExchange) -> None:
    first = place(exchange, "BUY", "100", "0.5")
    second = place(exchange, "BUY", "10.10", "1", symbol="ETHUSDT")
    third = place(exchange, "BUY", "101", "1")

    assert exchange.orders("paper") == (first, second, third)
    assert exchange.orders("paper", "BTCUSDT") == (first, third)
    assert exchange.orders("paper", from_order_id=second.order_id) == (second, third)
    assert exchange.trades("paper") == first.trades + second.trades + third.trades
    assert exchange.trades("paper", "BTCUSDT", from_id=2) == third.trades
    assert [each.trade_id for each in exchange.trades("paper", "BTCUSDT")] == [1, 2, 3]
    assert [each.trade_id for each in exchange.trades("paper", "ETHUSDT")] == [1]
    assert exchange.trades("other") == ()


def test_exchange_info_has_the_venues_shape(exchange: PaperExchange) -> None:
    info = exchange.exchange_info(["ETHUSDT"])
    assert info["timezone"] == "UTC"
    assert info["serverTime"] == 1_767_225_600_000
    assert [row["symbol"] for row in info["symbols"]] == ["ETHUSDT"]
    assert len(exchange.exchange_info()["symbols"]) == 4
    (row,) = info["symbols"]
    assert row["orderTypes"] == list(ORDER_TYPES)
    assert row["defaultSelfTradePreventionMode"] == "EXPIRE_MAKER"
    assert row["allowedSelfTradePreventionModes"] == ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"]
    assert exchange.fees("paper", "ETHUSDT") == (D("0.0005"), D("0.001"))
    with pytest.raises(ExchangeError, match=r"Invalid symbol\."):
        exchange.exchange_info(["ETHUSDT", "NOPE"])


# What happened


def told(exchange: PaperExchange, account: str = "paper", after: int = 0) -> list[tuple[Any, ...]]:
    return [
        (each.kind, each.order.order_id, each.order.status, str(each.order.executed_quantity))
        + ((each.trade.trade_id,) if each.trade is not None else ())
        for each in exchange.reports(account, after)
    ]


def test_everything_that_happens_to_an_order_is_told_as_the_order_stood_then(exchange: PaperExchange) -> None:
    assert exchange.last_report("paper") == 0
    made = place(exchange, "BUY", "101", "4")
    assert told(exchange) == [
        ("NEW", 1, "NEW", "0"),
        ("TRADE", 1, "PARTIALLY_FILLED", "1", 1),
        ("TRADE", 1, "PARTIALLY_FILLED", "3", 2),
        ("EXPIRED", 1, "EXPIRED", "3"),
    ]
    reports = exchange.reports("paper")
    assert [each.trade for each in reports if each.trade is not None] == list(made.trades)
    assert replace(reports[-1].order, trades=made.trades) == made
    assert [each.order.cumulative_quote for each in reports] == [0, D(100), D(302), D(302)]

    seen = exchange.last_report("paper")
    assert seen == reports[-1].sequence
    place(exchange, "BUY", "90", "1", time_in_force="GTC")
    exchange.cancel("paper", "BTCUSDT", order_id=2)
    assert told(exchange, after=seen) == [("NEW", 2, "NEW", "0"), ("CANCELED", 2, "CANCELED", "0")]
    assert told(exchange, "other") == []


def test_a_maker_is_told_of_what_others_and_the_market_do(exchange: PaperExchange, market: StaticMarket) -> None:
    place(exchange, "SELL", "99.5", "3", account="other", time_in_force="GTC")
    place(exchange, "BUY", "99.5", "1")
    market.set_book("BTCUSDT", [("99.5", "1.5")], ASKS)
    assert told(exchange, "other") == [
        ("NEW", 1, "NEW", "0"),
        ("TRADE", 1, "PARTIALLY_FILLED", "1", 1),
        ("TRADE", 1, "PARTIALLY_FILLED", "2.5", 2),
    ]
    assert [each.trade and each.trade.is_maker for each in exchange.reports("other")] == [None, True, True]
    assert told(exchange) == [("NEW", 2, "NEW", "0"), ("TRADE", 2, "FILLED", "1", 1)]


def test_prevented_trades_are_told_of_both_orders(exchange: PaperExchange) -> None:
    place(exchange, "SELL", "99.5", "1", account="other", time_in_force="GTC")
    place(exchange, "BUY", "100", "4", account="other", self_trade_prevention="DECREMENT")
    assert told(exchange, "other")[1:] == [
        ("NEW", 2, "NEW", "0"),
        ("TRADE_PREVENTION", 1, "EXPIRED_IN_MATCH", "0"),
        ("TRADE_PREVENTION", 2, "NEW", "0"),
        ("TRADE", 2, "PARTIALLY_FILLED", "1", 1),
        ("EXPIRED", 2, "EXPIRED", "1"),
    ]


# Order counts


def counts(exchange: PaperExchange, account: str = "paper") -> list[int]:
    return [each.count for each in exchange.order_counts(account)]


def test_accepted_orders_count_until_their_first_fill(exchange: PaperExchange) -> None:
    assert counts(exchange) == [0, 0]
    place(exchange, "BUY", "90", "1", time_in_force="GTC")
    place(exchange, "BUY", "90", "1")
    refusal(exchange, "BUY", "90", "100")
    assert counts(exchange) == [2, 2]
    place(exchange, "BUY", "100", "1")
    assert counts(exchange) == [2, 2]
    assert counts(exchange, "other") == [0, 0]


def test_counts_are_of_the_venues_window(exchange: PaperExchange) -> None:
    exchange.advance(8)
    place(exchange, "BUY", "90", "1")
    assert [each.resets_at for each in exchange.order_counts("paper")] == [
        EPOCH + timedelta(seconds=10),
        EPOCH + timedelta(days=1),
    ]
    exchange.advance(2)
    assert counts(exchange) == [0, 1]
    exchange.advance(86_400)
    assert counts(exchange) == [0, 0]


def test_a_fill_as_maker_gives_back_more(exchange: PaperExchange, market: StaticMarket) -> None:
    for _ in range(6):
        place(exchange, "BUY", "90", "1")
    place(exchange, "BUY", "99.5", "1", time_in_force="GTC")
    market.set_book("BTCUSDT", BIDS, [("99", "0.5")])
    exchange.advance(1)
    assert counts(exchange) == [2, 2]
    market.set_book("BTCUSDT", BIDS, [("99", "5")])
    exchange.advance(1)
    assert counts(exchange) == [2, 2]


def test_the_answer_to_an_order_carries_the_counts_after_it(exchange: PaperExchange) -> None:
    for price in ("90", "100", "90"):
        made = place(exchange, "BUY", price, "0.1")
        assert made.counts == exchange.order_counts("paper")
    assert [each.count for each in made.counts] == [2, 2]
    assert exchange.order("paper", "BTCUSDT", order_id=made.order_id).counts == ()


def test_a_fill_today_of_yesterdays_order_is_given_back_today(
    exchange: PaperExchange, market: StaticMarket
) -> None:
    place(exchange, "BUY", "99.5", "1", time_in_force="GTC")
    exchange.advance(86_400)
    for _ in range(7):
        place(exchange, "BUY", "90", "1")
    exchange.advance(60)
    assert counts(exchange) == [0, 7]
    market.set_book("BTCUSDT", BIDS, [("99", "1")])
    exchange.advance(1)
    assert counts(exchange) == [0, 2]


def test_at_the_limit_of_the_day_no_count_rises_any_more(exchange: PaperExchange, database: Database) -> None:
    place(exchange, "BUY", "90", "1")
    table = tables.order_count
    with database.write() as connection:
        connection.execute(update(table).where(table.c.seconds == 86_400).values(count=200_000))
    exchange.advance(12)
    refused = refusal(exchange, "BUY", "90", "1")
    assert (refused.code, refused.retry_after) == (-1015, 86_388)
    assert refused.message == "Too many new orders; current limit is 200000 orders per DAY."
    assert counts(exchange) == [0, 200_000]


DELAYED = replace(SETTINGS, credit_delay=800)


@pytest.fixture
def delayed(database: Database, market: StaticMarket) -> PaperExchange:
    made = PaperExchange.create(database, DELAYED, market)
    made.deposit("paper", "USDT", D(1000), "start")
    return made


def test_a_count_given_back_shows_once_its_delay_has_passed(delayed: PaperExchange, database: Database) -> None:
    place(delayed, "BUY", "90", "1")
    for number in range(5):
        delay = rules.credit_delay(800, 7, number + 2).total_seconds()
        assert 0 < delay <= 0.8
        assert [each.count for each in place(delayed, "BUY", "101", "0.1").counts] == [2, 2]
        delayed.advance(D(str(delay)) - D("0.001"))
        assert counts(delayed) == [2, 2]
        delayed.advance(D("0.001"))
        assert counts(delayed) == [1, 1] == counts(delayed)
    place(delayed, "BUY", "90", "1")
    with database.read() as connection:
        assert connection.execute(select(tables.credit)).all() == []
    assert counts(delayed) == [2, 2]


def test_a_late_credit_counts_in_the_window_in_which_it_shows(delayed: PaperExchange) -> None:
    delayed.advance(D("9.99"))
    place(delayed, "BUY", "100", "0.1")
    delayed.advance(D("0.01"))
    place(delayed, "BUY", "90", "1")
    assert counts(delayed) == [1, 2]
    delayed.advance(1)
    assert counts(delayed) == [0, 1]
    place(delayed, "BUY", "90", "1")
    assert counts(delayed) == [1, 2]


def test_a_credit_of_a_window_that_is_over_counts_for_the_day_alone(delayed: PaperExchange) -> None:
    place(delayed, "BUY", "90", "1")
    place(delayed, "BUY", "100", "0.1")
    delayed.advance(20)
    assert counts(delayed) == [0, 1]
    place(delayed, "BUY", "90", "1")
    assert counts(delayed) == [1, 2]


def test_a_maker_that_the_market_reaches_gives_back_five_later(
    delayed: PaperExchange, market: StaticMarket
) -> None:
    for _ in range(6):
        place(delayed, "BUY", "90", "1")
    place(delayed, "BUY", "99.5", "1", time_in_force="GTC")
    market.set_book("BTCUSDT", BIDS, [("99", "0.5")])
    assert len(delayed.trades("paper")) == 1
    assert counts(delayed) == [7, 7]
    delayed.advance(1)
    assert counts(delayed) == [2, 2]


def test_a_full_window_takes_an_order_again_when_a_credit_shows(delayed: PaperExchange) -> None:
    place(delayed, "BUY", "100", "0.1")
    for _ in range(99):
        place(delayed, "BUY", "90", "1")
    assert refusal(delayed, "BUY", "90", "1").code == -1015
    delayed.advance(1)
    assert [each.count for each in place(delayed, "BUY", "90", "1").counts] == [100, 100]
    assert refusal(delayed, "BUY", "90", "1").code == -1015


def test_beyond_the_limit_an_order_has_to_wait(exchange: PaperExchange) -> None:
    exchange.advance(3)
    for _ in range(100):
        place(exchange, "BUY", "90", "1")
    refused = refusal(exchange, "BUY", "90", "1")
    assert (refused.code, refused.http_status, refused.retry_after) == (-1015, 429, 7)
    exchange.advance(7)
    assert place(exchange, "BUY", "90", "1").status == "EXPIRED"
    assert counts(exchange) == [1, 101]


# Money


def test_a_transfer_happens_once(exchange: PaperExchange) -> None:
    first = exchange.deposit("paper", "USDT", D("0.5"), "again")
    assert exchange.deposit("paper", "USDT", D("0.50"), "again") == first
    assert exchange.balances("paper")["USDT"].free == D("1000.5")
    with pytest.raises(UsageError, match=r"deposit of 0\.5 USDT already"):
        exchange.deposit("paper", "USDT", D("0.6"), "again")
    with pytest.raises(UsageError, match="already"):
        exchange.withdraw("paper", "USDT", D("0.5"), "again")
    assert [each.transfer_id for each in exchange.transfers("paper")] == ["start", "again"]
    assert exchange.transfers("paper", after=first.sequence) == ()


def test_only_what_is_free_can_be_withdrawn(exchange: PaperExchange) -> None:
    place(exchange, "BUY", "90", "10", time_in_force="GTC")
    with pytest.raises(UsageError, match="only 100 USDT free"):
        exchange.withdraw("paper", "USDT", D(101), "out")
    moved = exchange.withdraw("paper", "USDT", D(100), "out")
    assert (moved.kind, moved.amount) == ("withdrawal", D(100))
    assert exchange.balances("paper")["USDT"] == BalanceView(D(0), D(900))


@pytest.mark.parametrize(
    ("asset", "amount", "transfer_id"),
    [
        ("USDT", "0", "x"),
        ("USDT", "-1", "x"),
        ("USDT", "NaN", "x"),
        ("USDT", "Infinity", "x"),
        ("USDT", "0.000000001", "x"),
        ("DOGE", "1", "x"),
        ("USDT", "1", ""),
        ("USDT", "1", "x" * 129),
    ],
)
def test_transfers_that_cannot_be_are_refused(
    exchange: PaperExchange, asset: str, amount: str, transfer_id: str
) -> None:
    with pytest.raises(UsageError):
        exchange.deposit("paper", asset, D(amount), transfer_id)
    assert len(exchange.transfers("paper")) == 1


def test_a_transfer_needs_an_account(exchange: PaperExchange) -> None:
    with pytest.raises(NotFound):
        exchange.deposit("stranger", "USDT", D(1), "x")
    with pytest.raises(NotFound):
        exchange.deposit("fees", "USDT", D(1), "x")


@pytest.mark.parametrize("name", ["market", "fees", "", "a b", "x" * 65])
def test_some_names_are_no_accounts(exchange: PaperExchange, name: str) -> None:
    with pytest.raises(UsageError):
        exchange.open_account(name)


# Time


def test_a_stepped_clock_stands_in_the_database(
    exchange: PaperExchange, database: Database, market: StaticMarket
) -> None:
    assert exchange.now() == EPOCH
    assert exchange.advance(D("1.5")) == EPOCH + timedelta(seconds=1.5)
    assert PaperExchange.open(database, lambda *_: market).now() == EPOCH + timedelta(seconds=1.5)
    assert place(exchange, "BUY", "100", "1").at == EPOCH + timedelta(seconds=1.5)
    assert not exchange.finished()


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), 1e12])
def test_the_clock_moves_forward_only(exchange: PaperExchange, seconds: float) -> None:
    with pytest.raises(UsageError):
        exchange.advance(seconds)
    assert exchange.now() == EPOCH


def test_a_wall_clock_is_not_moved_by_hand(database: Database, market: StaticMarket) -> None:
    clock = SimulatedClock(datetime(2026, 5, 5, tzinfo=UTC))
    made = PaperExchange.create(database, ExchangeSettings("wall", "static", {}), market, clock=clock)
    with pytest.raises(UsageError, match="wall clock"):
        made.advance(1)
    clock.advance(timedelta(seconds=5))
    assert made.now() == datetime(2026, 5, 5, 0, 0, 5, tzinfo=UTC)
    made.deposit("paper", "USDT", D(1000), "start")
    assert place(made, "BUY", "100", "1").at == made.now()


# Making and opening


def test_making_it_again_finds_it(exchange: PaperExchange, database: Database, market: StaticMarket) -> None:
    exchange.advance(5)
    again = PaperExchange.create(database, SETTINGS, market)
    assert (again.era, again.now()) == (exchange.era, exchange.now())
    assert again.balances("paper") == exchange.balances("paper")
    assert PaperExchange.settings(database) == SETTINGS


@pytest.mark.parametrize(
    "changes",
    [{"clock": "wall"}, {"market": "model"}, {"parameters": {"seed": 8}}, {"start": EPOCH}, {"credit_delay": 1}],
    ids=["clock", "market", "parameters", "start", "credit delay"],
)
def test_other_settings_are_another_exchange(
    exchange: PaperExchange, database: Database, market: StaticMarket, changes: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match="other settings"):
        PaperExchange.create(database, replace(SETTINGS, **changes), market)


def test_a_stepped_clock_can_start_anywhere(database: Database, market: StaticMarket) -> None:
    start = datetime(2025, 1, 1, tzinfo=UTC)
    made = PaperExchange.create(database, replace(SETTINGS, start=start), market)
    assert made.now() == start
    assert PaperExchange.settings(database).start == start


def test_opening_makes_the_market_from_what_is_stored(
    exchange: PaperExchange, database: Database, market: StaticMarket
) -> None:
    asked = []

    def factory(kind: str, parameters: Any) -> StaticMarket:
        asked.append((kind, parameters))
        return market

    assert PaperExchange.open(database, factory).era == exchange.era
    assert asked == [("static", {"seed": 7})]


def test_an_order_in_a_symbol_that_the_market_drops_stands_still_and_all_else_goes_on(
    exchange: PaperExchange, market: StaticMarket
) -> None:
    place(exchange, "BUY", "95", "1", time_in_force="GTC")
    left = place(exchange, "BUY", "9", "10", time_in_force="GTC", symbol="ETHUSDT")
    market.delist("ETHUSDT")
    assert [each.kind for each in exchange.reports("paper")] == ["NEW", "NEW"]
    market.set_book("BTCUSDT", [("90", "1")], [("94", "5")])
    market.set_book("ETHUSDT", [("7", "1")], [("8", "50")])
    exchange.advance(1)
    assert exchange.balances("paper")["USDT"] == BalanceView(D(815), D(90))
    assert [each.order_id for each in exchange.open_orders("paper")] == [left.order_id]
    assert refusal(exchange, "BUY", "100", "90").code == -2010  # looks for money in every open order


def test_there_is_nothing_to_open(tmp_path: Path, market: StaticMarket) -> None:
    missing = Database(f"sqlite:///{tmp_path / 'none.db'}")
    with pytest.raises(ConfigError):
        PaperExchange.open(missing, lambda *_: market)
    assert not (tmp_path / "none.db").exists()
    schema.upgrade(missing, "exchange")
    with pytest.raises(ConfigError, match="no exchange in it"):
        PaperExchange.settings(missing)
    missing.close()


def test_settings_that_cannot_be(database: Database, market: StaticMarket) -> None:
    with pytest.raises(UsageError, match="no such clock"):
        PaperExchange.create(database, replace(SETTINGS, clock="sun"), market)
    with pytest.raises(UsageError, match="5 ms before its fill"):
        PaperExchange.create(database, replace(SETTINGS, credit_delay=-5), market)
    with pytest.raises(UsageError, match="stepped clock only"):
        PaperExchange.create(database, replace(SETTINGS, clock="wall", market="recording"), market)
    path = database.path
    assert path is not None
    assert not path.exists()


def test_the_migrations_make_the_tables(exchange: PaperExchange, database: Database) -> None:
    with database.read() as connection:
        context = MigrationContext.configure(connection)
        differences = compare_metadata(context, tables.metadata)
    assert [each[1].name for each in differences] == ["orders_client_open"]  # partial: in the migration alone
