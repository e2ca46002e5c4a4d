"""The whole deployment from outside: health, files, log-in rules, restarts under load."""

import json

import httpx
import pytest

from tests.e2e.conftest import Deployment
from tests.e2e.load import Load

READY = {"status": "ready", "checks": {"proxy": "ok", "backend": "ok", "database": "ok", "migrations": "ok"}}


def test_health_says_how_each_part_is(deployment: Deployment) -> None:
    health = httpx.get(f"{deployment.url}/health")
    assert (health.status_code, health.text) == (200, "healthy\n")
    for path in ("/health/ready", "/health/detailed"):
        ready = httpx.get(deployment.url + path)
        assert (ready.status_code, ready.json()) == (200, READY)


def test_the_console_is_served_compressed_with_its_cache_rules(deployment: Deployment) -> None:
    page = httpx.get(deployment.url, headers={"Accept": "text/html", "Accept-Encoding": "gzip"})
    assert page.headers["content-encoding"] == "gzip"
    assert "no-cache" in page.headers["cache-control"]
    assert "server" not in page.headers
    script = next(part for part in page.text.split('"') if part.startswith("/_app/immutable/"))
    asset = httpx.get(deployment.url + script)
    assert "immutable" in asset.headers["cache-control"]
    again = httpx.get(deployment.url + script, headers={"If-None-Match": asset.headers["etag"]})
    assert again.status_code == 304
    assert httpx.get(f"{deployment.url}/_app/immutable/gone.js").status_code == 404
    deep = httpx.get(f"{deployment.url}/machines/some-mac", headers={"Accept": "text/html"})
    assert deep.status_code == 200
    assert httpx.post(deployment.url).status_code == 405


def test_a_log_in_from_another_origin_is_refused(deployment: Deployment) -> None:
    body = {"username": deployment.username, "password": deployment.password}
    response = httpx.post(
        f"{deployment.url}/api/v1/auth/login", json=body, headers={"Origin": "https://evil.example"}
    )
    assert response.status_code == 403
    assert "set-cookie" not in response.headers


def test_metrics_stand_on_the_admin_listener_only(deployment: Deployment) -> None:
    inside = httpx.get(f"{deployment.admin_listener}/metrics")
    assert inside.status_code == 200
    assert "santa_proxy_requests_total" in inside.text
    outside = httpx.get(f"{deployment.url}/metrics", headers={"Accept": "text/plain"})
    assert "santa_proxy" not in outside.text


@pytest.mark.parametrize("service", ["backend", "proxy"])
@pytest.mark.parametrize("restart", ["restart", "rolling-restart"])
def test_a_restart_under_load_fails_no_request(deployment: Deployment, restart: str, service: str) -> None:
    with Load(deployment.url) as load:
        for _ in range(2):
            deployment.supervise(restart, service)
            load.wait_for_answers(20)
    assert load.failures == []
    assert load.served >= 40


def test_status_shows_every_service_ready(deployment: Deployment) -> None:
    status = json.loads(deployment.supervise("status", "--json"))
    states = {service["name"]: service["state"] for service in status["services"]}
    assert states == {
        "database": "ready",
        "migrate": "completed",
        "demo": "completed",
        "backend": "ready",
        "proxy": "ready",
    }
