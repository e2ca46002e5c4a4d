"""Sessions as their owners and administrators see and end them."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import Path, Query, Request

from santaserver.authorization import in_person
from santaserver.current_user import User
from santaserver.deps import ConnectionDep, CurrentUser, NowDep, StateDep, request_info
from santaserver.errors import Forbidden, NotFound, Unauthorized, responses
from santaserver.inputs import MAX_ROW_ID
from santaserver.outbox import discard
from santaserver.permissions import Permission
from santaserver.routing import AreaRouter
from santaserver.users import session_repository as repository
from santaserver.users.schemas import EndedSessions, Session, SessionList
from santaserver.users.session_audit import record_ended

router = AreaRouter(prefix="/sessions", tags=["sessions"], responses=responses(Unauthorized))

OWN = in_person("their own; of others with `session:write`")

Username = Annotated[str | None, Query(description="User name; without it, your own", max_length=200)]


def _whose(user: User, username: str | None, permission: Permission) -> str:
    """Return whose sessions are requested; another user's need a permission."""
    if username is None or username == user.username:
        return user.username
    user.require(permission)
    return username.replace("\0", "")


@router.get(
    "", dependencies=[in_person("their own; of others with `session:read`")], responses=responses(Forbidden)
)
async def list_sessions(
    connection: ConnectionDep,
    user: CurrentUser,
    now: NowDep,
    state: StateDep,
    username: Username = None,
    everybody: Annotated[bool, Query(description="Those of all users; needs `session:read`")] = False,
) -> SessionList:
    """List live sessions, those used last first; 1,000 at most."""
    if everybody:
        user.require(Permission.SESSION_READ)
    whose = None if everybody else _whose(user, username, Permission.SESSION_READ)
    rows = await repository.list_sessions(connection, now, whose)
    ends = [(row, state.sessions.lifetimes.end_of(row)) for row in rows]
    return SessionList(items=[_shown(row, end, user) for row, end in ends if end > now])


def _shown(row: repository.ListedSession, end: datetime, user: User) -> Session:
    return Session(
        id=row.id,
        username=row.username,
        created_at=row.created_at,
        last_seen_at=row.last_seen_at,
        expires_at=end,
        address=row.address,
        user_agent=row.user_agent,
        current=row.id == user.session,
    )


@router.delete(
    "/{session_id}", dependencies=[OWN], status_code=HTTPStatus.NO_CONTENT, responses=responses(NotFound)
)
async def end_session(
    session_id: Annotated[int, Path(ge=1, le=MAX_ROW_ID)],
    user: CurrentUser,
    now: NowDep,
    state: StateDep,
    request: Request,
) -> None:
    """End a session: your own, or with `session:write` any."""
    owner = None if user.may(Permission.SESSION_WRITE) else user.id
    async with state.database.unit_of_work(discard, user.id, request_info(request)) as work:
        ended = await repository.delete_by_id(work.connection, session_id, owner)
        if not ended:
            raise NotFound("There is no such session; it may have ended")
        record_ended(work, ended, user.actor, now)
    state.sessions.ended()


@router.delete("", dependencies=[OWN], responses=responses(Forbidden))
async def end_sessions(
    user: CurrentUser,
    now: NowDep,
    state: StateDep,
    request: Request,
    username: Username = None,
) -> EndedSessions:
    """End all sessions of a user except the one that asks."""
    whose = _whose(user, username, Permission.SESSION_WRITE)
    async with state.database.unit_of_work(discard, user.id, request_info(request)) as work:
        ended = await repository.delete_of_user(work.connection, whose, user.session)
        record_ended(work, ended, user.actor, now)
    state.sessions.ended()
    return EndedSessions(ended=len(ended))
