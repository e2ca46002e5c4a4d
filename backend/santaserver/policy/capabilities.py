"""What a client supports, by its family and version: one table for all decisions. Pure.

A Santa release drops unknown rules, or worse, counts a CEL rule as processed that it could not compile; other
clients abort their sync at the first unknown value. So nothing is sent that a client does not support. Facts
of pedro: wowsignal-io/pedro, `pedro/sync/json` and `pedro/lsm/controller.cc`. Next: rule_text.py and
sync/settings_wire.py write what is sent, explain/delivery.py reports what is not.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import lru_cache
from types import MappingProxyType


class Level(IntEnum):
    """The CEL features of clients, in the order of Santa's releases; rules store what they need."""

    BASE = 0
    CEL = 1
    """2025.6: the policy CEL, with signing times, args and envs."""
    CEL_PROCESS = 2
    """2025.12: euid and cwd."""
    CEL_SIGNING_ID = 3
    """2026.2: target.signing_id."""
    CEL_PATH = 4
    """2026.3: path, target.team_id and target.is_platform_binary."""
    SILENT_CHANNELS = 5
    """2026.6: SILENT_GUI_BLOCKLIST and SILENT_TTY_BLOCKLIST, as policies and in CEL."""


class Family(StrEnum):
    """The family of the client."""

    SANTA = "santa"
    PEDRO = "pedro"
    """The Linux agent, and others that are made of the same library."""
    OTHER = "other"
    """An unknown client: it is sent only what every family supports."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The capabilities of one family's releases, from one change to the next."""

    code: int
    """Names these capabilities in the database; never given to others."""
    family: Family
    level: Level
    modes: frozenset[str]
    rule_types: Mapping[str, str]
    """Our name → the client's; missing types cannot be sent."""
    policies: Mapping[str, str]
    """Policy → what is sent for it: itself, or the nearest one that the client knows."""
    settings: frozenset[str]
    """Fields of a preflight's response."""
    whole_set: bool = False
    """Each sync takes all rules in one page, and its postflight proves nothing."""

    def policy(self, rule_type: str, policy: str, needs_level: int) -> str | None:
        """Return the policy that is sent for a rule; None when the rule cannot be sent."""
        if rule_type not in self.rule_types or needs_level > self.level:
            return None
        return self.policies.get(policy)

    def mode(self, wanted: str) -> str:
        """Return the client mode that is sent for one.

        STANDALONE is replaced by MONITOR: in LOCKDOWN users could not approve blocked programs, and a machine
        other than a Mac has few allow rules.
        """
        return wanted if wanted in self.modes else "MONITOR"


REMOVE = "REMOVE"
SILENT_CHANNELS = {"SILENT_GUI_BLOCKLIST": "SILENT_BLOCKLIST", "SILENT_TTY_BLOCKLIST": "BLOCKLIST"}
"""The nearest policy for releases that cannot silence one channel: the dialog decides."""
AS_THEY_ARE = ("ALLOWLIST", "ALLOWLIST_COMPILER", "BLOCKLIST", "SILENT_BLOCKLIST", REMOVE)
LOUD = dict.fromkeys(("SILENT_BLOCKLIST", *SILENT_CHANNELS), "BLOCKLIST")
"""For clients without a dialog to be silent about: blocked is blocked."""

TYPES = ("BINARY", "CERTIFICATE", "TEAMID", "SIGNINGID", "CDHASH")
TWO_MODES = frozenset({"MONITOR", "LOCKDOWN"})
MODES = TWO_MODES | {"STANDALONE"}

COMMON_SETTINGS = frozenset(
    {
        "client_mode",
        "batch_size",
        "enable_bundles",
        "enable_transitive_rules",
        "full_sync_interval",
        "allowed_path_regex",
        "blocked_path_regex",
        "block_usb_mount",
        "override_file_access_action",
    }
)
OLD_SETTINGS = COMMON_SETTINGS | {
    "enable_all_event_upload",
    "disable_unknown_event_upload",
    "push_notification_full_sync_interval",
    "push_notification_global_rule_sync_deadline",
    "remount_usb_mode",
}
DIALOG_SETTINGS = OLD_SETTINGS | {"event_detail_url", "event_detail_text"}
SETTINGS = DIALOG_SETTINGS | {"removable_media_policy", "encrypted_removable_media_policy"}


