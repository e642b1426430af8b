"""The list of all markets, kept in a file between processes: it is long, and weighs twenty at the venue."""

import json
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

KIND = "etf.exchange_info/1"


class KeptInfo(NamedTuple):
    """What exchangeInfo answered, and when."""

    at: datetime
    body: Mapping[str, Any]


class InfoFile:
    """One environment's list; what cannot be read, or belongs to another host, is as if it were not there."""

    def __init__(self, path: Path, host: str) -> None:
        """`host` is where the list comes from: a file of another one says nothing here."""
        self.path = path
        self._host = host

    def read(self) -> KeptInfo | None:
        """Return what is kept; None where there is nothing of use."""
        try:
            document = json.loads(self.path.read_text())
            if (document["kind"], document["host"]) != (KIND, self._host):
                return None
            body = document["body"]
            if not (body["symbols"] and isinstance(body["rateLimits"], list)):
                return None
            return KeptInfo(datetime.fromisoformat(document["at"]), body)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, kept: KeptInfo) -> None:
        """Keep an answer, whole or not at all; a folder that cannot be written costs weight and nothing else."""
        document = {"kind": KIND, "host": self._host, "at": kept.at.isoformat(), "body": kept.body}
        new = self.path.with_name(f"{self.path.name}.{secrets.token_hex(4)}")
        with suppress(OSError):
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                json.dump(document, file, separators=(",", ":"))
            new.replace(self.path)
        with suppress(OSError):
            new.unlink(missing_ok=True)
