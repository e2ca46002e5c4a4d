"""A Mac is its credential: what another valid one can do to it, stage by stage, from outside."""

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import asyncpg
import httpx
import pytest

from santaserver.enrollment import identity
from santaserver.enrollment.credentials import FITS, Credential, Fit, certificate_of, compare
from santaserver.events import store
from santaserver.sync import quick
from tests.support.enrollments import add_enrollment
from tests.support.postgres import execute, fetch, value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer

ONE, TWO, THREE = "secret-one-of-the-tests", "secret-two-of-the-tests", "secret-three-of-the-tests"
STAGES = ("preflight", "eventupload", "ruledownload", "postflight", "metrics")
MAC = "CREDENTIAL-MAC"
EVENT = {
    "file_sha256": hashlib.sha256(b"planted").hexdigest(),
    "file_path": "/opt",
    "file_name": "planted",
    "executing_user": "mallory",
    "execution_time": 1_763_900_000.5,
    "decision": "BLOCK_UNKNOWN",
    "pid": 1,
}
BODIES: dict[str, dict[str, Any]] = {
    "preflight": {
        "serial_num": "STOLEN",
        "hostname": "stolen",
        "primary_user": "mallory",
        "request_clean_sync": True,
    },
    "eventupload": {"events": [EVENT]},
    "ruledownload": {},
    "postflight": {"rules_received": 0, "rules_processed": 0},
    "metrics": {"root": 1},
}


def field_of(der: bytes) -> dict[str, str]:
    """Return the header field by which santa-proxy passes a certificate on."""
    return {"Client-Cert": f":{base64.b64encode(der).decode()}:"}


@pytest.fixture
def strict(dsn: str) -> Iterator[RunningServer]:
    """A server that requires a secret, with three enrollments."""
    for secret in (ONE, TWO, THREE):
        add_enrollment(dsn, secret, secret.split("-")[1])
    with RunningServer(dsn, {"REQUIRE_ENROLLMENT": "true"}) as running:
        yield running


Make = Callable[..., SimulatedMac]


@pytest.fixture
def make(strict: RunningServer) -> Iterator[Make]:
    """Makes Macs with one id."""
    made: list[SimulatedMac] = []

    def one(secret: str | None = ONE, **fields: Any) -> SimulatedMac:  # noqa: ANN401
        made.append(
            SimulatedMac(strict.url, secret=secret, machine_id=fields.pop("machine_id", MAC), **fields)
        )
        return made[-1]

    yield one
    for mac in made:
        mac.close()


@pytest.fixture
def boss(strict: RunningServer) -> Iterator[httpx.Client]:
    """An administrator of the strict server."""
    with strict.client() as client:
        login = {"username": "admin", "password": "correct horse battery"}
        assert client.post("/api/v1/auth/login", json=login).status_code == 200
        yield client


def try_stage(mac: SimulatedMac, stage: str, headers: dict[str, str] | None = None) -> httpx.Response:
    return mac.post_raw(stage, json.dumps(BODIES[stage]).encode(), headers)


def everything(dsn: str) -> list[Any]:
    """Return all that is stored of machines, but for what tells of refusals."""
    kept = [
        "select to_jsonb(m) - 'refused_at' - 'refused_enrollment_id' from machine m order by id",
        "select to_jsonb(y) from machine_sync y order by machine_id",
        "select to_jsonb(s) from sync_session s order by machine_id, id",
        "select to_jsonb(x) from tag_member x order by machine_id, id",
        "select to_jsonb(e) from event e",
        "select to_jsonb(p) from program p",
        "select to_jsonb(s) from machine_serial s",
    ]
    return [[tuple(row.values()) for row in fetch(dsn, query)] for query in kept]


@pytest.mark.parametrize("pending", [False, True])
@pytest.mark.parametrize("stage", STAGES)
def test_another_valid_secret_is_refused_on_every_stage(
    strict: RunningServer, make: Make, boss: httpx.Client, stage: str, *, pending: bool
) -> None:
    mac = make()
    mac.sync()
    if pending:
        rule = {"rule_type": "TEAMID", "identifier": "ABCDE12345", "policy": "ALLOWLIST"}
        assert boss.post("/api/v1/rules", json=rule).status_code == 201
        mac.post("preflight", mac.preflight_body())
    before = everything(strict.dsn)
    stranger = make(TWO)
    for _ in range(2):
        response = try_stage(stranger, stage)
        assert response.status_code == 403, response.text
        assert "another credential" in response.json()["detail"]
    assert everything(strict.dsn) == before
    result = mac.sync()
    assert result.kind == "NORMAL"
    assert bool(result.received) is pending  # as many as tell this sync from the one before
    assert len(mac.rules) == int(pending)


