"""The overview's numbers are those of the Macs one by one, whatever happened to them."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from santaserver.machines.sync_state import FLEET_STATES, SYNC_STATE
from tests.conftest import ADMIN, SECRET
from tests.support.postgres import fetch
from tests.support.santa_client import CutError, SimulatedMac, SyncError
from tests.support.server import RunningServer
from tests.sync.helpers import add_rule, tag

STATES = ("in_sync", "pending", "overdue", "never", "drifted")
MODES = ("monitor", "lockdown", "standalone")
MACS = 6
STEPS = 40
HEAD = 9


def compare(admin: httpx.Client) -> None:
    """Count the listed Macs and compare."""
    overview = admin.get("/api/v1/overview").json()
    listed = admin.get("/api/v1/machines", params={"limit": 500}).json()["items"]
    states = Counter(one["sync_state"] for one in listed)
    modes = Counter(one["client_mode"] for one in listed)
    numbers = overview["machines"]
    assert {name: numbers[name] for name in STATES} == {name: states[name] for name in STATES}
    assert numbers["total"] == len(listed)
    assert overview["modes"] == {name: modes[name.upper()] for name in MODES}
    rules = admin.get("/api/v1/rules", params={"limit": 500}).json()["items"]
    assert overview["rules"]["total"] == len(rules)


class World:
    """Macs and an administrator who do anything."""

    def __init__(self, server: RunningServer, admin: httpx.Client, seed: int) -> None:
        self.server, self.admin, self.random = server, admin, random.Random(seed)
        self.macs = [
            SimulatedMac(server.url, secret=SECRET, machine_id=f"M{n}", serial=f"S{n}") for n in range(MACS)
        ]
        self.tag = tag(admin, "slow", predicate="hostname.startsWith('slow-')")
        self.manual = tag(admin, "manual")
        self.rules = 0
        self.states: set[str] = set()

    def step(self) -> None:
        """Do one thing."""
        acts: list[Callable[[SimulatedMac], Any]] = [
            *[self.sync] * 4,
            self.half_a_sync,
            self.report,
            self.order,
            self.membership,
            self.settings,
            self.rule,
            *[self.time] * 3,
            self.clean,
            self.false_count,
            self.conflict,
        ]
        self.random.choice(acts)(self.random.choice(self.macs))

    def sync(self, mac: SimulatedMac, cut_before: str = "") -> None:
        """A retired one is refused."""
        try:
            mac.sync(cut_before)
        except CutError:
            pass
        except SyncError as error:
            if error.status != httpx.codes.FORBIDDEN:
                raise

    def half_a_sync(self, mac: SimulatedMac) -> None:
        self.sync(mac, self.random.choice(["ruledownload", "postflight"]))

    def report(self, mac: SimulatedMac) -> None:
        mac.hostname = self.random.choice(["slow-1", "quick-1"])
        mac.client_mode = self.random.choice(["MONITOR", "LOCKDOWN", "STANDALONE"])

    def order(self, mac: SimulatedMac) -> None:
        action = self.random.choice(["retire", "restore", "restore", "delete"])
        body = {"action": action, "machine_ids": [mac.machine_id], "reason": "test"}
        self.admin.post("/api/v1/machines/actions", json=body)

    def membership(self, mac: SimulatedMac) -> None:
        method = self.random.choice(["PUT", "DELETE"])
        self.admin.request(method, f"/api/v1/tags/{self.manual}/members/{mac.machine_id}")

    def settings(self, _mac: SimulatedMac) -> None:
        layer = self.random.choice(["global", "tag:slow", "tag:manual"])
        values = {
            "full_sync_interval": self.random.choice([60, 600, 7200, 86_400]),
            "client_mode": self.random.choice(["MONITOR", "LOCKDOWN"]),
        }
        locked = self.random.choice([[], ["full_sync_interval"]])
        body = {"values": values, "locked": locked}
        answer = self.admin.put("/api/v1/settings/layer", params={"layer": layer}, json=body)
        assert answer.status_code == httpx.codes.OK, answer.text

    def rule(self, _mac: SimulatedMac) -> None:
        self.rules += 1
        add_rule(self.admin, f"{self.rules:064x}", layer=self.random.choice(["global", "tag:manual"]))

    def time(self, _mac: SimulatedMac) -> None:
        self.server.clock.advance(minutes=self.random.choice([1, 5, 30, 180, 1500, -60]))

    def clean(self, mac: SimulatedMac) -> None:
        self.admin.post(f"/api/v1/machines/{mac.machine_id}/clean-sync", json={"kind": "clean"})

    def false_count(self, mac: SimulatedMac) -> None:
        mac.rules[("BINARY", f"{self.random.randrange(9):064x}")] = ("BLOCKLIST", "", "", "")
        self.sync(mac)

    def conflict(self, mac: SimulatedMac) -> None:
        serial, mac.serial = mac.serial, "OTHER"
        self.sync(mac)
        mac.serial = serial


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_numbers_are_exact_whatever_happens(
    server: RunningServer, admin: httpx.Client, seed: int
) -> None:
    world = World(server, admin, seed)
    for _ in range(STEPS):
        world.step()
        compare(admin)
    for mac in world.macs:
        mac.close()
    with RunningServer(server.dsn, clock=server.clock) as again, again.client() as other:
        other.post("/api/v1/auth/login", json={"username": ADMIN[0], "password": ADMIN[1]})
        compare(other)
        server.clock.advance(hours=-2)
        compare(other)


async def random_rows(dsn: str, seed: int, number: int, now: datetime) -> None:
    """Fill the database with Macs in any state, and intervals that were set and changed."""
    any_of = random.Random(seed)
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "insert into tag (name, created_at) select 't' || n, now() from generate_series(2, 7) n"
    )
    await connection.execute(
        """insert into layer (kind, name, rank, tag_id, used)
           select 'tag', name, row_number() over (order by id) + 1, id, true from tag"""
    )
    await connection.execute("update policy_head set seq = $1", HEAD)
    layers = [row["id"] for row in await connection.fetch("select id from layer order by id")]
    await connection.executemany(
        """insert into setting_version (layer_id, key, value, opened_seq, closed_seq, opened_at, locked)
           values ($1, 'full_sync_interval', to_jsonb($2::integer), $3, $4, now(), $5)""",
        [version for layer in layers for version in random_versions(any_of, layer)],
    )
    await connection.executemany(
        "insert into policy_signature (layers, capabilities) values ($1, $2) on conflict do nothing",
        [
            ([layers[0], *sorted(any_of.sample(layers[1:], any_of.randint(0, 4)))], any_of.randint(1, 3))
            for _ in range(20)
        ],
    )
    signatures = [row["id"] for row in await connection.fetch("select id from policy_signature")]
    await connection.executemany(
        """with made as (
             insert into machine (machine_id, enrolled_at, identity_conflict_at)
             values ($1, now(), $2) returning id)
           insert into machine_sync (machine_id, last_preflight_at, last_postflight_at, signature, acked_seq,
             acked_signature, pending_seq, pending_kind, membership_fingerprint, drift_suppressed)
           select id, $3, $4, $5, $6, $7, $8, $9, $10, $11 from made""",
        [(f"R{row}", *random_progress(any_of, signatures, now)) for row in range(number)],
    )
    await connection.close()


def random_versions(any_of: random.Random, layer: int) -> list[tuple[object, ...]]:
    """Return versions of one layer's interval, one after the other."""
    versions: list[tuple[object, ...]] = []
    opened: int | None = 1
    while opened is not None and opened < HEAD and any_of.random() < 0.7:
        closed = any_of.choice([None, opened + any_of.randint(1, 4)])
        seconds = any_of.choice([60, 600, 3600, 86_400])
        versions.append((layer, seconds, opened, closed, any_of.random() < 0.2))
        opened = closed
    return versions


