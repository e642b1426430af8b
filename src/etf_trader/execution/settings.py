"""What execution may be told; the rest it reads from the venue."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class ExecutionSettings:
    """How plans are made: the most levels read, ticks of slack, headroom of reserved cash in bps, method.

    `max_cross_spread` is the widest spread of a book, in bps of its mid, at which our own orders meet inside.
    `host` is the name of this host in leases; empty: the system's.
    """

    depth: int = 1000
    slack_ticks: int = 1
    reserve_bps: Decimal = Decimal(200)
    max_cross_spread: Decimal = Decimal(50)
    method: str = "auto"
    host: str = ""
