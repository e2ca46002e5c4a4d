"""Makes, changes, orders and removes tags; adds and removes members."""

from datetime import datetime
from typing import Any

from msgspec import Struct

from santaserver.audit import Actor, Target
from santaserver.db import Connection
from santaserver.errors import Conflict, NotFound, wrong_field
from santaserver.inputs import UNSTORABLE, is_storable
from santaserver.outbox import changed_in_bulk
from santaserver.paging import decode_cursor
from santaserver.policy import guard_repository, guarding, tag_log
from santaserver.policy.change import Change, policy_change
from santaserver.policy.predicate import PredicateError, check_predicate, holds
from santaserver.reads import ItemPage, page_of
from santaserver.rules.service import remove_layers_rules
from santaserver.scope import Scope
from santaserver.sync_settings.service import remove_layers_settings
from santaserver.tags import member_repository, membership_guard, repository
from santaserver.tags.impact import count_affected, moved
from santaserver.tags.items import tag_member, tag_of
from santaserver.tags.member_repository import MemberChange
from santaserver.tags.repository import TagRow
from santaserver.tags.schemas import PredicateResult, Tag, TagContent, TagOrderImpact
from santaserver.turns import Turns
from santaserver.unit_of_work import UnitOfWork

NO_TAG = "There is no such tag; it may have been removed"
TRIED = 1000
"""Macs that a predicate is tried on."""
EXAMPLES = 5


async def list_tags(connection: Connection, scope: Scope) -> list[Tag]:
    """Return live tags in their order, the lowest first."""
    return [_tag(row) for row in await repository.list_tags(connection, scope)]


async def create_tag(
    work: UnitOfWork, scope: Scope, content: TagContent, actor: Actor, now: datetime, reason: str = ""
) -> Tag:
    """Add a tag above all others."""
    connection = work.connection
    _check_predicate(content)
    async with policy_change(work, actor, now, "tag", reason) as change:
        await _check(connection, content, None)
        tag = await repository.add_tag(connection, _stored(content), actor.id, now)
        await repository.set_enrollments(connection, tag, content.enrollments)
        change.layers_changed()
        await repository.set_order(change, await repository.tag_order(connection))
        await tag_log.store_versions(change, [tag])
        created = await _get(connection, scope, tag)
        _record(change, "created", None, created)
    return created


async def update_tag(
    work: UnitOfWork,
    scope: Scope,
    tag_id: int,
    content: TagContent,
    actor: Actor,
    now: datetime,
    reason: str = "",
) -> Tag:
    """Change a tag; Macs become or stop being members at their next preflight."""
    connection = work.connection
    _check_predicate(content)
    async with policy_change(work, actor, now, "tag", reason) as change:
        row = await _live(connection, scope, tag_id)
        before = _tag(row)
        await _check(connection, content, tag_id)
        guard = await membership_guard.prepare(work, row, now)
        await membership_guard.check_definition(work, guard, row, content)
        guard.record(change)
        await repository.change_tag(connection, tag_id, _stored(content))
        await repository.set_enrollments(connection, tag_id, content.enrollments)
        after = await _get(connection, scope, tag_id)
        if _membership(after) != _membership(before):
            change.layers_changed()
        if _plain(after) != _plain(before):
            await tag_log.store_versions(change, [tag_id])
            _record(change, "changed", before, after)
    return after


async def remove_tag(
    work: UnitOfWork, scope: Scope, tag_id: int, actor: Actor, now: datetime, reason: str = ""
) -> None:
    """Remove a tag with all rules and settings of its layer."""
    connection = work.connection
    async with policy_change(work, actor, now, "tag", reason) as change:
        row = await _live(connection, scope, tag_id)
        before = _tag(row)
        guard = await membership_guard.prepare(work, row, now)
        rules = await remove_layers_rules(change, row.layer)
        settings = await remove_layers_settings(change, row.layer)
        await repository.remove_tag(change, row)
        await tag_log.close_version(change, tag_id)
        work.accounts_changed = True  # roles that were limited to it are gone
        change.layers_changed()
        await guard.check(change, [row.layer], field="tag_id")
        change.sum_up(rules=rules, settings=settings)
        _record(change, "removed", before, None, rules=rules, settings=settings)
        if rules:
            change.tell(changed_in_bulk(now))


async def order_tags(
    work: UnitOfWork, scope: Scope, tags: list[int], actor: Actor, now: datetime, reason: str = ""
) -> list[Tag]:
    """Put all tags into a new order; raise `Conflict` unless each live one is named once."""
    connection = work.connection
    async with policy_change(work, actor, now, "tag_order", reason) as change:
        before = await repository.tag_order(connection)
        _check_whole(tags, before)
        if tags != before:
            guard = await guarding.prepare_all(work, now)
            await guard.before()
            await repository.set_order(change, tags)
            await guard.check(
                change, await guard_repository.layers_of_tags(connection, moved(before, tags)), field="tags"
            )
            change.layers_changed()
            change.sum_up(tags=len(tags))
            change.audit("tags_ordered", ("tag", "*"), {"tags": before}, {"tags": tags})
    return await list_tags(connection, scope)


async def order_impact(connection: Connection, scope: Scope, tags: list[int]) -> TagOrderImpact:
    """Return how many Macs another order would affect; changes nothing."""
    rows = await repository.list_tags(connection, scope)
    _check_whole(tags, [row.id for row in rows])
    before = {row.layer: row.rank for row in rows}
    places = {tag: place for place, tag in enumerate(tags)}
    after = {row.layer: places[row.id] for row in rows}
    pairs = await repository.rivals(connection, sorted(before))
    machines = await repository.machines_by_layers(connection)
    concerned, differing = count_affected(machines, before, after, pairs)
    return TagOrderImpact(machines=concerned, differing=differing)


