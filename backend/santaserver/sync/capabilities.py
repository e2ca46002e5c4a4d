"""What a Santa release understands, as one number that only grows.

A release drops rules that it does not know, or worse, counts a CEL rule as processed that it could
not compile. So rules carry the level they need, machines the level they have.
"""

from enum import IntEnum


class Level(IntEnum):
    """Capability levels in the order of releases."""

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


SINCE = (
    ((2026, 6), Level.SILENT_CHANNELS),
    ((2026, 3), Level.CEL_PATH),
    ((2026, 2), Level.CEL_SIGNING_ID),
    ((2025, 12), Level.CEL_PROCESS),
    ((2025, 6), Level.CEL),
)

OLDER_POLICY = {"SILENT_GUI_BLOCKLIST": "SILENT_BLOCKLIST", "SILENT_TTY_BLOCKLIST": "BLOCKLIST"}
"""The nearest policy for releases that cannot silence one channel: the dialog decides."""


def release(santa_version: str) -> tuple[int, int] | None:
    """Return the first two numbers of a version such as 2026.7.812345678."""
    numbers = santa_version.split(".")[:2]
    if len(numbers) == 2 and all(part.isascii() and part.isdigit() and len(part) < 9 for part in numbers):  # noqa: PLR2004
        return int(numbers[0]), int(numbers[1])
    return None


def level_of(santa_version: str) -> Level:
    """Return what this release understands; `BASE` when the version cannot be read."""
    known = release(santa_version)
    if known is None:
        return Level.BASE
    return next((level for since, level in SINCE if known >= since), Level.BASE)
