"""What each movement of the books looks like; every one of them balances."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_trader.errors import LedgerError
from etf_trader.ledger.booking import (
    baskets,
    closing,
    creation,
    deposit,
    fill_booking,
    funding,
    redemption,
    redemption_settlement,
    release,
    reservation,
    withdrawal,
)
from etf_trader.ledger.fill import Fill, Part
from etf_trader.ledger.lots import LotBook
from etf_trader.ledger.parties import Parties
from etf_trader.ledger.transaction import LotAction, LotMove, Transaction
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO

D = Decimal
AT = datetime(2026, 1, 1, tzinfo=UTC)
PARTIES = Parties(order_id=3, index_id=1, position_id=2, holder="self", quote="USDT", lot_method="fifo")


def make_fill(side: Side = Side.BUY, **changes: Any) -> Fill:
    values: dict[str, Any] = {
        "account_id": 1,
        "era": "e",
        "symbol": "AUSDT",
        "venue_order_id": 5,
        "trade_id": 6,
        "asset_order_id": 7,
        "side": side,
        "price": D(100),
        "quantity": D(2),
        "value": D(200),
        "fee": D("0.002") if side is Side.BUY else D("0.2"),
        "fee_asset": "A" if side is Side.BUY else "USDT",
        "is_maker": False,
        "at": AT,
    }
    return Fill(**(values | changes))


def booked_fill(fill: Fill) -> Transaction:
    """A fill that is all one order's."""
    return fill_booking(fill, [(PARTIES, Part(3, fill.quantity, fill.value, fill.fee))], "A")


def test_a_fill_made_for_two_orders_is_one_transaction_in_parts() -> None:
    other = Parties(order_id=4, index_id=2, position_id=5, holder="b", quote="USDT", lot_method="fifo")
    parts = [(PARTIES, Part(3, D("1.5"), D(150), D("0.0015"))), (other, Part(4, D("0.5"), D(50), D("0.0005")))]
    booked = fill_booking(make_fill(), parts, "A")
    assert lines(booked) == {
        ("market", "A"): -2,
        ("order:3", "A"): D("1.4985"),
        ("order:3", "USDT"): -150,
        ("order:4", "A"): D("0.4995"),
        ("order:4", "USDT"): -50,
        ("market", "USDT"): 200,
        ("venue_fees", "A"): D("0.002"),
    }
    assert [(move.account, move.quantity, move.amount) for move in booked.lot_moves] == [
        ("order:3", D("1.4985"), D(150)),
        ("order:4", D("0.4995"), D(50)),
    ]
    assert booked.index_order_id is None


def test_what_is_paid_in_another_currency_costs_what_that_was_worth_at_arrival() -> None:
    parties = replace(PARTIES, rates={"USDC": D("0.999")})
    fill = make_fill(symbol="AUSDC")
    booked = fill_booking(fill, [(parties, Part(3, fill.quantity, fill.value, fill.fee))], "A")
    assert lines(booked)["order:3", "USDC"] == -200
    (move,) = booked.lot_moves
    assert (move.quantity, move.amount) == (D("1.998"), D("199.8"))
    sold = make_fill(Side.SELL, symbol="AUSDC", fee_asset="USDC")
    (move,) = fill_booking(sold, [(parties, Part(3, sold.quantity, sold.value, sold.fee))], "A").lot_moves
    assert (move.amount, move.fee) == (D("199.8") - D("0.1998"), D("0.1998"))


def test_a_trade_between_currencies_is_cash_for_cash() -> None:
    parties = replace(PARTIES, rates={"USDC": D("0.999")})
    fill = make_fill(symbol="USDCUSDT", price=D(1), quantity=D(100), value=D(100), fee=D("0.1"), fee_asset="USDC")
    booked = fill_booking(fill, [(parties, Part(3, D(100), D(100), D("0.1")))], "USDC")
    assert lines(booked) == {
        ("market", "USDC"): -100,
        ("order:3", "USDC"): D("99.9"),
        ("order:3", "USDT"): -100,
        ("market", "USDT"): 100,
        ("venue_fees", "USDC"): D("0.1"),
    }
    assert booked.lot_moves == ()


