"""What the solver is asked when an order may use several quote currencies, and what it answers.

The order itself is an `OrderProblem` on the books of its home currency, in which
NAV, limits and loss are counted. Beside it stand the other books of its
constituents, the books between the currencies, and what is there of each
currency. Without those the answer is the plan of one order, to the last digit.
"""

from dataclasses import dataclass
from decimal import Decimal

from etf_trader.market.book import Level
from etf_trader.market.symbol import Side, SymbolRule
from etf_trader.money import ZERO
from etf_trader.orders.plan import LossParts, Plan
from etf_trader.solver.problem import OrderProblem


@dataclass(frozen=True, slots=True)
class Currency:
    """A currency beside the home one: what may be spent of it, and its price in the home currency.

    `arrival_mid` is frozen with the order, `mid` is that of the batch. A node
    may be any asset that others are quoted in: BTC is one for ETHBTC.
    """

    name: str
    balance: Decimal
    mid: Decimal
    arrival_mid: Decimal


@dataclass(frozen=True, slots=True)
class Route:
    """Another book of a constituent, quoted in one of the problem's currencies.

    `levels` are what a trade of the order's side takes, best first, within the
    venue's price bounds; `complete` says that nothing lies beyond them; `mid` is
    that of this book, in its own quote.
    """

    asset: str
    rule: SymbolRule
    levels: tuple[Level, ...]
    complete: bool
    mid: Decimal


@dataclass(frozen=True, slots=True)
class Conversion:
    """The book between two currencies; either side may be traded. `mid` is in its own quote."""

    rule: SymbolRule
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    complete: bool
    mid: Decimal


@dataclass(frozen=True, slots=True)
class RouteProblem:
    """One index order over several currencies.

    `order` has the legs on the home books (an asset without one has a leg with
    no levels), and `order.cash` is what may be spent of the home currency.
    `slots` bounds the asset orders, conversions among them, `seconds` the search
    for the best choice of books under it.
    """

    order: OrderProblem
    currencies: tuple[Currency, ...] = ()
    routes: tuple[Route, ...] = ()
    conversions: tuple[Conversion, ...] = ()
    slots: int | None = None
    seconds: float = 5.0

    @property
    def home(self) -> str:
        """The currency in which the order is valued."""
        return self.order.legs[0].rule.quote

    def currency(self, name: str) -> Currency:
        """Return the currency `name`; the home one is worth 1 of itself."""
        if name == self.home:
            return Currency(name, self.order.cash or ZERO, Decimal(1), Decimal(1))
        return next(each for each in self.currencies if each.name == name)


@dataclass(frozen=True, slots=True)
class RouteLeg:
    """What a plan does in one book: of a constituent, or between two currencies.

    Quantities are in base, gross of fee. Prices, `mid`, `value` (before fee) and
    a sell's `fee` are in the book's own quote `currency`, a buy's fee in base;
    `loss` is in the home currency. `limit_price` is that of the
    immediate-or-cancel order, `last_price` that of the last level meant to be used.
    `orders` is into how many the venue's largest size splits it.
    """

    asset: str
    symbol: str
    currency: str
    side: Side
    quantity: Decimal
    limit_price: Decimal
    last_price: Decimal
    touch: Decimal
    mid: Decimal
    value: Decimal
    fee: Decimal
    loss: LossParts
    orders: int


@dataclass(frozen=True, slots=True)
class Surplus:
    """What the float takes of an asset when everything fills (negative: gives), at the batch mid."""

    asset: str
    quantity: Decimal
    mid: Decimal


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount of a currency."""

    currency: str
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Multiplier:
    """The price of a node of the network, in the home currency: what the bound was computed with."""

    node: str
    price: Decimal


@dataclass(frozen=True, slots=True)
class SlotProof:
    """What is known about the choice of books under the slot budget.

    `bound` is below (sell: above) the cash of every choice for the continuous
    plan's units, in the home currency: by arithmetic at the plan's multipliers
    where the method is "knapsack", on the integer solver's word where it is
    "milp"; None where the slots leave some units undone. The plan's own `bound`
    needs nobody's word, and does not know about slots. `is_proved` says that
    bound and plan meet; otherwise time was over before they did. With no choice
    found till then, `is_fallback`: the plan is the linear program's with fewer
    routes.
    """

    slots: int
    bound: Decimal | None
    is_proved: bool
    is_fallback: bool


@dataclass(frozen=True, slots=True)
class RoutePlan:
    """The best way to trade an index order over several currencies.

    `legs` trade constituents and `conversions` currencies, both in the order in
    which they may be sent: a buy's conversions come before its legs, a sell's
    after. `used` is what the plan takes net of each currency when everything
    fills (negative: brings), basket cash and float included; `reserved` what has
    to be there when all orders fill at their own prices. `cash` is `used` at the
    batch mids, `cost` that of the trades alone, `bound` below (sell: above) the
    cash of every plan for these units, whatever it uses. `saved_bps` is the loss
    saved against the home currency's books alone, for equal units, in bps of the
    value at mid; `single` is that plan.
    """

    side: Side
    wanted: Decimal
    units: Decimal
    legs: tuple[RouteLeg, ...]
    conversions: tuple[RouteLeg, ...]
    surplus: tuple[Surplus, ...]
    used: tuple[Amount, ...]
    reserved: tuple[Amount, ...]
    cash: Decimal
    loss: LossParts
    marginal_price: Decimal
    stopped_by: tuple[str, ...]
    method: str
    cost: Decimal
    bound: Decimal
    gap_bps: Decimal
    rounding_bps: Decimal
    multipliers: tuple[Multiplier, ...]
    slots: SlotProof | None
    single: Plan
    saved_bps: Decimal

    @property
    def orders(self) -> int:
        """How many asset orders are sent, those that the venue's largest size makes of one among them."""
        return sum(leg.orders for leg in (*self.legs, *self.conversions))


@dataclass(frozen=True, slots=True)
class RouteSaving:
    """What an order would cost with the books of `currencies`, the home one first.

    `saved_bps` is against the home currency alone, for equal units; 0 says that
    nothing is gained.
    """

    currencies: tuple[str, ...]
    units: Decimal
    loss_bps: Decimal
    orders: int
    saved_bps: Decimal
    method: str
