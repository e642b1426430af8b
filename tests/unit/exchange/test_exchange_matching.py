"""Matching: tables worked out by hand, and what must hold in every book."""

from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etf_trader.exchange.market import Depth, MarketBook
from etf_trader.exchange.matching import ASK, BID, PREVENTION_MODES, Order, Prevention, SymbolBook
from etf_trader.money import ZERO, money_context

D = Decimal
Levels = Sequence[tuple[str, str]]


def market(bids: Levels = (), asks: Levels = ()) -> MarketBook:
    return MarketBook(
        tuple(Depth(D(p), D(q)) for p, q in bids), tuple(Depth(D(p), D(q)) for p, q in asks), 1, True
    )


def order(order_id: int, side: str, price: str, quantity: str, account: str = "other", ahead: str = "0") -> Order:
    return Order(order_id, account, side, D(price), D(quantity), ahead=D(ahead))


def buy(price: str, quantity: str) -> Order:
    return order(99, "BUY", price, quantity, account="me")


def sell(price: str, quantity: str) -> Order:
    return order(99, "SELL", price, quantity, account="me")


ASKS: Levels = (("100", "1"), ("101", "2"), ("103", "4"))
BIDS: Levels = (("99", "1"), ("98", "2"), ("96", "4"))


@pytest.mark.parametrize(
    ("taker", "fills"),
    [
        pytest.param(buy("99", "1"), [], id="a limit below the book"),
        pytest.param(buy("100", "0.5"), [("100", "0.5")], id="part of a level"),
        pytest.param(buy("100", "5"), [("100", "1")], id="no further than the limit"),
        pytest.param(buy("102", "5"), [("100", "1"), ("101", "2")], id="one fill a level"),
        pytest.param(buy("110", "4"), [("100", "1"), ("101", "2"), ("103", "1")], id="best price first"),
        pytest.param(buy("110", "9"), [("100", "1"), ("101", "2"), ("103", "4")], id="until nothing is left"),
        pytest.param(sell("98", "9"), [("99", "1"), ("98", "2")], id="a sell goes down"),
        pytest.param(sell("100", "9"), [], id="a sell above the book"),
    ],
)
def test_a_taker_walks_the_levels_within_its_limit(taker: Order, fills: list[tuple[str, str]]) -> None:
    book = SymbolBook(market(BIDS, ASKS))
    with money_context():
        made, prevented = book.take(taker)
    assert [(fill.price, fill.quantity) for fill in made] == [(D(p), D(q)) for p, q in fills]
    assert all(fill.resting is None for fill in made)
    assert prevented == []
    assert taker.executed == sum((D(q) for _, q in fills), ZERO)


def test_what_was_taken_is_gone_and_noted() -> None:
    book = SymbolBook(market(BIDS, ASKS))
    with money_context():
        book.take(buy("101", "1.5"))
    assert book.levels(ASK) == (Depth(D(101), D("1.5")), Depth(D(103), D(4)))
    assert book.levels(BID) == market(BIDS).bids
    assert book.taken == {(ASK, D(100)): D(1), (ASK, D(101)): D("0.5")}


def test_consumed_levels_are_smaller_or_gone() -> None:
    missing = {(ASK, D(100)): D(5), (ASK, D(101)): D("0.5")}
    with money_context():
        book = SymbolBook(market(BIDS, ASKS), consumed=missing)
    assert book.levels(ASK) == (Depth(D(101), D("1.5")), Depth(D(103), D(4)))
    assert book.levels(BID) == market(BIDS).bids


def test_resting_orders_stand_in_the_book_at_their_price() -> None:
    resting = [order(1, "BUY", "99", "3"), order(2, "BUY", "97", "1"), order(3, "SELL", "102", "2")]
    with money_context():
        book = SymbolBook(market(BIDS, ASKS), resting)
        assert book.levels(BID) == tuple(
            Depth(D(p), D(q)) for p, q in [("99", "4"), ("98", "2"), ("97", "1"), ("96", "4")]
        )
        assert book.levels(ASK) == tuple(
            Depth(D(p), D(q)) for p, q in [("100", "1"), ("101", "2"), ("102", "2"), ("103", "4")]
        )


