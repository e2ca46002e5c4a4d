"""Fills a database with a demo fleet, through the same services that real Macs and administrators use.

Idempotent: if there are Macs already, only the administrator and the enrollment are created or updated. Names
and passwords come from SANTA_DEMO_ADMIN_USERNAME, SANTA_DEMO_ADMIN_PASSWORD and SANTA_DEMO_ENROLLMENT_SECRET.
"""

import logging
import random
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec

from santaserver.accounts import create_admin, create_enrollment
from santaserver.audit import SYSTEM, Actor
from santaserver.cache import CacheMemory
from santaserver.clock import system_clock
from santaserver.db import Connection, Database
from santaserver.demo_data import (
    FLEET_SIZE,
    MODELS,
    PEOPLE,
    PROGRAMS,
    RELEASES,
    SETTINGS,
    SYSTEMS,
    Program,
    digest,
    rules,
)
from santaserver.demo_layers import PILOTS, add_layers, add_machine_layers
from santaserver.demo_reports import approvals, file_accesses
from santaserver.enrollment.admission import EnrollmentCache, Proof, authorize
from santaserver.events.catalog import ProgramCache
from santaserver.events.claim_store import store_claims
from santaserver.events.ingest import Intake, event_upload
from santaserver.events.news import EventNews
from santaserver.events.parse import parse_upload
from santaserver.events.partitions import create_partitions
from santaserver.outbox import discard
from santaserver.preconditions import ANY
from santaserver.protocol.messages import PostflightRequest, PreflightRequest, RuleDownloadRequest
from santaserver.rules.service import create_rule
from santaserver.scope import EVERYWHERE
from santaserver.settings import Settings
from santaserver.sync import service
from santaserver.sync.caches import SyncCaches
from santaserver.sync.cursor import CursorSigner
from santaserver.sync.service import SyncContext
from santaserver.sync_settings.schemas import GlobalSettingsPatch
from santaserver.sync_settings.service import patch_settings
from santaserver.unit_of_work import UnitOfWork
from santaserver.users.login_repository import find_account
from santaserver.users.service import normalise_username

log = logging.getLogger(__name__)

DAYS = 6
EVENTS_PER_MACHINE = (12, 34)
SILENT = 3
"""Machines whose last sync was days ago, and the same number that never finished a sync."""
PENDING = 2**30
"""Bytes for claims that wait: more than all machines make."""


async def run(settings: Settings, environ: Mapping[str, str]) -> None:
    """Make what is missing."""
    username = environ.get("SANTA_DEMO_ADMIN_USERNAME", "admin")
    password = environ.get("SANTA_DEMO_ADMIN_PASSWORD")
    secret = environ.get("SANTA_DEMO_ENROLLMENT_SECRET")
    if password:
        await create_admin(settings, username, password)
    if secret:
        await create_enrollment(settings, "demo fleet", secret=secret)
    database = Database(settings.database)
    try:
        async with database.transaction(discard) as (connection, _):
            if await connection.fetchval("select exists (select from machine)"):
                log.info("the demo fleet is there already")
                return
        await _fill(database, settings, username, secret)
    finally:
        await database.close()


