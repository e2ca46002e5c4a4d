"""The words that tools have for policies and rule types, and what they mean here."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

from santaserver.importers.model import REMOVE
from santaserver.policy.targets import MASK, Policy, RuleType

POLICIES: tuple[str, ...] = tuple(policy for policy in get_args(Policy) if policy != MASK)
TYPES: tuple[str, ...] = get_args(RuleType)

POLICY_WORDS = {word: word for word in (*POLICIES, REMOVE)} | {
    "ALLOW": "ALLOWLIST",
    "WHITELIST": "ALLOWLIST",
    "WHITELIST_COMPILER": "ALLOWLIST_COMPILER",
    "ALLOW_COMPILER": "ALLOWLIST_COMPILER",
    "BLOCK": "BLOCKLIST",
    "BLACKLIST": "BLOCKLIST",
    "SILENT_BLACKLIST": "SILENT_BLOCKLIST",
    "SILENT_BLOCK": "SILENT_BLOCKLIST",
}
TYPE_WORDS = {word: word for word in TYPES} | {
    "SHA256": "BINARY",
    "TEAM_ID": "TEAMID",
    "SIGNING_ID": "SIGNINGID",
    "CD_HASH": "CDHASH",
}
SKIPPED_POLICIES = {
    "ALLOWLIST_TRANSITIVE": "transitive",
    "WHITELIST_TRANSITIVE": "transitive",
    "ALLOWLIST_LOCAL_BINARY": "local_approval",
    "ALLOWLIST_LOCAL_SIGNINGID": "local_approval",
    "SEATBELT": "needs_v2",
}
SKIPPED_TYPES = {"BUNDLE": "bundle_rule", "METABUNDLE": "bundle_rule"}
WHY_SKIPPED = {
    "transitive": "A Mac made this rule for itself; it cannot be sent to others",
    "local_approval": "A user of one Mac approved this program there; it is not a rule for others",
    "needs_v2": "Sandbox rules need version 2 of the sync protocol, which this server does not have",
    "bundle_rule": "It stands for programs that only the other server can list; import rules for them",
    "other_agent": "This policy belongs to another agent than Santa",
    "file_access": "File access rules are part of Santa's configuration profile, not of the rules",
}

ZENTRAL_POLICIES = {
    "1": "ALLOWLIST",
    "2": "BLOCKLIST",
    "3": "SILENT_BLOCKLIST",
    "4": REMOVE,
    "5": "ALLOWLIST_COMPILER",
    "9": "CEL",
}
RULES_DB_POLICIES = {
    "1": "ALLOWLIST",
    "2": "BLOCKLIST",
    "3": "SILENT_BLOCKLIST",
    "4": REMOVE,
    "5": "ALLOWLIST_COMPILER",
    "6": "ALLOWLIST_TRANSITIVE",
    "7": "ALLOWLIST_LOCAL_BINARY",
    "8": "ALLOWLIST_LOCAL_SIGNINGID",
    "9": "CEL",
    "10": "CEL",
    "11": "SEATBELT",
    "12": "SILENT_GUI_BLOCKLIST",
    "13": "SILENT_TTY_BLOCKLIST",
}
RULES_DB_TYPES = {
    "1": "BINARY",
    "2": "CERTIFICATE",
    "3": "TEAMID",
    "4": "SIGNINGID",
    "500": "CDHASH",
    "1000": "BINARY",
    "2000": "SIGNINGID",
    "3000": "CERTIFICATE",
    "4000": "TEAMID",
}

GAPS = re.compile(r"[\s-]+")


@dataclass(frozen=True, slots=True)
class Word:
    """What a word means, and how it differs from the one that is used here."""

    meaning: str
    note: Literal["", "case", "legacy_word"] = ""


def policy_word(text: str) -> Word | None:
    """Return the policy that a word means, also one that is skipped; None for an unknown word."""
    return _word(text, POLICY_WORDS, SKIPPED_POLICIES)


def type_word(text: str) -> Word | None:
    """Return the rule type that a word means, also one that is skipped; None for an unknown word."""
    return _word(text, TYPE_WORDS, SKIPPED_TYPES)


def _word(text: str, known: dict[str, str], skipped: dict[str, str]) -> Word | None:
    word = GAPS.sub("_", text.strip()).upper()
    if word in skipped:
        return Word(word)
    meaning = known.get(word)
    if meaning is None:
        return None
    if text.strip() == meaning:
        return Word(meaning)
    return Word(meaning, "case" if word == meaning else "legacy_word")
