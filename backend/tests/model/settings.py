"""What a Mac's settings should be: written from the specification, independently of the server."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tests.model.policy import OTHER, PEDRO, Setting

MODE = "client_mode"
MONITOR, STANDALONE = "MONITOR", "STANDALONE"
TEXT, MEDIA, BLOCKED = "event_detail_text", "removable_media_policy", "blocked_path_regex"
UNKNOWN = "disable_unknown_event_upload"
CHOICES: dict[str, tuple[Any, ...]] = {
    MODE: (MONITOR, "LOCKDOWN"),
    "batch_size": (50, 10, 20),
    "full_sync_interval": (600, 120, 1200),
    "enable_bundles": (True, False),
    UNKNOWN: (False, True),
    BLOCKED: ("", "^(?:/opt/one/.*)", "^(?:/opt/two/.*)"),
    TEXT: ("", "Ask"),
    MEDIA: ({"action": "allow"}, {"action": "block"}),
}
"""What administrators set; the first of each is the default."""
USB = "block_usb_mount"
"""What older clients are sent of the policy for removable media."""
COMPARED = (*CHOICES, USB)
NOT_SENT = {
    "2026.8.1": (),
    "2026.2.1": (MEDIA,),
    "2025.5.1": (MEDIA, TEXT),
    PEDRO: (MEDIA, TEXT, UNKNOWN),
    OTHER: (MEDIA, TEXT, UNKNOWN),
}
"""What a client does not know."""
MATCHES_NOTHING = "(?!)"
"""To Santa an empty pattern would mean the one of the profile."""


def effective(
    settings: Mapping[str, Mapping[str, Setting]],
    layers: Sequence[str],
    version: str,
    until: datetime | None,
    now: datetime,
) -> dict[str, Any]:
    """Return what a client is sent of the settings of these layers, the lowest first.

    `until` is the end of the Mac's time in monitor mode.
    """
    found: dict[str, Setting] = {name: (values[0], False) for name, values in CHOICES.items()}
    for layer in layers:
        for name, setting in settings.get(layer, {}).items():
            if not found[name][1]:
                found[name] = setting
    values = {name: value for name, (value, _) in found.items()}
    if until is not None and until > now and not found[MODE][1]:
        values[MODE] = MONITOR
    return in_release(values, version)


def in_release(values: Mapping[str, Any], version: str) -> dict[str, Any]:
    """Return how a client is sent complete settings."""
    santa = version not in {PEDRO, OTHER}
    action = values[MEDIA]["action"]
    wire = dict(values) | {MEDIA: {action: True}, USB: action != "allow"}
    if not santa and wire[MODE] == STANDALONE:
        wire[MODE] = MONITOR
    if santa:
        wire[BLOCKED] = wire[BLOCKED] or MATCHES_NOTHING
    return {name: value for name, value in wire.items() if name not in NOT_SENT[version]}


def compared(response: Mapping[str, Any]) -> dict[str, Any]:
    """Return those settings of a preflight's response that are compared."""
    return {name: response[name] for name in COMPARED if name in response}
