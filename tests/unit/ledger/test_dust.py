"""What is too little to be sold of coins that leave an index, the float buys as far as it can pay."""

from decimal import Decimal

from etf_trader.ledger.baskets import dust

D = Decimal
MIDS = {"A": D(2), "B": D(10), "C": D(1)}
LEAST = dict.fromkeys(MIDS, D(5))


def test_less_than_a_least_order_is_dust_and_nothing_is_none() -> None:
    assert dust({"A": D(2), "B": D("0.5"), "C": D(0)}, MIDS, LEAST, D(100)) == {"A": D(2)}


def test_the_smallest_come_first_as_far_as_the_float_can_pay() -> None:
    left = {"A": D(2), "B": D("0.1"), "C": D(3)}
    assert dust(left, MIDS, LEAST, D("4.5")) == {"B": D("0.1"), "C": D(3)}
    assert dust(left, MIDS, LEAST, D("0.5")) == {}
