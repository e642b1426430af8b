"""What stops an order, in words: every name that the solver and the manager use has its own."""

import ast
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

import etf_trader
from etf_trader.cli.stops import Stopped, in_short, sentences
from etf_trader.execution.outlook import Outlook
from etf_trader.market.symbol import Side

D = Decimal

STOPPED = Stopped(
    environment="paper",
    stopped_by=("limit",),
    side=Side.BUY,
    symbol="TOP8",
    quote="USDT",
    index_id=3,
    limit=D("1004"),
    max_loss_bps=D("12.5"),
    outlook=None,
)

WORDS = {
    "cash": (
        "cash",
        "Stopped by cash: the treasury does not hold more for it. To add some: etf treasury deposit 1000000",
    ),
    "float": ("float", "Stopped by the float: TOP8 has too little beside the units"),
    "minimum": ("least order", "Stopped by the venue's least order: the rest is too small for it."),
    "depth(DENT)": ("DENT sold out", "Stopped by the order book of DENT: nothing more is on offer there now."),
    "window(DENTUSDT)": ("levels read of DENTUSDT", "Stopped by what is read of the book of DENTUSDT:"),
    "limit": ("limit 1,004.00", "Stopped by the limit: 1,004.00 a unit."),
    "loss": ("loss limit 12.5 bps", "Stopped by the loss limit: 12.5 bps from arrival."),
    "price": ("no price", "Stopped by a missing price: a constituent's book is one-sided or empty."),
    "moved": ("moving books", "Stopped by books that moved on before the orders arrived."),
    "rejected(DENT)": ("DENT refused by the venue", "Stopped by the venue: it refused the orders for DENT."),
    "halted(DENTUSDT)": ("DENTUSDT halted", "Stopped by the venue: DENTUSDT does not trade now."),
    "delisted(DENTUSDT)": ("no market DENTUSDT", "Stopped by the venue: it has no market DENTUSDT, or no more."),
    "solver": ("no plan found", "Stopped by the solver: it found no plan for this order"),
    "held": ("what it keeps", "It keeps what it bought or sold beyond whole units"),
    "cross(DENT)": ("DENT in an opposite order", "Stopped by another order of yours: it wants the other side"),
    "slots": ("order limit", "Stopped by the venue's order limit: more units would need more orders"),
    "time": ("time", "Its time is over. A longer one: --tif 6h, or --tif gtc."),
    "cancelled": ("cancelled", "It was cancelled."),
}


@pytest.mark.parametrize(("name", "words"), WORDS.items(), ids=WORDS)
def test_every_stop_has_words_for_a_table_and_a_sentence(name: str, words: tuple[str, str]) -> None:
    short, sentence = words
    assert in_short([name], STOPPED.limit, STOPPED.max_loss_bps) == short
    (told,) = sentences(replace(STOPPED, stopped_by=(name,)))
    assert told.startswith(sentence)
    assert told.endswith(".")


def test_every_name_of_a_stop_in_the_source_has_words() -> None:
    known = {name.partition("(")[0] for name in WORDS} | {"filled"}
    assert _named_in_the_source() <= known


def test_a_refusal_names_the_order_that_tells_why() -> None:
    (told,) = sentences(replace(STOPPED, stopped_by=("rejected(DENT)",), order=7))
    assert "etf order show 7 says why" in told


def test_a_filled_order_was_stopped_by_nothing() -> None:
    assert sentences(replace(STOPPED, stopped_by=("filled",))) == []


def test_several_stops_are_told_one_by_one() -> None:
    stopped = replace(STOPPED, stopped_by=("limit", "time"))
    assert [sentence.split()[0] for sentence in sentences(stopped)] == ["Stopped", "Its"]
    assert in_short(["limit", "time"], D(900), None) == "limit 900.00, time"


def test_limits_that_are_not_known_are_named_without_their_number() -> None:
    assert in_short(["limit", "loss"], None, None) == "limit, loss limit"


