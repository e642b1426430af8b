"""What the venue told, kept in a file for the processes that come after: it is long, or weighs much there."""

import json
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple


class Kept(NamedTuple):
    """What the venue told, and how many seconds ago."""

    age: float
    body: Mapping[str, Any]


class KeptFile:
    """One answer of one source; what cannot be read, or is of another source, is as if it were not there."""

    def __init__(self, path: Path, kind: str) -> None:
        """`kind` names what is kept, and its version."""
        self.path = path
        self._kind = kind

    def read(self, source: str, most: float) -> Kept | None:
        """Return what `source` told within the last `most` seconds; None where there is nothing of use."""
        try:
            document = json.loads(self.path.read_text())
            if (document["kind"], document["source"]) != (self._kind, source):
                return None
            age = (datetime.now(UTC) - datetime.fromisoformat(document["at"])).total_seconds()
            return Kept(age, document["body"]) if 0 <= age <= most else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, source: str, body: Mapping[str, Any]) -> None:
        """Keep an answer of now, whole or not at all; where it cannot be written that costs weight alone."""
        at = datetime.now(UTC).isoformat()
        document = {"kind": self._kind, "source": source, "at": at, "body": body}
        new = self.path.with_name(f"{self.path.name}.{secrets.token_hex(4)}")
        with suppress(OSError):
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                json.dump(document, file, separators=(",", ":"))
            new.replace(self.path)
        with suppress(OSError):
            new.unlink(missing_ok=True)
