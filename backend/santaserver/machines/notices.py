"""Says in plain words what an administrator should know about a machine, and what to do. Pure."""

from collections.abc import Sequence

from santaserver.machines.schemas import (
    Client,
    CountsDifference,
    Notice,
    SeenSerial,
    UndeliveredRules,
    UndeliveredSetting,
)

FOR_SANTA = "Update Santa on this Mac, or use in its layers what its release can read."
FOR_OTHERS = (
    "Use in this machine's layers what its client can read; a tag can give it rules and settings of its own."
)


def identity_conflict(serials: Sequence[SeenSerial]) -> Notice:
    """Two machines say that they are this one."""
    names = " and ".join(seen.serial for seen in serials[:2])
    return Notice(
        kind="identity_conflict",
        text=f"Two machines use this machine id: their serial numbers are {names}. "
        "Each of their syncs is a clean one, for what one has says nothing about the other.",
        advice="Give each its own MachineID in its configuration profile, or remove the key so that Santa "
        "uses the hardware UUID. If one Mac was repaired and has a new serial number, do nothing: this "
        "notice goes away a day after the change.",
    )


def counts_differ(difference: CountsDifference) -> Notice:
    """A rule table is not what it should be."""
    ours = difference.ours
    if ours is None:
        text = "Its rule table is not the one that it confirmed: the digest differs."
    else:
        text = f"Its rule counts differ: it reports {difference.its.total} rules, {ours.total} are expected."
    return Notice(
        kind="counts_differ",
        text=text,
        advice="A clean sync is tried twice, then ever more rarely, as each costs the Mac the events that it "
        "has not uploaded. Look on the machine for what changes its rules or refuses some of them "
        "(`santactl status`, Santa's log), then order a clean sync.",
    )


def client_unknown(version: str) -> Notice:
    """Nobody knows what this client can read."""
    said = f"its version text is {version[:100]!r}" if version else "it does not say its version"
    return Notice(
        kind="client_unknown",
        text=f"This server does not know the machine's client: {said}. "
        "It is sent all rules at each sync, and of rules and settings only what every client can read.",
        advice="If it is Santa, update it to a release of this year; else see below what it does not get.",
    )


def rules_undelivered(client: Client, rules: UndeliveredRules) -> Notice:
    """Some rules cannot be read."""
    one = rules.total == 1
    number, are, them = ("1 rule", "it is", "it") if one else (f"{rules.total} rules", "they are", "them")
    return Notice(
        kind="rules_undelivered",
        text=f"{number} cannot be delivered to this machine as {are}: {client.name} cannot read {them}.",
        advice=FOR_SANTA if client.family == "santa" else FOR_OTHERS,
    )


def settings_undelivered(client: Client, settings: Sequence[UndeliveredSetting]) -> Notice:
    """Some settings cannot be read."""
    names = ", ".join(setting.key for setting in settings)
    return Notice(
        kind="settings_undelivered",
        text=f"Settings that cannot be delivered to this machine as they are: {names}. "
        f"{client.name} cannot read them.",
        advice=FOR_SANTA if client.family == "santa" else FOR_OTHERS,
    )
