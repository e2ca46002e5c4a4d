"""A container works: requests, login, sync, live updates, CEL."""

from collections.abc import Iterator

import httpx
import pytest
from websockets.sync.client import connect

from tests.conftest import ADMIN, SECRET
from tests.image.container import Container
from tests.live.sockets import listen
from tests.support.santa_client import SimulatedMac


@pytest.fixture
def api(running: Container) -> Iterator[httpx.Client]:
    """A client with the administrator's session."""
    with httpx.Client(base_url=running.url, headers={"Origin": running.url}, timeout=30) as client:
        response = client.post("/api/v1/auth/login", json={"username": ADMIN[0], "password": ADMIN[1]})
        assert response.status_code == httpx.codes.OK, response.text
        yield client


def test_health_answers_for_the_proxy_and_readiness_for_the_whole_chain(running: Container) -> None:
    health = httpx.get(running.url + "/health")
    assert (health.status_code, health.text) == (200, "healthy\n")
    ready = httpx.get(running.url + "/health/ready").json()
    assert ready["status"] == "ready"
    assert set(ready["checks"].values()) == {"ok"}


def test_the_console_comes_compressed(running: Container) -> None:
    page = httpx.get(running.url, headers={"Accept": "text/html", "Accept-Encoding": "br"})
    assert page.status_code == httpx.codes.OK
    assert page.headers["Content-Encoding"] == "br"


def test_a_mac_syncs_and_is_known_to_be_in_sync(running: Container, api: httpx.Client) -> None:
    rule = {"rule_type": "TEAMID", "identifier": "EQHXZ8M8AV", "policy": "BLOCKLIST"}
    assert api.post("/api/v1/rules", json=rule).status_code == httpx.codes.CREATED
    mac = SimulatedMac(running.url, secret=SECRET)
    mac.sync()
    assert ("TEAMID", "EQHXZ8M8AV") in mac.rules
    shown = api.get(f"/api/v1/machines/{mac.machine_id}").json()
    assert shown["sync_state"] == "in_sync"
    mac.close()


def test_a_cel_rule_is_compiled_by_the_packages_in_the_image(api: httpx.Client) -> None:
    rule = {
        "rule_type": "TEAMID",
        "identifier": "ZMCG7MLDV9",
        "policy": "CEL",
        "cel_expr": "args.exists(a, a.startsWith('-x'))",
    }
    made = api.post("/api/v1/rules", json=rule)
    assert made.status_code == httpx.codes.CREATED, made.text


def test_a_websocket_is_told_what_happens(running: Container, api: httpx.Client) -> None:
    cookie = "; ".join(f"{name}={value}" for name, value in api.cookies.items())
    address = running.url.replace("http", "ws") + "/api/v1/live"
    with connect(address, additional_headers={"Cookie": cookie, "Origin": running.url}) as live:
        listen(live, "hello")
        rule = {"rule_type": "TEAMID", "identifier": "UBF8T346G9", "policy": "ALLOWLIST"}
        api.post("/api/v1/rules", json=rule).raise_for_status()
        received = listen(live, "rule", lambda message: message["rule"]["identifier"] == "UBF8T346G9")
        assert received["rule"]["policy"] == "ALLOWLIST"
