"""Signatures of requests: HMAC-SHA256 and Ed25519, over every payload that Binance takes.

Source:
    Binance Spot API, rest-api.md and web-socket-api.md, "SIGNED request security".
"""

import base64
import binascii
import hmac
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any
from urllib.parse import unquote

HMAC, ED25519 = "HMAC", "ED25519"


def split_signature(text: str) -> tuple[str, str | None]:
    """Return a query string or form without its signature, as it was sent otherwise, and the signature."""
    if "signature=" not in text:
        return text, None
    signature: str | None = None
    rest = []
    for part in text.split("&"):
        if part.startswith("signature="):
            signature = unquote(part[len("signature=") :])
        else:
            rest.append(part)
    return "&".join(rest), signature


def sorted_payload(parameters: Mapping[str, str]) -> str:
    """Return what a request over the WebSocket API signs: all but the signature, by name, not encoded."""
    return "&".join(f"{name}={parameters[name]}" for name in sorted(parameters) if name != "signature")


def is_signed(kind: str, secret: str, payload: str, signature: str) -> bool:
    """Return whether `signature` is that of `payload`.

    Args:
        kind: "HMAC" or "ED25519".
        secret: The shared secret, or the public key as PEM.
        payload: What was signed.
        signature: Hex in either case, or base64.
    """
    if kind == HMAC:
        expected = hmac.new(secret.encode(), payload.encode(), sha256).hexdigest()
        return hmac.compare_digest(expected.encode(), signature.lower().encode())
    from Crypto.Signature import eddsa

    try:
        raw = base64.b64decode(signature, validate=True)
        eddsa.new(_public_key(secret), "rfc8032").verify(payload.encode(), raw)
    except (ValueError, binascii.Error):
        return False
    return True


def is_public_key(pem: str) -> bool:
    """Return whether a text is an Ed25519 public key in PEM."""
    try:
        key = _public_key(pem)
    except (ValueError, IndexError, TypeError):
        return False
    return key.curve == "Ed25519" and not key.has_private()


@lru_cache(maxsize=1000)
def _public_key(pem: str) -> Any:
    from Crypto.PublicKey import ECC

    return ECC.import_key(pem)
