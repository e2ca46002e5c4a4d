"""Wrong variants of the algorithm that the check has to detect. Each changes the running server."""

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import asyncpg
import msgspec
import pytest
from msgspec import structs

from santaserver.policy import change, rule_log
from santaserver.policy.head import PolicyHead
from santaserver.policy.states import PolicyState
from santaserver.protocol import protobuf
from santaserver.sync import paging, postflight, preflight, repository, service
from santaserver.sync.states import Kind, Known, Reason

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
    patch.setattr(paging, "_fillers", lambda *_: 0)


def sequence_instead_of_head(patch: pytest.MonkeyPatch, dsn: str) -> None:
    """Numbers are taken without holding the row until the commit, as from a sequence."""

    async def at_once(statement: str, *values: object) -> Any:  # noqa: ANN401
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetchrow(statement, *values)
        finally:
            await connection.close()

    async def number(_: object) -> PolicyHead:
        row = await at_once(
            """update policy_head set seq = seq + 1
               returning seq - 1, settings_seq, layer_version, content_seq, next_change_at"""
        )
        return PolicyHead(*row)

    async def stored(_: object, head: PolicyHead, __: object) -> None:
        await at_once(
            """update policy_head set settings_seq = greatest(settings_seq, $1),
                 layer_version = greatest(layer_version, $2), content_seq = greatest(content_seq, $3),
                 next_change_at = $4 returning seq""",
            head.settings_seq,
            head.layer_version,
            head.content_seq,
            head.next_change_at,
        )

    patch.setattr(change, "lock_head", number)
    patch.setattr(change, "store_head", stored)


def rules_are_not_content(patch: pytest.MonkeyPatch, _: str) -> None:
    """A change of rules counts as one of memberships only, which concerns no other Mac."""
    after = change.Change.after
    wrong = lambda one: structs.replace(after(one), content_seq=one.before.content_seq)  # noqa: E731
    patch.setattr(change.Change, "after", wrong)


def any_number_of_rules_confirms(patch: pytest.MonkeyPatch, _: str) -> None:
    """What the Mac says it received is not compared with what was sent."""
    judge = postflight.judge

    def credulous(session: Any, report: Any, *rest: Any, **more: Any) -> Any:  # noqa: ANN401
        if session is not None and session.sent is not None:
            report = replace(report, received=session.sent)
        return judge(session, report, *rest, **more)

    patch.setattr(service, "judge", credulous)


def no_hash(patch: pytest.MonkeyPatch, _: str) -> None:
    """The rules hash is ignored."""
    patch.setattr(preflight, "_drift", lambda *_: None)


def same_number_as_before(patch: pytest.MonkeyPatch, _: str) -> None:
    """A sync's number of rules may be that of an earlier one."""

    def tombstone_only(number: int, _: object) -> int:
        return int(number == 0)

    patch.setattr(paging, "_fillers", tombstone_only)
    judge = postflight.judge
    patch.setattr(service, "judge", lambda *arguments, **more: judge(*arguments[:4], **more))


def locks_do_not_count(patch: pytest.MonkeyPatch, _: str) -> None:
    """The highest layer always wins."""
    patch.setattr(rule_log, "PRECEDENCE", "array_position($1, v.layer_id) desc")


def unsupported_rules_hide_others(patch: pytest.MonkeyPatch, _: str) -> None:
    """A rule that a client cannot take still wins, so its Mac loses the rule below."""
    patch.setattr(rule_log, "supported_at", lambda level: f"{level}::integer is not null")


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
            known = structs.replace(known, pending=None)
        return claims(known, *rest)

    patch.setattr(preflight, "_claims", forgetful)
    patch.setattr(preflight, "_drift", lambda *_: None)


def orders_are_not_carried_out(patch: pytest.MonkeyPatch, _: str) -> None:
    """What an administrator ordered is no reason for a clean sync."""
    claims = preflight._claims

    def disobedient(*arguments: Any) -> Any:  # noqa: ANN401
        return (claim for claim in claims(*arguments) if claim[1] is not Reason.OPERATOR)

    patch.setattr(preflight, "_claims", disobedient)


def protobuf_without(patch: pytest.MonkeyPatch, stage: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Remove a field from binary responses."""
    whole = protobuf.encode_response

    def partial(said: str, body: bytes) -> bytes:
        fields = msgspec.json.decode(body)
        if said == stage:
            change(fields)
        return whole(said, msgspec.json.encode(fields))

    patch.setattr(protobuf, "encode_response", partial)


def protobuf_drops_messages(patch: pytest.MonkeyPatch, _: str) -> None:
    """Binary rules come without their message, which Santa's hash does not cover."""

    def dropped(fields: dict[str, Any]) -> None:
        for rule in fields.get("rules", ()):
            rule.pop("custom_msg", None)

    protobuf_without(patch, "ruledownload", dropped)


def protobuf_drops_cursors(patch: pytest.MonkeyPatch, _: str) -> None:
    """Macs that speak protobuf never ask for a second page."""
    protobuf_without(patch, "ruledownload", lambda fields: fields.pop("cursor", None))


def protobuf_drops_the_kind_of_sync(patch: pytest.MonkeyPatch, _: str) -> None:
    """Macs that speak protobuf take every sync for a normal one."""
    protobuf_without(patch, "preflight", lambda fields: fields.pop("sync_type", None))


MUTANTS: tuple[Mutant, ...] = (
    forget_possible_states,
    confirm_at_the_last_page,
    no_tombstone,
    sequence_instead_of_head,
    rules_are_not_content,
    any_number_of_rules_confirms,
    no_hash,
    locks_do_not_count,
    unsupported_rules_hide_others,
    compare_with_the_confirmed_layers_only,
    clean_syncs_need_no_end,
    orders_are_not_carried_out,
    protobuf_drops_messages,
    protobuf_drops_cursors,
    protobuf_drops_the_kind_of_sync,
)
