"""Asks the lock-out guard about a file of rules, before it is applied: a dry run says the same."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from santaserver.policy import guard_repository, guarding
from santaserver.policy.claims import BATCH
from santaserver.policy.claims import COLUMNS as HASH_TYPES
from santaserver.policy.guard import Version, View
from santaserver.policy.guard_text import OVERRIDE, Report
from santaserver.policy.guarding import Guarding
from santaserver.policy.layer_ranks import MACHINE_RANK, USER_RANK
from santaserver.policy.rule_text import Key
from santaserver.rules import transfer_staging as staging
from santaserver.rules.transfer_schemas import FileMistake
from santaserver.rules.transfer_staging import ConcerningStep
from santaserver.scope import EVERYWHERE, Scope
from santaserver.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the check says of a file."""

    concerned: bool = False
    """Whether any of its rules may block what Macs need, or free it."""
    mistakes: list[FileMistake] = field(default_factory=list)
    """What it would block."""


async def judge(work: UnitOfWork, now: datetime, *, lock: bool, scope: Scope = EVERYWHERE) -> Verdict:
    """Return what the staged file would block that Macs need; keep warnings with the request.

    With `lock`, it holds until the commit.
    """
    work.guard.warnings.clear()
    hashes: list[Key] = []
    for rule_type in HASH_TYPES:
        async for portion in staging.hashes_to_judge(work.connection, rule_type, BATCH):
            hashes += [(rule_type, identifier) for identifier in portion]
    guard = await guarding.prepare_all(work, now, hashes=hashes)
    steps = await staging.concerning(work.connection, guard.keys, guard.teams)
    if not steps:
        return Verdict()
    await guard.before(lock=lock)
    layers = _layers(steps)
    after = await _after(work, guard, steps, layers)
    reports = await guard.judge(after, layers.values(), scope=scope)
    guard.keep(reports)
    refused = [_mistake(report, steps) for report in reports if report.severity == "refused"]
    return Verdict(concerned=True, mistakes=refused)


def _layers(steps: Iterable[ConcerningStep]) -> dict[str, int]:
    """Return ids of the steps' layers; those that the import would make have negative ones."""
    found: dict[str, int] = {}
    for step in steps:
        found.setdefault(step.layer, -len(found) - 1 if step.layer_id is None else step.layer_id)
    return found


async def _after(
    work: UnitOfWork, guard: Guarding, steps: Sequence[ConcerningStep], layers: dict[str, int]
) -> View:
    """Return what decides once the steps are applied."""
    replaced = {step.rule for step in steps if step.rule is not None}
    versions = [version for version in guard.view.versions if version.rule_id not in replaced]
    versions += [_version(step, layers[step.layer]) for step in steps if step.policy is not None]
    ranks = dict(guard.view.ranks)
    ranks |= await guard_repository.ranks(work.connection, layers.values())
    for name, layer in layers.items():
        if layer < 0:
            ranks[layer] = USER_RANK if name.startswith("user:") else MACHINE_RANK
    return View(ranks, versions, guard.view.settings)


def _version(step: ConcerningStep, layer: int) -> Version:
    return Version(
        step.rule or 0,
        layer,
        step.rule_type,
        step.identifier,
        step.policy or "",
        step.cel_expr,
        bool(step.locked),
        step.needs_level or 0,
        step.starts_at,
        step.expires_at,
    )


def _mistake(report: Report, steps: Iterable[ConcerningStep]) -> FileMistake:
    cause = (report.cause.rule_type, report.cause.identifier)
    lines = [step.line for step in steps if step.line is not None]
    exact = [
        step.line for step in steps if step.line is not None and (step.rule_type, step.identifier) == cause
    ]
    return FileMistake(
        line=(exact or lines or [1])[0],
        field="identifier",
        message=f"This locks Macs out: {report.text}. Set {OVERRIDE} to save it anyway",
    )
