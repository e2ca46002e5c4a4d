"""Roles in the REST interface."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from santaserver.inputs import Input, Text
from santaserver.permissions import Permission

RoleName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}$")]
NAME = "Latin letters, digits, spaces, dots, hyphens and underscores; case does not tell roles apart"
Description = Annotated[Text, Field(max_length=500)]


class RoleCreate(Input):
    """A role to make."""

    name: RoleName = Field(description=NAME)
    description: Description = ""
    permissions: list[Permission] = Field(
        min_length=1, max_length=100, description="Only what its maker has everywhere"
    )


class RoleUpdate(Input):
    """What to change of a role; what is left out, or null, stays."""

    name: RoleName | None = Field(None, description=NAME)
    description: Description | None = None
    permissions: list[Permission] | None = Field(
        None,
        min_length=1,
        max_length=100,
        description="All of them: others are taken from those who have the role",
    )


class RoleInfo(BaseModel):
    """A role, with what it grants."""

    id: int | None = Field(description="Null for a role that comes with the program and cannot be changed")
    name: str
    description: str
    permissions: list[Permission]
    unknown: list[str] = Field(
        description="Stored permissions that this version does not know, and does not grant"
    )
    users: int = Field(description="How many users have it themselves")
    groups: int
    created_at: datetime | None = Field(description="Null for a role that comes with the program")
    created_by: str | None
    etag: str = Field(description="For `If-Match`; empty for a role that comes with the program")


class PermissionInfo(BaseModel):
    """One kind of right."""

    name: Permission
    meaning: str
    tag_scoped: bool = Field(description="Whether a role that is limited to a tag grants it, for this tag")


class RoleList(BaseModel):
    """All roles, and all permissions that roles are made of."""

    items: list[RoleInfo]
    permissions: list[PermissionInfo]
