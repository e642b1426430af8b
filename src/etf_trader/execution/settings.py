"""What execution may be told; the rest it reads from the venue."""

from dataclasses import dataclass
from decimal import Decimal

from etf_trader.orders.schedule import Assumptions

ASSUMED = Assumptions(
    recovery_seconds=Decimal(20),
    waiting_bps=Decimal(1),
    turnover=Decimal(15),
    participation=Decimal("0.1"),
)


@dataclass(frozen=True, slots=True)
class ExecutionSettings:
    """How plans are made: the most levels read, ticks of slack, headroom of reserved cash in bps, method.

    `max_cross_spread` is the widest spread of a book, in bps of its mid, at which our own orders meet inside.
    Orders over time trade every `period_seconds` where they can; `assumed` is what their plans take for granted.
    `reconcile_every` is how many seconds a leader trades before it compares the books with the venue again.
    `host` is the name of this host in leases; empty: the system's.
    """

    depth: int = 1000
    slack_ticks: int = 1
    reserve_bps: Decimal = Decimal(200)
    max_cross_spread: Decimal = Decimal(50)
    method: str = "auto"
    period_seconds: int = 60
    assumed: Assumptions = ASSUMED
    reconcile_every: int = 300
    host: str = ""
