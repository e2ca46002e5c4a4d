"""Settings in files of rules, by the names of the sync protocol: shown, never applied."""

import re

from santaserver.importers.model import Place, Report
from santaserver.importers.record import Number

SETTINGS = {
    "client_mode": "client_mode",
    "blocked_path_regex": "blocked_path_regex",
    "blocklist_regex": "blocked_path_regex",
    "blacklist_regex": "blocked_path_regex",
    "allowed_path_regex": "allowed_path_regex",
    "allowlist_regex": "allowed_path_regex",
    "whitelist_regex": "allowed_path_regex",
    "batch_size": "batch_size",
    "enable_bundles": "enable_bundles",
    "enable_transitive_rules": "enable_transitive_rules",
    "enabled_transitive_allowlisting": "enable_transitive_rules",
    "enabled_transitive_whitelisting": "enable_transitive_rules",
    "enable_all_event_upload": "enable_all_event_upload",
    "full_sync_interval": "full_sync_interval",
    "block_usb_mount": "block_usb_mount",
    "remount_usb_mode": "remount_usb_mode",
    "override_file_access_action": "override_file_access_action",
}
"""Of TOML files and Terraform, of today and before."""
ORDERS = {
    "clean_sync": "A file cannot order a clean sync",
    "sync_type": "A file cannot order a kind of sync",
}
PROFILE_SETTINGS = {
    "clientmode": "client_mode",
    "allowedpathregex": "allowed_path_regex",
    "blockedpathregex": "blocked_path_regex",
    "whitelistregex": "allowed_path_regex",
    "blacklistregex": "blocked_path_regex",
    "enablebundles": "enable_bundles",
    "enabletransitiverules": "enable_transitive_rules",
    "enablealleventupload": "enable_all_event_upload",
    "fullsyncinterval": "full_sync_interval",
    "blockusbmount": "block_usb_mount",
}
"""Keys of configuration profiles in lower case."""
SHORT = re.compile(r"-?[0-9]{1,9}")
MODES = {"1": "MONITOR", "2": "LOCKDOWN", "3": "STANDALONE"}


def note_orders(key: str, value: object, place: Place, report: Report) -> bool:
    """Report a setting that is an order for Macs; return whether it is one."""
    if key not in ORDERS:
        return False
    if value is not None:
        report.warn("settings_ignored", ORDERS[key], place, None, key)
    return True


def note(report: Report, setting: str, value: object) -> None:
    """Keep a setting to be shown."""
    if isinstance(value, Number):
        digits = str(value)
        value = int(digits) if SHORT.fullmatch(digits) else digits
    if setting == "client_mode":
        value = MODES.get(str(value), value)
    if isinstance(value, str | int):
        report.settings[setting] = value
