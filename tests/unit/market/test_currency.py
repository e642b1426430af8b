import pytest

from etf_trader.market.currency import CURRENCIES, how_to_deposit, meant


def test_what_swings_is_no_currency() -> None:
    assert {"USDT", "USDC", "FDUSD", "EUR"} <= set(CURRENCIES)
    assert not {"BTC", "ETH", "BNB"} & set(CURRENCIES)
    assert len(set(CURRENCIES)) == len(CURRENCIES)


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("FDUS", "did you mean FDUSD?"),
        ("usdc", "did you mean USDC?"),
        ("BTC", "for example USDT, USDC, FDUSD"),
        ("", "for example USDT, USDC, FDUSD"),
    ],
)
def test_the_nearest_is_offered_else_the_first_few(typed: str, hint: str) -> None:
    assert meant(typed, CURRENCIES) == hint


def test_few_are_all_named() -> None:
    assert meant("BTC", ["USDT", "EUR"]) == "one of USDT, EUR"


@pytest.mark.parametrize(
    ("currency", "typed"),
    [("USDT", "etf treasury deposit 1000000"), ("USDC", "etf treasury deposit 1000000 --asset USDC")],
)
def test_a_deposit_names_its_currency_where_it_is_not_the_usual(currency: str, typed: str) -> None:
    assert how_to_deposit(currency) == typed
