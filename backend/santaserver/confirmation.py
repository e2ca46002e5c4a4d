"""Which changes are asked about first, since they loosen the policy or concern many Macs. Pure.

A question has a true number of Macs. Its token stands for that number, its reasons and the version that is
changed: when any of them is another one at the repetition, the question is asked again.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

import msgspec
from pydantic import BaseModel, Field

from santaserver.errors import Conflict

MAX_TOKEN = 100
_LIMIT = re.compile(r"([0-9]{1,9})(%?)")


class ConfirmReason(BaseModel):
    """One reason to ask."""

    kind: Literal["leaves_lockdown", "loosens", "many_machines"]
    machines: int = Field(description="Macs concerned: all that belong to it now, synced lately or not")
    detail: str


class ConfirmQuestion(BaseModel):
    """What to confirm before a change is made."""

    token: str = Field(description="Repeat the request with it as the query parameter `confirm`")
    machines: int = Field(description="Macs concerned, the largest number of all reasons")
    fleet: int = Field(description="All Macs")
    reasons: list[ConfirmReason]


@dataclass(frozen=True, slots=True)
class Limit:
    """From how many Macs on a change asks."""

    number: int
    percent: bool

    def exceeded(self, machines: int, fleet: int) -> bool:
        """Tell whether a change concerns more Macs; a single one is never many."""
        if self.percent:
            return machines > 1 and machines * 100 > self.number * fleet
        return machines > max(1, self.number)


def parse_limit(text: str) -> Limit:
    """Read `50` (Macs) or `10%` (of all Macs); raise `ValueError` for anything else."""
    found = _LIMIT.fullmatch(text.strip())
    if found is None or (found[2] and int(found[1]) > 100):  # noqa: PLR2004 - percent
        raise ValueError("must be a number of Macs, such as 50, or a share of all of them, such as 10%")
    return Limit(int(found[1]), bool(found[2]))


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What a request has confirmed, and when it is asked."""

    token: str | None = None
    limit: Limit | None = None
    """None: never; for the server's own work and the command line."""

    @property
    def asks(self) -> bool:
        """Whether it is worth counting."""
        return self.limit is not None

    def question(
        self, version: str, reasons: Sequence[ConfirmReason], machines: int, fleet: int
    ) -> ConfirmQuestion | None:
        """Return what to ask before a change of this many Macs; reasons without a Mac are none."""
        if self.limit is None:
            return None
        found = [reason for reason in reasons if reason.machines]
        if self.limit.exceeded(machines, fleet):
            found.append(
                ConfirmReason(
                    kind="many_machines",
                    machines=machines,
                    detail=f"It concerns {machines} of {fleet} Macs",
                )
            )
        if not found:
            return None
        most = max(reason.machines for reason in found)
        return ConfirmQuestion(token=_token(version, found, most), machines=most, fleet=fleet, reasons=found)

    def demand(self, question: ConfirmQuestion | None) -> None:
        """Raise a problem with the question unless the request has confirmed exactly this one."""
        if question is None or question.token == self.token:
            return
        reasons = ". ".join(reason.detail for reason in question.reasons)
        again = "It is not what was confirmed: the numbers have changed. " if self.token else ""
        raise Conflict(
            f"{again}{reasons}. To do it, repeat the request with confirm={question.token}",
            members={"confirm": question.model_dump(mode="json")},
        )


UNASKED = Confirmation()


def _token(version: str, reasons: Sequence[ConfirmReason], machines: int) -> str:
    facts = [version, [(reason.kind, reason.machines, reason.detail) for reason in reasons]]
    return f"{machines}-{blake2b(msgspec.json.encode(facts), digest_size=6).hexdigest()}"
