"""REST bodies: size and session are decided before a body is read."""

import json
from collections.abc import Iterator

import httpx
import pytest

from santaserver.bodies import MAX_BODIES
from santaserver.rest_body import MAX_IMPORT, MAX_REST
from tests.support.server import RunningServer

BOMB = b"[" + b"[]," * 100_000 + b"[]]"
JSON = {"Content-Type": "application/json"}
WRITES = [
    ("POST", "/api/v1/rules"),
    ("PATCH", "/api/v1/settings"),
    ("PUT", "/api/v1/rules/1"),
    ("POST", "/api/v1/enrollments"),
    ("POST", "/api/v1/tags/predicate"),
    ("DELETE", "/api/v1/rules/1"),
]


@pytest.fixture(autouse=True)
def nothing_is_left(server: RunningServer) -> Iterator[None]:
    yield
    assert server.app.state.santa.limits.bodies._left == MAX_BODIES


def pieces(body: bytes) -> list[bytes]:
    """Return a body in chunks, which is sent without its length."""
    return [body[place : place + 16_384] for place in range(0, len(body), 16_384)]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("path", ["/api/v1/auth/login", "/api/v1/auth/logout"])
def test_a_large_body_is_refused_where_everybody_may_send(
    anonymous: httpx.Client, path: str, chunked: bool
) -> None:
    response = anonymous.post(path, content=pieces(BOMB) if chunked else BOMB, headers=JSON)
    assert response.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE
    assert str(MAX_REST) in response.json()["detail"]


@pytest.mark.parametrize(("method", "path"), [*WRITES, ("POST", "/api/v1/rules/import")])
@pytest.mark.parametrize("cookie", ["", "santa_session=stale"])
def test_a_stranger_is_told_so_whatever_the_body_is(
    anonymous: httpx.Client, method: str, path: str, cookie: str
) -> None:
    for body in (b"{", b"\xff", b"[[[", b"{}" + b" " * 50_000):
        response = anonymous.request(method, path, content=body, headers={**JSON, "Cookie": cookie})
        assert response.status_code == httpx.codes.UNAUTHORIZED, response.text
    response = anonymous.request(method, path, content=pieces(BOMB), headers={**JSON, "Cookie": cookie})
    assert response.status_code == httpx.codes.UNAUTHORIZED


@pytest.mark.parametrize(("method", "path"), WRITES)
@pytest.mark.parametrize("chunked", [False, True])
def test_nobody_sends_large_bodies(admin: httpx.Client, method: str, path: str, chunked: bool) -> None:
    response = admin.request(method, path, content=pieces(BOMB) if chunked else BOMB, headers=JSON)
    assert response.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE, response.text


def test_an_import_may_be_large_but_holds_one_text(admin: httpx.Client) -> None:
    def send(body: bytes) -> httpx.Response:
        return admin.post("/api/v1/rules/import", content=body, headers=JSON)

    rules = [
        {"rule_type": "BINARY", "identifier": f"{number:064x}", "policy": "BLOCKLIST"}
        for number in range(1000)
    ]
    file = {"format": "json", "content": json.dumps(rules, indent=80)}
    assert len(json.dumps(file)) > MAX_REST
    assert send(json.dumps(file).encode()).json()["rules"] == len(rules)
    for bomb in (BOMB, b'{"format":"json","content":"","x":' + BOMB + b"}", b'{"content":' + BOMB + b"}"):
        refused = send(bomb)
        assert refused.status_code in {httpx.codes.BAD_REQUEST, httpx.codes.REQUEST_ENTITY_TOO_LARGE}
    too_large = send(b'{"format":"json","content":"' + b" " * MAX_IMPORT + b'"}')
    assert too_large.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("json", '{"rules":[[' + "[]," * 200_000 + "[]]]}"),
        ("json", '{"version":[' + "[]," * 200_000 + '[]],"rules":[]}'),
        ("json", '{"rules":[{"comment":"' + "x" * 300_000 + '"}]}'),
        ("csv", "rule_type,identifier,policy\n" + "," * 200_000),
        ("csv", "rule_type,identifier,policy\n" + ',"\n"' * 50_000),
    ],
)
def test_a_bomb_in_a_file_is_an_error_of_the_file(admin: httpx.Client, kind: str, content: str) -> None:
    response = admin.post("/api/v1/rules/import", json={"format": kind, "content": content})
    assert response.status_code == httpx.codes.OK
    plan = response.json()
    assert plan["mistakes_total"] >= 1
    assert plan["rules"] == 0
