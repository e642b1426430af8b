"""Who is in an index, by rank and buffer, and why."""

from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from etf_trader.index.caps import CapRow
from etf_trader.index.selection import (
    Buffers,
    Eligibility,
    Known,
    Verdict,
    Why,
    eligible,
    excluded_assets,
    select,
)

D = Decimal
DAY = date(2026, 1, 1)


def row(symbol: str, *, volume: str | None = "100", name: str | None = None) -> CapRow:
    return CapRow(DAY, symbol, name or symbol, D(1), D(1), None if volume is None else D(volume))


def ranked(text: str) -> list[CapRow]:
    return [row(symbol) for symbol in text]


def chosen(verdicts: list[Verdict]) -> dict[str, str]:
    return {each.asset: str(each.why) for each in verdicts if each.why.is_in}


def test_an_incumbent_at_the_edge_stays_and_a_newcomer_there_does_not_enter() -> None:
    verdicts = select(ranked("ABCDEFG"), {"A", "B", "E"}, Buffers(count=4, enter=3, exit=5))
    assert chosen(verdicts) == {"A": "kept", "B": "kept", "C": "entered", "E": "kept"}
    assert [(each.asset, each.rank, str(each.why)) for each in verdicts if not each.why.is_in] == [
        ("D", 4, "beyond the entry rank"),
        ("F", 6, "beyond the entry rank"),
        ("G", 7, "beyond the entry rank"),
    ]


def test_who_falls_beyond_the_exit_rank_leaves_and_the_place_is_filled_by_rank() -> None:
    verdicts = select(ranked("ABCDEFG"), {"A", "B", "G"}, Buffers(count=4, enter=2, exit=5))
    assert chosen(verdicts) == {"A": "kept", "B": "kept", "C": "filled up", "D": "filled up"}
    assert verdicts[-1] == Verdict("G", "G", 7, Why.BEYOND_EXIT)


def test_more_incumbents_than_places_are_kept_by_rank() -> None:
    verdicts = select(ranked("ABCD"), set("ABCD"), Buffers(count=2, enter=2, exit=4))
    assert chosen(verdicts) == {"A": "kept", "B": "kept"}
    assert [each.why for each in verdicts[2:]] == [Why.FULL, Why.FULL]


@given(
    st.integers(0, 40),
    st.sets(st.integers(0, 39)),
    st.integers(1, 20).flatmap(
        lambda count: st.tuples(st.just(count), st.integers(1, count), st.integers(count, 40))
    ),
)
def test_an_index_is_full_when_it_can_be_and_nobody_is_there_for_no_reason(
    coins: int, before: set[int], sizes: tuple[int, int, int]
) -> None:
    buffers = Buffers(*sizes)
    rows = [row(f"C{number}") for number in range(coins)]
    incumbents = {f"C{number}" for number in before}
    verdicts = select(rows, incumbents, buffers)
    assert [each.rank for each in verdicts] == list(range(1, coins + 1))
    inside = [each for each in verdicts if each.why.is_in]
    assert len(inside) == min(buffers.count, coins)
    for each in verdicts:
        assert each.rank is not None
        if each.why is Why.KEPT:
            assert each.asset in incumbents and each.rank <= buffers.exit
        if each.why is Why.ENTERED:
            assert each.rank <= buffers.enter
    # Who is left out though not worse placed was no incumbent, and stood beyond the entry rank.
    last = max((each.rank for each in inside if each.rank is not None), default=0)
    for each in verdicts:
        if not each.why.is_in and each.rank is not None and each.rank < last:
            assert each.asset not in incumbents or each.rank > buffers.exit


def test_what_a_coin_lacks_is_named() -> None:
    rows = [
        row("BTC"),
        row("USDT"),
        row("GONE"),
        row("HALT"),
        row("NEW"),
        row("ENDS"),
        row("THIN", volume="5"),
        row("MUTE", volume=None),
        row("BTC", name="Other Bitcoin"),
        row("LEO"),
    ]
    known = Known(
        trading={each.symbol: each.symbol != "HALT" for each in rows if each.symbol != "GONE"},
        first_seen={(each.symbol, each.name): date(2025, 12, 20 if each.symbol == "NEW" else 1) for each in rows},
        ending=frozenset({"ENDS"}),
    )
    rule = Eligibility(age_days=30, volume=D(10))
    left, out = eligible(rows, DAY, rule, excluded_assets(["Stablecoins", "leo"]), known)
    assert [each.symbol for each in left] == ["BTC"]
    assert {(each.asset, str(each.why)) for each in out} == {
        ("USDT", "excluded"),
        ("GONE", "no market"),
        ("HALT", "not trading"),
        ("ENDS", "its market is to end"),
        ("NEW", "too young"),
        ("THIN", "too little volume"),
        ("MUTE", "too little volume"),
        ("BTC", "second of its symbol"),
        ("LEO", "excluded"),
    }
