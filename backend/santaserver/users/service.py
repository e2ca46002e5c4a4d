"""Logging in: every attempt is counted before its password is checked."""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta

from santaserver import audit
from santaserver.audit import Actor
from santaserver.current_user import User, user_with
from santaserver.db import Connection
from santaserver.errors import TooManyRequests, Unauthorized
from santaserver.state import AppState
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
    state: AppState, login: Login, address: str, cookies: Mapping[str, str], user_agent: str
) -> tuple[User, str]:
    """Check a password; return the user and a new session id.

    Raises `TooManyRequests` while throttled and `Unauthorized` for a wrong name or password.
    """
    now, username = state.clock(), normalise_username(login.username).replace("\0", "")
    network = network_of(address)
    device = known_device(cookies, state.settings, username, now)
    async with state.database.read(network) as connection:
        account = await repository.find_account(connection, username)
        counted = counters(username, network, known=account is not None, device=device)
        await _count(connection, counted, network if device is None else None, now)
    try:
        async with state.logins.slot(network):
            stored = account.password_hash if account else None
            fits = await check_password(stored, login.password)
    except BaseException:
        async with state.database.read(network) as connection:
            await repository.uncount_attempt(connection, counted)
        raise
    if account is None or not fits:
        raise Unauthorized("The user name or the password is wrong")
    opened = NewSession(account.id, address, user_agent, now)
    async with state.database.read(network) as connection, connection.transaction():
        own = [counter.key for counter in counted if counter.key.startswith(("name:", "device:"))]
        await repository.uncount_attempt(connection, counted, clear=own)
        token = await state.sessions.begin(connection, opened)
        actor, target = Actor(account.username, account.id), ("user", str(account.id))
        await audit.store(connection, [audit.entry(actor, now, "login", target)])
    return _shown(account), token


async def _count(connection: Connection, counted: list[Counter], network: str | None, now: datetime) -> None:
    """Count the attempt, or raise `TooManyRequests`."""
    asked = counted if network is None else [*counted, network_counter(network)]
    wait = await repository.wait_for(connection, asked, now)
    if not wait and not await repository.count_attempt(connection, counted, now):
        wait = await repository.wait_for(connection, asked, now) or timedelta(seconds=1)
    if wait:
        seconds = math.ceil(wait.total_seconds())
        raise TooManyRequests(
            f"Too many failed logins; try again in {seconds} s", headers={"Retry-After": str(seconds)}
        )


def _shown(account: Account) -> User:
    bindings = bindings_of(account.roles, account.tags, account.tag_names)
    return user_with(account.id, account.username, account.display_name, bindings)
