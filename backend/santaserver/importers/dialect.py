"""What formats call the parts of a rule. Keys are compared in lower case."""

from collections.abc import Mapping
from dataclasses import dataclass, field

SANTA_KEYS = {
    "rule_type": "rule_type",
    "identifier": "identifier",
    "sha256": "identifier",
    "policy": "policy",
    "custom_msg": "custom_msg",
    "custom_url": "custom_url",
    "comment": "comment",
    "cel_expr": "cel_expr",
    "cel_expression": "cel_expr",
}
"""Of Santa's own rule dictionaries, and of what is written after them."""
LEGACY_KEYS = frozenset({"sha256", "shasum", "cel_expression"})
SILENT_KEYS = frozenset(
    {"id", "version", "timestamp", "creation_time", "created_at", "updated_at", "ruleset", "rowid"}
)
"""Ids, versions and times of the other server, which mean nothing here."""
DROPPED_KEYS = frozenset(
    {
        "event_detail_button_label",
        "notification_app_name",
        "file_bundle_hash",
        "file_bundle_binary_count",
        "block_reason",
        "labels",
        "group",
        "rings",
        "is_voting_rule",
        "affected_host_threshold",
    }
)
"""What this server has no counterpart of."""
WHY_DROPPED = {"rings": "Rings are rollout groups: create tags for them, and import each ring's rules there"}


@dataclass(frozen=True, slots=True)
class Dialect:
    """One format's keys and values."""

    keys: Mapping[str, str] = field(default_factory=lambda: SANTA_KEYS)
    """Names in the file to names of `ImportedRule`."""
    legacy: frozenset[str] = LEGACY_KEYS
    """Names that are out of date; reported for each rule that uses one."""
    other: frozenset[str] = frozenset()
    """Further names that the format's own module reads."""
    policies: Mapping[str, str] = field(default_factory=dict)
    """What numbers mean as policies; without any, a number is a mistake."""
    types: Mapping[str, str] = field(default_factory=dict)
    """What numbers mean as rule types."""
    skips: Mapping[str, str] = field(default_factory=dict)
    """Policies and types of the format alone that are skipped, and as what."""
    foreign: Mapping[str, str] = field(default_factory=dict)
    """Keys that show a mix-up with another format, and what they are."""
    cel_lost: str = ""
    """Why an expression may be missing, for formats that leave it out."""
    cdhash_unknown: bool = False
    """Whether the format writes `Unknown` for the type CDHASH."""

    def name_of(self, part: str) -> str:
        """Return the key for a part of a rule, for messages about one that is missing."""
        return next((key for key, meaning in self.keys.items() if meaning == part), part)
