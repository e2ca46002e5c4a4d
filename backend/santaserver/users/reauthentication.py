"""Proves again who has a session, and gives it another id."""

from collections.abc import Mapping
from datetime import datetime

from santaserver import audit
from santaserver.audit import RequestInfo
from santaserver.current_user import User
from santaserver.errors import Unauthorized, wrong_field
from santaserver.state import AppState
from santaserver.users import attempts
from santaserver.users.schemas import Reauthentication


async def prove(
    state: AppState,
    user: User,
    token: str,
    proof: Reauthentication,
    request: RequestInfo,
    cookies: Mapping[str, str],
    now: datetime,
) -> str:
    """Check the user's password again; return another id for the session.

    A wrong password counts like a failed login, so that a session that was left open is no way to try them.
    """
    attempt = await attempts.check(state, user.username, proof.password, request, cookies, now)
    if attempt.account is None:
        raise wrong_field("password", "The password is wrong")
    async with state.database.read(user.id) as connection, connection.transaction():
        await attempt.forgive(connection)
        entry = audit.entry(user.actor, now, "reauthenticated", ("user", str(user.id)), request=request)
        await audit.store(connection, [entry])
    renewed = await state.sessions.reauthenticated(token, user.id, now)
    if renewed is None:
        raise Unauthorized("Log in first")
    return renewed
