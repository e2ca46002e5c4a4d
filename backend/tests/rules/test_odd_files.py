"""Files of rules with unusual contents: no crash, no loss, and an import restores an export."""

import csv
import io
import json
from typing import Any

import httpx
import pytest

from santaserver.rules.transfer_schemas import FileRule
from tests.support.odd_values import NUMBERS, TEXTS, TIMES
from tests.support.postgres import execute
from tests.support.server import RunningServer
from tests.sync.helpers import add_rule, sha

RULE = {"rule_type": "BINARY", "identifier": "ab" * 32, "policy": "BLOCKLIST"}
ODD: tuple[Any, ...] = (*TEXTS, *TIMES, *NUMBERS, [], {"a": 1}, None, True)


def send(admin: httpx.Client, kind: str, content: str) -> httpx.Response:
    body = json.dumps({"format": kind, "content": content})  # in ASCII: httpx writes no surrogates
    return admin.post("/api/v1/rules/import", content=body, headers={"Content-Type": "application/json"})


def plan(admin: httpx.Client, kind: str, content: str) -> dict[str, Any]:
    response = send(admin, kind, content)
    assert response.status_code == httpx.codes.OK, response.text
    found: dict[str, Any] = response.json()
    return found


@pytest.mark.parametrize("column", FileRule.model_fields)
def test_no_odd_value_in_a_file_crashes_an_import(admin: httpx.Client, column: str) -> None:
    for value in ODD:
        assert send(admin, "json", json.dumps([{**RULE, column: value}])).status_code == httpx.codes.OK
        if isinstance(value, str):
            out = io.StringIO()
            writer = csv.DictWriter(out, [*RULE, *({column} - RULE.keys())])
            writer.writeheader()
            writer.writerow({**RULE, column: value})
            assert send(admin, "csv", out.getvalue()).status_code < httpx.codes.INTERNAL_SERVER_ERROR


@pytest.mark.parametrize(
    "content",
    [
        '{"rulez": []}',
        '{"version": 1, "rules": [], "mispelt": 1}',
        '{"mispelt": {"rules": []}, "rules": []}',
        '[{"rule_type": "TEAMID", "identifier": "ABCDE12345", "policy": "BLOCKLIST", "mispelt": "x"}]',
        '{"rules": []} x',
        "[] []",
        '{"rules": [], }',
        '{"rules": []',
        '{"version": %s, "rules": []}' % ("9" * 5000),
        '[{"identifier": %s}]' % ("9" * 5000),
    ],
)
def test_what_does_not_belong_into_a_file_is_a_mistake(admin: httpx.Client, content: str) -> None:
    assert plan(admin, "json", content)["mistakes_total"] >= 1


TALE = "first\rsecond\r\nthird\nfourth"


@pytest.mark.parametrize("comment", [TALE, "=1+1", "+a", "-b", "@c", "\tx", "'=d", "''-e", "'f", 'a\rb,"c"'])
@pytest.mark.parametrize("kind", ["csv", "json"])
def test_an_export_comes_back_as_it_was(admin: httpx.Client, comment: str, kind: str) -> None:
    add_rule(admin, sha(1), comment=comment)
    text = admin.get("/api/v1/rules/export", params={"format": kind}).text
    again = plan(admin, kind, text)
    assert (again["mistakes"], again["unchanged"], again["changed"]) == ([], 1, 0)


@pytest.mark.parametrize("comment", ["=1+1", "+a", "-b", "@c", "\t=x", "'=d"])
def test_no_cell_of_an_export_is_a_formula(admin: httpx.Client, comment: str) -> None:
    add_rule(admin, sha(1), comment=comment, custom_msg=comment)
    text = admin.get("/api/v1/rules/export", params={"format": "csv"}).text
    cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
    assert comment.lstrip("'") in {cell.lstrip("'") for cell in cells}
    assert not [cell for cell in cells if cell[:1] and cell[0] in "=+-@\t\r"]


def test_a_carriage_return_that_was_stored_earlier_does_not_break_an_export(
    server: RunningServer, admin: httpx.Client
) -> None:
    add_rule(admin, sha(1), comment="x")
    execute(server.dsn, "update rule_version set comment = $1", "a\rb")
    text = admin.get("/api/v1/rules/export", params={"format": "csv"}).text
    assert plan(admin, "csv", text)["mistakes"] == []
