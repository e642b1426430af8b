"""Moves the clock of a local server that stands still between moves, by its admin endpoint."""

import asyncio
import json
import urllib.error
import urllib.request
from datetime import datetime
from pathlib import Path
from typing import Any

from etf_trader.errors import ConfigError, VenueUnavailable

SECONDS = 10.0
"""How long an answer may take; a move of days makes many prices."""


class Stepper:
    """The admin endpoint of a server on this machine, as far as it tells and moves the time."""

    def __init__(self, url: str, token_file: Path) -> None:
        """Take its address, without a slash at the end, and the file with its token."""
        self._url = url
        self._token_file = token_file

    def now(self) -> datetime:
        """Return the server's time; it is asked, and nothing else happens meanwhile.

        Raises:
            ConfigError: there is no token, or another server's; or the server runs on the machine's clock.
            VenueUnavailable: it does not answer.
        """
        told = self._asked("GET", "/")
        if told["clock"] != "stepped":
            raise ConfigError(
                "the server runs on the machine's clock, which nobody moves",
                where="binance.admin",
                hint="leave binance.admin out, or serve an exchange with exchange.clock = stepped",
            )
        return datetime.fromisoformat(told["now"])

    def weight(self) -> int:
        """Return how much request weight the server grants in a minute, which lasts as long as its clock stands.

        Raises as `now`.
        """
        return int(self._asked("GET", "/")["weight"])

    async def move(self, seconds: float) -> datetime:
        """Have the server move on by `seconds`, and return its time then; raises as `now`."""
        told = await asyncio.to_thread(self._asked, "POST", "/clock", {"seconds": f"{seconds:.6f}"})
        return datetime.fromisoformat(told["now"])

    def _asked(self, verb: str, path: str, document: object = None) -> Any:
        request = urllib.request.Request(
            self._url + path,
            None if document is None else json.dumps(document).encode(),
            {"Authorization": f"Bearer {self._token()}"},
            method=verb,
        )
        try:
            # What proxies the environment names are for other hosts than this one.
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                request, timeout=SECONDS
            ) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise self._refused(error.status or 0, error.read()) from error
        except (OSError, ValueError) as error:
            raise VenueUnavailable(
                "the admin endpoint of the local server does not answer",
                where=self._url,
                hint="etf exchange serve --admin-port opens it",
            ) from error

    def _refused(self, status: int, body: bytes) -> ConfigError | VenueUnavailable:
        if status == 401:
            return ConfigError(
                "the token is another server's",
                where=str(self._token_file),
                hint="etf exchange serve tells which file has its token",
            )
        try:
            told = str(json.loads(body)["error"])
        except (ValueError, TypeError, KeyError):
            told = f"the admin endpoint answered {status}"
        return VenueUnavailable(told, where=self._url)

    def _token(self) -> str:
        try:
            return self._token_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                "the token of the local server cannot be read",
                where=str(self._token_file),
                hint="etf exchange serve --admin-port writes it, for as long as it serves",
            ) from error
