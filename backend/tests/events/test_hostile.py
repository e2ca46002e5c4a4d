"""Uploads that could stop the server, or block a Mac's queue forever."""

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from google.protobuf.message import Message

from santaserver.bodies import MAX_BODIES
from santaserver.protocol import santa_v1_pb2 as pb
from tests.support.postgres import fetch, value
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer

BINARY = {"Content-Type": "application/x-protobuf"}
GOOD = {
    "file_sha256": "ab" * 32,
    "file_name": "Good",
    "execution_time": 1_763_900_000.5,
    "decision": "BLOCK_BINARY",
}


def events(element: bytes, count: int) -> bytes:
    return b'{"events":[' + b",".join([element] * count) + b"]}"


def one_event(**fields: bytes) -> bytes:
    more = b"".join(b',"%s":%s' % (name.encode(), content) for name, content in fields.items())
    return b'{"events":[' + json.dumps(GOOD).encode()[:-1] + more + b"}]}"


def binary_event(extra: bytes) -> bytes:
    event = pb.Event(file_sha256="ab" * 32).SerializeToString() + extra
    return b"\x0a" + varint(len(event)) + event


def varint(number: int) -> bytes:
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*written, number])


JSON_BOMBS = {
    "empty events": events(b"{}", 300_000),
    "numbers": events(b"0", 2001),
    "texts": events(b'""', 500_000),
    "file accesses": b'{"file_access_events":[' + b"[]," * 4000 + b"[]]}",
    "another spelling": b'{"fileAccessEvents":[' + b"{}," * 4000 + b"{}]}",
    "kinds together": b'{"events":[%s{}],"audit_events":[%s{}]}' % (b"{}," * 1100, b"{}," * 1100),
    "empty lists": b'{"x":[' + b"[]," * 700_000 + b"[]]}",
    "nested": b'{"events":[' + b"[" * 100_000 + b"]" * 100_000 + b"]}",
}
BINARY_BOMBS = {
    "empty events": b"\x0a\x00" * 300_000,
    "empty audits": b"\x1a\x00" * 2001,
    "unknown fields": b"\x78\x01" * 300_000,
}
CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "none": lambda body: body,
    "deflate": zlib.compress,
    "gzip": lambda body: gzip.compress(body, mtime=0),
}


@pytest.mark.parametrize("coding", CODINGS)
def test_bombs_are_refused_and_say_what_to_lower(server: RunningServer, coding: str) -> None:
    with server.client() as client:
        for form, bombs in (({"Content-Type": "application/json"}, JSON_BOMBS), (BINARY, BINARY_BOMBS)):
            for name, bomb in bombs.items():
                fields = form | ({} if coding == "none" else {"Content-Encoding": coding})
                response = client.post(
                    "/api/santa/eventupload/BOMB", content=CODINGS[coding](bomb), headers=fields
                )
                assert response.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE, (name, response.text)
                assert ("nested" if name == "nested" else "batch_size") in response.text, name
    assert server.app.state.santa.limits.bodies._left == MAX_BODIES
    assert value(server.dsn, "select count(*) from event") == 0


@pytest.mark.parametrize(
    "body",
    [
        one_event(signing_chain=b"[" + b"{}," * 60_000 + b"{}]"),
        one_event(x=b"[" + b"[]," * 60_000 + b"[]]"),
        one_event(file_path=b'"' + b"x" * 5_000_000 + b'"'),
    ],
)
def test_a_bomb_inside_of_an_event_costs_that_event(
    server: RunningServer, mac: SimulatedMac, body: bytes
) -> None:
    mac.encoding = "none"
    good = json.dumps({**GOOD, "pid": 7}).encode()
    response = mac.post_raw("eventupload", body[:-2] + b"," + good + b"]}")
    assert response.status_code == httpx.codes.OK, response.text
    assert value(server.dsn, "select count(*) from event where pid = 7") == 1
    assert value(server.dsn, "select count(*) from event") <= 2


