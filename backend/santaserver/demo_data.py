"""Made-up programs, rules and Macs for the demo fleet. Plain data; `demo` puts it into the database."""

import hashlib
from dataclasses import dataclass

from santaserver.policy.targets import Policy, RuleType
from santaserver.rules.schemas import RuleCreate
from santaserver.sync_settings.schemas import MediaPolicy, SyncSettings


@dataclass(frozen=True)
class Program:
    """A signed application and how Santa decides about it."""

    name: str
    publisher: str
    team_id: str
    bundle: str
    decision: str
    weight: int
    path: str = ""

    @property
    def sha256(self) -> str:
        """The digest of the made-up file."""
        return digest(f"file {self.name}")

    @property
    def cdhash(self) -> str:
        """The made-up code directory hash."""
        return digest(f"cdhash {self.name}")[:40] if self.team_id else ""

    @property
    def folder(self) -> str:
        """Where the file is."""
        return self.path or f"/Applications/{self.name}.app/Contents/MacOS"

    @property
    def signing_id(self) -> str:
        """The signing identifier with its prefix."""
        return f"{self.team_id}:{self.bundle}" if self.team_id else ""


def digest(text: str) -> str:
    """Return a stable SHA-256 for a made-up thing."""
    return hashlib.sha256(f"demo {text}".encode()).hexdigest()


PROGRAMS = (
    Program("Aurora Browser", "Aurora Software Ltd", "AUR0RA1234", "com.aurora.browser", "ALLOW_TEAMID", 30),
    Program("Chatter", "Chatter Inc.", "CHAT7ER999", "com.chatter.mac", "ALLOW_SIGNINGID", 25),
    Program("Northwind VPN", "Northwind Networks", "N0RTHW1ND5", "com.northwind.vpn", "ALLOW_TEAMID", 12),
    Program("Papyrus Office", "Papyrus GmbH", "PAPYRUS001", "de.papyrus.office", "ALLOW_CERTIFICATE", 15),
    Program("Sketchpad", "Sketchpad Labs", "SKETCHPD42", "com.sketchpad.app", "ALLOW_UNKNOWN", 14),
    Program("Terminal Deluxe", "Jo Developer", "JODEV12345", "dev.jo.terminal", "ALLOW_UNKNOWN", 9),
    Program("Torrent Rush", "Torrent Rush LLC", "T0RRENT777", "com.torrentrush.client", "BLOCK_TEAMID", 8),
    Program("Screen Buddy", "Screen Buddy Co", "SCRNBUDDY1", "com.screenbuddy.remote", "BLOCK_SIGNINGID", 6),
    Program("Coin Digger", "", "", "", "BLOCK_BINARY", 5, "/Users/Shared/.cache"),
    Program("brew-helper", "", "", "", "BLOCK_UNKNOWN", 9, "/opt/homebrew/bin"),
    Program("node-gyp-build", "", "", "", "BLOCK_UNKNOWN", 7, "/Users/dev/project/node_modules/.bin"),
    Program("Mac Cleaner Pro", "Cleaner Pro Ltd", "CLEANERPR0", "com.cleanerpro.app", "BLOCK_CERTIFICATE", 6),
    Program("Legacy Reader", "Legacy Systems", "LEGACYSYS9", "com.legacy.reader", "BLOCK_CDHASH", 3),
    Program("Notes Sync", "Small Tools", "SMALLT00LS", "com.smalltools.notes", "ALLOW_UNKNOWN", 10),
)

PEOPLE = (
    "amara",
    "bence",
    "chiara",
    "dmitri",
    "elif",
    "farid",
    "greta",
    "hiro",
    "ines",
    "jonas",
    "kaya",
    "liam",
)
MODELS = ("Mac15,7", "Mac16,1", "Mac14,2", "MacBookPro18,3", "Mac15,12", "Macmini9,1")
RELEASES = (
    "2026.7.812345678",
    "2026.7.812345678",
    "2026.6.790012345",
    "2026.3.700112233",
    "2025.9.611223344",
)
SYSTEMS = (("26.1", "25B78"), ("15.7.2", "24G325"), ("15.6.1", "24G90"), ("14.8.2", "23J126"))
FLEET_SIZE = 24

