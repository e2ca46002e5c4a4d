"""The audit entries of logins, good and bad."""

from datetime import datetime

from santaserver import audit
from santaserver.audit import ANONYMOUS, Actor, RequestInfo, Target
from santaserver.state import AppState
from santaserver.users.login_repository import Account

UNKNOWN = "*"
"""The object of a login to an unknown account. What was typed is not kept: it may be a password."""


async def failed(
    state: AppState, account: Account | None, request: RequestInfo, key: str, now: datetime
) -> None:
    """Record that a user name or a password was wrong."""
    await _store(state, "login_failed", account, request, key, now)


async def throttled(
    state: AppState, account: Account | None, request: RequestInfo, key: str, now: datetime
) -> None:
    """Record that attempts were refused unchecked; of a flood, one entry a minute."""
    attempts = state.refusals.count(key, now)
    if attempts:
        await _store(state, "login_throttled", account, request, key, now, attempts)


async def code_throttled(
    state: AppState, account: Account, request: RequestInfo, key: str, now: datetime
) -> None:
    """Record that codes of the second step were refused unchecked; of a flood, one entry a minute."""
    attempts = state.refusals.count(f"code:{key}", now)
    if attempts:
        await _store(state, "second_factor_throttled", account, request, key, now, attempts)


def password_accepted(account: Account, request: RequestInfo, now: datetime) -> audit.AuditEntry:
    """Return the entry of a right password; nobody is logged in before the second factor."""
    after = {"username": account.username}
    target: Target = ("user", str(account.id))
    return audit.entry(ANONYMOUS, now, "second_factor_requested", target, None, after, request=request)


def code_failed(account: Account, request: RequestInfo, now: datetime) -> audit.AuditEntry:
    """Return the entry of a wrong code; what was typed is not kept."""
    after = {"username": account.username}
    target: Target = ("user", str(account.id))
    return audit.entry(ANONYMOUS, now, "second_factor_failed", target, None, after, request=request)


async def _store(
    state: AppState,
    action: str,
    account: Account | None,
    request: RequestInfo,
    key: str,
    now: datetime,
    attempts: int | None = None,
) -> None:
    target: Target = ("user", UNKNOWN if account is None else str(account.id))
    named = {} if account is None else {"username": account.username}
    after = named if attempts is None else {**named, "attempts": attempts}
    entry = audit.entry(ANONYMOUS, now, action, target, None, after or None, request=request)
    async with state.database.read(key) as connection, connection.transaction():
        await audit.store(connection, [entry])


def good(account: Account, request: RequestInfo, now: datetime, second_factor: str = "") -> audit.AuditEntry:
    """Return the entry of a login, stored with the session that it opens."""
    actor = Actor(account.username, account.id)
    target: Target = ("user", str(account.id))
    after = {"second_factor": second_factor} if second_factor else None
    return audit.entry(actor, now, "login", target, None, after, request=request)
