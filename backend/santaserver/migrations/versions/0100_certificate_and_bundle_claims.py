"""Names of certificates and facts of bundles are claims of Macs too, like signatures."""

from alembic import op

revision = "0100"
down_revision = "0090"
branch_labels = None
depends_on = None

NEWLINE = "E'\\n'"


def claims(name: str, key: str, kind: str, table: str, columns: str) -> tuple[str, ...]:
    """Return the two tables of claims: the versions, and for each Mac the one that it reported."""
    return (
        f"""create table {name} (
              {key} {kind} not null references {table},
              digest bytea not null check (octet_length(digest) = 16),
              {columns},
              claimed_at timestamptz not null,
              primary key ({key}, digest)
            )""",
        f"""create table {name}_machine (
              {key} {kind} not null,
              machine_id bigint not null references machine on delete cascade,
              digest bytea not null,
              primary key ({key}, machine_id),
              foreign key ({key}, digest) references {name}
            )""",
        f"create index {name}_machine_id on {name}_machine (machine_id)",
        f"comment on table {name} is 'What Macs claim; {table} holds what most of them do.'",
        f"comment on table {name}_machine is 'Which Macs claim it, one claim for each; some are enough.'",
    )


def digest(*columns: str) -> str:
    """Return the expression that tells claims apart; `claim_store._digest` computes the same."""
    texts = f"array[{', '.join(columns)}]"
    return f"substr(sha256(convert_to(array_to_string({texts}, {NEWLINE}, ''), 'UTF8')), 1, 16)"


CERTIFICATE = digest(
    "cn",
    "org",
    "ou",
    "extract(epoch from valid_from)::bigint::text",
    "extract(epoch from valid_until)::bigint::text",
)
BUNDLE = digest("bundle_id", "bundle_name", "bundle_version", "bundle_hash")

STATEMENTS = (
    "alter table executable_witness rename to executable_claim_machine",
    "alter index executable_witness_machine rename to executable_claim_machine_id",
    *claims(
        "certificate_claim",
        "sha256",
        "text",
        "certificate",
        """cn text not null, org text not null, ou text not null,
              valid_from timestamptz, valid_until timestamptz""",
    ),
    *claims(
        "executable_bundle_claim",
        "executable_id",
        "bigint",
        "executable",
        """bundle_id text not null, bundle_name text not null,
              bundle_version text not null, bundle_hash text not null""",
    ),
    *claims("bundle_claim", "hash", "text", "bundle", "binary_count integer not null"),
    """alter table bundle drop column bundle_id, drop column name, drop column path, drop column version""",
    # What is stored was reported by the first Mac that reported the program.
    f"""insert into certificate_claim
        select sha256, {CERTIFICATE}, cn, org, ou, valid_from, valid_until, now() from certificate""",  # noqa: S608
    """insert into certificate_claim_machine
       select distinct on (k.sha256) k.sha256, m.machine_id, k.digest
       from executable_claim c cross join lateral unnest(c.signing_chain) chain(sha256)
       join certificate_claim k using (sha256)
       join executable_claim_machine m on m.executable_id = c.executable_id and m.digest = c.digest
       order by k.sha256, c.executable_id, m.machine_id""",
    f"""insert into executable_bundle_claim
        select id, {BUNDLE}, bundle_id, bundle_name, bundle_version, bundle_hash, first_seen_at
        from executable""",  # noqa: S608
    """insert into executable_bundle_claim_machine
       select distinct on (c.executable_id) c.executable_id, m.machine_id, c.digest
       from executable_bundle_claim c join executable_claim_machine m using (executable_id)
       order by c.executable_id, m.machine_id""",
    f"""insert into bundle_claim
        select hash, {digest("binary_count::text")}, binary_count, first_seen_at
        from bundle where binary_count > 0""",  # noqa: S608
    """insert into bundle_claim_machine
       select distinct on (c.hash) c.hash, m.machine_id, c.digest
       from bundle_claim c join bundle_binary b on b.bundle_hash = c.hash
       join executable_claim_machine m on m.executable_id = b.executable_id
       order by c.hash, b.executable_id, m.machine_id""",
)


def upgrade() -> None:
    """Make the tables and begin with what is known."""
    for statement in STATEMENTS:
        op.execute(statement)