def test_a_better_resting_price_comes_before_the_market() -> None:
    resting = order(1, "SELL", "99.5", "1")
    with money_context():
        made, _ = SymbolBook(market(BIDS, ASKS), [resting]).take(buy("100", "1.5"))
    assert [(fill.price, fill.quantity, fill.resting) for fill in made] == [
        (D("99.5"), D(1), resting),
        (D(100), D("0.5"), None),
    ]


@pytest.mark.parametrize(
    ("quantity", "fills"),
    [
        pytest.param("1", [(None, "1")], id="the market that was there first"),
        pytest.param("3", [(None, "2"), (1, "1")], id="then the first order"),
        pytest.param("5", [(None, "3"), (1, "2")], id="then the market that came in between, in one fill"),
        pytest.param("6", [(None, "3"), (1, "2"), (2, "1")], id="then the second order"),
        pytest.param("12", [(None, "6"), (1, "2"), (2, "4")], id="then the market that came last"),
    ],
)
def test_price_then_time(quantity: str, fills: list[tuple[int | None, str]]) -> None:
    """At 100: the market's first 2, order 1 with 2, 1 more of the market, order 2 with 4, 3 more of the market."""
    resting = [order(2, "SELL", "100", "4", ahead="3"), order(1, "SELL", "100", "2", ahead="2")]
    with money_context():
        made, _ = SymbolBook(market((), [("100", "6")]), resting).take(buy("100", quantity))
    assert [(fill.resting and fill.resting.order_id, fill.quantity) for fill in made] == [
        (which, D(q)) for which, q in fills
    ]


def test_the_market_ahead_shrinks_as_it_is_taken() -> None:
    resting = order(1, "SELL", "100", "2", ahead="2")
    with money_context():
        book = SymbolBook(market((), [("100", "5")]), [resting])
        book.take(buy("100", "1.5"))
        assert resting.ahead == D("0.5")
        assert book.touched == {1: resting}
        made, _ = book.take(buy("100", "1"))
    assert [(fill.resting, fill.quantity) for fill in made] == [(None, D("0.5")), (resting, D("0.5"))]


def test_an_order_comes_behind_what_the_market_has_at_its_price() -> None:
    mine = order(1, "BUY", "98", "1")
    with money_context():
        book = SymbolBook(market(BIDS, ASKS))
        book.rest(mine)
    assert mine.ahead == D(2)
    assert book.levels(BID)[1] == Depth(D(98), D(3))


def test_an_order_at_a_new_price_has_nothing_ahead() -> None:
    mine = order(1, "SELL", "102", "1")
    with money_context():
        SymbolBook(market(BIDS, ASKS)).rest(mine)
    assert mine.ahead == 0


def test_own_orders_in_the_way_expire_and_do_not_trade() -> None:
    own, strange = order(1, "SELL", "100", "1", account="me"), order(2, "SELL", "100", "1")
    with money_context():
        book = SymbolBook(market(), [own, strange])
        made, prevented = book.take(buy("100", "1.5"))
    assert prevented == [Prevention(own, D(1), ends=True)]
    assert (own.executed, own.prevented, own.remaining) == (ZERO, D(1), ZERO)
    assert [(fill.resting, fill.quantity) for fill in made] == [(strange, D(1))]
    assert book.levels(ASK) == ()


def test_own_orders_that_are_not_reached_stay() -> None:
    own = order(1, "SELL", "100", "1", account="me", ahead="1")
    with money_context():
        book = SymbolBook(market((), [("100", "1")]), [own])
        _, prevented = book.take(buy("100", "1"))
    assert prevented == []
    assert book.levels(ASK) == (Depth(D(100), D(1)),)


