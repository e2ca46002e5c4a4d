"""Event uploads: everything a client sends is accepted, stored once, and shown."""

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.postgres import fetch, value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer

GOLDEN = Path(__file__).parents[1] / "golden" / "santa"
BUNDLE = "89b8fc450329a10a9dd400f685b257812f78f65c302842f860a88b3e747fe989"


def golden(name: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text())
    return body


def stage_of(name: str) -> str:
    return name.removeprefix("sync_").partition("_")[0]


@pytest.mark.parametrize("name", sorted(path.stem for path in GOLDEN.glob("*.json")))
def test_every_body_of_a_real_client_is_accepted(mac: SimulatedMac, name: str) -> None:
    mac.post_raw("preflight", b'{"serial_num":"S"}')
    body = golden(name)
    if name == "ruledownload_cursor":
        body.pop("cursor")
    response = mac.post_raw(stage_of(name), json.dumps(body).encode())
    assert response.status_code == httpx.codes.OK, response.text


def test_events_before_the_first_preflight_are_kept(admin: httpx.Client, mac: SimulatedMac) -> None:
    mac.block("Evil")
    assert [event["file_name"] for event in admin.get("/api/v1/events").json()["items"]] == ["Evil"]
    assert admin.get(f"/api/v1/machines/{mac.machine_id}").json()["sync_state"] == "never"
    assert mac.sync().kind == "CLEAN"


def test_a_repeated_batch_is_stored_once(server: RunningServer, mac: SimulatedMac) -> None:
    for _ in range(3):
        mac.post("eventupload", golden("eventupload_basic_v1"))
    assert value(server.dsn, "select count(*) from event") == 2
    assert value(server.dsn, "select count(*) from file_access_event") == 1
    assert value(server.dsn, "select count(*) from program") == 2
    assert value(server.dsn, "select count(*) from certificate") == 5


def test_one_unusable_event_does_not_hold_up_the_others(server: RunningServer, mac: SimulatedMac) -> None:
    good = golden("eventupload_block")["events"][0]
    bad: list[Any] = [
        {},
        7,
        None,
        {"file_sha256": {}},
        {**good, "pid": 2**40},
        {**good, "signing_chain": [{"cn": 1}]},
    ]
    mac.post("eventupload", {"events": [*bad, good]})
    assert value(server.dsn, "select count(*) from event") == 1


def test_strange_times_and_long_texts_are_stored(server: RunningServer, mac: SimulatedMac) -> None:
    base = {"file_sha256": "ab" * 32, "decision": "BLOCK_SOMETHING_NEW", "file_path": "x" * 100_000}
    # Not so old that the first round of the upkeep, which runs beside, drops it.
    old = server.clock().timestamp() - 1000 * 86_400
    times: list[Any] = [-5, 0, 1e308, 4_102_444_800, old, str(old + 0.5)]
    events = [{**base, "execution_time": moment, "pid": index} for index, moment in enumerate(times)]
    mac.post("eventupload", {"events": events})
    assert value(server.dsn, "select count(*) from event where occurred_at <= now()") == len(times)


def test_a_bundle_is_asked_for_until_its_programs_are_known(server: RunningServer, mac: SimulatedMac) -> None:
    main, members = golden("eventupload_bundle_main"), golden("eventupload_bundle_binaries")
    assert mac.post("eventupload", main) == {"event_upload_bundle_binaries": [BUNDLE]}
    assert mac.post("eventupload", members) == {}
    assert mac.post("eventupload", main) == {}
    assert value(server.dsn, "select count(*) from bundle_binary") == 3
    assert value(server.dsn, "select count(*) from event") == 1


def test_events_are_shown_with_their_signer(admin: httpx.Client, mac: SimulatedMac) -> None:
    mac.post("eventupload", golden("eventupload_bundle_main"))
    event = admin.get("/api/v1/events").json()["items"][0]
    assert (event["publisher"], event["team_id"]) == ("Delta Sync LLC", "DELTASYN44")
    assert (event["bundle_name"], event["blocked"]) == ("Delta Agent", True)
    assert [cert["org"] for cert in event["signing_chain"]] == ["Delta Sync LLC", "Apple Inc.", "Apple Inc."]
    assert admin.get(f"/api/v1/events/{event['id']}").json() == event
    assert admin.get("/api/v1/events/999999").status_code == httpx.codes.NOT_FOUND


def test_events_are_paged_filtered_and_searched(admin: httpx.Client, mac: SimulatedMac) -> None:
    for number in range(5):
        decision = "BLOCK_BINARY" if number % 2 else "ALLOW_UNKNOWN"
        mac.block(f"App{number}", 1_763_900_000 + number, decision=decision)
    seen, cursor = [], None
    while True:
        page = admin.get(
            "/api/v1/events", params={"limit": 2} | ({"cursor": cursor} if cursor else {})
        ).json()
        seen += [event["file_name"] for event in page["items"]]
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert seen == ["App4", "App3", "App2", "App1", "App0"]

    def names(query: str) -> list[str]:
        return [event["file_name"] for event in admin.get(f"/api/v1/events?{query}").json()["items"]]

    assert names("decision=blocked") == ["App3", "App1"]
    assert names("decision=unknown") == names("decision=ALLOW_UNKNOWN") == ["App4", "App2", "App0"]
    assert names("q=app2") == ["App2"]
    assert names(f"machine_id={mac.machine_id}&decision=BLOCK_BINARY") == ["App3", "App1"]
    assert names("machine_id=other") == []


