"""What a client of the streams says, and what it is answered."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_trader.exchange.server.stream_commands import METHODS, MOST_STREAMS, NO_CHANGE, Change, obey

ONE_OF = ", ".join(f"`{method}`" for method in METHODS)


def said(**request: Any) -> tuple[Any, Change]:
    return obey(json.dumps(request), False, ["a@trade"])


@pytest.mark.parametrize("number", [1, 0, -5, 2**63 - 1, "abc-DEF_1", "x" * 36, None], ids=repr)
def test_an_answer_carries_the_id_of_its_request(number: Any) -> None:
    answer, change = said(method="SUBSCRIBE", params=["b@depth"], id=number)
    assert answer == {"result": None, "id": number}
    assert change == Change(joins=("b@depth",))


def test_streams_are_left_listed_and_wrapped() -> None:
    assert said(method="UNSUBSCRIBE", params=["a@trade"], id=1)[1] == Change(leaves=("a@trade",))
    assert said(method="LIST_SUBSCRIPTIONS", id=2) == ({"result": ["a@trade"], "id": 2}, NO_CHANGE)
    assert said(method="SET_PROPERTY", params=["combined", True], id=3)[1] == Change(combined=True)
    assert said(method="GET_PROPERTY", params=["combined"], id=4)[0] == {"result": False, "id": 4}


@pytest.mark.parametrize(
    ("request_text", "code", "message"),
    [
        ("nonsense", 3, "Invalid JSON: expected value at line 1 column 1"),
        ('{"method": }', 3, "Invalid JSON: expected value at line 1 column 12"),
        ("[1]", 2, "Invalid request: missing field `method` at line 1 column 3"),
        ('{"id":1}', 2, "Invalid request: missing field `method` at line 1 column 8"),
        ('{"method":"SUBSCRIBE","params":["a@b"]}', 2, "Invalid request: request ID must be an unsigned integer"),
        (
            '{"method":"LIST_SUBSCRIPTIONS","id":1.5}',
            2,
            "Invalid request: request ID must be an unsigned integer",
        ),
        (
            '{"method":"LIST_SUBSCRIPTIONS","id":true}',
            2,
            "Invalid request: request ID must be an unsigned integer",
        ),
        (
            json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": "x" * 37}),
            2,
            "Invalid request: request ID must be an unsigned integer",
        ),
        (
            '{"method":"subscribe","id":1}',
            2,
            f"Invalid request: unknown variant `subscribe`, expected one of {ONE_OF} at line 1 column 28",
        ),
        (
            '{"method":["SUBSCRIBE"],"id":1}',
            2,
            f"Invalid request: unknown variant `['SUBSCRIBE']`, expected one of {ONE_OF} at line 1 column 28",
        ),
        ('{"method":"SUBSCRIBE","id":1}', 2, "Invalid request: invalid stream"),
        ('{"method":"SUBSCRIBE","params":[7],"id":1}', 2, "Invalid request: invalid stream"),
        ('{"method":"LIST_SUBSCRIPTIONS","params":["a"],"id":1}', 2, "Invalid request: too many parameters"),
        (
            '{"method":"GET_PROPERTY","params":["combined",1],"id":1}',
            2,
            "Invalid request: too many parameters",
        ),
        ('{"method":"GET_PROPERTY","id":1}', 2, "Invalid request: property name must be a string"),
        (
            '{"method":"SET_PROPERTY","params":[true],"id":1}',
            2,
            "Invalid request: property name must be a string",
        ),
        ('{"method":"SET_PROPERTY","params":["colour",true],"id":1}', 0, "Unknown property"),
        ('{"method":"SET_PROPERTY","params":["combined",1],"id":1}', 1, "Invalid value type: expected Boolean"),
        ('{"method":"SET_PROPERTY","params":["combined"],"id":1}', 1, "Invalid value type: expected Boolean"),
    ],
)
def test_a_mistake_is_answered_and_changes_nothing(request_text: str, code: int, message: str) -> None:
    answer, change = obey(request_text, False, [])
    assert answer["error"] == {"code": code, "msg": message}
    assert answer.get("id", 1) == 1
    assert change == NO_CHANGE


def test_a_connection_has_at_most_1024_streams_counted_once_each() -> None:
    full = [f"s{number}@depth" for number in range(MOST_STREAMS)]
    request = {"method": "SUBSCRIBE", "params": [full[3], full[3]], "id": 1}
    assert obey(json.dumps(request), False, full)[0] == {"result": None, "id": 1}
    answer, change = obey(json.dumps(request | {"params": ["one@more"]}), False, full)
    assert answer == {"error": {"code": 4, "msg": "Too many subscriptions"}, "id": 1}
    assert change == NO_CHANGE


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


@given(
    st.text()
    | json_values.map(json.dumps)
    | st.builds(
        lambda method, params, number: json.dumps({"method": method, "params": params, "id": number}),
        st.sampled_from(METHODS) | json_values,
        json_values,
        json_values,
    )
)
def test_whatever_is_said_gets_one_answer(text: str) -> None:
    answer, change = obey(text, True, ["a@trade"])
    assert ("error" in answer) != ("result" in answer)
    assert "result" in answer or change == NO_CHANGE
    json.dumps(answer)
