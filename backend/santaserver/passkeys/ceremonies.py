"""What WebAuthn asks of browsers, and the checks of what they send: fido2, and what it leaves to its user.

`fido2` is imported when a passkey is used: it reads a list of domains.
"""

import struct
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from santaserver.second_factor.relying_party import RelyingParty

if TYPE_CHECKING:
    from fido2.server import Fido2Server

T = TypeVar("T")

ALGORITHMS = (-7, -8, -257)
"""ES256, EdDSA, RS256: what authenticators have; others are refused."""
NAME = "SantaServer"
TIMEOUT_MS = 300_000
MALFORMED = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RecursionError,
    struct.error,
)
"""What reading CBOR, JSON and keys that are none raises."""


class Refused(Exception):  # noqa: N818 - a decision
    """What a browser sent is not what it has to be."""


class Owner(NamedTuple):
    """An account as authenticators show it."""

    handle: bytes
    username: str
    display_name: str


class NewCredential(NamedTuple):
    """A passkey that was made."""

    id: bytes
    data: bytes
    """Model, id and public key, as WebAuthn packs them."""
    sign_count: int


class Attestation(NamedTuple):
    """What a browser sends of a new passkey, in base64url."""

    client_data: str
    attestation: str


class Assertion(NamedTuple):
    """What a browser sends of a passkey that was used, in base64url."""

    credential_id: str
    client_data: str
    authenticator_data: str
    signature: str


def creation_options(
    party: RelyingParty, owner: Owner, challenge: bytes, known: Sequence[bytes]
) -> dict[str, Any]:
    """Return what `navigator.credentials.create` takes, in its JSON form."""
    from fido2.webauthn import (  # noqa: PLC0415
        PublicKeyCredentialUserEntity,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    user = PublicKeyCredentialUserEntity(
        id=owner.handle, name=owner.username, display_name=owner.display_name
    )
    options, _ = _server(party).register_begin(
        user,
        _descriptors(known),
        ResidentKeyRequirement.REQUIRED,
        UserVerificationRequirement.REQUIRED,
        challenge=challenge,
    )
    return _json(options)


def request_options(party: RelyingParty, challenge: bytes, known: Sequence[bytes]) -> dict[str, Any]:
    """Return what `navigator.credentials.get` takes; without known passkeys, the browser offers its own."""
    from fido2.webauthn import UserVerificationRequirement  # noqa: PLC0415

    options, _ = _server(party).authenticate_begin(
        _descriptors(known) or None, UserVerificationRequirement.REQUIRED, challenge=challenge
    )
    return _json(options)


def challenge_in(client_data: str) -> bytes:
    """Return the challenge that a browser says it answers; raise `Refused` when it says none."""

    def read() -> bytes:
        from fido2.utils import websafe_decode  # noqa: PLC0415
        from fido2.webauthn import CollectedClientData  # noqa: PLC0415

        return CollectedClientData(websafe_decode(client_data)).challenge

    return _checked(read)


def new_credential(party: RelyingParty, challenge: bytes, sent: Attestation) -> NewCredential:
    """Return the passkey that was made for this challenge; raise `Refused` for anything else."""

    def check() -> NewCredential:
        from fido2.utils import websafe_decode  # noqa: PLC0415
        from fido2.webauthn import AttestationObject  # noqa: PLC0415

        made = AttestationObject(websafe_decode(sent.attestation)).auth_data.credential_data
        if made is None or made.public_key[3] not in ALGORITHMS:
            raise Refused
        response = {"clientDataJSON": sent.client_data, "attestationObject": sent.attestation}
        body = {"rawId": _text(made.credential_id), "response": response, "type": "public-key"}
        data = _server(party).register_complete(_state(challenge), body)
        _check_frame(sent.client_data)
        return NewCredential(made.credential_id, bytes(made), data.counter)

    return _checked(check)


def used_counter(party: RelyingParty, challenge: bytes, stored: bytes, sent: Assertion) -> int:
    """Return the counter of a stored passkey that has signed this challenge; raise `Refused` otherwise."""

    def check() -> int:
        from fido2.utils import websafe_decode  # noqa: PLC0415
        from fido2.webauthn import AttestedCredentialData, AuthenticatorData  # noqa: PLC0415

        response = {
            "clientDataJSON": sent.client_data,
            "authenticatorData": sent.authenticator_data,
            "signature": sent.signature,
        }
        body = {"rawId": sent.credential_id, "response": response, "type": "public-key"}
        _server(party).authenticate_complete(_state(challenge), [AttestedCredentialData(stored)], body)
        _check_frame(sent.client_data)
        return AuthenticatorData(websafe_decode(sent.authenticator_data)).counter

    return _checked(check)


def _server(party: RelyingParty) -> "Fido2Server":
    from fido2.server import Fido2Server  # noqa: PLC0415
    from fido2.webauthn import (  # noqa: PLC0415
        AttestationConveyancePreference,
        PublicKeyCredentialParameters,
        PublicKeyCredentialRpEntity,
        PublicKeyCredentialType,
    )

    server = Fido2Server(
        PublicKeyCredentialRpEntity(name=NAME, id=party.id),
        AttestationConveyancePreference.NONE,
        verify_origin=lambda origin: origin == party.origin,
    )
    setattr(server, "timeout", TIMEOUT_MS)  # noqa: B010 - it is declared as None
    server.allowed_algorithms = [
        PublicKeyCredentialParameters(type=PublicKeyCredentialType.PUBLIC_KEY, alg=one) for one in ALGORITHMS
    ]
    return server


def _state(challenge: bytes) -> dict[str, Any]:
    from fido2.webauthn import UserVerificationRequirement  # noqa: PLC0415

    return {"challenge": _text(challenge), "user_verification": UserVerificationRequirement.REQUIRED}


def _check_frame(client_data: str) -> None:
    """Refuse what was made in a frame of another web site."""
    from fido2.utils import websafe_decode  # noqa: PLC0415
    from fido2.webauthn import CollectedClientData  # noqa: PLC0415

    if CollectedClientData(websafe_decode(client_data)).cross_origin:
        raise Refused


def _descriptors(known: Sequence[bytes]) -> Any:  # noqa: ANN401 - fido2's own
    from fido2.webauthn import PublicKeyCredentialDescriptor, PublicKeyCredentialType  # noqa: PLC0415

    return [PublicKeyCredentialDescriptor(type=PublicKeyCredentialType.PUBLIC_KEY, id=one) for one in known]


def _json(options: Any) -> dict[str, Any]:  # noqa: ANN401 - fido2's own
    found: dict[str, Any] = dict(options)["publicKey"]
    return found


def _text(raw: bytes) -> str:
    from fido2.utils import websafe_encode  # noqa: PLC0415

    return websafe_encode(raw)


def _checked(check: Callable[[], T]) -> T:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm  # noqa: PLC0415

    try:
        return check()
    except (*MALFORMED, InvalidSignature, UnsupportedAlgorithm) as error:
        raise Refused from error
