"""Makes, changes and revokes enrollments."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from msgspec import Struct, structs

from santaserver.audit import Actor, Target
from santaserver.clock import stamp
from santaserver.current_user import User
from santaserver.db import Connection
from santaserver.enrollment import repository
from santaserver.enrollment.repository import EnrollmentRow, NewEnrollment
from santaserver.enrollment.schemas import (
    MAX_SERIALS,
    Enrollment,
    EnrollmentCreate,
    EnrollmentCreated,
    EnrollmentPatch,
    EnrollmentSecret,
    RefusedRequests,
    SerialChange,
    SerialList,
    State,
)
from santaserver.enrollment.secret_repository import SecretRow
from santaserver.enrollment.secrets import hash_secret, new_secret
from santaserver.errors import Conflict, NotFound, wrong_field
from santaserver.inputs import MAX_ROW_ID
from santaserver.paging import decode_cursor
from santaserver.policy import guard_repository, guarding, tag_log
from santaserver.policy.capabilities import NEWEST
from santaserver.policy.change import Change, policy_change
from santaserver.policy.guard import NOBODY_YET, MacClass, Move
from santaserver.policy.layer_ranks import GLOBAL_LAYER
from santaserver.preconditions import IfMatch, entity_tag
from santaserver.reads import ItemPage, item_of, page_of
from santaserver.stale import Version, check
from santaserver.unit_of_work import UnitOfWork

_enrollment = item_of(Enrollment)
PLAIN = [name for name in Enrollment.model_fields if name not in {"state", "etag", "secrets"}]
STATE = {
    "label": "label",
    "quota": "quota",
    "serials": "serial_allowlist",
    "expires_at": "expires_at",
    "client_certificate": "client_certificate",
    "certificate_serial": "certificate_serial",
    "reenroll_retired": "reenroll_retired",
    "revoked_at": "revoked_at",
    "secrets": "versions",
}
"""What can be changed of an enrollment, by the names of the audit log, and where its row has it."""


async def list_enrollments(connection: Connection, cursor: str | None, limit: int, now: datetime) -> ItemPage:
    """Return a page of enrollments, the newest first."""
    key = decode_cursor(cursor, (int,))
    before = int(key[0]) if key else MAX_ROW_ID
    rows = await repository.list_enrollments(connection, before, limit + 1)
    return page_of(rows, limit, lambda row: _item(row, now), lambda row: (row.id,))


async def get_enrollment(connection: Connection, number: int, now: datetime) -> Enrollment:
    """Return one enrollment."""
    return show(await find(connection, number), now)


async def create_enrollment(
    work: UnitOfWork, wanted: EnrollmentCreate, user: User, now: datetime
) -> EnrollmentCreated:
    """Store an enrollment; its secret is in the response only."""
    label = _stored("label", wanted.label)
    _check_expiry(wanted.expires_at, now)
    _check_certificates(wanted.client_certificate, wanted.certificate_serial)
    listed = wanted.serial_allowlist
    serials = sorted({_stored("serial_allowlist", serial).upper() for serial in listed}) if listed else None
    secret = new_secret()
    enrollment = NewEnrollment(
        label=label,
        quota=wanted.quota,
        serial_allowlist=serials,
        expires_at=wanted.expires_at,
        client_certificate=wanted.client_certificate,
        certificate_serial=wanted.certificate_serial,
        reenroll_retired=wanted.reenroll_retired,
        created_at=now,
        created_by=user.id,
    )
    kept = hash_secret(secret), wanted.networks
    number = await _add(work, enrollment, kept, wanted.tags, user.actor)
    row = await find(work.connection, number)
    shown = show(row, now)
    after = shown.model_dump(mode="json", exclude={"machines", "state", "etag", "secrets"})
    after["secrets"] = row.versions
    work.audit(user.actor, now, "enrollment_created", _target(row), None, after)
    return EnrollmentCreated(enrollment=shown, secret=secret)


async def _add(
    work: UnitOfWork,
    enrollment: NewEnrollment,
    secret: tuple[bytes, list[str]],
    tags: list[str],
    actor: Actor,
) -> int:
    if not tags:
        return await repository.add_enrollment(work.connection, enrollment, *secret)
    async with policy_change(work, actor, enrollment.created_at, "enrollment") as change:
        ids = await _tags(work.connection, tags)
        await _guard(change, ids)
        number = await repository.add_enrollment(work.connection, enrollment, *secret)
        await repository.add_tags(work.connection, number, ids)
        await tag_log.store_versions(change, ids)
        change.layers_changed()
        change.sum_up(enrollment=number, tags=sorted(ids))
    return number


async def _guard(change: Change, tags: list[int]) -> None:
    """Refuse tags whose rules or settings would block what every Mac needs that enrolls."""
    guard = await guarding.prepare_all(change.work, change.now)
    await guard.before()
    layers = await guard_repository.layers_of_tags(change.connection, tags)
    without = MacClass(frozenset({GLOBAL_LAYER}), NEWEST.code)
    move = Move(without, MacClass(without.layers | set(layers), without.code), NOBODY_YET)
    await guard.check_members([move], None, "tags")
    guard.record(change)


async def change_enrollment(
    work: UnitOfWork, number: int, patch: EnrollmentPatch, expected: IfMatch, user: User, now: datetime
) -> Enrollment:
    """Change what is given of an enrollment; without a difference nothing is written."""
    row = await lock_version(work.connection, number, expected, now)
    given = {name: getattr(patch, name) for name in patch.model_fields_set}
    if "label" in given:
        given["label"] = _stored("label", given["label"])
    wanted = {name: value for name, value in given.items() if value != getattr(row, name)}
    if not wanted:
        return show(row, now)
    _check_expiry(wanted.get("expires_at"), now)
    after = structs.replace(row, **wanted)
    _check_certificates(after.client_certificate, after.certificate_serial)
    await repository.set_terms(
        work.connection,
        row.id,
        after.label,
        after.quota,
        after.expires_at,
        client_certificate=after.client_certificate,
        certificate_serial=after.certificate_serial,
        reenroll_retired=after.reenroll_retired,
    )
    shown = _plain(row, wanted), _plain(after, wanted)
    work.audit(user.actor, now, "enrollment_changed", _target(row), *shown)
    return show(after, now)


def _check_expiry(at: datetime | None, now: datetime) -> None:
    if at is not None and at <= now:
        raise wrong_field("expires_at", "The enrollment would have expired already: choose a later time")


def _check_certificates(required: bool, serial: bool) -> None:
    if serial and not required:
        raise wrong_field("certificate_serial", "It needs a client certificate: set client_certificate too")


def _plain(row: EnrollmentRow, names: Collection[str]) -> dict[str, Any]:
    """Return some fields as the audit log has them."""
    values = {name: getattr(row, name) for name in names}
    return {name: stamp(value) if isinstance(value, datetime) else value for name, value in values.items()}


async def revoke_enrollment(work: UnitOfWork, number: int, user: User, now: datetime) -> Enrollment:
    """Refuse an enrollment's secret within seconds; a second time changes nothing."""
    row = await _lock(work.connection, number)
    if row.revoked_at is None:
        await repository.revoke(work.connection, row.id, user.id, now)
        before, after = {"label": row.label}, {"label": row.label, "revoked_at": stamp(now)}
        work.audit(user.actor, now, "enrollment_revoked", _target(row), before, after)
        row = structs.replace(row, revoked_at=now)
    return show(row, now)


