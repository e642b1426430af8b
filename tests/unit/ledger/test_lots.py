"""Which lots go first, what they cost, and that quantity and cost are never lost on the way."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etf_trader.errors import LedgerError
from etf_trader.ledger.lots import Disposal, LotBook
from etf_trader.ledger.pile import Lot, LotOrder, Place, hifo_rank
from etf_trader.ledger.transaction import LotAction, LotMove
from etf_trader.money import ZERO, divide, money_context

D = Decimal
START = datetime(2026, 1, 1, tzinfo=UTC)
METHODS = ("fifo", "hifo", "average")


def row(*values: int | str) -> tuple[Decimal, ...]:
    return tuple(D(value) for value in values)


def make_book() -> LotBook:
    """A book that has no lots yet."""
    return LotBook()


def acquire(book: LotBook, quantity: str, cost: str, day: int = 0, method: str = "fifo") -> None:
    move = LotMove(LotAction.ACQUIRE, "index:1", "A", D(quantity), D(cost), method=method)
    book.apply(move, START + timedelta(days=day), day)


def dispose(
    book: LotBook, quantity: str, proceeds: str, method: str, day: int = 10, fee: str = "0"
) -> list[Disposal]:
    before = len(book.disposals)
    move = LotMove(LotAction.DISPOSE, "index:1", "A", D(quantity), D(proceeds), D(fee), method=method)
    book.apply(move, START + timedelta(days=day), day)
    return book.disposals[before:]


def three_lots(method: str) -> LotBook:
    """2 for 20 on day 0, 3 for 45 on day 1, 5 for 60 on day 2: 10 for 125; a unit cost 10, 15, 12."""
    book = make_book()
    for day, (quantity, cost) in enumerate((("2", "20"), ("3", "45"), ("5", "60"))):
        acquire(book, quantity, cost, day, method)
    return book


def test_fifo_gives_the_oldest_first() -> None:
    book = three_lots("fifo")
    # 4 for 56: all of the first (cost 20), 2 of the second (cost 45 x 2/3 = 30); proceeds 28 and 28.
    parts = dispose(book, "4", "56", "fifo")
    assert [(part.quantity, part.cost, part.proceeds, part.gain) for part in parts] == [
        row(2, 20, 28, 8),
        row(2, 30, 28, -2),
    ]
    assert [part.days_held for part in parts] == [10, 9]
    assert (book.quantity("index:1", "A"), book.cost("index:1", "A")) == row(6, 75)


def test_hifo_gives_the_dearest_first() -> None:
    book = three_lots("hifo")
    # 4 for 56: all of the second (cost 45), 1 of the third (cost 12); proceeds 42 and 14.
    parts = dispose(book, "4", "56", "hifo")
    assert [(part.quantity, part.cost, part.proceeds, part.gain) for part in parts] == [
        row(3, 45, 42, -3),
        row(1, 12, 14, 2),
    ]
    assert (book.quantity("index:1", "A"), book.cost("index:1", "A")) == row(6, 68)


def test_average_gives_at_the_mean_cost() -> None:
    book = three_lots("average")
    # 4 of 10 that cost 125: 50.
    (part,) = dispose(book, "4", "56", "average")
    assert (part.quantity, part.cost, part.gain) == row(4, 50, 6)
    assert (book.quantity("index:1", "A"), book.cost("index:1", "A")) == row(6, 75)


def test_average_begins_a_new_lot_once_everything_is_gone() -> None:
    book = three_lots("average")
    dispose(book, "10", "130", "average")
    acquire(book, "1", "20", 11, "average")
    assert [lot.quantity for lot in book.lots("index:1", "A")] == [10, 1]
    assert (book.quantity("index:1", "A"), book.cost("index:1", "A")) == row(1, 20)


def test_the_fee_is_split_as_the_proceeds_are() -> None:
    parts = dispose(three_lots("fifo"), "5", "70", "fifo", fee="1")
    assert [(part.proceeds, part.fee) for part in parts] == [row(28, "0.4"), row(42, "0.6")]


def test_what_does_not_divide_stays_in_the_last_part() -> None:
    book = make_book()
    acquire(book, "3", "1")
    first = dispose(book, "1", "1", "fifo")
    second = dispose(book, "2", "1", "fifo")
    assert first[0].cost == D("0.333333333333333333")
    assert second[0].cost == D("0.666666666666666667")


@pytest.mark.parametrize("method", ["fifo", "hifo"])
def test_lots_that_are_carried_stay_as_old_and_as_dear_as_they_are(method: str) -> None:
    book = three_lots(method)
    carry = LotMove(LotAction.CARRY, "index:1", "A", D(4), target="order:1", method=method)
    book.apply(carry, START + timedelta(days=9), 9)
    first, second = {"fifo": ((0, 2, 20), (1, 2, 30)), "hifo": ((1, 3, 45), (2, 1, 12))}[method]
    found = [((lot.acquired_at - START).days, lot.quantity, lot.cost) for lot in book.lots("order:1", "A")]
    assert found == [(day, D(quantity), D(cost)) for day, quantity, cost in (first, second)]
    assert (book.quantity("index:1", "A"), book.cost("index:1", "A")) == (D(6), 125 - D(first[2] + second[2]))


def test_lots_of_one_moment_are_carried_as_one() -> None:
    book = make_book()
    for cost in ("10", "12"):
        acquire(book, "1", cost)
    book.apply(LotMove(LotAction.CARRY, "index:1", "A", D(2), target="order:1"), START + timedelta(days=9), 9)
    assert [(lot.acquired_at, lot.cost) for lot in book.lots("order:1", "A")] == [(START, D(22))]


def test_a_move_takes_the_cost_along() -> None:
    book = three_lots("fifo")
    book.apply(LotMove(LotAction.MOVE, "index:1", "A", D(3), target="order:1"), START, 3)
    # 2 for 20, and 1 of 3 for 45.
    assert (book.quantity("order:1", "A"), book.cost("order:1", "A")) == row(3, 35)
    assert (book.quantity("index:1", "A"), book.cost("index:1", "A")) == row(7, 90)


def test_an_adjustment_goes_to_the_newest_open_lot() -> None:
    book = three_lots("fifo")
    book.apply(LotMove(LotAction.ADJUST, "index:1", "A", ZERO, D("0.5")), START, 3)
    assert [lot.open_cost for lot in book.lots("index:1", "A")] == [20, 45, D("60.5")]


def test_an_adjustment_of_nothing_open_is_left_out() -> None:
    book = make_book()
    book.apply(LotMove(LotAction.ADJUST, "index:1", "A", ZERO, D("0.5")), START, 3)
    assert book.changed == []


def test_proceeds_without_a_quantity_correct_the_newest_lot() -> None:
    book = three_lots("fifo")
    (part,) = dispose(book, "0", "-0.25", "fifo")
    assert (part.quantity, part.cost, part.gain) == row(0, 0, "-0.25")
    assert book.quantity("index:1", "A") == 10


def test_more_than_the_lots_hold_is_refused() -> None:
    with pytest.raises(LedgerError, match=r"index:1 lacks 0\.5 A"):
        dispose(three_lots("fifo"), "10.5", "100", "fifo")


def test_a_lot_that_becomes_dearer_goes_before_those_that_were() -> None:
    book = three_lots("hifo")
    # A unit of the third costs 12; of the second, which goes first, 15.
    dispose(book, "1", "15", "hifo")
    book.apply(LotMove(LotAction.ADJUST, "index:1", "A", ZERO, D(40)), START, 3)
    # Of the third it costs 20 now.
    (part,) = dispose(book, "5", "100", "hifo")
    assert (part.quantity, part.cost, part.lot.acquired_at) == (D(5), D(100), START + timedelta(days=2))


def test_a_lot_that_becomes_cheaper_goes_after_those_that_are_not() -> None:
    book = three_lots("hifo")
    acquire(book, "1", "16", 3, "hifo")
    dispose(book, "0.5", "8", "hifo")
    book.apply(LotMove(LotAction.ADJUST, "index:1", "A", ZERO, D(-4)), START, 4)
    # Half of the fourth is left, for 4: a unit costs 8.
    parts = dispose(book, "10.5", "105", "hifo")
    assert [part.cost for part in parts] == [45, 60, 20, 4]


@dataclass
class Shelf:
    """Written lots in a plain list, sorted anew for every question; what was asked for is noted."""

    kept: list[Lot]
    asked: list[tuple[str, LotOrder, int]] = field(default_factory=list)

    def open_lots(self, account: str, asset: str, order: LotOrder, after: Place | None, count: int) -> list[Lot]:
        self.asked.append((account, order, count))
        found = [lot for lot in self.of(account, asset) if lot.open_quantity]
        if order is LotOrder.NEWEST:
            found.reverse()
        elif order is LotOrder.DEAREST:
            found.sort(key=lambda lot: -divide(lot.open_cost, lot.open_quantity))
        known = [lot.id for lot in found]
        start = 0 if after is None else known.index(after.id) + 1
        return [replace(lot) for lot in found[start : start + count]]

    def last_lot(self, account: str, asset: str) -> Lot | None:
        found = self.of(account, asset)
        return replace(found[-1]) if found else None

    def of(self, account: str, asset: str) -> list[Lot]:
        return [lot for lot in self.kept if (lot.account, lot.asset) == (account, asset)]

    def write(self, book: LotBook) -> None:
        """Keep what changed, as a transaction's end does."""
        for lot in book.changed:
            if lot.id is None:
                lot.id = len(self.kept) + 1
                self.kept.append(replace(lot))
            else:
                self.kept[lot.id - 1] = replace(lot)


