"""Signatures: the documented example, and every form in which a request may be signed."""

import base64

from Crypto.PublicKey import ECC
from Crypto.Signature import eddsa

from etf_trader.exchange.server.signing import (
    ED25519,
    HMAC,
    is_public_key,
    is_signed,
    sorted_payload,
    split_signature,
)

SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
PAYLOAD = (
    "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1"
    "&recvWindow=5000&timestamp=1499827319559"
)
SIGNATURE = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"


def test_the_documented_example_is_signed() -> None:
    assert is_signed(HMAC, SECRET, PAYLOAD, SIGNATURE)
    assert is_signed(HMAC, SECRET, PAYLOAD, SIGNATURE.upper())
    assert not is_signed(HMAC, SECRET, PAYLOAD + "0", SIGNATURE)
    assert not is_signed(HMAC, SECRET, PAYLOAD, "ü")


def test_a_signature_may_stand_anywhere() -> None:
    for text in (f"{PAYLOAD}&signature={SIGNATURE}", f"signature={SIGNATURE}&{PAYLOAD}"):
        assert split_signature(text) == (PAYLOAD, SIGNATURE)
    first, _, rest = PAYLOAD.partition("&")
    assert split_signature(f"{first}&signature=a%2Bb%3D&{rest}") == (PAYLOAD, "a+b=")
    assert split_signature(PAYLOAD) == (PAYLOAD, None)


def test_a_websocket_request_signs_its_parameters_by_name() -> None:
    parameters = {"timestamp": "1", "apiKey": "k", "signature": "s", "symbol": "ÄÖ", "recvWindow": "10000.5"}
    assert sorted_payload(parameters) == "apiKey=k&recvWindow=10000.5&symbol=ÄÖ&timestamp=1"


def test_ed25519_signs_with_the_private_key_of_a_public_one() -> None:
    private = ECC.generate(curve="Ed25519")
    public = private.public_key().export_key(format="PEM")
    signature = base64.b64encode(eddsa.new(private, "rfc8032").sign(PAYLOAD.encode())).decode()
    assert is_public_key(public)
    assert is_signed(ED25519, public, PAYLOAD, signature)
    assert not is_signed(ED25519, public, PAYLOAD + "0", signature)
    assert not is_signed(ED25519, public, PAYLOAD, "no base64!")
    assert not is_signed(ED25519, public, PAYLOAD, signature[:-8])


def test_only_a_public_ed25519_key_is_one() -> None:
    private = ECC.generate(curve="Ed25519")
    assert not is_public_key(private.export_key(format="PEM"))
    assert not is_public_key(ECC.generate(curve="P-256").public_key().export_key(format="PEM"))
    assert not is_public_key("-----BEGIN PUBLIC KEY-----\nnonsense\n-----END PUBLIC KEY-----")
    assert not is_public_key("")
