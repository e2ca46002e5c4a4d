"""Who may sync."""

from collections.abc import Iterator

import httpx
import pytest

from santaserver.enrollment.secrets import hash_secret
from tests.conftest import SECRET
from tests.support.enrollments import add_enrollment
from tests.support.postgres import execute, value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer


@pytest.fixture
def strict(dsn: str) -> Iterator[RunningServer]:
    """A server that requires an enrollment secret."""
    with RunningServer(dsn, {"REQUIRE_ENROLLMENT": "true"}) as running:
        yield running


def preflight(server: RunningServer, secret: str | None, serial: str = "S1", machine_id: str = "M1") -> int:
    mac = SimulatedMac(server.url, secret=secret, serial=serial, machine_id=machine_id)
    status = mac.post_raw("preflight", b'{"serial_num":"%s"}' % serial.encode()).status_code
    mac.close()
    return status


def test_a_mac_without_a_secret_is_turned_away_where_one_is_required(strict: RunningServer) -> None:
    assert preflight(strict, None) == httpx.codes.UNAUTHORIZED
    assert preflight(strict, SECRET) == httpx.codes.OK


def test_a_wrong_secret_is_refused_even_where_none_is_required(server: RunningServer) -> None:
    assert preflight(server, None) == httpx.codes.OK
    assert preflight(server, "wrong") == httpx.codes.UNAUTHORIZED


def test_the_secret_may_be_in_the_path_or_in_its_own_header(strict: RunningServer) -> None:
    with strict.client() as client:
        assert client.post(f"/api/santa/e/{SECRET}/preflight/M2", json={"serial_num": "S"}).status_code == 200
        assert client.post("/api/santa/e/wrong/preflight/M2", json={"serial_num": "S"}).status_code == 401
        header = {"X-Santa-Enrollment": SECRET}
        assert (
            client.post("/api/santa/preflight/M3", json={"serial_num": "S"}, headers=header).status_code
            == 200
        )


def test_an_enrollment_ends_with_its_date_quota_and_revocation(strict: RunningServer) -> None:
    add_enrollment(strict.dsn, "few", quota=1)
    assert preflight(strict, "few") == httpx.codes.OK
    assert preflight(strict, "few", machine_id="M2") == httpx.codes.UNAUTHORIZED
    assert preflight(strict, "few") == httpx.codes.OK
    add_enrollment(strict.dsn, "listed", serial_allowlist=["S9"])
    assert preflight(strict, "listed", machine_id="M3") == httpx.codes.UNAUTHORIZED
    assert preflight(strict, "listed", serial="S9", machine_id="M3") == httpx.codes.OK
    execute(strict.dsn, "update enrollment set expires_at = now() where label = 't'")
    strict.clock.advance(seconds=6)
    assert preflight(strict, "few") == httpx.codes.UNAUTHORIZED


def test_secrets_are_stored_hashed(strict: RunningServer) -> None:
    assert value(strict.dsn, "select secret_hash from enrollment_secret") == hash_secret(SECRET)
    assert SECRET.encode() not in value(strict.dsn, "select secret_hash from enrollment_secret")


def test_the_doctor_needs_the_right_secret_too(strict: RunningServer) -> None:
    with strict.client() as client:
        assert (
            client.post("/api/santa/preflight/santactl-doctor-test").status_code == httpx.codes.UNAUTHORIZED
        )
        header = {"Authorization": f"Bearer {SECRET}"}
        response = client.post("/api/santa/preflight/santactl-doctor-test", headers=header)
        assert response.status_code == httpx.codes.OK
