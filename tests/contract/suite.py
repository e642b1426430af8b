"""What every venue must do, as one suite: a venue subclasses `VenueContract` and gives it a `stage`.

The stage has A and B against USDT, A and USDT in USDC too, an account with 10,000 USDT and 50 A, and hands
that do what a client of the venue cannot. The books: A bids 5 at 99.90, 10 at 99.80; asks 3 at 100.10, 8 at
100.20; nothing beyond. B is like A at a tenth of the prices. A against USDC bids and asks 4 at 99.95 and
100.15, USDC against USDT 9000 at 0.9998 and 0.9999. Fees are 10 bps of what is received; A is free in USDC.
"""

import asyncio
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any, Protocol

import pytest

from etf_trader.errors import DataError, OrderRejected, RateLimited, VenueError, VenueUnavailable
from etf_trader.market.book import Level
from etf_trader.market.symbol import Side
from etf_trader.venue.interface import (
    LimitOrder,
    OrderCount,
    OrderKind,
    Report,
    Trade,
    Venue,
    VenueBalance,
    VenueIdentity,
    VenueOrder,
    VenueOrderStatus,
)

D = Decimal

A_BIDS = (("99.90", "5"), ("99.80", "10"))
A_ASKS = (("100.10", "3"), ("100.20", "8"))
B_BIDS = (("9.99", "5"), ("9.98", "10"))
B_ASKS = (("10.01", "3"), ("10.02", "8"))
OTHER_BIDS, OTHER_ASKS = (("99.95", "4"),), (("100.15", "4"),)
CONVERSION_BIDS, CONVERSION_ASKS = (("0.9998", "9000"),), (("0.9999", "9000"),)
FREE = "AUSDC"
CASH, OWNED = D(10_000), D(50)


@dataclass
class Heard:
    """A listener, and what it heard; the same report twice is one."""

    reports: list[Report] = field(default_factory=list)

    def __call__(self, report: Report) -> None:
        self.reports.append(report)

    def last(self, client_order_id: str) -> VenueOrder | None:
        """Return how the order stands by the latest report of it."""
        known = [each.order for each in self.reports if each.order.client_order_id == client_order_id]
        return max(known, key=lambda each: (each.executed_quantity, each.status.is_final), default=None)

    def trades(self, client_order_id: str) -> list[Trade]:
        """Return its trades that were reported, oldest first."""
        told = [each for each in self.reports if each.order.client_order_id == client_order_id]
        trades = {each.trade.trade_id: each.trade for each in told if each.trade is not None}
        return [trades[number] for number in sorted(trades)]


def quote(order: LimitOrder, **changes: Any) -> LimitOrder:
    """A post-only buy inside the spread."""
    return replace(order, kind=OrderKind.POST_ONLY, **({"price": D("99.95")} | changes))


class Stage(Protocol):
    """A venue on known books, and what a test does behind its back."""

    @property
    def venue(self) -> Venue:
        """The venue."""
        ...

    @property
    def identity(self) -> VenueIdentity:
        """Which account of it the stage has."""
        ...

    async def rest(self, symbol: str, side: Side, quantity: Decimal, price: Decimal, name: str) -> None:
        """Leave a good-till-cancelled order of the account in the book."""
        ...

    async def take(self, symbol: str, side: Side, quantity: Decimal, price: Decimal) -> None:
        """Send an immediate order of somebody else, which trades with what it reaches."""
        ...

    async def deposit(self, asset: str, amount: Decimal, name: str) -> None:
        """Pay into the account."""
        ...

    async def withdraw(self, asset: str, amount: Decimal, name: str) -> None:
        """Pay out of the account."""
        ...

    async def use_up_orders(self) -> float:
        """Send orders that do not fill until a window is full, and return the seconds it has left."""
        ...

    async def close_market(self, symbol: str) -> None:
        """Let the venue take no orders in this market."""
        ...

    async def trade_beside(self, symbol: str, quantity: Decimal) -> None:
        """Let others trade so much, and time pass until it has happened."""
        ...


