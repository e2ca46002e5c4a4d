"""Sessions as their owners and administrators see and end them."""

from http import HTTPStatus
from typing import Annotated

from fastapi import Path, Query, Request

from santaserver.current_user import User
from santaserver.deps import ConnectionDep, CurrentUser, NowDep, StateDep
from santaserver.errors import Forbidden, NotFound, Unauthorized, responses
from santaserver.inputs import MAX_ROW_ID
from santaserver.routing import AreaRouter
from santaserver.session_cookie import read_session_cookie
from santaserver.users import session_repository as repository
from santaserver.users.schemas import EndedSessions, Session, SessionList
from santaserver.users.sessions import hash_token

router = AreaRouter(prefix="/sessions", tags=["sessions"], responses=responses(Unauthorized))

Username = Annotated[str | None, Query(description="User name; without it, your own", max_length=200)]


def _whose(user: User, username: str | None) -> str:
    """Return whose sessions are requested; only administrators may name another user."""
    if username is None or username == user.username:
        return user.username
    if user.role != "admin":
        raise Forbidden("Only administrators may see or end the sessions of others")
    return username.replace("\0", "")


@router.get("", responses=responses(Forbidden))
async def list_sessions(
    connection: ConnectionDep,
    user: CurrentUser,
    now: NowDep,
    state: StateDep,
    request: Request,
    username: Username = None,
    everybody: Annotated[bool, Query(description="Those of all users, for administrators")] = False,
) -> SessionList:
    """List live sessions, those used last first; 1,000 at most."""
    if everybody and user.role != "admin":
        raise Forbidden("Only administrators may see the sessions of others")
    whose = None if everybody else _whose(user, username)
    own = hash_token(read_session_cookie(request.cookies, state.settings) or "")
    rows = await repository.list_sessions(connection, now, whose)
    items = [
        Session(
            **{name: getattr(row, name) for name in Session.model_fields if name != "current"},
            current=row.id_hash == own,
        )
        for row in rows
    ]
    return SessionList(items=items)


@router.delete("/{session_id}", status_code=HTTPStatus.NO_CONTENT, responses=responses(NotFound))
async def end_session(
    session_id: Annotated[int, Path(ge=1, le=MAX_ROW_ID)],
    connection: ConnectionDep,
    user: CurrentUser,
    state: StateDep,
) -> None:
    """End a session: your own, or as an administrator any."""
    owner = None if user.role == "admin" else user.id
    if not await repository.delete_by_id(connection, session_id, owner):
        raise NotFound("There is no such session; it may have ended")
    state.sessions.ended()


@router.delete("", responses=responses(Forbidden))
async def end_sessions(
    connection: ConnectionDep,
    user: CurrentUser,
    state: StateDep,
    request: Request,
    username: Username = None,
) -> EndedSessions:
    """End all sessions of a user except the one that asks."""
    own = hash_token(read_session_cookie(request.cookies, state.settings) or "")
    ended = await repository.delete_of_user(connection, _whose(user, username), own)
    state.sessions.ended()
    return EndedSessions(ended=ended)
