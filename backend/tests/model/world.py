"""Lets Macs, administrators and time loose on one application, then holds it to the plain model."""

import asyncio
import json
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from santaserver import schedule
from santaserver.main import create_app
from santaserver.settings import load
from santaserver.state import AppState
from tests.model.mac import HASHES, LOCAL, Mac
from tests.model.policy import Content, Facts, Key, Policy, Rule, Tag
from tests.model.wire import call

VERSIONS = ("2026.8.1", "2026.2.1", "2025.5.1")
USERS = ("Ann", "bob")
GROUPS = ("staff", "lab")
HOSTS = ("desk-1", "lab-1")
POLICIES = ("ALLOWLIST", "BLOCKLIST", "BLOCKLIST", "SILENT_GUI_BLOCKLIST", "CEL", "NONE")
COMPILER = "ALLOWLIST_COMPILER"
TARGETS: tuple[Key, ...] = (
    *(("BINARY", f"{number:064x}") for number in range(6)),
    *(("CDHASH", f"{number:040x}") for number in range(2)),
    *(("SIGNINGID", f"platform:com.example.{number}") for number in range(2)),
    *(("TEAMID", f"TEAM{number:06d}") for number in range(2)),
)
QUIET_SYNCS = 4
"""Syncs without a fault after which a Mac has to be right and is sent nothing more."""


class WrongError(AssertionError):
    """A Mac has something else than the model says, or the server claims what is not so."""