def written(number: int, quantity: int, cost: int) -> Lot:
    return Lot(number, 0, "index:1", "A", START, D(quantity), D(cost), D(quantity), D(cost))


def test_lots_that_were_written_before_go_on() -> None:
    shelf = Shelf([Lot(1, 0, "index:1", "A", START, D(4), D(40), D(3), D(30))])
    book = LotBook(shelf)
    dispose(book, "1", "11", "fifo")
    (lot,) = book.changed
    assert (lot.id, lot.quantity, lot.open_quantity, lot.open_cost) == (1, *row(4, 2, 20))


def test_what_is_acquired_reads_no_older_lots_and_still_comes_after_them() -> None:
    shelf = Shelf([Lot(1, 0, "index:1", "A", START, D(4), D(40), D(3), D(30))])
    book = LotBook(shelf)
    acquire(book, "2", "50")
    assert shelf.asked == []
    assert [part.quantity for part in dispose(book, "4", "44", "fifo")] == [D(3), D(1)]
    assert [lot.id for lot in book.lots("index:1", "A")] == [1, None]


@pytest.mark.parametrize("method", METHODS)
def test_a_sale_reads_no_more_lots_than_it_takes_and_a_part(method: str) -> None:
    shelf = Shelf([written(number, 1, 2000 - number) for number in range(1, 1001)])
    book = LotBook(shelf, part=4)
    dispose(book, "3.5", "4000", method)
    assert [count for _, _, count in shelf.asked] == [4]
    dispose(book, "3", "4000", method)
    assert [count for _, _, count in shelf.asked] == [4, 8]
    assert [part.lot.id for part in book.disposals] == [1, 2, 3, 4, 4, 5, 6, 7]


