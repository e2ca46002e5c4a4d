"""Logging in with a password."""

from collections.abc import Mapping

from santaserver import audit
from santaserver.audit import RequestInfo
from santaserver.current_user import User
from santaserver.errors import Unauthorized
from santaserver.second_factor.repository import factors_of
from santaserver.state import AppState
from santaserver.users import attempts, login_audit, second_step
from santaserver.users.measured import SIGN_INS
from santaserver.users.schemas import Login
from santaserver.users.second_step import SecondStep
from santaserver.users.session_repository import Login as NewSession


def normalise_username(username: str) -> str:
    """Return the form accounts are stored under."""
    return username.strip().lower()


async def login(
    state: AppState, login: Login, request: RequestInfo, cookies: Mapping[str, str], user_agent: str
) -> tuple[User, str] | SecondStep:
    """Check a password; return the user and a new session id, or what the second factor goes on with.

    Raises `TooManyRequests` while throttled and `Unauthorized` for a wrong name or password.
    """
    now, username = state.clock(), normalise_username(login.username).replace("\0", "")
    attempt = await attempts.check(state, username, login.password, request, cookies, now)
    account = attempt.account
    if account is None:
        raise Unauthorized("The user name or the password is wrong")
    opened = NewSession(account.id, request.address, user_agent, now)
    async with state.database.read(attempt.network) as connection, connection.transaction():
        await attempt.forgive(connection)
        factors = await factors_of(connection, account.id)
        if factors.required:
            step = await second_step.begin(connection, account, factors, now)
            await audit.store(connection, [login_audit.password_accepted(account, request, now)])
            return step
        token = await state.sessions.begin(connection, opened)
        await audit.store(connection, [login_audit.good(account, request, now)])
    SIGN_INS.add("password")
    return second_step.shown(account), token
