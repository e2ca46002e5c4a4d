"""Rules that were removed, and how many Macs have confirmed that they no longer hold them."""

from datetime import UTC, datetime, timedelta
from typing import cast

from santaserver.db import Connection
from santaserver.inputs import MAX_ROW_ID
from santaserver.paging import Page, decode_cursor, encode_cursor
from santaserver.policy.targets import Policy, RuleType
from santaserver.rules import repository
from santaserver.rules.progress import LayerProgress
from santaserver.rules.repository import RemovedRow
from santaserver.rules.schemas import RemovedRule
from santaserver.scope import Scope

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
LATEST = datetime(9000, 1, 1, tzinfo=UTC)


async def list_removed(
    connection: Connection, scope: Scope, cursor: str | None, limit: int
) -> Page[RemovedRule]:
    """Return a page of removed rules, the one removed last first."""
    rows = await repository.removed_rules(connection, scope, _before(cursor), limit + 1)
    page = rows[:limit]
    following = None
    if len(rows) > limit:
        last = page[-1]
        following = encode_cursor(((last.removed_at - EPOCH) // MICROSECOND, last.id))
    progress = await repository.progress(connection, {row.layer_id for row in page})
    return Page(items=[_show(row, progress[row.layer_id]) for row in page], next_cursor=following)


def _before(cursor: str | None) -> tuple[datetime, int]:
    key = decode_cursor(cursor, (int, int))
    if key is None:
        return LATEST, MAX_ROW_ID
    at, number = map(int, key)
    return EPOCH + min(at, (LATEST - EPOCH) // MICROSECOND) * MICROSECOND, number


def _show(row: RemovedRow, progress: LayerProgress) -> RemovedRule:
    # A rule that never came into force was on no Mac: nothing is left to remove.
    gone = row.closed_seq
    return RemovedRule(
        id=row.id,
        layer=row.layer,
        rule_type=cast("RuleType", row.rule_type),
        identifier=row.identifier,
        policy=cast("Policy", row.policy),
        comment=row.comment,
        removed_at=row.removed_at,
        machines_acked=progress.total if gone is None else progress.confirmed(gone),
        machines_total=progress.total,
    )
