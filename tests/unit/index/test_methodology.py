"""The rulebook in an index file: what it says, what it takes for granted, what it refuses."""

import tomllib
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from etf_trader.errors import UsageError
from etf_trader.index.methodology import Methodology, Weighting, next_due, read_methodology
from etf_trader.index.selection import Buffers

D = Decimal
TOP20 = """
[universe]
caps = "caps.csv"
exclude = ["stablecoins", "wrapped", "LEO"]
[universe.columns]
market_cap = "Market Cap"
[eligibility]
age_days = 90
volume = 1_000_000
[selection]
count = 20
enter = 18
exit = 24
[weighting]
by = "capped"
cap = 0.3
floor = 0.01
[rebalance]
absolute = 0.02
turnover = 0.5
reserve = 0.005
"""


def read(text: str) -> Methodology:
    return read_methodology(tomllib.loads(text, parse_float=D), "top20.toml")


def test_a_rulebook_says_what_stands_in_it_and_takes_the_rest_for_granted() -> None:
    found = read(TOP20)
    assert found.buffers() == Buffers(20, 18, 24)
    assert found.weighting.by is Weighting.CAPPED
    assert (found.weighting.cap, found.rebalance.absolute, found.eligibility.volume) == (
        D("0.3"),
        D("0.02"),
        D(1_000_000),
    )
    assert found.calendar.cron == "10 0 1 * *"
    document = found.document()
    assert document["rebalance"] == {
        "absolute": "0.02",
        "relative": "0",
        "nav": "0",
        "to": "target",
        "turnover": "0.5",
        "price_bps": None,
        "reserve": "0.005",
    }
    assert read_methodology({**document, "weights": {}}, "kept") == found


def test_a_list_is_taken_whole() -> None:
    found = read('universe.assets = ["BTC", "ETH", "SOL"]\nweighting.by = "equal"')
    assert found.buffers() == Buffers(3, 3, 3)


@pytest.mark.parametrize(
    ("old", "new", "message", "hint"),
    [
        ("exit = 24", "exti = 24", "unknown key 'selection.exti'", "did you mean selection.exit?"),
        ("[selection]", "[selectoin]", "unknown key 'selectoin'", "did you mean selection?"),
        ("cap = 0.3", "cap = 30", "weighting.cap must be a fraction from 0 to 1, like 0.25, not 30", None),
        (
            "cap = 0.3",
            "cap = 0.04",
            "a cap of 4% on 20 constituents leaves 20% for nobody",
            "a cap of at least 5%",
        ),
        ("floor = 0.01", "floor = 0.06", "a floor of 6% under 20", "a floor of at most 5%"),
        ("cap = 0.3", "", "weighting.cap is missing", "cap = 0.3"),
        ('by = "capped"', 'by = "cpped"', "weighting.by must be one of equal, market_cap", None),
        ("enter = 18", "enter = 21", "they must rise", "enter = 18, count = 20, exit = 24"),
        ("count = 20", "", "selection.count is missing", "count = 20"),
        (
            "age_days = 90",
            "age_days = -1",
            "eligibility.age_days must be whole days, from 0 to 3660, not -1",
            None,
        ),
        ("volume = 1_000_000", 'volume = "much"', "eligibility.volume must be a number, 0 or more", None),
        (
            "[rebalance]",
            "[fee]\nmanagement_bps = 20000\n[rebalance]",
            "fee.management_bps must be basis points",
            None,
        ),
        ("reserve = 0.005", "reserve = 1", "a reserve of everything", None),
        ('caps = "caps.csv"', 'assets = ["btc"]\ncaps = "caps.csv"', "chooses from one of three", "assets ="),
        ('caps = "caps.csv"', "", "chooses from one of three", "assets ="),
        ("[rebalance]", "[weights]\nBTC = 1\n[rebalance]", "chooses from one of three", None),
        (
            "[rebalance]",
            '[calendar]\ncron = "monthly"\n[rebalance]',
            "'monthly' is no cron expression",
            "five fields",
        ),
        ("[rebalance]", '[calendar]\ncron = "0 0 31 2 *"\n[rebalance]', "is no cron expression", "five fields"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_write(old: str, new: str, message: str, hint: str | None) -> None:
    assert old in TOP20
    with pytest.raises(UsageError) as raised:
        read(TOP20.replace(old, new))
    assert message in str(raised.value)
    assert raised.value.where == "top20.toml"
    assert hint is None or hint in (raised.value.hint or "")


def test_weights_by_caps_need_a_table_of_caps() -> None:
    with pytest.raises(UsageError, match="there is no table of market caps"):
        read('universe.assets = ["BTC", "ETH"]\nweighting.by = "market_cap"')
    with pytest.raises(UsageError, match="there are no"):
        read('universe.assets = ["BTC", "ETH"]')


def test_the_first_of_the_month_is_the_first_of_the_month_whatever_month() -> None:
    at = datetime(2024, 1, 31, 23, 0, tzinfo=UTC)
    found = []
    for _ in range(14):
        at = next_due("10 0 1 * *", at)
        found.append(at)
    assert [(each.year, each.month) for each in found[:13]] == [
        *((2024, month) for month in range(2, 13)),
        (2025, 1),
        (2025, 2),
    ]
    assert {(each.day, each.hour, each.minute) for each in found} == {(1, 0, 10)}
