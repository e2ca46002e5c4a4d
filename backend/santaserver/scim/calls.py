"""What a request to `/scim/v2` is, and what it is answered with."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct, field

from santaserver.audit import Actor, RequestInfo
from santaserver.scim.values import Resource
from santaserver.state import AppState


class Call(Struct, frozen=True):
    """One request of a client whose token is valid."""

    state: AppState
    method: str
    parts: tuple[str, ...]
    """Of the path, below `/scim/v2`."""
    parameters: Mapping[str, str]
    fields: Mapping[str, str]
    """Header fields, names in lower case."""
    body: Any
    base: str
    """The address of `/scim/v2`."""
    actor: Actor
    token: int
    info: RequestInfo
    now: datetime


class Answer(Struct, frozen=True):
    """A response; without a resource it has no body."""

    status: int
    resource: Resource | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
