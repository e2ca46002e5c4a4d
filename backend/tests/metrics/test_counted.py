"""What happens is counted: syncs, events, sign-ins, tokens, waits and failures of the database."""

import asyncio
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from santaserver.errors import Overloaded
from santaserver.limiter import ConcurrencyLimiter
from santaserver.tokens.secret import new_token
from tests.conftest import ADMIN
from tests.support.fake_postgres import refusing
from tests.support.santa_client import SimulatedMac
from tests.support.scrape import grown, scrape
from tests.support.server import RunningServer

REQUESTS = "sync_requests_total"
DURATIONS = "sync_request_duration_seconds_count"


def test_a_sync_is_counted_by_stage_kind_and_reason(server: RunningServer, mac: SimulatedMac) -> None:
    before = scrape(server.url)
    mac.sync()
    mac.sync()
    after = scrape(server.url)
    stages = ("preflight", "ruledownload", "postflight")
    assert grown(before, after, REQUESTS) == {
        f'{REQUESTS}{{stage="{stage}",outcome="ok"}}': 2 for stage in stages
    }
    assert grown(before, after, DURATIONS) == {f'{DURATIONS}{{stage="{stage}"}}': 2 for stage in stages}
    assert grown(before, after, "syncs_total", "clean_syncs_total", "postflights_total") == {
        'syncs_total{kind="clean"}': 1,
        'syncs_total{kind="normal"}': 1,
        'clean_syncs_total{reason="new_machine"}': 1,
        'postflights_total{verdict="confirmed"}': 2,
    }


@pytest.mark.parametrize(
    ("stage", "secret", "body", "outcome"),
    [
        ("preflight", "not-a-secret", b"{}", "unauthorized"),
        ("ruledownload", None, b"{}", "unknown"),
        ("preflight", None, b"no JSON", "malformed"),
        ("tea", None, b"{}", "unknown"),
    ],
)
def test_a_refused_request_is_counted_by_its_reason(
    server: RunningServer, mac: SimulatedMac, stage: str, secret: str | None, body: bytes, outcome: str
) -> None:
    before = scrape(server.url)
    if secret is not None:
        mac.secret = secret
    assert mac.post_raw(stage, body).is_client_error
    shown = stage if stage != "tea" else "other"
    assert grown(before, scrape(server.url), REQUESTS) == {
        f'{REQUESTS}{{stage="{shown}",outcome="{outcome}"}}': 1
    }


def test_no_client_can_make_another_series(server: RunningServer, mac: SimulatedMac) -> None:
    known = {name for name in scrape(server.url) if "figures" not in name}
    mac.sync()
    for stage in ('x"} 1', "eventupload", "preflight"):
        mac.machine_id = 'mac"} 1'
        mac.post_raw(stage, b"{}")
    event = {"file_sha256": "a" * 64, "decision": 'X"}', "execution_time": 1_763_900_000.5}
    mac.post("eventupload", {"events": [event], "usb_mount_events": [{}]})
    counted = {name for name in scrape(server.url) if name.partition("{")[0] in _counted(known)}
    assert counted == {name for name in known if name.partition("{")[0] in _counted(known)}


def _counted(series: set[str]) -> set[str]:
    return {name.partition("{")[0] for name in series}


def test_events_are_counted_with_their_delay(server: RunningServer, mac: SimulatedMac) -> None:
    mac.sync()
    at = server.clock().timestamp()
    events = [
        {"file_sha256": "a" * 64, "execution_time": at - ago, "decision": "ALLOW_BINARY"}
        for ago in (120, 7000)
    ]
    before = scrape(server.url)
    body: dict[str, Any] = {"events": [*events, {"decision": "ALLOW_BINARY"}], "network_flow_events": [{}]}
    mac.post("eventupload", body)
    mac.post("eventupload", {"events": events})
    after = scrape(server.url)
    assert grown(before, after, "events_total") == {
        'events_total{outcome="stored"}': 2,
        'events_total{outcome="repeated"}': 2,
        'events_total{outcome="unusable"}': 1,
        'events_total{outcome="unsupported"}': 1,
    }
    delays = {
        name: number for name, number in grown(before, after, "event_lag_seconds_bucket").items() if number
    }
    assert delays['event_lag_seconds_bucket{le="300.0"}'] == 2
    assert 'event_lag_seconds_bucket{le="60.0"}' not in delays
    assert (
        delays['event_lag_seconds_bucket{le="21600.0"}'] == delays['event_lag_seconds_bucket{le="+Inf"}'] == 4
    )


def test_sign_ins_and_tokens_are_counted(server: RunningServer, anonymous: httpx.Client) -> None:
    before = scrape(server.url)

    def login(password: str) -> int:
        body = {"username": ADMIN[0], "password": password}
        return anonymous.post("/api/v1/auth/login", json=body).status_code

    assert [login("wrong"), login(ADMIN[1])] == [401, 200]
    assert login("wrong") == httpx.codes.UNAUTHORIZED
    token = {"Authorization": f"Bearer {new_token('person')}"}
    assert httpx.get(f"{server.url}/api/v1/rules", headers=token).status_code == httpx.codes.UNAUTHORIZED
    after = scrape(server.url)
    assert grown(before, after, "sign_ins_total", "sign_ins_refused_total", "tokens_refused_total") == {
        'sign_ins_total{method="password"}': 1,
        'sign_ins_refused_total{method="password",reason="wrong"}': 2,
        'tokens_refused_total{kind="token",reason="unknown"}': 1,
    }


def test_who_waits_for_a_turn_is_counted_and_who_does_not_is_not() -> None:
    async def run() -> tuple[int, int, int]:
        limiter = ConcurrencyLimiter("syncs", 1, 1, 5.0)
        async with limiter.slot():
            waiting = asyncio.create_task(limiter.acquire())
            await asyncio.sleep(0)
            seen = limiter.waiting
            with pytest.raises(Overloaded):
                await limiter.acquire()
        await waiting
        limiter.release()
        return seen, sum(limiter.waits.counts), limiter.refused

    assert asyncio.run(run()) == (1, 1, 1)


def test_a_database_that_is_away_shows(tmp_path: Path) -> None:
    dsn, text = f"postgresql://santa@/x?host={tmp_path}", "the database system is starting up"
    with refusing(tmp_path, "57P03", text), RunningServer(dsn) as server:
        before = scrape(server.url)
        with closing(SimulatedMac(server.url, machine_id="M")) as mac:
            assert mac.post_raw("preflight", b"{}").status_code == httpx.codes.SERVICE_UNAVAILABLE
        after = scrape(server.url)
    assert after["database_up"] == 0
    assert grown(before, after, REQUESTS) == {f'{REQUESTS}{{stage="preflight",outcome="database"}}': 1}
    failed = grown(before, after, "database_failures_total")
    assert failed['database_failures_total{kind="unavailable"}'] >= 1  # tasks of the server fail as well
