"""Tags and layers of the demo fleet: every way to become a member, and every kind of layer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from santaserver.audit import Actor
from santaserver.demo_data import digest
from santaserver.policy.targets import Policy, RuleType
from santaserver.preconditions import ANY
from santaserver.rules.schemas import RuleCreate
from santaserver.rules.service import create_rule
from santaserver.scope import EVERYWHERE
from santaserver.sync_settings.schemas import LayerSettingsUpdate, MediaPolicyUpdate, SyncSettingsUpdate
from santaserver.sync_settings.service import replace_layer_settings
from santaserver.tags.member_repository import MemberChange
from santaserver.tags.schemas import TagContent
from santaserver.tags.service import create_tag, list_tags, set_member
from santaserver.unit_of_work import UnitOfWork

TAGS = (
    TagContent(name="engineering", description="Builds its own tools", groups=["engineering"]),
    TagContent(name="finance", description="Handles payments", groups=["finance"]),
    TagContent(
        name="older systems",
        description="Waiting for an upgrade of macOS",
        predicate="os_version.startsWith('14.') || os_version.startsWith('15.')",
    ),
    TagContent(name="pilot", description="Gets new rules first; members are chosen manually"),
)
PILOTS = (1, 4, 10)
"""Numbers of the Macs of the pilot tag."""

LOANER = 6
"""Number of the Mac with a layer of its own."""


@dataclass(frozen=True)
class LayerRule:
    """A rule above the global layer."""

    layer: str
    rule_type: RuleType
    identifier: str
    policy: Policy
    comment: str
    locked: bool = False

    def made(self, expires_at: datetime | None = None) -> RuleCreate:
        """Return it as the service takes it."""
        return RuleCreate(
            layer=self.layer,
            rule_type=self.rule_type,
            identifier=self.identifier,
            policy=self.policy,
            comment=self.comment,
            locked=self.locked,
            expires_at=expires_at,
        )


RULES = (
    LayerRule("tag:engineering", "BINARY", digest("file brew-helper"), "ALLOWLIST", "Homebrew"),
    LayerRule("tag:engineering", "TEAMID", "JODEV12345", "ALLOWLIST", "Terminal for developers"),
    LayerRule("tag:finance", "TEAMID", "SCRNBUDDY1", "BLOCKLIST", "No remote control", locked=True),
    LayerRule("tag:pilot", "TEAMID", "T0RRENT777", "NONE", "Pilots decide for themselves"),
    LayerRule("user:greta", "SIGNINGID", "SCRNBUDDY1:com.screenbuddy.remote", "ALLOWLIST", "Help desk"),
)
SETTINGS: tuple[tuple[str, SyncSettingsUpdate, list[str]], ...] = (
    ("tag:pilot", SyncSettingsUpdate(client_mode="MONITOR"), []),
    (
        "tag:finance",
        SyncSettingsUpdate(client_mode="LOCKDOWN", removable_media_policy=MediaPolicyUpdate(action="block")),
        ["client_mode"],
    ),
    ("tag:older systems", SyncSettingsUpdate(enable_transitive_rules=False), []),
    ("user:hiro", SyncSettingsUpdate(client_mode="STANDALONE"), []),
)


async def add_layers(work: UnitOfWork, actor: Actor, now: datetime) -> None:
    """Make the tags, and what they and single users have beside the global layer."""
    for tag in TAGS:
        await create_tag(work, EVERYWHERE, tag, actor, now)
    for rule in RULES:
        await create_rule(work, EVERYWHERE, rule.made(), actor, now)
    for layer, settings, locked in SETTINGS:
        update = LayerSettingsUpdate(values=settings, locked=locked)
        await replace_layer_settings(work, EVERYWHERE, layer, update, ANY, actor, now)


async def add_machine_layers(work: UnitOfWork, machines: Sequence[str], actor: Actor, now: datetime) -> None:
    """Add what needs Macs that are known: manual members, and a layer of one Mac."""
    pilot = next(tag.id for tag in await list_tags(work.connection, EVERYWHERE) if tag.name == "pilot")
    for number in PILOTS:
        await set_member(
            work, EVERYWHERE, MemberChange(pilot, machines[number], member=True), ANY, actor, now
        )
    layer = f"machine:{machines[LOANER]}"
    loan = LayerRule(layer, "BINARY", digest("file node-gyp-build"), "ALLOWLIST", "For the workshop")
    await create_rule(work, EVERYWHERE, loan.made(expires_at=now + timedelta(days=2)), actor, now)
    values = SyncSettingsUpdate(enable_all_event_upload=True)
    await replace_layer_settings(
        work, EVERYWHERE, layer, LayerSettingsUpdate(values=values, locked=[]), ANY, actor, now
    )
