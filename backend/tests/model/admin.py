"""Administrators who write while Macs sync; the plain model gets every change."""

import json
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from tests.conftest import ADMIN
from tests.model.badge import RETURNING, SECRETS
from tests.model.mac import Mac
from tests.model.policy import Content, Key, Policy, Rule, Setting, Tag
from tests.model.settings import MODE, STANDALONE
from tests.model.timeline import Timeline
from tests.model.wire import Answer, Request, Wire, exchange

POLICIES = ("ALLOWLIST", "BLOCKLIST", "BLOCKLIST", "SILENT_GUI_BLOCKLIST", "CEL", "NONE")
COMPILER = "ALLOWLIST_COMPILER"
TARGETS: tuple[Key, ...] = (
    *(("BINARY", f"{number:064x}") for number in range(6)),
    *(("CDHASH", f"{number:040x}") for number in range(2)),
    *(("SIGNINGID", f"platform:com.example.{number}") for number in range(2)),
    *(("TEAMID", f"TEAM{number:06d}") for number in range(2)),
)
TAGS = (("staff", ""), ("", "lab-"), ("", ""), ("", ""))
"""Directory group and prefix of host names of each tag; members by hand may be in any."""
IMPORTED = "t3"
"""The tag whose rules come from imports only, which remove what they do not name."""
JUMP = timedelta(minutes=15)
"""By how much time may move while administrators write."""
REMEMBERED = 60
"""Changes that are told when a Mac is wrong."""


