"""A Mac whose syncs fail in every way that the protocol allows."""

import hashlib
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any

from tests.model.badge import Badge, Secret, Verdict
from tests.model.policy import CAN_CEL, CAN_SILENCE, OTHER, PEDRO, Content, Facts, Key
from tests.model.reports import DOCTOR, METRICS, Reports, bundle_programs
from tests.model.settings import compared
from tests.model.speech import JSON, TYPES, Headers, Speech
from tests.model.wire import Answer, Breaks, BrokenError, Cut, Line, Request, Wire, exchange
from tests.model.witness import Witness
from tests.model.wrong import WrongError

COUNTED = {"BINARY": "binary", "TEAMID": "teamid", "SIGNINGID": "signingid", "CDHASH": "cdhash"}
TEARS = {"2026.8.1": False, "2026.2.1": True, "2025.5.1": True, PEDRO: False, OTHER: False}
"""Releases that take a response whose connection broke inside the body for an empty one."""
HASHES = {"2026.8.1": True, "2026.2.1": True, "2025.5.1": False, PEDRO: False, OTHER: False}
LOCAL = "LOCAL"
"""A rule that the user approved on the Mac, in standalone mode."""

CUTS = {breaks.value: breaks for breaks in Breaks}
REPEATED, GIVEN_UP, DELAYED = "repeated", "given up", "delayed"
LATE, TORN = "come late as well", "response torn inside its body"
FAULTS = (*CUTS, Breaks.IN_ANSWER.value, REPEATED, GIVEN_UP, DELAYED)
ATTEMPTS = 3
LATEST = 3
"""By how many syncs a postflight may come late."""
REMEMBERED = 80
"""Entries of a Mac's journal that are told when it is wrong."""


class GaveUpError(Exception):
    """The sync ended before its end."""


async def nothing() -> None:
    """Happens between two pages, most of the time."""