def book_of(*lots: tuple[str, str, str, str]) -> LotBook:
    """Lots as (account, asset, quantity, cost)."""
    book = LotBook()
    for account, asset, quantity, cost in lots:
        book.apply(LotMove(LotAction.ACQUIRE, account, asset, D(quantity), D(cost)), AT, 0)
    return book


def lines(transaction: Transaction) -> dict[tuple[str, str], Decimal]:
    assert transaction.residual() == {}
    return {(posting.account, posting.asset): posting.amount for posting in transaction.postings}


def test_money_in_and_out_and_beside_the_units() -> None:
    paid = deposit("self", "USDT", D(5), key="k", at=AT)
    assert lines(paid) == {("capital:self", "USDT"): -5, ("treasury:self", "USDT"): 5}
    taken = withdrawal("self", "USDT", D(5), key="k", at=AT)
    assert lines(taken) == {("treasury:self", "USDT"): -5, ("capital:self", "USDT"): 5}
    given = funding("self", 1, "USDT", D(-5), key="k", at=AT)
    assert lines(given) == {("treasury:self", "USDT"): 5, ("float:1", "USDT"): -5}


def test_a_buy_reserves_cash_and_a_sell_units() -> None:
    assert lines(reservation(PARTIES, {"USDT": D(5)}, at=AT)) == {
        ("treasury:self", "USDT"): -5,
        ("order:3", "USDT"): 5,
    }
    assert lines(reservation(PARTIES, {"unit:1": D(5)}, at=AT)) == {
        ("position:2", "unit:1"): -5,
        ("order:3", "unit:1"): 5,
    }


def test_what_is_left_returns_and_nothing_left_is_no_line() -> None:
    cash = release(PARTIES, {"USDT": D(3), "USDC": D("0.4"), "unit:1": ZERO}, at=AT)
    assert lines(cash) == {
        ("order:3", "USDT"): -3,
        ("treasury:self", "USDT"): 3,
        ("order:3", "USDC"): D("-0.4"),
        ("treasury:self", "USDC"): D("0.4"),
    }
    units = release(PARTIES, {"USDT": ZERO, "unit:1": D(2)}, at=AT)
    assert lines(units) == {("order:3", "unit:1"): -2, ("position:2", "unit:1"): 2}


def test_a_buy_brings_its_quantity_less_the_fee_at_the_cash_paid() -> None:
    booked = booked_fill(make_fill())
    assert lines(booked) == {
        ("market", "A"): D(-2),
        ("order:3", "A"): D("1.998"),
        ("order:3", "USDT"): D(-200),
        ("market", "USDT"): D(200),
        ("venue_fees", "A"): D("0.002"),
    }
    assert booked.lot_moves == (LotMove(LotAction.ACQUIRE, "order:3", "A", D("1.998"), D(200)),)


def test_a_sell_brings_cash_less_the_fee() -> None:
    booked = booked_fill(make_fill(Side.SELL))
    assert lines(booked) == {
        ("market", "A"): D(2),
        ("order:3", "A"): D(-2),
        ("order:3", "USDT"): D("199.8"),
        ("market", "USDT"): D(-200),
        ("venue_fees", "USDT"): D("0.2"),
    }
    assert booked.lot_moves == (LotMove(LotAction.DISPOSE, "order:3", "A", D(2), D("199.8"), fee=D("0.2")),)


def test_a_buy_whose_fee_was_taken_in_quote_costs_it_on_top() -> None:
    (move,) = booked_fill(make_fill(fee=D("0.2"), fee_asset="USDT")).lot_moves
    assert (move.quantity, move.amount) == (D(2), D("200.2"))


