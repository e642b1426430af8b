"""A fill found late is shared out to the last digit, and what it took is recalled and nothing else."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_trader.ledger.booking import fill_booking
from etf_trader.ledger.corrections import difference_booking, lacking, late_parts, recall
from etf_trader.ledger.fill import Fill, Part
from etf_trader.ledger.parties import Parties
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO, money_context
from etf_trader.orders.asset_order import AssetOrder, Intent, Share, Slice
from etf_trader.orders.status import AssetOrderStatus

D = Decimal
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def make_order(*quantities: str | Decimal) -> AssetOrder:
    """An order of ours to buy A, shared by index orders 1, 2, ... with these quantities."""
    shares = tuple(Share(n, n, (Slice(D(q), D(10)),)) for n, q in enumerate(quantities, start=1))
    total = sum((share.quantity for share in shares), ZERO)
    intent = Intent("etf-x-1-1", "A", "AUSDT", Side.BUY, total, D(10), D(10), D(10), D(10))
    values = dict.fromkeys(AssetOrder.__slots__)
    known = {"id": 1, "plan_id": 1, "index_order_id": 1, "intent": intent, "shares": shares}
    return AssetOrder(**(values | known | {"status": AssetOrderStatus.WITHDRAWN}))  # type: ignore[arg-type]


def make_fill(quantity: Decimal, fee: Decimal, side: Side = Side.BUY, fee_asset: str = "A") -> Fill:
    price = D("9.99")
    return Fill(1, "e", "AUSDT", 5, 6, 1, side, price, quantity, price * quantity, fee, fee_asset, False, NOW)


def make_parties(number: int = 1) -> Parties:
    return Parties(number, 1, 1, "self", "USDT", "fifo")


AMOUNTS = st.decimals("0.00000001", 50, places=8)


@given(st.lists(AMOUNTS, min_size=1, max_size=4), st.data())
def test_the_parts_add_up_and_nobody_gets_more_than_is_left_of_a_share(
    shares: list[D], data: st.DataObject
) -> None:
    with money_context():
        order = make_order(*shares)
        allotted = {n: data.draw(st.decimals(0, share, places=8)) for n, share in enumerate(shares, start=1)}
        free = order.intent.quantity - sum(allotted.values(), ZERO)
        quantity = data.draw(st.decimals("0.00000001", max(free, D("0.00000002")) + 1, places=8))
        fill = make_fill(quantity, data.draw(st.decimals(0, 1, places=8)))
        parts = late_parts(order, allotted, fill)
        assert (parts is None) is (quantity > free)
        for name in ("quantity", "value", "fee"):
            if parts is not None:
                assert sum((getattr(part, name) for part in parts), ZERO) == getattr(fill, name)
        for part in parts or ():
            assert 0 < part.quantity <= shares[part.index_order_id - 1] - allotted[part.index_order_id]
            assert part.fee >= 0


@pytest.mark.parametrize(
    ("side", "held", "expected"),
    [
        (Side.BUY, {}, {"USDT": D("19.98")}),
        (Side.BUY, {"USDT": D(15)}, {"USDT": D("4.98")}),
        (Side.BUY, {"USDT": D(50)}, {}),
        (Side.SELL, {"A": D("0.5")}, {"A": D("1.5")}),
    ],
    ids=["buy out of nothing", "buy with some cash", "buy with enough", "sell with some"],
)
def test_what_a_fill_takes_beyond_what_is_held_is_recalled(
    side: Side, held: dict[str, D], expected: dict[str, D]
) -> None:
    fill = make_fill(D(2), D("0.001"), side, "A" if side is Side.BUY else "USDT")
    part = Part(1, fill.quantity, fill.value, fill.fee)
    booking = fill_booking(fill, [(make_parties(), part)], "A")
    amounts = lacking(booking, "order:1", held)
    assert amounts == expected
    recalled = recall(make_parties(), fill, part, amounts, "A", at=NOW)
    assert recalled.residual() == {}
    assert {line.asset: line.amount for line in recalled.postings if line.account == "order:1"} == expected
    assert {line.asset: -line.amount for line in recalled.postings if line.account == "treasury:self"} == expected
    # A coin comes with the cost that the fill brings: nothing is gained by the recall.
    assert [(move.asset, move.amount) for move in recalled.lot_moves] == [
        (asset, amount * fill.price) for asset, amount in expected.items() if asset == "A"
    ]


@pytest.mark.parametrize("amount", [D("3.5"), D("-3.5")])
def test_a_difference_goes_between_a_holders_capital_and_treasury(amount: Decimal) -> None:
    booked = difference_booking(4, "alice", "A", amount, "airdrop", {"reason": "why"}, at=NOW)
    assert booked.residual() == {}
    assert (booked.key, booked.kind) == ("difference:4", "airdrop")
    assert {line.account: line.amount for line in booked.postings} == {
        "capital:alice": -amount,
        "treasury:alice": amount,
    }
