"""Imports files of rules: one file, one transaction, one number of the policy.

The file is read in portions off the event loop and staged without a lock; only the comparison and the
change itself keep other writers out.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from santaserver.bodies import WorkerThread
from santaserver.current_user import User
from santaserver.db import Connection, driver
from santaserver.errors import Conflict, FieldProblem, Unprocessable
from santaserver.outbox import changed_in_bulk
from santaserver.policy.head import head_seq, lock_policy
from santaserver.rules import transfer_staging as staging
from santaserver.rules.claims import BATCH, COLUMNS, signers_of
from santaserver.rules.guard import endangered
from santaserver.rules.transfer_apply import By, apply
from santaserver.rules.transfer_plan import Failed, FileReader
from santaserver.rules.transfer_schemas import (
    SHOWN,
    FileMistake,
    ImportPlan,
    PlannedChange,
    RuleImport,
)
from santaserver.users.repository import audit


@dataclass(slots=True)
class Mistakes:
    """Everything wrong with a file, of which the first are shown."""

    shown: list[FileMistake] = field(default_factory=list)
    total: int = 0

    def add(self, found: list[FileMistake], total: int | None = None) -> None:
        """Count mistakes and keep the first by their lines."""
        self.total += len(found) if total is None else total
        self.shown = sorted([*self.shown, *found], key=lambda mistake: mistake.line)[:SHOWN]


async def import_rules(
    session: AsyncSession,
    wanted: RuleImport,
    text: Iterator[str],
    by: tuple[User, datetime],
    worker: WorkerThread,
) -> ImportPlan:
    """Plan an import and, unless it is a trial, do it; raise `Unprocessable` for a file with mistakes."""
    user, now = by
    connection = await driver(session)
    mistakes = Mistakes()
    reader = FileReader(wanted.format, text, now)
    failed = await _stage(connection, reader, worker, mistakes)
    if not wanted.dry_run:
        await lock_policy(session)
    seq = await head_seq(session)
    if wanted.policy_seq not in {None, seq}:
        raise Conflict("The policy has changed since this plan was made; review the new plan first")
    counts = await staging.compare(connection, remove_missing=wanted.remove_missing)
    unknown = await staging.unknown_layers(connection)
    mistakes.add([mistake for one in failed for mistake in one.told(unknown)])
    mistakes.add(*await staging.mistakes(connection))
    endangering = await _endangering(session, connection)
    if not wanted.override_guard:
        mistakes.add(endangering)
    plan = ImportPlan(
        applied=not wanted.dry_run,
        policy_seq=seq,
        rules=reader.rules,
        added=counts.get("add", 0),
        changed=counts.get("change", 0),
        removed=counts.get("remove", 0),
        unchanged=counts.get("same", 0),
        changes=[PlannedChange.model_validate(dict(row)) for row in await staging.changes(connection)],
        mistakes=mistakes.shown,
        mistakes_total=mistakes.total,
    )
    if wanted.dry_run:
        return plan
    if mistakes.total:
        raise _refusal(mistakes)
    plan.policy_seq = await apply(session, connection, By(user.id, wanted.reason, now)) or seq
    _record(session, plan, wanted, by, overridden=bool(endangering))
    return plan


async def _stage(
    connection: Connection, reader: FileReader, worker: WorkerThread, mistakes: Mistakes
) -> list[Failed]:
    """Store the rules of a file beside those that are there; return those that cannot be."""
    failed: list[Failed] = []
    await staging.begin(connection)
    while not reader.done:
        portion = await worker.run(reader.portion)
        mistakes.add(portion.mistakes)
        failed += portion.failed
        await staging.add(connection, portion)
    return failed


async def _endangering(session: AsyncSession, connection: Connection) -> list[FileMistake]:
    """Return what the lock-out guard says of rules that would begin to block; those that do already stay."""
    found = await staging.named_lifelines(connection)
    for rule_type in COLUMNS:
        async for rows in staging.blocking_hashes(connection, rule_type, BATCH):
            known = await signers_of(session, rule_type, {name for _, name, _ in rows})
            for line, name, policy in rows if known else ():
                needed = endangered(policy, known.get(name, ()))
                if needed:
                    found.append((line, needed))
    return [
        FileMistake(
            line=line,
            field="identifier",
            message=f"Blocking this locks Macs out: it is {needed}. Set override_guard to save it anyway",
        )
        for line, needed in found
    ]


def _refusal(mistakes: Mistakes) -> Unprocessable:
    fields = tuple(
        FieldProblem(field=f"line {one.line}{'.' if one.field else ''}{one.field}", message=one.message)
        for one in mistakes.shown
    )
    return Unprocessable(f"The file has {mistakes.total} errors; nothing was imported", errors=fields)


def _record(
    session: AsyncSession,
    plan: ImportPlan,
    wanted: RuleImport,
    by: tuple[User, datetime],
    *,
    overridden: bool,
) -> None:
    counts = {"adds": plan.added, "changes": plan.changed, "removes": plan.removed}
    if not any(counts.values()):
        return
    user, now = by
    after = counts | {"format": wanted.format, "reason": wanted.reason}
    after |= {"guard_overridden": True} if overridden else {}
    target = ("rule", "*")
    audit(session, (user.id, user.username), now, "rules_imported", target, None, after, plan.policy_seq)
    session.info["outbox"].add(changed_in_bulk(now))
