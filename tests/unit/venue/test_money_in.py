from decimal import Decimal

import pytest

from etf_trader.venue.money_in import how_to_deposit, how_to_stop_burning


@pytest.mark.parametrize(
    ("asset", "environment", "typed"),
    [
        ("USDT", "paper", "etf treasury deposit 1000000"),
        ("USDC", "paper", "etf treasury deposit 1000000 --asset USDC"),
        ("BNB", "paper", "etf exchange deposit BNB 1000000"),
        ("USDT", "live", "send USDT to the account at Binance, then etf reconcile"),
        ("BNB", "local", "send BNB to the account at the local exchange, then etf reconcile"),
    ],
)
def test_what_brings_money_depends_on_where_orders_go(asset: str, environment: str, typed: str) -> None:
    assert how_to_deposit(asset, environment) == typed


def test_a_deposit_is_as_large_as_is_said() -> None:
    assert how_to_deposit("BNB", "paper", Decimal("2.50")) == "etf exchange deposit BNB 2.5"


def test_paying_fees_in_bnb_is_switched_off_where_it_was_switched_on() -> None:
    assert how_to_stop_burning("BNB", "paper") == "etf exchange account burn off"
    assert how_to_stop_burning("BNB", "demo") == "switch off paying fees in BNB at Binance"
