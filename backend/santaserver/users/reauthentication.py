"""Proves again who has a session, and gives it another id."""

from collections.abc import Mapping
from datetime import datetime

from santaserver import audit
from santaserver.audit import RequestInfo
from santaserver.current_user import User
from santaserver.errors import Unauthorized, wrong_field
from santaserver.second_factor.repository import factors_of
from santaserver.state import AppState
from santaserver.users import attempts, login_audit, second_step
from santaserver.users.login_repository import Account
from santaserver.users.measured import SIGN_INS_REFUSED
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

    A wrong password or code counts like a failed login, so that a session that was left open is no way to try
    them.
    """
    attempt = await attempts.check(state, user.username, proof.password, request, cookies, now)
    if attempt.account is None:
        raise wrong_field("password", "The password is wrong")
    async with state.database.read(user.id) as connection, connection.transaction():
        await attempt.forgive(connection)
        factors = await factors_of(connection, user.id)
    if factors.required:
        await _check_code(state, attempt.account, proof.code, request, cookies, now)
    async with state.database.read(user.id) as connection, connection.transaction():
        entry = audit.entry(user.actor, now, "reauthenticated", ("user", str(user.id)), request=request)
        await audit.store(connection, [entry])
    return await renew(state, user, token, now)


async def renew(state: AppState, user: User, token: str, now: datetime) -> str:
    """Return another id for the session of a user who has proved who it is."""
    renewed = await state.sessions.reauthenticated(token, user.id, now)
    if renewed is None:
        raise Unauthorized("Log in first")
    return renewed


async def _check_code(
    state: AppState,
    account: Account,
    code: str | None,
    request: RequestInfo,
    cookies: Mapping[str, str],
    now: datetime,
) -> None:
    if code is None:
        raise wrong_field("code", "Enter a code of your authenticator app, or a recovery code")
    attempt = await second_step.count_code(state, account, request, cookies, now)
    async with state.database.read(account.id) as connection, connection.transaction():
        method = await second_step.use_code(connection, state.settings, account, code, now)
        if method is None:
            await audit.store(connection, [login_audit.code_failed(account, request, now)])
        else:
            await attempt.forgive(connection)
    if method is None:
        SIGN_INS_REFUSED.add("second_factor", "wrong")
        raise wrong_field("code", second_step.WRONG_CODE)
