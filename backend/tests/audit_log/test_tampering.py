"""Whatever is done to the log in the database: an export's verification finds it and names the entry."""

import asyncio
import hashlib
import json
from collections.abc import Callable

import asyncpg
import pytest

from santaserver.audit import SYSTEM, AuditEntry, entry, store
from santaserver.audit_log.notes import Checkpoint
from santaserver.audit_log.verify import Verified, verify
from santaserver.db import open_connection
from santaserver.merkle import Tree
from tests.audit_log.helpers import AT, append, checkpoint_of, export, made, spoil
from tests.support.postgres import Cluster, execute, fetch, value

MANY = 13
FIRST = 3
"""The template's own entries: its schema, an administrator and an enrollment."""
REWRITE = """
create temp table kept as select l.entry, d.salt, d.details from audit_leaf l join audit_detail d using (seq)
  order by seq;
delete from audit_detail; delete from audit_leaf; update audit_head set size = 0, edge = '{{}}';
{change};
select audit_append(array_agg(entry), array_agg(salt), array_agg(details)) from kept having count(*) > 0;
"""
"""As an attacker who knows how the log works: a log that fits itself, with new roots for all that follows."""


@pytest.fixture
def log(dsn: str) -> str:
    """Return a database with some entries."""
    append(dsn, [made(number) for number in range(MANY - FIRST)])
    return dsn


def checked(dsn: str, *checkpoints: Checkpoint) -> Verified:
    return verify(export(dsn), checkpoints)


def checkpoint(dsn: str, size: int | None = None) -> Checkpoint:
    """Return the checkpoint that an honest server made when the log had `size` entries."""
    return checkpoint_of([row["entry"] for row in fetch(dsn, ORDERED, size)])


def test_an_honest_log_verifies(log: str) -> None:
    result = checked(log, Checkpoint("test", 0, Tree().root()), checkpoint(log))
    assert (result.fault, result.size, result.checkpoints, result.erased) == (None, MANY, 2, 0)
    assert result.root == value(log, "select root from audit_leaf order by seq desc limit 1")


ORDERED = "select entry from audit_leaf order by seq limit $1"
CUT = "delete from audit_detail where seq >= {0}; delete from audit_leaf where seq >= {0}"
SPOILED = {
    "a letter of an entry": "update audit_leaf set entry = replace(entry, 'rule_c', 'rule_C') where seq = {}",
    "a space in an entry": "update audit_leaf set entry = entry || ' ' where seq = {}",
    "an entry's root": "update audit_leaf set root = sha256('x') where seq = {}",
    "the details": "update audit_detail set details = replace(details, 'ann', 'bob') where seq = {}",
    "the salt": "update audit_detail set salt = '\\x00112233445566778899aabbccddeeff' where seq = {}",
    "the details of another": """update audit_detail a set details = b.details, salt = b.salt
      from audit_detail b where a.seq = {} and b.seq = 11""",
    "no details": "delete from audit_detail where seq = {}",
    "an entry less": "delete from audit_detail where seq = {0}; delete from audit_leaf where seq = {0}",
    "an entry less, renumbered": """delete from audit_detail where seq = {0};
      delete from audit_leaf where seq = {0}; update audit_leaf set seq = seq - 1 where seq > {0};
      update audit_detail set seq = seq - 1 where seq > {0}""",
    "two entries exchanged": """update audit_leaf set seq = -1 where seq = {0};
      update audit_leaf set seq = {0} where seq = 12; update audit_leaf set seq = 12 where seq = -1;
      update audit_detail set seq = -1 where seq = {0};
      update audit_detail set seq = {0} where seq = 12; update audit_detail set seq = 12 where seq = -1""",
    "an entry twice": """update audit_leaf a set entry = b.entry from audit_leaf b
      where a.seq = {} and b.seq = 11""",
}


@pytest.mark.parametrize("seq", [3, 8])
@pytest.mark.parametrize("change", SPOILED.values(), ids=SPOILED.keys())
def test_the_first_bad_entry_is_named(log: str, change: str, seq: int) -> None:
    # The check of seq would get in the way of whoever exchanges rows; it is no hindrance to an owner.
    execute(log, "alter table audit_leaf drop constraint audit_leaf_seq_check")
    execute(log, "alter table audit_leaf drop constraint audit_leaf_pkey cascade")
    execute(log, "alter table audit_detail drop constraint audit_detail_pkey")
    spoil(log, change.format(seq))
    fault = checked(log).fault
    assert fault is not None
    assert fault.seq == seq
    assert str(seq) in fault.message


@pytest.mark.parametrize(
    "change",
    [
        "update kept set entry = replace(entry, 'rule_c', 'rule_C') where entry like '%\"id\":\"2\"%'",
        'delete from kept where entry like \'%"id":"3"%\'',
        """with moved as (delete from kept where entry like '%\"id\":\"2\"%' returning *)
           insert into kept select * from moved""",
    ],
)
def test_a_log_that_was_rewritten_as_a_whole_differs_from_its_checkpoints(log: str, change: str) -> None:
    before = checkpoint(log)
    early = checkpoint(log, 4)
    spoil(log, REWRITE.format(change=change))
    assert checked(log).fault is None, "the log alone cannot tell"
    append(log, [made(100), made(101)])
    fault = checked(log, before, early).fault
    assert fault is not None
    assert fault.seq == 4
    assert "one of the entries 4 to 12" in fault.message


