"""Makes, uses and removes passkeys."""

import asyncio
import logging
import secrets
from base64 import urlsafe_b64decode
from datetime import datetime
from typing import Any, NamedTuple

from santaserver import audit
from santaserver.audit import ANONYMOUS, RequestInfo, Target
from santaserver.current_user import User
from santaserver.db import Connection
from santaserver.errors import Conflict, NotFound, TooManyRequests, Unauthorized, Unprocessable
from santaserver.passkeys import ceremonies, repository
from santaserver.passkeys.ceremonies import Assertion, Attestation, Owner, Refused
from santaserver.passkeys.repository import Found, Purpose
from santaserver.passkeys.schemas import AddedPasskey, NewPasskey, Passkey, PasskeyList, UsedPasskey
from santaserver.second_factor import pending
from santaserver.second_factor.browser_cookie import digest, new_secret
from santaserver.second_factor.relying_party import RelyingParty, relying_party
from santaserver.second_factor.repository import drop_unneeded_codes
from santaserver.state import AppState
from santaserver.unit_of_work import UnitOfWork
from santaserver.users import login_audit, reauthentication, second_step
from santaserver.users.counted import count, too_many
from santaserver.users.login_repository import Account, find_account, uncount_attempt
from santaserver.users.measured import SIGN_INS, SIGN_INS_REFUSED
from santaserver.users.second_factor_service import first_codes, require_local
from santaserver.users.session_repository import Login
from santaserver.users.throttle import network_of, passkey_counter

log = logging.getLogger(__name__)

CHALLENGE_BYTES = 32
HANDLE_BYTES = 32
MOST = 20
"""Passkeys of an account."""
NOT_AVAILABLE = (
    "Passkeys need a PUBLIC_URL with https and a host name; browsers offer them nowhere else (http only for "
    "localhost)"
)
NOT_ACCEPTED = "This passkey was not accepted: try again, or log in with your password"
NOT_MADE = "The passkey was not made for this, or it took too long: try again"


class Begun(NamedTuple):
    """What a browser uses a passkey for, and the secret that it keeps meanwhile."""

    options: dict[str, Any]
    browser: str


class Asker(NamedTuple):
    """Where a request comes from."""

    request: RequestInfo
    browser: str | None
    """The secret that the browser was given."""

    @property
    def network(self) -> str:
        """Whom the address belongs to."""
        return network_of(self.request.address)


def party_of(state: AppState) -> RelyingParty:
    """Return what passkeys belong to; raise `Conflict` where there can be none."""
    party = relying_party(state.settings.server.public_url)
    if party is None:
        raise Conflict(NOT_AVAILABLE)
    return party


async def list_own(connection: Connection, state: AppState, user: User) -> PasskeyList:
    """Return the passkeys of an account."""
    party = relying_party(state.settings.server.public_url)
    found = await repository.list_passkeys(connection, user.id)
    return PasskeyList(available=party is not None, items=[_shown(one, party) for one in found])


async def begin_registration(state: AppState, user: User, asker: Asker, now: datetime) -> Begun:
    """Let a browser make a passkey for an account."""
    party, challenge = party_of(state), secrets.token_bytes(CHALLENGE_BYTES)
    async with state.database.read(user.id) as connection:
        await require_local(connection, user.id)
        known = await repository.list_passkeys(connection, user.id)
        handle = await repository.handle_of(connection, user.id) or secrets.token_bytes(HANDLE_BYTES)
        browser = await _begin(connection, challenge, "register", user.id, asker, now, handle)
    owner = Owner(handle, user.username, user.display_name or user.username)
    ids = [one.credential_id for one in known]
    return Begun(await asyncio.to_thread(ceremonies.creation_options, party, owner, challenge, ids), browser)