def random_progress(any_of: random.Random, signatures: list[int], now: datetime) -> tuple[object, ...]:
    """Return the columns of a Mac, from its conflict on."""
    ago = any_of.choice([0, 479, 480, 481, 2100, 2101, 11_100, 300_000])
    acked = any_of.choice([None, *range(1, HEAD + 1)])
    return (
        any_of.choice([None, None, None, now - timedelta(hours=23), now - timedelta(hours=25)]),
        any_of.choice([None, *[now - timedelta(seconds=ago)] * 9]),
        any_of.choice([None, now, now, now, now]),
        any_of.choice([None, *signatures]),
        acked,
        None if acked is None else any_of.choice(signatures),
        any_of.choice([None, None, *range(1, HEAD + 1)]),
        any_of.choice([None, "normal", "clean"]),
        any_of.choice([None, *[b"0123456789abcdef"] * 4]),
        any_of.random() < 0.1,
    )


class Intervals:
    """When Macs are late, in the plainest way."""

    def __init__(self, dsn: str) -> None:
        self.layers = {
            row["id"]: row["layers"] for row in fetch(dsn, "select id, layers from policy_signature")
        }
        self.versions = fetch(dsn, "select *, value::text::integer as seconds from setting_version")

    def late(self, mac: dict[str, Any], now: datetime) -> bool:
        """Tell whether a Mac is overdue."""
        told = mac["pending_seq"] or mac["acked_seq"] or HEAD
        layers = self.layers.get(mac["signature"], [1])
        found = [
            (one["locked"], layers.index(one["layer_id"]), one["seconds"])
            for one in self.versions
            if one["layer_id"] in layers
            and one["opened_seq"] <= told
            and (one["closed_seq"] is None or one["closed_seq"] > told)
        ]
        locked = [one for one in found if one[0]]
        seconds = min(locked)[2] if locked else max(found)[2] if found else 600
        return bool(mac["last_preflight_at"] < now - timedelta(seconds=300 + 3 * seconds))


@pytest.mark.parametrize("seed", range(3))
def test_macs_are_counted_together_as_they_are_shown_one_by_one(dsn: str, seed: int) -> None:
    now = datetime.now(UTC)
    asyncio.run(random_rows(dsn, seed, 300, now))
    intervals = Intervals(dsn)
    rows = fetch(
        dsn,
        f"""select y.*, {SYNC_STATE} as state from machine m join machine_sync y on y.machine_id = m.id""",  # noqa: S608
        now,
    )
    counted = {row["state"]: row["macs"] for row in fetch(dsn, FLEET_STATES, now)}
    assert counted == Counter(row["state"] for row in rows)
    assert set(counted) == set(STATES)
    for row in rows:
        known = row["last_postflight_at"] is not None and row["last_preflight_at"] is not None
        assert (row["state"] == "overdue") == (known and intervals.late(row, now))