@dataclass
class Clock:
    """Time that moves when the world says so."""

    now: datetime = datetime(2026, 11, 25, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Return the moment."""
        return self.now


class World:
    """One application with an empty fleet and its model."""

    def __init__(self, dsn: str, seed: int, macs: int = 24) -> None:
        """Prepare everything that `seed` decides."""
        self.chance = Random(seed)
        self.clock = Clock()
        self.app = create_app(load({"DATABASE_URL": dsn, "SESSION_HOURS": "720"}), self.clock)
        self.state: AppState = self.app.state.santa
        self.policy = Policy()
        self.cookie = b""
        self.macs = [self._mac(number) for number in range(macs)]
        # Two Macs that were given the same id by mistake.
        self.macs[1].facts.machine_id = self.macs[0].facts.machine_id
        self.macs[0].shared = self.macs[1].shared = True
        self.settled = 0

    def _mac(self, number: int) -> Mac:
        facts = Facts(
            f"M-{number}", VERSIONS[number % 3], self.chance.choice(USERS), [], self.chance.choice(HOSTS)
        )
        return Mac(self.app, facts, f"SERIAL{number}", Random(self.chance.random()))

    @property
    def syncs(self) -> int:
        """Return how many machine-syncs have been begun."""
        return sum(mac.syncs for mac in self.macs)

    @property
    def kinds(self) -> Counter[str]:
        """Return how often Macs did what."""
        return sum((mac.kinds for mac in self.macs), Counter())

    async def run(self, syncs: int) -> None:
        """Go on until so many machine-syncs were made; raise `WrongError` as soon as something is wrong."""
        try:
            await self._begin()
            while self.syncs < syncs:
                for _ in range(self.chance.randint(2, 6)):
                    await self._round()
                await self._settle()
        finally:
            await self.state.database.close()

    # --- administrators --------------------------------------------------------------------------

    async def _begin(self) -> None:
        await self._log_in()
        for number, (group, prefix) in enumerate((("staff", ""), ("", "lab-"), ("", ""))):
            content = {"name": f"t{number}", "groups": [group] if group else []}
            if prefix:
                content["predicate"] = f"hostname.startsWith('{prefix}')"
            answer = await self._admin("POST", "/api/v1/tags", content)
            self.policy.tags.append(Tag(answer["id"], f"t{number}", group or "-", prefix))
        for mac in self.macs:
            await mac.sync()

    async def _log_in(self) -> None:
        body = json.dumps({"username": "admin", "password": "correct horse battery"}).encode()
        answer = await call(self.app, "POST", "/api/v1/auth/login", body)
        self.cookie = answer.cookies[0].partition(";")[0].encode()

    async def _admin(self, method: str, path: str, content: object = None, query: str = "") -> Any:  # noqa: ANN401
        headers = ((b"cookie", self.cookie),)
        body = b"" if content is None else json.dumps(content).encode()
        answer = await call(self.app, method, path, body, headers, query.encode())
        if answer.status == 401:
            await self._log_in()
            return await self._admin(method, path, content, query)
        assert answer.status in {200, 201, 204}, f"{method} {path}: {answer.status} {answer.body!r}"
        return json.loads(answer.body) if answer.body else None

    async def _change_rule(self, layer: str, key: Key) -> None:
        rules = self.policy.layers.setdefault(layer, {})
        present = rules.get(key)
        if present is not None and self.chance.random() < 0.4:
            await self._admin("DELETE", f"/api/v1/rules/{present.id}")
            del rules[key]
            return
        rule = self._some_rule(layer, key, active=present is not None and present.holds(self.clock.now))
        body: dict[str, Any] = {
            "policy": rule.content[0],
            "cel_expr": rule.content[1] or None,
            "custom_msg": rule.content[2],
            "locked": rule.locked,
            "starts_at": rule.starts_at.isoformat() if rule.starts_at else None,
            "expires_at": rule.expires_at.isoformat() if rule.expires_at else None,
        }
        if present is not None:
            rule.id = present.id
            await self._admin("PUT", f"/api/v1/rules/{rule.id}", body)
        else:
            body |= {"layer": layer, "rule_type": key[0], "identifier": key[1]}
            rule.id = (await self._admin("POST", "/api/v1/rules", body))["id"]
        rules[key] = rule

    def _some_rule(self, layer: str, key: Key, *, active: bool) -> Rule:
        policy = self.chance.choice(POLICIES)
        if key[0] != "TEAMID" and self.chance.random() < 0.03:
            policy = COMPILER
        if policy == "NONE" and layer == "global":
            policy = "BLOCKLIST"
        expression = "args.size() > 1" if policy == "CEL" else ""
        content: Content = (policy, expression, self.chance.choice(("", "text")))
        rule = Rule(0, content, locked=self.chance.random() < 0.15)
        if not active and self.chance.random() < 0.1:
            rule.starts_at = self.clock.now + timedelta(hours=self.chance.randint(1, 6))
        if self.chance.random() < 0.15:
            start = rule.starts_at or self.clock.now
            rule.expires_at = start + timedelta(hours=self.chance.randint(1, 6))
        return rule

    async def _change_structure(self) -> None:
        what = self.chance.randrange(3)
        self._doubt()
        if what == 0:
            order = self.chance.sample(self.policy.tags, len(self.policy.tags))
            await self._admin("PUT", "/api/v1/tags/order", {"tags": [tag.id for tag in order]})
            self.policy.tags = order
        elif what == 1:
            tag, mac = self.chance.choice(self.policy.tags), self.chance.choice(self.macs)
            path = f"/api/v1/tags/{tag.id}/members/{mac.facts.machine_id}"
            there = mac.facts.machine_id in tag.by_hand
            await self._admin("DELETE" if there else "PUT", path)
            tag.by_hand ^= {mac.facts.machine_id}
        else:
            # The last Macs are now and then in standalone mode, by their own layers.
            mac = self.macs[-1 - self.chance.randrange(3)]
            values = {"client_mode": self.chance.choice(("STANDALONE", "LOCKDOWN"))}
            query = f"layer=machine:{mac.facts.machine_id}"
            await self._admin("PUT", "/api/v1/settings/layer", {"values": values}, query)
        self._doubt()

    def _doubt(self) -> None:
        for mac in self.macs:
            mac.doubtful = True

    # --- what happens ----------------------------------------------------------------------------

    async def _round(self) -> None:
        """Let some Macs sync while administrators write; check the server's claims when all is quiet."""
        if self.chance.random() < 0.15:
            self.clock.now += timedelta(minutes=self.chance.choice((10, 60, 180, 1500)))
            if self.chance.random() < 0.5:
                await self._together([self._sync(mac) for mac in self._some_macs()])
            async with self.state.database.transaction(lambda _: None) as (connection, outbox):
                await schedule.apply_due(connection, outbox, self.clock.now)
            self.policy.forget_expired(self.clock.now)
        for mac in self._some_macs():
            if self.chance.random() < 0.05:
                self._happen(mac)
        layers = [
            "global",
            *(f"tag:{tag.name}" for tag in self.policy.tags),
            *map("user:{}".format, ("ann", "bob")),
        ]
        layers += [f"machine:{mac.facts.machine_id}" for mac in self.macs[2:5]]
        places = [(layer, key) for layer in layers for key in TARGETS]
        jobs: list[Coroutine[Any, Any, None]] = [
            self._change_rule(*place)
            for place in self.chance.sample(places, self.chance.choice((0, 0, 1, 3)))
        ]
        if self.chance.random() < 0.1:
            jobs.append(self._change_structure())
        jobs += [self._sync(mac) for mac in self._some_macs()]
        self.chance.shuffle(jobs)
        await self._together(jobs)
        await self._check_claims()

    async def _sync(self, mac: Mac) -> None:
        mac.trouble = self.chance.choice((0.0, 0.0, 0.1, 0.3))
        await mac.sync()

    def _some_macs(self) -> list[Mac]:
        return self.chance.sample(self.macs, self.chance.randint(1, len(self.macs)))

    async def _together(self, jobs: list[Coroutine[Any, Any, None]]) -> None:
        async with asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(job)

    def _happen(self, mac: Mac) -> None:
        """Something that only the Mac knows of."""
        mac.doubtful = True
        alone = mac in self.macs[-3:]
        what = self.chance.choice(("wipe", "lose", "alter", "move", "update", "approve"))
        if what == "wipe":
            mac.table.clear()
            mac.transitive.clear()
            mac.wants_clean = True
        elif what == "lose":
            mac.table.clear()
        elif what == "alter" and HASHES[mac.facts.version] and not alone:
            key = self.chance.choice(TARGETS)
            if self.chance.random() < 0.5:
                mac.table.pop(key, None)
            else:
                # Santa's hash does not cover messages: only another policy can be noticed.
                there = mac.table.get(key, ("", "", ""))[0]
                mac.table[key] = ("BLOCKLIST" if there == "ALLOWLIST" else "ALLOWLIST", "", "altered")
        elif what == "move":
            mac.facts.user = self.chance.choice(USERS)
            mac.facts.hostname = self.chance.choice(HOSTS)
            mac.facts.groups = self.chance.choice(([], ["staff"]))
        elif what == "update" and not alone:
            later = [version for version in VERSIONS if HASHES[version] or version == mac.facts.version]
            mac.facts.version = self.chance.choice(later)
        elif what == "approve" and mac.mode == "STANDALONE":
            mac.table[("BINARY", f"{self.chance.randrange(900, 999):064x}")] = (LOCAL, "", "")

    # --- what has to be true ---------------------------------------------------------------------

    async def _check_claims(self) -> None:
        """A Mac that the server calls up to date is."""
        async with self.state.database.transaction(lambda _: None) as (connection, _):
            rows = await connection.fetch(
                """select m.machine_id
                   from machine m join machine_sync y on y.machine_id = m.id, policy_head h
                   where y.acked_seq = h.seq and y.acked_signature = y.signature and y.facts_key is not null
                     and not y.drift_held and coalesce(y.pending_kind, 'normal') = 'normal'
                     and (h.next_change_at is null or h.next_change_at > $1)""",
                self.clock.now,
            )
        claimed = {row["machine_id"] for row in rows}
        for mac in self.macs[2:]:
            if mac.facts.machine_id in claimed and not mac.doubtful:
                self._compare(mac, "is called up to date")

    async def _settle(self) -> None:
        """Let faults end and time pass; every Mac has to become right."""
        self.clock.now += timedelta(hours=25)
        self.policy.forget_expired(self.clock.now)
        for mac in self.macs:
            mac.trouble, mac.late = 0.0, []
        # The two Macs with one id are right one after the other.
        for group in (self.macs[:1], self.macs[1:2], self.macs[2:]):
            for _ in range(QUIET_SYNCS):
                await self._together([mac.sync() for mac in group])
            for mac in group:
                self._compare(mac, "has settled")
        self.settled += len(self.macs)

    def _compare(self, mac: Mac, when: str) -> None:
        wanted = self.policy.effective(mac.facts, self.clock.now)
        if mac.given() != wanted:
            there = mac.given()
            missing = {key: wanted[key] for key in wanted if there.get(key) != wanted[key]}
            extra = {key: there[key] for key in there if key not in wanted}
            rules = {
                (layer, key): self.policy.layers.get(layer, {}).get(key)
                for layer in self.policy.layers_of(mac.facts)
                for key in (*missing, *extra)
            }
            raise WrongError(
                f"{mac.facts} {when} at {self.clock.now}, but lacks {missing} and has {extra} instead: "
                f"{ {place: rule for place, rule in rules.items() if rule} }"
            )
