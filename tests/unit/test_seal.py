"""The canonical text of facts is one spelling for one meaning; its hash tells any change."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_trader.seal import canonical, seal

D = Decimal
NOON = datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        pytest.param({"b": 1, "a": None}, '{"a":null,"b":1}', id="keys in order, no spaces"),
        pytest.param([D("1.50"), D("1E+3"), D("-0.00")], '["1.5","1000","0"]', id="decimals in one spelling"),
        pytest.param(NOON, '"2026-03-01T12:00:00.000005Z"', id="a time to the microsecond"),
        pytest.param({"name": "Größe"}, '{"name":"Größe"}', id="letters as they are"),
        pytest.param({"x": {"z": True, "y": [1, "2"]}}, '{"x":{"y":[1,"2"],"z":true}}', id="nested"),
    ],
)
def test_facts_have_one_spelling(facts: object, text: str) -> None:
    assert canonical(facts) == text


def test_a_time_is_spelled_in_utc_wherever_it_was_read() -> None:
    there = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert canonical(there) == canonical(NOON)


@pytest.mark.parametrize("value", [1j, b"bytes", {1, 2}, object()], ids=lambda value: type(value).__name__)
def test_what_has_no_spelling_is_a_bug(value: object) -> None:
    with pytest.raises(TypeError, match="no canonical spelling for"):
        canonical({"value": value})


def test_the_seal_is_the_hash_that_was_written_down() -> None:
    # printf 'etf.try/1\n{"a":"1.5"}' | sha256sum
    expected = "474b59c2887d8bb1352280520308e45b149909d64878f48575fe129dc0b3a0d5"
    assert seal("etf.try/1", {"a": D("1.50")}) == expected


def test_the_kind_is_part_of_the_seal() -> None:
    assert seal("etf.fill/1", {"a": 1}) != seal("etf.fill/2", {"a": 1})


texts = st.text(max_size=5)
values = st.decimals(allow_nan=False, allow_infinity=False, places=8) | st.integers() | texts | st.none()
facts = st.dictionaries(texts, values, max_size=5)


@given(facts)
def test_the_order_of_facts_makes_no_difference(drawn: dict[str, object]) -> None:
    backwards = dict(reversed(drawn.items()))
    assert seal("etf.try/1", drawn) == seal("etf.try/1", backwards)


@given(facts, texts, st.decimals(allow_nan=False, allow_infinity=False, places=8))
def test_another_amount_makes_another_seal(drawn: dict[str, object], name: str, amount: Decimal) -> None:
    one, other = drawn | {name: amount}, drawn | {name: amount + D("0.00000001")}
    assert seal("etf.try/1", one) != seal("etf.try/1", other)