async def try_predicate(connection: Connection, predicate: str) -> PredicateResult:
    """Check a predicate and return which of the Macs that synced last it matches."""
    expression = predicate.strip()
    wrong = _predicate_mistake(expression)
    if wrong:
        return PredicateResult(error=wrong, tried=0, matching=0, examples=[])
    machines = await repository.newest_machines(connection, TRIED)
    members, turns = [], Turns()
    for facts in machines:
        if holds(expression, facts):
            members.append(facts)
        await turns.pause()
    return PredicateResult(
        error=None,
        tried=len(machines),
        matching=len(members),
        examples=[facts.hostname or facts.machine_id for facts in members[:EXAMPLES]],
    )


async def read_tags(connection: Connection, scope: Scope) -> list[Struct]:
    """Return live tags in their order, the lowest first, for a list."""
    return [tag_of(row) for row in await repository.list_tags(connection, scope)]


async def read_tag(connection: Connection, scope: Scope, tag_id: int) -> Struct:
    """Return one live tag."""
    return tag_of(await _live(connection, scope, tag_id))


async def read_members(
    connection: Connection, scope: Scope, tag_id: int, cursor: str | None, limit: int
) -> ItemPage:
    """Return a page of a tag's members."""
    key = decode_cursor(cursor, (int,))
    after = int(key[0]) if key else 0
    rows = await member_repository.read_members(connection, scope, tag_id, after, limit + 1)
    if not rows and not await member_repository.is_live(connection, scope, tag_id):
        raise NotFound(NO_TAG)
    return page_of(rows, limit, lambda row: tag_member(*row[:4]), lambda row: (row["id"],))


async def set_member(
    work: UnitOfWork, scope: Scope, change: MemberChange, actor: Actor, now: datetime
) -> None:
    """Make a machine a member manually, or no longer; other sources of membership stay."""
    machine = await member_repository.lock_machine(work.connection, scope, change.machine_id)
    if machine is None:
        raise NotFound("There is no such machine")
    tag = await _live(work.connection, scope, change.tag)
    guard = await membership_guard.prepare(work, tag, now)
    before = await membership_guard.class_of(work, guard, machine)
    if await member_repository.change_member(work.connection, change, machine, actor.id, now):
        await membership_guard.check_one(work, guard, machine, change.machine_id, before)
        action = "tag_member_added" if change.member else "tag_member_removed"
        told: dict[str, object] = {"tag": tag.name, "tag_id": tag.id}
        told |= {"guard_overridden": True} if guard.overridden else {}
        target: Target = ("machine", change.machine_id)
        work.audit(actor, now, action, target, after=told, reason=change.reason)


def _check_whole(tags: list[int], present: list[int]) -> None:
    if sorted(tags) != sorted(present):
        raise Conflict("The order must list every tag once; tags may have changed since it was read")


async def _live(connection: Connection, scope: Scope, tag_id: int) -> TagRow:
    row = await repository.find_tag(connection, scope, tag_id)
    if row is None:
        raise NotFound(NO_TAG)
    return row


async def _get(connection: Connection, scope: Scope, tag_id: int) -> Tag:
    return _tag(await _live(connection, scope, tag_id))


def _check_predicate(content: TagContent) -> None:
    """Compile a predicate, before the policy is locked."""
    predicate = (content.predicate or "").strip()
    if predicate and (wrong := _predicate_mistake(predicate)):
        raise wrong_field("predicate", wrong)


async def _check(connection: Connection, content: TagContent, tag_id: int | None) -> None:
    if await repository.name_taken(connection, content.name, tag_id):
        raise Conflict("There is already a tag with this name")
    if await repository.unknown_enrollments(connection, content.enrollments):
        raise wrong_field("enrollments", "There is no such enrollment")


def _predicate_mistake(expression: str) -> str | None:
    if not expression:
        return "The expression is empty"
    if not is_storable(expression):
        return UNSTORABLE
    try:
        check_predicate(expression)
    except PredicateError as error:
        return f"Invalid expression: {error}"
    return None


def _stored(content: TagContent) -> TagContent:
    return content.model_copy(update={"predicate": (content.predicate or "").strip() or None})


def _membership(tag: Tag) -> tuple[object, ...]:
    return (tag.predicate, tag.groups, tag.enrollments)


def _tag(row: TagRow) -> Tag:
    return Tag(
        id=row.id,
        name=row.name,
        description=row.description,
        predicate=row.predicate,
        groups=row.groups,
        enrollments=row.enrollments,
        layer=f"tag:{row.name}",
        position=row.position,
        members=row.members,
        rules=row.rules,
        settings=row.settings,
        created_at=row.created_at,
    )


def _record(change: Change, action: str, before: Tag | None, after: Tag | None, **lost: object) -> None:
    """Add an audit entry; `lost` is what was removed together with a tag."""
    shown = after or before
    if shown is not None:
        change.sum_up(tag=shown.id, action=action)
        plain = _plain(before)
        change.audit(
            f"tag_{action}",
            ("tag", str(shown.id)),
            plain if plain is None else plain | lost,
            _plain(after),
        )


def _plain(tag: Tag | None) -> dict[str, Any] | None:
    return tag.model_dump(mode="json", exclude={"members", "rules", "settings"}) if tag else None