async def register(
    state: AppState, work: UnitOfWork, user: User, wanted: NewPasskey, asker: Asker, now: datetime
) -> AddedPasskey:
    """Add the passkey that a browser has made."""
    party = party_of(state)
    try:
        challenge, handle = await _taken(state, wanted.client_data, "register", user.id, asker, now)
        sent = Attestation(wanted.client_data, wanted.attestation)
        made = await asyncio.to_thread(ceremonies.new_credential, party, challenge, sent)
    except Refused:
        raise Unprocessable(NOT_MADE) from None
    connection = work.connection
    await require_local(connection, user.id)
    if await repository.count(connection, user.id) >= MOST:
        raise Conflict(f"An account has at most {MOST} passkeys: remove one first")
    number = await repository.add(connection, user.id, handle, party.id, wanted.name, made, now)
    if number is None:
        raise Conflict("This passkey is registered already")
    after = {"username": user.username, "name": wanted.name}
    work.audit(user.actor, now, "passkey_added", ("user", str(user.id)), None, after)
    codes = await first_codes(work, user, now)
    shown = Passkey(id=number, name=wanted.name, created_at=now, last_used_at=None, usable=True)
    return AddedPasskey(passkey=shown, recovery_codes=codes.codes)


async def remove(work: UnitOfWork, user: User, passkey_id: int, now: datetime) -> None:
    """Remove a passkey; with the last factor the recovery codes end."""
    name = await repository.delete(work.connection, user.id, passkey_id)
    if name is None:
        raise NotFound("There is no such passkey")
    await drop_unneeded_codes(work.connection, user.id)
    before = {"username": user.username, "name": name}
    work.audit(user.actor, now, "passkey_removed", ("user", str(user.id)), before)


async def begin_sign_in(state: AppState, asker: Asker, now: datetime) -> Begun:
    """Let a browser sign in with whichever passkey it has."""
    party, challenge = party_of(state), secrets.token_bytes(CHALLENGE_BYTES)
    async with state.database.read(asker.network) as connection:
        browser = await _begin(connection, challenge, "sign_in", None, asker, now)
    return Begun(await asyncio.to_thread(ceremonies.request_options, party, challenge, []), browser)


async def sign_in(
    state: AppState, used: UsedPasskey, asker: Asker, waiting: str | None, user_agent: str
) -> tuple[User, str]:
    """Check a passkey; return the user and a new session id. A login that waits for a second factor ends."""
    now = state.clock()
    account = await _used(state, used, "sign_in", None, asker, now)
    opened = Login(account.id, asker.request.address, user_agent, now)
    async with state.database.read(asker.network) as connection, connection.transaction():
        await pending.end(connection, digest(waiting or ""))
        token = await state.sessions.begin(connection, opened)
        await audit.store(connection, [login_audit.good(account, asker.request, now, "passkey")])
    SIGN_INS.add("passkey")
    return second_step.shown(account), token


async def begin_reauthentication(state: AppState, user: User, asker: Asker, now: datetime) -> Begun:
    """Let a browser prove with a passkey who has the session."""
    party, challenge = party_of(state), secrets.token_bytes(CHALLENGE_BYTES)
    async with state.database.read(user.id) as connection:
        known = await repository.list_passkeys(connection, user.id)
        if not known:
            raise Conflict("There is no passkey: enter your password")
        browser = await _begin(connection, challenge, "reauthenticate", user.id, asker, now)
    ids = [one.credential_id for one in known]
    return Begun(await asyncio.to_thread(ceremonies.request_options, party, challenge, ids), browser)


async def reauthenticate(
    state: AppState, user: User, session: str, used: UsedPasskey, asker: Asker, now: datetime
) -> str:
    """Check a passkey of the user again; return another id for the session."""
    await _used(state, used, "reauthenticate", user.id, asker, now)
    async with state.database.read(user.id) as connection, connection.transaction():
        target: Target = ("user", str(user.id))
        after = {"second_factor": "passkey"}
        entry = audit.entry(user.actor, now, "reauthenticated", target, None, after, request=asker.request)
        await audit.store(connection, [entry])
    return await reauthentication.renew(state, user, session, now)


async def _begin(
    connection: Connection,
    challenge: bytes,
    purpose: Purpose,
    user_id: int | None,
    asker: Asker,
    now: datetime,
    handle: bytes | None = None,
) -> str:
    """Store a challenge; return the secret of the browser, which keeps one for all its tabs."""
    browser = asker.browser or new_secret()
    hashes = _hash(challenge), digest(browser)
    if not await repository.begin(connection, *hashes, purpose, user_id, handle, asker.network, now):
        raise TooManyRequests(
            "Too many sign-ins were begun and not finished; try again in some minutes",
            headers={"Retry-After": "60"},
        )
    return browser


