"""What the command line creates: administrators and enrollments."""

from datetime import datetime

from sqlalchemy.dialects.postgresql import insert

from santaserver.clock import system_clock
from santaserver.db import Database
from santaserver.enrollment.secrets import hash_secret, new_secret
from santaserver.models import EnrollmentRow
from santaserver.outbox import discard
from santaserver.settings import Settings
from santaserver.users.passwords import hash_password
from santaserver.users.repository import upsert_user
from santaserver.users.service import normalise_username


async def create_admin(settings: Settings, username: str, password: str) -> None:
    """Create an administrator, or give an existing account that role and this password."""
    database = Database(settings.database)
    try:
        async with database.session(discard) as session:
            hashed = hash_password(password)
            await upsert_user(session, normalise_username(username), username, "admin", hashed)
    finally:
        await database.close()


async def create_enrollment(
    settings: Settings,
    label: str,
    quota: int | None = None,
    secret: str | None = None,
    now: datetime | None = None,
) -> str:
    """Create an enrollment and return its secret; one with the same secret stays as it is."""
    database = Database(settings.database)
    chosen = secret or new_secret()
    try:
        async with database.session(discard) as session:
            statement = insert(EnrollmentRow).values(
                label=label, quota=quota, secret_hash=hash_secret(chosen), created_at=now or system_clock()
            )
            await session.execute(statement.on_conflict_do_nothing())
    finally:
        await database.close()
    return chosen
