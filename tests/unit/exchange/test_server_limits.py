"""Windows, waits and bans by the clock."""

from datetime import UTC, datetime, timedelta

import pytest

from etf_trader.exchange.refusal import ExchangeError
from etf_trader.exchange.server.limits import FIRST_BAN, LONGEST_BAN, PATIENCE, Limits

START = datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC)
ME, OTHER = "127.0.0.1", "127.0.0.2"


def test_weight_counts_by_address_in_minutes_of_the_clock() -> None:
    limits = Limits(weight=10)
    limits.charge(ME, 10, START)
    limits.charge(OTHER, 10, START)
    with pytest.raises(ExchangeError) as refused:
        limits.charge(ME, 1, START + timedelta(seconds=29))
    assert (refused.value.http_status, refused.value.retry_after) == (429, 1)
    limits.charge(ME, 10, START + timedelta(seconds=30))
    assert limits.used(ME, START + timedelta(seconds=30)) == 10


def test_what_is_given_back_can_be_used_again() -> None:
    limits = Limits(weight=10)
    limits.charge(ME, 10, START)
    limits.give_back(ME, 4, START)
    assert limits.used(ME, START) == 6
    limits.give_back(ME, 40, START + timedelta(minutes=1))
    assert limits.used(ME, START + timedelta(minutes=1)) == 0


def test_the_wallet_has_an_allowance_of_its_own() -> None:
    limits = Limits(weight=10)
    limits.charge(ME, 11_000, START, in_wallet=True)
    limits.charge(ME, 10, START)
    with pytest.raises(ExchangeError):
        limits.charge(ME, 1_001, START, in_wallet=True)


def test_bans_double_up_to_three_days_and_end() -> None:
    limits, now, ban = Limits(weight=1), START, FIRST_BAN
    for _ in range(14):
        limits.charge(ME, 1, now)
        for number in range(PATIENCE + 1):
            with pytest.raises(ExchangeError) as refused:
                limits.charge(ME, 1, now)
            assert refused.value.http_status == (418 if number == PATIENCE else 429)
        assert refused.value.retry_after == ban.total_seconds()
        with pytest.raises(ExchangeError) as barred:
            limits.admit(ME, now + ban - timedelta(seconds=1))
        assert barred.value.http_status == 418
        limits.admit(OTHER, now)
        now += ban
        now = now.replace(second=30) + timedelta(minutes=1)
        limits.admit(ME, now)
        ban = min(2 * ban, LONGEST_BAN)
    assert ban == LONGEST_BAN


def test_raw_requests_are_counted_in_five_minutes() -> None:
    limits = Limits(raw=3)
    for _ in range(3):
        limits.admit(ME, START)
    with pytest.raises(ExchangeError) as refused:
        limits.admit(ME, START)
    assert refused.value.message.startswith("Too many requests; current limit is 3 requests per 5 MINUTE.")
    limits.admit(ME, START + timedelta(minutes=5))


def test_connections_are_counted_in_five_minutes() -> None:
    limits = Limits(connections=2)
    assert [limits.connect(ME, START) for _ in range(3)] == [True, True, False]
    assert limits.refuse_connection(START).http_status == 429
    assert limits.connect(ME, START + timedelta(minutes=5))
