"""The tables as SQLAlchemy sees them: columns only, no logic. Constraints live in the migrations."""

from santaserver.models.base import Base
from santaserver.models.events import Bundle, BundleBinary, Certificate, Event, Executable, FileAccessEvent
from santaserver.models.machines import Enrollment, Machine, MachineSync, MonitorWindow, SyncSession
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
    "AppUser",
    "AuditLog",
    "Base",
    "Bundle",
    "BundleBinary",
    "Certificate",
    "Enrollment",
    "Event",
    "Executable",
    "FileAccessEvent",
    "Layer",
    "LoginFailure",
    "Machine",
    "MachineSync",
    "MonitorWindow",
    "PolicyHead",
    "PolicySignature",
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
