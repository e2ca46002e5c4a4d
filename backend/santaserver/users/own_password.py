"""The own password: changed with the present one, and all other sessions end."""

import asyncio
from collections.abc import Mapping
from datetime import datetime

from santaserver.audit import RequestInfo
from santaserver.current_user import User
from santaserver.errors import Conflict, wrong_field
from santaserver.outbox import discard
from santaserver.state import AppState
from santaserver.users import attempts, repository, session_repository
from santaserver.users.login_repository import find_account
from santaserver.users.password_rules import check_password_rules
from santaserver.users.passwords import hash_password
from santaserver.users.schemas import PasswordChange


async def change_password(
    state: AppState,
    user: User,
    wanted: PasswordChange,
    request: RequestInfo,
    cookies: Mapping[str, str],
    now: datetime,
) -> int:
    """Change a user's own password; return how many sessions were ended: all but the one that asks.

    A wrong present password counts like a failed login, so that a session that was left open is no way to
    try passwords.
    """
    if wanted.new_password == wanted.current_password:
        raise wrong_field("new_password", "This is the present password; choose another one")
    async with state.database.read(user.id) as connection:
        present = await find_account(connection, user.username)
    if present is not None and present.password_hash is None:
        raise Conflict("You sign in through the identity provider; change your password there")
    check_password_rules("new_password", wanted.new_password, (user.username, user.display_name))
    attempt = await attempts.check(state, user.username, wanted.current_password, request, cookies, now)
    account = attempt.account
    if account is None or account.password_hash is None:
        raise wrong_field("current_password", "The present password is wrong; nothing was changed")
    async with state.logins.slot(attempt.network):
        hashed = await asyncio.to_thread(hash_password, wanted.new_password)
    async with state.database.unit_of_work(discard, user.id, request) as work:
        if not await repository.replace_password(work.connection, user.id, account.password_hash, hashed):
            raise Conflict("Someone else has just changed this password; nothing was stored. Log in again")
        await attempt.forgive(work.connection)
        ended = await session_repository.delete_of_user(work.connection, user.username, user.session)
        after = {"username": user.username, "sessions_ended": len(ended)}
        work.audit(user.actor, now, "password_changed", ("user", str(user.id)), None, after)
    state.sessions.ended()
    return len(ended)
