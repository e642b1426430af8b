"""What a client asks for: units of an index, and within which limits."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from etf_trader.errors import UsageError
from etf_trader.market.symbol import Side
from etf_trader.money import UNIT_GRID, ZERO, floor_to, plain
from etf_trader.orders.status import IndexOrderStatus, Shortfall
from etf_trader.orders.stored_schedule import AtEnd, ScheduleRequest, StoredSchedule
from etf_trader.seal import canonical, seal

CLIENT_KEY = re.compile(r"[A-Za-z0-9._-]{1,64}")
_DURATION = re.compile(r"(\d{1,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
LONGEST = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """A wish before it is accepted.

    `quantity` is None for "all" (a sell). `position` is "" (the only open one, or
    a first), "new", or a number. `limit_price` is per unit in quote, fees
    included; `max_loss_bps` bounds the loss from arrival; `on_shortfall` says what
    becomes of legs that fill beside others that do not. `schedule` is how an
    order over time is spread; None: all at once.
    """

    side: Side
    index_id: int
    quantity: Decimal | None
    position: str
    limit_price: Decimal | None
    max_loss_bps: Decimal | None
    time_in_force: str
    client_key: str
    on_shortfall: Shortfall = Shortfall.RETRY
    schedule: ScheduleRequest | None = None

    def canonical_text(self) -> str:
        """Return what was asked in one spelling, so that a repetition is recognised."""
        asked: dict[str, Any] = {
            "side": str(self.side),
            "index": self.index_id,
            "quantity": "all" if self.quantity is None else self.quantity,
            "position": self.position,
            "limit": self.limit_price,
            "max_loss": self.max_loss_bps,
            "tif": self.time_in_force,
        }
        # What is as it is without asking stays out: requests of before read the same.
        if self.on_shortfall is not Shortfall.RETRY:
            asked["on_shortfall"] = str(self.on_shortfall)
        if self.schedule is not None:
            asked["schedule"] = self.schedule.document()
        return canonical(asked)

    def check(self) -> None:
        """Check what can be checked without the books.

        Raises:
            UsageError: a value cannot be; says which and what to write.
        """
        if self.quantity is None and self.side is Side.BUY:
            raise UsageError("--qty all sells a position; a buy needs a number", where="--qty")
        if self.quantity is not None:
            _check_quantity(self.quantity)
        if self.limit_price is not None and self.limit_price <= 0:
            raise UsageError(f"the limit is {plain(self.limit_price)}: it must be above 0", where="--limit")
        if self.max_loss_bps is not None and not ZERO <= self.max_loss_bps <= 10_000:
            raise UsageError(
                f"the largest loss is {plain(self.max_loss_bps)} bps: it must lie between 0 and 10,000",
                where="--max-loss",
            )
        if not CLIENT_KEY.fullmatch(self.client_key):
            raise UsageError(
                f"{self.client_key!r} cannot be a client key",
                where="--client-key",
                hint="1 to 64 letters, digits, dots, dashes and underscores",
            )
        lifetime(self.time_in_force)
        if self.schedule is not None:
            self.schedule.check()
            if self.schedule.passive is not None and self.on_shortfall is Shortfall.UNWIND:
                raise UsageError(
                    "quotes fill one after the other: --on-shortfall unwind would trade each back at once",
                    where="--on-shortfall",
                    hint="leave it out, or leave out --passive",
                )


@dataclass(frozen=True, slots=True)
class IndexOrder:
    """An accepted wish; `arrival` are the mids read just before, by asset, frozen with it.

    Of an asset that has entered the basket since it is the mid at which it did;
    `entered` names those, and `arrival_nav` is of the basket at acceptance.
    """

    id: int
    account_id: int
    index_id: int
    position_id: int
    client_key: str
    request: str
    side: Side
    quantity: Decimal
    filled: Decimal
    limit_price: Decimal | None
    max_loss_bps: Decimal | None
    time_in_force: str
    expires_at: datetime | None
    on_shortfall: Shortfall
    status: IndexOrderStatus
    stopped_by: tuple[str, ...]
    cancel_requested_at: datetime | None
    accepted_at: datetime
    ended_at: datetime | None
    arrival: Mapping[str, Decimal]
    arrival_nav: Decimal
    schedule: StoredSchedule | None
    seal: str
    entered: Mapping[str, Decimal] = field(default_factory=dict)
    entered_seal: str | None = None

    def facts_entered_seal(self) -> str | None:
        """Return the seal that what has entered since should have; None when nothing has."""
        return entered_seal(self.id, self.entered) if self.entered else None

    def facts_seal(self) -> str:
        """Return the seal that its values should have."""
        accepted = {asset: mid for asset, mid in self.arrival.items() if asset not in self.entered}
        return acceptance_seal(
            {name: getattr(self, name) for name in _SEALED}
            | {
                "side": str(self.side),
                "arrival": accepted,
                "on_shortfall": str(self.on_shortfall),
                "schedule": self.schedule,
            }
        )

    @property
    def remaining(self) -> Decimal:
        """Units still wanted."""
        return self.quantity - self.filled

    @property
    def stays_open(self) -> bool:
        """Whether what cannot fill now waits for later; an order over time does until its end."""
        return self.time_in_force != "now" or self.schedule is not None

    @property
    def takes_at_end(self) -> bool:
        """Whether all that is left is traded when its time is over."""
        return self.schedule is not None and self.schedule.at_end is AtEnd.TAKE

    def is_last_chance(self, moment: datetime) -> bool:
        """Whether what is not traded at `moment` is given up: for now, or at the end of its time."""
        if self.schedule is None:
            return not self.stays_open
        return moment >= self.schedule.ends_at(self.accepted_at)


_SEALED = (
    "account_id",
    "index_id",
    "position_id",
    "client_key",
    "request",
    "quantity",
    "limit_price",
    "max_loss_bps",
    "time_in_force",
    "expires_at",
    "accepted_at",
    "arrival_nav",
)


def acceptance_seal(values: Mapping[str, Any]) -> str:
    """Return the SHA-256 over all that was accepted: `_SEALED`, side, arrival, and what is not as usual."""
    facts = {name: values[name] for name in (*_SEALED, "side", "arrival")}
    if values["on_shortfall"] != str(Shortfall.RETRY):
        facts["on_shortfall"] = values["on_shortfall"]
    schedule: StoredSchedule | None = values["schedule"]
    if schedule is not None:
        facts["schedule"] = schedule.document()
    return seal("etf.index-order/1", facts)


def entered_seal(order_id: int, entered: Mapping[str, Decimal]) -> str:
    """Return the SHA-256 over the mids of what has entered the basket of an order since its acceptance."""
    return seal("etf.entered/1", {"order": order_id, "entered": dict(entered)})


def lifetime(time_in_force: str) -> timedelta | None:
    """Return how long an order with this `--tif` lives; None for "now" and "gtc".

    Raises:
        UsageError: it is neither now, gtc nor a duration.
    """
    if time_in_force in ("now", "gtc"):
        return None
    match = _DURATION.fullmatch(time_in_force)
    span = timedelta(seconds=int(match[1]) * _SECONDS[match[2]]) if match else timedelta(0)
    if not timedelta(0) < span <= LONGEST:
        raise UsageError(
            f"--tif is {time_in_force!r}",
            where="--tif",
            hint="now, gtc, or a duration like 90s, 30m, 6h, 2d (at most 366d)",
        )
    return span


def _check_quantity(quantity: Decimal) -> None:
    if quantity <= 0:
        raise UsageError(f"the quantity is {plain(quantity)}: it must be above 0", where="--qty")
    if floor_to(quantity, UNIT_GRID) != quantity:
        raise UsageError(
            f"the quantity {plain(quantity)} is finer than 8 decimals", where="--qty", hint="round it"
        )
