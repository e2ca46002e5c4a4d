"""Replaces the secret of an enrollment: the one before stays valid for a while, so that Macs can move.

A Mac belongs to its enrollment, not to one of its secrets: it moves to the new one with the next profile that
it gets.
"""

from datetime import datetime, timedelta

from msgspec import structs

from santaserver.audit import Target
from santaserver.current_user import User
from santaserver.enrollment import secret_repository as repository
from santaserver.enrollment import service
from santaserver.enrollment.repository import EnrollmentRow
from santaserver.enrollment.schemas import Enrollment, EnrollmentCreated, SecretPatch, SecretRotate
from santaserver.enrollment.secret_repository import SecretRow
from santaserver.enrollment.secrets import hash_secret, new_secret
from santaserver.errors import Conflict, NotFound, wrong_field
from santaserver.preconditions import IfMatch
from santaserver.unit_of_work import UnitOfWork

LONGEST_OVERLAP = timedelta(days=180)
MOST_VALID = 5
"""Secrets of an enrollment that are valid at the same time."""


async def rotate(
    work: UnitOfWork, number: int, wanted: SecretRotate, expected: IfMatch, user: User, now: datetime
) -> EnrollmentCreated:
    """Give an enrollment another secret; the present one ends now or at the given time."""
    row = await service.lock_version(work.connection, number, expected, now)
    until = wanted.previous_valid_until
    _check_end(until, "previous_valid_until", now)
    if until is not None and sum(_is_valid(one, now) for one in row.secrets) >= MOST_VALID:
        raise Conflict(
            f"{MOST_VALID} secrets of this enrollment are valid already: end one of the previous ones first"
        )
    present, secret = row.present, new_secret()
    networks = present.networks if wanted.networks is None else wanted.networks
    await repository.change_secret(work.connection, present.id, present.networks, until or now)
    await repository.add_secret(work.connection, row.id, hash_secret(secret), networks, now, user.id)
    after = await _audit(work, row, "enrollment_secret_rotated", user, now)
    return EnrollmentCreated(enrollment=service.show(after, now), secret=secret)


async def change_secret(
    work: UnitOfWork,
    number: int,
    secret: int,
    patch: SecretPatch,
    expected: IfMatch,
    user: User,
    now: datetime,
) -> Enrollment:
    """Change from where a secret is accepted, and of a previous one until when."""
    row = await service.lock_version(work.connection, number, expected, now)
    before = _secret(row, secret)
    networks = patch.networks if "networks" in patch.model_fields_set else before.networks
    until = before.valid_until
    if "valid_until" in patch.model_fields_set and patch.valid_until != until:
        until = patch.valid_until
        if before.valid_until is None:
            raise wrong_field("valid_until", "The present secret has no end: rotate it instead")
        if before.valid_until <= now:
            raise Conflict("This secret has ended, which is final")
        if until is None:
            raise wrong_field("valid_until", "A previous secret needs an end")
        _check_end(until, "valid_until", now)
    after = structs.replace(before, networks=networks, valid_until=until)
    return await _keep(work, row, before, after, user, now)


async def end_secret(
    work: UnitOfWork, number: int, secret: int, expected: IfMatch, user: User, now: datetime
) -> Enrollment:
    """End a previous secret now; a second time changes nothing."""
    row = await service.lock_version(work.connection, number, expected, now)
    before = _secret(row, secret)
    if before.valid_until is None:
        raise Conflict("This is the present secret: rotate it, or revoke the enrollment")
    if before.valid_until <= now:
        return service.show(row, now)
    return await _keep(work, row, before, structs.replace(before, valid_until=now), user, now)


async def _keep(
    work: UnitOfWork, row: EnrollmentRow, before: SecretRow, after: SecretRow, user: User, now: datetime
) -> Enrollment:
    if after == before:
        return service.show(row, now)
    await repository.change_secret(work.connection, after.id, after.networks, after.valid_until)
    ended = after.valid_until == now
    action = "enrollment_secret_ended" if ended else "enrollment_secret_changed"
    return service.show(await _audit(work, row, action, user, now), now)


async def _audit(
    work: UnitOfWork, row: EnrollmentRow, action: str, user: User, now: datetime
) -> EnrollmentRow:
    after = await service.find(work.connection, row.id)
    target: Target = ("enrollment", str(row.id))
    work.audit(user.actor, now, action, target, {"secrets": row.versions}, {"secrets": after.versions})
    return after


def _secret(row: EnrollmentRow, secret: int) -> SecretRow:
    found = next((one for one in row.secrets if one.id == secret), None)
    if found is None:
        raise NotFound("This enrollment has no such secret")
    return found


def _is_valid(secret: SecretRow, now: datetime) -> bool:
    return secret.valid_until is None or secret.valid_until > now


def _check_end(until: datetime | None, field: str, now: datetime) -> None:
    if until is not None and not now < until <= now + LONGEST_OVERLAP:
        raise wrong_field(field, f"The time must be in the next {LONGEST_OVERLAP.days} days")
