"""Logging in: every attempt is counted before its password is checked."""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta

from santaserver import audit
from santaserver.audit import RequestInfo
from santaserver.current_user import User, user_with
from santaserver.db import Connection
from santaserver.errors import TooManyRequests, Unauthorized
from santaserver.state import AppState
from santaserver.users import login_audit
from santaserver.users import login_repository as repository
from santaserver.users.bindings import bindings_of
from santaserver.users.device import known_device
from santaserver.users.login_repository import Account
from santaserver.users.passwords import check_password
from santaserver.users.schemas import Login
from santaserver.users.session_repository import Login as NewSession
from santaserver.users.throttle import Counter, counters, network_counter, network_of


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
    network = network_of(request.address)
    device = known_device(cookies, state.settings, username, now)
    async with state.database.read(network) as connection:
        account = await repository.find_account(connection, username)
        counted = counters(username, network, known=account is not None, device=device)
        wait = await _count(connection, counted, network if device is None else None, now)
    if wait:
        await login_audit.throttled(state, account, request, network, now)
        raise _too_many(wait)
    try:
        async with state.logins.slot(network):
            stored = account.password_hash if account else None
            fits = await check_password(stored, login.password)
    except BaseException:
        async with state.database.read(network) as connection:
            await repository.uncount_attempt(connection, counted)
        raise
    if account is None or not fits:
        await login_audit.failed(state, account, request, network, now)
        raise Unauthorized("The user name or the password is wrong")
    opened = NewSession(account.id, request.address, user_agent, now)
    async with state.database.read(network) as connection, connection.transaction():
        own = [counter.key for counter in counted if counter.key.startswith(("name:", "device:"))]
        await repository.uncount_attempt(connection, counted, clear=own)
        token = await state.sessions.begin(connection, opened)
        await audit.store(connection, [login_audit.good(account, request, now)])
    return _shown(account), token


async def _count(
    connection: Connection, counted: list[Counter], network: str | None, now: datetime
) -> timedelta:
    """Count the attempt; return how long it has to wait instead, if it has to."""
    asked = counted if network is None else [*counted, network_counter(network)]
    wait = await repository.wait_for(connection, asked, now)
    if not wait and not await repository.count_attempt(connection, counted, now):
        wait = await repository.wait_for(connection, asked, now) or timedelta(seconds=1)
    return wait


def _too_many(wait: timedelta) -> TooManyRequests:
    seconds = math.ceil(wait.total_seconds())
    return TooManyRequests(
        f"Too many failed logins; try again in {seconds} s", headers={"Retry-After": str(seconds)}
    )


def _shown(account: Account) -> User:
    bindings = bindings_of(account.roles, account.tags, account.tag_names)
    return user_with(account.id, account.username, account.display_name, bindings)
