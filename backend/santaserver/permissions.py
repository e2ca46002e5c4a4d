"""What people may do: permissions, and the roles that are made of them.

Both sets are closed. Roles are stored by name; a name that this version does not know grants nothing.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType


class Permission(StrEnum):
    """The right to do one kind of thing."""

    OVERVIEW_READ = "overview:read"
    LIVE_READ = "live:read"
    MACHINE_READ = "machine:read"
    MACHINE_WRITE = "machine:write"
    RULE_READ = "rule:read"
    RULE_WRITE = "rule:write"
    RULE_IMPORT = "rule:import"
    RULE_EXPORT = "rule:export"
    TAG_READ = "tag:read"
    TAG_WRITE = "tag:write"
    TAG_ASSIGN = "tag:assign"
    SETTINGS_READ = "settings:read"
    SETTINGS_WRITE = "settings:write"
    ESSENTIAL_READ = "essential:read"
    ESSENTIAL_WRITE = "essential:write"
    EVENT_READ = "event:read"
    PROGRAM_READ = "program:read"
    ENROLLMENT_READ = "enrollment:read"
    ENROLLMENT_WRITE = "enrollment:write"
    USER_READ = "user:read"
    USER_WRITE = "user:write"
    SESSION_READ = "session:read"
    SESSION_WRITE = "session:write"
    AUDIT_READ = "audit:read"
    AUDIT_WRITE = "audit:write"
    STATUS_READ = "status:read"


class Role(StrEnum):
    """A set of permissions that can be given to a user."""

    VIEWER = "viewer"
    REQUESTER = "requester"
    APPROVER = "approver"
    OPERATOR = "operator"
    ADMIN = "admin"
    AUDITOR = "auditor"


MEANING: Mapping[Permission, str] = MappingProxyType(
    {
        Permission.OVERVIEW_READ: "See the overview, which counts the whole fleet",
        Permission.LIVE_READ: "Get live updates in the console",
        Permission.MACHINE_READ: "See Macs, and which rules and settings apply to them",
        Permission.MACHINE_WRITE: "Order clean syncs and monitor mode; release, retire, restore, delete Macs",
        Permission.RULE_READ: "See rules and layers",
        Permission.RULE_WRITE: "Create, change and remove rules",
        Permission.RULE_IMPORT: "Import rules from a file",
        Permission.RULE_EXPORT: "Export rules to a file",
        Permission.TAG_READ: "See tags and their members",
        Permission.TAG_WRITE: "Create, change, order and remove tags",
        Permission.TAG_ASSIGN: "Add tags to Macs, and remove them",
        Permission.SETTINGS_READ: "See the settings that syncs send",
        Permission.SETTINGS_WRITE: "Change the settings that syncs send, and the contact for users",
        Permission.ESSENTIAL_READ: "See which programs no change may block",
        Permission.ESSENTIAL_WRITE: "Say which programs no change may block",
        Permission.EVENT_READ: "See executions, file accesses and audit events of agents",
        Permission.PROGRAM_READ: "See the programs that Macs reported",
        Permission.ENROLLMENT_READ: "See enrollments and their serial numbers",
        Permission.ENROLLMENT_WRITE: "Create and revoke enrollments; make profiles",
        Permission.USER_READ: "See users and their roles",
        Permission.USER_WRITE: "Create, change and disable users; give and take roles",
        Permission.SESSION_READ: "See the sessions of other users",
        Permission.SESSION_WRITE: "End the sessions of other users",
        Permission.AUDIT_READ: "See and export the audit log and its checkpoints",
        Permission.AUDIT_WRITE: "Make checkpoints of the audit log",
        Permission.STATUS_READ: "See how the server is: database, connections, schedule, audit log",
    }
)

_PERMISSIONS: Mapping[str, Permission] = MappingProxyType({str(one): one for one in Permission})

PURPOSE: Mapping[Role, str] = MappingProxyType(
    {
        Role.VIEWER: "sees policy, Macs and events, changes nothing",
        Role.REQUESTER: "looks up programs, sees nothing of policy, Macs and people",
        Role.APPROVER: "decides about programs: a viewer who may create, change and remove rules",
        Role.OPERATOR: "runs the fleet: everything except users, their sessions and the audit log",
        Role.ADMIN: "may do everything",
        Role.AUDITOR: "sees everything, users, sessions and audit log too; exports rules; changes nothing",
    }
)

TAG_SCOPED = frozenset(
    {
        Permission.LIVE_READ,
        Permission.MACHINE_READ,
        Permission.MACHINE_WRITE,
        Permission.RULE_READ,
        Permission.RULE_WRITE,
        Permission.RULE_EXPORT,
        Permission.TAG_READ,
        Permission.TAG_ASSIGN,
        Permission.SETTINGS_READ,
        Permission.SETTINGS_WRITE,
        Permission.EVENT_READ,
    }
)
"""Those that a role given for a tag grants for this tag. The others concern the whole installation, so a role
for a tag does not grant them. Changing a tag is one of them: its definition decides which Macs it has."""

_VIEWER = frozenset(
    {
        Permission.OVERVIEW_READ,
        Permission.LIVE_READ,
        Permission.MACHINE_READ,
        Permission.RULE_READ,
        Permission.TAG_READ,
        Permission.SETTINGS_READ,
        Permission.ESSENTIAL_READ,
        Permission.EVENT_READ,
        Permission.PROGRAM_READ,
    }
)
_APPROVER = _VIEWER | {Permission.RULE_WRITE}
_OPERATOR = _APPROVER | {
    Permission.MACHINE_WRITE,
    Permission.RULE_IMPORT,
    Permission.RULE_EXPORT,
    Permission.TAG_WRITE,
    Permission.TAG_ASSIGN,
    Permission.SETTINGS_WRITE,
    Permission.ESSENTIAL_WRITE,
    Permission.ENROLLMENT_READ,
    Permission.ENROLLMENT_WRITE,
    Permission.STATUS_READ,
}

PERMISSIONS: Mapping[Role, frozenset[Permission]] = MappingProxyType(
    {
        Role.VIEWER: _VIEWER,
        Role.REQUESTER: frozenset({Permission.PROGRAM_READ}),
        Role.APPROVER: _APPROVER,
        Role.OPERATOR: _OPERATOR,
        Role.ADMIN: frozenset(Permission),
        Role.AUDITOR: _VIEWER
        | {
            Permission.RULE_EXPORT,
            Permission.ENROLLMENT_READ,
            Permission.USER_READ,
            Permission.SESSION_READ,
            Permission.AUDIT_READ,
            Permission.AUDIT_WRITE,
            Permission.STATUS_READ,
        },
    }
)


def known_permissions(names: Iterable[str]) -> frozenset[Permission]:
    """Return the permissions of these names; one that this version does not know grants nothing."""
    return frozenset(_PERMISSIONS[name] for name in names if name in _PERMISSIONS)


def known_role(name: str) -> Role | None:
    """Return the role of this name; None for one that this version does not know."""
    try:
        return Role(name)
    except ValueError:
        return None