@pytest.mark.parametrize(
    ("resting", "fills", "taken"),
    [
        pytest.param([("SELL", "99.5", "1")], [], {}, id="not reached"),
        pytest.param([("SELL", "99", "0.4")], [(1, "99", "0.4")], {(BID, "99"): "0.4"}, id="touched"),
        pytest.param(
            [("SELL", "97", "5")], [(1, "97", "3")], {(BID, "99"): "1", (BID, "98"): "2"}, id="at its own price"
        ),
        pytest.param(
            [("SELL", "98", "1"), ("SELL", "97", "2.5")],
            [(2, "97", "2.5"), (1, "98", "0.5")],
            {(BID, "99"): "1", (BID, "98"): "2"},
            id="best price first",
        ),
        pytest.param(
            [("SELL", "98", "2"), ("SELL", "98", "2")],
            [(1, "98", "2"), (2, "98", "1")],
            {(BID, "99"): "1", (BID, "98"): "2"},
            id="oldest first",
        ),
        pytest.param([("BUY", "101", "2")], [(1, "101", "2")], {(ASK, "100"): "1", (ASK, "101"): "1"}, id="a buy"),
    ],
)
def test_resting_orders_fill_when_the_market_reaches_them(
    resting: list[tuple[str, str, str]],
    fills: list[tuple[int, str, str]],
    taken: dict[tuple[str, str], str],
) -> None:
    orders = [order(number, *each) for number, each in enumerate(resting, start=1)]
    with money_context():
        book = SymbolBook(market(BIDS, ASKS), orders)
        made = book.settle()
    assert [(fill.resting and fill.resting.order_id, fill.price, fill.quantity) for fill in made] == [
        (number, D(p), D(q)) for number, p, q in fills
    ]
    assert book.taken == {(side, D(p)): D(q) for (side, p), q in taken.items()}


@pytest.mark.parametrize(
    ("mode", "quantity", "fills", "own", "taker"),
    [
        pytest.param("EXPIRE_MAKER", "4", [(2, "1"), (None, "2")], ("2", "0"), ("3", "0"), id="the maker ends"),
        pytest.param("EXPIRE_TAKER", "4", [(2, "1")], ("0", "2"), ("1", "3"), id="the taker ends, its fill stays"),
        pytest.param("EXPIRE_BOTH", "4", [(2, "1")], ("2", "0"), ("1", "3"), id="both end"),
        pytest.param("DECREMENT", "4", [(2, "1"), (None, "1")], ("2", "0"), ("2", "2"), id="the smaller one ends"),
        pytest.param("DECREMENT", "2", [(2, "1")], ("1", "1"), ("1", "1"), id="a larger maker stays, smaller"),
        pytest.param("DECREMENT", "3", [(2, "1")], ("2", "0"), ("1", "2"), id="equal ones end both"),
        pytest.param("EXPIRE_TAKER", "1", [(2, "1")], ("0", "2"), ("1", "0"), id="never reached"),
    ],
)
def test_the_takers_mode_says_what_becomes_of_two_orders_of_one_account(
    mode: str, quantity: str, fills: list[tuple[int | None, str]], own: tuple[str, str], taker: tuple[str, str]
) -> None:
    """At 100 stands 1 of another account, then 2 of our own; at 101 the market has 2.

    `own` is what was prevented and what is left of our resting order, `taker` what it traded and was prevented.
    """
    resting = [order(2, "SELL", "100", "1"), order(3, "SELL", "100", "2", account="me")]
    mine = buy("101", quantity)
    mine.self_trade_prevention = mode
    with money_context():
        book = SymbolBook(market((), [("101", "2")]), resting)
        made, prevented = book.take(mine)
    assert [(fill.resting and fill.resting.order_id, fill.quantity) for fill in made] == [
        (which, D(q)) for which, q in fills
    ]
    assert (resting[1].prevented, resting[1].remaining) == (D(own[0]), D(own[1]))
    assert (mine.executed, mine.prevented) == (D(taker[0]), D(taker[1]))
    assert sum((each.quantity for each in prevented), ZERO) == resting[1].prevented + mine.prevented
    assert any(each.ends and each.order is resting[1] for each in prevented) == (not resting[1].remaining)
    assert any(level.price == 100 for level in book.levels(ASK)) == bool(resting[1].remaining)


def test_trying_whether_an_order_fills_whole_changes_nothing() -> None:
    resting = [order(1, "SELL", "99", "1"), order(2, "SELL", "100", "1", account="me")]
    with money_context():
        book = SymbolBook(market((), ASKS), resting)
        assert book.fills_whole(buy("103", "8"))
        assert not book.fills_whole(buy("103", "8.01"))
        assert not book.fills_whole(buy("102", "4.01"))
        shown = book.levels(ASK)
        mine = buy("103", "8")
        mine.self_trade_prevention = "EXPIRE_TAKER"
        assert not book.fills_whole(mine)
        assert (book.levels(ASK), mine.executed) == (shown, ZERO)
        assert not book.taken
        assert not book.touched
    assert [each.executed + each.prevented for each in resting] == [0, 0]


