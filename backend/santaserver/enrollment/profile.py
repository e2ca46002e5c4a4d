"""Makes the configuration profile that connects a Mac. Pure.

Keys are those of Santa's own payload type; the profile holds a secret, so it is made on request and
never stored. The same enrollment always gets the same identifiers, so that a new profile replaces
the one before.
"""

import plistlib
import uuid
from collections.abc import Sequence
from typing import Any, Literal

from santaserver.enrollment.schemas import StaticRule
from santaserver.enrollment.secrets import HEADER

PAYLOAD_TYPE = "com.northpolesec.santa"
NAMESPACE = uuid.UUID("5d0f3c1e-6f0c-4a43-9a52-0d9f5b7c2f61")
"""Our own namespace, so that identifiers are stable and unique."""


def profile(
    server: str,
    enrollment: tuple[int, str],
    secret: str,
    secret_in: Literal["header", "url"],
    static_rules: Sequence[StaticRule],
) -> bytes:
    """Return the property list; `server` is https://host, `enrollment` is (id, label)."""
    number, label = enrollment
    identifier = f"santaserver.{uuid.uuid5(NAMESPACE, server).hex[:12]}.enrollment.{number}"
    santa: dict[str, Any] = {
        "PayloadType": PAYLOAD_TYPE,
        "PayloadVersion": 1,
        "PayloadIdentifier": f"{identifier}.santa",
        "PayloadUUID": _uuid(identifier + ".santa"),
        "PayloadDisplayName": "Santa",
        "SyncBaseURL": f"{server}/api/santa/",
    }
    if secret_in == "url":  # noqa: S105 - a place, not a password
        santa["SyncBaseURL"] = f"{server}/api/santa/e/{secret}/"
    else:
        santa["SyncExtraHeaders"] = {"Authorization": f"Bearer {secret}", HEADER: secret}
    if static_rules:
        santa["StaticRules"] = [
            {"identifier": rule.identifier, "rule_type": rule.rule_type, "policy": "ALLOWLIST"}
            for rule in static_rules
        ]
    return plistlib.dumps(
        {
            "PayloadType": "Configuration",
            "PayloadVersion": 1,
            "PayloadScope": "System",
            "PayloadIdentifier": identifier,
            "PayloadUUID": _uuid(identifier),
            "PayloadDisplayName": f"SantaServer: {label}",
            "PayloadDescription": f"Connects Santa to {server}.",
            "PayloadContent": [santa],
        }
    )


def _uuid(name: str) -> str:
    return str(uuid.uuid5(NAMESPACE, name)).upper()
