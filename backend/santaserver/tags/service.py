"""Makes, changes, orders and removes tags; adds and removes members."""

from datetime import datetime
from typing import Any

from msgspec import Struct

from santaserver.audit import Actor, Target
from santaserver.db import Connection
from santaserver.errors import ChangeNote, Conflict, NotFound, wrong_field
from santaserver.inputs import UNSTORABLE, is_storable
from santaserver.live.messages import MachineChange, MachineChanged
from santaserver.outbox import changed_in_bulk, message
from santaserver.paging import decode_cursor
from santaserver.policy import guard_repository, guarding, member_log, tag_log
from santaserver.policy.change import Change, policy_change
from santaserver.policy.layer_ranks import MANUAL
from santaserver.policy.predicate import PredicateError, check_predicate, holds
from santaserver.preconditions import IfMatch
from santaserver.reads import ItemPage, page_of
from santaserver.rules.service import remove_layers_rules
from santaserver.scope import Scope
from santaserver.stale import Version, check, refusal
from santaserver.sync_settings.service import remove_layers_settings
from santaserver.tags import member_repository, membership_guard, repository
from santaserver.tags.asking import (
    ask_before_change,
    ask_before_membership,
    ask_before_order,
    ask_before_removal,
)
from santaserver.tags.impact import count_affected, moved
from santaserver.tags.items import member_of, tag_of
from santaserver.tags.member_repository import MemberChange
from santaserver.tags.repository import TagRow
from santaserver.tags.schemas import (
    MAX_TAGS,
    Membership,
    PredicateResult,
    PresentOrder,
    Tag,
    TagContent,
    TagOrderImpact,
    TagPatch,
    TagUpdate,
)
from santaserver.tags.version import STATE, membership_etag, order_etag, tag_etag, tag_state
from santaserver.turns import Turns
from santaserver.unit_of_work import UnitOfWork

NO_MACHINE = "There is no such machine"
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
    _check_predicate(content.predicate)
    async with policy_change(work, actor, now, "tag", reason) as change:
        await _check(connection, content, None)
        order = await repository.tag_order(connection)
        if len(order) >= MAX_TAGS:
            raise Conflict(f"There are {len(order)} tags already, and there cannot be more; remove one first")
        tag = await repository.add_tag(connection, _stored(content), actor.id, now)
        await repository.set_enrollments(connection, tag, content.enrollments)
        change.layers_changed()
        await repository.set_order(change, [*order, tag])
        await tag_log.store_versions(change, [tag])
        created = await _get(connection, scope, tag)
        _record(change, "created", None, created)
    return created


async def update_tag(
    work: UnitOfWork,
    scope: Scope,
    tag_id: int,
    wanted: TagUpdate | TagPatch,
    expected: IfMatch,
    actor: Actor,
    now: datetime,
) -> Tag:
    """Change a tag; Macs become or stop being members at their next preflight."""
    connection = work.connection
    if "predicate" in wanted.model_fields_set:
        _check_predicate(wanted.predicate)
    row = await _live(connection, scope, tag_id)
    known = _tag(row)
    await check(connection, expected, _version(known))
    await ask_before_change(work, row, _stored(_merged(known, wanted)), known.etag)
    async with policy_change(work, actor, now, "tag", wanted.reason) as change:
        row = await _live(connection, scope, tag_id)
        before = _tag(row)
        await check(connection, expected, _version(before))
        content = _merged(before, wanted)
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
    work: UnitOfWork,
    scope: Scope,
    tag_id: int,
    expected: IfMatch,
    actor: Actor,
    now: datetime,
    reason: str = "",
) -> None:
    """Remove a tag with all rules and settings of its layer."""
    connection = work.connection
    row = await _live(connection, scope, tag_id)
    await check(connection, expected, _version(_tag(row)))
    await ask_before_removal(work, row, _tag(row).etag)
    async with policy_change(work, actor, now, "tag", reason) as change:
        row = await _live(connection, scope, tag_id)
        before = _tag(row)
        await check(connection, expected, _version(before))
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


async def get_order(connection: Connection) -> PresentOrder:
    """Return the order of all live tags."""
    return _order(await repository.tag_order(connection))


async def order_tags(
    work: UnitOfWork,
    scope: Scope,
    tags: list[int],
    expected: IfMatch,
    actor: Actor,
    now: datetime,
    reason: str = "",
) -> tuple[list[Tag], str]:
    """Put all tags into a new order, and return them with the tag of that version.

    Raise `Conflict` unless each live one is named once.
    """
    connection = work.connection
    known = await repository.tag_order(connection)
    await check(connection, expected, Version("tag", "*", {"tags": known}, _order(known)))
    if tags != known and work.confirmation.asks:
        impact = await order_impact(connection, scope, tags)
        await ask_before_order(work, tags, impact.differing, order_etag(known))
    async with policy_change(work, actor, now, "tag_order", reason) as change:
        before = await repository.tag_order(connection)
        await check(connection, expected, Version("tag", "*", {"tags": before}, _order(before)))
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
    return await list_tags(connection, scope), order_etag(tags)


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
    wrong = _predicate_error(expression)
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


