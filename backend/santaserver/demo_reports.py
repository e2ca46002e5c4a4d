"""File accesses and agent audits of the demo fleet, as Macs upload them."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from santaserver.demo_data import PROGRAMS, Program

WATCHED = (
    ("BrowserCookies", "/Users/{person}/Library/Cookies/Cookies.binarycookies"),
    ("SshKeys", "/Users/{person}/.ssh/id_ed25519"),
    ("Keychains", "/Users/{person}/Library/Keychains/login.keychain-db"),
    ("PayrollShare", "/Volumes/Payroll/2026/salaries.numbers"),
)
DECISIONS = ("DENIED", "DENIED_INVALID_SIGNATURE", "AUDIT_ONLY", "AUDIT_ONLY")


def file_accesses(now: datetime, person: str, chance: random.Random) -> Iterator[dict[str, Any]]:
    """Yield a few accesses to watched files."""
    for _ in range(chance.randint(0, 3)):
        rule, target = chance.choice(WATCHED)
        program = chance.choice(PROGRAMS)
        at = now - timedelta(days=5) * chance.random() ** 2
        yield {
            "rule_version": "4",
            "rule_name": rule,
            "target": target.format(person=person),
            "decision": f"FILE_ACCESS_DECISION_{chance.choice(DECISIONS)}",
            "access_time": round(at.timestamp(), 3),
            "process_chain": [_process(program, chance), _launcher()],
        }


def approvals(now: datetime, chance: random.Random) -> Iterator[dict[str, Any]]:
    """Yield what the user of a Mac in standalone mode approved."""
    unknown = [program for program in PROGRAMS if program.decision.endswith("_UNKNOWN")]
    for program in chance.sample(unknown, k=3):
        at = now - timedelta(hours=chance.randint(2, 90))
        yield {
            "standalone_mode_rule_creation": {
                "decision": "ALLOW_SIGNINGID" if program.team_id else "ALLOW_BINARY",
                "identifier": program.signing_id or program.sha256,
                "timestamp": int(at.timestamp()),
            }
        }


def _process(program: Program, chance: random.Random) -> dict[str, Any]:
    return {
        "file_path": f"{program.folder}/{program.name}",
        "file_sha256": program.sha256,
        "cdhash": program.cdhash,
        "signing_id": program.signing_id,
        "team_id": program.team_id,
        "pid": chance.randint(400, 60_000),
    }


def _launcher() -> dict[str, Any]:
    return {"file_path": "/sbin/launchd", "signing_id": "platform:com.apple.xpc.launchd", "pid": 1}
