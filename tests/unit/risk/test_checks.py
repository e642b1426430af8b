"""Each limit by a table, and what holds of all of them."""

from dataclasses import fields, replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_trader.market.symbol import Side
from etf_trader.risk.checks import CHECKS
from etf_trader.risk.gate import review
from etf_trader.risk.limits import LIMITS, RiskLimits
from etf_trader.risk.proposal import Proposal, ProposedIndexOrder, ProposedOrder, ProposedPosition

D = Decimal
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
BUY, SELL = Side.BUY, Side.SELL
OFF = RiskLimits(**{each.name: None for each in fields(RiskLimits)})


def order(
    price: str = "100",
    quantity: str = "2",
    side: Side = BUY,
    parts: dict[int, str] | None = None,
    asset: str = "A",
) -> ProposedOrder:
    own = {number: D(part) for number, part in (parts or {1: quantity}).items()}
    return ProposedOrder(asset, f"{asset}USDT", side, D(quantity), D(price), D(100), own)


def wish(number: int, value: str = "1000", loss: str = "1", side: Side = BUY) -> ProposedIndexOrder:
    return ProposedIndexOrder(number, side, D(value), D(loss))


def position(value: str, share: str = "50", buyers: tuple[int, ...] = (1,)) -> ProposedPosition:
    return ProposedPosition(7, D(value), D(share), buyers)


CASES = {
    "an index order at the limit passes": ("index_order", "1000", {"index_orders": (wish(1, "1000"),)}, None),
    "an index order above it does not": ("index_order", "1000", {"index_orders": (wish(1, "1000.01"),)}, (1,)),
    "a sell is an index order too": ("index_order", "1000", {"index_orders": (wish(3, "2000", side=SELL),)}, (3,)),
    "each index order is weighed alone": (
        "index_order",
        "1000",
        {"index_orders": (wish(1, "900"), wish(2, "1100"), wish(3, "900"))},
        (2,),
    ),
    "an asset order at the limit passes": ("asset_order", "200", {"orders": (order(),)}, None),
    "an asset order above it does not": ("asset_order", "199.99", {"orders": (order(),)}, (1,)),
    "who has the most of an asset order is refused": (
        "asset_order",
        "199",
        {"orders": (order(parts={1: "0.5", 2: "1.5"}),)},
        (2,),
    ),
    "of equals the newest is": ("asset_order", "199", {"orders": (order(parts={1: "1", 2: "1"}),)}, (2,)),
    "a position at the limit passes": ("position", "500", {"positions": (position("500"),)}, None),
    "a position above it does not": (
        "position",
        "500",
        {"positions": (position("500.5", buyers=(1, 4)),)},
        (1, 4),
    ),
    "a position for which nobody buys does": ("position", "5", {"positions": (position("500", buyers=()),)}, None),
    "a share at the limit passes": ("position_share", "50", {"positions": (position("1", "50"),)}, None),
    "a share above it does not": ("position_share", "50", {"positions": (position("1", "50.0001"),)}, (1,)),
    "as many open orders as allowed pass": ("open_orders", "3", {"orders": (order(),), "open_orders": 2}, None),
    "one more does not": ("open_orders", "3", {"orders": (order(), order()), "open_orders": 2}, (1,)),
    "who has most of the open orders is refused": (
        "open_orders",
        "2",
        {"orders": (order(parts={2: "2"}), order(parts={2: "1", 3: "1"}), order(parts={2: "2"}))},
        (2,),
    ),
    "nothing to send passes, however many are open": ("open_orders", "1", {"open_orders": 9}, None),
    "a buy at the collar passes": ("price_collar", "200", {"orders": (order("102"),)}, None),
    "a buy beyond it does not": ("price_collar", "200", {"orders": (order("102.01"),)}, (1,)),
    "a buy far below mid passes": ("price_collar", "200", {"orders": (order("50"),)}, None),
    "a sell at the collar passes": ("price_collar", "200", {"orders": (order("98", side=SELL),)}, None),
    "a sell beyond it does not": ("price_collar", "200", {"orders": (order("97.99", side=SELL),)}, (1,)),
    "a sell far above mid passes": ("price_collar", "200", {"orders": (order("150", side=SELL),)}, None),
    "a fresh book passes": ("book_age", "5", {"orders": (order(),), "book_ages": {"AUSDT": D(5)}}, None),
    "an old one does not, for all who need it": (
        "book_age",
        "5",
        {
            "orders": (order(parts={1: "1", 3: "1"}), order(parts={2: "2"}, asset="B")),
            "book_ages": {"AUSDT": D("5.1"), "BUSDT": D(1)},
        },
        (1, 3),
    ),
    "an old book that nobody needs passes": ("book_age", "5", {"book_ages": {"AUSDT": D(9)}}, None),
    "as many in a second as allowed pass": ("order_rate", "3", {"orders": (order(),), "sent": 2}, None),
    "one more in it does not": ("order_rate", "3", {"orders": (order(), order()), "sent": 2}, (1,)),
    "what waits for a window does not count": (
        "order_rate",
        "3",
        {"orders": (order(),) * 9, "sent": 1, "at_once": 2},
        None,
    ),
    "a day within its loss passes": (
        "daily_loss",
        "10",
        {"index_orders": (wish(1, loss="4"),), "loss": D(6)},
        None,
    ),
    "a plan that would lose the rest of it does not": (
        "daily_loss",
        "10",
        {"index_orders": (wish(1, loss="3"), wish(2, loss="4")), "loss": D(6)},
        (2,),
    ),
    "a day that lost it refuses every buy": (
        "daily_loss",
        "10",
        {"index_orders": (wish(1), wish(2, side=SELL), wish(3)), "loss": D(10)},
        (1, 3),
    ),
    "and no sell": ("daily_loss", "10", {"index_orders": (wish(2, side=SELL),), "loss": D(99)}, None),
    "a planned gain makes no room for another's loss": (
        "daily_loss",
        "10",
        {"index_orders": (wish(1, loss="-5"), wish(2, loss="5")), "loss": D(6)},
        (2,),
    ),
}