def _santa(
    code: int,
    level: Level,
    settings: frozenset[str],
    modes: frozenset[str] = MODES,
    types: tuple[str, ...] = TYPES,
) -> Capabilities:
    policies = {policy: policy for policy in AS_THEY_ARE}
    policies |= {policy: policy for policy in SILENT_CHANNELS} if level is Level.SILENT_CHANNELS else {}
    policies |= {"CEL": "CEL"} if level >= Level.CEL else {}
    return Capabilities(
        code,
        Family.SANTA,
        level,
        modes,
        MappingProxyType({kind: kind for kind in types}),
        MappingProxyType(SILENT_CHANNELS | policies),
        settings,
    )


NEWEST = _santa(5, Level.SILENT_CHANNELS, SETTINGS)
SANTA: tuple[tuple[tuple[int, int], Capabilities], ...] = (
    ((2026, 6), NEWEST),
    ((2026, 3), _santa(4, Level.CEL_PATH, SETTINGS)),
    ((2026, 2), _santa(3, Level.CEL_SIGNING_ID, DIALOG_SETTINGS)),
    ((2025, 12), _santa(2, Level.CEL_PROCESS, DIALOG_SETTINGS)),
    ((2025, 6), _santa(1, Level.CEL, OLD_SETTINGS)),
    ((2024, 11), _santa(0, Level.BASE, OLD_SETTINGS)),
    ((2024, 3), _santa(10, Level.BASE, OLD_SETTINGS, TWO_MODES)),
    ((2023, 5), _santa(11, Level.BASE, OLD_SETTINGS, TWO_MODES, TYPES[:4])),
    ((2022, 1), _santa(12, Level.BASE, OLD_SETTINGS, TWO_MODES, TYPES[:3])),
)
"""By first release, the newest first; an older client counts as unknown."""

PEDRO = Capabilities(
    code=100,
    family=Family.PEDRO,
    level=Level.BASE,
    modes=TWO_MODES,
    rule_types=MappingProxyType({kind: kind for kind in TYPES} | {"CDHASH": "CD_HASH"}),
    # Not REMOVE: all of its rules are replaced, and removing what is not there is an error to it.
    policies=MappingProxyType(
        {policy: policy for policy in ("ALLOWLIST", "ALLOWLIST_COMPILER", "BLOCKLIST")} | LOUD
    ),
    # It reads remount_usb_mode as text in an undocumented format.
    settings=COMMON_SETTINGS,
    whole_set=True,
)
OTHER = Capabilities(
    code=101,
    family=Family.OTHER,
    level=Level.BASE,
    modes=TWO_MODES,
    rule_types=MappingProxyType({kind: kind for kind in TYPES[:4]}),  # CDHASH has no agreed spelling
    policies=MappingProxyType(
        {policy: policy for policy in ("ALLOWLIST", "BLOCKLIST", REMOVE)}
        | {"ALLOWLIST_COMPILER": "ALLOWLIST"}
        | LOUD
    ),
    settings=COMMON_SETTINGS,
    whole_set=True,
)

BY_CODE = {made.code: made for made in (*(made for _, made in SANTA), PEDRO, OTHER)}

MAX_VERSION = 100
"""Characters of a version that are looked at."""
REMEMBERED = 1024
"""Parsed versions that a process caches."""
_LIBRARY = re.compile(r"\((pedro|rednose) ")
"""Regardless of the agent's name, its sync is from this library: "pedro-0.3.0 (rednose 0.1.0)"."""


def by_version(text: str) -> Capabilities:
    """Return the capabilities of the client that reports this version."""
    return _by_version(text[:MAX_VERSION])


@lru_cache(REMEMBERED)
def _by_version(text: str) -> Capabilities:
    name = text.strip().casefold()
    if name.startswith("pedro") or _LIBRARY.search(name):
        return PEDRO
    known = release(text)
    if known is None:
        return OTHER
    return next((made for since, made in SANTA if known >= since), OTHER)


def by_code(code: int) -> Capabilities:
    """Return the capabilities of a stored code; those of a newer version of this program are the least."""
    return BY_CODE.get(code, OTHER)


def release(santa_version: str) -> tuple[int, int] | None:
    """Return the first two numbers of a Santa version such as 2026.7.812345678."""
    numbers = santa_version.split(".")[:2]
    if len(numbers) == 2 and all(part.isascii() and part.isdigit() and len(part) < 5 for part in numbers):  # noqa: PLR2004
        return int(numbers[0]), int(numbers[1])
    return None


def client_name(made: Capabilities, version: str) -> str:
    """Return the client's name for messages."""
    if made.family is Family.SANTA:
        known = release(version)
        return f"Santa {known[0]}.{known[1]}" if known else "Santa"
    return "pedro" if made.family is Family.PEDRO else "the client"
