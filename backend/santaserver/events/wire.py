"""Events as Macs upload them, field for field; see protocol/messages.py for the rules of reading."""

from typing import Annotated

from msgspec import Meta, Struct

from santaserver.protocol.messages import UInt32

Int32 = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]

BUNDLE_BINARY = "BUNDLE_BINARY"
"""Not an execution: one program of a bundle that the server asked about."""


class Certificate(Struct, kw_only=True, omit_defaults=True):
    """One certificate of a signing chain; times are epoch seconds."""

    sha256: str = ""
    cn: str = ""
    org: str = ""
    ou: str = ""
    valid_from: UInt32 = 0
    valid_until: UInt32 = 0


class Entitlement(Struct, kw_only=True):
    """One entitlement; the value is JSON text."""

    key: str = ""
    value: str = ""


class EntitlementInfo(Struct, kw_only=True):
    """What a program may do; the client leaves out what it finds too long."""

    entitlements: list[Entitlement] = []


class Execution(
    Struct,
    kw_only=True,
    rename={
        "entitlement_info": "entitlementInfo",
        "cs_flags": "csFlags",
        "signing_status": "signingStatus",
        "secure_signing_time": "secureSigningTime",
        "signing_time": "signingTime",
    },
):
    """One event; `execution_time` is epoch seconds with a fraction, 0 when it did not run."""

    file_sha256: str = ""
    file_path: str = ""
    file_name: str = ""
    executing_user: str = ""
    execution_time: float = 0
    logged_in_users: list[str] = []
    current_sessions: list[str] = []
    decision: str | int = ""
    file_bundle_id: str = ""
    file_bundle_path: str = ""
    file_bundle_name: str = ""
    file_bundle_version: str = ""
    file_bundle_version_string: str = ""
    file_bundle_hash: str = ""
    file_bundle_binary_count: UInt32 = 0
    pid: Int32 = 0
    ppid: Int32 = 0
    parent_name: str = ""
    team_id: str = ""
    signing_id: str = ""
    cdhash: str = ""
    quarantine_data_url: str = ""
    quarantine_referer_url: str = ""
    quarantine_timestamp: UInt32 = 0
    quarantine_agent_bundle_id: str = ""
    signing_chain: list[Certificate] = []
    entitlement_info: EntitlementInfo | None = None
    cs_flags: UInt32 = 0
    signing_status: str | int = ""
    secure_signing_time: UInt32 = 0
    signing_time: UInt32 = 0
    static_rule: bool = False


class Process(Struct, kw_only=True, omit_defaults=True):
    """One process of the chain that led to a file access; the first is the actor."""

    file_path: str = ""
    cdhash: str = ""
    file_sha256: str = ""
    signing_id: str = ""
    team_id: str = ""
    pid: Int32 = 0
    signing_chain: list[Certificate] = []


class FileAccess(Struct, kw_only=True):
    """One access to a file that a rule in the Mac's profile watches."""

    rule_version: str = ""
    rule_name: str = ""
    target: str = ""
    process_chain: list[Process] = []
    access_time: float = 0
    decision: str | int = ""


class StandaloneRuleCreation(Struct, kw_only=True, omit_defaults=True):
    """A program that a user approved on a Mac in standalone mode; `timestamp` is epoch seconds."""

    decision: str | int = ""
    identifier: str = ""
    timestamp: UInt32 = 0


class Audit(Struct, kw_only=True):
    """What the agent did; version 1 knows one kind."""

    standalone_mode_rule_creation: StandaloneRuleCreation | None = None
