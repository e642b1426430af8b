"""What only a WebSocket connection can ask: to be logged on, and to be told what happens to an account."""

from etf_trader.exchange.refusal import ExchangeError
from etf_trader.exchange.server import refusals
from etf_trader.exchange.server.calls import Ask, Call, Reply, Security, Table
from etf_trader.exchange.server.signing import ED25519
from etf_trader.exchange.server.user_events import Event
from etf_trader.exchange.server.user_stream import Subscription
from etf_trader.exchange.server.websocket import Session

MOST_SUBSCRIPTIONS = 1000
MOST_OF_A_SESSION = 65_535
WEIGHT = 2


def log_on(ask: Ask) -> Reply:
    """Take the key that signed this for the connection's own; Binance does so with Ed25519 keys alone."""
    session = _session(ask)
    assert ask.key is not None
    if ask.key.kind != ED25519:
        raise refusals.bad_key()
    session.key, session.authorized_at = ask.key, ask.now
    return status(ask)


def status(ask: Ask) -> Reply:
    """Tell who is logged on."""
    session = _session(ask)
    known = session.key is not None
    return Reply(
        {
            "apiKey": session.key.api_key if session.key is not None else None,
            "authorizedSince": ask.time(session.authorized_at) if known and session.authorized_at else None,
            "connectedSince": ask.time(session.connected_at),
            "returnRateLimits": session.shows_limits,
            "serverTime": ask.time(ask.now),
            "userDataStream": bool(session.subscriptions),
        }
    )


def log_out(ask: Ask) -> Reply:
    """Forget who was logged on, and end what it was subscribed to."""
    session = _session(ask)
    if session.key is not None:
        for number, each in list(session.subscriptions.items()):
            if each.account == session.key.account:
                session.subscriptions.pop(number).stop()
    session.key = session.authorized_at = None
    return status(ask)


def subscribe(ask: Ask) -> Reply:
    """Tell what happens to the account that is logged on."""
    session = _session(ask)
    if session.key is None:
        raise refusals.bad_key()
    return _subscribe(ask, session, session.key.account)


def subscribe_signed(ask: Ask) -> Reply:
    """Tell what happens to the account that signed this."""
    return _subscribe(ask, _session(ask), ask.account)


def _subscribe(ask: Ask, session: Session, account: str) -> Reply:
    if any(each.account == account for each in session.subscriptions.values()):
        raise ExchangeError(-2035, "Subscription is already active.")
    if len(session.subscriptions) >= MOST_SUBSCRIPTIONS or session.subscribed > MOST_OF_A_SESSION:
        raise ExchangeError(-2042, "Maximum number of subscriptions reached.")
    number = session.subscribed
    session.subscribed += 1

    async def send(event: Event) -> None:
        await session.send({"subscriptionId": number, "event": event})

    gateway = ask.gateway

    made = Subscription(
        gateway.feed,
        gateway.faults,
        account,
        send,
        session.abort,
        in_microseconds=session.in_microseconds,
    )
    session.subscriptions[number] = made
    return Reply({"subscriptionId": number}, after=made.start)


def unsubscribe(ask: Ask) -> Reply:
    """End one subscription, or all of them."""
    session = _session(ask)
    number = ask.parameters.whole("subscriptionId")
    if number is None:
        session.end()
        return Reply({})
    if number not in session.subscriptions:
        raise ExchangeError(-2036, "Subscription is not active.")
    session.subscriptions.pop(number).stop()
    return Reply({})


def subscriptions(ask: Ask) -> Reply:
    """Tell what the connection is subscribed to."""
    return Reply([{"subscriptionId": number} for number in sorted(_session(ask).subscriptions)])


def _session(ask: Ask) -> Session:
    assert ask.session is not None  # these calls have no path
    return ask.session


def add_to(table: Table) -> None:
    """Add these calls."""
    signed, nothing = Security.USER_DATA, frozenset[str]()
    rows = (
        ("session.logon", log_on, signed, nothing),
        ("session.status", status, Security.NONE, nothing),
        ("session.logout", log_out, Security.NONE, nothing),
        ("session.subscriptions", subscriptions, Security.NONE, nothing),
        ("userDataStream.subscribe", subscribe, Security.NONE, nothing),
        ("userDataStream.subscribe.signature", subscribe_signed, signed, nothing),
        ("userDataStream.unsubscribe", unsubscribe, Security.NONE, frozenset(("subscriptionId",))),
    )
    for name, handler, security, takes in rows:
        table.add(Call(handler, takes, WEIGHT, security, method=name))
