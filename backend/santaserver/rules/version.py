"""Which version of a rule someone has seen. Pure."""

from collections.abc import Sequence
from operator import attrgetter

from santaserver.preconditions import entity_tag

STATE = (
    "policy",
    "cel_expr",
    "custom_msg",
    "custom_url",
    "comment",
    "locked",
    "starts_at",
    "expires_at",
    "seq",
)
"""What can be changed of a rule, and the number of that change; also the names in the audit log."""

_content = attrgetter(*STATE[:-1], "opened_seq")


def rule_state(row: object) -> tuple[object, ...]:
    """Return the state of a row of the repository."""
    state: tuple[object, ...] = _content(row)
    return state


def rule_etag(rule_id: int, state: Sequence[object]) -> str:
    """Return the tag of a rule's version."""
    return entity_tag("rule", rule_id, *state)
