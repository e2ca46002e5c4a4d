"""Writes the notices about a machine, each with advice. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime

from santaserver.enrollment.refused_secret import RefusalReason
from santaserver.machines.schemas import (
    Client,
    CountsDifference,
    Notice,
    SeenSerial,
    UndeliveredRules,
    UndeliveredSetting,
)
from santaserver.policy.withholding_repository import WithheldLayer

FOR_SANTA = "Update Santa on this Mac, or use only what its release supports in its layers."
FOR_OTHERS = (
    "Use only what this machine's client supports in its layers; a tag can give it rules and settings "
    "of its own."
)


def retired(tried_at: datetime | None) -> Notice:
    """The machine is no part of the fleet."""
    tried = "" if tried_at is None else f" It tried to sync at {_time(tried_at)}."
    return Notice(
        kind="retired",
        text=f"This machine is retired: its syncs are refused, and it keeps the rules that it has.{tried}",
        advice="Restore it when it is used again. Its events and its history stay until then.",
    )


def credential_refused(at: datetime, label: str | None) -> Notice:
    """Someone came with another credential."""
    shown = "another credential" if label is None else f"the secret of the enrollment {label!r}"
    return Notice(
        kind="credential_refused",
        text=f"Someone used this machine id with {shown} at {_time(at)} and was refused.",
        advice="If the Mac got a new profile or a new client certificate, release it: its next sync may then "
        "bring another one. If not, find out who uses its id; the server's log names the request.",
    )


SECRET_REFUSED: dict[RefusalReason, tuple[str, str]] = {
    "replaced": (
        "it still has a previous secret of the enrollment {label}, which has ended",
        "Deploy the profile with the present secret to it; its next sync then needs nothing else.",
    ),
    "expired": (
        "its enrollment {label} has expired",
        "Give the enrollment a later end, or deploy a profile of another enrollment to the Mac.",
    ),
    "revoked": (
        "its enrollment {label} was revoked",
        "Deploy a profile of another enrollment to it; its next sync then moves it.",
    ),
    "network": (
        "it came from {address}, from where the secret of the enrollment {label} is not accepted",
        "If the Mac may sync from there, add the network to the secret; if not, find out who uses its id.",
    ),
    "certificate": (
        "it showed no client certificate, which the enrollment {label} requires",
        "Check that the Mac has its certificate, and that the profile names it.",
    ),
    "certificate_serial": (
        "its client certificate does not contain its serial number, as the enrollment {label} requires",
        "Issue a certificate for this Mac whose subject contains its serial number.",
    ),
    "serial": (
        "the enrollment {label} does not list its serial number",
        "Add the serial number to the enrollment, or deploy a profile of another one to the Mac.",
    ),
    "quota": (
        "the machine limit of the enrollment {label} is reached",
        "Raise the limit, or retire Macs that are no longer used.",
    ),
}


def secret_refused(at: datetime, reason: RefusalReason, label: str | None, address: str) -> Notice:
    """The secret that it came with is not accepted."""
    text, advice = SECRET_REFUSED[reason]
    told = text.format(label=repr(label or ""), address=address)
    return Notice(
        kind="secret_refused", text=f"This machine was refused at {_time(at)}: {told}.", advice=advice
    )


def previous_secret(label: str, until: datetime) -> Notice:
    """It has to get a new profile in time."""
    return Notice(
        kind="previous_secret",
        text=f"This machine still uses a previous secret of the enrollment {label!r}. From {_time(until)} on "
        "it will be refused.",
        advice="Deploy the profile with the present secret to it in time.",
    )


def credential_released() -> Notice:
    """The next preflight may bring another credential."""
    return Notice(
        kind="credential_released",
        text="This machine is released: the next other valid credential used with its id takes it over.",
        advice="Withdraw the release if the Mac keeps its profile and its client certificate.",
    )


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def identity_conflict(serials: Sequence[SeenSerial]) -> Notice:
    """Two machines report this machine id."""
    names = " and ".join(seen.serial for seen in serials[:2])
    return Notice(
        kind="identity_conflict",
        text=f"Two machines use this machine id: their serial numbers are {names}. "
        "Every sync of theirs is a clean sync, because the server cannot tell which rules each of them has.",
        advice="Give each its own MachineID in its configuration profile, or remove the key so that Santa "
        "uses the hardware UUID. If one Mac was repaired and has a new serial number, do nothing: this "
        "notice goes away a day after the change.",
    )


def counts_differ(difference: CountsDifference) -> Notice:
    """A rule table differs from the expected one."""
    ours = difference.ours
    if ours is None:
        text = "Its rules are not those that it confirmed: the rules hash differs."
    else:
        text = f"Its rule counts differ: it reports {difference.its.total} rules, {ours.total} are expected."
    return Notice(
        kind="counts_differ",
        text=text,
        advice="The server tries a clean sync twice, then less and less often, because each costs the Mac "
        "the events that it has not uploaded. Find out what changes or rejects rules on the machine "
        "(`santactl status`, Santa's log), then order a clean sync.",
    )


def tags_withheld(withheld: Sequence[WithheldLayer]) -> Notice:
    """Its report changes its tags, but the server does not."""
    lines = (
        f"{one.layer} is {'withheld from' if one.gained else 'kept on'} this machine, although its report "
        f"says otherwise, since {_time(one.since)}: {one.reason}."
        for one in withheld
    )
    return Notice(
        kind="tags_withheld",
        text=" ".join(lines),
        advice="Allow the program with a rule, or change the rule or setting that blocks it; the machine's "
        "next sync then follows its report. To give it the tag anyway, assign it manually.",
    )


def client_unknown(version: str) -> Notice:
    """The client's capabilities are unknown."""
    version_text = f"its version text is {version[:100]!r}" if version else "it does not say its version"
    return Notice(
        kind="client_unknown",
        text=f"The server does not recognize the machine's client: {version_text}. "
        "It gets all rules at each sync, and only rules and settings that every client supports.",
        advice="If it is Santa, update it to a release of this year; if not, see below what it does not get.",
    )


def rules_undelivered(client: Client, rules: UndeliveredRules) -> Notice:
    """The client does not support some rules."""
    one = rules.total == 1
    number, are, them = ("1 rule", "it is", "it") if one else (f"{rules.total} rules", "they are", "them")
    return Notice(
        kind="rules_undelivered",
        text=f"{number} cannot be delivered to this machine as {are}: {client.name} does not support {them}.",
        advice=FOR_SANTA if client.family == "santa" else FOR_OTHERS,
    )


def settings_undelivered(client: Client, settings: Sequence[UndeliveredSetting]) -> Notice:
    """The client does not support some settings."""
    names = ", ".join(setting.key for setting in settings)
    return Notice(
        kind="settings_undelivered",
        text=f"Settings that cannot be delivered to this machine as they are: {names}. "
        f"{client.name} does not support them.",
        advice=FOR_SANTA if client.family == "santa" else FOR_OTHERS,
    )
