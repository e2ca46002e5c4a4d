"""The user of a request, and what this user may do."""

from collections.abc import Sequence

from pydantic import BaseModel, Field, PrivateAttr

from santaserver.audit import Actor
from santaserver.errors import Forbidden
from santaserver.permissions import PERMISSIONS, TAG_SCOPED, Permission, Role, known_role
from santaserver.scope import EVERYWHERE, Scope, joined

STRONGEST = (Role.ADMIN, Role.OPERATOR, Role.APPROVER, Role.AUDITOR, Role.VIEWER, Role.REQUESTER)


class Grant(BaseModel):
    """A role of a user."""

    role: str
    tag: str | None = Field(description="The tag it is limited to; null: it holds everywhere")


class User(BaseModel):
    """A logged-in user."""

    id: int
    username: str
    display_name: str
    role: Role | None = Field(description="The strongest of the roles; null without one")
    roles: list[Grant]
    permissions: list[Permission] = Field(description="What the user may do, everywhere or for some tags")
    scopes: dict[Permission, list[str]] = Field(
        description="The permissions that hold only for some tags, with the names of these tags"
    )
    notice: str | None = Field(
        None, description="What could not be found out when the user signed in: `groups`; null for nothing"
    )
    _scopes: dict[Permission, Scope] = PrivateAttr(default_factory=dict)
    _unknown: list[str] = PrivateAttr(default_factory=list)

    @property
    def actor(self) -> Actor:
        """The user as the actor of an audit entry."""
        return Actor(self.username, self.id)

    def may(self, permission: Permission) -> bool:
        """Tell whether the user has a permission everywhere."""
        scope = self.scope_of(permission)
        return scope is not None and scope.everywhere

    def scope_of(self, permission: Permission) -> Scope | None:
        """Return where a permission holds; None: nowhere."""
        return self._scopes.get(permission)

    def require(self, permission: Permission, *, everywhere: bool = False) -> Scope:
        """Return where a permission holds; raise `Forbidden` when that is not enough."""
        scope = self.scope_of(permission)
        if scope is None:
            raise Forbidden(self._refusal(permission))
        if everywhere and not scope.everywhere:
            tags = ", ".join(self.scopes.get(permission, []))
            raise Forbidden(
                f"This concerns the whole fleet, and you have the permission {permission} only for {tags}"
            )
        return scope

    def _refusal(self, permission: Permission) -> str:
        refusal = f"This needs the permission {permission}, which none of your roles gives you"
        if self._unknown:
            names = ", ".join(self._unknown)
            return f"{refusal}; this version of SantaServer does not know the role {names}"
        if any(grant.tag is not None for grant in self.roles) and permission not in TAG_SCOPED:
            return f"{refusal}; a role that is limited to a tag cannot give it"
        return refusal


class Binding(BaseModel):
    """A stored role of a user."""

    role: str
    tag: int | None
    tag_name: str | None


def user_with(
    user_id: int, username: str, display_name: str, bindings: Sequence[Binding], notice: str = ""
) -> User:
    """Return a user with what these roles grant; unknown roles grant nothing."""
    known = [(role, binding) for binding in bindings if (role := known_role(binding.role))]
    scopes = {
        permission: scope
        for permission in Permission
        if (scope := joined(_granted(role, binding, permission) for role, binding in known))
    }
    names = {binding.tag: binding.tag_name or "" for binding in bindings if binding.tag is not None}
    roles = {role for role, _ in known}
    user = User(
        id=user_id,
        username=username,
        display_name=display_name,
        role=next((role for role in STRONGEST if role in roles), None),
        roles=[Grant(role=binding.role, tag=binding.tag_name) for binding in bindings],
        permissions=list(scopes),
        scopes={
            permission: sorted(names[tag] for tag in scope.tags)
            for permission, scope in scopes.items()
            if scope.tags is not None
        },
        notice=notice or None,
    )
    user._scopes = scopes  # noqa: SLF001 - the only place that makes users
    user._unknown = sorted({binding.role for binding in bindings if known_role(binding.role) is None})  # noqa: SLF001
    return user


def _granted(role: Role, binding: Binding, permission: Permission) -> Scope:
    if permission not in PERMISSIONS[role]:
        return Scope(frozenset())
    if binding.tag is None:
        return EVERYWHERE
    return Scope(frozenset({binding.tag})) if permission in TAG_SCOPED else Scope(frozenset())
