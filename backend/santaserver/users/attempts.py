"""Checks passwords: every attempt is counted before the password is checked."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from santaserver.audit import RequestInfo
from santaserver.db import Connection
from santaserver.state import AppState
from santaserver.users import login_audit
from santaserver.users import login_repository as repository
from santaserver.users import repository as users
from santaserver.users.counted import count, too_many
from santaserver.users.device import known_device
from santaserver.users.login_repository import Account
from santaserver.users.measured import SIGN_INS_REFUSED
from santaserver.users.passwords import check_password, hash_password, needs_rehash
from santaserver.users.throttle import Counter, counters, network_counter, network_of


@dataclass(frozen=True, slots=True)
class Attempt:
    """A password that was checked, and counted as wrong until `forgive`."""

    account: Account | None
    """The account, if the password is its."""
    network: str
    counted: list[Counter]

    async def forgive(self, connection: Connection) -> None:
        """Take back what was counted, and forget earlier failures from here."""
        own = [counter.key for counter in self.counted if counter.key.startswith(("name:", "device:"))]
        await repository.uncount_attempt(connection, self.counted, clear=own)


async def check(
    state: AppState,
    username: str,
    password: str,
    request: RequestInfo,
    cookies: Mapping[str, str],
    now: datetime,
) -> Attempt:
    """Check a password; a wrong one is in the audit log. Raises `TooManyRequests` while throttled."""
    network = network_of(request.address)
    device = known_device(cookies, state.settings, username, now)
    async with state.database.read(network) as connection:
        account = await repository.find_account(connection, username)
        counted = counters(username, network, known=account is not None, device=device)
        asked = counted if device is not None else [*counted, network_counter(network)]
        wait = await count(connection, counted, asked, now)
    if wait:
        SIGN_INS_REFUSED.add("password", "throttled")
        await login_audit.throttled(state, account, request, network, now)
        raise too_many(wait)
    try:
        async with state.logins.slot(network):
            stored = account.password_hash if account else None
            fits = await check_password(stored, password)
            if fits and account is not None:
                account = await _rehashed(state, account, password, network)
    except BaseException:
        async with state.database.read(network) as connection:
            await repository.uncount_attempt(connection, counted)
        raise
    if not fits:
        SIGN_INS_REFUSED.add("password", "wrong")
        await login_audit.failed(state, account, request, network, now)
    return Attempt(account if fits else None, network, counted)


async def _rehashed(state: AppState, account: Account, password: str, network: str) -> Account:
    """Return the account after its hash got the parameters of today; a password changed meanwhile stays."""
    stored = account.password_hash
    if stored is None or not needs_rehash(stored):
        return account
    hashed = await asyncio.to_thread(hash_password, password)
    async with state.database.read(network) as connection:
        done = await users.replace_password(connection, account.id, stored, hashed)
    return account._replace(password_hash=hashed) if done else account
