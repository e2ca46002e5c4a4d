"""What taking back a change does to each setting: every case."""

import pytest

from santaserver.changes.kinds import Counts, counted, why_not
from santaserver.changes.repository import SettingRow
from santaserver.changes.settings_steps import Owned, restored, steps

KEY = "batch_size"
ONE: Owned = (1, False)
TWO: Owned = (2, False)
LOCKED: Owned = (1, True)


@pytest.mark.parametrize(
    ("before", "after", "now", "action", "why"),
    [
        (None, ONE, ONE, "remove", None),
        (ONE, None, None, "add", None),
        (ONE, TWO, TWO, "change", None),
        (ONE, LOCKED, LOCKED, "change", None),
        (ONE, TWO, ONE, "same", None),
        (None, ONE, None, "same", None),
        (ONE, TWO, (3, False), "conflict", "changed"),
        (ONE, TWO, None, "conflict", "changed"),
        (ONE, None, TWO, "conflict", "changed"),
        (ONE, LOCKED, TWO, "conflict", "changed"),
    ],
)
def test_a_step_follows_from_before_after_and_now(
    before: Owned | None, after: Owned | None, now: Owned | None, action: str, why: str | None
) -> None:
    live = {"enable_bundles": (True, False)} | ({KEY: now} if now else {})
    (step,) = steps([SettingRow(1, "global", KEY, False, before, after)], live)
    assert (step.action, step.why) == (action, why)
    left = restored([step], live)
    assert left.get(KEY) == (now if action == "conflict" else before)
    assert left["enable_bundles"] == (True, False)


@pytest.mark.parametrize(
    ("key", "value", "gone", "why"),
    [
        (KEY, 1, True, "layer_gone"),
        ("no_such_setting", 1, False, "unknown_setting"),
        (KEY, "many", False, "unknown_setting"),
    ],
)
def test_what_cannot_be_stored_any_more_is_a_conflict(key: str, value: object, gone: bool, why: str) -> None:
    row = SettingRow(1, "tag:a", key, gone, (value, False), TWO)
    (step,) = steps([row], {key: TWO})
    assert (step.action, step.why) == ("conflict", why)


@pytest.mark.parametrize(
    ("kind", "summary", "counts"),
    [
        ("rule", {"rule": 1, "layer": "global", "action": "removed"}, Counts(0, 0, 1, 0)),
        ("rule", {"action": "created"}, Counts(1, 0, 0, 0)),
        ("import", {"adds": 5, "changes": 3, "removes": 1}, Counts(5, 3, 1, 0)),
        ("revert", {"reverts": 3, "adds": 5}, Counts(5, 0, 0, 0)),
        ("settings", {"layer": "global", "settings": ["a", "b"]}, Counts(0, 0, 0, 2)),
        ("schedule", {"activated": 2, "expired": 1}, Counts(2, 0, 1, 0)),
        ("tag", {}, Counts()),
    ],
)
def test_the_log_says_how_much_changed(kind: str, summary: dict[str, object], counts: Counts) -> None:
    assert counted(kind, summary) == counts


def test_what_cannot_be_taken_back_says_why() -> None:
    assert not any(why_not(kind) for kind in ("rule", "import", "settings", "revert"))
    for kind in ("schedule", "tag", "tag_order", "enrollment", "membership", "of a newer version"):
        assert why_not(kind)