def test_a_fee_in_a_third_asset_is_not_booked_before_its_worth_is_known() -> None:
    with pytest.raises(LedgerError, match="the fee of trade 6 was taken in BNB"):
        booked_fill(make_fill(fee_asset="BNB"))


@given(
    side=st.sampled_from(Side),
    fee=st.decimals("0.00000001", "1", places=8),
    worth=st.decimals("0", "900", places=10),
    share=st.integers(0, 200),
)
def test_a_fee_in_bnb_leaves_the_inventory_and_its_worth_comes_in(
    side: Side, fee: Decimal, worth: Decimal, share: int
) -> None:
    fill = make_fill(side, fee=fee, fee_asset="BNB", fee_value=worth)
    first = Part(3, D(share) / 100, D(share), fee * share / 200, worth * share / 200)
    rest = Part(
        4, fill.quantity - first.quantity, fill.value - first.value, fee - first.fee, worth - D(first[4] or 0)
    )
    other = replace(PARTIES, order_id=4)
    booked = fill_booking(fill, [(PARTIES, first), (other, rest)], "A")
    assert booked.residual() == {}
    held = {(line.account, line.asset): line.amount for line in booked.postings}
    assert held["fee_inventory", "BNB"] == -fee == -held["venue_fees", "BNB"]
    assert held.get(("fee_inventory", "USDT"), ZERO) == worth
    assert held.get(("order:3", "A"), ZERO) == side.sign * first.quantity  # nothing is taken of what was bought
    used = [move for move in booked.lot_moves if move.asset == "BNB"]
    assert sum((move.quantity for move in used), ZERO) == fee
    assert sum((move.amount for move in used), ZERO) == worth
    paid = [move.amount for move in booked.lot_moves if move.asset == "A"]
    assert sum(paid, ZERO) == fill.value + side.sign * worth  # a buy costs it, a sell brings less


def test_creation_moves_whole_baskets_and_settles_the_surplus_at_mid() -> None:
    # 5 units of 2 A and 1 cash; 10.5 A held for 1,050; the float takes .5 at 101 = 50.5.
    created = creation(
        PARTIES,
        9,
        baskets(D(5), {"A": D(2)}, D(1)),
        {"A": D("0.5")},
        {"A": D(101)},
        book_of(("order:3", "A", "10.5", "1050")),
        at=AT,
    )
    assert lines(created) == {
        ("order:3", "A"): D("-10.5"),
        ("float:1", "A"): D("0.5"),
        ("float:1", "USDT"): D("-50.5"),
        ("order:3", "USDT"): D("45.5"),  # 50.5 received, 5 of basket cash given
        ("index:1", "A"): D(10),
        ("index:1", "USDT"): D(5),
        ("issued:1", "unit:1"): D(-5),
        ("position:2", "unit:1"): D(5),
    }
    # 1,050 paid + 5 - 50.5
    assert created.lot_moves[-1] == LotMove(LotAction.ACQUIRE, "position:2", "unit:1", D(5), D("1004.5"))
    assert (created.key, created.facts["cash"]) == ("credit:9", D("1004.5"))


def test_creation_with_too_little_takes_from_the_float_at_mid() -> None:
    created = creation(
        PARTIES,
        9,
        baskets(D(5), {"A": D(2)}, ZERO),
        {"A": D("-0.5")},
        {"A": D(101)},
        book_of(("order:3", "A", "9.5", "950"), ("float:1", "A", "1", "90")),
        at=AT,
    )
    assert lines(created)["order:3", "USDT"] == D("-50.5")
    assert lines(created)["order:3", "A"] == D("-9.5")
    assert created.facts["cash"] == D("1000.5")