async def list_serials(connection: Connection, number: int) -> SerialList:
    """Return which serial numbers may use an enrollment."""
    return _serials(await find(connection, number))


async def change_serials(
    work: UnitOfWork, number: int, change: SerialChange, expected: IfMatch, user: User, now: datetime
) -> SerialList:
    """Add and remove serial numbers; the first one added creates the list."""
    row = await _lock(work.connection, number)
    await check(work.connection, expected, _version(row, now))
    before = row.serial_allowlist
    added, removed = (
        {_stored(field, serial).upper() for serial in serials}
        for field, serials in (("add", change.add), ("remove", change.remove))
    )
    if both := added & removed:
        raise wrong_field("remove", f"{', '.join(sorted(both))} cannot be added and removed at once")
    if before is None and not added:
        return _serials(row)
    after = sorted({serial.upper() for serial in before or []} - removed | added)
    if len(after) > MAX_SERIALS:
        raise wrong_field(
            "add", f"A list holds {MAX_SERIALS} serial numbers at most; this would be {len(after)}"
        )
    return _serials(await _keep_serials(work, row, after, user, now))


async def drop_serials(
    work: UnitOfWork, number: int, expected: IfMatch, user: User, now: datetime
) -> SerialList:
    """Let any serial number use an enrollment."""
    row = await _lock(work.connection, number)
    await check(work.connection, expected, _version(row, now))
    return _serials(await _keep_serials(work, row, None, user, now))


