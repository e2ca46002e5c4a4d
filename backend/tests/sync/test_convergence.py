"""After any faults, a Mac ends with exactly its rules.

Random rule changes, cut and repeated stages, truncated pages, lost confirmations, wiped and altered
rule tables, Santa updates and the passing of time, against the real application and PostgreSQL.
After the faults end, a few ordinary syncs must make every Mac equal to what the console shows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from santaserver.sync import paging
from tests.conftest import ADMIN
from tests.support.santa_client import STAGES, CutError, Key, Rule, SimulatedMac, SyncError
from tests.support.server import RunningServer
from tests.sync.helpers import add_rule, change_rule, effective, remove_rule, sha

OLD, NEW = "2025.5.1", "2026.7.1"
POLICIES = ("ALLOWLIST", "BLOCKLIST", "BLOCKLIST", "BLOCKLIST", "SILENT_GUI_BLOCKLIST", "CEL", "", "", "", "")
RARE_POLICIES = ("ALLOWLIST_COMPILER",)
TARGETS = 5
MACS = 3
QUIET_SYNCS = 3
"""Syncs without a fault after which a Mac must be right."""


@dataclass(frozen=True)
class SetRule:
    """Give a target a policy; an empty one removes the rule."""

    target: int
    policy: str
    text: str


@dataclass(frozen=True)
class Sync:
    """Sync a Mac with one fault."""

    mac: int
    fault: str
    at: str | int


@dataclass(frozen=True)
class Happening:
    """Something else happens to a Mac."""

    mac: int
    what: str


@dataclass(frozen=True)
class Wait:
    """Let hours pass."""

    hours: int


macs = st.integers(0, MACS - 1)
rule_changes = st.builds(
    SetRule, st.integers(0, TARGETS - 1), st.sampled_from(POLICIES), st.sampled_from(["", "text"])
)
compiler_changes = st.builds(
    SetRule, st.integers(0, TARGETS - 1), st.sampled_from(RARE_POLICIES), st.just("")
)
good_syncs = st.builds(Sync, macs, st.just("none"), st.just(""))
cut_syncs = st.builds(
    Sync, macs, st.sampled_from(["cut_before", "lose_answer_of", "repeat"]), st.sampled_from(STAGES)
)
truncated_syncs = st.builds(Sync, macs, st.just("truncate_page"), st.integers(0, 2))
mishaps = st.builds(Happening, macs, st.sampled_from(["wipe", "alter", "update"]))
waits = st.builds(Wait, st.integers(1, 30))
WEIGHED = (
    [rule_changes] * 10
    + [good_syncs] * 8
    + [cut_syncs] * 5
    + [truncated_syncs] * 5
    + [mishaps, waits, compiler_changes]
)
steps = st.integers(0, len(WEIGHED) - 1).flatmap(WEIGHED.__getitem__)


class World:
    """A server, an administrator and a few Macs of different generations."""

    def __init__(self, server: RunningServer, admin: httpx.Client) -> None:
        """Begin with new Macs; rules stay from the run before."""
        self.server = server
        self.admin = admin
        self.rules: dict[str, int] = {rule["identifier"]: rule["id"] for rule in self._listed()}
        self.doubtful: set[int] = set()
        """Macs that something happened to which the server has not been told of."""
        self.macs = [
            SimulatedMac(server.url, santa_version=NEW),
            SimulatedMac(server.url, santa_version=OLD, reports_hash=False),
            SimulatedMac(server.url, santa_version=OLD),
        ]

    def _listed(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = self.admin.get("/api/v1/rules", params={"limit": 500}).json()["items"]
        return listed

    def take(self, step: SetRule | Sync | Happening | Wait) -> None:
        """Carry out one step."""
        if isinstance(step, SetRule):
            self._set_rule(step)
        elif isinstance(step, Wait):
            self.server.clock.advance(hours=step.hours)
        elif isinstance(step, Sync):
            self._sync(step)
        else:
            self._happen(step)

    def _set_rule(self, step: SetRule) -> None:
        identifier = sha(step.target)
        present = self.rules.get(identifier)
        fields = {"custom_msg": step.text, "cel_expr": "euid == 0" if step.policy == "CEL" else None}
        if present is None and step.policy:
            self.rules[identifier] = add_rule(self.admin, identifier, step.policy, **fields)
        elif present is not None and step.policy:
            change_rule(self.admin, present, step.policy, **fields)
        elif present is not None:
            remove_rule(self.admin, self.rules.pop(identifier))

    def _sync(self, step: Sync) -> None:
        faults = {} if step.fault == "none" else {step.fault: step.at}
        if step.fault in {"none", "repeat"}:
            self.doubtful.discard(step.mac)
        try:
            self.macs[step.mac].sync(**faults)  # type: ignore[arg-type]
        except CutError:
            assert step.fault not in {"none", "repeat"}, "only a fault cuts a sync short"
        except SyncError as error:
            assert error.status == httpx.codes.CONFLICT, error  # noqa: PT017 - only an old cursor may be refused

        self._check_claim(step.mac)

    def _check_claim(self, number: int) -> None:
        """Check the server's claim: a Mac that it reports as in sync has exactly its rules."""
        mac = self.macs[number]
        response = self.admin.get(f"/api/v1/machines/{mac.machine_id}")
        claimed = response.status_code == httpx.codes.OK and response.json()["sync_state"] == "in_sync"
        if claimed and number not in self.doubtful:
            assert mac.rules == expected(effective(self.admin), mac.santa_version)

    def _happen(self, step: Happening) -> None:
        mac = self.macs[step.mac]
        self.doubtful.add(step.mac)
        if step.what == "wipe":
            mac.wipe()
        elif step.what == "alter" and mac.reports_hash:
            mac.rules[("BINARY", sha(900))] = ("ALLOWLIST", "", "", "")
        elif step.what == "update":
            mac.santa_version = NEW if mac.santa_version == OLD else OLD

    def settle(self) -> None:
        """Let faults end and check every Mac."""
        self.server.clock.advance(hours=25)
        wanted = effective(self.admin)
        for mac in self.macs:
            for _ in range(QUIET_SYNCS):
                last = mac.sync()
            assert mac.rules == expected(wanted, mac.santa_version)
            assert last.received == 0, "a settled Mac is sent nothing"
            shown = self.admin.get(f"/api/v1/machines/{mac.machine_id}").json()
            assert shown["sync_state"] == "in_sync"
            mac.close()


