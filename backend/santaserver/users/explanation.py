"""What a user may do, and why. Pure, but for reading the user."""

from typing import Literal

from pydantic import BaseModel, Field

from santaserver.current_user import Binding, granted, granted_by
from santaserver.permissions import MEANING, TAG_SCOPED, Permission
from santaserver.users.bindings import bindings_of
from santaserver.users.repository import UserRow

Origin = Literal["own", "provider", "group"]


class Reason(BaseModel):
    """A role that grants a permission."""

    role: str
    custom: bool = Field(description="Whether the role was made here")
    tag: str | None = Field(description="The tag that limits it; null: it holds everywhere")
    through: Origin = Field(
        description="`own`: given to the user here; `provider`: by the identity provider at the last sign-in "
        "(an app role, or a group by `OIDC_GROUP_ROLES`); `group`: to a group of the user"
    )
    group: str | None = Field(description="The name of this group")
    group_id: int | None


class HeldPermission(BaseModel):
    """A permission, where it holds, and why."""

    permission: Permission
    meaning: str
    everywhere: bool
    tags: list[str] = Field(description="Where it holds, unless it holds everywhere")
    reasons: list[Reason]


class MissingPermission(BaseModel):
    """A permission that a user does not have."""

    permission: Permission
    meaning: str
    why: str


class PermissionExplanation(BaseModel):
    """What a user may do and why, as of now."""

    user_id: int
    username: str
    enabled: bool = Field(description="Whether the user can log in; if not, nothing of this is in force")
    permissions: list[HeldPermission]
    missing: list[MissingPermission]
    without_effect: list[str] = Field(description="Roles that this version does not know: they grant nothing")


def explain(row: UserRow) -> PermissionExplanation:
    """Return what a user may do and why."""
    bindings = bindings_of(row.all_bindings)
    held = [one for one in (_held(permission, bindings) for permission in Permission) if one is not None]
    have = {one.permission for one in held}
    missing = [
        MissingPermission(permission=one, meaning=MEANING[one], why=_why_not(one, bindings))
        for one in Permission
        if one not in have
    ]
    return PermissionExplanation(
        user_id=row.id,
        username=row.username,
        enabled=row.enabled,
        permissions=held,
        missing=missing,
        without_effect=sorted({one.role for one in bindings if one.permissions is None}),
    )


def _held(permission: Permission, bindings: list[Binding]) -> HeldPermission | None:
    scope = granted(bindings).get(permission)
    if scope is None:
        return None
    names = {one.tag: one.tag_name or "" for one in bindings}
    return HeldPermission(
        permission=permission,
        meaning=MEANING[permission],
        everywhere=scope.everywhere,
        tags=[] if scope.tags is None else sorted(names[tag] for tag in scope.tags),
        reasons=[_reason(one) for one in bindings if permission in granted_by(one)],
    )


def _reason(binding: Binding) -> Reason:
    through: Origin = "provider" if binding.from_provider else "own"
    return Reason(
        role=binding.role,
        custom=binding.custom is not None,
        tag=binding.tag_name,
        through="group" if binding.group is not None else through,
        group=binding.group_name,
        group_id=binding.group,
    )


def _why_not(permission: Permission, bindings: list[Binding]) -> str:
    """Say why none of the roles grants a permission."""
    if not bindings:
        return "The user has no role"
    limited = [
        one for one in bindings if permission in (one.permissions or ()) and permission not in TAG_SCOPED
    ]
    if limited:
        role = limited[0]
        return f"It concerns the whole installation, and {role.role} is limited to the tag {role.tag_name}"
    return "None of the roles includes it"