@dataclass
class Administrators:
    """Everything they can do, at any moment and several at a time."""

    wire: Wire
    now: Callable[[], datetime]
    policy: Policy
    timeline: Timeline
    cookie: bytes = b""
    secrets: list[str] = field(default_factory=list)
    """Of the enrollments."""
    journal: deque[tuple[datetime, str, object]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    async def begin(self) -> None:
        """Log in, make the tags and the enrollments."""
        await self._log_in()
        for number in range(SECRETS):
            content = {"label": f"e{number}", "reenroll_retired": number == RETURNING}
            self.secrets.append((await self.call("POST", "/api/v1/enrollments", content))["secret"])
        for number, (group, prefix) in enumerate(TAGS):
            response = await self.call("POST", "/api/v1/tags", tag_content(f"t{number}", group, prefix))
            async with self.timeline.turn:
                self.policy.tags.append(Tag(response["id"], f"t{number}", group, prefix))
                async with self.timeline.changed():
                    pass

    async def call(
        self,
        method: str,
        path: str,
        content: object = None,
        query: str = "",
        may_be: tuple[int, ...] = (),
        confirm: str = "",
    ) -> Any:  # noqa: ANN401 - whatever it answers
        """Make a request to the REST interface and return what it answers: success, or one of `may_be`."""
        body = b"" if content is None else json.dumps(content).encode()
        # Whatever the version is: the model is told of changes in the order in which they are made.
        headers = ((b"cookie", self.cookie), (b"if-match", b"*"))
        asked = f"{query}&confirm={confirm}".lstrip("&") if confirm else query
        response = await self._send(Request(method, path, body, headers, asked))
        if response.status == 401:
            await self._log_in()
            return await self.call(method, path, content, query, may_be)
        if response.status == 409 and "confirm" in response.json():
            token = response.json()["confirm"]["token"]
            return await self.call(method, path, content, query, may_be, token)
        assert response.status in {200, 201, 202, 204, *may_be}, (
            f"{method} {path}: {response.status} {response.body!r}"
        )
        self.journal.append((self.now(), f"{method} {path} {query}", content))
        return response.json()

    async def change_rule(self, layer: str, key: Key, chance: Random) -> None:
        """Add, change or delete the rule of a layer for a target."""
        rules = self.policy.layers.setdefault(layer, {})
        present = rules.get(key)
        now = self.now()
        if present is not None and present.over(now + JUMP):
            return  # it may end at any moment
        if present is not None and chance.random() < 0.4:
            await self.call("DELETE", f"/api/v1/rules/{present.id}")
            del rules[key]
            return
        active = present is not None and present.holds(now + JUMP)
        rule = some_rule(chance, layer, key, now, active=active)
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
            await self.call("PATCH", f"/api/v1/rules/{rule.id}", body)
        else:
            body |= {"layer": layer, "rule_type": key[0], "identifier": key[1]}
            rule.id = (await self.call("POST", "/api/v1/rules", body))["id"]
        rules[key] = rule

    async def remove_all_rules(self) -> None:
        """Delete every rule of every layer: then Macs have to have none at all."""
        for layer, rules in self.policy.layers.items():
            imported = await self._ids(layer)
            for key, rule in list(rules.items()):
                async with self.timeline.turn:
                    del rules[key]
                    async with self.timeline.changed():
                        await self.call("DELETE", f"/api/v1/rules/{rule.id or imported[key]}")

    async def _ids(self, layer: str) -> dict[Key, int]:
        """Return the numbers of a layer's rules."""
        page = await self.call("GET", "/api/v1/rules", query=f"layer={layer}&limit=200")
        return {(rule["rule_type"], rule["identifier"]): rule["id"] for rule in page["items"]}

    async def change_structure(self, macs: list[Mac], members: list[Mac], chance: Random) -> None:
        """Put the tags in another order, flip a membership, change a tag, or switch a Mac's mode."""
        what = chance.randrange(4)
        doubt(macs)
        async with self.timeline.turn:
            if what == 0:
                self.policy.tags = chance.sample(self.policy.tags, len(self.policy.tags))
                order = {"tags": [tag.id for tag in self.policy.tags]}
                async with self.timeline.changed():
                    await self.call("PUT", "/api/v1/tags/order", order)
            elif what == 1:
                tag, mac = chance.choice(self.policy.tags), chance.choice(members)
                path = f"/api/v1/tags/{tag.id}/members/{mac.facts.machine_id}"
                there = mac.facts.machine_id in tag.by_hand
                tag.by_hand ^= {mac.facts.machine_id}
                async with self.timeline.changed():
                    await self.call("DELETE" if there else "PUT", path)
            elif what == 2:
                tag = chance.choice(self.policy.tags)
                tag.group, tag.prefix = chance.choice(TAGS)
                content = tag_content(tag.name, tag.group, tag.prefix)
                async with self.timeline.changed():
                    await self.call("PUT", f"/api/v1/tags/{tag.id}", content)
            else:
                # The last Macs are now and then in standalone mode, by their own layers.
                mac = macs[-1 - chance.randrange(3)]
                mode = chance.choice((STANDALONE, "LOCKDOWN"))
                await self.define_settings(f"machine:{mac.facts.machine_id}", {MODE: (mode, False)})
        doubt(macs)

    async def define_settings(self, layer: str, settings: dict[str, Setting]) -> None:
        """Have a layer define exactly these settings; it is this administrator's turn."""
        self.policy.settings[layer] = settings
        content = {
            "values": {name: value for name, (value, _) in settings.items()},
            "locked": [name for name, (_, locked) in settings.items() if locked],
        }
        async with self.timeline.changed():
            await self.call("PUT", "/api/v1/settings/layer", content, f"layer={layer}")

    async def order_clean_sync(self, mac: Mac, chance: Random) -> None:
        """Have a Mac's rule table rebuilt; from the moment this begins it may happen."""
        kind = chance.choice(("clean", "clean_all"))
        mac.ordered = "CLEAN_ALL" if "CLEAN_ALL" in {mac.ordered, kind.upper()} else "CLEAN"
        await self.call("POST", f"/api/v1/machines/{mac.facts.machine_id}/clean-sync", {"kind": kind})

    def change_standing(self, mac: Mac, what: str) -> Coroutine[Any, Any, None]:
        """Release, retire, restore or delete a Mac; from the moment this is called it may have happened."""
        mac.badge.change(what)
        if what in {"retire", "delete"}:
            mac.ordered = ""
        if what == "delete":
            for tag in self.policy.tags:
                tag.by_hand.discard(mac.facts.machine_id)
            self.timeline.left(mac.facts.machine_id)
        return self._change_standing(mac, what)

    async def _change_standing(self, mac: Mac, what: str) -> None:
        path = f"/api/v1/machines/{mac.facts.machine_id}"
        mac.journal.append((mac.syncs, what, "", "begins"))
        if what == "delete":
            await self.call("DELETE", path)
        else:
            await self.call("POST", f"{path}/{what}")
        mac.journal.append((mac.syncs, what, "", "done"))
        mac.faults[f"happening: {what}"] += 1

    async def _log_in(self) -> None:
        body = json.dumps({"username": ADMIN[0], "password": ADMIN[1]}).encode()
        response = await self._send(Request("POST", "/api/v1/auth/login", body))
        self.cookie = response.cookies[0].partition(";")[0].encode()

    async def _send(self, request: Request) -> Answer:
        line = self.wire.line()
        try:
            return await exchange(line, request)
        finally:
            line.close()


def tag_content(name: str, group: str, prefix: str) -> dict[str, Any]:
    """Return what the REST interface is told of a tag."""
    predicate = f"hostname.startsWith('{prefix}')" if prefix else None
    groups = [group] if group else []
    return {"name": name, "description": "", "groups": groups, "predicate": predicate, "enrollments": []}


def some_rule(chance: Random, layer: str, key: Key, now: datetime, *, active: bool) -> Rule:
    """Think up a rule; one that is in force cannot be put off."""
    policy = chance.choice(POLICIES)
    if key[0] != "TEAMID" and chance.random() < 0.03:
        policy = COMPILER
    if policy == "NONE" and layer == "global":
        policy = "BLOCKLIST"
    expression = "args.size() > 1" if policy == "CEL" else ""
    content: Content = (policy, expression, chance.choice(("", "text")))
    rule = Rule(0, content, locked=chance.random() < 0.15)
    if not active and chance.random() < 0.15:
        rule.starts_at = now + some_while(chance)
    if chance.random() < 0.3:
        start = rule.starts_at or now
        rule.expires_at = start + some_while(chance)
    return rule


def some_while(chance: Random) -> timedelta:
    """Think up a time that is longer than `JUMP`."""
    return timedelta(minutes=chance.choice((20, 20, 60, 300)))


def doubt(macs: list[Mac]) -> None:
    """From now on only what Macs say later tells the server what they should have."""
    for mac in macs:
        mac.doubts += 1
