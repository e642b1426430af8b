"""API keys: where they are found, and how they are kept from being shown."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from etf_trader.errors import ConfigError
from etf_trader.venue.binance.environments import DEMO, LIVE, LOCAL, TESTNET

HIDDEN = "***"

PREFIXES = {LIVE: "BINANCE", DEMO: "BINANCE_DEMO", TESTNET: "BINANCE_TESTNET", LOCAL: "ETF_LOCAL"}
"""How the variables of each environment begin."""

ENV_FILE = ".env"
OTHERS_MAY_READ = 0o077

_PRIVATE_KEY = "PRIVATE KEY-----"


class Secret(str):
    """A text that shows nowhere but where it is asked for by `revealed`."""

    __slots__ = ()

    def revealed(self) -> str:
        """Return the text itself, for a signature or a header."""
        return "".join(self)

    def __repr__(self) -> str:
        return HIDDEN

    def __str__(self) -> str:
        return HIDDEN

    def __format__(self, spec: str) -> str:
        return HIDDEN

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret is not written down")


@dataclass(frozen=True, slots=True)
class Keys:
    """One pair: what names the account's key, and what signs; `source` says where it was found."""

    api_key: Secret
    secret: Secret
    source: str = field(compare=False)

    @property
    def is_ed25519(self) -> bool:
        """Whether requests are signed with a private key of our own, else with a shared secret (HMAC)."""
        return _PRIVATE_KEY in self.secret.revealed()


def variables(environment: str) -> tuple[str, str]:
    """Return the names of the variables that hold the keys of an environment."""
    return f"{PREFIXES[environment]}_API_KEY", f"{PREFIXES[environment]}_SECRET_KEY"


def find_keys(environment: str, environ: Mapping[str, str], env_file: Path | None) -> Keys:
    """Return the keys of an environment: of the process's environment, else of the `.env` file.

    A secret that begins with `-----BEGIN` is an Ed25519 private key; one that is the path of a file is
    what stands in that file.

    Raises:
        ConfigError: there are none, or only half of them, or others may read them and they are live.
    """
    names = variables(environment)
    for given, source in ((environ, "environment"), (_of_file(env_file), str(env_file))):
        found = [given.get(name, "").strip() for name in names]
        if not any(found):
            continue
        if not all(found):
            missing = next(name for name, value in zip(names, found, strict=True) if not value)
            raise ConfigError(
                f"{missing} is not set, the other half of the pair is",
                where=source,
                hint="a pair stands in one place: set both there",
            )
        if given is not environ and environment == LIVE:
            _require_private(env_file)
        folder = env_file.parent if env_file is not None else Path()
        return Keys(Secret(_checked(found[0], names[0])), _secret(found[1], names[1], folder, environment), source)
    raise ConfigError(
        f"there are no keys for the environment {environment}",
        where="environment",
        hint=f"set {names[0]} and {names[1]}, or write them into {env_file or ENV_FILE} (chmod 600)",
    )


def is_open_to_others(path: Path) -> bool:
    """Whether somebody else than its owner may read a file."""
    return path.is_file() and bool(path.stat().st_mode & OTHERS_MAY_READ)


def _require_private(path: Path | None) -> None:
    if path is not None and is_open_to_others(path):
        raise ConfigError(
            "live keys stand in a file that others may read", where=str(path), hint=f"chmod 600 {path}"
        )


def _of_file(path: Path | None) -> Mapping[str, str]:
    if path is None or not path.is_file():
        return {}
    from dotenv import dotenv_values

    try:
        return {name: value for name, value in dotenv_values(path, interpolate=False).items() if value}
    except (OSError, UnicodeDecodeError):
        raise ConfigError("the file with the keys cannot be read", where=str(path)) from None


def _secret(text: str, name: str, folder: Path, environment: str) -> Secret:
    """Return the secret, read from the file that `text` names if it names one."""
    if _PRIVATE_KEY in text:
        return Secret(text.replace("\\n", "\n"))
    path = (folder / text).expanduser() if text.endswith((".pem", ".key")) else None
    if path is None:
        return Secret(_checked(text, name))
    if environment == LIVE:
        _require_private(path)
    try:
        content = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"{name} names a file that cannot be read", where=str(path)) from None
    if _PRIVATE_KEY not in content:
        raise ConfigError(f"{name} names a file that holds no private key", where=str(path))
    return Secret(content)


def _checked(text: str, name: str) -> str:
    """Return a key that can stand in a header; what is wrong with it is told without it."""
    if not re.fullmatch(r"[\x21-\x7e]{1,512}", text):
        raise ConfigError(f"{name} has characters that no key has: a space, or a line break", where=name)
    return text
