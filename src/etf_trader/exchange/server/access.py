"""Who may ask: the key, the time and the signature of a request, checked in Binance's order."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from etf_trader.exchange.refusal import ExchangeError, illegal, missing
from etf_trader.exchange.server import refusals
from etf_trader.exchange.server.calls import Security
from etf_trader.exchange.server.keys import ApiKey, Keys, is_well_formed
from etf_trader.exchange.server.parameters import WHOLE, Parameters, instant
from etf_trader.exchange.server.signing import is_signed

RECV_WINDOW = r"^[0-9]{1,5}(\.[0-9]{1,3})?$"
DEFAULT_WINDOW = Decimal(5000)
LONGEST_WINDOW = Decimal(60_000)
AHEAD = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request brought to say who it is from: `payload` is what it says it has signed."""

    api_key: str | None
    payload: str
    signature: str | None
    session: ApiKey | None = None
    """Who logged on over this connection: such requests need neither key nor signature."""


@dataclass(frozen=True, slots=True)
class Admission:
    """Who asks, when it was sent, and for how many seconds it may be taken."""

    key: ApiKey
    timestamp: datetime
    recv_window: float


def admit(
    keys: Keys,
    security: Security,
    credentials: Credentials,
    parameters: Parameters,
    now: datetime,
    ahead: timedelta = AHEAD,
) -> Admission:
    """Check that a request comes from who may send it, in time.

    Args:
        keys: The keys there are.
        security: What the call asks.
        credentials: What the request brought.
        parameters: Its parameters.
        now: The exchange's time.
        ahead: How far its time may lie before ours.

    Raises:
        ExchangeError: -2014, -1102, -1131, -1022, -2015 or -1021.
    """
    session = credentials.session
    by_session = session is not None and credentials.api_key is None and credentials.signature is None
    if not by_session and not is_well_formed(credentials.api_key or ""):
        raise refusals.bad_key_format()
    timestamp = instant(int(parameters.needed("timestamp", WHOLE)))
    window = recv_window(parameters)
    if by_session:
        assert session is not None
        key = session
    else:
        key = _signer(keys, credentials)
    if security is Security.TRADE and not key.may_trade:
        raise refusals.bad_key()
    check_time(timestamp, window, now, ahead)
    return Admission(key, timestamp, float(window) / 1000)


def identify(keys: Keys, credentials: Credentials) -> ApiKey:
    """Return whose key a request names that needs no signature.

    Raises:
        ExchangeError: -2014 or -2015.
    """
    if credentials.session is not None and credentials.api_key is None:
        return credentials.session
    if not is_well_formed(credentials.api_key or ""):
        raise refusals.bad_key_format()
    key = keys.get(credentials.api_key or "")
    if key is None:
        raise refusals.bad_key()
    return key


def recv_window(parameters: Parameters) -> Decimal:
    """Return for how many milliseconds a request may be taken.

    Raises:
        ExchangeError: -1100, -1131: it cannot be that.
    """
    text = parameters.text("recvWindow")
    if text is None:
        return DEFAULT_WINDOW
    try:
        parameters.text("recvWindow", RECV_WINDOW)
    except ExchangeError:
        if text.isascii() and text.isdigit():
            raise ExchangeError(-1131, "recvWindow must be less than 60000") from None
        raise illegal("recvWindow", RECV_WINDOW) from None
    window = Decimal(text)
    if not 0 < window <= LONGEST_WINDOW:
        raise ExchangeError(-1131, "recvWindow must be less than 60000")
    return window


def check_time(timestamp: datetime, window: Decimal, now: datetime, ahead: timedelta = AHEAD) -> None:
    """Check that a request is neither from the future nor too old.

    Raises:
        ExchangeError: -1021.
    """
    if timestamp >= now + ahead:
        raise refusals.ahead()
    if now - timestamp > timedelta(microseconds=int(window * 1000)):
        raise refusals.too_old()


def _signer(keys: Keys, credentials: Credentials) -> ApiKey:
    if not credentials.signature:
        raise missing("signature")
    key = keys.get(credentials.api_key or "")
    if key is None:
        raise refusals.bad_key()
    if not is_signed(key.kind, key.secret, credentials.payload, credentials.signature):
        raise refusals.bad_signature()
    return key
