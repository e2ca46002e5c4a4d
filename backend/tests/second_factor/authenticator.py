"""An authenticator in software, which can also do what none should."""

import hashlib
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from fido2 import cbor
from fido2.cose import ES256, ES256K, ES384, RS256, EdDSA

from tests.conftest import ADMIN
from tests.support.rest_client import RestClient

PASSKEYS = "/api/v1/auth/passkeys"
SIGN_IN = f"{PASSKEYS}/sign-in"
AGAIN = f"{PASSKEYS}/reauthenticate"
HOST, ORIGIN = "localhost", "http://localhost:8080"
PRESENT, VERIFIED, ATTESTED = 1, 4, 64

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def encoded(raw: bytes) -> str:
    """Return base64url."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """Return what it stands for."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Authenticator:
    """One passkey; the fields can be changed before it is used."""

    key: Key = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    host: str = HOST
    origin: str = ORIGIN
    flags: int = PRESENT | VERIFIED
    counter: int = 0
    handle: bytes | None = None
    cross_origin: bool = False

    def _kind(self) -> Any:  # noqa: ANN401 - a class of fido2
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            return {"secp256r1": ES256, "secp256k1": ES256K, "secp384r1": ES384}[self.key.curve.name]
        return RS256 if isinstance(self.key, rsa.RSAPrivateKey) else EdDSA

    def _client_data(self, kind: str, challenge: str) -> bytes:
        made = {"type": kind, "challenge": challenge, "origin": self.origin}
        return json.dumps({**made, "crossOrigin": self.cross_origin}).encode()

    def _data(self, flags: int) -> bytes:
        return hashlib.sha256(self.host.encode()).digest() + bytes([flags]) + self.counter.to_bytes(4)

    def make(self, options: dict[str, Any], name: str = "laptop", **changes: str) -> dict[str, Any]:
        """Return what a browser sends after `navigator.credentials.create`."""
        public = self._kind().from_cryptography_key(self.key.public_key())
        self.handle = decoded(options["user"]["id"])
        data = self._data(self.flags | ATTESTED) + bytes(16) + len(self.id).to_bytes(2) + self.id
        data += cbor.encode(dict(public))
        client = self._client_data(changes.get("type", "webauthn.create"), options["challenge"])
        return {
            "name": name,
            "client_data": encoded(client),
            "attestation": encoded(cbor.encode({"fmt": "none", "attStmt": {}, "authData": data})),
        }

    def use(self, options: dict[str, Any], **changes: str) -> dict[str, Any]:
        """Return what a browser sends after `navigator.credentials.get`."""
        kind = changes.get("type", "webauthn.get")
        client = self._client_data(kind, changes.get("challenge", options["challenge"]))
        data = self._data(self.flags)
        sent = {
            "credential_id": encoded(self.id),
            "client_data": encoded(client),
            "authenticator_data": encoded(data),
            "signature": encoded(self._sign(data + hashlib.sha256(client).digest())),
        }
        return sent if self.handle is None else {**sent, "user_handle": encoded(self.handle)}

    def _sign(self, message: bytes) -> bytes:
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            return self.key.sign(message, ec.ECDSA(hashes.SHA256()))
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        return self.key.sign(message)


def options(client: httpx.Client, path: str) -> dict[str, Any]:
    """Begin something; return what the browser is asked for."""
    response = client.post(f"{path}/options")
    assert response.status_code == httpx.codes.OK, response.text
    asked: dict[str, Any] = response.json()["public_key"]
    return asked


def register(client: RestClient, one: Authenticator | None = None, name: str = "laptop") -> Authenticator:
    """Add a passkey for whoever is logged in."""
    one = one or Authenticator()
    made = client.post(PASSKEYS, json=one.make(options(client, PASSKEYS), name))
    assert made.status_code == httpx.codes.CREATED, made.text
    return one


def sign_in(client: httpx.Client, one: Authenticator, **changes: str) -> httpx.Response:
    """Sign in with a passkey."""
    return client.post(SIGN_IN, json=one.use(options(client, SIGN_IN), **changes))


def log_in(client: httpx.Client, name: str = ADMIN[0]) -> httpx.Response:
    """Enter the password."""
    return client.post("/api/v1/auth/login", json={"username": name, "password": ADMIN[1]})