def test_a_name_nobody_knows_is_told_as_it_is() -> None:
    assert sentences(replace(STOPPED, stopped_by=("gravity",))) == ["Stopped by gravity."]
    assert in_short(["gravity"], None, None) == "gravity"


@pytest.mark.parametrize(
    ("side", "name", "word"),
    [(Side.BUY, "depth(DENT)", "on offer"), (Side.SELL, "depth(DENT)", "bid for")],
    ids=["a buy", "a sell"],
)
def test_the_side_changes_the_words(side: Side, name: str, word: str) -> None:
    (told,) = sentences(replace(STOPPED, side=side, stopped_by=(name,)))
    assert word in told


OUTLOOK = Outlook(units=D(5), price=D("1004.125"), asset="DENT", more=D("20.5"))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param(
            {},
            "Stopped by the limit: DENT's next level would make a unit cost 1,004.12. "
            "1 bps more buys 20.5 units more.",
            id="a level beyond",
        ),
        pytest.param(
            {"outlook": replace(OUTLOOK, asset=None)},
            "Stopped by the limit: already the first unit would cost 1,004.12, fees included. "
            "1 bps more buys 20.5 units more.",
            id="nothing at all",
        ),
        pytest.param(
            {"outlook": replace(OUTLOOK, asset=None, more=D(0)), "has_begun": True},
            "Stopped by the limit: the next unit would cost 1,004.12, fees included.",
            id="begun, and a basis point buys nothing",
        ),
        pytest.param(
            {"side": Side.SELL, "outlook": replace(OUTLOOK, price=D("1003.9"), more=D(1))},
            "Stopped by the limit: DENT's next level would make a unit bring 1,003.90. "
            "1 bps more sells 1 unit more.",
            id="a sell",
        ),
        pytest.param(
            {"outlook": replace(OUTLOOK, price=D("1004.0001234"), more=D(0))},
            "Stopped by the limit: DENT's next level would make a unit cost 1,004.000123.",
            id="a price that looks like the limit has more digits",
        ),
        pytest.param(
            {"stopped_by": ("loss",), "outlook": replace(OUTLOOK, more=D(0))},
            "Stopped by the loss limit: DENT's next level would lose more than 12.5 bps from arrival.",
            id="the loss limit",
        ),
        pytest.param(
            {"stopped_by": ("loss",), "outlook": replace(OUTLOOK, asset=None, more=D(2))},
            "Stopped by the loss limit: already the first unit would lose more than 12.5 bps from arrival. "
            "1 bps more buys 2 units more.",
            id="the loss limit at once",
        ),
    ],
)
def test_a_limit_tells_what_lies_beyond_it(changes: dict[str, object], told: str) -> None:
    stopped = replace(STOPPED, **({"outlook": OUTLOOK} | changes))  # type: ignore[arg-type]
    assert sentences(stopped) == [told]


def _named_in_the_source() -> set[str]:
    """Return what stands in tuples of stops: the solver's names, and the manager's and settlement's endings."""
    source = Path(etf_trader.__file__).parent
    found: set[str] = set()
    for name in ("solver/stops.py", "solver/trial.py", "execution/manager.py", "execution/settlement.py"):
        tree = ast.parse((source / name).read_text())
        for node in ast.walk(tree):
            is_ending = isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Ending", "_note")
            is_names = isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in ("_NAMES", "MOVED")
            if isinstance(node, ast.Call | ast.Assign) and (is_ending or is_names):
                found |= {
                    each.value
                    for each in ast.walk(node)
                    if isinstance(each, ast.Constant) and isinstance(each.value, str)
                }
    return found


def test_the_currency_that_is_missing_is_named() -> None:
    (sentence,) = sentences(replace(STOPPED, stopped_by=("cash",), quote="USDC"))
    assert sentence.endswith("etf treasury deposit 1000000 --asset USDC.")


def test_at_binance_nobody_is_told_to_type_what_only_paper_knows() -> None:
    (sentence,) = sentences(replace(STOPPED, stopped_by=("cash",), environment="live"))
    assert sentence.endswith("To add some: send USDT to the account at Binance, then etf reconcile.")
