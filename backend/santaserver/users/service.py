"""Logging in."""

from collections.abc import Mapping

from santaserver import audit
from santaserver.audit import RequestInfo
from santaserver.current_user import User, user_with
from santaserver.errors import Unauthorized
from santaserver.state import AppState
from santaserver.users import attempts, login_audit
from santaserver.users.bindings import bindings_of
from santaserver.users.login_repository import Account
from santaserver.users.schemas import Login
from santaserver.users.session_repository import Login as NewSession


def normalise_username(username: str) -> str:
    """Return the form accounts are stored under."""
    return username.strip().lower()


async def login(
    state: AppState, login: Login, request: RequestInfo, cookies: Mapping[str, str], user_agent: str
) -> tuple[User, str]:
    """Check a password; return the user and a new session id.

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
        token = await state.sessions.begin(connection, opened)
        await audit.store(connection, [login_audit.good(account, request, now)])
    return _shown(account), token


def _shown(account: Account) -> User:
    return user_with(account.id, account.username, account.display_name, bindings_of(account.bindings))
