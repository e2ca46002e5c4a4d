"""Machines in the REST interface."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from santaserver.inputs import Input, Text
from santaserver.policy.targets import Policy, RuleType
from santaserver.tags.schemas import MemberSource

SyncState = Literal["in_sync", "pending", "overdue", "never", "drifted", "retired"]
CleanKind = Literal["clean", "clean_all"]


class RuleCounts(BaseModel):
    """Rows of the Mac's rule table by its last preflight; for clients without counts, as delivered."""

    binary: int
    certificate: int
    teamid: int
    signingid: int
    cdhash: int
    compiler: int
    transitive: int


class LastSync(BaseModel):
    """The newest sync of a machine."""

    kind: Literal["normal", "clean", "clean_all"]
    clean_reason: str | None = Field(description="Why the rule table was rebuilt; null for a normal sync")
    sent: int | None = Field(description="Rules in all pages; null while pages are being fetched")
    received: int | None = Field(
        description="What the Mac says it received; null before its postflight, and if it does not count"
    )
    processed: int | None
    finished_at: datetime | None


class Machine(BaseModel):
    """One Mac."""

    machine_id: str
    serial: str
    hostname: str
    model: str
    os_version: str
    os_build: str
    santa_version: str
    primary_user: str
    client_mode: str = Field(description="Mode in force on the Mac: MONITOR, LOCKDOWN, STANDALONE or empty")
    sync_state: SyncState
    tags: list[str] = Field(description="Tags whose layers held something at the last preflight")
    monitor_until: datetime | None = Field(
        description="Until then its syncs say MONITOR; it may take one sync interval longer on the Mac"
    )
    queued_clean: CleanKind | None = Field(description="A clean sync that is ordered and has not begun")
    last_preflight_at: datetime | None
    last_postflight_at: datetime | None
    last_clean_at: datetime | None = Field(description="When its rule table was last rebuilt")
    enrolled_at: datetime
    retired_at: datetime | None = Field(description="Since when its syncs are refused")
    released_at: datetime | None = Field(
        description="Since when its next preflight may bring another enrollment's secret or certificate"
    )
    refused_at: datetime | None = Field(
        description="When a request with its id was last refused, in the last 7 days: it showed another "
        "credential, or since its last sync a secret that is not accepted"
    )
    rule_counts: RuleCounts
    last_sync: LastSync | None
    etag: str = Field(description="For `If-Match`; names what people set: monitor mode, release, retirement")


class HeldRules(BaseModel):
    """Rules of a machine by type, without those created on it."""

    binary: int
    certificate: int
    teamid: int
    signingid: int
    cdhash: int
    total: int


class Client(BaseModel):
    """Which program syncs for a machine."""

    family: Literal["santa", "pedro", "other"] = Field(
        description="`other`: unknown, so it is sent only what every client supports"
    )
    name: str = Field(description="What to call it in a sentence")
    takes_all_rules: bool = Field(
        description="Each sync takes all rules in one page and its confirmation counts nothing"
    )


class UndeliveredRule(BaseModel):
    """A rule that the machine's client does not support."""

    rule_id: int
    rule_type: RuleType
    identifier: str
    policy: Policy
    layer: str
    sent: Policy | None = Field(description="The policy that is sent instead; null: the rule is not sent")
    next_policy: Policy | None = Field(
        description="Of the next rule in the order of precedence, which applies instead; null: there is none"
    )
    next_layer: str | None
    why: str


class UndeliveredRules(BaseModel):
    """The rules that the machine's client does not support as they are."""

    items: list[UndeliveredRule] = Field(description="The first 100, by type and identifier")
    total: int


class UndeliveredSetting(BaseModel):
    """A setting that the machine's client does not support."""

    key: str
    sent: str | None = Field(description="What is sent instead; null: nothing")
    why: str


