"""Second factors in the REST interface."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from santaserver.inputs import Input, Stored
from santaserver.second_factor.pending import LASTS
from santaserver.second_factor.repository import Factors

MAX_CODE = 64

SecondFactorMethod = Literal["totp", "recovery_code", "passkey"]


class Code(Input):
    """A code of the authenticator app, or a recovery code."""

    code: Stored = Field(min_length=1, max_length=MAX_CODE, description="Spaces and hyphens do not matter")


class SecondFactorNeeded(BaseModel):
    """The password is right, and the login goes on with a second factor."""

    methods: list[SecondFactorMethod] = Field(
        description="`totp` and `recovery_code`: `POST /auth/second-factor`; "
        "`passkey`: `POST /auth/passkeys/sign-in`"
    )
    expires_in: int = Field(description="Seconds until the password has to be entered again")

    @classmethod
    def of(cls, factors: Factors) -> "SecondFactorNeeded":
        """Tell what an account has."""
        methods: list[SecondFactorMethod] = []
        if factors.totp_since is not None:
            methods.append("totp")
        if factors.passkeys:
            methods.append("passkey")
        if factors.recovery_codes:
            methods.append("recovery_code")
        return cls(methods=methods, expires_in=int(LASTS.total_seconds()))


class SecondFactorState(BaseModel):
    """The second factors of the own account."""

    local: bool = Field(
        description="Whether the account has a password here; others get their second factor at the provider"
    )
    totp_since: datetime | None = Field(description="When the authenticator app was set up; null without one")
    passkeys: int
    recovery_codes: int = Field(description="How many are left")


class QrImage(BaseModel):
    """A QR code to draw as SVG, without any request to another server."""

    size: int = Field(description="Width and height of the view box")
    path: str = Field(description="What is black in it, as the `d` of a path")


class TotpEnrollment(BaseModel):
    """A new authenticator app, which counts after it has shown a code."""

    secret: str = Field(description="To type into the app: SHA-1, 6 digits, 30 seconds; shown this once")
    uri: str = Field(description="The same for the app to open: `otpauth://totp/…`")
    qr: QrImage
    expires_at: datetime


class RecoveryCodes(BaseModel):
    """Codes that replace the second factor, each once; shown this once."""

    codes: list[str] = Field(description="Empty when earlier codes stay valid")
