"""Several index orders on shared books: what is asked, and what one solve answers.

    key      number of an index order; ties go to the lower one
    column   orders of equal basket, side and limits: solved as one, split by their units
    phase    a stretch of the common fraction between two freezes: the orders that are
             still active share every level in proportion to what they need of it

Only the net of all orders goes to the venue, and opposite wishes meet inside.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from etf_trader.market.symbol import Side
from etf_trader.orders.plan import Plan
from etf_trader.solver.problem import OrderProblem


class Touch(NamedTuple):
    """Best bid and ask of an asset's valuation book, and whether the book is fresh: may wishes meet at its mid?"""

    bid: Decimal
    ask: Decimal
    is_fresh: bool


@dataclass(frozen=True, slots=True)
class SharedOrder:
    """An index order among others. Orders of one `index` share its float: residuals and float cash.

    `problem` is what the order would ask alone. Legs of one asset must carry the
    same rule, mid and (a side) levels in all orders.
    """

    key: int
    index: str
    problem: OrderProblem


class Member(NamedTuple):
    """An order of a column and the units it gets."""

    key: int
    units: Decimal


class Slice(NamedTuple):
    """An immediate-or-cancel order for the venue: whole lots, in base, at a limit price in quote per base."""

    quantity: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True)
class Share:
    """A column's part of a shared asset order.

    `quantity` is in base, gross of fee; `phases` are its parts by phase, first
    phase first, and sum to it. `exact` is what the units need without any
    rounding, `margin` what each order carries for rounded fees. The plan uses
    levels up to `last_price`; a fill beyond `worst_price` is never allotted to it.
    """

    members: tuple[Member, ...]
    quantity: Decimal
    phases: tuple[Decimal, ...]
    exact: Decimal
    margin: Decimal
    last_price: Decimal
    worst_price: Decimal


@dataclass(frozen=True, slots=True)
class SharedAssetOrder:
    """The net of all orders in one asset, as it goes to the venue.

    It is sent as `slices`, in that order: more than one where an order's own
    limits end at a better price than others reach. Slices and shares both sum
    to `quantity`. Parts are cut on `grid` (base), fees on `fee_quantum` (in kind).
    """

    asset: str
    symbol: str
    side: Side
    quantity: Decimal
    slices: tuple[Slice, ...]
    shares: tuple[Share, ...]
    grid: Decimal
    fee_quantum: Decimal

    @property
    def limit_price(self) -> Decimal:
        """The price of the last slice: no fill is dearer (sell: cheaper)."""
        return self.slices[-1].price


class Cross(NamedTuple):
    """A buy and a sell that meet inside: `quantity` in base at `mid`, without fee."""

    asset: str
    symbol: str
    buyer: int
    seller: int
    quantity: Decimal
    mid: Decimal


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one order gets.

    `plan` is its own: legs hold its share of the asset orders, `crossed` what
    meets inside, in base; `plan.cost` and `plan.cash` have both. `stopped_by` as
    in a plan, with "cross(ASSET)" for an asset that may not meet inside now.
    """

    key: int
    index: str
    plan: Plan
    crossed: Mapping[str, Decimal]


class FillPart(NamedTuple):
    """An order's part of the fill number `fill`: base, quote, and fee in kind."""

    fill: int
    quantity: Decimal
    value: Decimal
    fee: Decimal


class VenueFill(NamedTuple):
    """An execution of a shared asset order: base gross of fee, value in quote, and fee in what was received."""

    price: Decimal
    quantity: Decimal
    value: Decimal
    fee: Decimal


@dataclass(frozen=True, slots=True)
class Column:
    """Orders that were solved as one: their sum as one plan, and what each had asked.

    `crossed` is what all of them together meet inside, in base.
    """

    index: str
    members: tuple[Member, ...]
    plan: Plan
    crossed: Mapping[str, Decimal]
    problems: tuple[OrderProblem, ...]


@dataclass(frozen=True, slots=True)
class SharedPlan:
    """One solve: every order's part of it, what goes to the venue, and what meets inside.

    `asset_orders` are sorted by symbol, `crosses` by asset, buyer and seller.
    """

    columns: tuple[Column, ...]
    asset_orders: tuple[SharedAssetOrder, ...]
    crosses: tuple[Cross, ...]

    @property
    def units(self) -> dict[int, Decimal]:
        """The units of each order, by key."""
        found = [member for column in self.columns for member in column.members]
        return {member.key: member.units for member in sorted(found)}

    @property
    def stopped_by(self) -> dict[int, tuple[str, ...]]:
        """What stops each order, by key."""
        return {member.key: column.plan.stopped_by for column in self.columns for member in column.members}
