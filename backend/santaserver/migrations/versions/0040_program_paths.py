"""Where else a program was seen: searches find it by every name and path, not only by the first."""

from alembic import op

revision = "0040"
down_revision = "0030"
branch_labels = None
depends_on = None

STATEMENTS = (
    """create table executable_path (
         executable_id bigint not null references executable,
         digest bytea not null check (octet_length(digest) = 16),
         file_path text not null,
         file_name text not null,
         primary key (executable_id, digest)
       )""",
    "comment on table executable_path is 'Names and paths of a program beside those in executable.'",
    """insert into executable_path
       select executable_id, decode(md5(file_path || '/' || file_name), 'hex'), file_path, file_name
       from (select e.*, row_number() over (partition by executable_id) as place
             from (select distinct executable_id, file_path, file_name from event) e
             join executable x on x.id = e.executable_id
             where (e.file_path, e.file_name) <> (x.file_path, x.file_name)) found
       where place <= 64 on conflict do nothing""",
)


def upgrade() -> None:
    """Make the table and fill it from the events that are there."""
    for statement in STATEMENTS:
        op.execute(statement)
