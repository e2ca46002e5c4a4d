"""Tags as lists write them. Pure."""

from msgspec import Struct

from santaserver.reads import item_of
from santaserver.tags.repository import TagRow
from santaserver.tags.schemas import Tag, TagMember

tag_member = item_of(TagMember)
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
    return _tag(**values, layer=f"tag:{row.name}")