@pytest.mark.parametrize("stage", STAGES)
def test_a_mac_that_was_seen_with_a_certificate_needs_it(
    strict: RunningServer, make: Make, stage: str
) -> None:
    mac = make()
    assert try_stage(mac, "preflight", field_of(b"mine")).status_code == 200
    before = everything(strict.dsn)
    for headers in (None, field_of(b"theirs"), field_of(b"minf"), {"Client-Cert": "mine"}):
        assert try_stage(mac, stage, headers).status_code == 403, headers
    assert everything(strict.dsn) == before
    assert try_stage(mac, stage, field_of(b"mine")).status_code == 200


def test_a_certificate_proves_the_mac_with_another_secret_too(strict: RunningServer, make: Make) -> None:
    assert try_stage(make(), "preflight", field_of(b"mine")).status_code == 200
    for stage in ("eventupload", "ruledownload", "preflight"):
        assert try_stage(make(TWO), stage, field_of(b"mine")).status_code == 200
    assert (
        value(strict.dsn, "select e.label from machine m join enrollment e on e.id = m.enrollment_id")
        == "two"
    )
    action = "machine_credential_changed"
    assert value(strict.dsn, "select count(*) from audit_log where action = $1", action) == 1
    assert try_stage(make(), "preflight").status_code == 403


def test_a_certificate_that_comes_later_is_kept_from_then_on(make: Make) -> None:
    mac = make()
    mac.sync()
    assert try_stage(mac, "preflight", field_of(b"mine")).status_code == 200
    assert try_stage(mac, "preflight").status_code == 403


@pytest.mark.parametrize(
    "stages", [("preflight", "preflight"), ("eventupload", "eventupload"), ("preflight", "eventupload")]
)
def test_of_two_first_contacts_one_wins(strict: RunningServer, make: Make, stages: tuple[str, str]) -> None:
    for number in range(6):
        machine_id = f"RACE-{number}"
        pair = [make(secret, machine_id=machine_id) for secret in (ONE, TWO)]
        barrier = Barrier(2)

        def first(mac: SimulatedMac, stage: str, barrier: Barrier = barrier) -> int:
            barrier.wait(10)
            return try_stage(mac, stage).status_code

        with ThreadPoolExecutor(2) as pool:
            codes = list(pool.map(first, pair, stages))
        assert sorted(codes) == [200, 403], codes
        winner = codes.index(200)
        label = value(
            strict.dsn,
            "select e.label from machine m join enrollment e on e.id = m.enrollment_id where machine_id = $1",
            machine_id,
        )
        assert label == ("one", "two")[winner]
        assert try_stage(pair[winner], "preflight").status_code == 200
        assert try_stage(pair[1 - winner], "preflight").status_code == 403


@pytest.mark.parametrize(
    "end",
    [
        "update enrollment set revoked_at = now() where label = 'one'",
        "update enrollment set expires_at = now() where label = 'one'",
        "delete from enrollment where label = 'one'",
    ],
)
def test_a_mac_may_move_when_its_enrollment_has_ended(strict: RunningServer, make: Make, end: str) -> None:
    make().sync()
    execute(strict.dsn, end)
    if "delete" not in end:
        for stage in ("eventupload", "ruledownload", "postflight", "metrics"):
            assert try_stage(make(TWO), stage).status_code == 403
    assert try_stage(make(TWO), "preflight").status_code == 200
    assert try_stage(make(TWO), "eventupload").status_code == 200
    assert try_stage(make(THREE), "preflight").status_code == 403
    entry = fetch(strict.dsn, "select action, object_id from audit_log where action like 'machine%'")
    assert [tuple(row.values()) for row in entry] == [("machine_credential_changed", MAC)]


