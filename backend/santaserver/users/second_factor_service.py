"""Sets up and removes the second factors of accounts."""

from datetime import datetime
from urllib.parse import urlsplit

from santaserver.audit import SYSTEM
from santaserver.current_user import User
from santaserver.db import Connection
from santaserver.errors import Conflict, NotFound, wrong_field
from santaserver.second_factor import recovery, repository, totp
from santaserver.second_factor.qr import qr_code
from santaserver.second_factor.sealing import open_sealed, seal
from santaserver.settings import Settings
from santaserver.unit_of_work import UnitOfWork
from santaserver.users import repository as users
from santaserver.users.administrators import lock_roles
from santaserver.users.authority import check_not_above
from santaserver.users.second_factor_schemas import (
    QrImage,
    RecoveryCodes,
    SecondFactorState,
    TotpEnrollment,
)

NOT_LOCAL = "You sign in through the identity provider: set up the second factor there"
NO_ENROLLMENT = "Set up the authenticator app again: the QR code is too old, or was used"
WRONG = "The code does not fit: check the time of the phone, and take the code that it shows now"
NO_FACTOR = "There is no second factor: set up an authenticator app or a passkey first"


async def state_of(connection: Connection, user: User) -> SecondFactorState:
    """Return the second factors of an account."""
    factors = await repository.factors_of(connection, user.id)
    return SecondFactorState(local=await is_local(connection, user.id), **factors._asdict())


async def is_local(connection: Connection, user_id: int) -> bool:
    """Tell whether an account has a password here."""
    row = await users.find_user(connection, user_id)
    return row is not None and row.has_password


async def require_local(connection: Connection, user_id: int) -> None:
    """Raise `Conflict` for an account without a password here."""
    if not await is_local(connection, user_id):
        raise Conflict(NOT_LOCAL)


async def enroll(work: UnitOfWork, settings: Settings, user: User, now: datetime) -> TotpEnrollment:
    """Make the secret of a new authenticator app; an app that counts already still does."""
    await require_local(work.connection, user.id)
    secret = totp.new_secret()
    sealed = seal(settings.secret_keys, user.id, secret)
    await repository.store_enrollment(work.connection, user.id, sealed, now)
    _record(work, user, now, "totp_enrollment_started")
    host = urlsplit(settings.server.public_url).hostname
    uri = totp.address(secret, user.username, f"SantaServer {host}" if host else "SantaServer")
    code = qr_code(uri)
    return TotpEnrollment(
        secret=totp.shown_secret(secret),
        uri=uri,
        qr=QrImage(size=code.size, path=code.path),
        expires_at=now + repository.ENROLLMENT_LASTS,
    )


async def confirm(
    work: UnitOfWork, settings: Settings, user: User, text: str, now: datetime
) -> RecoveryCodes:
    """Let the new authenticator app count, since it shows the right code."""
    sealed = await repository.lock_enrollment(work.connection, user.id, now)
    if sealed is None:
        raise Conflict(NO_ENROLLMENT)
    secret = open_sealed(settings.secret_keys, user.id, sealed).plain
    code = totp.typed_code(text)
    step = None if code is None else totp.step_of_code(secret, code, now, last_step=-1)
    if step is None:
        raise wrong_field("code", WRONG)
    await repository.confirm_enrollment(work.connection, user.id, step, now)
    _record(work, user, now, "totp_enabled")
    return await first_codes(work, user, now)


async def first_codes(work: UnitOfWork, user: User, now: datetime) -> RecoveryCodes:
    """Return recovery codes for an account that has got its first factor; none for one that has some."""
    factors = await repository.factors_of(work.connection, user.id)
    if factors.recovery_codes:
        return RecoveryCodes(codes=[])
    return await _new_codes(work, user.id, now)


async def renew_codes(work: UnitOfWork, user: User, now: datetime) -> RecoveryCodes:
    """Replace the recovery codes."""
    factors = await repository.factors_of(work.connection, user.id)
    if not factors.required:
        raise Conflict(NO_FACTOR)
    _record(work, user, now, "recovery_codes_created")
    return await _new_codes(work, user.id, now)


async def remove_totp(work: UnitOfWork, user: User, now: datetime) -> None:
    """Remove the authenticator app; with the last factor the recovery codes end."""
    if not await repository.delete_totp(work.connection, user.id):
        raise NotFound("There is no authenticator app")
    await repository.drop_unneeded_codes(work.connection, user.id)
    _record(work, user, now, "totp_removed")


async def reset(work: UnitOfWork, user_id: int, by: User | None, now: datetime) -> None:
    """Remove all second factors of someone, who then logs in with the password alone."""
    await lock_roles(work.connection)
    row = await users.find_user(work.connection, user_id)
    if row is None:
        raise NotFound("There is no such user")
    check_not_above(by, row)
    had = await repository.reset(work.connection, user_id, row.username)
    before = {
        "username": row.username,
        "totp": had.totp_since is not None,
        "passkeys": had.passkeys,
        "recovery_codes": had.recovery_codes,
    }
    actor = SYSTEM if by is None else by.actor
    work.audit(actor, now, "second_factor_reset", ("user", str(user_id)), before)


async def _new_codes(work: UnitOfWork, user_id: int, now: datetime) -> RecoveryCodes:
    codes = recovery.new_codes()
    hashes = [recovery.hash_code(code) for code in codes]
    await repository.replace_recovery_codes(work.connection, user_id, hashes, now)
    return RecoveryCodes(codes=codes)


def _record(work: UnitOfWork, user: User, now: datetime, action: str) -> None:
    work.audit(user.actor, now, action, ("user", str(user.id)), None, {"username": user.username})