@pytest.mark.parametrize(
    ("side", "price", "trades"),
    [("BUY", "99.99", False), ("BUY", "100", True), ("SELL", "99.01", False), ("SELL", "99", True)],
)
def test_an_order_would_trade_when_it_reaches_the_other_side(side: str, price: str, trades: bool) -> None:
    with money_context():
        assert SymbolBook(market(BIDS, ASKS)).would_trade(order(9, side, price, "1")) is trades
        own = [order(1, "SELL", "100", "1"), order(2, "BUY", "99", "1")]
        assert SymbolBook(market(), own).would_trade(order(9, side, price, "1")) is trades
        assert not SymbolBook(market()).would_trade(order(9, side, price, "1"))


# What must hold in every book

steps = st.integers(1, 40).map(lambda n: D(n) / 4)


@st.composite
def sides(draw: st.DrawFn, low: int, high: int) -> list[tuple[Decimal, Decimal]]:
    prices = draw(st.lists(st.integers(low, high), max_size=6, unique=True))
    return [(D(price), draw(steps)) for price in sorted(prices)]


@st.composite
def books(draw: st.DrawFn) -> tuple[MarketBook, list[Order]]:
    middle = draw(st.integers(95, 105))
    bids, asks = draw(sides(90, middle)), draw(sides(middle + 1, 111))
    found = []
    for number in range(1, draw(st.integers(0, 6)) + 1):
        found.append(
            Order(
                number,
                draw(st.sampled_from(["one", "two"])),
                draw(st.sampled_from(["BUY", "SELL"])),
                D(draw(st.integers(90, 111))),
                draw(steps),
                ahead=draw(steps) - D("0.25"),
            )
        )
    shown = MarketBook(
        tuple(Depth(*level) for level in reversed(bids)), tuple(Depth(*level) for level in asks), 1, True
    )
    return shown, found


def uncrossed(book: SymbolBook) -> bool:
    bids, asks = book.levels(BID), book.levels(ASK)
    return not bids or not asks or bids[0].price < asks[0].price


@settings(deadline=None)
@given(books(), st.sampled_from(["BUY", "SELL"]), st.integers(88, 113), steps)
def test_nothing_trades_through_a_better_price(
    given_book: tuple[MarketBook, list[Order]], side: str, limit: int, quantity: Decimal
) -> None:
    shown, resting = given_book
    with money_context():
        # Orders of accounts never stand crossed: the later of two that would, had traded.
        best = max((each.price for each in resting if each.side == "BUY"), default=D(0))
        resting = [each for each in resting if each.side == "BUY" or each.price > best]
        book = SymbolBook(shown, resting)
        settled = book.settle()
        for fill in settled:
            assert fill.resting is not None
            assert fill.price == fill.resting.price
        before = {BID: book.levels(BID), ASK: book.levels(ASK)}
        assert uncrossed(book)

        taker = Order(99, "me", side, D(limit), quantity)
        fills, prevented = book.take(taker)
        offered = ASK if side == "BUY" else BID
        assert prevented == []
        assert taker.executed == sum((fill.quantity for fill in fills), ZERO) <= quantity
        assert all(taker.accepts(fill.price) for fill in fills)
        prices = [fill.price for fill in fills]
        assert prices == sorted(prices, reverse=side == "SELL")

        # It took every better price wholly before the next, and stopped only when done or out of reach.
        left = quantity
        for level in before[offered]:
            if not taker.accepts(level.price):
                break
            took = sum((fill.quantity for fill in fills if fill.price == level.price), ZERO)
            assert took == min(left, level.quantity)
            left -= took
        assert left == taker.remaining
        if taker.remaining:
            book.rest(taker)
        assert uncrossed(book)


