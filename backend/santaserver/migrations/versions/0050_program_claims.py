"""Who signed a program is what Macs say of it: each version of it, and which Macs said so."""

from alembic import op

revision = "0050"
down_revision = "0040"
branch_labels = None
depends_on = None

STATEMENTS = (
    """create table executable_claim (
         executable_id bigint not null references executable,
         digest bytea not null check (octet_length(digest) = 16),
         team_id text not null,
         signing_id text not null,
         cdhash text not null,
         signing_chain text[] not null,
         claimed_at timestamptz not null,
         primary key (executable_id, digest)
       )""",
    """create table executable_witness (
         executable_id bigint not null,
         machine_id bigint not null references machine on delete cascade,
         digest bytea not null,
         primary key (executable_id, machine_id),
         foreign key (executable_id, digest) references executable_claim
       )""",
    "create index executable_witness_machine on executable_witness (machine_id)",
    "create index executable_claim_cdhash on executable_claim (cdhash) where cdhash <> ''",
    "create index executable_claim_certificate on executable_claim ((signing_chain[1]))",
    "comment on table executable_claim is 'What Macs say of a signature; executable holds what most say.'",
    "comment on table executable_witness is 'Which Macs say so, one claim for each; some are enough.'",
    # What is stored was said by the first Mac that reported the program. `Word.digest` is the same.
    """insert into executable_claim
       select id, substr(sha256(convert_to(concat_ws(E'\\n', team_id, signing_id, cdhash,
           coalesce(signing_chain[1], '')), 'UTF8')), 1, 16),
         team_id, signing_id, cdhash, signing_chain, first_seen_at
       from executable""",
    """insert into executable_witness
       select c.executable_id, m.id, c.digest
       from executable_claim c
       join (select executable_id, min(id) as id from event group by 1) first using (executable_id)
       join event e on e.id = first.id join machine m on m.id = e.machine_id""",
)


def upgrade() -> None:
    """Make the tables and begin with what is known."""
    for statement in STATEMENTS:
        op.execute(statement)
