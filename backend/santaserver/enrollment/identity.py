"""Binds a Mac to its credential, and remembers which serial numbers its id was used with.

A Mac that shows another credential is refused until an operator releases it or its old enrollment has
ended; then its next preflight moves it. Two Macs can also have the same id by mistake: a serial number is
stored when it differs from the previous one, and the sync decision treats such a preflight as a conflict.
Nothing is read or written for a Mac that shows and reports the same as last time.
"""

from datetime import datetime
from typing import Any

from santaserver.audit import Actor, Target
from santaserver.db import Connection
from santaserver.enrollment import machine_repository as repository
from santaserver.enrollment.admission import EnrollmentTerms, admit
from santaserver.enrollment.credentials import Credential, Fit, compare, joined, shown_as
from santaserver.enrollment.machine_repository import KnownRow
from santaserver.enrollment.refusals import BEGIN, OTHER, RETIRED, CredentialRefused
from santaserver.errors import NotFound, Problem
from santaserver.policy.member_log import return_reported
from santaserver.unit_of_work import UnitOfWork

MAX_SERIAL = 500
MAX_SERIALS = 20
"""For one machine id; the ones seen last are kept."""


async def enroll(
    work: UnitOfWork,
    machine_id: str,
    terms: EnrollmentTerms | None,
    shown: Credential,
    serial: str,
    now: datetime,
) -> None:
    """Make a machine part of the fleet that is not: a new one, or one that comes back."""
    connection = work.connection
    known = await repository.lock_known(connection, machine_id)
    if known is None:
        await admit(connection, terms, serial)
        secret = None if terms is None else terms.secret
        await repository.create_machine(connection, machine_id, shown, secret, now)
        return
    if known.retired_at is None:
        return  # another request was faster
    if known.deleted_at is None:
        if (
            terms is None
            or not terms.reenroll_retired
            or not await _may_return(connection, known, shown, now)
        ):
            raise CredentialRefused(known.id, None, RETIRED)
        await return_reported(connection, known.id, now)
    await admit(connection, terms, serial)
    await repository.take_back(connection, known.id, shown, now)
    before = {"deleted" if known.deleted_at else "retired": True}
    work.audit(_actor(shown), now, "machine_reenrolled", ("machine", machine_id), before, described(shown))


async def _may_return(connection: Connection, known: KnownRow, shown: Credential, now: datetime) -> bool:
    """Tell whether a retired machine comes back with its own credential, or had one that has ended."""
    kept = known.credential
    return compare(kept, shown) is not Fit.OTHER or await _ended(connection, kept, now)


async def why_unknown(connection: Connection, machine_id: str) -> Problem:
    """Return why a machine that has no sync state gets nothing before a preflight."""
    known = await repository.find_known(connection, machine_id)
    if known is None or known.retired_at is None or known.deleted_at is not None:
        return NotFound("Unknown machine; a sync has to start with a preflight")
    return CredentialRefused(known.id, None, RETIRED)


def check(machine: int, kept: Credential, shown: Credential, *, released: bool) -> None:
    """Refuse a stage other than the preflight with another credential than the machine's."""
    if compare(kept, shown) is Fit.OTHER:
        raise CredentialRefused(machine, kept.enrollment, BEGIN if released else OTHER)


async def check_known(connection: Connection, machine_id: str, shown: Credential) -> None:
    """Refuse a stage that reads or writes nothing of a machine's syncs; an unknown machine may pass."""
    known = await repository.find_known(connection, machine_id)
    if known is None or known.deleted_at is not None:
        return
    if known.retired_at is not None:
        raise CredentialRefused(known.id, None, RETIRED)
    check(known.id, known.credential, shown, released=known.released_at is not None)


async def settle(
    work: UnitOfWork,
    machine: tuple[int, str],
    kept: Credential,
    terms: EnrollmentTerms | None,
    shown: Credential,
    serial: str,
    now: datetime,
    *,
    released: bool,
) -> Credential:
    """Return what a machine, given by its row id and its id, is bound to by its preflight, or refuse it."""
    row_id, machine_id = machine
    fit = compare(kept, shown)
    if fit is Fit.SAME:
        return kept
    if fit is Fit.OTHER and not released and not await _ended(work.connection, kept, now):
        raise CredentialRefused(row_id, kept.enrollment, OTHER)
    new = shown if fit is Fit.OTHER else joined(kept, shown)
    if new.enrollment is not None and new.enrollment != kept.enrollment:
        await admit(work.connection, terms, serial)
    await repository.set_credential(work.connection, row_id, new)
    target: Target = ("machine", machine_id)
    work.audit(_actor(shown), now, "machine_credential_changed", target, described(kept), described(new))
    return new


async def _ended(connection: Connection, kept: Credential, now: datetime) -> bool:
    return kept.enrollment is not None and await repository.has_ended(connection, kept.enrollment, now)


def described(credential: Credential) -> dict[str, Any]:
    """Return a credential as the audit log has it."""
    return {"enrollment": credential.enrollment, "certificate": shown_as(credential.certificate)}


def _actor(shown: Credential) -> Actor:
    name = "machine" if shown.enrollment is None else f"enrollment {shown.enrollment}"
    return Actor(name, kind="enrollment")


async def note_secret(connection: Connection, row_id: int, secret: int) -> None:
    """Store that a machine's preflight showed another secret than the one before, mostly the next of its
    enrollment.
    """
    await repository.set_secret(connection, row_id, secret)


async def note_serial(connection: Connection, row_id: int, before: str, serial: str, now: datetime) -> None:
    """Store that a machine id is used with a different serial number than before."""
    reported = serial[:MAX_SERIAL]
    if not reported or reported == before:
        return
    await repository.end_serial(connection, row_id, before)
    await repository.add_serial(connection, row_id, reported, now)
    await repository.forget_serials(connection, row_id, reported, MAX_SERIALS)
