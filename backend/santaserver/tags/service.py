"""Makes, changes, orders and removes tags; adds and removes members."""

from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.current_user import User
from santaserver.db import Connection
from santaserver.errors import Conflict, NotFound, wrong_field
from santaserver.inputs import UNSTORABLE, is_storable
from santaserver.models import Tag as Row
from santaserver.paging import decode_cursor
from santaserver.policy.head import layers_changed, lock_policy, next_seq
from santaserver.policy.predicate import MachineFacts, PredicateError, check_predicate, holds
from santaserver.reads import ItemPage, page_of
from santaserver.rules.service import remove_layers_rules
from santaserver.sync_settings.service import remove_layers_settings
from santaserver.tags import repository
from santaserver.tags.impact import count_affected
from santaserver.tags.items import tag_member, tag_of
from santaserver.tags.repository import TagRow
from santaserver.tags.schemas import PredicateResult, Tag, TagContent, TagOrderImpact
from santaserver.turns import Turns
from santaserver.users.repository import audit

NO_TAG = "There is no such tag; it may have been removed"
TRIED = 1000
"""Macs that a predicate is tried on."""
EXAMPLES = 5


async def list_tags(session: AsyncSession) -> list[Tag]:
    """Return live tags in their order, the lowest first."""
    rows = await repository.list_tags(session)
    return [_tag(row, position) for position, row in enumerate(rows, 1)]


async def get_tag(session: AsyncSession, tag_id: int) -> Tag:
    """Return one live tag."""
    tag = next((tag for tag in await list_tags(session) if tag.id == tag_id), None)
    if tag is None:
        raise NotFound(NO_TAG)
    return tag


async def create_tag(session: AsyncSession, content: TagContent, user: User, now: datetime) -> Tag:
    """Add a tag above all others."""
    await lock_policy(session)
    await _check(session, content, None)
    row = Row(**_columns(content), created_at=now, created_by=user.id)
    await repository.add_tag(session, row)
    await repository.set_enrollments(session, row.id, content.enrollments)
    await layers_changed(session)
    tags = [present.tag.id for present in await repository.list_tags(session)]
    await repository.set_order(session, tags, await next_seq(session), user.id, now)
    created = await get_tag(session, row.id)
    _record(session, user, now, "created", None, created)
    return created


async def update_tag(
    session: AsyncSession, tag_id: int, content: TagContent, user: User, now: datetime
) -> Tag:
    """Change a tag; Macs become or stop being members at their next preflight."""
    await lock_policy(session)
    before = await get_tag(session, tag_id)
    await _check(session, content, tag_id)
    row = (await _live(session, tag_id)).tag
    for name, value in _columns(content).items():
        setattr(row, name, value)
    await session.flush()
    await repository.set_enrollments(session, tag_id, content.enrollments)
    await layers_changed(session)
    after = await get_tag(session, tag_id)
    if _membership(after) != _membership(before):
        await next_seq(session)  # no Mac is up to date before it has been asked again
    if after != before:
        _record(session, user, now, "changed", before, after)
    return after


async def remove_tag(session: AsyncSession, tag_id: int, user: User, now: datetime) -> None:
    """Take a tag out of use with all rules and settings of its layer."""
    await lock_policy(session)
    before = await get_tag(session, tag_id)
    row = await _live(session, tag_id)
    seq = await next_seq(session)
    await remove_layers_rules(session, row.layer, seq, user, now)
    await remove_layers_settings(session, row.layer, seq)
    await repository.remove_tag(session, row, user.id, now)
    await layers_changed(session)
    _record(session, user, now, "removed", before, None)


async def order_tags(session: AsyncSession, tags: list[int], user: User, now: datetime) -> list[Tag]:
    """Put all tags into a new order; raise `Conflict` unless each live one is named once."""
    await lock_policy(session)
    before = [row.tag.id for row in await _whole_order(session, tags)]
    if tags != before:
        seq = await next_seq(session)
        await repository.set_order(session, tags, seq, user.id, now)
        await layers_changed(session)
        actor = (user.id, user.username)
        audit(session, actor, now, "tags_ordered", ("tag", "*"), {"tags": before}, {"tags": tags}, seq)
    return await list_tags(session)


async def order_impact(session: AsyncSession, tags: list[int]) -> TagOrderImpact:
    """Say how many Macs another order would concern; changes nothing."""
    rows = await _whole_order(session, tags)
    before = {row.layer: row.rank for row in rows}
    after = {row.layer: tags.index(row.tag.id) for row in rows}
    pairs = await repository.rivals(session, sorted(before))
    machines = await repository.machines_by_layers(session)
    concerned, differing = count_affected(machines, before, after, pairs)
    return TagOrderImpact(machines=concerned, differing=differing)


