"""Reading and writing the protocol's JSON."""

import json

import pytest

from santaserver.errors import BadRequest
from santaserver.policy.capabilities import NEWEST
from santaserver.protocol.messages import PostflightRequest, PreflightRequest, parse_object, read
from santaserver.sync.settings_wire import preflight_response, render_settings
from santaserver.sync_settings.schemas import MediaPolicy, SyncSettings


@pytest.mark.parametrize(
    "body",
    [
        b'{"serial_num":"S","rulesHash":"h","sipStatus":3,"primary_user_groups":["a"]}',
        b'{"serial_number":"S","rules_hash":"h","sip_status":3,"primary_user_groups":["a"]}',
        b'{"serialNumber":"S","rulesHash":"h","sipStatus":"3","primaryUserGroups":["a"]}',
        b'{"serial_num":"S","rulesHash":"h","sipStatus":3,"primary_user_groups":["a"],"new":{"x":[1]},"hostname":null}',
    ],
)
def test_every_spelling_is_read_and_unknown_fields_are_ignored(body: bytes) -> None:
    request = read(parse_object(body), PreflightRequest)
    assert (request.serial_number, request.rules_hash, request.sip_status) == ("S", "h", 3)
    assert request.primary_user_groups == ["a"]


def test_absent_fields_are_zero() -> None:
    assert read(parse_object(b"{}"), PostflightRequest).rules_received == 0


def test_nul_characters_are_dropped() -> None:
    request = read(parse_object(rb'{"hostname":"a\u0000b"}'), PreflightRequest)
    assert request.hostname == "ab"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'"x"', b"\xff", b'{"binary_rule_count":-1}', b'{"hostname":{}}']
)
def test_a_body_that_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        read(parse_object(body), PreflightRequest)


def test_a_preflight_answer_is_complete_and_byte_stable() -> None:
    settings = SyncSettings(
        client_mode="LOCKDOWN",
        blocked_path_regex="^/tmp/",
        removable_media_policy=MediaPolicy(action="remount", flags=["rdonly"]),
        encrypted_removable_media_policy=MediaPolicy(action="block"),
    )
    assert json.loads(preflight_response("CLEAN", render_settings(settings, NEWEST))) == {
        "sync_type": "CLEAN",
        "client_mode": "LOCKDOWN",
        "batch_size": 50,
        "enable_bundles": True,
        "enable_transitive_rules": False,
        "enable_all_event_upload": False,
        "disable_unknown_event_upload": False,
        "full_sync_interval": 600,
        "push_notification_full_sync_interval": 14400,
        "push_notification_global_rule_sync_deadline": 600,
        "allowed_path_regex": "(?!)",
        "blocked_path_regex": "^/tmp/",
        "block_usb_mount": True,
        "remount_usb_mode": ["rdonly"],
        "removable_media_policy": {"remount": {"flags": ["rdonly"]}},
        "encrypted_removable_media_policy": {"block": True},
        "override_file_access_action": "NONE",
        "event_detail_url": "",
        "event_detail_text": "",
    }
    assert render_settings(settings, NEWEST) == render_settings(settings.model_copy(deep=True), NEWEST)
