"""Writes uploads in bulk: each kind of row in one statement, repetitions dropped by their key."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from santaserver.db import Connection
from santaserver.events.parse import (
    MAX_NAME,
    MAX_TEXT,
    ExecutionRow,
    FileAccessRow,
    entitlements,
    quarantine,
    unique_by,
)
from santaserver.events.wire import Certificate


async def store_certificates(connection: Connection, rows: Sequence[ExecutionRow]) -> None:
    """Keep every certificate of the signing chains."""
    chain = sorted({cert.sha256: cert for row in rows for cert in row.chain}.items())
    if chain:
        await connection.execute(
            """insert into certificate (sha256, cn, org, ou, valid_from, valid_until)
               select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[],
                 $6::timestamptz[]) on conflict do nothing""",
            [key[:MAX_NAME] for key, _ in chain],
            [cert.cn[:MAX_NAME] for _, cert in chain],
            [cert.org[:MAX_NAME] for _, cert in chain],
            [cert.ou[:MAX_NAME] for _, cert in chain],
            [valid_time(cert.valid_from) for _, cert in chain],
            [valid_time(cert.valid_until) for _, cert in chain],
        )


async def store_executables(
    connection: Connection, rows: Sequence[ExecutionRow], now: datetime
) -> dict[str, int]:
    """Keep what is known of each program; return ids by SHA-256."""
    programs = unique_by(rows, lambda row: row.sha256)
    found: dict[str, int] = {}
    if not programs:
        return found
    events = [row.event for row in programs]
    await connection.execute(
        """insert into executable (sha256, file_name, team_id, signing_id, cdhash, bundle_id, bundle_name,
             bundle_path, bundle_version, bundle_hash, signing_chain, signing_status, cs_flags, entitlements,
             first_seen_at, last_seen_at)
           select p.sha256, p.file_name, p.team_id, p.signing_id, p.cdhash, p.bundle_id, p.bundle_name,
             p.bundle_path, p.bundle_version, p.bundle_hash,
             array(select jsonb_array_elements_text(p.chain)), p.signing_status, p.cs_flags,
             p.entitlements, $15, $15
           from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
             $8::text[], $9::text[], $10::text[], $11::jsonb[], $12::text[], $13::bigint[], $14::jsonb[])
             p(sha256, file_name, team_id, signing_id, cdhash, bundle_id, bundle_name, bundle_path,
               bundle_version, bundle_hash, chain, signing_status, cs_flags, entitlements)
           on conflict (sha256) do update set last_seen_at = excluded.last_seen_at
             where executable.last_seen_at < excluded.last_seen_at - interval '1 hour'""",
        [row.sha256 for row in programs],
        [event.file_name[:MAX_NAME] for event in events],
        [event.team_id[:MAX_NAME] for event in events],
        [event.signing_id[:MAX_NAME] for event in events],
        [event.cdhash[:MAX_NAME] for event in events],
        [event.file_bundle_id[:MAX_NAME] for event in events],
        [event.file_bundle_name[:MAX_NAME] for event in events],
        [event.file_bundle_path[:MAX_TEXT] for event in events],
        [(event.file_bundle_version_string or event.file_bundle_version)[:MAX_NAME] for event in events],
        [event.file_bundle_hash[:MAX_NAME] for event in events],
        [json.dumps([cert.sha256[:MAX_NAME] for cert in row.chain]) for row in programs],
        [str(event.signing_status)[:MAX_NAME] for event in events],
        [event.cs_flags for event in events],
        [_json(entitlements(event)) for event in events],
        now,
    )
    stored = await connection.fetch(
        "select sha256, id from executable where sha256 = any($1)", [row.sha256 for row in programs]
    )
    return {row["sha256"]: row["id"] for row in stored}


async def store_executions(
    connection: Connection,
    machine: int,
    rows: Sequence[ExecutionRow],
    programs: dict[str, int],
    now: datetime,
) -> dict[bytes, int]:
    """Add events; return the ids of those that were not there yet, by key."""
    if not rows:
        return {}
    events = [row.event for row in rows]
    added = await connection.fetch(
        """insert into event (occurred_at, received_at, machine_id, executable_id, decision, file_name,
             file_path, executing_user, parent_name, pid, ppid, static_rule, logged_in_users,
             current_sessions, quarantine, dedupe_key)
           select e.occurred_at, $1, $2, e.program, e.decision, e.file_name, e.file_path, e.executing_user,
             e.parent_name, e.pid, e.ppid, e.static_rule,
             array(select jsonb_array_elements_text(e.logged_in)),
             array(select jsonb_array_elements_text(e.sessions)), e.quarantine, e.key
           from unnest($3::timestamptz[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[],
             $9::text[], $10::integer[], $11::integer[], $12::boolean[], $13::jsonb[], $14::jsonb[],
             $15::jsonb[], $16::bytea[])
             e(occurred_at, program, decision, file_name, file_path, executing_user, parent_name, pid, ppid,
               static_rule, logged_in, sessions, quarantine, key)
           on conflict do nothing returning dedupe_key, id""",
        now,
        machine,
        [row.occurred_at for row in rows],
        [programs[row.sha256] for row in rows],
        [row.decision for row in rows],
        [event.file_name[:MAX_NAME] for event in events],
        [event.file_path[:MAX_TEXT] for event in events],
        [event.executing_user[:MAX_NAME] for event in events],
        [event.parent_name[:MAX_NAME] for event in events],
        [event.pid for event in events],
        [event.ppid for event in events],
        [event.static_rule for event in events],
        [json.dumps([user[:MAX_NAME] for user in event.logged_in_users]) for event in events],
        [json.dumps([session[:MAX_NAME] for session in event.current_sessions]) for event in events],
        [_json(quarantine(event)) for event in events],
        [row.key for row in rows],
    )
    return {bytes(row["dedupe_key"]): row["id"] for row in added}


async def store_file_accesses(
    connection: Connection, machine: int, rows: Sequence[FileAccessRow], now: datetime
) -> None:
    """Add file accesses that were not there yet."""
    if rows:
        await connection.execute(
            """insert into file_access_event (occurred_at, received_at, machine_id, rule_name, rule_version,
                 target, decision, process_chain, dedupe_key)
               select a.at, $1, $2, a.rule_name, a.rule_version, a.target, a.decision, a.chain, a.key
               from unnest($3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[], $8::jsonb[],
                 $9::bytea[]) a(at, rule_name, rule_version, target, decision, chain, key)
               on conflict do nothing""",
            now,
            machine,
            [row.occurred_at for row in rows],
            [row.event.rule_name[:MAX_NAME] for row in rows],
            [row.event.rule_version[:MAX_NAME] for row in rows],
            [row.event.target[:MAX_TEXT] for row in rows],
            [row.decision for row in rows],
            [json.dumps(row.event.process_chain) for row in rows],
            [row.key for row in rows],
        )


async def store_bundles(
    connection: Connection, rows: Sequence[ExecutionRow], programs: dict[str, int], now: datetime
) -> None:
    """Keep the bundles that events name, and which programs belong to them."""
    bundles = unique_by(rows, lambda row: row.event.file_bundle_hash[:MAX_NAME])
    if not bundles:
        return
    events = [row.event for row in bundles]
    await connection.execute(
        """insert into bundle (hash, bundle_id, name, path, version, binary_count, first_seen_at)
           select b.*, $7
           from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::integer[]) b
           on conflict do nothing""",
        [event.file_bundle_hash[:MAX_NAME] for event in events],
        [event.file_bundle_id[:MAX_NAME] for event in events],
        [event.file_bundle_name[:MAX_NAME] for event in events],
        [event.file_bundle_path[:MAX_TEXT] for event in events],
        [(event.file_bundle_version_string or event.file_bundle_version)[:MAX_NAME] for event in events],
        [min(event.file_bundle_binary_count, 2**31 - 1) for event in events],
        now,
    )
    members = sorted({(row.event.file_bundle_hash[:MAX_NAME], programs[row.sha256]) for row in rows})
    members = [(bundle, program) for bundle, program in members if bundle]
    await connection.execute(
        """insert into bundle_binary (bundle_hash, executable_id)
           select * from unnest($1::text[], $2::bigint[]) on conflict do nothing""",
        [bundle for bundle, _ in members],
        [program for _, program in members],
    )


async def incomplete_bundles(connection: Connection, hashes: Sequence[str]) -> list[str]:
    """Return which of these bundles have programs that were never seen."""
    if not hashes:
        return []
    rows = await connection.fetch(
        """select b.hash from bundle b where b.hash = any($1)
             and (select count(*) from bundle_binary m where m.bundle_hash = b.hash) < b.binary_count
           order by b.hash""",
        hashes,
    )
    return [row["hash"] for row in rows]


def valid_time(seconds: int) -> datetime | None:
    """Return a certificate's date, None when it has none."""
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def leaf(row: ExecutionRow) -> Certificate | None:
    """Return the certificate that signed the program."""
    return row.chain[0] if row.chain else None


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value)
