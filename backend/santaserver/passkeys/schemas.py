"""Passkeys in the REST interface. Binary values are in base64url, as in WebAuthn's own JSON."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from santaserver.inputs import Input, Line

MAX_NAME = 60

Base64Url = Annotated[str, Field(min_length=1, max_length=16_384, pattern="^[A-Za-z0-9_-]+$")]


class PasskeyOptions(BaseModel):
    """What the browser needs to make or use a passkey."""

    public_key: dict[str, Any] = Field(
        description="`PublicKeyCredentialCreationOptionsJSON` or `…RequestOptionsJSON` of WebAuthn"
    )


class NewPasskey(Input):
    """A passkey that the browser has made."""

    name: Line = Field(min_length=1, max_length=MAX_NAME, description="Tells it from the others")
    client_data: Base64Url = Field(description="`clientDataJSON` of the response")
    attestation: Base64Url = Field(description="`attestationObject` of the response")


class UsedPasskey(Input):
    """A passkey that the browser has used."""

    credential_id: Base64Url = Field(description="`id` of the credential")
    client_data: Base64Url = Field(description="`clientDataJSON` of the response")
    authenticator_data: Base64Url = Field(description="`authenticatorData` of the response")
    signature: Base64Url
    user_handle: Base64Url | None = Field(None, description="`userHandle` of the response")


class Passkey(BaseModel):
    """A passkey of the own account."""

    id: int
    name: str
    created_at: datetime
    last_used_at: datetime | None
    usable: bool = Field(description="Whether it belongs to the present host name in `PUBLIC_URL`")


class PasskeyList(BaseModel):
    """The own passkeys, the oldest first."""

    available: bool = Field(description="Whether passkeys can be made at this `PUBLIC_URL`")
    items: list[Passkey]


class AddedPasskey(BaseModel):
    """A passkey that was added."""

    passkey: Passkey
    recovery_codes: list[str] = Field(
        description="With the first second factor, shown this once; empty when earlier codes stay valid"
    )