async def try_predicate(session: AsyncSession, predicate: str) -> PredicateResult:
    """Check a predicate and say which of the Macs that synced last it would hold for."""
    expression = predicate.strip()
    wrong = _predicate_mistake(expression)
    if wrong:
        return PredicateResult(error=wrong, tried=0, matching=0, examples=[])
    machines = await repository.newest_machines(session, TRIED)
    members, turns = [], Turns()
    for row in machines:
        if holds(expression, MachineFacts.of(row)):
            members.append(row)
        await turns.pause()
    return PredicateResult(
        error=None,
        tried=len(machines),
        matching=len(members),
        examples=[row.hostname or row.machine_id for row in members[:EXAMPLES]],
    )


async def read_tags(connection: Connection) -> list[Struct]:
    """Return live tags in their order, the lowest first, for a list."""
    return [tag_of(row, position) for position, row in enumerate(await repository.read_tags(connection), 1)]


async def read_tag(connection: Connection, tag_id: int) -> Struct:
    """Return one live tag."""
    for position, row in enumerate(await repository.read_tags(connection), 1):
        if row["id"] == tag_id:
            return tag_of(row, position)
    raise NotFound(NO_TAG)


async def read_members(connection: Connection, tag_id: int, cursor: str | None, limit: int) -> ItemPage:
    """Return a page of a tag's members."""
    key = decode_cursor(cursor, (int,))
    after = int(key[0]) if key else 0
    rows = await repository.read_members(connection, tag_id, after, limit + 1)
    if not rows and not await repository.is_live(connection, tag_id):
        raise NotFound(NO_TAG)
    return page_of(rows, limit, lambda row: tag_member(*row[:4]), lambda row: (row["id"],))


async def set_member(
    session: AsyncSession, tag_id: int, machine_id: str, user: User, now: datetime, *, member: bool
) -> None:
    """Make a machine a member manually, or no longer; other sources of membership stay."""
    machine = await repository.lock_machine(session, machine_id)
    if machine is None:
        raise NotFound("There is no such machine")
    tag = (await _live(session, tag_id)).tag
    change = repository.join if member else repository.leave
    if await change(session, tag_id, machine[0], user.id, now):
        action = "tag_member_added" if member else "tag_member_removed"
        audit(
            session,
            (user.id, user.username),
            now,
            action,
            ("machine", machine_id),
            None,
            {"tag": tag.name, "tag_id": tag_id},
        )


async def _whole_order(session: AsyncSession, tags: list[int]) -> list[TagRow]:
    """Return the live tags in their present order; raise `Conflict` unless `tags` names each once."""
    rows = await repository.list_tags(session)
    if sorted(tags) != sorted(row.tag.id for row in rows):
        raise Conflict("The order must list every tag once; tags may have changed since it was read")
    return rows


async def _live(session: AsyncSession, tag_id: int) -> TagRow:
    row = await repository.find_tag(session, tag_id)
    if row is None:
        raise NotFound(NO_TAG)
    return row


async def _check(session: AsyncSession, content: TagContent, tag_id: int | None) -> None:
    if await repository.name_taken(session, content.name, tag_id):
        raise Conflict("There is already a tag with this name")
    predicate = (content.predicate or "").strip()
    if predicate and (wrong := _predicate_mistake(predicate)):
        raise wrong_field("predicate", wrong)
    if await repository.unknown_enrollments(session, content.enrollments):
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


def _columns(content: TagContent) -> dict[str, Any]:
    return {
        "name": content.name,
        "description": content.description,
        "predicate": (content.predicate or "").strip() or None,
        "groups": content.groups,
    }


def _membership(tag: Tag) -> tuple[object, ...]:
    return (tag.predicate, tag.groups, tag.enrollments)


def _tag(row: TagRow, position: int) -> Tag:
    tag = row.tag
    return Tag(
        id=tag.id,
        name=tag.name,
        description=tag.description,
        predicate=tag.predicate,
        groups=tag.groups,
        enrollments=list(row.enrollments),
        layer=f"tag:{tag.name}",
        position=position,
        members=row.members,
        rules=row.rules,
        settings=row.settings,
        created_at=tag.created_at,
    )


def _record(
    session: AsyncSession, user: User, now: datetime, action: str, before: Tag | None, after: Tag | None
) -> None:
    shown = after or before
    if shown is None:
        return
    actor, target = (user.id, user.username), ("tag", str(shown.id))
    audit(session, actor, now, f"tag_{action}", target, _plain(before), _plain(after))


def _plain(tag: Tag | None) -> dict[str, Any] | None:
    return tag.model_dump(mode="json", exclude={"members", "rules", "settings"}) if tag else None
