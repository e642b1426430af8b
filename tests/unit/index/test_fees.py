"""The management fee in kind: exact, never more than the rate, however often it is taken."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.effort import examples

from etf_trader.index.fees import OWED_GRID, WHOLE, Rate, charge, take
from etf_trader.index.store import Basket
from etf_trader.money import BASKET_GRID, ZERO, money_context

D = Decimal
START = datetime(2026, 1, 1, tzinfo=UTC)
YEAR = timedelta(seconds=31_536_000)


def make_basket(cash: str = "0", **quantities: str) -> Basket:
    held = {asset: D(quantity) for asset, quantity in quantities.items()}
    return Basket(1, 1, 1, START, D(cash), held, {asset: f"{asset}USDT" for asset in held}, "")


def test_a_year_at_one_percent_takes_a_hundredth_of_everything() -> None:
    charged = charge([Rate(START, D(100))], START, START + YEAR)
    found = take(make_basket("50", A="2", B="0.000000000150"), "USDT", charged, {})
    assert found.quantities == {"A": D("0.02"), "B": D("0.000000000001"), "USDT": D("0.5")}
    assert found.owed == {"B": D("0.0000000000005")}
    left = found.out_of(make_basket("50", A="2", B="0.000000000150"), "USDT")
    assert (left.version, left.cash_per_unit, left.quantities["A"]) == (2, D("49.5"), D("1.98"))


def test_each_rate_counts_for_the_time_in_which_it_was_in_force() -> None:
    rates = [Rate(START, D(100)), Rate(START + YEAR, ZERO), Rate(START + 2 * YEAR, D(50))]
    assert charge(rates, START + YEAR / 2, START + 2.5 * YEAR) * 10_000 == WHOLE * (D(50) + D(25))
    assert charge(rates, START - YEAR, START) == 0
    assert charge(rates, START + YEAR, START) == 0


def test_more_than_everything_is_not_taken() -> None:
    charged = charge([Rate(START, D(10_000))], START, START + 3 * YEAR)
    found = take(make_basket(A="2"), "USDT", charged, {})
    assert (found.quantities, found.owed) == ({"A": D(2)}, {})
    assert found.out_of(make_basket(A="2"), "USDT").quantities == {}


@settings(max_examples=examples(60), deadline=None)
@given(
    quantity=st.decimals("0.000000000001", "1e9", places=12),
    bps=st.decimals("0.01", "500", places=2),
    spans=st.lists(st.integers(1, 10**13), min_size=1, max_size=30),
)
def test_a_fee_is_rate_times_time_within_one_step_and_never_more(
    quantity: Decimal, bps: Decimal, spans: list[int]
) -> None:
    with money_context():
        owed: dict[str, Decimal] = {}
        basket, at, taken, due = make_basket(A=str(quantity)), START, ZERO, ZERO
        for span in spans:
            held = basket.quantities.get("A", ZERO)
            charged = charge([Rate(START, bps)], at, at + timedelta(microseconds=span))
            due += held * charged  # exact: in units of WHOLE
            found = take(basket, "USDT", charged, owed)
            basket, owed = found.out_of(basket, "USDT"), dict(found.owed)
            taken += found.quantities.get("A", ZERO)
            at += timedelta(microseconds=span)
            assert quantity - taken == basket.quantities.get("A", ZERO)
            assert taken * WHOLE <= due
        slack = BASKET_GRID + OWED_GRID * len(spans)
        assert due - taken * WHOLE < slack * WHOLE or not basket.quantities
