"""What each policy number stands for: when, by whom, why, and what in short."""

from alembic import op

revision = "0110"
down_revision = "0100"
branch_labels = None
depends_on = None

STATEMENTS = (
    """create table policy_change (
         seq bigint primary key check (seq > 0),
         at timestamptz not null,
         actor_kind text not null
           check (actor_kind in ('user', 'token', 'schedule', 'command_line', 'enrollment')),
         actor_id bigint references app_user on delete set null,
         actor_name text not null,
         kind text not null check (kind <> ''),
         reason text not null,
         request_id text not null,
         summary jsonb not null check (jsonb_typeof(summary) = 'object')
       )""",
    "create index policy_change_at on policy_change (at)",
    "comment on table policy_change is 'One row for each number of policy_head; older numbers have none.'",
)


def upgrade() -> None:
    """Make the table; nothing is known of earlier numbers."""
    for statement in STATEMENTS:
        op.execute(statement)
