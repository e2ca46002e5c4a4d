"""Writes the settings of a preflight response: complete, in one order, byte-stable. Pure.

An absent field would keep its old value on the Mac, and a clean sync forgets all of them, so every field that
a client supports is always sent; fields of older clients are sent beside their successors.
"""

import msgspec

from santaserver.policy.capabilities import Capabilities, Family
from santaserver.protocol.body import MAX_BATCH
from santaserver.sync_settings.schemas import MediaPolicy, SyncSettings

MATCH_NOTHING = "(?!)"
"""An empty pattern would let one from the Mac's profile apply again; other clients have none."""


def render_settings(settings: SyncSettings, client: Capabilities) -> bytes:
    """Return the JSON object of all settings that a client supports."""
    fields = _fields(settings, client)
    return msgspec.json.encode({name: value for name, value in fields.items() if name in client.settings})


def _fields(settings: SyncSettings, client: Capabilities) -> dict[str, object]:
    media = settings.removable_media_policy
    push_deadline = settings.push_notification_global_rule_sync_deadline
    encrypted = settings.encrypted_removable_media_policy or media
    nothing = MATCH_NOTHING if client.family is Family.SANTA else ""
    return {
        "client_mode": client.mode(settings.client_mode),
        "batch_size": min(settings.batch_size, MAX_BATCH),
        "enable_bundles": settings.enable_bundles,
        "enable_transitive_rules": settings.enable_transitive_rules,
        "enable_all_event_upload": settings.enable_all_event_upload,
        "disable_unknown_event_upload": settings.disable_unknown_event_upload,
        "full_sync_interval": settings.full_sync_interval,
        "push_notification_full_sync_interval": settings.push_notification_full_sync_interval,
        "push_notification_global_rule_sync_deadline": push_deadline,
        "allowed_path_regex": settings.allowed_path_regex or nothing,
        "blocked_path_regex": settings.blocked_path_regex or nothing,
        "block_usb_mount": media.action != "allow",
        "remount_usb_mode": _flags(media),
        "removable_media_policy": _media(media),
        "encrypted_removable_media_policy": _media(encrypted),
        "override_file_access_action": settings.override_file_access_action,
        "event_detail_url": settings.event_detail_url,
        "event_detail_text": settings.event_detail_text,
    }


def preflight_response(sync_type: str, settings: bytes) -> bytes:
    """Put the kind of sync before the settings."""
    return b'{"sync_type":"' + sync_type.encode() + b'",' + settings[1:]


def _flags(media: MediaPolicy) -> list[str]:
    return list(media.flags) if media.action == "remount" else []


def _media(media: MediaPolicy) -> dict[str, object]:
    if media.action == "remount":
        return {"remount": {"flags": _flags(media)}}
    return {media.action: True}
