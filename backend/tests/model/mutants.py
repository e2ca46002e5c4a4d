"""Ways to get the algorithm wrong that have to be noticed. Each is a change of the running server."""

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from santaserver.sync import delta, postflight, preflight, repository, rule_log, service
from santaserver.sync.states import Kind, Known, PolicyState

Mutant = Callable[[pytest.MonkeyPatch, str], None]


def everywhere(patch: pytest.MonkeyPatch, name: str, value: object) -> None:
    """Replace a function in every module that imported it."""
    for module in list(sys.modules.values()):
        if module.__name__.startswith("santaserver") and hasattr(module, name):
            patch.setattr(module, name, value)


def forget_possible_states(patch: pytest.MonkeyPatch, _: str) -> None:
    """Only the confirmed state counts; what a lost postflight may have left is forgotten."""

    def only_acked(known: Known) -> tuple[PolicyState, ...]:
        return (known.acked,) if known.acked else ()

    everywhere(patch, "possible_states", only_acked)
    patch.setattr(preflight, "_drift", lambda *_: None)


def confirm_at_the_last_page(patch: pytest.MonkeyPatch, _: str) -> None:
    """Rules count as delivered when they were downloaded."""
    mark = repository.mark_page

    async def marked(connection: Any, machine: Any, session: Any, sent: int | None) -> None:  # noqa: ANN401
        await mark(connection, machine, session, sent)
        if sent is not None:
            await connection.execute(
                """update machine_sync set acked_signature = pending_signature, acked_seq = pending_seq,
                     possible_signatures = '{}', possible_seqs = '{}' where machine_id = $1""",
                machine.id,
            )

    patch.setattr(repository, "mark_page", marked)


def no_tombstone(patch: pytest.MonkeyPatch, _: str) -> None:
    """An empty clean sync sends nothing."""
    patch.setattr(delta, "_fillers", lambda *_, **__: 0)


def sequence_instead_of_head(patch: pytest.MonkeyPatch, dsn: str) -> None:
    """Numbers are taken without holding the row until the commit, as from a sequence."""

    async def at_once(statement: str) -> Any:  # noqa: ANN401
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    async def number(_: object) -> int:
        taken: int = await at_once("update policy_head set seq = seq + 1 returning seq")
        return taken

    async def no_lock(_: object) -> None:
        pass

    async def bumped(_: object) -> None:
        await at_once("update policy_head set layer_version = layer_version + 1 returning 1")

    everywhere(patch, "next_seq", number)
    everywhere(patch, "lock_policy", no_lock)
    everywhere(patch, "layers_changed", bumped)


def any_number_of_rules_confirms(patch: pytest.MonkeyPatch, _: str) -> None:
    """What the Mac says it received is not compared with what was sent."""
    judge = postflight.judge

    def credulous(session: Any, report: Any, *rest: Any) -> Any:  # noqa: ANN401
        if session is not None and session.sent is not None:
            report = replace(report, received=session.sent)
        return judge(session, report, *rest)

    patch.setattr(service, "judge", credulous)


def no_hash(patch: pytest.MonkeyPatch, _: str) -> None:
    """The rules hash is not looked at."""
    patch.setattr(preflight, "_drift", lambda *_: None)


def same_number_as_before(patch: pytest.MonkeyPatch, _: str) -> None:
    """A sync's number of rules may be that of an earlier one."""

    def tombstone_only(number: int, *, clean: bool, **_: object) -> int:
        return int(clean and number == 0)

    patch.setattr(delta, "_fillers", tombstone_only)
    judge = postflight.judge
    patch.setattr(service, "judge", lambda *arguments: judge(*arguments[:4]))


def locks_do_not_count(patch: pytest.MonkeyPatch, _: str) -> None:
    """The highest layer always wins."""
    patch.setattr(rule_log, "PRECEDENCE", "array_position($1, v.layer_id) desc")


def compare_with_the_confirmed_layers_only(patch: pytest.MonkeyPatch, _: str) -> None:
    """Changes since the confirmed number are sent, whatever layers the Mac was in then."""

    def all_same(bases: Any, target: PolicyState) -> Any:  # noqa: ANN401
        return [replace(base, signature=target.signature) for base in bases], []

    patch.setattr(rule_log, "same_signature", all_same)


def clean_syncs_need_no_end(patch: pytest.MonkeyPatch, _: str) -> None:
    """A clean sync that was not confirmed is not repeated."""
    claims = preflight._claims

    def forgetful(known: Known, *rest: Any) -> Any:  # noqa: ANN401
        pending = known.pending
        if pending is not None and pending.kind is not Kind.NORMAL:
            known = replace(known, pending=None)
        return claims(known, *rest)

    patch.setattr(preflight, "_claims", forgetful)
    patch.setattr(preflight, "_drift", lambda *_: None)


MUTANTS: tuple[Mutant, ...] = (
    forget_possible_states,
    confirm_at_the_last_page,
    no_tombstone,
    sequence_instead_of_head,
    any_number_of_rules_confirms,
    no_hash,
    locks_do_not_count,
    compare_with_the_confirmed_layers_only,
    clean_syncs_need_no_end,
)
