"""Fees in BNB, by hand: how much, when, and that nothing is lost on the way."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select

from etf_trader.database import Database
from etf_trader.exchange import tables
from etf_trader.exchange.paper import ExchangeError, ExchangeSettings, OrderRequest, OrderView, PaperExchange
from etf_trader.exchange.static import StaticMarket, symbol_row
from etf_trader.money import ZERO, money_context

D = Decimal
_names = iter(f"order-{number}" for number in range(1_000_000))


@pytest.fixture
def market() -> StaticMarket:
    return StaticMarket(
        [
            symbol_row("BTCUSDT", "BTC", "USDT"),
            symbol_row("BNBUSDT", "BNB", "USDT"),
            symbol_row("ETHBTC", "ETH", "BTC", min_notional="0.01"),
            symbol_row("BTCEUR", "BTC", "EUR"),
            symbol_row("XRPTRY", "XRP", "TRY"),
        ],
        {
            "BTCUSDT": ((("99", "50"),), (("101", "50"),)),
            "BNBUSDT": ((("49", "50"),), (("51", "50"),)),
            "ETHBTC": ((("0.10", "50"),), (("0.12", "50"),)),
            "BTCEUR": ((("90", "50"),), (("100", "50"),)),
            "XRPTRY": ((("20", "50"),), (("21", "50"),)),
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
    made = PaperExchange.create(database, ExchangeSettings("stepped", "static", {}), market)
    made.open_account("other")
    for account in ("paper", "other"):
        for asset in ("USDT", "BTC", "EUR", "TRY"):
            made.deposit(account, asset, D(10_000), f"start-{asset}")
    made.deposit("paper", "BNB", D("0.01"), "bnb")
    return made


def place(exchange: PaperExchange, symbol: str, side: str, quantity: str, account: str = "paper") -> OrderView:
    return exchange.place(
        account,
        OrderRequest(symbol, side, "MARKET", None, D(quantity), None, next(_names), exchange.now()),
    )


def fee(order: OrderView) -> tuple[Decimal, str]:
    (trade,) = order.trades
    return trade.commission, trade.commission_asset


def test_at_first_fees_are_taken_from_what_is_received(exchange: PaperExchange) -> None:
    assert exchange.bnb_burn("paper") is False
    assert fee(place(exchange, "BTCUSDT", "BUY", "1")) == (D("0.001"), "BTC")


@pytest.mark.parametrize(
    ("symbol", "side", "quantity", "due"),
    [
        pytest.param("BTCUSDT", "BUY", "1", "0.001515", id="0.101 USDT at 50, less a quarter"),
        pytest.param("BTCUSDT", "SELL", "1", "0.001485", id="0.099 USDT"),
        pytest.param("BNBUSDT", "BUY", "1", "0.00075", id="of what is bought"),
        pytest.param("BNBUSDT", "BUY", "7", "0.00525", id="of what is bought and was not there before"),
        pytest.param("ETHBTC", "BUY", "1", "0.00018", id="0.00012 BTC, through USDT at 100"),
        pytest.param("BTCEUR", "SELL", "0.06", "0.00009", id="0.00006 BTC, which has a price in USDT"),
    ],
)
def test_with_burn_on_three_quarters_of_the_fee_are_due_in_bnb(
    exchange: PaperExchange, symbol: str, side: str, quantity: str, due: str
) -> None:
    exchange.set_bnb_burn("paper", True)
    assert exchange.bnb_burn("paper") is True
    before = exchange.balances("paper")["BNB"].free
    made = place(exchange, symbol, side, quantity)
    assert fee(made) == (D(due), "BNB")
    bought = D(quantity) if symbol == "BNBUSDT" else ZERO
    assert exchange.balances("paper")["BNB"].free == before + bought - D(due)


def test_where_bnb_does_not_suffice_the_whole_fee_is_taken_from_what_is_received(exchange: PaperExchange) -> None:
    exchange.set_bnb_burn("paper", True)
    assert fee(place(exchange, "BTCUSDT", "BUY", "6.6")) == (D("0.009999"), "BNB")
    assert fee(place(exchange, "BTCUSDT", "BUY", "1")) == (D("0.001"), "BTC")
    assert exchange.balances("paper")["BNB"].free == D("0.000001")


def test_each_fill_pays_by_itself(exchange: PaperExchange, market: StaticMarket) -> None:
    exchange.set_bnb_burn("paper", True)
    market.set_book("BTCUSDT", [("99", "50")], [("100", "6.6"), ("101", "5")])
    made = place(exchange, "BTCUSDT", "BUY", "8")
    assert [each.commission_asset for each in made.trades] == ["BNB", "BTC"]


def test_what_has_no_price_in_bnb_is_paid_in_what_is_received(exchange: PaperExchange) -> None:
    exchange.set_bnb_burn("paper", True)
    assert fee(place(exchange, "XRPTRY", "BUY", "1")) == (D("0.001"), "XRP")


def test_a_maker_that_burns_pays_in_bnb_and_the_taker_beside_it_does_not(exchange: PaperExchange) -> None:
    exchange.set_bnb_burn("paper", True)
    exchange.place(
        "paper",
        OrderRequest("BTCUSDT", "BUY", "LIMIT", "GTC", D(1), D(100), "resting", exchange.now()),
    )
    taker = place(exchange, "BTCUSDT", "SELL", "1", "other")
    assert fee(taker) == (D("0.1"), "USDT")
    assert fee(exchange.order("paper", "BTCUSDT", client_order_id="resting")) == (D("0.00075"), "BNB")


def test_burning_can_be_switched_off_again(exchange: PaperExchange) -> None:
    exchange.set_bnb_burn("paper", True)
    exchange.set_bnb_burn("paper", False)
    assert fee(place(exchange, "BTCUSDT", "BUY", "1"))[1] == "BTC"
    with pytest.raises(ExchangeError) as refused:
        exchange.set_bnb_burn("stranger", True)
    assert refused.value.code == -2015


def test_the_fees_account_has_every_fee_and_nothing_is_lost(exchange: PaperExchange, database: Database) -> None:
    place(exchange, "BTCUSDT", "BUY", "1")
    exchange.set_bnb_burn("paper", True)
    for symbol, side, quantity in (
        ("BTCUSDT", "SELL", "2"),
        ("BNBUSDT", "BUY", "1"),
        ("BNBUSDT", "SELL", "1"),
        ("ETHBTC", "BUY", "1"),
    ):
        place(exchange, symbol, side, quantity)
    with money_context(), database.read() as connection:
        balances = connection.execute(select(tables.balance)).all()
        transfers = connection.execute(select(tables.transfer)).all()
        trades = connection.execute(select(tables.trade)).all()
    for asset in ("BTC", "BNB", "USDT", "ETH"):
        held = sum((row.free + row.locked for row in balances if row.asset == asset), ZERO)
        assert held == sum((row.amount for row in transfers if row.asset == asset), ZERO)
        paid = sum((row.commission for row in trades if row.commission_asset == asset), ZERO)
        assert paid == sum((row.free for row in balances if (row.account, row.asset) == ("fees", asset)), ZERO)
    assert {row.commission_asset for row in trades} == {"BTC", "BNB"}
