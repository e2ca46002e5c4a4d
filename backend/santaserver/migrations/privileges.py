"""What the server's own role may do in the database, where another role owns the schema.

`DATABASE_OWNER_URL` separates the two: the owner migrates, the role of `DATABASE_URL` reads and writes rows.
That one can neither make nor drop tables, nor change or remove entries of the audit log: a function of the
owner's appends them, as others make and drop the daily partitions of events.
"""

import logging
from collections.abc import Mapping, Sequence

import asyncpg

log = logging.getLogger(__name__)

ROWS = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})
LIMITED: Mapping[str, frozenset[str]] = {
    "audit_head": frozenset({"SELECT"}),
    "audit_leaf": frozenset({"SELECT"}),
    # What may have to be erased one day is deleted; the log holds its hash.
    "audit_detail": frozenset({"SELECT", "DELETE"}),
    "audit_log": frozenset({"SELECT"}),
    "audit_checkpoint": frozenset({"SELECT", "INSERT"}),
    "schema_version": frozenset({"SELECT"}),
}
"""Tables of which the server may do less than read and write rows."""
ALL = (*sorted(ROWS), "TRUNCATE", "REFERENCES", "TRIGGER")

HELD = """select c.relname as name, array(
    select p from unnest($2::text[]) p where has_table_privilege($1, c.oid, p)) as held,
  pg_has_role($1, c.relowner, 'USAGE') as owned
from pg_class c
where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p', 'v')
  and (not c.relispartition or pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT')
order by 1"""
"""Tables and views; a day's partition is reached through its table only."""


class PrivilegeError(Exception):
    """The two roles of the database are not apart; the message says what to do."""


def wanted(table: str) -> frozenset[str]:
    """Return the privileges that the server needs on a table."""
    return LIMITED.get(table, ROWS)


def statements(role: str, schema: str, held: Mapping[str, frozenset[str]]) -> Sequence[str]:
    """Return what gives `role` exactly what it needs, nothing where it has that; both names are quoted."""
    wrong = [table for table in held if held[table] != wanted(table)]
    if not wrong:
        return ()
    found = [
        f"revoke all on schema {schema} from public",
        f"grant usage on schema {schema} to {role}",
        f"grant usage on all sequences in schema {schema} to {role}",
        f"revoke execute on all functions in schema {schema} from public",
        f"grant execute on all functions in schema {schema} to {role}",
    ]
    for table in wrong:
        found += [
            f"revoke all on {schema}.{table} from {role}, public",
            f"grant {', '.join(sorted(wanted(table)))} on {schema}.{table} to {role}",
        ]
    return found


async def login_role(dsn: str, connect_timeout: float) -> str:
    """Return the role that an address logs in as."""
    connection = await asyncpg.connect(dsn, timeout=connect_timeout)
    try:
        name: str = await connection.fetchval("select session_user")
    finally:
        await connection.close()
    return name


async def grant(connection: asyncpg.Connection, role: str) -> None:
    """Give `role` what the server needs and no more, inside of a transaction; raise `PrivilegeError`."""
    owner, schema = await connection.fetchrow("select current_user, current_schema()")
    if role == owner:
        raise PrivilegeError(
            f"DATABASE_OWNER_URL and the server's address both log in as {role}: give the server a role of "
            "its own, or leave DATABASE_OWNER_URL unset"
        )
    if await connection.fetchval("select rolsuper from pg_roles where rolname = $1", role):
        raise PrivilegeError(f"the server's role {role} is a superuser: alter role {role} nosuperuser")
    held = await _held(connection, role)
    for statement in statements(_quoted(role), _quoted(schema), held):
        await connection.execute(statement)
    _check(await _held(connection, role), role)


async def _held(connection: asyncpg.Connection, role: str) -> dict[str, frozenset[str]]:
    rows = await connection.fetch(HELD, role, list(ALL))
    owned = [row["name"] for row in rows if row["owned"]]
    if owned:
        raise PrivilegeError(
            f"the server's role {role} owns {owned[0]} and {len(owned) - 1} other tables, or is a member of "
            f"the role that does: as a superuser, reassign owned by {role} to the role of "
            "DATABASE_OWNER_URL, and revoke the membership"
        )
    return {row["name"]: frozenset(row["held"]) for row in rows}


def _check(held: Mapping[str, frozenset[str]], role: str) -> None:
    for table, has in held.items():
        if has != wanted(table):
            more = ", ".join(sorted(has - wanted(table))).lower()
            raise PrivilegeError(
                f"the server's role {role} may {more} {table} by another role it is a member of: revoke that"
            )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
