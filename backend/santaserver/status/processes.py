"""The answer of santa-supervise in the words of the REST interface."""

from datetime import UTC, datetime

from santaserver.status.schemas import ProcessStatus, ServiceStatus, SupervisorStatus
from santaserver.status.supervisor import Answer, Service, UnreachableError, ask


async def read_processes(path: str) -> ProcessStatus:
    """Ask santa-supervise on its socket at `path`; an empty one means that there is none."""
    try:
        answer = await ask(path)
    except UnreachableError as error:
        return ProcessStatus(source="unreachable", problem=str(error), supervisor=None, services=[])
    if answer is None:
        return ProcessStatus(source="none", problem=None, supervisor=None, services=[])
    return shown(answer)


def shown(answer: Answer) -> ProcessStatus:
    """Show an answer."""
    own = answer.supervisor
    return ProcessStatus(
        source="supervisor",
        problem=None,
        supervisor=SupervisorStatus(
            version=own.version,
            started_at=_moment(own.since),
            shutting_down=own.shutting_down,
            orphans_reaped=own.orphans_reaped,
            dropped_lines=own.dropped_lines,
        ),
        services=[_service(one) for one in answer.services],
    )


def _service(one: Service) -> ServiceStatus:
    return ServiceStatus(
        name=one.name,
        instance=one.instance,
        kind=one.kind,
        state=one.state,
        why=one.why,
        status_text=one.status_text,
        pid=one.pid,
        restarts=one.restarts,
        since=_moment(one.since),
        last_exit=one.last_exit,
        critical=one.critical,
    )


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
