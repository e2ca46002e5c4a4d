"""Imports files of rules: one file, one transaction, one number of the policy.

The file is read in portions off the event loop, staged and compared without a lock; only the change itself
locks out other writers. It is compared again when the policy has changed in between, or a rule was scheduled.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from santaserver.audit import Actor
from santaserver.bodies import WorkerThread
from santaserver.db import Connection
from santaserver.errors import Conflict, FieldProblem, Unprocessable
from santaserver.outbox import changed_in_bulk
from santaserver.policy.change import Change, policy_change
from santaserver.policy.head import read_head
from santaserver.rules import transfer_staging as staging
from santaserver.rules.transfer_apply import apply
from santaserver.rules.transfer_asking import ask_before_import, reach_of
from santaserver.rules.transfer_format import FileRow, read_rules
from santaserver.rules.transfer_guard import judge
from santaserver.rules.transfer_plan import Failed, FileReader
from santaserver.rules.transfer_recognize import (
    OpenedFile,
    OwnFile,
    mistakes_of,
    recognized,
    rows_of,
    serials_of,
)
from santaserver.rules.transfer_schemas import (
    SHOWN,
    FileMistake,
    ImportPlan,
    PlannedChange,
    RecognizedFile,
    RuleImport,
)
from santaserver.unit_of_work import UnitOfWork


@dataclass(slots=True)
class Mistakes:
    """Everything wrong with a file, of which the first are shown."""

    shown: list[FileMistake] = field(default_factory=list)
    total: int = 0

    def add(self, found: list[FileMistake], total: int | None = None) -> None:
        """Count mistakes and keep the first by their lines."""
        self.total += len(found) if total is None else total
        self.shown = sorted([*self.shown, *found], key=lambda mistake: mistake.line)[:SHOWN]


@dataclass(slots=True)
class StagedFile:
    """A file whose rules are staged beside the stored ones."""

    wanted: RuleImport
    rules: int = 0
    failed: list[Failed] = field(default_factory=list)
    mistakes: Mistakes = field(default_factory=Mistakes)
    recognized: RecognizedFile | None = None
    kind: str = ""
    """Its format."""
    concerned: bool = False
    """Whether it has rules that the lock-out check has to judge."""
    overridden: bool = False
    """Whether it has rules that the lock-out check would have refused."""
    places: dict[int, FileRow] = field(default_factory=dict)
    """The rules of another tool's file by their numbers: several may be on one line."""

    def placed(self, number: int, mistake: FileMistake) -> FileMistake:
        """Say where in the file a mistake is."""
        row = self.places.get(number)
        return row.mistake(mistake.field, mistake.message, mistake.code) if row else mistake


async def import_rules(
    work: UnitOfWork,
    wanted: RuleImport,
    opening: Callable[[], OpenedFile],
    by: tuple[Actor, datetime],
    worker: WorkerThread,
) -> ImportPlan:
    """Plan an import and, unless it is a dry run, apply it; raise `Unprocessable` for a file with errors."""
    actor, now = by
    file = await _stage(work.connection, wanted, opening, now, worker)
    seen, newest = await read_head(work.connection), await staging.newest_version(work.connection)
    plan = await _plan(work, file, seen.seq, now, lock=False)
    if wanted.dry_run:
        return plan
    _refuse_mistakes(plan)
    reach = await reach_of(work.connection, plan)
    await ask_before_import(work, reach)
    async with policy_change(work, actor, now, "import", wanted.reason) as change:
        changed = (change.before.seq, change.before.layer_version) != (seen.seq, seen.layer_version)
        changed = changed or await staging.newest_version(work.connection) != newest
        if changed or file.concerned:  # which tags Macs have may differ without a number
            await staging.forget(work.connection)
            plan = await _plan(work, file, change.before.seq, now, lock=True)
            _refuse_mistakes(plan)
            again = await reach_of(work.connection, plan)
            if again != reach:
                await ask_before_import(work, again)
        plan.policy_seq = await apply(change)
        _record(change, plan, file)
    return plan


