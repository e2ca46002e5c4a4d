"""The times of a machine's syncs stand in machine_sync only."""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Remove the columns that nothing has written since 0010: what they said was out of date."""
    op.execute("alter table machine drop column last_preflight_at, drop column last_postflight_at")
