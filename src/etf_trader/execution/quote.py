"""What a quote says: the request, the answer to a size, the cost curve, and what bounds both."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from etf_trader.execution.frozen import Frozen
from etf_trader.execution.outlook import Outlook
from etf_trader.execution.planning import MarketView
from etf_trader.index.store import Index
from etf_trader.market.symbol import Side
from etf_trader.money import BPS, ONE, bps
from etf_trader.orders.index_order import OrderRequest
from etf_trader.orders.plan import Plan
from etf_trader.solver.quote import BookEnd, Naive, SizeCost
from etf_trader.solver.route_problem import RouteSaving


@dataclass(frozen=True, slots=True)
class QuoteRequest:
    """What somebody would like to know.

    `quantity` is in units, or `is_all` of the holder's; neither asks for the curve alone.
    """

    side: Side
    index_id: int
    quantity: Decimal | None
    is_all: bool
    limit_price: Decimal | None
    max_loss_bps: Decimal | None

    def check(self) -> None:
        """Check what can be checked without the books, as for an order.

        Raises:
            UsageError: a value cannot be; says which and what to write.
        """
        quantity = ONE if self.quantity is None else self.quantity
        OrderRequest(
            side=self.side,
            index_id=self.index_id,
            quantity=quantity,
            position="",
            limit_price=self.limit_price,
            max_loss_bps=self.max_loss_bps,
            time_in_force="now",
            client_key="quote",
        ).check()


class Window(NamedTuple):
    """A limit of the venue: `most` orders in each `seconds`, `free` of them until it begins anew in `opens_in`."""

    most: int
    seconds: float
    free: int
    opens_in: float

    def wait(self, orders: int) -> float:
        """Return the seconds until the last of `orders` may be sent."""
        if orders <= self.free:
            return 0.0
        windows = -(-(orders - self.free) // self.most)
        return self.opens_in + (windows - 1) * self.seconds


@dataclass(frozen=True, slots=True)
class Answer:
    """What the size that was asked for comes to.

    `plan` is what a dry run of the same size makes when the treasury pays for
    it, on `view`; `payable` are the units for which it does (None: a sell). With
    `view.fees_apart` the plan's cash and loss are without fees, which are paid beside.
    """

    quantity: Decimal
    plan: Plan
    document: dict[str, Any]
    view: MarketView
    payable: Decimal | None


@dataclass(frozen=True, slots=True)
class Quote:
    """What trading an index costs on the books of now.

    `environment` is where it would trade. `answer` is None when no size was asked for,
    `outlook` unless a limit stops the answer of an index in one currency. `largest` is
    the plan of the largest size within the limits; `least` the least size that the
    float of now allows (None: none), `float_needed` the float cash that allows every
    size. `curve` holds growing sizes that the books alone bound, the last as large as
    the first book to give out allows; `shape` the same, denser, for a chart. `market`
    and `by_asset` are the naive ways to trade the size that was asked for: a market
    order an asset, and a limit an asset; `compared` is the plan they are weighed
    against: the answer's, with all its fees in it. `routes` says what other currencies
    would save for the answer's units, the quote alone in front; none where the venue
    has none, or for the reason that `routes_unknown` tells. `windows` are the venue's
    limits on orders with what is left of each. All but `answer` and `routes` is about
    the books in the index's own quote. Where the answer pays its fees beside, the rest
    counts them as if as much were taken of what is received. `frozen` are constituents
    that cannot be traded now: everything is about the rest.
    """

    request: QuoteRequest
    environment: str
    index: Index
    nav: Decimal
    answer: Answer | None
    outlook: Outlook | None
    treasury: Decimal
    largest: Plan
    least: Decimal | None
    float_cash: Decimal
    float_needed: Decimal
    curve: tuple[SizeCost, ...]
    shape: tuple[SizeCost, ...]
    ends: tuple[BookEnd, ...]
    market: Naive | None
    compared: Plan | None
    by_asset: Naive | None
    routes: tuple[RouteSaving, ...]
    routes_unknown: str
    windows: tuple[Window, ...]
    frozen: tuple[Frozen, ...] = ()

    @property
    def is_buy(self) -> bool:
        """Whether units are bought."""
        return self.request.side is Side.BUY

    @property
    def gain_bps(self) -> Decimal | None:
        """What the plan loses less than a market order an asset; None unless both trade all that was asked for."""
        answer, plan, market = self.answer, self.compared, self.market
        if answer is None or plan is None or market is None or not plan.units == answer.quantity == market.units:
            return None
        return self.naive_bps(market) - self.loss_bps(plan)

    def loss_bps(self, plan: Plan) -> Decimal:
        """Return the loss of a plan in bps of its units' value now."""
        return bps(plan.loss.total, plan.units * self.nav)

    def naive_bps(self, naive: Naive) -> Decimal:
        """Return the loss of a naive way in bps of the units it makes, what is stranded traded back."""
        return bps(naive.loss + naive.unwinding, naive.units * self.nav)

    def saved(self, saving: RouteSaving) -> Decimal:
        """Return what other currencies save, in the quote asset."""
        return saving.saved_bps * saving.units * self.nav / BPS

    @property
    def free_slots(self) -> int:
        """Orders that may be sent at once."""
        return min((window.free for window in self.windows), default=10**9)

    def seconds_for(self, orders: int) -> float:
        """Return how long it takes until the venue lets the last of `orders` through; 0 when it does at once."""
        return max((window.wait(orders) for window in self.windows), default=0.0)
