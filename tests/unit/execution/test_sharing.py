"""Whose part of a fill it is: parts add up to the last digit, whoever they belong to."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from etf_trader.execution.sharing import parts_of
from etf_trader.ledger.fill import Fill, Part
from etf_trader.market.symbol import Side
from etf_trader.money import ZERO
from etf_trader.orders.asset_order import AssetOrder, Intent, Share, Slice
from etf_trader.orders.status import AssetOrderStatus

D = Decimal


def make_order(*shares: tuple[int, tuple[str, ...]], last: str = "101") -> AssetOrder:
    """An order of as much as the shares sum to: (index order, parts by phase)."""
    owned = tuple(Share(7, owner, tuple(Slice(D(part), D(last)) for part in parts)) for owner, parts in shares)
    intent = Intent(
        client_order_id="etf-0-1-1",
        asset="A",
        symbol="AUSDT",
        side=Side.BUY,
        quantity=sum((share.quantity for share in owned), ZERO),
        price=D(last),
        arrival_mid=D(100),
        mid=D(100),
        touch=D(100),
    )
    return AssetOrder(
        id=1,
        plan_id=7,
        index_order_id=shares[0][0],
        intent=intent,
        shares=owned,
        seal="",
        status=AssetOrderStatus.SENT,
        attempts=1,
        next_attempt_at=None,
        granted_at=None,
        venue_order_id=1,
        executed_quantity=ZERO,
        executed_value=ZERO,
        reason=None,
        ended_at=None,
        end_seal=None,
    )


def make_fill(quantity: str, price: str, number: int = 1) -> Fill:
    amount, each = D(quantity), D(price)
    return Fill(
        account_id=1,
        era="e",
        symbol="AUSDT",
        venue_order_id=1,
        trade_id=number,
        asset_order_id=1,
        side=Side.BUY,
        price=each,
        quantity=amount,
        value=amount * each,
        fee=(amount / 1000).quantize(D("1e-8")),
        fee_asset="A",
        is_maker=False,
        at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_the_order_of_one_has_the_whole_of_every_fill() -> None:
    order, fill = make_order((3, ("5",))), make_fill("2", "100")
    assert parts_of(order, [fill]) == [[Part(3, D(2), D(200), D("0.002"))]]


def test_active_orders_share_every_level_and_the_late_phase_has_the_dear_end() -> None:
    # 1 and 2 share the first 20 evenly, then 2 goes on alone for 10
    order = make_order((1, ("10",)), (2, ("10", "10")))
    cheap, dear = parts_of(order, [make_fill("20", "100"), make_fill("10", "101", 2)])
    assert cheap == [Part(1, D(10), D(1000), D("0.01")), Part(2, D(10), D(1000), D("0.01"))]
    assert dear == [Part(2, D(10), D(1010), D("0.01"))]


def test_what_is_missing_is_missing_in_the_last_phase_first() -> None:
    order = make_order((1, ("10",)), (2, ("10", "10")))
    (parts,) = parts_of(order, [make_fill("24", "100")])
    assert {part.index_order_id: part.quantity for part in parts} == {1: 10, 2: 14}
    (parts,) = parts_of(order, [make_fill("12", "100")])
    assert {part.index_order_id: part.quantity for part in parts} == {1: 6, 2: 6}


lots = st.integers(1, 10**6).map(lambda n: D(n) * D("0.001"))


@given(
    st.lists(st.lists(lots, min_size=1, max_size=3), min_size=2, max_size=5),
    st.lists(st.tuples(st.integers(1, 10**6), st.integers(9000, 10100)), min_size=1, max_size=6),
)
def test_parts_add_up_and_nobody_has_more_than_his_share(
    shares: list[list[Decimal]], executions: list[tuple[int, int]]
) -> None:
    order = make_order(*((owner, tuple(str(part) for part in own)) for owner, own in enumerate(shares, start=1)))
    whole = sum(lots for lots, _ in executions)
    wanted = int(order.intent.quantity / D("0.001"))
    made = [
        make_fill(str(wanted * count // whole * D("0.001")), str(D(price) / 100), number)
        for number, (count, price) in enumerate(executions)
        if wanted * count // whole
    ]
    parts = parts_of(order, made)
    got = {share.index_order_id: ZERO for share in order.shares}
    for fill, own in zip(made, parts, strict=True):
        for name in ("quantity", "value", "fee"):
            assert sum((getattr(part, name) for part in own), ZERO) == getattr(fill, name)
        for part in own:
            assert part.of(fill) == replace(fill, quantity=part.quantity, value=part.value, fee=part.fee)
            got[part.index_order_id] += part.quantity
    assert all(got[share.index_order_id] <= share.quantity for share in order.shares)
