"""Macs that are ahead of a restored server, or of none: all of them end with exactly what the backup has.

The Macs sync with one server, the policy goes on and they follow, then the server is another one with the
old database, whose policy goes on in another way.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from santaserver.backup import command, settle
from tests.backup.helpers import Databases, put, said, settings_of, take
from tests.conftest import ADMIN, SECRET
from tests.support.postgres import value
from tests.support.santa_client import CutError, SimulatedMac, SyncError
from tests.support.server import RunningServer
from tests.sync.helpers import add_rule, change_rule, effective, machine, remove_rule, sha

OLD = "2025.5.1"
"""Sends no hash."""
TARGETS = 12
POLICIES = ("ALLOWLIST", "BLOCKLIST", "ALLOWLIST_COMPILER", "SILENT_BLOCKLIST")
SEEDS = range(2)
MOST_CHANGES = 8
SETTING = "full_sync_interval"


@dataclass
class Office:
    """One server at a time, its administrator, and some Macs."""

    macs: list[SimulatedMac]
    chance: Random
    rules: dict[int, int] = field(default_factory=dict)
    """Target → id of its rule."""
    admin: httpx.Client | None = None
    dsn: str = ""

    @contextlib.contextmanager
    def served(self, dsn: str) -> Iterator[httpx.Client]:
        """Run a server on a database, for the administrator and the Macs."""
        with RunningServer(dsn) as server, server.client() as admin:
            login = {"username": ADMIN[0], "password": ADMIN[1]}
            admin.post("/api/v1/auth/login", json=login).raise_for_status()
            self.admin, self.dsn = admin, dsn
            listed = admin.get("/api/v1/rules", params={"limit": 500}).json()["items"]
            self.rules = {int(rule["identifier"], 16): rule["id"] for rule in listed}
            for mac in self.macs:
                mac.url = server.url
            yield admin

    def change(self) -> None:
        """Change the policy in some way; rules, messages only, settings."""
        assert self.admin
        target, policy = self.chance.randrange(TARGETS), self.chance.choice(POLICIES)
        rule = self.rules.get(target)
        if self.chance.random() < 0.2:
            set_interval(self.admin, 600 + 60 * self.chance.randrange(100))
        elif rule is None:
            self.rules[target] = add_rule(self.admin, sha(target), policy, custom_msg=self._text())
        elif self.chance.random() < 0.4:
            remove_rule(self.admin, self.rules.pop(target))
        elif self.chance.random() < 0.5:
            now = self.admin.get(f"/api/v1/rules/{rule}").json()["policy"]
            change_rule(self.admin, rule, now, custom_msg=self._text())
        else:
            change_rule(self.admin, rule, policy)

    def _text(self) -> str:
        return f"text {self.chance.randrange(1000)}"

    def sync(self, trouble: float = 0.0) -> None:
        """Let every Mac sync; compilers' output appears where a compiler is allowed."""
        for mac in self.macs:
            lost = self.chance.choice(("preflight", "ruledownload", "postflight"))
            with contextlib.suppress(CutError, SyncError):
                mac.sync(lose_answer_of=lost if self.chance.random() < trouble else "")
            if any(rule[0] == "ALLOWLIST_COMPILER" for rule in mac.rules.values()):
                mac.transitive.add(f"output {self.chance.random()}")

    def wrong(self) -> list[str]:
        """Return in which way which Macs are not as this server's policy says."""
        assert self.admin
        rules, interval = effective(self.admin), interval_of(self.admin)
        found = []
        for mac in self.macs:
            shown = machine(self.admin, mac)
            if mac.rules != rules:
                found.append(f"{mac.hostname}: {len(mac.rules)} rules instead of {len(rules)}, or other ones")
            if mac.settings[SETTING] != interval:
                found.append(f"{mac.hostname}: {SETTING} {mac.settings[SETTING]} instead of {interval}")
            if shown["sync_state"] != "in_sync":
                found.append(f"{mac.hostname}: {shown['sync_state']}")
        return found


def set_interval(admin: httpx.Client, seconds: int) -> None:
    """Change a setting of all Macs."""
    content: dict[str, Any] = {SETTING: seconds}
    admin.patch(
        "/api/v1/settings/layer", params={"layer": "global"}, json={"values": content}
    ).raise_for_status()


def interval_of(admin: httpx.Client) -> int:
    """Return that setting."""
    shown = admin.get("/api/v1/settings/layer", params={"layer": "global"}).json()
    found: int = shown["values"][SETTING]
    return found


