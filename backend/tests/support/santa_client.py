"""A simulated Mac: keeps its own rule table and syncs over HTTP as Santa does.

Usable against any SantaServer: `SimulatedMac("http://127.0.0.1:8080", secret="…").sync()`. Needs
httpx and nothing of this package. It can be cut off at any stage, repeats posts, and applies rules
the way the client does: all pages first, then one transaction, then a postflight that may get lost.
"""

import gzip
import hashlib
import json
import ssl
import uuid
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar

import httpx

Key = tuple[str, str]
Rule = tuple[str, str, str, str]
"""(policy, CEL expression, custom message, custom URL)"""

COUNTS = {
    "BINARY": "binary_rule_count",
    "CERTIFICATE": "certificate_rule_count",
    "TEAMID": "teamid_rule_count",
    "SIGNINGID": "signingid_rule_count",
    "CDHASH": "cdhash_rule_count",
}
STAGES = ("preflight", "eventupload", "ruledownload", "postflight")


@cache
def _authorities() -> ssl.SSLContext:
    """The machine's certificate authorities, read once for all Macs."""
    return httpx.create_ssl_context()


class CutError(Exception):
    """The test cut the connection."""


class SyncError(Exception):
    """The server sent a response that ends a sync."""

    def __init__(self, stage: str, status: int, body: str) -> None:
        """Keep the response."""
        super().__init__(f"{stage} answered {status}: {body}")
        self.status = status


@dataclass
class SyncResult:
    """What one sync did."""

    kind: str
    settings: dict[str, Any]
    received: int
    pages: int


