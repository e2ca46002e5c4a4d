"""Which layers a machine is in: the global one, its tags in their order, its user's, its own.

Looked up when the machine's report or the layers themselves have changed since the last time, which
`membership_fingerprint` shows; otherwise the last signature is valid.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime

import msgspec

from santaserver.db import Connection
from santaserver.policy.capabilities import by_version
from santaserver.policy.layer_ranks import MANUAL
from santaserver.policy.member_log import Source, follow_report
from santaserver.policy.predicate import MachineFacts, holds
from santaserver.policy.rule_log import signature_id
from santaserver.protocol.messages import PreflightRequest
from santaserver.sync.caches import SyncCaches, TagRule
from santaserver.sync.withheld import Memberships, Subject, allowed
from santaserver.turns import Turns
from santaserver.unit_of_work import UnitOfWork

UNSETTLED = bytes(16)
"""The fingerprint of a machine that tags are withheld from: each preflight determines its layers again."""


@dataclass(frozen=True, slots=True)
class Determined:
    """A machine's layers and release."""

    signature: int
    settled: bool
    """Whether it holds as long as neither the report nor the layers change."""


def membership_fingerprint(report: PreflightRequest, enrollment: int | None, layer_version: int) -> bytes:
    """Digest everything that a machine's layers and stored facts depend on."""
    facts = msgspec.structs.replace(report, rules_hash="", request_clean_sync=False)
    # The code is there for what a newer version of this program knows about a client.
    text = msgspec.json.encode((facts, enrollment, layer_version, by_version(report.santa_version).code))
    return hashlib.blake2b(text, digest_size=16).digest()


async def signature(
    work: UnitOfWork,
    caches: SyncCaches,
    subject: Subject,
    report: PreflightRequest,
    mode: str,
    layer_version: int,
    now: datetime,
) -> Determined:
    """Bring the machine's tags up to date; return the signature of its layers and its release."""
    connection = work.connection
    tags = await _tags(connection, caches, layer_version)
    rows = await connection.fetch(
        "select tag_id, source from tag_member where machine_id = $1 and left_at is null", subject.id
    )
    present = frozenset[Source]((row[0], row[1]) for row in rows)
    user, own = await _own_layers(connection, subject.id, report.primary_user)
    reported = Memberships(
        tags,
        present,
        manual=frozenset(member for member in present if member[1] == MANUAL),
        automatic=await _automatic_members(tags, facts_of(subject, report, mode), subject.enrollment),
        user_layer=user,
        machine_layer=own,
        code=by_version(report.santa_version).code,
    )
    made = await allowed(work, caches, subject, reported, now)
    left = present - made.manual - made.automatic
    await follow_report(connection, subject.id, left, made.automatic - present, now)
    return Determined(await signature_id(connection, caches, made.layers, made.code), made.settled)


def facts_of(subject: Subject, report: PreflightRequest, mode: str) -> MachineFacts:
    """Return what a tag's predicate can ask about."""
    return MachineFacts(
        machine_id=subject.machine_id,
        serial=report.serial_number,
        hostname=report.hostname,
        model=report.model_identifier,
        os_version=report.os_version,
        os_build=report.os_build,
        santa_version=report.santa_version,
        primary_user=report.primary_user,
        groups=report.primary_user_groups,
        client_mode=mode,
        sip_enabled=report.sip_status == 0,
    )


async def _automatic_members(
    tags: tuple[TagRule, ...], facts: MachineFacts, enrollment: int | None
) -> frozenset[Source]:
    groups = {group.casefold() for group in facts.groups}
    members: set[Source] = set()
    turns = Turns()
    for tag in tags:
        await turns.pause()
        if enrollment in tag.enrollments:
            members.add((tag.id, "enrollment"))
        if groups & tag.groups:
            members.add((tag.id, "group"))
        if tag.predicate is not None and holds(tag.predicate, facts):
            members.add((tag.id, "predicate"))
    return frozenset(members)


async def _tags(connection: Connection, caches: SyncCaches, layer_version: int) -> tuple[TagRule, ...]:
    known = caches.tags.get(layer_version)
    if known is None:
        rows = await connection.fetch(
            """select t.id, l.id, l.used, t.predicate, t.groups,
                 array(select enrollment_id from tag_enrollment e where e.tag_id = t.id)
               from tag t join layer l on l.tag_id = t.id
               where t.removed_at is null order by l.rank"""
        )
        known = caches.tags.put(
            layer_version,
            tuple(
                TagRule(
                    row[0], row[1], row[2], row[3], frozenset(map(str.casefold, row[4])), frozenset(row[5])
                )
                for row in rows
            ),
        )
    return known


async def _own_layers(connection: Connection, machine: int, user: str) -> tuple[int | None, int | None]:
    """Return the layers of the machine's user and of itself."""
    rows = await connection.fetch(
        """select kind, id from layer where used and kind = 'user' and name = lower($2)
           union all
           select kind, id from layer where used and kind = 'machine' and machine_id = $1""",
        machine,
        user,
    )
    layers = dict(map(tuple, rows))
    return layers.get("user"), layers.get("machine")