def expected(rules: dict[Key, Rule], version: str) -> dict[Key, Rule]:
    """Return what a release should have; written down apart from the server's own table."""
    if version == NEW:
        return rules
    older = {"SILENT_GUI_BLOCKLIST": "SILENT_BLOCKLIST"}
    return {key: (older.get(rule[0], rule[0]), *rule[1:]) for key, rule in rules.items() if rule[0] != "CEL"}


@pytest.fixture
def world_parts(dsn: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[RunningServer, httpx.Client]]:
    """A server with small pages and an administrator whose session does not end."""
    monkeypatch.setattr(paging, "PAGE_SIZE", 2)
    with (
        RunningServer(dsn) as server,
        server.client() as admin,
    ):
        response = admin.post("/api/v1/auth/login", json={"username": ADMIN[0], "password": ADMIN[1]})
        assert response.status_code == httpx.codes.OK
        yield server, admin


def test_every_mac_ends_with_exactly_its_rules(world_parts: tuple[RunningServer, httpx.Client]) -> None:
    @settings(
        max_examples=12,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(st.lists(steps, min_size=25, max_size=60))
    def converges(history: list[SetRule | Sync | Happening | Wait]) -> None:
        world = World(*world_parts)
        for step in history:
            world.take(step)
        world.settle()

    converges()