def test_refusals_are_logged_but_not_each(
    strict: RunningServer, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    make().sync()
    for stage in STAGES * 3:
        assert try_stage(make(TWO), stage).status_code == 403
    told = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    assert len(told) == 1
    assert MAC in told[0]
    strict.clock.advance(minutes=11)
    assert try_stage(make(TWO), "postflight").status_code == 403
    assert len([record for record in caplog.records if "refused" in record.getMessage()]) == 2


def test_a_stranger_cannot_use_up_a_macs_clean_syncs(make: Make) -> None:
    mac = make()
    mac.sync()
    stranger = make(TWO)
    for _ in range(5):
        assert try_stage(stranger, "preflight").status_code == 403
    mac.rules[("TEAMID", "ABCDE12345")] = ("ALLOWLIST", "", "", "")
    assert mac.sync().kind == "CLEAN"


def forget(*_: object, **__: object) -> Any:  # noqa: ANN401
    """Compare nothing."""
    return Fit.SAME


@pytest.mark.parametrize(
    ("module", "name"),
    [(quick, "_proven"), (quick, "compare"), (identity, "check"), (identity, "compare"), (store, FITS)],
)
def test_a_forgotten_comparison_would_be_noticed(
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    module: object,
    name: str,
) -> None:
    """The attack succeeds when any of the comparisons is missing, so none of them is only for show."""
    mac = make()
    mac.sync()
    assert try_stage(mac, "eventupload").status_code == 200
    mac.post("preflight", mac.preflight_body())
    if module is store:
        fits = FITS.format("m", "$17", "$18")
        always = "($17::bigint is null or true) and ($18::bytea is null or true)"
        assert fits in store.ADD_EXECUTIONS
        monkeypatch.setattr(store, "ADD_EXECUTIONS", store.ADD_EXECUTIONS.replace(fits, always))
    else:
        monkeypatch.setattr(module, name, forget)
    stranger = make(TWO)
    stages = ("metrics", "ruledownload", "postflight", "eventupload", "preflight")
    codes = [try_stage(stranger, stage).status_code for stage in stages]
    assert codes != [403] * 5


def test_a_stage_that_waited_for_a_move_is_compared_with_what_it_became(
    strict: RunningServer, make: Make
) -> None:
    mac = make()
    mac.sync()
    move = """with moved as (
        update machine set enrollment_id = (select id from enrollment where label = 'two') returning id)
      update machine_sync y set acked_hash = '' from moved where moved.id = y.machine_id"""
    waits = """select count(*) from pg_stat_activity
      where wait_event_type = 'Lock' and datname = current_database()"""
    with ThreadPoolExecutor(1) as pool, asyncio.Runner() as runner:
        mover = runner.run(asyncpg.connect(strict.dsn))
        runner.run(mover.execute(f"begin; {move}"))
        waiting = pool.submit(try_stage, mac, "preflight")
        deadline = time.monotonic() + 20
        while not value(strict.dsn, waits):
            assert time.monotonic() < deadline
            assert not waiting.done(), "it did not wait"
            time.sleep(0.02)
        runner.run(mover.execute("commit"))
        runner.run(mover.close())
        assert waiting.result(20).status_code == 403


def test_without_secrets_a_mac_is_bound_by_the_first_one_it_shows(server: RunningServer) -> None:
    plain = SimulatedMac(server.url, machine_id=MAC)
    plain.sync()
    assert try_stage(plain, "metrics").status_code == 200
    bound = SimulatedMac(server.url, secret="enrollment-secret-of-the-tests", machine_id=MAC)
    bound.sync()
    assert {stage: try_stage(plain, stage).status_code for stage in STAGES} == dict.fromkeys(STAGES, 403)
    assert bound.sync().kind == "NORMAL"
    plain.close()
    bound.close()


@pytest.mark.parametrize("kept", [Credential(a, c) for a in (None, 1, 2) for c in (None, b"x", b"y")])
def test_the_database_compares_credentials_as_memory_does(dsn: str, kept: Credential) -> None:
    digest = {None: None, b"x": b"x" * 32, b"y": b"y" * 32}
    for shown in [Credential(a, c) for a in (None, 1, 2) for c in (None, b"x", b"y")]:
        fits = value(
            dsn,
            f"select {FITS.format('m', '$3', '$4')} from (select $1::bigint as enrollment_id, "  # noqa: S608
            "$2::bytea as client_certificate) m",
            kept.enrollment,
            digest[kept.certificate],
            shown.enrollment,
            digest[shown.certificate],
        )
        assert bool(fits) is (compare(kept, shown) is not Fit.OTHER), shown


def test_only_a_whole_certificate_counts() -> None:
    assert certificate_of({}) is None
    assert certificate_of({"client-cert": "::"}) is None
    assert certificate_of({"client-cert": ":no base64!:"}) is None
    assert certificate_of({"client-cert": ":AAEC:"}) == hashlib.sha256(b"\0\1\2").digest()
