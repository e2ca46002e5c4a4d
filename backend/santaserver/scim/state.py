"""What the directory has provisioned, for the console."""

from santaserver.db import Connection
from santaserver.scim.token_schemas import ScimState
from santaserver.settings import Settings

PREFIX = "/scim/v2"
OBJECT_ID = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"


async def current(connection: Connection, settings: Settings) -> ScimState:
    """Return where the directory has to send people and groups, and how many it has sent."""
    rows = await connection.fetch(
        """select count(*), count(*) filter (where u.deprovisioned_at is null),
             (select count(*) from scim_group),
             count(*) filter (where $2 and coalesce(s.external_id, '') !~ $1)
           from scim_user s join app_user u on u.id = s.user_id where s.removed_at is null""",
        OBJECT_ID,
        bool(settings.identity.tenant_id),
    )
    users, active, groups, unlinked = rows[0]
    return ScimState(
        url=settings.server.public_url.rstrip("/") + PREFIX,
        users=users,
        active_users=active,
        groups=groups,
        unlinked_users=unlinked,
    )