async def _fill(database: Database, settings: Settings, username: str, secret: str | None) -> None:
    """Make the fleet in one transaction: an interrupted run leaves nothing, and the next one makes it."""
    now = system_clock()
    async with database.transaction(discard) as (connection, _):
        await create_partitions(connection, (now - timedelta(days=DAYS + 1)).date(), now.date())
    wanted = rules()
    async with database.unit_of_work(discard) as work:
        settings_of_all = GlobalSettingsPatch.model_validate(SETTINGS.model_dump(exclude_defaults=True))
        await patch_settings(work, settings_of_all, ANY, SYSTEM, now - timedelta(days=DAYS))
        for number, rule in enumerate(wanted[:-2]):
            at = now - timedelta(days=DAYS) + timedelta(minutes=7 * number)
            await create_rule(work, EVERYWHERE, rule, SYSTEM, at)
        actor = await _account(work.connection, username)
        if actor is not None:
            await add_layers(work, actor, now - timedelta(days=DAYS - 1))
        fleet = await _fleet(work, settings, secret, now)
        programs = ProgramCache(CacheMemory(), PENDING)
        chance = random.Random(20)  # noqa: S311 - made-up data, the same every time
        for number in range(FLEET_SIZE):
            await _machine(replace(fleet, now=now - _silence(number, chance)), number, chance, programs)
        while claims := programs.pending.take():
            await store_claims(fleet.connection, programs, claims, now)
        if actor is not None:
            machines = [_machine_id(number) for number in range(FLEET_SIZE)]
            await add_machine_layers(work, machines, actor, now - timedelta(minutes=5))
        for rule in wanted[-2:]:
            await create_rule(work, EVERYWHERE, rule, SYSTEM, now - timedelta(minutes=4))
        for number in range(0, FLEET_SIZE - 2 * SILENT, 2):
            await _sync(
                replace(fleet, now=now - timedelta(seconds=20 + number)), _report(number), clean=False
            )
    log.info("demo fleet: %d machines, %d rules for all", FLEET_SIZE, len(wanted))


async def _fleet(work: UnitOfWork, settings: Settings, secret: str | None, now: datetime) -> SyncContext:
    """Return what the Macs sync with: the transaction of `work`, and their enrollment if there is one."""
    connection = work.connection
    proof = Proof(secret, certificate=None)

    def acquired() -> nullcontext[Connection]:
        return nullcontext(connection)

    enrollment = await authorize(acquired, EnrollmentCache(CacheMemory()), proof, False, now)
    signer = CursorSigner(settings.secret_keys)
    return SyncContext(connection, work, SyncCaches(), signer, enrollment, now)


async def _account(connection: Connection, username: str) -> Actor | None:
    """Return the creator of the tags; None before there is an account."""
    row = await find_account(connection, normalise_username(username))
    if row is None:
        log.info("no tags and layers: no account %s; set SANTA_DEMO_ADMIN_PASSWORD to have it made", username)
        return None
    return Actor(row.username, row.id)


def _silence(number: int, chance: random.Random) -> timedelta:
    if number >= FLEET_SIZE - SILENT:
        return timedelta(hours=3)
    if number >= FLEET_SIZE - 2 * SILENT:
        return timedelta(days=chance.randint(2, 4))
    return timedelta(seconds=chance.randint(30, 560))


async def _machine(context: SyncContext, number: int, chance: random.Random, programs: ProgramCache) -> None:
    report = _report(number)
    machine_id = _machine_id(number)
    if number >= FLEET_SIZE - SILENT:
        await service.preflight(context, machine_id, report)
    else:
        await _sync(context, report, clean=True)
    events = sorted(_events(context.now, number, chance), key=lambda event: str(event["execution_time"]))
    bodies = [{"events": events[start : start + 20]} for start in range(0, len(events), 20)]
    bodies.append({"file_access_events": list(file_accesses(context.now, report.primary_user, chance))})
    if report.client_mode == "STANDALONE":
        bodies.append({"audit_events": list(approvals(context.now, chance))})
    for content in bodies:
        body = msgspec.json.encode(content)
        intake = Intake(context.connection, programs, context.shown, _no_enrollment, EventNews(), context.now)
        await event_upload(intake, machine_id, parse_upload(body, machine_id, context.now))


async def _no_enrollment() -> None:
    """Do nothing: the machine has synced already."""


