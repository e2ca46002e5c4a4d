"""Rules that were removed, and how many Macs have confirmed that they no longer hold them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, cast

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.inputs import MAX_ROW_ID
from santaserver.layers.repository import layer_name
from santaserver.models import AppUser, Layer, Machine, Rule, RuleVersion, Tag
from santaserver.paging import Page, decode_cursor, encode_cursor
from santaserver.policy.targets import Policy, RuleType
from santaserver.rules import repository
from santaserver.rules.repository import Progress
from santaserver.rules.schemas import RemovedRule

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
LATEST = datetime(9000, 1, 1, tzinfo=UTC)


class _Row(NamedTuple):
    rule: Rule
    version: RuleVersion
    author: str | None
    layer: str
    removed_at: datetime


async def list_removed(session: AsyncSession, cursor: str | None, limit: int) -> Page[RemovedRule]:
    """Return a page of removed rules, the one removed last first."""
    rows = await _rows(session, _before(cursor), limit + 1)
    page = rows[:limit]
    following = None
    if len(rows) > limit:
        last = page[-1]
        following = encode_cursor(((last.removed_at - EPOCH) // MICROSECOND, last.rule.id))
    progress = await repository.progress(session, {row.rule.layer_id for row in page})
    return Page(items=[_show(row, progress[row.rule.layer_id]) for row in page], next_cursor=following)


def _before(cursor: str | None) -> tuple[datetime, int]:
    key = decode_cursor(cursor, (int, int))
    if key is None:
        return LATEST, MAX_ROW_ID
    at, number = map(int, key)
    return EPOCH + min(at, (LATEST - EPOCH) // MICROSECOND) * MICROSECOND, number


async def _rows(session: AsyncSession, before: tuple[datetime, int], limit: int) -> Sequence[_Row]:
    last = (
        select(func.max(RuleVersion.id))
        .where(RuleVersion.rule_id == Rule.id)
        .correlate(Rule)
        .scalar_subquery()
    )
    query = (
        select(Rule, RuleVersion, AppUser.username, layer_name(), Rule.removed_at)
        .select_from(Rule)
        .join(RuleVersion, RuleVersion.id == last)
        .join(Layer, Layer.id == Rule.layer_id)
        .outerjoin(Tag, Tag.id == Layer.tag_id)
        .outerjoin(Machine, Machine.id == Layer.machine_id)
        .outerjoin(AppUser, AppUser.id == Rule.created_by)
        .where(Rule.removed_at.is_not(None), tuple_(Rule.removed_at, Rule.id) < tuple_(*before))
        .order_by(Rule.removed_at.desc(), Rule.id.desc())
        .limit(limit)
    )
    return [_Row(*row[:4], cast("datetime", row[4])) for row in await session.execute(query)]


def _show(row: _Row, progress: Progress) -> RemovedRule:
    rule, version = row.rule, row.version
    total, acked = progress
    # A rule that never came into force was on no Mac: nothing is left to remove.
    gone = version.closed_seq
    confirmed = total if gone is None else sum(number for seq, number in acked if seq >= gone)
    return RemovedRule(
        id=rule.id,
        layer=row.layer,
        rule_type=cast("RuleType", rule.rule_type),
        identifier=rule.identifier,
        policy=cast("Policy", version.policy),
        comment=rule.comment,
        removed_at=row.removed_at,
        machines_acked=confirmed,
        machines_total=total,
    )
