"""Whom to ask about a blocked program, as the public page says."""

from alembic import op

revision = "0080"
down_revision = "0050"
branch_labels = None
depends_on = None

STATEMENTS = (
    """create table blocked_contact (
         only_row boolean primary key default true check (only_row),
         text text not null default '',
         url text not null default ''
       )""",
    "comment on table blocked_contact is 'Whom the public page about blocked programs names. A single row.'",
    "insert into blocked_contact default values",
)


def upgrade() -> None:
    """Make the row, empty."""
    for statement in STATEMENTS:
        op.execute(statement)
