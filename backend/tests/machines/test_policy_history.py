"""The policy of a Mac at any moment is what a replay of everything that was done says."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from santaserver.machines import policy_repository
from santaserver.sync import history, service
from tests.conftest import ADMIN
from tests.machines.replay import Act, Journal, Tag, World, delivery
from tests.support.postgres import Cluster
from tests.support.santa_client import CutError, SimulatedMac
from tests.support.server import MovableClock, RunningServer
from tests.sync.helpers import sha

TAGS = ("a", "b")
HOSTS = ("lab-1", "desk-1")
GROUPS = ("", "staff")
LAYERS = ("global", "tag:a", "tag:b", "machine:0")
POLICIES = ("ALLOWLIST", "BLOCKLIST", "NONE", "")
MACS = 2


@dataclass(frozen=True)
class Step:
    """One thing that is done, some time after the one before."""

    what: str
    layer: int
    number: int
    choice: int
    flag: bool
    after: int


steps = st.builds(
    Step,
    st.sampled_from(
        ["rule"] * 4
        + ["mode", "mode", "tag", "define", "order", "member", "report"]
        + ["sync"] * 4
        + ["lost"]
    ),
    st.integers(0, len(LAYERS) - 1),
    st.integers(0, 2),
    st.integers(0, 3),
    st.booleans(),
    st.sampled_from([0, 1, 60]),
)


@dataclass
class StillClock(MovableClock):
    """A clock that stands still but for what the test adds."""

    time: datetime = datetime(2026, 11, 30, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def advance(self, **amount: float) -> None:
        self.time += timedelta(**amount)


class Mac(SimulatedMac):
    """A Mac during whose sync something else can happen."""

    before_postflight: Callable[[], None] | None = None

    def post(self, stage: str, body: dict[str, Any]) -> dict[str, Any]:
        if stage == "postflight" and self.before_postflight:
            happen, self.before_postflight = self.before_postflight, None
            happen()
        return super().post(stage, body)


@dataclass
class Doing:
    """Does each step on the server and notes it."""

    server: RunningServer
    admin: httpx.Client
    head: Callable[[], int]
    journal: Journal = field(default_factory=Journal)
    world: World = field(default_factory=World)
    rules: dict[tuple[str, str], int] = field(default_factory=dict)
    tags: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.macs = [
            Mac(self.server.url, machine_id=f"MAC-{number}", hostname=HOSTS[0]) for number in range(MACS)
        ]

    def call(self, method: str, path: str, content: object = None) -> Any:  # noqa: ANN401
        response = self.admin.request(method, f"/api/v1{path}", json=content)
        assert response.is_success, f"{method} {path}: {response.text}"
        return response.json() if response.content else None

    def note(self, act: Act) -> None:
        act(self.world)
        self.journal.add(self.server.clock(), self.head(), act)

    def take(self, step: Step) -> None:
        self.server.clock.advance(seconds=step.after)
        getattr(self, f"_{step.what}")(step)

    def _layer(self, step: Step) -> str | None:
        layer = LAYERS[step.layer].replace("machine:0", "machine:MAC-0")
        if layer.startswith("tag:"):
            return layer if layer[4:] in self.tags else None
        return layer if layer == "global" or "MAC-0" in self.world.machines else None

    def _rule(self, step: Step) -> None:
        layer, identifier, policy = self._layer(step), sha(step.number), POLICIES[step.choice]
        if layer is None or (policy == "NONE" and layer == "global"):
            return
        present = self.rules.get((layer, identifier))
        body = {"policy": policy, "locked": step.flag}
        if not policy and present is not None:
            self.call("DELETE", f"/rules/{present}?reason=no+longer")
            del self.rules[layer, identifier]
        elif policy and present is not None:
            self.call("PATCH", f"/rules/{present}", body)
        elif policy:
            body |= {"layer": layer, "rule_type": "BINARY", "identifier": identifier}
            self.rules[layer, identifier] = self.call("POST", "/rules", body)["id"]

        def act(world: World) -> None:
            rules = world.policy.rules.setdefault(layer, {})
            rules.pop(identifier, None)
            if policy:
                rules[identifier] = (policy, step.flag)
                world.policy.used.add(layer)

        self.note(act)

    def _mode(self, step: Step) -> None:
        layer, mode = self._layer(step), ("MONITOR", "LOCKDOWN", "STANDALONE", "")[step.choice]
        if layer is None:
            return
        values = {"client_mode": mode} if mode else {}
        locked = ["client_mode"] if mode and step.flag else []
        self.call("PUT", f"/settings/layer?layer={layer}", {"values": values, "locked": locked})

        def act(world: World) -> None:
            world.policy.modes.pop(layer, None)
            world.policy.used.add(layer)
            if mode:
                world.policy.modes[layer] = (mode, step.flag)

        self.note(act)

    def _tag(self, step: Step) -> None:
        name = TAGS[step.number % len(TAGS)]
        if name in self.tags:
            self.call("DELETE", f"/tags/{self.tags.pop(name)}?reason=not+used")
            self.rules = {key: rule for key, rule in self.rules.items() if key[0] != f"tag:{name}"}
            self.note(lambda world: world.remove_tag(name))
        else:
            content = self._content(name, step)
            self.tags[name] = self.call("POST", "/tags", content[0])["id"]
            self.note(lambda world: world.policy.tags.update({name: content[1]()}))

    def _define(self, step: Step) -> None:
        name = TAGS[step.number % len(TAGS)]
        if name in self.tags:
            content = self._content(name, step)
            nothing: dict[str, Any] = {"description": "", "predicate": None, "groups": [], "enrollments": []}
            self.call("PUT", f"/tags/{self.tags[name]}", nothing | content[0])
            self.note(lambda world: world.policy.tags.update({name: content[1]()}))

    def _content(self, name: str, step: Step) -> tuple[dict[str, Any], Callable[[], Tag]]:
        prefix, group = ("lab" if step.choice & 1 else ""), ("staff" if step.choice & 2 else "")
        body: dict[str, Any] = {"name": name, "groups": [group] if group else [], "reason": "because"}
        body |= {"predicate": f"hostname.startsWith('{prefix}')"} if prefix else {}
        return body, lambda: Tag(prefix, group)

    def _order(self, step: Step) -> None:
        names = list(self.world.policy.tags)
        if step.flag:
            names.reverse()
        self.call("PUT", "/tags/order", {"tags": [self.tags[name] for name in names]})

        def act(world: World) -> None:
            world.policy.tags = {name: world.policy.tags[name] for name in names}

        self.note(act)

    def _member(self, step: Step) -> None:
        name, mac = TAGS[step.number % len(TAGS)], f"MAC-{step.choice % MACS}"
        if name not in self.tags or mac not in self.world.machines:
            return
        there = name in self.world.machines[mac].manual
        self.call("DELETE" if there else "PUT", f"/tags/{self.tags[name]}/members/{mac}?reason=asked")
        self.note(lambda world: world.machines[mac].manual.symmetric_difference_update({name}))

    def _report(self, step: Step) -> None:
        mac = self.macs[step.number % MACS]
        mac.hostname, mac.groups = (
            HOSTS[step.choice & 1],
            [GROUPS[step.choice >> 1]] if step.choice >> 1 else [],
        )

    def _sync(self, step: Step) -> None:
        mac = self.macs[step.number % MACS]
        name, hostname, group = mac.machine_id, mac.hostname, (mac.groups or [""])[0]

        def between() -> None:
            # The postflight, and perhaps a change before it, are later than the preflight.
            self.note(lambda world: world.preflight(name, hostname, group))
            target = self.world.target(name)
            self.server.clock.advance(seconds=step.after)
            if step.flag:
                self._rule(Step("rule", 0, step.number, step.choice % 2, False, 0))
            self.confirming = lambda world: setattr(world.machines[name], "confirmed", target)

        mac.before_postflight = between
        mac.sync()
        self.note(self.confirming)

    def _lost(self, step: Step) -> None:
        mac = self.macs[step.number % MACS]
        name, hostname, group = mac.machine_id, mac.hostname, (mac.groups or [""])[0]
        with pytest.raises(CutError):
            mac.sync(cut_before="postflight")
        self.note(lambda world: world.preflight(name, hostname, group))

    # --- what the server says of it ---------------------------------------------------------------

    def check_time(self, at: datetime) -> None:
        world = self.journal.replay(lambda when, _: when <= at)
        self._check({"at": at.isoformat()}, world, world, self.journal.seq_at(at))

    def check_number(self, seq: int) -> None:
        at = self.journal.last_moment_of(seq, self.server.clock())
        policy = self.journal.replay(lambda _, number: number <= seq)
        self._check({"seq": str(seq)}, policy, self.journal.replay(lambda when, _: when <= at), seq)

    def _check(self, query: dict[str, str], policy: World, macs: World, seq: int) -> None:
        for mac in self.macs:
            response = self.admin.get(f"/api/v1/machines/{mac.machine_id}/policy", params=query)
            machine = macs.machines.get(mac.machine_id)
            if machine is None or machine.layers is None:
                assert response.status_code in {httpx.codes.NOT_FOUND, httpx.codes.UNPROCESSABLE_ENTITY}
                continue
            assert response.status_code == httpx.codes.OK, response.text
            shown = response.json()
            had = machine.confirmed
            wanted = delivery(policy.policy.effective(machine.layers), had and had[0])
            mode = policy.policy.mode(machine.layers)
            assert shown["seq"] == seq
            assert shown["layers"] == machine.layers
            assert {tag["name"]: tag["sources"] for tag in shown["tags"]} == machine.tags
            assert {
                one["identifier"]: (one["policy"], one["delivery"]) for one in shown["rules"]
            } == wanted, query
            setting = shown["settings"]["client_mode"]
            assert (setting["value"], setting["confirmed"]) == (mode, had is not None and had[1] == mode)
            assert (shown["confirmed"] is None) == (had is None)


@contextmanager
def doing(cluster: Cluster, template: str) -> Iterator[Doing]:
    """A new server with a clock that stands still, and an administrator."""
    name = cluster.create(template)
    server = RunningServer(cluster.dsn(name), clock=StillClock())
    with ExitStack() as stack:
        stack.callback(cluster.drop, name)
        stack.enter_context(server)
        admin, runner = stack.enter_context(server.client()), stack.enter_context(asyncio.Runner())
        connection = runner.run(asyncpg.connect(server.dsn))
        stack.callback(lambda: runner.run(connection.close()))
        login = {"username": ADMIN[0], "password": ADMIN[1]}
        assert admin.post("/api/v1/auth/login", json=login).is_success
        made = Doing(server, admin, lambda: runner.run(connection.fetchval("select seq from policy_head")))
        for mac in made.macs:
            stack.callback(mac.close)
        yield made


def moments_of(done: Doing) -> list[datetime]:
    """Return when something was done, and the moment before."""
    both = {at - early for at, _, _ in done.journal.entries for early in (timedelta(0), datetime.resolution)}
    return sorted(at for at in both if at <= done.server.clock())


def numbers_of(done: Doing) -> list[int]:
    """Return all policy numbers."""
    return sorted({seq for _, seq, _ in done.journal.entries})


def test_any_moment_is_what_a_replay_says(cluster: Cluster, template: str) -> None:
    @settings(
        max_examples=5,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(st.lists(steps, min_size=20, max_size=40), st.data())
    def same(todo: list[Step], data: st.DataObject) -> None:
        with doing(cluster, template) as done:
            for step in todo:
                done.take(step)
            if done.journal.entries:
                for at in data.draw(st.lists(st.sampled_from(moments_of(done)), min_size=8, max_size=8)):
                    done.check_time(at)
                for seq in data.draw(st.lists(st.sampled_from(numbers_of(done)), min_size=3, max_size=3)):
                    done.check_number(seq)

    same()


STORY = (
    Step("tag", 0, 0, 1, False, 1),
    Step("rule", 0, 0, 1, False, 1),
    Step("sync", 0, 0, 0, False, 1),
    Step("rule", 1, 0, 0, False, 1),
    Step("sync", 0, 0, 0, False, 1),
    Step("mode", 0, 0, 1, False, 60),
    Step("sync", 0, 0, 0, False, 1),
    Step("report", 0, 0, 1, False, 0),
    Step("sync", 0, 0, 1, True, 1),
    Step("member", 0, 0, 0, False, 1),
    Step("lost", 0, 0, 0, False, 1),
    Step("sync", 0, 0, 0, False, 0),
    Step("member", 0, 0, 0, False, 60),
    Step("tag", 0, 0, 0, False, 1),
    Step("sync", 0, 0, 0, False, 1),
)
"""A history in which each kind of thing happens to a Mac."""


def tell_story(cluster: Cluster, template: str) -> None:
    """Do it, and compare every moment."""
    with doing(cluster, template) as done:
        for step in STORY:
            done.take(step)
        for at in moments_of(done):
            done.check_time(at)
        for seq in numbers_of(done):
            done.check_number(seq)


def test_every_moment_of_a_story_is_what_a_replay_says(cluster: Cluster, template: str) -> None:
    tell_story(cluster, template)


Mutant = Callable[[pytest.MonkeyPatch], None]


def a_new_signature_is_not_noted(patch: pytest.MonkeyPatch) -> None:
    """The signature history of a Mac is never closed by the next one."""
    note, seen = history.note_signature, set[int]()

    async def first_only(connection: Any, machine: int, *rest: Any) -> None:  # noqa: ANN401
        if machine not in seen:
            seen.add(machine)
            await note(connection, machine, *rest)

    patch.setattr(history, "note_signature", first_only)


def a_membership_ends_a_moment_late(patch: pytest.MonkeyPatch) -> None:
    wrong = policy_repository.AT_TIME.replace("b.left_at > $3", "b.left_at >= $3")
    patch.setattr(policy_repository, "AT_TIME", wrong)


def a_membership_begins_a_moment_late(patch: pytest.MonkeyPatch) -> None:
    wrong = policy_repository.AT_TIME.replace("b.joined_at <= $3", "b.joined_at < $3")
    patch.setattr(policy_repository, "AT_TIME", wrong)


def a_signature_begins_a_moment_late(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(history, "SIGNATURE_AT", history.SIGNATURE_AT.replace("at <= $2", "at < $2"))


def new_settings_are_not_confirmed(patch: pytest.MonkeyPatch) -> None:
    async def never(*_: object) -> bool:
        return False

    patch.setattr(service, "_has_new_settings", never)


def what_was_confirmed_first_stays(patch: pytest.MonkeyPatch) -> None:
    wrong = history.CONFIRMATION_AT.replace("order by id desc", "order by id")
    patch.setattr(history, "CONFIRMATION_AT", wrong)


MUTANTS: tuple[Mutant, ...] = (
    a_new_signature_is_not_noted,
    a_membership_ends_a_moment_late,
    a_membership_begins_a_moment_late,
    a_signature_begins_a_moment_late,
    new_settings_are_not_confirmed,
    what_was_confirmed_first_stays,
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_wrong_history_is_noticed(
    cluster: Cluster, template: str, monkeypatch: pytest.MonkeyPatch, mutant: Mutant
) -> None:
    mutant(monkeypatch)
    with pytest.raises(AssertionError):
        tell_story(cluster, template)
