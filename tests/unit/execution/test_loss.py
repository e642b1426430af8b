"""Loss by part: each formula once by hand, and the sum as an identity."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from etf_trader.execution.loss import fill_loss, rounding_loss
from etf_trader.ledger.fill import Fill
from etf_trader.market.symbol import Side
from etf_trader.orders.asset_order import Intent
from etf_trader.orders.plan import NO_LOSS, LossParts, total_loss

D = Decimal


def make_intent(side: Side, **changes: Any) -> Intent:
    values: dict[str, Any] = {
        "client_order_id": "etf-0-1-1",
        "asset": "A",
        "symbol": "AUSDT",
        "side": side,
        "quantity": D(10),
        "price": D(102),
        "arrival_mid": D(100),
        "mid": D("100.5"),
        "touch": D("100.6") if side is Side.BUY else D("100.4"),
    }
    return Intent(**(values | changes))


def make_fill(side: Side, **changes: Any) -> Fill:
    values: dict[str, Any] = {
        "account_id": 1,
        "era": "e",
        "symbol": "AUSDT",
        "venue_order_id": 1,
        "trade_id": 1,
        "asset_order_id": 1,
        "side": side,
        "price": D(101) if side is Side.BUY else D(100),
        "quantity": D(10),
        "value": D(1010) if side is Side.BUY else D(1000),
        "fee": D("0.01") if side is Side.BUY else D(1),
        "fee_asset": "A" if side is Side.BUY else "USDT",
        "is_maker": False,
        "at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return Fill(**(values | changes))


def test_a_buy_with_its_fee_in_base_is_measured_on_what_it_got() -> None:
    # 9.99 got: delay x .5, spread x .1, depth x .4; fee .01 x 101
    assert fill_loss(make_fill(Side.BUY), make_intent(Side.BUY), {"A": D(100)}) == LossParts(
        D("4.995"), D("0.999"), D("3.996"), D("1.01"), D(0)
    )


def test_a_buy_with_its_fee_in_quote_is_measured_on_all_of_it() -> None:
    fill = make_fill(Side.BUY, fee=D("1.01"), fee_asset="USDT")
    assert fill_loss(fill, make_intent(Side.BUY), {"A": D(100)}) == LossParts(D(5), D(1), D(4), D("1.01"), D(0))


def test_a_sell_gains_when_the_market_rose_since_arrival() -> None:
    # 10 sold: delay -10 x .5, spread 10 x .1, depth 10 x .4, fee 1
    loss = fill_loss(make_fill(Side.SELL), make_intent(Side.SELL), {"A": D(100)})
    assert loss == LossParts(D(-5), D(1), D(4), D(1), D(0))


def test_a_level_better_than_the_touch_seen_is_negative_depth() -> None:
    fill = make_fill(Side.BUY, price=D("100.55"), value=D("1005.5"), fee=D(0))
    assert fill_loss(fill, make_intent(Side.BUY), {"A": D(100)}).depth == D("-0.5")


def test_a_makers_spread_runs_to_the_price_and_has_no_depth() -> None:
    fill = make_fill(Side.BUY, price=D("100.4"), value=D(1004), fee=D(0), is_maker=True)
    parts = fill_loss(fill, make_intent(Side.BUY), {"A": D(100)})
    assert (parts.spread, parts.depth) == (D(-1), D(0))


def test_rounding_is_what_the_float_took_times_the_move_since_arrival() -> None:
    surplus, mids, arrival = {"A": D("0.2"), "B": D(-3)}, {"A": D(101), "B": D(9)}, {"A": D(100), "B": D(10)}
    assert rounding_loss(surplus, mids, arrival) == {"A": D("-0.2"), "B": D(-3)}


prices = st.decimals("0.01", 1000, places=2)


@given(st.sampled_from(Side), prices, prices, prices, prices, st.decimals("0.001", 100, places=3), st.booleans())
def test_the_parts_of_a_fill_add_up_to_cash_against_arrival(
    side: Side, price: Decimal, mid: Decimal, touch: Decimal, arrival: Decimal, quantity: Decimal, in_base: bool
) -> None:
    fee = quantity / 1000 if in_base and side is Side.BUY else quantity * price / 1000
    fill = make_fill(
        side,
        price=price,
        quantity=quantity,
        value=price * quantity,
        fee=fee,
        fee_asset="A" if in_base and side is Side.BUY else "USDT",
    )
    loss = fill_loss(fill, make_intent(side, mid=mid, touch=touch), {"A": arrival}).total
    got = quantity - fee if fill.fee_asset == "A" else quantity
    cash = fill.value + (side.sign * fee if fill.fee_asset == "USDT" else 0)
    assert loss == side.sign * (cash - got * arrival)


def test_totals_add_part_by_part() -> None:
    one = LossParts(D(1), D(2), D(3), D(4), D(5))
    assert total_loss([one, one, NO_LOSS]) == LossParts(D(2), D(4), D(6), D(8), D(10))
    assert total_loss([]).total == 0


def test_prices_in_another_currency_count_at_what_that_was_worth_at_arrival() -> None:
    # 10 A bought at 101 USDC, mid 100.5, touch 100.6, when a USDC was 0.99 and an A 100 at arrival
    intent = make_intent(Side.BUY, symbol="AUSDC")
    fill = make_fill(Side.BUY, symbol="AUSDC", fee=D("1.01"), fee_asset="USDC")
    loss = fill_loss(fill, intent, {"A": D(100), "USDC": D("0.99")})
    assert loss == LossParts(D("-5.05"), D("0.99"), D("3.96"), D("0.9999"), D(0))
    assert loss.total == (1010 + D("1.01")) * D("0.99") - 10 * 100


def test_a_trade_between_currencies_loses_its_spread_and_fee() -> None:
    intent = make_intent(Side.BUY, asset="USDC", symbol="USDCUSDT", mid=D("0.99"), touch=D("0.995"))
    fill = make_fill(Side.BUY, symbol="USDCUSDT", price=D(1), value=D(10), fee=D("0.01"), fee_asset="USDC")
    loss = fill_loss(fill, intent, {"A": D(100), "USDC": D("0.99")})
    # 9.99 USDC worth .99 each for 10 USDT
    assert loss.total == 10 - D("9.99") * D("0.99")
