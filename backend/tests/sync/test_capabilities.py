"""What a Santa release is sent."""

import pytest

from santaserver.sync.capabilities import Level, deliverable_policy, level_of


@pytest.mark.parametrize(
    ("version", "level"),
    [
        ("2026.7.812345678", Level.SILENT_CHANNELS),
        ("2026.6", Level.SILENT_CHANNELS),
        ("2026.5.1", Level.CEL_PATH),
        ("2026.2", Level.CEL_SIGNING_ID),
        ("2025.12.1", Level.CEL_PROCESS),
        ("2025.6.1", Level.CEL),
        ("2025.5.1", Level.BASE),
        ("2024.6.655965194", Level.BASE),
        ("", Level.BASE),
        ("dev", Level.BASE),
        ("2026.x", Level.BASE),
    ],
)
def test_the_level_follows_the_release(version: str, level: Level) -> None:
    assert level_of(version) is level


@pytest.mark.parametrize(
    ("policy", "needs", "level", "sent"),
    [
        ("ALLOWLIST", 0, Level.BASE, "ALLOWLIST"),
        ("SILENT_GUI_BLOCKLIST", 0, Level.CEL_PATH, "SILENT_BLOCKLIST"),
        ("SILENT_TTY_BLOCKLIST", 0, Level.CEL_PATH, "BLOCKLIST"),
        ("SILENT_GUI_BLOCKLIST", 0, Level.SILENT_CHANNELS, "SILENT_GUI_BLOCKLIST"),
        ("CEL", Level.CEL, Level.BASE, None),
        ("CEL", Level.CEL, Level.CEL, "CEL"),
        ("CEL", Level.CEL_PATH, Level.CEL_PROCESS, None),
    ],
)
def test_a_policy_is_sent_in_the_nearest_form_a_release_knows(
    policy: str, needs: int, level: Level, sent: str | None
) -> None:
    assert deliverable_policy(policy, needs, level) == sent
