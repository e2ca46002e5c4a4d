"""What a Santa release is sent."""

import json

import pytest

from santaserver.sync.capabilities import Level, level_of
from santaserver.sync.delta import RuleContent, rule_text


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
        ("NONE", 0, Level.SILENT_CHANNELS, None),
    ],
)
def test_a_policy_is_sent_in_the_nearest_form_a_release_knows(
    policy: str, needs: int, level: Level, sent: str | None
) -> None:
    content = RuleContent(
        "BINARY", "a" * 64, policy, "true" if policy == "CEL" else None, "", "", needs, False
    )
    text = rule_text(content).at(level)
    assert (json.loads(text)["policy"] if text else None) == sent