@pytest.mark.parametrize(("name", "value", "changes", "refused"), CASES.values(), ids=CASES)
def test_a_limit_refuses(
    name: str, value: str, changes: dict[str, object], refused: tuple[int, ...] | None
) -> None:
    proposal = Proposal(NOW, **changes)  # type: ignore[arg-type]
    found = review(proposal, replace(OFF, **{name: D(value)}))
    assert [(each.code, each.orders) for each in found] == ([] if refused is None else [(name, refused)])
    assert all(name in each.message for each in found)
    assert review(proposal, OFF) == []


def test_every_limit_has_its_check_its_unit_and_a_case() -> None:
    names = [each.name for each in fields(RiskLimits)]
    assert names == list(LIMITS)
    assert [check.__name__ for check in CHECKS] == [f"check_{name}" for name in names]
    assert {case[0] for case in CASES.values() if case[3] is not None} == set(names)


def test_what_finishes_an_order_is_bound_by_prices_alone() -> None:
    kept = RiskLimits().while_finishing()
    assert {each.name for each in fields(kept) if getattr(kept, each.name) is not None} == {
        "price_collar",
        "book_age",
        "order_rate",
    }


amounts = st.decimals(min_value=0, max_value=10_000, places=2)
numbers = st.integers(1, 4)
orders = st.builds(
    ProposedOrder,
    asset=st.just("A"),
    symbol=st.sampled_from(["AUSDT", "BUSDT"]),
    side=st.sampled_from([BUY, SELL]),
    quantity=amounts,
    price=amounts,
    mid=st.just(D(100)),
    parts=st.dictionaries(numbers, amounts, min_size=1, max_size=3),
)
proposals = st.builds(
    Proposal,
    now=st.just(NOW),
    orders=st.lists(orders, max_size=4).map(tuple),
    index_orders=st.lists(
        st.builds(
            ProposedIndexOrder, numbers, st.sampled_from([BUY, SELL]), amounts, amounts.map(lambda x: x - 5000)
        ),
        max_size=4,
        unique_by=lambda each: each.number,
    ).map(tuple),
    positions=st.lists(
        st.builds(ProposedPosition, numbers, amounts, amounts, st.lists(numbers, max_size=2).map(tuple)),
        max_size=3,
    ).map(tuple),
    open_orders=st.integers(0, 10),
    sent=st.integers(0, 10),
    at_once=st.none() | st.integers(0, 10),
    book_ages=st.dictionaries(st.sampled_from(["AUSDT", "BUSDT"]), amounts, max_size=2),
    loss=amounts.map(lambda x: x - 5000),
)
limits = st.fixed_dictionaries({name: st.none() | amounts for name in LIMITS}).map(lambda each: RiskLimits(**each))


@given(proposals, limits, st.fixed_dictionaries({name: st.none() | amounts for name in LIMITS}))
def test_wider_limits_never_refuse_more(
    proposal: Proposal, narrow: RiskLimits, more: dict[str, Decimal | None]
) -> None:
    def widened(name: str) -> Decimal | None:
        value, extra = getattr(narrow, name), more[name]
        return None if value is None or extra is None else value + extra

    wide = RiskLimits(**{name: widened(name) for name in LIMITS})
    refused = {(each.code, number) for each in review(proposal, wide) for number in each.orders}
    assert refused <= {(each.code, number) for each in review(proposal, narrow) for number in each.orders}


@given(proposals, limits)
def test_a_refusal_names_orders_of_the_proposal_and_its_limit(
    proposal: Proposal, given_limits: RiskLimits
) -> None:
    there = {each.number for each in proposal.index_orders}
    there |= {number for each in proposal.orders for number in each.parts}
    there |= {number for each in proposal.positions for number in each.buyers}
    for violation in review(proposal, given_limits):
        assert violation.orders
        assert set(violation.orders) <= there
        assert violation.code in LIMITS
