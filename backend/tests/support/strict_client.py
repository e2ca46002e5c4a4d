"""A client like pedro, the Linux agent that uses Santa's protocol.

What it does as pedro does (wowsignal-io/pedro, `pedro/sync/json`): fields have one type, an unknown word is
an error, unknown fields are ignored. Each sync fetches one page, which replaces all of its rules and its mode
after the response to the postflight; the postflight counts nothing. The cursor of a page is sent with the
next sync. Whatever it cannot read ends the sync with `Unreadable`.
"""

import json
import uuid
import zlib
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import httpx
import msgspec
from msgspec import Struct

Key = tuple[str, str]
AnswerT = TypeVar("AnswerT", bound=Struct)

PEDRO = "pedro-0.3.0 (pedro 0.3.0)"
COUNTS = ("binary", "certificate", "compiler", "transitive", "teamid", "signingid", "cdhash")


class Settings(Struct):
    """A preflight's response."""

    enable_bundles: bool | None = None
    enable_transitive_rules: bool | None = None
    batch_size: int | None = None
    full_sync_interval: int | None = None
    client_mode: Literal["MONITOR", "LOCKDOWN"] | None = None
    allowed_path_regex: str | None = None
    blocked_path_regex: str | None = None
    block_usb_mount: bool | None = None
    remount_usb_mode: str | None = None
    sync_type: Literal["NORMAL", "CLEAN", "CLEAN_ALL"] | None = None
    override_file_access_action: Literal["DISABLE", "AUDIT_ONLY", "NONE"] | None = None


class Rule(Struct):
    """One rule; this client knows no silent ones."""

    identifier: str
    policy: Literal["ALLOWLIST", "ALLOWLIST_COMPILER", "BLOCKLIST", "REMOVE"]
    rule_type: Literal["BINARY", "CERTIFICATE", "SIGNINGID", "TEAMID", "CD_HASH"]
    custom_msg: str | None = None
    custom_url: str | None = None
    creation_time: float | None = None


class Rules(Struct):
    """A rule download's response."""

    cursor: str | None = None
    rules: list[Rule] | None = None


class UnreadableError(Exception):
    """The client cannot read a response: its sync ends, and so will every later one."""


@dataclass
class StrictClient:
    """One machine."""

    url: str
    version: str = PEDRO
    secret: str = ""
    machine_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    rules: dict[Key, str] = field(default_factory=dict)
    mode: str = "MONITOR"
    cursor: str | None = None
    settings: Settings = field(default_factory=Settings)
    raw: dict[str, Any] = field(default_factory=dict)
    """The last preflight's response as it came."""
    page: list[Rule] = field(default_factory=list)

    def sync(self, *, lose_postflight: bool = False) -> Settings:
        """Run the three stages that it has."""
        body = self._post("preflight", self.preflight())
        self.raw = json.loads(body)
        settings = _read(body, Settings)
        response = _read(self._post("ruledownload", {"cursor": self.cursor}), Rules)
        if lose_postflight:
            return settings
        self._post(
            "postflight",
            {
                "rules_received": 0,
                "rules_processed": 0,
                "machine_id": self.machine_id,
                "sync_type": "NORMAL",
            },
        )
        self.settings, self.page, self.cursor = settings, response.rules or [], response.cursor
        self.mode = settings.client_mode or self.mode
        self.rules = {(rule.rule_type, rule.identifier): rule.policy for rule in self.page}
        return settings

    def preflight(self) -> dict[str, Any]:
        """Return what it says of itself: numbers are null."""
        return {
            "serial_num": self.machine_id,
            "hostname": "penguin.example.com",
            "os_version": "6.12.1",
            "os_build": "Debian",
            "model_identifier": None,
            "santa_version": self.version,
            "primary_user": "tux",
            **{f"{name}_rule_count": None for name in COUNTS},
            "client_mode": self.mode,
            "request_clean_sync": None,
        }

    def _post(self, stage: str, body: dict[str, Any]) -> bytes:
        prefix = f"/api/santa/e/{self.secret}" if self.secret else "/api/santa"
        response = httpx.post(
            f"{self.url}{prefix}/{stage}/{self.machine_id}",
            content=zlib.compress(json.dumps(body).encode(), 9),
            headers={"Content-Encoding": "deflate", "Content-Type": "application/json"},
        )
        assert response.status_code == httpx.codes.OK, f"{stage}: {response.status_code} {response.text}"
        return response.content


def _read(body: bytes, kind: type[AnswerT]) -> AnswerT:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise UnreadableError(f"{error}: {body[:300]!r}") from error
