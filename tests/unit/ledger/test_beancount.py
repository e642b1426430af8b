"""The ledger as beancount reads it: names can be read back, and its totals are ours."""

import re
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from beancount import loader
from beancount.core import amount, data
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, select
from tests.unit.reports.worked import buy_of_ten, make_worked_house, sell_of_five

from etf_trader.ledger.beancount import (
    account_name,
    beancount_lines,
    commodity_name,
    read_account_name,
    read_commodity_name,
)
from etf_trader.ledger.replay import Entry, entries
from etf_trader.ledger.tables import balances, disposals, transactions
from etf_trader.ledger.transaction import LotAction, LotMove, Posting
from etf_trader.money import money_context

D = Decimal
ZERO = D(0)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


def read(connection: Connection) -> data.Entries:
    """Export the books and load them with beancount, which must find nothing wrong."""
    lines = beancount_lines(entries(connection, 1), 'books of "paper"', lambda account, order: "USDT")
    found, errors, _ = loader.load_string("".join(f"{line}\n" for line in lines))
    assert errors == []
    return found


def check_totals(connection: Connection) -> None:
    """Check that what beancount makes of the file is what our books say, to the last digit."""
    found = read(connection)
    sums: dict[tuple[str, str], Decimal] = defaultdict(lambda: ZERO)
    booked = [each for each in found if isinstance(each, data.Transaction)]
    with money_context():
        for each in booked:
            for posting in each.postings:
                assert isinstance(posting.units, amount.Amount)
                at = read_account_name(posting.account), read_commodity_name(posting.units.currency)
                sums[at] += posting.units.number or ZERO
    rows = connection.execute(select(balances)).all()
    assert {at: total for at, total in sums.items() if total} == {
        (row.account, row.asset): row.amount for row in rows if row.amount
    }
    chain = connection.execute(select(transactions).order_by(transactions.c.sequence)).all()
    by_sequence = sorted(booked, key=lambda each: each.meta["sequence"])
    assert [(each.meta["key"], each.meta["hash"]) for each in by_sequence] == [
        (row.key, row.hash) for row in chain
    ]
    told = [each for each in found if isinstance(each, data.Custom) and each.type == "etf-disposal"]
    gains = connection.execute(select(disposals.c.gain)).scalars().all()
    assert sorted(each.meta["gain"].number for each in told) == sorted(gains)


@given(name=TEXT)
def test_every_asset_has_a_legal_name_that_can_be_read_back(name: str) -> None:
    called = commodity_name(name)
    assert re.fullmatch(amount.CURRENCY_RE, called)
    assert read_commodity_name(called) == name


@given(kind=st.sampled_from(["treasury", "capital", "order", "gains", "fee_payable"]), name=TEXT)
def test_every_account_has_a_legal_name_that_can_be_read_back(kind: str, name: str) -> None:
    called = account_name(f"{kind}:{name}")
    assert re.fullmatch(r"(Assets|Equity)(:[A-Z0-9][A-Za-z0-9-]*)+", called)
    assert read_account_name(called) == f"{kind}:{name}"


def test_names_read_as_people_write_them() -> None:
    assert commodity_name("BTC") == "BTC"
    assert commodity_name("unit:1") == "UNIT1"
    assert commodity_name("UNIT1") != "UNIT1"
    assert commodity_name("1INCH") == "X-1INCH"
    assert account_name("treasury:self") == "Assets:Treasury:Self"
    assert account_name("treasury:Self") != "Assets:Treasury:Self"
    assert account_name("issued:1") == "Liabilities:Issued:1"
    assert account_name("market") == "Equity:Market"
    assert account_name("fee_payable:1") == "Assets:Fee-Payable:1"
    assert read_account_name("Expenses:Venue-Fees") == "venue_fees"


def test_a_swap_of_coins_is_told_with_what_became_of_the_old_one() -> None:
    move = LotMove(LotAction.SWAP, "index:1", "B", D(2), D(4), target="POL")
    lines = (Posting("index:1", "B", D(-2)), Posting("swapped", "B", D(2)))
    at = datetime(2026, 1, 5, tzinfo=UTC)
    entry = Entry(2, "swap:1", "swap", at, at, None, "B became POL", {}, (move,), lines, (), "", "")
    bought = LotMove(LotAction.ACQUIRE, "index:1", "B", D(2), D(20))
    first = replace(entry, sequence=1, key="first", moves=(bought,), postings=())
    text = "\n".join(beancount_lines([first, entry], "books", lambda account, order: "USDT"))
    assert "  became: 4 POL" in text
    assert re.findall(r"open (\S+)", text) == ["Assets:Index:1", "Equity:Swapped"]


async def test_beancount_proves_what_is_held_and_notices_a_changed_digit(tmp_path: Path) -> None:
    house = await make_worked_house(tmp_path)
    await buy_of_ten(house)
    await sell_of_five(house)
    with house.database.read() as connection:
        check_totals(connection)
        lines = beancount_lines(entries(connection, 1), "books", lambda account, order: "USDT")
        text = "".join(f"{line}\n" for line in lines)
    changed = text.replace("  1000000 USDT", "  1000001 USDT", 1)
    assert changed != text
    assert loader.load_string(changed)[1] != []
