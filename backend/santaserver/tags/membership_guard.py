"""Asks the lock-out guard about changes of who has a tag."""

from collections.abc import Collection
from datetime import datetime

from msgspec import structs

from santaserver.policy import guard_repository, guarding
from santaserver.policy.guard import MacClass, Move
from santaserver.policy.guarding import Guarding
from santaserver.policy.predicate import holds
from santaserver.tags import repository
from santaserver.tags.repository import TagRow
from santaserver.tags.schemas import TagContent
from santaserver.turns import Turns
from santaserver.unit_of_work import UnitOfWork

AT_ONCE = 500
"""Macs that are read at a time."""


async def prepare(work: UnitOfWork, tag: TagRow, now: datetime) -> Guarding:
    """Return the check of a change of a tag's members; a tag without rules and settings changes nothing."""
    if not (tag.rules or tag.settings):
        return guarding.nothing(work, now)
    guard = await guarding.prepare_all(work, now)
    await guard.before()
    return guard


async def class_of(work: UnitOfWork, guard: Guarding, machine: int) -> MacClass | None:
    """Return the class of a Mac, if the check has to know it."""
    return await guard_repository.class_of_mac(work.connection, machine) if guard.concerned else None


async def check_one(
    work: UnitOfWork, guard: Guarding, machine: int, name: str, before: MacClass | None
) -> None:
    """Refuse a membership of one Mac that would block what it needs; the membership is stored already."""
    after = await class_of(work, guard, machine)
    if before is not None and after is not None and after != before:
        move = Move(before, after)
        await guard.check_members([move], {move: [name]}, "tag_id")


async def check_definition(work: UnitOfWork, guard: Guarding, tag: TagRow, content: TagContent) -> None:
    """Refuse a definition of a tag that would block what Macs need that join or leave it."""
    classes = await guard.every_class()
    moves = [Move(one, MacClass(one.layers ^ {tag.layer}, one.code)) for one in classes]
    worse = guard.worse(moves)
    if not worse:
        return
    members = await _moving(work, guard.view.layers, {move.before.key: move for move in worse}, tag, content)
    await guard.check_members(worse, members, "predicate")
    if content.predicate or content.groups or content.enrollments:
        others = [one for one in worse if tag.layer in one.after.layers and one not in members]
        await guard.warn_of_members([structs.replace(one, source=-tag.layer) for one in others])


async def _moving(
    work: UnitOfWork, deciding: Collection[int], moves: dict[str, Move], tag: TagRow, content: TagContent
) -> dict[Move, list[str]]:
    """Return the Macs of these classes that a definition makes join or leave the tag."""
    found: dict[Move, list[str]] = {}
    groups = [name.casefold() for name in content.groups]
    predicate = (content.predicate or "").strip()
    after, turns = 0, Turns()
    while rows := await repository.macs_by_class(
        work.connection, deciding, list(moves), tag.id, content.enrollments, after, AT_ONCE
    ):
        for row in rows:
            move = moves[row.key]
            known = row.member or any(name.casefold() in groups for name in row.facts.groups)
            member = known or bool(predicate and holds(predicate, row.facts))
            if member != (tag.layer in move.before.layers):
                found.setdefault(move, []).append(row.facts.hostname or row.facts.machine_id)
            await turns.pause()
        after = rows[-1].id
    return found
