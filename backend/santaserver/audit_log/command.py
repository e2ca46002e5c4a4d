"""The audit commands of the command line: verify, export, checkpoint, key, erase."""

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from santaserver.audit import SYSTEM
from santaserver.audit_log import checkpoints
from santaserver.audit_log.delivery import send
from santaserver.audit_log.erasure import erase
from santaserver.audit_log.export_lines import lines
from santaserver.audit_log.notes import BadNote, Checkpoint, Verifier, read_all
from santaserver.audit_log.verify import Verified, verify
from santaserver.clock import system_clock
from santaserver.db import Database
from santaserver.outbox import discard
from santaserver.settings import Settings


class CannotVerify(Exception):  # noqa: N818 - what it means
    """The files given do not allow a verification; the message says why."""


def verify_file(path: Path, notes: Sequence[Path], key: str | None) -> Verified:
    """Verify an export against checkpoints; raise `CannotVerify` when one of the files is unusable."""
    try:
        verifier = None if key is None else Verifier.read(_key_text(key))
        known = [_checked(one, note, verifier) for note in notes for one in _read(note)]
        with path.open("rb") as file:
            return verify(file, known)
    except BadNote as error:
        raise CannotVerify(str(error)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise CannotVerify(f"a file cannot be read: {error}") from error


def _key_text(key: str) -> str:
    """Return a verifier key that is given as such or in a file."""
    return key if "+" in key else Path(key).read_text(encoding="utf-8")


def _read(path: Path) -> list[Checkpoint]:
    found = read_all(path.read_text(encoding="utf-8"))
    if not found:
        raise BadNote(f"{path} has no checkpoint")
    return found


def _checked(checkpoint: Checkpoint, path: Path, verifier: Verifier | None) -> Checkpoint:
    if verifier is not None and not checkpoint.signed_by(verifier):
        what = "has another signature" if checkpoint.signatures else "is not signed"
        raise BadNote(f"{path}: the checkpoint of {checkpoint.size} entries {what}; do not trust it")
    return checkpoint


def report(result: Verified, *, noted: bool, signed: bool) -> str:
    """Return what a person is told about a verification."""
    if result.fault is not None:
        return f"BAD: first bad entry {result.fault.seq}: {result.fault.message}\n"
    erased = f", details of {result.erased} erased" if result.erased else ""
    text = f"good: {result.size} entries, root {result.root.hex()}{erased}\n"
    if not noted:
        return text + (
            "No checkpoint was given, so a log that was rewritten as a whole, cut at its end or restored "
            "from an older copy would look the same: use --checkpoint\n"
        )
    text += f"{result.checkpoints} checkpoints agree\n"
    return text if signed else text + "No key was given, so anybody may have written them: use --key\n"


async def export_file(settings: Settings, path: Path | None) -> None:
    """Write an export to a file or to standard output."""
    database = Database(settings.database)
    try:
        async with database.unit_of_work(discard) as work:
            work.audit(SYSTEM, system_clock(), "audit_exported", ("audit", "*"))
        with path.open("wb") if path else sys.stdout.buffer as file:
            async with database.transaction(discard) as (connection, _):
                async for part in lines(connection):
                    file.write(part)
    finally:
        await database.close()


async def make_checkpoint(settings: Settings) -> str:
    """Make a checkpoint, send it to where those of each hour go, and return its note."""
    database = Database(settings.database)
    try:
        async with database.unit_of_work(discard) as work:
            work.audit(SYSTEM, system_clock(), "audit_checkpoint_ordered", ("audit", "*"))
        async with database.transaction(discard) as (connection, _):
            made = await checkpoints.make(connection, settings, system_clock())
    finally:
        await database.close()
    await send(made.note, settings)
    return made.note


async def erase_details(settings: Settings, before: datetime) -> int:
    """Erase the details of all entries before a time; return how many. The entries themselves stay."""
    database = Database(settings.database)
    try:
        async with database.unit_of_work(discard) as work:
            return await erase(work, before, SYSTEM, system_clock())
    finally:
        await database.close()
