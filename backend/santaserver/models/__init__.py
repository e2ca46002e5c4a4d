"""The tables as SQLAlchemy sees them: columns only, no logic. Constraints live in the migrations."""

from santaserver.models.base import Base
from santaserver.models.events import Bundle, BundleBinary, Certificate, Event, Executable, FileAccessEvent
from santaserver.models.machines import Enrollment, Machine, MachineSync, SyncSession
from santaserver.models.policy import Layer, PolicyHead, PolicySignature, Rule, RuleVersion, SettingVersion
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
    "PolicyHead",
    "PolicySignature",
    "Rule",
    "RuleVersion",
    "SettingVersion",
    "SyncSession",
    "UserSession",
]
