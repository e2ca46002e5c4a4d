"""Logging in and out. Sessions are opaque random ids, stored hashed and revocable at once."""

import hashlib
import math
import secrets
from datetime import datetime, timedelta

from santaserver.db import Connection
from santaserver.errors import TooManyRequests, Unauthorized
from santaserver.state import AppState
from santaserver.users import repository
from santaserver.users.passwords import check_password
from santaserver.users.schemas import Login, Role, User
from santaserver.users.throttle import (
    FREE_PER_ACCOUNT,
    FREE_PER_ADDRESS,
    account_key,
    address_key,
    waiting_time,
)

TOKEN_BYTES = 32
TOUCH_INTERVAL = timedelta(minutes=5)
"""A session in use is prolonged at most this often."""

ROLES: dict[str, Role] = {"admin": "admin", "user": "user"}


def normalise_username(username: str) -> str:
    """Return the form accounts are stored under."""
    return username.strip().lower()


async def login(state: AppState, login: Login, address: str) -> tuple[User, str]:
    """Check a password; return the user and a new session id.

    Raises `TooManyRequests` while throttled and `Unauthorized` for a wrong name or password; both
    count in a transaction of their own, which commits although the request fails.
    """
    now, username = state.clock(), normalise_username(login.username).replace("\0", "")
    by_account, by_address = account_key(username, address), address_key(address)
    async with state.database.session(state.bus.publish) as session:
        counts = await repository.failures(session, [by_account, by_address])
        user = await repository.find_user(session, username)
    wait = max(
        waiting_time(counts.get(by_account), FREE_PER_ACCOUNT, now),
        waiting_time(counts.get(by_address), FREE_PER_ADDRESS, now),
    )
    if wait:
        seconds = math.ceil(wait.total_seconds())
        raise TooManyRequests(
            f"Too many failed logins; try again in {seconds} s", headers={"Retry-After": str(seconds)}
        )
    fits = await check_password(state.password_slots, user.password_hash if user else None, login.password)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    async with state.database.session(state.bus.publish) as session:
        if user is None or not fits:
            await repository.count_failure(session, by_account, now)
            await repository.count_failure(session, by_address, now)
        else:
            until = now + timedelta(hours=state.settings.security.session_hours)
            await repository.clear_failures(session, by_account)
            await repository.add_session(session, _hash(token), user.id, now, until)
            repository.audit(session, (user.id, username), now, "login", ("user", str(user.id)))
    if user is None or not fits:
        raise Unauthorized("The user name or the password is wrong")
    return User(id=user.id, username=username, display_name=user.display_name, role=ROLES[user.role]), token


async def user_of_session(
    connection: Connection, token: str, now: datetime, hours: int | None = None
) -> User | None:
    """Return who holds this session id; prolongs the session when `hours` is given."""
    row = await repository.find_session(connection, _hash(token))
    if row is None or row["expires_at"] <= now:
        return None
    if hours is not None and now - row["last_seen_at"] >= TOUCH_INTERVAL:
        await repository.touch_session(connection, row["id_hash"], now, now + timedelta(hours=hours))
    return User(
        id=row["user_id"],
        username=row["username"],
        display_name=row["display_name"],
        role=ROLES[row["role"]],
    )


async def end_session(connection: Connection, token: str) -> None:
    """Log out."""
    await repository.delete_session(connection, _hash(token))


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