class CountsDifference(BaseModel):
    """A rule table that differs from the expected one."""

    since: datetime
    ours: HeldRules | None = Field(description="As they should be; null when only the rules hash differs")
    its: HeldRules = Field(description="As the machine's last preflight reported them")
    next_clean_at: datetime | None = Field(
        description="Before then no further clean sync is tried for it; null: the next sync is one"
    )


class SeenSerial(BaseModel):
    """A serial number that a machine id was used with."""

    serial: str
    first_seen_at: datetime
    last_seen_at: datetime


class BoundEnrollment(BaseModel):
    """The enrollment that a machine belongs to."""

    id: int
    label: str
    ended: bool = Field(description="Revoked or expired: the next preflight may bring another credential")


class CredentialStep(BaseModel):
    """What happened to a machine's credential or to its place in the fleet."""

    at: datetime
    actor: str | None = Field(description="null when the entry's details were erased from the audit log")
    action: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class PreviousSecret(BaseModel):
    """A secret that was replaced."""

    id: int
    valid_until: datetime


class MachineCredential(BaseModel):
    """What a machine has to show at each stage of a sync."""

    enrollment: BoundEnrollment | None = Field(description="null: none until it shows a secret")
    certificate: str | None = Field(description="SHA-256 of its client certificate; null: it showed none")
    previous_secret: PreviousSecret | None = Field(
        description="It still shows this previous secret of its enrollment; null: the present one, or none"
    )
    refused_enrollment: str | None = Field(description="Label of the enrollment that was refused last")
    history: list[CredentialStep] = Field(description="The newest first, 20 at most")


class Notice(BaseModel):
    """A notice for administrators about a machine."""

    kind: Literal[
        "retired",
        "credential_refused",
        "credential_released",
        "secret_refused",
        "previous_secret",
        "identity_conflict",
        "counts_differ",
        "tags_withheld",
        "client_unknown",
        "rules_undelivered",
        "settings_undelivered",
    ]
    text: str
    advice: str = Field(description="What to do")


class MachineDetail(Machine):
    """One Mac with all details."""

    client: Client | None = Field(description="null before the first preflight")
    held_rules: HeldRules | None = Field(
        description="What it has by what was delivered, whether it counts or not; null while not known"
    )
    notices: list[Notice]
    undelivered_rules: UndeliveredRules
    undelivered_settings: list[UndeliveredSetting]
    counts_difference: CountsDifference | None
    credential: MachineCredential
    serials: list[SeenSerial] = Field(description="Serial numbers of its id, the one seen last first")


FleetAction = Literal["release", "withdraw_release", "retire", "restore", "delete"]
MAX_NAMED = 1000


class MachineFilter(Input):
    """Which machines a list shows."""

    q: Text = Field("", max_length=200, description="As in the list of machines")
    retired: bool = Field(False, description="Retired machines instead of the others")
    withheld: bool = Field(False, description="Only machines that a tag is withheld from")


class FleetOrder(Input):
    """What to do with many machines."""

    action: FleetAction
    machine_ids: list[Text] | None = Field(None, min_length=1, max_length=MAX_NAMED)
    filter: MachineFilter | None = None
    count: int | None = Field(
        None,
        ge=0,
        description="How many machines this concerns, as shown before; 412 when it is not so any more",
    )
    reason: Text = Field("", max_length=4000, description="For the audit log")


class MachineCount(BaseModel):
    """How many machines a filter matches."""

    count: int


class FleetResult(BaseModel):
    """What was done."""

    action: FleetAction
    matched: int
    changed: int = Field(description="The others were already as they should be")


class CleanSync(Input):
    """An order to rebuild a machine's rule table at its next sync."""

    kind: CleanKind = Field(description="`clean` keeps transitive rules, `clean_all` removes them too")


class MonitorMode(Input):
    """An order to switch one machine to MONITOR mode for a limited time."""

    minutes: int = Field(ge=1, le=7 * 24 * 60)
    reason: Text = Field(min_length=1, max_length=4000)


class MachineTag(BaseModel):
    """A tag that a machine has, and why."""

    id: int
    name: str
    sources: list[MemberSource]
    joined_at: datetime
