"""What the exchange answers when it does not do what was asked, with Binance's codes and texts."""


class ExchangeError(Exception):
    """A refused request: nothing about it took effect.

    Attributes:
        code: Binance's error code, negative.
        message: Binance's text for it.
        http_status: The status a server would answer with.
        retry_after: Seconds to wait before asking again; None where waiting does not help.

    Source:
        Binance Spot API, errors.md.
    """

    def __init__(
        self, code: int, message: str, *, http_status: int = 400, retry_after: float | None = None
    ) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code
        self.message = message
        self.http_status = http_status
        self.retry_after = retry_after


def illegal(parameter: str, legal: str) -> ExchangeError:
    """Return the refusal of a value outside the legal pattern of its parameter."""
    return ExchangeError(-1100, f"Illegal characters found in parameter '{parameter}'; legal range is '{legal}'.")


def missing(parameter: str) -> ExchangeError:
    """Return the refusal of a request that lacks a mandatory parameter."""
    return ExchangeError(-1102, f"Mandatory parameter '{parameter}' was not sent, was empty/null, or malformed.")


def rejected(reason: str) -> ExchangeError:
    """Return the engine's refusal of a new order."""
    return ExchangeError(-2010, reason)


def unsupported(reason: str) -> ExchangeError:
    """Return the refusal of a kind of order that a symbol does not take."""
    return ExchangeError(-1013, reason)


def filter_failure(name: str) -> ExchangeError:
    """Return the refusal of an order that breaks the filter `name`."""
    return ExchangeError(-1013, f"Filter failure: {name}")
