"""The target of a rule: its type, and the identifier in Santa's form. Pure.

The database checks the same formats.
"""

import re
from typing import Literal

from santaserver.errors import wrong_field

RuleType = Literal["BINARY", "CERTIFICATE", "TEAMID", "SIGNINGID", "CDHASH"]
Policy = Literal[
    "ALLOWLIST",
    "ALLOWLIST_COMPILER",
    "BLOCKLIST",
    "SILENT_BLOCKLIST",
    "SILENT_GUI_BLOCKLIST",
    "SILENT_TTY_BLOCKLIST",
    "CEL",
    "NONE",
]

MASK: Policy = "NONE"
"""The policy of a rule that masks lower layers' rules without a replacement."""
FORMATS: dict[RuleType, tuple[re.Pattern[str], str]] = {
    "BINARY": (re.compile(r"[0-9a-f]{64}"), "the SHA-256 of the file: 64 hexadecimal digits"),
    "CERTIFICATE": (
        re.compile(r"[0-9a-f]{64}"),
        "the SHA-256 of the leaf certificate: 64 hexadecimal digits",
    ),
    "TEAMID": (re.compile(r"[A-Z0-9]{10}"), "10 letters and digits"),
    "SIGNINGID": (
        re.compile(r"(?:[A-Z0-9]{10}|platform):[^\s\0](?:[^\0]*[^\s\0])?"),
        "TEAMID:signing.id, or platform:signing.id for Apple's own",
    ),
    "CDHASH": (re.compile(r"[0-9a-f]{40}"), "the code directory hash: 40 hexadecimal digits"),
}

COMPILER_TYPES: frozenset[RuleType] = frozenset({"BINARY", "SIGNINGID", "CDHASH"})
"""On other types Santa stores a compiler rule but never applies it."""


def canonical_identifier(rule_type: RuleType, text: str) -> str | None:
    """Return the identifier in Santa's case, or None when it is not an identifier of this type."""
    identifier = text.strip()
    if rule_type == "SIGNINGID":
        team, separator, rest = identifier.partition(":")
        team = "platform" if team.lower() == "platform" else team.upper()
        identifier = team + separator + rest
    elif rule_type == "TEAMID":
        identifier = identifier.upper()
    else:
        identifier = identifier.lower()
    return identifier if FORMATS[rule_type][0].fullmatch(identifier) else None


def check_identifier(rule_type: RuleType, identifier: str, field: str = "identifier") -> str:
    """Return the stored form; raise `Unprocessable` when the identifier is invalid."""
    canonical = canonical_identifier(rule_type, identifier)
    if canonical is None:
        raise wrong_field(field, f"A {rule_type} identifier is {FORMATS[rule_type][1]}")
    return canonical
