"""A rebalance that was accepted: for which day, from what, and to what. Exact."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from etf_trader.market.symbol import Side
from etf_trader.money import ONE
from etf_trader.orders.status import IndexOrderStatus
from etf_trader.seal import seal

KIND = "rebalance"
"""The kind of an order that is a rebalance."""


@dataclass(frozen=True, slots=True)
class TargetLeg:
    """One asset of a rebalance: fractions of NAV at the mids of its acceptance.

    `aim` is where it is brought; None: it is left alone. `part` is that as a
    fraction of everything that trades and the cash, which is what each wave
    goes by. `holding` is in base; `side`, `quantity` (gross of fee, in base),
    `price` (the average) and `cost` (in quote) are of the first plan.
    """

    asset: str
    symbol: str
    weight: Decimal
    target: Decimal
    width: Decimal
    aim: Decimal | None
    part: Decimal | None
    holding: Decimal
    side: Side | None
    quantity: Decimal
    price: Decimal
    cost: Decimal
    why_skipped: str | None


@dataclass(frozen=True, slots=True)
class RebalanceRequest:
    """A rebalance before it is accepted: for which day, by which rulebook, from what, and to what.

    `due_on` is unique for an index. `nav` is of all units, of one while nobody holds
    any, at the `arrival` mids (quote per base, by asset). `scale` is what a turnover cap lets happen of each
    trade, `reserve` the fraction of NAV kept in cash, `price_bps` what being off
    target costs (None: targets are exact); `determination` says who is in the
    index and why.
    """

    index_id: int
    due_on: date
    is_forced: bool
    holder: str
    rulebook: int
    basket: int
    units: Decimal
    nav: Decimal
    scale: Decimal
    reserve: Decimal
    price_bps: Decimal | None
    arrival: Mapping[str, Decimal]
    determination: Mapping[str, Any]
    legs: tuple[TargetLeg, ...]

    @property
    def client_key(self) -> str:
        """What makes it unique in its database: no order of a client has a colon in its key."""
        return f"rebalance:{self.index_id}:{self.due_on.isoformat()}"

    @property
    def parts(self) -> dict[str, Decimal]:
        """What is wanted of each asset that trades, as a fraction of all of them and the cash."""
        return {leg.asset: leg.part for leg in self.legs if leg.part is not None}

    @property
    def trading(self) -> frozenset[str]:
        """The assets that the first plan trades: no wave trades any other."""
        return frozenset(leg.asset for leg in self.legs if leg.side is not None)

    @property
    def kept_in_cash(self) -> Decimal:
        """What the parts leave in cash, as a fraction of all that trades and the cash."""
        return ONE - sum(self.parts.values(), Decimal(0))

    def seal(self) -> str:
        """Return the SHA-256 over all of it."""
        facts = {name: getattr(self, name) for name in _SEALED}
        legs = [[getattr(leg, name) for name in TargetLeg.__slots__] for leg in self.legs]
        return seal("etf.rebalance/1", {**facts, "due_on": self.due_on.isoformat(), "legs": legs})


_SEALED = (
    "index_id",
    "is_forced",
    "holder",
    "rulebook",
    "basket",
    "units",
    "nav",
    "scale",
    "reserve",
    "price_bps",
    "arrival",
    "determination",
)


@dataclass(frozen=True, slots=True)
class RebalanceOrder:
    """An accepted rebalance, and where it stands."""

    id: int
    account_id: int
    request: RebalanceRequest
    status: IndexOrderStatus
    stopped_by: tuple[str, ...]
    cancel_requested_at: datetime | None
    accepted_at: datetime
    ended_at: datetime | None
    seal: str

    @property
    def index_id(self) -> int:
        """The index that is brought back to its rulebook."""
        return self.request.index_id

    @property
    def arrival(self) -> Mapping[str, Decimal]:
        """The mids at its acceptance, in quote per base."""
        return self.request.arrival
