"""Finds Macs with wrong rules, and prints the details."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from santaserver.db import Database
from tests.model.mac import Mac
from tests.model.policy import Policy
from tests.model.settings import MODE, effective
from tests.model.strangers import FIRST_PID
from tests.model.wrong import WrongError
from tests.support.policy_log import UNEXPLAINED


def compare(
    policy: Policy, mac: Mac, changes: Iterable[tuple[datetime, str, object]], when: str, now: datetime
) -> None:
    """Raise `WrongError` unless a Mac has exactly the rules it should have."""
    wanted, there = policy.effective(mac.facts, now), mac.given()
    if there == wanted:
        return
    missing = {key: wanted[key] for key in wanted if there.get(key) != wanted[key]}
    instead = {key: there[key] for key in there if there[key] != wanted.get(key)}
    layers = policy.layers_of(mac.facts)
    concerned = [
        f"{layer} {key}: {rule}"
        for layer in layers
        for key in dict.fromkeys((*missing, *instead))
        if (rule := policy.layers.get(layer, {}).get(key))
    ]
    lines = [
        f"{mac.facts} {when} at {now}, but lacks {missing} and has {instead} instead",
        f"its layers: {', '.join(layers)}",
        "rules of these targets:",
        *concerned,
        "what it did (sync, what, fault, outcome):",
        *(" | ".join(map(str, entry)) for entry in mac.journal),
        "what administrators and time did:",
        *(" | ".join(map(str, entry)) for entry in changes),
    ]
    raise WrongError(mac.facts.machine_id, "\n  ".join(lines))


def compare_settings(policy: Policy, mac: Mac, when: str, now: datetime) -> None:
    """Raise `WrongError` unless a Mac has read the settings it should have.

    Not its mode: a time in monitor mode ends without a change of the policy.
    """
    if mac.settings is None:
        return
    layers = policy.layers_of(mac.facts)
    wanted = effective(policy.settings, layers, mac.facts.version, None, now)
    differ = {name for name in wanted if name != MODE and wanted[name] != mac.settings.get(name)}
    if differ:
        lines = [
            f"{mac.facts} {when} at {now}, but it has read other settings: {sorted(differ)}",
            f"wanted {wanted}",
            f"read {mac.settings}",
            "what it did (sync, what, fault, outcome):",
            *(" | ".join(map(str, entry)) for entry in mac.journal),
        ]
        raise WrongError(mac.facts.machine_id, "\n  ".join(lines))


async def claimed(database: Database, now: datetime) -> set[str]:
    """Return the machines that the server calls up to date."""
    async with database.transaction(lambda _: None) as (connection, _):
        rows = await connection.fetch(
            """select m.machine_id
               from machine m join machine_sync y on y.machine_id = m.id, policy_head h
               where y.acked_seq = h.seq and y.acked_signature = y.signature
                 and y.membership_fingerprint is not null
                 and not y.drift_suppressed and coalesce(y.pending_kind, 'normal') = 'normal'
                 and (h.next_change_at is null or h.next_change_at > $1)""",
            now,
        )
    return {row["machine_id"] for row in rows}


async def check_stored(database: Database, machine_id: str, accepted: set[int]) -> None:
    """Raise `WrongError` unless a machine's accepted executions are stored, none twice, no stranger's."""
    async with database.transaction(lambda _: None) as (connection, _):
        rows = await connection.fetch(
            "select e.pid from event e join machine m on m.id = e.machine_id where m.machine_id = $1",
            machine_id,
        )
    stored = Counter(row["pid"] for row in rows)
    lost = accepted - stored.keys()
    twice = [pid for pid, number in stored.items() if number > 1]
    others = [pid for pid in stored if pid >= FIRST_PID]
    if lost or twice or others:
        text = f"{machine_id}: executions lost {sorted(lost)}, stored twice {twice}, of strangers {others}"
        raise WrongError(machine_id, text)


async def check_log(database: Database) -> None:
    """Raise `WrongError` unless of each number of the policy it is stored whose change it is."""
    async with database.transaction(lambda _: None) as (connection, _):
        rows = await connection.fetch(UNEXPLAINED)
    if rows:
        raise WrongError("", f"nobody changed the policy under {[row['seq'] for row in rows]}")


async def clean_reasons(database: Database) -> Counter[str]:
    """Return why clean syncs were ordered, and how often."""
    async with database.transaction(lambda _: None) as (connection, _):
        rows = await connection.fetch(
            "select clean_reason, count(*) from sync_session where clean_reason is not null group by 1"
        )
    return Counter({row[0]: row[1] for row in rows})


async def server_side(database: Database, machine_id: str) -> str:
    """Return what the server knows of a machine, for people."""
    async with database.transaction(lambda _: None) as (connection, _):
        head = await connection.fetch("select * from policy_head")
        state = await connection.fetch(
            "select y.* from machine_sync y join machine m on m.id = y.machine_id where m.machine_id = $1",
            machine_id,
        )
        sessions = await connection.fetch(
            """select s.* from sync_session s join machine m on m.id = s.machine_id
               where m.machine_id = $1 order by s.id desc limit 12""",
            machine_id,
        )
        signatures = await connection.fetch("select * from policy_signature order by id")
    rows = [dict(row) for row in (*head, *state, *sessions, *signatures)]
    return "\n  ".join(["what the server knows (head, machine, sessions, signatures):", *map(str, rows)])
