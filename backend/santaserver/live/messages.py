"""What the live channel says of itself and of machines, and what browsers say; other messages are with
their subjects."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from santaserver.inputs import Input
from santaserver.live.steps import Stage, SyncKind
from santaserver.outbox import Message


class Hello(BaseModel):
    """The first message on every socket.

    Numbers of messages count within one process: a socket that comes to another one has to load again.
    """

    type: Literal["hello"] = "hello"
    at: datetime
    process: str


MachineChange = Literal[
    "enrolled",
    "first_sync",
    "secret_changed",
    "clean_sync_ordered",
    "monitor_mode_started",
    "monitor_mode_ended",
    "credential_released",
    "credential_release_withdrawn",
    "retired",
    "restored",
    "deleted",
    "tag_added",
    "tag_removed",
]


class MachineChanged(BaseModel):
    """A machine was enrolled, finished its first sync, came with another secret, got an order, or was given
    a tag manually or lost one.
    """

    type: Literal["machine"] = "machine"
    at: datetime
    machine_id: str
    hostname: str
    change: MachineChange
    enrollment: int | None = Field(None, description="Of what its syncs told: the enrollment it belongs to")


class SyncProgress(BaseModel):
    """A machine that the socket watches began a sync (preflight) or finished one (postflight)."""

    type: Literal["sync"] = "sync"
    at: datetime
    machine_id: str
    hostname: str = Field(description="Empty when another process served the sync")
    stage: Stage
    kind: SyncKind
    changed: bool = Field(description="Its rules, layers, report or state are not those of before")
    refused: bool = Field(description="The postflight was rejected: the next sync will be a clean sync")


class SyncSummary(BaseModel):
    """What all machines' syncs did since the last summary; one a second at most."""

    type: Literal["syncs"] = "syncs"
    at: datetime
    machines: int = Field(description="Different machines")
    started: int = Field(description="Preflights")
    finished: int = Field(description="Postflights that were accepted")
    refused: int = Field(description="Postflights that were rejected")
    changed: int = Field(description="Machines whose rules, layers, report or state changed")
    kinds: dict[SyncKind, int] = Field(description="Preflights by the kind of sync")


MAX_WATCHED = 500
"""As many as the largest page of a list has."""
MAX_ID = 1000

MachineId = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID)]


class Watch(Input):
    """What a browser says it shows, instead of what it said before.

    Without one, a socket gets every event in full, and no single machine's syncs.
    """

    type: Literal["watch"] = "watch"
    topics: list[Literal["events"]] = Field(
        [], max_length=8, description="`events`: executions of all machines in full, not only their number"
    )
    machines: list[MachineId] = Field(
        [],
        max_length=MAX_WATCHED,
        description="Machines whose syncs and events are told one by one",
    )
    ago: float | None = Field(
        None,
        ge=0,
        le=3600,
        allow_inf_nan=False,
        description="Seconds since the page read what it shows: what was told since is told again",
    )


def sync_progress(
    at: datetime,
    machine_id: str,
    hostname: str,
    stage: Stage,
    kind: SyncKind,
    *,
    changed: bool,
    refused: bool = False,
) -> Message:
    """Return a `SyncProgress` without the cost of validating it: each stage of each sync makes one."""
    return {
        "type": "sync",
        "at": at,
        "machine_id": machine_id,
        "hostname": hostname,
        "stage": stage,
        "kind": kind,
        "changed": changed,
        "refused": refused,
    }
