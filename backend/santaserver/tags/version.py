"""Which version of a tag, of their order or of a membership someone has seen. Pure."""

from collections.abc import Sequence
from operator import attrgetter

from santaserver.preconditions import entity_tag

STATE = ("name", "description", "predicate", "groups", "enrollments")
"""What can be changed of a tag; also the names in the audit log."""

_content = attrgetter(*STATE)


def tag_state(row: object) -> tuple[object, ...]:
    """Return the state of a row of the repository, or of what the interface shows."""
    state: tuple[object, ...] = _content(row)
    return state


def tag_etag(tag_id: int, state: Sequence[object]) -> str:
    """Return the tag of a tag's version."""
    return entity_tag("tag", tag_id, *state)


def order_etag(tags: Sequence[int]) -> str:
    """Return the tag of an order."""
    return entity_tag("tag", "*", tags)


def membership_etag(tag_id: int, machine_id: str, *, manual: bool) -> str:
    """Return the tag of a Mac's membership."""
    return entity_tag("tag_member", f"{tag_id}/{machine_id}", manual)
