"""Machines as the REST interface shows them."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from santaserver.inputs import Input, Text
from santaserver.tags.schemas import MemberSource

SyncState = Literal["in_sync", "pending", "overdue", "never", "drifted"]
CleanKind = Literal["clean", "clean_all"]


class RuleCounts(BaseModel):
    """Rows of the Mac's rule table, as its last preflight reported them."""

    binary: int
    certificate: int
    teamid: int
    signingid: int
    cdhash: int
    compiler: int
    transitive: int


class LastSync(BaseModel):
    """The newest sync of a machine."""

    kind: Literal["normal", "clean", "clean_all"]
    clean_reason: str | None = Field(description="Why the rule table was rebuilt; null for a normal sync")
    sent: int | None = Field(description="Rules in all pages; null while pages are being fetched")
    received: int | None = Field(description="What the Mac says it received; null before its postflight")
    processed: int | None
    finished_at: datetime | None


class Machine(BaseModel):
    """One Mac."""

    machine_id: str
    serial: str
    hostname: str
    model: str
    os_version: str
    os_build: str
    santa_version: str
    primary_user: str
    client_mode: str = Field(description="Mode in force on the Mac: MONITOR, LOCKDOWN, STANDALONE or empty")
    sync_state: SyncState
    tags: list[str] = Field(description="Tags whose layers held something at the last preflight")
    monitor_until: datetime | None = Field(
        description="Until then its syncs say MONITOR; it may take one sync interval longer on the Mac"
    )
    queued_clean: CleanKind | None = Field(description="A clean sync that is ordered and has not begun")
    last_preflight_at: datetime | None
    last_postflight_at: datetime | None
    last_clean_at: datetime | None = Field(description="When its rule table was last rebuilt")
    enrolled_at: datetime
    rule_counts: RuleCounts
    last_sync: LastSync | None


class CleanSync(Input):
    """An order to rebuild a machine's rule table at its next sync."""

    kind: CleanKind = Field(description="`clean` keeps transitive rules, `clean_all` removes them too")


class MonitorMode(Input):
    """An order to let one machine run in MONITOR mode for a while."""

    minutes: int = Field(ge=1, le=7 * 24 * 60)
    reason: Text = Field(min_length=1, max_length=4000)


class MachineTag(BaseModel):
    """A tag that a machine has, and why."""

    id: int
    name: str
    sources: list[MemberSource]
    joined_at: datetime
