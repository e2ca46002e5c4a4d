"""Keeps the organization's essentials, and says which of them are blocked already."""

from datetime import datetime
from typing import Any

from msgspec import structs

from santaserver.audit import Actor, Target
from santaserver.db import Connection
from santaserver.errors import Conflict, NotFound, wrong_field
from santaserver.essentials import repository
from santaserver.essentials.repository import EssentialRow
from santaserver.essentials.schemas import EssentialChange, EssentialCreate, OwnEssential
from santaserver.policy import guarding
from santaserver.policy.lifelines import Lifeline, declared
from santaserver.policy.targets import check_identifier
from santaserver.preconditions import IfMatch, entity_tag
from santaserver.stale import Version, check
from santaserver.unit_of_work import UnitOfWork

MOST = 200
"""Each one is looked at with every change of settings and order."""


async def list_essentials(connection: Connection) -> list[OwnEssential]:
    """Return all, by name."""
    return [_shown(row) for row in await repository.list_essentials(connection)]


async def get_essential(connection: Connection, number: int) -> OwnEssential:
    """Return one."""
    return _shown(await _find(connection, number))


async def create_essential(
    work: UnitOfWork, wanted: EssentialCreate, actor: Actor, now: datetime
) -> OwnEssential:
    """Store one; warn when a Mac blocks it already."""
    if await repository.count(work.connection) >= MOST:
        raise Conflict(f"There are {MOST} essentials already; name publishers instead of single programs")
    content = _checked(wanted)
    await _check_name(work.connection, content.name, None)
    values = (content.name, content.use, content.rule_type, content.identifiers, content.paths)
    number = await repository.add_essential(work.connection, values, actor.id, now)
    row = await _find(work.connection, number)
    work.audit(actor, now, "essential_created", _target(row), None, _plain(row))
    await _warn(work, row, now)
    return _shown(row)


async def change_essential(
    work: UnitOfWork, number: int, wanted: EssentialChange, expected: IfMatch, actor: Actor, now: datetime
) -> OwnEssential:
    """Change what is given of one; without a difference nothing is written."""
    before = await _lock(work.connection, number, expected)
    content = _checked(EssentialCreate.model_validate(_plain(before) | wanted.model_dump(exclude_unset=True)))
    await _check_name(work.connection, content.name, number)
    after = structs.replace(before, **content.model_dump())
    if after != before:
        values = (content.name, content.use, content.rule_type, content.identifiers, content.paths)
        await repository.change_essential(work.connection, number, values, now)
        after = await _find(work.connection, number)
        work.audit(actor, now, "essential_changed", _target(after), _plain(before), _plain(after))
    await _warn(work, after, now)
    return _shown(after)


async def remove_essential(
    work: UnitOfWork, number: int, expected: IfMatch, actor: Actor, now: datetime
) -> None:
    """Remove one; changes may block it from then on."""
    row = await _lock(work.connection, number, expected)
    await repository.remove_essential(work.connection, number)
    work.audit(actor, now, "essential_removed", _target(row), _plain(row), None)


async def _warn(work: UnitOfWork, row: EssentialRow, now: datetime) -> None:
    """Warn about Macs that block it; to keep it that way is up to the user."""
    programs = tuple(declared(row.rule_type, identifier, row.paths) for identifier in row.identifiers)
    guard = await guarding.prepare_for(work, [Lifeline(row.name, row.use, programs)], now)
    await guard.tell_present()


def _checked(wanted: EssentialCreate) -> EssentialCreate:
    """Return it in the form that is stored: identifiers as Santa has them, each once."""
    name = wanted.name.strip()
    if not name:
        raise wrong_field("name", "A name needs at least one visible character")
    identifiers = []
    for identifier in wanted.identifiers:
        canonical = check_identifier(wanted.rule_type, identifier, field="identifiers")
        if canonical not in identifiers:
            identifiers.append(canonical)
    return wanted.model_copy(
        update={
            "name": name,
            "use": wanted.use.strip(),
            "identifiers": identifiers,
            "paths": list(dict.fromkeys(wanted.paths)),
        }
    )


async def _check_name(connection: Connection, name: str, but: int | None) -> None:
    if await repository.name_taken(connection, name, but):
        raise Conflict("There is already an essential with this name")


async def _find(connection: Connection, number: int, *, lock: bool = False) -> EssentialRow:
    row = await repository.find_essential(connection, number, lock=lock)
    if row is None:
        raise NotFound("There is no such essential; it may have been removed")
    return row


async def _lock(connection: Connection, number: int, expected: IfMatch) -> EssentialRow:
    """Return one that nobody else changes until the end of the transaction, if it is this version."""
    row = await _find(connection, number, lock=True)
    await check(connection, expected, Version("essential", row.id, _plain(row), _shown(row)))
    return row


def _shown(row: EssentialRow) -> OwnEssential:
    etag = entity_tag("essential", row.id, *_plain(row).values())
    return OwnEssential(**structs.asdict(row), etag=etag)


def _plain(row: EssentialRow) -> dict[str, Any]:
    """Return what can be changed of one, by the names of the audit log."""
    return {name: getattr(row, name) for name in EssentialCreate.model_fields}


def _target(row: EssentialRow) -> Target:
    return "essential", str(row.id)