@pytest.fixture
def office(request: pytest.FixtureRequest) -> Iterator[Office]:
    """Macs of every kind."""
    kinds: dict[str, dict[str, Any]] = {
        "with hash": {},
        "without hash": {"santa_version": OLD, "reports_hash": False},
        "standalone": {"client_mode": "STANDALONE"},
        "between": {},
    }
    macs = [SimulatedMac("", secret=SECRET, hostname=name, **kind) for name, kind in kinds.items()]
    yield Office(macs, Random(request.param if hasattr(request, "param") else 0))
    for mac in macs:
        mac.close()


def lose_what_followed(office: Office, dsn: str, restored: str, folder: Path) -> int:
    """Sync, back up, go on and lose it; restore the backup; return the number of the lost policy."""
    with office.served(dsn) as admin:
        set_interval(admin, 600)
        add_rule(admin, sha(99), "ALLOWLIST_COMPILER")
        for _ in range(office.chance.randint(2, MOST_CHANGES)):
            office.change()
            office.sync(0.2)
        content = take(dsn)
        for _ in range(office.chance.randint(1, MOST_CHANGES)):
            office.change()
            office.sync(0.2)
        lost: int = value(dsn, "select seq from policy_head")
    assert put(restored, content, folder) == 0
    return lost


@pytest.mark.parametrize("office", SEEDS, indirect=True)
def test_macs_that_are_ahead_end_with_what_was_restored(
    office: Office, dsn: str, empty: str, tmp_path: Path
) -> None:
    lost = lose_what_followed(office, dsn, empty, tmp_path)
    with office.served(empty) as admin:
        for mac in office.macs:
            assert mac.sync().kind == "CLEAN_ALL"
            assert mac.transitive == set()
        assert office.wrong() == []
        assert value(empty, "select seq from policy_head") > lost
        for _ in range(MOST_CHANGES):
            office.change()
            office.sync(0.2)
        office.sync()
        office.sync()
        assert office.wrong() == []
        assert {mac.sync().received for mac in office.macs} == {0}
        reasons = {machine(admin, mac)["last_sync"]["kind"] for mac in office.macs}
        assert reasons <= {"normal", "clean", "clean_all"}


def test_without_forgetting_what_macs_confirmed_some_end_wrong(
    office: Office, dsn: str, empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the test above can fail: the rule is needed."""
    monkeypatch.setattr(settle, "NOTHING_KNOWN", "update machine_sync set drift_cleans = 0")
    mac = office.macs[1]
    office.macs = [office.macs[0], mac]
    with office.served(dsn) as admin:
        set_interval(admin, 600)
        first = add_rule(admin, sha(1), custom_msg="before")
        office.sync()
        office.sync()
        content = take(dsn)
        change_rule(admin, first, "BLOCKLIST", custom_msg="lost")
        remove_rule(admin, first)
        add_rule(admin, sha(2))
        office.sync()
        office.sync()
    assert put(empty, content, tmp_path) == 0
    with office.served(empty):
        office.sync()
        office.sync()
        assert office.wrong() != []


def test_a_sync_that_spans_the_restore_is_begun_again(
    office: Office, dsn: str, empty: str, tmp_path: Path
) -> None:
    mac = office.macs[0]
    with office.served(dsn) as admin:
        set_interval(admin, 600)
        add_rule(admin, sha(1))
        mac.sync()
        content = take(dsn)
        add_rule(admin, sha(2))
        mac.post("preflight", mac.preflight_body())
    assert put(empty, content, tmp_path) == 0
    with office.served(empty):
        with pytest.raises(SyncError, match="start with a preflight"):
            mac.post("ruledownload", {"machine_id": mac.machine_id})
        mac.post("postflight", mac.postflight_body("NORMAL", 2))  # ignored: no sync is open
        office.sync()
        assert office.wrong() == []


def test_a_database_that_came_back_by_other_means_is_treated_alike(
    office: Office, dsn: str, databases: Databases, capfd: pytest.CaptureFixture[str]
) -> None:
    with office.served(dsn) as admin:
        set_interval(admin, 600)
        first = add_rule(admin, sha(1), custom_msg="before")
        office.sync()
        office.sync()
    older = databases.empty(urlsplit(dsn).path.removeprefix("/"))  # a snapshot
    with office.served(dsn) as admin:
        change_rule(admin, first, "BLOCKLIST", custom_msg="lost")
        office.sync()
        office.sync()
    assert command.settle_in_place(settings_of(older)) == 0
    assert "4 Macs" in said(capfd)
    assert value(older, "select count(*) from user_session") == 0
    with office.served(older):
        office.sync()
        assert office.wrong() == []
