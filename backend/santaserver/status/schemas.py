"""The state of the server in the REST interface."""

from datetime import datetime

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


class ServerStatus(BaseModel):
    """The state of the server."""

    at: datetime
    version: str
    database: DatabaseStatus
    worker: WorkerStatus
    schedule: ScheduleStatus
    audit: AuditStatus
    kept: list[KeptData]