async def _plan(work: UnitOfWork, file: StagedFile, seq: int, now: datetime, *, lock: bool) -> ImportPlan:
    """Compare a file with what is stored at a policy number; with `lock`, the guard's verdict will hold."""
    connection, wanted = work.connection, file.wanted
    mistakes = Mistakes(file.mistakes.shown, file.mistakes.total)
    if wanted.policy_seq not in {None, seq}:
        raise Conflict("The policy has changed since this plan was made; review the new plan first")
    counts = await staging.compare(connection, remove_missing=wanted.remove_missing)
    unknown = await staging.unknown_layers(connection)
    mistakes.add([mistake for one in file.failed for mistake in one.told(unknown)])
    compared, total = await staging.mistakes(connection)
    mistakes.add([file.placed(number, mistake) for number, mistake in compared], total)
    verdict = await judge(work, now, lock=lock)
    file.concerned = verdict.concerned
    file.overridden = bool(verdict.mistakes) and wanted.override_guard
    if not wanted.override_guard:
        mistakes.add(verdict.mistakes)
    return ImportPlan(
        applied=not wanted.dry_run,
        policy_seq=seq,
        rules=file.rules,
        added=counts.get("add", 0),
        changed=counts.get("change", 0),
        removed=counts.get("remove", 0),
        unchanged=counts.get("same", 0),
        changes=[PlannedChange.model_validate(dict(row)) for row in await staging.changes(connection)],
        mistakes=mistakes.shown,
        mistakes_total=mistakes.total,
        warnings=work.guard.warnings,
        missing_layers=await staging.missing_layers(connection),
        recognized=_counted(file.recognized, counts.get("absent", 0)),
    )


async def _stage(
    connection: Connection,
    wanted: RuleImport,
    opening: Callable[[], OpenedFile],
    now: datetime,
    worker: WorkerThread,
) -> StagedFile:
    """Stage the valid rules of a file beside the stored ones."""
    file = StagedFile(wanted)
    await staging.begin(connection)
    opened = await worker.run(opening)
    items: Iterator[FileRow | FileMistake]
    if isinstance(opened, OwnFile):
        file.kind = opened.kind
        items = read_rules(opened.kind, opened.pieces)
    else:
        file.kind, file.recognized = opened.format, recognized(opened)
        file.mistakes.add(*mistakes_of(opened))
        machines = await staging.machines_by_serial(connection, serials_of(opened))
        rows = await worker.run(lambda: rows_of(opened, machines))
        items = iter(rows.items)
        file.places = rows.places
        await staging.add_removals(connection, rows.removals)
    reader = FileReader(items, now)
    while not reader.done:
        portion = await worker.run(reader.portion)
        file.mistakes.add(portion.mistakes)
        file.failed += portion.failed
        await staging.add(connection, portion)
    file.rules = reader.rules
    return file


def _counted(found: RecognizedFile | None, absent: int) -> RecognizedFile | None:
    return found and found.model_copy(update={"absent": absent})


def _refuse_mistakes(plan: ImportPlan) -> None:
    if not plan.mistakes_total:
        return
    fields = tuple(
        FieldProblem(field=f"line {one.line}{'.' if one.field else ''}{one.field}", message=one.message)
        for one in plan.mistakes
    )
    raise Unprocessable(f"The file has {plan.mistakes_total} errors; nothing was imported", errors=fields)


def _record(change: Change, plan: ImportPlan, file: StagedFile) -> None:
    counts = {"adds": plan.added, "changes": plan.changed, "removes": plan.removed}
    if not any(counts.values()):
        return
    after = counts | {"format": file.kind, "reason": file.wanted.reason}
    after |= {"file_name": file.wanted.file_name} if file.wanted.file_name else {}
    after |= {"guard_overridden": True} if file.overridden else {}
    change.sum_up(**counts, **({"guard_overridden": True} if file.overridden else {}))
    change.audit("rules_imported", ("rule", "*"), None, after)
    change.tell(changed_in_bulk(change.now))
