"""What must hold at an idle point: no acknowledged write lost, no wrong rule set, a log that verifies."""

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx

from santaserver.audit_log.command import CannotVerify, verify_file
from tests.soak.system import System
from tests.soak.traffic import Machine, Writer
from tests.support.postgres import fetch
from tests.support.santa_client import Key, SimulatedMac

STORED = "select e.pid from event e join machine m on m.id = e.machine_id where m.machine_id = $1"


def rules_of_writers(writers: list[Writer]) -> list[str]:
    """Return each rule that is not as it was acknowledged."""
    return [text for writer in writers for text in writer.ledger.wrong(writer.rules())]


def rule_sets(machines: list[Machine], reference: SimulatedMac, writers: list[Writer]) -> list[str]:
    """Return each Mac with wrong rules; the reference is a Mac that downloads the whole set again."""
    for machine in machines:
        machine.mac.sync()
    reference.wipe()
    reference.sync()
    written = {
        ("BINARY", identifier): content
        for writer in writers
        for identifier, contents in writer.ledger.possible.items()
        for content in contents
        if content is not None
    }
    there = {key: rule[:1] + rule[2:3] for key, rule in reference.rules.items() if key[1].startswith("50a4")}
    wanted = reference.rules
    found = [f"a new Mac {text}" for text in differences(there, written)]
    for machine in machines:
        found += [
            f"Mac {machine.mac.machine_id[:8]} {text}" for text in differences(machine.mac.rules, wanted)
        ]
    return found


def differences(there: Mapping[Key, object], wanted: Mapping[Key, object]) -> Iterator[str]:
    """Yield what is wrong with a set of rules."""
    for key in sorted(there.keys() | wanted.keys()):
        if there.get(key) != wanted.get(key):
            yield f"has {there.get(key)} for {key[0]} {key[1][-8:]} instead of {wanted.get(key)}"


def executions(system: System, machines: list[Machine]) -> list[str]:
    """Return the Macs of whose acknowledged executions one is lost, or stored twice."""
    found = []
    for machine in machines:
        stored = Counter(row["pid"] for row in fetch(system.dsn, STORED, machine.mac.machine_id))
        lost = machine.accepted - stored.keys()
        twice = [pid for pid, number in stored.items() if number > 1]
        if lost or twice:
            found.append(
                f"Mac {machine.mac.machine_id[:8]}: executions lost {sorted(lost)[:5]} ({len(lost)}), "
                f"stored twice {twice[:5]} ({len(twice)})"
            )
    return found


def checkpoint(client: httpx.Client) -> str:
    """Have a checkpoint of the audit log made; return its note."""
    note: str = client.post("/api/v1/audit/checkpoint").raise_for_status().json()["note"]
    return note


def audit_log(client: httpx.Client, notes: list[str]) -> list[str]:
    """Return what is wrong with the audit log, held to checkpoints that were made meanwhile."""
    with tempfile.TemporaryDirectory(prefix="santa-") as folder:
        export, checkpoints = Path(folder) / "audit.jsonl", Path(folder) / "checkpoints"
        export.write_bytes(client.get("/api/v1/audit/export").raise_for_status().content)
        checkpoints.write_text("\n".join(notes))
        try:
            result = verify_file(export, [checkpoints], None)
        except CannotVerify as error:
            return [f"the audit log cannot be verified: {error}"]
    return [] if result.fault is None else [f"audit log, entry {result.fault.seq}: {result.fault.message}"]
