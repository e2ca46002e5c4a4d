"""Wrong variants of what a Mac's credential decides; see mutants.py."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from santaserver.enrollment import identity
from santaserver.enrollment.admission import EnrollmentTerms
from santaserver.enrollment.credentials import FITS, Credential
from santaserver.events import store
from santaserver.sync import repository, router
from santaserver.sync.router import SyncStage
from santaserver.sync.service import SyncContext

Way = Callable[[SyncContext, str, Any], Awaitable[Any]]


def stage_of_anybody(patch: pytest.MonkeyPatch, stage: str) -> None:
    """A stage takes every valid secret for that of the Mac."""

    def credulous(way: Way) -> Way:
        async def done(context: SyncContext, machine_id: str, request: object) -> object:
            machine = await repository.find_machine(context.connection, machine_id)
            if machine is not None:
                context = replace(context, enrollment=_terms(machine.credential))
            return await way(context, machine_id, request)

        return done

    known = router.SYNC_STAGES[stage]
    ways = SyncStage(known.message, credulous(known.quick), credulous(known.locked))
    patch.setitem(router.SYNC_STAGES, stage, ways)


def _terms(credential: Credential) -> EnrollmentTerms | None:
    return None if credential.enrollment is None else EnrollmentTerms(credential.enrollment, None, None, None)


def rules_for_anybody(patch: pytest.MonkeyPatch, _: str) -> None:
    """The credential is not compared before rules are sent."""
    stage_of_anybody(patch, "ruledownload")


def postflight_of_anybody(patch: pytest.MonkeyPatch, _: str) -> None:
    """The credential is not compared before a sync is confirmed."""
    stage_of_anybody(patch, "postflight")


def preflight_of_anybody(patch: pytest.MonkeyPatch, _: str) -> None:
    """The credential is not compared when a sync begins."""
    stage_of_anybody(patch, "preflight")


def executions_of_anybody(patch: pytest.MonkeyPatch, _: str) -> None:
    """The credential is not compared before executions are stored."""
    fits = FITS.format("m", "$17", "$18")
    always = "($17::bigint is null or true) and ($18::bytea is null or true)"
    assert fits in store.ADD_EXECUTIONS
    patch.setattr(store, "ADD_EXECUTIONS", store.ADD_EXECUTIONS.replace(fits, always))


def moves_without_release(patch: pytest.MonkeyPatch, _: str) -> None:
    """A preflight with another secret moves the Mac at once."""
    settle = identity.settle

    async def moved(*values: Any, released: bool) -> Credential:  # noqa: ANN401
        return await settle(*values, released=released or True)

    patch.setattr(identity, "settle", moved)


def retired_macs_return(patch: pytest.MonkeyPatch, _: str) -> None:
    """Every enrollment takes retired Macs back."""
    enroll = identity.enroll

    async def enrolled(work: Any, machine_id: str, terms: Any, *rest: Any) -> None:  # noqa: ANN401
        await enroll(work, machine_id, terms and replace(terms, reenroll_retired=True), *rest)

    patch.setattr(identity, "enroll", enrolled)


def anybody_takes_a_retired_mac(patch: pytest.MonkeyPatch, _: str) -> None:
    """An enrollment takes back retired Macs of others too."""
    patch.setattr(identity, "_may_return", _always)


async def _always(*_: object) -> bool:
    return True


def write_what_was_read_before(patch: pytest.MonkeyPatch, _: str) -> None:
    """The fast path does not look whether the Mac is still as it was read."""
    whatever = "({0}::xid is null or true)"
    for name in ("CONFIRM", "CONFIRM_NEWS", "REFUSE", "REFUSE_NEWS"):
        statement = getattr(repository, name)
        changed = re.sub(r"\(\$(\d+)::xid is null or xmin = \$\1\)", r"($\1::xid is null or true)", statement)
        assert changed != statement
        patch.setattr(repository, name, changed)
    patch.setattr(repository, "AS_READ", whatever)


CREDENTIAL_MUTANTS = (
    rules_for_anybody,
    postflight_of_anybody,
    preflight_of_anybody,
    executions_of_anybody,
    moves_without_release,
    retired_macs_return,
    anybody_takes_a_retired_mac,
)
