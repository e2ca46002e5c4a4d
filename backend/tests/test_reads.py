"""Lists are one statement without a transaction, and are written as their schemas say, to the byte."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter

from santaserver.enrollment.schemas import Enrollment
from santaserver.events.report_schemas import AgentAudit, FileAccess
from santaserver.machines.schemas import Machine, MachineTag
from santaserver.overview.schemas import Overview
from santaserver.paging import Page
from santaserver.rules.schemas import Rule
from santaserver.tags.schemas import Tag, TagMember
from tests.conftest import ADMIN
from tests.support.postgres import Cluster, value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer
from tests.support.statements import statements

ODD = 'quotes " \\ </b> é 🐟'
ACCESS = {
    "rule_name": "Browser cookies",
    "target": "/Users/lena/Library/Cookies",
    "access_time": 1_763_900_000.25,
    "decision": "FILE_ACCESS_DECISION_DENIED",
    "process_chain": [{"file_path": f"/bin/{ODD}", "pid": 123, "cdhash": "d" * 40}, {"pid": 456}],
}
AUDIT = {
    "standalone_mode_rule_creation": {
        "decision": "ALLOW_BINARY",
        "identifier": "0" * 64,
        "timestamp": 1_763_900_000,
    }
}
AROUND = ("BEGIN", "set local", "COMMIT")
"""What a read may be wrapped in."""
LISTS: list[tuple[str, Any, int]] = [
    ("/api/v1/machines", Page[Machine], 3),
    ("/api/v1/machines?limit=1", Page[Machine], 1),
    ("/api/v1/machines?q=full", Page[Machine], 1),
    ("/api/v1/machines/FULL/tags", list[MachineTag], 2),
    ("/api/v1/tags", list[Tag], 2),
    ("/api/v1/tags/{tag}", Tag, 1),
    ("/api/v1/tags/{tag}/members", Page[TagMember], 1),
    ("/api/v1/enrollments", Page[Enrollment], 3),
    ("/api/v1/enrollments?limit=2", Page[Enrollment], 2),
    ("/api/v1/overview", Overview, 1),
    ("/api/v1/rules", Page[Rule], 2),
    ("/api/v1/agent-audits", Page[AgentAudit], 1),
    ("/api/v1/file-accesses", Page[FileAccess], 1),
]


@pytest.fixture(scope="module")
def running(cluster: Cluster, template: str) -> Iterator[RunningServer]:
    """One server with something in every list."""
    name = cluster.create(template)
    with RunningServer(cluster.dsn(name)) as server, server.client() as admin:
        log_in(admin)
        fill(server, admin)
        yield server
    cluster.drop(name)


@pytest.fixture
def signed_in(running: RunningServer) -> Iterator[httpx.Client]:
    """An administrator."""
    with running.client() as client:
        log_in(client)
        yield client


def log_in(client: httpx.Client) -> None:
    response = client.post("/api/v1/auth/login", json={"username": ADMIN[0], "password": ADMIN[1]})
    assert response.status_code == httpx.codes.OK, response.text


def post(client: httpx.Client, path: str, body: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    response = client.post(path, json=body)
    assert response.is_success, response.text
    return response.json()


def fill(server: RunningServer, admin: httpx.Client) -> None:
    full = SimulatedMac(server.url, machine_id="FULL", hostname=f"full {ODD}")
    begun = SimulatedMac(server.url, machine_id="BEGUN", hostname="begun")
    plain = SimulatedMac(server.url, machine_id="PLAIN", hostname="plain")
    tag = {"description": ODD, "groups": [ODD], "predicate": "hostname.startsWith('full')"}
    post(admin, "/api/v1/tags", {"name": "Empty"})
    post(admin, "/api/v1/tags", {"name": "Odd", **tag})
    number = value(server.dsn, "select id from tag where name = 'Empty'")
    rule = {"rule_type": "TEAMID", "identifier": "ABCDEFGHIJ", "policy": "BLOCKLIST"}
    post(admin, "/api/v1/rules", {**rule, "comment": f"{ODD} \u2028\n", "layer": "tag:Odd"})
    post(admin, "/api/v1/rules", {**rule, "starts_at": "2099-01-01T00:00:00Z"})
    for mac in (full, plain, full):
        mac.sync()
    begun.post("preflight", begun.preflight_body())
    assert admin.put(f"/api/v1/tags/{number}/members/FULL").is_success
    post(admin, "/api/v1/machines/FULL/monitor-mode", {"minutes": 5, "reason": ODD})
    post(admin, "/api/v1/machines/FULL/clean-sync", {"kind": "clean"})
    limits = {"quota": 1, "serial_allowlist": ["B", "A"], "expires_at": "2099-01-01T00:00:00Z"}
    post(admin, "/api/v1/enrollments", {"label": ODD, "tags": ["Odd", "Empty"], **limits})
    made = post(admin, "/api/v1/enrollments", {"label": "Revoked"})["enrollment"]["id"]
    post(admin, f"/api/v1/enrollments/{made}/revoke", {})
    full.block("Evil", server.clock().timestamp())
    full.post("eventupload", {"events": [], "file_access_events": [ACCESS], "audit_events": [AUDIT]})
    for mac in (full, begun, plain):
        mac.close()


@pytest.mark.parametrize(("path", "schema", "number"), LISTS, ids=[path for path, *_ in LISTS])
def test_a_list_is_one_statement_and_says_what_its_schema_says(
    running: RunningServer,
    signed_in: httpx.Client,
    path: str,
    schema: Any,  # noqa: ANN401
    number: int,
) -> None:
    tag = value(running.dsn, "select id from tag where name = 'Odd'")
    with statements(running) as sent:
        response = signed_in.get(path.format(tag=tag))
    assert response.status_code == httpx.codes.OK, response.text
    assert response.headers["content-type"] == "application/json"
    assert len([one for one in sent if not one.startswith(AROUND)]) == 1, sent
    message = TypeAdapter(schema)
    assert message.dump_json(message.validate_json(response.content)).decode() == response.text
    content = response.json()
    items = content.get("items", [content]) if isinstance(content, dict) else content
    assert len(items) == number
    assert (
        not isinstance(content, dict)
        or "next_cursor" not in content
        or ((content["next_cursor"] is not None) == ("limit" in path))
    )


@pytest.mark.parametrize("machine_id", ["FULL", "BEGUN", "PLAIN"])
def test_a_machine_says_what_its_list_says(signed_in: httpx.Client, machine_id: str) -> None:
    (listed,) = signed_in.get("/api/v1/machines", params={"q": machine_id}).json()["items"]
    shown = signed_in.get(f"/api/v1/machines/{machine_id}").json()
    assert {name: shown[name] for name in listed} == listed


@pytest.mark.parametrize("path", ["/api/v1/machines", "/api/v1/enrollments", "/api/v1/rules"])
def test_pages_hold_everything_once(signed_in: httpx.Client, path: str) -> None:
    found: list[Any] = []
    query: dict[str, str | int] = {"limit": 1}
    while query:
        page = signed_in.get(path, params=query).json()
        found += page["items"]
        query = {"limit": 1, "cursor": page["next_cursor"]} if page["next_cursor"] else {}
    assert json.dumps(found) == json.dumps(signed_in.get(path).json()["items"])


@pytest.mark.parametrize(
    "path", ["/api/v1/tags/0/members", f"/api/v1/tags/{2**70}/members", "/api/v1/machines/x/tags"]
)
def test_a_list_of_what_is_not_there_is_no_empty_list(signed_in: httpx.Client, path: str) -> None:
    assert signed_in.get(path).status_code in {httpx.codes.NOT_FOUND, httpx.codes.UNPROCESSABLE_ENTITY}
