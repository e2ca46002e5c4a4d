"""Changes that a Mac must see whole or not at all: imports of several rules, settings, monitor mode."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

from tests.model.admin import COMPILER, IMPORTED, Administrators, some_rule
from tests.model.mac import Mac
from tests.model.policy import Key, Rule
from tests.model.settings import CHOICES
from tests.model.timeline import SET

SHARED_LAYERS = ("global", "tag:t0", f"tag:{IMPORTED}")
MINUTES = (60, 240)
"""Of monitor mode; longer than time moves while Macs sync."""


async def import_rules(admins: Administrators, chance: Random) -> None:
    """Change several rules by one file: of several layers, or all that one layer has."""
    async with admins.timeline.turn:
        replaced = chance.random() < 0.3
        new = {layer: some_rules(admins, layer, chance) for layer in SHARED_LAYERS[-1 if replaced else 0 :]}
        for layer, rules in new.items():
            present = admins.policy.layers.setdefault(layer, {})
            if replaced:
                present.clear()
            present |= rules
        rows = [row(layer, key, rule) for layer, rules in new.items() for key, rule in rules.items()]
        chance.shuffle(rows)
        file = {
            "format": "json",
            "content": json.dumps({"version": 1, "rules": rows}),
            "remove_missing": replaced,
            "dry_run": False,
        }
        async with admins.timeline.changed():
            plan = await admins.call("POST", "/api/v1/rules/import", file)
        assert plan["applied"], plan


def some_rules(admins: Administrators, layer: str, chance: Random) -> dict[Key, Rule]:
    """Think up rules for some targets of imports, at least one."""
    keys = chance.sample(SET, chance.randint(1, len(SET)))
    return {key: some_lasting_rule(admins, layer, key, chance) for key in keys}


def some_lasting_rule(admins: Administrators, layer: str, key: Key, chance: Random) -> Rule:
    """Think up a rule without times; one whose end has Macs rebuild their tables is left to others."""
    rule = some_rule(chance, layer, key, admins.now(), active=True)
    policy, expression, text = rule.content
    content = ("ALLOWLIST" if policy == COMPILER else policy, expression, text)
    return replace(rule, content=content, expires_at=None)


def row(layer: str, key: Key, rule: Rule) -> dict[str, object]:
    """Return a rule as a file has it."""
    policy, expression, text = rule.content
    return {
        "layer": layer,
        "rule_type": key[0],
        "identifier": key[1],
        "policy": policy,
        "cel_expr": expression or None,
        "custom_msg": text,
        "locked": rule.locked,
    }


async def change_settings(admins: Administrators, layer: str, chance: Random) -> None:
    """Define some settings in a layer, lock some of them, and drop the others."""
    names = [name for name in CHOICES if chance.random() < 0.4]
    settings = {name: (chance.choice(CHOICES[name]), chance.random() < 0.15) for name in names}
    async with admins.timeline.turn:
        await admins.define_settings(layer, settings)


async def switch_monitor_mode(admins: Administrators, mac: Mac, chance: Random) -> None:
    """Have a Mac in monitor mode for a while, or end that; a layer that locks the mode forbids it."""
    machine_id, windows = mac.facts.machine_id, admins.policy.windows
    path = f"/api/v1/machines/{machine_id}/monitor-mode"
    async with admins.timeline.turn:
        before = windows.pop(machine_id, None)
        if before is not None and before > admins.now():
            async with admins.timeline.changed():
                await admins.call("DELETE", path)
            return
        minutes = chance.choice(MINUTES)
        windows[machine_id] = admins.now() + timedelta(minutes=minutes)
        async with admins.timeline.changed():
            shown = await admins.call("POST", path, {"minutes": minutes, "reason": "try"}, may_be=(409,))
        until = shown.get("monitor_until")
        if until is None:
            del windows[machine_id]
        else:
            windows[machine_id] = datetime.fromisoformat(until)
        async with admins.timeline.changed():
            """The server has told what came of it."""
