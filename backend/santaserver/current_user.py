"""The user of a request, and what this user may do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from msgspec import Struct
from pydantic import BaseModel, Field, PrivateAttr

from santaserver.audit import Actor
from santaserver.errors import FRESH_LOGIN, SESSION, Forbidden
from santaserver.permissions import PERMISSIONS, TAG_SCOPED, Permission, Role, known_permissions, known_role
from santaserver.scope import EVERYWHERE, Scope

STRONGEST = (Role.ADMIN, Role.OPERATOR, Role.APPROVER, Role.AUDITOR, Role.VIEWER, Role.REQUESTER)


FRESH = timedelta(minutes=10)
"""How long after a login, or after the password was entered again, users, roles and tokens may be changed."""
FRESH_NEEDED = (
    "Changing users, roles and tokens needs a login of the last 10 minutes: enter your password again "
    "(POST /api/v1/auth/reauthenticate), then repeat the request"
)
SESSION_NEEDED = (
    "This needs a person who is logged in: no API token can manage sessions, passwords, users or tokens"
)


@dataclass(frozen=True, slots=True)
class Access:
    """How a request was authenticated: by a session or by a token."""

    session: int | None = None
    authenticated_at: datetime | None = None
    """When the user of the session last entered a password, or came from the identity provider."""
    renews: bool = False
    """Whether the session gets another id, since what its user may do has changed."""
    token: int | None = None
    token_name: str = ""


NOBODY = Access()


class Grant(BaseModel):
    """A role of a user or a group."""

    role: str
    tag: str | None = Field(description="The tag it is limited to; null: it holds everywhere")


class HeldRole(Grant):
    """A role of a user, with where it comes from."""

    group: str | None = Field(None, description="The group whose role it is; null: the user's own")


class User(BaseModel):
    """A logged-in user."""

    id: int
    username: str
    display_name: str
    role: Role | None = Field(description="The strongest of the roles; null without one")
    roles: list[HeldRole]
    permissions: list[Permission] = Field(description="What the user may do, everywhere or for some tags")
    scopes: dict[Permission, list[str]] = Field(
        description="The permissions that hold only for some tags, with the names of these tags"
    )
    notice: str | None = Field(
        None, description="What could not be found out when the user signed in: `groups`; null for nothing"
    )
    _scopes: dict[Permission, Scope] = PrivateAttr(default_factory=dict)
    _unknown: list[str] = PrivateAttr(default_factory=list)
    _access: Access = PrivateAttr(default=NOBODY)

    @property
    def actor(self) -> Actor:
        """The user, or the token that acts in the user's name, as the actor of an audit entry."""
        access = self._access
        if access.token is None:
            return Actor(self.username, self.id)
        return Actor(f"{self.username} (token {access.token_name})", self.id, "token", access.token)

    @property
    def session(self) -> int | None:
        """The number of the session that the request belongs to; None for a token."""
        return self._access.session

    @property
    def renews(self) -> bool:
        """Whether the session has to get another id."""
        return self._access.renews

    def require_session(self) -> None:
        """Raise `Forbidden` for a token."""
        if self._access.session is None:
            raise Forbidden(SESSION_NEEDED, members={"code": SESSION})

    def require_fresh(self, now: datetime) -> None:
        """Raise `Forbidden` unless the user logged in, or entered the password again, a short time ago."""
        self.require_session()
        at = self._access.authenticated_at
        if at is None or not at - FRESH <= now < at + FRESH:
            raise Forbidden(FRESH_NEEDED, members={"code": FRESH_LOGIN})

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
        if self._access.token is not None:
            return (
                f"This needs the permission {permission}: either the token was made without it, or none of "
                f"the roles of {self.username} gives it any more"
            )
        refusal = f"This needs the permission {permission}, which none of your roles gives you"
        if self._unknown:
            names = ", ".join(self._unknown)
            return f"{refusal}; this version of SantaServer does not know the role {names}"
        if any(grant.tag is not None for grant in self.roles) and permission not in TAG_SCOPED:
            return f"{refusal}; a role that is limited to a tag cannot give it"
        return refusal


class Binding(Struct, frozen=True, array_like=True):
    """A stored role of a user."""

    role: str
    tag: int | None = None
    tag_name: str | None = None
    custom: list[str] | None = None
    """What a role that was made here grants; None for one that comes with the program."""
    from_provider: bool = False
    group: int | None = None
    group_name: str | None = None

    @property
    def permissions(self) -> frozenset[Permission] | None:
        """What the role grants; None for a role that this version does not know."""
        if self.custom is not None:
            return known_permissions(self.custom)
        role = known_role(self.role)
        return None if role is None else PERMISSIONS[role]

    @property
    def builtin(self) -> Role | None:
        """The role, when it comes with the program."""
        return known_role(self.role) if self.custom is None else None


Limit = Callable[[Permission, Scope | None], Scope | None]
"""Where a permission still holds, of where the roles grant it."""


def user_with(
    user_id: int,
    username: str,
    display_name: str,
    bindings: Sequence[Binding],
    notice: str = "",
    access: Access = NOBODY,
    limit: Limit = lambda _, scope: scope,
    names: Mapping[int, str] = MappingProxyType({}),
) -> User:
    """Return a user with what these roles grant, within a limit; unknown roles grant nothing.

    `names` are those of the tags that the limit adds.
    """
    found = granted(bindings)
    scopes = {
        permission: scope for permission in Permission if (scope := limit(permission, found.get(permission)))
    }
    known_names = dict(names)
    known_names |= {binding.tag: binding.tag_name or "" for binding in bindings if binding.tag is not None}
    roles = {binding.builtin for binding in bindings}
    user = User(
        id=user_id,
        username=username,
        display_name=display_name,
        role=next((role for role in STRONGEST if role in roles), None),
        roles=[HeldRole(role=one.role, tag=one.tag_name, group=one.group_name) for one in bindings],
        permissions=list(scopes),
        scopes={
            permission: sorted(known_names[tag] for tag in scope.tags)
            for permission, scope in scopes.items()
            if scope.tags is not None
        },
        notice=notice or None,
    )
    user._scopes = scopes  # noqa: SLF001 - the only place that makes users
    user._access = access  # noqa: SLF001
    user._unknown = sorted({one.role for one in bindings if one.permissions is None})  # noqa: SLF001
    return user


def granted_by(binding: Binding) -> Mapping[Permission, Scope]:
    """Return what one role grants, and where."""
    permissions = binding.permissions or frozenset()
    if binding.tag is None:
        return dict.fromkeys(permissions, EVERYWHERE)
    return dict.fromkeys(permissions & TAG_SCOPED, Scope(frozenset({binding.tag})))


def granted(bindings: Sequence[Binding]) -> dict[Permission, Scope]:
    """Return what roles grant together, and where."""
    scopes: dict[Permission, Scope] = {}
    for binding in bindings:
        for permission, scope in granted_by(binding).items():
            scopes[permission] = scopes[permission] | scope if permission in scopes else scope
    return scopes
