"""What the exchange's front door refuses, with Binance's codes and texts.

Source:
    Binance Spot API, errors.md.
"""

from etf_trader.exchange.refusal import ExchangeError

UNKNOWN_OUTCOME = (
    "Timeout waiting for response from backend server. Send status unknown; execution status unknown."
)

UNEXPECTED = "An unexpected response was received from the message bus. Execution status unknown."
INTERNAL = "Internal error; unable to process your request. Please try again."
UNKNOWN = "An unknown error occurred while processing the request."
OVERLOADED = "Server is currently overloaded with other requests. Please try again in a few minutes."


def bad_key_format() -> ExchangeError:
    """Return the refusal of a request without a well-formed key."""
    return ExchangeError(-2014, "API-key format invalid.", http_status=401)


def bad_key() -> ExchangeError:
    """Return the refusal of a key that is unknown, or may not do this."""
    return ExchangeError(-2015, "Invalid API-key, IP, or permissions for action.", http_status=401)


def bad_signature() -> ExchangeError:
    """Return the refusal of a signature that does not fit."""
    return ExchangeError(-1022, "Signature for this request is not valid.")


def too_old() -> ExchangeError:
    """Return the refusal of a request that took too long."""
    return ExchangeError(-1021, "Timestamp for this request is outside of the recvWindow.")


def ahead() -> ExchangeError:
    """Return the refusal of a request from the future."""
    return ExchangeError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")


def unread(read: int, sent: int) -> ExchangeError:
    """Return the refusal of a request with parameters that nobody asked for."""
    return ExchangeError(
        -1104, f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'."
    )


def duplicated() -> ExchangeError:
    """Return the refusal of a parameter that was sent twice in one place."""
    return ExchangeError(-1101, "Duplicate values for a parameter detected.")


def empty(parameter: str) -> ExchangeError:
    """Return the refusal of an optional parameter without a value."""
    return ExchangeError(-1105, f"Parameter '{parameter}' was empty.")


def invalid(parameter: str) -> ExchangeError:
    """Return the refusal of a value that no request can have."""
    return ExchangeError(-1130, f"Data sent for parameter '{parameter}' is not valid.")


def unsupported(http_status: int = 400) -> ExchangeError:
    """Return the refusal of what does not exist, or no more."""
    return ExchangeError(-1020, "This operation is not supported.", http_status=http_status)


def either(one: str, other: str) -> ExchangeError:
    """Return the refusal of a request that names neither of two."""
    return ExchangeError(-1102, f"Param '{one}' or '{other}' must be sent, but both were empty/null!")
