"""Where Binance is: the addresses of each environment, and what it has."""

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from etf_trader.errors import ConfigError
from etf_trader.venue import LIVE as LIVE

DEMO, TESTNET, LOCAL = "demo", "testnet", "local"

ENVIRONMENTS = (LIVE, DEMO, TESTNET, LOCAL)


@dataclass(frozen=True, slots=True)
class Environment:
    """Addresses without a slash at the end; `wallet` is None where there is no `/sapi`.

    `is_wiped` says that its history begins again from time to time.
    """

    name: str
    api: str
    wallet: str | None
    user: str
    streams: str
    is_wiped: bool = False

    @property
    def is_live(self) -> bool:
        """Whether the money is real."""
        return self.name == LIVE

    @property
    def place(self) -> str:
        """What it is called in an error."""
        return f"Binance {self.name}, {self.api.removesuffix('/api')}"

    @property
    def host(self) -> str:
        """The host that requests go to."""
        return urlsplit(self.api).hostname or ""


_PUBLIC = {
    LIVE: Environment(
        LIVE,
        "https://api.binance.com/api",
        "https://api.binance.com/sapi",
        "wss://ws-api.binance.com:443/ws-api/v3",
        "wss://stream.binance.com:9443",
    ),
    DEMO: Environment(
        DEMO,
        "https://demo-api.binance.com/api",
        None,
        "wss://demo-ws-api.binance.com/ws-api/v3",
        "wss://demo-stream.binance.com:9443",
    ),
    TESTNET: Environment(
        TESTNET,
        "https://testnet.binance.vision/api",
        None,
        "wss://ws-api.testnet.binance.vision/ws-api/v3",
        "wss://stream.testnet.binance.vision",
        is_wiped=True,
    ),
}


def environment(name: str, url: str | None = None) -> Environment:
    """Return an environment by its name.

    Args:
        url: Where the local one is, as `http://127.0.0.1:PORT`; the others have their own addresses.

    Raises:
        ConfigError: a local one without a URL, or with one that leaves this machine.
    """
    if name != LOCAL:
        return _PUBLIC[name]
    if url is None:
        raise ConfigError(
            "the environment is local and binance.url is not set",
            where="binance.url",
            hint="etf config set binance.url http://127.0.0.1:8899, where etf exchange serve listens",
        )
    base = loopback(url)
    sockets = "ws" + base.removeprefix("http")
    return Environment(LOCAL, f"{base}/api", f"{base}/sapi", f"{sockets}/ws-api/v3", sockets)


def loopback(url: str, key: str = "binance.url") -> str:
    """Return the URL of a server on this machine, without a slash at the end; it stands at this `key`.

    Raises:
        ConfigError: it is another URL: keys would be sent to another host.
    """
    if not _is_here(url):
        raise ConfigError(
            f"{key} must be a server on this machine",
            where=key,
            hint="like http://127.0.0.1:8899: keys are not sent to another host",
        )
    return url.rstrip("/")


def _is_here(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        is_loopback = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
    is_bare = not (parts.path.strip("/") or parts.query or parts.fragment or parts.username)
    return is_loopback and is_bare and parts.scheme in ("http", "https") and port != 0
