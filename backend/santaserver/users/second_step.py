"""The second step of a login: a code of the authenticator app, or a recovery code.

Between the steps there is no session, only a pending login that the browser has a cookie for.
"""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from santaserver import audit
from santaserver.audit import RequestInfo
from santaserver.current_user import User, user_with
from santaserver.db import Connection
from santaserver.errors import LOGIN_EXPIRED, Unauthorized
from santaserver.second_factor import pending, recovery, repository, totp
from santaserver.second_factor.browser_cookie import digest, new_secret
from santaserver.second_factor.repository import Factors
from santaserver.second_factor.sealing import CannotOpen, open_sealed, seal
from santaserver.settings import Settings
from santaserver.state import AppState
from santaserver.users import login_audit
from santaserver.users.bindings import bindings_of
from santaserver.users.counted import count, too_many
from santaserver.users.device import known_device
from santaserver.users.login_repository import Account, find_account, uncount_attempt
from santaserver.users.measured import SIGN_INS, SIGN_INS_REFUSED
from santaserver.users.session_repository import Login
from santaserver.users.throttle import Counter, code_counters, network_of

log = logging.getLogger(__name__)

Method = Literal["totp", "recovery_code"]
WRONG_CODE = "The code is wrong, or it was used before"
EXPIRED = "The login took too long, or too many codes were wrong: enter your password again"


@dataclass(frozen=True, slots=True)
class SecondStep:
    """A login that goes on with a second factor."""

    secret: str
    """For the cookie of the browser that goes on with it."""
    factors: Factors


@dataclass(frozen=True, slots=True)
class CodeAttempt:
    """A code that is about to be checked, and counted as wrong until `forgive`."""

    counted: list[Counter]

    async def forgive(self, connection: Connection) -> None:
        """Take back what was counted, and forget earlier failures from here."""
        own = [one.key for one in self.counted if not one.key.startswith("code-account:")]
        await uncount_attempt(connection, self.counted, clear=own)


async def begin(connection: Connection, account: Account, factors: Factors, now: datetime) -> SecondStep:
    """Let a login wait for the second factor, after the password was right."""
    secret = new_secret()
    await pending.begin(connection, digest(secret), account.id, _password_digest(account), now)
    return SecondStep(secret, factors)


async def finish(
    state: AppState,
    secret: str | None,
    code: str,
    request: RequestInfo,
    cookies: Mapping[str, str],
    user_agent: str,
) -> tuple[User, str]:
    """Check the code of a pending login; return the user and a new session id.

    Raises `Unauthorized` for a wrong code and for a login that has to begin again, `TooManyRequests` while
    throttled.
    """
    now, network = state.clock(), network_of(request.address)
    id_hash = digest(secret or "")
    async with state.database.read(network) as connection:
        account = await _waiting(connection, id_hash, now)
    if account is None:
        raise expired()
    attempt = await count_code(state, account, request, cookies, now)
    token = None
    async with state.database.read(network) as connection, connection.transaction():
        if await pending.find(connection, id_hash, now, lock=True) is None:
            raise expired()
        method = await use_code(connection, state.settings, account, code, now)
        if method is None:
            await pending.fail(connection, id_hash)
            entry = login_audit.code_failed(account, request, now)
        else:
            await pending.end(connection, id_hash)
            await attempt.forgive(connection)
            opened = Login(account.id, request.address, user_agent, now)
            token = await state.sessions.begin(connection, opened)
            entry = login_audit.good(account, request, now, method)
        await audit.store(connection, [entry])
    if token is None:
        SIGN_INS_REFUSED.add("second_factor", "wrong")
        raise Unauthorized(WRONG_CODE)
    SIGN_INS.add("second_factor")
    return shown(account), token


async def count_code(
    state: AppState, account: Account, request: RequestInfo, cookies: Mapping[str, str], now: datetime
) -> CodeAttempt:
    """Count a code before it is checked; raise `TooManyRequests` while throttled.

    These counters are not those of passwords: who knows the password must not be able to clear them.
    """
    network = network_of(request.address)
    device = known_device(cookies, state.settings, account.username, now)
    counted = code_counters(account.username, network, device)
    async with state.database.read(network) as connection:
        wait = await count(connection, counted, counted, now)
    if wait:
        SIGN_INS_REFUSED.add("second_factor", "throttled")
        await login_audit.code_throttled(state, account, request, network, now)
        raise too_many(wait, "wrong codes")
    return CodeAttempt(counted)


async def use_code(
    connection: Connection, settings: Settings, account: Account, text: str, now: datetime
) -> Method | None:
    """Use up a code of an account; None when it is wrong or was used before."""
    code = totp.typed_code(text)
    if code is None:
        used = await repository.use_recovery_code(connection, account.id, recovery.hash_code(text))
        return "recovery_code" if used else None
    stored = await repository.find_totp(connection, account.id)
    if stored is None:
        return None
    keys = settings.secret_keys
    try:
        opened = open_sealed(keys, account.id, stored.sealed)
    except CannotOpen:
        log.error(  # noqa: TRY400 - where it happened says nothing
            "cannot check the code of %s: its secret was encrypted with another SECRET_KEY. "
            "Set that key again, or run `santaserver user reset-second-factor %s`",
            account.username,
            account.username,
        )
        return None
    step = totp.step_of_code(opened.plain, code, now, stored.last_step)
    if step is None:
        return None
    sealed = stored.sealed if opened.current else seal(keys, account.id, opened.plain)
    used = await repository.use_step(connection, account.id, stored.sealed, step, sealed)
    return "totp" if used else None


def expired() -> Unauthorized:
    """Return the problem of a login that has to begin again."""
    return Unauthorized(EXPIRED, members={"code": LOGIN_EXPIRED})


def shown(account: Account) -> User:
    """Return an account as the interface shows it."""
    return user_with(account.id, account.username, account.display_name, bindings_of(account.bindings))


async def _waiting(connection: Connection, id_hash: bytes, now: datetime) -> Account | None:
    """Return the account of a pending login, if it may still log in, with the same password."""
    found = await pending.find(connection, id_hash, now)
    account = await find_account(connection, found.username) if found else None
    if found is None or account is None or _password_digest(account) != found.password_digest:
        return None
    return account


def _password_digest(account: Account) -> bytes:
    return hashlib.sha256((account.password_hash or "").encode()).digest()
