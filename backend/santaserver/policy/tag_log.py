"""The definitions of tags in the policy log: what a tag was called, and who its members were to be."""

from collections.abc import Sequence

from santaserver.policy.change import Change

CLOSE = "update tag_version set closed_seq = $2 where tag_id = any($1) and closed_seq is null"
OPEN = """
insert into tag_version (tag_id, name, description, predicate, groups, enrollments, opened_seq)
select t.id, t.name, t.description, t.predicate, t.groups,
  array(select e.enrollment_id from tag_enrollment e where e.tag_id = t.id order by e.enrollment_id), $2
from tag t where t.id = any($1) order by t.id
"""


async def store_versions(change: Change, tags: Sequence[int]) -> None:
    """Log what these tags have become by this change; their rows are written already."""
    seq = change.take_number()
    await change.connection.execute(CLOSE, tags, seq)
    await change.connection.execute(OPEN, tags, seq)


async def close_version(change: Change, tag: int) -> None:
    """Log that a tag is removed by this change."""
    await change.connection.execute(CLOSE, [tag], change.take_number())
