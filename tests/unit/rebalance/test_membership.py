"""Who is in an index at each of its baskets, with and without the dust of those who left."""

from datetime import UTC, date, datetime
from decimal import Decimal

from etf_trader.index.store import Basket
from etf_trader.market.symbol import Side
from etf_trader.orders.rebalance_order import RebalanceOrder, RebalanceRequest, TargetLeg
from etf_trader.orders.status import IndexOrderStatus
from etf_trader.rebalance.membership import members

D = Decimal
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def basket(version: int, reason: str, **quantities: str) -> Basket:
    held = {asset: D(quantity) for asset, quantity in quantities.items()}
    return Basket(version, 1, version, NOON, D(0), held, {asset: f"{asset}USDT" for asset in held}, "", reason)


def rebalance(status: str, sold: str = "100", aim: str = "0", price_bps: str | None = None) -> RebalanceOrder:
    """Return rebalance 7 of ten units: of 100.4 DENT it sells all but 0.4."""
    leg = TargetLeg(
        asset="DENT",
        symbol="DENTUSDT",
        weight=D("0.1"),
        target=D(0),
        width=D(0),
        aim=D(aim),
        part=D(0),
        holding=D("100.4"),
        side=Side.SELL,
        quantity=D(sold),
        price=D(1),
        cost=D(0),
        why_skipped=None,
    )
    request = RebalanceRequest(
        index_id=1,
        due_on=date(2026, 1, 5),
        is_forced=True,
        holder="self",
        rulebook=2,
        basket=1,
        units=D(10),
        nav=D(1000),
        scale=D(1),
        reserve=D(0),
        price_bps=None if price_bps is None else D(price_bps),
        arrival={},
        determination={},
        legs=(leg,),
    )
    return RebalanceOrder(7, 1, request, IndexOrderStatus(status), (), None, NOON, NOON, "")


FIRST = basket(1, "created", BTC="1", DENT="10.04")


def test_who_left_is_gone_with_its_dust_and_without() -> None:
    for rest in ({"DENT": "0.04"}, {}):
        after = basket(2, "rebalance 7", BTC="2", **rest)
        fee = basket(3, "management fee", BTC="1.9", **dict.fromkeys(rest, "0.03"))
        found = members([FIRST, after, fee], [rebalance("filled")])
        assert found == [{"BTC", "DENT"}, {"BTC"}, {"BTC"}]


def test_who_is_sold_in_part_is_in_until_the_rest_is_sold() -> None:
    half, fee = basket(2, "rebalance 7", BTC="1", DENT="5"), basket(3, "management fee", BTC="1", DENT="4.9")
    assert members([FIRST, half], [rebalance("cancelled")])[-1] == {"BTC", "DENT"}
    # Too little of it was left to be sold, and the rebalance was done with that.
    rest = basket(4, "rebalance 7", BTC="2", DENT="0.3")
    found = members([FIRST, half, fee, rest], [rebalance("filled")])
    assert found[1:] == [{"BTC", "DENT"}, {"BTC", "DENT"}, {"BTC"}]


def test_who_is_to_leave_and_kept_in_part_has_not_left() -> None:
    some = basket(2, "rebalance 7", BTC="2", DENT="8.04")
    for capped in (rebalance("filled", "20", aim="0.08"), rebalance("filled", "20", price_bps="9")):
        assert members([FIRST, some], [capped])[-1] == {"BTC", "DENT"}


def test_who_is_bought_again_has_come_back() -> None:
    dust, again = basket(2, "rebalance 7", BTC="2", DENT="0.04"), basket(3, "rebalance 9", BTC="1", DENT="3")
    assert members([FIRST, dust, again], [rebalance("filled")])[-1] == {"BTC", "DENT"}