@pytest.mark.parametrize(
    "extra", [b"\xe2\x01\x00" * 250_000, b"\x32\x00" * 250_000, b"\xea\x01\x02\x12\x00" * 80_000]
)
def test_a_binary_bomb_inside_of_an_event_costs_that_event(
    server: RunningServer, mac: SimulatedMac, extra: bytes
) -> None:
    mac.encoding = "none"
    good = pb.EventUploadRequest(events=[pb.Event(file_sha256="cd" * 32, pid=7)]).SerializeToString()
    response = mac.post_raw("eventupload", binary_event(extra) + good, BINARY)
    assert response.status_code == httpx.codes.OK, response.text
    assert value(server.dsn, "select count(*) from event where pid = 7") == 1


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        (rb"\ud83d", "\ufffd"),
        (rb"\udc00\ud800", "\ufffd\ufffd"),
        (rb"a\u0000b", "ab"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (rb"\ud83d\ude00\uDFFF", "\U0001f600\ufffd"),
        (b"\xed\xa0\x80", "\ufffd\ufffd\ufffd"),
    ],
)
def test_a_text_that_cannot_be_stored_is_repaired(
    server: RunningServer, mac: SimulatedMac, name: bytes, stored: str
) -> None:
    odd = json.dumps({**GOOD, "pid": 1}).encode().replace(b"Good", name)
    good = json.dumps({**GOOD, "pid": 2}).encode()
    response = mac.post_raw("eventupload", b'{"events":[%s,%s]}' % (odd, good))
    assert response.status_code == httpx.codes.OK, response.text
    rows = fetch(server.dsn, "select pid, file_name from event order by pid")
    assert [row["pid"] for row in rows] == [1, 2]
    assert rows[1]["file_name"] == "Good"
    assert rows[0]["file_name"] == stored


def test_a_text_that_is_no_utf8_is_repaired_in_protobuf_too(server: RunningServer, mac: SimulatedMac) -> None:
    event: Message = pb.Event(file_sha256="ab" * 32, pid=1, file_name="Zz", team_id="ABCDE12345")
    odd = event.SerializeToString().replace(b"Zz", b"\xff\x41")
    body = b"\x0a" + varint(len(odd)) + odd
    good = pb.EventUploadRequest(events=[pb.Event(file_sha256="cd" * 32, pid=2)]).SerializeToString()
    cut = b"\x0a\x03\x0a\x40a"  # an event whose text ends behind it
    response = mac.post_raw("eventupload", body + cut + good, BINARY)
    assert response.status_code == httpx.codes.OK, response.text
    assert fetch(server.dsn, "select pid, file_name from event order by pid") == [
        {"pid": 1, "file_name": "\ufffdA"},
        {"pid": 2, "file_name": ""},
    ]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"7", b'{"events":[{}}', b'"x"', b'{"events":[{"a":nan}]}']
)
def test_only_what_is_no_json_object_is_refused(mac: SimulatedMac, body: bytes) -> None:
    response = mac.post_raw("eventupload", body, {"Content-Encoding": "none"} if not body else None)
    assert response.status_code == httpx.codes.BAD_REQUEST, response.text


@pytest.mark.parametrize(
    "body",
    [
        b'{"events":null}',
        b'{"events":{}}',
        b'{"events":7,"file_access_events":""}',
        b'{"events":[[[]]]}',
        b"{}",
    ],
)
def test_an_object_of_another_shape_is_no_reason_to_refuse(mac: SimulatedMac, body: bytes) -> None:
    assert mac.post_raw("eventupload", body).status_code == httpx.codes.OK


@pytest.mark.parametrize(
    "fields",
    [
        {"hostname": 7},
        {"binary_rule_count": -1, "sip_status": 2**70},
        {"primary_user_groups": "wheel"},
        {"hostname": "\ud83d"},
        {"client_mode": [], "os_version": {}},
        {"serial_num": None, "rulesHash": 5},
    ],
)
def test_a_mac_syncs_whatever_one_field_says(
    admin: httpx.Client, mac: SimulatedMac, fields: dict[str, Any]
) -> None:
    body = json.dumps({"serial_num": "C02ODD", "os_build": "24G90"} | fields).encode()
    response = mac.post_raw("preflight", body)
    assert response.status_code == httpx.codes.OK, response.text
    assert admin.get(f"/api/v1/machines/{mac.machine_id}").json()["os_build"] == "24G90"


def test_a_stranger_is_told_so_before_the_body_is_read(dsn: str) -> None:
    with RunningServer(dsn, {"REQUIRE_ENROLLMENT": "true"}) as strict, strict.client() as client:
        taken: list[int] = []
        budget = strict.app.state.santa.limits.bodies
        budget.take = taken.append
        for secret in (None, "wrong"):
            fields = {} if secret is None else {"Authorization": f"Bearer {secret}"}
            response = client.post("/api/santa/eventupload/M", content=b"x" * 200_000, headers=fields)
            assert response.status_code == httpx.codes.UNAUTHORIZED
        assert taken == []