def test_a_redemption_lends_and_its_settlement_pays_back() -> None:
    given = baskets(D(4), {"A": D(2)}, D(1))
    begun = redemption(PARTIES, 9, given, {"A": D("0.5")}, {"A": D(100)}, ZERO, at=AT)
    assert lines(begun) == {
        ("index:1", "A"): D(-8),
        ("order:3", "A"): D("8.5"),
        ("float:1", "A"): D("-0.5"),
        ("index:1", "USDT"): D(-4),
        ("order:3", "USDT"): D(4),
        ("order:3", "unit:1"): D(-4),
        ("redeemed:3", "unit:1"): D(4),
    }
    # 6 of 8.5 A were sold for 600: of 2.5 left one basket of 2 returns, .5 goes back to the float.
    settled = redemption_settlement(
        PARTIES,
        9,
        D(3),
        baskets(D(1), {"A": D(2)}, D(1)),
        {"A": D("0.5")},
        {"A": D("0.5")},
        {"A": D(100)},
        D(604),
        ZERO,
        at=AT,
    )
    assert lines(settled) == {
        ("order:3", "A"): D("-2.5"),
        ("index:1", "A"): D(2),
        ("float:1", "A"): D("0.5"),
        ("order:3", "USDT"): D(-1),
        ("index:1", "USDT"): D(1),
        ("redeemed:3", "unit:1"): D(-4),
        ("order:3", "unit:1"): D(1),
        ("issued:1", "unit:1"): D(3),
    }
    # 604 less 1 of the basket that returned, nothing between order and float
    assert settled.lot_moves[-1] == LotMove(LotAction.DISPOSE, "position:2", "unit:1", D(3), D(603))


def test_an_end_gives_the_rest_to_the_float_and_corrects_what_the_units_cost() -> None:
    closed = closing(PARTIES, Side.BUY, {"A": D("0.1")}, {"A": D(100)}, D("0.3"), at=AT)
    assert lines(closed) == {
        ("order:3", "A"): D("-0.1"),
        ("float:1", "A"): D("0.1"),
        ("float:1", "USDT"): D(-10),
        ("order:3", "USDT"): D(10),
    }
    assert closed.lot_moves[-1] == LotMove(LotAction.ADJUST, "position:2", "unit:1", ZERO, D("0.3"))
    sold = closing(PARTIES, Side.SELL, {}, {}, D("-0.3"), at=AT)
    assert (sold.postings, sold.lot_moves[-1].action) == ((), LotAction.DISPOSE)


quantity = st.decimals("0.00001", 1000, places=5)


@given(
    st.sampled_from(Side),
    quantity,
    st.dictionaries(st.sampled_from("ABC"), quantity, min_size=1),
    st.dictionaries(st.sampled_from("ABC"), st.decimals(-5, 5, places=5)),
    st.decimals(0, 100, places=2),
)
def test_everything_balances(
    side: Side, units: Decimal, per_unit: dict[str, Decimal], moved: dict[str, Decimal], cash: Decimal
) -> None:
    surplus = {asset: moved.get(asset, ZERO) for asset in per_unit}
    mids = {asset: D(7) for asset in per_unit}
    whole = baskets(units, per_unit, cash)
    needed = [
        ("order:3", asset, str(whole.quantities[asset] + max(surplus[asset], ZERO)), "10") for asset in per_unit
    ]
    lent = [("float:1", asset, "10", "10") for asset in per_unit]
    lent_out = {asset: max(-amount, ZERO) for asset, amount in surplus.items()}
    for made in (
        creation(PARTIES, 1, whole, surplus, mids, book_of(*needed, *lent), at=AT),
        redemption(PARTIES, 1, whole, lent_out, mids, cash, at=AT),
        redemption_settlement(PARTIES, 1, units, whole, surplus, lent_out, mids, cash, ZERO, at=AT),
        closing(PARTIES, side, surplus, mids, cash, at=AT),
        reservation(PARTIES, {"unit:1": units}, at=AT),
        release(PARTIES, {"USDT": cash, "unit:1": units}, at=AT),
    ):
        assert made.residual() == {}
        assert len({(each.account, each.asset) for each in made.postings}) == len(made.postings)