def test_events_lie_in_the_partition_of_their_day(server: RunningServer, mac: SimulatedMac) -> None:
    now = server.clock().timestamp()
    deadline = time.monotonic() + 30
    partition = "select to_regclass('event_' || to_char(now() at time zone 'utc', 'YYYYMMDD'))"
    while not value(server.dsn, partition):
        assert time.monotonic() < deadline, "the upkeep has made no partition for today"
        time.sleep(0.05)
    mac.block("Today", now)
    mac.block("Long ago", now - 400 * 86_400)
    rows = fetch(server.dsn, "select tableoid::regclass::text as part from event order by occurred_at")
    assert rows[0]["part"] == "event_default"
    assert rows[1]["part"].startswith("event_2")


def test_a_repetition_without_a_usable_time_is_found_too(server: RunningServer, mac: SimulatedMac) -> None:
    for _ in range(3):
        mac.block("Clockless", 0.0)
        mac.block("From the future", 4_102_444_800.0)
        server.clock.advance(seconds=20)
    assert value(server.dsn, "select count(*) from event") == 2


def test_approvals_in_standalone_mode_are_kept_once(server: RunningServer, mac: SimulatedMac) -> None:
    created = {
        "decision": "ALLOW_SIGNINGID",
        "identifier": "platform:com.example",
        "timestamp": 1_763_900_000,
    }
    for _ in range(2):
        mac.post("eventupload", {"audit_events": [{"standalone_mode_rule_creation": created}]})
    rows = fetch(server.dsn, "select kind, detail::text as detail from agent_audit_event")
    assert [(row["kind"], json.loads(row["detail"])) for row in rows] == [
        ("standalone_mode_rule_creation", created)
    ]


def test_a_search_finds_programs_machines_and_users(admin: httpx.Client, mac: SimulatedMac) -> None:
    mac.sync()
    mac.block("Needle", 1_763_900_000, executing_user="alice", team_id="ABCDE12345")
    mac.block("Straw", 1_763_900_001)

    def names(text: str) -> list[str]:
        items = admin.get("/api/v1/events", params={"q": text}).json()["items"]
        return [event["file_name"] for event in items]

    assert names("needl") == names("alice") == names("abcde12345") == ["Needle"]
    assert names("sim.example") == names(mac.machine_id) == names(mac.serial.lower()) == ["Straw", "Needle"]
    assert names("nothing of the kind") == names("%") == []


def test_a_batch_in_the_other_spelling_is_read(server: RunningServer, mac: SimulatedMac) -> None:
    event = golden("eventupload_block")["events"][0]

    def camel(value: Any) -> Any:  # noqa: ANN401
        if isinstance(value, list):
            return [camel(item) for item in value]
        if not isinstance(value, dict):
            return value
        parts = ((name.split("_"), item) for name, item in value.items())
        return {first + "".join(map(str.capitalize, rest)): camel(item) for (first, *rest), item in parts}

    mac.post("eventupload", {"events": [event]})
    mac.post("eventupload", {"events": [camel(event)]})
    assert value(server.dsn, "select count(*) from event") == 1


ODD_TEXTS = [
    "",
    " ",
    ",",
    "a,b",
    "\x1f",
    "a\x1fb",
    "\x1f\x1f",
    "\x1e",
    "\\x1f",
    "{}",
    "NULL",
    "'",
    '"',
    "true",
]


@pytest.mark.parametrize("size", [1, 2, len(ODD_TEXTS)])
def test_no_text_of_an_event_gets_into_another(server: RunningServer, mac: SimulatedMac, size: int) -> None:
    texts = ODD_TEXTS[-size:] if size > 1 else [""]
    base = golden("eventupload_block")["events"][0]
    columns = ("file_name", "file_path", "executing_user", "parent_name")
    events = [
        base | dict.fromkeys(columns, text) | {"pid": -1 - number, "logged_in_users": [text]}
        for number, text in enumerate(texts)
    ]
    for turn in (events, [event | {"pid": event["pid"] - 100} for event in reversed(events)]):
        mac.post("eventupload", {"events": turn})
    rows = fetch(
        server.dsn,
        "select pid, file_name, file_path, executing_user, parent_name, logged_in_users from event",
    )
    expected = [text.replace("\x1f", " ") for text in texts]
    found = {row["pid"]: (*(row[name] for name in columns), *row["logged_in_users"]) for row in rows}
    wanted = {-1 - number: (text,) * 4 + ((text,) if text else ()) for number, text in enumerate(expected)}
    assert found == wanted | {pid - 100: texts for pid, texts in wanted.items()}