async def _keep_serials(
    work: UnitOfWork, row: EnrollmentRow, after: list[str] | None, user: User, now: datetime
) -> EnrollmentRow:
    before = row.serial_allowlist
    if after == before:
        return row
    await repository.set_serials(work.connection, row.id, after)
    shown = {"serials": before}, {"serials": after}
    work.audit(user.actor, now, "enrollment_serials_changed", _target(row), *shown)
    return structs.replace(row, serial_allowlist=after)


def state_of(row: EnrollmentRow, now: datetime) -> State:
    """Return the state for new Macs: usable, or the reason why not."""
    if row.revoked_at is not None:
        return "revoked"
    if row.expires_at is not None and row.expires_at <= now:
        return "expired"
    return "full" if row.quota is not None and row.machines >= row.quota else "active"


def _item(row: EnrollmentRow, now: datetime) -> Struct:
    return _enrollment(
        **_fields(row),
        state=state_of(row, now),
        etag=etag_of(row),
        secrets=[secret.model_dump() for secret in _secrets(row)],
    )


def show(row: EnrollmentRow, now: datetime) -> Enrollment:
    """Return an enrollment as the interface shows it."""
    return Enrollment(**_fields(row), state=state_of(row, now), etag=etag_of(row), secrets=_secrets(row))


def _secrets(row: EnrollmentRow) -> list[EnrollmentSecret]:
    return [
        EnrollmentSecret(
            id=secret.id,
            current=secret.valid_until is None,
            created_at=secret.created_at,
            created_by=secret.created_by,
            valid_until=secret.valid_until,
            networks=secret.networks,
            machines=secret.machines,
            refused=_refused(secret),
        )
        for secret in row.secrets
    ]


def _refused(secret: SecretRow) -> RefusedRequests | None:
    if secret.refused_at is None:
        return None
    return RefusedRequests.model_validate(
        {
            "count": secret.refused,
            "last_at": secret.refused_at,
            "last_reason": secret.refused_reason,
            "last_address": secret.refused_address,
        }
    )


def etag_of(row: EnrollmentRow) -> str:
    """Return the tag of an enrollment's version."""
    return entity_tag("enrollment", row.id, *_state(row).values())


def _state(row: EnrollmentRow) -> dict[str, Any]:
    return {name: getattr(row, place) for name, place in STATE.items()}


def _version(row: EnrollmentRow, now: datetime) -> Version:
    return Version("enrollment", row.id, _state(row), show(row, now))


def _serials(row: EnrollmentRow) -> SerialList:
    return SerialList(serials=row.serial_allowlist, etag=etag_of(row))


def _fields(row: EnrollmentRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in PLAIN}


async def _tags(connection: Connection, names: list[str]) -> list[int]:
    known = await repository.tags_by_name(connection, names)
    missing = [name for name in names if name.lower() not in known]
    if missing:
        raise wrong_field("tags", f"There is no tag named {', '.join(missing)}; create it first")
    return list(known.values())


async def find(connection: Connection, number: int) -> EnrollmentRow:
    """Return an enrollment; it has to be there."""
    found = await repository.find_enrollment(connection, number)
    if found is None:
        raise NotFound("There is no such enrollment")
    return found


async def lock_version(
    connection: Connection, number: int, expected: IfMatch, now: datetime
) -> EnrollmentRow:
    """Return the expected version of an enrollment that is not revoked, locked."""
    row = await _lock(connection, number)
    await check(connection, expected, _version(row, now))
    if row.revoked_at is not None:
        raise Conflict("The enrollment was revoked, which is final; create another one")
    return row


async def _lock(connection: Connection, number: int) -> EnrollmentRow:
    """Return an enrollment that nobody else changes until the end of the transaction."""
    await repository.lock_enrollment(connection, number)
    return await find(connection, number)


def _target(row: EnrollmentRow) -> Target:
    return "enrollment", str(row.id)


def _stored(field: str, text: str) -> str:
    cleaned = text.strip()
    if not cleaned or not cleaned.isprintable():
        raise wrong_field(field, "Use printable characters only, and at least one")
    return cleaned
