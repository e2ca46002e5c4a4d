"""The role that servers log in as: what it may not do, and that it stays apart from the owner's.

All other tests' servers use this role too, so what it needs is proved by them.
"""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime

import asyncpg
import pytest

from santaserver.migrations import runner
from santaserver.migrations.files import MigrationError
from santaserver.migrations.privileges import ROWS, statements, wanted
from tests.support.postgres import OWNER, REPOSITORY, SERVER, Cluster, as_server, execute, fetch, value
from tests.support.server import RunningServer

LEAF = "select count(*) from audit_leaf"
ODD = 'o\'b "server"; drop'
"""Name of a role."""
ODD_URL = "o%27b%20%22server%22%3B%20drop"


@pytest.fixture
def empty(cluster: Cluster) -> Iterator[str]:
    """A database without tables."""
    name = cluster.create()
    yield cluster.dsn(name)
    cluster.drop(name)


@pytest.fixture
def other(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A further role, made with these options."""
    role, admin = "other_server", cluster.dsn("postgres")
    execute(admin, f"create role {role} login {request.param}")
    yield role
    execute(admin, f"drop role {role}")


def migrate(dsn: str, server: str) -> None:
    asyncio.run(runner.migrate(dsn, server))


def as_role(dsn: str, role: str) -> str:
    return dsn.replace(f"//{OWNER}@", f"//{role}@")


@pytest.mark.parametrize(
    "statement",
    [
        "update audit_leaf set entry = '{}'",
        "delete from audit_leaf",
        "truncate audit_leaf cascade",
        "insert into audit_leaf (seq, entry, root) values (99, '{}', sha256(''))",
        "update audit_head set size = 0, edge = '{}'",
        "update audit_detail set details = '{}'",
        "insert into audit_detail (seq, salt, details) values (99, '', '{}')",
        "update audit_checkpoint set size = 0",
        "delete from audit_checkpoint",
        "update schema_version set checksum = ''",
        "alter table audit_leaf disable trigger append_only",
        "drop trigger append_only on audit_leaf",
        "create or replace function audit_head() returns bigint language sql as 'select 1'",
        "set session_replication_role = replica",
        f"set role {OWNER}",
        "create table mine ()",
        "create schema mine",
        "drop table rule_version",
        "alter table machine add column mine text",
        "truncate rule_version cascade",
        "create trigger mine after insert on machine execute function audit_is_append_only()",
        "create role mine",
        "copy machine to program 'true'",
        "select pg_read_file('/etc/passwd')",
    ],
)
def test_the_servers_role_cannot(dsn: str, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        execute(as_server(dsn), statement)


def test_a_temporary_table_does_not_stand_in_for_the_log(dsn: str) -> None:
    before = value(dsn, LEAF)

    async def append() -> None:
        connection = await asyncpg.connect(as_server(dsn))
        try:
            await connection.execute(
                "create temp table audit_leaf (seq bigint, entry text, root bytea);"
                "create temp table audit_head as select * from public.audit_head"
            )
            await connection.execute("select audit_append($1, $2, $3)", ['{"at": "x"}'], [bytes(16)], ["{}"])
            assert await connection.fetchval("select count(*) from pg_temp.audit_leaf") == 0
        finally:
            await connection.close()

    asyncio.run(append())
    assert value(dsn, LEAF) == before + 1


def test_the_servers_role_makes_and_drops_partitions_of_events_only(dsn: str) -> None:
    server, day = as_server(dsn), datetime(2031, 2, 3, tzinfo=UTC).date()
    for table in ("event", "file_access_event"):
        execute(server, "select event_partition_create($1, $2)", table, day)
        assert value(dsn, f"select to_regclass('{table}_20310203')") is not None
        execute(server, "select event_partition_drop($1, $2)", table, day)
        assert value(dsn, f"select to_regclass('{table}_20310203')") is None
    for table in ("rule_version", 'event"; drop table rule_version; --', "pg_class", ""):
        for function in ("event_partition_create", "event_partition_drop"):
            with pytest.raises(asyncpg.RaiseError, match="there are no events in"):
                execute(server, f"select {function}($1, $2)", table, day)


def test_nobody_else_may_anything(dsn: str, cluster: Cluster) -> None:
    execute(cluster.dsn("postgres"), "create role stranger login")
    try:
        stranger = as_role(dsn, "stranger")
        for statement in ("select from public.machine", "select public.audit_append('{}', '{}', '{}')"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                execute(stranger, statement)
    finally:
        execute(cluster.dsn("postgres"), "drop role stranger")


def test_a_second_run_and_several_at_once_change_nothing(dsn: str) -> None:
    acl = "select relname, relacl::text from pg_class where relnamespace = 'public'::regnamespace order by 1"
    before = fetch(dsn, acl)

    async def many() -> None:
        await asyncio.gather(*(runner.migrate(dsn, as_server(dsn)) for _ in range(4)))

    asyncio.run(many())
    assert fetch(dsn, acl) == before


def test_what_was_given_by_hand_is_taken_away_again(dsn: str) -> None:
    execute(dsn, f"grant update, delete on audit_leaf to {SERVER}; grant all on rule_version to public")
    execute(dsn, f"revoke delete on machine from {SERVER}")
    migrate(dsn, as_server(dsn))
    held = """select privilege_type from information_schema.role_table_grants
        where grantee = $1 and table_name = $2"""
    assert [row["privilege_type"] for row in fetch(dsn, held, SERVER, "audit_leaf")] == ["SELECT"]
    assert {row["privilege_type"] for row in fetch(dsn, held, SERVER, "machine")} == ROWS
    assert fetch(dsn, held, "PUBLIC", "rule_version") == []


def test_a_new_table_is_the_servers_to_use(dsn: str) -> None:
    execute(
        dsn, "create table later (id bigint generated always as identity); create view seen as table later"
    )
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        execute(as_server(dsn), "insert into later default values")
    migrate(dsn, as_server(dsn))
    execute(as_server(dsn), "insert into later default values; select from seen")


def test_any_name_of_a_role_is_quoted(empty: str, cluster: Cluster) -> None:
    quoted, admin = '"' + ODD.replace('"', '""') + '"', cluster.dsn("postgres")
    execute(admin, f"create role {quoted} login")
    try:
        migrate(empty, as_role(empty, ODD_URL))
        assert value(as_role(empty, ODD_URL), LEAF) >= 0
    finally:
        execute(empty, f"drop owned by {quoted}")
        execute(admin, f"drop role {quoted}")


def test_the_owner_as_server_is_refused(empty: str) -> None:
    with pytest.raises(MigrationError, match="both log in as santa: give the server a role of its own"):
        migrate(empty, empty)


@pytest.mark.parametrize(
    ("other", "words"),
    [("superuser", "is a superuser: alter role"), (f"in role {OWNER}", "is a member of the role that does")],
    indirect=["other"],
)
def test_a_role_that_can_do_everything_is_refused(empty: str, other: str, words: str) -> None:
    with pytest.raises(MigrationError, match=words):
        migrate(empty, as_role(empty, other))


@pytest.mark.parametrize("other", [""], indirect=True)
def test_a_privilege_by_way_of_another_role_is_refused(empty: str, other: str) -> None:
    migrate(empty, as_server(empty))
    execute(empty, "create role clerks")
    try:
        execute(empty, f"grant delete on audit_leaf to clerks; grant clerks to {other}")
        with pytest.raises(MigrationError, match=f"{other} may delete audit_leaf by another role"):
            migrate(empty, as_role(empty, other))
        assert not value(empty, f"select has_table_privilege('{other}', 'machine', 'select')"), "half done"
    finally:
        execute(empty, "drop owned by clerks; drop role clerks")


@pytest.mark.parametrize("other", [""], indirect=True)
def test_a_database_of_one_role_is_separated_later(empty: str, other: str) -> None:
    """As operations.md says: the tables go to the new owner, then the server's role gets its privileges."""
    execute(empty, f"grant create on schema public to {other}")
    own = as_role(empty, other)
    asyncio.run(runner.migrate(own))
    with pytest.raises(MigrationError, match=f"{other} owns .* reassign owned by {other}"):
        migrate(empty, own)
    execute(empty, f"reassign owned by {other} to {OWNER}; revoke create on schema public from {other}")
    migrate(empty, own)
    with RunningServer(own) as server, server.client() as client:
        assert client.get("/health/ready").json()["checks"]["migrations"] == "ok"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        execute(own, "delete from audit_leaf")
    execute(empty, f"drop owned by {other}")


def test_the_set_up_that_is_documented_works(cluster: Cluster) -> None:
    text = (REPOSITORY / "docs/operations.md").read_text()
    section = text.partition("### Roles in the database")[2]
    commands = section.partition("```sql")[2].partition("```")[0].strip().removesuffix(";").split(";")
    admin, database = cluster.dsn("postgres"), cluster.dsn("santaserver")
    try:
        for command in commands:
            execute(admin, command)
        server = as_role(database, "santaserver")
        migrate(as_role(database, "santaserver_owner"), server)
        with RunningServer(server) as running, running.client() as client:
            assert client.get("/health/ready").json()["status"] == "ready"
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            execute(server, "delete from audit_leaf")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            execute(as_role(database, SERVER), "select 1")  # another application's role
    finally:
        cluster.drop("santaserver")
        execute(admin, "drop role santaserver; drop role santaserver_owner")


def test_nothing_is_said_where_nothing_is_lacking() -> None:
    right = {table: wanted(table) for table in ("machine", "audit_leaf", "schema_version")}
    assert statements('"x"', '"public"', right) == ()
    told = statements('"x"', '"public"', {**right, "machine": frozenset({"SELECT"})})
    assert told[-1] == 'grant DELETE, INSERT, SELECT, UPDATE on "public".machine to "x"'
    assert not any("audit_leaf" in statement for statement in told)
