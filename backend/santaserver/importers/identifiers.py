"""Identifiers as tools write them, in the form that Santa uses."""

import re

from santaserver.policy.targets import FORMATS, RuleType, canonical_identifier

IGNORED = re.compile(r"[\s:\u200b\u200c\u200d\u2060\ufeff]+")
"""What dialogs and certificate viewers put between the digits of a hash, and what is copied along unseen."""
INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff"
HASHES = ("BINARY", "CERTIFICATE", "CDHASH")
SCIENTIFIC = re.compile(r"[0-9][.,]?[0-9]*E\+[0-9]+", re.IGNORECASE)
TEAM_LENGTH = 10


def canonical(rule_type: RuleType, text: str) -> str | None:
    """Return the identifier in Santa's form; None when it is not one of this type."""
    if rule_type in HASHES:
        text = IGNORED.sub("", text)
    return canonical_identifier(rule_type, trimmed(text))


def trimmed(text: str) -> str:
    """Remove blanks at both ends, and invisible characters there."""
    return text.strip().strip(INVISIBLE).strip()


def infer(text: str) -> RuleType | None:
    """Return the type that an identifier's form shows; CERTIFICATE and BINARY look the same: BINARY."""
    for rule_type in ("BINARY", "CDHASH", "TEAMID", "SIGNINGID"):
        if canonical(rule_type, text) is not None:
            return rule_type
    return None


def problem(rule_type: RuleType, text: str) -> str:
    """Say why an identifier is none of this type."""
    text = trimmed(text)
    wanted = f"A {rule_type} identifier is {FORMATS[rule_type][1]}"
    if SCIENTIFIC.fullmatch(text):
        return f"{wanted}. A spreadsheet made this a number; mark the column as text, and enter it again"
    if rule_type == "SIGNINGID":
        return f"{wanted}; this does not begin with a team id or `platform:`" if _no_team(text) else wanted
    if rule_type == "TEAMID" and text.isdecimal() and len(text) < TEAM_LENGTH:
        return f"{wanted}; this has {len(text)}. A spreadsheet removes leading zeros"
    length = len(IGNORED.sub("", text)) if rule_type in HASHES else len(text)
    return f"{wanted}; this has {length} characters"


def _no_team(text: str) -> bool:
    team, colon, _ = text.partition(":")
    return not colon or (team.lower() != "platform" and FORMATS["TEAMID"][0].fullmatch(team.upper()) is None)


def is_placeholder(rule_type: RuleType, identifier: str) -> bool:
    """Tell whether it is well-formed and hardly meant: one character over and over."""
    part = identifier.partition(":")[0] if rule_type == "SIGNINGID" else identifier
    return len(set(part)) == 1