async def until(venue: Venue, done: Callable[[], bool]) -> None:
    """Look at the venue until what it has to tell has come."""
    for _ in range(100):
        if done():
            return
        await venue.books(["AUSDT"], 1)
        await asyncio.sleep(0.01)
    raise AssertionError("the user stream has not told it")


class VenueContract:
    """The suite; a subclass has a fixture `stage`."""

    @pytest.fixture
    @abstractmethod
    def stage(self) -> Stage:
        """Give a fresh stage."""

    @pytest.fixture
    def venue(self, stage: Stage) -> Venue:
        return stage.venue

    @pytest.fixture
    async def order(self, venue: Venue) -> LimitOrder:
        """A buy of 2 A that the first level fills."""
        return LimitOrder(
            symbol="AUSDT",
            side=Side.BUY,
            quantity=D(2),
            price=D("100.10"),
            client_order_id="first",
            granted_at=await venue.server_time(),
            window_seconds=2,
        )

    async def test_it_says_which_account_it_is(self, stage: Stage) -> None:
        assert await stage.venue.identity() == stage.identity

    async def test_its_time_is_aware_and_does_not_run_back(self, venue: Venue) -> None:
        first = await venue.server_time()
        assert first.utcoffset() == timedelta(0)
        assert await venue.server_time() >= first

    async def test_its_rules_carry_our_fees(self, venue: Venue) -> None:
        rules = await venue.rules()
        assert set(rules) == {"AUSDT", "BUSDT", "AUSDC", "USDCUSDT"}
        rule = rules["AUSDT"]
        assert (rule.symbol, rule.base, rule.quote, rule.is_trading) == ("AUSDT", "A", "USDT", True)
        assert (rule.tick, rule.step, rule.min_notional) == (D("0.01"), D("0.01"), D(5))
        assert (rule.maker_fee, rule.taker_fee) == (D("0.001"), D("0.001"))

    async def test_fees_are_those_of_each_symbol(self, venue: Venue) -> None:
        rules = await venue.rules()
        assert {symbol: rule.taker_fee for symbol, rule in rules.items() if not rule.taker_fee} == {FREE: D(0)}
        assert rules[FREE].maker_fee == D(0)
        assert {rule.taker_fee for symbol, rule in rules.items() if symbol != FREE} == {D("0.001")}

    async def test_its_order_limits_are_windows_of_seconds(self, venue: Venue) -> None:
        limits = {(each.seconds, each.limit) for each in await venue.order_limits()}
        assert limits == {(10, 100), (86_400, 200_000)}

    async def test_books_have_the_best_price_first_and_say_whether_they_are_whole(self, venue: Venue) -> None:
        books = await venue.books(["AUSDT", "BUSDT"], 5)
        assert list(books) == ["AUSDT", "BUSDT"]
        book = books["AUSDT"]
        assert book.bids == tuple(Level(D(price), D(quantity)) for price, quantity in A_BIDS)
        assert book.asks == tuple(Level(D(price), D(quantity)) for price, quantity in A_ASKS)
        assert (book.symbol, book.mid, book.complete) == ("AUSDT", D(100), True)
        assert book.at <= await venue.server_time()

    async def test_a_window_of_a_deeper_book_is_not_whole(self, venue: Venue) -> None:
        book = (await venue.books(["AUSDT"], 1))["AUSDT"]
        assert (len(book.bids), len(book.asks), book.complete) == (1, 1, False)

    async def test_an_unknown_symbol_has_no_book(self, venue: Venue) -> None:
        with pytest.raises(DataError):
            await venue.books(["NONEUSDT"], 5)

    async def test_balances_leave_out_what_there_is_nothing_of(self, stage: Stage) -> None:
        assert await stage.venue.balances() == {"USDT": VenueBalance(CASH, D(0)), "A": VenueBalance(OWNED, D(0))}

    async def test_balances_tell_what_open_orders_lock(self, stage: Stage) -> None:
        await stage.rest("AUSDT", Side.BUY, D(2), D("99"), "low")
        balance = (await stage.venue.balances())["USDT"]
        assert balance == VenueBalance(CASH - 198, D(198))
        assert balance.total == CASH

    async def test_an_order_within_the_book_fills(self, venue: Venue, order: LimitOrder) -> None:
        done = (await venue.place(order)).order
        assert (done.symbol, done.client_order_id, done.side) == ("AUSDT", "first", Side.BUY)
        assert (done.status, done.reason) == (VenueOrderStatus.FILLED, None)
        assert (done.executed_quantity, done.executed_value) == (D(2), D("200.20"))
        balances = await venue.balances()
        assert balances["A"].free == OWNED + D("1.998")  # 10 bps of 2 are the fee
        assert balances["USDT"].free == CASH - D("200.20")

    async def test_an_order_larger_than_its_levels_expires_with_its_fills_kept(
        self, venue: Venue, order: LimitOrder
    ) -> None:
        done = (await venue.place(replace(order, quantity=D(20), price=D("100.10")))).order
        assert done.status is VenueOrderStatus.EXPIRED
        assert done.status.is_final
        assert (done.executed_quantity, done.executed_value) == (D(3), D("300.30"))

    async def test_an_order_below_the_book_expires_unfilled(self, venue: Venue, order: LimitOrder) -> None:
        done = (await venue.place(replace(order, price=D("99")))).order
        assert (done.status, done.executed_quantity) == (VenueOrderStatus.EXPIRED, D(0))
        assert await venue.trades_of("AUSDT", done.order_id) == []

    async def test_a_sell_pays_its_fee_in_what_it_receives(self, venue: Venue, order: LimitOrder) -> None:
        done = (await venue.place(replace(order, side=Side.SELL, quantity=D(6), price=D("99.80")))).order
        first, second = await venue.trades_of("AUSDT", done.order_id)
        assert (first.price, first.quantity, first.value) == (D("99.90"), D(5), D("499.50"))
        assert (first.fee, first.fee_asset, first.side) == (D("0.4995"), "USDT", Side.SELL)
        assert (second.price, second.quantity, second.fee) == (D("99.80"), D(1), D("0.0998"))
        assert first.trade_id < second.trade_id
        assert (await venue.balances())["USDT"].free == CASH + D("599.30") - D("0.5993")

    async def test_money_of_one_currency_buys_another_and_that_the_asset(
        self, venue: Venue, order: LimitOrder
    ) -> None:
        bought = replace(order, symbol="USDCUSDT", quantity=D(500), price=D("0.9999"))
        assert (await venue.place(bought)).order.executed_value == D("499.95")
        got = await venue.balances()
        assert got["USDT"].free == CASH - D("499.95")
        assert got["USDC"].free == D("499.5")  # 10 bps of 500 are the fee
        spent = replace(order, symbol=FREE, quantity=D(4), price=D("100.15"), client_order_id="second")
        done = (await venue.place(spent)).order
        (trade,) = await venue.trades_of(FREE, done.order_id)
        assert (trade.value, trade.fee, trade.fee_asset) == (D("400.60"), D(0), "A")
        left = await venue.balances()
        assert (left["USDC"].free, left["A"].free) == (D("98.90"), OWNED + 4)
        assert left["USDT"] == got["USDT"]

    async def test_a_currency_that_is_not_held_buys_nothing(self, venue: Venue, order: LimitOrder) -> None:
        with pytest.raises(OrderRejected) as refused:
            await venue.place(replace(order, symbol=FREE, price=D("100.15")))
        assert (refused.value.venue_code, refused.value.symbol) == (-2010, FREE)

    async def test_a_trade_tells_whose_it_is_and_what_it_cost(self, venue: Venue, order: LimitOrder) -> None:
        done = (await venue.place(order)).order
        (trade,) = await venue.trades_of("AUSDT", done.order_id)
        assert (trade.symbol, trade.order_id, trade.side) == ("AUSDT", done.order_id, Side.BUY)
        assert (trade.price, trade.quantity, trade.value) == (D("100.10"), D(2), D("200.20"))
        assert (trade.fee, trade.fee_asset, trade.is_maker) == (D("0.002"), "A", False)
        assert trade.at <= await venue.server_time()

    async def test_trades_after_an_id_are_the_later_ones_of_that_symbol(
        self, venue: Venue, order: LimitOrder
    ) -> None:
        await venue.place(replace(order, quantity=D(1)))
        await venue.place(replace(order, quantity=D(1), client_order_id="second"))
        await venue.place(replace(order, symbol="BUSDT", price=D("10.01"), client_order_id="other"))
        both = await venue.trades_after("AUSDT", -1)
        assert [trade.quantity for trade in both] == [D(1), D(1)]
        assert await venue.trades_after("AUSDT", both[0].trade_id) == [both[1]]
        assert await venue.trades_after("AUSDT", both[1].trade_id) == []
        assert len(await venue.trades_after("BUSDT", -1)) == 1

    async def test_an_order_is_found_by_our_id(self, venue: Venue, order: LimitOrder) -> None:
        done = (await venue.place(order)).order
        assert await venue.find("AUSDT", "first") == done

    async def test_an_order_the_venue_does_not_know_is_none(self, venue: Venue, order: LimitOrder) -> None:
        await venue.place(order)
        assert await venue.find("AUSDT", "never-sent") is None
        assert await venue.find("BUSDT", "first") is None
        assert await venue.cancel("AUSDT", "never-sent") is None
        assert await venue.find("NONEUSDT", "first") is None
        assert await venue.cancel("NONEUSDT", "first") is None

    async def test_an_open_order_can_be_cancelled(self, stage: Stage) -> None:
        await stage.rest("AUSDT", Side.BUY, D(2), D("99"), "low")
        (open_order,) = await stage.venue.open_orders()
        assert (open_order.client_order_id, open_order.status) == ("low", VenueOrderStatus.OPEN)
        assert not open_order.status.is_final
        ended = await stage.venue.cancel("AUSDT", "low")
        assert ended is not None
        assert ended.status is VenueOrderStatus.CANCELLED
        assert await stage.venue.open_orders() == []
        assert (await stage.venue.balances())["USDT"] == VenueBalance(CASH, D(0))

    async def test_cancelling_an_order_that_ended_tells_how_it_ended(
        self, venue: Venue, order: LimitOrder
    ) -> None:
        done = (await venue.place(order)).order
        assert await venue.cancel("AUSDT", "first") == done

    async def test_a_resting_order_stands_in_the_book(self, stage: Stage) -> None:
        await stage.rest("AUSDT", Side.SELL, D(1), D("100.05"), "inside")
        book = (await stage.venue.books(["AUSDT"], 5))["AUSDT"]
        assert book.asks[0] == Level(D("100.05"), D(1))

    async def test_transfers_are_numbered_and_signed(self, stage: Stage) -> None:
        seen = max((each.sequence for each in await stage.venue.transfers(0)), default=0)
        await stage.deposit("USDT", D("12.5"), "more")
        await stage.withdraw("A", D(3), "less")
        came, left = await stage.venue.transfers(seen)
        assert (came.asset, came.amount) == ("USDT", D("12.5"))
        assert (left.asset, left.amount) == ("A", D(-3))
        assert len({came.transfer_id, left.transfer_id, ""}) == 3
        assert seen < came.sequence < left.sequence
        assert await stage.venue.transfers(came.sequence) == [left]
        assert await stage.venue.transfers(left.sequence) == []

    @pytest.mark.parametrize(
        "changes",
        [
            pytest.param({"symbol": "NONEUSDT"}, id="no such symbol"),
            pytest.param({"quantity": D("0.005")}, id="between lots"),
            pytest.param({"quantity": D("0.04")}, id="below the least order"),
            pytest.param({"price": D("100.105")}, id="between ticks"),
            pytest.param({"price": D("600")}, id="beyond the price band"),
            pytest.param({"client_order_id": "a b"}, id="a name with a space"),
            pytest.param({"quantity": D(90), "price": D("150")}, id="more than there is cash"),
            pytest.param({"side": Side.SELL, "quantity": D(51)}, id="more than there is of the asset"),
        ],
    )
    async def test_a_refused_order_is_final_says_why_and_leaves_nothing(
        self, venue: Venue, order: LimitOrder, changes: dict[str, object]
    ) -> None:
        before = await venue.balances()
        wrong = replace(order, **changes)  # type: ignore[arg-type]
        with pytest.raises(OrderRejected) as refused:
            await venue.place(wrong)
        assert refused.value.symbol == refused.value.where == wrong.symbol
        assert refused.value.venue_code < 0
        assert refused.value.message
        assert await venue.balances() == before
        assert await venue.find("AUSDT", "first") is None

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            pytest.param({"symbol": "NONEUSDT"}, -1121, id="no such symbol"),
            pytest.param({"price": D("100.105")}, -1013, id="a filter"),
            pytest.param({"quantity": D(90), "price": D("150")}, -2010, id="no cash"),
            pytest.param({"client_order_id": "a b"}, -1100, id="a parameter"),
        ],
    )
    async def test_a_refusal_carries_the_venues_code(
        self, venue: Venue, order: LimitOrder, changes: dict[str, object], code: int
    ) -> None:
        with pytest.raises(OrderRejected) as refused:
            await venue.place(replace(order, **changes))  # type: ignore[arg-type]
        assert refused.value.venue_code == code

    async def test_a_closed_market_refuses(self, stage: Stage, order: LimitOrder) -> None:
        await stage.close_market("AUSDT")
        assert not (await stage.venue.rules())["AUSDT"].is_trading
        with pytest.raises(OrderRejected) as refused:
            await stage.venue.place(order)
        assert (refused.value.venue_code, refused.value.symbol) == (-2010, "AUSDT")

    async def test_an_order_that_must_fill_whole_fills_whole(self, venue: Venue, order: LimitOrder) -> None:
        done = await venue.place(replace(order, kind=OrderKind.FOK, quantity=D(5), price=D("100.20")))
        assert (done.order.status, done.order.executed_quantity) == (VenueOrderStatus.FILLED, D(5))
        assert sum(trade.quantity for trade in await venue.trades_of("AUSDT", done.order.order_id)) == 5

    async def test_an_order_that_cannot_fill_whole_does_not_trade(self, venue: Venue, order: LimitOrder) -> None:
        before = await venue.balances()
        done = (await venue.place(replace(order, kind=OrderKind.FOK, quantity=D("3.01")))).order
        assert (done.status, done.executed_quantity) == (VenueOrderStatus.EXPIRED, D(0))
        assert done.reason == "UNFILLED_FOK_ORDER_EXPIRED"
        assert await venue.trades_of("AUSDT", done.order_id) == []
        assert await venue.balances() == before

    async def test_what_an_immediate_order_leaves_has_its_reason(self, venue: Venue, order: LimitOrder) -> None:
        done = (await venue.place(replace(order, quantity=D(4)))).order
        assert done.reason == "UNFILLED_IOC_QUANTITY_EXPIRED"

    async def test_a_post_only_order_rests(self, venue: Venue, order: LimitOrder) -> None:
        placed = await venue.place(quote(order))
        assert (placed.order.status, placed.order.executed_quantity) == (VenueOrderStatus.OPEN, D(0))
        assert not placed.trades
        assert await venue.open_orders() == [placed.order]
        assert await venue.find("AUSDT", "first") == placed.order
        assert (await venue.balances())["USDT"] == VenueBalance(CASH - D("199.90"), D("199.90"))
        assert (await venue.books(["AUSDT"], 1))["AUSDT"].bids == (Level(D("99.95"), D(2)),)

    @pytest.mark.parametrize("price", ["100.10", "100.15"])
    async def test_a_post_only_order_that_would_trade_is_refused(
        self, venue: Venue, order: LimitOrder, price: str
    ) -> None:
        before = await venue.balances()
        with pytest.raises(OrderRejected, match="Order would immediately match and take") as refused:
            await venue.place(quote(order, price=D(price)))
        assert (refused.value.venue_code, refused.value.symbol) == (-2010, "AUSDT")
        assert await venue.find("AUSDT", "first") is None
        assert await venue.balances() == before

    async def test_a_resting_order_fills_as_maker(self, stage: Stage, order: LimitOrder) -> None:
        venue = stage.venue
        number = (await venue.place(quote(order))).order.order_id
        await stage.take("AUSDT", Side.SELL, D("0.5"), D("99.95"))
        (part,) = await venue.open_orders()
        assert (part.status, part.executed_quantity, part.order_id) == (VenueOrderStatus.OPEN, D("0.5"), number)
        await stage.take("AUSDT", Side.SELL, D(3), D("99.95"))
        whole = await venue.find("AUSDT", "first")
        assert whole is not None
        assert (whole.status, whole.executed_value) == (VenueOrderStatus.FILLED, D("199.90"))
        assert await venue.open_orders() == []
        first, second = await venue.trades_of("AUSDT", number)
        assert [(each.price, each.quantity, each.is_maker) for each in (first, second)] == [
            (D("99.95"), D("0.5"), True),
            (D("99.95"), D("1.5"), True),
        ]
        assert (first.fee, first.fee_asset) == (D("0.0005"), "A")
        assert await venue.trades_after("AUSDT", first.trade_id) == [second]
        assert (await venue.balances())["A"] == VenueBalance(OWNED + D("1.998"), D(0))

    async def test_a_cancelled_order_keeps_its_fills(self, stage: Stage, order: LimitOrder) -> None:
        await stage.venue.place(quote(order))
        await stage.take("AUSDT", Side.SELL, D("0.5"), D("99.95"))
        ended = await stage.venue.cancel("AUSDT", "first")
        assert ended is not None
        assert (ended.status, ended.executed_quantity) == (VenueOrderStatus.CANCELLED, D("0.5"))
        assert (await stage.venue.balances())["USDT"] == VenueBalance(CASH - D("49.975"), D(0))

    async def test_a_cancel_that_comes_after_the_fill_tells_of_the_fill(
        self, stage: Stage, order: LimitOrder
    ) -> None:
        await stage.venue.place(quote(order))
        await stage.take("AUSDT", Side.SELL, D(2), D("99.95"))
        ended = await stage.venue.cancel("AUSDT", "first")
        assert ended is not None
        assert (ended.status, ended.executed_quantity) == (VenueOrderStatus.FILLED, D(2))

    async def test_an_order_that_meets_one_of_ours_ends_that_one_with_its_fills_kept(
        self, stage: Stage, order: LimitOrder
    ) -> None:
        venue = stage.venue
        await stage.rest("AUSDT", Side.SELL, D(3), D("100.05"), "ours")
        await stage.take("AUSDT", Side.BUY, D(1), D("100.05"))
        taken = (await venue.place(order)).order
        assert (taken.status, taken.executed_value) == (VenueOrderStatus.FILLED, D("200.20"))
        met = await venue.find("AUSDT", "ours")
        assert met is not None
        assert (met.status, met.reason) == (VenueOrderStatus.EXPIRED, "EXPIRED_IN_MATCH")
        assert met.executed_quantity == 1
        assert await venue.open_orders() == []

    async def test_an_order_comes_with_the_counts_after_it(self, venue: Venue, order: LimitOrder) -> None:
        limits = await venue.order_limits()
        for number in range(1, 4):
            placed = await venue.place(quote(order, price=D(90), client_order_id=f"low-{number}"))
            assert placed.counts == tuple(OrderCount(each.seconds, number) for each in limits)
            counted = await venue.order_counts()
            assert counted.counts == placed.counts
            assert counted.at.utcoffset() == timedelta(0)
        await venue.cancel("AUSDT", "low-1")
        assert (await venue.order_counts()).counts == placed.counts  # a cancel gives nothing back

    async def test_listeners_are_told_of_trades_and_of_the_end(self, venue: Venue, order: LimitOrder) -> None:
        heard, also = Heard(), Heard()
        venue.subscribe(heard)
        venue.subscribe(also)
        done = (await venue.place(replace(order, quantity=D(20), price=D("100.20")))).order
        for each in (heard, also):
            await until(venue, lambda each=each: each.last("first") == done)  # type: ignore[misc]
            assert each.trades("first") == await venue.trades_of("AUSDT", done.order_id)
            assert [trade.quantity for trade in each.trades("first")] == [D(3), D(8)]

    async def test_listeners_are_told_of_an_order_that_fills_later(self, stage: Stage, order: LimitOrder) -> None:
        venue, heard = stage.venue, Heard()
        venue.subscribe(heard)
        placed = (await venue.place(quote(order))).order
        await until(venue, lambda: heard.last("first") == placed)
        await stage.take("AUSDT", Side.SELL, D("0.5"), D("99.95"))
        await until(venue, lambda: len(heard.trades("first")) == 1)
        part = heard.last("first")
        assert part is not None
        assert (part.status, part.executed_quantity) == (VenueOrderStatus.OPEN, D("0.5"))
        await stage.take("AUSDT", Side.SELL, D("1.5"), D("99.95"))
        await until(venue, lambda: len(heard.trades("first")) == 2)
        assert heard.last("first") == await venue.find("AUSDT", "first")
        assert heard.trades("first") == await venue.trades_of("AUSDT", placed.order_id)
        assert all(trade.is_maker for trade in heard.trades("first"))

    async def test_listeners_are_told_of_cancels_and_expiries(self, stage: Stage, order: LimitOrder) -> None:
        venue, heard = stage.venue, Heard()
        venue.subscribe(heard)
        await stage.rest("AUSDT", Side.SELL, D(1), D("100.05"), "met")
        await venue.place(quote(order, price=D(99)))
        cancelled = await venue.cancel("AUSDT", "first")
        killed = (
            await venue.place(replace(order, kind=OrderKind.FOK, quantity=D(9), client_order_id="big"))
        ).order
        taken = (await venue.place(replace(order, client_order_id="taker"))).order
        await until(venue, lambda: heard.last("taker") == taken)
        assert (heard.last("first"), heard.last("big")) == (cancelled, killed)
        assert heard.last("met") == await venue.find("AUSDT", "met")
        assert (heard.trades("met"), heard.trades("big"), heard.trades("first")) == ([], [], [])

    async def test_a_listener_that_left_hears_nothing_more(self, venue: Venue, order: LimitOrder) -> None:
        heard, also = Heard(), Heard()
        leave = venue.subscribe(heard)
        venue.subscribe(also)
        leave()
        leave()
        await venue.place(order)
        await until(venue, lambda: bool(also.trades("first")))
        assert heard.reports == []

    async def test_too_many_orders_say_when_to_come_back(self, stage: Stage, order: LimitOrder) -> None:
        left = await stage.use_up_orders()
        with pytest.raises(RateLimited) as refused:
            await stage.venue.place(replace(order, granted_at=await stage.venue.server_time()))
        assert 0 < refused.value.retry_after <= left + 1  # whole seconds
        assert left <= 10
        assert await stage.venue.find("AUSDT", "first") is None

    @pytest.mark.parametrize("window", [0.5, 2])
    async def test_an_order_that_arrives_too_late_never_takes_effect(
        self, venue: Venue, order: LimitOrder, window: float
    ) -> None:
        late = timedelta(seconds=window + 5)
        with pytest.raises(VenueUnavailable) as refused:
            await venue.place(replace(order, granted_at=order.granted_at - late, window_seconds=window))
        assert refused.value.where == "AUSDT"
        assert await venue.find("AUSDT", "first") is None

    async def test_an_order_from_the_future_never_takes_effect(self, venue: Venue, order: LimitOrder) -> None:
        with pytest.raises(VenueUnavailable):
            await venue.place(replace(order, granted_at=order.granted_at + timedelta(minutes=1)))
        assert await venue.find("AUSDT", "first") is None

    async def test_the_end_of_a_batch_loses_nothing(self, venue: Venue, order: LimitOrder) -> None:
        done = (await venue.place(order)).order
        before = await venue.server_time()
        await venue.batch_done()
        assert await venue.server_time() >= before
        assert await venue.find("AUSDT", "first") == done

    async def test_the_volume_is_what_others_traded_and_not_what_we_did(
        self, stage: Stage, order: LimitOrder
    ) -> None:
        before = await stage.venue.server_time()
        await stage.venue.place(order)
        await stage.trade_beside("AUSDT", D("7.5"))
        now = await stage.venue.server_time()
        assert await stage.venue.volume("AUSDT", before, now) == D("7.5")
        assert await stage.venue.volume("AUSDT", now, now) == 0
        assert await stage.venue.volume("BUSDT", before, now) == 0
        with pytest.raises(VenueError):
            await stage.venue.volume("NONEUSDT", before, now)

    async def test_volumes_of_adjoining_spans_add_up(self, stage: Stage) -> None:
        first = await stage.venue.server_time()
        await stage.trade_beside("AUSDT", D(3))
        second = await stage.venue.server_time()
        await stage.trade_beside("AUSDT", D(4))
        third = await stage.venue.server_time()
        parts = [await stage.venue.volume("AUSDT", *span) for span in ((first, second), (second, third))]
        assert parts == [D(3), D(4)]
        assert await stage.venue.volume("AUSDT", first, third) == D(7)

    @pytest.mark.parametrize("seconds", [60, 3600, 86_400])
    async def test_candles_stand_on_whole_intervals_and_the_last_is_running(
        self, stage: Stage, order: LimitOrder, seconds: int
    ) -> None:
        await stage.venue.place(order)
        await stage.trade_beside("AUSDT", D(3))
        now = await stage.venue.server_time()
        candles = await stage.venue.candles("AUSDT", seconds, now - 3 * timedelta(seconds=seconds), now)
        assert 3 <= len(candles) <= 4
        assert all(each.start.timestamp() % seconds == 0 for each in candles)
        assert {(each.symbol, each.seconds) for each in candles} == {("AUSDT", seconds)}
        gaps = {(later.start - first.start).total_seconds() for first, later in pairwise(candles)}
        assert gaps == {seconds}
        assert candles[-1].start < now <= candles[-1].start + timedelta(seconds=seconds)
        assert all(each.low <= each.open <= each.high and each.low <= each.close <= each.high for each in candles)
        assert sum(each.volume for each in candles) == 5  # ours are in it
        assert sum(each.value for each in candles) > 0

    async def test_a_candle_of_another_length_is_refused(self, venue: Venue) -> None:
        now = await venue.server_time()
        with pytest.raises(VenueError):
            await venue.candles("AUSDT", 61, now - timedelta(hours=1), now)
        with pytest.raises(VenueError):
            await venue.candles("NONEUSDT", 60, now - timedelta(hours=1), now)
