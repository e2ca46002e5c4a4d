"""The state of the server in the REST interface."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field


class DatabaseStatus(BaseModel):
    """What PostgreSQL says about itself."""

    version: str
    size: int = Field(description="Bytes")
    connections: int = Field(description="Of all clients of the PostgreSQL server")
    max_connections: int
    oldest_transaction: float = Field(
        description="Seconds that the longest transaction of the server's role has been open; 0 without one"
    )
    schema_version: int
    expected_schema_version: int = Field(description="What this program works with")


class PoolStatus(BaseModel):
    """A pool of connections of the worker that responds."""

    name: str
    size: int
    used: int
    idle: int
    waiting: int = Field(description="Requests that wait for a connection")
    refused: int = Field(description="Requests that got none in time, since the worker started")


class QueueStatus(BaseModel):
    """A limit of the worker that responds."""

    name: str
    waiting: int
    refused: int = Field(description="Requests that were turned away, since the worker started")


class WorkerStatus(BaseModel):
    """The worker that responds; the others are like it, with numbers of their own."""

    workers: int = Field(description="Workers of this container")
    started_at: datetime
    pools: list[PoolStatus]
    queues: list[QueueStatus]
    cache_used: int = Field(description="Bytes, estimated")
    cache_limit: int = Field(description="Bytes")
    live_connections: int = Field(description="Open pages of the console")
    temporary_free: int = Field(description="Free bytes where temporary files are")
    temporary_size: int = Field(description="Bytes")


class ScheduleStatus(BaseModel):
    """The policy's number, and what is scheduled."""

    policy_number: int
    next_change_at: datetime | None = Field(
        description="When the next rule comes into force or expires; a past time is one that is late"
    )
    uncounted_events: int = Field(description="Rows that wait to be added to the counts of events")


class AuditStatus(BaseModel):
    """The audit log."""

    entries: int
    checkpoint_at: datetime | None
    checkpoint_size: int = Field(description="Entries that the last checkpoint covers")
    signed: bool = Field(description="Whether checkpoints are signed (AUDIT_KEY_FILE)")
    sent: bool = Field(description="Whether checkpoints are sent out of the database's reach")


class KeptData(BaseModel):
    """One kind of data that is deleted when it is old."""

    kind: str = Field(description="`events`, `file_accesses`, `agent_audits` or `event_counts`")
    oldest_at: datetime | None = Field(description="Of what is kept; null when there is nothing")
    days: int = Field(description="For how long it is kept")


class ServiceStatus(BaseModel):
    """One instance of a service of the container."""

    name: str
    instance: int = Field(description="From 0")
    kind: Literal["daemon", "task"]
    state: str = Field(
        description="`ready` when it serves, `completed` when a task is done; others: `stopped`, `waiting`, "
        "`skipped`, `starting`, `stopping`, `backoff`, `failed`"
    )
    why: str = Field(description="Why it is in this state")
    status_text: str | None = Field(description="What the service says about itself")
    pid: int | None
    restarts: int = Field(description="How often it was started again")
    since: datetime = Field(description="When the state began")
    last_exit: str | None = Field(description="How its last process ended")
    critical: bool = Field(description="Whether its failure ends the container")


class SupervisorStatus(BaseModel):
    """santa-supervise itself."""

    version: str
    started_at: datetime
    shutting_down: bool
    orphans_reaped: int = Field(description="Processes of others that it took off the process table")
    dropped_lines: int = Field(description="Lines of logs that no reader took in time")


class ProcessStatus(BaseModel):
    """The services of the container that responds, as `santa-supervise status` shows them."""

    source: Literal["supervisor", "none", "unreachable"] = Field(
        description="`none`: the server runs without santa-supervise; `unreachable`: it does not answer"
    )
    problem: str | None = Field(description="Why santa-supervise does not answer")
    supervisor: SupervisorStatus | None
    services: list[ServiceStatus]


class ServerStatus(BaseModel):
    """The state of the server."""

    at: datetime
    version: str
    processes: ProcessStatus
    database: DatabaseStatus
    worker: WorkerStatus
    schedule: ScheduleStatus
    audit: AuditStatus
    kept: list[KeptData]
