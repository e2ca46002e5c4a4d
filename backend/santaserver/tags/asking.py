"""Asks before a tag's rules and settings no longer reach Macs, or reach others."""

from collections.abc import Sequence

from msgspec import structs

from santaserver.confirmation import ConfirmReason
from santaserver.layers.asking import ask, loosens, out_of_lockdown
from santaserver.layers.lockdown import present_modes
from santaserver.layers.member_repository import TagDefinition, definition_of
from santaserver.layers.members import members_of_tag
from santaserver.preconditions import entity_tag
from santaserver.tags import repository
from santaserver.tags.repository import TagRow
from santaserver.tags.schemas import TagContent
from santaserver.unit_of_work import UnitOfWork


async def ask_before_removal(work: UnitOfWork, row: TagRow, etag: str) -> None:
    """Ask before a tag goes with its rules and settings."""
    if not _matters(work, row):
        return
    macs = await members_of_tag(work.connection, await definition_of(work.connection, row.id))
    modes = [mode for mode in await present_modes(work.connection) if mode.layer != row.layer]
    reasons = [await out_of_lockdown(work, modes), *await _losses(work, row, len(macs))]
    await ask(work, entity_tag("tag", row.id, etag, row.rules, row.settings), reasons, len(macs))


async def ask_before_change(work: UnitOfWork, row: TagRow, content: TagContent, etag: str) -> None:
    """Ask before Macs get or lose a tag by its new definition."""
    if not _matters(work, row):
        return
    present = await definition_of(work.connection, row.id)
    after = TagDefinition(row.id, content.predicate, content.groups, content.enrollments)
    if after == structs.replace(present, since=None):
        return
    if after.predicate == present.predicate:
        after = structs.replace(after, since=present.since)
    before = await members_of_tag(work.connection, present)
    version = entity_tag("tag", row.id, etag, content.model_dump())
    await _ask(work, row, (before, await members_of_tag(work.connection, after)), version)


async def ask_before_membership(
    work: UnitOfWork, row: TagRow, machine: int, etag: str, *, member: bool
) -> None:
    """Ask before one Mac gets or loses a tag."""
    if not _matters(work, row):
        return
    present = await definition_of(work.connection, row.id)
    before = await members_of_tag(work.connection, present, machine)
    automatic = structs.replace(present, manual=False)
    after = {machine} if member else await members_of_tag(work.connection, automatic, machine)
    await _ask(work, row, (before, after), entity_tag("tag", row.id, etag, member), only=machine)


async def ask_before_order(work: UnitOfWork, tags: Sequence[int], differing: int, etag: str) -> None:
    """Ask before the tags are in another order; `differing` Macs can get other rules or settings by it."""
    if not work.confirmation.asks:
        return
    places = await repository.ranks_in(work.connection, tags)
    modes = [
        structs.replace(mode, rank=places.get(mode.layer, mode.rank))
        for mode in await present_modes(work.connection)
    ]
    reasons = [await out_of_lockdown(work, modes)]
    await ask(work, entity_tag("tag", "*", etag, tags), reasons, differing)


async def _ask(
    work: UnitOfWork,
    row: TagRow,
    members: tuple[set[int], set[int]],
    version: str,
    *,
    only: int | None = None,
) -> None:
    before, after = members
    modes = await present_modes(work.connection)
    leaving = await out_of_lockdown(work, modes, members={row.layer: after}, only=only)
    reasons = [leaving, *await _losses(work, row, len(before - after))]
    await ask(work, version, reasons, len(before ^ after))


async def _losses(work: UnitOfWork, row: TagRow, macs: int) -> list[ConfirmReason]:
    blocking = await repository.blocking_rules(work.connection, row.layer) if macs else 0
    rules = (
        "1 rule of the tag no longer blocks"
        if blocking == 1
        else f"{blocking} rules of the tag no longer block"
    )
    return [loosens(rules, macs)] if blocking else []


def _matters(work: UnitOfWork, row: TagRow) -> bool:
    """Tell whether it makes a difference who has the tag."""
    return work.confirmation.asks and row.rules + row.settings > 0
