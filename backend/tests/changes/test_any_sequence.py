"""Taking changes back from the newest on leads through exactly the states of before, whatever they were."""

from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.changes.helpers import newest, revert
from tests.sync.helpers import sha, tag

LAYERS = ("global", "tag:lab")
SETTINGS = "/api/v1/settings/layer"
POLICIES = ("BLOCKLIST", "ALLOWLIST", "SILENT_BLOCKLIST")

layers = st.sampled_from(LAYERS)
targets = st.sampled_from((sha(1), sha(2)))
rules = st.tuples(st.just("rule"), layers, targets, st.sampled_from((*POLICIES, None)))
values = st.tuples(st.just("setting"), layers, st.booleans(), st.sampled_from((5, 6, None)))
imports = st.tuples(st.just("import"), layers, st.booleans(), st.sampled_from(POLICIES))
sequences = st.lists(st.one_of(rules, values, imports), min_size=1, max_size=6)


def state(admin: httpx.Client) -> tuple[list[tuple[Any, ...]], list[Any]]:
    """Return what all layers hold: the rules' content, and settings with their locks."""
    items = admin.get("/api/v1/rules", params={"limit": 500}).json()["items"]
    kept = ("layer", "identifier", "policy", "comment", "locked")
    held = sorted(tuple(rule[name] for name in kept) for rule in items)
    shown = [admin.get(SETTINGS, params={"layer": layer}).json() for layer in LAYERS]
    return held, [(one["values"], one["locked"]) for one in shown]


def apply(admin: httpx.Client, step: tuple[Any, ...]) -> None:
    """Make one change, or none where there is no difference."""
    kind, layer, which, value = step
    if kind == "setting":
        body = {"values": {"batch_size": value}} | ({"locked": ["batch_size"]} if which and value else {})
        admin.patch(SETTINGS, params={"layer": layer}, json=body).raise_for_status()
    elif kind == "import":
        content = f"layer,rule_type,identifier,policy\n{layer},BINARY,{sha(3)},{value}\n"
        wanted = {"format": "csv", "content": content, "remove_missing": which, "dry_run": False}
        admin.post("/api/v1/rules/import", json=wanted).raise_for_status()
    else:
        rule(admin, layer, which, value)


def rule(admin: httpx.Client, layer: str, identifier: str, policy: str | None) -> None:
    """Give a target this policy in a layer; None: no rule."""
    found = admin.get("/api/v1/rules", params={"layer": layer, "q": identifier}).json()["items"]
    if found and policy is None:
        admin.delete(f"/api/v1/rules/{found[0]['id']}").raise_for_status()
    elif found:
        admin.patch(f"/api/v1/rules/{found[0]['id']}", json={"policy": policy}).raise_for_status()
    elif policy:
        body = {"rule_type": "BINARY", "identifier": identifier, "policy": policy, "layer": layer}
        admin.post("/api/v1/rules", json=body).raise_for_status()


def test_changes_taken_back_in_turn_lead_through_the_states_of_before(admin: httpx.Client) -> None:
    tag(admin, "lab")

    @settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
    @given(sequences)
    def check(steps: list[tuple[Any, ...]]) -> None:
        made = []
        for step in steps:
            before, known = newest(admin), state(admin)
            apply(admin, step)
            if newest(admin) > before:
                made.append((newest(admin), known))
        for number, known in reversed(made):
            plan = revert(admin, number)
            assert (plan["applied"], plan["conflicts_total"]) == (True, 0)
            assert state(admin) == known

    check()
