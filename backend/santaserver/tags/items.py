"""Tags as lists write them. Pure."""

from msgspec import Struct

from santaserver.reads import Row, item_of
from santaserver.tags.schemas import Tag, TagMember

tag_member = item_of(TagMember)
_tag = item_of(Tag)

PLAIN = ("name", "description", "predicate", "groups", "id", "members", "rules", "settings", "created_at")


def tag_of(row: Row, position: int) -> Struct:
    """Make one of a row of the repository, which has a column for each plain field."""
    return _tag(
        **{name: row[name] for name in PLAIN},
        enrollments=row["enrollments"] or [],
        layer=f"tag:{row['name']}",
        position=position,
    )