async def _sync(context: SyncContext, report: PreflightRequest, *, clean: bool) -> None:
    machine_id = _machine_id(int(report.hostname.split("-")[1].split(".")[0]) - 1)
    report = msgspec.structs.replace(
        report, request_clean_sync=clean, rules_hash="" if clean else digest(machine_id)[:32]
    )
    response = msgspec.json.decode(await service.preflight(context, machine_id, report))
    received, cursor = 0, ""
    while True:
        page = await service.rule_download(context, machine_id, RuleDownloadRequest(cursor=cursor))
        if isinstance(page, bytes):
            break
        received += len(page.rules)
        cursor = page.cursor
        if not cursor:
            break
    finished = PostflightRequest(
        rules_received=received,
        rules_processed=received,
        sync_type=response["sync_type"],
        rules_hash=digest(machine_id)[:32],
    )
    later = replace(context, now=context.now + timedelta(seconds=2))
    await service.postflight(later, machine_id, finished)


def _machine_id(number: int) -> str:
    text = digest(f"machine {number}").upper()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:32]))


def _report(number: int) -> PreflightRequest:
    person = PEOPLE[number % len(PEOPLE)]
    version, build = SYSTEMS[number % len(SYSTEMS)]
    transitive = number % 7
    return PreflightRequest(
        serial_number=f"C02{digest(f'serial {number}')[:9].upper()}",
        hostname=f"mac-{number + 1:02d}.example.com",
        os_version=version,
        os_build=build,
        model_identifier=MODELS[number % len(MODELS)],
        santa_version=RELEASES[number % len(RELEASES)],
        primary_user=person,
        primary_user_groups=["engineering" if number % 3 else "finance"],
        client_mode="STANDALONE" if person == "hiro" else "MONITOR" if number in PILOTS else "LOCKDOWN",
        binary_rule_count=21 + transitive,
        certificate_rule_count=2,
        teamid_rule_count=7,
        signingid_rule_count=8,
        cdhash_rule_count=2,
        compiler_rule_count=1,
        transitive_rule_count=transitive,
    )


def _events(now: datetime, number: int, chance: random.Random) -> Iterator[dict[str, Any]]:
    person = PEOPLE[number % len(PEOPLE)]
    programs = chance.choices(
        PROGRAMS, [program.weight for program in PROGRAMS], k=chance.randint(*EVENTS_PER_MACHINE)
    )
    for program in programs:
        ago = timedelta(days=DAYS) * chance.random() ** 2.2
        yield _event(program, person, now - ago, chance)


def _event(program: Program, person: str, at: datetime, chance: random.Random) -> dict[str, Any]:
    event: dict[str, Any] = {
        "file_sha256": program.sha256,
        "file_path": program.folder,
        "file_name": program.name,
        "executing_user": person,
        "execution_time": round(at.timestamp(), 3),
        "logged_in_users": [person],
        "current_sessions": [f"{person}@console"],
        "decision": program.decision,
        "pid": chance.randint(400, 60_000),
        "ppid": 1,
        "parent_name": "launchd" if program.team_id else "zsh",
    }
    if program.team_id:
        event |= {
            "team_id": program.team_id,
            "signing_id": program.signing_id,
            "cdhash": program.cdhash,
            "file_bundle_id": program.bundle,
            "file_bundle_name": program.name,
            "file_bundle_path": f"/Applications/{program.name}.app",
            "file_bundle_version_string": "4.2",
            "signing_chain": _chain(program),
        }
    return event


def _chain(program: Program) -> list[dict[str, Any]]:
    leaf = {
        "sha256": digest(f"certificate {program.publisher}"),
        "cn": f"Developer ID Application: {program.publisher} ({program.team_id})",
        "org": program.publisher,
        "ou": program.team_id,
        "valid_from": 1_700_000_000,
        "valid_until": 1_860_000_000,
    }
    root = {
        "sha256": digest("certificate root"),
        "cn": "Developer ID Certification Authority",
        "org": "Apple Inc.",
        "ou": "Apple Certification Authority",
        "valid_from": 1_328_134_335,
        "valid_until": 1_990_000_000,
    }
    return [leaf, root]