@pytest.mark.parametrize("length", [1, 2, 6, MANY])
def test_a_tail_that_was_cut_is_missed(log: str, length: int) -> None:
    before = checkpoint(log)
    keep = MANY - length
    spoil(log, CUT.format(keep))
    fault = checked(log).fault
    assert fault is not None, "the head still says how many there were"
    assert fault.seq == keep
    spoil(log, REWRITE.format(change="select 1"))
    assert checked(log).fault is None, "nothing inside of the database tells any more"
    fault = checked(log, before).fault
    assert fault is not None
    assert fault.seq == keep
    assert f"entry {keep} is missing" in fault.message


def test_an_older_copy_of_the_database_is_noticed(cluster: Cluster, log: str) -> None:
    copy = cluster.dsn(cluster.create(log.partition("?")[0].rpartition("/")[2]))
    append(log, [made(50), made(51)])
    outside = checkpoint(log)
    assert (fault := checked(copy, outside).fault) is not None
    assert fault.seq == MANY
    append(copy, [made(60), made(61), made(62)])
    assert (fault := checked(copy, outside).fault) is not None
    assert fault.seq == 0, "without an earlier checkpoint, any entry can be the first"
    early = checkpoint(log, MANY)
    assert (fault := checked(copy, outside, early).fault) is not None
    assert fault.seq == MANY


LINES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "the last line is missing": lambda lines: lines[:-1],
    "a line is missing": lambda lines: [*lines[:4], *lines[5:]],
    "a line is there twice": lambda lines: [*lines[:5], *lines[4:]],
    "two lines are exchanged": lambda lines: [*lines[:4], lines[5], lines[4], *lines[6:]],
    "a line is cut off": lambda lines: [*lines[:4], lines[4][:40], *lines[5:]],
    "a line is no JSON": lambda lines: [*lines[:4], b"\xff\x00", *lines[5:]],
    "a line is another JSON": lambda lines: [*lines[:4], b"[1]", *lines[5:]],
    "a line is null": lambda lines: [*lines[:4], b"null", *lines[5:]],
    "the end comes early": lambda lines: [*lines[:4], lines[-1]],
    "something follows": lambda lines: [*lines, lines[-2]],
    "an empty file": lambda _: [],
}


@pytest.mark.parametrize("change", LINES.values(), ids=LINES.keys())
def test_a_damaged_file_is_refused(log: str, change: Callable[[list[bytes]], list[bytes]]) -> None:
    result = verify(change(export(log)))
    assert result.fault is not None
    assert result.fault.seq in {0, 4, 5, MANY}


def test_details_may_be_missing_only_where_an_entry_says_that_they_were_erased(log: str) -> None:
    execute(log, "delete from audit_detail where seq between 3 and 6")
    assert (fault := checked(log).fault) is not None
    assert fault.seq == 3
    append(log, [_erasure("3-5")])
    assert (fault := checked(log).fault) is not None
    assert fault.seq == 6
    append(log, [_erasure("6-6")])
    result = checked(log)
    assert (result.fault, result.erased) == (None, 4)
    execute(log, "delete from audit_detail where seq = $1", MANY)
    append(log, [_erasure("0-999")])
    execute(log, "delete from audit_detail where seq = $1", MANY + 2)
    assert (fault := checked(log).fault) is not None
    assert fault.seq == MANY + 2, "an entry can only speak of earlier ones"


def _erasure(span: str) -> AuditEntry:
    return entry(SYSTEM, AT, "audit_details_erased", ("audit", span))


@pytest.mark.parametrize(
    "statement",
    [
        "update audit_leaf set entry = entry where seq = 1",
        "delete from audit_leaf where seq = 1",
        "truncate audit_leaf cascade",
        "update audit_detail set details = '{}' where seq = 1",
        "truncate audit_detail",
    ],
)
def test_the_database_refuses_to_change_entries(log: str, statement: str) -> None:
    with pytest.raises(asyncpg.RaiseError, match="audit log"):
        execute(log, statement)
    assert checked(log).fault is None


def test_a_verifier_of_another_language_sees_the_same(log: str) -> None:
    """The definition of RFC 6962 in its recursive form, over the texts in the file."""

    def root(leaves: list[bytes]) -> bytes:
        if len(leaves) == 1:
            return hashlib.sha256(b"\0" + leaves[0]).digest()
        half = 1
        while half * 2 < len(leaves):
            half *= 2
        return hashlib.sha256(b"\1" + root(leaves[:half]) + root(leaves[half:])).digest()

    *entries, end = [json.loads(line) for line in export(log)]
    texts = [one["entry"].encode() for one in entries]
    for number, one in enumerate(entries):
        assert root(texts[: number + 1]).hex() == one["root"]
    assert end == {"size": MANY, "root": root(texts).hex()}


LEAVES = 6
"""The round in which a writer fails after it has appended."""


def test_concurrent_writers_do_not_fork(dsn: str) -> None:
    async def write(writer: int, rounds: int) -> None:
        connection = await open_connection(dsn)
        try:
            for number in range(rounds):
                async with connection.transaction():
                    await connection.execute("select pg_sleep(0)")
                    await store(connection, [made(number, writer=writer) for _ in range(1 + number % 3)])
                    if number == LEAVES:
                        await connection.execute("select 1 / 0")
        except asyncpg.DivisionByZeroError:
            pass
        finally:
            await connection.close()

    async def run() -> None:
        await asyncio.gather(*(write(writer, 5 + writer) for writer in range(8)))

    asyncio.run(run())
    result = checked(dsn)
    assert result.fault is None
    written = sum(sum(1 + number % 3 for number in range(min(5 + writer, LEAVES))) for writer in range(8))
    assert result.size == FIRST + written
    assert value(dsn, "select size from audit_head") == result.size