@dataclass
class SimulatedMac:
    """One Mac. Change its public fields to send false reports."""

    secrets_used: ClassVar[set[str]] = set()
    """What all of them have sent as secrets: none of it may be in a log."""

    url: str
    secret: str | None = None
    machine_id: str = field(default_factory=lambda: str(uuid.uuid4()).upper())
    serial: str = "C02SIM00TEST"
    hostname: str = "sim.example.com"
    santa_version: str = "2026.7.812345678"
    encoding: str = "deflate"
    reports_hash: bool = True
    client_mode: str = "MONITOR"
    primary_user: str = "sim"
    groups: list[str] = field(default_factory=list)
    rules: dict[Key, Rule] = field(default_factory=dict)
    transitive: set[str] = field(default_factory=set)
    settings: dict[str, Any] = field(default_factory=dict)
    wants_clean: bool = True
    """A new rule database asks for a clean sync."""
    pending_events: list[dict[str, Any]] = field(default_factory=list)
    transport: httpx.BaseTransport | None = None

    def __post_init__(self) -> None:
        """Open a connection pool."""
        self.secrets_used.update({self.secret} if self.secret else ())
        self._http = httpx.Client(transport=self.transport, timeout=30, verify=_authorities())

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    # --- what the client does -------------------------------------------------------------------

    def sync(
        self,
        cut_before: str = "",
        lose_answer_of: str = "",
        truncate_page: int | None = None,
        repeat: str = "",
    ) -> SyncResult:
        """Run the four stages.

        `cut_before` ends the sync before a stage, `lose_answer_of` after the server has handled one,
        `truncate_page` loses the body of that page, which clients up to 2026.7 take for an empty last
        one, `repeat` posts a stage twice, as after a timeout.
        """

        def post(stage: str, body: dict[str, Any]) -> dict[str, Any]:
            if stage == cut_before:
                raise CutError(stage)
            response = self.post(stage, body)
            if stage == repeat:
                response = self.post(stage, body)
            if stage == lose_answer_of:
                raise CutError(stage)
            return response

        settings = post("preflight", self.preflight_body())
        kind = settings.pop("sync_type", "NORMAL")
        if kind == "NORMAL" and self.pending_events:
            post("eventupload", {"machine_id": self.machine_id, "events": self.pending_events})
        rules, pages = self._download(post, truncate_page)
        self.apply(kind, rules)
        self.pending_events = []
        self.wants_clean = False
        self.settings = dict(settings) if kind != "NORMAL" else {**self.settings, **settings}
        self.client_mode = settings.get("client_mode", self.client_mode)
        post("postflight", self.postflight_body(kind, len(rules)))
        return SyncResult(kind, settings, len(rules), pages)

    def _download(
        self, post: Callable[[str, dict[str, Any]], dict[str, Any]], truncate_page: int | None
    ) -> tuple[list[dict[str, Any]], int]:
        rules: list[dict[str, Any]] = []
        pages, cursor = 0, ""
        while True:
            body = {"machine_id": self.machine_id} | ({"cursor": cursor} if cursor else {})
            response = post("ruledownload", body)
            if pages == truncate_page:
                return rules, pages
            rules += response.get("rules", [])
            pages += 1
            cursor = response.get("cursor", "")
            if not cursor:
                return rules, pages

    def apply(self, kind: str, rules: Sequence[dict[str, Any]]) -> None:
        """Store downloaded rules in one step; a clean download without rules changes nothing."""
        if not rules:
            return
        if kind in {"CLEAN", "CLEAN_ALL"}:
            self.rules.clear()
        if kind == "CLEAN_ALL":
            self.transitive.clear()
        for rule in rules:
            key = (rule["rule_type"], rule["identifier"])
            self.rules.pop(key, None)
            if rule["policy"] != "REMOVE":
                texts = (rule.get("cel_expr", ""), rule.get("custom_msg", ""), rule.get("custom_url", ""))
                self.rules[key] = (rule["policy"], *texts)

    def wipe(self) -> None:
        """Lose the rule database."""
        self.rules.clear()
        self.transitive.clear()
        self.wants_clean = True

    # --- what it says ---------------------------------------------------------------------------

    def rules_hash(self) -> str:
        """Return a digest over type, identifier, policy and CEL in table order, like the client's."""
        digest = hashlib.md5(usedforsecurity=False)
        for (rule_type, identifier), (policy, cel_expr, _, _) in self.rules.items():
            digest.update(f"{identifier}|{cel_expr}|{policy}|{rule_type};".encode())
        return digest.hexdigest()

    def preflight_body(self) -> dict[str, Any]:
        """Return the body of a preflight; what is zero or empty is left out."""
        counts = {name: sum(key[0] == kind for key in self.rules) for kind, name in COUNTS.items()}
        counts["binary_rule_count"] += len(self.transitive)
        body: dict[str, Any] = {
            "serial_num": self.serial,
            "hostname": self.hostname,
            "os_version": "15.6.1",
            "os_build": "24G90",
            "model_identifier": "Mac16,1",
            "santa_version": self.santa_version,
            "primary_user": self.primary_user,
            "primary_user_groups": self.groups,
            "client_mode": self.client_mode,
            "request_clean_sync": self.wants_clean,
            **counts,
            "compiler_rule_count": sum(rule[0] == "ALLOWLIST_COMPILER" for rule in self.rules.values()),
            "transitive_rule_count": len(self.transitive),
            "machine_id": self.machine_id,
        }
        if self.reports_hash:
            body["rulesHash"] = self.rules_hash()
        return {name: value for name, value in body.items() if value}

    def postflight_body(self, kind: str, received: int) -> dict[str, Any]:
        """Return the body of a postflight."""
        body: dict[str, Any] = {
            "rules_received": received,
            "rules_processed": received,
            "machine_id": self.machine_id,
            "syncType": kind,
        }
        if self.reports_hash:
            body["rulesHash"] = self.rules_hash()
        return {name: value for name, value in body.items() if value}

    # --- the wire -------------------------------------------------------------------------------

    def post(self, stage: str, body: dict[str, Any]) -> dict[str, Any]:
        """Post one stage; only 200 is success."""
        response = self.post_raw(stage, json.dumps(body, separators=(",", ":")).encode())
        if response.status_code != httpx.codes.OK:
            raise SyncError(stage, response.status_code, response.text)
        parsed: dict[str, Any] = json.loads(response.content) if response.content else {}
        return parsed

    def post_raw(self, stage: str, plain: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
        """Post bytes with this Mac's encoding and secret."""
        sent = {"Content-Type": "application/json", "User-Agent": f"santactl-sync/{self.santa_version}"}
        if self.secret:
            sent["Authorization"] = f"Bearer {self.secret}"
        if self.encoding != "none":
            sent["Content-Encoding"] = self.encoding
        path = f"/api/santa/{stage}/{self.machine_id}"
        body = encode(plain, self.encoding)
        return self._http.post(self.url.rstrip("/") + path, content=body, headers=sent | (headers or {}))

    def block(self, name: str = "Evil", when: float = 1_763_900_000.5, **fields: Any) -> dict[str, Any]:  # noqa: ANN401
        """Block an execution and upload it at once, outside of a sync; return the event."""
        event = {
            "file_sha256": hashlib.sha256(name.encode()).hexdigest(),
            "file_path": f"/Applications/{name}.app/Contents/MacOS",
            "file_name": name,
            "executing_user": "sim",
            "execution_time": when,
            "decision": "BLOCK_UNKNOWN",
            "pid": 4711,
            "ppid": 1,
            "parent_name": "launchd",
            **fields,
        }
        self.post("eventupload", {"machine_id": self.machine_id, "events": [event]})
        return event


def encode(plain: bytes, encoding: str) -> bytes:
    """Apply a content encoding."""
    if encoding == "gzip":
        return gzip.compress(plain, mtime=0)
    return zlib.compress(plain) if encoding in {"deflate", "zlib"} else plain
