"""The tables as SQLAlchemy sees them: columns only, no logic. Constraints live in the migrations."""

from santaserver.models.base import Base
from santaserver.models.events import (
    AgentAuditEvent,
    Bundle,
    BundleBinary,
    Certificate,
    Event,
    EventHour,
    Executable,
    FileAccessEvent,
    ProgramDay,
)
from santaserver.models.machines import (
    Enrollment,
    Machine,
    MachineSerial,
    MachineSync,
    MonitorWindow,
    SyncSession,
)
from santaserver.models.policy import (
    Layer,
    PolicyHead,
    PolicySignature,
    Rule,
    RuleVersion,
    SettingVersion,
    Tag,
    TagEnrollment,
    TagMember,
    TagOrderVersion,
)
from santaserver.models.users import AppUser, AuditLog, LoginFailure, UserSession

__all__ = [
    "AgentAuditEvent",
    "AppUser",
    "AuditLog",
    "Base",
    "Bundle",
    "BundleBinary",
    "Certificate",
    "Enrollment",
    "Event",
    "EventHour",
    "Executable",
    "FileAccessEvent",
    "Layer",
    "LoginFailure",
    "Machine",
    "MachineSerial",
    "MachineSync",
    "MonitorWindow",
    "PolicyHead",
    "PolicySignature",
    "ProgramDay",
    "Rule",
    "RuleVersion",
    "SettingVersion",
    "SyncSession",
    "Tag",
    "TagEnrollment",
    "TagMember",
    "TagOrderVersion",
    "UserSession",
]
