"""What Santa needs from macOS besides its configuration, as payloads of a configuration profile. Pure.

Keys and values are those that Apple documents for each payload type, with the identifiers under which Santa
is signed. Without the first two, each Mac asks for approval, and Santa decides nothing until then.
"""

from typing import Any, Literal

PayloadKind = Literal[
    "configuration", "system_extension", "full_disk_access", "background_items", "notifications"
]

TEAM = "ZMCG7MLDV9"
APP = "com.northpolesec.santa"
DAEMON = f"{APP}.daemon"
BUNDLE_SERVICE = f"{APP}.bundleservice"

SYSTEM_EXTENSION = {
    "PayloadType": "com.apple.system-extension-policy",
    "PayloadDisplayName": "Santa: system extension",
    "AllowedSystemExtensions": {TEAM: [DAEMON]},
    "AllowedSystemExtensionTypes": {TEAM: ["EndpointSecurityExtension"]},
    "NonRemovableSystemExtensions": {TEAM: [DAEMON]},
}
"""Nobody can remove the extension while the profile is there: to uninstall Santa, remove that first."""


def _requirement(identifier: str) -> str:
    """Return the code requirement of software that Santa's publisher signed with a Developer ID."""
    return (
        f'identifier "{identifier}" and anchor apple generic '
        "and certificate 1[field.1.2.840.113635.100.6.2.6] /* exists */ "
        "and certificate leaf[field.1.2.840.113635.100.6.1.13] /* exists */ "
        f"and certificate leaf[subject.OU] = {TEAM}"
    )


FULL_DISK_ACCESS = {
    "PayloadType": "com.apple.TCC.configuration-profile-policy",
    "PayloadDisplayName": "Santa: full disk access",
    "Services": {
        "SystemPolicyAllFiles": [
            {
                "Identifier": identifier,
                "IdentifierType": "bundleID",
                "CodeRequirement": _requirement(identifier),
                "StaticCode": False,
                "Allowed": True,
            }
            for identifier in (DAEMON, BUNDLE_SERVICE)
        ]
    },
}

BACKGROUND_ITEMS = {
    "PayloadType": "com.apple.servicemanagement",
    "PayloadDisplayName": "Santa: background items",
    "Rules": [{"RuleType": "TeamIdentifier", "RuleValue": TEAM, "Comment": "Santa"}],
}

NOTIFICATIONS = {
    "PayloadType": "com.apple.notificationsettings",
    "PayloadDisplayName": "Santa: notifications",
    "NotificationSettings": [
        {
            "BundleIdentifier": APP,
            "NotificationsEnabled": True,
            "ShowInNotificationCenter": True,
            "ShowInLockScreen": True,
            "AlertType": 1,
            "BadgesEnabled": True,
            "SoundsEnabled": False,
            "CriticalAlertEnabled": True,
        }
    ],
}

APPROVALS: dict[PayloadKind, dict[str, Any]] = {
    "system_extension": SYSTEM_EXTENSION,
    "full_disk_access": FULL_DISK_ACCESS,
    "background_items": BACKGROUND_ITEMS,
    "notifications": NOTIFICATIONS,
}
