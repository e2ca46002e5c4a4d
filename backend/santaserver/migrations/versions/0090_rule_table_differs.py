"""Since when a Mac's rule table is not what it should be, and what its counts should have been."""

from alembic import op

revision = "0090"
down_revision = "0080"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; nothing is known of the time before."""
    op.execute(
        """alter table machine_sync add column drift_since timestamptz,
             add column expected_counts integer[]
               check (expected_counts is null or cardinality(expected_counts) = 5)"""
    )
