"""The permitted lives of orders."""

from itertools import product

import pytest

from etf_trader.orders.status import (
    ASSET_ORDER_TRANSITIONS,
    INDEX_ORDER_TRANSITIONS,
    AssetOrderStatus,
    IndexOrderStatus,
)

A, X = AssetOrderStatus, IndexOrderStatus

ASSET_ORDERS = {
    (A.WRITTEN, A.SENT),
    (A.WRITTEN, A.WITHDRAWN),
    (A.WRITTEN, A.CROSSED),
    (A.SENT, A.WRITTEN),
    (A.SENT, A.OPEN),
    (A.SENT, A.FILLED),
    (A.SENT, A.PARTIAL),
    (A.SENT, A.UNFILLED),
    (A.SENT, A.REJECTED),
    (A.SENT, A.WITHDRAWN),
    (A.OPEN, A.FILLED),
    (A.OPEN, A.PARTIAL),
    (A.OPEN, A.UNFILLED),
}
INDEX_ORDERS = {
    (X.OPEN, X.FILLED),
    (X.OPEN, X.ENDED),
    (X.OPEN, X.CANCELLED),
    (X.OPEN, X.STUCK),
    (X.STUCK, X.FILLED),
    (X.FILLED, X.STUCK),
    (X.ENDED, X.STUCK),
    (X.CANCELLED, X.STUCK),
    (X.STUCK, X.ENDED),
    (X.STUCK, X.CANCELLED),
}


@pytest.mark.parametrize(("before", "after"), list(product(A, A)), ids=str)
def test_an_asset_order_goes_only_where_it_may(before: AssetOrderStatus, after: AssetOrderStatus) -> None:
    assert (after in ASSET_ORDER_TRANSITIONS[before]) is ((before, after) in ASSET_ORDERS)


@pytest.mark.parametrize(("before", "after"), list(product(X, X)), ids=str)
def test_an_index_order_goes_only_where_it_may(before: IndexOrderStatus, after: IndexOrderStatus) -> None:
    assert (after in INDEX_ORDER_TRANSITIONS[before]) is ((before, after) in INDEX_ORDERS)


@pytest.mark.parametrize("status", list(A), ids=str)
def test_nothing_happens_to_a_final_asset_order(status: AssetOrderStatus) -> None:
    assert status.is_final is (not ASSET_ORDER_TRANSITIONS[status])


def test_only_an_open_index_order_is_traded_for() -> None:
    assert [status for status in X if not status.is_final] == [X.OPEN]
