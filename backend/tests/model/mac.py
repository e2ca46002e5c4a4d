"""A Mac whose syncs go wrong in every way that the protocol allows."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from fastapi import FastAPI

from tests.model.policy import CAN_CEL, CAN_SILENCE, Content, Facts, Key
from tests.model.wire import call

COUNTED = {"BINARY": "binary", "TEAMID": "teamid", "SIGNINGID": "signingid", "CDHASH": "cdhash"}
TEARS = {"2026.8.1": False, "2026.2.1": True, "2025.5.1": True}
"""Releases that take an answer whose connection broke for an empty one."""
HASHES = {"2026.8.1": True, "2026.2.1": True, "2025.5.1": False}
LOCAL = "LOCAL"
"""A rule that the user approved on the Mac, in standalone mode."""

FAULTS = ("cut_request", "lose_answer", "tear_answer", "repeat", "give_up", "delay")
ATTEMPTS = 3
LATEST = 3
"""By how many syncs a postflight may come late."""


class GaveUpError(Exception):
    """The sync ended before its end."""


@dataclass
class Mac:
    """One Mac; `trouble` is the share of posts that something happens to."""

    app: FastAPI
    facts: Facts
    serial: str
    chance: Random
    shared: bool = False
    """Another Mac has the same id, so it may get what was meant for that one."""
    trouble: float = 0.0
    table: dict[Key, Content] = field(default_factory=dict)
    transitive: set[str] = field(default_factory=set)
    mode: str = "MONITOR"
    wants_clean: bool = True
    syncs: int = 0
    doubtful: bool = True
    """Something happened that no complete sync has told the server of."""
    late: list[tuple[int, bytes]] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)

    async def sync(self) -> None:
        """Run one sync, or as much of it as there is."""
        self.syncs += 1
        self.late = [(born, body) for born, body in self.late if self.syncs - born <= LATEST]
        try:
            await self._sync()
        except GaveUpError:
            self.kinds["given up"] += 1

    async def _sync(self) -> None:
        answer = await self._post("preflight", self._report())
        self.doubtful = False
        kind = answer.get("sync_type", "NORMAL")
        if self.wants_clean and kind == "CLEAN":
            kind = "CLEAN_ALL"
        rules: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = await self._post("ruledownload", {"cursor": cursor} if cursor else {})
            rules += page.get("rules", [])
            cursor = page.get("cursor", "")
            if not cursor:
                break
        self._apply(kind, rules)
        self.mode = answer.get("client_mode", self.mode)
        self.wants_clean = False
        self.kinds[kind] += 1
        done = {"rules_received": len(rules), "rules_processed": len(rules), "syncType": kind}
        if HASHES[self.facts.version]:
            done["rulesHash"] = self._hash()
        await self._post("postflight", done)

    def _apply(self, kind: str, rules: list[dict[str, Any]]) -> None:
        if not rules:
            return
        if kind != "NORMAL":
            self.table.clear()
        if kind == "CLEAN_ALL":
            self.transitive.clear()
        for rule in rules:
            key = (rule["rule_type"], rule["identifier"])
            self.table.pop(key, None)
            policy = rule["policy"]
            if policy == "REMOVE":
                continue
            if not self._knows(policy):
                assert self.shared, f"{self.facts.version} was sent {policy}"
                continue
            self.table[key] = (policy, rule.get("cel_expr", ""), rule.get("custom_msg", ""))

    def _knows(self, policy: str) -> bool:
        able = {"CEL": CAN_CEL, "SILENT_GUI_BLOCKLIST": CAN_SILENCE}.get(policy, {})
        return able.get(self.facts.version, True)

    def given(self) -> dict[Key, Content]:
        """Return the rules that came from the server."""
        return {key: content for key, content in self.table.items() if content[0] != LOCAL}

    def _hash(self) -> str:
        rows = "".join(f"{key}{content[:2]}" for key, content in self.table.items())
        return hashlib.blake2b(rows.encode(), digest_size=16).hexdigest()

    def _report(self) -> Mapping[str, Any]:
        counts = Counter(COUNTED[rule_type] for rule_type, _ in self.table)
        counts["binary"] += len(self.transitive)
        report: dict[str, Any] = {f"{name}_rule_count": number for name, number in counts.items() if number}
        report |= {
            "serial_num": self.serial,
            "hostname": self.facts.hostname,
            "santa_version": self.facts.version,
            "primary_user": self.facts.user,
            "primary_user_groups": self.facts.groups,
            "client_mode": self.mode,
            "request_clean_sync": self.wants_clean,
            "transitive_rule_count": len(self.transitive),
        }
        return report | ({"rulesHash": self._hash()} if HASHES[self.facts.version] else {})

    async def _post(self, stage: str, content: Mapping[str, Any]) -> dict[str, Any]:
        body = json.dumps(content).encode()
        for _ in range(ATTEMPTS):
            await self._late()
            fault = self.chance.choice(FAULTS) if self.chance.random() < self.trouble else ""
            if fault == "give_up":
                raise GaveUpError
            if fault == "delay" and stage == "postflight":
                self.late.append((self.syncs, body))
                return {}
            answer = await self._send(stage, body, fault)
            if answer is not None:
                return answer
        raise GaveUpError

    async def _send(self, stage: str, body: bytes, fault: str) -> dict[str, Any] | None:
        path = f"/api/santa/{stage}/{self.facts.machine_id}"
        if fault == "cut_request":
            await call(self.app, "POST", path, body, cut_at=self.chance.randrange(len(body)))
            return None
        if fault == "repeat":
            await call(self.app, "POST", path, body)
        if stage == "postflight" and self.chance.random() < self.trouble:
            self.late.append((self.syncs, body))
        answer = await call(self.app, "POST", path, body)
        if answer.status == 409:
            raise GaveUpError
        assert answer.status == 200, f"{stage} answered {answer.status}: {answer.body!r}"
        if fault == "lose_answer":
            return None
        if fault == "tear_answer":
            return {} if TEARS[self.facts.version] else None
        parsed: dict[str, Any] = json.loads(answer.body)
        return parsed

    async def _late(self) -> None:
        """Let a postflight of an earlier sync arrive now."""
        old = [entry for entry in self.late if entry[0] < self.syncs]
        if old and self.chance.random() < 0.3:
            entry = self.chance.choice(old)
            self.late.remove(entry)
            path = f"/api/santa/postflight/{self.facts.machine_id}"
            assert (await call(self.app, "POST", path, entry[1])).status == 200
