"""`santaserver import FILE`: rules of any server or tool from the command line, the same as over REST."""

import argparse
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from santaserver.audit import SYSTEM
from santaserver.bodies import WorkerThread
from santaserver.clock import system_clock
from santaserver.db import Database
from santaserver.outbox import discard
from santaserver.rules.transfer_recognize import open_bytes
from santaserver.rules.transfer_schemas import (
    MAX_FILE,
    FileMistake,
    FileNote,
    FileNotes,
    ImportPlan,
    PlannedChange,
    RuleImport,
)
from santaserver.rules.transfer_service import import_rules
from santaserver.settings import Settings

OK, MISTAKES, USAGE = 0, 1, 2
"""Exit codes."""
STDIN = "-"
SHOWN = 20
"""Changes and notes of one kind that are printed; `--json` has more."""
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""What a file must not send to a terminal."""
SIGNS = {"add": "+", "change": "~", "remove": "-"}


class CannotRead(Exception):  # noqa: N818 - what it means
    """The file is not there, or too large."""


async def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Preview a file and, if asked, apply it at the number that was previewed; return the exit code."""
    data = _content(arguments.file)
    wanted = _request(arguments)
    database, worker = Database(settings.database), WorkerThread("import")
    try:
        plan = await _import(database, worker, wanted, data)
        changes = plan.added + plan.changed + plan.removed
        if arguments.apply and changes and not plan.mistakes_total:
            again = wanted.model_copy(update={"dry_run": False, "policy_seq": plan.policy_seq})
            plan = await _import(database, worker, again, data)
    finally:
        worker.close()
        await database.close()
    sys.stdout.write(plan.model_dump_json(indent=2) + "\n" if arguments.json else text_of(plan))
    return MISTAKES if plan.mistakes_total else OK


async def _import(database: Database, worker: WorkerThread, wanted: RuleImport, data: bytes) -> ImportPlan:
    async with database.unit_of_work(discard) as work:
        by = (SYSTEM, system_clock())
        return await import_rules(work, wanted, lambda: open_bytes(wanted, data), by, worker)


def _content(path: Path) -> bytes:
    try:
        if str(path) == STDIN:
            data = sys.stdin.buffer.read(MAX_FILE + 1)
        else:
            with path.open("rb") as file:
                data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise CannotRead(f"{path} cannot be read: {error.strerror}") from error
    if len(data) > MAX_FILE:
        raise CannotRead(f"{path} is larger than {MAX_FILE // 1024 // 1024} MiB; import it in parts")
    return data


def _request(arguments: argparse.Namespace) -> RuleImport:
    name = arguments.file_name
    if name is None:
        name = "" if str(arguments.file) == STDIN else arguments.file.name
    return RuleImport(
        format="auto",
        content="",
        file_name=name,
        layer=arguments.layer,
        configuration=arguments.configuration,
        last_wins=arguments.last_wins,
        message_to_comment=arguments.message_to_comment,
        tag_names=dict(arguments.tag_name),
        remove_missing=arguments.remove_missing,
        override_guard=arguments.override_guard,
        reason=arguments.reason,
    )


def text_of(plan: ImportPlan) -> str:
    """Write a plan for people."""
    return "".join(CONTROLS.sub("?", line) + "\n" for line in _lines(plan))


def _lines(plan: ImportPlan) -> Iterable[str]:
    found = plan.recognized
    if found:
        yield f"{found.title}: {found.rules} rules, {found.removals} removals"
        if found.absent:
            yield f"{found.absent} removals of rules that do not exist: nothing to do"
        yield from (f"  {one.layer}: {one.rules}" for one in found.layers[:SHOWN])
        if found.settings:
            shown = ", ".join(f"{name}={value}" for name, value in found.settings.items())
            yield f"settings in the file, which are not imported: {shown}"
        if found.candidates:
            yield f"{len(found.candidates)} programs in the log; a log has no rules"
        yield from _notes("skipped", found.skipped)
        yield from _notes("warning", found.warnings)
    yield from (f"warning: {text}" for text in plan.warnings)
    if plan.missing_layers:
        yield f"layers that do not exist, create their tags first: {', '.join(plan.missing_layers[:SHOWN])}"
    if plan.mistakes_total:
        yield f"{plan.mistakes_total} errors; nothing is imported:"
        yield from (f"  {_where(one)}{_field(one)}: {one.message}" for one in plan.mistakes[:SHOWN])
        yield from _more(plan.mistakes_total)
        return
    done = f"imported as policy version {plan.policy_seq}" if plan.applied else "would be imported"
    changes = plan.added + plan.changed + plan.removed
    counts = f"+{plan.added} ~{plan.changed} -{plan.removed} ={plan.unchanged}"
    yield f"{counts}: {done if changes else 'nothing to do'}"
    yield from (_change(one) for one in plan.changes[:SHOWN])
    yield from _more(changes)


def _notes(kind: str, groups: Iterable[FileNotes]) -> Iterable[str]:
    for group in groups:
        yield f"{kind}: {group.code}, {group.count}"
        yield from (f"  {_where(one)}{_field(one)}: {one.message}" for one in group.notes[:SHOWN])
        yield from _more(group.count)


def _more(total: int) -> Iterable[str]:
    if total > SHOWN:
        yield f"  … {total - SHOWN} more; --json lists them"


def _where(one: FileMistake | FileNote) -> str:
    file = f"{one.file}: " if one.file else ""
    if not one.line:
        return file + (f"rule {one.entry}" if one.entry else "file")
    column = f", column {one.column}" if one.column and one.column > 1 else ""
    return f"{file}line {one.line}{column}"


def _field(one: FileMistake | FileNote) -> str:
    return f", {one.field}" if one.field else ""


def _change(one: PlannedChange) -> str:
    policy = one.after if one.before in {None, one.after} else f"{one.before} -> {one.after or 'removed'}"
    return f"  {SIGNS[one.action]} {one.layer} {one.rule_type} {one.identifier} {policy}"
