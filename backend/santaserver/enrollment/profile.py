"""Makes the configuration profile that connects a Mac and lets Santa do its work there. Pure.

Keys are those of Santa's own payload type and of macOS; the profile holds a secret, so it is made on request
and never stored. The same enrollment always gets the same identifiers, so that a new profile replaces the one
before.
"""

import plistlib
import uuid
from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct

from santaserver.enrollment.payloads import APP, APPROVALS, PayloadKind
from santaserver.enrollment.schemas import StaticRule
from santaserver.enrollment.secrets import HEADER

NAMESPACE = uuid.UUID("5d0f3c1e-6f0c-4a43-9a52-0d9f5b7c2f61")
"""Our own namespace, so that identifiers are stable and unique."""


class ProfileContent(Struct, frozen=True):
    """What goes into a profile."""

    server: str
    """https://host."""
    enrollment: int
    label: str
    payloads: Sequence[PayloadKind]
    secret: str = ""
    """For the configuration."""
    secret_in: Literal["header", "url"] = "header"  # noqa: S105 - a place, not a password
    static_rules: Sequence[StaticRule] = ()
    server_roots: bytes = b""
    """Certificate authorities (PEM) that replace those of macOS for the connection to the server."""


def profile(content: ProfileContent) -> bytes:
    """Return the property list."""
    identifier = _identifier(content)
    kinds = [kind for kind in APPROVALS if kind in content.payloads]
    payloads = [_payload(identifier, kind, APPROVALS[kind]) for kind in kinds]
    if "configuration" in content.payloads:
        payloads.insert(0, _payload(identifier, "santa", _configuration(content)))
        name, purpose = content.label, f"Connects Santa to {content.server}."
    else:
        name, purpose = "approvals", "Approves what Santa needs from macOS."
    return plistlib.dumps(
        {
            "PayloadType": "Configuration",
            "PayloadVersion": 1,
            "PayloadScope": "System",
            "PayloadIdentifier": identifier,
            "PayloadUUID": _uuid(identifier),
            "PayloadDisplayName": f"SantaServer: {name}",
            "PayloadDescription": purpose,
            "PayloadContent": payloads,
        }
    )


def _identifier(content: ProfileContent) -> str:
    """Return the profile's identifier. Approvals alone are a profile of their own, the same for all
    enrollments: installed beside a configuration, neither replaces the other.
    """
    installation = f"santaserver.{uuid.uuid5(NAMESPACE, content.server).hex[:12]}"
    if "configuration" in content.payloads:
        return f"{installation}.enrollment.{content.enrollment}"
    return ".".join((installation, "approvals", *(kind for kind in APPROVALS if kind in content.payloads)))


def _configuration(content: ProfileContent) -> dict[str, Any]:
    base = f"{content.server}/api/santa/"
    santa: dict[str, Any] = {"PayloadType": APP, "PayloadDisplayName": "Santa", "SyncBaseURL": base}
    if content.secret_in == "url":  # noqa: S105 - a place, not a password
        santa["SyncBaseURL"] = f"{base}e/{content.secret}/"
    else:
        santa["SyncExtraHeaders"] = {"Authorization": f"Bearer {content.secret}", HEADER: content.secret}
    if content.server_roots:
        santa["ServerAuthRootsData"] = content.server_roots
    if content.static_rules:
        santa["StaticRules"] = [
            {"identifier": rule.identifier, "rule_type": rule.rule_type, "policy": "ALLOWLIST"}
            for rule in content.static_rules
        ]
    return santa


def _payload(profile: str, name: str, content: dict[str, Any]) -> dict[str, Any]:
    identifier = f"{profile}.{name}"
    return {
        **content,
        "PayloadVersion": 1,
        "PayloadIdentifier": identifier,
        "PayloadUUID": _uuid(identifier),
    }


def _uuid(name: str) -> str:
    return str(uuid.uuid5(NAMESPACE, name)).upper()
