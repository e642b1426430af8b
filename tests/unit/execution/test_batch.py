"""A trade is split into orders that the venue takes."""

from decimal import Decimal

import pytest
from tests.unit.solver.solver_cases import make_rule

from etf_trader.execution.batch import MOST_PIECES, pieces

D = Decimal


@pytest.mark.parametrize(
    ("quantity", "most", "least", "found"),
    [
        ("25", "10", "2", ["10", "10", "5"]),
        ("21", "10", "2", ["10", "9", "2"]),  # no piece is below the least order
        ("5", "0", "2", ["5"]),
        ("3000", "10", "2", ["10"] * MOST_PIECES),
        ("3", "1", "2", ["3"]),  # the venue takes none of any size
    ],
    ids=["rest", "rest too small", "any size", "too many", "largest below least"],
)
def test_a_quantity_is_split_at_the_largest_order(quantity: str, most: str, least: str, found: list[str]) -> None:
    rule = make_rule(max_quantity=D(most), min_notional=D(least))
    assert pieces(D(quantity), D(1), rule) == [D(each) for each in found]