async def _taken(
    state: AppState, client_data: str, purpose: Purpose, user_id: int | None, asker: Asker, now: datetime
) -> tuple[bytes, bytes]:
    """Use up the challenge that a browser answers; raise `Refused` unless this browser was given it.

    Returns it, and for a new passkey what it knows the account by.
    """
    challenge = await asyncio.to_thread(ceremonies.challenge_in, client_data)
    hashes = _hash(challenge), digest(asker.browser or "")
    async with state.database.read(asker.network) as connection:
        taken = await repository.take(connection, *hashes, purpose, user_id, now)
    if taken is None:
        raise Refused
    return challenge, taken.user_handle or b""


async def _used(
    state: AppState, used: UsedPasskey, purpose: Purpose, user_id: int | None, asker: Asker, now: datetime
) -> Account:
    """Return the account of a passkey that was used; what is refused is counted and in the audit log."""
    party, counter = party_of(state), passkey_counter(asker.network)
    async with state.database.read(asker.network) as connection:
        wait = await count(connection, [counter], [counter], now)
    if wait:
        SIGN_INS_REFUSED.add("passkey", "throttled")
        await login_audit.throttled(state, None, asker.request, asker.network, now)
        raise too_many(wait, "passkeys that were not accepted")
    found, account = await _find(state, used, asker)
    try:
        shown = await _signed(state, party, used, purpose, user_id, asker, found, account, now)
    except Refused:
        shown = None
    if (
        found is None
        or account is None
        or shown is None
        or not await _note_use(state, found, shown, asker, now)
    ):
        SIGN_INS_REFUSED.add("passkey", "wrong")
        await _record_refusal(state, found, asker, now)
        raise Unauthorized(NOT_ACCEPTED)
    async with state.database.read(asker.network) as connection:
        await uncount_attempt(connection, [counter])
    return account


async def _find(state: AppState, used: UsedPasskey, asker: Asker) -> tuple[Found | None, Account | None]:
    """Return a passkey, and the account that may log in with it."""
    async with state.database.read(asker.network) as connection:
        found = await repository.find(connection, decoded(used.credential_id))
        account = await find_account(connection, found.username) if found else None
    return found, account if account and account.password_hash is not None else None


async def _signed(
    state: AppState,
    party: RelyingParty,
    used: UsedPasskey,
    purpose: Purpose,
    user_id: int | None,
    asker: Asker,
    found: Found | None,
    account: Account | None,
    now: datetime,
) -> int:
    """Return the counter of a passkey that has signed what it was asked to; raise `Refused` otherwise."""
    challenge, _ = await _taken(state, used.client_data, purpose, user_id, asker, now)
    if found is None or account is None or user_id not in {None, found.user_id}:
        raise Refused
    if used.user_handle is not None and decoded(used.user_handle) != found.user_handle:
        raise Refused
    sent = Assertion(used.credential_id, used.client_data, used.authenticator_data, used.signature)
    return await asyncio.to_thread(ceremonies.used_counter, party, challenge, found.credential, sent)


async def _note_use(state: AppState, found: Found, counter: int, asker: Asker, now: datetime) -> bool:
    async with state.database.read(asker.network) as connection:
        done = await repository.use(connection, found.id, counter, now)
    if not done:
        log.warning(
            "the counter of the passkey %r of %s did not go up: it may have been copied. Remove it",
            found.name,
            found.username,
        )
    return done


async def _record_refusal(state: AppState, found: Found | None, asker: Asker, now: datetime) -> None:
    target: Target = ("user", login_audit.UNKNOWN if found is None else str(found.user_id))
    after = None if found is None else {"username": found.username, "passkey": found.name}
    entry = audit.entry(ANONYMOUS, now, "passkey_refused", target, None, after, request=asker.request)
    async with state.database.read(asker.network) as connection, connection.transaction():
        await audit.store(connection, [entry])


def _hash(challenge: bytes) -> bytes:
    return digest(challenge.hex())


def decoded(text: str) -> bytes:
    """Return what base64url stands for; nothing for what is none."""
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return b""


def _shown(one: repository.Passkey, party: RelyingParty | None) -> Passkey:
    return Passkey(
        id=one.id,
        name=one.name,
        created_at=one.created_at,
        last_used_at=one.last_used_at,
        usable=party is not None and one.rp_id == party.id,
    )
