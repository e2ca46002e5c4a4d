"""Tags as lists write them; the fields are those of schemas.py. Pure."""

from datetime import datetime

from msgspec import Struct

from santaserver.reads import Row


class TagItem(Struct):
    """As `schemas.Tag`."""

    name: str
    description: str
    predicate: str | None
    groups: list[str]
    enrollments: list[int]
    id: int
    layer: str
    position: int
    members: int
    rules: int
    settings: int
    created_at: datetime


class TagMemberItem(Struct):
    """As `schemas.TagMember`."""

    machine_id: str
    hostname: str
    sources: list[str]
    joined_at: datetime


def tag_of(row: Row, position: int) -> TagItem:
    """Make one of a row of the repository."""
    return TagItem(
        name=row["name"],
        description=row["description"],
        predicate=row["predicate"],
        groups=row["groups"],
        enrollments=row["enrollments"] or [],
        id=row["id"],
        layer=f"tag:{row['name']}",
        position=position,
        members=row["members"],
        rules=row["rules"],
        settings=row["settings"],
        created_at=row["created_at"],
    )
