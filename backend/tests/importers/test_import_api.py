"""Files of other tools over REST and on the command line: the same plan, the same checks, one number."""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.importers.helpers import OTHER, SHA, TEAM
from tests.support.postgres import fetch, value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer
from tests.sync.helpers import add_rule

AUDITED = """select l.entry, d.details from audit_leaf l join audit_detail d using (seq)
  where l.body ->> 'action' = 'rules_imported'"""
FOLDER = Path(__file__).parent / "fixtures"


def send(client: httpx.Client, content: str | bytes, **more: Any) -> httpx.Response:  # noqa: ANN401
    body: dict[str, Any] = {"format": "auto", "content": content}
    if isinstance(content, bytes):
        body |= {"content": base64.b64encode(content).decode(), "encoding": "base64"}
    return client.post("/api/v1/rules/import", json=body | more)


def plan(client: httpx.Client, content: str | bytes, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    response = send(client, content, **more)
    assert response.status_code == httpx.codes.OK, response.text
    shown: dict[str, Any] = response.json()
    return shown


def counts(shown: dict[str, Any]) -> tuple[int, int, int, int]:
    return shown["added"], shown["changed"], shown["removed"], shown["unchanged"]


def pack(*rules: dict[str, str]) -> str:
    return json.dumps({"rules": rules})


def test_a_moroz_file_is_previewed_and_applied_under_one_number(
    server: RunningServer, admin: httpx.Client, mac: SimulatedMac
) -> None:
    text = (FOLDER / "moroz/global.toml").read_text()
    removed = "3d4c82f15f527aaf05ea3a030f63a031314cdf623e102d3ebeafdf4ae4fb27fa"
    shown = plan(admin, text, file_name="global.toml")
    assert counts(shown) == (6, 0, 0, 0)
    found = shown["recognized"]
    assert (found["format"], found["rules"], found["removals"], found["absent"]) == ("moroz", 6, 1, 1)
    assert found["settings"]["client_mode"] == "LOCKDOWN"
    assert [group["code"] for group in found["warnings"]] == ["settings_ignored"]
    add_rule(admin, removed)
    assert (
        send(admin, text, dry_run=False, policy_seq=shown["policy_seq"]).status_code == httpx.codes.CONFLICT
    )
    shown = plan(admin, text)
    assert (counts(shown), shown["recognized"]["absent"]) == ((6, 0, 1, 0), 0)
    assert [(one["action"], one["line"]) for one in shown["changes"]][-1] == ("remove", 41)
    before = value(server.dsn, "select seq from policy_head")
    done = plan(admin, text, dry_run=False, policy_seq=shown["policy_seq"], reason="moved")
    assert (done["applied"], done["policy_seq"]) == (True, before + 1)
    mac.sync()
    assert ("TEAMID", TEAM) in mac.rules
    assert ("BINARY", removed) not in mac.rules
    assert counts(plan(admin, text)) == (0, 0, 0, 6)
    (entry,) = fetch(server.dsn, AUDITED)
    assert '"moroz"' in entry["details"]


def test_mistakes_have_codes_places_and_entries_and_nothing_is_imported(admin: httpx.Client) -> None:
    text = (FOLDER / "moroz/mistakes.toml").read_text()
    shown = plan(admin, text)
    assert (shown["mistakes_total"], shown["rules"]) == (10, 1)
    first = shown["mistakes"][0]
    assert {name: first[name] for name in ("code", "entry", "field", "column")} == {
        "code": "conflict", "entry": 2, "field": "identifier", "column": 1,
    }  # fmt: skip
    refused = send(admin, text, dry_run=False)
    assert refused.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert len(refused.json()["errors"]) == 10
    assert admin.get("/api/v1/rules").json()["items"] == []


def test_an_expression_that_santa_cannot_use_has_its_place(admin: httpx.Client) -> None:
    rule = {"rule_type": "TEAMID", "policy": "CEL", "identifier": TEAM, "cel_expr": "today > 1"}
    (wrong,) = plan(admin, pack(rule))["mistakes"]
    assert (wrong["code"], wrong["field"], wrong["column"], wrong["entry"]) == (
        "cel_invalid",
        "cel_expr",
        12,
        1,
    )


def test_bytes_that_are_no_text_are_sent_in_base64(admin: httpx.Client) -> None:
    shown = plan(admin, (FOLDER / "mobileconfig/binary.plist").read_bytes())
    assert (shown["recognized"]["format"], shown["added"]) == ("mobileconfig", 2)
    wide = plan(admin, pack().encode("utf-16"))
    assert [one["code"] for one in wide["mistakes"]] == ["encoding"]
    assert send(admin, "x", encoding="base64").status_code == httpx.codes.UNPROCESSABLE_ENTITY
    body = {"format": "csv", "content": "", "encoding": "base64"}
    response = admin.post("/api/v1/rules/import", json=body)
    assert response.status_code == httpx.codes.UNPROCESSABLE_ENTITY


def test_serial_numbers_are_looked_up_and_missing_tags_are_named(
    admin: httpx.Client, mac: SimulatedMac
) -> None:
    mac.sync()
    serial = admin.get("/api/v1/machines").json()["items"][0]["serial"]
    rule = {"rule_type": "TEAMID", "policy": "ALLOWLIST", "identifier": TEAM}
    body = {"name": "a", "configurations": ["b"]}
    known = json.dumps(body | {"rules": [rule | {"serial_numbers": [serial]}]})
    assert plan(admin, known)["changes"][0]["layer"] == f"machine:{mac.machine_id}"
    unknown = plan(admin, json.dumps(body | {"rules": [rule | {"serial_numbers": ["NOPE"]}]}))
    assert [one["code"] for one in unknown["mistakes"]] == ["scope_unresolved"]
    missing = plan(admin, json.dumps(body | {"rules": [rule | {"tags": ["Nowhere"]}]}))
    assert (missing["missing_layers"], missing["mistakes_total"]) == (["tag:Nowhere"], 1)
    (wrong,) = missing["mistakes"]
    assert (wrong["code"], wrong["line"], wrong["column"], wrong["entry"]) == ("unknown_layer", 1, 50, 1)
    admin.post("/api/v1/tags", json={"name": "Nowhere"})
    assert plan(admin, json.dumps(body | {"rules": [rule | {"tags": ["Nowhere"]}]}))["added"] == 1


def test_choices_of_a_person_reach_the_reader(admin: httpx.Client) -> None:
    text = (FOLDER / "zentral/rules.json").read_text()
    shown = plan(admin, text)
    assert [one["code"] for one in shown["mistakes"]] == ["choose_configuration"]
    assert [one["id"] for one in shown["recognized"]["configurations"]] == ["1", "2"]
    shown = plan(admin, text, configuration="1")
    assert (shown["added"], shown["recognized"]["skipped_total"]) == (5, 1)
    rule = {"rule_type": "TEAMID", "policy": "ALLOWLIST", "identifier": TEAM}
    shown = plan(admin, pack(rule, rule | {"policy": "BLOCKLIST"}), last_wins=True, layer="user:jane")
    assert [(one["layer"], one["after"]) for one in shown["changes"]] == [("user:jane", "BLOCKLIST")]


def test_files_of_this_server_are_read_as_before(admin: httpx.Client) -> None:
    add_rule(admin, SHA)
    for kind in ("json", "csv"):
        text = admin.get("/api/v1/rules/export", params={"format": kind}).text
        shown = plan(admin, text)
        assert (counts(shown), shown["recognized"]) == ((0, 0, 0, 1), None)
        assert counts(plan(admin, text.encode())) == (0, 0, 0, 1)


def command(server: RunningServer, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    environment = {"DATABASE_URL": server.dsn, "PATH": ""}
    return subprocess.run(  # noqa: S603 - the command under test
        [sys.executable, "-m", "santaserver", "import", *arguments],
        check=False, capture_output=True, env=environment, input=stdin, timeout=60,
    )  # fmt: skip


def test_the_command_previews_applies_and_says_so_by_its_exit_code(
    server: RunningServer, admin: httpx.Client, tmp_path: Path
) -> None:
    file = tmp_path / "pack.json"
    file.write_text(pack({"rule_type": "BINARY", "policy": "BLOCKLIST", "identifier": OTHER}))
    preview = command(server, str(file))
    assert (preview.returncode, b"+1 ~0 -0 =0: would be imported" in preview.stdout) == (0, True), preview
    assert admin.get("/api/v1/rules").json()["items"] == []
    applied = command(server, str(file), "--apply", "--reason", "by hand", "--json")
    assert applied.returncode == 0, applied.stderr
    assert json.loads(applied.stdout)["applied"] is True
    assert [one["identifier"] for one in admin.get("/api/v1/rules").json()["items"]] == [OTHER]
    again = command(server, "-", "--apply", stdin=file.read_bytes())
    assert (again.returncode, b"nothing to do" in again.stdout) == (0, True)
    (entry,) = fetch(server.dsn, AUDITED)
    assert "command_line" in entry["entry"] + entry["details"]
    wrong = command(server, str(FOLDER / "moroz/mistakes.toml"), "--apply")
    assert (wrong.returncode, b"line 9, identifier: Line 3 has" in wrong.stdout) == (1, True), wrong.stdout
    assert command(server, str(tmp_path / "none.toml")).returncode == 2


@pytest.mark.parametrize("name", ["zentral/ruleset.yml", "workshop/rules.tf", "rudolph/export_2024.csv"])
def test_text_and_bytes_of_a_file_give_the_same_plan(admin: httpx.Client, name: str) -> None:
    data = (FOLDER / name).read_bytes()
    assert plan(admin, data) == plan(admin, data.decode())
