"""Balanced sets of postings, and the text that their chain is made of."""

import hashlib
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from etf_trader.ledger.transaction import LotAction, LotMove, Posting, Transaction, chain_hash, merged, transfer
from etf_trader.money import ZERO
from etf_trader.seal import canonical

D = Decimal
AT = datetime(2026, 1, 1, 12, tzinfo=UTC)


def make_transaction(**changes: Any) -> Transaction:
    """Five USDT from one account to another."""
    values: dict[str, Any] = {
        "key": "k",
        "kind": "deposit",
        "at": AT,
        "narration": "five",
        "postings": tuple(transfer("a", "b", "USDT", D(5))),
    }
    return Transaction(**(values | changes))


def test_a_transfer_takes_from_one_and_gives_to_the_other() -> None:
    assert transfer("a", "b", "USDT", D(5)) == [Posting("a", "USDT", D(-5)), Posting("b", "USDT", D(5))]


def test_what_does_not_balance_is_told_by_asset() -> None:
    lines = (
        Posting("a", "USDT", D(5)),
        Posting("b", "USDT", D(-4)),
        Posting("a", "BTC", D(1)),
        Posting("b", "BTC", D(-1)),
    )
    assert make_transaction(postings=lines).residual() == {"USDT": D(1)}


def test_postings_of_one_account_and_asset_are_merged_and_zeros_left_out() -> None:
    lines = [
        *transfer("a", "b", "USDT", D(5)),
        *transfer("b", "c", "USDT", D(5)),
        *transfer("a", "b", "BTC", ZERO),
    ]
    assert merged(lines) == (Posting("a", "USDT", D(-5)), Posting("c", "USDT", D(5)))


@given(
    st.lists(
        st.tuples(*[st.sampled_from("abcd")] * 2, st.sampled_from(("X", "Y")), st.decimals(-1000, 1000, places=8))
    )
)
def test_transfers_always_balance_and_merging_keeps_every_sum(
    moves: list[tuple[str, str, str, Decimal]],
) -> None:
    lines = [line for source, target, asset, amount in moves for line in transfer(source, target, asset, amount)]
    sums: dict[tuple[str, str], Decimal] = {}
    for line in lines:
        sums[line.account, line.asset] = sums.get((line.account, line.asset), ZERO) + line.amount
    made = make_transaction(postings=merged(lines))
    assert made.residual() == {}
    assert {(line.account, line.asset): line.amount for line in made.postings} == {
        key: amount for key, amount in sums.items() if amount
    }


def test_a_lot_move_comes_back_from_the_evidence() -> None:
    move = LotMove(LotAction.MOVE, "index:1", "A", D("0.1"), D(2), D("0.01"), "order:3", "hifo")
    assert LotMove.from_list([str(value) for value in move.as_list()]) == move


def hash_of(**changes: Any) -> str:
    values: dict[str, Any] = {
        "account_id": 1,
        "sequence": 2,
        "key": "k",
        "kind": "fill",
        "at": AT,
        "index_order_id": 3,
        "narration": "n",
        "evidence": "{}",
        "postings": [Posting("a", "USDT", D("-1.50")), Posting("b", "USDT", D("1.5"))],
        "previous": "0" * 64,
    }
    return chain_hash(**(values | changes))


def test_the_hash_does_not_depend_on_how_a_decimal_is_spelt() -> None:
    other = [Posting("a", "USDT", D("-1.5")), Posting("b", "USDT", D("15E-1"))]
    assert hash_of() == hash_of(postings=other)


@pytest.mark.parametrize(
    "changes",
    [
        {"account_id": 2},
        {"sequence": 3},
        {"key": "j"},
        {"kind": "deposit"},
        {"at": datetime(2026, 1, 1, 12, 0, 0, 1, tzinfo=UTC)},
        {"index_order_id": None},
        {"narration": "m"},
        {"evidence": "{ }"},
        {"postings": [Posting("a", "USDT", D("-1.5")), Posting("b", "USDT", D("1.50000001"))]},
        {"postings": [Posting("b", "USDT", D("1.5")), Posting("a", "USDT", D("-1.5"))]},
        {"previous": "1" * 64},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_everything_that_a_transaction_says_is_in_its_hash(changes: dict[str, Any]) -> None:
    assert hash_of(**changes) != hash_of()


_words = st.text(max_size=8)


@settings(max_examples=examples(50))
@given(
    st.lists(st.tuples(_words, _words, st.decimals(-1000, 1000, places=8))),
    _words,
    st.none() | st.integers(1),
    st.datetimes(AT.replace(tzinfo=None), AT.replace(year=2100, tzinfo=None), timezones=st.timezones()),
)
def test_the_chain_is_made_of_the_canonical_text(
    moves: list[tuple[str, str, Decimal]], word: str, order: int | None, at: datetime
) -> None:
    facts = {"account": 1, "at": at, "evidence": f'{{"{word}"}}', "key": word, "kind": "fill", "narration": word}
    facts |= {"order": order, "postings": [list(move) for move in moves], "previous": "0", "sequence": 7}
    made = chain_hash(
        account_id=1,
        sequence=7,
        key=word,
        kind="fill",
        at=at,
        index_order_id=order,
        narration=word,
        evidence=f'{{"{word}"}}',
        postings=[Posting(*move) for move in moves],
        previous="0",
    )
    assert made == hashlib.sha256(f"etf.chain/1\n{canonical(facts)}".encode()).hexdigest()
