"""Every error of `etf`, on one page.

The message says what is wrong, where, and what to do; each class's docstring
tells the caller how to react. `exit_code` is what `etf` ends with.
"""

from typing import ClassVar


class EtfError(Exception):
    """Something went wrong."""

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "error"

    def __init__(self, message: str | None = None, *, where: str | None = None, hint: str | None = None) -> None:
        self.message = message or (self.__class__.__doc__ or "").strip().splitlines()[0]
        self.where = where
        self.hint = hint
        super().__init__(self.message)


class UsageError(EtfError):
    """What was asked cannot be: correct the command and type it again."""

    exit_code = 2
    code = "usage"


class NotFound(EtfError):
    """What was named does not exist: list what does."""

    exit_code = 3
    code = "not_found"


class ConfigError(EtfError):
    """Fix the configuration, or bring the database up to date."""

    exit_code = 4
    code = "configuration"


class Refused(EtfError):
    """Refused by a risk limit or a halt; `limit` is its code."""

    exit_code = 6
    code = "refused"

    def __init__(self, message: str, *, limit: str, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, where=where, hint=hint)
        self.limit = limit


class AccountLed(EtfError):
    """Another process leads the account: wait for it, or ask again later."""

    exit_code = 8
    code = "account_led"


class DatabaseFailure(EtfError):
    """The database cannot be read or written: nothing was sent; free the disk or the file and repeat."""

    code = "database"


class DataError(EtfError):
    """The market data cannot be traded on."""

    exit_code = 5
    code = "data"


class MissingPrice(DataError):
    """There is no price: the book is one-sided or empty. Do not trade on it."""

    code = "missing_price"


class NotTrading(MissingPrice):
    """The venue has halted the market: wait until it trades again. `where` is the symbol."""


class NotListed(MissingPrice):
    """The venue has no such market, or no more: orders wait until it has. `where` is the symbol."""


class BasketMoved(DataError):
    """What a unit holds has changed since a plan was made for it; nothing of it was written."""


class StaleCaps(DataError):
    """The table of market caps is too old to choose by, or has nothing yet: bring it up to date."""


class StaleQuote(DataError):
    """The book is too old to trade on: read it again."""

    code = "stale_quote"


class CrossedBook(DataError):
    """The best bid is not below the best ask: do not trade on it."""

    code = "crossed_book"


class SolverError(EtfError):
    """The solver found no plan."""

    code = "solver"


class Infeasible(SolverError):
    """The limits exclude each other; the message says which to relax."""

    exit_code = 7
    code = "infeasible"


class Unbounded(SolverError):
    """The problem has no finite optimum: a bug in its formulation."""

    code = "unbounded"


class NumericalFailure(SolverError):
    """The solver gave up for numerical reasons; the message carries its status."""

    code = "numerical_failure"


class VenueError(EtfError):
    """The venue did not do what was asked."""

    exit_code = 5
    code = "venue"


class VenueUnavailable(VenueError):
    """The request never took effect: send it again."""

    code = "venue_unavailable"


class RateLimited(VenueError):
    """Send again after `retry_after` seconds, not sooner."""

    code = "rate_limited"

    def __init__(self, message: str, *, retry_after: float, is_of_host: bool = False) -> None:
        """`is_of_host` says that all requests of this host are meant, not only this account's orders."""
        super().__init__(message)
        self.retry_after = retry_after
        self.is_of_host = is_of_host


class OrderRejected(VenueError):
    """The venue refused the order for good; `venue_code` and `symbol` say why and where."""

    code = "order_rejected"

    def __init__(self, message: str, *, venue_code: int, symbol: str) -> None:
        super().__init__(message, where=symbol)
        self.venue_code = venue_code
        self.symbol = symbol


class DuplicateOrder(VenueError):
    """An order with this client order id lives at the venue: it is the one that was sent before; ask for it."""

    code = "duplicate_order"


class OutcomeUnknown(VenueError):
    """The request may have taken effect: ask by client order id before anything else."""

    code = "outcome_unknown"


class LedgerError(EtfError):
    """The books do not balance: stop."""

    exit_code = 9
    code = "ledger"


class UnbalancedTransaction(LedgerError):
    """The postings of some asset do not sum to zero: a bug; nothing was written."""

    code = "unbalanced_transaction"


class ReconciliationMismatch(LedgerError):
    """The ledger and the venue differ: find out why before trading on."""

    code = "reconciliation_mismatch"
