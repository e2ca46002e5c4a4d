"""What a Mac reports beside its rules: executions, programs of bundles, metrics; and the doctor's probe."""

from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any

PROGRAMS = 12
BUNDLES = 4
IN_BUNDLE = 2
"""Programs of each bundle."""
DECISIONS = ("ALLOW_UNKNOWN", "BLOCK_BINARY", "ALLOW_TEAMID")
DOCTOR = "santactl-doctor-test"
METRICS = b'{"machine_id":"M","metrics":[{"path":"/santa/sync","kind":"MetricKind_COUNTER"}]}'


@dataclass
class Reports:
    """One Mac's events; every execution has a process id of its own, so that each is told apart."""

    first_pid: int
    made: int = 0
    accepted: set[int] = field(default_factory=set)
    """Process ids of the executions that the server said it has."""

    def executions(self, chance: Random, now: datetime) -> list[dict[str, Any]]:
        """Think up what ran since the last time; now and then it is of a bundle."""
        return [self._execution(chance, now) for _ in range(chance.randint(1, 3))]

    def _execution(self, chance: Random, now: datetime) -> dict[str, Any]:
        self.made += 1
        event: dict[str, Any] = {
            "file_sha256": f"{chance.randrange(PROGRAMS):064x}",
            "file_name": "program",
            "execution_time": now.timestamp(),
            "decision": chance.choice(DECISIONS),
            "pid": self.first_pid + self.made,
        }
        if chance.random() < 0.3:
            bundle = chance.randrange(BUNDLES)
            event |= {
                "file_sha256": f"{program_of(bundle, 0):064x}",
                "file_bundle_hash": bundle_hash(bundle),
                "file_bundle_binary_count": IN_BUNDLE,
            }
        return event


def bundle_hash(bundle: int) -> str:
    """Return a bundle's name on the wire."""
    return f"{0xB00 + bundle:064x}"


def program_of(bundle: int, place: int) -> int:
    """Return one of a bundle's programs."""
    return 0xA00 + bundle * IN_BUNDLE + place


def bundle_programs(wanted: str) -> list[dict[str, Any]]:
    """Return the events of a requested bundle."""
    bundle = int(wanted, 16) - 0xB00
    return [
        {
            "file_sha256": f"{program_of(bundle, place):064x}",
            "decision": "BUNDLE_BINARY",
            "file_bundle_hash": wanted,
            "file_bundle_binary_count": IN_BUNDLE,
        }
        for place in range(IN_BUNDLE)
    ]
