"""Entity tags and `If-Match`: a change is made to the version that its author has seen, or not at all. Pure.

RFC 9110, 13.1.1: tags are compared strongly, so a weak one never matches; of a list, one match is enough; `*`
stands for whatever is there now. A tag names what can be changed of an object. Counts that follow from syncs,
such as the Macs that confirmed a rule, are not part of it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import msgspec

from santaserver.errors import BadRequest, PreconditionRequired

MAX_HEADER = 4000
"""Characters."""

_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_LIST = re.compile(rf"[ \t]*(?:,[ \t]*)*{_TAG}(?:[ \t]*,[ \t]*(?:{_TAG})?)*[ \t]*")
_ONE = re.compile(_TAG)
_encode = msgspec.json.Encoder(order="deterministic").encode


@dataclass(frozen=True, slots=True)
class IfMatch:
    """The versions that a request may change; None: any."""

    tags: frozenset[str] | None

    def holds(self, etag: str) -> bool:
        """Tell whether a version is one of them."""
        return self.tags is None or etag in self.tags


ANY = IfMatch(None)
"""For the server's own work and the command line."""


def entity_tag(kind: str, name: int | str, *state: object) -> str:
    """Return the tag of one object with this state, as the header has it; equal states have equal tags."""
    return f'"{blake2b(_encode((kind, name, state)), digest_size=12).hexdigest()}"'


def if_match(lines: Sequence[str]) -> IfMatch:
    """Read the lines of the header; raise a problem when there are none, or when they are malformed."""
    if not lines:
        raise PreconditionRequired(
            "The request does not say which version it changes. Send the header If-Match with the `etag` of "
            "the object as you read it (a GET returns it, lists too), so that nobody else's change is lost"
        )
    text = ",".join(lines)
    if text.strip(" \t") == "*":
        return ANY
    if len(text) > MAX_HEADER or _LIST.fullmatch(text) is None:
        raise BadRequest(
            'If-Match is malformed: it has to be the `etag` of an object with its quotes, such as "5f3a…", '
            "a list of such tags, or *"
        )
    return IfMatch(frozenset(_ONE.findall(text)))