def test_the_newest_lot_is_found_without_the_older_ones() -> None:
    shelf = Shelf([written(number, 1, 10) for number in range(1, 1001)])
    book = LotBook(shelf, part=4)
    book.apply(LotMove(LotAction.ADJUST, "index:1", "A", ZERO, D("0.5")), START, 3)
    assert [(lot.id, lot.open_cost) for lot in book.changed] == [(1000, D("10.5"))]
    assert shelf.asked == [("index:1", LotOrder.NEWEST, 4)]


def test_proceeds_without_a_quantity_go_to_the_newest_lot_that_is_open_and_else_to_the_last() -> None:
    shelf = Shelf([written(1, 1, 10), written(2, 1, 20)])
    for part, expected in (("0", 2), ("1", 2), ("0", 1), ("1", 1), ("0", 2)):
        book = LotBook(shelf, part=1)
        (made,) = dispose(book, part, "1", "hifo")
        shelf.write(book)
        assert made.lot.id == expected


costs = st.decimals("-1e12", "9e23", places=18)  # money has 60 digits
quantities = st.decimals("1e-18", "1e18", places=18)


@given(st.tuples(quantities, costs), st.tuples(quantities, costs))
def test_ranks_sort_as_what_a_unit_costs(one: tuple[Decimal, Decimal], other: tuple[Decimal, Decimal]) -> None:
    with money_context():
        first, second = hifo_rank(*one), hifo_rank(*other)
        prices = divide(one[1], one[0]), divide(other[1], other[0])
    assert first is not None
    assert second is not None
    assert len(first) == len(second) == 62
    assert (first < second, first == second) == (prices[0] > prices[1], prices[0] == prices[1])


def test_a_lot_of_which_nothing_is_left_has_no_rank() -> None:
    assert hifo_rank(ZERO, ZERO) is None


amounts = st.decimals("0.00000001", "100000", places=8)


