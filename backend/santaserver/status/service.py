"""Puts the state of the server together."""

import shutil
import tempfile

from santaserver import __version__
from santaserver.db import Connection
from santaserver.migrations import HEAD
from santaserver.settings import RetentionSettings
from santaserver.state import AppState
from santaserver.status.limits import connection_pools, queues
from santaserver.status.repository import Oldest, ServerFigures, read_figures, read_oldest
from santaserver.status.schemas import (
    AuditStatus,
    DatabaseStatus,
    KeptData,
    PoolStatus,
    ProcessStatus,
    QueueStatus,
    ScheduleStatus,
    ServerStatus,
    WorkerStatus,
)


async def get_status(state: AppState, processes: ProcessStatus, connection: Connection) -> ServerStatus:
    """Read what the database says, and add what santa-supervise said and this worker knows."""
    now = state.clock()
    figures = await read_figures(connection, now)
    oldest = await read_oldest(connection)
    return ServerStatus(
        at=now,
        version=__version__,
        processes=processes,
        database=_database(figures),
        worker=_worker(state),
        schedule=ScheduleStatus(
            policy_number=figures.policy_number,
            next_change_at=figures.next_change_at,
            uncounted_events=figures.uncounted_events,
        ),
        audit=_audit(state, figures),
        kept=_kept(oldest, state.settings.retention),
    )


def _database(figures: ServerFigures) -> DatabaseStatus:
    return DatabaseStatus(
        version=figures.database_version,
        size=figures.database_size,
        connections=figures.database_connections,
        max_connections=figures.database_max_connections,
        oldest_transaction=figures.oldest_transaction,
        schema_version=figures.schema,
        expected_schema_version=HEAD,
    )


def _worker(state: AppState) -> WorkerStatus:
    temporary = shutil.disk_usage(tempfile.gettempdir())
    return WorkerStatus(
        workers=state.settings.server.workers,
        started_at=state.started_at,
        pools=[
            PoolStatus(
                name=name,
                size=pool.size,
                used=pool.lent,
                idle=pool.idle,
                waiting=pool.turns.waiting,
                refused=pool.turns.refused,
            )
            for name, pool in connection_pools(state).items()
        ],
        queues=[
            QueueStatus(name=name, waiting=queue.waiting, refused=queue.refused)
            for name, queue in queues(state).items()
        ],
        cache_used=state.memory.used,
        cache_limit=state.memory.limit,
        live_connections=state.bus.subscribers,
        temporary_free=temporary.free,
        temporary_size=temporary.total,
    )


def _audit(state: AppState, figures: ServerFigures) -> AuditStatus:
    audit = state.settings.audit
    return AuditStatus(
        entries=figures.audit_size,
        checkpoint_at=figures.checkpoint_at,
        checkpoint_size=figures.checkpoint_size,
        signed=bool(audit.key),
        sent=bool(audit.checkpoint_url or audit.checkpoint_file),
    )


def _kept(oldest: Oldest, keep: RetentionSettings) -> list[KeptData]:
    return [
        KeptData(kind="events", oldest_at=oldest.events, days=keep.event_days),
        KeptData(kind="file_accesses", oldest_at=oldest.file_accesses, days=keep.event_days),
        KeptData(kind="agent_audits", oldest_at=oldest.agent_audits, days=keep.event_days),
        KeptData(kind="event_counts", oldest_at=oldest.event_counts, days=keep.count_days),
    ]
