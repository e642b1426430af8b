"""Transfers are numbered so that none is told twice; spans of time are cut without a gap."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_trader.venue.binance.history import deposit, numbered, spans, withdrawal
from etf_trader.venue.binance.standing import Standing, obstacle
from etf_trader.venue.interface import Transfer

D = Decimal
AT = datetime(2026, 3, 1, 12, 0, 5, 250_000, tzinfo=UTC)
DEPOSIT = {
    "id": "769800519366885376",
    "amount": "0.001",
    "coin": "BNB",
    "status": 1,
    "txId": "98A3EA560C6B3336D348B6C83F0F95ECE4F1F5919E94BD006E5BF3BF264FACFC",
    "insertTime": 1661493146000,
    "completeTime": 1661493147000,
}
WITHDRAWAL = {
    "id": "b6ae22b3aa844210a7041aee7589627c",
    "amount": "8.91000000",
    "transactionFee": "0.004",
    "coin": "USDT",
    "status": 6,
    "txId": "0xb5ef",
    "applyTime": "2019-10-12 11:12:02",
}


def test_a_deposit_counts_when_it_was_credited() -> None:
    found = deposit(DEPOSIT)
    assert found is not None
    assert (found.transfer_id, found.asset, found.amount) == (DEPOSIT["id"], "BNB", D("0.001"))
    assert found.at == datetime.fromtimestamp(1661493147, UTC)


@pytest.mark.parametrize("status", [0, 6, 7, 8])
def test_a_deposit_under_way_does_not_count(status: int) -> None:
    assert deposit(DEPOSIT | {"status": status}) is None


def test_a_withdrawal_takes_its_fee_with_it() -> None:
    found = withdrawal(WITHDRAWAL)
    assert found is not None
    assert (found.amount, found.asset) == (D("-8.914"), "USDT")
    assert found.at == datetime(2019, 10, 12, 11, 12, 2, tzinfo=UTC)


@pytest.mark.parametrize("status", [1, 3, 5])
def test_a_withdrawal_that_did_not_leave_does_not_count(status: int) -> None:
    assert withdrawal(WITHDRAWAL | {"status": status}) is None


transfers = st.lists(
    st.builds(
        Transfer,
        sequence=st.just(0),
        transfer_id=st.uuids().map(str),
        asset=st.just("USDT"),
        amount=st.sampled_from([D(1), D(-1)]),
        at=st.integers(0, 3000).map(lambda milliseconds: AT + timedelta(milliseconds=milliseconds)),
    ),
    max_size=30,
    unique_by=lambda transfer: transfer.transfer_id,
)


@given(transfers, st.randoms())
def test_numbers_ascend_and_do_not_depend_on_the_order_of_the_pages(found: list[Transfer], dice: object) -> None:
    ordered = numbered(found)
    numbers = [each.sequence for each in ordered]
    assert numbers == sorted(set(numbers))
    assert numbered(list(reversed(found))) == ordered
    assert {each.transfer_id for each in ordered} == {each.transfer_id for each in found}


def test_a_withdrawal_of_the_second_comes_after_what_was_credited_in_it() -> None:
    came = Transfer(0, "in", "USDT", D(1), AT)
    left = Transfer(0, "out", "USDT", D(-1), AT.replace(microsecond=0))
    assert [each.transfer_id for each in numbered([left, came])] == ["in", "out"]


moments = st.integers(0, 600_000).map(lambda milliseconds: AT + timedelta(milliseconds=milliseconds))


@given(moments, moments)
def test_spans_adjoin_and_whole_minutes_are_whole(first: datetime, last: datetime) -> None:
    parts = list(spans(first, last))
    if first >= last:
        assert parts == []
        return
    assert (parts[0][1], parts[-1][2]) == (first, last)
    assert all(before[2] == after[1] for before, after in pairwise(parts))
    for is_whole, since, until in parts:
        assert since < until
        if is_whole:
            assert (since.timestamp() % 60, until.timestamp() % 60) == (0, 0)
    assert sum((until - since for is_whole, since, until in parts if not is_whole), timedelta(0)) < timedelta(
        minutes=2
    )


GOOD = Standing("1", True, key_trades=True, key_withdraws=False, is_ip_restricted=True, pays_in_bnb=False)


@pytest.mark.parametrize("is_live", [True, False])
def test_an_account_in_order_may_be_traded_on(is_live: bool) -> None:
    assert obstacle(GOOD, is_live=is_live, allows_withdraw_key=False) is None
    assert obstacle(Standing("1", True), is_live=is_live, allows_withdraw_key=False) is None


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"can_trade": False}, "lets this account not trade"),
        ({"key_trades": False}, "may not trade"),
    ],
)
def test_what_keeps_an_account_from_being_traded_on_is_told(changes: dict[str, Any], sentence: str) -> None:
    found = obstacle(replace(GOOD, **changes), is_live=False, allows_withdraw_key=True)
    assert found is not None
    assert sentence in found.message
    assert found.hint


def test_a_key_that_may_withdraw_is_refused_live_unless_it_is_allowed() -> None:
    risky = replace(GOOD, key_withdraws=True)
    assert obstacle(risky, is_live=False, allows_withdraw_key=False) is None
    assert obstacle(risky, is_live=True, allows_withdraw_key=True) is None
    found = obstacle(risky, is_live=True, allows_withdraw_key=False)
    assert found is not None
    assert "may withdraw" in found.message