@given(
    st.sampled_from(METHODS),
    st.lists(st.tuples(st.booleans(), amounts, amounts, st.booleans()), max_size=25),
)
def test_quantity_and_cost_are_conserved(method: str, steps: list[tuple[bool, Decimal, Decimal, bool]]) -> None:
    book = make_book()
    held = paid = proceeds = gains = moved_quantity = ZERO
    for is_buy, quantity, amount, is_move in steps:
        before = len(book.disposals)
        if is_buy:
            acquire(book, str(quantity), str(amount), method=method)
            held, paid = held + quantity, paid + amount
            continue
        part = min(quantity, held)
        if part == 0:
            continue
        if is_move:
            book.apply(LotMove(LotAction.MOVE, "index:1", "A", part, target="order:1", method=method), START, 0)
            moved_quantity += part
        else:
            dispose(book, str(part), str(amount), method)
            proceeds += amount
            gains += sum((each.gain for each in book.disposals[before:]), ZERO)
        held -= part
    left = book.cost("index:1", "A") + book.cost("order:1", "A")
    assert book.quantity("index:1", "A") == held
    assert book.quantity("order:1", "A") == moved_quantity
    assert left + sum((each.cost for each in book.disposals), ZERO) == paid
    assert sum((each.proceeds for each in book.disposals), ZERO) == proceeds
    assert gains == proceeds - (paid - left)
    assert all(lot.open_quantity >= 0 and lot.open_cost >= 0 for lot in book.lots("index:1", "A"))
    assert all(lot.open_cost == 0 for lot in book.lots("index:1", "A") if lot.open_quantity == 0)


sizes = st.one_of(st.decimals("0.01", "20", places=2), st.integers(1, 4).map(D))
"""So that many lots cost the same, and many sales end where a lot does."""


class Step(NamedTuple):
    """A move, and whether a transaction ends with it."""

    kind: str
    quantity: Decimal
    amount: Decimal
    is_last: bool


kinds = st.sampled_from(("buy", "buy", "sell", "move", "carry", "adjust", "correct"))
some_steps = st.lists(st.builds(Step, kinds, sizes, sizes, st.booleans()), max_size=30)


def move_of(step: Step, quantity: Decimal, method: str) -> LotMove:
    """Return the move of a step; a correction has no quantity."""
    mine = ("index:1", "A")
    return {
        "buy": LotMove(LotAction.ACQUIRE, *mine, quantity, step.amount, method=method),
        "sell": LotMove(LotAction.DISPOSE, *mine, quantity, step.amount, step.amount / 100, method=method),
        "move": LotMove(LotAction.MOVE, *mine, quantity, target="order:1", method=method),
        "carry": LotMove(LotAction.CARRY, *mine, quantity, target="order:1", method=method),
        "adjust": LotMove(LotAction.ADJUST, *mine, ZERO, step.amount),
        "correct": LotMove(LotAction.DISPOSE, *mine, ZERO, step.amount),
    }[step.kind]


@given(st.sampled_from(METHODS), st.integers(1, 3), some_steps)
def test_lots_that_are_read_in_parts_go_as_those_of_a_plain_list(
    method: str, part: int, steps: list[Step]
) -> None:
    whole, shelf, held = LotBook(), Shelf([]), ZERO
    book, disposed = LotBook(shelf, part), list[Disposal]()
    for number, step in enumerate(steps):
        quantity = min(step.quantity, held) if step.kind in ("sell", "move", "carry") else step.quantity
        if not quantity:
            continue
        held += {"buy": quantity, "adjust": ZERO, "correct": ZERO}.get(step.kind, -quantity)
        for each in (whole, book):
            each.apply(move_of(step, quantity, method), START + timedelta(days=number), number)
        if step.is_last:
            shelf.write(book)
            disposed += book.disposals
            book = LotBook(shelf, part)
    shelf.write(book)
    disposed += book.disposals
    assert [facts(each) for each in disposed] == [facts(each) for each in whole.disposals]
    for account in ("index:1", "order:1"):
        made, kept = whole.lots(account, "A"), shelf.of(account, "A")
        assert [replace(lot, id=None) for lot in kept] == [replace(lot, id=None) for lot in made]


def facts(disposal: Disposal) -> Disposal:
    """Return a disposal with its lot as nothing but when it was acquired."""
    lot = disposal.lot
    bare = Lot(None, lot.sequence, lot.account, lot.asset, lot.acquired_at, ZERO, ZERO, ZERO, ZERO)
    return replace(disposal, lot=bare)
