"""The roles that a request names, as bindings store them."""

from collections.abc import Sequence

from santaserver.current_user import User
from santaserver.db import Connection
from santaserver.errors import wrong_field
from santaserver.roles.repository import FoundRole, roles_by_name
from santaserver.users.account_schemas import RoleGrant
from santaserver.users.authority import check_may_give
from santaserver.users.binding_repository import StoredRole, tags_by_name


async def resolved(connection: Connection, wanted: Sequence[RoleGrant], by: User | None) -> list[StoredRole]:
    """Return roles with the ids of their tags, each once; refuse what the giver does not have."""
    names = [grant.tag for grant in wanted if grant.tag is not None]
    tags = await tags_by_name(connection, names) if names else {}
    unknown = sorted({name for name in names if name.lower() not in tags})
    if unknown:
        raise wrong_field("roles", f"There is no tag {', '.join(unknown)}")
    roles = await roles_by_name(connection, {grant.role for grant in wanted})
    unknown = sorted({grant.role for grant in wanted if grant.role.lower() not in roles})
    if unknown:
        raise wrong_field("roles", f"There is no role {', '.join(unknown)}")
    found: dict[StoredRole, None] = {}
    for grant in wanted:
        role = roles[grant.role.lower()]
        tag = None if grant.tag is None else tags[grant.tag.lower()]
        check_may_give(by, role.name, role.permissions, tag, grant.tag)
        found[_stored(role, tag)] = None
    return list(found)


def _stored(role: FoundRole, tag: int | None) -> StoredRole:
    return StoredRole(role.role, role.custom, tag)
