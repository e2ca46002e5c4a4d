"""What the command line creates: administrators and enrollments."""

from datetime import datetime

from santaserver.audit import SYSTEM, Target
from santaserver.clock import system_clock
from santaserver.db import Database
from santaserver.enrollment.repository import NewEnrollment, add_unless_known
from santaserver.enrollment.secrets import hash_secret, new_secret
from santaserver.outbox import discard
from santaserver.settings import Settings
from santaserver.users.account_service import create_admin as create_admin_account
from santaserver.users.administrators import is_managed, lock_roles
from santaserver.users.passwords import hash_password
from santaserver.users.repository import NewUser
from santaserver.users.service import normalise_username
from santaserver.users.setup_secret import link
from santaserver.users.setup_service import first_link


async def create_admin(settings: Settings, username: str, password: str) -> None:
    """Create an administrator, or give an existing account that role and this password."""
    user = NewUser(normalise_username(username), username, hash_password(password))
    database = Database(settings.database)
    try:
        async with database.unit_of_work(discard) as work:
            await create_admin_account(work, user, SYSTEM, system_clock())
    finally:
        await database.close()


async def create_setup_link(settings: Settings) -> str | None:
    """Return a link for the first administrator; None when there is one."""
    now = system_clock()
    database = Database(settings.database)
    try:
        async with database.unit_of_work(discard) as work:
            await lock_roles(work.connection)
            if await is_managed(work.connection):
                return None
            secret = await first_link(work.connection, now)
            work.audit(SYSTEM, now, "setup_link_created", ("user", "*"))
    finally:
        await database.close()
    return link(settings.server.public_url or "https://YOUR-SERVER", secret)


async def create_enrollment(
    settings: Settings,
    label: str,
    quota: int | None = None,
    secret: str | None = None,
    now: datetime | None = None,
) -> str:
    """Create an enrollment and return its secret; an existing one with the same secret is not changed."""
    database = Database(settings.database)
    chosen = secret or new_secret()
    enrollment = NewEnrollment(
        label=label,
        quota=quota,
        serial_allowlist=None,
        expires_at=None,
        client_certificate=False,
        certificate_serial=False,
        reenroll_retired=False,
        created_at=now or system_clock(),
        created_by=None,
    )
    try:
        async with database.unit_of_work(discard) as work:
            number = await add_unless_known(work.connection, enrollment, hash_secret(chosen))
            if number is not None:
                target: Target = ("enrollment", str(number))
                after = {"label": label, "quota": quota}
                work.audit(SYSTEM, enrollment.created_at, "enrollment_created", target, None, after)
    finally:
        await database.close()
    return chosen
