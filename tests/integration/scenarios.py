"""What is played when things go wrong: a market, what stands before, and what is asked for."""

import random
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from unittest import mock

from tests.factories import House, make_definition, make_ladders, make_market, make_request
from tests.integration.test_routes import make_routes_market

from etf_trader.exchange import counts, rules
from etf_trader.exchange.market import Depth, MarketBook
from etf_trader.exchange.static import StaticMarket
from etf_trader.market.symbol import Side
from etf_trader.orders.index_order import OrderRequest
from etf_trader.orders.schedule import Algo
from etf_trader.orders.store import index_order_by_key, request_cancel
from etf_trader.orders.stored_schedule import ScheduleRequest
from etf_trader.venue.interface import LimitOrder

D = Decimal


@dataclass(frozen=True, slots=True)
class Rebalance:
    """A rebalance that is asked for, of index 1 for this day."""

    due_on: date

    @property
    def client_key(self) -> str:
        """What names it."""
        return f"rebalance:1:{self.due_on.isoformat()}"


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is played.

    `cancelled` are the keys of orders that are cancelled when the exchange gets
    its `cancel_after`-th order of the play: how much of them filled by then is
    chance. `slack` says how far from the undisturbed run an order that its limit
    stops may end, in units: what lots leave over may be a lot more or less, and
    when an asset order is lost, the cheap levels may go to another index order
    of the batch, which has no limit.
    """

    market: Callable[[], StaticMarket]
    before: Callable[[House], Coroutine[Any, Any, None]]
    requests: tuple[OrderRequest | Rebalance, ...]
    cancelled: tuple[str, ...] = ()
    cancel_after: int = 2
    slack: Mapping[str, Decimal] | None = None
    slots: int | None = None
    """How many orders the exchange takes in ten seconds, where it is not its 100."""
    weight: int = 1
    """How often it is drawn, relative to others: plays of several orders take longer."""
    moves: bool = False
    """Whether the books move while orders are under way."""
    chance: tuple[str, ...] = ()
    """Keys of orders that may end otherwise: what a basket cost to reach takes of the cash set aside."""
    may_move: bool = True
    """Whether it is also played so; books that empty leave quotes nothing to stand at."""

    @contextmanager
    def limits(self) -> Iterator[None]:
        """Let the exchange take no more orders in ten seconds than the scenario says."""
        if self.slots is None:
            yield
            return
        few = (rules.OrderLimit("SECOND", 10, 10, self.slots), *rules.ORDER_LIMITS[1:])
        with mock.patch.object(rules, "ORDER_LIMITS", few), mock.patch.object(counts, "ORDER_LIMITS", few):
            yield

    def stir(self, house: House, seed: int) -> None:
        """Arrange what happens just before orders arrive: the cancel, and books that move."""
        dice, arrived = random.Random(seed), 0

        def arrives(order: LimitOrder) -> None:
            nonlocal arrived
            arrived += 1
            if self.cancelled and arrived == self.cancel_after:
                cancel(house, self.cancelled)
            if self.moves and dice.random() < 0.5:
                move(house.market, dice)  # type: ignore[arg-type]

        house.venue.before_place = arrives

    def moving(self) -> "Scenario":
        """Return the same on books that move."""
        return replace(self, moves=True)


def cancel(house: House, keys: tuple[str, ...]) -> None:
    """Ask for the end of the orders with these client keys, as another process would."""
    with house.database.write() as connection:
        for key in keys:
            if (order := index_order_by_key(connection, key)) is not None:
                request_cancel(connection, order.id, house.clock.now())


def move(market: StaticMarket, dice: random.Random) -> None:
    """Give a random book another mid, spread and depth; books that prices are compared with stay."""
    names = [row["symbol"] for row in market.symbols() if row["symbol"] != "USDCUSDT"]
    symbol = dice.choice(names)
    price = D(100) if symbol.startswith("A") else D(10)
    mid = price + D("0.01") * dice.randint(-30, 30)
    depth = D(dice.choice(("3", "20", "60", "400")))
    market.set_book(symbol, *make_ladders(mid, D("0.01"), depth, spread=dice.choice((1, 4)), gap=2))


class TidalMarket(StaticMarket):
    """Books that come to our quotes for a second now and then, the same at the same time whoever looks."""

    def book(self, symbol: str, at: datetime) -> MarketBook:
        """Return the frozen book, or one whose other side has come to the touch."""
        book = super().book(symbol, at)
        bid, ask = book.bids[0], book.asks[0]
        match (at.second + (symbol == "BUSDT")) % 6:
            case 2:  # sellers come down to the best bid: its own buyers are gone for now
                return replace(book, bids=book.bids[1:], asks=(Depth(bid.price, TIDE), *book.asks))
            case 5:
                return replace(book, bids=(Depth(ask.price, TIDE), *book.bids), asks=book.asks[1:])
        return book

    def still_consumed(
        self, symbol: str, side: str, price: Decimal, quantity: Decimal, since: datetime, at: datetime
    ) -> Decimal:
        """Return 0 after a second: what is taken comes back."""
        return quantity if (at - since).total_seconds() < 1 else D(0)


TIDE = D(1)
"""So much comes at a time."""


def make_frozen_market(kind: type[StaticMarket] = StaticMarket) -> StaticMarket:
    """Books that do not move, with coarse lots and orders of at most 20 B."""
    return make_market(
        {
            "A": make_ladders(D(100), D("0.01"), D(25), gap=9),
            "B": make_ladders(D(10), D("0.01"), D(40), gap=2),
        },
        rules={"A": {"step": "0.001"}, "B": {"step": "1", "min_quantity": "1", "max_quantity": "20"}},
        kind=kind,
    )


def shared_market() -> StaticMarket:
    """Books that do not move, with coarse lots and orders of at most 100 B."""
    return make_market(
        {"A": make_ladders(D(100), D("0.01"), D(25), gap=9), "B": make_ladders(D(10), D("0.01"), D(300), gap=2)},
        rules={"A": {"step": "0.001"}, "B": {"step": "1", "min_quantity": "1", "max_quantity": "100"}},
    )


async def one_index(house: House) -> None:
    """An index of one A and two B, and units of it to sell."""
    await house.create(make_definition())
    await house.buy("15.5")


def three_market() -> StaticMarket:
    """Books that do not move, of A and B as in `make_frozen_market`, and of C."""
    return make_market(
        {
            "A": make_ladders(D(100), D("0.01"), D(25), gap=9),
            "B": make_ladders(D(10), D("0.01"), D(400), gap=2),
            "C": make_ladders(D(5), D("0.01"), D(600), gap=1),
        },
        rules={"A": {"step": "0.001"}, "B": {"step": "1", "min_quantity": "1", "max_quantity": "60"}},
    )


async def edited_index(house: House) -> None:
    """Units of one A and two B, by a rulebook that wants less of A, none of B, and C."""
    await one_index(house)
    weights = {"A": D("0.6"), "C": D("0.4")}
    await house.administration.edit_index("1", make_definition(basket={}, weights=weights))


async def edited_among_others(house: House) -> None:
    """The same, and units of an index of A and B, which it sells, and of one of C, which it buys."""
    await edited_index(house)
    await house.create(make_definition(symbol="SOLD", basket={"A": D(1), "B": D(3)}, name="What is sold"))
    await house.create(make_definition(symbol="BOUGHT", basket={"C": D(4)}, name="What is bought"))
    await house.buy("12", index_id=3)


async def two_indices(house: House) -> None:
    """An index of one A and two B, one of five B, and units of the first to sell."""
    await house.create(make_definition())
    await house.create(make_definition(symbol="ONE", basket={"B": D(5)}))
    await house.buy("15.5")


async def one_routed_index(house: House) -> None:
    """An index that trades in USDT and USDC, and units of it to sell."""
    await house.create(make_definition(routes=("USDT", "USDC")))
    await house.buy("60.5")


def asked(key: str, side: Side, quantity: str | None, **changes: object) -> OrderRequest:
    """A request under a client key of its own."""
    return make_request(side, quantity=None if quantity is None else D(quantity), client_key=key, **changes)


def _single(request: OrderRequest, slack: Mapping[str, Decimal] | None = None) -> Scenario:
    return Scenario(make_frozen_market, one_index, (request,), slack=slack, weight=5)


A_LOT = {"one": D("0.5")}
"""A lot of B is half a unit."""

_SHARED = (
    asked("one", Side.BUY, "21.5", time_in_force="gtc"),
    asked("two", Side.SELL, "7.7", limit_price=D("119.2"), time_in_force="gtc"),
    asked("three", Side.BUY, "20", index_id=2, limit_price=D("50.4")),
    asked("four", Side.BUY, "200", limit_price=D("120.45"), time_in_force="gtc"),
)

FIRST = date(2026, 11, 1)

SCENARIOS = {
    "buy": _single(asked("one", Side.BUY, "30")),
    "limited buy": _single(asked("one", Side.BUY, "200", limit_price=D("120.45")), A_LOT),
    "waiting buy": _single(asked("one", Side.BUY, "200", limit_price=D("120.45"), time_in_force="gtc"), A_LOT),
    "bounded buy": _single(asked("one", Side.BUY, "40", max_loss_bps=D(40))),
    "timed buy": _single(asked("one", Side.BUY, "30", schedule=ScheduleRequest(Algo.TWAP, 180))),
    "quoted buy": Scenario(
        lambda: make_frozen_market(TidalMarket),
        one_index,
        (asked("one", Side.BUY, "12", schedule=ScheduleRequest(Algo.TWAP, 120, passive=D("0.5"))),),
        may_move=False,
    ),
    "sell": _single(asked("one", Side.SELL, "7.7")),
    "limited sell": _single(asked("one", Side.SELL, None, limit_price=D("119.75"))),
    "shared": Scenario(shared_market, two_indices, _SHARED, slack={"four": D(30)}),
    "routed": Scenario(
        lambda: make_routes_market(free=("USDCUSDT",)),
        one_routed_index,
        (asked("one", Side.BUY, "150"), asked("two", Side.SELL, "40.25", time_in_force="gtc")),
    ),
    "cancelled": Scenario(
        make_frozen_market,
        one_index,
        (asked("one", Side.BUY, "60", time_in_force="gtc"), asked("two", Side.SELL, "6.5")),
        cancelled=("one",),
        cancel_after=4,
        slots=3,
    ),
    "backlog": Scenario(
        make_frozen_market,
        one_index,
        (
            asked("one", Side.BUY, "70", time_in_force="gtc"),
            asked("two", Side.SELL, "5.5", time_in_force="gtc"),
        ),
        slots=5,
    ),
    "rebalance": Scenario(three_market, edited_index, (Rebalance(FIRST),), weight=4),
    "rebalance beside orders": Scenario(
        three_market,
        edited_index,
        (
            asked("one", Side.BUY, "8.25", time_in_force="gtc"),
            Rebalance(FIRST),
            asked("two", Side.SELL, "3.5", time_in_force="gtc"),
        ),
        weight=3,
        chance=("one",),
    ),
    "rebalance among others": Scenario(
        three_market,
        edited_among_others,
        (
            asked("one", Side.BUY, "2.25", index_id=2),
            asked("two", Side.BUY, "9", index_id=2, limit_price=D("130.45"), time_in_force="gtc"),
            Rebalance(FIRST),
            asked("three", Side.SELL, "7.5", index_id=3, time_in_force="gtc"),
        ),
        weight=4,
    ),
}
