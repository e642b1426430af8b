"""What may be asked, in which words it is refused, and when two wishes are one."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.factories import make_request

from etf_trader.errors import UsageError
from etf_trader.market.symbol import Side
from etf_trader.orders.index_order import lifetime

D = Decimal

BAD = {
    "all of a buy": ({"quantity": None}, "--qty all sells a position", "--qty"),
    "zero": ({"quantity": D(0)}, "the quantity is 0: it must be above 0", "--qty"),
    "negative": ({"quantity": D(-1)}, "the quantity is -1: it must be above 0", "--qty"),
    "too fine": ({"quantity": D("0.000000001")}, r"the quantity 0\.000000001 is finer than 8 decimals", "--qty"),
    "limit zero": ({"limit_price": D(0)}, "the limit is 0: it must be above 0", "--limit"),
    "loss negative": ({"max_loss_bps": D(-1)}, "the largest loss is -1 bps", "--max-loss"),
    "loss beyond everything": ({"max_loss_bps": D("10000.1")}, r"the largest loss is 10000\.1 bps", "--max-loss"),
    "empty key": ({"client_key": ""}, "'' cannot be a client key", "--client-key"),
    "key with a space": ({"client_key": "a b"}, "'a b' cannot be a client key", "--client-key"),
    "long key": ({"client_key": "k" * 65}, "cannot be a client key", "--client-key"),
    "no such lifetime": ({"time_in_force": "ioc"}, "--tif is 'ioc'", "--tif"),
    "lifetime of nothing": ({"time_in_force": "0m"}, "--tif is '0m'", "--tif"),
    "lifetime of years": ({"time_in_force": "367d"}, "--tif is '367d'", "--tif"),
}


@pytest.mark.parametrize(("changes", "sentence", "where"), BAD.values(), ids=BAD)
def test_a_wish_that_cannot_be_is_refused_with_a_sentence(
    changes: dict[str, Any], sentence: str, where: str
) -> None:
    with pytest.raises(UsageError, match=sentence) as refusal:
        make_request(Side.BUY, **changes).check()
    assert refusal.value.where == where


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"side": Side.SELL, "quantity": None},
        {"quantity": D("0.00000001")},
        {"max_loss_bps": D(0)},
        {"max_loss_bps": D(10_000)},
        {"client_key": "Az09._-"},
        {"time_in_force": "gtc"},
        {"time_in_force": "366d"},
    ],
)
def test_a_wish_at_the_edge_is_accepted(changes: dict[str, Any]) -> None:
    make_request(**changes).check()


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("now", None),
        ("gtc", None),
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("6h", timedelta(hours=6)),
        ("2d", timedelta(days=2)),
    ],
)
def test_lifetimes_are_read(text: str, span: timedelta | None) -> None:
    assert lifetime(text) == span


def test_the_same_wish_in_other_spelling_is_the_same_text() -> None:
    one = make_request(quantity=D("10"), limit_price=D("1004.50"), client_key="a")
    other = make_request(quantity=D("10.000"), limit_price=D("1004.5"), client_key="b")
    assert one.canonical_text() == other.canonical_text()
    assert one.canonical_text() == (
        '{"index":1,"limit":"1004.5","max_loss":null,"position":"","quantity":"10","side":"buy","tif":"now"}'
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"side": Side.SELL},
        {"index_id": 2},
        {"quantity": D("10.00000001")},
        {"quantity": None},
        {"position": "new"},
        {"limit_price": D(1)},
        {"max_loss_bps": D(1)},
        {"time_in_force": "gtc"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_any_other_wish_has_another_text(changes: dict[str, Any]) -> None:
    assert make_request(**changes).canonical_text() != make_request().canonical_text()
