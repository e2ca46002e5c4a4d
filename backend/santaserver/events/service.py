"""Shows stored events."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.errors import BadRequest, NotFound
from santaserver.events import repository
from santaserver.events.repository import EventRow
from santaserver.events.schemas import Event, SigningCertificate
from santaserver.models import Certificate
from santaserver.paging import Page, decode_cursor, encode_cursor

MAX_ROW_ID = 2**63 - 1


async def list_events(
    session: AsyncSession, cursor: str | None, limit: int, text: str, decision: str, machine_id: str
) -> Page[Event]:
    """Return a page of events, the newest first."""
    rows = await repository.list_events(
        session, _position(cursor), limit + 1, text, decision.replace("\0", ""), machine_id.replace("\0", "")
    )
    page = rows[:limit]
    items = await _show(session, page)
    following = None
    if len(rows) > limit:
        last = page[-1][0]
        following = encode_cursor((last.occurred_at.isoformat(), last.id))
    return Page(items=items, next_cursor=following)


async def get_event(session: AsyncSession, event_id: int) -> Event:
    """Return one event."""
    row = await repository.find_event(session, event_id) if 0 < event_id <= MAX_ROW_ID else None
    if row is None:
        raise NotFound("There is no such event; it may have been too old to keep")
    return (await _show(session, [row]))[0]


def _position(cursor: str | None) -> tuple[datetime, int] | None:
    key = decode_cursor(cursor, (str, int))
    if key is None:
        return None
    try:
        at = datetime.fromisoformat(str(key[0]))
    except ValueError as error:
        raise BadRequest("The cursor is damaged; start again without one") from error
    number = int(key[1])
    if at.tzinfo is None or not -MAX_ROW_ID <= number <= MAX_ROW_ID:
        raise BadRequest("The cursor is damaged; start again without one")
    return at, number


async def _show(session: AsyncSession, rows: Sequence[EventRow]) -> list[Event]:
    digests = {digest for _, program, _, _ in rows for digest in program.signing_chain}
    known = await repository.certificates(session, digests)
    return [_event(row, known) for row in rows]


def _event(row: EventRow, known: Mapping[str, Certificate]) -> Event:
    event, program, machine_id, hostname = row
    chain = [known[digest] for digest in program.signing_chain if digest in known]
    leaf = chain[0] if chain else None
    return Event(
        id=event.id,
        machine_id=machine_id,
        hostname=hostname,
        occurred_at=event.occurred_at,
        received_at=event.received_at,
        decision=event.decision,
        blocked=event.blocked,
        file_name=event.file_name,
        file_path=event.file_path,
        file_sha256=program.sha256,
        executing_user=event.executing_user,
        parent_name=event.parent_name,
        pid=event.pid,
        ppid=event.ppid,
        team_id=program.team_id,
        signing_id=program.signing_id,
        cdhash=program.cdhash,
        bundle_name=program.bundle_name,
        bundle_id=program.bundle_id,
        certificate_sha256=leaf.sha256 if leaf else "",
        publisher=(leaf.org or leaf.cn) if leaf else "",
        signing_chain=[
            SigningCertificate(
                sha256=cert.sha256,
                cn=cert.cn,
                org=cert.org,
                ou=cert.ou,
                valid_from=cert.valid_from,
                valid_until=cert.valid_until,
            )
            for cert in chain
        ],
    )
