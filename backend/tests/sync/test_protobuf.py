"""The protobuf form of the protocol is equivalent to the JSON form."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from google.protobuf import json_format

from santaserver.events.parse import parse_binary_upload, parse_upload
from santaserver.events.wire import Audit, Execution, FileAccess, StandaloneRuleCreation
from santaserver.policy.capabilities import NEWEST
from santaserver.protocol import protobuf
from santaserver.protocol import santa_v1_pb2 as pb
from santaserver.protocol.messages import (
    PostflightRequest,
    PreflightRequest,
    RuleDownloadRequest,
    parse_object,
    read,
)
from santaserver.sync.settings_wire import preflight_response, render_settings
from santaserver.sync_settings.schemas import MediaPolicy, SyncSettings
from tests.support.postgres import fetch, value
from tests.support.protobuf_transport import ProtobufTransport
from tests.support.santa_client import SimulatedMac
from tests.support.server import RunningServer
from tests.sync.helpers import add_rule, effective, sha

GOLDEN = Path(__file__).parents[1] / "golden" / "santa"
NOW = datetime(2026, 1, 2, tzinfo=UTC)
KINDS = {
    "preflight": PreflightRequest,
    "ruledownload": RuleDownloadRequest,
    "postflight": PostflightRequest,
}
BODIES = sorted(path.stem for path in GOLDEN.glob("*.pb"))


@pytest.mark.parametrize("name", [name for name in BODIES if not name.startswith(("eventupload", "metrics"))])
def test_a_request_reads_the_same_in_both_forms(name: str) -> None:
    kind: Any = KINDS[name.partition("_")[0]]
    binary = protobuf.read((GOLDEN / f"{name}.pb").read_bytes(), kind)
    assert binary == read(parse_object((GOLDEN / f"{name}.json").read_bytes()), kind)


@pytest.mark.parametrize("name", [name for name in BODIES if name.startswith("eventupload")])
def test_an_upload_reads_the_same_in_both_forms(name: str) -> None:
    binary = parse_binary_upload((GOLDEN / f"{name}.pb").read_bytes(), "M", NOW)
    text = parse_upload((GOLDEN / f"{name}.json").read_bytes(), "M", NOW)
    assert binary == text
    assert binary.unusable == 0
    assert binary.executions or binary.bundle_binaries or binary.file_accesses


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (PreflightRequest, pb.PreflightRequest),
        (RuleDownloadRequest, pb.RuleDownloadRequest),
        (PostflightRequest, pb.PostflightRequest),
        (Execution, pb.Event),
        (FileAccess, pb.FileAccessEvent),
        (Audit, pb.AuditEvent),
        (StandaloneRuleCreation, pb.StandaloneModeRuleCreation),
    ],
)
def test_every_field_that_is_read_has_its_protobuf_number(kind: type[msgspec.Struct], message: Any) -> None:  # noqa: ANN401
    assert set(kind.__struct_fields__) <= set(message.DESCRIPTOR.fields_by_name)


@pytest.mark.parametrize("name", BODIES)
def test_every_binary_body_of_a_real_client_is_accepted(mac: SimulatedMac, name: str) -> None:
    binary = {"Content-Type": "application/x-protobuf"}
    mac.post_raw("preflight", b"\x0a\x01S", binary)
    body = b"" if name == "ruledownload_cursor" else (GOLDEN / f"{name}.pb").read_bytes()
    response = mac.post_raw(name.partition("_")[0], body, binary)
    assert response.status_code == httpx.codes.OK, response.text
    assert response.headers["content-type"] == "application/x-protobuf"


def test_settings_say_the_same_in_both_forms() -> None:
    settings = SyncSettings(
        client_mode="LOCKDOWN",
        removable_media_policy=MediaPolicy(action="remount", flags=["rdonly", "noexec"]),
        encrypted_removable_media_policy=MediaPolicy(action="block"),
    )
    text = preflight_response("CLEAN", render_settings(settings, NEWEST))
    binary = pb.PreflightResponse.FromString(protobuf.encode_response("preflight", text))
    shown = json_format.MessageToDict(binary, preserving_proto_field_name=True)
    assert shown == json.loads(text)
    assert binary.HasField("enable_all_event_upload")


def test_a_mac_that_speaks_protobuf_syncs_and_reports(server: RunningServer, admin: httpx.Client) -> None:
    for number in range(3):
        add_rule(admin, sha(number), custom_msg="because")
    transport = ProtobufTransport()
    mac = SimulatedMac(server.url, transport=transport)
    assert mac.sync().kind == "CLEAN"
    assert mac.rules == effective(admin)
    mac.block("Evil", decision="BLOCK_BINARY")
    add_rule(admin, sha(7))
    assert mac.sync().received == 1
    assert mac.rules == effective(admin)
    assert transport.responses[-1].content == b""
    assert fetch(server.dsn, "select decision, file_name from event") == [
        {"decision": "BLOCK_BINARY", "file_name": "Evil"}
    ]
    mac.close()


def test_what_a_newer_client_says_is_skipped_or_counted_as_other(
    server: RunningServer, mac: SimulatedMac
) -> None:
    event = pb.Event(file_sha256="ab" * 32, execution_time=1_763_900_000.0).SerializeToString()
    event += b"\x40\x63" + b"\xca\x3e\x01x"  # decision 99, field 1001
    body = b"\x0a" + bytes([len(event)]) + event
    response = mac.post_raw("eventupload", body, {"Content-Type": "application/x-protobuf"})
    assert response.status_code == httpx.codes.OK
    assert value(server.dsn, "select decision from event") == "OTHER"


@pytest.mark.parametrize("body", [b"\xff\xff\xff", b"\x0a\x05ab", b"\x0a\x02\xc3\x28"])
def test_what_is_no_protobuf_is_the_clients_error(mac: SimulatedMac, body: bytes) -> None:
    response = mac.post_raw("preflight", body, {"Content-Type": "application/x-protobuf"})
    assert response.status_code == httpx.codes.BAD_REQUEST
    assert "protobuf" in response.json()["detail"]


def test_long_answers_are_compressed_where_the_client_takes_it(
    admin: httpx.Client, mac: SimulatedMac
) -> None:
    for number in range(40):
        add_rule(admin, sha(number))
    sizes = {}
    mac.post("preflight", mac.preflight_body())
    for accepted in ("gzip, deflate", "identity", "gzip;q=0"):
        response = mac.post_raw("ruledownload", b"{}", {"Accept-Encoding": accepted})
        sent = [rule for rule in response.json()["rules"] if rule["policy"] != "REMOVE"]
        assert len(sent) == 40
        sizes[accepted] = response.headers.get("content-encoding"), int(response.headers["content-length"])
    assert sizes["gzip, deflate"][0] == "gzip"
    assert sizes["gzip, deflate"][1] < sizes["identity"][1] / 2
    assert sizes["identity"][0] is sizes["gzip;q=0"][0] is None


@pytest.mark.parametrize("version", ["pedro-1", ""])
def test_clients_of_other_makes_may_speak_protobuf(
    admin: httpx.Client, mac: SimulatedMac, version: str
) -> None:
    for rule_type, identifier in (("CDHASH", "c" * 40), ("BINARY", sha(1))):
        add_rule(admin, identifier, rule_type=rule_type)
    binary = {"Content-Type": "application/x-protobuf"}
    request = pb.PreflightRequest(santa_version=version).SerializeToString()
    reported = pb.PreflightResponse.FromString(mac.post_raw("preflight", request, binary).content)
    assert reported.batch_size == 50
    page = pb.RuleDownloadResponse.FromString(mac.post_raw("ruledownload", b"", binary).content)
    assert [rule.identifier for rule in page.rules if rule.rule_type == pb.BINARY] == [sha(1)]
