"""Which tables a backup has, and why it leaves the others out. Pure; a test knows of every table."""

from collections.abc import Iterable, Mapping

EVENTS = ("agent_audit_event", "event", "file_access_event")
"""Only with `--events`: mostly the largest, and no decision depends on them."""

KEPT = frozenset(
    {
        "api_token",
        "app_user",
        "audit_checkpoint",
        "audit_detail",
        "audit_head",
        "audit_leaf",
        "binding",
        "blocked_contact",
        "bundle",
        "bundle_binary",
        "bundle_claim",
        "bundle_claim_machine",
        "certificate",
        "certificate_claim",
        "certificate_claim_machine",
        "custom_role",
        "enrollment",
        "enrollment_secret",
        "essential",
        "event_count_delta",
        "event_hour",
        "layer",
        "machine",
        "machine_confirmation",
        "machine_serial",
        "machine_signature",
        "machine_sync",
        "monitor_window",
        "passkey",
        "policy_change",
        "policy_head",
        "policy_signature",
        "program",
        "program_bundle_claim",
        "program_bundle_claim_machine",
        "program_claim",
        "program_claim_machine",
        "program_day",
        "program_path",
        "recovery_code",
        "rule",
        "rule_version",
        "scim_group",
        "scim_token",
        "scim_user",
        "setting_version",
        "sync_session",
        "tag",
        "tag_enrollment",
        "tag_member",
        "tag_order_version",
        "tag_version",
        "totp_secret",
        "user_group",
        "user_group_member",
        "user_identity",
        "withheld_layer",
    }
)

SCHEMA = "schema_version"
SHORT_LIVED: Mapping[str, str] = {
    "login_failure": "slows down guesses for minutes",
    "logout_token": "concerns sessions, which are left out",
    "passkey_challenge": "is valid for minutes",
    "pending_login": "is valid for minutes",
    "setup_link": "one that was used after the backup would work again",
    "sign_in": "is valid for minutes",
    "totp_enrollment": "is valid for minutes",
    "user_session": "one that was ended after the backup, or whose user was disabled, would be open again",
}
LEFT_OUT: Mapping[str, str] = {SCHEMA: "the migrations of a restore write it", **SHORT_LIVED}
"""Table → why it is in no backup."""


def wanted(present: Iterable[str], *, events: bool) -> set[str]:
    """Return which of the tables that a database has go into a backup."""
    return set(present) & (KEPT | set(EVENTS if events else ()))


def unknown(present: Iterable[str]) -> list[str]:
    """Return the tables that are not this program's."""
    return sorted(set(present) - KEPT - set(EVENTS) - set(LEFT_OUT))
