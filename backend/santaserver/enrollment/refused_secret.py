"""Why a secret that is known is refused. Pure."""

from datetime import datetime
from typing import Literal

from msgspec import Struct

from santaserver.errors import Unauthorized

RefusalReason = Literal[
    "revoked", "expired", "replaced", "network", "certificate", "certificate_serial", "serial", "quota"
]
DETAILS: dict[RefusalReason, str] = {
    "revoked": "The enrollment of this secret was revoked; deploy a profile with another enrollment's secret",
    "expired": "The enrollment secret has expired; put a new one into the profile",
    "replaced": "This enrollment secret was replaced and is no longer accepted; deploy the profile with the "
    "present one",
    "network": "This enrollment secret is not accepted from the address that the request came from",
    "certificate": "This enrollment requires a client certificate besides its secret",
    "certificate_serial": "This enrollment requires a client certificate whose subject contains the "
    "machine's serial number",
    "serial": "This enrollment does not list the machine's serial number",
    "quota": "The machine limit of this enrollment is reached",
}


class SecretRefused(Unauthorized):
    """The secret is known, but a condition of it or of its enrollment is not met."""

    def __init__(self, enrollment: int, secret: int | None, reason: RefusalReason) -> None:
        """Keep whose secret it is, and why it is refused."""
        super().__init__(DETAILS[reason])
        self.enrollment = enrollment
        self.secret = secret
        self.reason = reason


class Refused(Struct, frozen=True):
    """The last refused request with a secret, or for a Mac."""

    enrollment: int
    reason: RefusalReason
    address: str
    at: datetime
