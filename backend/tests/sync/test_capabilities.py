"""What a client is sent, by its version."""

import json
from typing import get_args

import pytest

from santaserver.policy.capabilities import BY_CODE, NEWEST, OTHER, PEDRO, Family, Level, by_code, by_version
from santaserver.policy.rule_text import RuleContent, rule_text
from santaserver.policy.targets import Policy


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
    ],
)
def test_santas_level_follows_the_release(version: str, level: Level) -> None:
    made = by_version(version)
    assert (made.family, made.level) == (Family.SANTA, level)


@pytest.mark.parametrize(
    "version", ["", "dev", "2026.x", "0.9.33", "1.17", "2021.12", "santa-2026.7", "é" * 999]
)
def test_what_is_not_known_reads_the_least(version: str) -> None:
    assert by_version(version) is OTHER


def test_a_santa_of_the_future_reads_what_the_newest_does() -> None:
    assert by_version("2042.1") is NEWEST


def test_what_everybody_reads_is_read_by_every_family() -> None:
    known = [made for made in BY_CODE.values() if made.family is not Family.SANTA or made.level >= Level.CEL]
    for made in known:
        assert OTHER.modes <= made.modes
        assert OTHER.settings <= made.settings
        assert set(OTHER.rule_types.items()) <= set(made.rule_types.items())


def test_a_code_stands_for_one_thing() -> None:
    assert {code: by_code(code) for code in BY_CODE} == BY_CODE
    assert by_code(4711) is OTHER  # of a newer version of this program, before a rollback
    assert len(BY_CODE) == 11


@pytest.mark.parametrize(
    ("policy", "needs", "version", "sent"),
    [
        ("ALLOWLIST", 0, "2024.11", "ALLOWLIST"),
        ("SILENT_GUI_BLOCKLIST", 0, "2026.3", "SILENT_BLOCKLIST"),
        ("SILENT_TTY_BLOCKLIST", 0, "2026.3", "BLOCKLIST"),
        ("SILENT_GUI_BLOCKLIST", 0, "2026.6", "SILENT_GUI_BLOCKLIST"),
        ("CEL", Level.CEL, "2025.5", None),
        ("CEL", Level.CEL, "2025.6", "CEL"),
        ("CEL", Level.CEL_PATH, "2025.12", None),
        ("NONE", 0, "2026.6", None),
        ("CEL", Level.CEL, "pedro-1", None),
        ("SILENT_GUI_BLOCKLIST", 0, "pedro-1", "BLOCKLIST"),
        ("ALLOWLIST_COMPILER", 0, "pedro-1", "ALLOWLIST_COMPILER"),
        ("ALLOWLIST_COMPILER", 0, "whatever", "ALLOWLIST"),
        ("NONE", 0, "whatever", None),
    ],
)
def test_a_policy_is_sent_in_the_nearest_form_a_client_knows(
    policy: str, needs: int, version: str, sent: str | None
) -> None:
    expression = "true" if policy == "CEL" else None
    content = RuleContent("BINARY", "a" * 64, policy, expression, "m", "", needs, False)
    text = rule_text(content).at(by_version(version))
    assert (json.loads(text)["policy"] if text else None) == sent
    assert text is None or json.loads(text)["custom_msg"] == "m"


@pytest.mark.parametrize(("version", "word"), [("2026.7", "CDHASH"), ("pedro-1", "CD_HASH"), ("", None)])
def test_a_rule_type_is_spelled_as_the_client_does(version: str, word: str | None) -> None:
    content = RuleContent("CDHASH", "a" * 40, "BLOCKLIST", None, "", "", 0, False)
    text = rule_text(content).at(by_version(version))
    assert (json.loads(text)["rule_type"] if text else None) == word


def test_only_who_is_sent_a_compilers_rule_lets_its_output_run() -> None:
    rule = rule_text(RuleContent("BINARY", "a" * 64, "ALLOWLIST_COMPILER", None, "", "", 0, True))
    assert [rule.grants(made) for made in (NEWEST, PEDRO, OTHER)] == [True, True, False]


def test_only_the_level_decides_whether_a_policy_has_a_form_for_a_client() -> None:
    """`precedence.supported_at` relies on it: the rule that wins on a client is found by its level alone."""
    for made in BY_CODE.values():
        for policy in get_args(Policy):
            if policy != "NONE":
                needed = range(Level.CEL, Level.SILENT_CHANNELS + 1) if policy == "CEL" else [Level.BASE]
                for level in needed:
                    sent = made.policy("BINARY", policy, level)
                    assert (sent is not None) == (level <= made.level), (made.code, policy, level)
