"""Tags as lists write them. Pure."""

from msgspec import Struct

from santaserver.policy.layer_ranks import MANUAL
from santaserver.reads import Row, item_of
from santaserver.tags.repository import TagRow
from santaserver.tags.schemas import Tag, TagMember
from santaserver.tags.version import membership_etag, tag_etag, tag_state

_tag_member = item_of(TagMember)
_tag = item_of(Tag)

PLAIN = (
    "name",
    "description",
    "predicate",
    "groups",
    "enrollments",
    "id",
    "members",
    "rules",
    "settings",
    "created_at",
    "position",
)


def tag_of(row: TagRow) -> Struct:
    """Make one of a stored tag."""
    values = {name: getattr(row, name) for name in PLAIN}
    return _tag(**values, layer=f"tag:{row.name}", etag=tag_etag(row.id, tag_state(row)))


def member_of(tag_id: int, row: Row) -> Struct:
    """Make one of a row of a tag's members."""
    machine_id, _, sources, _ = row[:4]
    return _tag_member(*row[:4], membership_etag(tag_id, machine_id, manual=MANUAL in sources))
