"""What a call is: one row of the table that REST and the WebSocket API share."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

from etf_trader.exchange.server.parameters import Parameters, microseconds, milliseconds
from etf_trader.exchange.views import OrderCount, OrderRequest, OrderView

if TYPE_CHECKING:
    from etf_trader.exchange.server.gateway import Gateway
    from etf_trader.exchange.server.keys import ApiKey
    from etf_trader.exchange.server.websocket import Session


class Security(Enum):
    """What a call asks of who sends it."""

    NONE = "NONE"
    KEY = "KEY"
    USER_DATA = "USER_DATA"
    TRADE = "TRADE"

    @property
    def is_signed(self) -> bool:
        """Whether it takes a key, a time and a signature."""
        return self in (Security.USER_DATA, Security.TRADE)


@dataclass(slots=True)
class Ask:
    """One request, admitted: what a handler works with."""

    gateway: "Gateway"
    parameters: Parameters
    now: datetime
    in_microseconds: bool = False
    key: "ApiKey | None" = None
    timestamp: datetime | None = None
    recv_window: float = 5
    session: "Session | None" = None
    """The WebSocket connection that it came over; None for REST."""

    @property
    def account(self) -> str:
        """Whose call this is."""
        assert self.key is not None
        return self.key.account

    def time(self, at: datetime) -> int:
        """Return a time in the unit that was asked for."""
        return microseconds(at) if self.in_microseconds else milliseconds(at)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a handler answers; a body of a status of 400 or more has `code` and `msg`."""

    body: Any
    status: int = 200
    counts: tuple[OrderCount, ...] = ()
    after: Callable[[], None] | None = None
    """What is to happen once a WebSocket client has it."""


@dataclass(frozen=True, slots=True)
class Placing:
    """A new order that is to be placed; several are placed in one go. `told` makes the answer of it."""

    account: str
    request: OrderRequest
    told: Callable[[OrderView], Reply]


Handler = Callable[[Ask], Reply | Placing]
Weight = int | Callable[[Parameters], int]


@dataclass(frozen=True, slots=True)
class Call:
    """One thing that the exchange can be asked, however it is asked.

    `path` is what follows the address, None where only the WebSocket API has it;
    `method` the other way round. `takes` are the parameters that it reads. A call
    that `is_free` costs its weight only when it fails. `changes` says that it may
    change something.
    """

    handler: Handler
    takes: frozenset[str]
    weight: Weight = 1
    security: Security = Security.NONE
    verb: str = "GET"
    path: str | None = None
    method: str | None = None
    is_free: bool = False
    changes: bool = False
    is_placing: bool = False
    """Whether its handler only says which order is to be placed."""
    is_order: bool = False
    """Whether it may bring a new order: its reply over the WebSocket API shows the order counts."""

    @property
    def is_wallet(self) -> bool:
        """Whether its weight is that of the wallet, which has limits of its own."""
        return (self.path or "").startswith("/sapi/")

    @property
    def name(self) -> str:
        """What faults and logs call it."""
        return self.method or f"{self.verb} {self.path}"

    def weighs(self, parameters: Parameters) -> int:
        """Return the weight of one request."""
        return self.weight if isinstance(self.weight, int) else self.weight(parameters)


@dataclass(slots=True)
class Table:
    """The calls by where they are found."""

    by_path: dict[tuple[str, str], Call] = field(default_factory=dict)
    by_method: dict[str, Call] = field(default_factory=dict)

    def add(self, call: Call) -> None:
        """Add a call."""
        if call.path is not None:
            assert (call.verb, call.path) not in self.by_path
            self.by_path[call.verb, call.path] = call
        if call.method is not None:
            assert call.method not in self.by_method
            self.by_method[call.method] = call

    def __iter__(self) -> Iterator[Call]:
        seen = dict.fromkeys([*self.by_path.values(), *self.by_method.values()])
        return iter(seen)
