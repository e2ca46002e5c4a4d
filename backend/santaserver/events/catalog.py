"""The catalog of programs: what is known of each file, certificate and bundle that was ever seen.

It is stored before the events and in a separate transaction: it contains nothing about a machine, so it may
exist without the events, and uploads do not wait for each other. A process caches which programs it has
stored, so most uploads need no statement for this.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from santaserver import sizes
from santaserver.cache import CacheMemory, LruCache
from santaserver.db import Connection
from santaserver.events.parse import ExecutionRow, unique_by
from santaserver.events.pending_claims import MAX_COUNT, MEMORY, Claim, KnownProgram, PendingClaims, claim_key
from santaserver.events.places import PlaceCache
from santaserver.events.plausible import MAX_NAME, MAX_TEXT, Words, entitlements, identify
from santaserver.events.wire import Certificate
from santaserver.protocol import santa_v1_pb2 as pb

SIGNING = Words(pb.SigningStatus, "")
TOUCH_AFTER = timedelta(hours=1)
"""`last_seen_at` is as exact as this."""
CERTIFICATE_SIZE = sizes.ENTRY + sizes.TEXT + 64
"""Bytes of a certificate that a process knows to be stored."""


Reports = list[tuple[ExecutionRow, KnownProgram]]


class ProgramCache:
    """What a process knows of programs, and what it has yet to store of them."""

    def __init__(self, memory: CacheMemory, pending_bytes: int = MEMORY) -> None:
        """Know none; claims that wait may take `pending_bytes`."""
        self.known: LruCache[str, KnownProgram] = LruCache(memory, "programs", _known_size)
        """By SHA-256."""
        self.places = PlaceCache(memory)
        self.certificates: LruCache[str, bool] = LruCache(memory, "certificates", lambda *_: CERTIFICATE_SIZE)
        """Those that are stored, by SHA-256."""
        self.pending = PendingClaims(self.forget, pending_bytes)

    def forget(self, claim: Claim) -> None:
        """Forget a claim; its Mac makes it again."""
        program = self.known.get(claim.sha256)
        if program is not None:
            self.known.put(claim.sha256, program.without(claim))


def _known_size(_: str, program: KnownProgram) -> int:
    return 2 * sizes.ENTRY + sizes.numbers(program.settled) + sizes.numbers(program.reporters)


def has_unknown(cache: ProgramCache, rows: Iterable[ExecutionRow], now: datetime) -> bool:
    """Tell whether `program_ids` would write."""
    known = (cache.known.get(row.sha256) for row in rows)
    return any(found is None or now - found.written_at >= TOUCH_AFTER for found in known)


async def program_ids(
    connection: Connection,
    cache: ProgramCache,
    rows: Sequence[ExecutionRow],
    machine_id: str,
    now: datetime,
) -> tuple[dict[str, int], Reports]:
    """Return the ids of the programs by SHA-256, storing those that are new or were not seen for a while.

    Beside them the reports that may say something new of who signed a program: for `claims.collect_claims`.
    """
    ids: dict[str, int] = {}
    missing: list[ExecutionRow] = []
    reports: Reports = []
    reporter = hash(machine_id)
    for row in rows:
        found = cache.known.get(row.sha256)
        if found is not None and now - found.written_at < TOUCH_AFTER:
            ids[row.sha256] = found.id
            if claim_key(row.event) not in found.settled and reporter not in found.reporters:
                reports.append((row, found))
        else:
            missing.append(row)
    if missing:
        reports += await _store(connection, cache, missing, now)
        ids |= {row.sha256: program.id for row, program in reports}
    return ids, reports


async def _store(
    connection: Connection, cache: ProgramCache, rows: Sequence[ExecutionRow], now: datetime
) -> Reports:
    for row in rows:
        identify(row.event)
    await store_certificates(connection, cache, [cert for row in rows for cert in row.event.signing_chain])
    programs: dict[str, KnownProgram] = {}
    for sha256, number, path, name in await _store_programs(connection, rows, now):
        before = cache.known.get(sha256)
        program = before._replace(written_at=now) if before else KnownProgram(number, now)
        programs[sha256] = cache.known.put(sha256, program)
        cache.places.add(number, path, name)
    return [(row, programs[row.sha256]) for row in rows]


async def store_certificates(
    connection: Connection, cache: ProgramCache, certificates: Iterable[Certificate]
) -> None:
    """Keep certificates that are new."""
    known = cache.certificates
    chain = sorted({cert.sha256: cert for cert in certificates if known.get(cert.sha256) is None}.items())
    if chain:
        await connection.execute(
            """insert into certificate (sha256, cn, org, ou, valid_from, valid_until)
               select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[],
                 $6::timestamptz[]) on conflict do nothing""",
            [key for key, _ in chain],
            [cert.cn for _, cert in chain],
            [cert.org for _, cert in chain],
            [cert.ou for _, cert in chain],
            [valid_time(cert.valid_from) for _, cert in chain],
            [valid_time(cert.valid_until) for _, cert in chain],
        )
    for key, _ in chain:
        known.put(key, True)


async def _store_programs(
    connection: Connection, rows: Sequence[ExecutionRow], now: datetime
) -> list[tuple[str, int, str, str]]:
    """Store programs; return of each its SHA-256, its id, and the path and name that it is shown with."""
    programs = unique_by(rows, lambda row: row.sha256)
    events = [row.event for row in programs]
    stored = await connection.fetch(
        """insert into program (sha256, file_name, file_path, team_id, signing_id, cdhash, bundle_id,
             bundle_name, bundle_path, bundle_version, bundle_hash, signing_chain, signing_status, cs_flags,
             entitlements, first_seen_at, last_seen_at)
           select p.sha256, p.file_name, p.file_path, p.team_id, p.signing_id, p.cdhash, p.bundle_id,
             p.bundle_name, p.bundle_path, p.bundle_version, p.bundle_hash,
             array(select jsonb_array_elements_text(p.chain)), p.signing_status, p.cs_flags,
             p.entitlements, $16, $16
           from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
             $8::text[], $9::text[], $10::text[], $11::text[], $12::jsonb[], $13::text[], $14::bigint[],
             $15::jsonb[])
             p(sha256, file_name, file_path, team_id, signing_id, cdhash, bundle_id, bundle_name,
               bundle_path, bundle_version, bundle_hash, chain, signing_status, cs_flags, entitlements)
           on conflict (sha256) do update set
             last_seen_at = greatest(program.last_seen_at, excluded.last_seen_at),
             file_path = case when program.file_path = '' then excluded.file_path
                              else program.file_path end
           returning sha256, id, file_path, file_name""",
        [row.sha256 for row in programs],
        [event.file_name[:MAX_NAME] for event in events],
        [event.file_path[:MAX_TEXT] for event in events],
        [event.team_id for event in events],
        [event.signing_id for event in events],
        [event.cdhash for event in events],
        [event.file_bundle_id[:MAX_NAME] for event in events],
        [event.file_bundle_name[:MAX_NAME] for event in events],
        [event.file_bundle_path[:MAX_TEXT] for event in events],
        [(event.file_bundle_version_string or event.file_bundle_version)[:MAX_NAME] for event in events],
        [event.file_bundle_hash for event in events],
        [_json([cert.sha256 for cert in event.signing_chain]) for event in events],
        [SIGNING.word(event.signing_status) for event in events],
        [event.cs_flags for event in events],
        [_json(entitlements(event)) for event in events],
        now,
    )
    return [tuple(row) for row in stored]


async def store_bundles(
    connection: Connection, rows: Sequence[ExecutionRow], programs: dict[str, int], now: datetime
) -> None:
    """Keep the bundles that events name, and which programs belong to them."""
    bundles = unique_by(rows, lambda row: row.event.file_bundle_hash)
    if not bundles:
        return
    events = [row.event for row in bundles]
    await connection.execute(
        """insert into bundle (hash, binary_count, first_seen_at)
           select b.*, $3 from unnest($1::text[], $2::integer[]) b on conflict do nothing""",
        [event.file_bundle_hash for event in events],
        [min(event.file_bundle_binary_count, MAX_COUNT) for event in events],
        now,
    )
    members = {(row.event.file_bundle_hash, programs[row.sha256]) for row in rows}
    ordered = sorted((bundle, program) for bundle, program in members if bundle)
    await connection.execute(
        """insert into bundle_binary (bundle_hash, program_id)
           select * from unnest($1::text[], $2::bigint[]) on conflict do nothing""",
        [bundle for bundle, _ in ordered],
        [program for _, program in ordered],
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
    """Return the time of a certificate's epoch seconds; 0 is none."""
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def _json(value: object) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()
