"""Files that are not whole, and databases that nothing may be restored into."""

import io
import random
from pathlib import Path

import msgspec
import pytest
from msgspec import structs

from santaserver.backup import command
from santaserver.backup.archive import BLOCK
from santaserver.backup.bad_backup import BadBackup
from santaserver.backup.dump import encode
from santaserver.backup.manifest import End, Manifest, Revision
from tests.backup.helpers import (
    KEY,
    checksums,
    listed,
    put,
    read,
    repacked,
    said,
    settings_of,
    tables_of,
    take,
)
from tests.support.postgres import execute, held

PLACES = 100


def end_of(content: bytes) -> End:
    """Return the last entry."""
    return msgspec.json.decode(listed(content)[-1].content, type=End)


def with_manifest(content: bytes, **changes: object) -> bytes:
    """Return a backup with another manifest, and sums that fit to it."""
    first, *rest = listed(content)[:-1]
    manifest = structs.replace(msgspec.json.decode(first.content, type=Manifest), **changes)
    return repacked([first._replace(content=encode(manifest)), *rest], end_of(content))


def test_a_file_that_was_cut_off_anywhere_is_refused(whole: bytes) -> None:
    places = {*range(0, len(whole), BLOCK), *random.Random(1).sample(range(len(whole)), PLACES)}
    for place in sorted(places):
        with pytest.raises(BadBackup):
            read(whole[:place])


def test_a_flipped_bit_anywhere_is_found(whole: bytes) -> None:
    chance = random.Random(2)
    for place in chance.sample(range(len(whole)), PLACES):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << chance.randrange(8)
        with pytest.raises(BadBackup):
            read(bytes(flipped))


def test_entries_in_another_order_are_refused(whole: bytes) -> None:
    first, *parts, _ = listed(whole)
    end = end_of(whole)
    assert read(repacked([first, *parts], end)).rows == read(whole).rows
    for wrong in (
        [first, parts[1], parts[0], *parts[2:]],
        [first, parts[0], *parts],
        [first, *parts[1:]],
        [*parts, first],
        [first, *parts, first],
    ):
        with pytest.raises(BadBackup):
            read(repacked(wrong, end))


def test_something_after_the_end_is_refused(whole: bytes) -> None:
    assert read(whole + bytes(BLOCK)).rows
    with pytest.raises(BadBackup):
        read(whole + b"log line\n")


def test_a_compressed_file_is_recognized() -> None:
    with pytest.raises(BadBackup, match="zstd -dc"):
        read(b"\x28\xb5\x2f\xfd" + bytes(BLOCK))
    with pytest.raises(BadBackup, match="no backup"):
        read(b"-- PostgreSQL database dump\n" + b"x" * BLOCK)


def test_the_file_of_a_newer_version_is_refused_by_its_name(
    whole: bytes, empty: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    schema = [*read(whole).manifest.schema, Revision(9999, "9999_later", "00")]
    newer = with_manifest(whole, schema=schema, release="99.1.0")
    assert put(empty, newer, tmp_path) == 1
    assert "99.1.0" in (text := said(capfd))
    assert "9999_later" in text
    with pytest.raises(BadBackup, match=r"99\.1\.0"):
        read(with_manifest(whole, format=2, release="99.1.0"))
    assert tables_of(empty) == set()


def test_the_schema_of_another_build_is_refused(whole: bytes, empty: str, tmp_path: Path) -> None:
    first, *rest = read(whole).manifest.schema
    other = with_manifest(whole, schema=[structs.replace(first, checksum="00"), *rest])
    assert put(empty, other, tmp_path) == 1
    assert tables_of(empty) == set()


def test_a_table_that_no_version_has_is_refused(whole: bytes, empty: str, tmp_path: Path) -> None:
    first, *rest = read(whole).manifest.tables
    other = with_manifest(whole, tables=[structs.replace(first, name="pg_authid"), *rest])
    assert put(empty, other, tmp_path) == 1


def test_a_database_with_anything_in_it_is_refused_by_name(
    whole: bytes, dsn: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = checksums(dsn, tables_of(dsn))
    assert put(dsn, whole, tmp_path) == 1
    assert "there are rows in app_user" in said(capfd).replace("audit_leaf, ", "")
    assert checksums(dsn, tables_of(dsn)) == before


def test_while_others_use_the_database_nothing_is_restored(
    whole: bytes,
    empty: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("santaserver.backup.sessions.ATTEMPTS", 1)
    with held(empty, "select 1"):
        assert put(empty, whole, tmp_path) == 1
    assert "stop the server" in said(capfd)
    monkeypatch.undo()
    assert put(empty, whole, tmp_path) == 0


def test_the_role_of_the_server_cannot_restore(
    whole: bytes, dsn: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = settings_of(dsn, DATABASE_OWNER_URL="")
    assert put(dsn, whole, tmp_path, settings) == 1
    assert "DATABASE_OWNER_URL" in said(capfd)


def test_another_secret_key_has_to_be_accepted(
    whole: bytes, empty: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other = settings_of(empty, SECRET_KEY="another-key-of-the-tests-0123456789-abc")
    assert put(empty, whole, tmp_path, other) == 1
    assert "authenticator apps" in said(capfd)
    assert tables_of(empty) == set()
    assert put(empty, whole, tmp_path, other, other_key=True) == 0


def test_the_key_before_the_last_rotation_is_known(whole: bytes, empty: str, tmp_path: Path) -> None:
    rotated = settings_of(
        empty, SECRET_KEY="another-key-of-the-tests-0123456789-abc", SECRET_KEY_PREVIOUS=KEY
    )
    assert put(empty, whole, tmp_path, rotated) == 0


def test_a_damaged_file_leaves_the_database_empty(whole: bytes, empty: str, tmp_path: Path) -> None:
    end = end_of(whole)
    wrong = {**end.tables, "machine": structs.replace(end.tables["machine"], rows=4)}
    entries = listed(whole)[:-1]
    assert put(empty, repacked(entries, End(wrong, end.sha256)), tmp_path) == 1
    assert put(empty, whole[: len(whole) * 2 // 3], tmp_path) == 1
    assert tables_of(empty) == set()
    assert put(empty, whole, tmp_path) == 0


def test_an_altered_audit_log_is_not_restored(
    full: str, empty: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    execute(full, "alter table audit_leaf disable trigger append_only")
    execute(full, "update audit_leaf set entry = replace(entry, 'user_created', 'user_changed')")
    assert put(empty, take(full), tmp_path) == 1
    assert "does not verify" in said(capfd)
    assert tables_of(empty) == set()


def test_a_schema_that_is_not_this_versions_is_not_backed_up(
    empty: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert command.backup(settings_of(empty), io.BytesIO(), events=False) == 1
    assert "never migrated" in said(capfd)


def test_a_server_that_cannot_be_reached_is_named(empty: str, capfd: pytest.CaptureFixture[str]) -> None:
    nowhere = settings_of(empty.replace("/test_", "/nowhere_"))
    assert command.backup(nowhere, io.BytesIO(), events=False) == 1
    assert "POSTGRES_DB" in said(capfd)