SETTINGS = SyncSettings(
    client_mode="LOCKDOWN",
    full_sync_interval=600,
    enable_transitive_rules=True,
    blocked_path_regex="^/Users/Shared/\\.",
    removable_media_policy=MediaPolicy(action="remount", flags=["rdonly", "noexec"]),
    event_detail_url="https://santa.example.com/blocked/%file_identifier%",
    event_detail_text="Why was this blocked?",
)


RECENT = "target.signing_time >= timestamp('2026-01-01T00:00:00Z') ? ALLOWLIST : BLOCKLIST"
WITHOUT_SECRETS = "!args.exists(word, word.contains('password'))"
NOT_HERE = "This program may not be used here. Ask the help desk for an alternative."

SIMPLE_RULES: tuple[tuple[RuleType, str, Policy, str], ...] = (
    ("TEAMID", "AUR0RA1234", "ALLOWLIST", "Aurora Software Ltd, approved"),
    ("TEAMID", "N0RTHW1ND5", "ALLOWLIST", "Northwind Networks, the VPN: never remove"),
    ("TEAMID", "ACC0UNTNG1", "ALLOWLIST", "Ledger & Sons"),
    ("TEAMID", "DES1GNT00L", "ALLOWLIST", "Design Tools BV"),
    ("TEAMID", "BACKUPC0RP", "ALLOWLIST", "Backup Corp"),
    ("SIGNINGID", "CHAT7ER999:com.chatter.mac", "ALLOWLIST", "Team chat"),
    ("SIGNINGID", "platform:com.apple.curl", "ALLOWLIST", ""),
    ("SIGNINGID", "JODEV12345:dev.jo.compiler", "ALLOWLIST_COMPILER", "What it builds may run"),
    ("SIGNINGID", "SCRNBUDDY1:com.screenbuddy.remote", "BLOCKLIST", "Remote control"),
    ("SIGNINGID", "SCRNBUDDY1:com.screenbuddy.update", "SILENT_BLOCKLIST", "Tries every minute"),
    ("SIGNINGID", "SCRNBUDDY1:com.screenbuddy.cli", "SILENT_GUI_BLOCKLIST", "Scripts see why"),
    ("SIGNINGID", "SCRNBUDDY1:com.screenbuddy.agent", "SILENT_TTY_BLOCKLIST", ""),
    ("CERTIFICATE", digest("certificate Papyrus GmbH"), "ALLOWLIST", "Office suite"),
    ("CERTIFICATE", digest("certificate Cleaner Pro Ltd"), "BLOCKLIST", "Unwanted software"),
    ("CDHASH", digest("cdhash Legacy Reader")[:40], "BLOCKLIST", "Vulnerable version"),
    ("CDHASH", digest("cdhash good reader")[:40], "ALLOWLIST", ""),
    ("BINARY", digest("file Coin Digger"), "BLOCKLIST", "Malware"),
)


def rules() -> list[RuleCreate]:
    """Return rules of every type and policy."""
    made = [
        RuleCreate(rule_type=kind, identifier=identifier, policy=policy, comment=comment)
        for kind, identifier, policy, comment in SIMPLE_RULES
    ]
    made += [
        RuleCreate(rule_type="TEAMID", identifier="T0RRENT777", policy="BLOCKLIST", custom_msg=NOT_HERE),
        RuleCreate(rule_type="TEAMID", identifier="SKETCHPD42", policy="CEL", cel_expr=RECENT),
        RuleCreate(
            rule_type="SIGNINGID",
            identifier="platform:com.apple.osascript",
            policy="CEL",
            cel_expr=WITHOUT_SECRETS,
        ),
    ]
    return made + [
        RuleCreate(
            rule_type="BINARY",
            identifier=digest(f"package {number}"),
            policy="ALLOWLIST",
            comment=f"Package tool {number}, checked build",
        )
        for number in range(1, 21)
    ]
