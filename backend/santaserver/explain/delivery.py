"""Describes what a machine's client does not get, or gets in another form. Pure.

It uses capabilities.py, like the code that sends rules and settings, so the two cannot differ.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from santaserver.policy.capabilities import SANTA, Capabilities, Family
from santaserver.sync_settings.schemas import MediaPolicy, SyncSettings


@dataclass(frozen=True, slots=True)
class SettingGap:
    """A setting that a client does not get as it is."""

    key: str
    sent: str | None
    """What is sent in its place; None for nothing."""
    why: str


def why_not_sent(client: Capabilities, name: str, rule_type: str, policy: str, needs_level: int) -> str:
    """Explain why a rule is not sent."""
    if rule_type not in client.rule_types:
        since = _since(client, lambda made: rule_type in made.rule_types)
        return f"{name} does not support {rule_type} rules{since}"
    since = _since(client, lambda made: made.level >= needs_level and policy in made.policies)
    if policy == "CEL" and policy in client.policies:
        return f"{name} cannot compile the expression{since}"
    return f"{name} does not support the policy {policy}{since}"


def why_replaced(client: Capabilities, name: str, policy: str, sent: str) -> str:
    """Explain why a rule is sent with another policy."""
    since = _since(client, lambda made: made.policies.get(policy) == policy)
    return f"{name} does not support the policy {policy} and gets {sent} instead{since}"


def setting_gaps(values: SyncSettings, client: Capabilities, name: str) -> list[SettingGap]:
    """Return the settings that say something and are not sent as they are."""
    gaps = []
    mode = client.mode(values.client_mode)
    if mode != values.client_mode:
        since = _since(client, lambda made: values.client_mode in made.modes)
        why = f"{name} does not support the mode {values.client_mode} and gets {mode} instead{since}"
        gaps.append(SettingGap("client_mode", mode, why))
    default = SyncSettings()
    for key in SyncSettings.model_fields:
        if key in client.settings or getattr(values, key) == getattr(default, key):
            continue
        sent = None
        if key == "removable_media_policy":
            sent = _older_media(values.removable_media_policy, client)
            if sent == values.removable_media_policy.action:
                continue
        instead = f" and gets {sent} instead" if sent else ""
        since = _since(client, partial(_reads, key))
        gaps.append(SettingGap(key, sent, f"{name} does not support this setting{instead}{since}"))
    return gaps


def _older_media(media: MediaPolicy, client: Capabilities) -> str:
    """Return what the fields before `removable_media_policy` make of it."""
    if media.action == "remount" and "remount_usb_mode" not in client.settings:
        return "block"
    return media.action


def _reads(key: str, made: Capabilities) -> bool:
    return key in made.settings


def _since(client: Capabilities, can: Callable[[Capabilities], bool]) -> str:
    """Name the release of Santa from which on a client can do something, if that would help."""
    able = [since for since, made in SANTA if can(made)]
    if client.family is not Family.SANTA or not able:
        return ""
    return f"; Santa {able[-1][0]}.{able[-1][1]} and later do"
