import pytest

from etf_trader.market.currency import CURRENCIES, meant


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
