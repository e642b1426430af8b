"""Halts and limits as rows, on both databases."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Connection

from etf_trader.database import Database
from etf_trader.errors import NotFound, Refused, UsageError
from etf_trader.ledger.repository import add_account
from etf_trader.market.symbol import Side
from etf_trader.risk.halts import (
    DAILY_LOSS,
    OPERATOR,
    RECONCILE,
    TradingState,
    halt,
    halts,
    lift_past_days,
    require_active,
    resume,
    trading_state,
)
from etf_trader.risk.limits import RiskLimits, forget_limit, risk_limits, set_limits, write_limit

D = Decimal
NOW = datetime(2026, 11, 21, 23, 59, 59, 123456, tzinfo=UTC)
ACTIVE, REDUCING, HALTED = TradingState


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    database = Database(url)
    with database.write() as made:
        assert [add_account(made, "paper", uid, "era", NOW).id for uid in ("one", "two")] == [1, 2]
        yield made
    database.close()


def test_an_account_is_active_until_it_is_halted_and_again_when_that_is_lifted(connection: Connection) -> None:
    assert trading_state(connection, 1) is ACTIVE
    made = halt(connection, 1, HALTED, OPERATOR, "prices look wrong", NOW, operator="me@here")
    assert (made.at, made.reason, made.operator, made.is_in_force) == (NOW, "prices look wrong", "me@here", True)
    assert (trading_state(connection, 1), trading_state(connection, 2)) == (HALTED, ACTIVE)
    (lifted,) = resume(connection, 1, None, NOW, operator="you@there")
    assert lifted.id == made.id
    assert trading_state(connection, 1) is ACTIVE
    assert halts(connection, 1) == []
    (kept,) = halts(connection, 1, lifted=True)
    assert (kept.lifted_at, kept.lifted_by) == (NOW, "you@there")


def test_the_strictest_halt_counts_and_each_is_lifted_by_its_cause(connection: Connection) -> None:
    halt(connection, 1, REDUCING, DAILY_LOSS, "", NOW)
    halt(connection, 1, HALTED, RECONCILE, "", NOW)
    halt(connection, 1, HALTED, OPERATOR, "", NOW)
    assert trading_state(connection, 1) is HALTED
    assert [each.cause for each in resume(connection, 1, OPERATOR, NOW)] == [OPERATOR]
    assert trading_state(connection, 1) is HALTED
    resume(connection, 1, RECONCILE, NOW)
    assert trading_state(connection, 1) is REDUCING
    assert resume(connection, 1, RECONCILE, NOW) == []
    resume(connection, 1, None, NOW)
    assert trading_state(connection, 1) is ACTIVE


def test_the_same_halt_twice_is_the_first(connection: Connection) -> None:
    first = halt(connection, 1, HALTED, OPERATOR, "one", NOW)
    assert halt(connection, 1, HALTED, OPERATOR, "two", NOW + timedelta(hours=1)) == first
    assert len(halts(connection, 1, lifted=True)) == 1
    halt(connection, 1, REDUCING, OPERATOR, "three", NOW)  # another state is another halt
    assert len(halts(connection, 1)) == 2
    with pytest.raises(ValueError, match="active is not halted"):
        halt(connection, 1, ACTIVE, OPERATOR, "", NOW)


@pytest.mark.parametrize(
    ("state", "sides", "passes"),
    [
        (None, [Side.BUY, Side.SELL], True),
        (REDUCING, [Side.SELL], True),
        (REDUCING, [], True),
        (REDUCING, [Side.BUY], False),
        (REDUCING, [Side.SELL, Side.BUY], False),
        (HALTED, [Side.SELL], False),
        (HALTED, [], False),
    ],
)
def test_what_may_be_sent(
    connection: Connection, state: TradingState | None, sides: list[Side], passes: bool
) -> None:
    if state is not None:
        halt(connection, 1, state, OPERATOR, "because", NOW)
    if passes:
        require_active(connection, 1, sides)
        return
    with pytest.raises(Refused, match="by hand: because") as caught:
        require_active(connection, 1, sides)
    assert (caught.value.limit, caught.value.exit_code) == (str(state), 6)


def test_the_loss_of_a_day_stops_an_account_until_the_day_ends(connection: Connection) -> None:
    halt(connection, 1, REDUCING, DAILY_LOSS, "", NOW)
    tomorrow = NOW + timedelta(seconds=1)
    assert trading_state(connection, 1, NOW) is REDUCING
    assert trading_state(connection, 1, tomorrow) is ACTIVE
    lift_past_days(connection, 1, NOW)
    assert trading_state(connection, 1) is REDUCING
    again = halt(connection, 1, REDUCING, DAILY_LOSS, "", tomorrow)  # yesterday's is not today's
    assert again.at == tomorrow
    lift_past_days(connection, 1, tomorrow)
    assert [each.id for each in halts(connection, 1)] == [again.id]


def test_limits_have_defaults_are_set_turned_off_and_forgotten(connection: Connection) -> None:
    assert risk_limits(connection, 1) == RiskLimits()
    write_limit(connection, 1, "index_order", D("500000.01"), NOW, by="me@here")
    write_limit(connection, 1, "daily_loss", None, NOW, by="me@here")
    found = risk_limits(connection, 1)
    assert (found.index_order, found.daily_loss, found.asset_order) == (
        D("500000.01"),
        None,
        RiskLimits().asset_order,
    )
    assert risk_limits(connection, 2) == RiskLimits()
    write_limit(connection, 1, "index_order", D(7), NOW, by="you@there")
    assert (set_limits(connection, 1)["index_order"].value, set_limits(connection, 1)["index_order"].set_by) == (
        D(7),
        "you@there",
    )
    forget_limit(connection, 1, "index_order")
    forget_limit(connection, 1, "index_order")
    assert risk_limits(connection, 1).index_order == RiskLimits().index_order


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("price_collr", "1", "did you mean price_collar"),
        ("price-collar", "1", "did you mean price_collar"),
        ("nonsense", "1", "no limit 'nonsense'$"),
        ("price_collar", "0", "above zero"),
        ("price_collar", "-3", "above zero"),
        ("price_collar", "10001", "at most 10,000 bps"),
        ("position_share", "100.5", "at most 100 percent"),
        ("open_orders", "2.5", "not whole"),
    ],
)
def test_a_limit_that_cannot_be_is_refused(connection: Connection, name: str, value: str, says: str) -> None:
    with pytest.raises((NotFound, UsageError), match=says):
        write_limit(connection, 1, name, D(value), NOW, by="me")
    assert set_limits(connection, 1) == {}
