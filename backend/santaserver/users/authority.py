"""Nobody gives, or takes over, more than they may do themselves. Pure.

Who manages users need not be an administrator: a custom role can have `user:write`. Such a user could
otherwise become one, by giving a role, by a password for an administrator, by a token of a service account.
"""

from collections.abc import Collection, Mapping, Sequence

from santaserver.current_user import Binding, User, granted
from santaserver.errors import Forbidden
from santaserver.permissions import TAG_SCOPED, Permission
from santaserver.scope import EVERYWHERE, Scope
from santaserver.users.bindings import bindings_of
from santaserver.users.repository import UserRow

SHOWN = 5


def check_may_give(
    by: User | None, role: str, permissions: Collection[Permission], tag: int | None, tag_name: str | None
) -> None:
    """Raise `Forbidden` when a role would give more than its giver has; nobody is the command line."""
    if by is None:
        return
    given = set(permissions) if tag is None else set(permissions) & TAG_SCOPED
    where = EVERYWHERE if tag is None else Scope(frozenset({tag}))
    if missing := lacking(by, dict.fromkeys(given, where)):
        place = "everywhere" if tag_name is None else f"for the tag {tag_name}"
        raise Forbidden(
            f"You cannot give the role {role} {place}: it includes {missing}, which you do not have there"
        )


def check_not_above(by: User | None, row: UserRow) -> None:
    """Raise `Forbidden` when a user may do more than who wants to change this user."""
    check_bindings(by, row.username, bindings_of(row.all_bindings))


def check_bindings(by: User | None, name: str, bindings: Sequence[Binding]) -> None:
    """Raise `Forbidden` when roles grant more than who wants to change their holder has."""
    if by is not None and (missing := lacking(by, granted(bindings))):
        raise Forbidden(f"You cannot change {name}, who may do more than you: {missing}. Ask someone who may")


def check_may_provision(by: User) -> None:
    """Raise `Forbidden` for who may not do everything: a directory fills groups, whatever roles they have."""
    if missing := lacking(by, dict.fromkeys(Permission, EVERYWHERE)):
        raise Forbidden(
            "A SCIM token decides who is in the groups of the directory, whatever roles these have. "
            f"You cannot create or rotate one, since you do not have {missing} everywhere"
        )


def lacking(by: User, wanted: Mapping[Permission, Scope]) -> str:
    """Return the permissions that a user does not have where they are wanted; empty when there are none."""
    missing = sorted(
        permission
        for permission, scope in wanted.items()
        if (own := by.scope_of(permission)) is None or not own >= scope
    )
    rest = len(missing) - SHOWN
    return ", ".join(missing[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")
