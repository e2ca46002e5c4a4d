"""What Macs were to have at earlier moments, to be asked of the server later on."""

from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any
from urllib.parse import quote

from tests.model import settings
from tests.model.admin import Administrators
from tests.model.mac import Mac
from tests.model.policy import Content, Key
from tests.model.settings import MODE
from tests.model.wrong import WrongError

SHARE = 0.03
"""Of the Macs that are up to date."""
MOST = 6
"""Moments at a time."""
PLAIN = (MODE, "batch_size", "full_sync_interval")
"""Settings that are shown as they are sent."""


@dataclass(frozen=True)
class Remembered:
    """One Mac's policy at a moment, which it had confirmed."""

    machine_id: str
    at: datetime
    rules: dict[Key, Content]
    settings: dict[str, Any]


@dataclass
class Memory:
    """Remembers some moments, and compares them with what the server says of them later."""

    admins: Administrators
    chance: Random
    compared: int = 0
    _kept: list[Remembered] = field(default_factory=list)

    def sees(self, mac: Mac, now: datetime) -> None:
        """A Mac is up to date now; perhaps this will be asked later."""
        if len(self._kept) == MOST or self.chance.random() > SHARE:
            return
        policy, facts = self.admins.policy, mac.facts
        layers = policy.layers_of(facts)
        until = policy.windows.get(facts.machine_id)
        values = settings.effective(policy.settings, layers, facts.version, until, now)
        rules = policy.effective(facts, now)
        self._kept.append(Remembered(facts.machine_id, now, rules, {name: values[name] for name in PLAIN}))

    def forget(self, machine_id: str) -> None:
        """A Mac was deleted."""
        self._kept = [one for one in self._kept if one.machine_id != machine_id]

    async def compare(self) -> None:
        """Raise `WrongError` unless the server still knows all of it."""
        for one in self._kept:
            await self._compare(one)
            self.compared += 1
        self._kept = []

    async def _compare(self, one: Remembered) -> None:
        path = f"/api/v1/machines/{one.machine_id}/policy"
        query = f"limit=500&at={quote(one.at.isoformat())}"
        shown = await self.admins.call("GET", path, query=query, may_be=(404, 422))
        if "rules" not in shown:
            raise WrongError(one.machine_id, f"nothing is known of {one.machine_id} at {one.at}: {shown}")
        rules = {
            (rule["rule_type"], rule["identifier"]): (
                rule["sent"],
                rule["cel_expr"] or "",
                rule["custom_msg"],
            )
            for rule in shown["rules"]
        }
        values = {name: shown["settings"][name]["value"] for name in PLAIN}
        unconfirmed = [rule for rule in shown["rules"] if rule["delivery"] != "confirmed"]
        if (rules, values, unconfirmed) != (one.rules, one.settings, []):
            lines = [f"{one.machine_id} is said to have had at {one.at}", str(shown), "but it had", str(one)]
            raise WrongError(one.machine_id, "\n  ".join(lines))
