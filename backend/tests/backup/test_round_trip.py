"""What was backed up is there again after a restore: every table, every number, the audit log."""

import asyncio
from pathlib import Path

import pytest

from santaserver.backup import command, dump
from santaserver.backup.reader import END, MANIFEST
from santaserver.backup.tables import EVENTS, KEPT, LEFT_OUT, SHORT_LIVED
from santaserver.migrations import HEAD
from santaserver.migrations.runner import migrate
from tests.backup.helpers import Databases, checksums, listed, put, read, said, settings_of, tables_of, take
from tests.support.postgres import SERVER, as_server, fetch, value
from tests.support.server import RunningServer

CHANGED = {
    "audit_detail",
    "audit_head",
    "audit_leaf",
    "machine_confirmation",
    "machine_sync",
    "policy_change",
    "policy_head",
    "sync_session",
}
"""Tables that a restore itself writes to."""
FAR = 10_000_000
"""Farther than any sequence of these tests."""
LOG = "select seq, entry, encode(root, 'hex') as root from audit_leaf order by seq"


def test_every_table_is_kept_or_left_out_for_a_reason(full: str) -> None:
    assert tables_of(full) == KEPT | set(EVENTS) | set(LEFT_OUT)
    assert all(LEFT_OUT.values())


def test_the_rows_of_this_test_are_in_every_table(full: str) -> None:
    bare = {name for name, sums in checksums(full, tables_of(full)).items() if sums.startswith("0 ")}
    assert bare == set()


def test_every_table_has_the_same_rows_after_a_restore(full: str, empty: str, tmp_path: Path) -> None:
    assert put(empty, take(full, events=True), tmp_path) == 0
    same = (KEPT | set(EVENTS)) - CHANGED
    assert checksums(empty, same) == checksums(full, same)
    assert set(checksums(empty, SHORT_LIVED).values()) == {"0 "}
    before, after = fetch(full, LOG), fetch(empty, LOG)
    assert after[: len(before)] == before
    for table, columns in (
        ("policy_change", "*"),
        ("machine_confirmation", "*"),
        ("sync_session", "machine_id, id, hash_before"),
    ):
        rows = f"select {columns} from {table}"  # noqa: S608 - names of this test
        there = fetch(empty, rows)
        assert all(row in there for row in fetch(full, rows)), table


def test_rows_are_cut_anywhere_into_parts(
    full: str, empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dump, "PART", 100)
    content = take(full, events=True)
    names = [entry.name for entry in listed(content)]
    assert len(names) > 2 * len(KEPT)
    assert names == sorted(names, key=lambda name: (name == END, name != MANIFEST, name))
    assert put(empty, content, tmp_path) == 0
    same = (KEPT | set(EVENTS)) - CHANGED
    assert checksums(empty, same) == checksums(full, same)


def test_a_backup_is_in_the_log(full: str) -> None:
    content = take(full, events=True)
    (entry,) = fetch(full, "select action, after::text, actor_kind from audit_log order by id desc limit 1")
    assert entry == {"action": "backup_made", "after": '{"events": true}', "actor_kind": "command_line"}
    assert read(content).manifest.events


def test_without_events_everything_else_is_there(full: str, empty: str, tmp_path: Path) -> None:
    assert put(empty, take(full), tmp_path) == 0
    same = KEPT - CHANGED
    assert checksums(empty, same) == checksums(full, same)
    assert set(checksums(empty, EVENTS).values()) == {"0 "}


def test_a_restored_database_is_backed_up_and_restored_again(
    whole: bytes, databases: Databases, tmp_path: Path
) -> None:
    first, second = databases.empty(), databases.empty()
    assert put(first, whole, tmp_path) == 0
    assert put(second, take(first, events=True), tmp_path) == 0
    same = (KEPT | set(EVENTS)) - CHANGED
    assert checksums(second, same) == checksums(first, same)


def test_days_of_events_have_their_partitions_again(whole: bytes, empty: str, tmp_path: Path) -> None:
    assert put(empty, whole, tmp_path) == 0
    assert value(empty, "select count(*) from event_20261120") == 3
    assert value(empty, "select count(*) from event_default") == 3


def test_no_number_is_given_out_twice(whole: bytes, empty: str, tmp_path: Path) -> None:
    assert put(empty, whole, tmp_path) == 0
    for row in fetch(
        empty,
        """select t.relname::text as table, a.attname::text as column, s.oid::regclass::text as sequence
           from pg_depend d join pg_class s on s.oid = d.objid and s.relkind = 'S'
             join pg_class t on t.oid = d.refobjid
             join pg_attribute a on a.attrelid = t.oid and a.attnum = d.refobjsubid
           where d.deptype in ('a', 'i') and t.relnamespace = 'public'::regnamespace""",
    ):
        used = value(empty, f"select coalesce(max({row['column']}), 0) from {row['table']}")  # noqa: S608
        assert value(empty, f"select nextval('{row['sequence']}')") > max(used, FAR), row
    # The log has it, so that someone who compares numbers finds out why.
    entry = fetch(empty, "select policy_seq, after from audit_log where action = 'database_restored'")
    seq = value(empty, "select seq from policy_head")
    assert [row["policy_seq"] for row in entry] == [seq]
    assert value(empty, "select kind from policy_change order by seq desc limit 1") == "restore"
    assert seq > FAR


def test_a_migrated_but_empty_database_will_do(whole: bytes, empty: str, tmp_path: Path) -> None:
    asyncio.run(migrate(empty, as_server(empty)))
    assert put(empty, whole, tmp_path) == 0
    assert value(empty, "select max(version) from schema_version") == HEAD
    assert value(empty, "select count(*) from machine") == 3


def test_a_server_works_on_a_restored_database(whole: bytes, empty: str, tmp_path: Path) -> None:
    assert put(empty, whole, tmp_path) == 0
    assert not value(empty, f"select has_table_privilege('{SERVER}', 'audit_leaf', 'INSERT')")
    with RunningServer(empty) as server, server.client() as client:
        assert client.get("/health/ready").status_code == 200


def test_a_check_says_what_the_file_is(
    whole: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "backup"
    file.write_bytes(whole)
    assert command.check(str(file)) == 0
    assert f"{read(whole).rows:,} rows" in said(capfd)


def test_the_key_is_not_in_the_file(full: str) -> None:
    content = take(full)
    key = settings_of(full).security.secret_key
    assert key.encode() not in content
    assert key not in str(read(content).manifest)