@dataclass
class Mac:
    """One Mac; `trouble` is the share of posts with a fault."""

    wire: Wire
    facts: Facts
    serial: str
    chance: Random
    speech: Speech
    reports: Reports
    badge: Badge
    secrets: Sequence[str]
    """Of the enrollments."""
    journal: deque[tuple[int, str, str, str]]
    """What it did: (sync, stage or happening, fault, outcome)."""
    witness: Witness
    between: Callable[[], Awaitable[None]] = nothing
    """What happens before each page of rules is asked for."""
    shared: bool = False
    """Another Mac has the same id, so it may get what was meant for that one."""
    trouble: float = 0.0
    table: dict[Key, Content] = field(default_factory=dict)
    transitive: set[str] = field(default_factory=set)
    mode: str = "MONITOR"
    wants_clean: bool = True
    syncs: int = 0
    whole: bool = True
    """Whether the last response was complete: a truncated one may have been read as empty."""
    torn: bool = False
    """Whether some response of this sync was not, and was taken for an empty one."""
    intact: bool = False
    """Whether its rules are those of some sync, as far as the server sent them."""
    doubts: int = 1
    """How often something happened that the server has to be told of."""
    settings: dict[str, Any] | None = None
    """Those it read last; None before that, and after a torn response that it took for a whole one."""
    told: int = 0
    """How much of it was there when the last preflight that was answered began."""
    ordered: str = ""
    """The clean sync that an administrator ordered and that was not seen yet."""
    late: list[tuple[int, Secret, Request]] = field(default_factory=list)
    """Postflights under way: (sync, secret, request)."""
    kinds: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    posts: Counter[str] = field(default_factory=Counter)
    """What it posted, by form and coding; and what beside syncs."""

    @property
    def doubtful(self) -> bool:
        """Whether something happened that no completed preflight has reported to the server."""
        return self.doubts != self.told

    async def sync(self) -> None:
        """Run one sync, or as much of it as there is, on a connection of its own."""
        self.syncs += 1
        self.torn = False
        self.late = [entry for entry in self.late if self.syncs - entry[0] <= LATEST]
        line = self.wire.line()
        try:
            await self._sync(line)
        except GaveUpError:
            self.kinds["given up"] += 1
        finally:
            line.close()

    async def report_events(self, now: datetime) -> None:
        """Upload executions, during a sync or even before the first one, until there is a response."""
        line = self.wire.line()
        try:
            await self._report_events(line, self.reports.executions(self.chance, now))
        except GaveUpError:
            self.posts["given up uploads"] += 1
        finally:
            line.close()

    async def _report_events(self, line: Line, events: list[dict[str, Any]]) -> None:
        response = await self.post(line, "eventupload", {"events": events})
        if self.whole:
            self.reports.accepted |= {event["pid"] for event in events}
            self.posts["executions accepted"] += len(events)
        for wanted in response.get("event_upload_bundle_binaries", ()):
            self.posts["bundles asked for"] += 1
            await self.post(line, "eventupload", {"events": bundle_programs(wanted)})

    async def probe(self) -> None:
        """Do what `santactl doctor` and the metrics service do."""
        line = self.wire.line()
        try:
            headers = self.authorization(self.badge.shown)
            doctor = await exchange(line, Request("POST", f"/api/santa/preflight/{DOCTOR}", headers=headers))
            metrics = Request(
                "POST",
                f"/api/santa/metrics/{self.facts.machine_id}",
                METRICS,
                headers,
                content_type=TYPES[JSON],
            )
            before = self.badge.verdict(self.badge.shown)
            answer = await exchange(line, metrics)
        finally:
            line.close()
        assert doctor.status == 200, doctor
        if self._served("metrics", self.badge.shown, before, answer):
            assert answer.status == 200, answer
        self.posts["doctor and metrics"] += 1

    async def _sync(self, line: Line) -> None:
        doubts = self.doubts
        response = await self.post(line, "preflight", self.report())
        self.told = doubts
        kind = response.get("sync_type", "NORMAL")
        if self.wants_clean and kind == "CLEAN":
            kind = "CLEAN_ALL"
        rules: list[dict[str, Any]] = []
        cursor = ""
        while True:
            await self.between()
            page = await self.post(line, "ruledownload", {"cursor": cursor} if cursor else {})
            rules += page.get("rules", [])
            cursor = page.get("cursor", "")
            if not cursor:
                break
        self._apply(kind, rules)
        self._intact(kind, rules)
        self.mode = response.get("client_mode", self.mode)
        self.wants_clean = False
        self.kinds[kind] += 1
        done = {"rules_received": len(rules), "rules_processed": len(rules), "syncType": kind}
        if HASHES[self.facts.version]:
            done["rulesHash"] = self.hash()
        await self.post(line, "postflight", done)
        if rules:
            self._did(kind)  # the server counts it for orders that came until now

    def _intact(self, kind: str, rules: list[dict[str, Any]]) -> None:
        if self.torn:
            self.intact = False
        elif kind != "NORMAL" and rules:
            self.intact = True
        if self.intact and not self.shared:
            self.witness.has(self.table)

    def damaged(self) -> None:
        """Something on the Mac changed its rules."""
        self.doubts += 1
        self.intact = False

    def _did(self, kind: str) -> None:
        if kind == "CLEAN_ALL" or (kind == "CLEAN" and self.ordered == "CLEAN"):
            self.ordered = ""

    def _apply(self, kind: str, rules: list[dict[str, Any]]) -> None:
        self.journal.append((self.syncs, "applied", "", f"{kind}: {len(rules)} rules"))
        if not rules:
            return
        if kind != "NORMAL":
            self.table.clear()
        if kind == "CLEAN_ALL":
            self.transitive.clear()
        self._did(kind)
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

    def hash(self) -> str:
        """Return a digest of the table in its order, without messages, as Santa's is."""
        rows = "".join(f"{key}{content[:2]}" for key, content in self.table.items())
        return hashlib.blake2b(rows.encode(), digest_size=16).hexdigest()

    def report(self) -> Mapping[str, Any]:
        """Return what a preflight says."""
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
        return report | ({"rulesHash": self.hash()} if HASHES[self.facts.version] else {})

    async def post(self, line: Line, stage: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """Post a stage until there is a response or the Mac gives up."""
        if stage == "preflight":
            self.witness.begins()
        request = self.request(stage, self.speech.write(stage, content))
        self.posts[str(self.speech)] += 1
        for _ in range(ATTEMPTS):
            await self._late(line)
            fault = self._fault()
            if fault == DELAYED and stage != "postflight":
                fault = ""
            if fault:
                self.faults[fault] += 1
            if fault == GIVEN_UP:
                self.journal.append((self.syncs, stage, fault, ""))
                raise GaveUpError
            if fault == DELAYED:
                self.journal.append((self.syncs, stage, fault, ""))
                self.late.append((self.syncs, self.badge.shown, request))
                return {}
            response = await self._send(line, stage, request, fault)
            if response is not None:
                return response
        raise GaveUpError

    def _fault(self) -> str:
        return self.chance.choice(FAULTS) if self.chance.random() < self.trouble else ""

    async def _send(self, line: Line, stage: str, request: Request, fault: str) -> dict[str, Any] | None:
        cut = Cut(CUTS[fault], self.chance.random()) if fault in CUTS else None
        if fault == REPEATED:
            await exchange(line, request)
        if stage == "postflight" and self._comes_late():
            self.faults[LATE] += 1
            self.late.append((self.syncs, self.badge.shown, request))
        before = self.badge.verdict(self.badge.shown)
        try:
            response = await exchange(line, request, cut)
        except BrokenError:
            assert cut is not None, f"{stage}: the server hung up"
            self.journal.append((self.syncs, stage, f"{fault} at {cut.share:.3f}", "nothing came back"))
            if cut.where is Breaks.UNHEARD:
                self.doubts += 1
            return None
        return self._understood(stage, fault, response, before)

    def _comes_late(self) -> bool:
        return self.chance.random() < self.trouble

    def _understood(self, stage: str, fault: str, response: Answer, before: Verdict) -> dict[str, Any] | None:
        self.journal.append(
            (self.syncs, stage, fault, f"{response.status}" if response.whole else f"{response.status}, torn")
        )
        if not self._served(stage, self.badge.shown, before, response) or response.status == 409:
            raise GaveUpError
        if stage == "preflight":
            self.badge.preflight_served()
        assert response.status == 200, f"{stage} answered {response.status}: {response.body!r}"
        self.whole = response.whole
        if not response.whole:
            self.faults[TORN] += 1
            self.torn |= TEARS[self.facts.version]
            if stage == "preflight" and self.torn:
                self.settings = None
            return {} if TEARS[self.facts.version] else None
        read = self.speech.read(stage, response.body)
        if stage == "preflight":
            self.witness.was_sent(read)
            self.settings = compared(read)
        return read

    async def _late(self, line: Line) -> None:
        """Let a postflight of an earlier sync arrive now."""
        old = [entry for entry in self.late if entry[0] < self.syncs]
        if old and self.chance.random() < 0.3:
            entry = self.chance.choice(old)
            self.late.remove(entry)
            born, secret, request = entry
            before = self.badge.verdict(secret)
            response = await exchange(line, request)
            if self._served("late postflight", secret, before, response):
                assert response.status == 200, (
                    f"a late postflight was answered {response.status}: {response.body!r}"
                )
            self.journal.append((self.syncs, f"postflight of {born}", "late", f"{response.status}"))

    def _served(self, what: str, shown: Secret, before: Verdict, response: Answer) -> bool:
        """Tell whether a request was; raise `WrongError` when it should not have been, or should.

        `before` is what the model said when the request was sent.
        """
        verdicts = {before, self.badge.verdict(shown)}
        refused = response.status in {403, 404}
        if Verdict.EITHER not in verdicts and refused is not (Verdict.REFUSED in verdicts):
            text = f"a {what} of {self.facts} with {self.badge} got {response.status}: {response.body!r}"
            raise WrongError(self.facts.machine_id, text)
        if refused:
            self.posts[f"refused: {what}"] += 1
        return not refused

    def request(self, stage: str, body: bytes) -> Request:
        """Return a post as this Mac's profile has it."""
        path, form = f"/api/santa/{stage}/{self.facts.machine_id}", TYPES[self.speech.form]
        headers = (*self.speech.headers(), *self.authorization(self.badge.shown))
        return Request("POST", path, body, headers, content_type=form)

    def authorization(self, secret: Secret) -> Headers:
        """Return the field that shows a secret."""
        return () if secret is None else ((b"authorization", f"Bearer {self.secrets[secret]}".encode()),)
