"""Ids that never repeat, and seals that show a changed digit."""

import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_trader.market.symbol import Side
from etf_trader.orders.asset_order import Intent, OrderKind, client_order_id

D = Decimal


def make_intent(**changes: Any) -> Intent:
    values: dict[str, Any] = {
        "client_order_id": "etf-0123abcd-1-1",
        "asset": "A",
        "symbol": "AUSDT",
        "side": Side.BUY,
        "quantity": D("1.24"),
        "price": D("100.13"),
        "arrival_mid": D("100"),
        "mid": D("100.1"),
        "touch": D("100.11"),
    }
    return Intent(**(values | changes))


def test_a_client_order_id_names_the_life_of_the_database_the_order_and_the_sequence() -> None:
    assert client_order_id("0123abcd", 12, 345) == "etf-0123abcd-12-345"


def test_an_id_that_the_venue_would_refuse_is_a_bug() -> None:
    with pytest.raises(ValueError, match="too long"):
        client_order_id("0123abcd", 10**12, 10**12)


@given(st.integers(1, 10**9), st.integers(1, 10**9), st.integers(1, 10**9), st.integers(1, 10**9))
def test_ids_are_valid_at_the_venue_and_differ_with_order_or_sequence(
    order: int, sequence: int, other_order: int, other_sequence: int
) -> None:
    one, other = (
        client_order_id("0123abcd", order, sequence),
        client_order_id("0123abcd", other_order, other_sequence),
    )
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,36}", one)
    assert (one == other) is ((order, sequence) == (other_order, other_sequence))


CHANGES: dict[str, Any] = {
    "client_order_id": "etf-0123abcd-1-2",
    "asset": "B",
    "symbol": "BUSDT",
    "side": Side.SELL,
    "quantity": D("1.25"),
    "price": D("100.14"),
    "arrival_mid": D("100.01"),
    "mid": D("100.11"),
    "touch": D("100.12"),
    "kind": OrderKind.POST_ONLY,
}


@pytest.mark.parametrize("name", Intent.__slots__)
def test_everything_an_intent_says_is_in_its_seal(name: str) -> None:
    assert make_intent(**{name: CHANGES[name]}).seal(1, 1) != make_intent().seal(1, 1)


def test_the_seal_names_whose_it_is_and_not_how_decimals_are_spelt() -> None:
    assert make_intent().seal(1, 1) not in (make_intent().seal(2, 1), make_intent().seal(1, 2))
    assert make_intent(quantity=D("1.2400"), arrival_mid=D("1E+2")).seal(1, 1) == make_intent().seal(1, 1)
