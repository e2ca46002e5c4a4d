"""The commands `backup` and `restore`. They speak on standard error: standard output is the file's."""

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import asyncpg

from santaserver import __version__
from santaserver.backup.bad_backup import BadBackup
from santaserver.backup.dump import dump, strangers
from santaserver.backup.load import check_manifest, restore
from santaserver.backup.manifest import Manifest, own_fingerprint, same_key
from santaserver.backup.reader import BackupReader
from santaserver.backup.sessions import CONNECT_TIMEOUT, check_alone, check_owner, session
from santaserver.backup.settle import forget_logins, move_sequences, settle
from santaserver.clock import system_clock
from santaserver.migrations.files import MigrationError, load
from santaserver.migrations.privileges import login_role
from santaserver.postgres.failures import DRIVER_ERRORS, hint
from santaserver.settings import Settings

EX_FAILED, EX_INTERRUPTED = 1, 130
TELL_EVERY = 5.0
"""Seconds between two lines of progress."""
MEGABYTE = 1_000_000

OTHER_KEY = (
    "the backup was made with another SECRET_KEY than this server's. Restored with this one, authenticator "
    "apps stop working: their owners need a recovery code or a passkey, or have to be reset. Everything else "
    "works. Set SECRET_KEY, or SECRET_KEY_PREVIOUS, to the key of that time; or repeat this with "
    "--other-secret-key"
)

log = logging.getLogger(__name__)


def backup(settings: Settings, out: BinaryIO, *, events: bool) -> int:
    """Write a backup; return the exit code."""
    return _run("no backup was made, what was written is not whole", _backup(settings, out, events=events))


def check(source: str) -> int:
    """Read a backup to its end without a database; return the exit code."""

    async def run() -> None:
        with ExitStack() as stack:
            reader = _opened(stack, source)
            check_manifest(reader.manifest, load())
            for _ in reader.parts():
                pass
        size = f"{reader.rows:,} rows, {reader.size / MEGABYTE:,.1f} MB of text"
        say(f"good: {_described(reader.manifest)}; {size}")

    return _run("not a backup that can be restored", run())


def restore_file(settings: Settings, source: str, *, other_key: bool) -> int:
    """Restore a backup into an empty database; return the exit code."""
    return _run("nothing was restored", _restore(settings, source, other_key=other_key))


def settle_in_place(settings: Settings) -> int:
    """Settle a database that was restored by other means; return the exit code."""
    return _run("nothing was changed", _settle(settings))


async def _backup(settings: Settings, out: BinaryIO, *, events: bool) -> None:
    began, tell = time.monotonic(), _Progress("written")
    async with session(settings.database.direct_dsn, "backup") as connection:
        for name in await strangers(connection):
            say(f"left out: the table {name}, which is not SantaServer's")
        fingerprint = own_fingerprint(settings.secret_keys)
        manifest, end = await dump(connection, out, fingerprint, system_clock(), tell, events=events)
    rows = sum(sums.rows for sums in end.tables.values())
    took = time.monotonic() - began
    size = f"{len(manifest.tables)} tables, {rows:,} rows, {tell.bytes / MEGABYTE:,.1f} MB"
    say(f"backup: {size} in {took:.1f} s")
    if not events:
        say("events of Macs are not in it: --events takes them too")
    say("SECRET_KEY and the keys of TLS are not in it: keep them too, elsewhere")


async def _restore(settings: Settings, source: str, *, other_key: bool) -> None:
    began = time.monotonic()
    with ExitStack() as stack:
        reader = _opened(stack, source)
        check_manifest(reader.manifest, load())
        if not same_key(reader.manifest, settings.secret_keys):
            if not other_key:
                raise BadBackup(OTHER_KEY)
            say("SECRET_KEY is another one than that of the backup: authenticator apps will be refused")
        say(f"restoring {_described(reader.manifest)}")
        dsn, server = await _roles(settings)
        async with session(dsn, "restore") as connection:
            await check_owner(connection, bool(settings.database.owner_url))
            await check_alone(connection)
            macs = await restore(connection, reader, server, system_clock(), _Progress("restored"))
    took = time.monotonic() - began
    say(f"restored: {reader.rows:,} rows in {took:.1f} s; the audit log verifies")
    _say_what_follows(macs)


async def _settle(settings: Settings) -> None:
    dsn, _ = await _roles(settings)
    now = system_clock()
    async with session(dsn, "restore") as connection:
        await check_owner(connection, bool(settings.database.owner_url))
        await check_alone(connection)
        async with connection.transaction(isolation="read_committed"):
            await forget_logins(connection)
            await move_sequences(connection, {}, now)
            macs = await settle(connection, now, ("schema", "*"), {"release": __version__})
    _say_what_follows(macs)


def _say_what_follows(macs: int) -> None:
    say(f"the next sync of each of {macs:,} Macs is a clean sync, which replaces all of its rules")
    say(
        "everybody has to log in again. What was revoked, disabled or rotated after the backup is valid "
        "again: look through users, API and SCIM tokens and enrollment secrets before the server starts"
    )


async def _roles(settings: Settings) -> tuple[str, str | None]:
    """Return the owner's address, and the server's role where it is another one."""
    database = settings.database
    if not database.owner_url:
        return database.direct_dsn, None
    return database.owner_url, await login_role(database.direct_dsn, CONNECT_TIMEOUT)


def _opened(stack: ExitStack, source: str) -> BackupReader:
    if source == "-":
        return BackupReader(sys.stdin.buffer)
    return BackupReader(stack.enter_context(Path(source).open("rb")))


def _described(manifest: Manifest) -> str:
    made = manifest.made_at.strftime("%Y-%m-%d %H:%M:%S UTC")
    events = "with" if manifest.events else "without"
    what = f"SantaServer {manifest.release}, schema {manifest.newest.name}, {events} events"
    return f"the backup of {made} by {what}"


def _run(failed: str, work: Coroutine[Any, Any, None]) -> int:
    try:
        asyncio.run(work)
    except KeyboardInterrupt:
        say(f"{failed}: interrupted")
        return EX_INTERRUPTED
    except (BadBackup, MigrationError) as error:
        say(f"{failed}: {error}")
        return EX_FAILED
    except asyncpg.InsufficientPrivilegeError as error:
        say(f"{failed}: {error}. Roles in the database (docs/operations.md) says what each role may do")
        return EX_FAILED
    except (OSError, *DRIVER_ERRORS) as error:
        say(f"{failed}: {hint(error)}")
        log.debug("failed", exc_info=error)
        return EX_FAILED
    return 0


def say(text: str) -> None:
    """Tell the person at the terminal."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


class _Progress:
    """Tells now and then how far it is."""

    def __init__(self, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.bytes = 0
        self._what = what
        self._clock = clock
        self._told_at = clock()

    def __call__(self, table: str, rows: int, size: int) -> None:
        self.bytes = size
        if self._clock() - self._told_at >= TELL_EVERY:
            self._told_at = self._clock()
            say(f"{self._what} {rows:,} rows, {size / MEGABYTE:,.1f} MB so far; {table}")