async def read_tag(connection: Connection, scope: Scope, tag_id: int) -> tuple[Struct, str]:
    """Return one live tag, and the tag of its version."""
    row = await _live(connection, scope, tag_id)
    return tag_of(row), tag_etag(row.id, tag_state(row))


async def read_members(
    connection: Connection, scope: Scope, tag_id: int, cursor: str | None, limit: int
) -> ItemPage:
    """Return a page of a tag's members."""
    key = decode_cursor(cursor, (int,))
    after = int(key[0]) if key else 0
    rows = await member_repository.read_members(connection, scope, tag_id, after, limit + 1)
    if not rows and not await member_repository.is_live(connection, scope, tag_id):
        raise NotFound(NO_TAG)
    return page_of(rows, limit, lambda row: member_of(tag_id, row), lambda row: (row["id"],))


async def get_membership(connection: Connection, scope: Scope, tag_id: int, machine_id: str) -> Membership:
    """Return whether a machine has a tag, and why."""
    machine = await member_repository.find_machine(connection, scope, machine_id)
    if machine is None:
        raise NotFound(NO_MACHINE)
    await _live(connection, scope, tag_id)
    return await _membership_of(connection, tag_id, (machine, machine_id))


async def set_member(
    work: UnitOfWork,
    scope: Scope,
    change: MemberChange,
    expected: IfMatch,
    actor: Actor,
    now: datetime,
) -> Membership:
    """Make a machine a member manually, or no longer; other sources of membership stay."""
    connection = work.connection
    tag_id, machine_id = change.tag, change.machine_id
    machine = await member_repository.lock_machine(connection, scope, machine_id)
    if machine is None:
        raise NotFound(NO_MACHINE)
    tag = await _live(connection, scope, tag_id)
    present = await _membership_of(connection, tag_id, (machine, machine_id))
    if not expected.holds(present.etag):
        rows = await member_repository.membership_changes(connection, tag_id, machine)
        changes = [
            ChangeNote(at=at, actor=name, actor_kind="user", kind=action, reason=reason, fields=["manual"])
            for at, name, action, reason in rows
        ]
        raise refusal(present.etag, present, changes)
    if present.manual != change.member:
        await ask_before_membership(work, tag, machine, present.etag, member=change.member)
        async with policy_change(work, actor, now, "membership", change.reason) as numbered:
            await _change_member(numbered, scope, change, machine)
    return await _membership_of(connection, tag_id, (machine, machine_id))


async def _change_member(change: Change, scope: Scope, wanted: MemberChange, machine: int) -> None:
    """Begin or end a manual membership, unless the guard is against it; the Mac's row is locked."""
    work = change.work
    tag = await _live(work.connection, scope, wanted.tag)
    guard = await membership_guard.prepare(work, tag, change.now)
    before = await membership_guard.class_of(work, guard, machine)
    if not await member_log.change_manual(change, tag.id, machine, member=wanted.member):
        return
    await membership_guard.check_one(work, guard, machine, wanted.machine_id, before)
    action = "added" if wanted.member else "removed"
    overridden = {"guard_overridden": True} if guard.overridden else {}
    change.sum_up(tag=tag.id, machines=1, action=action, **overridden)
    target: Target = ("machine", wanted.machine_id)
    change.audit(f"tag_member_{action}", target, after={"tag": tag.name, "tag_id": tag.id, **overridden})
    hostname = await member_repository.hostname_of(work.connection, machine)
    kind: MachineChange = "tag_added" if wanted.member else "tag_removed"
    change.tell(
        message(MachineChanged(at=change.now, machine_id=wanted.machine_id, hostname=hostname, change=kind))
    )


async def _membership_of(connection: Connection, tag_id: int, machine: tuple[int, str]) -> Membership:
    sources = await member_repository.sources_of(connection, tag_id, machine[0])
    manual = MANUAL in sources
    etag = membership_etag(tag_id, machine[1], manual=manual)
    return Membership(manual=manual, sources=sources, etag=etag)


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


def _check_predicate(text: str | None) -> None:
    """Compile a predicate, before the policy is locked."""
    predicate = (text or "").strip()
    if predicate and (wrong := _predicate_error(predicate)):
        raise wrong_field("predicate", wrong)


async def _check(connection: Connection, content: TagContent, tag_id: int | None) -> None:
    if await repository.name_taken(connection, content.name, tag_id):
        raise Conflict("There is already a tag with this name")
    if await repository.unknown_enrollments(connection, content.enrollments):
        raise wrong_field("enrollments", "There is no such enrollment")


def _predicate_error(expression: str) -> str | None:
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


def _merged(before: Tag, wanted: TagUpdate | TagPatch) -> TagContent:
    stored: dict[str, Any] = dict(zip(STATE, tag_state(before), strict=True))
    return TagContent.model_construct(
        **stored | {name: getattr(wanted, name) for name in wanted.model_fields_set}
    )


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
        etag=tag_etag(row.id, tag_state(row)),
    )


def _version(tag: Tag) -> Version:
    return Version("tag", tag.id, dict(zip(STATE, tag_state(tag), strict=True)), tag)


def _order(tags: list[int]) -> PresentOrder:
    return PresentOrder(tags=tags, etag=order_etag(tags))


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
    return tag.model_dump(mode="json", exclude={"members", "rules", "settings", "etag"}) if tag else None