@settings(deadline=None)
@given(books(), steps)
def test_at_one_price_the_older_order_is_served_first(
    given_book: tuple[MarketBook, list[Order]], quantity: Decimal
) -> None:
    shown, resting = given_book
    sells = [each for each in resting if each.side == "SELL"]
    with money_context():
        book = SymbolBook(MarketBook((), shown.asks, 1, True), sells)
        book.take(Order(99, "me", "BUY", D(200), quantity))
    for older in sells:
        for newer in sells:
            behind = (newer.price, newer.order_id) > (older.price, older.order_id)
            if behind and newer.executed:
                assert not older.remaining
    for each in sells:
        assert ZERO <= each.executed <= each.quantity
        assert each.ahead >= 0
        if each.executed and each.remaining:
            assert each.ahead == 0


@settings(deadline=None)
@given(books())
def test_settling_twice_changes_nothing(given_book: tuple[MarketBook, list[Order]]) -> None:
    shown, resting = given_book
    with money_context():
        best = max((each.price for each in resting if each.side == "BUY"), default=D(0))
        resting = [each for each in resting if each.side == "BUY" or each.price > best]
        book = SymbolBook(shown, resting)
        book.settle()
        assert book.settle() == []


@st.composite
def met_books(draw: st.DrawFn) -> tuple[SymbolBook, list[Order], Order]:
    """A book at rest, its orders, and a taker of account "one" that may meet orders of its own."""
    shown, resting = draw(books())
    best = max((each.price for each in resting if each.side == "BUY"), default=D(0))
    resting = [each for each in resting if each.side == "BUY" or each.price > best]
    with money_context():
        book = SymbolBook(shown, resting)
        book.settle()
    taker = Order(99, "one", draw(st.sampled_from(["BUY", "SELL"])), D(draw(st.integers(88, 113))), draw(steps))
    taker.self_trade_prevention = draw(st.sampled_from(PREVENTION_MODES))
    return book, [each for each in resting if each.remaining], taker


def state(book: SymbolBook) -> object:
    return book.levels(BID), book.levels(ASK), dict(book.taken)


@settings(deadline=None)
@given(met_books())
def test_no_account_trades_with_itself_and_nothing_is_lost_on_the_way(
    met: tuple[SymbolBook, list[Order], Order],
) -> None:
    book, resting, taker = met
    with money_context():
        before = {each.order_id: (each.executed, each.remaining) for each in resting}
        fills, prevented = book.take(taker)
        own = {each.order_id for each in resting if each.account == taker.account} | {taker.order_id}
        assert not any(fill.resting is not None and fill.resting.order_id in own for fill in fills)
        assert {each.order.order_id for each in prevented} <= own
        assert taker.executed == sum((fill.quantity for fill in fills), ZERO)
        for each in (*resting, taker):
            executed, left = before.get(each.order_id, (ZERO, taker.quantity))
            took = sum((one.quantity for one in prevented if one.order is each), ZERO)
            assert each.prevented == took
            assert each.executed - executed + took + each.remaining == left
            assert each.remaining >= 0
        if taker.self_trade_prevention == "EXPIRE_MAKER":
            assert taker.prevented == 0
        if taker.self_trade_prevention == "EXPIRE_TAKER":
            assert not any(each.prevented for each in resting)
        offered = [each for each in resting if each.side != taker.side]
        for older in offered:
            for newer in offered:
                worse = newer.price > older.price if newer.side == "SELL" else newer.price < older.price
                behind = worse or (newer.price == older.price and newer.order_id > older.order_id)
                if behind and any(fill.resting is newer for fill in fills):
                    assert not older.remaining, "served before an older or a better one"
        if taker.remaining:
            book.rest(taker)
        assert uncrossed(book)


@settings(deadline=None)
@given(met_books())
def test_an_order_that_fills_whole_does_and_another_does_not(met: tuple[SymbolBook, list[Order], Order]) -> None:
    book, _, taker = met
    with money_context():
        before = state(book)
        whole = book.fills_whole(taker)
        assert (state(book), taker.executed, taker.prevented) == (before, ZERO, ZERO)
        book.take(taker)
        assert whole == (taker.executed == taker.quantity)


@settings(deadline=None)
@given(met_books())
def test_an_order_that_would_not_trade_meets_nobody(met: tuple[SymbolBook, list[Order], Order]) -> None:
    book, _, taker = met
    with money_context():
        would = book.would_trade(taker)
        before = state(book)
        fills, prevented = book.take(taker)
        assert would == bool(fills or prevented)
        assert would or state(book) == before
