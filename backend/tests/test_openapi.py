"""The committed contract."""

import json
from pathlib import Path

import httpx

from santaserver import openapi
from santaserver.main import create_app
from santaserver.settings import Settings

COMMITTED = Path(__file__).parents[1] / "openapi.json"


def test_the_committed_document_is_fresh() -> None:
    fresh = openapi.dumps(openapi.build(create_app(Settings())))
    assert COMMITTED.read_text() == fresh, "run: python -m santaserver openapi --output openapi.json"


def test_every_reference_leads_somewhere() -> None:
    document = json.loads(COMMITTED.read_text())
    names = {f'"#/components/schemas/{name}"' for name in document["components"]["schemas"]}
    text = COMMITTED.read_text()
    used = {f'"{part.split(chr(34))[0]}"' for part in text.split('"$ref": "')[1:]}
    assert used <= names


def test_every_failing_answer_is_a_problem() -> None:
    failing = [
        (path, method, code, list(response["content"]))
        for path, methods in json.loads(COMMITTED.read_text())["paths"].items()
        for method, operation in methods.items()
        for code, response in operation["responses"].items()
        if int(code) >= 400
    ]
    assert failing
    assert [one for one in failing if one[-1] != ["application/problem+json"]] == []


def test_the_document_and_its_page_need_nothing_from_outside(anonymous: httpx.Client) -> None:
    assert anonymous.get("/api/v1/openapi.json").json() == json.loads(COMMITTED.read_text())
    page = anonymous.get("/api/v1/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for name in ("page.js", "page.css"):
        part = anonymous.get(f"/api/v1/docs/{name}")
        assert part.status_code == httpx.codes.OK
        assert "://" not in part.text
    assert "://" not in page.text


def test_unknown_paths_and_methods_are_problems(anonymous: httpx.Client) -> None:
    missing = anonymous.get("/api/v1/nothing")
    assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")
    wrong = anonymous.put("/api/v1/rules")
    assert (wrong.status_code, wrong.headers["content-type"]) == (405, "application/problem+json")
    assert wrong.headers["allow"]


def test_answers_are_not_cached(anonymous: httpx.Client) -> None:
    assert anonymous.get("/api/v1/auth/me").headers["cache-control"] == "no-store"
