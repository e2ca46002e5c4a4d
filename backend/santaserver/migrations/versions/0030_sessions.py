"""Sessions have a number, an address and a browser; whatever ends one is told to all workers."""

from alembic import op

revision = "0030"
down_revision = "0020"
branch_labels = None
depends_on = None

STATEMENTS = (
    """alter table user_session
         add column id bigint generated always as identity unique,
         add column address text not null default '',
         add column user_agent text not null default ''""",
    "create index login_failure_age on login_failure (last_failure_at)",
    """create function santaserver_session_changed() returns trigger language plpgsql as $$
       begin
         perform pg_notify('santaserver_session', '');
         return null;
       end $$""",
    """create trigger session_ended after delete on user_session
         for each row execute function santaserver_session_changed()""",
    """create trigger session_shortened after update of expires_at on user_session
         for each row when (new.expires_at < old.expires_at)
         execute function santaserver_session_changed()""",
    """create trigger session_user_changed
         after delete or update of username, display_name, role, password_hash, disabled_at on app_user
         for each row execute function santaserver_session_changed()""",
)


def upgrade() -> None:
    """Add the columns and the triggers."""
    for statement in STATEMENTS:
        op.execute(statement)
